"""How much of the linkage between variants a release keeps: r² by distance.

Everything is counted from bit-planes, block by block, with the last variants of a block kept for the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.genotypes.packed import Block
from noisegate.leakage.genomes import Genomes, aligned
from noisegate.leakage.pairs import bits

EDGES = (0, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000)  # base pairs
REACH = 64  # how many variants back linkage looks


@dataclass(frozen=True, slots=True)
class Linkage:
    """Mean r² of pairs of variants on one chromosome, by their distance.

    Bin i holds pairs from edges[i] up to, not including, edges[i + 1] base pairs apart; `pairs` counts
    them, `exact` and `released` are the mean r² on each side, `difference` the mean absolute difference;
    NaN in an empty bin.
    """

    edges: tuple[int, ...]
    pairs: tuple[int, ...]
    exact: tuple[float, ...]
    released: tuple[float, ...]
    difference: tuple[float, ...]


def linkage(
    exact: Genomes,
    released: Genomes,
    chromosomes: NDArray[np.int64],
    positions: NDArray[np.int64],
    *,
    edges: tuple[int, ...] = EDGES,
    pairs: int = 500_000,
) -> Linkage:
    """Return how r² falls with distance on both sides.

    r² is the squared correlation of calls, over people who have both. A variant is paired with up to REACH
    before it on its chromosome; of many variants only every so-many-th is, so that at most `pairs` pairs
    are looked at. Pairs that do not vary on the exact side are left out; one that does not vary on the
    released side has r² 0 there.

    Args:
        exact: the people the release is of.
        released: the same number of variants; the people may be others.
        chromosomes: int64, shape (variants,); equal numbers mean one chromosome.
        positions: int64, shape (variants,); base pairs, not falling within a chromosome.
        edges: rising, of the bins of distance.
        pairs: most pairs that are looked at.
    """
    if len(chromosomes) != len(positions) or list(edges) != sorted(set(edges)) or len(edges) < 2:
        raise ValueError("every variant has a chromosome and a position, and edges rise")
    step = max(1, -(-len(positions) * REACH // max(pairs, 1)))
    found = np.zeros((4, len(edges) - 1))
    bounds = np.array(edges, np.int64)
    for start, before, (ours, theirs) in _with_tails(exact, released):
        stop = start + ours.variants
        if stop > len(positions):
            raise ValueError(f"there are more variants than the {len(positions)} positions")
        places = (np.ascontiguousarray(chromosomes[start:stop]), np.ascontiguousarray(positions[start:stop]))
        sides = [(b.hi, b.lo, b.people) for b in (ours, theirs)]
        _pair(sides[0], sides[1], *places, bounds, before, start, step, found)
    with np.errstate(invalid="ignore"):
        means = found[1:] / found[0]
    return Linkage(
        edges=edges,
        pairs=tuple(int(n) for n in found[0]),
        exact=tuple(means[0].tolist()),
        released=tuple(means[1].tolist()),
        difference=tuple(means[2].tolist()),
    )


def _with_tails(*sources: Genomes) -> Iterator[tuple[int, int, tuple[Block, ...]]]:
    """Yield (first variant, how many are from before, blocks), blocks being led by up to REACH variants."""
    kept: tuple[Block, ...] = ()
    for start, blocks in aligned(*sources):
        led = tuple(_joined(k, b) for k, b in zip(kept, blocks, strict=True)) if kept else blocks
        before = kept[0].variants if kept else 0
        yield start - before, before, led
        kept = tuple(Block(b.hi[-REACH:], b.lo[-REACH:], b.people) for b in led)


def _joined(one: Block, other: Block) -> Block:
    return Block(np.concatenate([one.hi, other.hi]), np.concatenate([one.lo, other.lo]), one.people)


@njit(cache=True, nogil=True)
def _r_squared(hi, lo, people, v, k):  # type: ignore[no-untyped-def]
    """Return the squared correlation of two variants' calls, -1 where one does not vary."""
    n = np.int64(people)
    x = y = xx = yy = xy = np.int64(0)
    for w in range(hi.shape[1]):
        a, b, c, d = hi[v, w], lo[v, w], hi[k, w], lo[k, w]
        gone = (a & ~b) | (c & ~d)
        n -= np.int64(bits(gone))
        both_x, any_x, both_y, any_y = a & ~gone, b & ~gone, c & ~gone, d & ~gone
        twos_x, ones_x = np.int64(bits(both_x)), np.int64(bits(any_x))
        twos_y, ones_y = np.int64(bits(both_y)), np.int64(bits(any_y))
        x += twos_x + ones_x
        y += twos_y + ones_y
        xx += 3 * twos_x + ones_x
        yy += 3 * twos_y + ones_y
        xy += np.int64(
            bits(both_x & both_y) + bits(both_x & any_y) + bits(any_x & both_y) + bits(any_x & any_y)
        )
    spread_x, spread_y = n * xx - x * x, n * yy - y * y
    if spread_x == 0 or spread_y == 0:
        return -1.0
    together = np.float64(n * xy - x * y)
    return together * together / (np.float64(spread_x) * np.float64(spread_y))


@njit(cache=True, nogil=True)
def _pair(ours, theirs, chromosomes, positions, edges, before, start, step, found):  # type: ignore[no-untyped-def]
    hi, lo, people = ours
    other_hi, other_lo, other_people = theirs
    for v in range(before, hi.shape[0]):
        if (start + v) % step:
            continue
        for k in range(v - 1, max(v - REACH, 0) - 1, -1):
            apart = positions[v] - positions[k]
            if chromosomes[k] != chromosomes[v] or apart >= edges[-1]:
                break
            if apart < edges[0]:
                continue
            exact = _r_squared(hi, lo, people, v, k)
            if exact < 0:
                continue
            shown = max(_r_squared(other_hi, other_lo, other_people, v, k), 0.0)
            bin_ = np.searchsorted(edges, apart, side="right") - 1
            found[0, bin_] += 1
            found[1, bin_] += exact
            found[2, bin_] += shown
            found[3, bin_] += abs(exact - shown)
