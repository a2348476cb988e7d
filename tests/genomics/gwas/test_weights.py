"""Sums of genotypes times weights against the same sums over calls as numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.genomics.gwas import weights
from noisegate.genotypes import haploid
from noisegate.genotypes.packed import pack

from ..stores import stores


def dense(calls, part, flipped):
    """Return the copies that are summed: 0 for who has no call or takes no part."""
    copies = np.where(flipped[:, None], 2 - calls, calls).astype(float)
    return np.where((calls < 0) | ~part, 0, copies)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 5), st.integers(1, 300), st.integers(0, 9), st.integers(0, 2**32), st.booleans())
def test_sums_are_those_of_copies_times_weights(variants, people, rows, seed, single):
    draws = np.random.default_rng(seed)
    calls, part = stores.calls_of(variants, people, seed), draws.random(people) < 0.8
    flipped = draws.random(variants) < 0.5
    values = draws.standard_normal((rows, people)).astype(np.float32 if single else np.float64)
    squared = int(draws.integers(0, rows + 1))
    found = weights.sums(pack(calls), haploid.mask(part), flipped, weights.padded(values), squared)
    copies = dense(calls, part, flipped)
    plain = copies @ values.T.astype(float)
    plain[:, rows - squared :] = (copies**2) @ values[rows - squared :].T.astype(float)
    assert found.shape == (variants, rows)
    assert found == pytest.approx(plain, abs=3e-4 if single else 1e-11)


def test_sums_of_many_people_are_taken_tile_by_tile():
    draws = np.random.default_rng(1)
    people = 3_000
    calls, values = stores.calls_of(3, people), draws.standard_normal((6, people))
    assert people > 4 * weights.tile_of(values)
    everybody = np.ones(people, bool)
    found = weights.sums(pack(calls), haploid.mask(everybody), np.zeros(3, bool), weights.padded(values), 1)
    plain = dense(calls, everybody, np.zeros(3, bool))
    assert found[:, :5] == pytest.approx(plain @ values[:5].T, abs=1e-10)
    assert found[:, 5] == pytest.approx(plain**2 @ values[5], abs=1e-10)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5), st.integers(1, 200), st.integers(1, 5), st.integers(0, 2**32))
def test_who_is_absent_is_added_up_by_cross_products(variants, people, width, seed):
    draws = np.random.default_rng(seed)
    calls, part = stores.calls_of(variants, people, seed), draws.random(people) < 0.8
    rows = draws.standard_normal((people, width))
    padded = np.ascontiguousarray(weights.padded(rows.T).T)
    found = weights.absent(pack(calls), haploid.mask(part), padded)
    for v in range(variants):
        gone = rows[(calls[v] < 0) & part]
        assert found[v] == pytest.approx(np.tril(gone.T @ gone), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), st.integers(1, 200), st.integers(0, 2**32))
def test_calls_are_counted_and_the_rarer_allele_is_found(variants, people, seed):
    calls = stores.calls_of(variants, people, seed)
    calls[::2] = np.where(calls[::2] < 0, -1, 2 - calls[::2])
    part = np.random.default_rng(seed).random(people) < 0.8
    (found,) = weights.called(pack(calls), haploid.mask(part)[None])
    for v in range(variants):
        there = calls[v][part & (calls[v] >= 0)]
        counts = [int((there == k).sum()) for k in range(3)]
        assert [found.none[v], found.ones[v], found.twos[v]] == counts
        assert found.people[v] == len(there)
        copies = 2 - there if counts[2] > counts[0] else there
        assert (found.rare[v], found.squares[v]) == (copies.sum(), (copies.astype(int) ** 2).sum())
        assert found.rare[v] <= len(there)
