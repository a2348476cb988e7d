"""What is publicly known of a column's values at one place in a question, and how a condition narrows it.

Facts steer bounds, candidates and public domains. None of them is trusted: values are clamped into
whatever grid comes out, and a row whose key is outside the domain is in no group. A wrong fact costs
accuracy, never privacy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd

from noisegate.catalog.model import Range
from noisegate.privacy.expressions import Call, ColumnRef, Expression, Function, Literal, Scalar, Type


@dataclass(frozen=True, slots=True)
class ByColumn:
    """Bounds that depend on another column of the same row, named as in the plan."""

    column: str
    ranges: Mapping[Scalar, Range]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the values that are not NULL, and whether some may be.

    `low` and `high` are bounds, None where there is none. `step` is the resolution sums are taken at,
    None where none follows from the catalog. `domain` lists all values, without NULL. `origin` names
    the catalog's column in messages. `positions` is set for a ROW_NUMBER within the unit: into how
    many partitions the unit's rows fall at most.
    """

    low: Fraction | None = None
    high: Fraction | None = None
    step: Fraction | None = None
    domain: tuple[Scalar, ...] | None = None
    nullable: bool = True
    measured_in: str = ""
    origin: str = ""
    by: ByColumn | None = None
    positions: int | None = None


UNKNOWN = Facts()
Known = Mapping[str, Facts]


def known_of(name: str, known: Known) -> Facts:
    """Return the facts of a column by its name in the plan, with bounds `by` another column resolved."""
    found = known.get(name, UNKNOWN)
    if found.by is None or found.low is not None or found.high is not None:
        return found
    ranges = found.by.ranges
    other = known.get(found.by.column, UNKNOWN).domain
    wanted = [ranges.get(v) for v in other] if other else []
    hull = [r for r in wanted if r is not None]
    if not hull or len(hull) < len(wanted):
        return found
    return replace(found, low=min(r.low for r in hull), high=max(r.high for r in hull))


def either(first: Facts, second: Facts) -> Facts:
    """Return what is known of a value that comes from one place or the other."""
    low = min(first.low, second.low) if first.low is not None and second.low is not None else None
    high = max(first.high, second.high) if first.high is not None and second.high is not None else None
    domain = None
    if first.domain is not None and second.domain is not None:
        domain = tuple(dict.fromkeys(first.domain + second.domain))
    same_by = first.by if first.by == second.by else None
    return Facts(
        low=low,
        high=high,
        step=common_step(first.step, second.step),
        domain=domain,
        nullable=first.nullable or second.nullable,
        measured_in=first.measured_in if first.measured_in == second.measured_in else "",
        origin=first.origin or second.origin,
        by=same_by,
    )


def common_step(first: Fraction | None, second: Fraction | None) -> Fraction | None:
    """Return the largest step that divides both.

    >>> common_step(Fraction(1, 10), Fraction(1, 4))
    Fraction(1, 20)
    """
    if first is None or second is None:
        return None
    if first == 0 or second == 0:
        return first or second or None
    # gcd(a/b, c/d) = gcd(ad, cb) / bd
    top = gcd(first.numerator * second.denominator, second.numerator * first.denominator)
    return Fraction(top, first.denominator * second.denominator)


def refine(condition: Expression, known: Known) -> Known:
    """Return what is known of the rows for which the condition is true."""
    narrowed = dict(known)
    _narrow(condition, narrowed)
    return narrowed


_FLIPPED = {
    Function.EQ: Function.EQ,
    Function.NE: Function.NE,
    Function.LT: Function.GT,
    Function.LE: Function.GE,
    Function.GT: Function.LT,
    Function.GE: Function.LE,
    Function.SAME: Function.SAME,
}


def _narrow(condition: Expression, known: dict[str, Facts]) -> None:
    match condition:
        case Call(function=Function.AND, args=args):
            for arg in args:
                _narrow(arg, known)
        case Call(function=Function.OR, args=args):
            _narrow_either(args, known)
        case ColumnRef(name=name):
            _keep(name, known, (True,))
        case Call(function=Function.NOT, args=(ColumnRef(name=name),)):
            _keep(name, known, (False,))
        case Call(function=Function.NOT, args=(Call(function=Function.IS_NULL, args=(inner,)),)):
            _not_null(inner, known)
        case Call(
            function=Function.NOT, args=(Call(function=Function.IN, args=(ColumnRef(name=name), *rest)),)
        ):
            _drop(name, known, [v.value for v in rest if isinstance(v, Literal)])
        case Call(function=Function.IN, args=(ColumnRef(name=name), *rest)):
            _keep(name, known, tuple(v.value for v in rest if isinstance(v, Literal) and v.value is not None))
        case Call(function=function, args=(ColumnRef() as column, Literal() as value)) if (
            function in _FLIPPED
        ):
            _compare(function, column, value, known)
        case Call(function=function, args=(Literal() as value, ColumnRef() as column)) if (
            function in _FLIPPED
        ):
            _compare(_FLIPPED[function], column, value, known)
        case Call(function=function, args=(left, right)) if function in _FLIPPED:
            if function is Function.EQ and isinstance(left, ColumnRef) and isinstance(right, ColumnRef):
                _share(left.name, right.name, known)
            if function is not Function.SAME:
                _not_null(left, known)
                _not_null(right, known)
        case _:
            pass


def _narrow_either(args: tuple[Expression, ...], known: dict[str, Facts]) -> None:
    ways = []
    for arg in args:
        way = dict(known)
        _narrow(arg, way)
        ways.append(way)
    for name, before in list(known.items()):
        found = [way[name] for way in ways]
        if all(f == before for f in found):
            continue
        joined = found[0]
        for f in found[1:]:
            joined = either(joined, f)
        known[name] = replace(
            before, low=joined.low, high=joined.high, domain=joined.domain, nullable=joined.nullable
        )


def _not_null(expression: Expression, known: dict[str, Facts]) -> None:
    if isinstance(expression, ColumnRef) and expression.name in known:
        known[expression.name] = replace(known[expression.name], nullable=False)


def _keep(name: str, known: dict[str, Facts], values: tuple[Scalar, ...]) -> None:
    facts = known.get(name, UNKNOWN)
    if facts.domain is not None:
        # A value outside the declared domain stands in no row; keep it only if nothing else is left.
        values = tuple(v for v in facts.domain if v in values) or values
    numbers = [Fraction(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    low, high = facts.low, facts.high
    if numbers and len(numbers) == len(values):
        low, high = min(numbers), max(numbers)
    known[name] = replace(facts, domain=tuple(dict.fromkeys(values)), nullable=False, low=low, high=high)


def _drop(name: str, known: dict[str, Facts], values: list[Scalar]) -> None:
    facts = known.get(name, UNKNOWN)
    domain = facts.domain
    if domain is not None:
        domain = tuple(v for v in domain if v not in values) or domain
    known[name] = replace(facts, domain=domain, nullable=False)


def _share(left: str, right: str, known: dict[str, Facts]) -> None:
    first, second = known.get(left, UNKNOWN), known.get(right, UNKNOWN)
    if first.domain is None and second.domain is not None:
        known[left] = replace(first, domain=second.domain)
    elif second.domain is None and first.domain is not None:
        known[right] = replace(second, domain=first.domain)


def _compare(function: Function, column: ColumnRef, value: Literal, known: dict[str, Facts]) -> None:
    name = column.name
    if function is Function.SAME and value.value is None:
        return
    if function in {Function.EQ, Function.SAME}:
        _keep(name, known, (value.value,))
        return
    if function is Function.NE:
        _drop(name, known, [value.value])
        return
    facts = known.get(name, UNKNOWN)
    bound = value.value
    low, high, domain = facts.low, facts.high, facts.domain
    if isinstance(bound, int | float) and not isinstance(bound, bool):
        limit = Fraction(bound)
        whole = column.type is Type.INT
        if function in {Function.GE, Function.GT}:
            if whole and function is Function.GT:
                limit = Fraction(limit.__floor__() + 1)
            low = limit if low is None else max(low, limit)
        else:
            if whole and function is Function.LT:
                limit = Fraction(limit.__ceil__() - 1)
            high = limit if high is None else min(high, limit)
        if low is not None and high is not None and low > high:
            # No row is left that keeps the declared bounds; any interval will do.
            low = high = limit
    if domain is not None:
        domain = tuple(v for v in domain if _holds(function, v, bound)) or domain
    known[name] = replace(facts, low=low, high=high, domain=domain, nullable=False)


def _holds(function: Function, value: Scalar, bound: Scalar) -> bool:
    try:
        match function:
            case Function.GE:
                return value >= bound  # type: ignore[operator]
            case Function.GT:
                return value > bound  # type: ignore[operator]
            case Function.LE:
                return value <= bound  # type: ignore[operator]
            case _:
                return value < bound  # type: ignore[operator]
    except TypeError:
        return True
