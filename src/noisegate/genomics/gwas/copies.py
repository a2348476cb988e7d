"""What it means for tests that some chromosomes are there once: X in men, Y and MT in everybody who has one.

A call of one copy is kept as 0 or 2; see `genotypes/haploid.py`. Who is a man is not kept. Hence:

    Y, MT   tests of alleles count a person's one copy once; there are no tests of genotypes
    X       there are no tests of alleles; tests of genotypes take a man's one copy for two
    all     Hardy-Weinberg's law is not tested

as in PLINK 1.9, which on X is told the sex or takes everybody for a woman. Regressions take a man's one copy
of X for two, and give the effect of the one copy on Y and MT, as in plink2.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.gwas.columns import Counts, Flags, Reals
from noisegate.genotypes.flat import Flat
from noisegate.genotypes.haploid import IN_ALL, IN_MEN, of_contigs
from noisegate.genotypes.variants import contig

Copies = NDArray[np.int8]
ON_X = "a man's one copy counts as two"
NO_SEX = "tests of alleles are NA, for the sex is not known"
ONCE = "one copy counts once, and tests of genotypes are NA"
NO_LAW = "Hardy–Weinberg's law is not tested"


def copies_of(variants: Flat, build: str) -> Copies:
    """Say who has one copy of each variant; see `haploid.copies`."""
    chrom = variants.chrom
    # Variants of one chromosome lie side by side, and mostly share its name in memory.
    begins = np.flatnonzero(np.diff(chrom.starts, prepend=-1) != 0)
    names = [contig(chrom.text(row)) for row in begins.tolist()]
    which = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(chrom)))
    return of_contigs(names, which, variants.pos, build)


def counted_once(tables: Reals, copies: Copies) -> Reals:
    """Return tables in which each person with one copy of a variant has one allele.

    Args:
        tables: float64, shape (variants, 2, 3); see `contingency.py`.
        copies: int8, shape (variants,).

    Returns:
        The same but for Y and MT: half of the people, so that twice as many are the alleles they have. Who
        has a heterozygous call, which cannot be right, is left out.
    """
    found = tables.copy(order="K")
    once = copies == IN_ALL
    found[once] /= 2
    found[once, :, 1] = 0
    return found


def blank(values: Reals | Counts, which: Flags) -> Reals:
    """Return values that are NaN at some variants."""
    return np.where(which, np.nan, values)


def in_words(copies: Copies, *, tables: bool, law: bool) -> Iterator[tuple[str, str]]:
    """Yield what is done with variants that somebody has once, as (which, how).

    Args:
        copies: int8, shape (variants,).
        tables: whether there are tests of tables.
        law: whether Hardy-Weinberg's law is tested.
    """
    for kind, where, how in (
        (IN_MEN, "X", [ON_X, *([NO_SEX] if tables else [])]),
        (IN_ALL, "Y and MT", [ONCE] if tables else ["one copy counts once"]),
    ):
        if number := int((copies == kind).sum()):
            yield f"variants on {where}", "; ".join([f"{number:,}", *how, *([NO_LAW] if law else [])])
