"""Chunks of calls on disk: encoded, durable before they count, checked whenever they are read."""

import os
from collections.abc import Sequence
from errno import EIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray

from noisegate.errors import CatalogError
from noisegate.genotypes import durable, frames, sha256
from noisegate.genotypes.layout import AGAIN, CALLS, CHECK_BYTES, CHECKS, LEVEL, Header
from noisegate.genotypes.packed import Block, Words, last_word
from noisegate.genotypes.pooled import pooled

Halves = tuple[NDArray[np.uint8], NDArray[np.uint8]]

_SUM_KEY = b"noisegate chunks"  # 16 bytes
# How many times smaller a chunk must get to be worth the time it takes to unpack. Rare variants get ten times
# smaller; common ones three times, and reading them packed takes four times as long.
_WORTH = 4
_AT_ONCE = 512  # parts of a file that are read by one call


def chunk_name(chunk: int) -> str:
    """Return where a chunk of calls lies in the store."""
    return f"{CALLS}/c.{chunk}.0.0"


def check_name(chunk: int) -> str:
    """Return where a chunk's size and SHA-256 lie in the store."""
    return f"{CHECKS}/c.{chunk}.0"


def check_of(halves: Halves) -> bytes:
    """Return what is kept of a chunk's file: its size, the SHA-256 of its two halves, and its sum."""
    size = sum(half.size for half in halves)
    return b"".join((size.to_bytes(8, "little"), *sha256.of_two(*halves), sum_of(halves)))


def sum_of(parts: Sequence[NDArray[np.uint8]]) -> bytes:
    """Return a sum of bytes, 16 of them, at six times the speed of SHA-256.

    It is GMAC (NIST SP 800-38D) under a key that is no secret: a polynomial over GF(2^128), which no mistake
    of a disk or of a copy leaves as it was but by a chance of less than 2^-90. It does not hold against
    somebody who computes what to write; they could change the store's digest too.
    """
    mac = Cipher(algorithms.AES(_SUM_KEY), modes.GCM(bytes(12))).encryptor()
    for part in parts:
        mac.authenticate_additional_data(part.data)
    mac.finalize()
    return mac.tag


def _halves(data: Any) -> Halves:
    """Return a file's bytes in two: the first holds half of them, rounded down."""
    flat = np.frombuffer(data, np.uint8)
    return flat[: flat.size // 2], flat[flat.size // 2 :]


def check(folder: Path, header: Header, chunk: int) -> bytes:
    """Return what is kept of one chunk after a look at the size of its file.

    Raises:
        CatalogError: the file is missing or of another size.
    """
    try:
        kept = (folder / check_name(chunk)).read_bytes()
        size = (folder / chunk_name(chunk)).stat().st_size
    except OSError as error:
        reason = error.strerror or str(error)
        raise CatalogError(f"{folder.name}: chunk {chunk} of the calls is missing: {reason}", AGAIN) from None
    wrong = len(kept) != CHECK_BYTES or int.from_bytes(kept[:8], "little") != size
    if wrong or (header.noisy and size != header.chunk_bytes):
        raise CatalogError(f"{folder.name}: chunk {chunk} of the calls is cut off or damaged", AGAIN)
    return kept


def write(folder: Path, header: Header, chunk: int, block: Block) -> None:
    """Put one chunk on disk, durably, then its check.

    Raises:
        ValueError: the block has bits past its last person.
    """
    past = np.uint64(~last_word(block.people) & (2**64 - 1))
    if ((block.hi[:, -1] | block.lo[:, -1]) & past).any():
        raise ValueError("a block has bits past its last person")
    old = folder / check_name(chunk)
    if old.exists():
        # A check that is there vouches for the chunk's file, so it goes before the file changes.
        old.unlink(missing_ok=True)
        durable.sync(old.parent)
    halves = _encode(block, header)
    durable.write(folder / chunk_name(chunk), *halves)
    durable.write(folder / check_name(chunk), check_of(halves))


def read(folder: Path, header: Header, chunk: int, kept: Sequence[bytes], *, fully: bool = False) -> Block:
    """Return the calls of one chunk, in memory of their own.

    Args:
        folder: the store's.
        header: the store's.
        chunk: its number.
        kept: what `check` gave for each chunk.
        fully: compare the SHA-256 too, not the sum alone.

    Raises:
        CatalogError: the file is not the one that was written.
    """
    start, stop = header.bounds(chunk)
    file = folder / chunk_name(chunk)
    size = int.from_bytes(kept[chunk][:8], "little")
    framed = not header.noisy and size == frames.size_of(header.chunk_bytes)
    raw: NDArray[np.uint8] = pooled(header.chunk_bytes if framed else size, np.uint8)
    parts = frames.parts(raw) if framed else [raw]
    try:
        _fill(file, parts)
    except OSError as error:
        raise CatalogError(f"{folder.name}: {file.name} cannot be read: {error.strerror}", AGAIN) from None
    found = check_of(_halves(_joined(parts))) if fully else sum_of(parts)
    if not kept[chunk].endswith(found):
        raise CatalogError(f"{folder.name}: {file.name} was changed or is damaged", AGAIN)
    try:
        if not header.noisy and not (framed and frames.fit(parts)):
            raw = np.frombuffer(pa.Codec("zstd").decompress(_joined(parts), header.chunk_bytes), np.uint8)
        return _block(raw, header, stop - start)
    except (OSError, ValueError):
        raise CatalogError(f"{folder.name}: {file.name} does not hold a chunk of calls", AGAIN) from None


def room(variants: int, words: int) -> Words:
    """Return a plane to be filled."""
    found: Words = pooled((variants, words), np.uint64)
    return found


def _fill(file: Path, parts: Sequence[NDArray[np.uint8]]) -> None:
    """Read a file of a known size, into memory of our own: nobody can change it once it is checked."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    left = [part.data for part in parts if part.size]
    try:
        at = 0
        while left:
            read = os.preadv(descriptor, left[:_AT_ONCE], at)
            if not read:
                raise OSError(EIO, "it is shorter than it was")
            at += read
            while left and read >= left[0].nbytes:
                read -= left.pop(0).nbytes
            if read:
                left[0] = left[0][read:]
        if os.pread(descriptor, 1, at):
            raise OSError(EIO, "it is longer than it was")
    finally:
        os.close(descriptor)


def _joined(parts: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _encode(block: Block, header: Header) -> Halves:
    """Return a chunk as it lies on disk: hi of all its variants, then lo, each padded to the full."""
    hi, lo = (_padded(plane, header.chunk) for plane in (block.hi, block.lo))
    if header.noisy:
        return _bytes(hi), _bytes(lo)
    raw = pa.py_buffer(np.concatenate((hi, lo), out=room(2 * header.chunk, header.words)))
    packed = pa.Codec("zstd", compression_level=LEVEL).compress(raw)
    return _halves(frames.framed(np.frombuffer(raw, np.uint8)) if packed.size * _WORTH > raw.size else packed)


def _padded(plane: Words, rows: int) -> Words:
    """Return a plane of so many rows, contiguous; what is added is 0."""
    if len(plane) == rows:
        return np.ascontiguousarray(plane)
    whole = room(rows, plane.shape[1])
    whole[: len(plane)], whole[len(plane) :] = plane, 0
    return whole


def _bytes(plane: Words) -> NDArray[np.uint8]:
    return plane.reshape(-1).view(np.uint8)


def _block(raw: NDArray[np.uint8], header: Header, variants: int) -> Block:
    planes = raw.view(np.uint64).reshape(2, header.chunk, header.words)
    return Block(planes[0, :variants], planes[1, :variants], header.people)
