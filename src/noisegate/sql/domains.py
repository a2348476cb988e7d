"""The public finite domain of a GROUP BY expression, where one follows from the catalog."""

import itertools
import math

from noisegate.privacy.expressions import (
    Call,
    Case,
    ColumnRef,
    Expression,
    Function,
    Literal,
    Scalar,
    Type,
    columns_of,
)
from noisegate.sql.evaluate import NotEvaluated, evaluate
from noisegate.sql.facts import Facts, Known, refine
from noisegate.sql.intervals import facts_of

MOST_VALUES = 1_000  # a whole number within bounds spans at most so many values to be a domain
_MOST_ROWS = 4_096  # combinations of column values tried for a derived key


def domain_of(expression: Expression, known: Known) -> tuple[Scalar, ...] | None:
    """Return every value a key may take, NULL last if it may be NULL; None where that is not public."""
    rows = _by_rows(expression, known)
    values = rows if rows is not None else _values(expression, known)
    if values is None:
        return None
    plain = tuple(dict.fromkeys(v for v in values if v is not None))
    if not plain:
        return None
    nullable = None in values if rows is not None else facts_of(expression, known).nullable
    return (*plain, None) if nullable else plain


def _values(expression: Expression, known: Known) -> list[Scalar] | None:
    match expression:
        case ColumnRef():
            return _of_facts(expression, facts_of(expression, known))
        case Literal(value=value):
            return [value]
        case Case(branches=branches, otherwise=otherwise):
            return _of_case(branches, otherwise, known)
        case Call(function=Function.COALESCE, args=args):
            parts = [_values(a, known) for a in args]
            if any(p is None for p in parts):
                return None
            return [v for p in parts if p is not None for v in p if v is not None]
        case Call(type=Type.BOOL):
            return [False, True]
        case Call():
            rows = _by_rows(expression, known)
            return rows if rows is not None else _of_facts(expression, facts_of(expression, known))


def _of_case(
    branches: tuple[tuple[Expression, Expression], ...], otherwise: Expression, known: Known
) -> list[Scalar] | None:
    found: list[Scalar] = []
    for condition, value in branches:
        part = _values(value, refine(condition, known))
        if part is None:
            return None
        found.extend(part)
    last = _values(otherwise, known)
    return None if last is None else [*found, *last]


def _of_facts(expression: Expression, facts: Facts) -> list[Scalar] | None:
    if facts.domain is not None:
        return list(facts.domain)
    if facts.low is None or facts.high is None:
        return None
    low, high = math.ceil(facts.low), math.floor(facts.high)
    if not 0 <= high - low < MOST_VALUES:
        return None
    if expression.type is Type.INT:
        return list(range(low, high + 1))
    whole = isinstance(expression, Call) and expression.function in (Function.FLOOR, Function.CEIL)
    return [float(v) for v in range(low, high + 1)] if whole else None


def _by_rows(expression: Expression, known: Known) -> list[Scalar] | None:
    """Return the values over all combinations of the columns' values, or None if there are too many."""
    if not isinstance(expression, Call) or expression.type is Type.BOOL:
        return None
    columns = {ref.name: ref for ref in columns_of(expression)}
    lists: list[list[Scalar]] = []
    rows = 1
    for ref in columns.values():
        facts = facts_of(ref, known)
        values = _of_facts(ref, facts)
        if values is None:
            return None
        if facts.nullable:
            values = [*values, None]
        lists.append(values)
        rows *= len(values)
        if rows > _MOST_ROWS:
            return None
    try:
        found = [
            evaluate(expression, dict(zip(columns, row, strict=True))) for row in itertools.product(*lists)
        ]
    except NotEvaluated:
        return None
    distinct = list(dict.fromkeys(found))
    plain: list[Scalar] = [v for v in distinct if v is not None]
    try:
        plain.sort()
    except TypeError:
        return None
    if expression.type is Type.FLOAT:
        plain = [float(v) for v in plain if isinstance(v, int | float)]
    return [*plain, None] if len(plain) < len(distinct) else plain
