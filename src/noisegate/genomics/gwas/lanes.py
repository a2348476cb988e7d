"""Genotypes as numbers in registers, and sums of products over people, for compiled loops.

A word of 64 people becomes 64 numbers in the first cache, and those are multiplied with rows of weights
there: genotypes never lie in memory as numbers. Rows are as long as each other and hold whole words. What is
written here for LLVM names no processor's instructions: vectors of 512 bits are cut where there are none.
"""

from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from noisegate.genotypes.packed import WORD

# Sums may be taken in any order and multiplied and added in one step; nothing else is loosened.
REASSOCIATED = {"reassoc", "contract"}
CONTRACTED = {"contract"}


def _spread(_: Any, some: Any, both: Any, out: Any, at: Any) -> Any:
    """Write 64 genotypes to out[at : at + 64], float32 or float64: 1 for a bit of `some`, 1 for `both`."""
    width = out.dtype.bitwidth
    lanes = 512 // width
    real = ir.FloatType() if width == 32 else ir.DoubleType()
    vector, flags = ir.VectorType(real, lanes), ir.VectorType(ir.IntType(1), lanes)
    one, zero = (ir.Constant(vector, [value] * lanes) for value in (1.0, 0.0))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[2])(context, builder, arguments[2]).data
        for first in range(0, WORD, lanes):
            copies = []
            for word in arguments[:2]:
                bits = builder.lshr(word, ir.Constant(word.type, first))
                chosen = builder.bitcast(builder.trunc(bits, ir.IntType(lanes)), flags)
                copies.append(builder.select(chosen, one, zero))
            place = builder.gep(data, [builder.add(arguments[3], ir.Constant(ir.IntType(64), first))])
            place = builder.bitcast(place, vector.as_pointer())
            builder.store(builder.fadd(*copies), place, align=width // 8)
        return context.get_dummy_value()

    return types.void(some, both, out, at), generate


def _from_bits(_: Any, bits: Any) -> Any:
    """Take the bits of an int32 for a float32, and of an int64 for a float64."""
    single = bits.bitwidth == 32
    real = ir.FloatType() if single else ir.DoubleType()

    def generate(*given: Any) -> Any:
        _, builder, _, (number,) = given
        return builder.bitcast(number, real)

    return (types.float32 if single else types.float64)(bits), generate


spread: Any = intrinsic(_spread)
from_bits: Any = intrinsic(_from_bits)


@njit(cache=True, nogil=True)
def copies(hi, lo, part, flipped, first, out):  # type: ignore[no-untyped-def]
    """Write the genotypes of a variant's words from `first` on; 0 for who has no call or takes no part."""
    for w in range(out.shape[0] // 64):
        both = hi[first + w] & lo[first + w] & part[first + w]
        some = lo[first + w] & part[first + w]
        if flipped:
            # Who has a call: those with `both`, and those without `hi`.
            there = both | (part[first + w] & ~hi[first + w])
            some, both = there & ~both, there & ~some
        spread(some, both, out, 64 * w)


@njit(cache=True, nogil=True, fastmath=REASSOCIATED)
def _dot(x, a):  # type: ignore[no-untyped-def]
    s = x.dtype.type(0)
    for i in range(x.shape[0]):
        s += x[i] * a[i]
    return s


@njit(cache=True, nogil=True, fastmath=REASSOCIATED)
def _dot_two(x, a, b):  # type: ignore[no-untyped-def]
    s = x.dtype.type(0)
    t = x.dtype.type(0)
    for i in range(x.shape[0]):
        s += x[i] * a[i]
        t += x[i] * b[i]
    return s, t


@njit(cache=True, nogil=True, fastmath=REASSOCIATED)
def _dot_four(x, a, b, c, d):  # type: ignore[no-untyped-def]
    s = x.dtype.type(0)
    t = x.dtype.type(0)
    u = x.dtype.type(0)
    v = x.dtype.type(0)
    for i in range(x.shape[0]):
        s += x[i] * a[i]
        t += x[i] * b[i]
        u += x[i] * c[i]
        v += x[i] * d[i]
    return s, t, u, v


@njit(cache=True, nogil=True)
def add_dots(x, rows, first, last, start, stop, found):  # type: ignore[no-untyped-def]
    """Add the products of x with rows[first:last, start:stop] to found[first:last]."""
    j = first
    while j + 4 <= last:
        s, t, u, v = _dot_four(
            x,
            rows[j, start:stop],
            rows[j + 1, start:stop],
            rows[j + 2, start:stop],
            rows[j + 3, start:stop],
        )
        found[j] += s
        found[j + 1] += t
        found[j + 2] += u
        found[j + 3] += v
        j += 4
    if j + 2 <= last:
        s, t = _dot_two(x, rows[j, start:stop], rows[j + 1, start:stop])
        found[j] += s
        found[j + 1] += t
        j += 2
    if j < last:
        found[j] += _dot(x, rows[j, start:stop])


@njit(cache=True, nogil=True, fastmath=REASSOCIATED)
def weighted(w, x, a):  # type: ignore[no-untyped-def]
    """Return the sum of w x a."""
    s = x.dtype.type(0)
    for i in range(x.shape[0]):
        s += w[i] * x[i] * a[i]
    return s


@njit(cache=True, nogil=True, fastmath=REASSOCIATED)
def _weighted_two(w, x, a, b):  # type: ignore[no-untyped-def]
    s = x.dtype.type(0)
    t = x.dtype.type(0)
    for i in range(x.shape[0]):
        product = w[i] * x[i]
        s += product * a[i]
        t += product * b[i]
    return s, t


@njit(cache=True, nogil=True, fastmath=REASSOCIATED)
def _weighted_four(w, x, a, b, c, d):  # type: ignore[no-untyped-def]
    s = x.dtype.type(0)
    t = x.dtype.type(0)
    u = x.dtype.type(0)
    v = x.dtype.type(0)
    for i in range(x.shape[0]):
        product = w[i] * x[i]
        s += product * a[i]
        t += product * b[i]
        u += product * c[i]
        v += product * d[i]
    return s, t, u, v


@njit(cache=True, nogil=True)
def add_information(w, rows, found):  # type: ignore[no-untyped-def]
    """Add the products of all rows with each other, weighted by w, to the lower triangle of `found`."""
    for j in range(rows.shape[0]):
        x = rows[j]
        i = j
        while i + 4 <= rows.shape[0]:
            s, t, u, v = _weighted_four(w, x, rows[i], rows[i + 1], rows[i + 2], rows[i + 3])
            found[i, j] += s
            found[i + 1, j] += t
            found[i + 2, j] += u
            found[i + 3, j] += v
            i += 4
        if i + 2 <= rows.shape[0]:
            s, t = _weighted_two(w, x, rows[i], rows[i + 1])
            found[i, j] += s
            found[i + 1, j] += t
            i += 2
        if i < rows.shape[0]:
            found[i, j] += weighted(w, x, rows[i])
