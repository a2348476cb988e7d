"""How far one unit, present or absent, can move the exact cells of a measure.

TRUSTED. A unit moves one group by at most A, at most `bounding.groups` groups, and all of them together
by at most `bounding.total` rows' worth where rows are shared out: see each case below.
The engine's clamping (engines/lower.py) makes these bounds true, its saturation to 64 bits does not
loosen them. PROOFS.md, "Sensitivity".
"""

from dataclasses import dataclass
from typing import assert_never

from noisegate.privacy.expressions import PlanError
from noisegate.privacy.question import (
    MAX_MOVED,
    Aggregation,
    Bounding,
    CountRows,
    CountUnits,
    CountValues,
    Measure,
    Moment,
    Rank,
    Sum,
)


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Bounds on how far one unit moves all cells of a measure, in the measure's own integer unit.

    `linf` bounds one cell, `groups` how many move, `l1` the sum of their movements. For a Rank what moves is
    the score of a candidate.
    """

    groups: int
    linf: int
    l1: int

    def __post_init__(self) -> None:
        if not (self.groups >= 1 and 1 <= self.linf <= self.l1 <= self.groups * self.linf):
            raise ValueError("a sensitivity is positive, and its parts agree")

    @property
    def l2_squared(self) -> int:
        """The largest sum of squared movements: as many as l1 allows of linf each, and the rest."""
        full, rest = divmod(self.l1, self.linf)
        return full * self.linf**2 + rest**2


def sensitivity(measure: Measure, bounding: Bounding) -> Sensitivity:
    """Return how far one unit moves a measure.

    Raises:
        PlanError: bounds so wide for their step that a unit could move a cell by 2^62.

    >>> from noisegate.privacy.question import Bounding, CountRows
    >>> sensitivity(CountRows(), Bounding(rows=3, groups=2)).l1
    6
    """
    linf = within_group(measure, bounding.rows)
    if isinstance(measure, CountRows | Sum | Moment):
        # Each is a number of rows times what a row adds, and the rows are shared out.
        return Sensitivity(bounding.groups, linf, linf // bounding.rows * bounding.total)
    return Sensitivity(bounding.groups, linf, linf * bounding.groups)


def of_aggregation(aggregation: Aggregation) -> tuple[Sensitivity, ...]:
    """Return the sensitivity of each measure; a unit stands in no more groups than there are."""
    groups = aggregation.bounding.groups
    if not aggregation.private_keys:
        groups = min(groups, aggregation.group_count)
    bounding = Bounding(aggregation.bounding.rows, groups, aggregation.bounding.total)
    return tuple(sensitivity(measure, bounding) for measure in aggregation.measures)


def within_group(measure: Measure, rows: int) -> int:
    """Return how far one unit that keeps at most `rows` rows moves one cell (Rank: one score), at least 1."""
    match measure:
        case CountUnits():
            moved = 1
        case CountRows() | CountValues():
            moved = rows
        case Sum(grid=grid):
            moved = rows * grid.reach
        case Moment():
            moved = rows * measure.reach
        case Rank(quantile=q):
            # A row below a candidate moves its score by denominator - numerator, any other by numerator.
            moved = rows * max(q.numerator, q.denominator - q.numerator)
        case _:
            assert_never(measure)
    if moved >= MAX_MOVED:
        raise PlanError("bounds are too wide for their step: give a larger step or tighter bounds")
    # Where bounds leave no room at all (low = high = 0) the cell is constant, and one a row still bounds it.
    return max(moved, rows if isinstance(measure, Sum | Moment) else 1)
