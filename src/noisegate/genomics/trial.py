"""A release tried on a twin: people put together from a public panel, who go through the same noise.

The figures say what the release is good for and what attacks on it find, from public genotypes alone. The key
of a trial's noise hides nobody and is no secret: it follows from the release's law.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics import frequencies, tables
from noisegate.genomics.comparison import Measures, Places, compare, compare_frequencies, compare_tables
from noisegate.genomics.counts import measure
from noisegate.genomics.design import flip_rates
from noisegate.genomics.keys import KEY_BYTES, ReleaseKey
from noisegate.genomics.laws import Chain, Family, Independent
from noisegate.genomics.making import chunks_of
from noisegate.genomics.mechanism import Counting, Flipping
from noisegate.genomics.proposal import Proposal
from noisegate.genomics.recipe import Method
from noisegate.genomics.twin import Twin
from noisegate.genotypes.packed import Block
from noisegate.genotypes.variants import Variants
from noisegate.leakage.audit import Outcomes, audit
from noisegate.leakage.genomes import Chosen, Frequencies, Genomes, Held, take
from noisegate.leakage.genomes import frequencies as frequencies_of
from noisegate.leakage.membership import unflipped

# Genotypes of a trial, and people of one of rows: enough for the figures, and done in seconds.
MOST_GENOTYPES = 2**27
MOST_PEOPLE = 2_000


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a trial: how many people were released, over how many variants, and the figures."""

    people: int
    variants: int
    measures: Measures
    outcomes: Outcomes


def tried(proposal: Proposal) -> Tried | None:
    """Try a release on a twin of its panel; None where there is no panel, or too much to try it on.

    Noise on genotypes is tried on the first variants and at most MOST_PEOPLE; noise on counts, which depends
    on how many of both there are, on all of them or not at all.
    """
    reference = proposal.reference
    if reference is None:
        return None
    people, variants = _size(proposal)
    mechanism = proposal.mechanism
    related = isinstance(mechanism, Flipping) and isinstance(mechanism.law, Family)
    if people * variants > MOST_GENOTYPES or (related and people < proposal.people):
        return None
    key = ReleaseKey(
        hashlib.sha256(f"trial of {proposal.summary['law_digest']}".encode()).digest()[:KEY_BYTES]
    )
    both = Twin(reference, variants, 2 * people, key).block(0, variants)
    members, controls = (
        _People(take(both, np.arange(start, start + people, dtype=np.int64))) for start in (0, people)
    )
    panel = _People(reference.block(0, variants))
    if isinstance(proposal.mechanism, Counting):
        return _counted(proposal, members, controls, panel)
    return _rows(proposal, members, controls, panel, key)


def places_of(variants: Variants) -> Places:
    """Return where variants lie."""
    return Places(variants.contigs[1].astype(np.int64), variants.pos.astype(np.int64))


def chosen(source: Genomes, which: NDArray[np.bool_]) -> Chosen:
    """Return some people of a source; `which` is bool, of shape (people,)."""
    return Chosen(source, np.flatnonzero(which).astype(np.int64))


def seen_by_attackers(proposal: Proposal, released: Genomes, variants: int) -> Frequencies | None:
    """Return the frequencies an attacker works with, flips of bits taken out; None for those of the rows."""
    mechanism = proposal.mechanism
    if not isinstance(mechanism, Flipping) or mechanism.target is not None or mechanism.plan is not None:
        return None
    law = mechanism.law.single if isinstance(mechanism.law, Family) else mechanism.law
    if not isinstance(law, Independent | Chain):
        return None
    flip = flip_rates(law).reshape(-1, 2).mean(axis=1)[:variants]
    return None if (flip >= 0.5).any() else unflipped(frequencies_of(released), flip)


def _size(proposal: Proposal) -> tuple[int, int]:
    if not isinstance(proposal.mechanism, Flipping) or proposal.mechanism.plan is not None:
        return proposal.people, proposal.variants
    people = min(proposal.people, MOST_PEOPLE)
    return people, min(proposal.variants, max(MOST_GENOTYPES // people // 4, 1))


def _rows(
    proposal: Proposal, members: "_People", controls: "_People", panel: Genomes, key: ReleaseKey
) -> Tried:
    """Try a release of genotypes: a row a person."""
    people, variants = members.people, members.variants
    cells = {name: measure(plan, members) for name, plan in proposal.plans.items()}
    chunks = chunks_of(proposal, members, cells)
    starts = range(0, variants, proposal.chunk)
    blocks = [
        chunks.block(number, start, min(start + proposal.chunk, variants), key)
        for number, start in enumerate(starts)
    ]
    released = Held(_stacked(blocks), noisy=True)
    where = places_of(proposal.source.variants[:variants])
    measures = compare(members, released, places=where, controls=controls)
    outcomes = audit(
        released,
        members=members,
        controls=controls,
        reference=panel,
        seen=seen_by_attackers(proposal, released, variants),
        seen_charged=True,
    )
    return Tried(people, variants, measures, outcomes)


def _counted(proposal: Proposal, members: "_People", controls: "_People", panel: Genomes) -> Tried:
    """Try a release of counts; for tables, every other of the people is taken for a case."""
    people, variants = members.people, members.variants
    mechanism = proposal.mechanism
    assert isinstance(mechanism, Counting)  # noqa: S101 -- as the caller found
    if proposal.recipe.method is Method.TABLES:
        cases = np.arange(people) % 2 == 0
        found = tables.estimate(measure(mechanism.plan, members, cases))
        measures = compare_tables(
            chosen(members, cases),
            chosen(members, ~cases),
            found.cells,
            tables.associations(found).p,
            charged=True,
        )
        seen: NDArray[np.float64] = np.clip(found.alleles.sum(axis=1) / (2 * people), 0, 1)
    else:
        estimated = frequencies.estimate(measure(mechanism.plan, members), mechanism.panel)
        measures = compare_frequencies(members, estimated.mean, charged=True)
        seen = estimated.mean
    outcomes = audit(
        None,
        members=members,
        controls=controls,
        reference=panel,
        seen=seen,
        people=people,
        seen_charged=True,
    )
    return Tried(people, variants, measures, outcomes)


def _stacked(blocks: Sequence[Block]) -> Block:
    """Return blocks of the same people as one."""
    hi, lo = (np.concatenate([getattr(block, plane) for block in blocks]) for plane in ("hi", "lo"))
    return Block(hi, lo, blocks[0].people)


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """Public genotypes in memory, to put noise on, to count and to attack."""

    all: Block
    public: bool = True
    noisy: bool = False

    @property
    def people(self) -> int:
        return self.all.people

    @property
    def variants(self) -> int:
        return self.all.variants

    def block(self, start: int, stop: int) -> Block:
        return Block(self.all.hi[start:stop].copy(), self.all.lo[start:stop].copy(), self.people)

    def blocks(self) -> Iterator[tuple[int, Block]]:
        yield 0, self.all
