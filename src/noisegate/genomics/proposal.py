"""A recipe worked out: the noise it means, what that loses, what the gate is offered. No private row is read.

TRUSTED. All of it follows from public facts: how many people and which variants a registered store has,
public panels, declared tables, earlier releases. So the same recipe on the same data is the same proposal,
also after a restart, and its fingerprint says so. PROOFS.md, "Shared genomes".
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from noisegate.catalog.model import Tier
from noisegate.errors import BadInput
from noisegate.gate.access import Right
from noisegate.gate.door import Offer, fingerprint_of
from noisegate.gate.jobs import Schedule
from noisegate.genomics import targets
from noisegate.genomics.counts import Plan
from noisegate.genomics.keys import Context
from noisegate.genomics.mechanism import Mechanism, Sources, loss_of, mechanism_of, opened, plans_of
from noisegate.genomics.prepare import Prepared
from noisegate.genomics.recipe import PanelName, Recipe, Restoration
from noisegate.genomics.releases import release_id
from noisegate.genomics.summary import summary_of
from noisegate.genotypes import layout
from noisegate.ledger.records import canonical
from noisegate.privacy.loss import Loss

MOST_SHOWN = Fraction(1, 10)  # people who may be shown outright, in expectation: δ times the roster


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A release as it would be made.

    Attributes:
        recipe: what was asked for.
        population: whose root account it is charged to.
        source: the genotypes, in the order of the manifest and complete.
        reference: the public panel, likewise; None where there is none.
        mechanism: the noise.
        chunk: variants a chunk of what comes out.
        sources: where private things that the recipe names are found, once it is charged.
        warnings: what the custodian has to accept first.
        named: whether rows are given out under people's names, since the roster is declared public.
        summary: public facts, JSON values: what is on the receipt, and with the release.
    """

    recipe: Recipe
    population: str
    source: Prepared
    reference: Prepared | None
    mechanism: Mechanism
    chunk: int
    sources: Sources
    warnings: tuple[str, ...]
    named: bool
    summary: Mapping[str, object]

    @property
    def people(self) -> int:
        """How many slots the release has."""
        return self.source.people

    @property
    def variants(self) -> int:
        """How many variants it has."""
        return len(self.source.variants)

    @property
    def plans(self) -> dict[str, Plan]:
        """What is counted with noise, by name; nothing where noise is put on genotypes."""
        return plans_of(self.mechanism)

    @property
    def loss(self) -> Loss:
        """What it loses of one person, replace-one."""
        return loss_of(self.mechanism)

    @property
    def schedule(self) -> Schedule:
        """Its one step."""
        return Schedule(((self.loss, 1),))

    @property
    def offer(self) -> Offer:
        """What the gate needs to know of it."""
        versions = {self.recipe.dataset: self.recipe.version}
        identity = {name: v for name, v in self.recipe.as_json().items() if name != "formats"}
        law = str(self.summary["law_digest"])
        body = {
            **self.summary,
            "question": self.summary["title"],
            "plan": [f"{self.summary['title']}; {self.summary['neighbours']}"],
            "mechanisms": [f"{self.recipe.method.value}: {self.summary['law']}"],
            "nominal_epsilon": float(self.recipe.epsilon),
            "versions": versions,
        }
        return Offer(
            population=self.population,
            datasets=(self.recipe.dataset,),
            fingerprint=fingerprint_of(canonical(["genomes", identity]), law, versions),
            loss=self.loss,
            body=body,
            right=Right.SHARE_GENOMES,
            tier=Tier.GENOMIC.value,
        )

    def context(self, release: str) -> Context:
        """Return what the noise of the release of that name is bound to: input, parameters and layout."""
        identity = {name: v for name, v in self.recipe.as_json().items() if name != "formats"}
        parameters = canonical([identity, self.summary["law_digest"], self.summary["target_digest"]])
        return Context(
            release=release,
            input=self.source.digest,
            parameters=hashlib.sha256(parameters.encode()).hexdigest(),
            layout=f"{self.people} people, {self.variants} variants, {self.chunk} a chunk",
        )


def propose(recipe: Recipe, population: str, sources: Sources, chunk: int | None = None) -> Proposal:
    """Work a recipe out.

    Args:
        recipe: what is asked for.
        population: whose root account it is charged to.
        sources: where what it names is found.
        chunk: variants a chunk, a multiple of 8; by default as stores are cut.

    Raises:
        BadInput: it asks for what cannot be, in words that say what.
        NotFound: something that it names is not there.
        Conflict: something that it names is not what it was.
    """
    source, reference = opened(recipe, sources)
    if recipe.delta * source.people > MOST_SHOWN:
        raise BadInput(
            f"a delta of {float(recipe.delta):g} among {source.people:,} people may show somebody outright",
            f"give a delta of at most {float(MOST_SHOWN / source.people):.2g}; far less is usual",
        )
    chunk = chunk or layout.chunk_for(source.people, len(source.variants))
    mechanism = mechanism_of(recipe, source, reference, chunk, sources)
    named = sources.named(PanelName(recipe.dataset, recipe.table, recipe.version))
    made = Proposal(
        recipe=recipe,
        population=population,
        source=source,
        reference=reference,
        mechanism=mechanism,
        chunk=chunk,
        sources=sources,
        warnings=_warnings(recipe),
        named=named,
        summary=summary_of(recipe, source, mechanism, sources.sealed(source.samples), named=named),
    )
    try:
        made.context(release_id(recipe.dataset, 10**18 - 1))
    except ValueError:
        raise BadInput(
            f"releases of {recipe.dataset} cannot be named after it",
            "a dataset that is shared has a name of at most 80 letters, digits and _, a letter first",
        ) from None
    return made


def _warnings(recipe: Recipe) -> tuple[str, ...]:
    return (targets.WARNING,) if recipe.restoration is Restoration.DECLARED else ()
