"""From the engine's columns to exact cells in the order of an aggregation's groups."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from noisegate.engines.unitrows import Statement, coded
from noisegate.privacy.exact import Exact
from noisegate.privacy.expressions import Scalar, Type
from noisegate.privacy.question import Aggregation, Key, Rank

Column = NDArray[np.generic]
GroupKey = tuple[Scalar, ...]


def assembled(aggregation: Aggregation, answers: Sequence[tuple[Statement, Mapping[str, Column]]]) -> Exact:
    """Return the cells of all measures, zero where a group or candidate has no rows.

    With public domains the groups are all their combinations, in the order of itertools.product. With
    private keys they are those that measure 0, the count of units, found present.

    Args:
        aggregation: what was asked.
        answers: each statement with its columns by name, as DuckDB's fetchnumpy gives them.
    """
    found = [_keys(aggregation, columns) for _, columns in answers]
    if aggregation.private_keys:
        keys: tuple[GroupKey, ...] = tuple(found[0])
    else:
        keys = tuple(product(*(key.domain or () for key in aggregation.keys)))
    places = {key: place for place, key in enumerate(keys)}
    cells: dict[int, NDArray[np.int64]] = {}
    for (statement, columns), present in zip(answers, found, strict=True):
        # Rows in no group were filtered out; -1 would be a row of a group that measure 0 did not keep.
        rows = np.fromiter((places.get(key, -1) for key in present), np.int64, len(present))
        kept = rows >= 0
        for i in statement.measures:
            values = np.ma.getdata(columns[f"m{i}"]).astype(np.int64, copy=False)
            measure = aggregation.measures[i]
            cell: NDArray[np.int64]
            if isinstance(measure, Rank):
                cell = np.zeros((len(keys), measure.candidates), np.int64)
                candidates = np.ma.getdata(columns["candidate"]).astype(np.int64, copy=False)
                cell[rows[kept], candidates[kept]] = values[kept]
            else:
                cell = np.zeros(len(keys), np.int64)
                cell[rows[kept]] = values[kept]
            cells[i] = cell
    return Exact(keys, tuple(cells[i] for i in range(len(aggregation.measures))))


def _keys(aggregation: Aggregation, columns: Mapping[str, Column]) -> list[GroupKey]:
    """Return the group of each row."""
    if not aggregation.keys:
        return [()] * len(next(iter(columns.values())))
    lists = [_values(aggregation, columns[f"k{i}"], key) for i, key in enumerate(aggregation.keys)]
    return list(zip(*lists, strict=True))


def _values(aggregation: Aggregation, column: Column, key: Key) -> list[Scalar]:
    if not coded(aggregation, key):
        return _scalars(column, key.expression.type)
    domain = key.domain or ()
    return [domain[place - 1] for place in np.ma.getdata(column).tolist()]


def _scalars(column: Column, kind: Type) -> list[Scalar]:
    """Return a column's values as Python's, None for NULL."""
    data = np.ma.getdata(column)
    if kind is Type.DATE:
        data = data.astype("datetime64[D]")
    elif kind is Type.TIMESTAMP:
        data = data.astype("datetime64[us]")
    values: list[Scalar] = data.tolist()
    missing = np.ma.getmaskarray(column)
    if missing.any():
        return [None if gone else value for value, gone in zip(values, missing.tolist(), strict=True)]
    return values
