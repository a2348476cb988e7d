"""The tables that benchmarks run on: made here, from a fixed seed, and kept in a temporary directory.

They imitate an out-patient register. `encounters` holds 1e6 rows of about 1e5 people: rows per person are
skewed (median 6, the most about 1,000), sex and age are those of the person, the site is drawn for every row,
and rows lie in the order of time, so a person's rows are scattered. `people_N` has one row a person.
"""

import os
import tempfile
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20_101
SITES = 40
ENCOUNTERS = 1_000_000
MOST_ROWS = 1_100  # of one person


def home() -> Path:
    """Return where tables are kept: NOISEGATE_BENCH_DATA, else a directory among the temporary ones."""
    named = os.environ.get("NOISEGATE_BENCH_DATA")
    place = Path(named) if named else Path(tempfile.gettempdir()) / "noisegate-bench"
    place.mkdir(parents=True, exist_ok=True)
    return place


def encounters(rows: int = ENCOUNTERS) -> Path:
    """Return a Parquet file of `rows` encounters of about rows / 10 people, made if it is not there."""
    path = home() / f"encounters_{rows}.parquet"
    if not path.exists():
        _write(_encounters(rows), path)
    return path


def people(rows: int) -> Path:
    """Return a Parquet file with one row a person, made if it is not there."""
    path = home() / f"people_{rows}.parquet"
    if not path.exists():
        part = path.with_suffix(".part")
        with _generator() as connection:
            connection.execute(
                f"""
                COPY (
                    SELECT (i * 1000003) % {_above(rows)} AS patient_id,
                        CASE WHEN hash(i, 1) % 2 = 0 THEN 'F' ELSE 'M' END AS sex,
                        CAST(18 + hash(i, 2) % 80 AS BIGINT) AS age,
                        CAST(hash(i, 3) % {SITES} AS BIGINT) AS site,
                        1500 / 100.0 + (hash(i, 4) % 1200 + hash(i, 5) % 1200) / 100.0 AS bmi
                    FROM range({rows}) AS numbers(i)
                ) TO '{part}' (FORMAT parquet)
                """
            )
        part.rename(path)
    return path


def visits(rows: int) -> Path:
    """Return a Parquet file of `rows` rows of rows / 10 people, like encounters but evenly spread."""
    path = home() / f"visits_{rows}.parquet"
    if not path.exists():
        part = path.with_suffix(".part")
        with _generator() as connection:
            connection.execute(
                f"""
                COPY (
                    SELECT person AS patient_id,
                        CASE WHEN hash(person, 1) % 2 = 0 THEN 'F' ELSE 'M' END AS sex,
                        CAST(18 + hash(person, 2) % 80 AS BIGINT) AS age,
                        CAST(hash(i, 3) % {SITES} AS BIGINT) AS site,
                        1500 / 100.0 + (hash(i, 4) % 1200 + hash(i, 5) % 1200) / 100.0 AS bmi
                    FROM (
                        SELECT i, CAST(hash(i, 9) % {rows // 10} AS BIGINT) AS person
                        FROM range({rows}) AS numbers(i)
                    )
                ) TO '{part}' (FORMAT parquet)
                """
            )
        part.rename(path)
    return path


def _generator() -> duckdb.DuckDBPyConnection:
    """Return a database that makes rows: a hash of the row number is its generator, so no row is kept."""
    connection = duckdb.connect()
    connection.execute("SET preserve_insertion_order = false; SET memory_limit = '3GB'")
    connection.execute("SET enable_progress_bar = false")
    return connection


def codes(rows: int, groups: int) -> Path:
    """Return a Parquet file with one row a person and a code, each of `groups` codes equally often."""
    path = home() / f"codes_{rows}_{groups}.parquet"
    if not path.exists():
        part = path.with_suffix(".part")
        with _generator() as connection:
            connection.execute(
                f"COPY (SELECT i AS patient_id, (i * 7919) % {groups} AS code FROM range({rows}) AS n(i)) "
                f"TO '{part}' (FORMAT parquet)"
            )
        part.rename(path)
    return path


def _above(rows: int) -> int:
    """Return a modulus of at least `rows` that shares no factor with 1000003: ids are then distinct."""
    return rows if rows % 1_000_003 else rows + 1


def _encounters(rows: int) -> pa.Table:
    generator = np.random.default_rng(SEED)
    people_drawn = rows // 6
    each = np.maximum(1, np.round(np.exp(generator.normal(np.log(6), 0.95, people_drawn)))).astype(np.int64)
    frequent = generator.random(people_drawn) < 0.0005
    each[frequent] = np.minimum(each[frequent] * 60, MOST_ROWS)
    enough = int(np.searchsorted(np.cumsum(each), rows)) + 1
    person = np.repeat(np.arange(enough, dtype=np.int64), each[:enough])[:rows]
    ids = generator.permutation(enough).astype(np.int64) + 1
    woman = generator.random(enough) < 0.52
    age = generator.integers(18, 98, enough)
    usual = generator.normal(27.0, 5.0, enough)
    person = person[generator.permutation(rows)]
    bmi = np.clip(usual[person] + generator.normal(0, 0.8, rows), 12, 65)
    return pa.table(
        {
            "patient_id": ids[person],
            "sex": pa.array(np.where(woman[person], "F", "M")),
            "age": age[person],
            "site": generator.integers(0, SITES, rows),
            "bmi": np.round(bmi, 2),
        }
    )


def _write(table: pa.Table, path: Path) -> None:
    part = path.with_suffix(".part")
    pq.write_table(table, part, row_group_size=122_880)
    part.rename(path)
