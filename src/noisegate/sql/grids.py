"""Fixed-point grids for sums, means and quantiles, from what the catalog says of the values."""

import math
from fractions import Fraction

from noisegate.errors import MissingBounds
from noisegate.privacy.expressions import Expression, Type, columns_of
from noisegate.privacy.relations import Grid
from noisegate.sql.facts import UNKNOWN, Known, known_of
from noisegate.sql.intervals import facts_of

MOST_STEPS = 2**40  # so that sums over a billion rows stay far from 128 bits
MOST_STEPS_SQUARED = 2**21  # where squares are summed and must stay within 64 bits
MOST_CANDIDATES = 1_025
DIGITS = 6  # decimal digits of resolution where no step follows from the catalog


def grid_of(value: Expression, known: Known, text: str, *, squares: bool = False) -> Grid:
    """Return the grid that a value is clamped into and rounded on.

    Args:
        value: a number.
        known: facts of the rows it is taken over.
        text: the aggregate as written, for the message.
        squares: whether second moments are summed, which need a coarser grid.

    Raises:
        MissingBounds: no finite bounds follow from the catalog.
    """
    facts = facts_of(value, known)
    if facts.low is None or facts.high is None:
        raise _missing(value, known, text)
    low, high = facts.low, facts.high
    step = facts.step
    if value.type is Type.INT:
        step = max(Fraction(1), step) if step is not None else Fraction(1)
    elif step is None:
        step = default_step(low, high)
    most = MOST_STEPS_SQUARED if squares else MOST_STEPS
    while (high - low) / step > most or max(abs(low), abs(high)) / step >= 2**50:
        step *= 10
    bottom, top = math.floor(low / step), math.ceil(high / step)
    # One value only would leave the noise nothing to scale with.
    return Grid(bottom, top if top > bottom else bottom + 1, step)


def default_step(low: Fraction, high: Fraction) -> Fraction:
    """Return a power of ten that divides the interval into 10^5 to 10^6 steps.

    >>> default_step(Fraction(0), Fraction(50))
    Fraction(1, 10000)
    """
    span = high - low
    if span == 0:
        return Fraction(1, 10**DIGITS)
    return Fraction(10) ** (math.floor(math.log10(span)) - DIGITS + 1)


def stride_of(grid: Grid) -> int:
    """Return how many steps lie between two candidates of a quantile."""
    return max(1, -(-(grid.high - grid.low) // (MOST_CANDIDATES - 1)))


def _missing(value: Expression, known: Known, text: str) -> MissingBounds:
    for ref in columns_of(value):
        facts = known_of(ref.name, known)
        if facts.low is not None and facts.high is not None:
            continue
        name = facts.origin or "a derived column"
        if facts.by is not None:
            other = known.get(facts.by.column, UNKNOWN)
            values = ", ".join(repr(v) for v in list(facts.by.ranges)[:4])
            column = other.origin.rpartition(".")[2] or "that column"
            return MissingBounds(
                f"{text} needs bounds, and those of {name} depend on {column}",
                f"keep rows of one {column} whose range is declared, as in WHERE {column} = …; "
                f"declared: {values}",
                column=name,
            )
        return MissingBounds(
            f"{text} needs bounds, and {name} has none",
            f"ask the custodian to declare low and high for {name}, or write "
            "LEAST(GREATEST(column, low), high) with bounds that hold",
            column=name,
        )
    return MissingBounds(
        f"{text} needs bounds, and none follow from those of its columns",
        "write LEAST(GREATEST(…, low), high) around it with bounds that hold",
    )
