"""Values into whole steps of a grid, and whole steps back into values. TRUSTED.

The claim the sensitivity rests on: `steps` gives, for each row by itself, NULL or an integer within
low .. high. It holds by the form of the text, not by floating-point reasoning: both ends are constants
of the grid, and the branch that rounds is taken only strictly between them, where rounding to the nearest
integer cannot leave them. Which of two neighbouring integers a value between two steps becomes is up to
the engine's division and rounding; any deterministic choice will do.
"""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from noisegate.engines.quote import double, literal
from noisegate.privacy.expressions import PlanError, Type
from noisegate.privacy.relations import Grid

_EXACT = 2**53


def steps(value: str, kind: Type, grid: Grid) -> str:
    """Return a number column as whole steps, clamped to the grid; NULL stays NULL.

    Args:
        value: a short text, clean.
        kind: its type, INT or FLOAT.
        grid: the bounds, in steps, and the step.
    """
    if kind is Type.INT and grid.step == 1:
        return _clamped(value, str(grid.low), str(grid.high), grid)
    # Scaling by positive constants keeps the order and makes no NaN; an overflow is infinite, so beyond the
    # bounds, which are below 2^52 and exact as doubles.
    scaled = divided(value if kind is Type.FLOAT else f"CAST({value} AS DOUBLE)", grid.step)
    return _clamped(scaled, double(float(grid.low)), double(float(grid.high)), grid)


def _clamped(value: str, low: str, high: str, grid: Grid) -> str:
    # 32-bit integers, where they hold the grid, are what the engine sums fastest.
    kind = integer(grid.reach)
    inside = f"WHEN {value} > {low} AND {value} < {high} THEN TRY_CAST({value} AS {kind})"
    above = f"WHEN {value} >= {high} THEN CAST({grid.high} AS {kind})"
    below = f"WHEN {value} <= {low} THEN CAST({grid.low} AS {kind})"
    return f"(CASE {inside} {above} {below} END)"


def integer(reach: int) -> str:
    """Return the smallest integer type that holds -reach .. reach.

    >>> integer(100), integer(2**31), integer(2**63)
    ('INTEGER', 'BIGINT', 'HUGEINT')
    """
    if reach < 2**31:
        return "INTEGER"
    return "BIGINT" if reach < 2**63 else "HUGEINT"


def divided(value: str, step: Fraction) -> str:
    """Return a DOUBLE divided by a step; exactly rounded where the step is 1/n or n."""
    return _scaled(value, step.denominator, step.numerator)


def multiplied(value: str, step: Fraction) -> str:
    """Return a DOUBLE times a step; exactly rounded where the step is 1/n or n. Loose: it may overflow."""
    return _scaled(value, step.numerator, step.denominator)


def _scaled(value: str, times: int, by: int) -> str:
    if times >= _EXACT or by >= _EXACT:
        try:
            factor = float(Fraction(times, by))
        except OverflowError:
            factor = 0.0
        if factor == 0:
            raise PlanError("a step is out of all proportion")
        return f"({value} * {double(factor)})"
    result = value
    if times != 1:
        result = f"({result} * {double(float(times))})"
    if by != 1:
        result = f"({result} / {double(float(by))})"
    return result


def saturated(total: str) -> str:
    """Return a 128-bit total as a BIGINT, saturated to -(2^63 - 1) .. 2^63 - 1; NULL stays NULL."""
    most = 2**63 - 1
    high, low = literal(most, Type.INT), literal(-most, Type.INT)
    ends = f"WHEN {total} > {high} THEN {high} WHEN {total} < {low} THEN {low}"
    return f"(CASE {ends} ELSE TRY_CAST({total} AS BIGINT) END)"


# Totals of one range of units: 2^62 a share, of fewer than 2^40 rows, are parted into two that add up over
# thousands of ranges in 64 bits each.
PART = 2**40


def joined(low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return low + PART * high, saturated to -(2^63 - 1) .. 2^63 - 1.

    Args:
        low: int64, shape (groups,); below 2^62 in magnitude.
        high: int64, shape (groups,); below 2^62 in magnitude.

    >>> joined(np.array([-1, 5]), np.array([1, 2**30]))
    array([      1099511627775, 9223372036854775807])
    """
    high = high + low // PART
    low = low % PART
    reach = 2**63 // PART
    most = np.int64(2**63 - 1)
    inside = (high >= -reach) & (high < reach)
    total = np.where(inside, high, 0) * PART + low
    return np.where(inside, np.maximum(total, -most), np.where(high < 0, -most, most))
