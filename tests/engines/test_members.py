"""Who has a row: whom the twin finds, each once, whoever else is there, and nothing said of them."""

import traceback
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisegate.catalog.model import Budget, Column, Dataset, Table, Tier
from noisegate.engines import duckdb as engine_file
from noisegate.engines.duckdb import DuckDB
from noisegate.engines.members import ReadyMembers, members_of, statement
from noisegate.engines.register import Snapshot, register
from noisegate.errors import EngineFailed, EngineTimeout, InternalError
from noisegate.privacy.expressions import Function, NotUnitLocalError, PlanError
from noisegate.privacy.members import _open
from noisegate.privacy.relations import Filter, JoinKind, JoinPublic, Relation, Scan, ScanColumn

from . import twin
from .lab import CHECKER, FLOAT, INT, STR, Lab, call, col, lit, tables
from .plans import PEOPLE, PLACES, VISITS, databases, relations, without

ROWS = 4_000
SECRET = "4711-secret"


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


def load(lab: Lab, database: twin.Database) -> None:
    for scan in (VISITS, PEOPLE, PLACES):
        lab.put(scan, database[scan.dataset, scan.table])


def units(lab: Lab, relation: Relation) -> list[object]:
    """Return the units that the statement gives, in order."""
    written = statement(relation)
    CHECKER.check(written.sql, tables(relation))
    columns = lab.connection.execute(written.sql).fetchnumpy()
    return sorted(_open(members_of(ReadyMembers(relation, written), columns)).tolist())


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(relation=relations(), database=databases())
def test_members_are_those_the_twin_finds_each_once(
    lab: Lab, relation: Relation, database: twin.Database
) -> None:
    load(lab, database)
    found = {row[relation.shape.unit or ""] for row in twin.rows(relation, database)}
    assert None not in found
    assert units(lab, relation) == sorted(found)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(relation=relations(), database=databases(), gone=st.sampled_from([1, 2, 3, 4]))
def test_whether_a_unit_is_a_member_does_not_depend_on_another(
    lab: Lab, relation: Relation, database: twin.Database, gone: int
) -> None:
    load(lab, database)
    kept = [unit for unit in units(lab, relation) if unit != gone]
    load(lab, without(database, gone))
    assert units(lab, relation) == kept


def test_members_of_a_public_table_are_refused() -> None:
    with pytest.raises(NotUnitLocalError):
        statement(PLACES)


def test_people_who_are_named_by_other_than_numbers_and_text_are_refused() -> None:
    dated = Scan("lab", "people", (ScanColumn("x", "x", FLOAT),), "x", "town")
    with pytest.raises(PlanError, match="whole numbers or text"):
        statement(dated)


def test_a_column_without_a_unit_is_a_failure() -> None:
    ready = ReadyMembers(PEOPLE, statement(PEOPLE))
    gone = np.ma.MaskedArray(np.array([1, 2]), [False, True])
    with pytest.raises(EngineFailed):
        members_of(ready, {"u": gone})


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("registered")
    made = {
        "id": pa.array([f"{SECRET}-{n // 4}" for n in range(ROWS)]),
        "x": pa.array([float(n % 10) for n in range(ROWS)]),
    }
    pq.write_table(pa.table(made), folder / "t.parquet")
    columns = (Column("id", STR, Tier.DEMOGRAPHIC, nullable=False), Column("x", FLOAT, Tier.CLINICAL))
    visits = Table("visits", "t.parquet", columns, "id", rows_per_unit=4)
    public = Table("places", "t.parquet", columns, None)
    budget = Budget(Fraction(1), Fraction(1, 10**6))
    dataset = Dataset("liver", "", "town", "id", budget, (visits, public), unit_type=STR)
    return register(dataset, folder, folder / "snapshots", 1)


def engine_of(snapshot: Snapshot, folder: Path, **more: object) -> DuckDB:
    return DuckDB({"liver": snapshot}, memory_limit="500MB", spill=folder / "spill", threads=1, **more)


@pytest.fixture
def engine(snapshot: Snapshot, tmp_path: Path) -> Iterator[DuckDB]:
    made = engine_of(snapshot, tmp_path)
    yield made
    made.close()


SOURCE = tuple(ScanColumn(n, n, k) for n, k in (("id", STR), ("x", FLOAT)))
REGISTERED = Scan("liver", "visits", SOURCE, "id", "town")
LISTED = Scan(
    "liver", "places", tuple(ScanColumn(c.source, f"p.{c.name}", c.type) for c in SOURCE), None, None
)
HIGH = Filter(REGISTERED, call(Function.GE, col("x", FLOAT), lit(8.0)))


def test_the_engine_gives_the_members_of_what_was_registered(engine: DuckDB) -> None:
    ready = engine.prepare_members(HIGH)
    found = engine.members(ready)
    assert ready.population == found.population == "town"
    wanted = {f"{SECRET}-{n // 4}" for n in range(ROWS) if n % 10 >= 8}
    assert sorted(_open(found).tolist()) == sorted(wanted)
    assert SECRET not in repr((ready, found))


def test_nobody_is_a_member_where_no_row_is(engine: DuckDB) -> None:
    none = Filter(REGISTERED, call(Function.GT, col("x", FLOAT), lit(99.0)))
    assert _open(engine.members(engine.prepare_members(none))).tolist() == []


@pytest.mark.parametrize(
    "scan",
    [
        replace(REGISTERED, table="gone"),
        replace(REGISTERED, population="elsewhere"),
        replace(LISTED, table="visits"),
    ],
)
def test_a_relation_over_what_was_not_registered_so_is_refused_before_it_runs(
    engine: DuckDB, scan: Scan
) -> None:
    with pytest.raises(InternalError, match="otherwise than it was registered"):
        engine.prepare_members(scan)


def test_what_does_not_pass_the_second_look_is_refused_before_it_runs(
    engine: DuckDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = statement(REGISTERED)
    monkeypatch.setattr(
        engine_file, "statement", lambda _: replace(honest, sql=honest.sql.replace("ds_liver", "ds_other"))
    )
    with pytest.raises(InternalError, match="did not pass its own check"):
        engine.prepare_members(REGISTERED)


def test_a_search_for_members_past_its_time_stops_and_says_nothing(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    impatient = engine_of(snapshot, tmp_path, timeout_s=0.2)
    beside = JoinPublic(
        REGISTERED, LISTED, JoinKind.INNER, call(Function.NE, col("x", FLOAT), col("p.x", FLOAT))
    )
    again = Scan(
        "liver", "places", tuple(ScanColumn(c.source, f"q.{c.name}", c.type) for c in SOURCE), None, None
    )
    endless = JoinPublic(
        beside, again, JoinKind.INNER, call(Function.NE, col("p.x", FLOAT), col("q.x", FLOAT))
    )
    with pytest.raises(EngineTimeout) as caught:
        impatient.members(impatient.prepare_members(endless))
    nothing_but(caught.value, EngineTimeout())
    impatient.close()


def test_an_error_that_quotes_a_member_does_not_come_through(
    engine: DuckDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quoting(*_: object) -> None:
        raise ValueError(f"{SECRET}-7 is no number")

    monkeypatch.setattr(engine_file, "members_of", quoting)
    with pytest.raises(EngineFailed) as caught:
        engine.members(engine.prepare_members(HIGH))
    nothing_but(caught.value, EngineFailed())


def nothing_but(error: BaseException, plain: BaseException) -> None:
    """The error is word for word the plain one, and no other travels along with it."""
    assert str(error) == str(plain)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert SECRET not in "".join(traceback.format_exception(error))


def test_units_that_are_whole_numbers_come_as_such(lab: Lab) -> None:
    load(lab, {("lab", "visits"): [], ("lab", "people"): [], ("lab", "places"): []})
    assert PEOPLE.shape.type_of("u") is INT
    assert units(lab, PEOPLE) == []
