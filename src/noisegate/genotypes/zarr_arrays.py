"""Zarr folders that come from elsewhere, opened after a look at what they would make this process do.

numcodecs has codecs that run code, so only plain compressors and filters are let through. Sizes that the
metadata claims are held against the files that are there before anything of that size is asked of the
machine. A chunk that is absent would read as if it held the fill value; whether that may be is said array
by array.
"""

import json
import math
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from noisegate.errors import BadInput
from noisegate.genotypes.zarr_chunks import COMPRESSORS, Packing, check, packing

_FILTERS = (
    "shuffle",
    "bitshuffle",
    "delta",
    "packbits",
    "fixedscaleoffset",
    "astype",
    "vlen-utf8",
    "vlen-bytes",
)
_CODECS = frozenset([*COMPRESSORS, *_FILTERS, "bytes", "transpose", "crc32c", "sharding_indexed"])
# What zarr and numcodecs raise for content that is damaged; SystemError is of Blosc's header.
_DECODING = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    RuntimeError,
    SystemError,
    MemoryError,
)
_MAX_JSON = 2**26
_MAX_CHUNK = 2**30
AGAIN = "copy the folder again, or convert the VCF anew"
_ALL_CHUNKS = (
    "copy the folder again; if it is whole, chunks of zeros were left out: convert the VCF anew with "
    "ZARR_ARRAY__WRITE_EMPTY_CHUNKS=true in the environment"
)


def opened(
    source: Path, needed: Sequence[str], optional: Sequence[str] = (), may_lack_chunks: Collection[str] = ()
) -> tuple[zarr.Group, dict[str, Any]]:
    """Return the group of a folder and some of its arrays.

    Args:
        source: a Zarr folder of format 2 or 3.
        needed: the arrays that must be there.
        optional: those that are returned where they are there.
        may_lack_chunks: those whose absent chunks may be taken for the fill value.

    Raises:
        BadInput: it is none, an array is absent or incomplete, or one would need more than a compressor.
    """
    kind = _format(source)
    names = (*needed, *(name for name in optional if (source / name).is_dir()))
    packed = {name: _inspect(source, name, kind) for name in names}
    try:
        group = zarr.open_group(source, mode="r", zarr_format=kind, use_consolidated=False)
        found = {name: group[name] for name in names}
    except _DECODING as error:
        raise unreadable(source, error) from None
    for name, array in found.items():
        if not isinstance(array, zarr.Array):
            raise BadInput(f"{source.name}: {name} is no array", AGAIN)
        _check_chunks(source, name, array, may_lack=name in may_lack_chunks)
        try:
            check(source, name, array, packed[name])
        except _DECODING as error:
            raise unreadable(source, error) from None
    return group, found


def column(source: Path, array: Any, *place: slice) -> Any:
    """Return a part of an array, or all of it.

    Raises:
        BadInput: its content cannot be decoded.
    """
    try:
        return np.asarray(array[place or ...])
    except _DECODING as error:
        raise unreadable(source, error) from None


def unreadable(source: Path, error: Exception) -> BadInput:
    """Return the error for a folder that zarr cannot read."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
    return BadInput(f"{source.name}: cannot be read as Zarr: {reason}", AGAIN)


def _check_chunks(source: Path, name: str, array: zarr.Array[Any], *, may_lack: bool) -> None:
    shape = array.shards or array.chunks
    if min(*shape, *array.chunks, 1) < 1:
        raise BadInput(f"{source.name}: {name} has chunks without a value", AGAIN)
    size = math.prod(shape) * max(array.dtype.itemsize, 1)
    if size > _MAX_CHUNK:
        raise BadInput(
            f"{source.name}: {name} has chunks of {size:,} bytes", f"rechunk it: at most {_MAX_CHUNK:,}"
        )
    due = math.prod(-(-n // c) for n, c in zip(array.shape, shape, strict=True))
    if may_lack:
        return
    # Counted first: zarr would go through all chunks that a broken shape claims.
    there = sum(len(files) for _, _, files in os.walk(source / name))
    if there < due or array.nchunks_initialized != array.nchunks:
        raise BadInput(f"{source.name}: not all of the {due} chunks of {name} are there", _ALL_CHUNKS)


def _format(source: Path) -> Any:
    """Return which Zarr format a folder has, 2 or 3."""
    if (source / "zarr.json").is_file():
        return 3
    if (source / ".zgroup").is_file():
        return 2
    raise BadInput(
        f"{source.name}: not a Zarr folder", "give one that vcf2zarr made, unpacked if it was zipped"
    )


def _inspect(source: Path, name: str, kind: int) -> Packing:
    """Return how an array is packed; refuse one that would be decoded by more than a compressor."""
    file = source / name / (".zarray" if kind == 2 else "zarr.json")
    try:
        if file.stat().st_size > _MAX_JSON:
            raise BadInput(f"{source.name}: {name} has more than {_MAX_JSON} bytes of metadata", AGAIN)
        said = json.loads(file.read_bytes())
        codecs = set(_codecs([said.get("codecs"), said.get("filters"), said.get("compressor")]))
    except FileNotFoundError:
        hint = "a store of genotypes has it; vcf2zarr makes such folders"
        raise BadInput(f"{source.name}: {name} is missing, so this is no VCF Zarr", hint) from None
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise unreadable(source, error) from None
    if unknown := codecs - _CODECS:
        raise BadInput(
            f"{source.name}: {name} is packed by {', '.join(sorted(unknown))}", "use blosc or zstd"
        )
    try:
        return packing(source, name, said)
    except (AttributeError, LookupError, TypeError) as error:
        raise unreadable(source, error) from None


def _codecs(value: object) -> Iterator[str]:
    """Yield the names of all codecs that array metadata holds, those inside shards too."""
    if isinstance(value, list):
        for inner in value:
            yield from _codecs(inner)
    elif isinstance(value, dict):
        named = value.get("id", value.get("name"))
        if named is not None:
            yield str(named).removeprefix("numcodecs.")
        settings = value.get("configuration")
        if isinstance(settings, dict):
            yield from _codecs([v for v in settings.values() if isinstance(v, list | dict)])
