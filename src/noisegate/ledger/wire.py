"""One connection to PostgreSQL at the level of libpq: prepared statements, sent together, with a deadline.

TRUSTED: a statement that failed is not taken for one that did not. What a batch of charges needs goes out
in two messages whatever its size, where psycopg's cursors would adapt and send each statement by itself.
Values go as text and the statements name their types, so the server reads them as declared. PROOFS.md,
"Durability".
"""

import select
import time
from typing import Any

import psycopg
from psycopg import pq
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.pq.abc import PGresult
from psycopg.types.numeric import IntLoader

from noisegate.ledger.arrays import Sent
from noisegate.ledger.transaction import Row

# The longest that a caller waits for one reply. A server that runs gives up before.
ANSWER_SECONDS = 15.0

_DONE = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)
_LOADERS = AdaptersMap(psycopg.adapters)
_LOADERS.register_loader("numeric", IntLoader)  # what a sum of 64-bit integers is


class Wire:
    """A connection for one thread at a time. What it raises is psycopg's."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._server = connection.pgconn
        self._server.nonblocking = 1
        self._server.enter_pipeline_mode()
        self._poll = select.poll()
        self._poll.register(self._server.socket, select.POLLIN)
        self._names: dict[str, bytes] = {}
        self._named = 0
        self._loader = Transformer(_LOADERS)

    def trip(self, *sent: Sent) -> list[PGresult]:
        """Run statements with their values one after the other, and return their results.

        The first that fails raises and none after it is run.

        Raises:
            psycopg.Error: with the SQLSTATE the server gave, or without one where it did not answer.
        """
        fresh: list[str] = []
        wanted: list[int] = []  # places of the statements' own results among all
        for sql, values in sent:
            if sql not in self._names:
                self._named += 1
                self._names[sql] = b"s%d" % self._named
                self._server.send_prepare(self._names[sql], sql.encode())
                fresh.append(sql)
            wanted.append(len(fresh) + len(wanted))
            self._server.send_query_prepared(self._names[sql], values)
        self._server.pipeline_sync()
        results = self._receive()
        failed = next((r for r in results if r.status not in _DONE), None)
        if failed is not None:
            for sql in fresh:  # which of them the server came to prepare is not worth knowing
                del self._names[sql]
            raise psycopg.errors.error_from_result(failed)
        return [results[place] for place in wanted]

    def rows(self, result: PGresult) -> list[Row]:
        """Return the rows of a result as Python values."""
        self._loader.set_pgresult(result)
        return self._loader.load_rows(0, result.ntuples, tuple)

    def alive(self) -> bool:
        """Whether the server has not hung up. An idle connection hears nothing else."""
        return not self._connection.closed and not self._poll.poll(0)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _receive(self) -> list[PGresult]:
        """Wait for the results of all that was sent."""
        server, deadline = self._server, time.monotonic() + ANSWER_SECONDS
        results: list[PGresult] = []
        unsent = bool(server.flush())
        while True:
            while unsent or server.is_busy():
                self._wait(deadline, unsent=unsent)
                unsent = unsent and bool(server.flush())
            result = server.get_result()
            if result is None:
                if server.status != pq.ConnStatus.OK:
                    raise psycopg.OperationalError("the connection to the server is lost")
            elif result.status == pq.ExecStatus.PIPELINE_SYNC:
                return results
            else:
                results.append(result)

    def _wait(self, deadline: float, *, unsent: bool) -> None:
        self._poll.modify(self._server.socket, select.POLLIN | (select.POLLOUT if unsent else 0))
        ready = self._poll.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if unsent:
            self._poll.modify(self._server.socket, select.POLLIN)
        if not ready:
            self.close()
            raise psycopg.OperationalError(f"the server has not answered within {ANSWER_SECONDS} s")
        if ready[0][1] & ~select.POLLOUT:
            self._server.consume_input()
