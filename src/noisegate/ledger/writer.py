"""The one thread that writes, and group commit. TRUSTED: a result is handed over only after its commit.

One writer, because SQLite's own waiting for a lock is unfair: some clients of a busy ledger would wait
for seconds. Group commit, because one sync of the disk can carry many charges: whatever has queued up
while the last commit was syncing goes into the next one. Clients that were answered together tend to come
back together, so after them the writer waits for as many again, at most half as long as the commit took;
a lone client never waits for company.
"""

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from noisegate.errors import InternalError
from noisegate.ledger.sqlite import unavailable
from noisegate.ledger.transaction import Texts, Transaction

MOST_IN_A_COMMIT = 256

# What SQLite raises at an entry that breaks a CHECK or cannot be stored; anything else is the storage's.
_NOT_STORAGE = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Pending:
    work: Callable[[Transaction], Any]
    result: Future[Any] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class _Raised:
    error: Exception


class Writer:
    """Runs work, each piece whole or not at all, and returns once it is on disk."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], texts: Texts) -> None:
        self._connect = connect
        self._texts = texts
        self._queue: deque[_Pending] = deque()
        self._waiting = threading.Condition()
        self._stopped = False
        self._company = 1  # how many were waiting for the last commit or for the next
        self._patience = 0.0  # seconds
        self._process = os.getpid()
        self._thread: threading.Thread | None = None

    def run(self, work: Callable[[Transaction], T]) -> T:
        """Run work in a transaction and return its result once that is durable.

        Raises:
            LedgerUnavailable: storage failed, or the writer has stopped. The work's changes are gone
                (or, after a failed sync and a crash, there as a whole: a charge nobody was told of).
            Exception: whatever the work raised; its changes are gone.
        """
        pending = _Pending(work)
        with self._waiting:
            # A forked child has the queue but not the thread: it would wait for ever.
            if self._stopped or os.getpid() != self._process:
                raise unavailable()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name="ledger-writer", daemon=True)
                self._thread.start()
            self._queue.append(pending)
            if len(self._queue) in (1, self._company):
                self._waiting.notify()
        result: T = pending.result.result()
        return result

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
                self._waiting.wait()
            if self._company > 1:
                self._waiting.wait_for(self._all_here, self._patience)
            return [self._queue.popleft() for _ in range(min(len(self._queue), MOST_IN_A_COMMIT))]

    def _all_here(self) -> bool:
        return self._stopped or len(self._queue) >= self._company

    def _serve(self) -> None:
        batch: list[_Pending] = []
        connection = None
        try:
            while batch := self._take():
                started = time.perf_counter()
                connection = self._commit(batch, connection)
                self._company = min(len(batch) + len(self._queue), MOST_IN_A_COMMIT)
                self._patience = (time.perf_counter() - started) / 2
        except Exception as error:  # noqa: BLE001  whatever ended the writer, those who wait must hear of it
            with self._waiting:
                abandoned = [*batch, *self._queue]
                self._queue.clear()
                self._thread = None  # the next piece of work starts another thread, on another connection
            for pending in abandoned:
                if not pending.result.done():
                    pending.result.set_exception(unavailable(error))
        finally:
            if connection is not None:
                connection.close()

    def _commit(
        self, batch: list[_Pending], connection: sqlite3.Connection | None
    ) -> sqlite3.Connection | None:
        try:
            connection = connection or self._connect()
            transaction = Transaction(connection, self._texts)
            connection.execute("BEGIN IMMEDIATE")
            results = [_attempt(transaction, pending.work) for pending in batch]
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            # Closing undoes the transaction; the next batch opens the file anew.
            if connection is not None:
                connection.close()
            for pending in batch:
                pending.result.set_exception(unavailable(error))
            return None
        for pending, result in zip(batch, results, strict=True):
            if isinstance(result, _Raised):
                pending.result.set_exception(result.error)
            else:
                pending.result.set_result(result)
        return connection


def _attempt(transaction: Transaction, work: Callable[[Transaction], Any]) -> Any:
    """Run one piece of work inside a savepoint; storage errors go through, they end the whole batch."""
    transaction.connection.execute("SAVEPOINT piece")
    try:
        result = work(transaction)
    except _NOT_STORAGE as error:
        refused: Exception = InternalError("the ledger cannot hold such an entry; nothing was taken")
        refused.__cause__ = error
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001  it is the caller's, and must not touch the others' work
        refused = error
    else:
        transaction.connection.execute("RELEASE piece")
        return result
    transaction.connection.execute("ROLLBACK TO piece")
    transaction.connection.execute("RELEASE piece")
    return _Raised(refused)
