"""Aggregate calls in one form, whatever way SQL has of writing them.

The same reading serves the private aggregates of a question, the aggregates of one person's rows, the
aggregates over a window, and those over noisy rows; which of them can be planned is theirs to say.
"""

import enum
from dataclasses import dataclass
from fractions import Fraction

from sqlglot import exp

from noisegate.errors import BadInput
from noisegate.sql.nodes import bare, inside, need, only, refusal, shown


class Kind(enum.Enum):
    """What is aggregated."""

    COUNT_ROWS = "count(*)"
    COUNT = "count"
    COUNT_DISTINCT = "count(DISTINCT …)"
    COUNT_IF = "count_if"
    SUM = "sum"
    MEAN = "avg"
    VAR_SAMP = "var_samp"
    VAR_POP = "var_pop"
    STD_SAMP = "stddev_samp"
    STD_POP = "stddev_pop"
    MIN = "min"
    MAX = "max"
    QUANTILE = "quantile_cont"
    ANY_TRUE = "bool_or"
    ALL_TRUE = "bool_and"
    ARG_MIN = "arg_min"
    ARG_MAX = "arg_max"
    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One aggregate call. `by` is the second argument of ARG_MIN and ARG_MAX."""

    kind: Kind
    node: exp.Expr
    value: exp.Expr | None = None
    by: exp.Expr | None = None
    where: exp.Expr | None = None
    order: tuple[exp.Ordered, ...] = ()
    quantile: Fraction = Fraction(0)

    @property
    def argument(self) -> exp.Expr:
        """The value that is aggregated; COUNT(*) alone has none."""
        if self.value is None:
            raise refusal(shown(self.node), "this aggregate takes a value")
        return self.value


_PLAIN: dict[type[exp.Expr], Kind] = {
    exp.Sum: Kind.SUM,
    exp.Avg: Kind.MEAN,
    exp.Variance: Kind.VAR_SAMP,
    exp.VariancePop: Kind.VAR_POP,
    exp.Stddev: Kind.STD_SAMP,
    exp.StddevSamp: Kind.STD_SAMP,
    exp.StddevPop: Kind.STD_POP,
    exp.Min: Kind.MIN,
    exp.Max: Kind.MAX,
    exp.CountIf: Kind.COUNT_IF,
    exp.LogicalOr: Kind.ANY_TRUE,
    exp.LogicalAnd: Kind.ALL_TRUE,
    exp.First: Kind.FIRST,
    exp.Last: Kind.LAST,
}
_WRAPPERS = (exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)
_LISTED = (
    "count, sum, avg, min, max, median, quantile_cont, var_samp, var_pop, stddev_samp, stddev_pop and "
    "count_if are known"
)


def is_aggregate(node: exp.Expr) -> bool:
    """Whether the node is an aggregate call, or what wraps one."""
    return isinstance(node, (exp.AggFunc, *_WRAPPERS))


def has_aggregate(node: exp.Expr | None) -> bool:
    """Whether an aggregate stands in the node, outside windows and sub-queries."""
    return node is not None and any(is_aggregate(n) for n in inside(node))


def read_aggregate(node: exp.Expr) -> Aggregate:
    """Return an aggregate call in the one form.

    Raises:
        UnsupportedSql: an aggregate, or an option of one, that is not known.
    """
    where = None
    call = node
    if isinstance(call, exp.Filter):
        where = need(call, "expression").this
        call = call.this
    order: tuple[exp.Ordered, ...] = ()
    if isinstance(call, exp.WithinGroup):
        order = tuple(need(call, "expression").expressions)
        call = call.this
        if not isinstance(call, exp.PercentileCont | exp.PercentileDisc):
            raise refusal(f"WITHIN GROUP in {shown(node)}")
        return _within_group(call, order, where, node)
    if isinstance(call, exp.IgnoreNulls) and isinstance(call.this, exp.AnyValue):
        call = call.this
    if isinstance(call, exp.Count):
        return _count(call, where, node)
    if isinstance(call, exp.Median):
        only(call, "this")
        return Aggregate(Kind.QUANTILE, node, _one(call), None, where, (), Fraction(1, 2))
    if isinstance(call, exp.PercentileCont | exp.PercentileDisc):
        only(call, "this", "expression")
        share = call.args.get("expression")
        if isinstance(share, exp.Order) and [o.this for o in share.expressions] == [call.this]:
            # quantile_cont(x, 0.9 ORDER BY x), as some programs spell WITHIN GROUP.
            return _within_group(exp.PercentileCont(this=share.this), tuple(share.expressions), where, node)
        return Aggregate(Kind.QUANTILE, node, _one(call), None, where, (), _share(share, node))
    if isinstance(call, exp.Quantile):
        only(call, "this", "quantile")
        share = _share(call.args.get("quantile"), node)
        return Aggregate(Kind.QUANTILE, node, _one(call), None, where, (), share)
    if isinstance(call, exp.ArgMax | exp.ArgMin):
        only(call, "this", "expression")
        kind = Kind.ARG_MAX if isinstance(call, exp.ArgMax) else Kind.ARG_MIN
        return Aggregate(kind, node, _one(call), need(call, "expression"), where)
    if isinstance(call, exp.AnyValue):
        only(call, "this")
        return Aggregate(Kind.MIN, node, _one(call), None, where)
    found = _PLAIN.get(type(call))
    if found is None:
        raise refusal(f"the aggregate {shown(node)}", _LISTED)
    only(call, "this", "big_int")
    value = call.this
    if isinstance(value, exp.Order) and found in (Kind.FIRST, Kind.LAST):
        order, value = tuple(value.expressions), value.this
    return Aggregate(found, node, _plain_value(value, node), None, where, order)


def _count(call: exp.Count, where: exp.Expr | None, node: exp.Expr) -> Aggregate:
    only(call, "this", "big_int")
    value = call.this
    if value is None or isinstance(value, exp.Star):
        if isinstance(value, exp.Star):
            only(value)
        return Aggregate(Kind.COUNT_ROWS, node, None, None, where)
    if isinstance(value, exp.Distinct):
        only(value, "expressions")
        if len(value.expressions) != 1:
            raise refusal("COUNT(DISTINCT …) of several columns", "join them into one text with || first")
        return Aggregate(Kind.COUNT_DISTINCT, node, value.expressions[0], None, where)
    return Aggregate(Kind.COUNT, node, _plain_value(value, node), None, where)


def _one(call: exp.Expr) -> exp.Expr:
    return _plain_value(call.this, call)


def _plain_value(value: exp.Expr | None, node: exp.Expr) -> exp.Expr:
    if isinstance(value, exp.Distinct):
        raise refusal(f"DISTINCT in {shown(node)}", "only COUNT(DISTINCT …) can be asked")
    if value is None or isinstance(value, exp.Star | exp.Order | exp.Tuple | exp.Distinct):
        raise refusal(shown(node), "an aggregate takes one value")
    return value


def _within_group(
    call: exp.Expr, order: tuple[exp.Ordered, ...], where: exp.Expr | None, node: exp.Expr
) -> Aggregate:
    only(call, "this")
    if len(order) != 1:
        raise refusal(shown(node), "write PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY column)")
    only(order[0], "this", "desc", "nulls_first")
    share = _share(call.this, node)
    if order[0].args.get("desc"):
        share = 1 - share
    return Aggregate(Kind.QUANTILE, node, order[0].this, None, where, (), share)


def _share(value: exp.Expr | None, node: exp.Expr) -> Fraction:
    value = bare(value) if value is not None else None
    if not isinstance(value, exp.Literal) or value.is_string:
        raise BadInput(
            f"the share in {shown(node)} is not one number", "write a number from 0 to 1, as in 0.5"
        )
    try:
        share = Fraction(value.this)
    except (ValueError, ZeroDivisionError):
        raise BadInput(f"{value.this[:30]!r} is not a number") from None
    if not 0 <= share <= 1:
        raise BadInput(f"the share in {shown(node)} lies between 0 and 1")
    return share.limit_denominator(10**6)
