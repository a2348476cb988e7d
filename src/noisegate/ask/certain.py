"""How few a condition, or a value, may single out, whatever it is written with.

What `boxes.py` finds true counts for the share that is certain. Where nothing is certain, a condition may
pick out one value of every column that it reads, so it counts as that: numbers can be packed into one.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from math import prod

import numpy as np

from noisegate.ask.boxes import Boxes, Numbers, Span, Truths, Value
from noisegate.ask.regions import Domain, Region, linear
from noisegate.privacy.expressions import (
    Call,
    Case,
    ColumnRef,
    Expression,
    Function,
    Literal,
    Type,
    children,
    columns_of,
)
from noisegate.sql.evaluate import NotEvaluated

# The least share that anything counts as: 40 bits.
LEAST = Fraction(1, 2**40)
# Values that differ by less than this part of their range count as the same.
_FINE = 1_000
# Shares are rounded down to parts of it.
_PARTS = 2**48

# What gives no value by itself that few people have, whatever it is given.
_HARMLESS = frozenset(
    {
        Function.ADD, Function.SUBTRACT, Function.MULTIPLY, Function.NEGATE, Function.TO_FLOAT,
        Function.COALESCE, Function.YEAR, Function.MONTH, Function.DAY, Function.QUARTER, Function.HOUR,
        Function.ISO_WEEKDAY, Function.DAYS_BETWEEN, Function.ADD_DAYS, Function.TRUNC_YEAR,
        Function.TRUNC_MONTH, Function.LENGTH, Function.LOWER, Function.UPPER, Function.TRIM,
        Function.TO_DATE, Function.TO_TIMESTAMP, Function.TO_STR,
    }
)  # fmt: skip


def floor_of(sizes: Sequence[int | None], unknown: Fraction) -> Fraction:
    """Return the share of one value of every column, `unknown` once for those whose size is None."""
    known = prod(size for size in sizes if size is not None)
    return max(Fraction(1, known) * (unknown if None in sizes else 1), LEAST)


@lru_cache(maxsize=1_024)
def region(condition: Expression, domain: Domain, negated: bool) -> Region | None:
    """Return where a condition on one column is certainly true, or false; None where that is not known."""
    axes = dict.fromkeys((ref.name for ref in columns_of(condition)), 0)
    try:
        boxes = Boxes.over((domain,), axes, _words(condition))
        found = boxes.value(condition)
    except NotEvaluated:
        return None
    if isinstance(found, Span):
        return None
    where = np.broadcast_to(found.never if negated else found.sure, boxes.shape)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], where, [False])).astype(np.int8)))
    cut = boxes.cuts[0]
    return tuple(
        (int(cut[first]), int(cut[last]) - 1) for first, last in zip(edges[::2], edges[1::2], strict=True)
    )


def share(
    condition: Expression, domains: Sequence[Domain | None], axes: Mapping[str, int], *, negated: bool
) -> Fraction | None:
    """Return for which share of the domains together a condition is certainly true, or false."""
    found = _looked(condition, domains, axes)
    if found is None:
        return None
    boxes, truth = found
    if isinstance(truth, Span):
        return None
    return _part(boxes, truth.never if negated else truth.sure)


def present(value: Expression, domains: Sequence[Domain | None], axes: Mapping[str, int]) -> Fraction | None:
    """Return for which share a value is certainly not NULL where its columns are not; None if unknown."""
    found = _looked(value, domains, axes)
    if found is None:
        return None
    boxes, known = found
    return _part(boxes, ~np.isnan(known.low) if isinstance(known, Span) else known.sure | known.never)


def varied(value: Expression, domains: Sequence[Domain | None], axes: Mapping[str, int]) -> Fraction | None:
    """Return which share certainly has another value than the commonest one; None if unknown.

    A value that differs for few people alone singles these out, as a condition on them does.
    """
    found = _looked(value, domains, axes)
    if found is None:
        return None
    boxes, span = found
    if not isinstance(span, Span):
        return None
    low, high, weight = (
        np.ravel(np.broadcast_to(a, boxes.shape)) for a in (span.low, span.high, boxes.weights())
    )
    known = ~np.isnan(low)
    if not known.any():
        return Fraction(0)
    return _rounded(float(weight[known].sum()) - _commonest(low[known], high[known], weight[known]))


def _commonest(low: Numbers, high: Numbers, weight: Numbers) -> float:
    """Return the largest share that may lie within one window of values."""
    width = (high.max() - low.min()) / _FINE
    first, last = np.argsort(low), np.argsort(high)
    begun = np.concatenate(([0.0], np.cumsum(weight[first])))
    ended = np.concatenate(([0.0], np.cumsum(weight[last])))
    tops = low + width
    depth = (
        begun[np.searchsorted(low[first], tops, "right")] - ended[np.searchsorted(high[last], low, "left")]
    )
    return float(depth.max())


def harmless(value: Expression) -> bool:
    """Whether a value is put together so that it cannot act as a condition beside those of its CASEs."""
    if value.type is Type.BOOL or isinstance(value, ColumnRef | Literal):
        return True
    if isinstance(value, Case):
        return all(harmless(v) for v in (*(v for _, v in value.branches), value.otherwise))
    if value.function is Function.TO_INT and value.args[0].type in (Type.BOOL, Type.INT):
        return harmless(value.args[0])
    divided = value.function is Function.DIVIDE and isinstance(value.args[1], Literal)
    if divided or value.function in _HARMLESS:
        return all(harmless(part) for part in children(value))
    return linear(value) is not None


def divides(value: Expression) -> bool:
    """Whether a value does nothing but what is harmless, and divide."""
    if isinstance(value, Call) and value.function is Function.DIVIDE:
        return all(divides(part) for part in value.args)
    if isinstance(value, Call) and value.function in _HARMLESS:
        return all(divides(part) for part in value.args)
    return harmless(value)


def _looked(
    expression: Expression, domains: Sequence[Domain | None], axes: Mapping[str, int]
) -> tuple[Boxes, Value] | None:
    known = [domain for domain in domains if domain is not None]
    if len(known) < len(domains):
        return None
    try:
        boxes = Boxes.over(known, axes, _words(expression))
        return boxes, boxes.value(expression)
    except NotEvaluated:
        return None


def _part(boxes: Boxes, where: Truths) -> Fraction:
    if bool(np.all(where)):
        return Fraction(1)
    return _rounded(float((boxes.weights() * np.broadcast_to(where, boxes.shape)).sum()))


def _rounded(part: float) -> Fraction:
    """Return a share of boxes, rounded down past what adding them up may be off by."""
    return Fraction(max(int((part - 1e-12) * _PARTS), 0), _PARTS)


def _words(expression: Expression) -> int:
    return expression.size if isinstance(expression, Call | Case) else 1
