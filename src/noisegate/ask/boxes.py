"""What an expression is over boxes of its columns' declared domains, by interval arithmetic.

The domains together are cut into boxes, single positions where there are few enough. On each box a number is
bounded and a truth value is known or not, so that what is said to be true on a box is true of all of it: a
share of certain boxes is never too large, however an expression is written.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from noisegate.ask.regions import Domain, Grid, Listed
from noisegate.privacy.expressions import (
    Call,
    Case,
    ColumnRef,
    Expression,
    Function,
    Literal,
    Type,
    columns_of,
)
from noisegate.sql.evaluate import NotEvaluated, evaluate

MOST_BOXES = 2**17
# Boxes times words: long expressions are looked at in fewer boxes.
_MOST_WORK = 2**23
# Whole numbers beyond it are not told apart in double precision.
_WHOLE = 2.0**53

Numbers = NDArray[np.float64]
Truths = NDArray[np.bool_]


class Span(NamedTuple):
    """Bounds of a number on each box; NaN where it may be NULL or is not known."""

    low: Numbers
    high: Numbers


class Truth(NamedTuple):
    """Where a condition is true on all of a box, and where it is false on all of it."""

    sure: Truths
    never: Truths


Value = Span | Truth


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """Boxes over the domains of some columns; `axes` says which domain each column has, by name."""

    domains: tuple[Domain, ...]
    axes: Mapping[str, int]
    cuts: tuple[NDArray[np.int64], ...]

    @staticmethod
    def over(domains: Sequence[Domain], axes: Mapping[str, int], words: int) -> "Boxes":
        """Cut domains into as many boxes as an expression of so many words is looked at on.

        Raises:
            NotEvaluated: values that cannot be cut are too many.
        """
        room = min(MOST_BOXES, _MOST_WORK // words)
        pieces = [1] * len(domains)
        order = sorted(range(len(domains)), key=lambda i: (isinstance(domains[i], Grid), domains[i].size))
        for done, i in enumerate(order):
            most = max(int(room ** (1 / (len(order) - done))), 1)
            pieces[i] = min(domains[i].size, most)
            if isinstance(domains[i], Listed) and pieces[i] < domains[i].size:
                raise NotEvaluated("too many listed values")
            room //= pieces[i]
        cuts = tuple(
            np.array([j * d.size // n for j in range(n + 1)], dtype=np.int64)
            for d, n in zip(domains, pieces, strict=True)
        )
        return Boxes(tuple(domains), axes, cuts)

    @property
    def shape(self) -> tuple[int, ...]:
        """How many boxes there are along each domain."""
        return tuple(len(cut) - 1 for cut in self.cuts)

    def weights(self) -> Numbers:
        """Return which share of all positions each box has."""
        parts = [self._along(np.diff(cut) / d.size, i) for i, (cut, d) in enumerate(self._both())]
        return np.broadcast_to(reduce(np.multiply, parts), self.shape)

    def _both(self) -> list[tuple[NDArray[np.int64], Domain]]:
        return list(zip(self.cuts, self.domains, strict=True))

    def _along(self, values: NDArray[Any], axis: int) -> NDArray[Any]:
        return values.reshape([-1 if i == axis else 1 for i in range(len(self.cuts))])

    def value(self, expression: Expression) -> Value:
        """Return an expression on each box, as arrays that broadcast to the boxes.

        Raises:
            NotEvaluated: it holds a word, or a column, that is not understood.
        """
        with np.errstate(all="ignore"):
            return self._value(expression)

    def _value(self, expression: Expression) -> Value:
        names = {ref.name for ref in columns_of(expression)}
        axes = {self.axes.get(name, -1) for name in names}
        if -1 in axes:
            raise NotEvaluated("a column without a declared domain")
        if len(axes) == 1:
            domain = self.domains[next(iter(axes))]
            if isinstance(domain, Listed):
                return self._listed(expression, names, domain, next(iter(axes)))
        match expression:
            case ColumnRef(name=name):
                return self._column(self.axes[name])
            case Literal(value=None):
                return _number(np.nan)
            case Literal(value=bool() as value):
                return Truth(np.array(value), np.array(not value))
            case Literal(value=int() | float() as value):
                return _whole(_number(float(value)), expression.type)
            case Case(branches=branches, otherwise=otherwise):
                found = self._value(otherwise)
                for condition, result in reversed(branches):
                    found = _chosen(_truth(self._value(condition)), self._value(result), found)
                return found
            case Call(function=Function.IN, args=(inner, *members)):
                return _among(_span(self._value(inner)), [self._value(m) for m in members])
            case Call(function=function, args=args):
                return _finite(_call(function, [self._value(a) for a in args], args), expression.type)
            case _:
                raise NotEvaluated("a constant of another type")

    def _column(self, axis: int) -> Span:
        domain, cut = self.domains[axis], self.cuts[axis]
        if not isinstance(domain, Grid):
            raise NotEvaluated("values of another type")
        # One division each: the doubles nearest to low + i * step.
        below = domain.low.denominator * domain.step.denominator
        first, step = int(domain.low * below), int(domain.step * below)
        if max(abs(first), abs(first + step * domain.size), below) > _WHOLE:
            raise NotEvaluated("numbers finer than double precision")
        low, high = (first + step * cut[:-1]) / below, (first + step * (cut[1:] - 1)) / below
        return Span(self._along(low, axis), self._along(high, axis))

    def _listed(self, expression: Expression, names: set[str], domain: Listed, axis: int) -> Value:
        values = [evaluate(expression, dict.fromkeys(names, value)) for value in domain.values]
        if expression.type is Type.BOOL:
            sure, never = ([v is truth for v in values] for truth in (True, False))
            return Truth(self._along(np.array(sure), axis), self._along(np.array(never), axis))
        if not all(v is None or isinstance(v, int | float) for v in values):
            # Of a text only whether it is NULL can be told.
            values = [None if v is None else 0.0 for v in values]
            unknown = np.array([np.nan if v is None else np.inf for v in values])
            return Span(self._along(-unknown, axis), self._along(unknown, axis))
        numbers = np.array([np.nan if v is None else float(v) for v in values])  # type: ignore[arg-type]
        return Span(self._along(numbers, axis), self._along(numbers, axis))


def _number(value: float) -> Span:
    return Span(np.array(value), np.array(value))


def _span(value: Value) -> Span:
    if isinstance(value, Span):
        return value
    known = value.sure | value.never
    number = np.where(known, value.sure.astype(np.float64), np.nan)
    return Span(number, number)


def _truth(value: Value) -> Truth:
    if isinstance(value, Truth):
        return value
    nowhere = np.zeros(value.low.shape, dtype=np.bool_)
    return Truth(nowhere, nowhere)  # NULL


def _finite(value: Value, kind: Type) -> Value:
    """Return a value with what overflows, NULL in an engine, as not known."""
    if isinstance(value, Truth):
        return value
    known = np.isfinite(value.low) & np.isfinite(value.high)
    return _whole(Span(np.where(known, value.low, np.nan), np.where(known, value.high, np.nan)), kind)


def _whole(value: Span, kind: Type) -> Span:
    if kind is not Type.INT:
        return value
    exact = np.maximum(abs(value.low), abs(value.high)) <= _WHOLE
    return Span(np.where(exact, value.low, np.nan), np.where(exact, value.high, np.nan))


def _chosen(condition: Truth, one: Value, other: Value) -> Value:
    sure, never = condition
    if isinstance(one, Truth) or isinstance(other, Truth):
        a, b = _truth(one), _truth(other)
        return Truth(
            np.where(sure, a.sure, np.where(never, b.sure, a.sure & b.sure)),
            np.where(sure, a.never, np.where(never, b.never, a.never & b.never)),
        )
    low, high = np.minimum(one.low, other.low), np.maximum(one.high, other.high)
    return Span(
        np.where(sure, one.low, np.where(never, other.low, low)),
        np.where(sure, one.high, np.where(never, other.high, high)),
    )


def _among(value: Span, members: list[Value]) -> Truth:
    numbers = np.sort(np.array([float(_span(m).low) for m in members]))
    if np.isnan(numbers).any():
        raise NotEvaluated("NULL among the members")
    sure = (value.low == value.high) & np.isin(value.low, numbers)
    before = np.searchsorted(numbers, value.low, "left")
    after = np.searchsorted(numbers, value.high, "right")
    return Truth(sure, (before == after) & ~np.isnan(value.low))


def _call(function: Function, args: list[Value], words: Sequence[Expression]) -> Value:
    match function:
        case Function.AND | Function.OR | Function.NOT:
            return _logical(function, [_truth(a) for a in args])
        case Function.IS_NULL:
            inner = args[0]
            known = inner.sure | inner.never if isinstance(inner, Truth) else ~np.isnan(inner.low)
            return Truth(np.zeros(known.shape, dtype=np.bool_), known)
        case Function.EQ | Function.SAME | Function.NE if all(isinstance(a, Truth) for a in args):
            a, b = _truth(args[0]), _truth(args[1])
            same = Truth(a.sure & b.sure | a.never & b.never, a.sure & b.never | a.never & b.sure)
            return same if function is not Function.NE else Truth(same.never, same.sure)
        case Function.COALESCE:
            found = args[-1]
            for inner in reversed(args[:-1]):
                if isinstance(inner, Truth):
                    found = _chosen(Truth(inner.sure | inner.never, np.zeros((), np.bool_)), inner, found)
                else:
                    known = ~np.isnan(inner.low)
                    found = _chosen(Truth(known, np.zeros(known.shape, np.bool_)), inner, found)
            return found
    if any(isinstance(w, Literal) and isinstance(w.value, str) for w in words):
        raise NotEvaluated("a text")
    spans = [_span(a) for a in args]
    if function in _COMPARED:
        return _COMPARED[function](*spans)
    if function in _RISING and len(spans) == 1:
        rises, least = _RISING[function]
        inside = spans[0].low >= least if function is not Function.LN else spans[0].low > least
        return Span(*(np.where(inside, rises(x), np.nan) for x in spans[0]))
    return _arithmetic(function, spans)


def _logical(function: Function, args: list[Truth]) -> Truth:
    if function is Function.NOT:
        return Truth(args[0].never, args[0].sure)
    any_true, any_false = (
        reduce(np.logical_or, [a.sure for a in args]),
        reduce(np.logical_or, [a.never for a in args]),
    )
    if function is Function.AND:
        return Truth(reduce(np.logical_and, [a.sure for a in args]), any_false)
    return Truth(any_true, reduce(np.logical_and, [a.never for a in args]))


def _arithmetic(function: Function, args: list[Span]) -> Span:
    match function, args:
        case Function.ADD, [a, b]:
            return Span(a.low + b.low, a.high + b.high)
        case Function.SUBTRACT, [a, b]:
            return Span(a.low - b.high, a.high - b.low)
        case Function.NEGATE, [a]:
            return Span(-a.high, -a.low)
        case Function.MULTIPLY, [a, b]:
            return _hull([x * y for x in a for y in b])
        case Function.DIVIDE, [a, b]:
            return _quotients(a, b)
        case Function.INT_DIVIDE, [a, b]:
            return Span(*(np.trunc(x) for x in _quotients(a, b)))
        case Function.MODULO, [a, b]:
            return _modulo(a, b)
        case Function.ABS, [a]:
            low = np.where((a.low <= 0) & (a.high >= 0), 0.0, np.minimum(abs(a.low), abs(a.high)))
            return Span(np.where(np.isnan(a.low), np.nan, low), np.maximum(abs(a.low), abs(a.high)))
        case Function.LEAST, _:
            return Span(*(reduce(np.minimum, ends) for ends in zip(*args, strict=True)))
        case Function.GREATEST, _:
            return Span(*(reduce(np.maximum, ends) for ends in zip(*args, strict=True)))
        case Function.NULLIF, [a, b]:
            apart = (a.high < b.low) | (b.high < a.low)
            return Span(np.where(apart, a.low, np.nan), np.where(apart, a.high, np.nan))
        case Function.ROUND, [a, digits]:
            unit = 10.0**digits.low
            return Span(*(_rounded(x * unit) / unit for x in a))
        case Function.POWER, [a, b] if b.low.size == 1 and float(b.low) == float(b.high):
            return _power(a, float(b.low))
        case _:
            raise NotEvaluated(function.value)


def _hull(values: list[Numbers]) -> Span:
    return Span(reduce(np.minimum, values), reduce(np.maximum, values))


def _quotients(a: Span, b: Span) -> Span:
    found = _hull([x / y for x in a for y in b])
    apart = (b.low > 0) | (b.high < 0)
    return Span(np.where(apart, found.low, np.nan), np.where(apart, found.high, np.nan))


def _modulo(a: Span, b: Span) -> Span:
    by = np.where((b.low == b.high) & (b.low != 0), abs(b.low), np.nan)
    once = (np.trunc(a.low / by) == np.trunc(a.high / by)) & ((a.low >= 0) | (a.high <= 0))
    low, high = np.fmod(a.low, by), np.fmod(a.high, by)
    return Span(
        np.where(once, low, np.where(a.low < 0, -by, 0.0 * by)),
        np.where(once, high, np.where(a.high > 0, by, 0.0 * by)),
    )


def _power(a: Span, exponent: float) -> Span:
    if exponent >= 0 and exponent % 2 == 1:
        return Span(a.low**exponent, a.high**exponent)
    if exponent >= 0 and exponent % 2 == 0 and exponent:
        a = _arithmetic(Function.ABS, [a])
    inside = a.low >= 0 if exponent > 0 else a.low > 0
    found = _hull([x**exponent for x in a])
    return Span(np.where(inside, found.low, np.nan), np.where(inside, found.high, np.nan))


def _rounded(x: Numbers) -> Numbers:
    return np.asarray(np.copysign(np.floor(abs(x) + 0.5), x))


def _equal(a: Span, b: Span) -> Truth:
    same = (a.low == a.high) & (b.low == b.high) & (a.low == b.low)
    return Truth(same, (a.high < b.low) | (b.high < a.low))


def _less(a: Span, b: Span) -> Truth:
    return Truth(a.high < b.low, a.low >= b.high)


def _turned(truth: Truth) -> Truth:
    return Truth(truth.never, truth.sure)


_COMPARED: dict[Function, Callable[[Span, Span], Truth]] = {
    Function.EQ: _equal,
    Function.SAME: _equal,
    Function.NE: lambda a, b: _turned(_equal(a, b)),
    Function.LT: _less,
    Function.GT: lambda a, b: _less(b, a),
    Function.GE: lambda a, b: _turned(_less(a, b)),
    Function.LE: lambda a, b: _turned(_less(b, a)),
}
# What never falls as its argument rises, and from where on it is defined.
_RISING: dict[Function, tuple[Callable[[Numbers], Numbers], float]] = {
    Function.SIGN: (np.sign, -np.inf),
    Function.FLOOR: (np.floor, -np.inf),
    Function.CEIL: (np.ceil, -np.inf),
    Function.ROUND: (_rounded, -np.inf),
    Function.TO_INT: (_rounded, -np.inf),
    Function.TO_FLOAT: (lambda x: x, -np.inf),
    Function.EXP: (np.exp, -np.inf),
    Function.SQRT: (np.sqrt, 0.0),
    Function.LN: (np.log, 0.0),
    Function.LOG10: (np.log10, 1e-300),
}
