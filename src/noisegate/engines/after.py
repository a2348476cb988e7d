"""Post-processing steps over noisy rows, in a second DuckDB that holds nothing else.

It is locked and has no files, and the steps are a closed plan: nothing they do can reach a private row.
Rows carry two hidden columns: o, whose order is theirs, and i, the place of the row they came from.
"""
# ruff: noqa: S608  (the SQL is made of names given here, and of expressions written by expressions.py)

import contextlib
import threading
from collections.abc import Sequence
from typing import assert_never

import duckdb
import pyarrow as pa

from noisegate.engines.expressions import cleaned, expression
from noisegate.engines.grids import saturated
from noisegate.engines.locked import locked
from noisegate.errors import EngineFailed
from noisegate.privacy.after import Compute, Fold, Keep, Limit, OuterFold, Sort, Step, Unique
from noisegate.privacy.expressions import Expression, PlanError, Scalar, Type

Columns = tuple[tuple[str, Type], ...]
Row = tuple[Scalar, ...]
_ARROW = {
    Type.INT: pa.int64(),
    Type.FLOAT: pa.float64(),
    Type.BOOL: pa.bool_(),
    Type.STR: pa.string(),
    Type.DATE: pa.date32(),
    Type.TIMESTAMP: pa.timestamp("us"),
}


class AfterEngine:
    """Runs steps over noisy rows. Safe to share among threads."""

    def __init__(self) -> None:
        # One thread, so that sums of real numbers come out the same each time.
        self._connection = locked({"threads": "1", "memory_limit": "1GB"})
        self._lock = threading.Lock()

    def run(
        self, columns: Columns, rows: Sequence[Row], steps: tuple[Step, ...]
    ) -> tuple[Columns, list[Row], list[int | None]]:
        """Return the columns and rows after the steps, in order.

        Args:
            columns: names and types of the noisy rows.
            rows: their values. Real numbers are finite.
            steps: what to do with them.

        Returns:
            Columns, rows, and for each row the place in `rows` of the one it came from, None after a Fold.

        Raises:
            PlanError: a step reads what is not there, or is nested too deep to write.
            EngineFailed: the engine failed.
        """
        if not steps:
            return columns, list(rows), list(range(len(rows)))
        given = {"o": pa.array(range(len(rows)), pa.int64()), "i": pa.array(range(len(rows)), pa.int64())}
        for place, (_, kind) in enumerate(columns):
            given[f"c{place}"] = pa.array([row[place] for row in rows], _ARROW[kind])
        select = f"SELECT {', '.join(['t.o', 't.i', *_kept(columns)])} FROM noisy AS t"
        for step in steps:
            select, columns = _after(step, select, columns)
        found = self._fetched(f"SELECT t.* EXCLUDE (o) FROM ({select}) AS t ORDER BY t.o", pa.table(given))
        return columns, [row[1:] for row in found], [row[0] for row in found]

    def _fetched(self, sql: str, noisy: pa.Table) -> list[tuple[int | None, *tuple[Scalar, ...]]]:
        try:
            with self._lock:
                cursor = self._connection.cursor()
            with contextlib.closing(cursor):
                cursor.register("noisy", noisy)  # a view of this cursor's own
                return cursor.execute(sql).fetchall()
        except duckdb.Error:
            raise EngineFailed from None  # nothing private is here; the text is constant all the same


def _after(step: Step, select: str, columns: Columns) -> tuple[str, Columns]:
    """Return the SELECT and columns of a step over those before it."""
    names = {name: f"t.c{place}" for place, (name, _) in enumerate(columns)}
    rows = f"({select}) AS t"
    kept = ", ".join(["t.o AS o", "t.i AS i", *_kept(columns)])
    match step:
        case Compute(outputs=outputs):
            values = [f"{_written(e, names)} AS c{place}" for place, (_, e) in enumerate(outputs)]
            made = tuple((name, e.type) for name, e in outputs)
            return f"SELECT {', '.join(['t.o AS o', 't.i AS i', *values])} FROM {rows}", made
        case Keep(condition=condition):
            return f"SELECT {kept} FROM {rows} WHERE {_written(condition, names)}", columns
        case Sort(keys=keys):
            order = [
                f"{_written(e, names)} {'DESC' if down else 'ASC'} NULLS {'FIRST' if first else 'LAST'}"
                for e, down, first in keys
            ]
            place = f"row_number() OVER (ORDER BY {', '.join([*order, 't.o'])})"
            return f"SELECT {', '.join([f'{place} AS o', 't.i AS i', *_kept(columns)])} FROM {rows}", columns
        case Limit(count=count, offset=offset):
            numbered = f"SELECT {kept}, row_number() OVER (ORDER BY t.o) AS n FROM {rows}"
            upto = "" if count is None else f" AND t.n <= {offset + count}"
            return f"SELECT {kept} FROM ({numbered}) AS t WHERE t.n > {offset}{upto}", columns
        case Unique():
            same = ", ".join(names.values())
            numbered = f"SELECT {kept}, row_number() OVER (PARTITION BY {same} ORDER BY t.o) AS n FROM {rows}"
            return f"SELECT {kept} FROM ({numbered}) AS t WHERE t.n = 1", columns
        case Fold():
            return _folded(step, rows, names)
        case _:
            assert_never(step)


def _folded(step: Fold, rows: str, names: dict[str, str]) -> tuple[str, Columns]:
    """Return groups of noisy rows, in the order in which each first appears."""
    keys = [f"{_written(e, names)} AS k{place}" for place, (_, e) in enumerate(step.keys)]
    values = [
        f"{'1' if e is None else _written(e, names)} AS x{place}"
        for place, (_, _, e) in enumerate(step.folds)
    ]
    read = f"SELECT {', '.join(['t.o AS o', *keys, *values])} FROM {rows}"
    folds = [f"{_fold(fold, e, f'g.x{place}')}" for place, (_, fold, e) in enumerate(step.folds)]
    made = [
        f"{value} AS c{place}" for place, value in enumerate([*(f"g.k{i}" for i in range(len(keys))), *folds])
    ]
    by = ", ".join(f"g.k{i}" for i in range(len(keys)))
    columns = [(name, e.type) for name, e in step.keys]
    columns += [(name, _fold_type(fold, e)) for name, fold, e in step.folds]
    select = f"SELECT {', '.join(['coalesce(min(g.o), 0) AS o', 'NULL AS i', *made])} FROM ({read}) AS g"
    return f"{select} GROUP BY {by}" if by else select, tuple(columns)


def _fold(fold: OuterFold, value: Expression | None, column: str) -> str:
    if fold is not OuterFold.COUNT and value is None:
        raise PlanError(f"{fold.value} needs a value")
    aggregate = f"{fold.value}({column})"
    match fold:
        case OuterFold.COUNT | OuterFold.MIN | OuterFold.MAX:
            return aggregate
        case OuterFold.SUM:
            if value is not None and value.type is Type.INT:
                return saturated(aggregate)
            return cleaned(aggregate)
        case OuterFold.AVG | OuterFold.MEDIAN:
            return cleaned(aggregate)
        case _:
            assert_never(fold)


def _fold_type(fold: OuterFold, value: Expression | None) -> Type:
    if fold is OuterFold.COUNT or value is None:
        return Type.INT
    return Type.FLOAT if fold in (OuterFold.AVG, OuterFold.MEDIAN) else value.type


def _written(value: Expression, names: dict[str, str]) -> str:
    try:
        return expression(value, names)
    except KeyError as error:
        raise PlanError(f"no column {error.args[0]!r} after the noise") from None


def _kept(columns: Columns) -> list[str]:
    return [f"t.c{place} AS c{place}" for place in range(len(columns))]
