"""Variants as bytes, for who writes them out by the hundred thousand: no Python object each, no copy.

What a store holds is read straight from its Zarr chunks (Zarr v3, codec "vlen-utf8": a chunk is the number
of its strings and then each string's length and UTF-8 bytes, numbers of 32 bits), and compared with the
store's digest of its variants.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from noisegate.genotypes.pooled import pooled
from noisegate.genotypes.variants import Text, Variants

Bytes = NDArray[np.uint8]
Places = NDArray[np.int32] | NDArray[np.int64]

_MOST = 2**31 - 1  # bytes of a chunk, and of what 32 bits find their way in


@dataclass(frozen=True, slots=True, eq=False)
class Strings:
    """Strings in UTF-8: that of row r is data[starts[r]:stops[r]].

    `data` is uint8; `starts` and `stops` are int32 of shape (rows,), int64 where there are 2 GB and more.
    """

    data: Bytes
    starts: Places
    stops: Places

    @classmethod
    def of(cls, column: Text) -> "Strings":
        """Return a column of numpy strings."""
        array = pa.array(column)
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays([part.cast(pa.large_string()) for part in array.chunks])
        _, places, data = array.buffers()
        wide = pa.types.is_large_string(array.type)
        ends: Any = np.frombuffer(places, np.int64 if wide else np.int32)[array.offset :][: len(array) + 1]
        held = np.empty(0, np.uint8) if data is None else np.frombuffer(data, np.uint8)
        return cls(held, ends[:-1], ends[1:])

    @classmethod
    def of_words(cls, words: Iterable[str]) -> "Strings":
        """Return a few strings."""
        spelled = [word.encode() for word in words]
        ends = np.cumsum([0, *map(len, spelled)], dtype=np.int32)
        return cls(np.frombuffer(b"".join(spelled), np.uint8), ends[:-1], ends[1:])

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, rows: Any) -> "Strings":
        """Return some rows, by a slice, flags or places."""
        return Strings(self.data, self.starts[rows], self.stops[rows])

    def text(self, row: int) -> str:
        """Return one string."""
        return self.data[self.starts[row] : self.stops[row]].tobytes().decode()

    def alone(self) -> "Strings":
        """Return the same, without what no row has of the data."""
        lengths, data = self.stops - self.starts, self.lines()
        stops = np.cumsum(lengths + 1, dtype=_kind(len(data))) - 1
        return Strings(data, stops - lengths, stops)

    def lines(self) -> Bytes:
        """Return all strings, each with a newline behind it."""
        out: Bytes = pooled(int((self.stops - self.starts).sum()) + len(self), np.uint8)
        _joined(self.data, self.starts, self.stops, out)
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Flat:
    """Variants, column by column; see `Variants`, whose meanings and digest these are."""

    chrom: Strings
    pos: NDArray[np.int32]
    id: Strings
    ref: Strings
    alt: Strings

    @classmethod
    def of(cls, variants: Variants) -> "Flat":
        """Return the same variants."""
        columns = (Strings.of(column) for column in (variants.id, variants.ref, variants.alt))
        return cls(Strings.of(variants.chrom), variants.pos, *columns)

    def __len__(self) -> int:
        return len(self.pos)

    def __getitem__(self, rows: Any) -> "Flat":
        """Return some variants, by a slice, flags or places."""
        return Flat(self.chrom[rows], self.pos[rows], self.id[rows], self.ref[rows], self.alt[rows])

    def alone(self) -> "Flat":
        """Return the same, without what no variant has of the data."""
        columns = (column.alone() for column in (self.id, self.ref, self.alt))
        return Flat(self.chrom.alone(), self.pos, *columns)

    def digest(self) -> str:
        """Return what `Variants.digest` does."""
        whole = hashlib.sha256(f"variants {len(self.pos)}\n".encode())
        for column in (self.chrom, self.id, self.ref, self.alt):
            whole.update(column.lines().data)
        whole.update(np.ascontiguousarray(self.pos, "<i4").data)
        return whole.hexdigest()


def read(folder: Path, count: int) -> Flat | None:
    """Return the variants of a store, `count` of them; None where its arrays are not laid out as ours are.

    What is returned may be anything: its digest says whether it is what was written.
    """
    try:
        contigs = _strings(folder / "contig_id", None)
        which = _numbers(folder / "variant_contig", count)
        position = _numbers(folder / "variant_position", count)
        names = _strings(folder / "variant_id", count)
        alleles = _strings(folder / "variant_allele", 2 * count)
        return Flat(contigs[which], position, names, alleles[0::2], alleles[1::2])
    except (OSError, ValueError, IndexError):
        return None


def words(folder: Path, count: int) -> list[str] | None:
    """Return the strings of an array that have no newline in them; None as for `read`."""
    try:
        return _strings(folder, count).lines().tobytes().decode().split("\n")[:-1]
    except (OSError, ValueError):
        return None


def _kind(size: int) -> Any:
    return np.int32 if size <= _MOST else np.int64


def _numbers(folder: Path, count: int) -> NDArray[np.int32]:
    """Return the numbers of an array of int32."""
    parts = [np.frombuffer(raw, "<i4") for raw in _chunks(folder)]
    return np.concatenate(parts)[:count].astype(np.int32, copy=False)


def _strings(folder: Path, count: int | None) -> Strings:
    """Return the strings of an array: the first `count`, or those of its only chunk."""
    raws = [np.frombuffer(raw, np.uint8) for raw in _chunks(folder)]
    if not raws:
        raise ValueError("no chunk")
    here = [int.from_bytes(raw[:4].tobytes(), "little") for raw in raws]
    if any(4 * many > len(raw) for many, raw in zip(here, raws, strict=True)):
        raise ValueError("more strings than there are bytes")
    if count is not None and sum(here) < count:
        raise ValueError("strings are missing")
    size = sum(len(raw) for raw in raws)
    data = np.concatenate(raws, out=pooled(size, np.uint8))
    starts, stops = (pooled(sum(here), _kind(size)) for _ in range(2))
    before = done = 0
    for many, raw in zip(here, raws, strict=True):
        if not _parsed(raw, before, starts[done : done + many], stops[done : done + many]):
            raise ValueError("a string ends past the chunk")
        before, done = before + len(raw), done + many
    return Strings(data, starts[:count], stops[:count])


def _chunks(folder: Path) -> list[Any]:
    """Return the chunks of an array that is parted along its first dimension, unpacked, in order."""
    files = (folder / "c").iterdir()
    found = []
    for file in sorted(files, key=lambda f: int(f.name)):
        chunk = file if file.is_file() else file / "0"
        packed = chunk.read_bytes()
        found.append(pa.Codec("zstd").decompress(packed, _size(packed), asbytes=False))
    return found


def _size(packed: bytes) -> int:
    """Return the size that a zstd frame gives its content (RFC 8878, 3.1.1.1).

    Raises:
        ValueError: it gives none, or one that cannot be.
    """
    if packed[:4] != b"\x28\xb5\x2f\xfd" or len(packed) < 5:
        raise ValueError("not a frame of zstd")
    flag, single = packed[4] >> 6, packed[4] >> 5 & 1
    start = 5 + (not single) + (0, 1, 2, 4)[packed[4] & 3]
    width = (single, 2, 4, 8)[flag]
    size = int.from_bytes(packed[start : start + width], "little") + (256 if flag == 1 else 0)
    if not width or size > _MOST:
        raise ValueError("the size of the content is not given, or is too large")
    return size


# Places are without a sign below: who has one might count from the end, which is looked into each time.
@njit(cache=True, nogil=True)
def _parsed(data, before, starts, stops):  # type: ignore[no-untyped-def]
    byte, four, size = np.uint64(8), np.uint64(4), np.uint64(len(data))
    at = four
    for i in range(len(starts)):
        if at + four > size:
            return False
        length = np.uint64(0)
        for k in range(four):
            length |= np.uint64(data[at + k]) << (byte * k)
        at += four
        starts[i] = before + np.int64(at)
        at += length
        stops[i] = before + np.int64(at)
        if at > size:
            return False
    return True


@njit(cache=True, nogil=True)
def _joined(data, starts, stops, out):  # type: ignore[no-untyped-def]
    at, one = np.uint64(0), np.uint64(1)
    for i in range(len(starts)):
        for k in range(np.uint64(starts[i]), np.uint64(stops[i])):
            out[at] = data[k]
            at += one
        out[at] = 10
        at += one
