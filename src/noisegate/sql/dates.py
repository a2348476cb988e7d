"""Dates and times of a question: parts, differences in days, and whole days added."""

from collections.abc import Callable

from sqlglot import exp

from noisegate.errors import BadInput
from noisegate.privacy.expressions import Call, Expression, Function, Literal, Type
from noisegate.sql.literals import as_date, negated
from noisegate.sql.nodes import bare, need, only, refusal, shown

Inner = Callable[[exp.Expr], Expression]
Reader = Callable[[exp.Expr, Inner], Expression]

_PARTS = {
    "YEAR": Function.YEAR,
    "MONTH": Function.MONTH,
    "DAY": Function.DAY,
    "DAYOFMONTH": Function.DAY,
    "QUARTER": Function.QUARTER,
    "ISODOW": Function.ISO_WEEKDAY,
    "DAYOFWEEKISO": Function.ISO_WEEKDAY,
    "HOUR": Function.HOUR,
}
_TRUNCATIONS = {"YEAR": Function.TRUNC_YEAR, "MONTH": Function.TRUNC_MONTH, "DAY": Function.TO_DATE}


def _word(node: exp.Expr | None) -> str:
    return bare(node).name.upper() if node is not None else ""


def _temporal(value: Expression) -> Expression:
    """Return a text constant as the date it names."""
    if isinstance(value, Literal) and value.type is Type.STR:
        return as_date(value, Type.DATE)
    return value


def date_part(part: exp.Expr, value: Expression, node: exp.Expr) -> Expression:
    """Return a part of a date, as EXTRACT and date_part take it."""
    function = _PARTS.get(_word(part))
    if function is None:
        raise refusal(shown(node), "year, quarter, month, day, isodow and hour are known")
    return Call(function, (_temporal(value),))


def _extract(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "expression")
    return date_part(node.this, inner(need(node, "expression")), node)


def _part(function: Function) -> Reader:
    def read(node: exp.Expr, inner: Inner) -> Expression:
        only(node, "this")
        return Call(function, (_temporal(inner(need(node, "this"))),))

    return read


def _truncate(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "unit", "input_type_preserved")
    function = _TRUNCATIONS.get(_word(node.args.get("unit")))
    if function is None:
        raise refusal(shown(node), "year, month and day are known")
    value = _temporal(inner(need(node, "this")))
    if value.type not in (Type.DATE, Type.TIMESTAMP):
        raise BadInput(f"{shown(node)} does not truncate a date")
    return Call(function, (value,))


def _difference(node: exp.Expr, inner: Inner) -> Expression:
    only(node, "this", "expression", "unit", "date_part_boundary")
    if _word(node.args.get("unit")) not in ("DAY", "DAYS", ""):
        raise refusal(shown(node), "differences are taken in days: date_diff('day', a, b)")
    later, earlier = _temporal(inner(need(node, "this"))), _temporal(inner(need(node, "expression")))
    return Call(Function.DAYS_BETWEEN, (earlier, later))


def _days(node: exp.Expr, inner: Inner) -> Expression:
    """Return the whole number of days of an interval or a plain number."""
    node = bare(node)
    if not isinstance(node, exp.Interval):
        return inner(node)
    only(node, "this", "unit")
    scale = {"DAY": 1, "DAYS": 1, "WEEK": 7, "WEEKS": 7}.get(_word(node.args.get("unit")))
    if scale is None:
        raise refusal(shown(node), "intervals are of days or weeks")
    amount = bare(node.this)
    if isinstance(amount, exp.Literal) and amount.this.lstrip("-").isdigit() and len(amount.this) <= 9:
        return Literal(int(amount.this) * scale, Type.INT)
    raise BadInput(f"{shown(node)} is not a whole number of days", "write INTERVAL 30 DAY")


def add_or_subtract_days(node: exp.Expr, inner: Inner, sign: int) -> Expression:
    """Return date + INTERVAL or date - INTERVAL."""
    only(node, "this", "expression", "unit")
    left, right = node.this, need(node, "expression")
    if isinstance(bare(left), exp.Interval) and sign > 0:
        left, right = right, left
    value, days = _temporal(inner(left)), _days(right, inner)
    if sign < 0:
        days = negated(days)
    if value.type is Type.TIMESTAMP:
        raise refusal(shown(node), "cast it to DATE first")
    return Call(Function.ADD_DAYS, (value, days))


def _add(node: exp.Expr, inner: Inner) -> Expression:
    return add_or_subtract_days(node, inner, 1)


def _subtract(node: exp.Expr, inner: Inner) -> Expression:
    return add_or_subtract_days(node, inner, -1)


DATE_READERS: dict[type[exp.Expr], Reader] = {
    exp.Extract: _extract,
    exp.Year: _part(Function.YEAR),
    exp.Quarter: _part(Function.QUARTER),
    exp.Month: _part(Function.MONTH),
    exp.Day: _part(Function.DAY),
    exp.DayOfMonth: _part(Function.DAY),
    exp.DayOfWeekIso: _part(Function.ISO_WEEKDAY),
    exp.Hour: _part(Function.HOUR),
    exp.TimestampTrunc: _truncate,
    exp.DateTrunc: _truncate,
    exp.DateDiff: _difference,
    exp.DateAdd: _add,
    exp.DateSub: _subtract,
}
