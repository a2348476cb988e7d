"""The slow, obvious twin: plans evaluated over lists of rows in plain Python.

A row is a dict by column name. A database maps (dataset, table) to its rows, by stored column name.
"""
# ruff: noqa: DTZ001  (timestamps have no time zone here)

import math
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cmp_to_key
from itertools import product

import numpy as np

from noisegate.privacy.expressions import (
    Call,
    Case,
    ColumnRef,
    Expression,
    Function,
    Literal,
    Scalar,
    Type,
    unify,
)
from noisegate.privacy.question import (
    Aggregation,
    CountRows,
    CountUnits,
    CountValues,
    Measure,
    Moment,
    Rank,
    Sum,
)
from noisegate.privacy.relations import (
    Distinct,
    Filter,
    Fold,
    FoldWindow,
    Grid,
    GroupWithinUnit,
    JoinKind,
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
    Window,
    WindowWithinUnit,
)

Row = dict[str, Scalar]
Database = dict[tuple[str, str], list[Row]]
MAX_TEXT_BYTES = 16_384
F = Function


def value(expression: Expression, row: Row) -> Scalar:
    match expression:
        case ColumnRef(name=name):
            return row[name]
        case Literal(value=constant):
            return constant
        case Case(branches=branches, otherwise=otherwise):
            for condition, result in branches:
                if value(condition, row) is True:
                    return typed(value(result, row), expression.type)
            return typed(value(otherwise, row), expression.type)
        case Call(function=function, args=args):
            return clean(call(expression, function, args, [value(a, row) for a in args]), expression.type)


def typed(found: Scalar, kind: Type) -> Scalar:
    return float(found) if kind is Type.FLOAT and isinstance(found, int) else found


def clean(found: Scalar, kind: Type) -> Scalar:
    if kind is Type.FLOAT and found is not None:
        found = float(found)
        return found + 0.0 if math.isfinite(found) else None
    if kind is Type.INT and found is not None:
        return found if -(2**63) <= found < 2**63 else None
    return found


def call(node: Call, function: Function, args: Sequence[Expression], got: list[Scalar]) -> Scalar:
    match function:
        case F.AND:
            return False if False in got else None if None in got else True
        case F.OR:
            return True if True in got else None if None in got else False
        case F.IS_NULL:
            return got[0] is None
        case F.COALESCE:
            return next((typed(g, node.type) for g in got if g is not None), None)
        case F.SAME:
            return same(*alike(args, got))
        case F.NULLIF:
            a, b = alike(args, got)
            return None if a is not None and b is not None and a == b else got[0]
        case F.IN:
            first, *rest = alike(args, got)
            if first is None:
                return None
            return True if any(first == r for r in rest if r is not None) else None if None in rest else False
    if any(g is None for g in got):
        return None
    if function in COMPARED:
        a, b = alike(args, got)
        return COMPARED[function](a, b)
    if function in (F.LEAST, F.GREATEST):
        return (min if function is F.LEAST else max)(alike(args, got), key=sortable)
    if node.type is Type.FLOAT and function in REAL:
        with np.errstate(all="ignore"):
            return REAL[function](*(np.float64(g) for g in got))
    if function in WHOLE:
        return WHOLE[function](*got)
    return OTHER[function](*got)


def same(a: Scalar, b: Scalar) -> bool:
    return a is b if a is None or b is None else a == b


def alike(args: Sequence[Expression], got: list[Scalar]) -> list[Scalar]:
    kind = unify(list(args))
    return [typed(g, kind) for g in got]


def sortable(found: Scalar) -> object:
    return found.encode() if isinstance(found, str) else found


def half_away(x: float) -> float:
    if not math.isfinite(x) or abs(x) >= 2**52:
        return x
    return float(Decimal(x).to_integral_value(ROUND_HALF_UP))


def rounded(x: np.float64, digits: np.float64 | None = None) -> float:
    if digits is None:
        return half_away(float(x))
    places = int(min(max(digits, -308), 308))
    scale = np.float64(10.0 ** abs(places))
    if places < 0:
        result = np.float64(half_away(float(x / scale))) * scale
        return float(result) if np.isfinite(result) else float(x)
    result = np.float64(half_away(float(x * scale))) / scale
    return float(result) if np.isfinite(result) else float(x)


def rounded_whole(x: int, digits: int = 0) -> int:
    if digits >= 0:
        return x
    unit = 10**-digits
    size = (abs(x) + unit // 2) // unit * unit
    return size if x >= 0 else -size


def truncated(a: int, b: int) -> int | None:
    if b == 0:
        return None
    size = abs(a) // abs(b)
    return size if (a < 0) == (b < 0) else -size


def remainder(a: int, b: int) -> int | None:
    quotient = truncated(a, b)
    return None if quotient is None else a - quotient * b


def substring(text: str, start: int, length: int | None = None) -> str:
    end = math.inf if length is None else start + length
    return "".join(c for place, c in enumerate(text, 1) if start <= place < end)


def left(text: str, count: int) -> str:
    return text[:count] if count >= 0 else text[: max(len(text) + count, 0)]


def right(text: str, count: int) -> str:
    if count >= 0:
        return text[max(len(text) - count, 0) :]
    return text[min(-count, len(text)) :]


def replaced(text: str, old: str, new: str) -> str | None:
    if len(text.encode()) * max(len(new.encode()), 1) > MAX_TEXT_BYTES:
        return None
    return text.replace(old, new) if old else text


def joined(*texts: str) -> str | None:
    result = texts[0]
    for other in texts[1:]:
        if len(result.encode()) + len(other.encode()) > MAX_TEXT_BYTES:
            return None
        result += other
    return result


def like(text: str, pattern: str) -> bool:
    """Whether the text is as the pattern says, by the textbook's table."""
    reached = {0}
    for c in pattern:
        if c == "%":
            reached = set(range(min(reached), len(text) + 1)) if reached else set()
        else:
            reached = {i + 1 for i in reached if i < len(text) and (c == "_" or text[i] == c)}
    return len(text) in reached


def day(moment: date | datetime) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def add_days(start: date, days: int) -> date | None:
    try:
        return start + timedelta(days=days)
    except OverflowError:
        return None


def to_int(found: Scalar) -> int | None:
    match found:
        case bool() | int():
            return int(found)
        case float():
            return round(found)  # half to even
        case _:
            return None


COMPARED: dict[Function, Callable[[Scalar, Scalar], bool]] = {
    F.EQ: lambda a, b: a == b,
    F.NE: lambda a, b: a != b,
    F.LT: lambda a, b: sortable(a) < sortable(b),
    F.LE: lambda a, b: sortable(a) <= sortable(b),
    F.GT: lambda a, b: sortable(a) > sortable(b),
    F.GE: lambda a, b: sortable(a) >= sortable(b),
}
REAL: dict[Function, Callable[..., Scalar]] = {
    F.ADD: lambda a, b: a + b,
    F.SUBTRACT: lambda a, b: a - b,
    F.MULTIPLY: lambda a, b: a * b,
    F.DIVIDE: lambda a, b: a / b if b else None,
    F.MODULO: lambda a, b: np.fmod(a, b) if b else None,
    F.NEGATE: lambda a: -a,
    F.ABS: abs,
    F.SIGN: np.sign,
    F.ROUND: rounded,
    F.FLOOR: np.floor,
    F.CEIL: np.ceil,
    F.SQRT: np.sqrt,
    F.LN: np.log,
    F.LOG10: np.log10,
    F.EXP: np.exp,
    F.POWER: np.power,
}
WHOLE: dict[Function, Callable[..., Scalar]] = {
    F.ADD: lambda a, b: a + b,
    F.SUBTRACT: lambda a, b: a - b,
    F.MULTIPLY: lambda a, b: a * b,
    F.INT_DIVIDE: truncated,
    F.MODULO: remainder,
    F.NEGATE: lambda a: -a,
    F.ABS: abs,
    F.SIGN: lambda a: (a > 0) - (a < 0),
    F.ROUND: rounded_whole,
    F.FLOOR: lambda a: a,
    F.CEIL: lambda a: a,
}
OTHER: dict[Function, Callable[..., Scalar]] = {
    F.NOT: lambda a: not a,
    F.LIKE: like,
    F.ILIKE: lambda a, b: like(a.lower(), b.lower()),
    F.STARTS_WITH: str.startswith,
    F.ENDS_WITH: str.endswith,
    F.CONTAINS: lambda a, b: b in a,
    F.LOWER: str.lower,
    F.UPPER: str.upper,
    F.TRIM: lambda a: a.strip(" "),
    F.LTRIM: lambda a: a.lstrip(" "),
    F.RTRIM: lambda a: a.rstrip(" "),
    F.LENGTH: len,
    F.SUBSTRING: substring,
    F.REPLACE: replaced,
    F.CONCAT: joined,
    F.LEFT: left,
    F.RIGHT: right,
    F.YEAR: lambda d: d.year,
    F.MONTH: lambda d: d.month,
    F.DAY: lambda d: d.day,
    F.QUARTER: lambda d: (d.month + 2) // 3,
    F.ISO_WEEKDAY: lambda d: d.isoweekday(),
    F.HOUR: lambda d: d.hour,
    F.DAYS_BETWEEN: lambda a, b: (day(b) - day(a)).days,
    F.ADD_DAYS: add_days,
    F.TRUNC_YEAR: lambda d: date(d.year, 1, 1),
    F.TRUNC_MONTH: lambda d: date(d.year, d.month, 1),
    F.TO_INT: to_int,
    F.TO_FLOAT: lambda a: float(a) if isinstance(a, int | float) else None,
    F.TO_BOOL: lambda a: a != 0 if isinstance(a, int | float) else None,
    F.TO_STR: lambda a: str(a).lower() if isinstance(a, bool) else str(a),
    F.TO_DATE: lambda a: day(a) if isinstance(a, date) else None,
    F.TO_TIMESTAMP: lambda a: (
        datetime(a.year, a.month, a.day) if type(a) is date else a if isinstance(a, datetime) else None
    ),
}


def rows(relation: Relation, database: Database) -> list[Row]:
    match relation:
        case Scan():
            stored = database[relation.dataset, relation.table]
            read = [{c.name: r[c.source] for c in relation.columns} for r in stored]
            return [r for r in read if relation.unit is None or r[relation.unit] is not None]
        case Filter(source=source, condition=condition):
            return [r for r in rows(source, database) if value(condition, r) is True]
        case Project(source=source, outputs=outputs):
            unit = source.shape.unit
            kept = () if unit is None else (unit,)
            return [
                {**{k: r[k] for k in kept}, **{n: value(e, r) for n, e in outputs}}
                for r in rows(source, database)
            ]
        case JoinOnUnit() | JoinPublic():
            return joined_rows(relation, database)
        case Matching(left=left_side, right=right_side, anti=anti):
            others = rows(right_side, database)
            return [r for r in rows(left_side, database) if matched(relation, r, others) is not anti]
        case GroupWithinUnit():
            return grouped(relation, rows(relation.source, database))
        case WindowWithinUnit():
            return windowed(relation, rows(relation.source, database))
        case Union(parts=parts):
            names = [f.name for f in relation.shape.fields]
            return [
                dict(zip(names, (r[f.name] for f in p.shape.fields), strict=True))
                for p in parts
                for r in rows(p, database)
            ]
        case Distinct(source=source):
            return [dict(t) for t in dict.fromkeys(tuple(r.items()) for r in rows(source, database))]


def joined_rows(relation: JoinOnUnit | JoinPublic, database: Database) -> list[Row]:
    lefts, rights = rows(relation.left, database), rows(relation.right, database)
    unit, other = relation.left.shape.unit, relation.right.shape.unit
    result = []
    for a in lefts:
        found = []
        for b in rights:
            if isinstance(relation, JoinOnUnit) and a[unit] != b[other]:
                continue
            both = {**a, **{n: v for n, v in b.items() if n != other}}
            if relation.condition is None or value(relation.condition, both) is True:
                found.append(both)
        if not found and relation.kind is JoinKind.LEFT:
            found = [{**a, **{f.name: None for f in relation.right.shape.fields if f.name != other}}]
        result += found
    return result


def matched(relation: Matching, row: Row, others: list[Row]) -> bool:
    unit, other = relation.left.shape.unit, relation.right.shape.unit
    for b in others:
        if other is not None and row[unit] != b[other]:
            continue
        both = {**row, **{n: v for n, v in b.items() if n != other}}
        if relation.condition is None or value(relation.condition, both) is True:
            return True
    return False


def split(found: list[Row], key: Callable[[Row], object]) -> dict[object, list[Row]]:
    parts: dict[object, list[Row]] = {}
    for r in found:
        parts.setdefault(key(r), []).append(r)
    return parts


def grouped(relation: GroupWithinUnit, found: list[Row]) -> list[Row]:
    unit = relation.source.shape.unit
    parts = split(found, lambda r: (r[unit], *(value(k, r) for _, k in relation.keys)))
    return [
        {
            unit: of,
            **{n: k for (n, _), k in zip(relation.keys, keys, strict=True)},
            **{n: folded(f, part) for n, f in relation.folds},
        }
        for (of, *keys), part in parts.items()
    ]


def in_order(found: Iterable[Row], keys: Sequence[tuple[Callable[[Row], Scalar], bool]]) -> list[Row]:
    def compare(a: Row, b: Row) -> int:
        for key, descending in keys:
            x, y = key(a), key(b)
            if x is None or y is None:
                if x is not y:
                    return 1 if x is None else -1
                continue
            x, y = sortable(x), sortable(y)
            if x != y:
                return (1 if x > y else -1) * (-1 if descending else 1)
        return 0

    return sorted(found, key=cmp_to_key(compare))


def keys_of(order: Sequence[Order]) -> list[tuple[Callable[[Row], Scalar], bool]]:
    return [(lambda r, e=o.expression: value(e, r), o.descending) for o in order]


def folded(fold: UnitFold, part: list[Row]) -> Scalar:
    part = [r for r in part if fold.where is None or value(fold.where, r) is True]
    if fold.value is None:
        return len(part)
    got = [value(fold.value, r) for r in part]
    there = [g for g in got if g is not None]
    match fold.fold:
        case Fold.COUNT_ROWS | Fold.COUNT:
            return len(there)
        case Fold.COUNT_DISTINCT:
            return len(set(there))
        case Fold.SUM | Fold.MEAN:
            if not there:
                return None
            whole = [t if fold.grid is None else steps(t, fold.grid) for t in there]
            step = Fraction(1) if fold.grid is None else fold.grid.step
            if fold.fold is Fold.MEAN:
                return float(Fraction(sum(whole), len(whole)) * step)
            if fold.type is Type.FLOAT:
                return float(sum(whole) * step)
            return min(max(int(sum(whole) * step), -(2**63 - 1)), 2**63 - 1)
        case Fold.MIN:
            return min(there, key=sortable, default=None)
        case Fold.MAX:
            return max(there, key=sortable, default=None)
        case Fold.ANY_TRUE:
            return any(there) if there else None
        case Fold.ALL_TRUE:
            return all(there) if there else None
        case Fold.FIRST | Fold.LAST:
            ranked = in_order(part, [*keys_of(fold.order), (lambda r: value(fold.value, r), False)])
            if not ranked:
                return None
            return value(fold.value, ranked[0 if fold.fold is Fold.FIRST else -1])


def windowed(relation: WindowWithinUnit, found: list[Row]) -> list[Row]:
    unit = relation.source.shape.unit
    added: list[Row] = [dict(r) for r in found]
    for name, window in relation.windows:
        parts = split(
            [dict(r, __at=i) for i, r in enumerate(found)],
            lambda r, w=window: (r[unit], *(value(p, r) for p in w.partition)),
        )
        for part in parts.values():
            for at, result in windowed_part(window, part, [f.name for f in relation.source.shape.fields]):
                added[at][name] = result
    return added


def windowed_part(
    window: RankWindow | FoldWindow, part: list[Row], names: list[str]
) -> list[tuple[int, Scalar]]:
    keys = keys_of(window.order)

    def told(r: Row) -> list[Scalar]:
        return [key(r) for key, _ in keys]

    if isinstance(window, FoldWindow):
        ranked = in_order(part, keys)
        result = []
        for place, r in enumerate(ranked):
            upto = (
                ranked if not keys else [q for p, q in enumerate(ranked) if p <= place or told(q) == told(r)]
            )
            result.append((r["__at"], folded(window.fold, upto)))
        return result
    if window.function in (Window.RANK, Window.DENSE_RANK):
        ranked = in_order(part, keys)
        result = []
        for r in ranked:
            first = next(p for p, q in enumerate(ranked) if told(q) == told(r))
            before = {tuple(told(q)) for q in ranked[:first]}
            result.append((r["__at"], first + 1 if window.function is Window.RANK else len(before) + 1))
        return result
    ranked = in_order(part, [*keys, *((lambda r, n=n: r[n], False) for n in names)])
    result = []
    for place, r in enumerate(ranked):
        if window.function is Window.ROW_NUMBER:
            result.append((r["__at"], place + 1))
            continue
        other = {
            Window.LAG: place - window.offset,
            Window.LEAD: place + window.offset,
            Window.FIRST: 0,
            Window.LAST: len(ranked) - 1,
        }[window.function]
        result.append((r["__at"], value(window.value, ranked[other]) if 0 <= other < len(ranked) else None))
    return result


def steps(number: int | float, grid: Grid) -> int:
    """The nearest whole step, half to even; only near a half may the engine take the other neighbour."""
    return round(min(max(Fraction(number) / grid.step, Fraction(grid.low)), Fraction(grid.high)))


Choose = Callable[[int, list[object], int], list[object]]


def cells(aggregation: Aggregation, database: Database) -> dict[tuple[Scalar, ...], list[object]]:
    """The exact cells of an aggregation none of whose units has to drop groups, rows or values."""
    assert not aggregation.private_keys
    found = rows(aggregation.source, database)
    unit = aggregation.source.shape.unit
    groups = {key: [] for key in product(*(k.domain for k in aggregation.keys))}
    for r in found:
        key = tuple(value(k.expression, r) for k in aggregation.keys)
        if key in groups:
            groups[key].append(r)
    return {
        key: [measured(m, aggregation, split(part, lambda r: r[unit])) for m in aggregation.measures]
        for key, part in groups.items()
    }


def measured(measure: Measure, aggregation: Aggregation, units: dict[object, list[Row]]) -> object:
    most = aggregation.bounding.rows
    each = [
        [r for r in part if measure.where is None or value(measure.where, r) is True]
        for part in units.values()
    ]
    match measure:
        case CountRows():
            return sum(min(len(part), most) for part in each)
        case CountUnits():
            return sum(1 for part in each if part)
        case CountValues():
            return len({value(measure.value, r) for part in each for r in part} - {None})
        case Sum(grid=grid):
            return sum(
                min(max(sum(whole(measure, part)), most * min(grid.low, 0)), most * max(grid.high, 0))
                for part in each
            )
        case Moment():
            return sum(weighed(measure, part, most) for part in each)
        case Rank():
            counts = [0] * measure.candidates
            for part in each:
                for number in whole(measure, part):
                    counts[(number - measure.grid.low) // measure.stride] += 1
            return counts


def whole(measure: Sum | Moment | Rank, part: list[Row]) -> list[int]:
    return [steps(v, measure.grid) for r in part if (v := value(measure.value, r)) is not None]


def weighed(measure: Moment, part: list[Row], most: int) -> int:
    powers = [(number - measure.centre) ** measure.power for number in whole(measure, part)]
    total = sum(powers)
    if len(powers) <= most:
        return total
    return truncated(total * most, len(powers)) or 0
