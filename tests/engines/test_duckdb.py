"""The locked engine: answers, failures that say nothing, and doors that stay shut."""

import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisegate.catalog.model import Budget, Column, Dataset, Table, Tier
from noisegate.engines.duckdb import DuckDB
from noisegate.engines.register import Snapshot, register
from noisegate.errors import EngineFailed, EngineTimeout, InternalError
from noisegate.privacy.exact import Exact, _open
from noisegate.privacy.expressions import Function, Scalar
from noisegate.privacy.question import Aggregation, Bounding, CountRows, CountUnits, Key, Sum
from noisegate.privacy.relations import Grid, JoinKind, JoinPublic, Scan, ScanColumn

from .lab import FLOAT, INT, STR, call, col, lit

ROWS = 20_000
SECRET = "4711-secret"


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("registered")
    made = {
        "id": pa.array([n // 4 for n in range(ROWS)]),
        "site": pa.array([f"{SECRET}-{n % 50}" for n in range(ROWS)]),
        "x": pa.array([float(n % 10) for n in range(ROWS)]),
    }
    pq.write_table(pa.table(made), folder / "t.parquet")
    unit = Column("id", INT, Tier.DEMOGRAPHIC, nullable=False)
    columns = (unit, Column("site", STR, Tier.CLINICAL), Column("x", FLOAT, Tier.CLINICAL))
    visits = Table("visits", "t.parquet", columns, "id", rows_per_unit=4)
    public = Table("places", "t.parquet", columns, None)
    budget = Budget(Fraction(1), Fraction(1, 10**6))
    dataset = Dataset("liver", "", "town", "id", budget, (visits, public))
    return register(dataset, folder, folder / "snapshots", 1)


def engine_of(snapshot: Snapshot, folder: Path, **more: object) -> DuckDB:
    return DuckDB({"liver": snapshot}, memory_limit="500MB", spill=folder / "spill", threads=2, **more)


@pytest.fixture
def engine(snapshot: Snapshot, tmp_path: Path) -> Iterator[DuckDB]:
    made = engine_of(snapshot, tmp_path)
    yield made
    made.close()


SOURCE = tuple(ScanColumn(n, n, k) for n, k in (("id", INT), ("site", STR), ("x", FLOAT)))
VISITS = Scan("liver", "visits", SOURCE, "id", "town")
PLACES = Scan(
    "liver", "places", tuple(ScanColumn(c.source, f"p.{c.name}", c.type) for c in SOURCE), None, None
)
COUNT = Aggregation(VISITS, (), (CountRows(), CountUnits()), Bounding(3, 1))
# Each visit beside every place: far more rows than the time limit of the test allows.
ENDLESS = Aggregation(
    JoinPublic(VISITS, PLACES, JoinKind.INNER, call(Function.NE, col("x", FLOAT), col("p.x", FLOAT))),
    (Key("p.site", col("p.site", STR)),),
    (CountUnits(),),
    Bounding(3, 5),
)


def opened(exact: Exact) -> dict[tuple[Scalar, ...], list[object]]:
    keys, cells = _open(exact)
    return {key: [c[i].tolist() for c in cells] for i, key in enumerate(keys)}


def test_an_aggregation_runs_on_what_was_registered(engine: DuckDB) -> None:
    assert opened(engine.run(COUNT)) == {(): [ROWS * 3 // 4, ROWS // 4]}


def test_private_keys_come_with_their_groups(engine: DuckDB) -> None:
    key = Key("site", col("site", STR))
    found = opened(engine.run(Aggregation(VISITS, (key,), (CountUnits(), CountRows()), Bounding(4, 4))))
    assert len(found) == 50
    assert sum(cells[0] for cells in found.values()) == ROWS


def test_each_run_draws_a_salt_of_its_own(engine: DuckDB) -> None:
    key = Key("site", col("site", STR))
    bound = Aggregation(VISITS, (key,), (CountUnits(),), Bounding(4, 1))
    answers = [opened(engine.run(bound)) for _ in range(3)]
    assert not answers[0] == answers[1] == answers[2]


def test_many_threads_may_ask_at_once(engine: DuckDB) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: opened(engine.run(COUNT)), range(40)))
    assert all(a == answers[0] for a in answers)


def test_a_run_past_its_time_stops_and_says_so_in_constant_words(snapshot: Snapshot, tmp_path: Path) -> None:
    impatient = engine_of(snapshot, tmp_path, timeout_s=0.2)
    with pytest.raises(EngineTimeout) as caught:
        impatient.run(ENDLESS)
    nothing_but(caught.value, EngineTimeout())
    assert opened(impatient.run(COUNT)) == {(): [ROWS * 3 // 4, ROWS // 4]}
    impatient.close()


def test_running_out_of_memory_is_a_failure_in_constant_words(snapshot: Snapshot, tmp_path: Path) -> None:
    poor = DuckDB(
        {"liver": snapshot}, memory_limit="4MB", spill=tmp_path / "spill", threads=1, max_spill="1KB"
    )
    key = Key("x", call(Function.CONCAT, col("site", STR), call(Function.TO_STR, col("id", INT))))
    with pytest.raises(EngineFailed) as caught:
        poor.run(Aggregation(VISITS, (key,), (CountUnits(),), Bounding(4, 4)))
    nothing_but(caught.value, EngineFailed())
    poor.close()


@pytest.mark.parametrize("missing", ["column", "table"])
def test_a_scan_of_what_was_not_registered_is_refused_before_it_runs(engine: DuckDB, missing: str) -> None:
    columns = (*SOURCE, ScanColumn("gone", "gone", INT)) if missing == "column" else SOURCE
    scan = Scan("liver", "visits" if missing == "column" else "gone", columns, "id", "town")
    with pytest.raises(InternalError, match="otherwise than it was registered"):
        engine.prepare(Aggregation(scan, (), (CountRows(),), Bounding(3, 1)))


def nothing_but(error: BaseException, plain: BaseException) -> None:
    """The error is word for word the plain one, and no other travels along with it."""
    assert str(error) == str(plain)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert SECRET not in "".join(traceback.format_exception(error))


def test_an_error_that_quotes_a_row_does_not_come_through(
    engine: DuckDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    from noisegate.engines import duckdb as module
    from noisegate.engines.unitrows import Statement

    table = '"ds_liver"."main"."visits"'
    quoting = Statement(f"SELECT count(CAST(s.site AS BIGINT)) AS m0 FROM {table} AS s", (0, 1), salted=False)
    with pytest.raises(Exception, match=SECRET):
        engine._connection.cursor().execute(quoting.sql).fetchall()
    monkeypatch.setattr(module, "lower", lambda _: (quoting,))
    with pytest.raises(EngineFailed) as caught:
        engine.run(COUNT)
    nothing_but(caught.value, EngineFailed())


def test_a_statement_that_fails_the_check_is_not_run(engine: DuckDB, monkeypatch: pytest.MonkeyPatch) -> None:
    from noisegate.engines import duckdb as module
    from noisegate.engines.unitrows import Statement

    monkeypatch.setattr(module, "lower", lambda _: (Statement("DETACH ds_liver", (0, 1), salted=False),))
    with pytest.raises(InternalError, match="own check"):
        engine.run(COUNT)
    monkeypatch.undo()
    assert opened(engine.run(COUNT))


def test_a_plan_can_be_prepared_before_it_is_charged(engine: DuckDB) -> None:
    assert opened(engine.run(engine.prepare(COUNT))) == opened(engine.run(COUNT))
    deep = col("x", FLOAT)
    for _ in range(200):
        deep = call(Function.NEGATE, deep)
    too_deep = Aggregation(VISITS, (), (Sum(deep, Grid(0, 9, Fraction(1))),), Bounding(3, 1))
    with pytest.raises(ValueError, match="nested"):
        engine.prepare(too_deep)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('/tmp/x.parquet')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "ATTACH '/tmp/x.duckdb' AS x",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "EXPORT DATABASE '/tmp/x'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET threads = 1",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "CREATE TABLE ds_liver.main.x (n INTEGER)",
        "DELETE FROM ds_liver.main.visits",
        "SELECT * FROM local_variable",
    ],
)
def test_the_engine_itself_opens_no_door(engine: DuckDB, sql: str) -> None:
    local_variable = pa.table({"n": [1]})
    assert local_variable.num_rows == 1
    with pytest.raises(Exception, match=r"disabled|locked|read-only|Cannot|does not exist"):
        engine._connection.cursor().execute(sql).fetchall()


def test_many_groups_fit_and_the_spill_directory_is_private_and_left_empty(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    small = DuckDB({"liver": snapshot}, memory_limit="16MB", spill=tmp_path / "spill", threads=1)
    key = Key("x", call(Function.CONCAT, col("site", STR), lit("|"), call(Function.TO_STR, col("id", INT))))
    found = opened(small.run(Aggregation(VISITS, (key,), (CountUnits(),), Bounding(4, 4))))
    assert len(found) == ROWS
    small.close()
    assert not [p for p in (tmp_path / "spill").rglob("*") if p.is_file()]
    assert (tmp_path / "spill").stat().st_mode & 0o077 == 0


def test_two_engines_may_hold_one_snapshot(snapshot: Snapshot, engine: DuckDB, tmp_path: Path) -> None:
    other = engine_of(snapshot, tmp_path / "other")
    assert opened(other.run(COUNT)) == opened(engine.run(COUNT))
    other.close()
    assert opened(engine.run(COUNT))


def test_a_timer_of_a_finished_run_stops_no_other(snapshot: Snapshot, tmp_path: Path) -> None:
    before = threading.active_count()
    engine = engine_of(snapshot, tmp_path, timeout_s=0.3)
    for _ in range(20):
        assert opened(engine.run(COUNT))
    assert threading.active_count() <= before + 1
    engine.close()


def test_constants_reach_the_engine_as_themselves(engine: DuckDB) -> None:
    only = Aggregation(
        VISITS, (), (CountRows(call(Function.EQ, col("site", STR), lit(f"{SECRET}-7"))),), Bounding(4, 1)
    )
    assert opened(engine.run(only)) == {(): [ROWS // 50]}


def test_no_progress_bar_is_printed_where_the_engine_would_by_itself() -> None:
    code = (
        "import duckdb; from noisegate.engines.locked import locked;"
        "asked = \"SELECT current_setting('enable_progress_bar')\";"
        "made = [duckdb.connect(), locked({}), locked({}).cursor()];"
        "print([c.execute(asked).fetchall()[0][0] for c in made])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[True, False, False]"
