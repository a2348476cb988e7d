"""The one thread that writes, and group commit. TRUSTED: a result is handed over only after its commit.

One writer, because SQLite's own waiting for a lock is unfair: some clients of a busy ledger would wait
for seconds. Group commit, because one sync of the disk can carry many charges: whatever has queued up
while the last commit was syncing goes into the next one, and requests of one kind are carried out
together. Clients that were answered together tend to come back together, so after them the writer waits
for as many again, at most as long as the last commit took, which is what waiting can save; a lone client
never waits for company.
A connection that breaks under a commit leaves open what became of it. So the next transaction first settles
what nobody was told of, and a new connection is used only where the ledger has what was written before.
PROOFS.md, "Charge" and "Durability".
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from noisegate.errors import InternalError, LedgerUnavailable
from noisegate.ledger.storage import Session, Storage
from noisegate.ledger.transaction import Transaction

MOST_IN_A_COMMIT = 256
LONGEST_WAIT = 0.05  # seconds; a disk that once took longer may be quick again
AGAIN_SECONDS = 0.05  # time for whoever stood in the way to go on
SETTLE_SECONDS = 1.0  # how long what nobody was told of waits for company before it is settled alone

R = TypeVar("R")
T = TypeVar("T")
_NOT_YET = object()


@dataclass(frozen=True, slots=True)
class Raised:
    """An error as a result: what one request raises, while the others of its batch go on."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Together(Generic[R, T]):
    """A kind of request that is carried out many at once.

    Attributes:
        populations: whose trees the requests touch; asked before these are held, so it may read only
            rows that never change.
        perform: the results in the order of the requests, those of failed ones as `Raised`. What it
            raises itself undoes all of its work, and each request is then performed alone.
        abandon: given results whose commit nobody knows of, with all trees held: settles those that were
            written after all, as nobody was told of them. None where there is nothing to settle.
    """

    populations: Callable[[Transaction, Sequence[R]], frozenset[str]]
    perform: Callable[[Transaction, Sequence[R]], list[T | Raised]]
    abandon: Callable[[Transaction, Sequence[T]], None] | None = None


@dataclass(slots=True)
class _Pending:
    """One request in the queue; `kind` is None for work of its own, which is the request itself."""

    kind: Together[Any, Any] | None
    request: Any
    outcome: Any = _NOT_YET
    told: Any = field(default_factory=threading.Lock)  # held until there is an outcome

    def tell(self, outcome: Any) -> None:
        """Hand over a result, or an error as `Raised`, to whoever waits; the first that is told counts."""
        if self.outcome is _NOT_YET:
            self.outcome = outcome
            self.told.release()


class Writer:
    """Runs work, each piece whole or not at all, and returns once it is on disk."""

    def __init__(
        self,
        storage: Storage,
        recognise: Callable[[Session], None] = lambda _: None,
    ) -> None:
        """Take the storage, and what looks at each new connection before it is used.

        `recognise` raises, having called `distrust`, where the ledger is not the one that was written to.
        """
        self._storage = storage
        self._recognise = recognise
        self._ends: dict[str, tuple[int, str]] = {}
        self._unsure: list[tuple[Together[Any, Any], Any]] = []  # kinds and results that nobody was told of
        self._queue: deque[_Pending] = deque()
        self._waiting = threading.Condition()
        self._stopped = False
        self._distrusted = ""
        self._company = 1  # how many were waiting for the last commit or for the next
        self._patience = 0.0  # seconds
        self._process = os.getpid()
        self._thread: threading.Thread | None = None

    @property
    def ends(self) -> Mapping[str, tuple[int, str]]:
        """The last receipt of each chain that was written to: its number and hash, committed."""
        return dict(self._ends)

    def run(self, work: Callable[[Transaction], T]) -> T:
        """Run work in a transaction that holds all trees, and return its result once that is durable.

        The work has no effect but through the transaction, and may be run a second time where the first
        was undone.

        Raises:
            LedgerUnavailable: storage failed, or the writer has stopped. The work's changes are gone
                (or, after a failed sync and a crash, there as a whole: a charge nobody was told of).
            Exception: whatever the work raised; its changes are gone.
        """
        result: T = self._await(_Pending(None, work))
        return result

    def together(self, kind: Together[R, T], request: R) -> T:
        """Carry out a request, with others of its kind, and return its result once that is durable.

        Raises: as `run` does.
        """
        result: T = self._await(_Pending(kind, request))
        return result

    def _await(self, pending: _Pending) -> Any:
        pending.told.acquire()
        with self._waiting:
            # A forked child has the queue but not the thread: it would wait for ever.
            if self._stopped or os.getpid() != self._process:
                raise self._storage.unavailable(None)
            if self._distrusted:
                raise _not_the_same(self._distrusted)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name="ledger-writer", daemon=True)
                self._thread.start()
            self._queue.append(pending)
            if len(self._queue) in (1, self._company):
                self._waiting.notify()
        pending.told.acquire()
        if isinstance(pending.outcome, Raised):
            raise pending.outcome.error
        return pending.outcome

    def distrust(self, reason: str) -> None:
        """Refuse what is queued and all later work, with a reason from public facts."""
        with self._waiting:
            self._distrusted = reason
            waiting = [*self._queue]
            self._queue.clear()
        for pending in waiting:
            pending.tell(Raised(_not_the_same(reason)))

    def stop(self) -> None:
        """Finish what is queued, then end the thread. Later work is refused."""
        with self._waiting:
            self._stopped = True
            self._waiting.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _take(self) -> list[_Pending]:
        with self._waiting:
            while not self._queue and not self._stopped:
                if not self._waiting.wait(SETTLE_SECONDS if self._unsure else None):
                    return []
            if self._company > 1:
                self._waiting.wait_for(self._all_here, self._patience)
            return [self._queue.popleft() for _ in range(min(len(self._queue), MOST_IN_A_COMMIT))]

    def _all_here(self) -> bool:
        return self._stopped or len(self._queue) >= self._company

    def _serve(self) -> None:
        batch: list[_Pending] = []
        session = None
        try:
            while (batch := self._take()) or not self._stopped:
                session = self._commit(batch, session)
                self._company = min(len(batch) + len(self._queue), MOST_IN_A_COMMIT)
                batch = []
        except Exception as error:  # noqa: BLE001  whatever ended the writer, those who wait must hear of it
            with self._waiting:
                abandoned = [*batch, *self._queue]
                self._queue.clear()
                self._thread = None  # the next piece of work starts another thread, on another connection
            for pending in abandoned:
                pending.tell(Raised(self._storage.unavailable(error)))
        finally:
            if session is not None:
                session.close()

    def _commit(self, batch: list[_Pending], session: Session | None) -> Session | None:
        """Carry out a batch in one transaction, tell everyone, and return the session to go on with."""
        try:
            if session is not None and not session.alive():
                session.close()
                session = None
            if session is None:
                session = self._storage.connect()
                self._recognise(session)
            outcomes = self._carry_out_again(session, batch)
        except Exception as error:
            # Closing undoes the transaction; the next batch connects anew.
            if session is not None:
                session.close()
            if self._distrusted:
                self._unsure = []
                refused = _not_the_same(self._distrusted)
            elif isinstance(error, self._storage.failed):
                refused = self._storage.unavailable(error)
            else:
                raise
            for pending in batch:
                pending.tell(Raised(refused))
            return None
        for pending, outcome in zip(batch, outcomes, strict=True):
            pending.tell(outcome)
        return session

    def _carry_out_again(self, session: Session, batch: Sequence[_Pending]) -> list[Any]:
        """Carry out a batch, once more where others stood in its way and nothing of it was done."""
        try:
            return self._carry_out(session, batch)
        except self._storage.again:
            session.rollback()
            time.sleep(AGAIN_SECONDS)
            return self._carry_out(session, batch)

    def _carry_out(self, session: Session, batch: Sequence[_Pending]) -> list[Any]:
        """Do all that a batch asks for, and return what came of each request once it is on disk."""
        kinds: dict[int, list[int]] = {}
        for place, pending in enumerate(batch):
            kinds.setdefault(place if pending.kind is None else -id(pending.kind), []).append(place)
        groups = [(batch[places[0]].kind, places) for places in kinds.values()]
        outcomes: list[Any] = [None] * len(batch)
        touched: frozenset[str] | None = None if self._unsure else frozenset()
        session.begin()
        try:
            for kind, places in groups:
                if kind is None or touched is None:
                    touched = None
                else:
                    touched |= kind.populations(session, [batch[place].request for place in places])
            session.hold(touched)
            self._settle(session)
            for kind, places in groups:
                requests = [batch[place].request for place in places]
                done = (
                    [self._alone(session, requests[0])] if kind is None else kind.perform(session, requests)
                )
                for place, outcome in zip(places, done, strict=True):
                    outcomes[place] = outcome
            self._end(session, batch, outcomes)
        except Exception as error:
            if isinstance(error, self._storage.failed) and not isinstance(error, self._storage.refused):
                raise
            # One request cannot be stored, or met a bug: it must not touch the others'.
            session.rollback()
            session.begin()
            session.hold(None)
            self._alone(session, self._settle)
            outcomes = [self._alone(session, _piece(pending)) for pending in batch]
            self._end(session, batch, outcomes)
        return outcomes

    def _settle(self, transaction: Transaction) -> None:
        """Settle what was written although nobody was told; all trees are held, so it is known by now."""
        results: dict[int, tuple[Together[Any, Any], list[Any]]] = {}
        for kind, result in self._unsure:
            results.setdefault(id(kind), (kind, []))[1].append(result)
        for kind, those in results.values():
            if kind.abandon is not None:
                kind.abandon(transaction, those)

    def _end(self, session: Session, batch: Sequence[_Pending], outcomes: Sequence[Any]) -> None:
        started = time.perf_counter()
        try:
            session.commit()
        except Exception as error:
            certain = (*self._storage.refused, *self._storage.again)
            if isinstance(error, self._storage.failed) and not isinstance(error, certain):
                self._unsure += [
                    (pending.kind, outcome)
                    for pending, outcome in zip(batch, outcomes, strict=True)
                    if pending.kind is not None and pending.kind.abandon and not isinstance(outcome, Raised)
                ]
            raise
        self._unsure = []
        self._ends |= session.ends
        self._patience = min(time.perf_counter() - started, LONGEST_WAIT)

    def _alone(self, session: Session, work: Callable[[Transaction], Any]) -> Any:
        """Run one piece of work inside a savepoint; storage errors go through, they end the whole batch."""
        ends = dict(session.ends)
        try:
            with session.savepoint():
                return work(session)
        except self._storage.refused as error:
            refused: Exception = InternalError("the ledger cannot hold such an entry; nothing was taken")
            refused.__cause__ = error
            outcome = Raised(refused)
        except self._storage.failed:
            raise
        except Exception as error:  # noqa: BLE001  it is the caller's, and must not touch the others' work
            outcome = Raised(error)
        session.ends.clear()
        session.ends.update(ends)
        return outcome


def _not_the_same(reason: str) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"nothing more is written to this ledger: {reason}",
        "put the newest ledger back and start the gateway again; docs/guides/operations.md says what to do "
        "where it is lost",
    )


def _piece(pending: _Pending) -> Callable[[Transaction], Any]:
    """Return a request as work that raises what goes wrong with it."""
    kind, request = pending.kind, pending.request
    if kind is None:
        work: Callable[[Transaction], Any] = request
        return work

    def alone(transaction: Transaction) -> Any:
        (outcome,) = kind.perform(transaction, [request])
        if isinstance(outcome, Raised):
            raise outcome.error
        return outcome

    return alone
