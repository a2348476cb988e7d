"""Forty people in real tables, within every declared bound, and a plain engine to ask about them."""

import random
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from noisegate.catalog.model import Catalog, TableKind
from noisegate.engines.duckdb import DuckDB
from noisegate.engines.register import register

from .catalogs import CATALOG, RANGES

PEOPLE = 40
DATASETS = ("liver", "panel")


def people(rng: random.Random) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of every table, in the order of the catalog's columns."""
    maybe = lambda value: value if rng.random() < 0.8 else None  # noqa: E731
    patients, measurements, conditions = [], [], []
    for who in range(1, PEOPLE + 1):
        born = date(1930, 1, 1) + timedelta(days=rng.randrange(15_000))
        patients.append(
            (
                who,
                rng.randint(20, 95),
                rng.random() < 0.5,
                maybe(rng.randint(4000, 12000) / 100),
                maybe(rng.randint(14000, 20000) / 100),
                maybe(rng.randint(1500, 4500) / 100),
                rng.randint(0, 7500),
                rng.random() < 0.3,
                maybe(rng.choice(["north", "south", "east"])),
                rng.choice(["1000", "1500", "2500"]),
                maybe(born),
                maybe(datetime(2019, 1, 1) + timedelta(hours=rng.randrange(20_000))),  # noqa: DTZ001
                who,
                rng.random(),
            )
        )
        days = rng.sample(range(-500, 2000), 12)
        for day in days[: rng.randint(0, 12)]:
            for test in rng.sample(["fib4", "hdl", "sbp", "smoke"], rng.randint(1, 3)):
                r = RANGES[test]
                value = rng.randint(int(r.low * 100), int(r.high * 100)) / 100
                measurements.append((who, day, test, value, rng.randint(-200, 1200) / 100))
        for day in rng.sample(days, rng.randint(0, 6)):
            kind = rng.choice(["nafld", "diabetes", "stroke", "htn"])
            conditions.append((who, day, kind, rng.choice(["K76", "E11", "I63", "Z00"])))
    icd = [("K76", "XI", "liver", 3), ("E11", "IV", "heart", 7), ("I63", "south", "brain", 9)]
    samples, snps = [], []
    for who in range(PEOPLE):
        group = rng.choice(["AFR", "AMR", "EAS", "EUR", "SAS"])
        samples.append((f"P{who}", group, rng.choice(["female", "male"])))
        snps.append((f"P{who}", *(rng.choice([0, 1, 2, None]) for _ in range(123))))
    return {
        "liver.patients": patients,
        "liver.measurements": measurements,
        "liver.conditions": conditions,
        "liver.icd": icd,
        "panel.samples": samples,
        "panel.snps": snps,
    }


def plain_engine(rows: dict[str, list[tuple[object, ...]]]) -> duckdb.DuckDBPyConnection:
    """Return an ordinary DuckDB with the tables, which knows nothing of privacy."""
    connection = duckdb.connect()
    for dataset in DATASETS:
        connection.execute(f"CREATE SCHEMA {dataset}")
    names = {"int": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN", "str": "VARCHAR", "date": "DATE"}
    for name, found in rows.items():
        dataset, _, table = name.partition(".")
        columns = _table(CATALOG, dataset, table).columns
        types = ", ".join(f"{c.name} {names.get(c.type.value, 'TIMESTAMP')}" for c in columns)
        connection.execute(f"CREATE TABLE {name} ({types})")
        marks = ", ".join("?" for _ in columns)
        connection.executemany(f"INSERT INTO {name} VALUES ({marks})", found)
    connection.execute("SET search_path = 'liver,panel'")
    return connection


def private_engine(plain: duckdb.DuckDBPyConnection, directory: Path) -> DuckDB:
    """Return the gateway's engine over the same rows, registered from files."""
    snapshots = {}
    for dataset in CATALOG.datasets:
        if dataset.name not in DATASETS:
            continue
        tables = []
        for table in dataset.tables:
            file = directory / f"{dataset.name}_{table.name}.parquet"
            plain.execute(f"COPY {dataset.name}.{table.name} TO '{file}' (FORMAT parquet)")
            tables.append(replace(table, source=file.name, kind=TableKind.ROWS))
        stored = replace(dataset, tables=tuple(tables))
        snapshots[dataset.name] = register(stored, directory, directory / "snapshots", 1)
    return DuckDB(snapshots, memory_limit="500MB", spill=directory / "spill", threads=1)


def _table(catalog: Catalog, dataset: str, table: str):  # type: ignore[no-untyped-def]
    found = catalog.dataset(dataset)
    assert found is not None
    return found.table(table)
