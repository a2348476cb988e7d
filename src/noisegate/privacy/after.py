"""What is done with noisy cells: post-processing, which costs nothing and can leak nothing.

A `Plan` is the private aggregation, estimates that turn its noisy integers into SQL's answers, and
steps over the rows of estimates: filters, sorting, limits, arithmetic, an outer aggregate.
"""

import enum
from dataclasses import dataclass
from fractions import Fraction
from typing import assert_never

from noisegate.privacy.expressions import Call, Case, Expression, PlanError, Type, columns_of
from noisegate.privacy.question import Aggregation

MAX_WRITTEN_OUT = 2_000


@dataclass(frozen=True, slots=True)
class CountOf:
    """A count, as it is. `measure` is a position in Aggregation.measures, here and below."""

    measure: int


@dataclass(frozen=True, slots=True)
class SumOf:
    """A sum of fixed-point values, times its step."""

    measure: int


@dataclass(frozen=True, slots=True)
class MeanOf:
    """(centre + moment / count) * step, clamped to the grid; NULL where the noisy count is below 1."""

    moment: int
    count: int


@dataclass(frozen=True, slots=True)
class VarianceOf:
    """Variance from count, first and second moment; NULL where the noisy count is too small.

    `sample` divides by n - 1, else by n. `root` gives the standard deviation.
    """

    first: int
    second: int
    count: int
    sample: bool
    root: bool


@dataclass(frozen=True, slots=True)
class QuantileOf:
    """The selected candidate, times its step."""

    rank: int


Estimate = CountOf | SumOf | MeanOf | VarianceOf | QuantileOf


@dataclass(frozen=True, slots=True)
class NamedEstimate:
    """An estimate under the name that later steps read it by. COUNT and an INT sum with step 1 are INT."""

    name: str
    estimate: Estimate
    type: Type


@dataclass(frozen=True, slots=True)
class Compute:
    """Replace each row by these named expressions of it."""

    outputs: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep the rows for which the condition is true (HAVING, an outer WHERE)."""

    condition: Expression


class OuterFold(enum.Enum):
    """Aggregates of noisy rows."""

    COUNT = "count"
    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    MEDIAN = "median"


@dataclass(frozen=True, slots=True)
class Fold:
    """Group noisy rows by named expressions and fold each group; COUNT may have no value."""

    keys: tuple[tuple[str, Expression], ...]
    folds: tuple[tuple[str, OuterFold, Expression | None], ...]


@dataclass(frozen=True, slots=True)
class Sort:
    """Order the rows; `nulls_first` as the question said, last where it said nothing."""

    keys: tuple[tuple[Expression, bool, bool], ...]  # expression, descending, nulls_first


@dataclass(frozen=True, slots=True)
class Limit:
    """Keep `count` rows (None for all) after skipping `offset`."""

    count: int | None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Unique:
    """Each different row once."""


Step = Compute | Keep | Fold | Sort | Limit | Unique


@dataclass(frozen=True, slots=True)
class Output:
    """A column of the answer: the name shown, the name of the step's column, and its unit of measure."""

    title: str
    column: str
    measured_in: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole question. The rows that `steps` start from have the keys by name, then the estimates."""

    private: Aggregation
    estimates: tuple[NamedEstimate, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Output, ...]

    def __post_init__(self) -> None:
        names = [k.name for k in self.private.keys] + [e.name for e in self.estimates]
        if len(set(names)) != len(names):
            raise PlanError("two columns of one name after the noise")
        top = len(self.private.measures)
        for named in self.estimates:
            if any(not 0 <= m < top for m in measures_of(named.estimate)):
                raise PlanError("an estimate reads a measure that is not taken")
        if not self.outputs:
            raise PlanError("an answer has at least one column")
        _check_sizes(names, self.steps)


def _check_sizes(names: list[str], steps: tuple[Step, ...]) -> None:
    """Raise PlanError where columns of columns, written out, grow past what anybody meant to ask."""
    sizes = dict.fromkeys(names, 1)
    for step in steps:
        match step:
            case Compute(outputs=outputs):
                sizes = {name: _written_out(expression, sizes) for name, expression in outputs}
            case Fold(keys=keys, folds=folds):
                sizes = dict.fromkeys([*(name for name, _ in keys), *(name for name, _, _ in folds)], 1)
            case _:
                pass


def _written_out(expression: Expression, sizes: dict[str, int]) -> int:
    own = expression.size if isinstance(expression, Call | Case) else 1
    size = own + sum(sizes.get(ref.name, 1) for ref in columns_of(expression))
    if size > MAX_WRITTEN_OUT:
        raise PlanError(f"an answer is computed from more than {MAX_WRITTEN_OUT} words")
    return size


def measures_of(estimate: Estimate) -> tuple[int, ...]:
    """Return the positions of the measures an estimate reads."""
    match estimate:
        case CountOf(measure=m) | SumOf(measure=m) | QuantileOf(rank=m):
            return (m,)
        case MeanOf(moment=m, count=n):
            return (m, n)
        case VarianceOf(first=s, second=q, count=n):
            return (s, q, n)
        case _:
            assert_never(estimate)


def step_of(aggregation: Aggregation, measure: int) -> Fraction:
    """Return the step of a measure with a grid, 1 for counts."""
    found = aggregation.measures[measure]
    grid = getattr(found, "grid", None)
    return grid.step if grid is not None else Fraction(1)
