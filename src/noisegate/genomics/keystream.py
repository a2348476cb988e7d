"""The key stream of a release: uniform 64-bit words, each with a name.

TRUSTED. A stream is named by a chunk and a domain. Its word number n is one half of an AES-128 block:

    AES(key, domain ‖ chunk ‖ n // 2), 1 + 7 + 8 bytes, most significant first;
    bytes 0 to 7 of that where n is even, 8 to 15 where n is odd, read least significant byte first.

So a stream is AES in counter mode (NIST SP 800-38A, 6.5), no two names have a block in common, and a word
is the same whoever draws it, when, and in which order. Nothing here has state but the key. PROOFS.md,
"Key stream".
"""

from enum import IntEnum

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from noisegate.genomics.keys import ReleaseKey

Words = NDArray[np.uint64]

BLOCK = 16
CHUNKS = 2**56
_PIECE = 2**18
_ZEROS = memoryview(bytes(_PIECE))


class Domain(IntEnum):
    """What words are for. Each name but PICK begins 16 domains: `bernoulli` takes 13, one for each round
    of a comparison and one for its tail.
    """

    NOISE = 0
    TAIL = 12
    FAMILY = 13
    CHOICE = 14
    THIN = 16
    PICK = 24
    SYNTHETIC = 32
    TWIN = 64


class KeyStream:
    """The streams of one release. Thread-safe."""

    __slots__ = ("_key",)

    def __init__(self, key: ReleaseKey) -> None:
        """Take the key of a release."""
        self._key = key

    def words(self, chunk: int, domain: int, count: int, counter: int = 0) -> Words:
        """Return `count` words of a stream in order, as uint64 of shape (count,).

        Args:
            chunk: from 0 to 2**56 - 1.
            domain: from 0 to 255; see `Domain`.
            count: how many.
            counter: the block to begin with, so that the first word is number 2 * counter.
        """
        cipher = Cipher(
            algorithms.AES128(self._key.reveal()), modes.CTR(block_of(chunk, domain, counter, count))
        )
        encryptor = cipher.encryptor()
        stream = bytearray(8 * count)
        with memoryview(stream) as view:
            for start in range(0, len(view), _PIECE):
                piece = view[start : start + _PIECE]
                encryptor.update_into(_ZEROS[: len(piece)], piece)
        return np.frombuffer(stream, "<u8").astype(np.uint64, copy=False)

    def at(self, chunk: int, domain: int, numbers: Words) -> Words:
        """Return the words of these numbers in a stream, in the order of `numbers`, both uint64 (count,)."""
        blocks = np.empty((len(numbers), 2), ">u8")
        blocks[:, 0] = int.from_bytes(block_of(chunk, domain, 0, 0)[:8])
        blocks[:, 1] = numbers >> np.uint64(1)
        # One block at a time, as counter mode does it: the blocks named here do not follow each other.
        encryptor = Cipher(algorithms.AES128(self._key.reveal()), modes.ECB()).encryptor()  # noqa: S305
        halves = np.frombuffer(encryptor.update(blocks.tobytes()), "<u8").reshape(-1, 2)
        return halves[np.arange(len(numbers)), (numbers & np.uint64(1)).astype(np.intp)].astype(np.uint64)

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return "<key stream>"


def block_of(chunk: int, domain: int, counter: int, count: int) -> bytes:
    """Return the counter block, 16 bytes, that a stretch of `count` words begins with.

    Raises:
        ValueError: there is no such stretch.
    """
    if not (0 <= chunk < CHUNKS and 0 <= domain < 256 and counter >= 0 and count >= 0):
        raise ValueError("no such words in a key stream")
    if counter + count // 2 >= 2**63:
        raise ValueError("past the end of a key stream")
    return domain.to_bytes(1) + chunk.to_bytes(7) + counter.to_bytes(8)
