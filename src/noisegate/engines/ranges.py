"""Statements run by ranges of units, one range after another, so that few units are held at a time.

TRUSTED. Each unit's rows are in one range, whatever the ends are, so what the ranges give adds up to what
all units give: the same integers, to the bit. The ends are taken from the rows, for even work; they stay
in here, and no cell depends on them. PROOFS.md, "Lowering".
"""
# ruff: noqa: S608  (the SQL is made of quoted names and constants)

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noisegate.engines.facts import TableFacts
from noisegate.engines.grids import joined
from noisegate.engines.quote import identifier
from noisegate.engines.render import database
from noisegate.privacy.expressions import Type
from noisegate.privacy.question import Aggregation, CountValues
from noisegate.privacy.relations import Filter, JoinPublic, Project, Relation, Scan, scans

Unit = int | str
Ends = tuple[Unit, ...]
ROWS_A_THREAD = 2**17  # of a range: what one thread takes at a time
FEWEST = 2**20  # rows of a table worth parting
_HELD = 2**20  # rows of answers held before they are added up


def ends_of(
    connection: duckdb.DuckDBPyConnection, dataset: str, tables: Mapping[str, TableFacts], threads: int
) -> dict[tuple[str, str], Ends]:
    """Return, for each large private table, units that part it into ranges of about as many rows, in order.

    Args:
        connection: where the snapshot is attached.
        dataset: whose snapshot.
        tables: its tables.
        threads: that work on a range.
    """
    found: dict[tuple[str, str], Ends] = {}
    step = ROWS_A_THREAD * max(2, threads)
    for name, facts in tables.items():
        if facts.unit is None:
            continue
        table = f"{identifier(database(dataset))}.main.{identifier(name)}"
        (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0]
        if rows < FEWEST:
            continue
        found[dataset, name] = sampled(connection, table, facts.unit, step)
    return found


def sampled(connection: duckdb.DuckDBPyConnection, table: str, unit: str, step: int) -> Ends:
    """Return the units of every so many rows of a table, each once and in order.

    Rows lie in the order of their units, or near it, so about as many rows are between one and the next.
    """
    every = f"t.rowid % {step} = {step - 1}"
    query = f"SELECT DISTINCT t.{identifier(unit)} AS u FROM {table} AS t WHERE {every} ORDER BY u"
    return tuple(u for (u,) in connection.execute(query).fetchall())


def ends_for(aggregation: Aggregation, ends: Mapping[tuple[str, str], Ends]) -> Ends:
    """Return the ends to run an aggregation by: those of its largest table; none to run it at once."""
    if all(isinstance(m, CountValues) for m in aggregation.measures):
        return ()
    if aggregation.single and _streams(aggregation.source):
        return ()
    # The engine's grouping takes -0.0 for 0.0, that of answers does not.
    if any(key.expression.type is Type.FLOAT for key in aggregation.keys):
        return ()
    known = [ends.get((s.dataset, s.table), ()) for s in scans(aggregation.source) if s.unit is not None]
    return max(known, key=len, default=())


def parted(ends: Ends) -> Iterator[tuple[Unit | None, Unit | None]]:
    """Return the ranges, each from its first end on and below its second.

    >>> list(parted((3, 5)))
    [(None, 3), (3, 5), (5, None)]
    """
    yield from zip((None, *ends), (*ends, None), strict=True)


class Added:
    """The sum of answers over ranges, group by group."""

    def __init__(self) -> None:
        self.held: list[pa.Table] = []
        self.rows = 0

    def add(self, answer: Mapping[str, NDArray[Any]]) -> None:
        """Take in the answer of one range: columns as fetchnumpy gives them."""
        arrays = {n: pa.array(np.ma.getdata(c), mask=np.ma.getmaskarray(c)) for n, c in answer.items()}
        self.held.append(pa.table(arrays))
        self.rows += self.held[-1].num_rows
        if self.rows > _HELD:
            whole = _summed(pa.concat_tables(self.held, promote_options="permissive"))
            self.held, self.rows = [whole], 0

    def columns(self) -> dict[str, Any]:
        """Return the columns as fetchnumpy gives them, with totals saturated."""
        whole = _summed(pa.concat_tables(self.held, promote_options="permissive"))
        found: dict[str, Any] = {n: _numpy(whole.column(n)) for n in whole.column_names if n[0] not in "mh"}
        for name in whole.column_names:
            if name[0] == "m":
                low = _integers(whole.column(name))
                high = f"h{name[1:]}"
                found[name] = (
                    joined(low, _integers(whole.column(high))) if high in whole.column_names else low
                )
        return found


def _summed(answers: pa.Table) -> pa.Table:
    names: Sequence[str] = answers.column_names
    keys = [n for n in names if n[0] not in "mh"]
    sums = [n for n in names if n[0] in "mh"]
    found = answers.group_by(keys).aggregate([(n, "sum") for n in sums])
    return found.select([*keys, *(f"{n}_sum" for n in sums)]).rename_columns([*keys, *sums])


def _integers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(column.to_numpy(), np.int64)


def _numpy(column: pa.ChunkedArray) -> np.ma.MaskedArray[Any, Any]:
    missing = column.is_null().to_numpy()
    if pa.types.is_string(column.type) or pa.types.is_null(column.type):
        return np.ma.MaskedArray(np.array(column.to_pylist(), dtype=object), missing)
    return np.ma.MaskedArray(column.fill_null(pa.scalar(0).cast(column.type)).to_numpy(), missing)


def _streams(relation: Relation) -> bool:
    """Whether rows pass one by one, so that the engine holds no unit."""
    while not isinstance(relation, Scan):
        match relation:
            case Filter() | Project():
                relation = relation.source
            case JoinPublic():
                relation = relation.left
            case _:
                return False
    return True
