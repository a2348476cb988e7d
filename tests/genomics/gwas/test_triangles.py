"""Cholesky's factors against numpy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.genomics.gwas.triangles import back, factor, invert


def positive(size, seed):
    half = np.random.default_rng(seed).standard_normal((size + 3, size))
    return half.T @ half


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(0, 2**32))
def test_factors_solutions_and_inverses_are_numpys(size, seed):
    a = positive(size, seed)
    right = np.random.default_rng(seed + 1).standard_normal(size)
    lower = np.linalg.cholesky(a)
    bordered = np.vstack([a, right])
    assert factor(bordered, 0, size, 1e-12) == size
    assert np.tril(bordered[:size]) == pytest.approx(lower, rel=1e-6, abs=1e-8)
    found = bordered[size].copy()
    back(bordered, size, found)
    assert a @ found == pytest.approx(right, rel=1e-6, abs=1e-6)
    inverse = np.empty((size, size))
    invert(bordered, size, inverse)
    assert inverse @ lower == pytest.approx(np.eye(size), abs=1e-7)


def test_factoring_may_go_on_where_it_stopped():
    a = positive(6, 4)
    once, twice = a.copy(), a.copy()
    assert factor(once, 0, 6, 0.0) == 6
    assert (factor(twice, 0, 4, 0.0), factor(twice, 4, 6, 0.0)) == (4, 6)
    assert np.tril(once) == pytest.approx(np.tril(twice))


def test_a_column_that_follows_from_others_stops_it():
    half = np.random.default_rng(5).standard_normal((9, 4))
    half[:, 2] = half[:, 0] - 2 * half[:, 1]
    assert factor(half.T @ half, 0, 4, 1e-9) == 2
