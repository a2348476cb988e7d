"""VCF and BCF files into a store, and a store into a bgzipped VCF.

The text of a VCF (The Variant Call Format Specification 4.2 and later) is read by two readers: here in
plain Python for its samples and its first five columns, and by cyvcf2 for the calls (`vcf_stream.py`). What
cyvcf2 says is taken where both agree. A BCF is read by cyvcf2 alone, twice, after a look at its first
bytes.

A call counts alternate alleles. It is missing where any of its alleles is. On X, Y and MT a call of one
allele counts as two of them, which is how PLINK stores it; elsewhere it is refused. A variant has one
alternate allele, or none (".").
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from noisegate.errors import BadInput
from noisegate.genotypes import durable, vcf_stream
from noisegate.genotypes.importing import filling
from noisegate.genotypes.packed import Block, Calls, unpack
from noisegate.genotypes.reading import agreed_build, part, refuse_twice, rows_at_once
from noisegate.genotypes.store import Store
from noisegate.genotypes.text import Bgzf, Told, silent
from noisegate.genotypes.variants import NO_ALT, Variants
from noisegate.genotypes.vcf_sites import COLUMNS, LETTERS, Outline, is_bcf, outline

# Each call as it stands in a line, by its count; the last is for -1.
_CALLS = np.frombuffer(b"\t0/0\t0/1\t1/1\t./.", np.uint8).reshape(4, 4)


def read(
    source: Path, target: Path, *, public: bool = False, build: str = "", progress: Told = silent
) -> Store:
    """Import a VCF or BCF file.

    Raises:
        BadInput: it is not a whole VCF or BCF of biallelic variants with calls of two alleles, or of another
            build than is declared. The message names the line or record. Nothing is left behind.
    """
    outlined = outline(source, part(progress, 0.0, 0.3))
    if not outlined.samples:
        raise BadInput(f"{source.name}: no samples", "give a file with one column a person")
    if not len(outlined.variants):
        raise BadInput(f"{source.name}: no variants", "was it cut off after its header?")
    refuse_twice(outlined.variants, outlined.where)
    with filling(
        target,
        samples=outlined.samples,
        variants=outlined.variants,
        build=agreed_build(source, build, outlined.build),
        public=public,
        provenance={"format": "bcf" if is_bcf(source) else "vcf", "source": source.name},
        told=part(progress, 0.3, 1.0),
    ) as filled:
        for calls in _calls(source, outlined):
            filled.add(calls)
        return filled.finish()


def _calls(source: Path, outlined: Outline) -> Iterator[Calls]:
    """Yield the calls of some variants at a time, int8 of shape (variants, samples), as cyvcf2 reads them."""
    with vcf_stream.reading(source, calls=True) as found:
        if found.samples != outlined.samples:
            raise _disagree(source, "its samples")
        due = outlined.variants.rows()
        place = 0
        held: list[Calls] = []
        for site, calls in found:
            if next(due, None) != site:
                raise _disagree(source, outlined.where(place).rpartition(", ")[2])
            place += 1
            assert calls is not None  # noqa: S101  (they were asked for)
            held.append(calls)
            if len(held) == rows_at_once(len(outlined.samples)):
                yield np.stack(held)
                held = []
        if place != len(outlined.variants):
            raise _disagree(source, f"how many variants it has, {len(outlined.variants)} or {place}")
        if held:
            yield np.stack(held)


def _disagree(source: Path, what: str) -> BadInput:
    return BadInput(
        f"{source.name}: two readings disagree on {what}",
        "normalise the file (bcftools norm, then bcftools view -Oz) and import that",
    )


def write(store: Store, target: Path, progress: Told = silent) -> None:
    """Export a store as a VCF 4.3 in BGZF, which appears under its name once it is whole.

    Calls are unphased and of two alleles everywhere. A reference allele that is not known is written as N.

    Raises:
        BadInput: an allele that no VCF can hold, or the file exists.
    """
    with durable.Drafts() as drafts, Bgzf(drafts.draft(target)) as out:
        out.write(_header(store).encode())
        for chunk in store.chunks():
            start, stop = store.bounds(chunk)
            for line in _lines(store.variants[start:stop], store.read(chunk)):
                out.write(line)
            progress((chunk + 1) / len(store.chunks()))


def _header(store: Store) -> str:
    spelled = dict.fromkeys(store.variants.chrom.tolist())
    assembly = f",assembly={store.build}" if store.build else ""
    return "\n".join(
        [
            "##fileformat=VCFv4.3",
            "##source=noisegate",
            *(f"##contig=<ID={name}{assembly}>" for name in spelled),
            '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
            "\t".join([*COLUMNS, *store.samples]),
            "",
        ]
    )


def _lines(variants: Variants, block: Block) -> Iterator[bytes]:
    step = rows_at_once(block.people)
    for start in range(0, block.variants, step):
        part_of = slice(start, start + step)
        rows = unpack(Block(block.hi[part_of], block.lo[part_of], block.people))
        for (chrom, pos, name, ref, alt), calls in zip(variants[part_of].rows(), rows, strict=True):
            ref = "N" if ref == NO_ALT else ref
            if not LETTERS.fullmatch(ref) or not (LETTERS.fullmatch(alt) or alt == NO_ALT):
                raise BadInput(
                    f"{name or f'{chrom}:{pos}'} has alleles {ref[:20]}/{alt[:20]}, which no VCF can hold",
                    "export to another format",
                )
            yield f"{chrom}\t{pos}\t{name or '.'}\t{ref}\t{alt}\t.\t.\t.\tGT".encode()
            yield _CALLS[calls].tobytes() + b"\n"
