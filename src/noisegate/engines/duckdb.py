"""DuckDB, the engine that answers plans from registered snapshots."""

import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from noisegate.engines.cells import assembled
from noisegate.engines.check import Checker
from noisegate.engines.facts import check_scans, facts_of
from noisegate.engines.locked import locked
from noisegate.engines.lower import lower
from noisegate.engines.members import ReadyMembers, members_of, statement
from noisegate.engines.ranges import Added, Ends, ends_for, ends_of, parted
from noisegate.engines.register import Snapshot
from noisegate.engines.render import database
from noisegate.engines.unitrows import Statement
from noisegate.engines.watch import Watch
from noisegate.errors import EngineFailed, EngineTimeout, NoisegateError
from noisegate.privacy.exact import Exact
from noisegate.privacy.members import Members
from noisegate.privacy.question import Aggregation
from noisegate.privacy.relations import Relation, scans

Found = TypeVar("Found")

# Integer keys that span up to 2^20 values are aggregated in an array rather than a hash table: units often
# are. It costs at most that many slots a thread.
_ARRAY_BITS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """An aggregation and the statements that answer it, checked, and the ends of the ranges to run by.

    The ends are units of the table, so this says nothing of itself.
    """

    aggregation: Aggregation
    statements: tuple[Statement, ...]
    ends: Ends = field(default=(), repr=False)


class DuckDB:
    """Registered snapshots behind a locked DuckDB. Safe to share among threads."""

    def __init__(
        self,
        snapshots: Mapping[str, Snapshot],
        *,
        memory_limit: str,
        spill: Path,
        threads: int | None = None,
        timeout_s: float = 60.0,
        max_spill: str = "20GB",
    ) -> None:
        """Attach the snapshots, read-only, and lock the engine.

        Args:
            snapshots: by dataset.
            memory_limit: what the engine may hold in memory, as in "2GB".
            spill: a directory of the engine's own for what does not fit; it holds private rows while a
                question runs.
            threads: how many it may use; None for all cores.
            timeout_s: longest run of one aggregation, in seconds.
            max_spill: how large `spill` may grow.
        """
        spill.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings = {
            "memory_limit": memory_limit,
            "temp_directory": str(spill),
            "max_temp_directory_size": max_spill,
            "perfect_ht_threshold": str(_ARRAY_BITS),
        }
        if threads is not None:
            settings["threads"] = str(threads)
        self.snapshots = dict(snapshots)
        self.timeout_s = timeout_s
        self._facts = {name: facts_of(snapshot) for name, snapshot in self.snapshots.items()}
        self._checker = Checker()
        self._connection = locked(settings, {database(d): s.path for d, s in self.snapshots.items()})
        self._lock = threading.Lock()
        self._idle: list[duckdb.DuckDBPyConnection] = []
        self._closed = False
        self._watch = Watch(timeout_s)
        (held,) = self._connection.execute("SELECT current_setting('threads')").fetchall()[0]
        self._ends: dict[tuple[str, str], Ends] = {}
        for dataset, tables in self._facts.items():
            self._ends |= ends_of(self._connection, dataset, tables, int(held))

    def prepare(self, aggregation: Aggregation) -> Ready:
        """Write a plan down and check it: what can be refused of it is refused before any charge.

        Raises:
            PlanError: the plan is nested too deep, or too long, to write.
            InternalError: it claims of a table what was not verified, or its SQL did not pass the check.
        """
        check_scans(aggregation.source, self._facts)
        ends = ends_for(aggregation, self._ends)
        statements = lower(aggregation, ranged=True) if ends else lower(aggregation)
        self._check(statements, aggregation.source)
        return Ready(aggregation, statements, ends)

    def prepare_members(self, relation: Relation) -> ReadyMembers:
        """Write down who has a row in a private relation, and check it, before any charge.

        Raises:
            PlanError: the relation is public, or nested too deep, or too long, to write.
            InternalError: as `prepare`.
        """
        check_scans(relation, self._facts)
        ready = ReadyMembers(relation, statement(relation))
        self._check((ready.statement,), relation)
        return ready

    def run(self, asked: Aggregation | Ready) -> Exact:
        """Return the exact cells of an aggregation, sealed.

        Raises:
            PlanError, InternalError: as `prepare`, for what was not prepared. Nothing was read.
            EngineTimeout: it ran past the limit.
            EngineFailed: the engine failed. Neither says anything of rows.
        """
        ready = asked if isinstance(asked, Ready) else self.prepare(asked)
        return _silently(lambda: assembled(ready.aggregation, self._answers(ready.statements, ready.ends)))

    def members(self, ready: ReadyMembers) -> Members:
        """Return who has a row in a private relation, sealed.

        Claim: whether a unit is among them is a function of that unit's rows and of public tables.
        Argued in PROOFS.md, "Members".

        Raises:
            EngineTimeout: it ran past the limit.
            EngineFailed: the engine failed. Neither says anything of rows.
        """
        return _silently(lambda: members_of(ready, self._answers((ready.statement,), ())[0][1]))

    def _check(self, statements: tuple[Statement, ...], source: Relation) -> None:
        tables = frozenset((database(s.dataset), s.table) for s in scans(source))
        for written in statements:
            self._checker.check(written.sql, tables)

    def _answers(
        self, statements: tuple[Statement, ...], ends: Ends
    ) -> list[tuple[Statement, dict[str, Any]]]:
        with self._lock:
            cursor = self._idle.pop() if self._idle else self._connection.cursor()
        salt = secrets.randbits(64)
        try:
            with self._watch.watching(cursor):
                answers = [(s, answer(cursor, s, salt, ends)) for s in statements]
        except BaseException:
            cursor.close()
            raise
        # The first statement of a new cursor takes longer than any other.
        with self._lock:
            if self._closed:
                cursor.close()
            else:
                self._idle.append(cursor)
        return answers

    def close(self) -> None:
        """Let go of the snapshots. Runs in progress fail."""
        self._watch.stop()
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
        self._connection.close()


def _silently(work: Callable[[], Found]) -> Found:
    """Return what the work gives. What fails may quote rows in its text, so a constant one stands for it."""
    failure: NoisegateError
    try:
        return work()
    except duckdb.InterruptException:
        failure = EngineTimeout()
    except Exception:  # noqa: BLE001
        failure = EngineFailed()
    # Raised here and not above: an exception being handled would travel along as the context.
    raise failure


def answer(cursor: duckdb.DuckDBPyConnection, statement: Statement, salt: int, ends: Ends) -> dict[str, Any]:
    """Return the columns of a statement, over all ranges if it is ranged."""
    given: dict[str, object] = {"salt": salt} if statement.salted else {}
    if not statement.ranged:
        found: dict[str, Any] = cursor.execute(statement.sql, given or None).fetchnumpy()
        return found
    added = Added()
    for low, high in parted(ends):
        added.add(cursor.execute(statement.sql, {**given, "low": low, "high": high}).fetchnumpy())
    return added.columns()
