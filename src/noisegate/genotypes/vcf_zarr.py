"""VCF Zarr into a store, and a store into VCF Zarr.

The layout is that of the VCF Zarr specification and of bio2zarr (Czech et al. 2025, GigaScience):
call_genotype [variants, samples, ploidy] with allele numbers, -1 missing and -2 where a call has fewer
alleles; variant_position, variant_contig, contig_id, variant_allele, variant_id, sample_id. Zarr formats 2
and 3 are read. Format 2 is written, which every reader of VCF Zarr has.

Calls count as in `vcf_store.py`. A folder with chunks of calls missing is refused (`zarr_arrays.py`).
"""

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genotypes import durable
from noisegate.genotypes.importing import filling
from noisegate.genotypes.packed import WORD, Block, Calls, pack, unpack, words_of
from noisegate.genotypes.reading import ONE_COPY, agreed_build, build_said, refuse_twice
from noisegate.genotypes.store import Store
from noisegate.genotypes.text import Told, silent
from noisegate.genotypes.variants import MAX_VARIANTS, NO_ALT, TEXT, Text, Variants, contig, text
from noisegate.genotypes.zarr_arrays import AGAIN, column, opened

_NEEDED = ("sample_id", "variant_position", "variant_contig", "variant_allele", "call_genotype")
_OPTIONAL = ("contig_id", "variant_id")
# Writers leave chunks out that hold zeros or nothing: variants of the first chromosome, variants without ids.
_SPARSE = ("variant_contig", "variant_id")
_TILE = 2**26  # bytes of planes, and of alleles, that are held at a time
_WIDTH = 1_024  # people a chunk that is written: a multiple of 64
# Blosc as bio2zarr sets it; shuffle 1 is by bytes, 2 by bits.
_BLOSC: dict[str, Any] = {"id": "blosc", "cname": "zstd", "clevel": 7, "blocksize": 0}
# The two alleles of each call, by its count; the last is for -1.
_ALLELES = np.array([[0, 0], [0, 1], [1, 1], [-1, -1]], np.int8)


def read(
    source: Path, target: Path, *, public: bool = False, build: str = "", progress: Told = silent
) -> Store:
    """Import a VCF Zarr folder.

    Raises:
        BadInput: not one, one with chunks missing, or not biallelic variants with calls of two alleles; the
            message numbers the variant. Nothing is left behind.
    """
    group, found = opened(source, _NEEDED, _OPTIONAL, _SPARSE)
    samples = tuple(str(name) for name in column(source, found["sample_id"]).tolist())
    variants = _variants(source, group, found)
    calls = found["call_genotype"]
    if calls.ndim != 3 or calls.shape[:2] != (len(variants), len(samples)) or calls.shape[2] == 0:
        raise BadInput(f"{source.name}: call_genotype is not [variants, samples, ploidy]", AGAIN)
    if calls.dtype.kind != "i":
        raise BadInput(f"{source.name}: call_genotype holds {calls.dtype}, not whole numbers", AGAIN)
    refuse_twice(variants, lambda place: f"{source.name}, variant {place + 1}")
    stated = build_said(
        str(group.attrs.get("vcf_header", "")) + str(group.attrs.get("vcf_meta_information", ""))
    )
    with filling(
        target,
        samples=samples,
        variants=variants,
        build=agreed_build(source, build, stated),
        public=public,
        provenance={"format": "vcf-zarr", "source": source.name},
        told=progress,
    ) as filled:
        for block in _blocks(source, calls, variants):
            filled.add_packed(block)
        return filled.finish()


def sites(source: Path, most: int | None = None) -> Variants:
    """Return the variants of a VCF Zarr folder, the first `most` of them, without reading a call.

    Raises:
        BadInput: as `read`.
    """
    group, found = opened(source, _NEEDED[1:4], _OPTIONAL, _SPARSE)
    return _variants(source, group, found, most)


def _variants(source: Path, group: zarr.Group, found: dict[str, Any], most: int | None = None) -> Variants:
    count = found["variant_position"].shape[0]
    if not 0 < count <= MAX_VARIANTS:
        raise BadInput(f"{source.name}: {count} variants", f"1 to {MAX_VARIANTS:,} can be read")
    if any(a.shape[:1] != (count,) for name, a in found.items() if name.startswith("variant_")):
        raise BadInput(f"{source.name}: its variant arrays have different lengths", AGAIN)
    position = column(source, found["variant_position"], slice(most))
    which = column(source, found["variant_contig"], slice(most))
    names = column(source, found["contig_id"]).astype(TEXT) if "contig_id" in found else _contigs(group)
    if which.dtype.kind not in "iu" or which.min() < 0 or which.max() >= len(names):
        raise BadInput(f"{source.name}: variant_contig names chromosomes that contig_id has not", AGAIN)
    _check_order(source, found["variant_contig"], which)
    ref, alt = _alleles(source, column(source, found["variant_allele"], slice(most)))
    ids = column(source, found["variant_id"], slice(most)).astype(TEXT) if "variant_id" in found else None
    if ids is None:
        ids = np.full(len(position), "", dtype=TEXT)
    ids[ids == "."] = ""
    try:
        if position.dtype.kind not in "iu" or position.max() > np.iinfo(np.int32).max:
            raise ValueError("variant_position holds no positions")
        return Variants(names[which], position.astype(np.int32), ids, ref, alt)
    except ValueError as error:
        raise BadInput(f"{source.name}: {error}", AGAIN) from None


def _check_order(source: Path, array: Any, which: NDArray[Any]) -> None:
    """Refuse chromosomes that a lost chunk put in disorder; absent chunks stand for the first chromosome."""
    runs = which[np.concatenate([[True], np.diff(which) != 0])]
    if array.nchunks_initialized != array.nchunks and len(np.unique(runs)) != len(runs):
        raise BadInput(f"{source.name}: chunks of variant_contig are missing", AGAIN)


def _contigs(group: zarr.Group) -> Text:
    """Return the chromosomes, where they are an attribute as in the first versions of the specification."""
    listed = group.attrs.get("contigs")
    return text(str(name) for name in listed) if isinstance(listed, list) else text([])


def _alleles(source: Path, alleles: Any) -> tuple[Text, Text]:
    """Return the reference and the alternate allele of each variant."""
    if alleles.ndim != 2 or not alleles.shape[1]:
        raise BadInput(f"{source.name}: variant_allele is not [variants, alleles]", AGAIN)
    alleles = alleles.astype(TEXT)
    several = (alleles[:, 2:] != "").any(axis=1)
    if several.any():
        place = int(np.flatnonzero(several)[0])
        raise BadInput(
            f"{source.name}, variant {place + 1}: several alternate alleles",
            "split such variants before converting: bcftools norm -m -any",
        )
    alt = alleles[:, 1].copy() if alleles.shape[1] > 1 else np.full(len(alleles), NO_ALT, dtype=TEXT)
    alt[alt == ""] = NO_ALT
    return np.ascontiguousarray(alleles[:, 0]), alt


def _blocks(source: Path, calls: Any, variants: Variants) -> Iterator[Block]:
    """Yield the calls of some variants at a time, read in tiles that follow the chunks where they can."""
    count, people, ploidy = calls.shape
    rows = max(1, min(calls.chunks[0], _TILE // (2 * 8 * words_of(people))))
    width = math.lcm(calls.chunks[1], WORD)
    if rows * width * ploidy * calls.dtype.itemsize > 2 * _TILE:
        width = max(1, 2 * _TILE // (rows * ploidy * calls.dtype.itemsize * WORD)) * WORD
    contigs, number = variants.contigs
    lone = np.array([contig(name) in ONE_COPY for name in contigs], dtype=bool)[number]
    for start in range(0, count, rows):
        stop = min(start + rows, count)
        hi, lo = (np.zeros((stop - start, words_of(people)), np.uint64) for _ in range(2))
        for first in range(0, people, width):
            end = min(first + width, people)
            tile = column(source, calls, slice(start, stop), slice(first, end))
            block = pack(_counts(source, tile, lone[start:stop], start))
            words = slice(first // WORD, first // WORD + block.hi.shape[1])
            hi[:, words], lo[:, words] = block.hi, block.lo
        yield Block(hi, lo, people)


def _counts(source: Path, alleles: NDArray[Any], lone_copies: NDArray[np.bool_], start: int) -> Calls:
    """Return the alternate-allele counts of a tile, int8 of shape (variants, people).

    Args:
        source: named in errors.
        alleles: whole numbers, shape (variants, people, ploidy).
        lone_copies: of which variants a call may be of one allele.
        start: which variant the first one is.
    """
    first: NDArray[Any] = alleles[:, :, 0]
    second = alleles[:, :, 1] if alleles.shape[2] > 1 else np.full_like(first, -2)
    lone = second == -2
    missing = (first < 0) | (second == -1)
    further: NDArray[np.bool_] = np.not_equal(alleles[:, :, 2:], -2).any(axis=2)
    odd: NDArray[np.bool_] = (lone & ~missing & ~lone_copies[:, None]) | further
    wrong: NDArray[np.bool_] = np.greater(alleles, 1).any(axis=2) | np.less(alleles, -2).any(axis=2)
    for bad, what, hint in (
        (odd, "has calls that are not of two alleles", "keep the autosomes, or set such calls to missing"),
        (
            wrong,
            "has a call of an allele that is not listed",
            "split multiallelic variants and convert again",
        ),
    ):
        if bad.any():
            place = start + int(np.flatnonzero(bad.any(axis=1))[0])
            raise BadInput(f"{source.name}, variant {place + 1}: it {what}", hint)
    counts = np.where(lone, 2 * first, first + second)
    return np.where(missing, -1, counts).astype(np.int8)


def write(store: Store, target: Path, progress: Told = silent) -> None:
    """Export a store as a VCF Zarr folder, Zarr format 2, which appears under its name once it is whole.

    Raises:
        BadInput: there is such a folder or file.
    """
    if target.exists():
        raise BadInput(f"{target.name} exists already", "give another name, or move the old one away")
    draft = target.with_name(f".{target.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        _write(store, draft, progress)
        durable.sync_tree(draft)
        draft.rename(target)
        durable.sync(target.parent)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _write(store: Store, folder: Path, progress: Told) -> None:
    variants = store.variants
    spelled = list(dict.fromkeys(variants.chrom.tolist()))
    row = {name: number for number, name in enumerate(spelled)}
    which = np.fromiter((row[name] for name in variants.chrom.tolist()), np.int32, len(variants))
    assembly = f",assembly={store.build}" if store.build else ""
    about: dict[str, Any] = {
        "vcf_zarr_version": "0.4",
        "source": "noisegate",
        "vcf_meta_information": [["contig", f"<ID={name}{assembly}>"] for name in spelled],
    }
    group = zarr.create_group(folder, zarr_format=2, attributes=about)
    ids = variants.id.copy()
    ids[ids == ""] = "."
    _fill(group, "sample_id", text(store.samples), "samples")
    _fill(group, "contig_id", text(spelled), "contigs")
    _fill(group, "variant_contig", which, "variants")
    _fill(group, "variant_position", variants.pos, "variants")
    _fill(group, "variant_id", ids, "variants")
    _fill(group, "variant_id_mask", variants.id == "", "variants")
    _fill(group, "variant_allele", np.stack([variants.ref, variants.alt], axis=1), "variants", "alleles")
    shape = (len(variants), store.people)
    calls = _array(group, "call_genotype", (*shape, 2), "int8", (store.chunk, _WIDTH, 2), "ploidy")
    masks = _array(group, "call_genotype_mask", (*shape, 2), "bool", (store.chunk, _WIDTH, 2), "ploidy")
    for chunk in store.chunks():
        start, stop = store.bounds(chunk)
        block = store.read(chunk)
        for first in range(0, store.people, _WIDTH):
            end = min(first + _WIDTH, store.people)
            words = slice(first // WORD, words_of(end))
            alleles = _ALLELES[
                unpack(Block(block.hi[:, words].copy(), block.lo[:, words].copy(), end - first))
            ]
            calls[start:stop, first:end] = alleles
            masks[start:stop, first:end] = alleles < 0
        progress((chunk + 1) / len(store.chunks()))


def _fill(group: zarr.Group, name: str, values: Any, *dimensions: str) -> None:
    kind = "string" if isinstance(values.dtype, np.dtypes.StringDType) else values.dtype
    array = group.create_array(
        name,
        shape=values.shape,
        chunks=(65_536, *values.shape[1:]),
        dtype=kind,
        compressors={**_BLOSC, "shuffle": 1},
        attributes={"_ARRAY_DIMENSIONS": list(dimensions)},
        config={"write_empty_chunks": True},
    )
    array[...] = values


def _array(
    group: zarr.Group, name: str, shape: tuple[int, ...], kind: str, chunks: tuple[int, ...], last: str
) -> Any:
    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=kind,
        compressors={**_BLOSC, "shuffle": 2},
        attributes={"_ARRAY_DIMENSIONS": ["variants", "samples", last]},
        config={"write_empty_chunks": True},
    )
