from fractions import Fraction

import pytest

from noisegate.privacy.after import CountOf, MeanOf, NamedEstimate, Output, Plan, measures_of, step_of
from noisegate.privacy.expressions import ColumnRef, Literal, NotUnitLocalError, PlanError, Type
from noisegate.privacy.question import (
    MAX_CANDIDATES,
    Aggregation,
    Bounding,
    CountRows,
    CountUnits,
    Key,
    Moment,
    Rank,
    Sum,
    reads,
)
from noisegate.privacy.relations import Grid, Scan, ScanColumn

from .twin import FLAG, SCAN, SITE, X

F = Fraction
GRID = Grid(0, 10, F(1, 2))
SINGLE = Scan("d", "t", (ScanColumn("id", "id", Type.INT), ScanColumn("x", "x", Type.FLOAT)), "id", "p", True)
CODES = Scan("d", "c", (ScanColumn("x", "x", Type.FLOAT),), None, None)
ONE = Bounding(1, 1)
SITES = Key("site", SITE, ("a", "b"))


@pytest.mark.parametrize(
    "build",
    [
        lambda: Key("k", SITE, ()),
        lambda: Key("k", SITE, ("a", "a")),
        lambda: Key("k", SITE, (1,)),
        lambda: Key("k", X, (1.0, float("inf"))),
        lambda: Moment(X, GRID, 3),
        lambda: Moment(X, Grid(-(2**40), 2**40, F(1)), 2),
        lambda: Rank(X, GRID, 1, F(3, 2)),
        lambda: Rank(X, GRID, 1, F(1, 10_001)),
        lambda: Rank(X, GRID, 0, F(1, 2)),
        lambda: Rank(X, GRID, 11, F(1, 2)),
        lambda: Rank(X, Grid(0, MAX_CANDIDATES, F(1)), 1, F(1, 2)),
        lambda: Bounding(0, 1),
        lambda: Bounding(1, 2**21),
        lambda: Grid(2, 1, F(1)),
        lambda: Grid(0, 1, F(0)),
        lambda: Grid(0, 2**52, F(1)),
        lambda: Aggregation(CODES, (), (CountRows(),), ONE),
        lambda: Aggregation(SCAN, (), (), ONE),
        lambda: Aggregation(SCAN, (), (CountRows(), CountRows()), ONE),
        lambda: Aggregation(SCAN, (), (CountRows(X),), ONE),
        lambda: Aggregation(SCAN, (), (Sum(SITE, GRID),), ONE),
        lambda: Aggregation(SCAN, (), (Sum(ColumnRef("y", Type.FLOAT), GRID),), ONE),
        lambda: Aggregation(SCAN, (Key("site", SITE),), (CountRows(),), ONE),
        lambda: Aggregation(SCAN, (Key("site", SITE),), (CountUnits(FLAG),), ONE),
        lambda: Aggregation(SCAN, (), (CountRows(),), Bounding(1, 2)),
        lambda: Aggregation(SINGLE, (), (CountRows(),), Bounding(2, 1)),
        lambda: Aggregation(SCAN, (Key("x", X, tuple(map(float, range(200_001)))),), (CountRows(),), ONE),
        lambda: Aggregation(
            SCAN,
            (Key("x", X, tuple(map(float, range(2_000)))),),
            (Rank(X, Grid(0, 4_000, F(1)), 1, F(1, 2)),),
            ONE,
        ),
    ],
)
def test_a_question_out_of_bounds_cannot_be_built(build):
    with pytest.raises((PlanError, NotUnitLocalError)):
        build()


def test_an_aggregation_knows_its_groups_and_when_groups_must_be_dropped():
    both = (SITES, Key("flag", FLAG, (True, False, None)))
    wide = Aggregation(SCAN, both, (CountRows(FLAG), Sum(X, GRID)), Bounding(1, 6))
    assert wide.group_count == 6
    assert not wide.bound_groups
    assert Aggregation(SCAN, both, (CountRows(),), Bounding(1, 5)).bound_groups
    assert not Aggregation(SCAN, (), (CountRows(),), ONE).bound_groups
    private = Aggregation(SCAN, (Key("site", SITE),), (CountUnits(),), Bounding(1, 9))
    assert private.bound_groups
    with pytest.raises(PlanError, match="cannot be counted"):
        _ = private.group_count
    assert reads(wide) == {"site", "flag", "x"}


def test_grids_moments_and_ranks_know_their_reach():
    assert Grid(-7, 3, F(1)).reach == 7
    assert Moment(X, Grid(0, 9, F(1)), 1).centre == 4
    assert Moment(X, Grid(0, 9, F(1)), 2).reach == 25
    assert Rank(X, Grid(0, 10, F(1)), 3, F(1, 2)).candidates == 4


COUNTED = Aggregation(SCAN, (SITES,), (CountRows(), Moment(X, GRID, 1)), Bounding(1, 2))


@pytest.mark.parametrize(
    ("estimates", "outputs"),
    [
        ((NamedEstimate("site", CountOf(0), Type.INT),), (Output("n", "n"),)),
        ((NamedEstimate("n", CountOf(2), Type.INT),), (Output("n", "n"),)),
        ((NamedEstimate("n", MeanOf(1, -1), Type.FLOAT),), (Output("n", "n"),)),
        ((NamedEstimate("n", CountOf(0), Type.INT),), ()),
    ],
)
def test_a_plan_out_of_bounds_cannot_be_built(estimates, outputs):
    with pytest.raises(PlanError):
        Plan(COUNTED, estimates, (), outputs)


def test_estimates_say_what_they_read_and_steps_what_they_are():
    assert measures_of(MeanOf(moment=1, count=0)) == (1, 0)
    assert step_of(COUNTED, 0) == 1
    assert step_of(COUNTED, 1) == F(1, 2)
    assert Literal(None, Type.STR).value is None
