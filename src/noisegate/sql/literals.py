"""Constants of a question, and the few conversions that let them meet a column of another type.

A constant is turned into the column's type here, once, or refused: no engine ever casts one at run
time, where a failing cast would tell of rows.
"""

import math
from collections.abc import Sequence
from datetime import date, datetime

from sqlglot import exp

from noisegate.errors import BadInput
from noisegate.privacy.expressions import INT64_MAX, NUMERIC, Call, Expression, Function, Literal, Type
from noisegate.sql.nodes import shown

_WORDS = {
    Type.INT: "a whole number",
    Type.FLOAT: "a number",
    Type.BOOL: "true or false",
    Type.STR: "text",
    Type.DATE: "a date",
    Type.TIMESTAMP: "a point in time",
}
DATES = frozenset({Type.DATE, Type.TIMESTAMP})


def constant(node: exp.Expr) -> Literal:
    """Return a number or a text, as written.

    Raises:
        BadInput: a number beyond 64 bits or beyond a double.
    """
    if node.is_string:
        return Literal(node.this, Type.STR)
    text = node.this
    try:
        if text.isdigit():
            whole = int(text)
            if whole > INT64_MAX:
                raise BadInput(
                    f"the number {text[:30]} does not fit in 64 bits", "write it as a decimal: 1e20"
                )
            return Literal(whole, Type.INT)
        real = float(text)
    except ValueError:
        raise BadInput(f"{text[:30]!r} is not a number") from None
    if not math.isfinite(real):
        raise BadInput(f"the number {text[:30]} is too large")
    return Literal(real, Type.FLOAT)


def null(kind: Type = Type.INT) -> Literal:
    """Return NULL of a type."""
    return Literal(None, kind)


def is_null(expression: Expression) -> bool:
    """Whether the expression is the constant NULL."""
    return isinstance(expression, Literal) and expression.value is None


def negated(value: Expression) -> Expression:
    """Return a number with its sign changed; a constant stays one."""
    if isinstance(value, Literal) and isinstance(value.value, int | float) and value.type is not Type.BOOL:
        return Literal(-value.value, value.type)
    return Call(Function.NEGATE, (value,))


def as_date(value: Literal, kind: Type) -> Literal:
    """Return a text as the date or the point in time that it names.

    Raises:
        BadInput: it names none.
    """
    text = str(value.value).strip()
    try:
        if kind is Type.DATE:
            return Literal(date.fromisoformat(text), Type.DATE)
        moment = datetime.fromisoformat(text)
    except ValueError:
        form = "YYYY-MM-DD" if kind is Type.DATE else "YYYY-MM-DD HH:MM:SS"
        raise BadInput(f"{text[:40]!r} is not {_WORDS[kind]}", f"write it as '{form}'") from None
    if moment.tzinfo is not None:
        raise BadInput(f"{text[:40]!r} names a time zone", "leave it out: times are as recorded")
    return Literal(moment, Type.TIMESTAMP)


def fit(values: Sequence[Expression], node: exp.Expr) -> list[Expression]:
    """Return the expressions in one type, constants converted, or refuse.

    Args:
        values: sides of a comparison, branches of a CASE, members of a list.
        node: where they stand, for the message.

    Raises:
        BadInput: a constant is not of its column's type.
    """
    fixed = {v.type for v in values if not isinstance(v, Literal)}
    types = {v.type for v in values if not is_null(v)}
    if len(types) <= 1:
        kind = next(iter(types), Type.INT)
        return [null(kind) if is_null(v) else v for v in values]
    if types <= NUMERIC:
        return [null(Type.FLOAT) if is_null(v) else v for v in values]
    if types <= DATES:
        return [_to_timestamp(v) for v in values]
    if len(fixed) == 1:
        kind = next(iter(fixed))
        return [v if v.type is kind else _convert(v, kind, node) for v in values]
    if fixed and fixed <= DATES:
        return [
            _to_timestamp(_convert(v, Type.TIMESTAMP, node) if v.type not in DATES else v) for v in values
        ]
    if fixed and fixed <= NUMERIC:
        return [v if v.type in NUMERIC else _convert(v, Type.FLOAT, node) for v in values]
    raise _mismatch([*types], node)


def _to_timestamp(value: Expression) -> Expression:
    if is_null(value):
        return null(Type.TIMESTAMP)
    if value.type is Type.TIMESTAMP:
        return value
    if isinstance(value, Literal) and isinstance(value.value, date):
        return Literal(datetime.combine(value.value, datetime.min.time()), Type.TIMESTAMP)
    return Call(Function.TO_TIMESTAMP, (value,))


def _convert(value: Expression, kind: Type, node: exp.Expr) -> Expression:
    if is_null(value):
        return null(kind)
    if isinstance(value, Literal):
        if kind in DATES and value.type is Type.STR:
            return as_date(value, kind)
        if kind is Type.TIMESTAMP and value.type is Type.DATE:
            return _to_timestamp(value)
        if kind is Type.BOOL and value.type is Type.INT and value.value in (0, 1):
            return Literal(value.value == 1, Type.BOOL)
        if {kind, value.type} == NUMERIC:
            return value
    raise _mismatch([kind, value.type], node)


def _mismatch(types: list[Type], node: exp.Expr) -> BadInput:
    found = sorted({_WORDS[t] for t in types})
    hint = "write constants in the column's type, or CAST the column"
    if Type.STR in types:
        hint = "text stands in single quotes, numbers do not; or CAST the column"
    return BadInput(f"{' and '.join(found)} meet in {shown(node)}", hint)
