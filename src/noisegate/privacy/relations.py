"""Relations whose every row depends on one unit's rows alone, enforced as they are built.

TRUSTED. Each constructor below either refuses or gives a relation that is *unit-local*: the rows that
carry unit u are a function of the rows of u in the private tables, and of public tables. No other unit
can change them, so bounding what each unit contributes to the final aggregate, last, makes the whole
question sound. PROOFS.md, "Unit-locality", goes through the constructors one by one.

Two further facts are tracked, because they say when nothing needs bounding:
`single`, at most one row a unit; and `constant`, columns with one value within a unit.
Both start from what registration verified on the data and only shrink where a node could break them.
"""

import enum
from dataclasses import dataclass, field
from fractions import Fraction
from typing import assert_never

from noisegate.privacy.expressions import (
    NUMERIC,
    ColumnRef,
    Expression,
    NotUnitLocalError,
    PlanError,
    Type,
    columns_of,
)


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a relation."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Shape:
    """What a node knows of its rows.

    `unit` names the column that holds the unit and `population` whom it counts; both are None for a
    public relation. `constant` never lists the unit, which is constant by itself.
    """

    fields: tuple[Field, ...]
    unit: str | None
    single: bool
    constant: frozenset[str]
    population: str | None

    def __post_init__(self) -> None:
        names = [f.name for f in self.fields]
        if len(set(names)) != len(names):
            raise PlanError("a relation has two columns of one name")
        if self.unit is not None and self.unit not in names:
            raise NotUnitLocalError("a private relation must keep its unit")
        if (self.unit is None) != (self.population is None):
            raise NotUnitLocalError("a unit belongs to a population")

    def type_of(self, name: str) -> Type:
        """Return the type of a column, or raise PlanError."""
        for f in self.fields:
            if f.name == name:
                return f.type
        raise PlanError(f"no column {name!r} here")


@dataclass(frozen=True, slots=True)
class ScanColumn:
    """A stored column read as `name`.

    `constant` where registration verified one value within a unit, NULL being a value of its own: a unit
    with both NULL and 'a' would stand in two groups.
    """

    source: str
    name: str
    type: Type
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Scan:
    """A stored table. Rows with a NULL unit are dropped here.

    `unit` is the read-as name of the unit column and `population` whom it counts; both are None for a
    public table. `single` only where registration verified that the unit is UNIQUE.
    """

    dataset: str
    table: str
    columns: tuple[ScanColumn, ...]
    unit: str | None
    population: str | None
    single: bool = False
    shape: Shape = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fields = tuple(Field(c.name, c.type) for c in self.columns)
        if self.unit is None:
            # `population` goes through, so that a table of people without its unit is refused.
            shape = Shape(fields, None, False, frozenset(), self.population)
        else:
            known = {c.name for c in self.columns if c.constant or self.single}
            shape = Shape(fields, self.unit, self.single, frozenset(known - {self.unit}), self.population)
        object.__setattr__(self, "shape", shape)


@dataclass(frozen=True, slots=True)
class Filter:
    """The rows for which the condition is true."""

    source: "Relation"
    condition: Expression
    shape: Shape = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check(self.condition, self.source.shape)
        if self.condition.type is not Type.BOOL:
            raise PlanError("a condition must be true or false")
        object.__setattr__(self, "shape", self.source.shape)


@dataclass(frozen=True, slots=True)
class Project:
    """Named expressions of each row. The unit of a private source is kept, under its own name."""

    source: "Relation"
    outputs: tuple[tuple[str, Expression], ...]
    shape: Shape = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        before = self.source.shape
        for _, expression in self.outputs:
            check(expression, before)
        fields = tuple(Field(name, expression.type) for name, expression in self.outputs)
        if before.unit is not None:
            if any(name == before.unit for name, _ in self.outputs):
                raise NotUnitLocalError("the unit column cannot be redefined")
            fields = (Field(before.unit, before.type_of(before.unit)), *fields)
        still = {name for name, expression in self.outputs if constant_within_unit(expression, before)}
        shape = Shape(fields, before.unit, before.single, frozenset(still), before.population)
        object.__setattr__(self, "shape", shape)


class JoinKind(enum.Enum):
    """LEFT keeps the left side's rows that match nothing, with NULLs for the right's columns."""

    INNER = "inner"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class JoinOnUnit:
    """Two private relations of one population, matched on equal units and a further condition.

    The right unit column goes: it equals the left's, or is NULL. Names of both sides must differ.
    """

    left: "Relation"
    right: "Relation"
    kind: JoinKind
    condition: Expression | None = None
    shape: Shape = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        left, right = self.left.shape, self.right.shape
        same_unit(left, right)
        added = tuple(f for f in right.fields if f.name != right.unit)
        fields = left.fields + added
        both = Shape(fields, left.unit, False, frozenset(), left.population)
        if self.condition is not None:
            check(self.condition, both)
            if self.condition.type is not Type.BOOL:
                raise PlanError("a condition must be true or false")
        # A LEFT JOIN with a condition may match some of a unit's rows and not others: NULL beside a value.
        keeps = self.condition is None or self.kind is JoinKind.INNER
        constant = left.constant | (right.constant if keeps else frozenset())
        single = left.single and right.single
        if single:
            constant = frozenset(f.name for f in fields) - {left.unit or ""}
        shape = Shape(fields, left.unit, single, constant, left.population)
        object.__setattr__(self, "shape", shape)


@dataclass(frozen=True, slots=True)
class JoinPublic:
    """A relation with a public one, on any condition. Only the left side may be private, or kept whole."""

    left: "Relation"
    right: "Relation"
    kind: JoinKind
    condition: Expression
    shape: Shape = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        left, right = self.left.shape, self.right.shape
        if right.unit is not None:
            raise NotUnitLocalError("a private table joins private tables on the unit only")
        fields = left.fields + right.fields
        shape = Shape(fields, left.unit, False, left.constant, left.population)
        check(self.condition, shape)
        if self.condition.type is not Type.BOOL:
            raise PlanError("a condition must be true or false")
        object.__setattr__(self, "shape", shape)


@dataclass(frozen=True, slots=True)
class Matching:
    """The left rows for which some right row matches, or (`anti`) for which none does.

    Where both sides are private the units must be equal as well; `condition` may be None then.
    A public left side never meets a private right side.
    """

    left: "Relation"
    right: "Relation"
    anti: bool
    condition: Expression | None = None
    shape: Shape = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        left, right = self.left.shape, self.right.shape
        if right.unit is not None:
            same_unit(left, right)
            added = tuple(f for f in right.fields if f.name != right.unit)
        else:
            added = right.fields
            if self.condition is None:
                raise PlanError("matching a public table needs a condition")
        if self.condition is not None:
            both = Shape(left.fields + added, left.unit, False, frozenset(), left.population)
            check(self.condition, both)
            if self.condition.type is not Type.BOOL:
                raise PlanError("a condition must be true or false")
        object.__setattr__(self, "shape", left)


@dataclass(frozen=True, slots=True)
class Grid:
    """Fixed point: a value v becomes round(clamp(v, low, high) / step), an integer.

    `low` and `high` are counted in steps. Values are clamped before they are scaled.
    """

    low: int
    high: int
    step: Fraction

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise PlanError(f"bounds are empty: low {self.low} > high {self.high}")
        if self.step <= 0:
            raise PlanError("a step must be positive")
        if max(abs(self.low), abs(self.high)) >= 2**52:
            raise PlanError("bounds are too wide for their step: more than 2^52 steps")

    @property
    def reach(self) -> int:
        """The largest magnitude, in steps."""
        return max(abs(self.low), abs(self.high))


class Fold(enum.Enum):
    """What the rows of one unit are folded into. All give integers, or one of the unit's own values."""

    COUNT_ROWS = "count_rows"
    COUNT = "count"
    COUNT_DISTINCT = "count_distinct"
    SUM = "sum"  # FLOAT needs a grid; the result is the exact fixed-point sum times the step
    MEAN = "mean"  # the exact fixed-point sum, divided by the exact count
    MIN = "min"
    MAX = "max"
    ANY_TRUE = "any_true"
    ALL_TRUE = "all_true"
    FIRST = "first"  # value of the first row in `order`, then in the order of the value itself
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Order:
    """One sort key. NULLs come last, whatever the direction."""

    expression: Expression
    descending: bool = False


@dataclass(frozen=True, slots=True)
class UnitFold:
    """A fold over the rows of one unit (and group) for which `where` is true.

    `value` is None for COUNT_ROWS only. `grid` is needed where a FLOAT is summed or averaged.
    `order` is used by FIRST and LAST only; the value itself is always the last sort key, so that the
    order is total over what is selected.
    """

    fold: Fold
    value: Expression | None = None
    where: Expression | None = None
    grid: Grid | None = None
    order: tuple[Order, ...] = ()
    type: Type = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "type", self._type())

    def _type(self) -> Type:
        if (self.value is None) != (self.fold is Fold.COUNT_ROWS):
            raise PlanError(f"{self.fold.value}: a value is needed, except to count rows")
        if self.where is not None and self.where.type is not Type.BOOL:
            raise PlanError("a FILTER must be true or false")
        if self.value is None:
            return Type.INT
        kind = self.value.type
        match self.fold:
            case Fold.COUNT_ROWS | Fold.COUNT | Fold.COUNT_DISTINCT:
                return Type.INT
            case Fold.SUM | Fold.MEAN:
                if kind not in NUMERIC:
                    raise PlanError(f"{self.fold.value} needs a number")
                if kind is Type.FLOAT and self.grid is None:
                    raise PlanError(f"{self.fold.value} of a real number needs bounds and a step")
                return Type.INT if self.fold is Fold.SUM and kind is Type.INT else Type.FLOAT
            case Fold.ANY_TRUE | Fold.ALL_TRUE:
                if kind is not Type.BOOL:
                    raise PlanError(f"{self.fold.value} needs a condition")
                return Type.BOOL
            case Fold.MIN | Fold.MAX | Fold.FIRST | Fold.LAST:
                return kind
            case _:
                assert_never(self.fold)


@dataclass(frozen=True, slots=True)
class GroupWithinUnit:
    """One row for each unit and value of the keys: per-person aggregates.

    The unit is always a key, under its own name.
    """

    source: "Relation"
    keys: tuple[tuple[str, Expression], ...]
    folds: tuple[tuple[str, UnitFold], ...]
    shape: Shape = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        before = self.source.shape
        if before.unit is None:
            raise NotUnitLocalError("only a private relation is grouped within the unit")
        for _, key in self.keys:
            check(key, before)
        for _, fold in self.folds:
            check_fold(fold, before)
        unit = Field(before.unit, before.type_of(before.unit))
        fields = (
            unit,
            *(Field(name, key.type) for name, key in self.keys),
            *(Field(name, fold.type) for name, fold in self.folds),
        )
        single = before.single or all(constant_within_unit(key, before) for _, key in self.keys)
        if single:
            constant = frozenset(f.name for f in fields[1:])
        else:
            constant = frozenset(n for n, key in self.keys if constant_within_unit(key, before))
        shape = Shape(fields, before.unit, single, constant, before.population)
        object.__setattr__(self, "shape", shape)


class Window(enum.Enum):
    """Window functions. The partition always holds the unit.

    ROW_NUMBER, LAG, LEAD, FIRST and LAST order by the given keys and then by every column of the
    relation, so that ties are between equal rows only.
    """

    ROW_NUMBER = "row_number"
    RANK = "rank"
    DENSE_RANK = "dense_rank"
    LAG = "lag"
    LEAD = "lead"
    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class RankWindow:
    """A position within the unit's partition: ROW_NUMBER, RANK, DENSE_RANK (no value), or another row's
    value: LAG, LEAD (by `offset` rows), FIRST, LAST of the whole partition.
    """

    function: Window
    partition: tuple[Expression, ...]
    order: tuple[Order, ...]
    value: Expression | None = None
    offset: int = 1
    type: Type = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        positional = self.function in {Window.ROW_NUMBER, Window.RANK, Window.DENSE_RANK}
        if positional != (self.value is None):
            raise PlanError(f"{self.function.value}: wrong number of arguments")
        if self.offset < 0:
            raise PlanError("LAG and LEAD go a whole number of rows, not negative")
        object.__setattr__(self, "type", Type.INT if self.value is None else self.value.type)


@dataclass(frozen=True, slots=True)
class FoldWindow:
    """A fold over the unit's partition, whole (`order` empty) or up to and with the current row's peers."""

    fold: UnitFold
    partition: tuple[Expression, ...]
    order: tuple[Order, ...] = ()
    type: Type = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.fold.fold in {Fold.FIRST, Fold.LAST}:
            raise PlanError("FIRST and LAST over a window are Window.FIRST and Window.LAST")
        object.__setattr__(self, "type", self.fold.type)


@dataclass(frozen=True, slots=True)
class WindowWithinUnit:
    """The source's rows, with window functions computed within each unit."""

    source: "Relation"
    windows: tuple[tuple[str, RankWindow | FoldWindow], ...]
    shape: Shape = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        before = self.source.shape
        if before.unit is None:
            raise NotUnitLocalError("a window must stay within the unit of a private relation")
        for _, window in self.windows:
            for expression in (*window.partition, *(o.expression for o in window.order)):
                check(expression, before)
            if isinstance(window, FoldWindow):
                check_fold(window.fold, before)
            elif window.value is not None:
                check(window.value, before)
        fields = before.fields + tuple(Field(name, w.type) for name, w in self.windows)
        constant = before.constant
        if before.single:
            constant = constant | {name for name, _ in self.windows}
        shape = Shape(fields, before.unit, before.single, constant, before.population)
        object.__setattr__(self, "shape", shape)


@dataclass(frozen=True, slots=True)
class Union:
    """UNION ALL of private relations of one population, column by column; names are the first one's."""

    parts: "tuple[Relation, ...]"
    shape: Shape = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.parts) < 2:
            raise PlanError("a union has two parts or more")
        first = self.parts[0].shape
        for part in self.parts[1:]:
            other = part.shape
            if (first.unit is None) != (other.unit is None):
                raise NotUnitLocalError("private rows cannot be united with public ones")
            if [f.type for f in first.fields] != [f.type for f in other.fields]:
                raise PlanError("the parts of a union have different columns")
            if first.unit is not None and other.unit is not None:
                here = [f.name for f in first.fields].index(first.unit)
                if [f.name for f in other.fields].index(other.unit) != here:
                    raise NotUnitLocalError("the parts of a union have their units in different places")
                same_unit(first, other)
        shape = Shape(first.fields, first.unit, False, frozenset(), first.population)
        object.__setattr__(self, "shape", shape)


@dataclass(frozen=True, slots=True)
class Distinct:
    """Each different row once. The unit is one of the columns, so rows of two units never merge."""

    source: "Relation"
    shape: Shape = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        before = self.source.shape
        names = {f.name for f in before.fields} - {before.unit}
        single = before.unit is not None and (before.single or names <= before.constant)
        shape = Shape(before.fields, before.unit, single, before.constant, before.population)
        object.__setattr__(self, "shape", shape)


Relation = (
    Scan
    | Filter
    | Project
    | JoinOnUnit
    | JoinPublic
    | Matching
    | GroupWithinUnit
    | WindowWithinUnit
    | Union
    | Distinct
)


def check(expression: Expression, shape: Shape) -> None:
    """Raise PlanError unless every column the expression reads is in the shape, with that type."""
    for ref in columns_of(expression):
        if shape.type_of(ref.name) is not ref.type:
            raise PlanError(f"column {ref.name!r} is {shape.type_of(ref.name).value} here")


def check_fold(fold: UnitFold, shape: Shape) -> None:
    """Raise PlanError unless all that the fold reads is in the shape."""
    for expression in (fold.value, fold.where, *(o.expression for o in fold.order)):
        if expression is not None:
            check(expression, shape)


def constant_within_unit(expression: Expression, shape: Shape) -> bool:
    """Whether the expression has one value for all rows of a unit.

    Claim: true only if so. Functions are deterministic, so an expression of constants is constant.
    """
    if shape.single:
        return True
    return all(ref.name in shape.constant or ref.name == shape.unit for ref in columns_of(expression))


def same_unit(left: Shape, right: Shape) -> None:
    """Raise unless both sides are private and their units have one type."""
    if left.unit is None or right.unit is None:
        raise NotUnitLocalError("a public table cannot be matched against a private one")
    if left.type_of(left.unit) is not right.type_of(right.unit):
        raise NotUnitLocalError("the units of two tables have different types")
    if left.population != right.population:
        raise NotUnitLocalError(
            f"the units of two populations ({left.population}, {right.population}) are different people"
        )


def unit_ref(shape: Shape) -> ColumnRef:
    """Return the unit column of a private shape."""
    if shape.unit is None:
        raise NotUnitLocalError("a public relation has no unit")
    return ColumnRef(shape.unit, shape.type_of(shape.unit))


def scans(relation: Relation) -> tuple[Scan, ...]:
    """Return every stored table below, in order, repeats included."""
    match relation:
        case Scan():
            return (relation,)
        case JoinOnUnit() | JoinPublic() | Matching():
            return scans(relation.left) + scans(relation.right)
        case Union(parts=parts):
            return tuple(s for part in parts for s in scans(part))
        case Filter() | Project() | GroupWithinUnit() | WindowWithinUnit() | Distinct():
            return scans(relation.source)
        case _:
            assert_never(relation)
