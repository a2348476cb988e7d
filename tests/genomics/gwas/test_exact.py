"""Exact tests against enumeration with whole numbers and fractions."""

from fractions import Fraction
from math import comb, factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, fisher_exact

from noisegate.genomics.gwas import exact

small = st.integers(0, 9)


def reals(*numbers: int) -> list[np.ndarray]:
    return [np.array([float(number)]) for number in numbers]


def no_likelier(weights: list[Fraction], here: Fraction) -> float:
    return float(sum(w for w in weights if w <= here) / sum(weights))


@settings(max_examples=150, deadline=None)
@given(small, small, small, small)
def test_fisher_sums_what_is_no_likelier(a: int, b: int, c: int, d: int) -> None:
    n, k, all_ = a + b, a + c, a + b + c + d
    weights = [
        Fraction(comb(n, x) * comb(all_ - n, k - x)) for x in range(max(0, k - (all_ - n)), min(n, k) + 1)
    ]
    here = Fraction(comb(n, a) * comb(all_ - n, c))
    (found,) = exact.fisher(*reals(a, a + b, c, c + d))
    assert found == pytest.approx(no_likelier(weights, here), rel=1e-12)


@pytest.mark.parametrize("table", [[[3, 900], [40, 1100]], [[1000, 1000], [1100, 900]], [[0, 50], [9, 1]]])
def test_fisher_agrees_with_scipy_on_large_tables(table: list[list[int]]) -> None:
    (a, b), (c, d) = table
    (found,) = exact.fisher(*reals(a, a + b, c, c + d))
    assert found == pytest.approx(fisher_exact(table).pvalue, rel=1e-7)


def test_fisher_goes_down_to_the_smallest_numbers() -> None:
    found = exact.fisher(*(np.array([float(n)] * 2) for n in (0, 480, 480, 480)))
    # All 480 alleles on one side: twice 1 / (960 over 480), as the mirrored table is as probable.
    assert found[0] == pytest.approx(2 / comb(960, 480), rel=1e-9)
    (none,) = exact.fisher(*reals(0, 5_000, 5_000, 5_000))
    assert none == 0.0


@settings(max_examples=100, deadline=None)
@given(st.lists(small, min_size=6, max_size=6))
def test_freeman_and_halton_sum_what_is_no_likelier(cells: list[int]) -> None:
    table = np.array(cells).reshape(1, 2, 3)
    sizes = table[0].sum(axis=0).tolist()
    cases = int(table[0, 1].sum())
    weights = []
    for x in range(sizes[0] + 1):
        for y in range(sizes[1] + 1):
            z = cases - x - y
            if 0 <= z <= sizes[2]:
                weights.append(Fraction(comb(sizes[0], x) * comb(sizes[1], y) * comb(sizes[2], z)))
    here = Fraction(1)
    for size, case in zip(sizes, table[0, 1].tolist(), strict=True):
        here *= comb(size, case)
    (found,) = exact.freeman_halton(table)
    assert found == pytest.approx(no_likelier(weights, here), rel=1e-9)


def test_many_people_and_few_have_the_p_values_of_large_counts() -> None:
    """With half a million people the exact p-value is that of χ² with two degrees of freedom, nearly."""
    tables = np.array([[[160_000, 120_000, 20_000], [106_000, 80_500, 13_600]], [[9, 30, 25], [20, 33, 12]]])
    found = exact.freeman_halton(tables)
    large = chi2_contingency(tables[0], correction=False)
    assert found[0] == pytest.approx(large.pvalue, rel=0.01)
    assert 0.01 < found[1] < 0.06


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 25), st.integers(0, 25), st.integers(0, 25))
def test_hardy_weinberg_sums_what_is_no_likelier(none: int, one: int, two: int) -> None:
    n, alternate = none + one + two, one + 2 * two

    def weight(heterozygotes: int) -> Fraction:
        rare = (alternate - heterozygotes) // 2
        often = n - heterozygotes - rare
        return Fraction(2**heterozygotes, factorial(rare) * factorial(heterozygotes) * factorial(often))

    possible = range(alternate % 2, min(alternate, 2 * n - alternate) + 1, 2)
    (found,) = exact.hardy_weinberg(np.array([[none, one, two]]))
    assert found == pytest.approx(no_likelier([weight(h) for h in possible], weight(one)), rel=1e-11)


def test_nobody_departs_from_the_law() -> None:
    assert exact.hardy_weinberg(np.zeros((1, 3), np.int64)).tolist() == [1.0]


def test_which_allele_is_counted_does_not_matter() -> None:
    counts = np.random.default_rng(3).integers(0, 900, (200, 3))
    assert np.array_equal(exact.hardy_weinberg(counts), exact.hardy_weinberg(counts[:, ::-1].copy()))
