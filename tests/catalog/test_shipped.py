"""The catalog that comes with Noisegate, and whether its declarations hold on the data, by DuckDB alone."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from noisegate.catalog.check import Severity, check
from noisegate.catalog.load import load
from noisegate.catalog.model import Column, Table, TableKind, Tier
from noisegate.privacy.expressions import NUMERIC

ROOT = Path(__file__).parents[2]
CATALOG = load(ROOT / "catalog.toml")
TABLES = {f"{d.name}.{t.name}": t for d in CATALOG.datasets for t in d.tables if t.kind is TableKind.ROWS}
PRIVATE = {name: table for name, table in TABLES.items() if not table.public}
COLUMNS = {
    f"{n}.{c.name}": (t, c) for n, t in TABLES.items() for c in t.columns if c.tier is not Tier.RESTRICTED
}


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


def number(engine: duckdb.DuckDBPyConnection, select: str, table: Table, where: str = "true") -> float:
    row = engine.execute(f"SELECT {select} FROM '{table.source}' WHERE {where}").fetchone()
    assert row is not None
    return float(row[0])


def test_nothing_is_wrong_and_one_thing_is_noted() -> None:
    (finding,) = check(ROOT / "catalog.toml")
    assert finding.severity is Severity.NOTE
    assert "no bounds for test chol, dbp" in finding.message


def test_the_datasets_are_the_liver_cohort_the_panel_and_a_labelled_synthetic_clinic() -> None:
    assert [(d.name, d.population, d.synthetic) for d in CATALOG.datasets] == [
        ("liver", "olmsted", False),
        ("panel", "1000genomes", False),
        ("clinic", "1000genomes", True),
    ]
    clinic = CATALOG.datasets[2]
    assert all("SYNTHETIC" in title for title in (clinic.title, *(t.title for t in clinic.tables)))


@pytest.mark.parametrize("name", PRIVATE)
def test_every_row_has_a_unit(engine: duckdb.DuckDBPyConnection, name: str) -> None:
    table = PRIVATE[name]
    assert number(engine, f'count(*) FILTER ("{table.unit}" IS NULL)', table) == 0
    people = number(engine, f'count(DISTINCT "{table.unit}")', table)
    assert table.expected_units is not None
    assert abs(people / table.expected_units - 1) < 0.02


@pytest.mark.parametrize("name", [n for n, t in PRIVATE.items() if t.rows_per_unit == 1])
def test_a_table_of_one_row_a_person_has_one(engine: duckdb.DuckDBPyConnection, name: str) -> None:
    table = PRIVATE[name]
    assert number(engine, f'count(*) - count(DISTINCT "{table.unit}")', table) == 0


@pytest.mark.parametrize(("name", "kept_whole"), [
    ("liver.measurements", 0.91), ("liver.conditions", 0.995), ("clinic.diagnoses", 0.98), ("clinic.labs", 1),
])  # fmt: skip
def test_the_bound_on_rows_keeps_most_people_whole(
    engine: duckdb.DuckDBPyConnection, name: str, kept_whole: float
) -> None:
    table = PRIVATE[name]
    row = engine.execute(
        f"SELECT avg((n <= {table.rows_per_unit})::INT) "
        f"FROM (SELECT count(*) AS n FROM '{table.source}' GROUP BY \"{table.unit}\")"
    ).fetchone()
    assert row is not None
    assert kept_whole <= row[0]
    assert name == "clinic.labs" or row[0] < 1


@pytest.mark.parametrize("name", [n for n, (_, c) in COLUMNS.items() if c.values is not None])
def test_a_listed_domain_is_complete_and_without_spare_values(
    engine: duckdb.DuckDBPyConnection, name: str
) -> None:
    table, column = COLUMNS[name]
    query = f'SELECT DISTINCT "{column.name}" FROM \'{table.source}\' WHERE "{column.name}" IS NOT NULL'
    assert {row[0] for row in engine.execute(query).fetchall()} == set(column.values or ())


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_that_may_be_missing_is_the_only_one_that_is(
    engine: duckdb.DuckDBPyConnection, name: str
) -> None:
    table, column = COLUMNS[name]
    missing = number(engine, f'count(*) FILTER ("{column.name}" IS NULL)', table)
    assert (missing > 0) == column.nullable


def ranges(column: Column) -> Iterator[tuple[str, float, float]]:
    """Yield where bounds hold, and the bounds."""
    if column.bounds is not None:
        yield "true", float(column.bounds.low), float(column.bounds.high)
    for value, bounds in column.by.ranges.items() if column.by else ():
        assert column.by is not None
        yield f"\"{column.by.column}\" = '{value}'", float(bounds.low), float(bounds.high)


@pytest.mark.parametrize(
    "name", [n for n, (_, c) in COLUMNS.items() if c.type in NUMERIC and (c.bounds or c.by)]
)
def test_bounds_clamp_few_values_and_are_not_far_too_wide(
    engine: duckdb.DuckDBPyConnection, name: str
) -> None:
    table, column = COLUMNS[name]
    for where, low, high in ranges(column):
        inside = number(engine, f'avg(("{column.name}" BETWEEN {low} AND {high})::INT)', table, where)
        spread = number(
            engine,
            f'quantile_cont("{column.name}", 0.999) - quantile_cont("{column.name}", 0.001)',
            table,
            where,
        )
        assert inside > 0.99, where
        assert spread > 0.35 * (high - low), where


def test_the_names_that_cannot_be_trusted_can_be_counted_but_not_averaged() -> None:
    _, value = COLUMNS["liver.measurements.value"]
    _, test = COLUMNS["liver.measurements.test"]
    assert value.bounds is None
    assert value.by is not None
    assert set(test.values or ()) - set(value.by.ranges) == {"chol", "dbp"}


def test_the_case_a_person_is_matched_to_is_closed() -> None:
    column = TABLES["liver.patients"].column("case_id")
    assert column is not None
    assert column.tier is Tier.RESTRICTED


@pytest.mark.parametrize("name", ["liver.patients.is_male", "liver.patients.died"])
def test_truth_values_are_stored_as_0_and_1(engine: duckdb.DuckDBPyConnection, name: str) -> None:
    table, column = COLUMNS[name]
    assert number(engine, f'count(*) FILTER ("{column.name}" NOT IN (0, 1))', table) == 0


def test_every_condition_has_one_organ_system(engine: duckdb.DuckDBPyConnection) -> None:
    groups, conditions = TABLES["liver.condition_groups"], TABLES["liver.conditions"]
    row = engine.execute(
        f"SELECT count(*), count(DISTINCT c.condition) FROM '{groups.source}' g "
        f"JOIN (SELECT DISTINCT condition FROM '{conditions.source}') c USING (condition)"
    ).fetchone()
    assert row == (10, 10)


def test_the_clinic_and_the_panel_hold_the_same_people(engine: duckdb.DuckDBPyConnection) -> None:
    samples = TABLES["panel.samples"]
    for name in ("clinic.patients", "clinic.diagnoses", "clinic.labs"):
        query = f"SELECT count(*) FROM '{TABLES[name].source}' ANTI JOIN '{samples.source}' USING (sample)"
        assert engine.execute(query).fetchone() == (0,)
    wrong = (
        f"SELECT count(*) FROM '{TABLES['clinic.patients'].source}' p JOIN '{samples.source}' s "
        "USING (sample) WHERE p.sex <> s.gender"
    )
    assert engine.execute(wrong).fetchone() == (0,)


def test_the_checksums_are_those_of_the_files() -> None:
    text = (ROOT / "data" / "README.md").read_text("utf-8")
    listed = re.findall(r"^\| ([0-9a-f]{64}) \| (\d+) \| (\S+) \|$", text, re.M)
    folders = ("nafld", "genomes", "synthetic", "public")
    files = {f"{d}/{f.name}" for d in folders for f in (ROOT / "data" / d).iterdir() if f.suffix != ".md"}
    assert {name for _, _, name in listed} == files
    for digest, size, name in listed:
        content = (ROOT / "data" / name).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (digest, int(size)), name
