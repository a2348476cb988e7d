"""Counting calls by group in bit-planes, missing ones apart: exact whole numbers, by popcount."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.genomics.bits import popcount
from noisegate.genotypes.packed import Block, Words, words_of

Counts = NDArray[np.int64]


def masks(groups: NDArray[np.bool_]) -> Words:
    """Return groups of people, bool of shape (groups, people), as uint64 of shape (groups, words)."""
    count, people = groups.shape
    found = np.zeros((count, words_of(people) * 8), np.uint8)
    bits = np.packbits(groups, axis=1, bitorder="little")
    found[:, : bits.shape[1]] = bits
    return found.view("<u8").astype(np.uint64)


def tallies(block: Block, masks: Words) -> Counts:
    """Count each group's calls: int64, shape (variants, groups, 4), of 0, 1, 2 and missing.

    Args:
        block: calls.
        masks: uint64, shape (groups, words); a bit for each person of the group, none past the last person.

    Raises:
        ValueError: masks of another width.
    """
    if masks.ndim != 2 or masks.shape[1] != words_of(block.people):
        raise ValueError("a mask has a bit for each person of the block")
    # Counts of one kind lie side by side in memory, as they are used.
    found = np.empty((len(masks), 4, block.variants), np.int64).transpose(2, 0, 1)
    _tallies(block.hi, block.lo, np.ascontiguousarray(masks), found)
    return found


def add_missing(block: Block, found: Counts) -> None:
    """Add to each person's count, int64 of shape (people,), the calls of the block that are missing."""
    _add_missing(block.hi, block.lo, found)


@njit(cache=True, nogil=True)
def _tallies(hi, lo, masks, found):  # type: ignore[no-untyped-def]
    words = hi.shape[1]
    for g in range(masks.shape[0]):
        mask = masks[g]
        size = np.uint64(0)
        for w in range(words):
            size += popcount(mask[w])
        for v in range(hi.shape[0]):
            both, some, twos = np.uint64(0), np.uint64(0), np.uint64(0)
            for w in range(words):
                h = hi[v, w] & mask[w]
                x = lo[v, w] & mask[w]
                both += popcount(h)
                some += popcount(x)
                twos += popcount(h & x)
            found[v, g, 0] = size - some - (both - twos)
            found[v, g, 1] = some - twos
            found[v, g, 2] = twos
            found[v, g, 3] = both - twos


@njit(cache=True, nogil=True)
def _add_missing(hi, lo, found):  # type: ignore[no-untyped-def]
    one = np.uint64(1)
    for v in range(hi.shape[0]):
        for w in range(hi.shape[1]):
            left = hi[v, w] & ~lo[v, w]
            while left != np.uint64(0):
                lowest = left & (~left + one)
                found[w * 64 + np.int64(popcount(lowest - one))] += 1
                left ^= lowest
