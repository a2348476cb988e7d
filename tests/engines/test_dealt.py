"""The cheap ways to a unit's groups (by masks, below a hash, in order only past a bound), and ranges."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from fractions import Fraction
from pathlib import Path
from unittest.mock import patch

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from noisegate.catalog.model import Budget, Column, Dataset, Table, Tier
from noisegate.engines import dealt, masks, ranges
from noisegate.engines.cells import assembled
from noisegate.engines.duckdb import DuckDB, answer
from noisegate.engines.lower import lower
from noisegate.engines.register import Snapshot, register
from noisegate.engines.unitrows import Statement
from noisegate.engines.watch import Watch
from noisegate.errors import EngineTimeout
from noisegate.privacy.exact import _open
from noisegate.privacy.expressions import Expression, Function, Type
from noisegate.privacy.question import Aggregation, Bounding, CountRows, CountUnits, Key, Moment, Rank, Sum
from noisegate.privacy.relations import Grid, JoinKind, JoinOnUnit, Scan, ScanColumn

from . import twin
from .lab import FLOAT, INT, STR, Lab, call, col, lit
from .plans import VISITS, aggregations, databases, without
from .test_lower import load, visits

RELAXED = list(HealthCheck)
X = col("x", FLOAT)
KEYS = (
    Key("n", col("n", INT), (0, 1, 2, 3)),
    Key("gap", col("n", INT), (3, -7, 1)),
    Key("null", col("n", INT), (None, 1, 0)),
    Key("yes", col("b", Type.BOOL), (True, None, False)),
    Key("site", col("s", STR), ("b", None, "a")),
    Key("text", call(Function.TO_STR, col("n", INT)), ("1", "3", "0")),
)
WHERE = (None, call(Function.GT, X, lit(0.0)), call(Function.IS_NULL, X))


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


@st.composite
def counts(draw: st.DrawFn, groups: st.SearchStrategy[int]) -> Aggregation:
    """Counts of units that go by masks."""
    keys = draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=2, unique=True))
    conditions: list[Expression | None] = draw(st.lists(st.sampled_from(WHERE), min_size=1, unique_by=repr))
    measures = tuple(CountUnits(where) for where in conditions)
    assume(any(key.name != "site" for key in keys))
    aggregation = Aggregation(VISITS, tuple(keys), measures, Bounding(3, draw(groups)))
    assert masks.fits(aggregation)
    return aggregation


@settings(max_examples=60, deadline=None, suppress_health_check=RELAXED)
@given(aggregation=counts(st.just(100)), database=databases())
def test_counts_by_masks_are_the_twins(lab: Lab, aggregation: Aggregation, database: twin.Database) -> None:
    load(lab, database)
    assert lab.cells(aggregation) == twin.cells(aggregation, database)


@settings(max_examples=60, deadline=None, suppress_health_check=RELAXED)
@given(
    aggregation=counts(st.integers(1, 4)),
    database=databases(),
    gone=st.sampled_from([1, 2, 3, 4]),
    ends=st.sets(st.sampled_from([1, 2, 3, 4, 9])),
)
def test_a_unit_adds_one_to_as_many_counts_as_it_may_and_no_more(
    lab: Lab, aggregation: Aggregation, database: twin.Database, gone: int, ends: set[int]
) -> None:
    load(lab, database)
    everybody = lab.cells(aggregation, ends=tuple(sorted(ends)))
    load(lab, without(database, gone))
    others = lab.cells(aggregation)
    moved = {k: [a - b for a, b in zip(everybody[k], others[k], strict=True)] for k in everybody}
    assert all(0 <= m <= 1 for cells in moved.values() for m in cells)
    stands_in = sum(any(cells) for cells in moved.values())
    unbounded = Aggregation(VISITS, aggregation.keys, (CountUnits(),), Bounding(3, 100))
    load(lab, without(database, *(u for u in (1, 2, 3, 4) if u != gone)))
    alone = sum(cells[0] for cells in lab.cells(unbounded).values())
    assert stands_in <= min(alone, aggregation.bounding.groups)
    if None in [m.where for m in aggregation.measures]:
        assert stands_in == min(alone, aggregation.bounding.groups)


def test_masks_choose_a_units_groups_evenly(lab: Lab) -> None:
    load(lab, visits(*((u, "a", float(v)) for u in range(3_000) for v in range(6))))
    key = Key("v", call(Function.TO_INT, X), tuple(range(6)))
    found = lab.cells(Aggregation(VISITS, (key,), (CountUnits(),), Bounding(1, 2)), salt=5)
    # 1,000 are expected of each, with a standard deviation of 26.
    assert all(abs(cells[0] - 1_000) < 130 for cells in found.values())
    assert sum(cells[0] for cells in found.values()) == 6_000


@settings(max_examples=100, deadline=None, suppress_health_check=RELAXED)
@given(aggregation=aggregations(), database=databases())
def test_groups_below_a_hash_are_those_that_come_first_in_order(
    lab: Lab, aggregation: Aggregation, database: twin.Database
) -> None:
    load(lab, database)
    below = lab.cells(aggregation)
    with patch.object(dealt, "FEW_GROUPS", 0):
        assert lab.cells(aggregation) == below


GRID = Grid(-2, 8, Fraction(1, 2))
MIXED = (CountRows(), CountUnits(), Sum(X, GRID), Moment(X, GRID, 1))


@pytest.mark.parametrize("few", [0, 32])
@pytest.mark.parametrize("measures", [MIXED, (CountUnits(),)], ids=["mixed", "units"])
def test_equal_hashes_keep_no_more_groups_than_are_allowed(
    lab: Lab, measures: tuple[CountUnits, ...], few: int
) -> None:
    load(lab, visits(*((u, "a", float(v)) for u in range(10) for v in range(u))))
    key = Key("v", call(Function.TO_INT, X), tuple(range(10)))
    aggregation = Aggregation(VISITS, (key,), measures, Bounding(2, 3, 4))
    with patch.object(dealt, "FEW_GROUPS", few):
        statements = lower(aggregation)
    assert all("hash(hash(" in s.sql for s in statements)
    answers = []
    for s in statements:
        tied = Statement(s.sql.replace("hash(hash(", "least(1, hash("), s.measures, s.salted)
        answers.append((tied, answer(lab.connection, tied, 7, ())))
    _, cells = _open(assembled(aggregation, answers))
    units = int(cells[measures.index(CountUnits())].sum())
    assert units <= sum(min(u, 3) for u in range(10))
    assert units >= sum(u for u in range(4))


def test_totals_of_ranges_that_pass_64_bits_cancel_exactly(lab: Lab) -> None:
    grid = Grid(-(2**52) + 1, 2**52 - 1, Fraction(1))
    signs = [*[(u, 1) for u in range(1, 6)], *[(u, -1) for u in range(6, 11)], (11, 0)]
    load(lab, visits(*((u, "a", sign * 1e300 + 3) for u, sign in signs for _ in range(1_000))))
    asked = Aggregation(VISITS, (), (Sum(X, grid),), Bounding(1_000, 1))
    assert lab.cells(asked, ends=(6,)) == lab.cells(asked) == {(): [3_000]}
    for left in (range(1, 6), range(6, 11)):
        load(lab, visits(*((u, "a", sign * 1e300) for u, sign in signs if u in left for _ in range(1_000))))
        whole = {(): [2**63 - 1 if left[0] == 1 else -(2**63) + 1]}
        assert lab.cells(asked, ends=(3, 8)) == lab.cells(asked) == whole


# The engine, by ranges


PEOPLE = 900


@pytest.fixture(scope="module", params=["int", "str"])
def snapshot(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("registered")
    kind = INT if request.param == "int" else STR
    ids = [n * 7919 % PEOPLE for n in range(PEOPLE * 8)]
    made = {
        "id": pa.array(ids if kind is INT else [f"p{n}" for n in ids]),
        "site": pa.array([None if n % 17 == 0 else f"s{n % 13}" for n in range(len(ids))]),
        "x": pa.array([float(n % 11) for n in range(len(ids))]),
    }
    pq.write_table(pa.table(made), folder / "t.parquet")
    unit = Column("id", kind, Tier.DEMOGRAPHIC, nullable=False)
    columns = (unit, Column("site", STR, Tier.CLINICAL), Column("x", FLOAT, Tier.CLINICAL))
    rows = Table("rows", "t.parquet", columns, "id", rows_per_unit=4)
    budget = Budget(Fraction(1), Fraction(1, 10**6))
    dataset = Dataset("liver", "", "town", "id", budget, (rows,), unit_type=kind)
    return register(dataset, folder, folder / "snapshots", 1)


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "FEWEST", 1)
    monkeypatch.setattr(ranges, "ROWS_A_THREAD", 100)
    monkeypatch.setattr("noisegate.engines.duckdb.secrets.randbits", lambda _: 7)


@contextmanager
def opened(snapshot: Snapshot, folder: Path, timeout_s: float = 60.0) -> Iterator[DuckDB]:
    with closing(
        DuckDB({"liver": snapshot}, memory_limit="500MB", spill=folder, threads=2, timeout_s=timeout_s)
    ) as engine:
        yield engine


def scan(snapshot: Snapshot) -> Scan:
    kind = STR if '"type":"str"' in snapshot.declared.split('"name":"id"')[1][:60] else INT
    columns = tuple(ScanColumn(n, n, k) for n, k in (("id", kind), ("site", STR), ("x", FLOAT)))
    return Scan("liver", "rows", columns, "id", "town")


def questions(snapshot: Snapshot) -> list[Aggregation]:
    rows = scan(snapshot)
    names = tuple(ScanColumn(c.source, f"r.{c.name}", c.type) for c in rows.columns)
    other = Scan("liver", "rows", names, "r.id", "town")
    site, private = (Key("site", col("site", STR), d) for d in (("s1", None, "s2", "s7"), None))
    value = Key("v", call(Function.TO_INT, X), tuple(range(11)))
    rank = Rank(X, Grid(0, 20, Fraction(1, 2)), 2, Fraction(1, 2))
    greater = call(Function.GT, X, col("r.x", FLOAT))
    return [
        Aggregation(rows, (), MIXED, Bounding(3, 1)),
        Aggregation(rows, (site,), (*MIXED, rank), Bounding(2, 2, 3)),
        Aggregation(rows, (site, value), (CountUnits(), CountUnits(greater_than(4.0))), Bounding(2, 3)),
        Aggregation(rows, (private,), (CountUnits(), CountRows()), Bounding(2, 3)),
        Aggregation(JoinOnUnit(rows, other, JoinKind.LEFT, greater), (site,), MIXED, Bounding(3, 2)),
    ]


def greater_than(value: float) -> Expression:
    return call(Function.GT, X, lit(value))


@pytest.mark.usefixtures("small_ranges")
def test_the_engine_gives_the_same_cells_by_ranges_and_at_once(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(snapshot, tmp_path) as engine:
        parted = [engine.prepare(asked) for asked in questions(snapshot)]
        assert all(len(ready.ends) > 20 for ready in parted)
        assert "p1" not in repr(parted[0]).split("ends")[-1]
        by_ranges = [_open(engine.run(ready)) for ready in parted]
    monkeypatch.setattr(ranges, "FEWEST", 2**40)
    with opened(snapshot, tmp_path) as engine:
        for asked, (keys, cells) in zip(questions(snapshot), by_ranges, strict=True):
            ready = engine.prepare(asked)
            assert not ready.ends
            keys_at_once, cells_at_once = _open(engine.run(ready))
            if asked.private_keys:
                found, at_once = (
                    dict(zip(k, c[0].tolist(), strict=True))
                    for k, c in ((keys, cells), (keys_at_once, cells_at_once))
                )
                assert found == at_once
                continue
            assert keys == keys_at_once
            for cell, other in zip(cells, cells_at_once, strict=True):
                assert plain(cell) == plain(other)


def plain(cell: object) -> object:
    """Return the integers of cells, which may be held sparsely."""
    if isinstance(cell, np.ndarray):
        return cell.tolist()
    return [getattr(cell, name).tolist() for name in type(cell).__slots__]


@pytest.mark.usefixtures("small_ranges")
def test_ranges_stop_when_their_time_is_up(snapshot: Snapshot, tmp_path: Path) -> None:
    with opened(snapshot, tmp_path, timeout_s=0.01) as engine:
        ready = engine.prepare(questions(snapshot)[4])
        with pytest.raises(EngineTimeout):
            engine.run(ready)


def test_a_watch_interrupts_what_is_late_until_it_ends() -> None:
    watch = Watch(0.05)
    connection = duckdb.connect()
    with watch.watching(connection):
        time.sleep(0.1)  # nothing runs when its time is up
        with pytest.raises(duckdb.InterruptException):
            for _ in range(100):
                connection.execute("SELECT sum(hash(i)) FROM range(1000000) AS r(i)").fetchall()
                time.sleep(0.01)
    time.sleep(0.05)
    assert connection.execute("SELECT 1").fetchall() == [(1,)]
    watch.stop()
