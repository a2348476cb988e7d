"""Frames of zstd that hold bytes as they are, which every reader of zstd unpacks, and ours without a copy.

A frame begins with its magic number, a byte that says that four with the size of the content follow, and
those; then come blocks of 128 KiB, the last of what is left, each behind three bytes with its size and
whether it is the last (RFC 8878, 3.1.1).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from noisegate.genotypes.pooled import pooled

Bytes = NDArray[np.uint8]

_BEGIN = b"\x28\xb5\x2f\xfd\xa0"
_BLOCK = 2**17


def size_of(content: int) -> int:
    """Return how long a frame of so many bytes is."""
    return content + sum(map(len, _heads(content)))


def framed(content: Bytes) -> Bytes:
    """Return a frame of some bytes, fewer than 2^32."""
    frame: Bytes = pooled(size_of(content.size), np.uint8)
    at = 0
    for head, block in zip(_heads(content.size), _blocks(content), strict=True):
        end = at + len(head) + block.size
        frame[at : at + len(head)], frame[at + len(head) : end] = np.frombuffer(head, np.uint8), block
        at = end
    return frame


def parts(content: Bytes) -> list[Bytes]:
    """Return the memory that a frame is read into, part by part, so that its content is in place then."""
    found: list[Bytes] = []
    for head, block in zip(_heads(content.size), _blocks(content), strict=True):
        found += [np.empty(len(head), np.uint8), block]
    return found


def fit(read: list[Bytes]) -> bool:
    """Whether what was read into the parts is such a frame."""
    heads = tuple(part.tobytes() for part in read[0::2])
    return heads == _heads(sum(part.size for part in read[1::2]))


def _blocks(content: Bytes) -> list[Bytes]:
    return [content[at : at + _BLOCK] for at in range(0, content.size, _BLOCK)]


@lru_cache(maxsize=16)
def _heads(content: int) -> tuple[bytes, ...]:
    """Return what stands before each block."""
    sizes = [min(_BLOCK, content - at) for at in range(0, content, _BLOCK)]
    found = [(size << 3 | (at == len(sizes) - 1)).to_bytes(3, "little") for at, size in enumerate(sizes)]
    return (_BEGIN + content.to_bytes(4, "little") + found[0], *found[1:])
