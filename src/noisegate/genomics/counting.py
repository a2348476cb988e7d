"""Counting genotypes in bit-planes: exact whole numbers, by popcount.

TRUSTED. Every function takes planes hi and lo of complete calls, uint64 of shape (variants, words), as in
genotypes/packed.py; a mask is uint64 of shape (words,), a bit for each person who counts. PROOFS.md,
"Genotype counts".
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.genomics.bits import popcount

Words = NDArray[np.uint64]
Cells = NDArray[np.int64]
Flags = NDArray[np.bool_]


def alleles(hi: Words, lo: Words, mask: Words) -> Cells:
    """Return the alternate alleles of those in the mask: int64, shape (variants,)."""
    found = np.zeros(len(hi), np.int64)
    _alleles(hi, lo, mask, found)
    return found


def genotypes(hi: Words, lo: Words, masks: Words) -> Cells:
    """Return how many of each group have each genotype: int64, shape (variants, groups, 3).

    There is a mask for each group: uint64, shape (groups, words).
    """
    found = np.zeros((len(hi), len(masks), 3), np.int64)
    _genotypes(hi, lo, masks, found)
    return found


def sizes(masks: Words) -> Cells:
    """Return how many people are in each group: int64, shape (groups,), of masks as `genotypes` takes."""
    found: Cells = np.bitwise_count(masks).sum(axis=1, dtype=np.int64)
    return found


def add_weights(hi: Words, lo: Words, weights: Cells, found: Cells) -> None:
    """Add to each person's sum the weight of their genotype: int64, (variants, 3) and (people,)."""
    _add_weights(hi, lo, weights, found)


def pairs(hi: Words, lo: Words, before: Words, starts: Flags, people: int) -> Cells:
    """Return how many people have each pair of genotypes at a variant and the one before it.

    Args:
        hi: plane, with lo.
        lo: plane.
        before: uint64, shape (2, words): hi and lo of the variant before the first; unused where that starts.
        starts: bool, shape (variants,): variants that have no table.
        people: how many people there are.

    Returns:
        int64, shape (tables, 3, 3), in the order of the variants that have one; the former genotype first.
    """
    found = np.zeros((len(hi) - int(np.count_nonzero(starts)), 3, 3), np.int64)
    _pairs(hi, lo, before, starts, people, found)
    return found


@njit(cache=True, nogil=True)
def _bits(x):  # type: ignore[no-untyped-def]
    return np.int64(popcount(x))


@njit(cache=True, nogil=True)
def _alleles(hi, lo, mask, found):  # type: ignore[no-untyped-def]
    for v in range(hi.shape[0]):
        count = 0
        for w in range(hi.shape[1]):
            count += _bits(hi[v, w] & mask[w]) + _bits(lo[v, w] & mask[w])
        found[v] = count


@njit(cache=True, nogil=True)
def _genotypes(hi, lo, masks, found):  # type: ignore[no-untyped-def]
    for v in range(hi.shape[0]):
        for g in range(masks.shape[0]):
            everybody = 0
            some = 0
            both = 0
            for w in range(hi.shape[1]):
                everybody += _bits(masks[g, w])
                some += _bits(lo[v, w] & masks[g, w])
                both += _bits(hi[v, w] & masks[g, w])
            found[v, g, 0] = everybody - some
            found[v, g, 1] = some - both
            found[v, g, 2] = both


@njit(cache=True, nogil=True)
def _add_weights(hi, lo, weights, found):  # type: ignore[no-untyped-def]
    one = np.uint64(1)
    for v in range(hi.shape[0]):
        for i in range(found.shape[0]):
            shift = np.uint64(i % 64)
            genotype = ((hi[v, i // 64] >> shift) & one) + ((lo[v, i // 64] >> shift) & one)
            found[i] += weights[v, genotype]


@njit(cache=True, nogil=True)
def _pairs(hi, lo, before, starts, people, found):  # type: ignore[no-untyped-def]
    table = 0
    for v in range(hi.shape[0]):
        if starts[v]:
            continue
        # at_least[a, b]: how many have a or more at the former variant and b or more at this one.
        at_least = np.zeros((4, 4), np.int64)
        at_least[0, 0] = people
        for w in range(hi.shape[1]):
            if v > 0:
                former_hi = hi[v - 1, w]
                former_lo = lo[v - 1, w]
            else:
                former_hi = before[0, w]
                former_lo = before[1, w]
            this_hi = hi[v, w]
            this_lo = lo[v, w]
            at_least[0, 1] += _bits(this_lo)
            at_least[0, 2] += _bits(this_hi)
            at_least[1, 0] += _bits(former_lo)
            at_least[1, 1] += _bits(former_lo & this_lo)
            at_least[1, 2] += _bits(former_lo & this_hi)
            at_least[2, 0] += _bits(former_hi)
            at_least[2, 1] += _bits(former_hi & this_lo)
            at_least[2, 2] += _bits(former_hi & this_hi)
        for a in range(3):
            for b in range(3):
                found[table, a, b] = (
                    at_least[a, b] - at_least[a + 1, b] - at_least[a, b + 1] + at_least[a + 1, b + 1]
                )
        table += 1
