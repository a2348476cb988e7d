"""VCF files: which variants they hold, and every person's count of the alternate allele.

The text of a VCF (The Variant Call Format Specification 4.2 and later, sections 1.3 to 1.6) is read twice,
by two readers: here in plain Python for its samples and its first five columns, and by cyvcf2 for the
calls. cyvcf2 bundles a C library, so it runs in a child process with limits (`vcf_child.py`), gets
regular local files only, and its answer is believed where both readers agree.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput, CatalogError
from noisegate.genotypes import text

MISSING = -1
SECONDS = 600
_FIXED_COLUMNS = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
_PLAIN_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_BASES = re.compile(r"[ACGTN]+", re.ASCII | re.IGNORECASE)
# What a Python child needs to start; tokens and keys of the parent's environment stay behind.
PASSED_ON = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "LANG")


@dataclass(frozen=True, slots=True)
class Variant:
    """A biallelic site. `id` is empty where the file has none; `pos` counts from 1."""

    chrom: str
    pos: int
    id: str
    ref: str
    alt: str

    @property
    def name(self) -> str:
        """What the variant is called as a column: its id, or its place and alleles.

        >>> Variant("7", 12, "", "A", "G").name
        'chr7_12_A_G'
        """
        if self.id:
            return self.id
        chrom = self.chrom if self.chrom.startswith("chr") else f"chr{self.chrom}"
        return f"{chrom}_{self.pos}_{self.ref}_{self.alt}"


@dataclass(frozen=True, slots=True, eq=False)
class Dosages:
    """The alternate-allele counts of some people.

    `calls` is int8 of shape (variants, samples), read-only: 0, 1 or 2, and -1 where the call is missing
    or half missing.
    """

    samples: tuple[str, ...]
    variants: tuple[Variant, ...]
    calls: NDArray[np.int8]

    def __post_init__(self) -> None:
        if self.calls.dtype != np.int8 or self.calls.shape != (len(self.variants), len(self.samples)):
            raise ValueError("calls are int8, one row a variant and one column a sample")
        if self.calls.size and not (self.calls.min() >= MISSING and self.calls.max() <= 2):
            raise ValueError("calls are 0, 1, 2 or -1")
        self.calls.flags.writeable = False


def variants(path: Path) -> tuple[Variant, ...]:
    """Return the variants of a VCF file, in its order, without reading any call.

    Raises:
        CatalogError: not a readable VCF; a variant with several alternate alleles, or none; a name that
            is no plain identifier or occurs twice. The message names the line.
    """
    return _outline(path)[1]


def read(path: Path) -> Dosages:
    """Return every person's alternate-allele counts.

    Raises:
        CatalogError: as `variants`; a call that is not of two alleles; cyvcf2 missing or failing.
    """
    samples, listed = _outline(path)
    if not samples:
        raise CatalogError(f"{path.name}: no samples; give a VCF with one column a person")
    with tempfile.TemporaryDirectory(prefix="noisegate-vcf-") as folder:
        out = Path(folder)
        _run_child(path, out)
        try:
            found = json.loads((out / "records.json").read_text("utf-8"))
            calls = np.load(out / "calls.npy", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise CatalogError(f"{path.name}: the VCF reader left no result; is the disk full?") from error
    expected = {
        "samples": list(samples),
        "records": [[v.chrom, v.pos, v.id, v.ref, v.alt] for v in listed],
    }
    if found != expected:
        raise CatalogError(
            f"{path.name}: two readers disagree on its samples or variants",
            "normalise the file (bcftools norm, then bcftools view -Oz) and check it again",
        )
    return Dosages(samples, listed, calls)


def _run_child(path: Path, out: Path) -> None:
    """Let cyvcf2 read the file in a process of its own, or raise CatalogError."""
    command = [sys.executable, "-P", "-m", "noisegate.genotypes.vcf_child", str(path.resolve()), str(out)]
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    environment["OPENBLAS_NUM_THREADS"] = "1"  # a stack for each core would count against the memory limit
    try:
        done = subprocess.run(  # noqa: S603  (no shell; the arguments are ours)
            command,
            env=environment,
            cwd=out,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CatalogError(f"{path.name}: reading took more than {SECONDS} s; split the file") from error
    except OSError as error:
        raise CatalogError(f"{path.name}: no process could be started to read it ({error})") from error
    if done.returncode == 0:
        return
    try:
        report = json.loads(done.stdout)
        problem, hint = str(report["problem"]), str(report["hint"])
    except (ValueError, KeyError, TypeError):
        problem = f"the VCF reader stopped with status {done.returncode}"
        hint = "check the file with bcftools view, and that it is not larger than memory"
    raise CatalogError(f"{path.name}: {problem}", hint)


def _outline(path: Path) -> tuple[tuple[str, ...], tuple[Variant, ...]]:
    """Return the samples and the variants of a VCF file, checked."""
    samples: tuple[str, ...] | None = None
    found: list[Variant] = []
    seen: dict[str, int] = {}
    for number, line in _lines(path):
        if line.startswith("##"):
            continue
        if samples is None:
            samples = _samples(path, number, line)
            continue
        variant = _variant(path, number, line)
        if (first := seen.setdefault(variant.name.casefold(), number)) != number:
            raise CatalogError(
                f"{path.name}, line {number}: {variant.name} was there on line {first}",
                "give each variant an id of its own (bcftools annotate --set-id), or drop duplicates",
            )
        found.append(variant)
    if samples is None:
        raise CatalogError(f"{path.name}: no #CHROM line; the file is not a VCF, or its header is cut off")
    return samples, tuple(found)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield numbered lines, from 1, of a plain, gzip or BGZF text file."""
    try:
        for number, line in text.lines(path, whole=False):
            if number == 1 and not line.startswith("##fileformat=VCF"):
                raise CatalogError(
                    f"{path.name}: does not begin with ##fileformat=VCF",
                    "only VCF text is read, plain or gzipped; convert BCF with bcftools view -Oz",
                )
            yield number, line
    except BadInput as error:
        raise CatalogError(error.message, error.hint) from error


def _samples(path: Path, number: int, line: str) -> tuple[str, ...]:
    fields = line.split("\t")
    fixed = len(_FIXED_COLUMNS)
    if fields[:fixed] not in (_FIXED_COLUMNS, _FIXED_COLUMNS[: fixed - 1]):
        raise CatalogError(f"{path.name}, line {number}: the #CHROM line with its tab-separated names is due")
    samples = tuple(fields[fixed:])
    if len(set(samples)) != len(samples) or not all(samples):
        raise CatalogError(f"{path.name}, line {number}: a sample is named twice, or has no name")
    return samples


def _variant(path: Path, number: int, line: str) -> Variant:
    fields = line.split("\t", 8)
    where = f"{path.name}, line {number}"
    if len(fields) < 8 or not fields[1].isascii() or not fields[1].isdigit():
        raise CatalogError(f"{where}: not a record of eight tab-separated columns with a position")
    chrom, position, identifier, ref, alt = fields[:5]
    label = identifier if identifier != "." else f"{chrom}:{position}"
    if "," in alt:
        raise CatalogError(
            f"{where}: {label} has several alternate alleles",
            "split such variants first: bcftools norm -m -any",
        )
    if not _BASES.fullmatch(ref) or not _BASES.fullmatch(alt):
        raise CatalogError(
            f"{where}: {label} has alleles {ref[:20]}/{alt[:20]}, which are not bases",
            "keep biallelic variants of bases only: bcftools view -m2 -M2 -v snps,indels",
        )
    variant = Variant(chrom, int(position), "" if identifier == "." else identifier, ref, alt)
    if not _PLAIN_ID.fullmatch(variant.name):
        raise CatalogError(
            f"{where}: {variant.name} cannot be a column name",
            "ids are letters, digits and _, and do not begin with a digit (bcftools annotate --set-id)",
        )
    return variant
