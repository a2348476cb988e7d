"""The tests a finding may rest on, cases against controls, from counts of genotypes.

`chi2` and `odds` are those of the published verifier (association.py). `trend` is Cochran and Armitage's and
`allelic` Pearson's on alleles, both as plink has them, without a correction for continuity. All of them take
counts that need not be whole, so that a claim can be solved for the counts behind it.
"""

import enum
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.association import chi_squared, odds_ratio

Floats = NDArray[np.float64]
Tables = NDArray[np.int64] | NDArray[np.float64]


class Test(enum.Enum):
    """A test of one variant."""

    CHI2 = "chi2"
    ODDS = "odds"
    TREND = "trend"
    ALLELIC = "allelic"

    __test__ = False  # for pytest, which takes it for one of its own

    @property
    def words(self) -> str:
        """What it is called on a page."""
        return {
            Test.CHI2: "genotypic χ² test, 2 by 3, with Yates's correction where two genotypes are left",
            Test.ODDS: "Wald test of the odds ratio of carrying the alternate allele",
            Test.TREND: "Cochran-Armitage trend test",
            Test.ALLELIC: "allelic χ² test",
        }[self]


def p_values(test: Test, cases: Tables, controls: Tables) -> Floats:
    """Return two-sided p-values, float64 of shape (variants,); 1 where nothing can be tested.

    Args:
        test: which.
        cases: shape (variants, 3); people with 0, 1, 2 alternate alleles.
        controls: the same of the controls.
    """
    match test:
        case Test.CHI2:
            return chi_squared(cases, controls)  # type: ignore[arg-type]
        case Test.ODDS:
            return odds_ratio(cases, controls)[1]  # type: ignore[arg-type]
        case Test.TREND | Test.ALLELIC:
            return _by_alleles(test, cases.astype(np.float64), controls.astype(np.float64))
        case _:
            assert_never(test)


def direction(test: Test, cases: Tables, controls: Tables) -> NDArray[np.int8]:
    """Return 1 where the alternate allele (of `odds`: carrying it) is commoner among cases, -1, or 0."""
    weights = np.array([0.0, 1.0, 1.0] if test is Test.ODDS else [0.0, 1.0, 2.0])
    ours, theirs = (side @ weights / np.maximum(side.sum(axis=-1), 1) for side in (cases, controls))
    away = ours - theirs
    return np.where(np.abs(away) < 1e-12, 0, np.sign(away)).astype(np.int8)


def _by_alleles(test: Test, cases: Floats, controls: Floats) -> Floats:
    """Return p-values of the difference of mean genotypes, with the variance that the test takes."""
    from scipy.special import ndtr  # an extra's module, and slow to load

    n, m = cases.sum(axis=-1), controls.sum(axis=-1)
    pooled = cases + controls
    total = np.maximum(n + m, 1)
    dosage = np.arange(3.0)
    mean = pooled @ dosage / total
    spread = pooled @ dosage**2 / total - mean * mean if test is Test.TREND else mean * (1 - mean / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        away = cases @ dosage / n - controls @ dosage / m
        z = np.abs(away) / np.sqrt(spread * (1 / n + 1 / m))
        p: Floats = 2 * ndtr(-z)
    return np.where((n > 0) & (m > 0) & (spread > 1e-12), p, 1.0)
