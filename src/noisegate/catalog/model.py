"""What data exists, and what its custodian says of it: the values that catalog.toml is read into.

All of it is public to anyone with a grant on the dataset, and nothing here was read from rows. What a
table declares (types, uniqueness, domains, `per_unit`, `nullable`) is verified when a version of the
data is registered, and registration fails otherwise; plans may therefore rely on it.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from types import MappingProxyType

from noisegate.privacy.expressions import Scalar, Type

# What a table may hold where its declaration does not say.
MOST_PRIVATE_ROWS = 100_000_000
MOST_PUBLIC_ROWS = 10_000
MOST_ROWS_PER_UNIT = 1_000


class Tier(enum.Enum):
    """How sensitive a column is, least first."""

    PUBLIC = "public"
    DEMOGRAPHIC = "demographic"
    CLINICAL = "clinical"
    GENOMIC = "genomic"
    RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds that a column's values are clamped into, in the column's own unit of measure."""

    low: Fraction
    high: Fraction

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low {float(self.low):g} is not below high {float(self.high):g}")


@dataclass(frozen=True, slots=True)
class RangesBy:
    """Bounds that depend on another column of the same row, which has a public domain."""

    column: str
    ranges: Mapping[Scalar, Range]


@dataclass(frozen=True, slots=True)
class Column:
    """A column as declared.

    `bounds` may be None (then it can be counted and grouped, not summed). `step` is the resolution sums
    are taken at; 1 for INT. `values` is the public finite domain, if any. `per_unit` says that all rows
    of a unit agree on it.
    """

    name: str
    type: Type
    tier: Tier
    bounds: Range | None = None
    by: RangesBy | None = None
    step: Fraction = Fraction(1)
    values: tuple[Scalar, ...] | None = None
    nullable: bool = True
    per_unit: bool = False
    measured_in: str = ""
    title: str = ""


class TableKind(enum.Enum):
    """Where a table's rows come from: a file of rows, or a genotype file (a row a person)."""

    ROWS = "rows"
    GENOTYPES = "genotypes"


@dataclass(frozen=True, slots=True)
class Genotypes:
    """How the file of a genotype table is read, and whether its variants are columns of SQL.

    `format` is one of `genotypes.formats.READ`, "" to be found; `build` the genome build, "" where the file
    says it or nobody knows; `public` whether the store made of it is marked public (in SQL the table stays
    private); `named` whether who is in it is declared public; `manifest` the path of a public list of
    variants, or ""; `person` the column that names the person in a table of calls, or "". `not_in_sql` says
    why variants are no columns, "" where they are.
    """

    format: str = ""
    build: str = ""
    public: bool = False
    manifest: str = ""
    person: str = ""
    not_in_sql: str = ""
    named: bool = False

    @property
    def in_sql(self) -> bool:
        """Whether each variant is a column."""
        return not self.not_in_sql


@dataclass(frozen=True, slots=True)
class Table:
    """A table as declared.

    `unit` names the column that holds the person, None for a public table; `catalog.load` lists that
    column among `columns`, NOT NULL. `rows_per_unit` = 1 is verified at registration; a larger number is
    the contribution bound used in answers, and `groups_per_unit` likewise (None: as many as
    rows_per_unit). `max_rows` caps the registered rows and `most_rows_per_unit` those of one person; both
    are verified, and say how much work a question may be. `expected_units` is the custodian's public
    guess of how many people there are, for error forecasts. `genotypes` is there where `kind` is GENOTYPES.
    """

    name: str
    source: str
    columns: tuple[Column, ...]
    unit: str | None
    kind: TableKind = TableKind.ROWS
    rows_per_unit: int = 1
    groups_per_unit: int | None = None
    max_rows: int = MOST_PRIVATE_ROWS
    most_rows_per_unit: int = MOST_ROWS_PER_UNIT
    expected_units: int | None = None
    title: str = ""
    genotypes: Genotypes | None = None

    @property
    def public(self) -> bool:
        """Whether the table holds no person's rows."""
        return self.unit is None

    def column(self, name: str) -> Column | None:
        """Return the column of that name, compared without case, or None."""
        wanted = name.casefold()
        return next((c for c in self.columns if c.name.casefold() == wanted), None)


class Every(enum.Enum):
    """How long a period of a budget lasts, by the UTC calendar."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on what a person may lose: (epsilon, delta)-differential privacy.

    `every` says that it is a period's; when that has ended, nothing is charged until a custodian renews it.
    """

    epsilon: Fraction
    delta: Fraction
    every: Every | None = None

    def __post_init__(self) -> None:
        if self.epsilon <= 0 or not 0 <= self.delta < 1:
            raise ValueError("a budget needs epsilon > 0 and 0 <= delta < 1")


@dataclass(frozen=True, slots=True)
class Dataset:
    """Tables of one population under one budget. `synthetic` labels made-up data everywhere it shows.

    `unit_type` is the one type, INT or STR, of the unit column of every private table.
    """

    name: str
    title: str
    population: str
    unit: str
    budget: Budget
    tables: tuple[Table, ...]
    synthetic: bool = False
    notes: str = ""
    unit_type: Type = Type.INT

    @property
    def genotypes(self) -> tuple[Table, ...]:
        """The tables that have a genotype store beside their rows."""
        return tuple(t for t in self.tables if t.genotypes is not None)

    def table(self, name: str) -> Table | None:
        """Return the table of that name, compared without case, or None."""
        wanted = name.casefold()
        return next((t for t in self.tables if t.name.casefold() == wanted), None)


@dataclass(frozen=True, slots=True)
class TierPolicy:
    """What one question may spend on columns of a tier, and an analyst in a day; the strictest tier counts.

    `weight` multiplies how specific a condition on a column of the tier counts, at least 1.
    """

    default_epsilon: Fraction
    max_epsilon: Fraction
    max_per_day: Fraction | None = None
    weight: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Specificity:
    """How the price of a question grows with how few people it may single out; see `ask/specificity.py`.

    The factor is 1 + per_condition x (conditions beyond free_conditions) + per_bit x (bits beyond free_bits)
    + per_similar x (earlier questions it builds on, at most most_similar). `bits` is the sum over conditions
    of -log2 of the declared share that each lets through, times the weight of its column's tier;
    `unknown_share` stands in where no share is declared. It builds on an earlier question if the two select
    nearly the same people, by a share of `near` and more, or share a group smaller than free_bits leave; the
    last `history` questions are looked at. A question whose factor passes `max_factor`, or that reads a
    restricted column, is refused; after `lock_after` of those the asker's accounts lock.
    """

    per_condition: Fraction = Fraction(1, 10)
    free_conditions: int = 4
    per_bit: Fraction = Fraction(1, 10)
    free_bits: Fraction = Fraction(8)
    per_similar: Fraction = Fraction(1, 10)
    most_similar: int = 10
    near: Fraction = Fraction(19, 20)
    unknown_share: Fraction = Fraction(1, 2)
    history: int = 200
    max_factor: Fraction = Fraction(4)
    lock_after: int = 3

    def __post_init__(self) -> None:
        rates = (self.per_condition, self.per_bit, self.per_similar, self.free_bits)
        if min(rates) < 0 or min(self.free_conditions, self.most_similar, self.history) < 0:
            raise ValueError("no rate and no allowance is negative")
        if not (0 < self.unknown_share <= 1 and 0 < self.near <= 1):
            raise ValueError("unknown_share and near are above 0 and at most 1")
        if self.max_factor < 1 or self.lock_after < 1:
            raise ValueError("max_factor and lock_after are at least 1")


def _default_tiers() -> Mapping[Tier, TierPolicy]:
    return MappingProxyType(
        {
            Tier.PUBLIC: TierPolicy(Fraction(1, 2), Fraction(2)),
            Tier.DEMOGRAPHIC: TierPolicy(Fraction(1, 2), Fraction(2)),
            Tier.CLINICAL: TierPolicy(Fraction(1, 4), Fraction(1)),
            Tier.GENOMIC: TierPolicy(Fraction(1, 10), Fraction(1, 2), weight=Fraction(2)),
        }
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules of price that hold for all datasets. Public facts, tuned in catalog.toml under [policy]."""

    tiers: Mapping[Tier, TierPolicy] = field(default_factory=_default_tiers)
    specificity: Specificity = Specificity()


@dataclass(frozen=True, slots=True)
class Catalog:
    """All datasets and the policy. `populations` holds the budget at the root of each account tree."""

    datasets: tuple[Dataset, ...]
    populations: Mapping[str, Budget]
    policy: Policy = Policy()

    def dataset(self, name: str) -> Dataset | None:
        """Return the dataset of that name, compared without case, or None."""
        wanted = name.casefold()
        return next((d for d in self.datasets if d.name.casefold() == wanted), None)
