"""The private part of a question: what is counted and summed over a unit-local relation, and how much
of it one unit may move.

TRUSTED. `Aggregation` is all an engine runs. It gives, for each group, one exact integer a measure; a
Rank measure gives one integer a candidate. `sensitivity.py` says how far one unit can move them.

The way from rows to cells, which `engines/lower.py` renders and PROOFS.md, "Lowering", argues:
1. per unit and group, each measure folds the unit's rows into one integer, clamped to what the
   bounding allows one unit in one group;
2. if a unit may stand in more groups than allowed, or have more rows in all than allowed, its groups are
   taken in the order of a secret keyed hash of (unit, group) until either runs out;
3. per group, the integers are summed as 128-bit integers and saturated to 64 bits.
"""

import math
from dataclasses import dataclass, field
from fractions import Fraction

from noisegate.privacy.expressions import (
    INT64_MAX,
    NUMERIC,
    Expression,
    NotUnitLocalError,
    PlanError,
    Scalar,
    Type,
    columns_of,
    type_of,
)
from noisegate.privacy.relations import Grid, Relation, check, constant_within_unit

MAX_GROUPS = 200_000
MAX_CANDIDATES = 4_096
MAX_CELLS = 2**22  # of one quantile, over all groups
MAX_DENOMINATOR = 10_000  # of a quantile: scores then fit in 64 bits
MAX_MOVED = 2**62  # how far one unit may move a cell: leaves 64 bits room for noise


@dataclass(frozen=True, slots=True)
class Key:
    """One GROUP BY expression.

    `domain` lists every value it may take, NULL (None) among them if it may be NULL; a row with another
    value is in no group. None for a key whose values are themselves private: groups are then selected
    by threshold, and cost δ.
    """

    name: str
    expression: Expression
    domain: tuple[Scalar, ...] | None = None

    def __post_init__(self) -> None:
        if self.domain is not None:
            if not self.domain or len(set(self.domain)) != len(self.domain):
                raise PlanError("a public domain lists each value once")
            kinds = {type_of(v) for v in self.domain if v is not None}
            if any(isinstance(v, int) and abs(v) > INT64_MAX for v in self.domain):
                raise PlanError("a public domain holds integers of 64 bits")
            if not kinds <= {self.expression.type}:
                raise PlanError("a public domain holds values of the key's own type")
            if any(isinstance(v, float) and not math.isfinite(v) for v in self.domain):
                raise PlanError("a public domain holds finite numbers")


@dataclass(frozen=True, slots=True)
class CountRows:
    """How many rows satisfy `where`; one unit adds at most `bounding.rows` to a group."""

    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class CountUnits:
    """How many units have a row that satisfies `where`; one unit adds at most 1 to a group."""

    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of round(clamp(value) / step); one unit's total in a group is clamped to
    rows * min(low, 0) .. rows * max(high, 0). NULLs add nothing.
    """

    value: Expression
    grid: Grid
    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """The sum of (round(clamp(value) / step) - centre) ** power over rows with a value, power 1 or 2.

    A unit with n > bounding.rows such rows in a group counts with weight rows / n: its sum times
    rows, divided by n towards zero. So a frequent visitor's mean is kept and only the weight falls.
    Its companion count is CountRows over the same rows.
    """

    value: Expression
    grid: Grid
    power: int
    where: Expression | None = None

    def __post_init__(self) -> None:
        if self.power not in (1, 2):
            raise PlanError("moments of order 1 and 2 only")
        if self.power == 2 and self.reach >= 2**62:
            raise PlanError("bounds are too wide for their step to sum squares")

    @property
    def centre(self) -> int:
        """The middle of the grid, in steps, rounded down."""
        return (self.grid.low + self.grid.high) // 2

    @property
    def reach(self) -> int:
        """The largest magnitude one row adds, in steps ** power."""
        widest = max(abs(self.grid.low - self.centre), abs(self.grid.high - self.centre))
        return int(widest**self.power)


@dataclass(frozen=True, slots=True)
class CountValues:
    """COUNT(DISTINCT value): how many different values occur, each unit naming at most
    `bounding.rows` different ones a group, chosen by keyed hash. NULL is no value.
    """

    value: Expression
    where: Expression | None = None


@dataclass(frozen=True, slots=True)
class Rank:
    """The candidate nearest to quantile numerator/denominator of the values, by private selection.

    Candidates are `low + i * stride` for i = 0 .. count - 1, in grid steps; a value is clamped and
    counted at the nearest candidate at or below it. Each unit keeps at most `bounding.rows` rows a
    group, chosen by keyed hash. Cells: one integer a candidate, the number of rows at it.
    """

    value: Expression
    grid: Grid
    stride: int
    quantile: Fraction
    where: Expression | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.quantile <= 1:
            raise PlanError("a quantile lies between 0 and 1")
        if self.quantile.denominator > MAX_DENOMINATOR:
            raise PlanError(f"a quantile is a fraction with a denominator up to {MAX_DENOMINATOR}")
        if self.stride < 1:
            raise PlanError("candidates lie at least one step apart")
        if not 2 <= self.candidates <= MAX_CANDIDATES:
            raise PlanError(f"a quantile has 2 to {MAX_CANDIDATES} candidates")

    @property
    def candidates(self) -> int:
        """How many candidates there are."""
        return (self.grid.high - self.grid.low) // self.stride + 1


Measure = CountRows | CountUnits | Sum | Moment | CountValues | Rank


@dataclass(frozen=True, slots=True)
class Bounding:
    """How much one unit may contribute.

    At most `rows` rows to a group, to at most `groups` groups, and for CountRows, Sum and Moment at most
    `total` rows to all its groups together, dealt out to them in the order of the keyed hash.
    """

    rows: int
    groups: int
    total: int = 2**40

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= 2**20 or not 1 <= self.groups <= 2**20:
            raise PlanError("a unit contributes at least 1 and at most 2^20 rows and groups")
        if self.total < self.rows:
            raise PlanError("a unit's rows in one group are no more than its rows in all")
        object.__setattr__(self, "total", min(self.total, self.rows * self.groups))

    @property
    def shared(self) -> bool:
        """Whether a unit's rows may run out before its groups do."""
        return self.total < self.rows * self.groups


@dataclass(frozen=True, slots=True)
class Aggregation:
    """Measures over the groups of a private relation.

    Either all keys have a public domain, and every combination is a group, empty or not; or some have
    none, and measure 0 is CountUnits() over all rows: its noisy value decides which groups show.
    """

    source: Relation
    keys: tuple[Key, ...]
    measures: tuple[Measure, ...]
    bounding: Bounding
    single: bool = field(init=False, repr=False, compare=False)
    one_group: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shape = self.source.shape
        if shape.unit is None:
            raise NotUnitLocalError("a question reads at least one private table")
        if not self.measures:
            raise PlanError("a question asks for at least one aggregate")
        if len(set(self.measures)) != len(self.measures):
            raise PlanError("each measure is taken once")
        for key in self.keys:
            check(key.expression, shape)
        for measure in self.measures:
            if measure.where is not None:
                check(measure.where, shape)
                if measure.where.type is not Type.BOOL:
                    raise PlanError("a FILTER must be true or false")
            if not isinstance(measure, CountRows | CountUnits):
                check(measure.value, shape)
            if isinstance(measure, Sum | Moment | Rank) and measure.value.type not in NUMERIC:
                raise PlanError("sums, means and quantiles need numbers")
            if isinstance(measure, Sum) and self.bounding.rows * measure.grid.reach >= MAX_MOVED:
                raise PlanError("bounds are too wide for their step and so many rows a unit")
            if isinstance(measure, Moment) and self.bounding.rows * measure.reach >= MAX_MOVED:
                raise PlanError("bounds are too wide for their step and so many rows a unit")
        if self.private_keys and self.measures[0] != CountUnits():
            raise PlanError("private keys are selected by the count of units, as measure 0")
        if not self.private_keys and self.group_count > MAX_GROUPS:
            raise PlanError(f"more than {MAX_GROUPS} groups")
        ranks = [] if self.private_keys else [m for m in self.measures if isinstance(m, Rank)]
        if any(self.group_count * rank.candidates > MAX_CELLS for rank in ranks):
            raise PlanError("too many groups for a quantile with so many candidates")
        one = all(constant_within_unit(k.expression, shape) for k in self.keys)
        object.__setattr__(self, "one_group", one)
        object.__setattr__(self, "single", shape.single)
        if one and self.bounding.groups != 1:
            raise PlanError("a unit stands in one group only: bounding.groups is 1")
        if shape.single and self.bounding.rows != 1:
            raise PlanError("a unit has one row only: bounding.rows is 1")

    @property
    def private_keys(self) -> bool:
        """Whether some key has no public domain."""
        return any(key.domain is None for key in self.keys)

    @property
    def group_count(self) -> int:
        """How many groups there are; only with public domains."""
        count = 1
        for key in self.keys:
            if key.domain is None:
                raise PlanError("groups with private keys cannot be counted")
            count *= len(key.domain)
        return count

    @property
    def bound_groups(self) -> bool:
        """Whether groups must be dropped by keyed hash, because a unit may stand in too many."""
        if self.one_group:
            return False
        return self.private_keys or self.group_count > self.bounding.groups


def reads(aggregation: Aggregation) -> frozenset[str]:
    """Return the names of the source's columns that keys and measures read."""
    expressions: list[Expression] = [k.expression for k in aggregation.keys]
    for measure in aggregation.measures:
        if measure.where is not None:
            expressions.append(measure.where)
        if not isinstance(measure, CountRows | CountUnits):
            expressions.append(measure.value)
    return frozenset(ref.name for e in expressions for ref in columns_of(e))
