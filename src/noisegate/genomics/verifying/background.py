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
Signs = NDArray[np.int8]
Counts = NDArray[np.int64]

LEAST_OTHERS = 200  # unreported variants, below which the rate is simulated
STRATUM = 200  # variants that a stratum has at least
MOST_STRATA = 12


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """How often variants of a release are significant that no finding is of.

    A stratum is of variants that are as common, and of a direction: what is significant the other way than
    a finding reports does not count.

    Attributes:
        rate: the share of them, with its interval; of findings with directions the mean over theirs.
        strata: int64, shape (findings,): which stratum a finding is in.
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


def background(
    signs: Signs, usable: Flags, places: Counts, minor: Counts, towards: Signs
) -> Background | None:
    """Return the background of a release; None where too few of its variants are unreported.

    Args:
        signs: int8, shape (variants,), of all variants of the release: 0 where one is not significant, else 1
            where the alternate allele is commoner among the cases, and -1 where it is rarer.
        usable: bool, the same shape: which of them can be tested.
        places: int64, shape (findings,): the variants that findings are of, all of them usable.
        minor: int64, shape (variants,): copies of the rarer allele in the controls.
        towards: int8, shape (findings,): the direction that each reports, 0 where it reports none.
    """
    others = usable.copy()
    others[places] = False
    count = int(others.sum())
    if count < LEAST_OTHERS:
        return None
    wanted = min(max(int(usable.sum()) // STRATUM, 1), MOST_STRATA)
    edges = np.unique(np.quantile(minor[usable], np.linspace(0, 1, wanted + 1)[1:-1]))
    stratum = np.searchsorted(edges, minor, side="left")
    strata = len(edges) + 1
    # Of each stratum thrice: significant either way, upwards, and downwards.
    ways = [signs != 0, signs == 1, signs == -1]
    of = np.tile(np.bincount(stratum[usable], minlength=strata), len(ways))
    kept = np.concatenate([np.bincount(stratum[usable & way], minlength=strata) for way in ways])
    said = towards.astype(np.int64) % len(ways)
    shares = np.bincount(said, minlength=len(ways)) / len(said)
    seen = sum(share * int(way[others].sum()) for share, way in zip(shares, ways, strict=True))
    return Background(proportion(round(seen), count), stratum[places] + strata * said, kept, of)
