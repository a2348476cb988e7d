"""Choosing follows its law exactly, and tells no more of a person than it is charged for."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, target
from hypothesis import strategies as st

from noisegate.errors import BadInput, InternalError
from noisegate.genomics import choosing, counts
from noisegate.genomics.choosing import FULL, SENSITIVITY, Selection, Weights, choose
from noisegate.genotypes.packed import Block
from noisegate.privacy import samplers
from noisegate.privacy.curves import bounded_range
from noisegate.privacy.loss import NANO, ORDERS

from .held import Held, held
from .held import laws as find_laws

F = Fraction
laws = find_laws()
LABELS = st.integers(-1, 1)
WEIGHT = st.sampled_from([0, FULL // 3, FULL]) | st.integers(0, FULL)
WEIGHTS = st.builds(Weights, WEIGHT, WEIGHT)
LIGHT = Weights(FULL, FULL // 3)


def plainly(weights, calls, labels):
    """The slow, obvious twin: calls of shape (variants, people), and a label a person."""
    worth = {1: weights.case, 0: -weights.control, -1: 0}
    return [
        abs(sum((int(x) - 1) * worth[int(label)] for x, label in zip(row, labels, strict=True)))
        for row in calls
    ]


def scored(weights, calls, labels):
    source = held(calls)
    groups = counts.groups_of(np.array(labels, np.int8), source.people)
    return choosing._scores(weights, source, groups, len(calls))


def law_of(scores, scale, rounds):
    """Return each ordered choice of places and its probability: one after the other, among those left."""
    found = {}
    for places in itertools.permutations(range(len(scores)), rounds):
        p, left = 1.0, list(range(len(scores)))
        for place in places:
            best = max(scores[j] for j in left)
            weights = {j: math.exp((scores[j] - best) / scale) for j in left}
            p *= weights[place] / sum(weights.values())
            left.remove(place)
        found[places] = p
    return found


@st.composite
def neighbours(draw):
    variants, people = draw(st.integers(2, 4)), draw(st.integers(1, 5))
    row = st.lists(st.integers(0, 2), min_size=variants, max_size=variants)
    calls = np.array(draw(st.lists(row, min_size=people, max_size=people)), np.int8).T
    labels = np.array(draw(st.lists(LABELS, min_size=people, max_size=people)), np.int8)
    replaced, others = calls.copy(), labels.copy()
    replaced[:, 0], others[0] = draw(row), draw(LABELS)
    return (calls, labels), (replaced, others)


@given(neighbours(), WEIGHTS)
@settings(max_examples=200, deadline=None)
def test_replacing_a_person_moves_no_score_further_than_claimed(pair, weights):
    one, other = (scored(weights, *each) for each in pair)
    moved = int(np.abs(one - other).max())
    target(float(moved))
    assert moved <= SENSITIVITY


@given(neighbours(), WEIGHTS)
@settings(max_examples=60, deadline=None)
def test_scores_are_those_of_the_plain_twin(pair, weights):
    calls, labels = pair[0]
    assert scored(weights, calls, labels).tolist() == plainly(weights, calls, labels)


def test_the_claimed_sensitivity_is_reached_whoever_has_the_larger_weight():
    rest = np.full((1, 3), 2)
    for weights, label in ((Weights(FULL, 5), 1), (Weights(5, FULL), 0)):
        others = [label] * 3
        one, other = (scored(weights, np.hstack([[[x]], rest]), [label, *others]) for x in (0, 2))
        assert abs(int(one[0]) - int(other[0])) == SENSITIVITY


def test_scores_of_any_size_of_block_are_the_same(monkeypatch):
    rng = np.random.default_rng(8)
    calls, labels = rng.integers(0, 3, (37, 130)), rng.integers(-1, 2, 130)
    whole = scored(LIGHT, calls, labels)
    monkeypatch.setattr(counts.blocks, "__defaults__", (3 * 130,))
    assert (scored(LIGHT, calls, labels) == whole).all()
    assert whole.tolist() == plainly(LIGHT, calls, labels)


def divergence(one, other, order):
    return math.log(sum(p**order * q ** (1 - order) for p, q in zip(one, other, strict=True))) / (order - 1)


@given(neighbours(), WEIGHTS, st.sampled_from([0.5, 1.0, 3.0]), st.integers(1, 2), st.data())
@settings(max_examples=150, deadline=None)
def test_the_laws_of_neighbours_are_no_further_apart_than_is_charged(pair, weights, range_, rounds, data):
    """By enumeration, at every order and both ways round, whatever is taken off the scores."""
    selection = Selection(rounds, F(2 * SENSITIVITY / range_))
    variants = len(pair[0][0])
    offsets = data.draw(st.lists(st.integers(-FULL, FULL), min_size=variants, max_size=variants))
    laws_ = []
    for calls, labels in pair:
        scores = [s - o for s, o in zip(plainly(weights, calls, labels), offsets, strict=True)]
        laws_.append(list(law_of(scores, float(selection.scale), rounds).values()))
    for order, charged in zip(ORDERS[:-1], selection.loss.renyi, strict=False):
        if order <= 32:
            for one, other in (laws_, laws_[::-1]):
                assert divergence(one, other, order) * NANO <= charged + 1e-3
    assert (
        max(abs(math.log(p / q)) for p, q in zip(*laws_, strict=True)) * NANO <= selection.loss.renyi[-1] + 1
    )


def far_apart():
    """Neighbours whose two scores move the whole way, one up and one down, from where they are equal."""
    others = np.tile([[2], [2]], 3)
    calls = [np.hstack([np.array([[x], [2 - x]]), others]) for x in (0, 2)]
    return [scored(Weights(FULL, 0), each, [1, 1, 1, 1]).tolist() for each in calls]


def test_a_loss_of_half_the_sensitivity_would_be_found_out():
    up, down = far_apart()
    assert [a - b for a, b in zip(up, down, strict=True)] == [-SENSITIVITY, SENSITIVITY]
    selection = Selection(1, F(4 * SENSITIVITY))  # the range is 1/2
    one, other = (list(law_of(scores, float(selection.scale), 1).values()) for scores in (up, down))
    far = divergence(one, other, ORDERS[0]) * NANO
    assert 0.95 * selection.loss.renyi[0] < far <= selection.loss.renyi[0]
    for less in (F(9, 10), F(1, 2)):
        assert far > bounded_range(less / 2).renyi[0]


# Of five cases, a control and one who takes no part; a variant's cases make its score, up or down.
CALLS = np.array(
    [
        [1, 1, 1, 1, 1, 1, 2],
        [0, 1, 1, 1, 1, 2, 0],
        [2, 2, 1, 1, 1, 0, 1],
        [0, 0, 0, 1, 1, 2, 0],
        [2, 2, 2, 2, 1, 1, 1],
        [2, 2, 2, 2, 2, 0, 2],
    ]
)
WHO = np.array([1, 1, 1, 1, 1, 0, -1], np.int8)
OFFSETS = FULL // 4 * np.array([0, 1, -1, 0, 2, 0])
SCALE = F(FULL)


def test_choices_follow_the_exponential_law_one_after_the_other(monkeypatch):
    """A scale that is a tenth off, labels that are ignored, offsets that are: each would be found out."""
    monkeypatch.setattr(samplers, "PICKS", 8)
    source, rounds = held(CALLS), 3

    def law(scale=1.0, who=WHO, offsets=OFFSETS):
        scores = np.array(plainly(LIGHT, CALLS, who)) - offsets
        return laws.Law(0, np.array(list(law_of(scores.tolist(), scale * float(SCALE), rounds).values())))

    pairs = {places: i for i, places in enumerate(itertools.permutations(range(len(CALLS)), rounds))}
    selection = Selection(rounds, SCALE)
    draws = [pairs[tuple(choose(selection, LIGHT, OFFSETS, source, WHO).tolist())] for _ in range(11_000)]
    near = {
        "10 % less noise": law(0.9),
        "10 % more noise": law(1.1),
        "labels ignored": law(who=np.ones(7, np.int8)),
        "no offsets": law(offsets=0 * OFFSETS),
        "who takes no part is a control": law(who=np.maximum(WHO, 0)),
    }
    laws.assert_follows(draws, law(), not_these=near)


def test_with_little_noise_the_best_are_chosen_in_order_and_each_once():
    rng = np.random.default_rng(9)
    calls, labels = rng.integers(0, 3, (200, 90)), rng.integers(-1, 2, 90).astype(np.int8)
    found = choose(Selection(200, F(1, 64)), LIGHT, np.zeros(200, np.int64), held(calls), labels)
    scores = np.array(plainly(LIGHT, calls, labels))
    assert sorted(found.tolist()) == list(range(200))
    assert (np.diff(scores[found]) <= 0).all()


def test_a_selection_loses_what_its_scale_says():
    assert Selection(5, F(4 * FULL)).loss == bounded_range(F(1), 5)
    assert Selection(5, F(4 * FULL)).loss.pure_epsilon == 5
    assert Selection(1, F(FULL)).loss.pure_epsilon == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: Selection(0, F(1)),
        lambda: Selection(1, F(0)),
        lambda: Selection(1, F(1, 3)),
        lambda: Weights(-1, 0),
        lambda: Weights(0, FULL + 1),
    ],
)
def test_selections_and_weights_that_make_no_sense_are_refused(make):
    with pytest.raises(ValueError):  # noqa: PT011
        make()


@pytest.mark.parametrize(
    "offsets",
    [
        np.zeros(1, np.int64),
        np.zeros(6),
        np.zeros((2, 2), np.int64),
        np.full(6, 2**59 + 1),
        np.full(6, -(2**63)),
    ],
)
def test_offsets_that_make_no_sense_are_refused(offsets):
    with pytest.raises(BadInput):
        choose(Selection(2, F(1)), LIGHT, offsets, held(CALLS), WHO)


def test_a_missing_call_is_refused_with_a_constant_text():
    hi, lo = np.ones((2, 1), np.uint64), np.zeros((2, 1), np.uint64)
    with pytest.raises(InternalError, match="a genotype is missing"):
        choose(Selection(1, F(1)), LIGHT, np.zeros(2, np.int64), Held(Block(hi, lo, 1)), np.ones(1, np.int8))
