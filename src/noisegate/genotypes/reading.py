"""What all readers of genotype files share: parts of progress, genome builds, variants there twice."""

import re
from collections.abc import Callable
from pathlib import Path

from noisegate.errors import BadInput
from noisegate.genotypes.text import Told
from noisegate.genotypes.variants import Variants, assembly

# Chromosomes of which a person may have one copy, by `contig`; a call of one allele counts twice there.
ONE_COPY = ("X", "Y", "MT")
# Lengths of chromosome 1, which headers of VCF state, and words that name a build.
_LENGTHS = {"249250621": "GRCh37", "248956422": "GRCh38", "247249719": "NCBI36", "248387328": "T2T-CHM13"}
_WORDS = {
    "GRCh37": ("grch37", "hg19", "b37", "hs37d5", "build 37", "build37", "37.1"),
    "GRCh38": ("grch38", "hg38", "hs38", "build 38", "build38"),
    "NCBI36": ("ncbi36", "hg18", "b36", "build 36", "build36"),
}


def rows_at_once(people: int) -> int:
    """Return how many variants to hold unpacked: about 4 million calls."""
    return max(1, 2**22 // max(people, 1))


def part(told: Told, start: float, stop: float) -> Told:
    """Return what to tell during one part of the work, of `start` to `stop` of all of it."""
    return lambda share: told(start + (stop - start) * share)


def refuse_twice(variants: Variants, where: Callable[[int], str]) -> None:
    """Refuse a list that holds a variant twice. `where` names a place in the source.

    Raises:
        BadInput: it does.
    """
    if (pair := variants.twice()) is not None:
        first, second = (where(place) for place in pair)
        name = variants[pair[0] : pair[0] + 1].names()[0]
        raise BadInput(
            f"{second}: {name} is there twice, first at {first.rpartition(', ')[2]}",
            "keep one of them: bcftools norm -d exact, or plink2 --rm-dup",
        )


def build_said(words: str) -> str:
    """Return the genome build that a header names, "" where it names none or several.

    >>> build_said("##contig=<ID=1,assembly=b37,length=249250621>")
    'GRCh37'
    """
    lower = words.casefold()
    found = {name for name, marks in _WORDS.items() if any(mark in lower for mark in marks)}
    found |= {
        _LENGTHS[n] for n in re.findall(r"id=(?:chr)?1,(?:[^>]*,)?length=(\d+)", lower) if n in _LENGTHS
    }
    return found.pop() if len(found) == 1 else ""


def agreed_build(path: Path, declared: str, found: str) -> str:
    """Return the build, as declared or else as found in the file.

    Raises:
        BadInput: the file says another than is declared.
    """
    known = assembly(declared)
    if known and found and known != found:
        raise BadInput(
            f"{path.name}: it says that its positions are on {found}, not on {declared}",
            f"say build {found}, or lift the positions over first",
        )
    return known or found
