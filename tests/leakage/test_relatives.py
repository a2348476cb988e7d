"""Kinship of all pairs beside plain twins, families made by dropping genes, and what is kept of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate.genotypes.packed import pack
from noisegate.leakage import relatives as module
from noisegate.leakage.genomes import Held
from noisegate.leakage.pairs import kinship
from noisegate.leakage.relatives import (
    Degree,
    Relatives,
    compared,
    distance_of,
    kinship_of,
    relatives,
)

from . import panels


@pytest.fixture
def rng():
    return np.random.default_rng(61)


def held(calls):
    return Held(pack(np.ascontiguousarray(calls)))


def slow(calls, other, i, j):
    """Return called, both, opposite, and kinship of a pair, counted plainly."""
    x, y = calls[:, i].astype(int), other[:, j].astype(int)
    there = (x >= 0) & (y >= 0)
    x, y = x[there], y[there]
    both, opposite = ((x == 1) & (y == 1)).sum(), (abs(x - y) == 2).sum()
    mine, theirs = (x == 1).sum(), (y == 1).sum()
    least = min(mine, theirs)
    phi = 0.5 + (2 * both - 4 * opposite - mine - theirs) / (4 * least) if least else -np.inf
    return there.sum(), both, opposite, phi


def children(rng, mothers, fathers):
    """Return one child of each couple: a gene of each parent for each variant."""

    def gene(parents):
        return (parents == 2) | ((parents == 1) & (rng.random(parents.shape) < 0.5))

    return (gene(mothers).astype(np.int8) + gene(fathers)).astype(np.int8)


@pytest.mark.parametrize(("variants", "people", "missing"), [(1, 2, 0.0), (64, 65, 0.1), (130, 70, 0.02)])
def test_every_pair_has_the_counts_and_kinship_of_the_plain_twin(rng, variants, people, missing):
    calls = panels.random_calls(rng, variants, people, missing)
    found = relatives(panels.Cut(calls, [variants // 3, variants - variants // 3]), least=-np.inf)
    at = {(a, b): k for k, (a, b) in enumerate(zip(found.first, found.second, strict=True))}
    for j in range(people):
        for i in range(j):
            called, both, opposite, phi = slow(calls, calls, i, j)
            if np.isneginf(phi):
                assert (i, j) not in at
                continue
            k = at[i, j]
            assert (found.called[k], found.both[k], found.opposite[k]) == (called, both, opposite)
            assert found.kinship[k] == pytest.approx(phi, abs=1e-12)
    assert len(at) + found.undefined == found.compared == people * (people - 1) // 2
    assert found.variants == variants


def test_people_beside_rows_have_the_kinship_and_distance_of_the_plain_twin(rng):
    ours, theirs = panels.random_calls(rng, 300, 70, 0.03), panels.random_calls(rng, 300, 40, 0.03)
    counts = np.concatenate(list(compared(held(ours), held(theirs))), axis=1)
    assert np.allclose(kinship_of(counts), kinship(held(ours), held(theirs)))
    apart = distance_of(counts)
    for i, j in ((0, 0), (69, 39), (33, 7)):
        there = (ours[:, i] >= 0) & (theirs[:, j] >= 0)
        assert apart[i, j] == pytest.approx(np.abs(ours[:, i] - theirs[:, j])[there].mean() / 2)


def test_little_memory_gives_the_same_pairs(rng, monkeypatch):
    calls = panels.random_calls(rng, 200, 90, 0.01)
    whole = relatives(held(calls), least=-np.inf)
    few = np.concatenate(list(compared(held(calls), held(calls))), axis=1)
    monkeypatch.setattr(module, "MEMORY", 20 * 90 * 7)
    told: list[float] = []
    banded = relatives(held(calls), least=-np.inf, progress=told.append)
    for name in ("first", "second", "called", "both", "opposite", "kinship"):
        assert np.array_equal(getattr(whole, name), getattr(banded, name))
    assert len(told) > 5
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert np.array_equal(few, np.concatenate(list(compared(held(calls), held(calls))), axis=1))


def test_variants_that_are_not_kept_do_not_count(rng):
    calls = panels.random_calls(rng, 150, 20)
    keep = rng.random(150) < 0.5
    part = relatives(panels.Cut(calls, [70, 80]), least=-np.inf, keep=keep)
    alone = relatives(held(calls[keep]), least=-np.inf)
    assert np.array_equal(part.kinship, alone.kinship)
    assert part.variants == keep.sum()


def test_dropped_genes_give_the_degrees_they_should(rng):
    founders = panels.random_calls(rng, 6_000, 40)
    first = children(rng, founders[:, :10], founders[:, 10:20])
    siblings = children(rng, founders[:, :10], founders[:, 10:20])
    second = children(rng, first, founders[:, 20:30])
    everybody = np.concatenate([founders, first, siblings, second, founders[:, 35:36]], axis=1)
    found = relatives(held(everybody))
    # Parents and children 10 × (2 + 2 + 1 + 1), siblings 10; grandparents 20, and uncles 10; one duplicate.
    assert found.by_degree() == (1, 70, 30, 0)
    assert {(int(a), int(b)) for a, b in zip(found.first, found.second, strict=True)} >= {(35, 70), (0, 40)}
    families = found.families()
    assert [len(f) for f in families] == [6] * 10 + [2]
    assert families[-1] == (35, 70)
    assert found.families(Degree.DUPLICATE) == ((35, 70),)
    kept = found.unrelated()
    assert kept.sum() == 40  # of each family the three founders, or as many, and the ten others
    pairs = zip(found.first[found.kinship > Degree.THIRD.least], found.second, strict=False)
    assert not any(kept[a] and kept[b] for a, b in pairs)


def test_strangers_are_taken_for_kin_as_often_as_is_said(rng):
    found = relatives(held(panels.random_calls(rng, 60, 700)), least=-np.inf)
    beyond = int((found.kinship > Degree.SECOND.least).sum())
    assert beyond == pytest.approx(sum(found.by_chance()[:3]), rel=0.1)
    assert sum(relatives(held(panels.random_calls(rng, 6_000, 100))).by_chance()) < 0.01


def test_nothing_varies_and_nobody_is_told_apart():
    found = relatives(held(np.zeros((100, 5), np.int8)))
    assert (found.undefined, found.spread) == (10, np.inf)


def test_somebody_without_a_heterozygote_has_no_kinship():
    calls = np.array([[0, 1, 1], [2, 1, 0], [0, 1, 1]], np.int8)
    found = relatives(held(calls), least=-np.inf)
    assert (len(found.kinship), found.undefined, found.blank.tolist()) == (1, 2, [0])


def test_one_person_is_kin_to_nobody(rng):
    found = relatives(held(panels.random_calls(rng, 100, 1)))
    assert (found.compared, found.by_degree(), found.families()) == (0, (0, 0, 0, 0), ())
    assert found.unrelated().tolist() == [True]


@st.composite
def graphs(draw):
    people = draw(st.integers(2, 12))
    every = [(a, b) for b in range(people) for a in range(b)]
    pairs = sorted(draw(st.sets(st.sampled_from(every))), key=lambda p: (p[1], p[0]))
    none = np.zeros(len(pairs), np.int64)
    ones, others = (np.array([p[k] for p in pairs], np.int64) for k in (0, 1))
    phi = np.array(draw(st.lists(st.floats(0.01, 0.5), min_size=len(pairs), max_size=len(pairs))))
    return Relatives(
        people, 1, 0.0, ones, others, none, none.copy(), none.copy(), phi, 0, none[:0].copy(), 0.1
    )


@given(graphs())
def test_families_hold_all_kin_and_the_unrelated_hold_none(found):
    near = {
        (int(a), int(b))
        for a, b, phi in zip(found.first, found.second, found.kinship, strict=True)
        if phi > Degree.THIRD.least
    }
    kept = found.unrelated()
    assert not any(kept[a] and kept[b] for a, b in near)
    # Nobody was left out for nothing: each has a relative.
    assert all(kept[i] or any(i in pair for pair in near) for i in range(found.people))
    family = {person: k for k, group in enumerate(found.families()) for person in group}
    assert all(family[a] == family[b] for a, b in near)
    assert set(family) == {person for pair in near for person in pair}
    assert sum(found.by_degree()) == len(near)


def test_pairs_that_are_none_are_refused():
    two = np.array([1], np.int64)
    with pytest.raises(ValueError, match="two different people"):
        Relatives(
            3,
            1,
            0.0,
            two,
            two.copy(),
            two.copy(),
            two.copy(),
            two.copy(),
            np.zeros(1),
            0,
            two[:0].copy(),
            0.1,
        )
