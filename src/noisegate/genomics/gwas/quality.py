"""Which variants and people are good enough to be tested.

As PLINK's --geno, --mind, --maf and --hwe: shares and frequencies are of all people of the study, whether or
not their trait is known; Hardy-Weinberg's law is tested among controls alone where there are controls, since
cases may well depart from it. It is not tested on X, Y and MT, which it never leaves out: see `copies.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from noisegate.errors import BadInput
from noisegate.genomics.gwas import exact
from noisegate.genomics.gwas.columns import Column, Counts, Flags, Reals
from noisegate.genomics.gwas.copies import Copies, blank
from noisegate.genomics.gwas.tallies import add_missing
from noisegate.genotypes.haploid import DIPLOID
from noisegate.genotypes.packed import Block
from noisegate.genotypes.text import Told, silent
from noisegate.genotypes.variants import Variants

MISSING, RARE, DEPARTS = "missing", "rare", "hardy_weinberg"
_MORE = 1 + 1e-12  # what is at a limit but for rounding is within
REASONS = (MISSING, RARE, DEPARTS)


class Source(Protocol):
    """Genotypes, a chunk of variants at a time: a store is one."""

    @property
    def people(self) -> int:
        """How many people there are."""

    @property
    def variants(self) -> Variants:
        """The variants, in the order of their calls."""

    @property
    def build(self) -> str:
        """The genome build positions are of, "" where it is not known."""

    def chunks(self) -> Iterable[int]:
        """Return the numbers of all chunks."""

    def bounds(self, chunk: int) -> tuple[int, int]:
        """Return the first variant of a chunk, and the one after its last."""

    def read(self, chunk: int) -> Block:
        """Return the calls of one chunk."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a variant may be like at worst.

    Attributes:
        maf: least frequency of the rarer allele, in [0, 0.5].
        missing: largest share of missing calls, in [0, 1].
        hardy_weinberg: least p-value of the exact test of Hardy-Weinberg's law, in [0, 1].
    """

    maf: float = 0.0
    missing: float = 1.0
    hardy_weinberg: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.maf <= 0.5:
            raise BadInput(f"a least frequency of {self.maf:g} is not between 0 and 0.5")
        if not 0 <= self.missing <= 1:
            raise BadInput(f"a share of missing calls of {self.missing:g} is not between 0 and 1")
        if not 0 <= self.hardy_weinberg <= 1:
            raise BadInput(f"a p-value of {self.hardy_weinberg:g} is not between 0 and 1")

    @property
    def any(self) -> bool:
        """Whether anything can be left out."""
        return self.maf > 0 or self.missing < 1 or self.hardy_weinberg > 0


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Which variants stay, bool of shape (variants,), and how many do not, by the first reason."""

    rows: Flags
    dropped: dict[str, int]


def missing_share(counts: Counts) -> Reals:
    """Return the share of calls that are missing.

    Args:
        counts: int64, shape (variants, 4): people with 0, 1 and 2 alleles, and without a call.

    Returns:
        float64, shape (variants,); NaN where nobody is asked about.
    """
    with np.errstate(invalid="ignore"):
        found: Reals = counts[:, 3] / counts.sum(axis=1)
    return found


def frequency(counts: Counts) -> Reals:
    """Return the share of alternate alleles among the calls that are there; NaN where none is."""
    called = counts[:, :3].sum(axis=1)
    with np.errstate(invalid="ignore"):
        found: Reals = (counts[:, 1] + 2 * counts[:, 2]) / (2 * called)
    return found


def heterozygosity(counts: Counts) -> tuple[Reals, Reals]:
    """Return the shares of heterozygotes seen and expected by Hardy-Weinberg's law; NaN where no call is."""
    share = frequency(counts)
    with np.errstate(invalid="ignore"):
        return counts[:, 1] / counts[:, :3].sum(axis=1), 2 * share * (1 - share)


def keep(counts: Counts, limits: Limits, among: Counts | None = None, copies: Copies | None = None) -> Kept:
    """Return which variants are within limits. One without any call has no frequency, and stays, as in PLINK.

    Args:
        counts: of all people of the study, int64, shape (variants, 4).
        limits: what is asked for.
        among: of those among whom Hardy-Weinberg's law is tested; by default all.
        copies: int8, shape (variants,), who has one copy; None where everybody has two.
    """
    left = np.ones(len(counts), np.bool_)
    dropped = dict.fromkeys(REASONS, 0)
    if limits.missing < 1:
        share = missing_share(counts)
        _drop(MISSING, share > limits.missing * _MORE, left, dropped)
    if limits.maf > 0:
        share = frequency(counts)
        _drop(RARE, np.minimum(share, 1 - share) * _MORE < limits.maf, left, dropped)
    if limits.hardy_weinberg > 0:
        p = hardy_weinberg(counts if among is None else among, copies)
        _drop(DEPARTS, p < limits.hardy_weinberg, left, dropped)
    return Kept(left, dropped)


def hardy_weinberg(counts: Counts, copies: Copies | None) -> Reals:
    """Return p-values of the exact test of Hardy-Weinberg's law; NaN where somebody has one copy."""
    p = exact.hardy_weinberg(np.ascontiguousarray(counts[:, :3]))
    return p if copies is None else blank(p, copies != DIPLOID)


def columns(
    counts: Counts, cases: Counts | None, controls: Counts | None, copies: Copies | None = None
) -> dict[str, Column]:
    """Return the table of quality: calls, frequencies and Hardy-Weinberg's law, of all and of each group."""
    share = frequency(counts)
    seen, expected = heterozygosity(counts)
    found: dict[str, Column] = {
        "people": counts[:, :3].sum(axis=1),
        "missing": missing_share(counts),
        "freq": share,
        "maf": np.minimum(share, 1 - share),
        "heterozygous": seen,
        "expected": expected,
        "p_hwe": hardy_weinberg(counts, copies),
    }
    for name, group in (("cases", cases), ("controls", controls)):
        if group is not None:
            found[f"missing_{name}"] = missing_share(group)
            found[f"p_hwe_{name}"] = hardy_weinberg(group, copies)
    return found


def present(source: Source, share: float, told: Told = silent) -> Flags:
    """Return who misses at most a share of their calls, bool of shape (people,); PLINK's --mind.

    Raises:
        BadInput: the share is not in [0, 1].
    """
    if not 0 <= share <= 1:
        raise BadInput(f"a share of missing calls of {share:g} is not between 0 and 1")
    missing = np.zeros(source.people, np.int64)
    variants = 0
    for chunk in source.chunks():
        block = source.read(chunk)
        add_missing(block, missing)
        variants += block.variants
        told(variants / max(len(source.variants), 1))
    found: Flags = missing <= share * variants
    return found


def _drop(reason: str, which: Flags, left: Flags, dropped: dict[str, int]) -> None:
    which = which & left
    dropped[reason] += int(which.sum())
    left &= ~which
