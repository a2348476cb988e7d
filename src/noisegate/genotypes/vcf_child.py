"""The process in which cyvcf2 reads one VCF or BCF file: `python -m noisegate.genotypes.vcf_child FILE …`.

`FILE FOLDER` leaves calls.npy and records.json in the folder (`vcf.py` starts it so). `FILE --sites` and
`FILE --calls` write to standard output instead, record by record (`vcf_stream.py` says how). It exits 0, or
writes one JSON object with `problem` and `hint` and exits 3. Limits are set before the C library is loaded,
so that a hostile or broken file costs this process only. Whoever starts it checks what it got.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from noisegate.genotypes.reading import ONE_COPY
from noisegate.genotypes.variants import contig

REPORTED = 3
_MEMORY = 8 * 2**30
_SECONDS = 600
_FILE = 16 * 2**30
_OPEN_FILES = 64
# A slow reading takes a second for so many bytes of a compressed file; ten times that is granted.
_BYTES_A_SECOND = 500_000


class Unreadable(Exception):
    """The file is not what it should be."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def limit(seconds: int = _SECONDS, written: int = _FILE) -> None:
    """Cap memory, processor time, written files and open files, and leave no core dump."""
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, written),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        cap = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (cap, cap))


def dosages(alleles: NDArray[np.int16], label: str, *, lone_copies: bool = False) -> NDArray[np.int8]:
    """Return the alternate-allele counts of one biallelic variant.

    Args:
        alleles: int16, shape (samples, ploidy + 1); allele numbers, -1 missing, -2 no such allele; the
            last column says whether the call is phased. This is cyvcf2's Genotypes.array().
        label: names the variant in an error.
        lone_copies: whether a call may be of one allele. It then counts twice, as PLINK stores it.

    Returns:
        int8, shape (samples,): 0, 1, 2, or -1 where an allele is missing.

    Raises:
        Unreadable: a call of one allele, or of more than two, or an allele number above 1.
    """
    called = alleles[:, :-1]
    first, rest = called[:, 0], called[:, 1:]
    # A lone "." is a missing call, whatever the ploidy; a lone 0 or 1 is a haploid one.
    missing = (called[:, :2] == -1).any(axis=1)
    lone = (rest[:, 0] == -2) if rest.shape[1] else np.ones(len(first), dtype=bool)
    if (not lone_copies and (lone & (first >= 0)).any()) or (rest[:, 1:] != -2).any():
        raise Unreadable(
            f"{label} has calls that are not of two alleles",
            "keep the autosomes, or set haploid calls to missing (bcftools +setGT)",
        )
    if (called > 1).any() or (first < -1).any() or (rest < -2).any():
        raise Unreadable(f"{label} has a call of an allele that is not listed", "check it with bcftools view")
    counts = np.where(lone, 2 * first, called[:, :2].sum(axis=1))
    return np.where(missing, -1, counts).astype(np.int8)


def read(source: str, folder: Path) -> None:
    """Read the file with cyvcf2 and leave the result in the folder."""
    file = _opened(source)
    samples = len(file.samples)
    rows: list[NDArray[np.int8]] = []
    records: list[list[str | int]] = []
    label = "the first variant"
    try:
        for variant in file:
            label = variant.ID or f"{variant.CHROM}:{variant.POS}"
            records.append(_record(variant))
            rows.append(dosages(variant.genotype.array(), label))
            label = f"the variant after {label}"
    except Unreadable:
        raise
    except Exception as error:  # cyvcf2 raises plain Exception
        raise _no_calls(label) from error
    calls = np.stack(rows) if rows else np.empty((0, samples), dtype=np.int8)
    np.save(folder / "calls.npy", calls, allow_pickle=False)
    report = {"samples": list(file.samples), "records": records}
    (folder / "records.json").write_text(json.dumps(report), "utf-8")


def stream(source: str, out: BinaryIO, *, calls: bool) -> None:
    """Read the file with cyvcf2 and write it record by record, holding one at a time.

    One line of JSON with the samples; for each record one with its first five columns and, with `calls`, an
    int8 a sample after it; at the end one with the number of records.
    """
    file = _opened(source)
    _write(out, {"samples": list(file.samples)})
    count = 0
    label = "record 1"
    try:
        for variant in file:
            count += 1
            label = f"record {count} ({variant.ID or f'{variant.CHROM}:{variant.POS}'})"
            found = b""
            if calls:
                lone = contig(variant.CHROM) in ONE_COPY
                found = dosages(variant.genotype.array(), label, lone_copies=lone).tobytes()
            _write(out, _record(variant))
            out.write(found)
            label = f"record {count + 1}"
    except Unreadable:
        raise
    except BrokenPipeError:
        raise
    except Exception as error:  # cyvcf2 raises plain Exception
        raise _no_calls(label) from error
    _write(out, {"records": count})


def _write(out: BinaryIO, value: object) -> None:
    out.write(json.dumps(value).encode() + b"\n")


def _opened(source: str) -> Any:
    try:
        import cyvcf2  # here, once the limits hold
    except ImportError as error:
        raise Unreadable(
            "cyvcf2 is not installed, and VCF files are read with it", "pip install 'noisegate[genomes]'"
        ) from error
    try:
        return cyvcf2.VCF(source)
    except Exception as error:  # cyvcf2 raises plain Exception
        raise Unreadable("its header cannot be read", "check the file with bcftools view") from error


def _record(variant: Any) -> list[str | int]:
    return [variant.CHROM, variant.POS, variant.ID or "", variant.REF, ",".join(variant.ALT)]


def _no_calls(label: str) -> Unreadable:
    return Unreadable(
        f"{label} has no calls that can be read", "each record needs a GT value for every sample"
    )


def main() -> int:
    """Read the file named on the command line."""
    source, how = sys.argv[1], sys.argv[2]
    streams = how in ("--sites", "--calls")
    if streams:
        limit(_SECONDS + Path(source).stat().st_size // _BYTES_A_SECOND, written=0)
    else:
        limit()
    try:
        if streams:
            stream(source, sys.stdout.buffer, calls=how == "--calls")
        else:
            read(source, Path(how))
    except Unreadable as error:
        sys.stdout.write(json.dumps({"problem": error.problem, "hint": error.hint}))
        return REPORTED
    except MemoryError:
        sys.stdout.write(json.dumps({"problem": "it does not fit in memory", "hint": "split the file"}))
        return REPORTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
