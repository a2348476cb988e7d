"""The process in which cyvcf2 reads one VCF file: `python -m noisegate.genotypes.vcf_child FILE FOLDER`.

It leaves calls.npy and records.json in the folder and exits 0, or writes one JSON object with `problem` and
`hint` to standard output and exits 3. Limits are set before the C library is loaded, so that a hostile
or broken file costs this process only. `vcf.py` starts it and checks what it left.
"""

import json
import resource
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

REPORTED = 3
_MEMORY = 8 * 2**30
_SECONDS = 600
_FILE = 16 * 2**30
_OPEN_FILES = 64


class Unreadable(Exception):
    """The file is not what it should be."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def limit() -> None:
    """Cap memory, processor time, written files and open files, and leave no core dump."""
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_FSIZE, _FILE),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        cap = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (cap, cap))


def dosages(alleles: NDArray[np.int16], label: str) -> NDArray[np.int8]:
    """Return the alternate-allele counts of one biallelic variant.

    Args:
        alleles: int16, shape (samples, ploidy + 1); allele numbers, -1 missing, -2 no such allele; the
            last column says whether the call is phased. This is cyvcf2's Genotypes.array().
        label: names the variant in an error.

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
    if (lone & (first >= 0)).any() or (rest[:, 1:] != -2).any():
        raise Unreadable(
            f"{label} has calls that are not of two alleles",
            "keep the autosomes, or set haploid calls to missing (bcftools +setGT)",
        )
    if (called > 1).any():
        raise Unreadable(f"{label} has a call of an allele that is not listed", "check it with bcftools view")
    counts = np.where(missing, -1, called[:, :2].sum(axis=1))
    return counts.astype(np.int8)


def read(source: str, folder: Path) -> None:
    """Read the file with cyvcf2 and leave the result in the folder."""
    try:
        import cyvcf2  # here, once the limits hold
    except ImportError as error:
        raise Unreadable(
            "cyvcf2 is not installed, and VCF files are read with it", "pip install 'noisegate[genomes]'"
        ) from error
    try:
        file = cyvcf2.VCF(source)
    except Exception as error:  # cyvcf2 raises plain Exception
        raise Unreadable("its header cannot be read", "check the file with bcftools view") from error
    samples = len(file.samples)
    rows: list[NDArray[np.int8]] = []
    records: list[list[str | int]] = []
    label = "the first variant"
    try:
        for variant in file:
            label = variant.ID or f"{variant.CHROM}:{variant.POS}"
            alt = ",".join(variant.ALT)
            records.append([variant.CHROM, variant.POS, variant.ID or "", variant.REF, alt])
            rows.append(dosages(variant.genotype.array(), label))
            label = f"the variant after {label}"
    except Unreadable:
        raise
    except Exception as error:  # cyvcf2 raises plain Exception
        raise Unreadable(
            f"{label} has no calls that can be read", "each record needs a GT value for every sample"
        ) from error
    calls = np.stack(rows) if rows else np.empty((0, samples), dtype=np.int8)
    np.save(folder / "calls.npy", calls, allow_pickle=False)
    report = {"samples": list(file.samples), "records": records}
    (folder / "records.json").write_text(json.dumps(report), "utf-8")


def main() -> int:
    """Read the file named on the command line."""
    limit()
    try:
        read(sys.argv[1], Path(sys.argv[2]))
    except Unreadable as error:
        sys.stdout.write(json.dumps({"problem": error.problem, "hint": error.hint}))
        return REPORTED
    except MemoryError:
        sys.stdout.write(json.dumps({"problem": "it does not fit in memory", "hint": "split the file"}))
        return REPORTED
    return 0


if __name__ == "__main__":
    sys.exit(main())
