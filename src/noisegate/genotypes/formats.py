"""Every genotype format there is, found by a file's name and first bytes.

| format | source | read by | written |
|---|---|---|---|
| `store` | a folder this package made | `store.py` | (a copy) |
| `bed` | .bed, with .bim and .fam | `plink.py` | yes |
| `pgen` | .pgen, with .pvar and .psam | `pgen.py` | yes |
| `vcf` | .vcf, .vcf.gz, .vcf.bgz, .bcf | `vcf_store.py` | .vcf.gz |
| `vcf-zarr` | a folder with call_genotype | `vcf_zarr.py` | yes |
| `parquet` | .parquet, a row a variant | `variant_rows.py` | yes |
| `matrix` | .csv, .tsv, .txt, .parquet, a row a person | `matrix.py` | no |
| `consumer` | raw data of 23andMe or AncestryDNA, a file or a folder of them | `consumer.py` | no |

This module is light: what it dispatches to, and the libraries they need, are imported when they are used.
"""

import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from noisegate.errors import BadInput
from noisegate.genotypes import manifest as manifests
from noisegate.genotypes import raw_data
from noisegate.genotypes.extra import genome_libraries
from noisegate.genotypes.reading import agreed_build
from noisegate.genotypes.text import Told, regular, silent, unreadable, unzipped
from noisegate.genotypes.variants import Variants

if TYPE_CHECKING:
    from noisegate.genotypes.store import Store

READ = ("store", "bed", "pgen", "vcf", "vcf-zarr", "parquet", "matrix", "consumer")
# The formats that are written, each with what its file or folder is called.
WRITTEN = {"bed": ".bed", "pgen": ".pgen", "vcf": ".vcf.gz", "vcf-zarr": ".vcz", "parquet": ".parquet"}
_ENDINGS = {
    **dict.fromkeys((".bed", ".bim", ".fam"), "bed"),
    **dict.fromkeys((".pgen", ".pvar", ".pvar.zst", ".psam"), "pgen"),
    **dict.fromkeys((".vcf", ".vcf.gz", ".vcf.bgz", ".bcf"), "vcf"),
    **dict.fromkeys((".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz", ".parquet"), "matrix"),
}
# Files of these endings; a folder may have any name.
ENDINGS = tuple(_ENDINGS)
_SIGNS = {
    b"##fileformat=VCF": "vcf",
    b"BCF\x02": "vcf",
    b"l\x1b\x00": "bed",
    b"l\x1b\x01": "bed",
    b"l\x1b\x02": "pgen",
    b"l\x1b\x10": "pgen",
    b"PAR1": "parquet",
}
_TABLES = ("matrix", "consumer")
_PLANES = "call_planes"  # layout.CALLS, whose module needs zarr


def detect(source: Path) -> str:
    """Return the format of a file or folder, by its name and its first bytes.

    Raises:
        BadInput: there is no such file, its format is not known, or its content is of another than its name.
    """
    if source.is_dir():
        return _folder(source)
    name = source.name.casefold()
    named = next((kind for ending, kind in _ENDINGS.items() if name.endswith(ending)), "")
    for kind in ("bed", "pgen"):
        if not named and _beside(source, f".{kind}").is_file():
            return kind
    if not named:
        raise BadInput(
            f"{source.name}: its format cannot be told from its name",
            f"say which ({', '.join(READ)}), or let it end in {', '.join(ENDINGS)}",
        )
    found = _signed(source)
    if name.endswith(".parquet") and found in ("", "parquet"):
        return "parquet" if "calls" in manifests.header(source) else "matrix"
    if found and found != named:
        raise BadInput(f"{source.name}: it is named as {named}, but its content is {found}", "rename it")
    if named == "matrix" and raw_data.is_raw_data(source):
        return "consumer"
    return named


def read_into(
    source: Path,
    target: Path,
    *,
    format: str | None = None,  # noqa: A002  (the word of the field)
    public: bool = False,
    build: str = "",
    manifest: Path | None = None,
    person: str = "",
    progress: Told = silent,
) -> "Store":
    """Import a file or folder of any format into a store, which appears under its name once it is whole.

    Args:
        source: what to import.
        target: the store to make, a folder.
        format: one of READ; found by `detect` where it is not given.
        public: whether all of it may be seen by anybody.
        build: the genome build of the positions, where the source does not say it.
        manifest: a public list of variants, for tables of calls and raw data (`manifest.py`).
        person: the column that names the person, in a table of calls (`matrix.py`).
        progress: told the share that is done, in [0, 1].

    Raises:
        BadInput: the source is not a whole one of its format; the message names file and line. Nothing is
            left behind.
        CatalogError: a store that is damaged.
        SetupError: a library is missing.
    """
    kind = format or detect(source)
    if kind not in READ:
        raise BadInput(f"there is no format {kind!r}", f"it is one of {', '.join(READ)}")
    if manifest is not None and kind not in _TABLES:
        raise BadInput(f"{source.name}: {kind} names its variants itself", "leave the manifest out")
    listed = manifests.read(manifest) if manifest is not None else None
    with genome_libraries():
        match kind:
            case "bed":
                from noisegate.genotypes import plink

                return plink.read(source, target, public=public, build=build, progress=progress)
            case "pgen":
                from noisegate.genotypes import pgen

                return pgen.read(source, target, public=public, build=build, progress=progress)
            case "vcf":
                from noisegate.genotypes import vcf_store

                return vcf_store.read(source, target, public=public, build=build, progress=progress)
            case "vcf-zarr":
                from noisegate.genotypes import vcf_zarr

                return vcf_zarr.read(source, target, public=public, build=build, progress=progress)
            case "parquet":
                from noisegate.genotypes import variant_rows

                return variant_rows.read(source, target, public=public, build=build, progress=progress)
            case "matrix":
                from noisegate.genotypes import matrix

                return matrix.read(
                    source,
                    target,
                    public=public,
                    build=build,
                    manifest=listed,
                    person=person,
                    progress=progress,
                )
            case "consumer":
                from noisegate.genotypes import consumer

                return consumer.read(
                    source, target, public=public, build=build, manifest=listed, progress=progress
                )
            case _:
                return _copied(source, target, public, build, progress)


def write_from(
    store: "Store",
    target: Path,
    format: str,  # noqa: A002  (the word of the field)
    progress: Told = silent,
) -> None:
    """Export a store to one of the formats WRITTEN; what is written appears once it is whole.

    Raises:
        BadInput: no such format, the target exists, or the format cannot hold the variants.
        SetupError: a library is missing.
    """
    if format not in WRITTEN:
        raise BadInput(f"there is no format {format!r} to write", f"it is one of {', '.join(WRITTEN)}")
    with genome_libraries():
        match format:
            case "bed":
                from noisegate.genotypes import plink

                plink.write(store, target, progress)
            case "pgen":
                from noisegate.genotypes import pgen

                pgen.write(store, target, progress)
            case "vcf":
                from noisegate.genotypes import vcf_store

                vcf_store.write(store, target, progress)
            case "vcf-zarr":
                from noisegate.genotypes import vcf_zarr

                vcf_zarr.write(store, target, progress)
            case _:
                from noisegate.genotypes import variant_rows

                variant_rows.write(store, target, progress)


def files_of(source: Path) -> list[Path]:
    """Return every file that a source is made of, in the order of their paths: what a digest of it covers."""
    if source.is_dir():
        return sorted(file for file in source.rglob("*") if file.is_file())
    several = {"bed", "pgen"}
    kinds = {kind for ending, kind in _ENDINGS.items() if source.name.casefold().endswith(ending)} or several
    endings = [ending for ending, kind in _ENDINGS.items() if kind in kinds & several]
    return [file for ending in endings if (file := _beside(source, ending)).is_file()] or [source]


def sites(
    source: Path,
    *,
    format: str | None = None,  # noqa: A002  (the word of the field)
    manifest: Path | None = None,
    person: str = "",
    most: int | None = None,
) -> Variants | None:
    """Return the variants that a source would be imported with, the first `most` of them, without its calls.

    None where they are only known once it is imported: tables of letters and raw data without a manifest, and
    a .pvar that is compressed by zstd.

    Raises:
        BadInput: as `read_into`.
    """
    kind = format or detect(source)
    if manifest is not None:
        return manifests.read(manifest, most)
    match kind:
        case "bed":
            return manifests.read(_beside(source, ".bim"), most)
        case "pgen":
            listed = _beside(source, ".pvar")
            return manifests.read(listed, most) if listed.is_file() else None
        case "matrix":
            names = manifests.header(source)
            others = [name for name in names if name != (person or names[0])]
            return None if manifests.has_letters(source) else manifests.unplaced(others[:most])
        case "consumer":
            return None
        case _:
            return manifests.read(source, most)


def _beside(source: Path, ending: str) -> Path:
    """Return the file of another ending that belongs to a PLINK file, or to the common name of several."""
    own = [known for known in (".pvar.zst", *_ENDINGS) if source.name.endswith(known)]
    return source.with_name(source.name.removesuffix(own[0] if own else "") + ending)


def _copied(source: Path, target: Path, public: bool, build: str, progress: Told) -> "Store":
    """Return a copy of a store, marked public or not as is said now."""
    from noisegate.genotypes.importing import filling
    from noisegate.genotypes.store import Store

    store = Store.open(source)
    if store.noisy:
        raise BadInput(
            f"{source.name}: it holds a release, to which noise was added", "name the original store"
        )
    with filling(
        target,
        samples=store.samples,
        variants=store.variants,
        build=agreed_build(source, build, store.build),
        public=public,
        provenance=store.provenance,
        told=progress,
    ) as filled:
        for _, block in store.blocks():
            filled.add_packed(block)
        return filled.finish()


def _folder(source: Path) -> str:
    if (source / _PLANES).is_dir():
        return "store"
    if (source / "call_genotype").is_dir():
        return "vcf-zarr"
    texts = [file for file in source.iterdir() if file.name.lower().endswith(raw_data.ENDINGS)]
    if texts and all(map(raw_data.is_raw_data, texts)):
        return "consumer"
    raise BadInput(
        f"{source.name}: a folder that is no genotype store, no VCF Zarr and not full of raw data files",
        "name a file in it",
    )


def _signed(source: Path) -> str:
    """Return the format that the first bytes of a file show, inside gzip too; "" where they show none."""
    regular(source)
    try:
        with source.open("rb") as raw:
            head = raw.read(16)
            if head[:2] == b"\x1f\x8b":
                raw.seek(0)
                head = unzipped(raw).read(16)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(source, error) from error
    if not head:
        raise BadInput(f"{source.name}: the file is empty", "copy it again")
    return next((kind for sign, kind in _SIGNS.items() if head.startswith(sign)), "")
