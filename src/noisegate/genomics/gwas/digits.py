"""Columns of numbers and words as lines of text, by compiled loops: some ten nanoseconds a field.

Real numbers are written with six significant digits as C's %.6g writes them, but that a number within some
1e-15 of the middle between two such numbers may go to either side. NaN is NA.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from noisegate.genotypes.pooled import pooled

Bytes = NDArray[np.uint8]
Counts = NDArray[np.int64]

# Kinds of columns.
TEXT, REAL, WHOLE = range(3)
LONGEST = {TEXT: 1, REAL: 13, WHOLE: 20}  # bytes; of text, what stands for none
_LEAST = -308  # power of ten in the table, which ends with an infinite one
_POWERS = np.array([float(f"1e{e}") for e in range(_LEAST, 310)])
_I64 = ir.IntType(64)
_ZEROS, _NA, _INF, _NOUGHT = (
    np.uint64(int.from_bytes(word, "little")) for word in (b"00000000", b"NA", b"inf", b"0.000000")
)
SLACK = 8  # bytes past the end that are read and written, as eight go at once


def lines(
    kinds: Counts,
    places: Counts,
    data: Bytes,
    starts: NDArray[np.int32],
    stops: NDArray[np.int32],
    reals: NDArray[np.float64],
    wholes: Counts,
    out: Bytes,
) -> int:
    """Write rows of fields parted by tabs, each ended by a newline, and return how many bytes there are.

    Args:
        kinds: TEXT, REAL or WHOLE, of shape (columns,).
        places: which of the columns of its kind it is, of shape (columns,).
        data: the text there is, and `SLACK` bytes behind it.
        starts: where the text of a row begins, shape (texts, rows).
        stops: where it ends; an empty one is written as a point.
        reals: shape (reals, rows).
        wholes: shape (wholes, rows).
        out: where to; long enough for the text, what `LONGEST` says of each field, what parts them, and
            `SLACK` bytes more.
    """
    words, powers = (pooled(reals.shape, kind) for kind in (np.uint64, np.int64))
    _split(reals, words, powers)
    low, high, lengths = (pooled(reals.shape, kind) for kind in (np.uint64, np.uint64, np.int64))
    _spell(reals, words, powers, low, high, lengths)
    return int(
        _lines(kinds, places, data, starts, stops, reals, words, powers, low, high, lengths, wholes, out)
    )


@njit(cache=True, nogil=True)
def placed(starts, stops, at, new_starts, new_stops):  # type: ignore[no-untyped-def]
    """Return the part of some data that strings lie in, and write where they lie once it is at a place.

    Args:
        starts: where each begins, at least one of them.
        stops: where each ends.
        at: the place.
        new_starts: int32, the same number of them.
        new_stops: likewise.

    Returns:
        Where the part begins, where it ends, and how long all strings are together.
    """
    first, last, long = starts[0], stops[0], 0
    for i in range(len(starts)):
        first, last, long = min(first, starts[i]), max(last, stops[i]), long + stops[i] - starts[i]
    for i in range(len(starts)):
        new_starts[i], new_stops[i] = starts[i] - first + at, stops[i] - first + at
    return first, last, long


def _at(context: Any, builder: Any, array: Any, form: Any, place: Any) -> Any:
    """Return a pointer to eight bytes of an array of bytes."""
    data = context.make_array(form)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [place]), _I64.as_pointer())


def _put_eight(_typing: Any, out: Any, _place: Any, _word: Any) -> Any:
    """Write a word's eight bytes, the lowest first, at any place of an array of bytes."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        array, place, word = given
        builder.store(word, _at(context, builder, array, signature.args[0], place), align=1)
        return context.get_dummy_value()

    return types.void(out, types.int64, types.uint64), code


def _get_eight(_typing: Any, data: Any, _place: Any) -> Any:
    """Return the eight bytes at any place of an array of bytes."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        array, place = given
        return builder.load(_at(context, builder, array, signature.args[0], place), align=1)

    return types.uint64(data, types.int64), code


def _count_before(_typing: Any, _word: Any) -> Any:
    """Return how many bits above the highest one of a word are 0; of 0, any number."""

    def code(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return builder.ctlz(given[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), code


def _count_behind(_typing: Any, _word: Any) -> Any:
    """Return how many bits below the lowest one of a word are 0; of 0, any number."""

    def code(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return builder.cttz(given[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), code


# Arrays are handed to these and to no compiled function: counting who holds them would cost more than all
# the rest.
_put: Any = intrinsic(_put_eight)
_get: Any = intrinsic(_get_eight)
_zeros_before: Any = intrinsic(_count_before)
_zeros_behind: Any = intrinsic(_count_behind)


@njit(cache=True, nogil=True)
def _lines(  # type: ignore[no-untyped-def]
    kinds, places, data, starts, stops, reals, words, powers, low, high, lengths, wholes, out
):
    at = 0
    for row in range(starts.shape[1]):
        for c in range(len(kinds)):
            # Without a sign: a place that has one might count from the end, which is looked into each time.
            place = np.uint64(places[c])
            if kinds[c] == TEXT:
                start, stop = int(starts[place, row]), int(stops[place, row])
                if start == stop:
                    _put(out, at, np.uint64(46))
                    at += 1
                for i in range(start, stop, 8):
                    _put(out, at + i - start, _get(data, i))
                at += stop - start
            elif kinds[c] == WHOLE:
                whole = wholes[place, row]
                if whole < 0:
                    out[at] = 45
                    at += 1
                left = np.uint64(abs(whole))
                if left < np.uint64(100000000):
                    word = _eight(left)
                    # Of 0, the last digit is written.
                    none = _zeros_behind(word | np.uint64(1 << 56)) & 56
                    _put(out, at, (word | _ZEROS) >> np.uint64(none))
                    at += 8 - none // 8
                else:
                    length = _length(left)
                    for i in range(length):
                        rest = left // np.uint64(10)
                        out[at + length - 1 - i] = left - rest * np.uint64(10) + np.uint64(48)
                        left = rest
                    at += length
            elif lengths[place, row] > 0:
                _put(out, at, low[place, row])
                _put(out, at + 8, high[place, row])
                at += lengths[place, row]
            else:
                x = reals[place, row]
                if x < 0.0:
                    out[at] = 45
                    at += 1
                if x != x:
                    _put(out, at, _NA)
                    at += 2
                elif x == 0.0:
                    _put(out, at, np.uint64(48))
                    at += 1
                elif abs(x) == np.inf:
                    _put(out, at, _INF)
                    at += 3
                else:
                    word, power = words[place, row], powers[place, row]
                    length = 8 - _zeros_before(word) // 8
                    word |= _ZEROS
                    _put(out, at, (word & np.uint64(255)) | np.uint64(46 << 8))
                    _put(out, at + 2, word >> np.uint64(8))
                    at += 1 if length == 1 else length + 1
                    out[at], out[at + 1] = 101, 43 if power > 0 else 45
                    power = abs(power)
                    at += 2
                    if power >= 100:
                        out[at] = 48 + power // 100
                        at += 1
                    out[at], out[at + 1] = 48 + power // 10 % 10, 48 + power % 10
                    at += 2
            _put(out, at, np.uint64(9))
            at += 1
        out[at - 1] = 10
    return at


@njit(cache=True, nogil=True, error_model="numpy")
def _eight(number):  # type: ignore[no-untyped-def]
    """Return the eight digits of a number below 10^8, one a byte, the first in the lowest.

    Halves, quarters and eighths are divided side by side; quotients by constants are by multiplying, exact
    for numbers as small as these.
    """
    half = (number * np.uint64(109951163)) >> np.uint64(40)
    word = half | (number - half * np.uint64(10000)) << np.uint64(32)
    part = ((word * np.uint64(10486)) >> np.uint64(20)) & np.uint64(0x0000007F0000007F)
    word = part | (word - part * np.uint64(100)) << np.uint64(16)
    part = ((word * np.uint64(103)) >> np.uint64(10)) & np.uint64(0x000F000F000F000F)
    return part | (word - part * np.uint64(10)) << np.uint64(8)


@njit(cache=True, nogil=True)
def _length(number):  # type: ignore[no-untyped-def]
    """Return how many digits a whole number has."""
    length = 1
    ten = np.uint64(10)
    while length < 19 and number >= ten:
        ten *= np.uint64(10)
        length += 1
    return length


@njit(cache=True, nogil=True, error_model="numpy")
def _split(reals, words, powers):  # type: ignore[no-untyped-def]
    """Find the first six digits of each number, one a byte as in `_eight`, and the power of ten of the first.

    There is no branch, so that a processor does several numbers at once. Of 0, NaN and what is infinite,
    anything comes out.
    """
    for c in range(reals.shape[0]):
        for row in range(reals.shape[1]):
            x = abs(reals[c, row])
            x = x if 0.0 < x < np.inf else 1.0
            shift = 100 if x < 1e-290 else 0
            x *= 1e100 if shift else 1.0
            # By the exponent of two, at most one too small: 315652 / 2^20 is just below the logarithm of two.
            power = (((np.float64(x).view(np.int64) >> 52) - 1023) * 315652) >> 20
            power += 1 if x >= _POWERS[power + 1 - _LEAST] else 0
            down, up = power if power < 5 else 5, power if power > 5 else 5
            scaled = x * _POWERS[5 - down - _LEAST] / _POWERS[up - 5 - _LEAST]
            six = np.int64(scaled)
            rest = scaled - six
            six += 1 if rest > 0.5 else (six & 1 if rest == 0.5 else 0)
            powers[c, row] = power - shift + (1 if six == 1000000 else 0)
            words[c, row] = _eight(np.uint64(100000 if six == 1000000 else six) * np.uint64(100))


@njit(cache=True, nogil=True)
def _spell(reals, words, powers, low, high, lengths):  # type: ignore[no-untyped-def]
    """Spell each number that needs no exponent, up to 16 bytes; of others the length is 0.

    There is no branch, as in `_split`.
    """
    one = np.uint64(1)
    for c in range(reals.shape[0]):
        for row in range(reals.shape[1]):
            x, word, whole = reals[c, row], words[c, row], powers[c, row] + 1
            # Digits up to the last that is not 0.
            length = 8 - (_zeros_before(word) >> 3)
            word |= _ZEROS
            # Noughts and then the digits, or the point behind so many of the digits.
            small = whole <= 0
            bits = np.uint64((0 if small else 8 * whole) & 63)
            start = _NOUGHT if small else (word & ((one << bits) - one)) | (np.uint64(46) << bits)
            rest = word >> bits
            shift = np.uint64((16 - 8 * whole if small else 8 * whole + 8) & 63)
            below = (start & ((one << shift) - one)) | (rest << shift)
            above = rest >> ((np.uint64(64) - shift) & np.uint64(63))
            size = length + 2 - whole if small else (whole if length <= whole else length + 1)
            minus = x < 0.0
            low[c, row] = (below << np.uint64(8)) | np.uint64(45) if minus else below
            high[c, row] = (above << np.uint64(8)) | (below >> np.uint64(56)) if minus else above
            plain = (abs(x) > 0.0) & (abs(x) < np.inf) & (whole >= -3) & (whole <= 6)
            lengths[c, row] = (size + 1 if minus else size) if plain else 0
