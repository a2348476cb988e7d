"""How near a release is to what it was made from: errors as published, allele frequencies.

Both sides are sources of the same people and variants, a person's row in the same place. Everything comes
from counts of pairs of calls, added up block by block, so memory does not grow with the number of variants
but for a few figures each. The four errors are those of Jiang et al., PROVGEN, PoPETs 2026(2), 642-661.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.genotypes.packed import Block
from noisegate.leakage.genomes import Genomes, aligned
from noisegate.leakage.pairs import bits

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

DRAWN = 1_500  # most points that are kept for a figure


@dataclass(frozen=True, slots=True)
class Errors:
    """The four errors as published; allele counts run from 0 to 2.

    `point`: share of calls that differ. `sample`: mean over people of the L1 distance a variant. `mean`,
    `variance`: mean over variants of the difference of the calls' means, and of their population variances.
    The first two compare rows, so they are None where the release has no row for each person.
    """

    point: float | None
    sample: float | None
    mean: float
    variance: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How allele frequencies agree, the allele being the rarer one of the exact side.

    `error` is the mean and `worst` the largest absolute difference; `correlation` is Pearson's, NaN where
    one side is constant; `points` are (exact, released), evenly picked, at most DRAWN.
    """

    error: float
    worst: float
    correlation: float
    points: tuple[tuple[float, float], ...]


def errors(exact: Genomes, released: Genomes) -> Errors:
    """Return the four errors. Calls missing on either side are left out.

    Raises:
        ValueError: the people or the variants are not the same in number, or no call is on both sides.
    """
    if exact.people != released.people:
        raise ValueError(f"{exact.people} people are compared with {released.people}")
    different, apart, calls = 0, 0, 0
    mean, variance, variants = 0.0, 0.0, 0
    apart_by = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    for _, (ours, theirs) in aligned(exact, released):
        found = joint(ours, theirs)
        calls += int(found.sum())
        different += int(found.sum()) - int(np.trace(found, axis1=1, axis2=2).sum())
        apart += int((found * apart_by).sum())
        sides = [_moments(found.sum(axis=axis)) for axis in (2, 1)]
        there = found.sum(axis=(1, 2)) > 0
        variants += int(there.sum())
        mean += float(np.abs(sides[0][0] - sides[1][0])[there].sum())
        variance += float(np.abs(sides[0][1] - sides[1][1])[there].sum())
    if calls == 0:
        raise ValueError("there is no call on both sides to compare")
    return Errors(different / calls, apart / calls, mean / variants, variance / variants)


def frequency_errors(exact: Floats, released: Floats) -> Errors:
    """Return the errors of a release of frequencies, calls being drawn in Hardy-Weinberg proportions.

    Args:
        exact: float64, shape (variants,), in [0, 1].
        released: the same, as released; clipped into [0, 1].
    """
    if exact.shape != released.shape or not len(exact):
        raise ValueError("both sides have one frequency a variant, and at least one")
    shown = np.clip(released, 0, 1)
    spread = np.abs(2 * shown * (1 - shown) - 2 * exact * (1 - exact))
    return Errors(None, None, float(np.abs(2 * shown - 2 * exact).mean()), float(spread.mean()))


def agreement(exact: Floats, released: Floats) -> Agreement:
    """Return how two vectors of allele frequencies agree, float64 of shape (variants,), NaN where unknown."""
    if exact.shape != released.shape:
        raise ValueError("both sides have one frequency a variant")
    there = np.isfinite(exact) & np.isfinite(released)
    if not there.any():
        raise ValueError("there is no variant with a frequency on both sides")
    rare = exact[there] <= 0.5
    ours = np.where(rare, exact[there], 1 - exact[there])
    theirs = np.where(rare, released[there], 1 - released[there])
    away = np.abs(ours - theirs)
    varies = np.ptp(ours) > 0 and np.ptp(theirs) > 0
    spread = float(ours.std() * theirs.std())
    together = float(((ours - ours.mean()) * (theirs - theirs.mean())).mean())
    picked = np.unique(np.linspace(0, len(ours) - 1, min(len(ours), DRAWN)).round().astype(np.int64))
    return Agreement(
        error=float(away.mean()),
        worst=float(away.max()),
        correlation=together / spread if varies else float("nan"),
        points=tuple(zip(ours[picked].tolist(), theirs[picked].tolist(), strict=True)),
    )


def joint(ours: Block, theirs: Block) -> Counts:
    """Return how many people have each pair of calls, int64 of shape (variants, 3, 3): [v, ours, theirs]."""
    if (ours.people, ours.variants) != (theirs.people, theirs.variants):
        raise ValueError("blocks that are compared have one shape")
    found = np.zeros((ours.variants, 3, 3), np.int64)
    _joint(ours.hi, ours.lo, theirs.hi, theirs.lo, ours.people, found)
    return found


def _moments(counts: Counts) -> tuple[Floats, Floats]:
    """Return means and population variances of calls from counts of shape (variants, 3)."""
    people = np.maximum(counts.sum(axis=1), 1)
    mean = (counts[:, 1] + 2 * counts[:, 2]) / people
    return mean, (counts[:, 1] + 4 * counts[:, 2]) / people - mean * mean


@njit(cache=True, nogil=True)
def _joint(hi, lo, other_hi, other_lo, people, found):  # type: ignore[no-untyped-def]
    for v in range(hi.shape[0]):
        for w in range(hi.shape[1]):
            # Padding looks like people with no alternate allele; it is masked away.
            left = people - w * 64
            real = ~np.uint64(0) if left >= 64 else (np.uint64(1) << np.uint64(left)) - np.uint64(1)
            a, b, c, d = hi[v, w], lo[v, w], other_hi[v, w], other_lo[v, w]
            ours = (~a & ~b & real, ~a & b, a & b)
            theirs = (~c & ~d, ~c & d, c & d)
            for i in range(3):
                for j in range(3):
                    found[v, i, j] += np.int64(bits(ours[i] & theirs[j]))
