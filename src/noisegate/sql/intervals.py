"""Interval arithmetic: the facts of an expression from the facts of its columns.

Exact rational arithmetic; wherever a result grows out of hand it becomes unbounded or is rounded
outwards, so that no question can make the planner slow.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import assert_never

from noisegate.privacy.expressions import Call, Case, ColumnRef, Expression, Function, Literal, Type
from noisegate.sql.facts import UNKNOWN, Facts, Known, common_step, either, known_of, refine

MOST = Fraction(2**100)  # a bound beyond this counts as none
_FINE = 2**64  # bounds with longer denominators are rounded outwards to multiples of 1 / _FINE
_MOST_POWER = 8

Bound = Fraction | None
Interval = tuple[Bound, Bound]
ANYTHING: Interval = (None, None)


def facts_of(expression: Expression, known: Known) -> Facts:
    """Return what is known of an expression's values."""
    match expression:
        case ColumnRef(name=name, type=kind):
            found = known_of(name, known)
            if kind is Type.BOOL and found.domain is None:
                return replace(found, domain=(False, True))
            return found
        case Literal(value=None):
            return UNKNOWN
        case Literal(value=bool() as truth):
            return Facts(domain=(truth,), nullable=False)
        case Literal(value=int() | float() as number):
            # As written: 0.1 is one tenth here, not the double nearest to it.
            value = Fraction(str(number))
            step = Fraction(1, value.denominator) if value.denominator < 10**12 else None
            return Facts(low=value, high=value, step=step, domain=(number,), nullable=False)
        case Literal(value=value):
            return Facts(domain=(value,), nullable=False)
        case Case():
            return _case(expression, known)
        case Call():
            return _call(expression, known)
        case _:
            assert_never(expression)


def _case(case: Case, known: Known) -> Facts:
    parts = []
    for condition, value in case.branches:
        if not _is_null(value):
            parts.append(facts_of(value, refine(condition, known)))
    if not _is_null(case.otherwise):
        parts.append(facts_of(case.otherwise, known))
    if not parts:
        return UNKNOWN
    joined = parts[0]
    for part in parts[1:]:
        joined = either(joined, part)
    missing = any(_is_null(v) for v in (*(v for _, v in case.branches), case.otherwise))
    return replace(joined, nullable=joined.nullable or missing)


def _is_null(expression: Expression) -> bool:
    return isinstance(expression, Literal) and expression.value is None


_KEEPS_UNIT = frozenset(
    {
        Function.ADD, Function.SUBTRACT, Function.NEGATE, Function.ABS, Function.ROUND, Function.FLOOR,
        Function.CEIL, Function.LEAST, Function.GREATEST, Function.COALESCE, Function.NULLIF,
        Function.TO_FLOAT, Function.TO_INT, Function.MODULO,
    }
)  # fmt: skip
# Functions that give NULL for no argument but NULL.
_TOTAL = frozenset(Function) - {
    Function.DIVIDE, Function.INT_DIVIDE, Function.MODULO, Function.SQRT, Function.LN, Function.LOG10,
    Function.EXP, Function.POWER, Function.NULLIF, Function.ADD_DAYS, Function.TO_INT, Function.TO_FLOAT,
    Function.TO_BOOL, Function.TO_DATE, Function.TO_TIMESTAMP,
}  # fmt: skip
_PARTS = {
    Function.MONTH: (1, 12),
    Function.DAY: (1, 31),
    Function.QUARTER: (1, 4),
    Function.ISO_WEEKDAY: (1, 7),
    Function.HOUR: (0, 23),
    Function.SIGN: (-1, 1),
}


def _call(call: Call, known: Known) -> Facts:
    inner = [facts_of(a, known) for a in call.args]
    domain = (False, True) if call.type is Type.BOOL else None
    if call.type not in (Type.INT, Type.FLOAT):
        return Facts(domain=domain, nullable=_nullable(call, inner), origin=_origin(inner))
    low, high = _bounded(call, inner)
    low, high = _tame(low, math.floor), _tame(high, math.ceil)
    units = {f.measured_in for a, f in zip(call.args, inner, strict=True) if not isinstance(a, Literal)}
    measured = units.pop() if call.function in _KEEPS_UNIT and len(units) == 1 else ""
    return Facts(
        low=low,
        high=high,
        step=_step(call, inner),
        nullable=_nullable(call, inner),
        measured_in=measured,
        origin=_origin(inner),
    )


def _origin(inner: list[Facts]) -> str:
    """Name the column to blame for missing bounds: the first without any, else the first."""
    unbounded = [f.origin for f in inner if f.origin and (f.low is None or f.high is None)]
    return (unbounded or [f.origin for f in inner if f.origin] or [""])[0]


def _nullable(call: Call, inner: list[Facts]) -> bool:
    match call.function:
        case Function.IS_NULL | Function.SAME:
            return False
        case Function.COALESCE:
            return all(f.nullable for f in inner)
        case Function.DIVIDE | Function.INT_DIVIDE | Function.MODULO:
            divisor = inner[1]
            apart = (
                divisor.low is not None and divisor.high is not None and (divisor.low > 0 or divisor.high < 0)
            )
            return not (apart and isinstance(call.args[1], Literal)) or any(f.nullable for f in inner)
        case Function.TO_INT | Function.TO_FLOAT if call.args[0].type in (Type.BOOL, Type.INT):
            return inner[0].nullable
        case Function.TO_DATE | Function.TO_TIMESTAMP if call.args[0].type in (Type.DATE, Type.TIMESTAMP):
            return inner[0].nullable
        case function:
            return function not in _TOTAL or any(f.nullable for f in inner)


def _tame(bound: Bound, rounded: Callable[[Fraction], int]) -> Bound:
    if bound is None or abs(bound) > MOST:
        return None
    if bound.denominator.bit_length() > 128:
        return Fraction(rounded(bound * _FINE), _FINE)
    return bound


def _bounded(call: Call, inner: list[Facts]) -> Interval:
    spans = [(f.low, f.high) for f in inner]
    first = spans[0]
    match call.function:
        case Function.ADD:
            return _add(first, spans[1])
        case Function.SUBTRACT:
            return _add(first, _negate(spans[1]))
        case Function.NEGATE:
            return _negate(first)
        case Function.MULTIPLY:
            if call.args[0] == call.args[1]:
                return _square(first)
            return _multiply(first, spans[1])
        case Function.DIVIDE:
            return _divide(first, spans[1])
        case Function.INT_DIVIDE:
            low, high = _divide(first, spans[1])
            return (_map(low, math.trunc), _map(high, math.trunc))
        case Function.MODULO:
            return _modulo(first, spans[1], whole=call.type is Type.INT)
        case Function.ABS:
            return _absolute(first)
        case Function.FLOOR:
            return (_map(first[0], math.floor), _map(first[1], math.floor))
        case Function.CEIL:
            return (_map(first[0], math.ceil), _map(first[1], math.ceil))
        case Function.ROUND:
            unit = _round_step(call)
            return (
                _map(first[0], lambda x: math.floor(x / unit) * unit),
                _map(first[1], lambda x: math.ceil(x / unit) * unit),
            )
        case Function.LEAST:
            highs = [h for _, h in spans if h is not None]
            return (_fold(min, [low for low, _ in spans]), min(highs) if highs else None)
        case Function.GREATEST:
            lows = [low for low, _ in spans if low is not None]
            return (max(lows) if lows else None, _fold(max, [h for _, h in spans]))
        case Function.COALESCE:
            return (_fold(min, [low for low, _ in spans]), _fold(max, [h for _, h in spans]))
        case Function.NULLIF | Function.TO_FLOAT:
            if call.function is Function.TO_FLOAT and call.args[0].type is Type.BOOL:
                return (Fraction(0), Fraction(1))
            return first
        case Function.TO_INT:
            if call.args[0].type is Type.BOOL:
                return (Fraction(0), Fraction(1))
            return (_map(first[0], math.floor), _map(first[1], math.ceil))
        case Function.SQRT:
            return _monotone(math.sqrt, (max(first[0] or Fraction(0), Fraction(0)), first[1]))
        case Function.LN | Function.LOG10:
            if first[0] is None or first[0] <= 0:
                return ANYTHING
            return _monotone(math.log if call.function is Function.LN else math.log10, first)
        case Function.EXP:
            low, high = _monotone(math.exp, first)
            return (low if low is not None else Fraction(0), high)
        case Function.POWER:
            return _power(first, call.args[1])
        case Function.LENGTH:
            return (Fraction(0), None)
        case function if function in _PARTS:
            low_part, high_part = _PARTS[function]
            return (Fraction(low_part), Fraction(high_part))
        case _:
            return ANYTHING


def _map(bound: Bound, function: Callable[[Fraction], int | Fraction]) -> Bound:
    return None if bound is None else Fraction(function(bound))


def _fold(choose: Callable[[list[Fraction]], Fraction], bounds: list[Bound]) -> Bound:
    found = [b for b in bounds if b is not None]
    return choose(found) if len(found) == len(bounds) else None


def _add(a: Interval, b: Interval) -> Interval:
    low = a[0] + b[0] if a[0] is not None and b[0] is not None else None
    high = a[1] + b[1] if a[1] is not None and b[1] is not None else None
    return (low, high)


def _negate(a: Interval) -> Interval:
    return (-a[1] if a[1] is not None else None, -a[0] if a[0] is not None else None)


def _multiply(a: Interval, b: Interval) -> Interval:
    if a[0] is None or a[1] is None or b[0] is None or b[1] is None:
        return ANYTHING
    corners = [x * y for x in (a[0], a[1]) for y in (b[0], b[1])]
    return (min(corners), max(corners))


def _square(a: Interval) -> Interval:
    low, high = _absolute(a)
    return (low * low if low is not None else None, high * high if high is not None else None)


def _divide(a: Interval, b: Interval) -> Interval:
    if b[0] is None or b[1] is None or b[0] <= 0 <= b[1]:
        return ANYTHING
    return _multiply(a, (1 / b[1], 1 / b[0]))


def _modulo(a: Interval, b: Interval, *, whole: bool) -> Interval:
    if b[0] is None or b[1] is None:
        return ANYTHING
    most = max(abs(b[0]), abs(b[1])) - (1 if whole else 0)
    most = max(most, Fraction(0))
    low = Fraction(0) if a[0] is not None and a[0] >= 0 else -most
    high = Fraction(0) if a[1] is not None and a[1] <= 0 else most
    return (low, high)


def _absolute(a: Interval) -> Interval:
    ends = [abs(b) for b in a if b is not None]
    high = max(ends) if len(ends) == 2 else None
    if a[0] is not None and a[0] >= 0:
        return (a[0], high)
    if a[1] is not None and a[1] <= 0:
        return (-a[1], high)
    return (Fraction(0), high)


def _monotone(function: Callable[[float], float], a: Interval) -> Interval:
    def at(bound: Bound) -> Bound:
        if bound is None:
            return None
        try:
            return Fraction(function(float(bound)))
        except (OverflowError, ValueError):
            return None

    return (at(a[0]), at(a[1]))


def _power(a: Interval, exponent: Expression) -> Interval:
    if not isinstance(exponent, Literal) or not isinstance(exponent.value, int | float):
        return ANYTHING
    power = exponent.value
    if power == int(power) and 0 <= power <= _MOST_POWER:
        whole = int(power)
        if a[0] is None or a[1] is None:
            return ANYTHING
        if whole % 2:
            return (a[0] ** whole, a[1] ** whole)
        low, high = _absolute(a)
        return (low**whole if low is not None else None, high**whole if high is not None else None)
    if a[0] is not None and a[0] > 0 and 0 < power <= _MOST_POWER:
        return _monotone(lambda x: float(x**power), a)
    return ANYTHING


def _round_step(call: Call) -> Fraction:
    digits = call.args[1] if len(call.args) > 1 else None
    if isinstance(digits, Literal) and isinstance(digits.value, int) and abs(digits.value) <= 18:
        return Fraction(10) ** -digits.value
    return Fraction(1)


def _step(call: Call, inner: list[Facts]) -> Fraction | None:
    if call.type is Type.INT:
        return Fraction(1)
    steps = [f.step for f in inner]
    match call.function:
        case (
            Function.ADD
            | Function.SUBTRACT
            | Function.LEAST
            | Function.GREATEST
            | Function.COALESCE
            | Function.MODULO
        ):
            step = steps[0]
            for other in steps[1:]:
                step = common_step(step, other)
        case Function.MULTIPLY:
            factors = [
                abs(f.low) if isinstance(a, Literal) and f.low is not None else f.step
                for a, f in zip(call.args, inner, strict=True)
            ]
            step = None
            if factors[0] and factors[1]:
                step = factors[0] * factors[1]
        case Function.NEGATE | Function.ABS | Function.NULLIF | Function.TO_FLOAT | Function.SIGN:
            step = steps[0]
        case Function.ROUND:
            step = _round_step(call)
        case Function.FLOOR | Function.CEIL:
            step = Fraction(1)
        case _:
            step = None
    if step is not None and (step.denominator.bit_length() > 64 or step.numerator.bit_length() > 64):
        return None
    return step
