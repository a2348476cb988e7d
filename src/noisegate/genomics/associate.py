"""Association for analysts, on one screen: two groups of people, a charge, noisy counts of their genotypes.

TRUSTED. What is counted and which noise it gets is decided from public facts; the charge is durable before
who is a case is looked up or a genotype is read; what leaves are noisy counts, and all else is made of them.
PROOFS.md, "Association through the gate".
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from noisegate.engines.duckdb import DuckDB
from noisegate.errors import BadInput
from noisegate.gate.access import Asker, Right
from noisegate.gate.door import Gate, Offer, Terms, fingerprint_of
from noisegate.genomics import association_plan
from noisegate.genomics.association_design import design
from noisegate.genomics.association_plan import Choosing, Measured, Mechanism, Named, Tabling, Top
from noisegate.genomics.choosing import FULL
from noisegate.genomics.cohort import Cohort, labels_of
from noisegate.genomics.mechanism import Sources, aligned
from noisegate.genomics.panel import Panel
from noisegate.genomics.prepare import Prepared
from noisegate.genomics.recipe import PanelName
from noisegate.genomics.wanted import Wanted
from noisegate.ledger.records import Receipt, canonical
from noisegate.privacy.loss import Loss
from noisegate.privacy.noise import Gaussian, Laplace, half_width

CONFIDENCE = Fraction(19, 20)
NEIGHBOURS = "neighbours are two rosters of one size in which one person's row and group are any other"


@dataclass(frozen=True, slots=True)
class Studied:
    """What an association is about, by registered names at their versions.

    `manifest` and `reference` are public panels as `dataset.table@version`, "" for none.
    """

    genotypes: PanelName
    manifest: str
    reference: str


@dataclass(frozen=True, eq=False)
class Genotypes:
    """Genotypes that associations are looked for in: complete, in the order of their manifest."""

    studied: Studied
    source: Prepared
    reference: Prepared | None

    @classmethod
    def of(cls, studied: Studied, sources: Sources) -> "Genotypes":
        """Open them. Which variants there are and how many people is public; no genotype is read.

        Raises:
            BadInput: their own list of variants is not public, or the panel lacks some.
        """
        source, reference = aligned(studied.genotypes, studied.manifest, studied.reference, sources)
        if not len(source.variants):
            raise BadInput(f"{studied.genotypes.dataset}.{studied.genotypes.table} has no variants")
        return cls(studied, source, reference)

    @cached_property
    def panel(self) -> Panel | None:
        """The public panel, counted."""
        if self.reference is None:
            return None
        return Panel.of(self.reference, np.ones(len(self.source.variants), np.bool_))

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of their list of variants."""
        return self.source.variants.digest()

    @cached_property
    def _names(self) -> NDArray[np.object_]:
        return np.array(self.source.variants.names().tolist(), object)

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each name stands first."""
        return {name: place for place, name in reversed(list(enumerate(self._names)))}

    @cached_property
    def _shared(self) -> frozenset[str]:
        """The names of two or more."""
        return frozenset(name for place, name in enumerate(self._names) if self._places[name] != place)

    def names(self, places: NDArray[np.int64]) -> list[str]:
        """Return what the variants at some places are called."""
        return list(self._names[places])

    def places(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Return the places of variants, int64, in the order of their names.

        Raises:
            BadInput: some are not there, or a name is that of two.
        """
        absent = [name for name in names if name not in self._places]
        if absent:
            raise BadInput(
                f"{len(absent):,} of the variants are not there, such as {absent[0][:100]!r}",
                "write names as the genotypes have them: an id such as rs4798812, else chr1_1000_A_G",
            )
        shared = [name for name in names if name in self._shared]
        if shared:
            raise BadInput(
                f"two variants are called {shared[0][:100]!r}, so that it is not clear which is meant",
                "ask the custodian to give variants ids of their own",
            )
        return np.array([self._places[name] for name in names], np.int64)


@dataclass(frozen=True, eq=False)
class Proposal:
    """An association worked out from public facts: whom it is about, what is counted, which noise it gets."""

    wanted: Wanted
    genotypes: Genotypes
    cohort: Cohort
    mechanism: Mechanism

    @property
    def loss(self) -> Loss:
        """What it loses of one person, replace-one."""
        return self.mechanism.loss

    @property
    def people(self) -> int:
        """How many people are on the roster: a public number."""
        return self.genotypes.source.people

    @property
    def variants(self) -> int:
        """How many variants are looked at."""
        return len(self.genotypes.source.variants) if self.wanted.top else len(self.wanted.variants)

    @property
    def about(self) -> str:
        """What the variants are called."""
        if len(self.wanted.variants) == 1:
            return f"{self.wanted.genotypes}.{self.wanted.variants[0]}"
        return f"{self.variants:,} variants of {self.wanted.genotypes}"

    @cached_property
    def identity(self) -> dict[str, str]:
        """What is asked of whom, noise apart: equal where the same is asked in other words.

        A manifest counts by its list: genotypes in the order of one list are the same, whatever it is called.
        """
        studied, asked = self.genotypes.studied, self.wanted
        which = b"" if asked.top else np.sort(self.genotypes.places(asked.variants)).astype("<i8").tobytes()
        return {
            "genotypes": studied.genotypes.name,
            "reference": studied.reference,
            "variants": self.genotypes.digest,
            "cohort": self.cohort.digest,
            "top": str(asked.top),
            "named": hashlib.sha256(which).hexdigest(),
        }

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What is counted and chosen, each with its noise, a line each."""
        match self.mechanism:
            case Tabling(tables=tables):
                return (f"cases and controls by genotype: {noise_words(tables.noise)}",)
            case Choosing(wanted=wanted, sizes=sizes, selection=selection, tables=tables):
                scale = f"scale {float(selection.scale / FULL):.6g} alleles of the smaller group"
                which = f"{wanted.count:,} of {wanted.variants:,} variants"
                return (
                    f"how many cases and controls: {noise_words(sizes.noise)}",
                    f"choice of {which}: exponential mechanism, {scale}",
                    f"cases and controls by genotype: {noise_words(tables.noise)}",
                )
            case _:
                assert_never(self.mechanism)

    @property
    def expected_error(self) -> tuple[tuple[str, float], ...]:
        """What is counted, and the half-width of its 95 % interval due to noise."""
        reach = half_width(self.mechanism.tables.noise, CONFIDENCE)
        found = (("people of a group with one genotype", float(reach)),)
        match self.mechanism:
            case Tabling():
                return found
            case Choosing(sizes=sizes):
                return (*found, ("people in a group", float(half_width(sizes.noise, CONFIDENCE))))
            case _:
                assert_never(self.mechanism)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know besides the numbers, from public facts."""
        reference = self.genotypes.studied.reference
        filled = (
            f"the likeliest genotype of {reference.partition('@')[0]}" if reference else "no counted allele"
        )
        found = (
            "p-values and intervals account for the noise as well as for chance",
            f"a missing call counts as {filled}",
        )
        if not self.wanted.top:
            return found
        return (*found, f"found by looking at {self.variants:,} variants: p_adjusted takes that into account")


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What came through the gate: noisy counts, and where they are written down."""

    measured: Measured
    receipt: Receipt
    replayed: bool
    waited: bool


def propose(
    wanted: Wanted, genotypes: Genotypes, cohort: Cohort, epsilon: Fraction, delta: Fraction
) -> Proposal:
    """Return an association with the noise that is (epsilon, delta)-DP for one person.

    Raises:
        BadInput: a variant is not there, or no noise will do.
    """
    variants = len(genotypes.source.variants)
    if wanted.top > variants:
        raise BadInput(f"{wanted.genotypes} has {variants:,} variants", "ask for fewer")
    asked: Named | Top = (
        Top(variants, wanted.top, genotypes.panel)
        if wanted.top
        else Named(np.sort(genotypes.places(wanted.variants)))
    )
    return Proposal(wanted, genotypes, cohort, design(asked, epsilon, delta))


def offer_of(
    proposal: Proposal,
    *,
    population: str,
    datasets: tuple[str, ...],
    versions: Mapping[str, int],
    body: Mapping[str, object],
    tier: str,
) -> Offer:
    """Return what the gate needs to know of an association.

    Args:
        proposal: what is asked.
        population: whom it is about.
        datasets: of whose people rows are read: their accounts bear the loss.
        versions: of all data it reads, by dataset; those of panels stand in their names.
        body: what the receipt says of its price.
        tier: the most sensitive one it touches.
    """
    law = canonical(proposal.mechanism.as_json())
    return Offer(
        population=population,
        datasets=datasets,
        fingerprint=fingerprint_of(canonical(["association", proposal.identity]), law, versions),
        loss=proposal.loss,
        body={
            "question": proposal.wanted.words,
            "neighbours": NEIGHBOURS,
            "people": proposal.people,
            "variants": proposal.variants,
            "versions": dict(versions),
            "association": {**proposal.identity, "manifest": proposal.genotypes.studied.manifest},
            **body,
        },
        right=Right.ASK,
        tier=tier,
    )


def answer(
    proposal: Proposal,
    offer: Offer,
    asker: Asker,
    *,
    gate: Gate,
    engine: DuckDB,
    idempotency_key: str | None = None,
    terms: Terms = nullcontext,
) -> Counted:
    """Take an association through the gate: charged, then counted; or found as it was answered before.

    Claim: what it gives has the law of one run of the proposal's mechanism, is charged before anything
    private is read, and is the same for everybody who asks the same.
    Argued in PROOFS.md, "Association through the gate".

    Raises:
        NoisegateError: what the gate refuses it with; see `gate.door.Gate.open_passage`.
    """
    with gate.open_passage(asker, offer, idempotency_key, terms) as passage:
        stored = passage.stored
        if stored is None:  # charged; nothing private was read before this line
            source = proposal.genotypes.source
            labels = labels_of(proposal.cohort, engine, source.samples, offer.population)
            measured = association_plan.carry_out(proposal.mechanism, source, labels)
            stored = passage.close(json.dumps(measured.as_json(), separators=(",", ":")))
        # Read back even where it was just made: a twin may have been answered first.
        held = association_plan.from_json(proposal.mechanism, proposal.people, json.loads(stored))
        return Counted(held, passage.receipt, passage.replayed, passage.waited)


def noise_words(noise: Gaussian | Laplace) -> str:
    """Return a noise in words, as receipts have it."""
    match noise:
        case Gaussian(scale=scale):
            return f"discrete Gaussian, σ {float(scale):.6g}"
        case Laplace(scale=scale):
            return f"discrete Laplace, scale {float(scale):.6g}"
        case _:
            assert_never(noise)
