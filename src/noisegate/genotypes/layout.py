"""How a genotype store lies on disk: one folder, a Zarr v3 group that plain zarr reads.

    zarr.json            attributes: vcf_zarr_version, "noisegate": {"header": {...}, "digest": hex}
    sample_id            string [samples]
    contig_id            string [contigs], as the source spells them
    variant_contig       int32 [variants], a row of contig_id
    variant_position     int32 [variants]
    variant_id           string [variants], empty where there is none
    variant_allele       string [variants, 2], reference and alternate
    call_planes          uint64 [variants, 2, words]: hi and lo of packed.py; a chunk a file, with all
                         people, first hi of all its variants and then lo (Zarr's transpose); zstd
                         where the calls are clear, raw where they are noisy
    call_planes_check    uint8 [chunks, 88]: size of each chunk's file (8 bytes, little end first), the
                         SHA-256 of its first size // 2 bytes and of the rest (32 and 32), and its sum
                         (16); a file a chunk, written once the chunk is on disk

Names are those of VCF Zarr (Czech et al. 2025, GigaScience), which has no name for bit-planes. Zarr makes
the metadata; chunks of calls are written and read in `chunks.py`, so that each is on disk before it
counts and is checked against its sum whenever it is read, and by SHA-256 in `Store.verify`. The digest of
a store is the SHA-256 of its header, in canonical JSON, and all rows of call_planes_check; the header
holds the digests of samples and variants.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BytesCodec, TransposeCodec, ZstdCodec

from noisegate.errors import CatalogError
from noisegate.genotypes.packed import words_of
from noisegate.genotypes.variants import MAX_VARIANTS, TEXT, Variants, unique

FORMAT = 1
VCF_ZARR = "0.4"
MAX_PEOPLE = 20_000_000
MAX_CHUNK_BYTES = 2**30
CHECK_BYTES = 88
LEVEL = -1  # of zstd: a sixth larger than 3 on linked variants, a third faster to read, twice to write
MAX_JSON = 2**24
AGAIN = "put the store back from a backup, or import its source again"
CALLS, CHECKS = "call_planes", "call_planes_check"
_TEXT_CHUNK = 65_536
_PLANES_FIRST = (1, 0, 2)
_TEXT_LEVEL = 3
_KEYS: Any = {"name": "default", "configuration": {"separator": "."}}


@dataclass(frozen=True, slots=True)
class Header:
    """What a store says about itself. `chunk` is variants a chunk; the two digests are SHA-256 in hex."""

    people: int
    variants: int
    chunk: int
    build: str
    public: bool
    noisy: bool
    samples_digest: str
    variants_digest: str
    provenance: dict[str, Any]
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Refuse what no store can be, before anything of that size is asked of the machine."""
        whole = (self.people, self.variants, self.chunk, self.format)
        if any(type(number) is not int for number in whole):
            raise ValueError("people, variants, chunk and format are whole numbers")
        if self.format != FORMAT:
            raise ValueError(f"its format is {self.format}, and {FORMAT} is read here")
        if not 0 < self.people <= MAX_PEOPLE:
            raise ValueError(f"it claims {self.people} people; 1 to {MAX_PEOPLE} can be held")
        if not 0 < self.variants <= MAX_VARIANTS:
            raise ValueError(f"it claims {self.variants} variants; 1 to {MAX_VARIANTS} can be held")
        if self.chunk <= 0 or self.chunk % 8 or self.chunk_bytes > MAX_CHUNK_BYTES:
            raise ValueError(f"it claims {self.chunk} variants a chunk: a multiple of 8 up to 1 GiB is due")
        if type(self.public) is not bool or type(self.noisy) is not bool:
            raise ValueError("public and noisy are true or false")
        if len(self.canonical()) > MAX_JSON // 16:
            raise ValueError("its provenance is too long")
        texts = (self.build, self.samples_digest, self.variants_digest)
        if any(type(word) is not str for word in texts) or type(self.provenance) is not dict:
            raise ValueError("build and digests are strings, and provenance is an object")

    @property
    def words(self) -> int:
        """Words of 64 people in one plane of one variant."""
        return words_of(self.people)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of both planes of a whole chunk."""
        return self.chunk * 2 * self.words * 8

    @property
    def chunks(self) -> int:
        """How many chunks hold all variants; the last may be part empty."""
        return -(-self.variants // self.chunk)

    def bounds(self, chunk: int) -> tuple[int, int]:
        """Return the first variant of a chunk, and the one after its last."""
        if not 0 <= chunk < self.chunks:
            raise ValueError(f"chunk {chunk} of {self.chunks}")
        return chunk * self.chunk, min((chunk + 1) * self.chunk, self.variants)

    def canonical(self) -> bytes:
        """The bytes that the store's digest begins with."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    def digest(self, checks: list[bytes]) -> str:
        """Return the store's digest, given what is kept of every chunk, in order."""
        whole = hashlib.sha256(b"noisegate genotypes\n" + self.canonical() + b"\n")
        for check in checks:
            whole.update(check)
        return whole.hexdigest()


def chunk_for(people: int, variants: int) -> int:
    """Return how many variants go in a chunk unless told: a multiple of 8, at most 4,096 and 64 MB of planes.

    >>> chunk_for(people=500_000, variants=800_000), chunk_for(people=60, variants=9)
    (504, 16)
    """
    most = max(8, min(4_096, 64_000_000 // (16 * max(1, words_of(people))) // 8 * 8))
    chunks = max(1, -(-variants // most))
    # All about as large, as the last is padded to the size of the others.
    return max(8, -(-variants // (8 * chunks)) * 8)


def samples_digest(samples: tuple[str, ...]) -> str:
    """Return the SHA-256, in hex, of the samples' names in order."""
    return hashlib.sha256("\n".join(["samples", *samples]).encode()).hexdigest()


def make(path: Path, header: Header, samples: tuple[str, ...], variants: Variants) -> None:
    """Make the folder with all but the calls. It is not yet on disk."""
    group = zarr.create_group(
        path,
        zarr_format=3,
        attributes={
            "vcf_zarr_version": VCF_ZARR,
            "source": "noisegate",
            "noisegate": {"header": asdict(header), "digest": ""},
        },
    )
    spelled, contigs = unique(variants.chrom)
    _fill(group, "sample_id", np.array(samples, dtype=TEXT), "samples")
    _fill(group, "contig_id", np.array(spelled, dtype=TEXT), "contigs")
    _fill(group, "variant_contig", contigs.astype(np.int32), "variants")
    _fill(group, "variant_position", variants.pos, "variants")
    _fill(group, "variant_id", variants.id, "variants")
    _fill(group, "variant_allele", np.stack([variants.ref, variants.alt], axis=1), "variants", "alleles")
    group.create_array(
        CALLS,
        shape=(header.variants, 2, header.words),
        chunks=(header.chunk, 2, header.words),
        dtype="uint64",
        chunk_key_encoding=_KEYS,
        filters=[TransposeCodec(order=_PLANES_FIRST)],
        serializer=BytesCodec(endian="little"),
        compressors=None if header.noisy else [ZstdCodec(level=LEVEL)],
        dimension_names=["variants", "planes", "words"],
        attributes={"planes": ["hi", "lo"], "codes": {"00": 0, "01": 1, "11": 2, "10": "missing"}},
    )
    group.create_array(
        CHECKS,
        shape=(header.chunks, CHECK_BYTES),
        chunks=(1, CHECK_BYTES),
        dtype="uint8",
        chunk_key_encoding=_KEYS,
        compressors=None,
        dimension_names=["chunks", "bytes"],
        attributes={"bytes": "8 of size, 32 and 32 of SHA-256, 16 of GMAC"},
    )


def _fill(group: zarr.Group, name: str, values: Any, *dimensions: str) -> None:
    stringy = isinstance(values.dtype, np.dtypes.StringDType)
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=(_TEXT_CHUNK, *values.shape[1:]),
        dtype="string" if stringy else values.dtype,
        compressors=[ZstdCodec(level=_TEXT_LEVEL)],
        dimension_names=list(dimensions),
        config={"write_empty_chunks": True},
    )
    array[...] = values


def read_header(path: Path) -> tuple[Header, str]:
    """Return what the folder's zarr.json says of the store, and its digest, "" where it is unfinished.

    Raises:
        CatalogError: not a store of ours, or one of another version.
    """
    file = path / "zarr.json"
    not_ours = "name the folder that an import made, or import the genotypes first: noisegate genomes import"
    try:
        if file.stat().st_size > MAX_JSON:
            raise CatalogError(f"{path.name}: zarr.json is larger than {MAX_JSON} bytes", not_ours)
        found = json.loads(file.read_bytes())
        stated = found["attributes"]["noisegate"]
        header, digest = stated["header"], stated["digest"]
        if found.get("node_type") != "group" or type(digest) is not str:
            raise TypeError
    except OSError as error:
        reason = error.strerror or str(error)
        raise CatalogError(f"{path.name}: not a genotype store: zarr.json: {reason}", not_ours) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CatalogError(f"{path.name}: not a genotype store made by Noisegate", not_ours) from None
    try:
        return Header(**header), digest
    except (TypeError, ValueError) as error:
        said = str(error) if isinstance(error, ValueError) else "its header has other fields"
        raise CatalogError(
            f"{path.name}: the store's header cannot be right: {said}",
            "put the store back from a backup, or import its source again with this version",
        ) from None


def write_header(path: Path, header: Header, digest: str) -> bytes:
    """Return the zarr.json of a finished store."""
    found = json.loads((path / "zarr.json").read_bytes())
    found["attributes"]["noisegate"] = {"header": asdict(header), "digest": digest}
    return json.dumps(found, indent=2).encode()


def check_arrays(path: Path, header: Header) -> None:
    """Compare what the arrays say of themselves with the header.

    Raises:
        CatalogError: an array is absent, or not as the header says.
    """
    due = {
        "sample_id": ([header.people], "string"),
        "variant_contig": ([header.variants], "int32"),
        "variant_position": ([header.variants], "int32"),
        "variant_id": ([header.variants], "string"),
        "variant_allele": ([header.variants, 2], "string"),
        CALLS: ([header.variants, 2, header.words], "uint64"),
        CHECKS: ([header.chunks, CHECK_BYTES], "uint8"),
    }
    try:
        said = {name: _said(path / name) for name in due}
        for name, (shape, kind) in due.items():
            if (said[name]["shape"], said[name]["data_type"]) != (shape, kind):
                raise ValueError(f"{name} is not {shape}")
        order, bytes_, *packed = said[CALLS]["codecs"]
        orders = [order["configuration"]["order"], bytes_["configuration"]["endian"]]
        if orders != [list(_PLANES_FIRST), "little"]:
            raise ValueError("call_planes lies in another order")
        if [codec["name"] for codec in packed] != ([] if header.noisy else ["zstd"]):
            raise ValueError("call_planes is packed in another way")
        if said[CALLS]["chunk_grid"]["configuration"]["chunk_shape"] != [header.chunk, 2, header.words]:
            raise ValueError("call_planes has chunks of another size")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CatalogError(
            f"{path.name}: the store's arrays do not fit its header: {error}",
            AGAIN,
        ) from None


def _said(folder: Path) -> dict[str, Any]:
    """Return what an array says of itself."""
    file = folder / "zarr.json"
    found: dict[str, Any] = json.loads(file.read_bytes()) if file.stat().st_size <= MAX_JSON else {}
    if (found["zarr_format"], found["node_type"]) != (3, "array"):
        raise ValueError(f"{folder.name} is no array")
    return found
