"""Allele counts moved to wanted ones, by the fewest alleles, chosen evenly at random.

The optimal transport between two allele counts moves their difference (Ji et al., PROVGEN, step 4: flip as
many of the 2n alleles as the count is off). A genotype's alleles are its two bits, and which is which does
not matter once it is read as their sum, so an allele is a bit: to lower a count by k, k of the bits that are
1 are cleared, each set of k as likely as any other; to raise it, bits that are 0 are set.

Such a set is chosen for 64 people at a time. Every bit that may be taken is taken with a probability a little
below k / N; whatever number is taken so, all sets of that size are equally likely. Then single ones are added
(or, seldom, given back), each of those that may be equally likely, until there are k: all sets of k are
equally likely still. Where k is more than half of N, those that stay are chosen instead.

Nothing here needs trust: what comes in is noisy already and the counts are public or released. But
key-stream words are used, so that the same chunk comes out the same. PROOFS.md, "Restoration".
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.genomics import aes_kernel
from noisegate.genomics.aes import table_of
from noisegate.genomics.aes_kernel import GROUP, THIN_ROUNDS
from noisegate.genomics.bits import popcount
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.keystream import Domain, KeyStream
from noisegate.genomics.perturb import has_aes, target_of
from noisegate.genotypes.packed import Block, Counts, Words, last_word

_AT_ONCE = 2**17  # words of two planes that are worked on together, so that they stay in a processor's cache
_PICKS = 2**13  # words of picks that are drawn together
_FEWER = 0.3  # standard deviations that the even choice aims below what is wanted
_SPARSE = 4  # of 64 bits that are taken from, below which it pays to leave empty words out
_MOST_PEOPLE = 2**30


def restore(block: Block, counts: Counts, key: ReleaseKey, chunk: int, *, out: Block | None = None) -> Block:
    """Return genotypes with exactly the wanted allele counts. The same arguments give the same ones.

    Claim: of all sets of alleles whose change gives the wanted count, each is as likely, given uniform
        key-stream words.
    Needs: the counts are public or were released (targets.py); `chunk` is restored once.
    Argued in PROOFS.md, "Restoration".

    Args:
        block: all four codes; 10 is read as 1, as `decode` does.
        counts: int64, shape (variants,), from 0 to 2 * people.
        key: of the release.
        chunk: the block's number in the release.
        out: where to write, perhaps `block` itself; by default memory of its own.

    Raises:
        ValueError: a count that people cannot have, or shapes that do not fit each other.
    """
    return restore_with(block, counts, key, chunk, out, aes=has_aes())


def restore_with(
    block: Block, counts: Counts, key: ReleaseKey, chunk: int, out: Block | None, *, aes: bool
) -> Block:
    """Do what `restore` does, with the processor's AES instructions or without; the alleles are the same."""
    if counts.shape != (block.variants,) or counts.dtype != np.int64:
        raise ValueError("one int64 count a variant is wanted")
    if counts.size and not (counts.min() >= 0 and counts.max() <= 2 * block.people):
        raise ValueError(f"{block.people} people have 0 to {2 * block.people} alleles")
    if block.people >= _MOST_PEOPLE:
        raise ValueError("more people than positions are drawn for")
    target, words = target_of(block, out), block.hi.shape[1]
    if not words:
        return target
    thin, picks = _Thin(key, chunk, words, aes=aes), _Picks(KeyStream(key), chunk)
    together = max(1, _AT_ONCE // (2 * words))
    for begin in range(0, block.variants, together):
        part = slice(begin, min(begin + together, block.variants))
        source = Block(block.hi[part], block.lo[part], block.people)
        found, wanted = _alleles(source.hi, source.lo), counts[part]
        # 1 bits are candidates where the count is lowered, 0 bits where it is raised.
        lowered = wanted < found
        total = np.where(lowered, found, 2 * block.people - found)
        moved = np.abs(wanted - found)
        rest = 2 * moved > total
        plan = _Plan(lowered, total, np.where(rest, total - moved, moved), rest)
        chosen = thin.rows(_thresholds(plan.size, total), begin)
        picks.move(source, plan, chosen, Block(target.hi[part], target.lo[part], block.people))
    return target


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What is chosen from, variant by variant: arrays of shape (variants,).

    Attributes:
        lowered: bool; whether candidates are the 1 bits, else the 0 bits.
        total: int64; how many candidates there are.
        size: int64; how many are to be chosen.
        rest: bool; whether those that are not chosen move.
    """

    lowered: NDArray[np.bool_]
    total: Counts
    size: Counts
    rest: NDArray[np.bool_]


def _thresholds(size: Counts, candidates: Counts) -> Words:
    """Return a threshold of 8 bits for each variant, at which somewhat fewer than `size` are taken."""
    total = np.maximum(candidates, 1).astype(np.float64)
    aim = size - _FEWER * np.sqrt(size * (1 - size / total))
    steps = np.floor(np.clip(aim, 0, None) / total * 2**THIN_ROUNDS)
    thresholds: Words = steps.astype(np.uint64) << np.uint64(64 - THIN_ROUNDS)
    return thresholds


class _Thin:
    """Draws even bits: round t of row j is words j * W and on of domain THIN + t, W as in perturb.py."""

    def __init__(self, key: ReleaseKey, chunk: int, words: int, *, aes: bool) -> None:
        self._stream, self._chunk, self._words = KeyStream(key), chunk, words
        self._table = table_of(key.reveal(), chunk, Domain.THIN, THIN_ROUNDS) if aes else None

    def rows(self, thresholds: Words, begin: int) -> Words:
        """Return bits that are 1 with probability thresholds[v] / 2**64, for hi and lo of a variant each.

        Args:
            thresholds: uint64, shape (variants,); 8 bits, the highest.
            begin: the number of the first variant; its rows are 2 * begin and 2 * begin + 1.

        Returns:
            uint64, shape (variants, 2 * words).
        """
        twice = np.repeat(thresholds, 2)
        chosen = np.zeros((len(twice), self._words), np.uint64)
        if self._table is not None:
            aes_kernel.thin(self._table, twice, 2 * begin, chosen)
            return chosen.reshape(len(thresholds), -1)
        wide = GROUP * -(-self._words // GROUP)
        for t in reversed(range(THIN_ROUNDS)):
            drawn = self._stream.words(self._chunk, Domain.THIN + t, len(twice) * wide, begin * wide)
            x = drawn.reshape(len(twice), wide)[:, : self._words]
            bit = (twice >> np.uint64(63 - t) & np.uint64(1)).astype(bool)[:, None]
            # Lowest bit first: a 1 of the threshold over a 0 decides, and so does the other way round.
            chosen = np.where(bit, chosen | ~x, chosen & ~x)
        return chosen.reshape(len(thresholds), -1)


class _Picks:
    """Draws single places, from word 0 of domain PICK on, two draws of 32 bits a word, the lower first."""

    def __init__(self, stream: KeyStream, chunk: int) -> None:
        self._stream, self._chunk = stream, chunk
        self._counter = 0
        self._drawn = np.empty(0, np.uint32)

    def move(self, source: Block, plan: _Plan, chosen: Words, target: Block) -> None:
        """Write `source` with alleles moved as is planned; `chosen` are about as many, and are written to."""
        words = source.hi.shape[1]
        last = np.uint64(last_word(source.people))
        candidates, places = np.empty(2 * words, np.uint64), np.empty(2 * words, np.int64)
        state = np.zeros(4, np.int64)
        planes = (source.hi, source.lo, target.hi, target.lo)
        planned = (plan.lowered, plan.total, plan.size, plan.rest)
        while state[0] < source.variants:
            used = _move(planes, planned, last, chosen, self._drawn, candidates, places, state)
            self._drawn = self._drawn[used:]
            if state[0] < source.variants:
                fresh = self._stream.words(self._chunk, Domain.PICK, _PICKS, self._counter)
                self._counter += _PICKS // 2
                self._drawn = fresh.astype("<u8", copy=False).view("<u4").astype(np.uint32, copy=False)


@njit(cache=True, nogil=True)
def _alleles(hi, lo):  # type: ignore[no-untyped-def]
    """Return how many bits are set in both planes, variant by variant."""
    found = np.empty(len(hi), np.int64)
    for v in range(len(hi)):
        count = np.uint64(0)
        for w in range(hi.shape[1]):
            count += popcount(hi[v, w]) + popcount(lo[v, w])
        found[v] = count
    return found


@njit(cache=True, nogil=True)
def _move(planes, planned, last, chosen, drawn, candidates, places, state):  # type: ignore[no-untyped-def]
    """See `_Picks.move`; return how many draws were used. It stops where none is left, and goes on later.

    `state` is the variant, whether it is begun, how many are missing of it (below 0: too many), and how many
    words draws fall on, whose places are in `places`.
    """
    hi, lo, both, some = planes
    lowered, total, size, rest = planned
    words = hi.shape[1]
    used = 0
    for v in range(state[0], len(hi)):
        row = chosen[v]
        if not state[1]:
            turn = np.uint64(0) if lowered[v] else ~np.uint64(0)
            found = _meet(hi[v], turn, last, row[:words], candidates[:words])
            found += _meet(lo[v], turn, last, row[words:], candidates[words:])
            short = size[v] - found
            full = _full(row, candidates, short, found if short < 0 else total[v] - found, places)
        else:
            short, full = state[2], state[3]
        if short:
            now, short = _correct(row, candidates, short, drawn[used:], places[:full])
            used += now
        state[0], state[1], state[2], state[3] = v, 1, short, full
        if short:
            return used
        if rest[v]:
            for i in range(len(row)):
                row[i] ^= candidates[i]
        _flip(hi[v], row[:words])
        _flip(lo[v], row[words:])
        _decode(row[:words], row[words:], both[v], some[v])
        state[0], state[1] = v + 1, 0
    return used


@njit(cache=True, nogil=True)
def _meet(plane, turn, last, chosen, candidates):  # type: ignore[no-untyped-def]
    """Write who can be chosen, leave them alone chosen, and return how many are."""
    for w in range(len(plane)):
        candidates[w] = plane[w] ^ turn
    candidates[-1] &= last
    count = np.uint64(0)
    for w in range(len(plane)):
        chosen[w] &= candidates[w]
        count += popcount(chosen[w])
    return np.int64(count)


@njit(cache=True, nogil=True)
def _full(chosen, candidates, short, free, places):  # type: ignore[no-untyped-def]
    """Write the places of words that draws are to fall on, and return how many they are.

    Where few bits are free they are the words that have any, lest most draws fall on nothing.
    """
    raised = np.uint64(0) if short < 0 else ~np.uint64(0)
    if short == 0 or free >= _SPARSE * len(places):
        for i in range(len(places)):
            places[i] = i
        return len(places)
    full = 0
    for i in range(len(places)):
        places[full] = i
        full += (chosen[i] ^ (candidates[i] & raised)) != 0
    return full


@njit(cache=True, nogil=True)
def _correct(chosen, candidates, short, drawn, places):  # type: ignore[no-untyped-def]
    """Choose one more, or less if `short` is below 0, until it is 0; return the draws used, and `short`."""
    raised = np.uint64(0) if short < 0 else ~np.uint64(0)
    bound = np.uint64(64 * len(places))
    uneven = (np.uint64(2**32) - bound) % bound
    left, used, enough = np.uint64(abs(short)), np.uint64(0), np.uint64(len(drawn))
    while left and used < enough:
        # Lemire (2019), "Fast random integer generation in an interval": no remainder is likelier.
        product = np.uint64(drawn[used]) * bound
        used += np.uint64(1)
        number = product >> np.uint64(32)
        i, bit = np.uint64(places[number >> np.uint64(6)]), np.uint64(1) << (number & np.uint64(63))
        free = chosen[i] ^ (candidates[i] & raised)
        if free & bit and product & np.uint64(2**32 - 1) >= uneven:
            chosen[i] ^= bit
            left -= np.uint64(1)
    return np.int64(used), -np.int64(left) if short < 0 else np.int64(left)


@njit(cache=True, nogil=True)
def _flip(plane, row):  # type: ignore[no-untyped-def]
    for w in range(len(plane)):
        row[w] ^= plane[w]


@njit(cache=True, nogil=True)
def _decode(hi, lo, both, some):  # type: ignore[no-untyped-def]
    for w in range(len(hi)):
        both[w] = hi[w] & lo[w]
        some[w] = hi[w] | lo[w]
