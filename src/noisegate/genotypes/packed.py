"""Genotypes as bit-planes: two bits a call, 64 people a word.

A call is the count of the alternate allele. With planes hi and lo, 0 is 00, 1 is 01, 2 is 11, and 10, which
no count has, stands for a missing call. So hi says "both", lo says "any", and the allele count of a complete
block is the number of bits set in both planes. Bit i % 64 (least significant first) of word i // 64 is
person i; bits past the last person are 0. The encoding 0, 1, 2 as 00, 01, 11 is that of
Ji et al. (2021), PVLDB 14(5).
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Calls = NDArray[np.int8]
Counts = NDArray[np.int64]

WORD = 64
MISSING = -1
# Each byte's bits as bytes of a word, least significant first.
_SPREAD = (
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").view("<u8")[:, 0].copy()
)


def words_of(people: int) -> int:
    """Return how many words hold a bit for each of so many people."""
    return -(-people // WORD)


def last_word(people: int) -> int:
    """Return the bits of the last word that belong to people; 0 where there is nobody."""
    if people == 0:
        return 0
    return (1 << (people - 1) % WORD + 1) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The calls of some variants for `people` people; see the module.

    `hi` and `lo` are uint64 of shape (variants, words_of(people)). Whoever writes into them keeps the padding
    0.
    """

    hi: Words
    lo: Words
    people: int

    def __post_init__(self) -> None:
        if self.hi.dtype != np.uint64 or self.lo.dtype != np.uint64:
            raise ValueError("planes are uint64")
        if self.hi.ndim != 2 or self.hi.shape != self.lo.shape:
            raise ValueError("planes are of one shape, (variants, words)")
        if self.hi.shape[1] != words_of(self.people):
            raise ValueError(f"{self.people} people need {words_of(self.people)} words a variant")

    @property
    def variants(self) -> int:
        """How many variants there are."""
        return int(self.hi.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """How many people have each call, int64 of shape (variants,). The rest of the people have 0."""

    ones: Counts
    twos: Counts
    missing: Counts

    @property
    def alleles(self) -> Counts:
        """Alternate alleles among the calls that are there."""
        return self.ones + 2 * self.twos


def pack(calls: Calls) -> Block:
    """Return calls as bit-planes.

    Args:
        calls: int8, shape (variants, people): 0, 1, 2, or -1 where missing.

    Raises:
        ValueError: another value, type or shape.
    """
    if calls.dtype != np.int8 or calls.ndim != 2:
        raise ValueError("calls are int8, of shape (variants, people)")
    if calls.size and not (calls.min() >= MISSING and calls.max() <= 2):
        raise ValueError("calls are 0, 1, 2 or -1")
    variants, people = calls.shape
    hi, lo = (np.zeros((variants, words_of(people)), np.uint64) for _ in range(2))
    _pack(np.ascontiguousarray(calls), hi, lo)
    return Block(hi, lo, people)


def unpack(block: Block) -> Calls:
    """Return calls as int8 of shape (variants, people): 0, 1, 2, or -1 where missing."""
    calls = np.empty((block.variants, block.people), np.int8)
    row = np.empty(8 * words_of(block.people), np.uint64)
    _unpack(block.hi, block.lo, _SPREAD, row, calls)
    return calls


def tally(block: Block) -> Tally:
    """Count the calls of each variant."""
    found = np.zeros((3, block.variants), np.int64)
    _tally(block.hi, block.lo, found)
    return Tally(*found)


@njit(cache=True, nogil=True)
def _pack(calls, hi, lo):  # type: ignore[no-untyped-def]
    one = np.uint64(1)
    variants, people = calls.shape
    for v in range(variants):
        for w in range(hi.shape[1]):
            both = np.uint64(0)
            any_ = np.uint64(0)
            start = w * 64
            for i in range(min(64, people - start)):
                call = calls[v, start + i]
                bit = one << np.uint64(i)
                if call == 1:
                    any_ |= bit
                elif call == 2:
                    any_ |= bit
                    both |= bit
                elif call < 0:
                    both |= bit
            hi[v, w] = both
            lo[v, w] = any_


@njit(cache=True, nogil=True)
def _unpack(hi, lo, spread, row, calls):  # type: ignore[no-untyped-def]
    """Eight people at once: a byte of bits becomes eight bytes of calls."""
    people = calls.shape[1]
    for v in range(hi.shape[0]):
        for w in range(hi.shape[1]):
            both = hi[v, w]
            any_ = lo[v, w]
            for i in range(8):
                shift = np.uint64(8 * i)
                b = spread[(both >> shift) & np.uint64(255)]
                a = spread[(any_ >> shift) & np.uint64(255)]
                # 1 for any, 1 more for both, and all ones, which is -1, for both without any.
                row[8 * w + i] = (a + (a & b)) | ((b & ~a) * np.uint64(255))
        calls[v] = row.view(np.int8)[:people]


@njit(cache=True, nogil=True)
def _popcount(x):  # type: ignore[no-untyped-def]
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (x * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(cache=True, nogil=True)
def _tally(hi, lo, found):  # type: ignore[no-untyped-def]
    for v in range(hi.shape[0]):
        ones = np.uint64(0)
        twos = np.uint64(0)
        missing = np.uint64(0)
        for w in range(hi.shape[1]):
            both = hi[v, w]
            any_ = lo[v, w]
            ones += _popcount(any_ & ~both)
            twos += _popcount(any_ & both)
            missing += _popcount(both & ~any_)
        found[0, v] = ones
        found[1, v] = twos
        found[2, v] = missing
