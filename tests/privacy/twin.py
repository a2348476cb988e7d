"""The slow, obvious twin of bounding and folding: people are lists of rows, rows are dictionaries.

Written from the words of question.py alone, in plain Python, so that it can disagree with the engine and
with sensitivity.py.
"""

import hashlib
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from noisegate.privacy.exact import Counted
from noisegate.privacy.expressions import (
    Call,
    ColumnRef,
    Expression,
    Function,
    Literal,
    Scalar,
    Type,
)
from noisegate.privacy.question import (
    Aggregation,
    CountRows,
    CountUnits,
    CountValues,
    Measure,
    Moment,
    Rank,
    Sum,
)
from noisegate.privacy.relations import Grid, Scan, ScanColumn

Row = Mapping[str, Scalar]
Person = list[Row]
Cells = dict[tuple[Scalar, ...], list[list[int]]]  # a group's measures; a Rank has one entry a candidate

SCAN = Scan(
    "cohort",
    "visits",
    (
        ScanColumn("person", "person", Type.INT),
        ScanColumn("site", "site", Type.STR),
        ScanColumn("x", "x", Type.FLOAT),
        ScanColumn("flag", "flag", Type.BOOL),
    ),
    "person",
    "city",
)
X = ColumnRef("x", Type.FLOAT)
FLAG = ColumnRef("flag", Type.BOOL)
SITE = ColumnRef("site", Type.STR)


def counted(cells) -> Counted:
    """Counts at every candidate, one row a group, as they are kept."""
    dense = np.array(cells, dtype=np.int64)
    groups, candidates = np.nonzero(dense)
    return Counted(groups, candidates, dense[groups, candidates])


def evaluate(expression: Expression, row: Row) -> Scalar:
    match expression:
        case ColumnRef(name=name):
            return row[name]
        case Literal(value=value):
            return value
        case Call(function=Function.GT, args=(left, right)):
            a, b = evaluate(left, row), evaluate(right, row)
            return None if a is None or b is None else a > b
        case Call(function=Function.NOT, args=(inner,)):
            value = evaluate(inner, row)
            return None if value is None else not value
        case _:
            raise NotImplementedError(expression)


def draw_order(*parts: object) -> bytes:
    return hashlib.sha256(repr(("secret", *parts)).encode()).digest()


def steps_of(value: Scalar, grid: Grid) -> int:
    low, high = float(grid.low * grid.step), float(grid.high * grid.step)
    return round(Fraction(min(max(float(value), low), high)) / grid.step)


def clamp(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def toward_zero(top: int, bottom: int) -> int:
    return abs(top) // bottom * (1 if top >= 0 else -1)


def fold(measure: Measure, rows: list[Row], most: int, left: int) -> tuple[object, int]:
    """One unit's share of one group's cell, and how many of the `left` rows it used."""
    if measure.where is not None:
        rows = [r for r in rows if evaluate(measure.where, r) is True]
    if isinstance(measure, CountRows):
        used = min(len(rows), most, left)
        return used, used
    if isinstance(measure, CountUnits):
        return min(len(rows), 1), 0
    values = [(r, v) for r in rows if (v := evaluate(measure.value, r)) is not None]
    used = min(len(values), most, left)
    match measure:
        case Sum(grid=grid):
            total = sum(steps_of(v, grid) for _, v in values)
            return clamp(total, used * min(grid.low, 0), used * max(grid.high, 0)), used
        case Moment(grid=grid, power=power):
            total = sum((steps_of(v, grid) - measure.centre) ** power for _, v in values)
            return (total if len(values) <= used else toward_zero(total * used, len(values))), used
        case CountValues():
            return set(sorted({v for _, v in values}, key=draw_order)[:most]), 0
        case Rank(grid=grid):
            kept = sorted(values, key=lambda rv: draw_order(sorted(rv[0].items(), key=str)))[:most]
            return [(steps_of(v, grid) - grid.low) // measure.stride for _, v in kept], 0
    raise NotImplementedError(measure)


def exact(aggregation: Aggregation, people: Mapping[int, Person]) -> Cells:
    """The exact cells of every group somebody stands in, as an engine should give them."""
    bounding = aggregation.bounding
    shares: dict[tuple[Scalar, ...], list[list[object]]] = {}
    for unit, person in people.items():
        groups: dict[tuple[Scalar, ...], list[Row]] = {}
        for row in person:
            key = tuple(evaluate(k.expression, row) for k in aggregation.keys)
            if all(k.domain is None or v in k.domain for k, v in zip(aggregation.keys, key, strict=True)):
                groups.setdefault(key, []).append(row)
        kept = sorted(groups, key=lambda key: draw_order(unit, key))
        left = [bounding.total] * len(aggregation.measures)
        for key in kept[: bounding.groups]:
            folded = []
            for i, measure in enumerate(aggregation.measures):
                share, used = fold(measure, groups[key], bounding.rows, left[i])
                left[i] -= used
                folded.append(share)
            shares.setdefault(key, []).append(folded)
    return {
        key: [total(m, [s[i] for s in held]) for i, m in enumerate(aggregation.measures)]
        for key, held in shares.items()
    }


def total(measure: Measure, shares: list[object]) -> list[int]:
    if isinstance(measure, CountValues):
        return [len(set().union(*shares))]
    if isinstance(measure, Rank):
        places = [p for share in shares for p in share]
        return [places.count(i) for i in range(measure.candidates)]
    return [sum(shares)]


def movements(aggregation: Aggregation, before: Cells, after: Cells, measure: int) -> list[int]:
    """How far each group's cell of an additive measure moved."""
    nothing = [[0]] * len(aggregation.measures)
    keys = set(before) | set(after)
    return [abs(after.get(k, nothing)[measure][0] - before.get(k, nothing)[measure][0]) for k in keys]
