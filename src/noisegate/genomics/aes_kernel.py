"""Comparisons with a threshold, 512 people at a time, on key-stream words that never reach memory.

TRUSTED. What `columns` draws is what perturb.py defines from the words of keystream.py; here a processor's
AES instructions make them in registers (AESENC and VAESENC in Intel's Software Developer's Manual), 512, 256
or 128 bits wide. perturb.py compares both with each other before it relies on this file, and tests compare
every width. PROOFS.md, "Perturbation".

All that is compiled from the instructions written here stands in this file: what numba keeps of compiled code
is thrown away when the file of a function changes, and not when that of a function it calls does.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from noisegate.genomics.aes import AES_ROUNDS, DOMAINS, LAST_KEY, WIDTH
from noisegate.genomics.bits import popcount

ROUNDS = 12
THIN_ROUNDS = 8
GROUP = 8  # words that are compared at once
_ALL = 2**64 - 1
_declared: Any = cgutils.get_or_insert_function
_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)


class _Vectors:
    """Writes LLVM's instructions on vectors of 128, 256 or 512 bits."""

    def __init__(self, builder: Any, bits: int) -> None:
        self._builder, self._bits = builder, bits
        self.lanes = bits // 64
        self.type = ir.VectorType(_I64, self.lanes)
        suffix = "" if bits == 128 else f".{bits}"
        self._enc = self._function(f"llvm.x86.aesni.aesenc{suffix}", self.type, self.type)
        self._last = self._function(f"llvm.x86.aesni.aesenclast{suffix}", self.type, self.type)

    def _function(self, name: str, *arguments: ir.Type) -> Any:
        form = ir.FunctionType(self.type, arguments)
        return _declared(self._builder.module, form, name)

    def constant(self, *words: int) -> Any:
        return ir.Constant(self.type, list(words) * (self.lanes // len(words)))

    def load(self, pointer: Any, index: Any) -> Any:
        place = self._builder.bitcast(self._builder.gep(pointer, [index]), self.type.as_pointer())
        return self._builder.load(place, align=8)

    def store(self, vector: Any, pointer: Any, index: Any) -> Any:
        place = self._builder.bitcast(self._builder.gep(pointer, [index]), self.type.as_pointer())
        self._builder.store(vector, place, align=8)

    def splat(self, word: Any) -> Any:
        none = ir.Constant(self.type, ir.Undefined)
        one = self._builder.insert_element(none, word, ir.Constant(_I32, 0))
        first = ir.Constant(ir.VectorType(_I32, self.lanes), [0] * self.lanes)
        return self._builder.shuffle_vector(one, none, first)

    def encrypt(self, states: Any, key: Any) -> Any:
        return [self._builder.call(self._enc, [state, key]) for state in states]

    def finish(self, states: Any, keys: Any) -> Any:
        return [self._builder.call(self._last, [s, k]) for s, k in zip(states, keys, strict=True)]

    def bitwise(self, rule: Callable[[int, int, int], int], x: Any, y: Any, z: Any) -> Any:
        """Return rule(x, y, z) of each bit; in one instruction where there is one."""
        truth = [rule(i >> 2 & 1, i >> 1 & 1, i & 1) for i in range(8)]
        if self._bits == 512:
            ternary = self._function("llvm.x86.avx512.pternlog.q.512", self.type, self.type, self.type, _I32)
            number = sum(bit << i for i, bit in enumerate(truth))
            return self._builder.call(ternary, [x, y, z, ir.Constant(_I32, number)])
        found = self.constant(0)
        for i, bit in enumerate(truth):
            if bit:
                term = self.constant(_ALL)
                for place, v in zip((4, 2, 1), (x, y, z), strict=True):
                    v = v if i & place else self._builder.xor(v, self.constant(_ALL))
                    term = self._builder.and_(term, v)
                found = self._builder.or_(found, term)
        return found

    def nonzero(self, vector: Any) -> Any:
        """Return a number whose bit i says whether word i is not 0."""
        flags = self._builder.icmp_unsigned("!=", vector, self.constant(0))
        return self._builder.zext(self._builder.bitcast(flags, ir.IntType(self.lanes)), _I64)

    def streams(self, table: Any, counter: Any, part: int, domains: Any) -> Any:
        """Return states before AES's last round, one vector a domain, and the last round key.

        A vector holds as many blocks as go into it, from number counter + part * lanes // 2 on; `domains` are
        places of rows in the table.
        """
        at = part * self.lanes
        swapped = self.splat(self._builder.bswap(counter))
        # Counters are the second halves of blocks; adding to a multiple of four is setting bits.
        block = self.bitwise(
            lambda c, half, x: c & half ^ x, swapped, self.constant(0, _ALL), self.load(table, _at(at))
        )
        (once,) = self.encrypt([block], self.load(table, _at(8 + at)))
        states = [self._builder.xor(once, self.load(table, self._builder.add(d, _at(at)))) for d in domains]
        for r in range(2, AES_ROUNDS):
            states = self.encrypt(states, self.load(table, _at(8 * r + at)))
        return states, self.load(table, _at(LAST_KEY + at))


def _at(index: int) -> Any:
    return ir.Constant(_I64, index)


def _pointers(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Return pointers to the data of array arguments, and other arguments as they are."""
    return [
        context.make_array(t)(context, builder, a).data if isinstance(t, types.Array) else a
        for t, a in zip(signature.args, arguments, strict=True)
    ]


def _comparison(bits: int, rounds: int, *, coupled: bool = False, exact: bool = True) -> Any:
    """Return a function that compares 512 people's numbers with a threshold, `rounds` bits of them.

    Unless it is `exact`, who is undecided counts as not below, and is not told. The function's arguments:

        table; counter, a multiple of 4;
        last: the last round key with the threshold's bits on it, 8 words a round; unused where `coupled`;
        zero, one: the thresholds' highest bits after a 0 and after a 1, a word a round, all ones or zeros;
        before: noise of the column before, used where `coupled`;
        at: the first of the 8 words of the next two;
        less, same: where it writes who is below, and who is undecided.

    It returns a number whose bit i says whether anybody of word at + i is undecided.
    """

    @intrinsic
    def compare(  # type: ignore[no-untyped-def]
        _, table, counter, last, zero, one, before, at, less, same
    ):
        signature = types.uint64(table, counter, last, zero, one, before, at, less, same)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            given = _pointers(context, builder, signature, arguments)
            table, counter, last, zero, one, before, at, less, same = given
            v = _Vectors(builder, bits)

            def bit(pointer: Any, t: Any) -> Any:
                return v.splat(builder.load(builder.gep(pointer, [_at(t)])))

            undecided = _at(0)
            for part in range(512 // bits):
                here, within = builder.add(at, _at(part * v.lanes)), part * v.lanes
                states, key = v.streams(table, counter, part, [_at(8 * (DOMAINS + t)) for t in range(rounds)])
                below, equal = v.constant(0), v.constant(_ALL)
                if coupled:
                    drawn = v.finish(states, [key] * rounds)
                    noise = v.load(before, here)
                    for t in reversed(range(rounds)):
                        m = v.bitwise(lambda b, z, o: o if b else z, noise, bit(zero, t), bit(one, t))
                        below = v.bitwise(lambda u, m, b: m if u != m else b, drawn[t], m, below)
                        equal = v.bitwise(lambda u, m, e: e & (u == m), drawn[t], m, equal)
                else:
                    # AES's last round XORs its key onto the state, and with it the threshold's bit.
                    keys = [v.load(last, _at(8 * t + within)) for t in range(rounds)]
                    differs = v.finish(states, keys)
                    for t in reversed(range(rounds)):
                        below = v.bitwise(lambda d, m, b: m if d else b, differs[t], bit(zero, t), below)
                    for d, f in zip(differs[::2], differs[1::2], strict=True) if exact else ():
                        equal = v.bitwise(lambda d, f, e: e & (1 - d) & (1 - f), d, f, equal)
                v.store(below, less, here)
                if exact:
                    v.store(equal, same, here)
                undecided = builder.or_(undecided, builder.shl(v.nonzero(equal), _at(within)))
            return undecided

        return signature, generate

    return compare


def _stretch(bits: int) -> Any:
    """Return a function that writes words 2 * counter to 2 * counter + 7 of a stream.

    Its arguments: table; domain, counted from the table's; counter, a multiple of 4; words to write into.
    """

    @intrinsic
    def stretch(_, table, domain, counter, words):  # type: ignore[no-untyped-def]
        signature = types.void(table, domain, counter, words)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            table, domain, counter, words = _pointers(context, builder, signature, arguments)
            v = _Vectors(builder, bits)
            row = builder.mul(builder.add(domain, _at(DOMAINS)), _at(8))
            for part in range(512 // bits):
                states, key = v.streams(table, counter, part, [row])
                (drawn,) = v.finish(states, [key])
                v.store(drawn, words, _at(part * v.lanes))
            return context.get_dummy_value()

        return signature, generate

    return stretch


def _fetch() -> Any:
    """Return a function that has a word of an array brought near, without waiting: words, index."""

    @intrinsic
    def fetch(_, words, index):  # type: ignore[no-untyped-def]
        signature = types.void(words, index)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            words, index = _pointers(context, builder, signature, arguments)
            place = builder.bitcast(builder.gep(words, [index]), _I8.as_pointer())
            form = ir.FunctionType(ir.VoidType(), [_I8.as_pointer(), _I32, _I32, _I32])
            bring = _declared(builder.module, form, "llvm.prefetch.p0")
            builder.call(bring, [place, *(ir.Constant(_I32, n) for n in (0, 3, 1))])
            return context.get_dummy_value()

        return signature, generate

    return fetch


_plain = _comparison(WIDTH or 128, ROUNDS)
_coupled = _comparison(WIDTH or 128, ROUNDS, coupled=True)
_coarse = _comparison(WIDTH or 128, THIN_ROUNDS, exact=False)
_words = _stretch(WIDTH or 128)
_prefetch = _fetch()


@njit(cache=True, nogil=True)
def _spread(threshold, bits):  # type: ignore[no-untyped-def]
    """Write a threshold's highest bits, each over a whole word."""
    for t in range(len(bits)):
        bits[t] = -((threshold >> np.uint64(63 - t)) & np.uint64(1))


@njit(cache=True, nogil=True)
def _with_last_key(table, bits, last):  # type: ignore[no-untyped-def]
    for t in range(len(bits)):
        for i in range(GROUP):
            last[GROUP * t + i] = table[LAST_KEY + i] ^ bits[t]


@njit(cache=True, nogil=True)
def columns(table, first, after, source, target, keep):  # type: ignore[no-untyped-def]
    """Write target = source ^ noise for every column, the noise that perturb.py defines.

    Args:
        table: of the 13 domains from the one that noise is drawn in.
        first: uint64, shape (columns,): thresholds after a 0.
        after: the same after a 1.
        source: tuple of p planes, uint64, shape (columns // p, words): column j is row j // p of plane j % p.
        target: the same, perhaps the same planes.
        keep: uint64, shape (words,): whose noise is put on; others' bits stay.

    Returns:
        Whether plane 0 of two has no bit that plane 1 has not; it stops where that is not so.
    """
    planes, words = len(source), len(keep)
    groups = (words + GROUP - 1) // GROUP
    noise, before = np.zeros(GROUP * groups, np.uint64), np.zeros(GROUP * groups, np.uint64)
    same, left = np.zeros(GROUP * groups, np.uint64), np.empty((groups + 1, 2), np.uint64)
    zero, one = np.empty(ROUNDS, np.uint64), np.empty(ROUNDS, np.uint64)
    last = np.empty(GROUP * ROUNDS, np.uint64)
    for j in range(len(first)):
        read, written = source[j % planes][j // planes], target[j % planes][j // planes]
        soon = min(j + 1, len(first) - 1)
        soon_read, soon_written = source[soon % planes][soon // planes], target[soon % planes][soon // planes]
        noise, before = before, noise
        _spread(first[j], zero)
        _spread(after[j], one)
        _with_last_key(table, zero, last)
        begin = j * groups
        found = 0
        if first[j] == after[j]:
            for g in range(groups):
                _prefetch(soon_read, GROUP * g)
                _prefetch(soon_written, GROUP * g)
                counter = np.uint64(4) * np.uint64(begin + g)
                words_left = _plain(table, counter, last, zero, one, before, GROUP * g, noise, same)
                left[found, 0], left[found, 1] = GROUP * g, words_left
                found += words_left != 0
        else:
            for g in range(groups):
                _prefetch(soon_read, GROUP * g)
                _prefetch(soon_written, GROUP * g)
                counter = np.uint64(4) * np.uint64(begin + g)
                words_left = _coupled(table, counter, last, zero, one, before, GROUP * g, noise, same)
                left[found, 0], left[found, 1] = GROUP * g, words_left
                found += words_left != 0
        _settle(table, first[j], after[j], before, noise, same, left[:found], np.uint64(begin * GROUP))
        if planes == 2 and j % 2 == 0 and _has_more(read, source[1][j // 2]):
            return False
        _xor(read, noise, keep, written)
    return True


@njit(cache=True, nogil=True)
def _has_more(hi, lo):  # type: ignore[no-untyped-def]
    more = np.uint64(0)
    for w in range(len(hi)):
        more |= hi[w] & ~lo[w]
    return more != 0


@njit(cache=True, nogil=True)
def _xor(source, noise, keep, target):  # type: ignore[no-untyped-def]
    for w in range(len(keep)):
        target[w] = source[w] ^ (noise[w] & keep[w])


@njit(cache=True, nogil=True)
def _settle(table, first, after, before, noise, same, left, begin):  # type: ignore[no-untyped-def]
    """Compare the other bits of those that are undecided yet.

    Row by row, `left` has the first word of a group, and a number whose bit i says whether anybody of its
    word i is undecided. There are few, so wrongly guessed branches would take the time: there are only loops.
    """
    drawn = np.empty(GROUP, np.uint64)
    for i in range(len(left)):
        which = left[i, 1]
        while which:
            w = left[i, 0] + _lowest(which)
            which &= which - np.uint64(1)
            undecided = same[w]
            while undecided:
                lane = _lowest(undecided)
                number = np.uint64(64) * (begin + w) + lane
                _words(table, np.uint64(ROUNDS), number // np.uint64(GROUP) * np.uint64(4), drawn)
                had = -(before[w] >> lane & np.uint64(1))
                threshold = first ^ had & (first ^ after)
                is_below = np.uint64(drawn[number % np.uint64(GROUP)] < threshold << np.uint64(ROUNDS))
                noise[w] |= is_below << lane
                undecided &= undecided - np.uint64(1)


@njit(cache=True, nogil=True)
def _lowest(word):  # type: ignore[no-untyped-def]
    """Return the place of a word's lowest set bit."""
    return popcount((word & -word) - np.uint64(1))


@njit(cache=True, nogil=True)
def thin(table, thresholds, begin, target):  # type: ignore[no-untyped-def]
    """Write bits that are 1 with probability threshold / 2**64 into each row; thresholds are of 8 bits.

    Args:
        table: of the 8 domains that they are drawn in.
        thresholds: uint64, shape (rows,); only the 8 highest bits are looked at.
        begin: the number of the first row.
        target: uint64, shape (rows, words).
    """
    words = target.shape[1]
    groups = (words + GROUP - 1) // GROUP
    drawn = np.empty(GROUP * groups, np.uint64)
    bits, last = np.empty(THIN_ROUNDS, np.uint64), np.empty(GROUP * THIN_ROUNDS, np.uint64)
    for j in range(len(thresholds)):
        if thresholds[j] == 0:
            target[j] = 0
            continue
        _spread(thresholds[j], bits)
        _with_last_key(table, bits, last)
        for g in range(groups):
            counter = np.uint64(4) * np.uint64((begin + j) * groups + g)
            _coarse(table, counter, last, bits, bits, drawn, GROUP * g, drawn, drawn)
        for w in range(words):
            target[j, w] = drawn[w]
