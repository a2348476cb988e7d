"""The one door every release goes through: authorise, look for the stored answer, charge, work, receipt.

`open_passage` is the only function that charges for an answer, and the charge is durable before it
yields. Work that fails after the charge closes the plan for everyone: what made it fail may be a fact
about rows, so it must not be probed again and again (TRUST.md, "The residual bit").
"""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from noisegate.errors import Blocked, EngineFailed, EngineTimeout, InternalError, NoisegateError
from noisegate.gate.access import Asker, Right, require, require_dataset
from noisegate.ledger.accounts import Account
from noisegate.ledger.records import Charge, IdempotencyKey, Receipt
from noisegate.ledger.store import Ledger
from noisegate.privacy.filter import Limits
from noisegate.privacy.loss import Loss

PROJECT = "default"
# Each failure after a charge may tell one bit about rows; past this many, nothing fresh is asked.
MOST_FAILURES = 5


@dataclass(frozen=True, slots=True)
class Offer:
    """What a release would cost and what it is, decided from public facts alone.

    `fingerprint` identifies plan, mechanism and data versions: equal fingerprints get equal answers.
    `body` goes on the receipt.
    """

    population: str
    datasets: tuple[str, ...]
    fingerprint: str
    loss: Loss
    body: Mapping[str, object]
    right: Right = Right.ASK


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

    @property
    def replayed(self) -> bool:
        """Whether the answer was already there, at no cost."""
        return self._charge is None

    def close(self, answer: str) -> str:
        """Record the answer durably and return the text to release: this one, or an earlier twin's."""
        if self._charge is None:
            return answer
        released = self._ledger.close(self._charge, answer)
        self.closed = True
        self.receipt = released.receipt
        return released.answer


def account_ids(population: str, datasets: tuple[str, ...], analyst: str) -> tuple[str, ...]:
    """Return the ancestor-closed accounts that a question of an analyst is charged to, root first."""
    ids = [population]
    for dataset in datasets:
        top = f"{population}/{dataset}"
        ids += [top, f"{top}/{PROJECT}", f"{top}/{PROJECT}/{analyst}"]
    return tuple(ids)


class Gate:
    """Holds the ledger and one lock a question in progress, so that twins wait instead of paying twice."""

    def __init__(self, ledger: Ledger, analyst_limits: Mapping[str, Limits]) -> None:
        """Take the ledger and the limits that a new analyst's account gets, by dataset."""
        self._ledger = ledger
        self._limits = analyst_limits
        self._locks: dict[str, tuple[threading.Lock, int]] = {}
        self._guard = threading.Lock()
        self._opened: dict[str, Limits] = {}

    @contextmanager
    def open_passage(
        self, asker: Asker, offer: Offer, idempotency_key: str | None = None
    ) -> Iterator[Passage]:
        """Let one request through, charged, or refuse it at no cost.

        Raises:
            Forbidden: the asker lacks the role or a grant.
            Blocked: this plan failed after a charge before.
            Conflict: the idempotency key was used for another question.
            BudgetExhausted: some account cannot bear the loss.
            LedgerUnavailable: nothing can be recorded, so nothing is released.
        """
        require(asker, offer.right)
        for dataset in offer.datasets:
            require_dataset(asker, dataset)
        key = self._idempotency(asker, offer, idempotency_key)
        with self._alone(offer.fingerprint) as waited:
            stored = self._ledger.find_answer(offer.fingerprint)
            if stored is not None:
                if key is not None:
                    self._ledger.find_idempotent(key)  # raises where the key paid for another question
                yield Passage(stored.answer, stored.receipt, self._ledger, None, waited)
                return
            self._refuse_after_failures(offer)
            self._open_accounts(asker, offer)
            charged = self._ledger.charge(
                Charge(
                    accounts=account_ids(offer.population, offer.datasets, asker.name),
                    loss=offer.loss,
                    datasets=offer.datasets,
                    fingerprint=offer.fingerprint,
                    idempotency=key,
                    body={**offer.body, "asker": asker.name, "role": asker.role.value},
                )
            )
            if charged.earlier:  # answered before, yet no answer is stored: never compute a second one
                raise InternalError("this request was charged before and its answer cannot be found")
            passage = Passage(None, charged.receipts[0], self._ledger, charged.id, waited)
            try:
                yield passage
            except (EngineFailed, EngineTimeout) as failure:
                if not passage.closed:
                    self._ledger.fail(charged.id, failure.code)
                # How it failed is for the custodian: the asker is told one thing, whatever it was.
                raise EngineFailed from None
            except BaseException:
                if not passage.closed:
                    self._ledger.fail(charged.id, "internal")
                raise

    def _idempotency(self, asker: Asker, offer: Offer, key: str | None) -> IdempotencyKey | None:
        if key is None:
            return None
        return IdempotencyKey(principal=asker.name, key=key, request_hash=offer.fingerprint)

    def limits_of(self, asker: Asker, population: str, dataset: str) -> Limits:
        """Return the limits of an asker's account on a dataset: what was granted, or the dataset's own."""
        path = f"{population}/{dataset}/{PROJECT}/{asker.name}"
        known = self._opened.get(path)
        if known is not None:
            return known
        account = self._ledger.find_account(path)
        if account is None:
            return self._limits[dataset]
        self._opened[path] = account.limits  # an account's limits stand once it is open
        return account.limits

    def _refuse_after_failures(self, offer: Offer) -> None:
        """Raise Blocked where so many plans failed that their failing may itself be an answer."""
        closed = [name for plan in self._ledger.suspended() for name in plan.datasets]
        for dataset in offer.datasets:
            if closed.count(dataset) >= MOST_FAILURES:
                raise Blocked(
                    f"{MOST_FAILURES} plans on {dataset} failed after they were charged",
                    "ask the custodian to look at them and open them again",
                )

    def _open_accounts(self, asker: Asker, offer: Offer) -> None:
        for dataset in offer.datasets:
            wanted = f"{offer.population}/{dataset}/{PROJECT}/{asker.name}"
            if wanted not in self._opened and self._ledger.find_account(wanted) is None:
                self._ledger.open_account(Account.at(wanted, self._limits[dataset]))

    @contextmanager
    def _alone(self, fingerprint: str) -> Iterator[bool]:
        """Hold a question's lock. Gives whether another had it: then errors say that they waited."""
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


def fingerprint_of(plan: str, mechanism: str, versions: Mapping[str, int]) -> str:
    """Return the identity of a release: plan, mechanism and data versions, as hexadecimal SHA-256."""
    text = json.dumps([plan, mechanism, sorted(versions.items())], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
