"""Distances and kinship of pairs, beside plain twins, and on families made by dropping genes."""

import numpy as np
import pytest

from noisegate.genotypes.packed import pack
from noisegate.leakage import pairs
from noisegate.leakage.genomes import Held
from noisegate.leakage.roc import roc

from . import panels


@pytest.fixture
def rng():
    return np.random.default_rng(6)


def held(calls):
    return Held(pack(np.ascontiguousarray(calls)))


def slow_distances(ours, theirs):
    found = np.zeros((ours.shape[1], theirs.shape[1]))
    for i, a in enumerate(ours.T):
        for j, b in enumerate(theirs.T):
            there = (a >= 0) & (b >= 0)
            found[i, j] = np.abs(a.astype(int) - b)[there].sum()
    return found


def slow_kinship(ours, theirs):
    found = np.zeros((ours.shape[1], theirs.shape[1]))
    for i, a in enumerate(ours.T):
        for j, b in enumerate(theirs.T):
            there = (a >= 0) & (b >= 0)
            x, y = a[there], b[there]
            both, opposite = ((x == 1) & (y == 1)).sum(), (np.abs(x.astype(int) - y) == 2).sum()
            mine, other = (x == 1).sum(), (y == 1).sum()
            found[i, j] = 0.5 + (2 * both - 4 * opposite - mine - other) / (4 * min(mine, other))
    return found


@pytest.mark.parametrize(("variants", "people", "rows"), [(1, 3, 2), (64, 64, 5), (200, 70, 130)])
def test_the_nearest_rows_are_those_of_the_plain_twin(rng, variants, people, rows):
    ours = panels.random_calls(rng, variants, people, 0.03)
    theirs = panels.random_calls(rng, variants, rows, 0.03)
    slow = slow_distances(ours, theirs)
    assert (pairs.hamming(held(ours), held(theirs)) == -slow.min(axis=1)).all()
    assert np.allclose(pairs.nearest(held(ours), held(theirs), 2), np.sort(slow, axis=1)[:, :2].mean(axis=1))


def test_kinship_is_that_of_the_plain_twin(rng):
    ours, theirs = panels.random_calls(rng, 300, 70, 0.03), panels.random_calls(rng, 300, 66, 0.03)
    slow = slow_kinship(ours, theirs)
    assert np.allclose(pairs.kinship(held(ours), held(theirs)), slow)
    assert np.allclose(pairs.closest(held(ours), held(theirs)), slow.max(axis=1))


def test_little_memory_gives_the_same_scores(rng, monkeypatch):
    ours, theirs = panels.random_calls(rng, 100, 50), panels.random_calls(rng, 100, 40)
    whole = [f(held(ours), held(theirs)) for f in (pairs.hamming, pairs.closest, pairs.kinship)]
    monkeypatch.setattr(pairs, "MEMORY", 4 * 40 * 4 * 3)
    for f, expected in zip((pairs.hamming, pairs.closest, pairs.kinship), whole, strict=True):
        assert (f(held(ours), held(theirs)) == expected).all()


def test_somebody_without_a_heterozygote_is_kin_to_nobody():
    calls = np.array([[0, 1], [2, 1], [0, 0]], np.int8)
    assert np.isneginf(pairs.kinship(held(calls[:, :1]), held(calls))).all()
    assert np.isfinite(pairs.closest(held(calls[:, :1]), held(calls))).all()


def test_a_row_is_turned_into_its_persons_words(rng):
    calls = panels.random_calls(rng, 130, 67)
    hi, lo = pairs.turned(pack(calls))
    for plane, bits in ((hi, calls == 2), (lo, calls >= 1)):
        assert plane.shape == (67, 3)
        seen = np.unpackbits(plane.view(np.uint8), axis=1, bitorder="little")
        assert (bits == seen[:, :130].T).all()
        assert not seen[:, 130:].any()


def child(rng, mother, father):
    alleles = [
        np.where(parent == 1, rng.random(len(parent)) < 0.5, parent == 2) for parent in (mother, father)
    ]
    return (alleles[0].astype(np.int8) + alleles[1]).astype(np.int8)


def test_families_have_the_kinship_of_the_textbook(rng):
    calls = panels.british_and_finnish()
    mother, father, stranger = calls[:, 0], calls[:, 1], calls[:, 2]
    one, two = child(rng, mother, father), child(rng, mother, father)
    grandchild = child(rng, one, stranger)
    found = pairs.kinship(held(np.stack([mother, one, two, grandchild], axis=1)), held(calls[:, :3]))
    siblings = pairs.kinship(held(one[:, None]), held(two[:, None]))[0, 0]
    assert found[0, 0] == 0.5
    assert pairs.FIRST < found[1, 0] < pairs.DUPLICATE
    assert pairs.FIRST < siblings < pairs.DUPLICATE
    assert pairs.SECOND < found[3, 0] < pairs.FIRST
    assert abs(found[0, 2]) < pairs.THIRD


def test_relatives_of_members_are_told_by_rows_that_are_not_noisy_enough(rng):
    calls = panels.british_and_finnish()[:6000]
    rows, others = calls[:, :60], calls[:, 60:]
    children = np.stack([child(rng, rows[:, i], others[:, i]) for i in range(40)], axis=1)
    strangers = np.stack([child(rng, others[:, 40 + i], others[:, 80 - i]) for i in range(30)], axis=1)
    noisy = np.where(rng.random(rows.shape) < 0.2, rng.integers(0, 3, rows.shape), rows).astype(np.int8)
    found = roc(pairs.closest(held(children), held(noisy)), pairs.closest(held(strangers), held(noisy)))
    assert found.area.value > 0.95


def test_the_ratio_needs_rows_near_the_release_and_far_from_the_reference(rng):
    ours, theirs = panels.random_calls(rng, 500, 40), panels.random_calls(rng, 500, 40)
    scores = pairs.neighbour_ratio(held(ours), held(ours), held(theirs))
    assert (scores > 100).all()
    assert np.allclose(scores, slow_distances(ours, theirs).min(axis=1) + 1)
    with pytest.raises(ValueError, match="41 nearest of 40"):
        pairs.nearest(held(ours), held(theirs), 41)
