"""Exact cells: the twin's where it can tell them, bounded in how far one unit moves them everywhere."""

import random
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from noisegate.engines.lower import lower
from noisegate.privacy.expressions import Function, Scalar
from noisegate.privacy.question import (
    Aggregation,
    Bounding,
    CountRows,
    CountUnits,
    CountValues,
    Key,
    Measure,
    Moment,
    Rank,
    Sum,
)
from noisegate.privacy.relations import Grid

from . import twin
from .lab import FLOAT, INT, STR, Lab, call, col, lit
from .plans import PEOPLE, PLACES, STORED, VISITS, aggregations, databases, without

RELAXED = list(HealthCheck)
X = col("x", FLOAT)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


def load(lab: Lab, database: twin.Database) -> None:
    for scan in (VISITS, PEOPLE, PLACES):
        lab.put(scan, database[scan.dataset, scan.table])


def visits(*rows: tuple[int | None, str | None, float | None]) -> twin.Database:
    """Visits of (unit, site, x)."""
    blank = {"n": 1, "other n": 2, "b": True, "d": None}
    made = [{**blank, "patient": u, STORED["s"]: s, STORED["x"]: x} for u, s, x in rows]
    return {("lab", "visits"): made, ("lab", "people"): [], ("lab", "places"): []}


@settings(max_examples=150, deadline=None, suppress_health_check=RELAXED)
@given(aggregation=aggregations(told=True), database=databases())
def test_cells_are_the_twins(lab: Lab, aggregation: Aggregation, database: twin.Database) -> None:
    load(lab, database)
    assert lab.cells(aggregation) == twin.cells(aggregation, database)


def most_moved(measure: Measure, rows: int) -> int:
    """How far one unit may move one cell (a Rank: all candidates of a group together), from the docs."""
    match measure:
        case CountUnits():
            return 1
        case CountRows() | CountValues() | Rank():
            return rows
        case Sum(grid=grid):
            return rows * max(abs(grid.low), abs(grid.high))
        case Moment(grid=grid, power=power):
            centre = (grid.low + grid.high) // 2
            return rows * max(abs(grid.low - centre), abs(grid.high - centre)) ** power


@settings(max_examples=150, deadline=None, suppress_health_check=RELAXED)
@given(
    aggregation=aggregations(),
    database=databases(),
    gone=st.sampled_from([1, 2, 3, 4]),
    salt=st.integers(0, 2**64 - 1),
)
def test_one_unit_moves_no_cell_further_than_its_measure_says_and_few_groups(
    lab: Lab, aggregation: Aggregation, database: twin.Database, gone: int, salt: int
) -> None:
    load(lab, database)
    with_unit = lab.cells(aggregation, salt)
    load(lab, without(database, gone))
    without_unit = lab.cells(aggregation, salt)
    moved_groups = set()
    for i, measure in enumerate(aggregation.measures):
        for key in with_unit.keys() | without_unit.keys():
            a, b = (found.get(key, [None] * 9)[i] for found in (with_unit, without_unit))
            moved = distance(a, b)
            assert moved <= most_moved(measure, aggregation.bounding.rows), (measure, key, a, b)
            if moved or key not in with_unit or key not in without_unit:
                moved_groups.add(key)
    # The same groups for all measures, so the bound holds for all of them together.
    assert len(moved_groups) <= aggregation.bounding.groups


@settings(max_examples=80, deadline=None, suppress_health_check=RELAXED)
@given(
    aggregation=aggregations(),
    database=databases(),
    gone=st.sampled_from([1, 2, 3, 4]),
)
def test_one_unit_moves_all_cells_together_no_further_than_its_rows_in_all(
    lab: Lab, aggregation: Aggregation, database: twin.Database, gone: int
) -> None:
    load(lab, database)
    with_unit = lab.cells(aggregation)
    load(lab, without(database, gone))
    without_unit = lab.cells(aggregation)
    for i, measure in enumerate(aggregation.measures):
        if isinstance(measure, CountRows | Sum | Moment):
            moved = sum(
                distance(*(found.get(key, [None] * 9)[i] for found in (with_unit, without_unit)))
                for key in with_unit.keys() | without_unit.keys()
            )
            assert moved <= most_moved(measure, 1) * aggregation.bounding.total


def test_rows_are_dealt_out_to_groups_until_none_are_left(lab: Lab) -> None:
    database = visits(*((u, "a", float(v)) for u in range(40) for v in (0, 1, 2) for _ in range(v + 2)))
    key = Key("v", call(Function.TO_INT, X), (0, 1, 2))
    grid = Grid(0, 8, Fraction(1))
    measures = (CountRows(), Moment(X, grid, 1), Sum(X, Grid(1, 1, Fraction(1))), CountUnits())
    load(lab, database)
    # Units have 2, 3 and 4 rows in the groups: 3 at most in each, so 8, of which 5 are dealt out.
    found = lab.cells(Aggregation(VISITS, (key,), measures, Bounding(3, 3, 5)))
    assert sum(cells[0] for cells in found.values()) == 40 * 5
    assert all(0 < cells[0] < 40 * 3 for cells in found.values())
    for value, (rows, moment, total, units) in found.items():
        assert moment == (value[0] - 4) * rows
        assert total == rows
        assert units == 40
    everything = lab.cells(Aggregation(VISITS, (key,), measures, Bounding(3, 3)))
    assert [cells[0] for cells in everything.values()] == [80, 120, 120]


def distance(a: object, b: object) -> int:
    if isinstance(a, list) or isinstance(b, list):
        length = len(a) if isinstance(a, list) else len(b)
        left, right = (c if isinstance(c, list) else [0] * length for c in (a, b))
        return sum(abs(x - y) for x, y in zip(left, right, strict=True))
    return abs((a or 0) - (b or 0))


@settings(max_examples=40, deadline=None, suppress_health_check=RELAXED)
@given(aggregation=aggregations(), database=databases(), seed=st.integers(0, 99))
def test_neither_the_order_of_rows_nor_threads_change_a_cell(
    lab: Lab, aggregation: Aggregation, database: twin.Database, seed: int
) -> None:
    load(lab, database)
    before = lab.cells(aggregation)
    shuffled = {t: random.Random(seed).sample(rows, len(rows)) for t, rows in database.items()}
    load(ALONE, shuffled)
    assert ALONE.cells(aggregation) == before


ALONE = Lab(threads=1)


@settings(max_examples=80, deadline=None, suppress_health_check=RELAXED)
@given(
    aggregation=aggregations(),
    database=databases(),
    ends=st.sets(st.sampled_from([-5, 0, 1, 2, 3, 4, 5, 2**40]), min_size=1),
)
def test_ranges_of_units_add_up_to_the_same_cells_whatever_their_ends(
    lab: Lab, aggregation: Aggregation, database: twin.Database, ends: set[int]
) -> None:
    assume(not any(key.expression.type is FLOAT for key in aggregation.keys))
    load(lab, database)
    assert lab.cells(aggregation, ends=tuple(sorted(ends))) == lab.cells(aggregation)


def test_many_rows_give_the_same_cells_on_one_thread_and_on_four() -> None:
    draw = random.Random(5)
    rows = [
        (
            draw.randrange(1_000),
            draw.choice(["a", "b", "c", None]),
            draw.choice([None, draw.uniform(-9, 9), 1e300]),
        )
        for _ in range(150_000)
    ]
    site = {u: s for u, s, _ in rows}
    database = visits(*((u, site[u], x) for u, s, x in rows))
    grid = Grid(-300, 700, Fraction(1, 100))
    aggregation = Aggregation(
        VISITS,
        (Key("n", call(Function.TO_INT, call(Function.FLOOR, X)), None),),
        (
            CountUnits(),
            CountRows(),
            Sum(X, grid),
            Moment(X, grid, 2),
            Rank(X, grid, 10, Fraction(1, 2)),
            CountValues(X),
        ),
        Bounding(2, 3),
    )
    answers = []
    for threads in (1, 4):
        many = Lab(threads)
        load(many, database)
        answers.append(many.cells(aggregation))
    assert answers[0] == answers[1]
    shuffled = {t: draw.sample(r, len(r)) for t, r in database.items()}
    load(many, shuffled)
    assert many.cells(aggregation) == answers[0]


SITE = Key("site", col("s", STR), ("a", "b"))
GRID = Grid(-2, 8, Fraction(1, 2))


def one(
    lab: Lab, measure: Measure, rows: int, database: twin.Database, *keys: Key
) -> dict[tuple[Scalar, ...], object]:
    load(lab, database)
    found = lab.cells(Aggregation(VISITS, keys, (measure,), Bounding(rows, 1)))
    return {key: cells[0] for key, cells in found.items()}


def test_a_units_total_is_clamped_not_its_rows(lab: Lab) -> None:
    database = visits((1, "a", 4.0), (1, "a", 4.0), (1, "a", -1.0), (2, "a", 0.5))
    assert one(lab, Sum(X, GRID), 1, database) == {(): 8 + 1}
    assert one(lab, Sum(X, GRID), 2, database) == {(): 14 + 1}
    assert one(lab, Sum(X, Grid(3, 8, Fraction(1, 2))), 20, database) == {(): 8 + 8 + 3 + 3}


def test_a_moment_keeps_a_frequent_units_mean(lab: Lab) -> None:
    database = visits(*[(1, "a", 2.0)] * 9, (1, "a", None))
    # Steps of 2.0 are 4, one above the centre 3.
    assert one(lab, Moment(X, GRID, 1), 3, database) == {(): 3}
    assert one(lab, Moment(X, GRID, 2), 3, database) == {(): 3}
    assert one(lab, CountRows(call(Function.NOT, call(Function.IS_NULL, X))), 3, database) == {(): 3}


def test_a_weighed_total_is_rounded_towards_zero(lab: Lab) -> None:
    up = visits((1, "a", 2.0), (1, "a", 2.0), (1, "a", 1.5))
    down = visits((1, "a", 1.0), (1, "a", 1.0), (1, "a", 1.5))
    assert one(lab, Moment(X, GRID, 1), 1, up) == {(): 0}
    assert one(lab, Moment(X, GRID, 1), 1, down) == {(): 0}


def test_values_far_outside_the_bounds_are_clamped_and_nothing_else_is_counted(lab: Lab) -> None:
    huge = visits((1, "a", 1.7e308), (2, "a", -1.7e308), (3, "a", None), (4, "a", 5e-324))
    assert one(lab, Sum(X, GRID), 1, huge) == {(): 8 - 2}
    wide = Grid(-(2**52) + 1, 2**52 - 1, Fraction(1, 2**40))
    assert one(lab, Sum(X, wide), 1, huge) == {(): 0}
    assert one(lab, Sum(X, wide), 512, visits(*[(1, "a", 1e300)] * 3)) == {(): 3 * (2**52 - 1)}


@pytest.mark.parametrize(
    "step", [Fraction(1, 3), Fraction(7, 3), Fraction(10**30), Fraction(1, 10**30), Fraction(1, 10)]
)
@pytest.mark.parametrize("x", [0.1, -0.3, 1e300, -1e300, 1e-300, 2.5, 1e29])
def test_every_step_gives_an_integer_within_the_grid_near_the_value(
    lab: Lab, step: Fraction, x: float
) -> None:
    grid = Grid(-(2**52) + 1, 2**52 - 1, step)
    found = one(lab, Sum(X, grid), 1, visits((1, "a", x)))[()]
    exact = min(max(Fraction(x) / step, grid.low), grid.high)
    assert grid.low <= found <= grid.high
    assert abs(found - exact) <= Fraction(1, 2) + abs(exact) / 2**51


def test_sums_past_64_bits_saturate(lab: Lab) -> None:
    grid = Grid(-(2**52) + 1, 2**52 - 1, Fraction(1))
    for sign in (1, -1):
        load(lab, visits(*((u, "a", sign * 1e300) for u in range(5) for _ in range(1000))))
        found = lab.cells(Aggregation(VISITS, (), (Sum(X, grid),), Bounding(1000, 1)))
        assert found == {(): [sign * (2**63 - 1)]}


def test_a_rank_keeps_a_units_own_proportions(lab: Lab) -> None:
    database = visits(*[(1, "a", 0.0)] * 30, *[(1, "a", 2.0)] * 10)
    rank = Rank(X, Grid(0, 8, Fraction(1, 2)), 4, Fraction(1, 2))
    found = one(lab, rank, 4, database)[()]
    assert found == [3, 1, 0]


def test_a_unit_names_only_so_many_values(lab: Lab) -> None:
    own = visits(*((u, "a", 10.0 * u + v) for u in range(20) for v in range(5) for _ in range(3)))
    for rows in (1, 2, 4, 5, 6):
        assert one(lab, CountValues(X), rows, own) == {(): 20 * min(rows, 5)}
    none = visits((1, "a", None), (1, "a", 1.0), (2, "a", 1.0))
    assert one(lab, CountValues(X), 1, none) == {(): 1}


def test_dropped_groups_are_the_same_for_all_measures(lab: Lab) -> None:
    database = visits(*((u, "a", float(v)) for u in range(50) for v in range(6)))
    key = Key("v", call(Function.TO_INT, X), tuple(range(6)))
    rank = Rank(X, Grid(0, 8, Fraction(1)), 4, Fraction(1, 2))
    aggregation = Aggregation(
        VISITS, (key,), (CountUnits(), CountRows(), CountValues(X), rank), Bounding(1, 2)
    )
    load(lab, database)
    found = lab.cells(aggregation, salt=3)
    assert sum(cells[0] for cells in found.values()) == 100
    for units, rows, _, ranks in found.values():
        assert units == rows == sum(ranks)
    assert found != lab.cells(aggregation, salt=4)


def test_values_outside_the_domain_take_no_groups_place(lab: Lab) -> None:
    database = visits(*((u, "a", float(v)) for u in range(20) for v in range(30)))
    key = Key("v", call(Function.TO_INT, X), (0, 1, 2))
    load(lab, database)
    found = lab.cells(Aggregation(VISITS, (key,), (CountUnits(), CountValues(X)), Bounding(1, 2)))
    assert sum(cells[0] for cells in found.values()) == 40
    assert set(found) == {(0,), (1,), (2,)}


def test_null_is_a_group_only_where_the_domain_says_so(lab: Lab) -> None:
    database = visits((1, None, 1.0), (2, "a", 1.0), (3, "c", 1.0))
    assert one(lab, CountUnits(), 5, database, SITE) == {("a",): 1, ("b",): 0}
    with_null = Key("site", col("s", STR), ("a", None))
    assert one(lab, CountUnits(), 5, database, with_null) == {("a",): 1, (None,): 1}
    private = Key("site", col("s", STR))
    assert one(lab, CountUnits(), 5, database, private) == {("a",): 1, ("c",): 1, (None,): 1}


def test_long_domains_and_short_ones_give_the_same_cells(lab: Lab) -> None:
    database = visits((1, "a", 1.0), (2, "b", 1.0), (3, "c", 1.0))
    long = Key("site", col("s", STR), ("a", "b", *(f"other {n}" for n in range(40))))
    found = one(lab, CountUnits(), 5, database, long)
    assert {k: v for k, v in found.items() if v} == {("a",): 1, ("b",): 1}
    assert list(found) == [(v,) for v in long.domain or ()]


def test_an_empty_table_gives_zeros(lab: Lab) -> None:
    nobody = visits()
    assert one(lab, Sum(X, GRID), 5, nobody, SITE) == {("a",): 0, ("b",): 0}
    assert one(lab, CountRows(), 5, nobody) == {(): 0}
    assert one(lab, Rank(X, GRID, 5, Fraction(1, 2)), 5, nobody) == {(): [0, 0, 0]}
    assert one(lab, CountUnits(), 5, nobody, Key("site", col("s", STR))) == {}


def test_bounding_is_written_only_where_a_unit_could_pass_it() -> None:
    free = Aggregation(VISITS, (SITE,), (CountRows(),), Bounding(5, 1))
    bound = Aggregation(VISITS, (Key("n", col("n", INT), (1, 2, 3)),), (CountRows(),), Bounding(5, 2))
    assert [s.salted for s in lower(free)] == [False]
    assert [s.salted for s in lower(bound)] == [True]
    single = Aggregation(
        PEOPLE, (Key("n", col("n", INT), (1, 2, 3)),), (CountRows(), Sum(X, GRID)), Bounding(1, 1)
    )
    (statement,) = lower(single)
    assert statement.sql.count("GROUP BY") == 1


def test_the_salt_is_never_in_the_text() -> None:
    bound = Aggregation(
        VISITS, (Key("n", col("n", INT), (1, 2, 3)),), (CountRows(), CountValues(X)), Bounding(5, 2)
    )
    assert lower(bound) == lower(bound)
    assert all("$salt" in s.sql for s in lower(bound))


def test_lit_is_what_it_says() -> None:
    assert lit(1).type is INT
