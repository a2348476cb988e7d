"""PLINK 1 binary files: NAME.bed with the calls, NAME.bim with the variants, NAME.fam with the people.

The alternate allele, which calls count, is A1 (column 5 of the .bim) and the reference is A2 (column 6),
as plink2 reads such files. An A1 of 0 becomes the alternate allele ".", which nobody may carry. PLINK 1 makes
A1 the rarer allele among the people at hand, and 0 where all of them are alike: neither is a public fact,
so the store's provenance says that its coding is from "people", and a private one should be shared in the
order and coding of a public manifest only. A person is known by the second column of the .fam; families,
parents and phenotypes are not kept, and sex is used at import alone (`haploid.py`).

The bits of a .bed call are 00 for two copies of A1, 10 for one, 11 for none and 01 for missing (PLINK 1.9
file format reference, ".bed"), which are the complements of our hi and lo: no call is looked at one by
one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genotypes import chunks, haploid, text
from noisegate.genotypes.durable import Drafts
from noisegate.genotypes.importing import agreed_build, part, refuse_twice
from noisegate.genotypes.packed import Block, last_word, words_of
from noisegate.genotypes.store import Store, Writer
from noisegate.genotypes.text import Told, silent
from noisegate.genotypes.variants import MAX_POSITION, NO_ALT, Gathered, Variants, fit

MAGIC = b"\x6c\x1b\x01"
_SAMPLE_MAJOR = b"\x6c\x1b\x00"
_UNNAMED = ("0", ".")
_MALE = "1"
_MAX_LINE = 2**20
_READ = 2**22  # bytes at once
_AGAIN = "copy all three files again from where they were made"


@dataclass(frozen=True, slots=True)
class Trio:
    """The three files of one data set."""

    bed: Path
    bim: Path
    fam: Path

    @classmethod
    def of(cls, path: Path) -> "Trio":
        """Return the three, given any of them or their common name."""
        base = path.name.removesuffix(path.suffix) if path.suffix in (".bed", ".bim", ".fam") else path.name
        return cls(*(path.with_name(f"{base}.{kind}") for kind in ("bed", "bim", "fam")))


@dataclass(frozen=True, slots=True)
class People:
    """Who is in a file, in order; `male` is bool of shape (people,)."""

    samples: tuple[str, ...]
    male: NDArray[np.bool_]


def read(
    source: Path, target: Path, *, public: bool = False, build: str = "", progress: Told = silent
) -> Store:
    """Import NAME.bed, NAME.bim and NAME.fam.

    Args:
        source: any of the three, or their name without an ending.
        target: the store to make.
        public: whether all of it may be seen by anybody.
        build: the genome build of the positions, "" where it is not known.
        progress: told the share that is done, in [0, 1].

    Raises:
        BadInput: a file is missing, cut off or none of PLINK's; they do not fit each other; a person or a
        variant
            is there twice. The message names file and line. Nothing is left behind.
    """
    files = Trio.of(source)
    side_by_side(files.bed, files.bim, files.fam)
    people = _fam(files.fam)
    variants = _bim(files.bim, part(progress, 0.0, 0.2))
    _check_size(files, len(people.samples), len(variants))
    writer = Writer.create(
        target,
        samples=people.samples,
        variants=variants,
        build=agreed_build(files.bim, build, ""),
        public=public,
        provenance={"format": "plink", "file": files.bed.name, "counted": "A1", "coding": "people"},
    )
    try:
        told = part(progress, 0.2, 1.0)
        copies, men = haploid.copies(variants, build), haploid.mask(people.male)
        for chunk, block in _blocks(files, writer, variants):
            rows = slice(*writer.bounds(chunk))
            writer.write(chunk, haploid.settle(block, copies[rows], men))
            told(rows.stop / len(variants))
        return writer.finish()
    except BaseException:
        writer.discard()
        raise


def write(store: Store, target: Path, progress: Told = silent) -> None:
    """Export to NAME.bed, NAME.bim and NAME.fam: all three or none.

    Family and person have one name each in the .fam, sex and phenotype are unknown; an alternate allele
    "." and an id that is not there are written as PLINK does, 0 and ".".

    Raises:
        BadInput: one of the files exists, or a person is called 0, which PLINK takes for nobody.
    """
    files = Trio.of(target)
    if "0" in store.samples:
        raise BadInput("a person called 0 cannot be in a .fam file", "rename this person")
    with Drafts() as drafts:
        with drafts.draft(files.fam).open("w", encoding="utf-8", newline="\n") as fam:
            fam.writelines(f"{name} {name} 0 0 0 -9\n" for name in store.samples)
        with drafts.draft(files.bim).open("w", encoding="utf-8", newline="\n") as bim:
            bim.writelines(
                f"{chrom}\t{name or '.'}\t0\t{pos}\t{'0' if alt == NO_ALT else alt}\t{ref}\n"
                for chrom, pos, name, ref, alt in store.variants.rows()
            )
        with drafts.draft(files.bed).open("wb") as bed:
            bed.write(MAGIC)
            for start, block in store.blocks():
                bed.write(encode(block).data)
                progress((start + block.variants) / len(store.variants))


def decode(rows: NDArray[np.uint8], people: int) -> Block:
    """Return the calls in some rows of a .bed file.

    Args:
        rows: uint8, shape (variants, -(-people // 4)); as in the file.
        people: how many there are.

    Raises:
        ValueError: the bits past the last person are not 0, so that there are more people than is said.
    """
    variants, width = rows.shape
    words = words_of(people)
    if people % 4 and (rows[:, -1] >> 2 * (people % 4)).any():
        raise ValueError("calls past the last person")
    padded = np.full((variants, words * 16), 0xFF, np.uint8)
    padded[:, :width] = rows
    hi, lo = (np.empty((variants, words), np.uint64) for _ in range(2))
    _part(padded.view("<u8"), np.uint64(last_word(people)), hi, lo)
    return Block(hi, lo, people)


def encode(block: Block) -> NDArray[np.uint8]:
    """Return calls as rows of a .bed file: uint8, shape (variants, -(-people // 4))."""
    joined = np.empty((block.variants, block.hi.shape[1] * 2), "<u8")
    _join(block.hi, block.lo, np.uint64(last_word(block.people)), joined)
    return np.ascontiguousarray(joined.view(np.uint8)[:, : -(-block.people // 4)])


def _blocks(files: Trio, writer: Writer, variants: Variants) -> Iterator[tuple[int, Block]]:
    """Yield the number and the calls of each chunk."""
    width = -(-writer.people // 4)
    step = max(1, _READ // width)
    with files.bed.open("rb") as bed:
        bed.seek(len(MAGIC))
        for chunk in writer.chunks():
            first, end = writer.bounds(chunk)
            hi, lo = (chunks.room(end - first, words_of(writer.people)) for _ in range(2))
            for start in range(first, end, step):
                rows = slice(start - first, min(start + step, end) - first)
                block = _rows(files, bed.read((rows.stop - rows.start) * width), writer.people, width)
                if block.variants != rows.stop - rows.start:
                    raise BadInput(f"{files.bed.name}: changed while it was read", _AGAIN)
                hi[rows], lo[rows] = block.hi, block.lo
            carried = (variants.alt[first:end] == NO_ALT) & lo.any(axis=1)
            if carried.any():
                raise BadInput(
                    f"{files.bim.name}, line {first + int(carried.argmax()) + 1}: A1 is nameless and carried",
                    "give A1 its name, or leave the variant out (plink1.9 --exclude)",
                )
            yield chunk, Block(hi, lo, writer.people)


def _rows(files: Trio, raw: bytes, people: int, width: int) -> Block:
    """Return the calls of the whole rows that were read."""
    try:
        return decode(np.frombuffer(raw, np.uint8, len(raw) // width * width).reshape(-1, width), people)
    except ValueError:
        raise BadInput(
            f"{files.bed.name}: has more people than the {people} lines of {files.fam.name}", _AGAIN
        ) from None


def _check_size(files: Trio, people: int, variants: int) -> None:
    """Refuse a .bed that is not what its companions say, before anything is made of it."""
    with files.bed.open("rb") as bed:
        head = bed.read(len(MAGIC))
    if head == _SAMPLE_MAJOR:
        raise BadInput(
            f"{files.bed.name}: lists its calls person by person",
            "turn it with plink1.9 --bfile NAME --make-bed --out OTHER",
        )
    if head != MAGIC:
        raise BadInput(f"{files.bed.name}: not a .bed file, which begins with 6c 1b 01", _AGAIN)
    size, due = files.bed.stat().st_size, len(MAGIC) + variants * -(-people // 4)
    if size != due:
        raise BadInput(
            f"{files.bed.name}: has {size} bytes; {people} people in {files.fam.name} and {variants} "
            f"variants in {files.bim.name} need {due}",
            "one of the three was cut off or is of another data set: " + _AGAIN,
        )


def _fam(path: Path) -> People:
    names: list[str] = []
    male: list[bool] = []
    first: dict[str, int] = {}
    for number, line in text.lines(path, whole=False, longest=_MAX_LINE):
        fields = line.split()
        if len(fields) != 6:
            raise BadInput(
                f"{path.name}, line {number}: {len(fields)} fields where 6 are due",
                "a line of a .fam is: family, person, father, mother, sex, phenotype",
            )
        name = fields[1]
        if name == "0" or not fit(name):
            raise BadInput(
                f"{path.name}, line {number}: the person has no name", "give each person an own one"
            )
        if (earlier := first.setdefault(name, number)) != number:
            raise BadInput(
                f"{path.name}, line {number}: person {name} is there twice, first on line {earlier}",
                "a person is known by the second column: drop one, or rename with plink1.9 --update-ids",
            )
        names.append(name)
        male.append(fields[4] == _MALE)
    if not names:
        raise BadInput(f"{path.name}: there is nobody in it", _AGAIN)
    return People(tuple(names), np.array(male, dtype=bool))


def _bim(path: Path, progress: Told) -> Variants:
    gathered = Gathered()
    number = 0
    try:
        for number, line in text.lines(path, progress, whole=False, longest=_MAX_LINE):
            fields = line.split()
            if len(fields) != 6:
                raise BadInput(
                    f"{path.name}, line {number}: {len(fields)} fields where 6 are due",
                    "a line of a .bim is: chromosome, id, morgans, position, A1, A2",
                )
            chrom, name, _, pos, alt, ref = fields
            gathered.add(chrom, position(path, number, pos), name, *alleles(path, number, ref, alt))
        variants = gathered.variants()
    except ValueError as error:
        raise BadInput(f"{path.name}, line {number} or before: {error}", _AGAIN) from None
    if not len(variants):
        raise BadInput(f"{path.name}: there is no variant in it", _AGAIN)
    refuse_twice(variants, lambda place: f"{path.name}, line {place + 1}")
    return variants


def side_by_side(*files: Path) -> None:
    """Refuse a data set of which a file is not there, or is a pipe or a device.

    Raises:
        BadInput: one is.
    """
    for file in files:
        if not file.exists():
            raise BadInput(
                f"{file.name} is not there", f"lay {', '.join(f.name for f in files)} side by side"
            )
        text.regular(file)


def position(path: Path, number: int, field: str) -> int:
    """Return the position in a line of text.

    Raises:
        BadInput: it is none.
    """
    if not field.isascii() or not field.isdigit() or int(field[:11]) > MAX_POSITION:
        raise BadInput(
            f"{path.name}, line {number}: position {field[:20]} is not in 0 to {MAX_POSITION}",
            "leave the variant out (plink1.9 --exclude), or write 0 where the position is not known",
        )
    return int(field)


def alleles(path: Path, number: int, ref: str, alt: str) -> tuple[str, str]:
    """Return reference and alternate allele of a line of text, "." where no alternate one is named.

    Raises:
        BadInput: the reference is not named; both are the same; there are several alternate ones.
    """
    where = f"{path.name}, line {number}"
    if "," in alt or "," in ref:
        raise BadInput(
            f"{where}: {ref[:20]} {alt[:20]} are more than two alleles",
            "split such variants first: bcftools norm -m -any, or plink2 --max-alleles 2 leaves them out",
        )
    if ref in _UNNAMED:
        raise BadInput(
            f"{where}: the reference allele is not named",
            "leave the variant out (plink1.9 --exclude), or look its allele up (plink2 --ref-from-fa)",
        )
    if ref.upper() == alt.upper():
        raise BadInput(f"{where}: both alleles are {ref[:20]}", "leave the variant out (plink1.9 --exclude)")
    return ref, NO_ALT if alt in _UNNAMED else alt


@njit(cache=True, nogil=True)
def _part(pairs, last, hi, lo):  # type: ignore[no-untyped-def]
    words = hi.shape[1]
    for v in range(hi.shape[0]):
        for w in range(words):
            first = ~pairs[v, 2 * w]
            second = ~pairs[v, 2 * w + 1]
            lo[v, w] = _even(first) | (_even(second) << np.uint64(32))
            hi[v, w] = _even(first >> np.uint64(1)) | (_even(second >> np.uint64(1)) << np.uint64(32))
        hi[v, words - 1] &= last
        lo[v, words - 1] &= last


@njit(cache=True, nogil=True)
def _join(hi, lo, last, pairs):  # type: ignore[no-untyped-def]
    half = np.uint64(0xFFFFFFFF)
    words = hi.shape[1]
    for v in range(hi.shape[0]):
        for w in range(words):
            there = last if w == words - 1 else np.uint64(0xFFFFFFFFFFFFFFFF)
            low = ~lo[v, w] & there
            high = ~hi[v, w] & there
            pairs[v, 2 * w] = _spread(low & half) | (_spread(high & half) << np.uint64(1))
            pairs[v, 2 * w + 1] = _spread(low >> np.uint64(32)) | (
                _spread(high >> np.uint64(32)) << np.uint64(1)
            )


@njit(cache=True, nogil=True)
def _even(x):  # type: ignore[no-untyped-def]
    """Return bits 0, 2, 4, … as bits 0, 1, 2, …; Warren, Hacker's Delight, 7-2."""
    x &= np.uint64(0x5555555555555555)
    x = (x | (x >> np.uint64(1))) & np.uint64(0x3333333333333333)
    x = (x | (x >> np.uint64(2))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    x = (x | (x >> np.uint64(4))) & np.uint64(0x00FF00FF00FF00FF)
    x = (x | (x >> np.uint64(8))) & np.uint64(0x0000FFFF0000FFFF)
    return (x | (x >> np.uint64(16))) & np.uint64(0x00000000FFFFFFFF)


@njit(cache=True, nogil=True)
def _spread(x):  # type: ignore[no-untyped-def]
    """Return bits 0, 1, 2, … of 32 as bits 0, 2, 4, …: what `_even` undoes."""
    x = (x | (x << np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    x = (x | (x << np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    x = (x | (x << np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    x = (x | (x << np.uint64(2))) & np.uint64(0x3333333333333333)
    return (x | (x << np.uint64(1))) & np.uint64(0x5555555555555555)
