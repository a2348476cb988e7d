"""Genotype counts are moved exactly, by the fewest people, each as likely as the other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.genomics import regroup
from noisegate.genomics.keys import ReleaseKey
from noisegate.genotypes.packed import Block, pack, unpack

KEY = ReleaseKey(bytes(range(16)))


def counts_of(calls):
    return np.stack([(calls == k).sum(axis=1) for k in range(3)], axis=1)


def some(variants, people, seed=0):
    return np.random.default_rng(seed).integers(0, 3, (variants, people)).astype(np.int8)


@given(st.integers(1, 12), st.sampled_from([1, 2, 63, 64, 65, 200]), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_counts_are_met_exactly_by_changing_the_fewest_calls(variants, people, seed):
    calls, wanted = some(variants, people, seed), counts_of(some(variants, people, seed + 1))
    found = unpack(regroup.regroup(pack(calls), wanted, KEY, 0))
    assert (counts_of(found) == wanted).all()
    changed = (found != calls).sum(axis=1)
    assert (changed == np.maximum(counts_of(calls) - wanted, 0).sum(axis=1)).all()


def test_everybody_is_as_likely_to_be_moved():
    """Of 50 people with 0 and 50 with 1, 20 and 10 become 2; within 4.5 standard errors."""
    calls = np.repeat(np.array([0, 1], np.int8), 50)[None, :].repeat(20_000, axis=0)
    wanted = np.array([[30, 40, 30]]).repeat(20_000, axis=0)
    found = unpack(regroup.regroup(pack(calls), wanted, KEY, 0))
    moved = (found == 2).mean(axis=0)
    for part, share in ((moved[:50], 0.4), (moved[50:], 0.2)):
        assert np.abs(part - share).max() < 4.5 * np.sqrt(share * (1 - share) / 20_000)
    pairs = ((found[:, 0] == 2) & (found[:, 1] == 2)).mean()
    assert pairs == pytest.approx(20 / 50 * 19 / 49, abs=0.016)


def test_what_is_lacking_is_filled_by_lot():
    calls, wanted = np.zeros((20_000, 20), np.int8), np.array([[10, 7, 3]]).repeat(20_000, axis=0)
    found = unpack(regroup.regroup(pack(calls), wanted, KEY, 0))
    for k, share in ((1, 0.35), (2, 0.15)):
        assert np.abs((found == k).mean(axis=0) - share).max() < 0.016


def test_the_same_chunk_is_moved_in_the_same_way():
    calls, wanted = some(37, 70), counts_of(some(37, 70, 1))
    whole = unpack(regroup.regroup(pack(calls), wanted, KEY, 3))
    assert (unpack(regroup.regroup(pack(calls), wanted, KEY, 3)) == whole).all()
    assert (unpack(regroup.regroup(pack(calls), wanted, KEY, 4)) != whole).any()


def test_the_choices_of_a_chunk_are_independent():
    """Of 40 people with 0 and 40 with 1, half of each become 2: the ones tell nothing of the others."""
    calls = np.repeat(np.array([0, 1], np.int8), 40)[None, :].repeat(20_000, axis=0)
    found = unpack(regroup.regroup(pack(calls), np.array([[20, 20, 40]]).repeat(20_000, axis=0), KEY, 0)) == 2
    for i, j in ((0, 40), (0, 41), (5, 45), (39, 79)):
        assert np.mean(found[:, i] & found[:, j]) == pytest.approx(0.25, abs=0.015)


def test_the_fourth_code_is_read_as_one():
    one = np.array([[5]], np.uint64)
    found = unpack(regroup.regroup(Block(one, one - one, 3), np.array([[1, 2, 0]]), KEY, 0))
    assert found.tolist() == [[1, 0, 1]]


@given(st.integers(1, 300), st.data())
@settings(max_examples=100, deadline=None)
def test_wanted_genotypes_have_the_wanted_alleles(people, data):
    alleles = data.draw(st.integers(0, 2 * people))
    shares = np.array([data.draw(st.tuples(*[st.floats(0.01, 1)] * 3))])
    found = regroup.wanted(np.array([alleles]), shares / shares.sum(), people)[0]
    assert found.min() >= 0
    assert found.sum() == people
    assert found[1] + 2 * found[2] == alleles


def test_wanted_genotypes_are_as_near_the_shares_as_whole_numbers_allow():
    found = regroup.wanted(np.array([100]), np.array([[0.30, 0.40, 0.30]]), 100)
    assert found.tolist() == [[30, 40, 30]]


@pytest.mark.parametrize("counts", [[[1, 1, 0]], [[4, 0, -1]], [[1, 1, 1], [1, 1, 1]], [[1.0, 1.0, 1.0]]])
def test_counts_that_people_cannot_have_are_refused(counts):
    with pytest.raises(ValueError):  # noqa: PT011
        regroup.regroup(pack(some(1, 3)), np.array(counts), KEY, 0)
