"""How large the chunks of a Zarr array would become, looked at before any is decoded.

A few kilobytes can unpack to gigabytes. blosc, lz4 and mostly zstd say in their first bytes what a chunk
unpacks to, and their decoders make no more of it (Blosc chunk format; numcodecs' lz4 with its four bytes;
RFC 8878, 3.1.1.1). What does not say so is unpacked piece by piece, and no further than it may go.
"""

import bz2
import gzip
import io
import math
import os
import stat
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import zarr
from zarr.registry import get_numcodec

from noisegate.errors import BadInput

COMPRESSORS = ("blosc", "zstd", "gzip", "zlib", "lz4", "bz2")
_HINT = "write it anew with blosc or zstd alone, as vcf2zarr does"
_LEAST = 2**20  # what any chunk may unpack to
_TEXT = 2**26  # and one of texts, whose length nothing else tells
_WIDER = 16  # times that filters may make a value longer
_PIECE = 2**20
_ABSENT = 2**64 - 1  # in the index of a shard
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class Packing:
    """How chunks are packed: by what ("" for nothing), and whether they lie in shards.

    A shard has an index at its end or start; `checksum` is the length of what follows that, and `trailer`
    that of what follows each chunk. `texts` is whether chunks hold texts of any length.
    """

    compressor: str
    sharded: bool = False
    index_first: bool = False
    checksum: int = 0
    trailer: int = 0
    texts: bool = False


def packing(source: Path, name: str, said: Mapping[str, Any]) -> Packing:
    """Return how an array is packed, from its metadata of Zarr format 2 or 3.

    Raises:
        BadInput: in more ways than one, so that its first bytes do not tell how large it becomes.
    """
    if "codecs" not in said:
        filters = _names(said.get("filters"))
        if any(codec in COMPRESSORS for codec in filters) or (_texts(filters) and len(filters) > 1):
            raise _odd(source, name)
        return Packing(next(iter(_names([said.get("compressor")])), ""), texts=_texts(filters))
    names = _names(said["codecs"])
    if "sharding_indexed" not in names:
        return _packing(source, name, names)
    settings = said["codecs"][-1].get("configuration", {})
    index, inner = _names(settings.get("index_codecs")), _names(settings.get("codecs"))
    first = settings.get("index_location", "end") == "start"
    if names[-1] != "sharding_indexed" or names.count("sharding_indexed") > 1 or "sharding_indexed" in inner:
        raise _odd(source, name)
    if index not in (["bytes"], ["bytes", "crc32c"]):
        raise _odd(source, name)
    found = _packing(source, name, inner)
    return replace(found, sharded=True, index_first=first, checksum=4 * (len(index) - 1))


def check(source: Path, name: str, array: zarr.Array[Any], packed: Packing) -> None:
    """Refuse an array with a chunk that becomes larger than its shape and type allow.

    Raises:
        BadInput: there is one, or what is there is no file.
    """
    values = math.prod(array.chunks)
    most = _TEXT if array.dtype.kind in "OT" else max(_LEAST, _WIDER * values * array.dtype.itemsize)
    inner = math.prod(-(-s // c) for s, c in zip(array.shards or array.chunks, array.chunks, strict=True))
    for file in _files(source / name):
        # A pipe would be waited for, so it is opened without waiting.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                raise BadInput(
                    f"{source.name}: a chunk of {name} is no regular file", "copy the folder again"
                )
            parts = [(0, about.st_size)]
            if packed.sharded:
                parts = _parts(descriptor, about.st_size, inner, packed)
            if about.st_size > most * inner or any(
                _unpacked(descriptor, place, length, packed.compressor, most) > most
                for place, length in parts
            ):
                raise BadInput(f"{source.name}: a chunk of {name} unpacks to more than {most:,} bytes", _HINT)
            if packed.texts and any(_claimed(descriptor, *part, packed) > values for part in parts):
                raise BadInput(f"{source.name}: a chunk of {name} claims more than {values:,} texts", _HINT)
        finally:
            os.close(descriptor)


def _files(folder: Path) -> Iterator[Path]:
    for where, _, files in os.walk(folder):
        yield from (Path(where) / file for file in files if file != "zarr.json" and not file.startswith("."))


def _parts(descriptor: int, size: int, inner: int, packed: Packing) -> list[tuple[int, int]]:
    """Return where the chunks of a shard lie; what cannot be is left to the decoder, which refuses it."""
    length = 16 * inner
    start = 0 if packed.index_first else size - length - packed.checksum
    if start < 0 or length > size:
        return []
    index = np.frombuffer(os.pread(descriptor, length, start), "<u8")
    pairs = index[: 2 * (len(index) // 2)].reshape(-1, 2).tolist()
    return [(place, long) for place, long in pairs if place != _ABSENT and place + long <= size]


def _unpacked(descriptor: int, place: int, length: int, compressor: str, most: int) -> int:
    """Return how many bytes a chunk becomes, or any number above `most`."""
    head = os.pread(descriptor, min(length, 18), place)
    match compressor:
        case "":
            return length
        case "blosc":
            return int.from_bytes(head[4:8], "little")
        case "lz4":
            return int.from_bytes(head[:4], "little")
        case "zstd" if (size := _zstd_size(head)) is not None:
            return size
        case _:
            return _measured(os.pread(descriptor, length, place), compressor, most)


def _claimed(descriptor: int, place: int, length: int, packed: Packing) -> int:
    """Return how many texts a chunk says it has, which room is made for before they are read."""
    content = os.pread(descriptor, length, place)
    content = content[: len(content) - packed.trailer]
    if packed.compressor:
        content = bytes(get_numcodec({"id": packed.compressor}).decode(content))
    return int.from_bytes(content[:4], "little")


def _zstd_size(head: bytes) -> int | None:
    """Return the size that the header of a frame states; None where it does not."""
    if head[:4] != _ZSTD or len(head) < 6:
        return None
    single, flag = head[4] >> 5 & 1, head[4] >> 6
    long = (single, 2, 4, 8)[flag]
    start = 5 + (1 - single) + (0, 1, 2, 4)[head[4] & 3]
    size = int.from_bytes(head[start : start + long], "little")
    return None if long == 0 else size + (256 if long == 2 else 0)


def _measured(content: bytes, compressor: str, most: int) -> int:
    """Unpack piece by piece, keeping none, until there is more than `most`."""
    size = 0
    try:
        for piece in _pieces(content, compressor):
            size += piece
            if size > most:
                break
    except (OSError, EOFError, zlib.error, pa.ArrowException):
        pass  # damaged: so says its decoder, which gets no further either
    return size


def _pieces(content: bytes, compressor: str) -> Iterator[int]:
    if compressor == "zlib":
        unpacker, left = zlib.decompressobj(), content
        while piece := unpacker.decompress(left, _PIECE):
            left = unpacker.unconsumed_tail
            yield len(piece)
        return
    raw = io.BytesIO(content)
    stream: Any
    match compressor:
        case "gzip":
            stream = gzip.GzipFile(fileobj=raw)
        case "bz2":
            stream = bz2.BZ2File(raw)
        case _:
            stream = pa.CompressedInputStream(pa.BufferReader(content), "zstd")
    while piece := stream.read(_PIECE):
        yield len(piece)


def _packing(source: Path, name: str, codecs: list[str]) -> Packing:
    """Return what a list of codecs does: one compressor at most, behind which there may be a checksum."""
    found = [codec for codec in codecs if codec in COMPRESSORS]
    behind = codecs[codecs.index(found[0]) + 1 :] if found else codecs[1:]
    checksums = behind.count("crc32c")
    if len(found) > 1 or (found and checksums < len(behind)):
        raise _odd(source, name)
    if _texts(codecs) and set(codecs[1:]) - {"crc32c", *found}:
        raise _odd(source, name)
    return Packing(next(iter(found), ""), trailer=4 * checksums, texts=_texts(codecs))


def _texts(codecs: list[str]) -> bool:
    return any(codec.startswith("vlen-") for codec in codecs)


def _names(codecs: object) -> list[str]:
    entries = codecs if isinstance(codecs, list) else []
    named = (entry.get("id", entry.get("name")) for entry in entries if isinstance(entry, dict))
    return [str(name).removeprefix("numcodecs.") for name in named]


def _odd(source: Path, name: str) -> BadInput:
    return BadInput(f"{source.name}: {name} is packed in more ways than one", _HINT)
