"""A DuckDB with tables made of Python rows, for tests that look below the locked engine."""

from collections.abc import Sequence
from fractions import Fraction

import duckdb
import numpy as np
import pyarrow as pa

from noisegate.engines.cells import assembled
from noisegate.engines.check import Checker
from noisegate.engines.duckdb import answer
from noisegate.engines.expressions import expression
from noisegate.engines.lower import lower
from noisegate.engines.quote import TYPES, identifier
from noisegate.engines.ranges import Ends
from noisegate.engines.render import database, render
from noisegate.privacy.exact import Counted, _open
from noisegate.privacy.expressions import (
    Call,
    ColumnRef,
    Expression,
    Function,
    Literal,
    Scalar,
    Type,
    type_of,
)
from noisegate.privacy.question import Aggregation, Rank
from noisegate.privacy.relations import Relation, Scan, scans

from .twin import Row

INT, FLOAT, BOOL, STR, DATE, TIMESTAMP = Type
ARROW = {
    INT: pa.int64(),
    FLOAT: pa.float64(),
    BOOL: pa.bool_(),
    STR: pa.string(),
    DATE: pa.date32(),
    TIMESTAMP: pa.timestamp("us"),
}
CHECKER = Checker()


def col(name: str, kind: Type) -> ColumnRef:
    return ColumnRef(name, kind)


def lit(value: Scalar, kind: Type | None = None) -> Literal:
    return Literal(value, kind or type_of(value))


def call(function: Function, *args: Expression) -> Call:
    return Call(function, args)


class Lab:
    """Tables in memory, under the names that plans scan."""

    def __init__(self, threads: int = 2) -> None:
        self.connection = duckdb.connect(config={"threads": str(threads), "perfect_ht_threshold": "20"})
        self.attached: set[str] = set()

    def put(self, scan: Scan, rows: Sequence[Row]) -> None:
        """Create or replace a scan's table. Rows go by the names of stored columns."""
        home = identifier(database(scan.dataset))
        if scan.dataset not in self.attached:
            self.connection.execute(f"ATTACH ':memory:' AS {home}")
            self.attached.add(scan.dataset)
        kinds = {c.source: c.type for c in scan.columns}
        columns = ", ".join(f"{identifier(n)} {TYPES[k]}" for n, k in kinds.items())
        table = f"{home}.main.{identifier(scan.table)}"
        self.connection.execute(f"CREATE OR REPLACE TABLE {table} ({columns})")
        given = pa.table({n: pa.array([r[n] for r in rows], ARROW[k]) for n, k in kinds.items()})
        self.connection.register("given", given)
        self.connection.execute(f"INSERT INTO {table} SELECT * FROM given")
        self.connection.unregister("given")

    def values(self, value: Expression, scan: Scan, key: str) -> dict[Scalar, Scalar]:
        """Return an expression's value for each row, by a column that tells rows apart."""
        names = {c.name: f"s.{identifier(c.source)}" for c in scan.columns}
        table = f"{identifier(database(scan.dataset))}.main.{identifier(scan.table)}"
        sql = f"SELECT {names[key]}, {expression(value, names)} FROM {table} AS s"
        CHECKER.check(sql, frozenset({(database(scan.dataset), scan.table)}))
        return dict(self.connection.execute(sql).fetchall())

    def rows(self, relation: Relation) -> list[tuple[Scalar, ...]]:
        sql = render(relation).sql
        CHECKER.check(sql, tables(relation))
        return self.connection.execute(sql).fetchall()

    def cells(
        self, aggregation: Aggregation, salt: int = 7, ends: Ends = ()
    ) -> dict[tuple[Scalar, ...], list[object]]:
        """Return the exact cells by group, one a measure (a list for a Rank); with ends, by ranges."""
        answers = []
        for statement in lower(aggregation, ranged=bool(ends)):
            CHECKER.check(statement.sql, tables(aggregation.source))
            answers.append((statement, answer(self.connection, statement, salt, ends)))
        keys, cells = _open(assembled(aggregation, answers))
        whole = [
            cell.dense(np.arange(len(keys)), measure.candidates)
            if isinstance(cell, Counted) and isinstance(measure, Rank)
            else cell
            for cell, measure in zip(cells, aggregation.measures, strict=True)
        ]
        return {key: [table[i].tolist() for table in whole] for i, key in enumerate(keys)}


def tables(relation: Relation) -> frozenset[tuple[str, str]]:
    return frozenset((database(s.dataset), s.table) for s in scans(relation))


def close(a: object, b: object) -> bool:
    """Whether two values are equal, real numbers up to what two implementations of a function may differ."""
    if isinstance(a, float) and isinstance(b, float):
        return abs(Fraction(a) - Fraction(b)) <= Fraction(1, 10**12) * max(abs(Fraction(a)), abs(Fraction(b)))
    return type(a) is type(b) and a == b
