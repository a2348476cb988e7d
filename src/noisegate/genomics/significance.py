"""What noisy tables of cases and controls say: p-values that are never too small, odds ratios, frequencies.

Everything here is post-processing of noisy cells. The p-values are of the question whether genotype and group
go together beyond chance and noise; contrasts.py says how, PROOFS.md, "Noise-aware tests", why they hold.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genomics import contrasts
from noisegate.genomics.counts import Groups, Noisy
from noisegate.genomics.group_sizes import GroupSizes, Size, declared, estimated
from noisegate.genomics.known_noise import Known, half_wave, lattice_step, law_of
from noisegate.genomics.odds import odds_ratios
from noisegate.privacy.noise import Gaussian, Laplace

Reals = NDArray[np.float64]
Z = 1.959963984540054  # of 95 %
PRODUCT = 0.03  # of a cell's noise: two errors' product that is worth more work
SHARED = 0.05  # of a size's noise in one cell of a table: above, table and size are not taken for independent
SIZES_WITHIN = 2.6  # standard deviations that a group may be smaller than its estimate, for intervals

__all__ = ["Evaluated", "GroupSizes", "Size", "adjusted", "evaluate", "evaluate_cells"]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """Statistics of noisy tables, float64, (variants,) unless said; groups are (controls, cases).

    P-values lie above 0 and up to 1: P(p <= t) <= t for every t where genotype and group are independent.
    `p_trend` is of the number of alternate alleles, `p_dominant` of having any, `p_recessive` of having two,
    `p_heterozygous` of having one, `p_genotypic` four times the least of these. `chi2_trend` is the
    Cochran-Armitage statistic with the noise in its variance.

    `odds_ratio` is that of the alternate allele, cases to controls, finite and above 0; `low` and `high` its
    95 % interval of sampling and noise, from 0 up to infinity. `frequency` is float64, (variants, 3): shares
    of the alternate allele among controls, cases and both together; `frequency_low` and `frequency_high`
    their 95 % interval, of noise alone. `sizes` with `size_low` and `size_high`, float64 (2,), say how many
    people each group has, 95 %, of noise alone.
    """

    p_trend: Reals
    chi2_trend: Reals
    p_dominant: Reals
    p_heterozygous: Reals
    p_recessive: Reals
    p_genotypic: Reals
    odds_ratio: Reals
    low: Reals
    high: Reals
    frequency: Reals
    frequency_low: Reals
    frequency_high: Reals
    sizes: Reals
    size_low: Reals
    size_high: Reals

    @property
    def maf(self) -> Reals:
        """Shares of the rarer allele: float64, shape (variants, 3)."""
        found: Reals = np.minimum(self.frequency, 1 - self.frequency)
        return found


def adjusted(p: Reals, looked_at: int) -> Reals:
    """Return p-values of variants that were chosen among `looked_at`, by Bonferroni.

    Raises:
        BadInput: fewer than one was looked at.
    """
    if looked_at < 1:
        raise BadInput("a variant is chosen among one or more")
    found: Reals = np.minimum(1.0, looked_at * np.asarray(p, np.float64))
    return found


def evaluate(
    tables: Noisy,
    *,
    sizes: Noisy | tuple[Size, Size] | None = None,
    cases: int | None = None,
    everybody: bool = True,
) -> Evaluated:
    """Return what noisy tables say.

    Args:
        tables: noisy counts of a Groups query.
        sizes: how many controls and cases there are, with noise: cells (controls, cases) or two `Size`, the
            noise in them independent of that in the tables. Without, the tables alone tell.
        cases: how many cases there are, where that was declared public.
        everybody: whether each of `tables.people` is a case or a control. Otherwise some take no part, and
            how many is not known.

    Raises:
        BadInput: the cells are of another query; sizes do not fit; cases are declared and some take no part.
    """
    if not isinstance(tables.plan.query, Groups):
        raise BadInput("tables are counts of cases and controls")
    noise, people = tables.plan.noise, tables.people
    cells = tables.cells.astype(np.float64)
    if cases is not None:
        if not everybody or sizes is not None:
            raise BadInput("a declared number of cases is of everybody, and needs no noisy sizes beside it")
        return evaluate_cells(cells, noise, declared(people, cases))
    given = _given(sizes) if isinstance(sizes, Noisy) else sizes
    return evaluate_cells(cells, noise, estimated(cells, noise, people, given, everybody=everybody))


def _given(sizes: Noisy) -> tuple[Size, Size]:
    if sizes.cells.shape != (2,):
        raise BadInput("sizes are two counts, controls and cases")
    noises = ((1.0, sizes.plan.noise, 1),)
    return Size(float(sizes.cells[0]), noises), Size(float(sizes.cells[1]), noises)


def evaluate_cells(cells: Reals, noise: Gaussian | Laplace, groups: GroupSizes) -> Evaluated:
    """Return what cells with this noise say, float64 (variants, 2, 3), of groups of such sizes."""
    law = law_of(noise)
    found = np.ones((len(cells), 4))
    widths = _widths(law, groups.everybody)
    rows = groups.centre / groups.centre.sum()
    lattices = np.zeros((4, 2))
    lattices[:, 0] = [lattice_step(law, _coefficients(w, rows)) for w in contrasts.WEIGHTS]
    lattices[contrasts.TREND, 1] = half_wave(law, _coefficients(contrasts.WEIGHTS[contrasts.TREND], rows))
    contrasts.p_values(
        np.ascontiguousarray(cells),
        lattices,
        np.stack([groups.value, groups.centre]),
        groups.own,
        groups.everybody,
        groups.ranges(),
        widths,
        _corners(law, groups, widths),
        (law.kind, law.size, law.variance),
        groups.terms(),
        found,
    )
    shares, deviations = _shares(cells, law, groups)
    odds = odds_ratios(
        shares[:, :2],
        deviations[:, :2] * law.stretch,
        np.maximum(groups.value - SIZES_WITHIN * np.sqrt(groups.variances), 0.0),
        _inflation(cells, law, groups),
    )
    quantile = Z * law.stretch
    # Noise comes in whole counts, so that half a count is given to both ends.
    reach = quantile * deviations + 0.25 / np.append(groups.centre, groups.centre.sum())
    sizes_sd = quantile * np.sqrt(groups.variances)
    return Evaluated(
        found[:, contrasts.TREND],
        _chi2(cells, law, groups),
        found[:, contrasts.DOMINANT],
        found[:, contrasts.HETEROZYGOUS],
        found[:, contrasts.RECESSIVE],
        np.minimum(1.0, 4 * found.min(axis=1)),
        *odds,
        np.clip(shares, 0, 1),
        np.clip(shares - reach, 0, 1),
        np.clip(shares + reach, 0, 1),
        groups.centre,
        np.clip(groups.value - sizes_sd, 0, groups.people),
        np.clip(groups.value + sizes_sd, 0, groups.people),
    )


def _coefficients(weights: Reals, rows: Reals) -> Reals:
    """Return what each cell's noise is multiplied by in a contrast, (controls', cases') shares given."""
    found: Reals = np.concatenate([rows[0] * weights, rows[1] * weights])
    return found


@lru_cache(maxsize=64)
def _widths(law: Known, everybody: bool) -> Reals:
    """Return half-widths of the counts a contrast needs, float64 (4, bands, 2)."""
    # Where all are known to add up, each third of what is over is given to every genotype.
    one = np.array([2, 2, -1, -1, -1, -1]) / 3 if everybody else np.ones(2)
    found: Reals = np.empty((4, contrasts.BANDS, 2))
    for band in range(contrasts.BANDS):
        single = law.reach(contrasts.miss(band), one)
        found[:, band] = single
        found[contrasts.TREND, band, 0] = law.reach(contrasts.miss(band), np.ones(4))
    found.setflags(write=False)
    return found


def _corners(law: Known, groups: GroupSizes, widths: Reals) -> Reals:
    """Return how far the cases and the first count may be off where both are bounded together.

    float64 (4, bands, 2), as contrasts.p_value takes them; 0 where bounding either by itself loses little.
    What is lost goes with the product of the two errors: that is halved here.
    """
    found: Reals = np.zeros_like(widths)
    if not groups.everybody or not groups.draws:
        return found
    people = groups.centre.sum()
    signs = np.array([[-1, 0, 1], [2, -1, -1], [-1, 2, -1], [-1, -1, 2]]) / np.array([[1], [3], [3], [3]])
    for band in range(contrasts.BANDS):
        cases = groups.reach(contrasts.miss(band))
        for c in range(4):
            wide = widths[c, band, 0]
            if cases * wide / people > PRODUCT * np.sqrt(law.variance):
                stretch = groups.reach_with(contrasts.miss(band), 1 / cases, signs[c] / wide, law)
                found[c, band] = stretch * cases, stretch * wide
    return found


def _shares(cells: Reals, law: Known, groups: GroupSizes) -> tuple[Reals, Reals]:
    """Return shares of the alternate allele and their noise's deviation, (variants, 3); last, together."""
    both = np.concatenate([cells, cells.sum(axis=1, keepdims=True)], axis=1)
    value = np.append(groups.value, groups.value.sum())
    centre = np.append(groups.centre, groups.centre.sum())
    variance = np.append(groups.variances, groups.variance_together)
    noise = np.array([1, 1, 2]) * law.variance
    gap = both[..., 2] - both[..., 0]
    shift = np.clip(gap / centre, -1, 1)
    level = -variance * shift / np.maximum(3 * noise + variance, 1e-300)
    sums = gap + level * (both.sum(axis=2) - value)
    shares = 0.5 + sums / (2 * centre)
    of_cells, of_size = np.sqrt(noise * (2 + 3 * level**2)), np.sqrt(variance) * np.abs(level + shift)
    # Where few tables tell the sizes, the two share their noise: then they are taken to add up.
    few = groups.own.max() > SHARED
    deviation = of_cells + of_size if few else np.hypot(of_cells, of_size)
    return shares, deviation / (2 * centre)


def _inflation(cells: Reals, law: Known, groups: GroupSizes) -> Reals:
    """Return how much more an allele count varies than under Hardy-Weinberg, (variants,), within 1 and 2.

    From the heterozygous people whom both groups lack, and a standard deviation of the noise more.
    """
    people, both = groups.centre.sum(), cells.sum(axis=1)
    share = np.clip(0.5 + (both[:, 2] - both[:, 0]) / (2 * people), 0, 1)
    awaited = 2 * people * share * (1 - share)
    missing = awaited - both[:, 1] + np.sqrt(2 * law.variance)
    found: Reals = np.clip(1 + missing / np.maximum(awaited, 1.0), 1.0, 2.0)
    return found


def _chi2(cells: Reals, law: Known, groups: GroupSizes) -> Reals:
    """Return the trend's squared contrast over its variance, of sampling as usual and of noise."""
    share = groups.centre / groups.centre.sum()
    people, both = groups.centre.sum(), cells.sum(axis=1)
    gap, ones = both[:, 2] - both[:, 0], both[:, 1]
    if groups.everybody:
        ones = ones + (people - both.sum(axis=1)) / 3
    ones = np.clip(ones, 0, people)
    mean = np.clip(gap, ones - people, people - ones) / people
    variance = share[0] * share[1] * np.maximum(people - ones - mean**2 * people, 0.0)
    blur = groups.variance_of(-share[1], share[0])
    each = float((share**2).sum()) * law.variance
    level = -blur * mean / max(3 * each + blur, 1e-300)
    spread = variance + each * (2 + 3 * level**2) + blur * (mean + level) ** 2
    rows = (cells[..., 2] - cells[..., 0]) + level[:, None] * cells.sum(axis=2)
    rows = rows - (mean + level)[:, None] * groups.value
    contrast = share[0] * rows[:, 1] - share[1] * rows[:, 0]
    found: Reals = contrast**2 / np.maximum(spread, 1e-300)
    return np.where(spread > 1e-12, found, 0.0)
