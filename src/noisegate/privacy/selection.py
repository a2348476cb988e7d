"""Private quantiles: permute-and-flip over public candidates, with an interval that is selected as well.

TRUSTED. The rows of a group are counted at C candidates. With quantile a / b, n rows, `before` of them
below candidate i and `upto` below or at it, candidate i covers the stretch
    [b * before - a * n, b * upto - a * n]
of a line on which 0 is the quantile: the stretches of all candidates are laid end to end. The score of i for
a public target t is minus the distance from t to the stretch. One row moves an end of a stretch by b - a or
by -a, so a unit's rows move a score by at most rows * max(a, b - a), whatever t is.
The true bounded quantile is the first candidate whose stretch reaches 0: b * upto >= a * n.
PROOFS.md, "Selection".
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, localcontext
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import Refused
from noisegate.privacy.curves import decimal_of, exactly
from noisegate.privacy.exact import Counted
from noisegate.privacy.question import Rank
from noisegate.privacy.samplers import float_up, permute_and_flip

Cells = NDArray[np.int64]
MISS = Fraction(1, 20)  # how often the interval may miss the true bounded quantile
MOST_ROWS = 2**35  # a candidate holding more rows counts as this many: scores then fit in 64 bits
MOST_SHIFT = 2**60
AT_ONCE = 2**16  # cells that are held densely at a time, whatever the number of groups


@dataclass(frozen=True, slots=True)
class PermuteAndFlip:
    """How a quantile of one group is selected.

    `scale` is that of the selected value: heads has exp((score - best) / scale), which is
    (2 * sensitivity / scale)-DP. `ends` is the scale of each end of the interval, selected at the targets
    -shift and +shift; None for minimum and maximum, whose one selection is itself an end.
    """

    scale: Fraction
    ends: Fraction | None
    shift: int

    def __post_init__(self) -> None:
        if self.scale <= 0 or (self.ends is not None and self.ends <= 0):
            raise ValueError("a scale is positive")
        if not 0 <= self.shift <= MOST_SHIFT:
            raise ValueError("a shift is between 0 and 2^60")


def design(rank: Rank, sensitivity: int, epsilon: Fraction) -> PermuteAndFlip:
    """Return the selection that costs at most `epsilon` for one group.

    Between the extremes half goes to the value and a quarter to each end of the interval; a minimum or
    maximum spends all on its one selection.

    Raises:
        Refused: ε so small, or a unit's share so large, that no interval could be told.
    """
    if rank.quantile in (0, 1):
        scale = float_up(2 * sensitivity / epsilon)
        return PermuteAndFlip(scale, None, shift_of(rank.candidates, scale, MISS))
    ends = float_up(8 * sensitivity / epsilon)
    return PermuteAndFlip(
        float_up(4 * sensitivity / epsilon), ends, shift_of(rank.candidates, ends, MISS / 2)
    )


def shift_of(candidates: int, scale: Fraction, miss: Fraction) -> int:
    """Return the smallest t with (candidates - 1) * exp(-t / scale) <= miss, rounded up."""
    with localcontext(exactly()):
        wanted = decimal_of(scale) * (decimal_of((candidates - 1) / miss)).ln()
        shift = int(wanted.to_integral_value(rounding=ROUND_CEILING)) if wanted > 0 else 0
    if shift > MOST_SHIFT:
        raise Refused("too little epsilon for a quantile of so many rows a person", "give a larger epsilon")
    return shift


def select(rank: Rank, how: PermuteAndFlip, cells: Counted, groups: Cells) -> Cells:
    """Select a quantile and its interval for every one of some groups.

    Claim: for each group, the three selections (or the one of an extreme) are pure DP, each of
    2 * sensitivity / scale; and the interval holds the true bounded quantile of any group that
    has a row with probability >= 95 %, over the selections alone.

    Args:
        rank: says what the candidates are.
        how: scales and shift.
        cells: how many rows are at each candidate of each group.
        groups: the places, in `cells`, of those to select for.

    Returns:
        int64, shape (groups, 3): value, low and high, in grid steps. The interval reaches to the end of
        the grid that a minimum or maximum cannot be told from, and through the last candidate's stride.
    """
    chosen = np.empty((len(groups), 3), dtype=np.int64)
    step = max(1, AT_ONCE // rank.candidates)
    for first in range(0, len(groups), step):
        part = groups[first : first + step]
        ends = _select(rank, how, cells.dense(part, rank.candidates))
        chosen[first : first + step] = np.stack(ends, axis=1)
    return chosen


def _select(rank: Rank, how: PermuteAndFlip, counts: Cells) -> tuple[Cells, Cells, Cells]:
    starts, ends = stretches(counts, rank.quantile)
    grid = rank.grid

    def value(i: Cells) -> Cells:
        return grid.low + i * rank.stride

    def last(i: Cells) -> Cells:
        return np.minimum(value(i) + rank.stride - 1, grid.high)

    if how.ends is None:
        if rank.quantile == 0:
            i = permute_and_flip(scores(starts, ends, how.shift, open_ends=True), how.scale)
            return value(i), np.full_like(i, grid.low), last(i)
        i = permute_and_flip(scores(starts, ends, -how.shift, open_ends=True), how.scale)
        return value(i), value(i), np.full_like(i, grid.high)
    middle = permute_and_flip(scores(starts, ends, 0, open_ends=False), how.scale)
    one = permute_and_flip(scores(starts, ends, -how.shift, open_ends=True), how.ends)
    two = permute_and_flip(scores(starts, ends, how.shift, open_ends=True), how.ends)
    low, high = np.minimum(one, two), np.maximum(one, two)
    return value(np.clip(middle, low, high)), value(low), last(high)


def stretches(counts: Cells, quantile: Fraction) -> tuple[Cells, Cells]:
    """Return where each candidate's stretch starts and ends; each is at most 2^61 from 0.

    Candidates lie along the last axis. Counts are capped first: a cap moves no further than what it caps,
    and a unit only ever adds rows.
    """
    a, b = quantile.numerator, quantile.denominator
    capped = np.clip(counts, 0, MOST_ROWS)
    upto = np.cumsum(capped, axis=-1)
    centre = a * upto[..., -1:]
    return b * (upto - capped) - centre, b * upto - centre


def scores(starts: Cells, ends: Cells, target: int, *, open_ends: bool) -> Cells:
    """Return minus the distance from the target to each stretch.

    Args:
        starts: as `stretches` gives them.
        ends: likewise.
        target: a public integer, within ±2^60.
        open_ends: let the first stretch reach to minus and the last to plus infinity, so that some
            candidate always has score 0, however few rows there are.
    """
    before, after = starts - target, target - ends
    if open_ends:
        before[..., 0] = after[..., -1] = 0
    scored: Cells = -np.maximum(np.maximum(before, after), 0)
    return scored
