"""Noise on genotypes: bits that are 1 with probability threshold / 2**64 exactly, for all people at once.

TRUSTED. A person's uniform number U of 64 bits is compared with the threshold T of the column, highest bit
first: the noise is 1 where U < T. Bits of U are drawn as they are needed. The 12 highest are drawn for all,
64 people a word; where they equal T's, which happens to one person in 4,096, the other 52 are taken from a
word of that person's own. With W for the number of words of a column, rounded up to a multiple of 8, the
numbers of column j are made of these words (keystream.py) of the chunk:

    bit 63 - t, t < 12, of all people of word w: word j * W + w of domain NOISE + t;
    the bits below, of the person of bit b of word w: word (j * W + w) * 64 + b of domain TAIL, from its top.

Two programs draw them: `aes_kernel.columns` in registers, and `_fold` from OpenSSL's key stream. PROOFS.md,
"Perturbation".
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.errors import InternalError
from noisegate.genomics import aes_kernel
from noisegate.genomics.aes import WIDTH, table_of
from noisegate.genomics.aes_kernel import GROUP, ROUNDS
from noisegate.genomics.bits import popcount
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.keystream import Domain, KeyStream
from noisegate.genomics.laws import Chain, Family, Independent, Law, Response, Thresholds
from noisegate.genotypes.packed import Block, Words, last_word, words_of

_AT_ONCE = 2**17  # words of key stream that are drawn together, so that they stay in a processor's cache


@dataclass(frozen=True, slots=True)
class _Draw:
    """Where noise is drawn from, and whether by the processor's AES instructions."""

    key: ReleaseKey
    chunk: int
    domain: int
    aes: bool


def perturb(block: Block, law: Law, key: ReleaseKey, chunk: int, *, out: Block | None = None) -> Block:
    """Return a chunk of genotypes with noise on it. The same arguments give the same noise.

    Claim: given uniform, independent key-stream words, noise follows `law` exactly, and does not depend on
        the genotypes that it is put on (a response depends on the genotype that it replaces).
    Needs: the key is bound to this input, law and layout (keys.py); in it, `chunk` numbers these variants
        and no others; no call is missing.
    Argued in PROOFS.md, "Perturbation".

    Args:
        block: 0, 1 and 2 only.
        law: of the block's variants.
        key: of the release.
        chunk: the block's number in the release.
        out: where to write, perhaps `block` itself; by default memory of its own.

    Returns:
        All four codes, 10 among them, unless the law is a `Response`; see `decode`. Bits past the last person
        are 0.

    Raises:
        ValueError: law, block and out do not fit each other.
        InternalError: a call is missing; what is in `out` is no result then.
    """
    return perturb_with(block, law, key, chunk, out, aes=has_aes())


def bernoulli(key: ReleaseKey, chunk: int, thresholds: Thresholds, people: int, *, domain: int) -> Words:
    """Return independent bits for people, 1 with probability thresholds[j] / 2**64 in row j.

    Args:
        key: of the release.
        chunk: which streams they are drawn from.
        thresholds: uint64, shape (rows,); 0 is never.
        people: bits a row.
        domain: the first of 13 that nothing else is drawn from in this chunk.

    Returns:
        uint64, shape (rows, words_of(people)); bits past the last person are 0.
    """
    rows = (np.zeros((len(thresholds), words_of(people)), np.uint64),)
    _put(rows, rows, thresholds, thresholds, everybody(people), _Draw(key, chunk, domain, has_aes()))
    return rows[0]


def decode(block: Block, out: Block | None = None) -> Block:
    """Return genotypes from all four codes: 10 is read as 1, as the sum of its bits says.

    Raises:
        ValueError: `out` has another shape.
    """
    target = target_of(block, out)
    _decode(block.hi, block.lo, target.hi, target.lo)
    return target


def everybody(people: int) -> Words:
    """Return words whose bits are 1 for people and 0 past the last, uint64 of shape (words_of(people),)."""
    keep = np.full(words_of(people), 2**64 - 1, np.uint64)
    keep[-1:] = last_word(people)
    return keep


def target_of(block: Block, out: Block | None) -> Block:
    """Return the block to write to: `out`, or a new one of the same shape.

    Raises:
        ValueError: `out` has another shape.
    """
    if out is None:
        return Block(np.empty_like(block.hi), np.empty_like(block.lo), block.people)
    if out.hi.shape != block.hi.shape or out.people != block.people:
        raise ValueError("what is written to has another shape than what is read")
    return out


@cache
def has_aes() -> bool:
    """Whether the processor has AES instructions and draws with them what OpenSSL does."""
    if WIDTH == 0:
        return False
    key, keep = ReleaseKey(bytes(range(16))), everybody(540)
    thresholds = np.arange(1, 65, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # all over the range
    found = []
    for aes in (True, False):
        rows = (np.zeros((len(thresholds), len(keep)), np.uint64),)
        _put(rows, rows, thresholds, thresholds[::-1].copy(), keep, _Draw(key, 1, Domain.NOISE, aes))
        found.append(rows[0])
    return bool(np.array_equal(found[0], found[1]))


def perturb_with(
    block: Block, law: Law, key: ReleaseKey, chunk: int, out: Block | None, *, aes: bool
) -> Block:
    """Do what `perturb` does, with the processor's AES instructions or without; the noise is the same."""
    if law.variants != block.variants:
        raise ValueError(f"a law of {law.variants} variants on {block.variants}")
    target, keep = target_of(block, out), everybody(block.people)
    source, written = (block.hi, block.lo), (target.hi, target.lo)
    draw = _Draw(key, chunk, Domain.NOISE, aes)
    match law:
        case Independent(flip=flip):
            legal = _put(source, written, flip, flip, keep, draw)
        case Chain(first=first, after=after):
            legal = _put(source, written, first, after, keep, draw)
        case Family(single=single, thresholds=thresholds):
            members = np.array(law.groups, np.int64).reshape(-1, law.size)
            if members.size and members.max() >= block.people:
                raise ValueError("a family has people that are not there")
            for person in members.flat:
                keep[person // 64] &= ~(np.uint64(1) << np.uint64(person % 64))
            chain = single if isinstance(single, Chain) else Chain(single.flip, single.flip)
            legal = _put(source, written, chain.first, chain.after, keep, draw)
            _put_on_families(target, thresholds, members, KeyStream(key), chunk)
        case Response(change=change):
            legal = _respond(block, target, change, keep, draw)
    if not legal:
        raise InternalError("noise is put on genotypes that are there; some are missing")
    return target


def _put(
    source: tuple[Words, ...],
    target: tuple[Words, ...],
    first: Thresholds,
    after: Thresholds,
    keep: Words,
    draw: _Draw,
) -> bool:
    """Write target = source ^ noise, and say whether no call was missing, as far as two planes tell.

    Column j of p planes is row j // p of plane j % p. Its thresholds are first[j] for who had 0 in the column
    before, and after[j] for who had 1; those not in `keep` get no noise.
    """
    stream, chunk, domain = KeyStream(draw.key), draw.chunk, draw.domain
    if draw.aes:
        table = table_of(draw.key.reveal(), chunk, domain, ROUNDS + 1)
        try:
            return bool(aes_kernel.columns(table, first, after, source, target, keep))
        finally:
            table.fill(0)
    wide = GROUP * -(-len(keep) // GROUP)
    noise, before, same = (np.zeros(wide, np.uint64) for _ in range(3))
    places = np.empty(64 * wide, np.uint64)
    together = max(2, _AT_ONCE // (ROUNDS * max(1, wide)) & ~1)
    for begin in range(0, len(first), together):
        columns = min(together, len(first) - begin)
        words = [stream.words(chunk, domain + t, columns * wide, begin * wide // 2) for t in range(ROUNDS)]
        drawn = np.stack(words).reshape(ROUNDS, columns, wide)
        for j in range(begin, begin + columns):
            row, plane = divmod(j, len(source))
            if len(source) == 2 and plane == 0 and np.any(source[0][row] & ~source[1][row]):
                return False
            noise, before = before, noise
            _fold(drawn[:, j - begin], first[j], after[j], before, noise, same)
            left = places[: _places(same, keep, places)]
            if len(left):
                tails = stream.at(chunk, domain + ROUNDS, np.uint64(64 * j * wide) + left)
                _settle(left, tails, first[j], after[j], before, noise)
            target[plane][row] = source[plane][row] ^ (noise[: len(keep)] & keep)
    return True


@njit(cache=True, nogil=True)
def _fold(drawn, first, after, before, noise, same):  # type: ignore[no-untyped-def]
    """Compare the highest bits of everybody's number, a row of `drawn` each, with those of the thresholds."""
    noise[:] = 0
    same[:] = ~np.uint64(0)
    for t in range(len(drawn)):
        zero = -((first >> np.uint64(63 - t)) & np.uint64(1))
        one = -((after >> np.uint64(63 - t)) & np.uint64(1))
        x = drawn[t]
        for w in range(len(noise)):
            bit = zero ^ (before[w] & (zero ^ one))
            noise[w] |= same[w] & bit & ~x[w]
            same[w] &= ~(x[w] ^ bit)


@njit(cache=True, nogil=True)
def _places(same, keep, found):  # type: ignore[no-untyped-def]
    """Write the places of people of `keep` who are undecided, from bit 0 of word 0; return how many."""
    count = 0
    for w in range(len(keep)):
        left = same[w] & keep[w]
        while left:
            bit = left & -left
            found[count] = np.uint64(64 * w) + popcount(bit - np.uint64(1))
            count += 1
            left ^= bit
    return count


@njit(cache=True, nogil=True)
def _settle(left, tails, first, after, before, noise):  # type: ignore[no-untyped-def]
    """Compare the other bits of those who are undecided yet."""
    for i in range(len(left)):
        w, bit = left[i] >> np.uint64(6), np.uint64(1) << (left[i] & np.uint64(63))
        threshold = after if before[w] & bit else first
        if tails[i] < threshold << np.uint64(ROUNDS):
            noise[w] |= bit


def _put_on_families(
    target: Block, thresholds: Thresholds, members: NDArray[np.int64], stream: KeyStream, chunk: int
) -> None:
    """XOR the joint noise of families onto a block.

    Bit k of the state of family f of F in column j is 1 where word (j * F + f) * r + k of domain FAMILY is
    below its threshold.
    """
    families, size = members.shape
    state = np.zeros(families, np.int64)
    together = max(2, _AT_ONCE // max(1, members.size) & ~1)
    for begin in range(0, len(thresholds), together):
        part = thresholds[begin : begin + together]
        words = stream.words(chunk, Domain.FAMILY, len(part) * members.size, begin * members.size // 2)
        drawn = words.reshape(len(part), families, size)
        _walk(part, drawn, members, state, target.hi, target.lo, begin // 2)


@njit(cache=True, nogil=True)
def _walk(thresholds, drawn, members, state, hi, lo, variant):  # type: ignore[no-untyped-def]
    for j in range(len(thresholds)):
        plane = lo if j % 2 else hi
        row = plane[variant + j // 2]
        for f in range(len(members)):
            found = 0
            for k in range(members.shape[1]):
                if drawn[j, f, k] < thresholds[j, state[f], (1 << k) - 1 + found]:
                    found |= 1 << k
                    person = members[f, k]
                    row[person >> 6] ^= np.uint64(1) << np.uint64(person & 63)
            state[f] = found


def _respond(block: Block, target: Block, change: Thresholds, keep: Words, draw: _Draw) -> bool:
    """Replace genotypes that change by one of the two others: by the higher where the bit of choice is 1.

    Who changes is drawn as noise is, a column a variant. The bits of choice of variant v are words v * W and
    on of domain CHOICE.
    """
    changes = (np.zeros_like(block.hi),)
    _put(changes, changes, change, change, keep, draw)
    stream = KeyStream(draw.key)
    words = block.hi.shape[1]
    wide = GROUP * -(-words // GROUP)
    together = max(1, _AT_ONCE // max(1, wide))
    for begin in range(0, block.variants, together):
        part = slice(begin, min(begin + together, block.variants))
        count = part.stop - begin
        choice = stream.words(draw.chunk, Domain.CHOICE, count * wide, begin * wide // 2).reshape(count, wide)
        hi, lo, m, c = block.hi[part], block.lo[part], changes[0][part], choice[:, :words]
        if np.any(hi & ~lo):
            return False
        # Of 00 the others are 01 and 11, of 01 they are 00 and 11, of 11 they are 00 and 01.
        both, some = ~hi & c, ~lo | c
        target.hi[part], target.lo[part] = hi & ~m | both & m, lo & ~m | some & m
    return True


@njit(cache=True, nogil=True)
def _decode(hi, lo, both, some):  # type: ignore[no-untyped-def]
    for v in range(hi.shape[0]):
        for w in range(hi.shape[1]):
            x, y = hi[v, w], lo[v, w]
            both[v, w] = x & y
            some[v, w] = x | y
