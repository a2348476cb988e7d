"""SHA-256 of two buffers at once (FIPS 180-4).

A processor's SHA instructions (Intel's Software Developer's Manual, SHA256RNDS2) wait for each other
within one message, so that two messages side by side take hardly longer than one; chunks are written at
the pace of their hashing. What is computed is plain SHA-256 of each: where there are no such
instructions, or where a trial does not agree with hashlib, hashlib computes it.
"""

import hashlib
import platform
from functools import cache
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_BLOCK = 64
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_FOUR = ir.VectorType(_I32, 4)
_declared: Any = cgutils.get_or_insert_function


def of_two(first: Bytes, second: Bytes) -> tuple[bytes, bytes]:
    """Return the SHA-256 of each of two buffers, uint8 of one dimension.

    >>> of_two(np.zeros(3, np.uint8), np.zeros(0, np.uint8))[1].hex()[:16]
    'e3b0c44298fc1c14'
    """
    if not _usable():
        return _asked(first), _asked(second)
    return _of_two(first, second)


@cache
def _usable() -> bool:
    """Whether the instructions are there, are compiled for, and agree with hashlib."""
    config: Any = numba.config
    if config.DISABLE_JIT or platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    if config.CPU_FEATURES is not None:
        features = config.CPU_FEATURES.split(",")
        there = "+sha" in features and "+ssse3" in features
    else:
        try:
            found = llvmlite.binding.get_host_cpu_features()
        except RuntimeError:
            return False
        there = bool(found.get("sha")) and bool(found.get("ssse3"))
    if not there:
        return False
    trial = np.arange(1_000, dtype=np.uint32).view(np.uint8)
    return all(
        _of_two(trial[:a], trial[a : a + b]) == (_asked(trial[:a]), _asked(trial[a : a + b]))
        for a, b in ((0, 55), (56, 64), (1_003, 1_000), (640, 640))
    )


def _asked(data: Bytes) -> bytes:
    return hashlib.sha256(data.data).digest()


def _of_two(first: Bytes, second: Bytes) -> tuple[bytes, bytes]:
    state = np.array(_INITIAL * 2, np.uint32)
    whole = min(first.size, second.size) // _BLOCK
    if whole:
        _run(first, second, whole, state)
    done = whole * _BLOCK
    found = []
    for place, data in enumerate((first, second)):
        # What one has more, and the padding, are hashed for both; the other's state is left aside.
        rest = data[done:]
        zeros = (-rest.size - 9) % _BLOCK
        end = [rest, np.array([0x80], np.uint8), np.zeros(zeros, np.uint8)]
        end.append(np.frombuffer((8 * data.size).to_bytes(8, "big"), np.uint8))
        padded, alone = np.concatenate(end), state.copy()
        _run(padded, padded, padded.size // _BLOCK, alone)
        f, e, b, a, h, g, d, c = alone[8 * place : 8 * place + 8].tolist()
        found.append(b"".join(word.to_bytes(4, "big") for word in (a, b, c, d, e, f, g, h)))
    return found[0], found[1]


def _roots(power: int, count: int) -> list[int]:
    """Return the first 32 bits of the fractions of roots of the first primes, in integers."""
    found: list[int] = []
    primes: list[int] = []
    number = 2
    while len(primes) < count:
        if all(number % prime for prime in primes):
            primes.append(number)
            low, high = 0, number << 32
            while low < high:
                middle = (low + high + 1) // 2
                low, high = (middle, high) if middle**power <= number << 32 * power else (low, middle - 1)
            found.append(low & 0xFFFFFFFF)
        number += 1
    return found


_ROUND = _roots(3, 64)
_A, _B, _C, _D, _E, _F, _G, _H = _roots(2, 8)
_INITIAL = [_F, _E, _B, _A, _H, _G, _D, _C]  # as the instructions have it: two vectors, f lowest and h lowest


@intrinsic
def _blocks(_, first, second, count, state):  # type: ignore[no-untyped-def]
    """Take `count` blocks of each buffer into the two states."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def data(place: int) -> Any:
            array = context.make_array(signature.args[place])(context, builder, arguments[place])
            return builder.bitcast(array.data, ir.IntType(8).as_pointer())

        def function(name: str, count: int) -> Any:
            return _declared(builder.module, ir.FunctionType(_FOUR, [_FOUR] * count), name)

        def at(pointer: Any, offset: Any) -> Any:
            return builder.bitcast(builder.gep(pointer, [offset]), _FOUR.as_pointer())

        def bytes_at(pointer: Any, offset: int) -> Any:
            return at(pointer, ir.Constant(_I64, offset))

        def shuffled(a: Any, b: Any, *places: int) -> Any:
            return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_I32, 4), list(places)))

        rounds = function("llvm.x86.sha256rnds2", 3)
        before, after = function("llvm.x86.sha256msg1", 2), function("llvm.x86.sha256msg2", 2)
        swap = function("llvm.bswap.v4i32", 1)
        buffers, states = (data(0), data(1)), data(3)
        start = [builder.load(bytes_at(states, 16 * i), align=4) for i in range(4)]
        entry, loop, end = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.branch(loop)
        builder.position_at_end(loop)
        number = builder.phi(_I64)
        number.add_incoming(ir.Constant(_I64, 0), entry)
        old = [builder.phi(_FOUR) for _ in start]
        for phi, value in zip(old, start, strict=True):
            phi.add_incoming(value, entry)
        offset = builder.mul(number, ir.Constant(_I64, _BLOCK))
        words = [
            [
                builder.call(swap, [builder.load(bytes_at(builder.gep(b, [offset]), 16 * i), align=1)])
                for i in range(4)
            ]
            for b in buffers
        ]
        new = list(old)
        for t in range(16):
            for lane, w in enumerate(words):
                if t > 3:
                    sums = builder.add(
                        builder.call(before, [w[t - 4], w[t - 3]]), shuffled(w[t - 2], w[t - 1], 1, 2, 3, 4)
                    )
                    w.append(builder.call(after, [sums, w[t - 1]]))
                keyed = builder.add(w[t], ir.Constant(_FOUR, _ROUND[4 * t : 4 * t + 4]))
                upper, lower = new[2 * lane], new[2 * lane + 1]
                lower = builder.call(rounds, [lower, upper, keyed])
                upper = builder.call(rounds, [upper, lower, shuffled(keyed, keyed, 2, 3, 0, 0)])
                new[2 * lane], new[2 * lane + 1] = upper, lower
        new = [builder.add(a, b) for a, b in zip(new, old, strict=True)]
        following = builder.add(number, ir.Constant(_I64, 1))
        number.add_incoming(following, loop)
        for phi, value in zip(old, new, strict=True):
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, arguments[2]), loop, end)
        builder.position_at_end(end)
        for i, value in enumerate(new):
            builder.store(value, bytes_at(states, 16 * i), align=4)
        return context.get_dummy_value()

    return types.void(first, second, count, state), generate


@njit(cache=True, nogil=True)
def _run(first, second, count, state):  # type: ignore[no-untyped-def]
    _blocks(first, second, count, state)  # type: ignore[call-arg]
