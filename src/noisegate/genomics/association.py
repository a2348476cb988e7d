"""Whether findings survive a release: genotypic χ² and dominant-model odds ratio, case against control.

Retention alone can be gamed: noise near ε = 0 makes nearly everything differ from the controls, and so
"retains" nearly every finding. It is therefore always given with the false-positive rate, and at one equal
for all releases. Tests as in Jiang et al., PROVGEN, PoPETs 2026(2), 642-661, and its code.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from noisegate.genotypes.packed import tally
from noisegate.leakage.genomes import Genomes
from noisegate.leakage.roc import Estimate, area, proportion

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

LEVEL = 0.05  # p below which a finding is reported
RELAXED = LEVEL / 0.8  # p below which a release is said to keep it, as published
EQUAL_RATES = (0.05, 0.1)  # false-positive rates at which releases are compared


@dataclass(frozen=True, slots=True)
class Retention:
    """How a release's p-values find the reported variants again.

    `kept` of the `reported` variants are significant in the release at RELAXED, and `false` of the others.
    `at_rate` holds (false-positive rate, share kept) with the threshold that gives this rate, NaN where a
    side is empty; `area` is the area under that curve, None where a side has fewer than two. Intervals take
    variants for independent, so linkage makes them too narrow.
    """

    reported: int
    others: int
    kept: Estimate | None
    false: Estimate | None
    at_rate: tuple[tuple[float, float], ...]
    area: Estimate | None


def genotype_counts(source: Genomes) -> Counts:
    """Return how many people have 0, 1 and 2 alternate alleles, int64 of shape (variants, 3)."""
    parts = []
    for _, block in source.blocks():
        counted = tally(block)
        none = block.people - counted.missing - counted.ones - counted.twos
        parts.append(np.stack([none, counted.ones, counted.twos], axis=1))
    return np.concatenate(parts) if parts else np.zeros((0, 3), np.int64)


def chi_squared(cases: Counts, controls: Counts) -> Floats:
    """Return p-values of the 2 x 3 test of genotypes, float64 of shape (variants,).

    Genotypes that nobody has are left out; with two left, Yates's correction applies, and with one p is 1.
    Pearson (1900).

    Args:
        cases: int64, shape (variants, 3); people with 0, 1, 2 alternate alleles.
        controls: the same of the controls.
    """
    _check(cases, controls)
    table = np.stack([cases, controls], axis=1).astype(np.float64)
    total = table.sum(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = table.sum(axis=2)[:, :, None] * table.sum(axis=1)[:, None, :] / total[:, None, None]
        freedom = (table.sum(axis=1) > 0).sum(axis=1) - 1
        away = np.abs(table - expected)
        away = np.where((freedom == 1)[:, None, None], np.maximum(away - 0.5, 0), away)
        statistic = np.where(expected > 0, away * away / expected, 0.0).sum(axis=(1, 2))
    # Without people on one side, or with one genotype only, nothing differs.
    tested = (freedom > 0) & (cases.sum(axis=1) > 0) & (controls.sum(axis=1) > 0)
    return np.where(tested, chi2.sf(statistic, np.maximum(freedom, 1)), 1.0)


def odds_ratio(cases: Counts, controls: Counts) -> tuple[Floats, Floats]:
    """Return odds ratios of carrying an alternate allele, and their two-sided Wald p-values.

    One half is added to the count of each genotype, so 1 to the carriers, as published.

    Args:
        cases: as for `chi_squared`.
        controls: the same of the controls.

    Returns:
        Two float64 arrays of shape (variants,).
    """
    _check(cases, controls)
    none, carry = cases[:, 0] + 0.5, cases[:, 1] + cases[:, 2] + 1.0
    none_too, carry_too = controls[:, 0] + 0.5, controls[:, 1] + controls[:, 2] + 1.0
    ratio = none_too * carry / (none * carry_too)
    error = np.sqrt(1 / none + 1 / carry + 1 / none_too + 1 / carry_too)
    return ratio, np.asarray(2 * norm.sf(np.abs(np.log(ratio)) / error), np.float64)


def retention(reported: Floats, released: Floats, rates: tuple[float, ...] = EQUAL_RATES) -> Retention:
    """Return how well released p-values find again what was reported.

    Args:
        reported: float64, shape (variants,); p-values the finding rests on, with whatever errors of
            reporting.
        released: the same tests with the release in place of the cases.
        rates: false-positive rates at which the share kept is given.
    """
    if reported.shape != released.shape:
        raise ValueError("both sides have one p-value a variant")
    found = reported < LEVEL
    kept, others = released[found], released[~found]
    both = min(len(kept), len(others)) >= 2
    return Retention(
        reported=len(kept),
        others=len(others),
        kept=_share(kept),
        false=_share(others),
        at_rate=tuple((rate, _kept_at(kept, others, rate)) for rate in rates),
        area=area(-kept, -others) if both else None,
    )


def _share(p_values: Floats) -> Estimate | None:
    return proportion(int((p_values < RELAXED).sum()), len(p_values)) if len(p_values) else None


def _kept_at(kept: Floats, others: Floats, rate: float) -> float:
    """Return the share kept below the largest threshold that at most `rate` of the others stay below."""
    if not len(kept) or not len(others):
        return float("nan")
    passing = int(rate * len(others) + 1e-9)
    threshold = np.sort(others)[passing] if passing < len(others) else np.inf
    return float((kept < threshold).mean())


def _check(cases: Counts, controls: Counts) -> None:
    if cases.ndim != 2 or cases.shape[1] != 3 or cases.shape != controls.shape:
        raise ValueError("counts are of shape (variants, 3), the same variants on both sides")
