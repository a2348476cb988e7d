"""Differential privacy for a column at hand: a list, a NumPy array, a polars or pandas Series.

Each value is one person's; None and NaN are skipped. The same bounded integers, noise and loss are used
as by the gateway. Nothing is charged anywhere: whoever calls keeps count of what was spent, and of
everybody else who saw an answer.
"""

import builtins
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.privacy.exact import Counted, Exact
from noisegate.privacy.expressions import ColumnRef, PlanError, Type
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.loss import Loss
from noisegate.privacy.mechanism import (
    Family,
    Mechanism,
    describe,
    design,
    deviation_of,
    half_width_of,
    loss_of,
    stairs_fit,
)
from noisegate.privacy.question import Aggregation, Bounding, CountRows, Measure, Moment, Rank, Sum
from noisegate.privacy.relations import Grid, Scan, ScanColumn
from noisegate.privacy.release import Noisy, release
from noisegate.privacy.staircase import WORTH_STAIRS

Number = int | float | Fraction | Decimal
Steps = NDArray[np.int64]
CONFIDENCE = 0.95
STEPS = 2**20  # between low and high; rounding to them is far below any noise
CANDIDATES = 1024  # of a quantile
CHUNK = 2**20
MOST_EPSILON = 100
ROUNDS = 40  # of halving, when an ε is looked for
SOURCE = Scan(
    "library",
    "data",
    (ScanColumn("person", "person", Type.INT), ScanColumn("value", "value", Type.FLOAT)),
    "person",
    "library",
    single=True,
)
VALUE = ColumnRef("value", Type.FLOAT)


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """An answer: its value, a 95 % interval due to the noise, and what it loses of each person.

    `epsilon` and `delta` are those asked for, which `loss` stays within. The interval is about the values
    as clamped to the bounds; it says nothing of what clamping took away.
    """

    value: float
    low: float
    high: float
    epsilon: float
    delta: float
    mechanism: tuple[str, ...]
    loss: Loss

    def __repr__(self) -> str:
        delta = f", δ {self.delta:g}" if self.delta else ""
        return (
            f"{self.value:.6g}  (95 %: {self.low:.6g} to {self.high:.6g}; ε {self.epsilon:g}{delta} a person;"
            " nothing was charged, so keep count yourself)"
        )


def count(data: object, *, epsilon: Number, delta: Number = 0) -> Result:
    """Count the values that are there, one a person."""
    values = _values(data)
    asked = _ask((CountRows(),), ([len(values)],), epsilon, delta)
    value = int(asked.noisy.cells[0][0])
    width = asked.width(0, CONFIDENCE)
    return asked.result(value, max(value - width, 0), max(value + width, 0))


def sum(data: object, *, low: Number, high: Number, epsilon: Number, delta: Number = 0) -> Result:  # noqa: A001
    """Add the values up, each clamped to low .. high."""
    least, most = _bounds(low, high)
    grid = _grid(least, most, max(abs(least), abs(most)) / STEPS)
    measure = Sum(VALUE, grid)
    asked = _ask((measure,), ([_total(_steps(_values(data), grid))],), epsilon, delta)
    step, cell, width = float(grid.step), int(asked.noisy.cells[0][0]), asked.width(0, CONFIDENCE)
    return asked.result(cell * step, (cell - width) * step, (cell + width) * step)


def mean(data: object, *, low: Number, high: Number, epsilon: Number, delta: Number = 0) -> Result:
    """Average the values, each clamped to low .. high. With too few to tell, the middle of the bounds."""
    least, most = _bounds(low, high)
    grid = _grid(least, most, (most - least) / STEPS)
    moment = Moment(VALUE, grid, 1)
    steps = _steps(_values(data), grid) - moment.centre
    asked = _ask((CountRows(), moment), ([len(steps)], [_total(steps)]), epsilon, delta)
    size, first = asked.box(0, 2, at_least=1), asked.box(1, 2)
    ratio = _over(first, size)
    step, lowest, highest = float(grid.step), float(least), float(most)
    value, low_end, high_end = (
        _clamp((moment.centre + r) * step, lowest, highest) for r in (_ratio(asked), *ratio)
    )
    # A noisy count far below 1 says that there is hardly anybody; the interval still holds the value.
    return asked.result(_clamp(value, low_end, high_end), low_end, high_end)


def variance(data: object, *, low: Number, high: Number, epsilon: Number, delta: Number = 0) -> Result:
    """Return the sample variance (over n - 1) of the values, each clamped to low .. high."""
    least, most = _bounds(low, high)
    grid = _grid(least, most, (most - least) / STEPS)
    first, second = Moment(VALUE, grid, 1), Moment(VALUE, grid, 2)
    steps = _steps(_values(data), grid) - first.centre
    cells = ([len(steps)], [_total(steps)], [_total(steps * steps)])
    asked = _ask((CountRows(), first, second), cells, epsilon, delta)
    size = asked.box(0, 3, at_least=2)
    squares = _over(asked.box(2, 3, at_least=0), size)
    centre = _over(asked.box(1, 3), size)
    nearest = 0.0 if centre[0] <= 0 <= centre[1] else min(abs(centre[0]), abs(centre[1]))
    furthest = max(abs(centre[0]), abs(centre[1]))
    widest = (float(grid.high - grid.low) / 2) ** 2
    lowest = _clamp(squares[0] - furthest**2, 0.0, widest)
    highest = _clamp(squares[1] - nearest**2, lowest, widest) * size[0] / (size[0] - 1)
    n = max(float(asked.noisy.cells[0][0]), 2.0)
    spread = (
        _clamp(asked.noisy.cells[2][0] / n - (asked.noisy.cells[1][0] / n) ** 2, 0.0, widest) * n / (n - 1)
    )
    scale = float(grid.step) ** 2
    return asked.result(spread * scale, lowest * scale, highest * scale)


def standard_deviation(
    data: object, *, low: Number, high: Number, epsilon: Number, delta: Number = 0
) -> Result:
    """Return the root of the sample variance of the values, each clamped to low .. high."""
    found = variance(data, low=low, high=high, epsilon=epsilon, delta=delta)
    roots = (math.sqrt(found.value), math.sqrt(found.low), math.sqrt(found.high))
    return Result(*roots, found.epsilon, found.delta, found.mechanism, found.loss)


def quantile(data: object, q: Number, *, low: Number, high: Number, epsilon: Number) -> Result:
    """Return the q-quantile of the values, each clamped to low .. high, by private selection.

    It is one of about a thousand equally spaced values; 0 gives a value that is rarely below the minimum,
    1 one that is rarely above the maximum.
    """
    least, most = _bounds(low, high)
    share = _fraction(q, "q")
    grid = _grid(least, most, (most - least) / CANDIDATES)
    try:
        rank = Rank(VALUE, grid, 1, share)
    except PlanError as wrong:
        raise BadInput(str(wrong), "use a q like 0.5 or 0.975") from None
    places = _steps(_values(data), grid) - grid.low
    held, counts = np.unique(places, return_counts=True)
    cells = Counted(np.zeros_like(held), held, counts.astype(np.int64))
    asked = _ask((rank,), (cells,), epsilon, 0)
    value, lowest, highest = (float(c) for c in asked.noisy.cells[0][0])
    step = float(grid.step)
    # Values were rounded to whole steps, so the ends of the interval lie half a step further out.
    ends = (value, lowest - 0.5, highest + 0.5)
    return asked.result(*(_clamp(end * step, float(least), float(most)) for end in ends))


def median(data: object, *, low: Number, high: Number, epsilon: Number) -> Result:
    """Return the median of the values, each clamped to low .. high."""
    return quantile(data, Fraction(1, 2), low=low, high=high, epsilon=epsilon)


def minimum(data: object, *, low: Number, high: Number, epsilon: Number) -> Result:
    """Return a value that is rarely below the smallest, by as few rows as ε allows."""
    return quantile(data, 0, low=low, high=high, epsilon=epsilon)


def maximum(data: object, *, low: Number, high: Number, epsilon: Number) -> Result:
    """Return a value that is rarely above the largest, by as few rows as ε allows."""
    return quantile(data, 1, low=low, high=high, epsilon=epsilon)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A released question."""

    epsilon: Fraction
    delta: Fraction
    aggregation: Aggregation
    mechanism: Mechanism
    noisy: Noisy

    def width(self, measure: int, confidence: float) -> int:
        return half_width_of(self.mechanism, measure, confidence)

    def box(self, measure: int, cells: int, at_least: float = -math.inf) -> tuple[float, float]:
        """Return where the exact cell lies, so that all `cells` boxes hold at once with 95 %."""
        value = float(self.noisy.cells[measure][0])
        width = self.width(measure, 1 - (1 - CONFIDENCE) / cells)
        return max(value - width, at_least), max(value + width, at_least)

    def result(self, value: float, low: float, high: float) -> Result:
        return Result(
            value,
            low,
            high,
            float(self.epsilon),
            float(self.delta),
            describe(self.aggregation, self.mechanism),
            loss_of(self.aggregation, self.mechanism),
        )


def _ask(
    measures: tuple[Measure, ...],
    cells: tuple[Sequence[int] | Counted, ...],
    epsilon: Number,
    delta: Number,
) -> _Asked:
    spend, chance = _fraction(epsilon, "epsilon"), _fraction(delta, "delta")
    if not 0 < spend <= MOST_EPSILON:
        raise BadInput(f"epsilon must be above 0 and at most {MOST_EPSILON}", "0.1 to 1 is usual")
    if not 0 <= chance < 1:
        raise BadInput("delta must be at least 0 and below 1", "give 0, or far less than 1 / people")
    aggregation = Aggregation(SOURCE, (), measures, Bounding(1, 1))
    mechanism = _best(aggregation, spend, chance)
    sealed = tuple(c if isinstance(c, Counted) else np.array(c, dtype=np.int64) for c in cells)
    exact = Exact(((),), sealed)
    return _Asked(spend, chance, aggregation, mechanism, release(exact, aggregation, mechanism))


def _best(aggregation: Aggregation, epsilon: Fraction, delta: Fraction) -> Mechanism:
    """Return the mechanism with the least noise whose one release is (epsilon, delta)-DP."""
    laplace = design(aggregation, epsilon, Family.LAPLACE, Fraction(0))
    if any(isinstance(m, Rank) for m in aggregation.measures):
        return laplace
    found = [laplace]
    if epsilon >= WORTH_STAIRS * len(aggregation.measures) and stairs_fit(aggregation, epsilon):
        found.append(design(aggregation, epsilon, Family.STAIRCASE, Fraction(0)))
    if delta > 0:
        found.append(_gaussian(aggregation, epsilon, delta))
    last = len(aggregation.measures) - 1
    return min(found, key=lambda m: deviation_of(m, last))


def _gaussian(aggregation: Aggregation, epsilon: Fraction, delta: Fraction) -> Mechanism:
    """Return Gaussian noise, as little as (epsilon, delta) allows, found by halving."""
    low, high = epsilon / 2**ROUNDS, epsilon
    best = design(aggregation, low, Family.GAUSSIAN, Fraction(0))
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        tried = design(aggregation, middle, Family.GAUSSIAN, Fraction(0))
        if stand_alone_epsilon(loss_of(aggregation, tried), delta) <= epsilon:
            low, best = middle, tried
        else:
            high = middle
    return best


def _values(data: object) -> NDArray[np.float64]:
    """Return the values that are there, as float64 of shape (n,); infinities stay and are clamped later."""
    held = data.to_numpy() if hasattr(data, "to_numpy") else data
    wrong = BadInput("the data are not a column of numbers", "give a list, an array or a Series of numbers")
    if isinstance(held, np.ma.MaskedArray):
        held = held.compressed()
    if not isinstance(held, np.ndarray):
        if isinstance(held, str | bytes | dict) or not isinstance(held, Iterable):
            raise wrong
        held = np.array([_number(v) for v in held], dtype=np.float64)
    if held.ndim != 1:
        raise wrong
    if held.dtype == object:
        held = np.array([_number(v) for v in held], dtype=np.float64)
    if held.dtype.kind not in "biuf":
        raise wrong
    numbers = held.astype(np.float64)
    return numbers[~np.isnan(numbers)]


def _number(value: object) -> float:
    """Return a value as a float, NaN where there is none. The error does not quote it."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return math.nan
    if isinstance(value, int | float | Fraction | Decimal | np.number | np.bool_):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
        except (TypeError, ValueError):
            pass
    raise BadInput("the data are not a column of numbers", "give a list, an array or a Series of numbers")


def _fraction(value: Number, name: str) -> Fraction:
    """Return a number as people wrote it: 0.1 is one tenth."""
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction | Decimal | np.number):
        raise BadInput(f"{name} must be a number")
    if isinstance(value, Fraction):
        return value
    if not math.isfinite(value):
        raise BadInput(f"{name} must be finite")
    return Fraction(str(value))


def _bounds(low: Number, high: Number) -> tuple[Fraction, Fraction]:
    least, most = _fraction(low, "low"), _fraction(high, "high")
    if least >= most:
        raise BadInput(
            f"low ({float(least):g}) must be below high ({float(most):g})",
            "give bounds from what is known of the quantity, not from these data",
        )
    return least, most


def _grid(low: Fraction, high: Fraction, step: Fraction) -> Grid:
    """Return the grid of this step that holds low .. high, rounded outwards."""
    try:
        return Grid(math.floor(low / step), math.ceil(high / step), step)
    except PlanError:
        raise BadInput(
            "low and high are too close together for numbers of this size",
            "subtract a constant from the data and the bounds",
        ) from None


def _steps(values: NDArray[np.float64], grid: Grid) -> Steps:
    """Return values as whole steps, clamped to the grid."""
    step = float(grid.step)
    inside = np.clip(values, float(grid.low * grid.step), float(grid.high * grid.step))
    return np.clip(np.rint(inside / step), grid.low, grid.high).astype(np.int64)


def _total(steps: Steps) -> int:
    """Add up without overflow, saturated to 64 bits."""
    parts = (int(steps[i : i + CHUNK].sum()) for i in range(0, len(steps), CHUNK))
    return max(-(2**63), min(builtins.sum(parts), 2**63 - 1))


def _ratio(asked: _Asked) -> float:
    size, first = asked.noisy.cells[0][0], asked.noisy.cells[1][0]
    return float(first / size) if size >= 1 else 0.0


def _over(top: tuple[float, float], bottom: tuple[float, float]) -> tuple[float, float]:
    """Divide boxes; the lower one lies above 0."""
    ends = [a / b for a in top for b in bottom]
    return min(ends), max(ends)


def _clamp(value: float, low: float, high: float) -> float:
    return float(min(max(value, low), high))
