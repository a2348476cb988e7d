"""Tests of cases against controls by genotype, as PLINK 1.9 does them: --assoc, --model, --fisher.

Tables are int64 of shape (variants, 2, 3): the people of a group (1 are the cases) with 0, 1 and 2 alternate
alleles, missing calls left out; tests of alleles and the trend take float64 too. A statistic is NaN where it
is not defined: a group has nobody, or all are alike. PLINK prints NA there, but for --assoc of a group with
nobody, where it prints 0; --model prints NA.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from noisegate.genomics.gwas import exact
from noisegate.genomics.gwas.columns import Counts, Flags, Reals
from noisegate.genotypes.pooled import pooled

# With fewer people in a cell of the 2 x 3 table genotypic, dominant and recessive tests are left out: --cell.
CELL = 5
WIDE = 1.959963984540054  # standard deviations to either side of a 95 % interval


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """A statistic, χ² with 1 or 2 degrees of freedom, and its p-value: float64 of shape (variants,)."""

    chi2: Reals
    p: Reals


@dataclass(frozen=True, slots=True, eq=False)
class Odds:
    """Odds ratios of the alternate allele, case to control, with 95 % intervals: float64 (variants,).

    `error` is that of the logarithm, by Woolf (1955). A ratio is NaN where no control has an alternate allele
    or no case another; where it is 0, `error` is infinite, `low` 0, and `high` NaN, as in PLINK.
    """

    ratio: Reals
    error: Reals
    low: Reals
    high: Reals


def reals(tables: Counts | Reals) -> Reals:
    """Return the same tables as float64, cells of one kind side by side, as tests of alleles want them."""
    cells = tables.transpose(1, 2, 0)
    if cells.dtype == np.float64 and cells.flags.c_contiguous:
        return tables.astype(np.float64, copy=False)
    found: Reals = pooled(cells.shape, np.float64)
    found[:] = cells
    return found.transpose(2, 0, 1)


def frequencies(tables: Counts | Reals) -> Reals:
    """Return the share of alternate alleles in each group, float64, (2, variants); NaN where nobody is."""
    found = np.empty((2, len(tables)))
    _frequencies(_cells(tables), found)
    return found


def allelic(tables: Counts | Reals) -> Tested:
    """Test alleles in a 2 x 2 table, each person's two taken for independent; Pearson (1900)."""
    chi2 = np.empty(len(tables))
    _allelic(_cells(tables), chi2)
    return Tested(chi2, one_degree(chi2))


def trend(tables: Counts | Reals) -> Tested:
    """Test for a trend with the number of alleles; Cochran (1954), Armitage (1955), Sasieni (1997)."""
    chi2 = np.empty(len(tables))
    _trend(_cells(tables), chi2)
    return Tested(chi2, one_degree(chi2))


def dominant(tables: Counts, cell: int = CELL) -> Tested:
    """Test carriers of the alternate allele against the rest; NaN where a cell is less than `cell`."""
    return _split(tables, tables[..., 1] + tables[..., 2], cell)


def recessive(tables: Counts, cell: int = CELL) -> Tested:
    """Test people with two alternate alleles against the rest; NaN where a cell is less than `cell`."""
    return _split(tables, tables[..., 2], cell)


def genotypic(tables: Counts, cell: int = CELL) -> Tested:
    """Test genotypes in a 2 x 3 table, 2 degrees of freedom; NaN where a cell is less than `cell`."""
    n0, n1 = (all_ / 2 for all_ in _alleles(tables)[1].T)
    total = np.zeros(len(tables))
    with np.errstate(divide="ignore", invalid="ignore"):
        for controls, cases in tables.transpose(2, 1, 0):
            away = n0 * cases - n1 * controls
            total += away * away / (controls + cases)
        chi2 = np.where(_filled(tables, cell), total / (n0 * n1), np.nan)
    return Tested(chi2, np.exp(-chi2 / 2))


def fisher(tables: Counts | Reals) -> Reals:
    """Return p-values of Fisher's exact test of alleles, float64 of shape (variants,); 1 where all are alike.

    Two-sided: tables no more probable than the one at hand count; Fisher (1935).
    """
    alternate, all_ = _alleles(tables)
    return exact.fisher(alternate[:, 1], all_[:, 1], alternate[:, 0], all_[:, 0])


def fisher_genotypic(tables: Counts) -> Reals:
    """Return p-values of the exact test of the 2 x 3 table; Freeman and Halton (1951). As for `fisher`."""
    return exact.freeman_halton(np.ascontiguousarray(tables))


def odds(tables: Counts | Reals) -> Odds:
    """Return allelic odds ratios."""
    ratio, error = np.empty((2, len(tables)))
    _odds(_cells(tables), ratio, error)
    with np.errstate(divide="ignore", invalid="ignore"):
        log, far = np.log(ratio), WIDE * error
        return Odds(ratio, error, np.exp(log - far), np.exp(log + far))


def _alleles(tables: Counts | Reals) -> tuple[Reals, Reals]:
    """Return alternate alleles, and all, of each group: whole numbers as float64, (variants, 2)."""
    carriers = tables[..., 1] + tables[..., 2]
    alternate = carriers + tables[..., 2]
    return alternate.astype(np.float64), (2 * (tables[..., 0] + carriers)).astype(np.float64)


def _split(tables: Counts, yes: Counts, cell: int) -> Tested:
    """Test people of one kind, int64 of shape (variants, 2), against the rest."""
    all_, full = _alleles(tables)[1] / 2, _filled(tables, cell)
    found = _two_by_two(yes[:, 1], all_[:, 1], yes[:, 0], all_[:, 0])
    return Tested(np.where(full, found.chi2, np.nan), np.where(full, found.p, np.nan))


def _two_by_two(a: Reals | Counts, of: Reals | Counts, b: Reals | Counts, of_b: Reals | Counts) -> Tested:
    """Test `a` of `of` against `b` of `of_b`, Pearson's χ² without correction."""
    a, of, b, of_b = (np.asarray(x, np.float64) for x in (a, of, b, of_b))
    n, t = of + of_b, a + b
    away = a * of_b - b * of
    return _tested(n * away * away, t * (n - t) * of * of_b)


def _tested(above: Reals, below: Reals) -> Tested:
    """Return χ² with 1 degree of freedom as a quotient, NaN where it is 0 / 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        chi2 = above / below
    return Tested(chi2, one_degree(chi2))


def one_degree(chi2: Reals) -> Reals:
    """Return the upper tail of χ² with 1 degree of freedom."""
    from scipy.special import erfc  # an extra's module, and slow to load

    found: Reals = erfc(np.sqrt(chi2 / 2))
    return found


def _cells(tables: Counts | Reals) -> Reals:
    return reals(tables).transpose(1, 2, 0)


def _filled(tables: Counts, cell: int) -> Flags:
    least = np.minimum(tables[:, 0], tables[:, 1])
    found: Flags = np.minimum(np.minimum(least[:, 0], least[:, 1]), least[:, 2]) >= max(cell, 1)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _frequencies(cells, found):  # type: ignore[no-untyped-def]
    for g in range(2):
        none, one, two = cells[g]
        for v in range(len(none)):
            found[g, v] = (one[v] + 2 * two[v]) / (2 * (none[v] + one[v] + two[v]))


@njit(cache=True, nogil=True, error_model="numpy")
def _allelic(cells, chi2):  # type: ignore[no-untyped-def]
    none, one, two = cells[0]
    cases_none, cases_one, cases_two = cells[1]
    for v in range(len(chi2)):
        a, of_a = cases_one[v] + 2 * cases_two[v], 2 * (cases_none[v] + cases_one[v] + cases_two[v])
        b, of_b = one[v] + 2 * two[v], 2 * (none[v] + one[v] + two[v])
        n, t = of_a + of_b, a + b
        away = a * of_b - b * of_a
        chi2[v] = n * away * away / (t * (n - t) * of_a * of_b)


@njit(cache=True, nogil=True, error_model="numpy")
def _trend(cells, chi2):  # type: ignore[no-untyped-def]
    none, one, two = cells[0]
    cases_none, cases_one, cases_two = cells[1]
    for v in range(len(chi2)):
        n0, n1 = none[v] + one[v] + two[v], cases_none[v] + cases_one[v] + cases_two[v]
        of_cases = cases_one[v] + 2 * cases_two[v]
        n, of_all = n0 + n1, of_cases + one[v] + 2 * two[v]
        squares = of_all + 2 * (two[v] + cases_two[v])
        away = n * of_cases - n1 * of_all
        chi2[v] = n * away * away / (n0 * n1 * (n * squares - of_all * of_all))


@njit(cache=True, nogil=True, error_model="numpy")
def _odds(cells, ratio, error):  # type: ignore[no-untyped-def]
    none, one, two = cells[0]
    cases_none, cases_one, cases_two = cells[1]
    for v in range(len(ratio)):
        a, b = cases_one[v] + 2 * cases_two[v], cases_one[v] + 2 * cases_none[v]
        c, d = one[v] + 2 * two[v], one[v] + 2 * none[v]
        below, around = b * c, np.sqrt((a + b) / (a * b) + (c + d) / (c * d))
        ratio[v] = a * d / below if below != 0 else np.nan
        error[v] = around if below != 0 else np.nan
