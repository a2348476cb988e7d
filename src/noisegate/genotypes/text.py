"""Text files of genotypes, plain, gzip or BGZF, read line by line and never further than they are whole."""

import gzip
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from noisegate.errors import BadInput

MAX_LINE = 2**28
# Sequence Alignment/Map Format Specification 4.1.2: an empty block ends every whole BGZF file.
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_TELL_EVERY = 4_096

Told = Callable[[float], None]


def silent(_: float) -> None:
    """Take note of progress and do nothing with it."""


def regular(path: Path) -> None:
    """Refuse what is not a regular file: a pipe or a device would be gone at the second reading.

    Raises:
        BadInput: there is no such file, or it is of another kind.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(mode):
        raise BadInput(f"{path.name}: not a regular file", "give a file on a local disk")


def lines(
    path: Path, told: Told = silent, *, whole: bool = True, longest: int = MAX_LINE
) -> Iterator[tuple[int, str]]:
    """Yield numbered lines, from 1, without their line ends.

    Args:
        path: a file of UTF-8 text, perhaps compressed by gzip or bgzip.
        told: told the share of the file that was read, now and then.
        whole: refuse a file whose last line has no end, as it is probably cut off.
        longest: the most bytes of a line.

    Raises:
        BadInput: not a regular file, not text, cut off, or a longer line.
    """
    regular(path)
    try:
        size = path.stat().st_size
        zipped = is_zipped(path)
        with path.open("rb") as raw:
            stream = unzipped(raw) if zipped else raw
            number, line = 0, b"\n"
            while following := stream.readline(longest):
                number, line = number + 1, following
                if len(line) == longest:
                    raise BadInput(f"{path.name}, line {number}: longer than {longest} bytes")
                if number % _TELL_EVERY == 0:
                    told(min(raw.tell() / size, 1.0))
                yield number, line.decode("utf-8").rstrip("\r\n")
            if whole and not line.endswith(b"\n"):
                raise BadInput(
                    f"{path.name}, line {number}: the last line has no end, so the file may be cut off",
                    "copy the file again, or end its last line",
                )
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise unreadable(path, error) from error


def unzipped(raw: BinaryIO) -> BinaryIO:
    """Return what a gzip or BGZF file holds, to be read from its start."""
    return gzip.GzipFile(fileobj=raw, mode="rb")  # type: ignore[return-value]


def is_zipped(path: Path) -> bool:
    """Whether the file is gzip or BGZF. A BGZF file cut between blocks is refused: it would read as whole."""
    with path.open("rb") as raw:
        head = raw.read(16)
        if head[:4] == b"\x1f\x8b\x08\x04" and head[12:14] == b"BC":
            raw.seek(-min(len(BGZF_END), path.stat().st_size), os.SEEK_END)
            if raw.read() != BGZF_END:
                raise BadInput(f"{path.name}: cut off, its last block is missing; copy it again")
    return head[:2] == b"\x1f\x8b"


def unreadable(path: Path, error: Exception) -> BadInput:
    """Return the error for a file that cannot be read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    hint = "" if isinstance(error, FileNotFoundError) else "copy the file again, and see that it may be read"
    return BadInput(f"{path.name}: cannot be read: {reason}", hint)


class Bgzf:
    """Writes BGZF: gzip in blocks of at most 64 KiB, each with its size in a field of its own (section 4.1).

    Every reader of gzip reads it; htslib can also seek in it. A context; leaving it ends the file.
    """

    _BLOCK = 65_280  # what htslib takes, so that a block that does not compress fits in 64 KiB too

    def __init__(self, path: Path) -> None:
        self._stream = path.open("wb")
        self._held = bytearray()

    def __enter__(self) -> "Bgzf":
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        try:
            if failed is None:
                self._flush(0)
                self._stream.write(BGZF_END)
        finally:
            self._stream.close()

    def write(self, data: bytes) -> None:
        """Add bytes to the end of the text."""
        self._held += data
        self._flush(self._BLOCK - 1)

    def _flush(self, keep: int) -> None:
        """Write whole blocks until at most `keep` bytes wait."""
        start = 0
        while len(self._held) - start > keep:
            block = bytes(self._held[start : start + self._BLOCK])
            start += len(block)
            self._stream.write(_bgzf_block(block))
        del self._held[:start]


def _bgzf_block(data: bytes) -> bytes:
    deflate = zlib.compressobj(5, zlib.DEFLATED, -15)
    packed = deflate.compress(data) + deflate.flush()
    if len(packed) > 65_510:
        deflate = zlib.compressobj(0, zlib.DEFLATED, -15)
        packed = deflate.compress(data) + deflate.flush()
    size = len(packed) + 25  # of the block, less one: 18 bytes before the data, 8 after
    head = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff\x06\x00BC\x02\x00" + size.to_bytes(2, "little")
    return head + packed + zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
