"""From the engine's columns to exact cells in the order of an aggregation's groups."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from noisegate.engines.unitrows import Statement, coded
from noisegate.privacy.exact import Cells, Counted, Exact
from noisegate.privacy.expressions import Scalar, Type
from noisegate.privacy.question import Aggregation, Key, Rank

Column = NDArray[np.generic]
Columns = Mapping[str, Column]
GroupKey = tuple[Scalar, ...]
NOWHERE = -1
AT_ONCE = 2**16  # values of a column that are Python objects at a time


def assembled(aggregation: Aggregation, answers: Sequence[tuple[Statement, Columns]]) -> Exact:
    """Return the cells of all measures, zero where a group or candidate has no rows.

    With public domains the groups are all their combinations, in the order of itertools.product. With
    private keys they are those that measure 0, the count of units, found present.

    Args:
        aggregation: what was asked.
        answers: each statement with its columns by name, as DuckDB's fetchnumpy gives them.
    """
    keys, places = _groups(aggregation, [columns for _, columns in answers])
    cells: dict[int, Cells | Counted] = {}
    for (statement, columns), rows in zip(answers, places, strict=True):
        # Rows in no group were filtered out; one that is nowhere is of a group measure 0 did not keep.
        kept = np.flatnonzero(rows != NOWHERE)
        for i in statement.measures:
            values = _integers(columns[f"m{i}"])
            if isinstance(aggregation.measures[i], Rank):
                cells[i] = _counted(rows[kept], _integers(columns["candidate"])[kept], values[kept])
            else:
                cell = np.zeros(len(keys), np.int64)
                cell[rows[kept]] = values[kept]
                cells[i] = cell
    return Exact(keys, tuple(cells[i] for i in range(len(aggregation.measures))))


def _counted(groups: Cells, candidates: Cells, counts: Cells) -> Counted:
    order = np.lexsort((candidates, groups))
    return Counted(groups[order], candidates[order], counts[order])


def _groups(aggregation: Aggregation, answers: Sequence[Columns]) -> tuple[tuple[GroupKey, ...], list[Cells]]:
    """Return the groups, and for the rows of each answer the place of their group or NOWHERE."""
    lengths = [len(next(iter(columns.values()))) for columns in answers]
    folded = np.zeros(sum(lengths), np.int64)  # a number for each group, over the rows of all answers
    for i, key in enumerate(aggregation.keys):
        codes, count = _codes(aggregation, key, [columns[f"k{i}"] for columns in answers])
        folded = np.where((folded < 0) | (codes < 0), NOWHERE, folded * count + codes)
        if aggregation.private_keys and i > 0:
            # No more numbers than rows: the next product fits 64 bits, and `place` below fits memory.
            folded = np.unique(folded, return_inverse=True)[1].astype(np.int64, copy=False)
    parts = np.split(folded, np.cumsum(lengths)[:-1])
    if not aggregation.private_keys:
        return tuple(product(*(key.domain or () for key in aggregation.keys))), parts
    place = np.full(int(folded.max(initial=0)) + 1, NOWHERE)
    place[parts[0]] = np.arange(lengths[0])
    lists = [
        [v for part in _values(aggregation, answers[0][f"k{i}"], key) for v in part]
        for i, key in enumerate(aggregation.keys)
    ]
    return tuple(zip(*lists, strict=True)), [place[part] for part in parts]


def _codes(aggregation: Aggregation, key: Key, columns: Sequence[Column]) -> tuple[Cells, int]:
    """Return a number below the second result for each value, equal for equal ones, over all columns.

    With public domains it is the value's place in the domain, or NOWHERE.
    """
    domain = key.domain or ()
    if coded(aggregation, key):
        return np.concatenate([_integers(column) for column in columns]) - 1, len(domain)
    known = {value: i for i, value in enumerate(domain)}
    values = (v for column in columns for part in _values(aggregation, column, key) for v in part)
    total = sum(len(column) for column in columns)
    if aggregation.private_keys:
        codes = np.fromiter((known.setdefault(v, len(known)) for v in values), np.int64, total)
    else:
        codes = np.fromiter((known.get(v, NOWHERE) for v in values), np.int64, total)
    return codes, len(known)


def _values(aggregation: Aggregation, column: Column, key: Key) -> Iterator[list[Scalar]]:
    """Return a key's values as Python's, None for NULL and one NaN for all, some at a time."""
    domain = key.domain or ()
    for first in range(0, len(column), AT_ONCE):
        part = column[first : first + AT_ONCE]
        if coded(aggregation, key):
            yield [domain[place - 1] for place in np.ma.getdata(part).tolist()]
        else:
            yield _scalars(part, key.expression.type)


def _scalars(column: Column, kind: Type) -> list[Scalar]:
    data = np.ma.getdata(column)
    if kind is Type.DATE:
        data = data.astype("datetime64[D]")
    elif kind is Type.TIMESTAMP:
        data = data.astype("datetime64[us]")
    values: list[Scalar] = data.tolist()
    if kind is Type.FLOAT and np.isnan(data).any():
        values = [value if value == value else math.nan for value in values]
    missing = np.ma.getmaskarray(column)
    if missing.any():
        return [None if gone else value for value, gone in zip(values, missing.tolist(), strict=True)]
    return values


def _integers(column: Column) -> Cells:
    return np.ma.getdata(column).astype(np.int64, copy=False)
