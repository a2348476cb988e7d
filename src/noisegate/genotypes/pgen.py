"""PLINK 2 files: NAME.pgen with the calls, NAME.pvar or .pvar.zst with the variants, NAME.psam the people.

Calls are read and written by Pgenlib, which is the reference implementation of the format (its licence is
the LGPL, so it is optional, and imported where it is used). Hard calls of the one alternate allele are
kept; phase and dosages are not. A person is known by the column IID; sex is used at import alone
(`haploid.py`).
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from noisegate.errors import BadInput, SetupError
from noisegate.genotypes import haploid, text
from noisegate.genotypes.durable import Drafts
from noisegate.genotypes.importing import agreed_build, build_said, filling, part, refuse_twice, rows_at_once
from noisegate.genotypes.packed import MISSING, Block, pack, unpack
from noisegate.genotypes.plink import People, alleles, position, side_by_side
from noisegate.genotypes.store import Store
from noisegate.genotypes.text import Told, silent
from noisegate.genotypes.variants import NO_ALT, Gathered, Variants, fit

MAGIC = b"\x6c\x1b"
_FIXED_WIDTH, _VARIABLE = 0x02, 0x10  # storage modes; modes between and above have other headers
_PGEN_MISSING = -9
_MAX_LINE = 2**24
_AGAIN = "copy all three files again from where they were made, or make them anew: plink2 --make-pgen"


@dataclass(frozen=True, slots=True)
class Trio:
    """The three files of one data set."""

    pgen: Path
    pvar: Path
    psam: Path

    @classmethod
    def of(cls, path: Path) -> "Trio":
        """Return the three, given any of them or their common name; .pvar.zst where there is no .pvar."""
        base = path.name
        for ending in (".pgen", ".pvar", ".pvar.zst", ".psam"):
            base = base.removesuffix(ending) if path.name.endswith(ending) else base
        pgen, pvar, psam = (path.with_name(f"{base}.{kind}") for kind in ("pgen", "pvar", "psam"))
        packed = pvar.with_name(pvar.name + ".zst")
        return cls(pgen, packed if packed.exists() and not pvar.exists() else pvar, psam)


def read(
    source: Path, target: Path, *, public: bool = False, build: str = "", progress: Told = silent
) -> Store:
    """Import NAME.pgen, NAME.pvar and NAME.psam.

    Args:
        source: any of the three, or their name without an ending.
        target: the store to make.
        public: whether all of it may be seen by anybody.
        build: the genome build of the positions, "" where it is not known.
        progress: told the share that is done, in [0, 1].

    Raises:
        BadInput: a file is missing, cut off or none of PLINK's; they do not fit each other; a person or a
            variant is there twice; a variant has several alternate alleles. The message names file and line.
            Nothing is left behind.
        SetupError: Pgenlib is not installed.
    """
    library = _library()
    files = Trio.of(source)
    side_by_side(files.pgen, files.pvar, files.psam)
    people = _psam(files.psam)
    variants, found = _pvar(files.pvar, part(progress, 0.0, 0.2))
    _check_header(files, len(people.samples), len(variants))
    build = agreed_build(files.pvar, build, found)
    copies, men = haploid.copies(variants, build), haploid.mask(people.male)
    told = part(progress, 0.2, 1.0)
    with filling(
        target,
        samples=people.samples,
        variants=variants,
        build=build,
        public=public,
        provenance={
            "format": "pgen",
            "file": files.pgen.name,
            "counted": "ALT",
            "coding": _coding(files.pgen),
        },
        told=told,
    ) as store:
        for start, block in _blocks(library, files, len(people.samples), variants):
            store.add_packed(haploid.settle(block, copies[start : start + block.variants], men))
        return store.finish()


def write(store: Store, target: Path, progress: Told = silent) -> None:
    """Export to NAME.pgen, NAME.pvar and NAME.psam: all three or none. Sex and phenotype are not known.

    Raises:
        BadInput: one of the files exists, or a person is called 0, which PLINK takes for nobody, or #….
        SetupError: Pgenlib is not installed.
    """
    library = _library()
    files = Trio.of(target)
    if any(name == "0" or name.startswith("#") for name in store.samples):
        raise BadInput("a person called 0, or #…, cannot be in a .psam file", "rename this person")
    with Drafts() as drafts:
        with drafts.draft(files.psam).open("w", encoding="utf-8", newline="\n") as psam:
            psam.write("#IID\tSEX\n")
            psam.writelines(f"{name}\tNA\n" for name in store.samples)
        with drafts.draft(files.pvar).open("w", encoding="utf-8", newline="\n") as pvar:
            pvar.write("#CHROM\tPOS\tID\tREF\tALT\n")
            for chrom, pos, name, ref, alt in store.variants.rows():
                pvar.write(f"{chrom}\t{pos}\t{name or '.'}\t{ref}\t{alt}\n")
        file = str(drafts.draft(files.pgen)).encode()
        count = len(store.variants)
        # No context: leaving one early closes the file, which hides the failure behind another.
        pgen = library.PgenWriter(file, store.people, variant_ct=count, nonref_flags=False)
        for start, block in store.blocks():
            for row in range(0, block.variants, step := rows_at_once(store.people)):
                some = slice(row, row + step)
                calls = unpack(Block(block.hi[some], block.lo[some], block.people))
                calls[calls == MISSING] = _PGEN_MISSING
                pgen.append_biallelic_batch(calls)
            progress((start + block.variants) / count)
        pgen.close()


def _library() -> Any:
    try:
        import pgenlib
    except ImportError:
        raise SetupError(
            "Pgenlib is not installed, and .pgen files are read and written with it",
            "pip install 'noisegate[genomes]', or convert the files first: plink2 --pfile NAME --make-bed",
        ) from None
    return pgenlib


def _blocks(library: Any, files: Trio, people: int, variants: Variants) -> Iterator[tuple[int, Block]]:
    """Yield the first variant and the calls of some variants at a time."""
    step = rows_at_once(people)
    try:
        name = str(files.pgen).encode()
        with library.PgenReader(name, raw_sample_ct=people, variant_ct=len(variants)) as reader:
            for start in range(0, len(variants), step):
                calls = np.empty((min(step, len(variants) - start), people), np.int8)
                reader.read_range(start, start + len(calls), calls)
                calls[calls == _PGEN_MISSING] = MISSING
                block = pack(calls)
                carried = (variants.alt[start : start + len(calls)] == NO_ALT) & block.lo.any(axis=1)
                if carried.any():
                    raise BadInput(
                        f"{files.pvar.name}, variant {start + int(carried.argmax()) + 1}: "
                        "ALT has no name, and is carried",
                        "give ALT its name, or leave the variant out (plink2 --exclude)",
                    )
                yield start, block
    except (RuntimeError, ValueError) as error:
        said = error.args[0] if error.args else ""
        said = said.decode("utf-8", "replace").strip() if isinstance(said, bytes) else said
        raise BadInput(f"{files.pgen.name}: is cut off or damaged (Pgenlib: {said})", _AGAIN) from None


def _check_header(files: Trio, people: int, variants: int) -> None:
    """Refuse a .pgen that is not what its companions say, before anything is made of it."""
    with files.pgen.open("rb") as stream:
        head = stream.read(12)
    if len(head) < 11 or head[:2] != MAGIC or head[2] < _FIXED_WIDTH:
        raise BadInput(f"{files.pgen.name}: not a .pgen file, which begins with 6c 1b 02 or 6c 1b 10", _AGAIN)
    if head[2] not in (_FIXED_WIDTH, _VARIABLE):
        raise BadInput(
            f"{files.pgen.name}: is of storage mode {head[2]:#04x}, which is not read",
            "write it anew: plink2 --pfile NAME --make-pgen --out OTHER",
        )
    has_variants, has_people = struct.unpack("<II", head[3:11])
    if (has_people, has_variants) != (people, variants):
        raise BadInput(
            f"{files.pgen.name}: holds {has_people} people and {has_variants} variants, "
            f"{files.psam.name} {people} people and {files.pvar.name} {variants} variants",
            "one of the three was cut off or is of another data set: " + _AGAIN,
        )
    # The smallest file with such a header: fixed width, or one byte of type and one of length a variant.
    least = 12 + variants * (-(-people // 4)) if head[2] == _FIXED_WIDTH else 12 + variants
    if files.pgen.stat().st_size < least:
        raise BadInput(f"{files.pgen.name}: is cut off", _AGAIN)


def _coding(path: Path) -> str:
    """Say whence the reference alleles are: the "reference" genome, or "people" if any may be provisional.

    Bits 6 and 7 of byte 11 are 1 where none is provisional, 2 where all are (made from a .bed), 3 where
    some are, and 0 where the .pvar says it (pgen specification, "header").
    """
    with path.open("rb") as stream:
        head = stream.read(12)
    return "reference" if len(head) == 12 and head[11] >> 6 == 1 else "people"


def _psam(path: Path) -> People:
    names: list[str] = []
    male: list[bool] = []
    first: dict[str, int] = {}
    columns: list[str] = []
    for number, line in text.lines(path, whole=False):
        where = f"{path.name}, line {number}"
        if line.startswith("##"):
            continue
        if not columns:
            columns = line.split() if line.startswith("#") else ["#FID", "IID", "PAT", "MAT", "SEX", "PHENO1"]
            if "IID" not in columns and "#IID" not in columns:
                raise BadInput(f"{where}: no column IID", "the line begins with #FID or #IID")
            at = columns.index("IID") if "IID" in columns else columns.index("#IID")
            sex = columns.index("SEX") if "SEX" in columns else -1
            if line.startswith("#"):
                continue
        fields = line.split()
        if len(fields) != len(columns):
            raise BadInput(f"{where}: {len(fields)} fields where {len(columns)} are due", _AGAIN)
        name = fields[at]
        if name == "0" or not fit(name):
            raise BadInput(f"{where}: the person has no name", "give each person an own one")
        if (earlier := first.setdefault(name, number)) != number:
            raise BadInput(
                f"{where}: person {name} is there twice, first on line {earlier}",
                "a person is known by the column IID: drop one, or rename with plink2 --update-ids",
            )
        names.append(name)
        male.append(sex >= 0 and fields[sex].upper() in ("1", "M", "MALE"))
    if not names:
        raise BadInput(f"{path.name}: there is nobody in it", _AGAIN)
    return People(tuple(names), np.array(male, dtype=bool))


def _pvar(path: Path, progress: Told) -> tuple[Variants, str]:
    """Return the variants of a .pvar file, and the build that its header names."""
    gathered = Gathered()
    head: list[str] = []
    at: list[int] = []
    offset = number = 0
    try:
        for number, line in _lines(path, progress):
            if line.startswith("##"):
                head.append(line)
                continue
            if not at:
                at = _columns(path, number, line)
                offset = number if line.startswith("#") else number - 1
                if line.startswith("#"):
                    continue
            fields = line.split()
            if len(fields) <= max(at):
                raise BadInput(f"{path.name}, line {number}: only {len(fields)} fields", _AGAIN)
            chrom, pos, name, ref, alt = (fields[column] for column in at)
            gathered.add(chrom, position(path, number, pos), name, *alleles(path, number, ref, alt))
        variants = gathered.variants()
    except ValueError as error:
        raise BadInput(f"{path.name}, line {number} or before: {error}", _AGAIN) from None
    if not len(variants):
        raise BadInput(f"{path.name}: there is no variant in it", _AGAIN)
    refuse_twice(variants, lambda place: f"{path.name}, line {place + 1 + offset}")
    return variants, build_said("\n".join(head))


def _columns(path: Path, number: int, line: str) -> list[int]:
    """Return where CHROM, POS, ID, REF and ALT are; a file without a header is a .bim under another name."""
    names = line.split()
    if not line.startswith("#"):
        if len(names) == 6:
            return [0, 3, 1, 5, 4]
        if len(names) == 5:
            return [0, 2, 1, 4, 3]
    names[0] = names[0].lstrip("#")
    try:
        return [names.index(name) for name in ("CHROM", "POS", "ID", "REF", "ALT")]
    except ValueError:
        raise BadInput(f"{path.name}, line {number}: the line #CHROM POS ID REF ALT is due", _AGAIN) from None


def _lines(path: Path, progress: Callable[[float], None]) -> Iterator[tuple[int, str]]:
    if path.suffix != ".zst":
        yield from text.lines(path, progress, whole=False, longest=_MAX_LINE)
        return
    try:
        with pa.input_stream(str(path), compression="zstd") as stream:
            rest, number = b"", 0
            while data := stream.read(2**20):
                *whole, rest = (rest + data).split(b"\n")
                for line in whole:
                    number += 1
                    yield number, line.decode("utf-8").rstrip("\r")
                if len(rest) > _MAX_LINE:
                    raise BadInput(f"{path.name}, line {number + 1}: longer than {_MAX_LINE} bytes")
            if rest:
                yield number + 1, rest.decode("utf-8").rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise text.unreadable(path, error) from error
