"""95 % intervals of answers, from the law of the noise alone.

Every noisy cell lies within a known half-width of its exact value with a known probability. An output
that reads m cells takes each at confidence 1 - 0.05 / m, so that all of them hold together with
95 % (Bonferroni), and carries the box through its arithmetic. What cannot be carried gives no interval.
The interval is about the question as bounded: it says nothing of what clamping took away.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from noisegate.privacy.after import CountOf, Estimate, MeanOf, QuantileOf, SumOf, VarianceOf
from noisegate.privacy.expressions import Call, Case, ColumnRef, Expression, Function, Literal
from noisegate.privacy.question import Moment, Rank, Sum

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A closed interval of real numbers; infinite ends mean unbounded."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError("an interval's low end is not above its high end")


EVERYTHING = Interval(-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Cell:
    """One noisy integer and how far from the exact one it may be, at the confidence in use."""

    value: int
    half_width: int

    @property
    def interval(self) -> Interval:
        """Where the exact integer lies."""
        return Interval(self.value - self.half_width, self.value + self.half_width)


def estimate(kind: Estimate, measures: tuple[object, ...], cells: dict[int, Cell]) -> float | int | None:
    """Return the value of an estimate from noisy cells, None where the noisy count is too small."""
    match kind:
        case CountOf(measure=m):
            return cells[m].value
        case SumOf(measure=m):
            total = measures[m]
            if not isinstance(total, Sum):
                raise TypeError("SumOf reads a Sum")
            if total.grid.step == 1:
                return cells[m].value
            return float(cells[m].value * total.grid.step)
        case MeanOf(moment=m, count=n):
            moment = _moment(measures[m])
            if cells[n].value < 1:
                return None
            mean = (moment.centre + cells[m].value / cells[n].value) * float(moment.grid.step)
            return min(max(mean, _low(moment)), _high(moment))
        case VarianceOf(first=a, second=b, count=n, sample=sample, root=root):
            moment = _moment(measures[a])
            size = cells[n].value
            if size < (2 if sample else 1):
                return None
            mean = cells[a].value / size
            spread = max(cells[b].value / size - mean * mean, 0.0)
            if sample:
                spread *= size / (size - 1)
            step = float(moment.grid.step)
            return math.sqrt(spread) * step if root else spread * step * step
        case QuantileOf(rank=m):
            rank = measures[m]
            if not isinstance(rank, Rank):
                raise TypeError("QuantileOf reads a Rank")
            return float(cells[m].value * rank.grid.step)
        case _:
            assert_never(kind)


def interval_of(kind: Estimate, measures: tuple[object, ...], cells: dict[int, Cell]) -> Interval:
    """Return where the exact estimate lies if every cell lies in its interval."""
    match kind:
        case CountOf(measure=m):
            return cells[m].interval
        case SumOf(measure=m):
            total = measures[m]
            if not isinstance(total, Sum):
                raise TypeError("SumOf reads a Sum")
            step = float(total.grid.step)
            return Interval(cells[m].interval.low * step, cells[m].interval.high * step)
        case MeanOf(moment=m, count=n):
            moment = _moment(measures[m])
            deviation = _ratio(cells[m].interval, _at_least(cells[n].interval, 1))
            step = float(moment.grid.step)
            low, high = _low(moment), _high(moment)
            return Interval(
                min(max((moment.centre + deviation.low) * step, low), high),
                max(min((moment.centre + deviation.high) * step, high), low),
            )
        case VarianceOf(first=a, second=b, count=n, sample=sample, root=root):
            moment = _moment(measures[a])
            spread = _spread(moment, cells[a].interval, cells[b].interval, cells[n].interval, sample)
            step = float(moment.grid.step)
            if root:
                return Interval(math.sqrt(spread.low) * step, math.sqrt(spread.high) * step)
            return Interval(spread.low * step * step, spread.high * step * step)
        case QuantileOf():
            raise TypeError("a quantile carries its own interval")
        case _:
            assert_never(kind)


def _spread(moment: Moment, first: Interval, second: Interval, count: Interval, sample: bool) -> Interval:
    size = _at_least(count, 2 if sample else 1)
    square = _square(_ratio(first, size))
    mean_of_squares = _ratio(_at_least(second, 0), size)
    widest = ((moment.grid.high - moment.grid.low) / 2) ** 2
    low = min(max(mean_of_squares.low - square.high, 0.0), widest)
    high = max(min(mean_of_squares.high - square.low, widest), low)
    if not sample:
        return Interval(low, high)
    return Interval(low, high * size.low / (size.low - 1))


def _moment(measure: object) -> Moment:
    if not isinstance(measure, Moment):
        raise TypeError("means and variances read moments")
    return measure


def _low(moment: Moment) -> float:
    return float(moment.grid.low * moment.grid.step)


def _high(moment: Moment) -> float:
    return float(moment.grid.high * moment.grid.step)


def _at_least(interval: Interval, floor: float) -> Interval:
    return Interval(max(interval.low, floor), max(interval.high, floor))


def _square(interval: Interval) -> Interval:
    ends = (interval.low * interval.low, interval.high * interval.high)
    return Interval(0.0 if interval.low <= 0 <= interval.high else min(ends), max(ends))


def _ratio(top: Interval, bottom: Interval) -> Interval:
    """Divide by an interval that lies above zero."""
    ends = [a / b for a in (top.low, top.high) for b in (bottom.low, bottom.high)]
    return Interval(min(ends), max(ends))


_MONOTONE: dict[Function, Callable[[float], float]] = {
    Function.FLOOR: math.floor,
    Function.CEIL: math.ceil,
    Function.TO_FLOAT: float,
    Function.TO_INT: round,
    Function.SQRT: math.sqrt,
    Function.LN: math.log,
    Function.LOG10: math.log10,
    Function.EXP: math.exp,
}


def through(expression: Expression, columns: dict[str, Interval]) -> Interval | None:
    """Carry intervals of columns through an expression; None where no rule is known.

    Args:
        expression: arithmetic over columns and numbers.
        columns: what is known of each column; a constant is an interval of width 0.
    """
    match expression:
        case ColumnRef(name=name):
            return columns.get(name)
        case Literal(value=value):
            if isinstance(value, bool) or not isinstance(value, int | float):
                return None
            return Interval(float(value), float(value))
        case Case():
            return None
        case Call(function=function, args=args):
            parts = [through(a, columns) for a in args]
            known = [p for p in parts if p is not None]
            if len(known) != len(parts):
                return None
            try:
                return _call(function, known)
            except (OverflowError, ValueError):
                return None
        case _:
            assert_never(expression)


def _call(function: Function, parts: list[Interval]) -> Interval | None:
    match function:
        case Function.ADD:
            return _ordered([parts[0].low + parts[1].low, parts[0].high + parts[1].high])
        case Function.SUBTRACT:
            return _ordered([parts[0].low - parts[1].high, parts[0].high - parts[1].low])
        case Function.MULTIPLY:
            return _ordered([_times(a, b) for a in _ends(parts[0]) for b in _ends(parts[1])])
        case Function.DIVIDE:
            if parts[1].low <= 0 <= parts[1].high:
                return EVERYTHING
            return _ordered([a / b for a in _ends(parts[0]) for b in _ends(parts[1])])
        case Function.NEGATE:
            return Interval(-parts[0].high, -parts[0].low)
        case Function.ABS:
            square = _square(parts[0])
            return Interval(math.sqrt(square.low), math.sqrt(square.high))
        case Function.LEAST:
            return Interval(min(p.low for p in parts), min(p.high for p in parts))
        case Function.GREATEST:
            return Interval(max(p.low for p in parts), max(p.high for p in parts))
        case Function.ROUND:
            digits = int(parts[1].low) if len(parts) > 1 else 0
            return Interval(round(parts[0].low, digits), round(parts[0].high, digits))
        case _ if function in _MONOTONE:
            change = _MONOTONE[function]
            return Interval(float(change(parts[0].low)), float(change(parts[0].high)))
        case _:
            return None


def _ends(interval: Interval) -> tuple[float, float]:
    return (interval.low, interval.high)


def _times(a: float, b: float) -> float:
    return 0.0 if a == 0 or b == 0 else a * b


def _ordered(ends: list[float]) -> Interval | None:
    if any(math.isnan(e) for e in ends):
        return None
    return Interval(min(ends), max(ends))
