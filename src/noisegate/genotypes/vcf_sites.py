"""The samples and variants of a VCF or BCF file, without its calls.

The text of a VCF, and the header of a BCF, are read in plain Python; the records of a BCF by cyvcf2, in a
child process (`vcf_stream.py`).
"""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from noisegate.errors import BadInput
from noisegate.genotypes import text, vcf_stream
from noisegate.genotypes.reading import build_said
from noisegate.genotypes.text import Told, silent
from noisegate.genotypes.variants import MAX_POSITION, NO_ALT, Gathered, Variants
from noisegate.genotypes.vcf_stream import Site

MAX_HEADER = 2**26
COLUMNS = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
LETTERS = re.compile(r"[A-Za-z]+", re.ASCII)
_BCF = b"BCF\x02"


@dataclass(frozen=True, slots=True)
class Outline:
    """The samples and variants of a file; `where` names the place of a variant in it."""

    samples: tuple[str, ...]
    variants: Variants
    build: str
    where: Callable[[int], str]


def outline(source: Path, told: Told = silent, most: int | None = None) -> Outline:
    """Return the samples and the variants of a VCF or BCF file, or the first `most` variants.

    Raises:
        BadInput: it is not a whole VCF or BCF of biallelic variants. The message names the line or record.
        SetupError: a BCF, and what reads it is not installed.
    """
    return _binary(source, most) if is_bcf(source) else _text(source, told, most)


def build_of(source: Path) -> str:
    """Return the genome build that the header of a VCF in text names, "" where it names none."""
    for _, line in text.lines(source, whole=False):
        if not line.startswith("##"):
            return ""
        if found := build_said(line):
            return found
    return ""


def is_bcf(source: Path) -> bool:
    """Whether the file is a BCF rather than text, by its first bytes.

    Raises:
        BadInput: no such file, another kind of file, or one whose header could not be held in memory.
    """
    text.regular(source)
    try:
        zipped = text.is_zipped(source)
        with source.open("rb") as raw:
            head = (text.unzipped(raw) if zipped else raw).read(9)
            if head.startswith(_BCF) and int.from_bytes(head[5:], "little") > MAX_HEADER:
                raise BadInput(f"{source.name}: its header claims more than {MAX_HEADER} bytes")
    except (OSError, EOFError, zlib.error) as error:
        raise text.unreadable(source, error) from error
    if not head.strip():
        raise BadInput(f"{source.name}: the file is empty", "copy it again")
    return head.startswith(_BCF)


def _header_of_bcf(source: Path) -> list[str]:
    """Return the lines of the VCF header that a BCF begins with (Specification 4.3, section 6.2)."""
    try:
        with source.open("rb") as raw:
            stream = text.unzipped(raw) if text.is_zipped(source) else raw
            length = int.from_bytes(stream.read(9)[5:], "little")
            return stream.read(length).rstrip(b"\0\n").decode("utf-8").split("\n")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise text.unreadable(source, error) from error


def _binary(source: Path, most: int | None) -> Outline:
    header = _header_of_bcf(source)
    samples = _samples(source, len(header), header[-1])
    build = next(filter(None, map(build_said, header)), "")
    gathered = Gathered()
    with vcf_stream.reading(source, calls=False) as found:
        if found.samples != samples:
            raise BadInput(
                f"{source.name}: two readings disagree on its samples", "check it: bcftools view -h"
            )
        for number, (site, _) in enumerate(islice(found, most), 1):
            gathered.add(*_checked(site, f"{source.name}, record {number}"))
        return Outline(
            samples, gathered.variants(), build, lambda place: f"{source.name}, record {place + 1}"
        )


def _text(source: Path, told: Told, most: int | None) -> Outline:
    samples: tuple[str, ...] | None = None
    gathered = Gathered()
    header = first = count = 0
    build = ""
    for number, line in text.lines(source, told):
        if number == 1 and not line.startswith("##fileformat=VCF"):
            raise BadInput(
                f"{source.name}: does not begin with ##fileformat=VCF",
                "name the file by what it is, or copy it again",
            )
        if samples is None:
            header += len(line)
            if header > MAX_HEADER:
                raise BadInput(
                    f"{source.name}, line {number}: a header of more than {MAX_HEADER} bytes",
                    "drop header lines that no one needs: bcftools annotate -x INFO",
                )
            if line.startswith("##"):
                build = build or build_said(line)
            else:
                samples, first = _samples(source, number, line), number + 1
            continue
        if most is not None and count == most:
            break
        count += 1
        gathered.add(*_site(f"{source.name}, line {number}", line))
    if samples is None:
        raise BadInput(
            f"{source.name}: no #CHROM line", "the file is not a VCF, or its header is cut off: copy it again"
        )
    return Outline(samples, gathered.variants(), build, lambda place: f"{source.name}, line {first + place}")


def _samples(source: Path, number: int, line: str) -> tuple[str, ...]:
    fields = line.split("\t")
    fixed = len(COLUMNS)
    if tuple(fields[:fixed]) not in (COLUMNS, COLUMNS[:-1]):
        raise BadInput(
            f"{source.name}, line {number}: the #CHROM line with its tab-separated names is due",
            "check the file with bcftools view",
        )
    samples = tuple(fields[fixed:])
    if len(set(samples)) != len(samples) or not all(samples):
        raise BadInput(
            f"{source.name}, line {number}: a sample is named twice, or has no name",
            "rename it: bcftools reheader -s",
        )
    return samples


def _site(where: str, line: str) -> Site:
    fields = line.split("\t", 8)
    if len(fields) < 8 or not fields[1].isascii() or not fields[1].isdigit() or len(fields[1]) > 10:
        raise BadInput(
            f"{where}: not a record of eight tab-separated columns with a position",
            "check the file with bcftools view",
        )
    chrom, pos, name, ref, alt = fields[:5]
    return _checked((chrom, int(pos), "" if name == "." else name, ref, alt), where)


def _checked(site: Site, where: str) -> Site:
    """Return a site that a store can hold, or raise BadInput."""
    chrom, pos, name, ref, alt = site
    label = name or f"{chrom}:{pos}"
    if "," in alt:
        raise BadInput(
            f"{where}: {label[:80]} has several alternate alleles",
            "split such variants first: bcftools norm -m -any",
        )
    if not LETTERS.fullmatch(ref) or not (LETTERS.fullmatch(alt) or alt == NO_ALT):
        raise BadInput(
            f"{where}: {label[:80]} has alleles {ref[:20]}/{alt[:20]}, which are not bases",
            "keep biallelic variants of bases only: bcftools view -m2 -M2 -v snps,indels",
        )
    if not chrom or pos > MAX_POSITION or any(c.isspace() for c in chrom + name):
        raise BadInput(
            f"{where}: {label[:80]} has no place, or a space in its name",
            "positions are below 2^31 and names hold no space: bcftools annotate --set-id",
        )
    return site
