"""One form for questions that mean the same, and the fingerprint by which they are recognised.

Only rewrites that hold for NULLs and for every engine: operands of AND, OR, =, + and * in one order,
> and >= as < and <=, lists sorted, doubles dropped.
"""

import hashlib
from datetime import date
from fractions import Fraction
from typing import assert_never

from noisegate.privacy.expressions import Call, Case, ColumnRef, Expression, Function, Literal, Scalar
from noisegate.privacy.question import (
    Aggregation,
    CountRows,
    CountUnits,
    CountValues,
    Key,
    Measure,
    Moment,
    Rank,
    Sum,
)
from noisegate.privacy.relations import (
    Distinct,
    Filter,
    FoldWindow,
    Grid,
    GroupWithinUnit,
    JoinOnUnit,
    JoinPublic,
    Matching,
    Order,
    Project,
    RankWindow,
    Relation,
    Scan,
    Union,
    UnitFold,
    WindowWithinUnit,
)

_COMMUTE = frozenset({Function.EQ, Function.NE, Function.SAME, Function.ADD, Function.MULTIPLY})
_FLIP = {Function.GT: Function.LT, Function.GE: Function.LE}
_NEGATED = {
    Function.EQ: Function.NE,
    Function.NE: Function.EQ,
    Function.LT: Function.GE,
    Function.LE: Function.GT,
    Function.GT: Function.LE,
    Function.GE: Function.LT,
}


def canonical(expression: Expression) -> Expression:
    """Return the expression in the one form of all that mean the same by the rules above.

    >>> from noisegate.privacy.expressions import Type
    >>> a, b = ColumnRef("a", Type.INT), ColumnRef("b", Type.INT)
    >>> canonical(Call(Function.GT, (a, b))) == canonical(Call(Function.LT, (b, a)))
    True
    """
    match expression:
        case ColumnRef() | Literal():
            return expression
        case Case(branches=branches, otherwise=otherwise):
            return Case(tuple((canonical(c), canonical(v)) for c, v in branches), canonical(otherwise))
        case Call(function=function, args=args):
            return _call(function, tuple(canonical(a) for a in args))
        case _:
            assert_never(expression)


def _call(function: Function, args: tuple[Expression, ...]) -> Expression:
    if function in _FLIP:
        return Call(_FLIP[function], (args[1], args[0]))
    if function in _COMMUTE:
        return Call(function, tuple(sorted(args, key=text)))
    if function in (Function.AND, Function.OR):
        flat: dict[str, Expression] = {}
        for arg in args:
            same = isinstance(arg, Call) and arg.function is function
            for part in arg.args if same and isinstance(arg, Call) else (arg,):
                flat[text(part)] = part
        parts = tuple(flat[k] for k in sorted(flat))
        return parts[0] if len(parts) == 1 else Call(function, parts)
    if function is Function.IN:
        members = {text(a): a for a in args[1:]}
        if len(members) == 1:
            return _call(Function.EQ, (args[0], *members.values()))
        return Call(function, (args[0], *(members[k] for k in sorted(members))))
    if function is Function.NOT and isinstance(args[0], Call):
        inner = args[0]
        if inner.function is Function.NOT:
            return inner.args[0]
        if inner.function in _NEGATED:
            return _call(_NEGATED[inner.function], inner.args)
    return Call(function, args)


def text(expression: Expression) -> str:
    """Return an expression as text that differs wherever expressions do."""
    match expression:
        case ColumnRef(name=name, type=kind):
            return f"[{name}:{kind.value}]"
        case Literal(value=value, type=kind):
            return f"<{kind.value}:{scalar_text(value)}>"
        case Call(function=function, args=args):
            return f"({function.value} {' '.join(text(a) for a in args)})"
        case Case(branches=branches, otherwise=otherwise):
            inner = " ".join(f"{text(c)}?{text(v)}" for c, v in branches)
            return f"(case {inner} : {text(otherwise)})"
        case _:
            assert_never(expression)


def scalar_text(value: Scalar) -> str:
    """Return a value as text that tells its type: 1, 1.0, true and '1' differ."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case float():
            return value.hex()
        case str():
            return f"{len(value)}'{value}'"
        case date():
            return value.isoformat()
        case _:
            return repr(value)


def fingerprint(private: Aggregation) -> str:
    """Return the SHA-256, in hex, of the private part of a question.

    Equal for questions that differ in aliases, white space, case, the order of their aggregates and
    keys, and by the rules above; different wherever the rows, cells or bounding differ.
    """
    bounding = private.bounding
    parts = [
        relation_text(private.source),
        *(key_text(k) for k in private.keys),
        *(measure_text(m) for m in private.measures),
        f"rows={bounding.rows} groups={bounding.groups} total={bounding.total}",
    ]
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def key_text(key: Key) -> str:
    """Return a key as text; its name does not count."""
    if key.domain is None:
        return f"key {_canonical_text(key.expression)} private"
    return f"key {_canonical_text(key.expression)} in {' '.join(scalar_text(v) for v in key.domain)}"


def _canonical_text(expression: Expression | None) -> str:
    return text(canonical(expression)) if expression is not None else "-"


def measure_text(measure: Measure) -> str:
    """Return a measure as text that differs wherever measures do."""
    where = _canonical_text(measure.where)
    match measure:
        case CountRows():
            return f"rows where {where}"
        case CountUnits():
            return f"units where {where}"
        case CountValues(value=value):
            return f"values {_canonical_text(value)} where {where}"
        case Sum(value=value, grid=grid):
            return f"sum {_canonical_text(value)} {_grid(grid)} where {where}"
        case Moment(value=value, grid=grid, power=power):
            return f"moment {power} {_canonical_text(value)} {_grid(grid)} where {where}"
        case Rank(value=value, grid=grid, stride=stride, quantile=quantile):
            return f"rank {quantile} {stride} {_canonical_text(value)} {_grid(grid)} where {where}"
        case _:
            assert_never(measure)


def _grid(grid: Grid | None) -> str:
    if grid is None:
        return "-"
    step = Fraction(grid.step)
    return f"{grid.low}..{grid.high}*{step.numerator}/{step.denominator}"


def relation_text(relation: Relation) -> str:
    """Return a relation as text that differs wherever relations do."""
    match relation:
        case Scan():
            columns = " ".join(
                f"{len(c.source)}'{c.source}'={c.name}:{c.type.value}:{c.constant}" for c in relation.columns
            )
            return (
                f"(scan {relation.dataset!r}.{relation.table!r} {columns} unit={relation.unit} "
                f"of={relation.population!r} single={relation.single})"
            )
        case Filter(source=source, condition=condition):
            return f"(filter {_canonical_text(condition)} {relation_text(source)})"
        case Project(source=source, outputs=outputs):
            return f"(project {_named(outputs)} {relation_text(source)})"
        case JoinOnUnit(left=left, right=right, kind=kind, condition=condition):
            how = f"{kind.value} {_canonical_text(condition)}"
            return f"(join {how} {relation_text(left)} {relation_text(right)})"
        case JoinPublic(left=left, right=right, kind=kind, condition=condition):
            how = f"{kind.value} {_canonical_text(condition)}"
            return f"(public {how} {relation_text(left)} {relation_text(right)})"
        case Matching(left=left, right=right, anti=anti, condition=condition):
            how = f"{anti} {_canonical_text(condition)}"
            return f"(matching {how} {relation_text(left)} {relation_text(right)})"
        case GroupWithinUnit(source=source, keys=keys, folds=folds):
            inner = " ".join(f"{n}={_fold(f)}" for n, f in folds)
            return f"(group {_named(keys)} {inner} {relation_text(source)})"
        case WindowWithinUnit(source=source, windows=windows):
            inner = " ".join(f"{n}={_window(w)}" for n, w in windows)
            return f"(window {inner} {relation_text(source)})"
        case Union(parts=parts):
            return f"(union {' '.join(relation_text(p) for p in parts)})"
        case Distinct(source=source):
            return f"(distinct {relation_text(source)})"
        case _:
            assert_never(relation)


def _named(outputs: tuple[tuple[str, Expression], ...]) -> str:
    return " ".join(f"{name}={_canonical_text(e)}" for name, e in outputs)


def _orders(order: tuple[Order, ...]) -> str:
    return ",".join(f"{_canonical_text(o.expression)}{'-' if o.descending else '+'}" for o in order)


def _fold(fold: UnitFold) -> str:
    return (
        f"({fold.fold.value} {_canonical_text(fold.value)} where {_canonical_text(fold.where)} "
        f"{_grid(fold.grid)} by {_orders(fold.order)})"
    )


def _window(window: RankWindow | FoldWindow) -> str:
    partition = " ".join(_canonical_text(p) for p in window.partition)
    if isinstance(window, FoldWindow):
        return f"({_fold(window.fold)} over {partition} by {_orders(window.order)})"
    return (
        f"({window.function.value} {_canonical_text(window.value)} {window.offset} over {partition} "
        f"by {_orders(window.order)})"
    )
