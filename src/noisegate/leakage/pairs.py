"""Every candidate beside every released row: the nearest rows, and kinship.

Blocks are turned so that a person's calls lie in words, 64 variants each; a pair is then compared by
counting bits. The encoding makes the L1 distance of two genotypes the number of bits in which their planes
differ. A variant that either of the two misses says nothing about the pair.
"""

from collections.abc import Iterator

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.genotypes.packed import Block, Words, words_of
from noisegate.leakage.genomes import Chosen, Genomes, aligned
from noisegate.leakage.roc import Scores

MEMORY = 256 * 2**20  # bytes of counts of pairs held at a time
DUPLICATE, FIRST, SECOND, THIRD = (
    0.354,
    0.177,
    0.0884,
    0.0442,
)  # kinship above which the relation is this near
Pairs = NDArray[np.int32]


def nearest(candidates: Genomes, released: Genomes, k: int = 1) -> NDArray[np.float64]:
    """Return each candidate's mean L1 distance to the k nearest released rows, float64 of shape (people,).

    Raises:
        ValueError: k rows are not there, or the variants differ.
    """
    if not 1 <= k <= released.people:
        raise ValueError(f"the {k} nearest of {released.people} rows are asked for")
    parts = [
        np.partition(counts[0], k - 1, axis=1)[:, :k].mean(axis=1)
        for counts in _compared(candidates, released, 1)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def hamming(candidates: Genomes, released: Genomes) -> Scores:
    """Return how near the nearest released row is: minus its L1 distance. Higher speaks for membership."""
    return -nearest(candidates, released)


def neighbour_ratio(candidates: Genomes, released: Genomes, reference: Genomes, k: int = 1) -> Scores:
    """Return how much nearer the release is than a reference without the candidates.

    The ratio of the mean distances to the k nearest rows, reference over release. Higher speaks for
    membership.
    """
    far = nearest(candidates, reference, k)
    return np.asarray((far + 1) / (nearest(candidates, released, k) + 1), np.float64)


def kinship(candidates: Genomes, released: Genomes) -> NDArray[np.float64]:
    """Return KING-robust kinship of each candidate with each released row, float64 of shape (people, rows).

    1/2 + (2 N_AaAa - 4 N_IBS0 - Het_i - Het_j) / (4 min(Het_i, Het_j)), over variants that both have: 1/2
    for the same genotypes, 1/4 for parent and child; -inf where either has no heterozygote. Manichaikul et
    al. (2010), Bioinformatics 26:2867, equation 11. Holds all pairs: for few candidates. `closest` bounds
    memory.
    """
    parts = [_king(counts) for counts in _compared(candidates, released, 4)]
    return np.concatenate(parts) if parts else np.zeros((0, released.people))


def closest(candidates: Genomes, released: Genomes) -> Scores:
    """Return each candidate's highest kinship with a released row. Higher speaks for members and kin."""
    parts = [_king(counts).max(axis=1) for counts in _compared(candidates, released, 4)]
    # Somebody without a heterozygote resembles nobody: the least score that is finite.
    found = np.concatenate(parts) if parts else np.zeros(0)
    return np.where(np.isfinite(found), found, -1e6)


def _king(counts: Pairs) -> NDArray[np.float64]:
    both, opposite, first, second = counts.astype(np.float64)
    least = np.minimum(first, second)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 0.5 + (2 * both - 4 * opposite - first - second) / (4 * least)
    return np.where(least > 0, found, -np.inf)


def _compared(candidates: Genomes, released: Genomes, counts: int) -> Iterator[Pairs]:
    """Yield counts of pairs for some candidates after the others, int32 of shape (counts, candidates, rows).

    One count is the distance; four are both heterozygous, opposite homozygotes, and either's heterozygotes.
    """
    step = max(1, MEMORY // (4 * counts * max(released.people, 1)))
    for first in range(0, candidates.people, step):
        some: Genomes = candidates
        if step < candidates.people:
            some = Chosen(candidates, np.arange(first, min(first + step, candidates.people), dtype=np.int64))
        found = np.zeros((counts, some.people, released.people), np.int32)
        for _, (theirs, rows) in aligned(some, released):
            kernel = _distances if counts == 1 else _relations
            kernel(*turned(theirs), *turned(rows), found)
        yield found


def turned(block: Block) -> tuple[Words, Words]:
    """Return both planes by person: uint64 of shape (people, words), 64 variants a word, padded with 0."""
    shape = (block.people, words_of(block.variants))
    hi, lo = (np.zeros(shape, np.uint64) for _ in range(2))
    _turn(block.hi, hi)
    _turn(block.lo, lo)
    return hi, lo


@njit(cache=True, nogil=True)
def _turn(plane, turned):  # type: ignore[no-untyped-def]
    # Transposes 64 by 64 bits at a time: Warren, Hacker's Delight, section 7-3.
    tile = np.zeros(64, np.uint64)
    for w in range(plane.shape[1]):
        for v in range(turned.shape[1]):
            for i in range(64):
                tile[i] = plane[v * 64 + i, w] if v * 64 + i < plane.shape[0] else np.uint64(0)
            width = 32
            mask = np.uint64(0x00000000FFFFFFFF)
            while width:
                shift = np.uint64(width)
                k = 0
                while k < 64:
                    moved = ((tile[k] >> shift) ^ tile[k + width]) & mask
                    tile[k] ^= moved << shift
                    tile[k + width] ^= moved
                    k = ((k + width) + 1) & ~width
                width >>= 1
                mask ^= mask << np.uint64(width)
            for i in range(min(64, turned.shape[0] - w * 64)):
                turned[w * 64 + i, v] = tile[i]


@njit(cache=True, nogil=True)
def bits(x):  # type: ignore[no-untyped-def]
    """Return how many bits of a uint64 are set, as uint64."""
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(cache=True, nogil=True)
def _distances(hi, lo, row_hi, row_lo, found):  # type: ignore[no-untyped-def]
    for i in range(hi.shape[0]):
        for r in range(row_hi.shape[0]):
            apart = np.uint64(0)
            for w in range(hi.shape[1]):
                a, b, c, d = hi[i, w], lo[i, w], row_hi[r, w], row_lo[r, w]
                there = ~((a & ~b) | (c & ~d))
                apart += bits((a ^ c) & there) + bits((b ^ d) & there)
            found[0, i, r] += np.int32(apart)


@njit(cache=True, nogil=True)
def _relations(hi, lo, row_hi, row_lo, found):  # type: ignore[no-untyped-def]
    for i in range(hi.shape[0]):
        for r in range(row_hi.shape[0]):
            both = np.uint64(0)
            opposite = np.uint64(0)
            first = np.uint64(0)
            second = np.uint64(0)
            for w in range(hi.shape[1]):
                a, b, c, d = hi[i, w], lo[i, w], row_hi[r, w], row_lo[r, w]
                there = ~((a & ~b) | (c & ~d))
                mine = b & ~a & there
                theirs = d & ~c & there
                both += bits(mine & theirs)
                # 11 against 00: the second has neither plane set, and padding is 00 on both sides.
                opposite += bits((a & b & ~c & ~d) | (c & d & ~a & ~b))
                first += bits(mine)
                second += bits(theirs)
            found[0, i, r] += np.int32(both)
            found[1, i, r] += np.int32(opposite)
            found[2, i, r] += np.int32(first)
            found[3, i, r] += np.int32(second)
