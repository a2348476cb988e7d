import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisegate.catalog.check import Finding, Severity, check

HEAD = """
[d]
unit = "person"
[d.tables.t]
source = "t.parquet"
rows_per_unit = 1
expected_units = 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    table = pa.table(
        {
            "person": pa.array([1, 2], pa.int32()),
            "age": pa.array([30, 40], pa.int16()),
            "male": pa.array([0, 1], pa.int8()),
            "weight": pa.array([70.5, None]),
            "name": pa.array(["a", "b"]).dictionary_encode(),
            "born": pa.array([datetime.date(1980, 1, 1)] * 2),
            "tags": pa.array([["x"], []]),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text("person,age\n1,30\n", "utf-8")
    return tmp_path


def findings(folder: Path, text: str) -> list[Finding]:
    path = folder / "catalog.toml"
    path.write_text(text, "utf-8")
    return check(path)


def test_a_sound_catalog_has_no_findings(folder: Path) -> None:
    columns = """
columns.age = { type = "int", low = 0, high = 100, tier = "clinical" }
columns.male = { type = "bool", tier = "demographic" }
columns.weight = { type = "float", low = 30, high = 200, step = 0.1, tier = "clinical" }
columns.name = { type = "str", values = ["a", "b"], tier = "demographic" }
columns.born = { type = "date", tier = "demographic" }
"""
    assert findings(folder, HEAD + columns) == []


@pytest.mark.parametrize(
    ("change", "severity", "place", "message"),
    [
        ('columns.aeg = { type = "int", tier = "restricted" }', Severity.ERROR, ".columns.aeg", "mean 'age'"),
        (
            'columns.name = { type = "int", tier = "clinical", low = 0, high = 1 }',
            Severity.ERROR,
            ".name",
            "holds",
        ),
        (
            'columns.tags = { type = "str", tier = "clinical", values = ["x"] }',
            Severity.ERROR,
            ".tags",
            "list<",
        ),
        ('columns.weight = { type = "float", tier = "clinical" }', Severity.WARNING, ".weight", "not summed"),
        ('columns.age = { type = "int", tier = "clinical" }', Severity.NOTE, ".age", "not summed"),
        ('columns.name = { type = "str", tier = "clinical" }', Severity.NOTE, ".name", "lists no values"),
        (
            'columns.weight = { type = "float", tier = "clinical", low = 0, high = 1e9, step = 0.1 }',
            Severity.WARNING,
            ".weight",
            "no variance",
        ),
        (
            'columns.weight = { type = "float", tier = "clinical", low = 0.5, high = 9, step = 1 }',
            Severity.WARNING,
            ".weight",
            "0.5 to 9 does not begin and end on a whole number of steps of 1",
        ),
        ("groups_per_unit = 2", Severity.WARNING, ".groups_per_unit", "no more groups"),
        ("[populations.d]\nbudget.epsilon = 1", Severity.WARNING, "d.budget", "epsilon 1,"),
        (
            "[populations.d]\nbudget.epsilon = 3\n[d.budget]\nevery = 'month'",
            Severity.WARNING,
            "d.budget.every",
            "once that is spent",
        ),
        (
            "[policy.tiers]\nclinical.max_per_day = 0.5",
            Severity.WARNING,
            "policy.tiers.clinical.max_per_day",
            "less than max_epsilon 1",
        ),
        ('unit = "zz"', Severity.ERROR, ".columns.zz", "name it with unit"),
    ],
)
def test_what_is_likely_wrong_is_found(
    folder: Path, change: str, severity: Severity, place: str, message: str
) -> None:
    (found,) = findings(folder, HEAD + change)
    assert found.severity is severity
    assert found.where.endswith(place)
    assert message in found.message


def test_a_missing_file_is_an_error(folder: Path) -> None:
    (found,) = findings(folder, HEAD.replace("t.parquet", "u.parquet"))
    assert (found.severity, found.where) == (Severity.ERROR, "d.tables.t.source")
    assert "u.parquet: cannot be read: No such file" in found.message


def test_values_without_bounds_of_their_own_are_named(folder: Path) -> None:
    columns = """
columns.name = { type = "str", values = ["a", "b", "c"], tier = "clinical" }
columns.weight = { type = "float", step = 1, tier = "clinical", by.name.b = { low = 0, high = 9 } }
"""
    (found,) = findings(folder, HEAD + columns)
    assert (found.severity, found.message) == (
        Severity.NOTE,
        "has no bounds for name a, c: counted there, not averaged",
    )


def test_a_bound_on_rows_that_was_not_declared_is_warned_of(folder: Path) -> None:
    (found,) = findings(folder, HEAD.replace("rows_per_unit = 1\n", ""))
    assert (found.severity, found.where) == (Severity.WARNING, "d.tables.t.rows_per_unit")


def test_a_csv_file_is_compared_by_its_first_line(folder: Path) -> None:
    text = HEAD.replace("t.parquet", "t.csv")
    text += 'columns.age = { type = "int", low = 0, high = 1, tier = "clinical" }\n'
    text += 'columns.b = { type = "bool", tier = "clinical" }\n'
    (found,) = findings(folder, text)
    assert found == Finding(Severity.ERROR, "d.tables.t.columns.b", "t.csv has no column 'b'")


def test_a_file_of_another_kind_is_an_error(folder: Path) -> None:
    (folder / "t.parquet").write_bytes(b"not parquet at all")
    (found,) = findings(folder, HEAD)
    assert (found.severity, found.where) == (Severity.ERROR, "d.tables.t.source")


def test_what_the_loader_refuses_is_found_too(folder: Path) -> None:
    found = findings(folder, HEAD + 'colums.a = { type = "int" }\ncolumns.b = { type = "int" }\n')
    assert {f.where for f in found} == {"d.tables.t", "d.tables.t.columns.b"}
    assert {f.severity for f in found} == {Severity.ERROR}
    assert found[0].as_json()["severity"] == "error"


def test_a_file_that_is_not_toml_is_found(folder: Path) -> None:
    (found,) = findings(folder, "[d")
    assert found.severity is Severity.ERROR
    assert "not TOML" in found.message


def test_errors_come_first(folder: Path) -> None:
    text = HEAD + 'columns.weight = { type = "float", tier = "clinical" }\n'
    text += 'columns.zz = { type = "bool", tier = "clinical" }\n'
    assert [f.severity for f in findings(folder, text)] == [Severity.ERROR, Severity.WARNING]
