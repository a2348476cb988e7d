"""Expressions and measures in plain words, for people who want to see what a question became."""

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import assert_never

from noisegate.privacy.after import CountOf, Estimate, MeanOf, QuantileOf, SumOf, VarianceOf
from noisegate.privacy.expressions import Call, Case, ColumnRef, Expression, Function, Literal, Scalar
from noisegate.privacy.question import CountRows, CountUnits, CountValues, Measure, Moment, Rank, Sum
from noisegate.privacy.relations import Fold, FoldWindow, Grid, Order, RankWindow, UnitFold

Names = Mapping[str, str]

_INFIX = {
    Function.ADD: "+",
    Function.SUBTRACT: "-",
    Function.MULTIPLY: "*",
    Function.DIVIDE: "/",
    Function.INT_DIVIDE: "//",
    Function.MODULO: "%",
    Function.EQ: "=",
    Function.NE: "<>",
    Function.LT: "<",
    Function.LE: "<=",
    Function.GT: ">",
    Function.GE: ">=",
    Function.SAME: "is",
    Function.AND: "and",
    Function.OR: "or",
    Function.LIKE: "like",
    Function.ILIKE: "ilike",
    Function.CONCAT: "||",
}
_TURNED = {
    Function.EQ: Function.EQ,
    Function.NE: Function.NE,
    Function.LT: Function.GT,
    Function.LE: Function.GE,
    Function.GT: Function.LT,
    Function.GE: Function.LE,
}


def scalar(value: Scalar) -> str:
    """Return a constant as SQL would write it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case date():
            return f"'{value.isoformat()}'"
        case _:
            return f"{value:g}" if isinstance(value, float) else str(value)


def number(value: Fraction) -> str:
    """Return a rational number in as few digits as show it.

    >>> number(Fraction(1, 100)), number(Fraction(70))
    ('0.01', '70')
    """
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"


def words(expression: Expression, names: Names) -> str:
    """Return an expression in the question's own column names."""
    match expression:
        case ColumnRef(name=name):
            return names.get(name, name)
        case Literal(value=value):
            return scalar(value)
        case Case(branches=branches, otherwise=otherwise):
            parts = " ".join(f"when {words(c, names)} then {words(v, names)}" for c, v in branches)
            return f"case {parts} else {words(otherwise, names)} end"
        case Call(function=function, args=args):
            return _call(function, args, names)
        case _:
            assert_never(expression)


def _call(function: Function, args: tuple[Expression, ...], names: Names) -> str:
    if function in _TURNED and isinstance(args[0], Literal) and not isinstance(args[1], Literal):
        function, args = _TURNED[function], (args[1], args[0])
    if function in _INFIX:
        return f" {_INFIX[function]} ".join(_inner(a, names) for a in args)
    if function is Function.IS_NULL:
        return f"{_inner(args[0], names)} is null"
    if function is Function.NOT:
        inner = args[0]
        if isinstance(inner, Call) and inner.function is Function.IS_NULL:
            return f"{_inner(inner.args[0], names)} is not null"
        return f"not {_inner(inner, names)}"
    if function is Function.IN:
        shown = ", ".join(words(a, names) for a in args[1:9])
        more = ", …" if len(args) > 9 else ""
        return f"{_inner(args[0], names)} in ({shown}{more})"
    if function is Function.NEGATE:
        return f"-{_inner(args[0], names)}"
    return f"{function.value}({', '.join(words(a, names) for a in args)})"


def _inner(expression: Expression, names: Names) -> str:
    text = words(expression, names)
    if isinstance(expression, ColumnRef):
        # After the noise a column stands for a phrase such as 'mean from measures 1 and 2'.
        return f"({text})" if " " in text and not text.startswith("measure ") else text
    compound = isinstance(expression, Call) and (
        expression.function in _INFIX or expression.function is Function.IN
    )
    return f"({text})" if compound else text


def grid_words(grid: Grid) -> str:
    """Return how values are clamped and rounded."""
    step = Fraction(grid.step)
    return f"clamped to {number(grid.low * step)} .. {number(grid.high * step)} in steps of {number(step)}"


def where_words(where: Expression | None, names: Names) -> str:
    """Return a condition after a comma-less 'where', empty for none."""
    return f" where {words(where, names)}" if where is not None else ""


def measure_words(measure: Measure, names: Names) -> str:
    """Return what is counted or summed."""
    where = where_words(measure.where, names)
    match measure:
        case CountRows():
            return f"count of rows{where}"
        case CountUnits():
            return f"count of persons{where}"
        case CountValues(value=value):
            return f"count of different values of {words(value, names)}{where}"
        case Sum(value=value, grid=grid):
            return f"sum of {words(value, names)}, {grid_words(grid)}{where}"
        case Moment(value=value, grid=grid, power=power):
            squares = " squared" if power == 2 else ""
            return f"sum of deviations{squares} of {words(value, names)}, {grid_words(grid)}{where}"
        case Rank(value=value, grid=grid, quantile=quantile):
            share = number(quantile)
            return (
                f"quantile {share} of {words(value, names)}, {grid_words(grid)}, "
                f"from {measure.candidates} candidates{where}"
            )
        case _:
            assert_never(measure)


def estimate_words(estimate: Estimate) -> str:
    """Return how an answer is computed from noisy measures, numbered from 1."""
    match estimate:
        case CountOf(measure=m) | SumOf(measure=m) | QuantileOf(rank=m):
            return f"measure {m + 1}"
        case MeanOf(moment=m, count=n):
            return f"mean from measures {m + 1} and {n + 1}"
        case VarianceOf(first=s, second=q, count=n, sample=sample, root=root):
            kind = "standard deviation" if root else "variance"
            of = "sample " if sample else "population "
            return f"{of}{kind} from measures {s + 1}, {q + 1} and {n + 1}"
        case _:
            assert_never(estimate)


def order_words(order: tuple[Order, ...], names: Names) -> str:
    """Return sort keys, empty for none."""
    if not order:
        return ""
    keys = ", ".join(words(o.expression, names) + (" descending" if o.descending else "") for o in order)
    return f" by {keys}"


def fold_words(fold: UnitFold, names: Names) -> str:
    """Return what a person's rows are folded into."""
    where = where_words(fold.where, names)
    if fold.value is None:
        return f"count of rows{where}"
    what = {Fold.COUNT: "count", Fold.COUNT_DISTINCT: "count of different values", Fold.MEAN: "mean"}
    grid = f", {grid_words(fold.grid)}" if fold.grid is not None else ""
    name = what.get(fold.fold, fold.fold.value.replace("_", " "))
    return f"{name} of {words(fold.value, names)}{grid}{order_words(fold.order, names)}{where}"


def window_words(window: RankWindow | FoldWindow, names: Names) -> str:
    """Return what a window computes within a person's rows."""
    also = "".join(f" and {words(p, names)}" for p in window.partition)
    if isinstance(window, FoldWindow):
        running = f" up to the row{order_words(window.order, names)}" if window.order else ""
        return f"{fold_words(window.fold, names)}{running} within the person{also}"
    value = f" of {words(window.value, names)}" if window.value is not None else ""
    offset = (
        f" by {window.offset} rows" if window.function.value in ("lag", "lead") and window.offset != 1 else ""
    )
    name = window.function.value.replace("_", " ")
    return f"{name}{value}{offset}{order_words(window.order, names)} within the person{also}"
