"""The one door every release goes through: authorise, look for the stored answer, charge, work, receipt.

`open_passage` is the only function that charges for an answer, and the charge is durable before it
yields. Work that fails after the charge closes the plan for everyone: what made it fail may be a fact
about rows, so it must not be probed again and again (TRUST.md, "The residual bit"). A ledger that cannot
take the answer is no such failure. Jobs, whose steps are charged together, go through the same parts in the
same order (`gate/jobs.py`).
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from noisegate.errors import (
    Blocked,
    BudgetExhausted,
    Conflict,
    EngineFailed,
    EngineTimeout,
    InternalError,
    LedgerUnavailable,
    NoisegateError,
)
from noisegate.gate.access import Asker, Right, require, require_dataset
from noisegate.gate.failures import Failures
from noisegate.gate.refusals import as_told, closed_to
from noisegate.ledger.accounts import Account, AccountState, Balance
from noisegate.ledger.records import Charge, Daily, IdempotencyKey, Receipt
from noisegate.ledger.store import Ledger
from noisegate.privacy.filter import Limits
from noisegate.privacy.loss import ZERO, Loss

PROJECT = "default"
LOCK_AFTER = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a release would cost and what it is, decided from public facts alone.

    `fingerprint` identifies plan, mechanism and data versions: equal fingerprints get equal answers.
    `body` goes on the receipt. `surcharge` is what the adaptive price adds on the asker's accounts alone;
    `tier`, `daily` and `conditions` are the charge's (`ledger/records.py`).
    """

    population: str
    datasets: tuple[str, ...]
    fingerprint: str
    loss: Loss
    body: Mapping[str, object]
    right: Right = Right.ASK
    surcharge: Loss = ZERO
    tier: str = ""
    daily: Daily | None = None
    conditions: str = "[]"


# The terms of an offer as they are when it is charged, held until it is.
Terms = Callable[[Offer], AbstractContextManager[Offer]]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of an offer: the stored answer of an earlier twin, or a charge of its own."""

    stored: str | None
    receipt: Receipt
    charge: int | None


@dataclass(slots=True)
class Passage:
    """One request past the charge. `stored` holds the answer where the same question was answered before.

    `waited` says that a twin's work was waited for, so that the time of this request is not public.
    """

    stored: str | None
    receipt: Receipt
    _ledger: Ledger
    _charge: int | None
    waited: bool = field(default=False)
    closed: bool = field(default=False)
    _refused: NoisegateError | None = field(default=None)

    @property
    def replayed(self) -> bool:
        """Whether the answer was already there, at no cost."""
        return self._charge is None

    def close(self, answer: str) -> str:
        """Record the answer durably and return the text to release: this one, or an earlier twin's.

        Raises:
            LedgerUnavailable: it could not be recorded, so it may not be released. The charge stays spent.
            Conflict: the charge was settled otherwise meanwhile, so nothing may be released for it.
        """
        charge = self._charge
        if charge is None:
            if self.stored is None:
                raise InternalError("an answer that was not charged cannot be released")
            return self.stored
        try:
            released = twice(lambda: self._ledger.close(charge, answer))
        except (LedgerUnavailable, Conflict) as refused:
            self._refused = refused
            raise
        self.closed = True
        self.receipt = released.receipt
        return released.answer

    def failed(self, error: BaseException, reason: str) -> None:
        """Close the plan for everyone, unless the answer is stored or the error is the ledger's own."""
        charge = self._charge
        # What the ledger refuses to take tells nothing of rows, and its hiccup must not close many plans.
        if charge is not None and not self.closed and error is not self._refused:
            twice(lambda: self._ledger.fail(charge, reason))


def project_account(population: str, dataset: str, project: str) -> str:
    """Return the account of a project on a dataset."""
    return f"{population}/{dataset}/{project}"


def analyst_account(population: str, dataset: str, asker: Asker) -> str:
    """Return the account of an asker on a dataset, in their project."""
    return f"{project_account(population, dataset, asker.project)}/{asker.name}"


def account_ids(population: str, datasets: tuple[str, ...], asker: Asker) -> tuple[str, ...]:
    """Return the ancestor-closed accounts that an asker's question is charged to, root first."""
    ids = [population]
    for dataset in datasets:
        ids += [
            f"{population}/{dataset}",
            project_account(population, dataset, asker.project),
            analyst_account(population, dataset, asker),
        ]
    return tuple(ids)


class Gate:
    """Holds the ledger and one lock a question in progress, so that twins wait instead of paying twice."""

    def __init__(
        self, ledger: Ledger, analyst_limits: Mapping[str, Limits], lock_after: int = LOCK_AFTER
    ) -> None:
        """Take the ledger, the limits of an analyst on a dataset where no account says, and the strikes
        after which an asker's accounts lock.
        """
        self.ledger = ledger
        self._limits = analyst_limits
        self._lock_after = lock_after
        self._locks: dict[str, tuple[threading.Lock, int]] = {}
        self._failures = Failures(ledger)
        self._guard = threading.Lock()

    @contextmanager
    def open_passage(
        self,
        asker: Asker,
        offer: Offer,
        idempotency_key: str | None = None,
        terms: Terms = nullcontext,
    ) -> Iterator[Passage]:
        """Let one request through, charged, or refuse it at no cost.

        Args:
            asker: who asks.
            offer: what is asked.
            idempotency_key: the asker's own name for the request, if any.
            terms: gives the offer as it is charged, where it is; left once the charge is durable.

        Raises:
            Forbidden: the asker lacks the role or a grant.
            Blocked: this plan failed after a charge before, or an account bears no charges at present.
            Throttled: plans of a dataset failed, and as many more are in progress as may fail yet.
            Conflict: the idempotency key was used for another question.
            BudgetExhausted: some account cannot bear the loss, or not today.
            LedgerUnavailable: nothing can be recorded, so nothing is released.
        """
        self.authorise(asker, offer)
        with self.alone(offer.fingerprint) as waited:
            taken = self._find(asker, offer, idempotency_key)
            if taken is not None:
                yield Passage(taken.stored, taken.receipt, self.ledger, None, waited)
                return
            with self._failures.among_few(offer.datasets):
                with terms(offer) as agreed:
                    taken = self._pay(asker, agreed, idempotency_key, None)
                passage = Passage(taken.stored, taken.receipt, self.ledger, taken.charge, waited)
                try:
                    yield passage
                except (EngineFailed, EngineTimeout) as failure:
                    passage.failed(failure, failure.code)
                    # How it failed is for the custodian: the asker is told one thing, whatever it was.
                    raise EngineFailed from None
                except BaseException as error:
                    passage.failed(error, "internal")
                    raise

    def authorise(self, asker: Asker, offer: Offer) -> None:
        """Raise Forbidden unless the asker has the offer's right, and a grant on every dataset it reads."""
        require(asker, offer.right)
        for dataset in offer.datasets:
            require_dataset(asker, dataset)

    def take_job(self, asker: Asker, offer: Offer, idempotency_key: str | None, steps: int) -> Taken:
        """Find the stored answer to a job, or else charge for all its steps; durable when it returns.

        Needs: the asker is authorised, and this is `alone` with the fingerprint.
        """
        taken = self._find(asker, offer, idempotency_key)
        if taken is not None:
            return taken
        self._failures.refuse_after(dict.fromkeys(offer.datasets, 0))
        return self._pay(asker, offer, idempotency_key, steps)

    def _find(self, asker: Asker, offer: Offer, idempotency_key: str | None) -> Taken | None:
        """Return the stored answer to an offer, None where there is none.

        Raises:
            Blocked: an account of the asker's path is suspended or locked. Then what is stored is closed to
                them too: suspending is how a custodian stops what goes out. Nothing else closes it.
        """
        path = account_ids(offer.population, offer.datasets, asker)
        closed = self.ledger.closed(path)
        own = own_accounts(offer.population, offer.datasets, asker)
        for account in path if closed else ():
            if account in closed:
                raise closed_to(account, *closed[account], own)
        stored = self.ledger.find_answer(offer.fingerprint)
        if stored is None:
            return None
        key = key_of(asker, offer, idempotency_key)
        if key is not None:
            self.ledger.find_idempotent(key)  # raises where the key paid for another question
        return Taken(stored.answer, stored.receipt, None)

    def _pay(self, asker: Asker, offer: Offer, idempotency_key: str | None, steps: int | None) -> Taken:
        """Charge for an offer; durable when it returns."""
        self._open_accounts(asker, offer.population, offer.datasets)
        try:
            charged = self.ledger.charge(
                charge_of(asker, offer, key_of(asker, offer, idempotency_key), steps)
            )
        except (Blocked, BudgetExhausted) as refused:
            raise as_told(refused, own_accounts(offer.population, offer.datasets, asker)) from None
        if charged.earlier:  # another replica answered it since: never compute a second answer
            stored = self.ledger.find_answer(offer.fingerprint)
            if stored is None:
                raise InternalError("this request was charged before and its answer cannot be found")
            return Taken(stored.answer, stored.receipt, None)
        return Taken(None, charged.receipts[0], charged.id)

    def strike(
        self,
        asker: Asker,
        population: str,
        datasets: tuple[str, ...],
        reason: str,
        body: Mapping[str, object],
    ) -> tuple[Balance, ...]:
        """Record a restricted question on the asker's accounts and return them; enough of these lock them.

        Where all of them are closed already, nothing is written: a write takes the whole ledger's lock.

        Raises:
            Forbidden: the asker has no grant on a dataset.
            Blocked: the asker's project has no budget on a dataset at present.
        """
        for dataset in datasets:
            require_dataset(asker, dataset)
        accounts = own_accounts(population, datasets, asker)
        found = [self.ledger.find_account(account) for account in accounts]
        closed = [b for b in found if b is not None and b.state is not AccountState.OPEN]
        if len(closed) == len(accounts):
            return tuple(closed)
        self._open_accounts(asker, population, datasets)
        said = {**body, "asker": asker.name, "role": asker.role.value}
        return self.ledger.strike(accounts, reason, self._lock_after, said)

    def limits_of(self, asker: Asker, datasets: Mapping[str, str]) -> dict[str, Limits]:
        """Return, by dataset, the present limits of an asker's accounts, or those they would be opened with.

        Read anew each time: a custodian may begin another period at any moment, perhaps on another replica.

        Args:
            asker: who asks.
            datasets: the population of each dataset.
        """
        own = {d: analyst_account(population, d, asker) for d, population in datasets.items()}
        projects = {d: project_account(population, d, asker.project) for d, population in datasets.items()}
        known = self.ledger.limits([*own.values(), *projects.values()])
        return {d: known.get(own[d]) or known.get(projects[d]) or self._limits[d] for d in datasets}

    def _open_accounts(self, asker: Asker, population: str, datasets: tuple[str, ...]) -> None:
        """Open the asker's accounts that are not, with the present limits and the end of their project's."""
        for dataset in datasets:
            account = analyst_account(population, dataset, asker)
            if self.ledger.find_account(account) is not None:
                continue
            project = self.ledger.find_account(project_account(population, dataset, asker.project))
            if project is None:
                raise Blocked(
                    f"project {asker.project!r} has no budget on {dataset}",
                    f"a custodian grants one: `noisegate budget grant {dataset} --project {asker.project}`",
                )
            until = project.period.until
            if until is not None and until <= self.ledger.now():
                raise Blocked(
                    f"the budget period of {project.id} has ended",
                    f"a custodian begins the next: `noisegate budget renew {project.id}`",
                )
            # A conflict: a custodian opened it a moment ago, with limits of its own.
            with suppress(Conflict):
                self.ledger.open_account(Account.at(account, project.limits), until=until)

    @contextmanager
    def alone(self, fingerprint: str) -> Iterator[bool]:
        """Hold the lock of a question, or of another name. Gives whether another had it: then errors say that
        they waited.
        """
        with self._guard:
            lock, waiting = self._locks.get(fingerprint, (threading.Lock(), 0))
            self._locks[fingerprint] = (lock, waiting + 1)
        try:
            waited = not lock.acquire(blocking=False)
            if waited:
                lock.acquire()
            try:
                yield waited
            except NoisegateError as error:
                error.waited = waited
                raise
            finally:
                lock.release()
        finally:
            with self._guard:
                lock, waiting = self._locks[fingerprint]
                if waiting == 1:
                    del self._locks[fingerprint]
                else:
                    self._locks[fingerprint] = (lock, waiting - 1)


def own_accounts(population: str, datasets: tuple[str, ...], asker: Asker) -> tuple[str, ...]:
    """Return the accounts that are an asker's own: one a dataset, in their project."""
    return tuple(analyst_account(population, dataset, asker) for dataset in datasets)


def key_of(asker: Asker, offer: Offer, idempotency_key: str | None) -> IdempotencyKey | None:
    """Return an asker's key for an offer. Only who may be charged as they are can use it, or use it up.

    Their accounts name them: each custodian gives out names, and gives them on their own datasets alone.
    """
    if idempotency_key is None:
        return None
    own = own_accounts(offer.population, offer.datasets, asker)
    return IdempotencyKey(" ".join(own), idempotency_key, offer.fingerprint)


def twice(work: Callable[[], T]) -> T:
    """Do work on the ledger that changes nothing the second time, again where the ledger was not there."""
    try:
        return work()
    except LedgerUnavailable:
        return work()


def charge_of(asker: Asker, offer: Offer, key: IdempotencyKey | None, steps: int | None) -> Charge:
    """Return the charge for an offer. The surcharge falls on the asker's own accounts alone."""
    bears_more = offer.surcharge != ZERO
    own = own_accounts(offer.population, offer.datasets, asker)
    return Charge(
        accounts=account_ids(offer.population, offer.datasets, asker),
        loss=offer.loss,
        surcharges=dict.fromkeys(own, offer.surcharge) if bears_more else {},
        datasets=offer.datasets,
        fingerprint=offer.fingerprint,
        idempotency=key,
        body={**offer.body, "asker": asker.name, "role": asker.role.value},
        asker=asker.name,
        tier=offer.tier,
        daily=offer.daily,
        conditions=offer.conditions,
        steps=steps,
    )


def fingerprint_of(plan: str, mechanism: str, versions: Mapping[str, int]) -> str:
    """Return the identity of a release: plan, mechanism and data versions, as hexadecimal SHA-256."""
    text = json.dumps([plan, mechanism, sorted(versions.items())], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
