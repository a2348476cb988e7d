"""What noise is put on: a source's calls in the order of a public manifest, no call missing.

TRUSTED. Each row depends on that person and on public facts alone. The variants are the manifest's,
whatever the source holds; a call that is missing, or a variant the source has not, is filled with one
public genotype for each variant, the same for everybody, so that who lacks which calls does not show and
nobody's call is guessed from others'.

Needed of the caller: the source's own list of variants is a public fact, as that of a typing array is; a list
made from the people at hand names the carriers of its rare variants. Where the source is its own
manifest, so is which allele is counted and that it is named at all (`Store.coding_is_public`): PLINK 1
works both out of the people.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numba import njit

from noisegate.errors import BadInput, Forbidden
from noisegate.genotypes import align
from noisegate.genotypes.align import NOWHERE, Alignment
from noisegate.genotypes.packed import Block, Calls, Counts, tally
from noisegate.genotypes.store import Store
from noisegate.genotypes.variants import Variants, assembly


class Listed(Protocol):
    """A list of variants and the build of its positions, "" where it is not known."""

    @property
    def variants(self) -> Variants:
        """The variants, in order."""

    @property
    def build(self) -> str:
        """The genome build."""


def fill(block: Block, calls: Calls) -> Block:
    """Return the block with every missing call replaced by its variant's public genotype.

    Claim: one person's row of the result depends on that person's row and on `calls`.
    Needs: `calls` is public.
    Argued in PROOFS.md, "Preparation".

    Args:
        block: some variants.
        calls: int8, shape (variants,): 0, 1 or 2.

    Raises:
        ValueError: another shape or value.
    """
    if calls.dtype != np.int8 or calls.shape != (block.variants,):
        raise ValueError("one int8 call a variant is due")
    if len(calls) and not (calls.min() >= 0 and calls.max() <= 2):
        raise ValueError("calls to fill with are 0, 1 or 2")
    hi, lo = np.empty_like(block.hi), np.empty_like(block.lo)
    _fill(block.hi, block.lo, calls, hi, lo)
    return Block(hi, lo, block.people)


def likeliest(alleles: Counts, called: Counts) -> Calls:
    """Return the likeliest genotype of each variant under Hardy-Weinberg proportions.

    With alternate-allele frequency p they are (1 - p)², 2p(1 - p) and p², of which the first is largest
    below 1/3 and the last above 2/3. Counted in integers, so that no rounding decides; a tie goes to the
    heterozygote.

    Args:
        alleles: int64, shape (variants,); alternate alleles counted.
        called: int64, shape (variants,); people with a call. Where it is 0 the genotype is 0.

    Returns:
        int8, shape (variants,): 0, 1 or 2.

    >>> likeliest(np.array([3, 4, 8, 9, 0]), np.array([6, 6, 6, 6, 0])).tolist()
    [0, 1, 1, 2, 0]
    """
    thrice, both = 3 * alleles, 2 * called
    return np.where(called == 0, 0, (thrice >= both).astype(np.int8) + (thrice > 2 * both)).astype(np.int8)


def public_calls(reference: Store, alignment: Alignment | None = None) -> Calls:
    """Return the genotype to fill each variant with: the likeliest one in a public panel.

    Args:
        reference: a store its custodian marked as public.
        alignment: how the manifest's variants come from the panel's; None where they are the panel's own.
        A variant
            that the panel has not is filled with 0, its reference allele.

    Returns:
        int8, shape (variants,): 0, 1 or 2.

    Raises:
        Forbidden: the panel is not public, so its frequencies would tell of the people in it.
    """
    if not reference.public:
        raise Forbidden(
            f"{reference.path.name} is not marked as public, so calls cannot be filled from it",
            "name a public panel, or mark this one as public at import if everybody may see it",
        )
    counts = [tally(block) for _, block in reference.blocks()]
    alleles = np.concatenate([count.alleles for count in counts])
    called = reference.people - np.concatenate([count.missing for count in counts])
    if alignment is None:
        return likeliest(alleles, called)
    alleles, called = alleles[alignment.index], called[alignment.index]
    alleles = np.where(alignment.swapped, 2 * called - alleles, alleles)
    return likeliest(alleles, np.where(alignment.index == NOWHERE, 0, called))


@dataclass(frozen=True, eq=False)
class Prepared:
    """The manifest's calls of the source's people, filled; no call is missing.

    Claim: the row of each person depends on that person's row in the source and on public facts; which
    variants there are, and how many, does not depend on any row. Needs: the lists of variants of the
    source and the manifest, and `calls`, are public. Argued in PROOFS.md, "Preparation".
    """

    source: Store
    alignment: Alignment
    calls: Calls
    build: str = ""

    def __post_init__(self) -> None:
        if self.source.variants.digest() != self.alignment.source.digest():
            raise BadInput("the alignment is of another source", "align this store with the manifest")
        if self.calls.dtype != np.int8 or self.calls.shape != (len(self.alignment.manifest),):
            raise ValueError("one int8 call a variant of the manifest is due")
        if len(self.calls) and not (self.calls.min() >= 0 and self.calls.max() <= 2):
            raise ValueError("calls to fill with are 0, 1 or 2")

    @property
    def people(self) -> int:
        """How many people there are."""
        return self.source.people

    @property
    def samples(self) -> tuple[str, ...]:
        """The people's names, in the order of their bits."""
        return self.source.samples

    @property
    def variants(self) -> Variants:
        """The manifest's variants."""
        return self.alignment.manifest

    @property
    def chunk(self) -> int:
        """How many variants are best read at once: as the source has them."""
        return self.source.chunk

    @property
    def public(self) -> bool:
        """Whether the source is marked as public."""
        return self.source.public

    @property
    def noisy(self) -> bool:
        """Whether the source is itself a release."""
        return self.source.noisy

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of what noise is put on: source, manifest, and how one is made of the other."""
        whole = hashlib.sha256(f"prepared {self.source.digest} {self.alignment.digest()}\n".encode())
        whole.update(self.calls.tobytes())
        return whole.hexdigest()

    def block(self, start: int, stop: int) -> Block:
        """Return the calls of variants start to stop - 1, none missing."""
        if not 0 <= start <= stop <= len(self.variants):
            raise ValueError(f"variants {start} to {stop} of {len(self.variants)}")
        block = align.apply(self.source, self.alignment, start, stop)
        _fill(block.hi, block.lo, self.calls[start:stop], block.hi, block.lo)
        return block

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Yield the first variant and the calls of some variants at a time."""
        for start in range(0, len(self.variants), self.chunk):
            yield start, self.block(start, min(start + self.chunk, len(self.variants)))


def prepared(source: Store, manifest: Listed, reference: "Prepared | None" = None) -> Prepared:
    """Return a source's people in the order of a manifest, filled.

    Args:
        source: whose calls they are.
        manifest: the list that is wanted, with its build; the source itself where its own list is public.
        reference: a public panel in the order of the same manifest, from which missing calls are filled.
        Without
            one they are filled from the source where that is public, and else with the reference allele.

    Raises:
        BadInput: the builds differ; the reference is of another manifest.
        Forbidden: the reference is not public.
    """
    found = align.align(source.variants, manifest.variants, builds=(source.build, manifest.build))
    if reference is not None:
        if reference.variants.digest() != manifest.variants.digest():
            raise BadInput("the reference is of another manifest", "prepare it for this one")
        calls = public_calls(reference.source, reference.alignment)
    elif source.public:
        calls = public_calls(source, found)
    else:
        calls = np.zeros(len(manifest.variants), np.int8)
    return Prepared(source, found, calls, assembly(source.build) or assembly(manifest.build))


@njit(cache=True, nogil=True)
def _fill(from_hi, from_lo, calls, hi, lo):  # type: ignore[no-untyped-def]
    """A missing call is 10; it becomes 00, 01 or 11."""
    for v in range(from_hi.shape[0]):
        any_ = np.uint64(0xFFFFFFFFFFFFFFFF) if calls[v] > 0 else np.uint64(0)
        both = np.uint64(0xFFFFFFFFFFFFFFFF) if calls[v] > 1 else np.uint64(0)
        for w in range(from_hi.shape[1]):
            missing = from_hi[v, w] & ~from_lo[v, w]
            hi[v, w] = (from_hi[v, w] & ~missing) | (missing & both)
            lo[v, w] = from_lo[v, w] | (missing & any_)
