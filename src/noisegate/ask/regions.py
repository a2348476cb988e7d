"""Which part of a column's declared domain a condition lets through, so that conditions can be measured.

A domain is a row of positions: the values that are declared, or the numbers from low to high a step apart. A
region is a set of positions, as closed ranges in ascending order with a gap between each two.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import assert_never

from noisegate.catalog.model import Column
from noisegate.privacy.expressions import (
    Call,
    ColumnRef,
    Expression,
    Function,
    Literal,
    Scalar,
    Type,
    columns_of,
)
from noisegate.sql.evaluate import NotEvaluated, evaluate

# Conditions on a domain of so many positions are tried on each; on larger ones they must be comparisons.
MOST_TRIED = 512

Region = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """Numbers: position i stands for low + i * step."""

    low: Fraction
    step: Fraction
    size: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """Values in their own order."""

    values: tuple[Scalar, ...]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.values)


Domain = Grid | Listed


def domain_of(column: Column) -> Domain | None:
    """Return the declared domain of a column, None where it has none.

    Bounds that depend on another column count as their hull: a share must not depend on other conditions.
    """
    if column.type is Type.BOOL:
        return Listed((False, True))
    if column.values is not None:
        return Listed(tuple(sorted(column.values)))  # type: ignore[type-var]
    ranges = [] if column.bounds is None else [column.bounds]
    ranges += [] if column.by is None else column.by.ranges.values()
    if not ranges:
        return None
    low, high = min(r.low for r in ranges), max(r.high for r in ranges)
    whole = column.type is Type.INT
    step = Fraction(1) if whole else column.step
    return Grid(low, step, max(math.floor((high - low) / step) + 1, 1), whole)


def size_of(region: Region) -> int:
    """Return how many positions a region has."""
    return sum(last - first + 1 for first, last in region)


def everything(size: int) -> Region:
    """Return the region of all positions."""
    return ((0, size - 1),)


def intersection(one: Region, other: Region) -> Region:
    """Return the positions in both.

    >>> intersection(((0, 5), (8, 9)), ((4, 8),))
    ((4, 5), (8, 8))
    """
    if len(one) == len(other) == 1:
        first, last = max(one[0][0], other[0][0]), min(one[0][1], other[0][1])
        return ((first, last),) if first <= last else ()
    found, i, j = [], 0, 0
    while i < len(one) and j < len(other):
        first, last = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if first <= last:
            found.append((first, last))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def union(one: Region, other: Region) -> Region:
    """Return the positions in either.

    >>> union(((0, 3),), ((4, 5), (8, 9)))
    ((0, 5), (8, 9))
    """
    found: list[tuple[int, int]] = []
    for first, last in sorted((*one, *other)):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)


def complement(region: Region, size: int) -> Region:
    """Return the positions of the domain that are not in a region.

    >>> complement(((0, 3), (8, 9)), 10)
    ((4, 7),)
    """
    found, begin = [], 0
    for first, last in region:
        if first > begin:
            found.append((begin, first - 1))
        begin = last + 1
    if begin < size:
        found.append((begin, size - 1))
    return tuple(found)


def region_of(condition: Expression, domain: Domain) -> Region | None:
    """Return where a condition on one column is true, None where that is not understood.

    Args:
        condition: a comparison or a test, without AND, OR and NOT; it reads one column.
        domain: that column's.
    """
    match domain:
        case Grid():
            found = _compared(condition, domain)
        case Listed():
            found = _listed(condition, domain)
        case _:
            assert_never(domain)
    if found is not None or domain.size > MOST_TRIED:
        return found
    try:
        return _of(i for i, value in enumerate(_tried(condition, domain)) if value is True)
    except NotEvaluated:
        return None


def smallest_class(expression: Expression, domain: Domain) -> int | None:
    """Return how many positions share a value of an expression of one column, for the rarest value.

    Of numbers, the values that an end of the domain has are set aside where there are others: bins are cut
    short there. None where the expression is not understood.
    """
    if isinstance(expression, ColumnRef):
        return 1
    if isinstance(domain, Grid) and (bins := _bins(expression)) is not None:
        return min(max(math.floor(bins / domain.step), 1), domain.size)
    if domain.size > MOST_TRIED:
        return None
    try:
        values = _tried(expression, domain)
    except NotEvaluated:
        return None
    classes = Counter(values)
    ends = {values[0], values[-1]} if isinstance(domain, Grid) else set()
    return min([count for value, count in classes.items() if value not in ends] or classes.values())


def _bins(expression: Expression) -> Fraction | None:
    """Return how wide the bins are that a number is rounded to, None for other expressions."""
    match expression:
        case Call(function=Function.FLOOR | Function.CEIL | Function.ROUND | Function.TO_INT, args=(inner,)):
            form, unit = linear(inner), Fraction(1)
        case Call(function=Function.ROUND, args=(inner, Literal(value=int() as digits))) if abs(digits) < 19:
            form, unit = linear(inner), Fraction(10) ** -digits
        case Call(function=Function.INT_DIVIDE, args=(inner, Literal(value=int() as by))) if by:
            form, unit = linear(inner), Fraction(by)
        case _:
            return None
    return None if form is None or form[0] == 0 else abs(unit / form[0])


def _tried(expression: Expression, domain: Domain) -> list[Scalar]:
    name = next(columns_of(expression)).name
    return [evaluate(expression, {name: value}) for value in _values(domain)]


def _values(domain: Domain) -> Iterable[Scalar]:
    if isinstance(domain, Listed):
        return domain.values
    numbers = (domain.low + i * domain.step for i in range(domain.size))
    return [int(n) for n in numbers] if domain.whole else [float(n) for n in numbers]


def _of(positions: Iterable[int]) -> Region:
    """Return ascending positions as a region."""
    found: list[tuple[int, int]] = []
    for position in positions:
        if found and position == found[-1][1] + 1:
            found[-1] = (found[-1][0], position)
        else:
            found.append((position, position))
    return tuple(found)


def _listed(condition: Expression, domain: Listed) -> Region | None:
    """Return where a value is one of some constants, the plain form of most conditions on text."""
    match condition:
        case Call(function=Function.EQ | Function.SAME, args=(ColumnRef(), Literal(value=value))):
            wanted: frozenset[Scalar] = frozenset((value,))
        case Call(function=Function.EQ | Function.SAME, args=(Literal(value=value), ColumnRef())):
            wanted = frozenset((value,))
        case Call(function=Function.IN, args=(ColumnRef(), *members)):
            wanted = frozenset(m.value for m in members if isinstance(m, Literal))
        case Call(function=Function.NE, args=args) if len(args) == 2:
            equal = _listed(Call(Function.EQ, args), domain)
            return None if equal is None else complement(equal, domain.size)
        case ColumnRef():
            wanted = frozenset((True,))
        case _:
            return None
    return _of(i for i, v in enumerate(domain.values) if v in wanted)


def _compared(condition: Expression, grid: Grid) -> Region | None:
    """Return where a linear expression of a number compares as asked with constants."""
    if not isinstance(condition, Call):
        return None
    if condition.function is Function.IN:
        return _pointed(condition.args[0], [linear(m) for m in condition.args[1:]], grid)
    if condition.function not in _TURNED or len(condition.args) != 2:
        return None
    left, right = linear(condition.args[0]), linear(condition.args[1])
    if left is None or right is None or left[0] == right[0]:
        return None
    # left >= right where (a - c) * x >= d - b.
    slope = left[0] - right[0]
    function = condition.function if slope > 0 else _TURNED[condition.function]
    place = ((right[1] - left[1]) / slope - grid.low) / grid.step
    match function:
        case Function.GE:
            return _between(math.ceil(place), grid.size - 1, grid)
        case Function.GT:
            return _between(math.floor(place) + 1, grid.size - 1, grid)
        case Function.LE:
            return _between(0, math.floor(place), grid)
        case Function.LT:
            return _between(0, math.ceil(place) - 1, grid)
        case _:
            near = math.floor(place)
            # A number between two steps is nobody's declared value, and as rare as one.
            equal = _between(near, near, grid)
            return equal if function is not Function.NE else complement(equal, grid.size)


def _pointed(
    expression: Expression, members: list[tuple[Fraction, Fraction] | None], grid: Grid
) -> Region | None:
    """Return where a linear expression is one of some constants."""
    form = linear(expression)
    if form is None or form[0] == 0:
        return None
    found = set()
    for member in members:
        if member is None:
            return None
        found.add(math.floor(((member[1] - form[1]) / form[0] - grid.low) / grid.step))
    return _of(sorted(p for p in found if 0 <= p < grid.size))


_TURNED = {
    Function.EQ: Function.EQ,
    Function.SAME: Function.SAME,
    Function.NE: Function.NE,
    Function.LT: Function.GT,
    Function.LE: Function.GE,
    Function.GT: Function.LT,
    Function.GE: Function.LE,
}


def _between(first: int, last: int, grid: Grid) -> Region:
    first, last = max(first, 0), min(last, grid.size - 1)
    return ((first, last),) if first <= last else ()


def linear(expression: Expression) -> tuple[Fraction, Fraction] | None:
    """Return slope and offset of a linear expression of one column, slope 0 for a constant; None for others.

    >>> age = ColumnRef("age", Type.INT)
    >>> linear(Call(Function.ADD, (Call(Function.MULTIPLY, (Literal(2, Type.INT), age)), age)))
    (Fraction(3, 1), Fraction(0, 1))
    """
    match expression:
        case ColumnRef(type=Type.INT | Type.FLOAT):
            return Fraction(1), Fraction(0)
        case Literal(value=bool()):
            return None
        case Literal(value=int() | float() as value):
            return Fraction(0), Fraction(str(value))
        case Call(function=Function.TO_FLOAT, args=(inner,)) if inner.type in (Type.INT, Type.FLOAT):
            return linear(inner)
        case Call(function=Function.NEGATE, args=(inner,)):
            return _scaled(linear(inner), Fraction(-1))
        case Call(function=Function.ADD | Function.SUBTRACT as function, args=(left, right)):
            one, other = linear(left), linear(right)
            if one is None or other is None:
                return None
            sign = 1 if function is Function.ADD else -1
            return one[0] + sign * other[0], one[1] + sign * other[1]
        case Call(function=Function.MULTIPLY, args=(left, right)):
            one, other = linear(left), linear(right)
            if one is not None and one[0] == 0:
                return _scaled(other, one[1])
            return _scaled(one, other[1]) if other is not None and other[0] == 0 else None
        case Call(function=Function.DIVIDE, args=(left, right)):
            divisor = linear(right)
            if divisor is None or divisor[0] != 0 or divisor[1] == 0:
                return None
            return _scaled(linear(left), 1 / divisor[1])
        case _:
            return None


def _scaled(form: tuple[Fraction, Fraction] | None, factor: Fraction) -> tuple[Fraction, Fraction] | None:
    return None if form is None else (form[0] * factor, form[1] * factor)
