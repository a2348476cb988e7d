from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.privacy.expressions import Call, Function, Literal, PlanError, Type
from noisegate.privacy.question import (
    Aggregation,
    Bounding,
    CountRows,
    CountUnits,
    CountValues,
    Key,
    Moment,
    Rank,
    Sum,
)
from noisegate.privacy.relations import Grid
from noisegate.privacy.selection import scores, stretches
from noisegate.privacy.sensitivity import Sensitivity, of_aggregation, sensitivity

from . import twin
from .twin import FLAG, SCAN, SITE, X, exact, movements

F = Fraction
SITES = ("a", "b", "c", None)
GRIDS = st.builds(
    lambda a, b, s: Grid(min(a, b), max(a, b), s),
    st.integers(-20, 20),
    st.integers(-20, 20),
    st.sampled_from([F(1), F(1, 2), F(3)]),
)
WHERES = st.sampled_from([None, FLAG, Call(Function.GT, (X, Literal(0.0, Type.FLOAT)))])
ROWS = st.fixed_dictionaries(
    {
        "site": st.sampled_from(SITES),
        "x": st.one_of(st.none(), st.floats(-100, 100), st.sampled_from([-1e300, 1e300, 0.0, 5.0])),
        "flag": st.sampled_from([None, False, True]),
    }
)
PEOPLE = st.lists(st.lists(ROWS, max_size=7), max_size=4)
ADDITIVE = st.one_of(
    st.builds(CountRows, WHERES),
    st.builds(CountUnits, WHERES),
    st.builds(Sum, st.just(X), GRIDS, WHERES),
    st.builds(Moment, st.just(X), GRIDS, st.sampled_from([1, 2]), WHERES),
    st.builds(CountValues, st.just(X), WHERES),
)
QUANTILES = st.sampled_from([F(0), F(1, 4), F(1, 2), F(9, 10), F(1)])
BOUNDINGS = st.builds(
    lambda rows, groups, more: Bounding(rows, groups, rows + more),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 9),
)


def asked(measure, bounding, *, private):
    key = Key("site", SITE, None if private else SITES)
    measures = (CountUnits(), measure) if private and measure != CountUnits() else (measure,)
    return Aggregation(SCAN, (key,), measures, bounding)


def neighbours(people, joiner):
    others = dict(enumerate(people))
    return others, others | {99: joiner}


def moves_no_further(aggregation, others, everybody, claimed):
    """Whether one unit moves the last measure within the claim: the check that mutations must trip."""
    last = len(aggregation.measures) - 1
    before, after = exact(aggregation, others), exact(aggregation, everybody)
    moved = movements(aggregation, before, after, last)
    return (
        sum(m > 0 for m in moved) <= claimed.groups
        and sum(moved) <= claimed.l1
        and sum(m * m for m in moved) <= claimed.l2_squared
        and max(moved, default=0) <= claimed.linf
    )


@given(ADDITIVE, BOUNDINGS, PEOPLE, st.lists(ROWS, max_size=9), st.booleans())
@settings(deadline=None, max_examples=300)
def test_a_joiner_moves_no_cell_further_than_claimed(measure, bounding, people, joiner, private):
    aggregation = asked(measure, bounding, private=private)
    others, everybody = neighbours(people, joiner)
    assert moves_no_further(aggregation, others, everybody, of_aggregation(aggregation)[-1])


@given(
    GRIDS.filter(lambda g: g.high > g.low),
    QUANTILES,
    BOUNDINGS,
    PEOPLE,
    st.lists(ROWS, max_size=9),
    st.integers(-50, 50),
    st.booleans(),
)
@settings(deadline=None, max_examples=200)
def test_a_joiner_moves_no_score_further_than_claimed(
    grid, quantile, bounding, people, joiner, target, open_ends
):
    rank = Rank(X, grid, 1, quantile)
    aggregation = asked(rank, bounding, private=False)
    others, everybody = neighbours(people, joiner)
    before, after = exact(aggregation, others), exact(aggregation, everybody)
    claimed = of_aggregation(aggregation)[0]
    moved = []
    for key in SITES:
        found = []
        for cells in (before, after):
            counts = np.array(cells.get((key,), [[0] * rank.candidates])[0], dtype=np.int64)
            found.append(scores(*stretches(counts, quantile), target, open_ends=open_ends))
        moved.append(int(np.max(np.abs(found[0] - found[1]))))
    assert max(moved) <= claimed.linf
    assert sum(m > 0 for m in moved) <= claimed.groups


WORST = [{"site": s, "x": 9.0, "flag": True} for s in "abc" for _ in range(3)]
DIFFERENT = [{"site": s, "x": float(i), "flag": True} for s in "abc" for i in range(3)]


@pytest.mark.parametrize(
    ("measure", "joiner"),
    [
        (CountRows(), WORST),
        (CountUnits(), WORST),
        (Sum(X, Grid(-3, 9, F(1))), WORST),
        (Moment(X, Grid(-3, 9, F(1)), 1), WORST),
        (Moment(X, Grid(-3, 9, F(1)), 2), WORST),
        (CountValues(X), DIFFERENT),
    ],
)
@pytest.mark.parametrize("bounding", [Bounding(2, 2), Bounding(2, 3, 3)])
def test_every_claim_is_reached_and_a_smaller_one_is_found_out(measure, joiner, bounding):
    aggregation = asked(measure, bounding, private=False)
    others, everybody = neighbours([], joiner)
    claimed = of_aggregation(aggregation)[0]
    assert moves_no_further(aggregation, others, everybody, claimed)
    if claimed.linf > 1:
        less = claimed.linf - 1
        shrunk = Sensitivity(claimed.groups, less, less * claimed.groups)
        assert not moves_no_further(aggregation, others, everybody, shrunk)
    if claimed.l1 > claimed.linf:
        less_in_all = Sensitivity(claimed.groups, claimed.linf, claimed.l1 - 1)
        assert not moves_no_further(aggregation, others, everybody, less_in_all)
    one = Sensitivity(1, claimed.linf, claimed.linf)
    assert not moves_no_further(aggregation, others, everybody, one)


@pytest.mark.parametrize("quantile", [F(0), F(1, 4), F(1, 2), F(1)])
def test_the_claim_on_scores_is_reached(quantile):
    rank = Rank(X, Grid(0, 4, F(1)), 1, quantile)
    claimed = sensitivity(rank, Bounding(1, 1)).linf
    one = np.array([0, 0, 6, 0, 0], dtype=np.int64)
    moved = 0
    for at in range(5):
        more = one.copy()
        more[at] += 1
        before, after = (scores(*stretches(c, quantile), 0, open_ends=False) for c in (one, more))
        moved = max(moved, int(np.max(np.abs(before - after))))
    assert moved == claimed


def test_an_engine_that_forgets_to_bound_rows_is_found_out(monkeypatch):
    aggregation = asked(CountRows(), Bounding(2, 2), private=False)
    others, everybody = neighbours([], WORST)
    monkeypatch.setattr(twin, "fold", lambda _measure, rows, _most, _left: (len(rows), 0))
    assert not moves_no_further(aggregation, others, everybody, of_aggregation(aggregation)[0])


def test_a_unit_stands_in_no_more_groups_than_there_are():
    few = Aggregation(SCAN, (Key("site", SITE, ("a", "b")),), (CountRows(),), Bounding(2, 3))
    assert of_aggregation(few)[0].groups == 2


def test_an_engine_that_forgets_to_share_rows_out_is_found_out(monkeypatch):
    aggregation = asked(CountRows(), Bounding(2, 3, 3), private=False)
    others, everybody = neighbours([], WORST)
    monkeypatch.setattr(twin, "fold", lambda _measure, rows, most, left: (min(len(rows), most), left))
    assert not moves_no_further(aggregation, others, everybody, of_aggregation(aggregation)[0])


def test_a_constant_cell_still_has_a_sensitivity():
    assert sensitivity(Sum(X, Grid(0, 0, F(1))), Bounding(5, 1)).linf >= 1


@pytest.mark.parametrize("measure", [Sum(X, Grid(0, 2**51, F(1))), Moment(X, Grid(0, 2**30, F(1)), 2)])
def test_bounds_too_wide_for_64_bits_are_refused(measure):
    with pytest.raises(PlanError, match="too wide"):
        sensitivity(measure, Bounding(2**20, 1))
    with pytest.raises(PlanError, match="too wide"):
        Aggregation(SCAN, (), (measure,), Bounding(2**20, 1))
