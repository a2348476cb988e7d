"""Row-wise expressions: the closed set of words a plan computes values with.

An expression reads one row and gives one value, or NULL. Every word is total: what would fail (a cast,
a division by zero, an overflow) gives NULL, so that no row can make a question fail. Nothing here knows
of SQL text, of engines or of people; `engines/render.py` writes these words down for an engine.
"""

import enum
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import assert_never

Scalar = int | float | bool | str | date | datetime | None


class PlanError(ValueError):
    """A plan that is not well formed, or not unit-local, refuses to be built."""


class NotUnitLocalError(PlanError):
    """The plan would let a row depend on more than one unit."""


class Type(enum.Enum):
    """What a value is. INT is 64-bit signed, FLOAT is IEEE double, STR is Unicode."""

    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    STR = "str"
    DATE = "date"
    TIMESTAMP = "timestamp"


NUMERIC = frozenset({Type.INT, Type.FLOAT})
INT64_MAX = 2**63 - 1
MAX_SIZE = 8_000


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """The value of a column of the relation the expression stands on."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. None is NULL, of the given type."""

    value: Scalar
    type: Type

    def __post_init__(self) -> None:
        if self.value is not None and type_of(self.value) is not self.type:
            raise PlanError(f"literal {self.value!r} is not of type {self.type.value}")
        if isinstance(self.value, float) and not math.isfinite(self.value):
            raise PlanError("a literal must be finite")
        if isinstance(self.value, datetime) and self.value.tzinfo is not None:
            raise PlanError("a timestamp literal has no time zone")
        if isinstance(self.value, str) and not storable(self.value):
            raise PlanError("a text literal has no NUL and no half of a surrogate pair")
        if self.type is Type.INT and isinstance(self.value, int) and abs(self.value) > INT64_MAX:
            raise PlanError("an integer literal must fit in 64 bits")


class Function(enum.Enum):
    """The functions a row may be computed with: deterministic, reading nothing but their arguments."""

    ADD = "add"
    SUBTRACT = "subtract"
    MULTIPLY = "multiply"
    DIVIDE = "divide"  # real division; by zero gives NULL
    INT_DIVIDE = "int_divide"  # truncating; by zero gives NULL
    MODULO = "modulo"  # by zero gives NULL
    NEGATE = "negate"
    ABS = "abs"
    SIGN = "sign"
    ROUND = "round"  # (x) or (x, digits literal)
    FLOOR = "floor"
    CEIL = "ceil"
    SQRT = "sqrt"  # of a negative gives NULL
    LN = "ln"  # of zero or less gives NULL
    LOG10 = "log10"
    EXP = "exp"
    POWER = "power"
    LEAST = "least"  # NULL if any argument is NULL
    GREATEST = "greatest"  # NULL if any argument is NULL
    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    SAME = "same"  # IS NOT DISTINCT FROM
    AND = "and"  # two or more
    OR = "or"  # two or more
    NOT = "not"
    IS_NULL = "is_null"
    COALESCE = "coalesce"
    NULLIF = "nullif"
    IN = "in"  # first argument against literals
    LIKE = "like"  # pattern is a literal
    ILIKE = "ilike"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    CONTAINS = "contains"
    LOWER = "lower"
    UPPER = "upper"
    TRIM = "trim"
    LTRIM = "ltrim"
    RTRIM = "rtrim"
    LENGTH = "length"
    SUBSTRING = "substring"  # (text, start) or (text, start, length); 1-based
    REPLACE = "replace"
    CONCAT = "concat"  # NULL if any argument is NULL, as ||
    LEFT = "left"
    RIGHT = "right"
    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    QUARTER = "quarter"
    ISO_WEEKDAY = "iso_weekday"  # Monday 1 to Sunday 7
    HOUR = "hour"
    DAYS_BETWEEN = "days_between"  # (from, to): to - from in whole days
    ADD_DAYS = "add_days"
    TRUNC_YEAR = "trunc_year"
    TRUNC_MONTH = "trunc_month"
    TO_INT = "to_int"  # casts: NULL where the value has no such form
    TO_FLOAT = "to_float"
    TO_STR = "to_str"
    TO_BOOL = "to_bool"
    TO_DATE = "to_date"
    TO_TIMESTAMP = "to_timestamp"


@dataclass(frozen=True, slots=True)
class Call:
    """A function of expressions. `type` is computed and checked against the signature."""

    function: Function
    args: "tuple[Expression, ...]"
    type: Type = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _size(self.args))
        object.__setattr__(self, "type", call_type(self.function, self.args))


@dataclass(frozen=True, slots=True)
class Case:
    """The value beside the first condition that is true, else `otherwise`."""

    branches: "tuple[tuple[Expression, Expression], ...]"
    otherwise: "Expression"
    type: Type = field(init=False, repr=False, compare=False)
    size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", _size(children(self)))
        if not self.branches:
            raise PlanError("CASE needs at least one WHEN")
        for condition, _ in self.branches:
            if condition.type is not Type.BOOL:
                raise PlanError("a WHEN condition must be true or false")
        shared = unify([value for _, value in self.branches] + [self.otherwise])
        object.__setattr__(self, "type", shared)


Expression = ColumnRef | Literal | Call | Case


def storable(text: str) -> bool:
    """Whether every engine can hold the text."""
    return "\x00" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def _size(parts: "Iterable[Expression]") -> int:
    """Return how many words a node of these parts is written with, counting shared parts each time."""
    size = 1 + sum(part.size if isinstance(part, Call | Case) else 1 for part in parts)
    # Shared parts make a tree grow faster than its text: it is refused before anything walks it.
    if size > MAX_SIZE:
        raise PlanError(f"an expression is longer than {MAX_SIZE} words")
    return size


def type_of(value: Scalar) -> Type:
    """Return the type of a Python value that is not None."""
    match value:
        case bool():
            return Type.BOOL
        case int():
            return Type.INT
        case float():
            return Type.FLOAT
        case str():
            return Type.STR
        case datetime():
            return Type.TIMESTAMP
        case date():
            return Type.DATE
        case None:
            raise PlanError("NULL has no type of its own")
        case _:
            assert_never(value)


def unify(values: "list[Expression]") -> Type:
    """Return the one type these expressions share; INT and FLOAT share FLOAT. NULL literals fit any."""
    types = {v.type for v in values if not (isinstance(v, Literal) and v.value is None)}
    if not types:
        return values[0].type
    if len(types) == 1:
        return types.pop()
    if types == NUMERIC:
        return Type.FLOAT
    raise PlanError("values of different types: " + ", ".join(sorted(t.value for t in types)))


_MATH = frozenset({Function.SQRT, Function.LN, Function.LOG10, Function.EXP})
_SAME_NUMBER = frozenset({Function.NEGATE, Function.ABS, Function.SIGN})
_COMPARISONS = frozenset(
    {Function.EQ, Function.NE, Function.LT, Function.LE, Function.GT, Function.GE, Function.SAME}
)
_TEXT_TO_TEXT = frozenset({Function.LOWER, Function.UPPER, Function.TRIM, Function.LTRIM, Function.RTRIM})
_TEXT_TESTS = frozenset({Function.STARTS_WITH, Function.ENDS_WITH, Function.CONTAINS})
_DATE_PARTS = frozenset({Function.YEAR, Function.MONTH, Function.DAY, Function.QUARTER, Function.ISO_WEEKDAY})
_CASTS = {
    Function.TO_INT: Type.INT,
    Function.TO_FLOAT: Type.FLOAT,
    Function.TO_STR: Type.STR,
    Function.TO_BOOL: Type.BOOL,
    Function.TO_DATE: Type.DATE,
    Function.TO_TIMESTAMP: Type.TIMESTAMP,
}
_DATES = frozenset({Type.DATE, Type.TIMESTAMP})


def call_type(function: Function, args: "tuple[Expression, ...]") -> Type:
    """Return the type of a call, or raise PlanError where the arguments do not fit the signature.

    >>> call_type(Function.DIVIDE, (Literal(1, Type.INT), Literal(2, Type.INT))).value
    'float'
    """
    kinds = [a.type for a in args]
    wrong = PlanError(f"{function.value} does not take ({', '.join(k.value for k in kinds)})")

    def need(condition: bool) -> None:
        if not condition:
            raise wrong

    def literal(position: int) -> None:
        if not isinstance(args[position], Literal):
            raise PlanError(f"{function.value} takes a constant as argument {position + 1}")

    match function:
        case Function.ADD | Function.SUBTRACT | Function.MULTIPLY | Function.MODULO:
            need(len(args) == 2 and set(kinds) <= NUMERIC)
            return unify(list(args))
        case Function.INT_DIVIDE:
            need(kinds == [Type.INT, Type.INT])
            return Type.INT
        case Function.DIVIDE | Function.POWER:
            need(len(args) == 2 and set(kinds) <= NUMERIC)
            return Type.FLOAT
        case Function.FLOOR | Function.CEIL:
            need(len(args) == 1 and kinds[0] in NUMERIC)
            return kinds[0]
        case Function.ROUND:
            need(1 <= len(args) <= 2 and kinds[0] in NUMERIC)
            if len(args) == 2:
                need(kinds[1] is Type.INT)
                literal(1)
            return kinds[0]
        case Function.LEAST | Function.GREATEST | Function.COALESCE:
            need(len(args) >= 1)
            return unify(list(args))
        case Function.NULLIF:
            need(len(args) == 2)
            unify(list(args))
            return kinds[0]
        case Function.AND | Function.OR:
            need(len(args) >= 2 and set(kinds) == {Type.BOOL})
            return Type.BOOL
        case Function.NOT:
            need(kinds == [Type.BOOL])
            return Type.BOOL
        case Function.IS_NULL:
            need(len(args) == 1)
            return Type.BOOL
        case Function.IN:
            need(len(args) >= 2)
            for position in range(1, len(args)):
                literal(position)
            unify(list(args))
            return Type.BOOL
        case Function.LIKE | Function.ILIKE:
            need(kinds == [Type.STR, Type.STR])
            literal(1)
            return Type.BOOL
        case Function.LENGTH:
            need(kinds == [Type.STR])
            return Type.INT
        case Function.SUBSTRING:
            need(kinds in ([Type.STR, Type.INT], [Type.STR, Type.INT, Type.INT]))
            return Type.STR
        case Function.LEFT | Function.RIGHT:
            need(kinds == [Type.STR, Type.INT])
            return Type.STR
        case Function.REPLACE:
            need(kinds == [Type.STR] * 3)
            return Type.STR
        case Function.CONCAT:
            need(len(args) >= 2 and set(kinds) == {Type.STR})
            return Type.STR
        case Function.HOUR:
            need(kinds == [Type.TIMESTAMP])
            return Type.INT
        case Function.DAYS_BETWEEN:
            need(len(args) == 2 and set(kinds) <= _DATES)
            return Type.INT
        case Function.ADD_DAYS:
            need(len(args) == 2 and kinds[0] is Type.DATE and kinds[1] is Type.INT)
            return Type.DATE
        case Function.TRUNC_YEAR | Function.TRUNC_MONTH:
            need(len(args) == 1 and kinds[0] in _DATES)
            return Type.DATE
        case _ if function in _MATH:
            need(len(args) == 1 and kinds[0] in NUMERIC)
            return Type.FLOAT
        case _ if function in _SAME_NUMBER:
            need(len(args) == 1 and kinds[0] in NUMERIC)
            return kinds[0]
        case _ if function in _COMPARISONS:
            need(len(args) == 2)
            unify(list(args))
            return Type.BOOL
        case _ if function in _TEXT_TO_TEXT:
            need(kinds == [Type.STR])
            return Type.STR
        case _ if function in _TEXT_TESTS:
            need(kinds == [Type.STR, Type.STR])
            return Type.BOOL
        case _ if function in _DATE_PARTS:
            need(len(args) == 1 and kinds[0] in _DATES)
            return Type.INT
        case _ if function in _CASTS:
            need(len(args) == 1)
            return _CASTS[function]
        case _:
            raise PlanError(f"no signature for {function.value}")


def children(expression: Expression) -> tuple[Expression, ...]:
    """Return the expressions directly inside this one."""
    match expression:
        case ColumnRef() | Literal():
            return ()
        case Call(args=args):
            return args
        case Case(branches=branches, otherwise=otherwise):
            return (*(part for branch in branches for part in branch), otherwise)
        case _:
            assert_never(expression)


def columns_of(expression: Expression) -> Iterator[ColumnRef]:
    """Yield every column the expression reads, repeats included."""
    pending = [expression]
    while pending:
        current = pending.pop()
        if isinstance(current, ColumnRef):
            yield current
        pending.extend(children(current))
