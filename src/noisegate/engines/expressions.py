"""Expressions written down for DuckDB.

TRUSTED. The text of a question never comes here: what is written is our own closed words, with columns
under names made here and constants quoted here, so there is nothing to inject into. Templates rather
than a SQL library's tree, because each word needs one exact, total form, chosen for what this engine
does at the edges, and because a plan is written in well under a millisecond.

Three invariants, argued in PROOFS.md, "Rendering", and fuzzed in tests/engines:
- total: no value of the arguments makes an expression fail; what has no result is NULL;
- clean: a FLOAT is finite and not -0.0, in stored columns (registration) and in every result, so equal
  values are identical values;
- small: a text holds at most texts.MAX_TEXT_BYTES, or, by a change of case, three times that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from noisegate.engines import arithmetic, texts
from noisegate.engines.bindings import Bindings
from noisegate.engines.quote import TYPES, literal
from noisegate.privacy.expressions import (
    Call,
    Case,
    ColumnRef,
    Expression,
    Function,
    Literal,
    PlanError,
    Type,
    children,
    unify,
)

MAX_DEPTH = 150
FIRST_DAY, LAST_DAY = "DATE '0001-01-01'", "DATE '9999-12-31'"
# What reads as a date, and as a timestamp; no offsets but Z.
CALENDAR = "'[0-9]{4}-[0-9]{2}-[0-9]{2}'"
CLOCK = "'[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?Z?)?'"
_DAYS = 3_652_058  # between the two


@dataclass(frozen=True, slots=True)
class _Text:
    """A piece of SQL. `loose`: a DOUBLE that may be NaN, infinite or -0.0, all but the last of which stand
    for NULL. `parts`: the arguments, where this is an AND or OR that a larger one may take in.
    """

    sql: str
    loose: bool = False
    parts: tuple[str, ...] = ()
    joined_by: Function | None = None


def expression(value: Expression, names: Mapping[str, str]) -> str:
    """Return SQL for an expression, its columns written as `names` says. The result is clean and typed.

    Raises:
        PlanError: nested deeper than MAX_DEPTH (chains of AND and OR count once), or a pattern or text no
            engine should be asked to match. The plan alone decides.
    """
    writer = _Writer(names)
    return writer.clean(writer.write(value))


def cleaned(sql: str) -> str:
    """Return a DOUBLE that may be NaN, infinite or -0.0 as a clean one, NULL where it is not finite."""
    return Bindings().let(sql, lambda x: f"(CASE WHEN isfinite({x}) THEN {x} + 0e0 END)")


class _Writer:
    """Writes one expression from its leaves upwards, without recursion."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names
        self.bind = Bindings()

    def write(self, root: Expression) -> _Text:
        """Return the text of an expression."""
        done: list[tuple[_Text, int]] = []
        pending: list[tuple[Expression, bool]] = [(root, False)]
        while pending:
            current, ready = pending.pop()
            below = children(current)
            if below and not ready:
                pending.append((current, True))
                pending.extend((child, False) for child in reversed(below))
                continue
            taken = done[len(done) - len(below) :]
            del done[len(done) - len(below) :]
            text = self.one(current, [t for t, _ in taken])
            flat = text.joined_by is not None
            depth = max((d if flat and t.joined_by is text.joined_by else d + 1 for t, d in taken), default=0)
            if depth > MAX_DEPTH:
                raise PlanError(f"an expression is nested more than {MAX_DEPTH} deep; split it")
            done.append((text, depth))
        return done[0][0]

    def one(self, node: Expression, below: list[_Text]) -> _Text:
        """Return the text of a node, given the texts of its children."""
        match node:
            case ColumnRef():
                return _Text(self.names[node.name])
            case Literal():
                return _Text(literal(node.value, node.type))
            case Case():
                return self.case(node, below)
            case Call():
                return self.call(node, below)
            case _:
                assert_never(node)

    # What follows gives texts in the types and forms their users need.

    def clean(self, text: _Text) -> str:
        """Return the value, NULL where it is not finite; never -0.0."""
        if text.loose:
            return self.bind.let(text.sql, lambda x: f"(CASE WHEN isfinite({x}) THEN {x} + 0e0 END)")
        return text.sql

    def typed(self, node: Expression, text: _Text, kind: Type) -> str:
        """Return the clean value of a node as `kind`, which it has, or is INT for FLOAT, or is NULL."""
        if isinstance(node, Literal):
            return literal(node.value, kind)
        if node.type is Type.INT and kind is Type.FLOAT:
            return f"CAST({text.sql} AS DOUBLE)"
        return self.clean(text)

    def loose(self, node: Expression, text: _Text) -> str:
        """Return a number as a DOUBLE that may stand for NULL by not being finite."""
        return text.sql if text.loose else self.typed(node, text, Type.FLOAT)

    def shared(self, nodes: tuple[Expression, ...], below: list[_Text]) -> list[str]:
        """Return clean values of the one type the nodes share."""
        kind = unify(list(nodes))
        return [self.typed(n, t, kind) for n, t in zip(nodes, below, strict=True)]

    def case(self, node: Case, below: list[_Text]) -> _Text:
        """Return CASE. Conditions are BOOL, so clean."""
        values = [value for _, value in node.branches]
        parts = []
        for i, value in enumerate(values):
            parts.append(f"WHEN {below[2 * i].sql} THEN {self.typed(value, below[2 * i + 1], node.type)}")
        otherwise = self.typed(node.otherwise, below[-1], node.type)
        return _Text(f"(CASE {' '.join(parts)} ELSE {otherwise} END)")

    def call(self, node: Call, below: list[_Text]) -> _Text:
        """Return a function's text, by the kind of its arguments."""
        function = node.function
        if function in (Function.AND, Function.OR):
            return _joined(function, below)
        if function in arithmetic.ARITHMETIC:
            pairs = list(zip(node.args, below, strict=True))
            if node.type is Type.INT:
                return _Text(arithmetic.whole(self.bind, function, node.args, [t.sql for t in below]))
            loose = [self.loose(n, t) for n, t in pairs]
            real = arithmetic.real(
                self.bind, function, node.args, loose, lambda i: self.typed(*pairs[i], Type.FLOAT)
            )
            return _Text(real, loose=True)
        if function is Function.TO_FLOAT and node.args[0].type is Type.FLOAT:
            return below[0]
        if function is Function.TO_FLOAT and node.args[0].type is Type.STR:
            return _Text(f"TRY_CAST({below[0].sql} AS DOUBLE)", loose=True)
        if function in _TYPED_TOGETHER:
            return _Text(self.together(function, node, below))
        values = [self.clean(t) for t in below]
        if function in _CASTS:
            return _Text(self.cast(function, node.args[0].type, values[0]))
        if function in _CALENDAR:
            return _Text(self.calendar(function, values))
        return _Text(self.text(function, node, values))

    def together(self, function: Function, node: Call, below: list[_Text]) -> str:
        """Return a function whose arguments are compared, so have one type."""
        args = self.shared(node.args, below)
        match function:
            case Function.IN:
                return f"({args[0]} IN ({', '.join(args[1:])}))"
            case Function.COALESCE:
                return f"coalesce({', '.join(args)})"
            case Function.NULLIF:
                widened = unify(list(node.args)) is not node.type
                first = self.typed(node.args[0], below[0], node.type)
                return self.bind.let(first, lambda a: _nullif(a, args[1], widened))
            case Function.LEAST | Function.GREATEST:
                result = args[0]
                for other in args[1:]:
                    result = self.bind.both(result, other, lambda a, b: _extreme(function, a, b))
                return result
            case _:
                return f"({args[0]} {_COMPARED[function]} {args[1]})"

    def cast(self, function: Function, source: Type, a: str) -> str:
        """Return a cast; NULL where the value has no such form, or types have none in common."""
        target = {
            Function.TO_INT: Type.INT,
            Function.TO_FLOAT: Type.FLOAT,
            Function.TO_STR: Type.STR,
            Function.TO_BOOL: Type.BOOL,
            Function.TO_DATE: Type.DATE,
            Function.TO_TIMESTAMP: Type.TIMESTAMP,
        }[function]
        if source is target:
            return a
        calendar = {Type.DATE, Type.TIMESTAMP}
        match target:
            case Type.STR:
                return f"CAST({a} AS VARCHAR)"
            case Type.INT | Type.FLOAT if source not in calendar:
                return f"TRY_CAST({a} AS {TYPES[target]})"
            case Type.BOOL if source in (Type.INT, Type.FLOAT):
                return f"({a} <> 0)"
            case Type.BOOL if source is Type.STR:
                return f"TRY_CAST({a} AS BOOLEAN)"
            case Type.DATE | Type.TIMESTAMP if source in calendar:
                return f"CAST({a} AS {TYPES[target]})"
            case Type.DATE | Type.TIMESTAMP if source is Type.STR:
                # The forms that registration accepts. The engine's own cast knows offsets, and more.
                form, kind = CALENDAR if target is Type.DATE else CLOCK, TYPES[target]
                read = self.bind.let(
                    f"trim({a})",
                    lambda t: f"(CASE WHEN regexp_full_match({t}, {form}) THEN TRY_CAST({t} AS {kind}) END)",
                )
                return self.bind.let(read, _in_calendar)
            case _:
                return literal(None, target)

    def calendar(self, function: Function, args: list[str]) -> str:
        """Return a function of dates, which lie in the years 1 to 9999."""
        a = args[0]
        match function:
            case Function.ISO_WEEKDAY:
                return f"isodow({a})"
            case Function.DAYS_BETWEEN:
                return f"(CAST({args[1]} AS DATE) - CAST({a} AS DATE))"
            case Function.ADD_DAYS:
                near = self.bind.let(
                    args[1],
                    lambda n: f"(CASE WHEN {n} BETWEEN -{_DAYS} AND {_DAYS} THEN CAST({n} AS INTEGER) END)",
                )
                return self.bind.let(f"({a} + {near})", _in_calendar)
            case Function.TRUNC_YEAR | Function.TRUNC_MONTH:
                return f"CAST(date_trunc('{function.value.removeprefix('trunc_')}', {a}) AS DATE)"
            case _:
                return f"{function.value}({a})"

    def text(self, function: Function, node: Call, args: list[str]) -> str:
        """Return a function of texts, or one of the few of anything."""
        a = args[0]
        match function:
            case Function.NOT:
                return f"(NOT {a})"
            case Function.IS_NULL:
                return f"({a} IS NULL)"
            case Function.LIKE | Function.ILIKE:
                pattern = node.args[1]
                if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
                    return literal(None, Type.BOOL)
                return texts.like(a, pattern.value, function is Function.ILIKE)
            case Function.TRIM | Function.LTRIM | Function.RTRIM:
                return f"{function.value}({a}, ' ')"
            case Function.LOWER | Function.UPPER | Function.LENGTH | Function.STARTS_WITH | Function.CONTAINS:
                return f"{function.value}({', '.join(args)})"
            case Function.ENDS_WITH:
                return f"suffix({a}, {args[1]})"
            case Function.LEFT | Function.RIGHT:
                return f"{function.value}({a}, {texts.position(self.bind, node.args[1], args[1])})"
            case Function.SUBSTRING:
                places = [
                    texts.position(self.bind, n, s) for n, s in zip(node.args[1:], args[1:], strict=True)
                ]
                return texts.substring(self.bind, a, places[0], places[1] if len(places) > 1 else None)
            case Function.CONCAT:
                result = a
                for other in args[1:]:
                    result = self.bind.both(result, other, texts.concat)
                return result
            case Function.REPLACE:
                return self.bind.let(
                    a, lambda x: self.bind.both(args[1], args[2], lambda old, new: texts.replace(x, old, new))
                )
            case _:
                raise PlanError(f"{function.value} has no written form")


_COMPARED = {
    Function.EQ: "=",
    Function.NE: "<>",
    Function.LT: "<",
    Function.LE: "<=",
    Function.GT: ">",
    Function.GE: ">=",
    Function.SAME: "IS NOT DISTINCT FROM",
}
_TYPED_TOGETHER = frozenset(_COMPARED) | {
    Function.IN,
    Function.COALESCE,
    Function.NULLIF,
    Function.LEAST,
    Function.GREATEST,
}
_CASTS = frozenset(
    {
        Function.TO_INT,
        Function.TO_FLOAT,
        Function.TO_STR,
        Function.TO_BOOL,
        Function.TO_DATE,
        Function.TO_TIMESTAMP,
    }
)
_CALENDAR = frozenset(
    {
        Function.YEAR,
        Function.MONTH,
        Function.DAY,
        Function.QUARTER,
        Function.ISO_WEEKDAY,
        Function.HOUR,
        Function.DAYS_BETWEEN,
        Function.ADD_DAYS,
        Function.TRUNC_YEAR,
        Function.TRUNC_MONTH,
    }
)


def _joined(function: Function, below: list[_Text]) -> _Text:
    """Return AND or OR, taking in those of the same kind below, so that long chains stay flat."""
    parts: list[str] = []
    for text in below:
        parts.extend(text.parts if text.joined_by is function else (text.sql,))
    word = " AND " if function is Function.AND else " OR "
    return _Text("(" + word.join(parts) + ")", parts=tuple(parts), joined_by=function)


def _extreme(function: Function, a: str, b: str) -> str:
    return f"(CASE WHEN {a} IS NOT NULL AND {b} IS NOT NULL THEN {function.value}({a}, {b}) END)"


def _nullif(a: str, b: str, widened: bool) -> str:
    compared = f"CAST({a} AS DOUBLE)" if widened else a
    return f"(CASE WHEN {compared} = {b} THEN NULL ELSE {a} END)"


def _in_calendar(x: str) -> str:
    return f"(CASE WHEN CAST({x} AS DATE) BETWEEN {FIRST_DAY} AND {LAST_DAY} THEN {x} END)"
