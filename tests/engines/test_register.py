"""Registration: what passes, what is refused and how that is said, and the file that comes of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisegate.catalog.model import Budget, Column, Dataset, Table, TableKind, Tier
from noisegate.engines.register import Snapshot, declaration, open_snapshot, register
from noisegate.engines.render import database
from noisegate.errors import CatalogError
from noisegate.genotypes.vcf import Dosages, Variant

from .lab import BOOL, DATE, FLOAT, INT, STR, TIMESTAMP
from .test_expressions import well_formed

SECRET = "4711-secret"
DATA = Path(__file__).parents[2] / "data"


def column(name: str, kind: Any, **more: Any) -> Column:
    return Column(name, kind, more.pop("tier", Tier.CLINICAL), **more)


UNIT = column("id", INT, nullable=False)


def dataset(*tables: Table, unit_type: Any = INT) -> Dataset:
    budget = Budget(Fraction(1), Fraction(1, 10**6))
    return Dataset("liver", "Liver", "town", "id", budget, tables, unit_type=unit_type)


def table(*columns: Column, rows_per_unit: int = 1, source: str = "t.parquet", **more: Any) -> Table:
    return Table("t", source, (UNIT, *columns), "id", rows_per_unit=rows_per_unit, **more)


def parquet(folder: Path, /, **columns: Any) -> None:
    made = {n: c if isinstance(c, pa.Array) else pa.array(c) for n, c in columns.items()}
    pq.write_table(pa.table(made), folder / "t.parquet")


def put(folder: Path, declared: Table, version: int = 1, /, **columns: Any) -> Snapshot:
    parquet(folder, **columns)
    return register(dataset(declared), folder, folder / "snapshots", version)


def rows(snapshot: Snapshot, name: str = "t") -> list[tuple[Any, ...]]:
    connection = duckdb.connect()
    connection.execute(f"ATTACH '{snapshot.path}' AS s (READ_ONLY)")
    return connection.execute(f'SELECT * FROM s."{name}"').fetchall()


def refused(folder: Path, declared: Table, /, **columns: Any) -> CatalogError:
    with pytest.raises(CatalogError) as caught:
        put(folder, declared, **columns)
    assert "liver.t" in caught.value.message
    assert caught.value.hint
    assert SECRET not in f"{caught.value} {caught.value.hint} {caught.value.detail}"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert list((folder / "snapshots").iterdir()) == []
    return caught.value


def test_a_snapshot_holds_the_declared_columns_and_no_others(tmp_path: Path) -> None:
    declared = table(column("x", FLOAT), column("name", STR, tier=Tier.RESTRICTED))
    made = put(tmp_path, declared, id=[2, 1], x=[0.5, None], name=["a", "b"], extra=[SECRET] * 2)
    assert rows(made) == [(1, None), (2, 0.5)]
    assert SECRET.encode() not in made.path.read_bytes()


def test_a_snapshot_says_what_it_is(tmp_path: Path) -> None:
    made = put(tmp_path, table(), 3, id=[1])
    assert made.path == tmp_path / "snapshots" / "liver-3.duckdb"
    assert open_snapshot(made.path) == made
    assert made.declaration == declaration(dataset(table()))
    assert made.path.stat().st_mode & 0o777 == 0o400


def test_a_version_is_never_overwritten(tmp_path: Path) -> None:
    made = put(tmp_path, table(), id=[1])
    before = made.path.read_bytes()
    with pytest.raises(CatalogError, match="registered already"):
        put(tmp_path, table(), id=[2])
    assert made.path.read_bytes() == before
    assert [p.name for p in made.path.parent.iterdir()] == [made.path.name]


def test_a_file_that_is_no_snapshot_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"SECRET" * 100)
    other = duckdb.connect(str(tmp_path / "y"))
    other.close()
    for name in ("x", "y", "missing"):
        with pytest.raises(CatalogError, match="not a snapshot"):
            open_snapshot(tmp_path / name)


def test_the_declaration_changes_with_what_is_verified_only() -> None:
    plain = dataset(table(column("x", FLOAT)))

    def with_column(**more: Any) -> str:
        return declaration(dataset(table(column("x", FLOAT, **more))))

    same = [
        declaration(replace(plain, title="Other", budget=Budget(Fraction(9), Fraction(0)))),
        with_column(step=Fraction(1, 100), measured_in="kg"),
        with_column(tier=Tier.GENOMIC),
    ]
    assert set(same) == {declaration(plain)}
    different = [
        with_column(nullable=False),
        with_column(per_unit=True),
        with_column(values=(0.5,)),
        with_column(tier=Tier.RESTRICTED),
        declaration(dataset(table(column("x", INT)))),
        declaration(dataset(table(column("x", FLOAT), rows_per_unit=2))),
        declaration(replace(plain, name="other")),
    ]
    assert len({*different, declaration(plain)}) == len(different) + 1


GOOD: list[tuple[Any, pa.Array, list[Any]]] = [
    (INT, pa.array([1, None, -(2**63)], pa.int64()), [1, None, -(2**63)]),
    (INT, pa.array([1, 2, 255], pa.uint8()), [1, 2, 255]),
    (INT, pa.array([1.0, None, -3.0]), [1, None, -3]),
    (INT, pa.array([" 12", "-7", None]), [12, -7, None]),
    (INT, pa.array([True, False, None]), [1, 0, None]),
    (FLOAT, pa.array([0.1, float("nan"), None]), [0.1, None, None]),
    (FLOAT, pa.array([float("inf"), float("-inf"), -0.0]), [None, None, 0.0]),
    (FLOAT, pa.array([0.5, None, 2.0], pa.float32()), [0.5, None, 2.0]),
    (FLOAT, pa.array([1, 2**53, None]), [1.0, 2.0**53, None]),
    (FLOAT, pa.array(["1.5", ".5", "1e3"]), [1.5, 0.5, 1000.0]),
    (BOOL, pa.array([1, 0, None], pa.int8()), [True, False, None]),
    (BOOL, pa.array(["true", "FALSE", "1"]), [True, False, True]),
    (BOOL, pa.array([True, None, False]), [True, None, False]),
    (STR, pa.array(["x", None, "é'\"\x00"]), ["x", None, "é'\"\x00"]),
    (STR, pa.array(["x", "y", "x"]).dictionary_encode(), ["x", "y", "x"]),
    (STR, pa.array([1, None, 3]), ["1", None, "3"]),
    (STR, pa.array(["x" * 4096, "", " "]), ["x" * 4096, "", " "]),
    (DATE, pa.array([date(2024, 2, 29), None, date(1, 1, 1)]), [date(2024, 2, 29), None, date(1, 1, 1)]),
    (DATE, pa.array(["2024-02-29", None, "1999-01-01"]), [date(2024, 2, 29), None, date(1999, 1, 1)]),
    (DATE, pa.array([datetime(2024, 2, 29), None, None]), [date(2024, 2, 29), None, None]),  # noqa: DTZ001
    (
        TIMESTAMP,
        pa.array([datetime(2024, 2, 29, 1, 2, 3), None, None], pa.timestamp("ns")),  # noqa: DTZ001
        [datetime(2024, 2, 29, 1, 2, 3), None, None],  # noqa: DTZ001
    ),
    (
        TIMESTAMP,
        pa.array(["2024-02-29 01:02", "2024-02-29T01:02:03.5", "2024-02-29"]),
        [datetime(2024, 2, 29, 1, 2), datetime(2024, 2, 29, 1, 2, 3, 500000), datetime(2024, 2, 29)],  # noqa: DTZ001
    ),
]


@pytest.mark.parametrize(("kind", "stored", "expected"), GOOD, ids=lambda v: str(v)[:30])
def test_values_that_convert_without_loss_are_kept(
    tmp_path: Path, kind: Any, stored: pa.Array, expected: list[Any]
) -> None:
    found = [r[1] for r in rows(put(tmp_path, table(column("x", kind)), id=[1, 2, 3], x=stored))]
    assert found == expected
    assert all(well_formed(v, kind) for v in found)


BAD: list[tuple[Any, pa.Array]] = [
    (INT, pa.array([1.5])),
    (INT, pa.array([2**63], pa.uint64())),
    (INT, pa.array([float("nan")])),
    (INT, pa.array([SECRET])),
    (INT, pa.array(["1e3"])),
    (INT, pa.array(["0x10"])),
    (INT, pa.array([""])),
    (FLOAT, pa.array([2**53 + 1])),
    (FLOAT, pa.array([SECRET])),
    (FLOAT, pa.array(["1_000"])),
    (BOOL, pa.array([2])),
    (BOOL, pa.array([SECRET])),
    (STR, pa.array(["x" * 4097])),
    (STR, pa.array([SECRET.encode()])),
    (STR, pa.array([0.5])),
    (DATE, pa.array([datetime(2024, 2, 29, 1)])),  # noqa: DTZ001
    (DATE, pa.array(["29.2.2024"])),
    (DATE, pa.array(["2023-02-29"])),
    (DATE, pa.array(["today"])),
    (DATE, pa.array([0.5])),
    (TIMESTAMP, pa.array([1], pa.timestamp("ns"))),
    (TIMESTAMP, pa.array([SECRET])),
]


@pytest.mark.parametrize(("kind", "stored"), BAD, ids=lambda v: str(v)[:40])
def test_values_that_would_lose_something_are_refused_by_column(
    tmp_path: Path, kind: Any, stored: pa.Array
) -> None:
    error = refused(tmp_path, table(column("x", kind)), id=[1], x=stored)
    assert "liver.t.x" in error.message


REFUSALS: dict[str, tuple[Table, dict[str, Any], str]] = {
    "a column that is not there": (table(column("y", INT)), {"id": [1], "x": [1]}, "no such column"),
    "a column of other capitals": (table(column("X", INT)), {"id": [1], "x": [1]}, "no such column"),
    "a person without a name": (table(), {"id": [1, None]}, "without NULLs"),
    "a person twice": (table(), {"id": [1, 1]}, "more than one row"),
    "NULL where there is none": (
        table(column("x", INT, nullable=False)),
        {"id": [1, 2], "x": [1, None]},
        "without NULLs",
    ),
    "NaN where there is no NULL": (
        table(column("x", FLOAT, nullable=False)),
        {"id": [1], "x": [float("nan")]},
        "without NULLs",
    ),
    "a value outside the domain": (
        table(column("x", STR, values=("a", "b"))),
        {"id": [1, 2], "x": ["a", SECRET]},
        "declared values",
    ),
    "two values of one person": (
        table(column("x", STR, per_unit=True), rows_per_unit=5),
        {"id": [1, 1], "x": ["a", SECRET]},
        "per_unit",
    ),
    "a value and none of one person": (
        table(column("x", STR, per_unit=True), rows_per_unit=5),
        {"id": [1, 1], "x": ["a", None]},
        "per_unit",
    ),
    "more rows than declared": (table(max_rows=2), {"id": [1, 2, 3]}, "more than 2 rows"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_not_as_declared_is_refused(tmp_path: Path, case: str) -> None:
    declared, columns, says = REFUSALS[case]
    assert says in refused(tmp_path, declared, **columns).message


def test_what_is_as_declared_passes_beside_each_refusal(tmp_path: Path) -> None:
    declared = table(
        column("x", STR, values=("a", "b", None), per_unit=True),
        column("y", FLOAT, nullable=False),
        rows_per_unit=5,
        max_rows=3,
    )
    made = put(tmp_path, declared, id=[1, 1, 2], x=["a", "a", None], y=[0.5, -1.0, 2.0])
    assert sorted(rows(made)) == [(1, "a", -1.0), (1, "a", 0.5), (2, None, 2.0)]


def test_files_that_cannot_be_read_are_refused_without_their_content(tmp_path: Path) -> None:
    assert "no file" in refused_source(tmp_path, "missing.parquet", lambda _: None)
    assert "not a readable parquet" in refused_source(tmp_path, "t.parquet", lambda p: p.write_text(SECRET))
    assert "neither" in refused_source(tmp_path, "t.xlsx", lambda p: p.write_text(SECRET))
    text = f"id,x\n1,2\n{SECRET}\n1,2,3\n"
    assert "csv" in refused_source(tmp_path, "t.csv", lambda p: p.write_text(text))
    ragged = "id\n" + "1\n" * 100_000 + f"2,{SECRET}\n"
    assert "cannot be read to its end" in refused_source(tmp_path, "t.csv", lambda p: p.write_text(ragged))


def refused_source(folder: Path, source: str, write: Callable[[Path], object]) -> str:
    write(folder / source)
    with pytest.raises(CatalogError) as caught:
        register(dataset(table(source=source)), folder, folder / "snapshots", 1)
    assert SECRET not in f"{caught.value} {caught.value.hint}"
    assert list((folder / "snapshots").iterdir()) == []
    return caught.value.message


def test_a_csv_file_is_read_as_its_text_says(tmp_path: Path) -> None:
    text = 'id,name,x,# of visits\n1,"a, b",0.5,3\n2,,NaN,\n3,"say ""hi""",,7\n'
    (tmp_path / "t.csv").write_text(text)
    declared = table(column("name", STR), column("x", FLOAT), column("# of visits", INT), source="t.csv")
    made = register(dataset(declared), tmp_path, tmp_path / "snapshots", 1)
    assert rows(made) == [(1, "a, b", 0.5, 3), (2, None, None, None), (3, 'say "hi"', None, 7)]


def test_units_are_of_one_type_that_is_compared_exactly(tmp_path: Path) -> None:
    parquet(tmp_path, id=["a"])
    named = replace(UNIT, type=STR)
    mixed = dataset(table(), Table("s", "t.parquet", (named,), "id"))
    with pytest.raises(CatalogError, match=r"liver\.s\.id is str"):
        register(mixed, tmp_path, tmp_path / "snapshots", 1)
    real = dataset(Table("t", "t.parquet", (replace(UNIT, type=FLOAT),), "id"), unit_type=FLOAT)
    with pytest.raises(CatalogError, match="is float"):
        register(real, tmp_path, tmp_path / "snapshots", 1)
    with pytest.raises(CatalogError, match="no column"):
        register(dataset(Table("t", "t.parquet", (), "id")), tmp_path, tmp_path / "snapshots", 1)


def test_genotypes_become_a_row_a_person(tmp_path: Path) -> None:
    (tmp_path / "g.vcf").write_text("")
    variants = (Variant("1", 10, "rs1", "A", "G"), Variant("1", 20, "", "C", "T"))
    found = Dosages(("ann", "bob"), variants, np.array([[0, 2], [-1, 1]], np.int8))
    columns = (replace(UNIT, name="sample", type=STR), column("rs1", INT), column("chr1_20_C_T", INT))
    declared = Table("snps", "g.vcf", columns, "sample", kind=TableKind.GENOTYPES)
    panel = dataset(declared, unit_type=STR)
    made = register(panel, tmp_path, tmp_path / "snapshots", 1, genotypes=lambda _: found)
    assert rows(made, "snps") == [("ann", 0, None), ("bob", 2, 1)]


def test_progress_is_told_table_by_table(tmp_path: Path) -> None:
    parquet(tmp_path, id=[1])
    two = dataset(table(), replace(table(), name="s"))
    told: list[tuple[str, float]] = []
    register(two, tmp_path, tmp_path / "snapshots", 1, lambda name, share: told.append((name, share)))
    assert told == [("t", 0.5), ("s", 1.0)]


def test_a_keyed_digest_tells_versions_apart_to_the_holder_of_the_key(tmp_path: Path) -> None:
    parquet(tmp_path, id=[1])

    def digest(version: int, key: bytes) -> str:
        return register(dataset(table()), tmp_path, tmp_path / "snapshots", version, key=key).digest

    first = digest(1, b"k" * 32)
    assert first == digest(2, b"k" * 32) == open_snapshot(tmp_path / "snapshots" / "liver-1.duckdb").digest
    assert first != digest(3, b"q" * 32)
    parquet(tmp_path, id=[2])
    assert first != digest(4, b"k" * 32)


def test_names_of_tables_and_columns_are_never_read_as_sql(tmp_path: Path) -> None:
    odd = 'x"; DROP TABLE t; --'
    parquet(tmp_path, **{"id": [1], odd: [5]})
    declared = Table("select", "t.parquet", (UNIT, column(odd, INT)), "id")
    made = register(dataset(declared), tmp_path, tmp_path / "snapshots", 1)
    assert rows(made, "select") == [(1, 5)]
    assert database("a-b") == "ds_a-b"


def test_the_shipped_cohort_registers(tmp_path: Path) -> None:
    patients = Table(
        "patients",
        "patients.parquet",
        (
            column("patient_id", INT, nullable=False),
            column("age", INT, nullable=False),
            column("is_male", BOOL, nullable=False),
            column("bmi", FLOAT),
            column("case_id", STR, tier=Tier.RESTRICTED),
        ),
        "patient_id",
    )
    conditions = Table(
        "conditions",
        "conditions.parquet",
        (column("patient_id", INT, nullable=False), column("day", INT), column("condition", STR)),
        "patient_id",
        rows_per_unit=14,
    )
    made = register(replace(dataset(patients, conditions), unit="patient_id"), DATA / "nafld", tmp_path, 1)
    assert len(rows(made, "patients")) == 17_549
    assert len(rows(made, "conditions")) == 34_340
