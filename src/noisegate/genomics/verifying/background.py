"""How many findings a release would keep if they had nothing to do with its data: the false-positive rate.

Retention means nothing without it: noise near ε = 0 makes nearly all variants differ from the controls, and
so keeps nearly every finding. The rate is read off the release itself, where it has enough variants that
nobody reported a finding of. Which variants those are is not chance: an honest study reports those that
differ, so the ones left over differ less. What a list of variants picked at random would keep is therefore
drawn from all variants of the release, reported ones too, and from those that are as common in the controls:
rare ones can hardly differ, and whoever makes findings up would not take them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate.leakage.roc import Estimate, proportion

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]

LEAST_OTHERS = 200  # unreported variants, below which the rate is simulated
STRATUM = 200  # variants that a stratum has at least
MOST_STRATA = 12


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """How often variants of a release are significant that no finding is of.

    Attributes:
        rate: the share of them, with its interval.
        strata: int64, shape (findings,): which stratum a finding's variant is in.
        kept: int64, shape (strata,): significant variants in each stratum, reported or not.
        of: int64, shape (strata,): all of them.
    """

    rate: Estimate
    strata: Counts
    kept: Counts
    of: Counts

    def draw(self, uniform: Floats, rates: Floats) -> Flags:
        """Return which findings are kept of variants picked at random, bool of shape (draws, findings).

        The rate of a stratum is itself only estimated: each draw has one of its own, from its posterior law
        (Jeffreys's prior).

        Args:
            uniform: float64, shape (draws, findings), in [0, 1).
            rates: float64, shape (draws, strata), in [0, 1).
        """
        from scipy.special import betaincinv  # an extra's module, and slow to load

        rate = betaincinv(self.kept + 0.5, self.of - self.kept + 0.5, np.clip(rates, 1e-9, 1 - 1e-9))
        found: Flags = uniform < rate[:, self.strata]
        return found


def background(significant: Flags, usable: Flags, places: Counts, minor: Counts) -> Background | None:
    """Return the background of a release; None where too few of its variants are unreported.

    Args:
        significant: bool, shape (variants,), of all variants of the release.
        usable: bool, the same shape: which of them can be tested.
        places: int64, shape (findings,): the variants that findings are of, all of them usable.
        minor: int64, shape (variants,): copies of the rarer allele in the controls.
    """
    others = usable.copy()
    others[places] = False
    count = int(others.sum())
    if count < LEAST_OTHERS:
        return None
    wanted = min(max(int(usable.sum()) // STRATUM, 1), MOST_STRATA)
    edges = np.unique(np.quantile(minor[usable], np.linspace(0, 1, wanted + 1)[1:-1]))
    stratum = np.searchsorted(edges, minor, side="left")
    of = np.bincount(stratum[usable], minlength=len(edges) + 1)
    kept = np.bincount(stratum[usable & significant], minlength=len(edges) + 1)
    rate = proportion(int(significant[others].sum()), count)
    return Background(rate, stratum[places], kept, of)
