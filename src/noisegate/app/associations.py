"""Associations as everybody in front of the gateway asks for them: governed as questions are.

The texts of cases and of who takes part are read as SQL questions are, so what restricts, prices and limits
questions does so to associations too. What reads genotypes is loaded when it is first needed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from noisegate import sql
from noisegate.app.association_answers import AssociationAnswer
from noisegate.app.genome_names import Names
from noisegate.ask.answer import budget_json
from noisegate.ask.desk import Agreed, Desk, OwnLimits, synthetic_notes
from noisegate.ask.explain import day_json
from noisegate.ask.price import tiers_touched
from noisegate.ask.question import MAX_EPSILON, MIN_EPSILON
from noisegate.ask.selections import Selection, selections_of_groups
from noisegate.ask.similar import written
from noisegate.ask.surcharge import NOTHING
from noisegate.ask.work import SLOT_MS, Work, work_of
from noisegate.catalog.model import Catalog, Tier
from noisegate.errors import BadInput, EpsilonAboveTier, RestrictedColumn, UnsupportedSql
from noisegate.gate.access import Asker, Right, require
from noisegate.gate.door import Offer, fingerprint_of
from noisegate.genomics.wanted import Wanted
from noisegate.genotypes.extra import genome_libraries
from noisegate.ledger.records import canonical
from noisegate.privacy.after import Plan
from noisegate.privacy.expressions import PlanError
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.loss import Loss
from noisegate.privacy.question import CountRows, CountUnits
from noisegate.privacy.relations import Relation, scans

if TYPE_CHECKING:
    from noisegate.genomics.associate import Genotypes, Proposal, Studied

Json = dict[str, object]
PREPARED = 64
OPENED = 4
# What is counted in the time of one slot, and how many variants get their noise and their tests in it.
GENOTYPES_A_SLOT = 20_000_000
VARIANTS_A_SLOT = 250
COUNTED = "each person counts once at a variant: as a case, as a control, or not at all"
_BOUND = re.compile(r" \(at most [^)]*\)")
_WHOLE = re.compile(r"\s*(?:select|with)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Groups:
    """Who is a case and who takes part, as the questions how many they are; `among` None for everybody."""

    cases: Plan
    among: Plan | None

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The questions."""
        return (self.cases,) if self.among is None else (self.cases, self.among)

    @property
    def relations(self) -> tuple[Relation, Relation | None]:
        """The people, as relations with a row or more for each."""
        return self.cases.private.source, None if self.among is None else self.among.private.source

    @property
    def read(self) -> frozenset[str]:
        """The datasets whose tables are read, public ones too."""
        return frozenset(scan.dataset for plan in self.plans for scan in scans(plan.private.source))

    @property
    def private(self) -> frozenset[str]:
        """The datasets of which people's rows are read."""
        found = (scan for plan in self.plans for scan in scans(plan.private.source))
        return frozenset(scan.dataset for scan in found if scan.unit is not None)


@dataclass(frozen=True, slots=True)
class Cost:
    """What an association loses: ε `stand_alone` at the account's δ; see `ask.surcharge.Priced`."""

    epsilon: Fraction
    loss: Loss
    stand_alone: Fraction
    delta: Fraction
    tiers: tuple[Tier, ...]
    max_epsilon: Fraction


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """An association that was worked out and priced, before anyone is charged. Equal only to itself."""

    text: str
    price: Cost
    offer: Offer
    selections: tuple[Selection, ...]
    proposal: "Proposal"
    plan: tuple[str, ...]
    notes: tuple[str, ...]
    slot_ms: int


class Associations:
    """All that can be asked of association. Thread-safe."""

    def __init__(self, desk: Desk, names: Names) -> None:
        """Take what asking needs, and what finds genotypes by name."""
        self._desk = desk
        self._names = names
        # All of it follows from text, catalog, data versions and the asker's limits and grants.
        self._prepared = lru_cache(PREPARED)(self._prepare)
        self._opened = lru_cache(OPENED)(self._open)

    def prepare(self, wanted: Wanted, asker: Asker) -> Ready:
        """Return an association with all that can be said and refused of it before anyone is charged.

        Raises:
            Forbidden: the asker is no analyst.
            NotFound: the asker may not know of the genotypes.
            NoisegateError: whatever else refuses it.
        """
        require(asker, Right.ASK)
        with genome_libraries():
            from noisegate.genomics.associate import Studied

            studied = Studied(
                self._names.genotypes(asker, wanted.genotypes),
                self._names.public(asker, wanted.manifest).name if wanted.manifest else "",
                self._names.public(asker, wanted.reference).name if wanted.reference else "",
            )
        return self._prepared(wanted, studied, self._desk.own_limits(asker), asker.datasets)

    def slot_ms(self, wanted: Wanted, asker: Asker) -> int:
        """Return before how many milliseconds a fresh answer does not leave, from public facts alone.

        A restricted one has no slot: `ask` refuses it, and counts it.
        """
        try:
            return self.prepare(wanted, asker).slot_ms
        except RestrictedColumn:
            return 0

    def ask(self, wanted: Wanted, asker: Asker, idempotency_key: str | None = None) -> AssociationAnswer:
        """Answer an association, privately, or refuse it at no cost. Restricted ones are counted."""
        from noisegate.genomics import associate

        try:
            ready = self.prepare(wanted, asker)
        except RestrictedColumn as error:
            raise self._desk.restricted(error, wanted.words, asker) from None
        agreed = Agreed(self._desk, ready, asker)
        counted = associate.answer(
            ready.proposal,
            ready.offer,
            asker,
            gate=self._desk.gate,
            engine=self._desk.engine,
            idempotency_key=idempotency_key,
            terms=agreed.terms,
        )
        return AssociationAnswer(
            proposal=ready.proposal,
            counted=counted,
            nominal=float(ready.price.epsilon),
            epsilon=float(ready.price.stand_alone),
            delta=self._desk.stand_alone_delta(ready.price),
            added=agreed.added,
            notes=ready.notes,
            budget=self._desk.budget_line(asker, ready.offer, ready.price.loss + agreed.added.loss),
        )

    def explain(self, wanted: Wanted, asker: Asker) -> Json:
        """Say what an association would do and cost, without touching a row or an account."""
        ready = self.prepare(wanted, asker)
        added = self._desk.surcharge(ready, asker)
        policy = self._desk.catalog.policy.specificity
        price = ready.price
        return {
            "question": ready.text,
            "people": ready.proposal.people,
            "looked_at": ready.proposal.variants,
            "plan": list(ready.plan),
            "price": {
                "nominal_epsilon": float(price.epsilon),
                "tiers": [t.value for t in price.tiers],
                "max_epsilon": float(price.max_epsilon),
                "replay": added is NOTHING,
                "factor": float(added.factor.value),
                "max_factor": float(policy.max_factor),
                "refused": added.factor.value > policy.max_factor,
                "lines": added.factor.lines_json(),
                "day": day_json(price, ready.offer, asker, self._desk),
            },
            "confidence": 0.95,
            "loss": {
                "nominal_epsilon": float(price.epsilon),
                "epsilon": float(price.stand_alone),
                "delta": self._desk.stand_alone_delta(price),
                "unit": "person",
            },
            "surcharge": added.as_json(),
            "mechanisms": list(ready.proposal.mechanisms),
            "expected_error": [
                {"name": name, "half_width": reach} for name, reach in ready.proposal.expected_error
            ],
            "notes": list(ready.notes),
            "budget": budget_json(self._desk.budget_line(asker, ready.offer, price.loss + added.loss)),
        }

    def _prepare(
        self, wanted: Wanted, studied: "Studied", own: OwnLimits, datasets: frozenset[str] | None
    ) -> Ready:
        from noisegate.genomics import associate
        from noisegate.genomics.cohort import cohort_of

        desk, catalog = self._desk, self._desk.visible(datasets)
        groups = Groups(
            read_group("cases", wanted.cases, catalog),
            read_group("among", wanted.among, catalog) if wanted.among.strip() else None,
        )
        population = _population(groups, studied, catalog)
        tiers = _tiers(groups, desk.catalog)
        work = [work_of(plan, desk.catalog) for plan in groups.plans]
        private = tuple(sorted({studied.genotypes.dataset, *groups.private}))
        limits = desk.limits | dict(own)
        bound = min((limits[d] for d in private), key=lambda x: (x.epsilon, x.delta))
        epsilon, most = _epsilon(wanted, tiers, desk.catalog)
        try:
            cohort = cohort_of(*groups.relations, desk.engine)
        except PlanError as error:
            raise UnsupportedSql(str(error), "say more shortly who is a case") from None
        proposal = associate.propose(wanted, self._opened(studied), cohort, epsilon, bound.delta)
        stand_alone = stand_alone_epsilon(proposal.loss, bound.delta)
        cost = Cost(epsilon, proposal.loss, stand_alone, bound.delta, tiers, most)
        selections = selections_of_groups(
            *groups.relations, proposal.about, proposal.identity["named"], desk.catalog
        )
        plan = (*_lines(groups, desk.catalog), COUNTED, wanted.words, associate.NEIGHBOURS)
        versions = {d: desk.versions[d] for d in sorted({*private, *groups.read})}
        offer = associate.offer_of(
            proposal,
            population=population,
            datasets=private,
            versions=versions,
            body=self._body(cost, proposal, plan),
            tier=tiers[-1].value,
        )
        # What was asked about those people, at whatever ε.
        what = fingerprint_of(canonical(proposal.identity), "", versions)
        return Ready(
            text=wanted.words,
            price=cost,
            offer=replace(offer, conditions=written(selections, what)),
            selections=selections,
            proposal=proposal,
            plan=plan,
            notes=(*synthetic_notes(private, desk.catalog), *proposal.notes),
            slot_ms=_slot_ms(work, proposal),
        )

    def _body(self, cost: Cost, proposal: "Proposal", plan: Sequence[str]) -> Json:
        """Return what a receipt says of the price, and of what was done."""
        return {
            "plan": list(plan),
            "mechanisms": list(proposal.mechanisms),
            "nominal_epsilon": float(cost.epsilon),
            "epsilon": float(cost.stand_alone),
            "delta": self._desk.stand_alone_delta(cost),
            "loss": {"renyi": list(cost.loss.renyi), "delta": cost.loss.delta},
        }

    def _open(self, studied: "Studied") -> "Genotypes":
        with genome_libraries():
            from noisegate.genomics.associate import Genotypes

            return Genotypes.of(studied, self._names)


def read_group(word: str, text: str, catalog: Catalog) -> Plan:
    """Return the plan of the question how many people are in a group.

    Args:
        word: what the group is called in errors.
        text: what follows FROM, or a whole SELECT count(*).
        catalog: what the asker may know of.

    Raises:
        BadInput: it says more than who is in the group.
        Refused: SQL that may not be asked.
    """
    plan = sql.read(text if _WHOLE.match(text) else f"SELECT count(*) FROM {text}", catalog)  # noqa: S608 - only read
    private = plan.private
    plain = private.measures in ((CountRows(),), (CountUnits(),))
    if private.keys or plan.steps or len(plan.outputs) > 1 or not plain:
        raise BadInput(
            f"{word} say more than who is in the group",
            "give what follows FROM, such as clinic.diagnoses WHERE condition = 'migraine', or a "
            "SELECT count(*) of it without groups, FILTER, HAVING, ORDER BY and LIMIT",
        )
    return plan


def _lines(groups: Groups, catalog: Catalog) -> list[str]:
    """Return how each group is found, a line a step; how many rows a person has does not matter here."""
    found = []
    for word, plan in zip(("cases", "among"), groups.plans, strict=False):
        for line in sql.describe(plan, catalog):
            if line.startswith("measure "):
                break
            reads = line.startswith("reads ")
            found.append(f"{word}: {_BOUND.sub('', line, count=1) if reads else line}")
    return found


def _population(groups: Groups, studied: "Studied", catalog: Catalog) -> str:
    """Return whom genotypes and groups are of, which is one population."""
    dataset = catalog.dataset(studied.genotypes.dataset)
    assert dataset is not None  # noqa: S101 -- its genotypes were found
    if any(plan.private.source.shape.population != dataset.population for plan in groups.plans):
        raise BadInput(
            f"the groups are not of the people of {dataset.name}, so no genotype is theirs",
            "name tables of the same population as the genotypes",
        )
    return dataset.population


def _tiers(groups: Groups, catalog: Catalog) -> tuple[Tier, ...]:
    """Return the tiers that are touched, least sensitive first: of the groups, and of genotypes."""
    found = {tier for plan in groups.plans for tier in tiers_touched(plan, catalog)} | {Tier.GENOMIC}
    return tuple(sorted(found, key=list(Tier).index))


def _epsilon(wanted: Wanted, tiers: Sequence[Tier], catalog: Catalog) -> tuple[Fraction, Fraction]:
    """Return the ε to spend, and the most that may be spent.

    Raises:
        BadInput: an ε that makes no sense.
        EpsilonAboveTier: more than the tiers allow.
    """
    policies = [catalog.policy.tiers[tier] for tier in tiers]
    most = min(policy.max_epsilon for policy in policies)
    epsilon = wanted.epsilon
    if epsilon is None:
        return min(policy.default_epsilon for policy in policies), most
    if not MIN_EPSILON <= epsilon <= MAX_EPSILON:
        raise BadInput(f"epsilon must be at least {float(MIN_EPSILON):g} and at most {MAX_EPSILON}")
    if epsilon > most:
        raise EpsilonAboveTier(
            f"one association on columns of tier {', '.join(t.value for t in tiers)} may spend at most "
            f"ε {float(most):g}, this one asks for ε {float(epsilon):g}",
            f"ask with epsilon at most {float(most):g}",
            max_epsilon=float(most),
        )
    return epsilon, most


def _slot_ms(work: Sequence[Work], proposal: "Proposal") -> int:
    """Return before how many milliseconds a fresh answer does not leave."""
    counted = proposal.people * proposal.variants
    told = proposal.wanted.top or len(proposal.wanted.variants)
    slots = counted // GENOTYPES_A_SLOT + told // VARIANTS_A_SLOT
    return sum(w.slot_ms for w in work) + SLOT_MS * slots
