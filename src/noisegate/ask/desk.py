"""Way 1 on one screen: a question becomes a plan, a price, a charge, and an answer."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

from noisegate import sql
from noisegate.ask.answer import Answer, AnswerColumn, BudgetLine, Estimated
from noisegate.ask.clamping import clamping_of
from noisegate.ask.finish import StepRunner, columns_before, finish
from noisegate.ask.history import History
from noisegate.ask.price import Price, price
from noisegate.ask.question import Question
from noisegate.ask.selections import Selection, selections_of
from noisegate.ask.similar import written
from noisegate.ask.surcharge import (
    NOTHING,
    Priced,
    Surcharge,
    daily_of,
    reason_of,
    surcharge_of,
    told,
    too_specific,
)
from noisegate.ask.work import Work, work_of
from noisegate.catalog.model import Catalog
from noisegate.engines.duckdb import DuckDB, Ready
from noisegate.errors import Blocked, NoisegateError, RestrictedColumn, UnsupportedSql
from noisegate.gate.access import Asker, Right, require
from noisegate.gate.door import Gate, Offer, analyst_account, fingerprint_of
from noisegate.ledger.store import Ledger
from noisegate.privacy.after import Plan
from noisegate.privacy.expressions import PlanError, Scalar
from noisegate.privacy.filter import Limits, capacity, more_like_this, spent_epsilon
from noisegate.privacy.loss import DELTA_UNIT, ZERO, Loss
from noisegate.privacy.mechanism import describe
from noisegate.privacy.relations import scans
from noisegate.privacy.release import Noisy, release

PREPARED = 1_024
# Finished rows are kept for answers up to this many characters, so that replays are quick.
KEPT = 512
LONGEST_KEPT = 64 * 1024

Rows = tuple[tuple[Estimated | Scalar, ...], ...]
OwnLimits = tuple[tuple[str, Limits], ...]


class Asked(Protocol):
    """What governs anything that is asked of rows: `Prepared` is one, `app.associations.Ready` another."""

    @property
    def text(self) -> str:
        """What was asked, for the receipt."""

    @property
    def price(self) -> Priced:
        """What it loses, and on which tiers."""

    @property
    def offer(self) -> Offer:
        """What the gate needs to know of it."""

    @property
    def selections(self) -> tuple[Selection, ...]:
        """Whom it singles out."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A question that was planned and priced, before anyone is charged. Equal only to itself."""

    question: Question
    plan: Plan
    price: Price
    offer: Offer
    work: Work
    ready: Ready
    selections: tuple[Selection, ...]

    @property
    def text(self) -> str:
        """What was asked."""
        return self.question.sql


class Agreed:
    """The terms of one passage: what its asker pays beside the loss, known once the offer is charged."""

    def __init__(self, desk: "Desk", asked: Asked, asker: Asker) -> None:
        """Take who asks what at which desk."""
        self._desk, self._asked, self._asker = desk, asked, asker
        self.added = NOTHING

    @contextmanager
    def terms(self, offer: Offer) -> Iterator[Offer]:
        """Give the offer as it is charged; `gate.door.Terms`.

        One after the other for each asker, so that a question sees those charged before it.
        """
        with self._desk.gate.alone(f"asker {self._asker.name}"):
            self.added = self._desk.surcharge(self._asked, self._asker)
            yield self._desk.surcharged(self._asked, offer, self.added, self._asker)


class Desk:
    """What asking needs: the catalog and its data versions, an engine, the gate. One a process."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        versions: Mapping[str, int],
        limits: Mapping[str, Limits],
        engine: DuckDB,
        runner: StepRunner,
        gate: Gate,
        ledger: Ledger,
    ) -> None:
        """Take everything as arguments; `versions` and `limits` are by dataset."""
        self.catalog = catalog
        self.versions = dict(versions)
        self.limits = dict(limits)
        self.engine = engine
        self.runner = runner
        self.gate = gate
        self.ledger = ledger
        # Plans and prices are public facts of text, catalog, data version and the asker's limits alone.
        self._prepared = lru_cache(PREPARED)(self._prepare)
        self._kept_rows = lru_cache(KEPT)(self._rows)
        self._history = History(ledger.asked, catalog.policy.specificity.history)

    def prepare(self, question: Question, asker: Asker) -> Prepared:
        """Return a question with all that can be said and refused of it before anyone is charged.

        Raises:
            Forbidden: the asker is no analyst.
            NoisegateError: whatever refuses the question.
        """
        require(asker, Right.ASK)
        return self._prepared(question, self.own_limits(asker), asker.datasets)

    def visible(self, datasets: frozenset[str] | None) -> Catalog:
        """Return the catalog as far as grants go: what one holds no grant on does not exist."""
        if datasets is None:
            return self.catalog
        return replace(self.catalog, datasets=tuple(d for d in self.catalog.datasets if d.name in datasets))

    def own_limits(self, asker: Asker) -> OwnLimits:
        """Return the limits of the asker's accounts that are not those of the dataset."""
        seen = {d.name: d.population for d in self.catalog.datasets if asker.may_see(d.name)}
        found = self.gate.limits_of(asker, seen)
        return tuple((name, limits) for name, limits in found.items() if limits != self.limits[name])

    def _prepare(self, question: Question, own: OwnLimits, datasets: frozenset[str] | None) -> Prepared:
        return self.prepared(question, sql.read(question.sql, self.visible(datasets)), own)

    def prepared(self, question: Question, plan: Plan, own: OwnLimits, right: Right = Right.ASK) -> Prepared:
        """Return a plan, priced for accounts with these limits; what can be refused is refused here."""
        work = work_of(plan, self.catalog)
        priced = price(plan, question, self.catalog, self.limits | dict(own))
        try:
            ready = self.engine.prepare(plan.private)
            self.runner.run(columns_before(plan), (), plan.steps)  # over no rows: what fails, fails now
        except PlanError as error:
            raise UnsupportedSql(str(error), "ask a shorter question") from None
        # What custodians ask to set bounds singles nobody out.
        selections = selections_of(plan, self.catalog) if right is Right.ASK else ()
        offer = self.offer(plan, priced, question.sql, right, selections)
        return Prepared(question, plan, priced, offer, work, ready, selections)

    def offer(
        self,
        plan: Plan,
        priced: Price,
        text: str,
        right: Right = Right.ASK,
        selections: Sequence[Selection] = (),
    ) -> Offer:
        """Return what the gate needs to know of a priced plan, asked under the given right, whoever asks."""
        datasets = tuple(sorted({s.dataset for s in scans(plan.private.source) if s.unit is not None}))
        versions = {d: self.versions[d] for d in sorted({s.dataset for s in scans(plan.private.source)})}
        mechanisms = describe(plan.private, priced.mechanism)
        body = {
            "question": text,
            "plan": sql.describe(plan, self.catalog),
            "mechanisms": list(mechanisms),
            "nominal_epsilon": float(priced.epsilon),
            "epsilon": float(priced.stand_alone),
            "delta": self.stand_alone_delta(priced),
            "loss": {"renyi": list(priced.loss.renyi), "delta": priced.loss.delta},
            "versions": versions,
        }
        asked = sql.fingerprint(plan.private)
        fingerprint = fingerprint_of(asked, repr(priced.mechanism), versions)
        population = plan.private.source.shape.population or ""
        return Offer(
            population,
            datasets,
            fingerprint,
            priced.loss,
            body,
            right,
            tier=priced.tiers[-1].value,
            conditions=written(selections, fingerprint_of(asked, "", versions)),
        )

    def surcharge(self, ready: Asked, asker: Asker) -> Surcharge:
        """Return what a prepared question takes from this asker beyond its loss, now."""
        policy = self.catalog.policy.specificity
        if not ready.selections or self.ledger.find_answer(ready.offer.fingerprint) is not None:
            return NOTHING
        return surcharge_of(ready.selections, self._history.of(asker.name), ready.price, policy)

    def ask(self, question: Question, asker: Asker, idempotency_key: str | None = None) -> Answer:
        """Answer one SQL question, privately, or refuse it at no cost. Restricted questions are counted."""
        try:
            ready = self.prepare(question, asker)
        except RestrictedColumn as error:
            raise self.restricted(error, question.sql, asker) from None
        return self.answer(ready, asker, idempotency_key)

    def restricted(self, error: RestrictedColumn, text: str, asker: Asker) -> NoisegateError:
        """Record a question about a restricted column, and return what the asker is told."""
        dataset = self.catalog.dataset(str(error.detail.get("dataset")))
        if dataset is None:
            return error
        return self._counted(error, dataset.population, (dataset.name,), text, asker)

    def _counted(
        self,
        error: Blocked | RestrictedColumn,
        population: str,
        datasets: tuple[str, ...],
        text: str,
        asker: Asker,
    ) -> NoisegateError:
        """Record a restricted question on its asker's accounts, and return what the asker is told."""
        body = {"question": text, "refused": error.message}
        balances = self.gate.strike(asker, population, datasets, reason_of(error), body)
        return told(error, balances, self.catalog.policy.specificity.lock_after)

    def answer(self, ready: Prepared, asker: Asker, idempotency_key: str | None = None) -> Answer:
        """Take a prepared question through the gate. The text has ended: only the plan is run."""
        agreed = Agreed(self, ready, asker)
        with self.gate.open_passage(asker, ready.offer, idempotency_key, agreed.terms) as passage:
            if passage.stored is None:  # charged; nothing private was read before this line
                exact = self.engine.run(ready.ready)
                noisy = release(exact, ready.plan.private, ready.price.mechanism)
                text = json.dumps(noisy.as_json(), separators=(",", ":"))
                released = passage.close(text)
                if released != text:  # a twin was answered first: there is one answer to a question
                    noisy = Noisy.from_json(json.loads(released))
                columns, rows = finish(ready.plan, noisy, ready.price.mechanism, self.runner)
            elif len(passage.stored) <= LONGEST_KEPT:
                columns, rows = self._kept_rows(ready, passage.stored)
            else:
                columns, rows = self._rows(ready, passage.stored)
        priced = ready.price
        added = NOTHING if passage.replayed else agreed.added
        return Answer(
            columns=columns,
            rows=rows,
            nominal=float(priced.epsilon),
            epsilon=float(priced.stand_alone),
            delta=self.stand_alone_delta(priced),
            factor=float(added.factor.value),
            surcharge=float(added.epsilon),
            mechanisms=describe(ready.plan.private, priced.mechanism),
            clamping=clamping_of(ready.plan),
            notes=notes_of(ready, self.catalog),
            budget=self.budget_line(asker, ready.offer, priced.loss + added.loss),
            replayed=passage.replayed,
            receipt_id=passage.receipt.id,
            receipt_hash=passage.receipt.hash,
            waited=passage.waited,
        )

    def surcharged(self, ready: Asked, offer: Offer, added: Surcharge, asker: Asker) -> Offer:
        """Return the offer with what the asker pays beside the loss, or refuse and count the question."""
        policy = self.catalog.policy.specificity
        if added is NOTHING:
            return offer
        if added.factor.value > policy.max_factor:
            error = too_specific(added.factor, policy)
            raise self._counted(error, offer.population, offer.datasets, ready.text, asker)
        return replace(
            offer,
            surcharge=added.loss,
            daily=daily_of(ready.price, added.factor.value, self.catalog),
            body={**offer.body, "price": {**added.as_json(), "lines": added.factor.lines_json()}},
        )

    def _rows(self, ready: Prepared, stored: str) -> tuple[tuple[AnswerColumn, ...], Rows]:
        """Finish a stored answer."""
        noisy = Noisy.from_json(json.loads(stored))
        return finish(ready.plan, noisy, ready.price.mechanism, self.runner)

    def stand_alone_delta(self, priced: Priced) -> float:
        """Return the δ that goes with the stand-alone ε: 0 for pure mechanisms on public keys."""
        if priced.loss.pure_epsilon is not None and priced.loss.pure_epsilon <= priced.stand_alone:
            return priced.loss.delta / DELTA_UNIT
        return float(priced.delta)

    def budget_line(self, asker: Asker, offer: Offer, loss: Loss) -> BudgetLine:
        """Return what the asker's own accounts have spent and left; the tightest where there are several."""
        lines = []
        for dataset in offer.datasets:
            account = self.ledger.find_account(analyst_account(offer.population, dataset, asker))
            limits = (
                self.gate.limits_of(asker, {dataset: offer.population})[dataset]
                if account is None
                else account.limits
            )
            spent = ZERO if account is None else account.counted
            used = spent_epsilon(limits, spent)
            lines.append(
                BudgetLine(
                    spent=float(used),
                    left=float(max(limits.epsilon - used, Fraction(0))),
                    delta=float(limits.delta),
                    more_like_this=more_like_this(capacity(limits), spent, loss),
                )
            )
        return min(lines, key=lambda line: (line.more_like_this, line.left))


def notes_of(ready: Prepared, catalog: Catalog) -> tuple[str, ...]:
    """Return what a reader of the answer must know besides its numbers, from public facts."""
    names = {s.dataset for s in scans(ready.plan.private.source)}
    notes = synthetic_notes(names, catalog)
    if ready.price.planned:
        notes.append(
            "the accuracy asked for was met by a planning figure: the custodian's expected number of people, "
            "spread evenly over the groups"
        )
    if ready.plan.private.private_keys:
        notes.append(
            "groups of few people are left out by private key selection; intervals hold for the groups shown"
        )
    return tuple(notes)


def synthetic_notes(names: Collection[str], catalog: Catalog) -> list[str]:
    """Return a note of each of these datasets that is made up."""
    return [
        f"{d.name} is SYNTHETIC data: made up, about nobody"
        for d in catalog.datasets
        if d.name in names and d.synthetic
    ]
