"""A public reference panel: what releases may lean on at no cost.

TRUSTED. Everything here is computed from people whose genotypes are public, and from nothing else: a panel
has one maker, which asks for a source that is marked so. PROOFS.md, "Targets of restoration".
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import Forbidden
from noisegate.genomics import ancestry, counting
from noisegate.genomics.counts import (
    UNITS,
    Centred,
    Pairs,
    Source,
    blocks,
    mask,
    pair_counts,
    squared_distances,
)
from noisegate.genotypes.packed import tally

Cells = NDArray[np.int64]
Flags = NDArray[np.bool_]
Reals = NDArray[np.float64]
_MADE_HERE = object()


class PublicSource(Source, Protocol):
    """Genotypes that the custodian marked as public when they were imported."""

    @property
    def public(self) -> bool:
        """Whether they are."""

    @property
    def digest(self) -> str:
        """What names their content."""


@dataclass(frozen=True, eq=False)
class Panel:
    """Counts of a public panel over the variants of a release.

    `genotypes` is int64 of shape (variants, 3), `tables` int64 of shape (tables, 3, 3) as in `counts.Pairs`,
    one for every variant that starts no chain; `starts` bool of shape (variants,); `squared_radius`: of a
    ball round their mean that all people of the panel lie in, and an eighth
    more. `source` is what was counted.
    """

    people: int
    genotypes: Cells
    starts: Flags
    tables: Cells
    squared_radius: int
    source: PublicSource
    _maker: object = field(repr=False)

    def __post_init__(self) -> None:
        if self._maker is not _MADE_HERE:
            raise TypeError("a panel is counted from a public source, with `of`")

    @classmethod
    def of(cls, source: PublicSource, starts: Flags) -> "Panel":
        """Return the counts of a public source.

        Args:
            source: complete genotypes, marked as public.
            starts: bool, shape (variants,): where chains begin, from `chain_starts`.

        Raises:
            Forbidden: the source is not marked as public.
        """
        if source.public is not True:
            raise Forbidden(
                "a reference panel must be marked as public", "import it again and say that it is public"
            )
        variants = len(starts)
        counted = [tally(block) for _, block in blocks(source, variants)]
        ones, twos = (np.concatenate([getattr(t, name) for t in counted]) for name in ("ones", "twos"))
        genotypes = np.stack([source.people - ones - twos, ones, twos], axis=1)
        tables = (
            np.zeros((0, 3, 3), np.int64)
            if starts.all()
            else np.concatenate(list(pair_counts(Pairs(starts), source)))
        )
        reach = int(squared_distances(_centre(genotypes), source).max())
        return cls(source.people, genotypes, starts, tables, max(reach * 9 // 8, 1), source, _MADE_HERE)

    @property
    def digest(self) -> str:
        """What names the panel's content."""
        return self.source.digest

    @cached_property
    def alleles(self) -> Cells:
        """Alternate alleles of each variant, int64."""
        found: Cells = self.genotypes[:, 1] + 2 * self.genotypes[:, 2]
        return found

    @cached_property
    def frequency(self) -> Reals:
        """Alternate allele frequency, half an allele of either kind added so that none is 0 or 1."""
        found: Reals = (self.alleles + 0.5) / (2 * self.people + 1)
        return found

    @cached_property
    def groups(self) -> tuple[Reals, Reals]:
        """Frequencies in groups of ancestry, float64 of shape (groups, variants), and their sizes.

        Groups that have nobody are left out; an allele of either kind, shared out as the panel has them, is
        added.
        """
        labels = ancestry.groups(self.source, len(self.genotypes))
        sizes = np.bincount(labels)
        members = [mask(labels == group) for group in np.flatnonzero(sizes)]
        found = np.concatenate(
            [
                np.stack([counting.alleles(block.hi, block.lo, who) for who in members])
                for _, block in blocks(self.source, len(self.genotypes))
            ],
            axis=1,
        )
        some = sizes[sizes > 0].astype(np.float64)
        parts: Reals = (found + 2 * self.frequency) / (2 * some[:, None] + 2)
        return parts, some

    @cached_property
    def centred(self) -> Centred:
        """The counts about this panel's frequencies, of everybody who lies no further out than its people."""
        return Centred(_centre(self.genotypes), self.squared_radius)


def chain_starts(contigs: NDArray[np.generic], step: int = 0) -> Flags:
    """Return where chains begin: at the first variant of each contig, and every `step` variants if not 0."""
    starts = np.ones(len(contigs), np.bool_)
    starts[1:] = contigs[1:] != contigs[:-1]
    if step:
        starts[::step] = True
    return starts


def _centre(genotypes: Cells) -> Cells:
    """Return the mean genotype in UNITS, rounded."""
    alleles = genotypes[:, 1] + 2 * genotypes[:, 2]
    people = genotypes.sum(axis=1)
    centre: Cells = (2 * UNITS * alleles + people) // (2 * people)
    return centre
