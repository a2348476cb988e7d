"""AES-128 for kernels of our own: whether the processor has instructions for it, round keys, and tables.

TRUSTED. FIPS 197 in a few lines; what becomes of it is compared with OpenSSL, see aes_kernel.py. PROOFS.md,
"Perturbation".
"""

import platform
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.keystream import block_of

Words = NDArray[np.uint64]
config: Any = numba.config

AES_ROUNDS = 10
# A table has rows of 8 words: 11 round keys, the first with the chunk in it, then one row a domain.
LAST_KEY = 8 * AES_ROUNDS
DOMAINS = AES_ROUNDS + 1


def width() -> int:
    """Return how many bits the AES instructions that code is compiled for take at once; 0 if it has none."""
    if config.DISABLE_JIT or platform.machine().lower() not in ("x86_64", "amd64"):
        return 0
    features = _features()
    if {"vaes", "avx512f"} <= features:
        return 512
    if {"vaes", "avx2"} <= features:
        return 256
    return 128 if {"aes", "sse4.1"} <= features else 0


def _features() -> frozenset[str]:
    """Return the processor's features that numba compiles for, by LLVM's names."""
    if config.CPU_FEATURES is not None:
        return frozenset(f[1:] for f in config.CPU_FEATURES.split(",") if f.startswith("+"))
    try:
        found = llvmlite.binding.get_host_cpu_features()
    except RuntimeError:
        return frozenset()
    return frozenset(f for f, has in found.items() if has and (config.ENABLE_AVX or not f.startswith("avx")))


WIDTH = width()


def expand(key: bytes) -> list[bytes]:
    """Return the 11 round keys of AES-128 (FIPS 197, 5.2)."""
    words = [key[i : i + 4] for i in range(0, 16, 4)]
    constant = 1
    for i in range(4, 44):
        word = words[-1]
        if i % 4 == 0:
            a, b, c, d = (SBOX[x] for x in word)
            word = bytes((b ^ constant, c, d, a))
            constant = _twice(constant)
        words.append(bytes(x ^ y for x, y in zip(word, words[i - 4], strict=True)))
    return [b"".join(words[i : i + 4]) for i in range(0, 44, 4)]


def _twice(x: int) -> int:
    """Return a byte times two in AES's field (FIPS 197, 4.2.1)."""
    return x << 1 ^ (0x11B if x & 0x80 else 0)


def _sbox() -> bytes:
    """Return what SubBytes puts for 0 to 255 (FIPS 197, 5.1.1), from the powers of 3 and their inverses."""
    powers = [1]
    while len(powers) < 255:
        powers.append(_twice(powers[-1]) ^ powers[-1])
    box = [0x63] * 256
    for i, x in enumerate(powers):
        y = powers[-i % 255]
        for _ in range(5):
            box[x] ^= y
            y = (y << 1 | y >> 7) & 0xFF
    return bytes(box)


SBOX = _sbox()


def table_of(key: bytes, chunk: int, domain: int, domains: int) -> Words:
    """Return what kernels need to draw from the streams of a chunk in `domains` domains.

    Blocks of one counter differ in their first byte alone between these domains. So AES's first round is the
    same for all of them but for one column, and is done once: row 11 + d says what that column differs by in
    domain `domain + d`.

    Returns:
        uint64, shape (8 * (11 + domains),). Secret: fill it with zeros when done.

    Raises:
        ValueError: there is no such chunk or domain.
    """
    rounds = expand(key)
    block_of(chunk, domain + domains - 1, 0, 0)
    # The counter of the first of four blocks is a multiple of four: its two lowest bits are a block's place.
    blocks = [block_of(chunk, 0, place, 0) for place in range(4)]
    rows = [b"".join(bytes(x ^ y for x, y in zip(b, rounds[0], strict=True)) for b in blocks)]
    rows += [4 * r for r in rounds[1:]]
    for d in range(domain, domain + domains):
        s = SBOX[rounds[0][0] ^ d] ^ SBOX[rounds[0][0]]
        column = bytes((_twice(s), s, s, _twice(s) ^ s))  # MixColumns of (s, 0, 0, 0)
        rows.append(4 * (column + bytes(12)))
    return np.frombuffer(bytearray(b"".join(rows)), np.uint64)
