"""Counts move no further than claimed, are right, and get the noise that is charged for."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.errors import BadInput, InternalError
from noisegate.genomics import counts, plans
from noisegate.genomics.counts import (
    UNITS,
    Alleles,
    Centred,
    Groups,
    Labelled,
    Noisy,
    Pairs,
    Plan,
    Sizes,
    absolute_sensitivity,
    measure,
    shape,
    squared_sensitivity,
)
from noisegate.genotypes.packed import Block
from noisegate.privacy.curves import gaussian, pure
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.noise import Gaussian, Laplace

from .held import Held, held
from .held import laws as find_laws

F = Fraction

laws = find_laws()
QUIET = Gaussian(F(1, 64))  # a draw other than 0 has probability below exp(-2000)
DELTA = F(1, 10**6)


def exact(query, calls, labels):
    """The slow, obvious twin: calls of shape (variants, people), and a label a person."""
    variants, people = calls.shape
    match query:
        case Alleles():
            return np.array([sum(row) for row in calls.tolist()])
        case Centred(centre=centre, squared_radius=squared_radius):
            total = np.zeros(variants + 1, np.int64)
            for person in calls.T:
                row = UNITS * person.astype(np.int64) - centre
                if sum(int(v) ** 2 for v in row) <= squared_radius:
                    total += np.append(row, math.isqrt(3 * squared_radius))
            return total
        case Groups():
            table = np.zeros((variants, 2, 3), np.int64)
            for v, i in itertools.product(range(variants), range(people)):
                if labels[i] >= 0:
                    table[v, int(labels[i]), calls[v, i]] += 1
            return table
        case Sizes():
            return np.array([sum(int(label) == group for label in labels) for group in (0, 1)])
        case Pairs(starts=starts):
            rights = [v for v in range(variants) if not starts[v]]
            tables = np.zeros((len(rights), 3, 3), np.int64)
            for (t, v), i in itertools.product(enumerate(rights), range(people)):
                tables[t, calls[v - 1, i], calls[v, i]] += 1
            return tables


@st.composite
def queries(draw, variants):
    kind = draw(st.sampled_from(["alleles", "centred", "groups", "pairs", "sizes"]))
    if kind == "alleles":
        return Alleles(variants)
    if kind == "groups":
        return Groups(variants)
    if kind == "sizes":
        return Sizes()
    if kind == "centred":
        centre = draw(st.lists(st.integers(0, 2 * UNITS), min_size=variants, max_size=variants))
        return Centred(np.array(centre, np.int64), draw(st.integers(1, 4 * variants * UNITS**2)))
    starts = [True, *draw(st.lists(st.booleans(), min_size=variants - 1, max_size=variants - 1))]
    if all(starts):
        starts[-1] = False
    return Pairs(np.array(starts))


LABELS = st.integers(-1, 1)


def some_labels(draw, people):
    return np.array(draw(st.lists(LABELS, min_size=people, max_size=people)), np.int8)


def some_calls(draw, variants, people):
    cells = draw(st.lists(st.integers(0, 2), min_size=variants * people, max_size=variants * people))
    return np.array(cells, np.int8).reshape(variants, people)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_replacing_a_person_moves_the_cells_no_further_than_claimed(data):
    variants, people = data.draw(st.integers(2, 6)), data.draw(st.integers(1, 4))
    query = data.draw(queries(variants))
    calls = some_calls(data.draw, variants, people)
    labels = some_labels(data.draw, people)
    replaced, others = calls.copy(), labels.copy()
    replaced[:, 0] = some_calls(data.draw, variants, 1)[:, 0]
    others[0] = data.draw(LABELS)
    moved = exact(query, calls, labels) - exact(query, replaced, others)
    assert int((moved.astype(object) ** 2).sum()) <= squared_sensitivity(query)
    most = absolute_sensitivity(query)
    assert most is None or int(np.abs(moved).sum()) <= most


@pytest.mark.parametrize(
    "query",
    [
        Alleles(3),
        Groups(3),
        Sizes(),
        Pairs(np.array([True, False, False])),
        Pairs(np.array([True, False, True])),
    ],
)
def test_the_claimed_sensitivity_is_reached_so_that_no_smaller_one_would_hold(query):
    rows = [np.array(row, np.int8) for row in itertools.product(range(3), repeat=3)]
    furthest, absolute = 0, 0
    for a, b in itertools.product(rows, rows):
        moved = exact(query, a[:, None], np.array([False])) - exact(query, b[:, None], np.array([True]))
        furthest = max(furthest, int((moved**2).sum()))
        absolute = max(absolute, int(np.abs(moved).sum()))
    assert furthest == squared_sensitivity(query)
    assert absolute == absolute_sensitivity(query)


def test_the_claimed_reach_of_centred_counts_is_reached_at_opposite_ends_of_the_ball():
    query = Centred(np.array([UNITS, UNITS]), 2 * UNITS**2)
    low, high = (exact(query, np.full((2, 1), end), None) for end in (0, 2))
    assert int(((high - low) ** 2).sum()) == squared_sensitivity(query)
    outside = Centred(np.array([UNITS, UNITS]), 2 * UNITS**2 - 1)
    assert exact(outside, np.full((2, 1), 2), None).tolist() == [0, 0, 0]


def test_who_lies_exactly_at_the_radius_is_counted():
    calls = np.array([[2, 0], [1, 1]])
    for squared, counted in ((UNITS**2, 2), (UNITS**2 - 1, 0)):
        query = Centred(np.array([UNITS, UNITS]), squared)
        found = measure(Plan(query, QUIET), held(calls)).cells
        assert found.tolist() == exact(query, calls, None).tolist()
        assert found[-1] == counted * query.near


def test_whether_somebody_is_counted_moves_centred_counts_as_far_as_their_genotypes_may():
    query = Centred(np.array([0, 0]), 4 * UNITS**2)
    moved = exact(query, np.array([[2], [0]]), None) - exact(query, np.array([[2], [2]]), None)
    assert squared_sensitivity(query) * 0.99 < int((moved**2).sum()) <= squared_sensitivity(query)


def test_a_wrong_sensitivity_would_be_found_by_these_neighbours(monkeypatch):
    honest = squared_sensitivity
    monkeypatch.setitem(globals(), "squared_sensitivity", lambda query: honest(query) // 2)
    with pytest.raises(AssertionError):
        test_the_claimed_reach_of_centred_counts_is_reached_at_opposite_ends_of_the_ball()
    with pytest.raises(AssertionError):
        test_the_claimed_sensitivity_is_reached_so_that_no_smaller_one_would_hold(
            Pairs(np.array([True, False, False]))
        )


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_what_is_counted_is_what_the_plain_twin_counts(data):
    variants, people = data.draw(st.integers(2, 6)), data.draw(st.sampled_from([1, 3, 64, 70]))
    query = data.draw(queries(variants))
    calls = (
        np.random.default_rng(data.draw(st.integers(0, 10**6)))
        .integers(0, 3, (variants, people))
        .astype(np.int8)
    )
    labels = calls[0] - np.int8(1)
    found = measure(Plan(query, QUIET), held(calls), labels if isinstance(query, Labelled) else None)
    assert found.cells.shape == shape(query)
    assert (found.cells == exact(query, calls, labels)).all()
    assert found.people == people


def test_truth_values_are_labels_of_cases_and_controls():
    calls = np.random.default_rng(5).integers(0, 3, (4, 70)).astype(np.int8)
    cases = calls[0] > 0
    for query in (Groups(4), Sizes()):
        told = [
            measure(Plan(query, QUIET), held(calls), given).cells for given in (cases, cases.astype(np.int8))
        ]
        assert (told[0] == told[1]).all()
        assert (told[0] == exact(query, calls, cases)).all()


def test_who_takes_no_part_is_in_no_cell():
    calls = np.random.default_rng(6).integers(0, 3, (3, 65)).astype(np.int8)
    labels = np.full(65, -1, np.int8)
    labels[[3, 64]] = 1, 0
    assert measure(Plan(Groups(3), QUIET), held(calls), labels).cells.sum(axis=(1, 2)).tolist() == [2, 2, 2]
    assert measure(Plan(Sizes(), QUIET), held(calls), labels).cells.tolist() == [1, 1]


def test_counts_are_the_same_however_few_genotypes_are_held_at_a_time(monkeypatch):
    calls = np.random.default_rng(2).integers(0, 3, (37, 130)).astype(np.int8)
    cases = calls[3] == 2
    starts = np.arange(37) % 5 == 0
    centred = Centred(np.full(37, 60, np.int64), 37 * 50**2)
    for query in (Alleles(37), Groups(37), Sizes(), Pairs(starts), centred):
        given_cases = cases if isinstance(query, Labelled) else None
        whole = measure(Plan(query, QUIET), held(calls), given_cases)
        with monkeypatch.context() as few:
            few.setattr(counts, "CELLS_AT_ONCE", 7)
            few.setattr(counts.blocks, "__defaults__", (3 * 130,))
            parts = measure(Plan(query, QUIET), held(calls), given_cases)
        assert (whole.cells == parts.cells).all()


def test_a_plan_loses_what_its_query_and_noise_say():
    rho = F(4 * 10, 2 * 9)
    assert Plan(Alleles(10), Gaussian(F(3))).loss == gaussian(rho)
    assert Plan(Alleles(10), Laplace(F(5))).loss == pure(F(20, 5))
    assert Plan(Groups(10), Gaussian(F(3))).loss == gaussian(F(20, 18))
    assert Plan(Sizes(), Gaussian(F(3))).loss == gaussian(F(2, 18))
    assert Plan(Sizes(), Laplace(F(5))).loss == pure(F(2, 5))
    assert Plan(Pairs(np.arange(10) == 0), Gaussian(F(3))).loss == gaussian(F(18, 18))
    assert Plan(Centred(np.zeros(10, np.int64), 7), Gaussian(F(3))).loss == gaussian(F(28, 18))
    with pytest.raises(ValueError, match="L1"):
        Plan(Centred(np.zeros(10, np.int64), 7), Laplace(F(3)))


@pytest.mark.parametrize("epsilon", [F(1, 10), F(1), F(3), F(10), F(100)])
@pytest.mark.parametrize("delta", [F(0), DELTA])
def test_designs_stay_within_the_budget_and_use_nearly_all_of_it(epsilon, delta):
    starts = np.arange(50) == 0
    for query in (Alleles(50), Groups(50), Pairs(starts)):
        plan = plans.design(query, epsilon, delta)
        spent = stand_alone_epsilon(plan.loss, delta)
        assert epsilon * F(999, 1000) < spent <= epsilon
    both = plans.share({"a": (Alleles(50), F(1, 3)), "b": (Pairs(starts), F(2, 3))}, epsilon, delta)
    assert epsilon * F(99, 100) < stand_alone_epsilon(plans.total(both), delta) <= epsilon


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(F(0), DELTA), (F(-1), DELTA), (F(1), F(1)), (F(1), F(-1, 2))]
)
def test_no_plan_is_made_of_a_budget_that_makes_no_sense(epsilon, delta):
    with pytest.raises(BadInput):
        plans.design(Alleles(3), epsilon, delta)


def noise_of(plan, source, cases=None):
    return (
        measure(plan, source, cases).cells - measure(Plan(plan.query, QUIET), source, cases).cells
    ).ravel()


@pytest.mark.parametrize("query", [Alleles(24_000), Groups(4_000), Pairs(np.arange(2_668) == 0)])
def test_every_cell_gets_the_noise_that_the_plan_describes(query):
    plan = Plan(query, Gaussian(F(5)))
    calls = np.random.default_rng(3).integers(0, 3, (query.variants, 5)).astype(np.int8)
    draws = noise_of(plan, held(calls), calls[0] > 0 if isinstance(query, Groups) else None)
    near = {"10 % less": laws.gaussian(4.5), "10 % more": laws.gaussian(5.5)}
    laws.assert_follows(draws.tolist(), laws.gaussian(5.0), not_these=near)


def test_a_tenth_less_noise_would_be_found_out(monkeypatch):
    honest = counts.add
    monkeypatch.setattr(
        counts, "add", lambda noise, cells: honest(Gaussian(F(float(noise.scale) * 0.9)), cells)
    )
    with pytest.raises(AssertionError, match="10 % less"):
        test_every_cell_gets_the_noise_that_the_plan_describes(Alleles(24_000))


def test_neighbours_cannot_be_told_apart_better_than_the_loss_allows():
    """The best test between neighbours sees the noise along one line, of standard deviation σ / Δ."""
    variants, sigma = 60, 20
    plan = Plan(Alleles(variants), Gaussian(F(sigma)))
    without, along = np.zeros((variants, 1), np.int8), np.ones(variants) / math.sqrt(variants)
    seen = [measure(plan, held(calls)).cells @ along for calls in (without, without + 2) for _ in range(1500)]
    threshold = (2 * variants) / math.sqrt(variants) / 2
    told = np.mean(np.array(seen[1500:]) > threshold) + np.mean(np.array(seen[:1500]) <= threshold) - 1
    apart = math.sqrt(squared_sensitivity(plan.query)) / sigma
    possible = math.erf(apart / 2 / math.sqrt(2))
    assert abs(told - possible) < 0.07  # five standard errors
    assert told > 0.2  # it does find them, so the test can fail


def test_noisy_counts_come_from_measure_alone():
    with pytest.raises(TypeError):
        Noisy(Plan(Alleles(2), QUIET), np.zeros(2, np.int64), 5, None)
    kept = counts.again(Plan(Alleles(2), QUIET), np.array([3, 4]), 5)
    with pytest.raises(ValueError, match="read-only"):
        kept.cells[0] = 1


def test_a_missing_call_is_refused_with_a_constant_text():
    hi, lo = np.ones((2, 1), np.uint64), np.zeros((2, 1), np.uint64)
    with pytest.raises(InternalError, match="a genotype is missing"):
        measure(Plan(Alleles(2), QUIET), Held(Block(hi, lo, 1)))


def test_who_is_a_case_is_asked_for_tables_and_sizes_alone_and_one_label_a_person():
    source = held(np.zeros((2, 3)))
    for query, labels in (
        (Groups(2), None),
        (Sizes(), None),
        (Alleles(2), np.zeros(3, bool)),
        (Groups(2), np.zeros(4, bool)),
        (Sizes(), np.zeros(4, np.int8)),
        (Sizes(), np.zeros(3, np.int64)),
        (Groups(2), np.full(3, 2, np.int8)),
        (Groups(2), np.full(3, -2, np.int8)),
    ):
        with pytest.raises(BadInput):
            measure(Plan(query, QUIET), source, labels)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Alleles(0),
        lambda: Groups(0),
        lambda: Pairs(np.array([True, True])),
        lambda: Pairs(np.array([False, True])),
        lambda: Centred(np.array([2 * UNITS + 1]), 5),
        lambda: Centred(np.array([0]), 0),
        lambda: Centred(np.zeros(3), 5),
    ],
)
def test_queries_that_make_no_sense_are_refused(make):
    with pytest.raises(ValueError):  # noqa: PT011
        make()
