"""PostgreSQL as the ledger uses it: many gateways on one server, and every commit on its disk.

TRUSTED: trees are held by locking the accounts at their roots, sorted, before anything is decided, and a
commit is what the server says was one. PROOFS.md, "Durability".
"""
# What a session's methods promise is said where `Transaction` and `Session` are.
# ruff: noqa: D102

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from typing import Any, cast

import psycopg
from psycopg.pq.abc import PGresult
from sqlalchemy import BigInteger, Dialect, Select, Table, bindparam, func, insert, literal_column, select
from sqlalchemy.dialects.postgresql import psycopg as dialect
from sqlalchemy.sql import ClauseElement

from noisegate.ledger import schema
from noisegate.ledger.arrays import Sent, array, exactly, filled
from noisegate.ledger.migrate import migrate_server
from noisegate.ledger.server import GATEWAY, check, connect, prepare, server_of, unavailable, unreachable
from noisegate.ledger.storage import LAST_ENTRY, Storage, changed_meanwhile
from noisegate.ledger.transaction import Change, Row, Texts, any_of
from noisegate.ledger.wire import Wire

ROWS_AT_A_TIME = 2_000
READERS = 8

# Advisory lock (ALONE, 0) is for work that holds all trees.
ALONE = 1852797300

# What PostgreSQL raises at an entry that breaks a CHECK or cannot be stored; anything else is the storage's.
_REFUSED = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded)
# What ends a transaction that stood in another's way, and would not another time.
_AGAIN = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.LockNotAvailable,
)
_TEXTS = Texts(cast("Callable[..., Dialect]", dialect.dialect)(paramstyle="numeric_dollar"))

_a = schema.account.c
_NOW = select(
    literal_column("extract(epoch FROM clock_timestamp())::bigint", BigInteger),
    LAST_ENTRY.scalar_subquery(),
)
_ROOTS = select(_a.id).where(any_of(_a.id, "ids")).order_by(_a.id).with_for_update()
_EVERY_ROOT = select(_a.id).where(_a.parent.is_(None)).order_by(_a.id).with_for_update()
_ALONE = select(func.pg_advisory_xact_lock(ALONE, 0))
_ENROL = insert(schema.replica).values({schema.replica.c.number: bindparam("number")})
_IS_GONE = select(func.pg_try_advisory_xact_lock(GATEWAY, bindparam("number")))


def storage(url: str, clock: Callable[[], int] | None) -> Storage:
    """Return the storage of a ledger on a server, with the schema of this version and a number for us.

    Args:
        url: `postgresql://…`; what it leaves out comes from libpq's own variables and files.
        clock: seconds since 1970 UTC; None for the server's, which all gateways share.

    Raises:
        SetupError: the URL cannot be read.
        LedgerUnavailable: the server cannot be reached, or its commits would not be durable.
    """
    server = server_of(url)
    try:
        with closing(connect(server)) as connection:
            check(connection)
            migrate_server(connection)
        with closing(_session(server, clock, replica=0, write=True)) as session:
            session.begin()
            session.hold(None)
            (replica,) = session.numbers(schema.replica, 1)
            session.change(_ENROL, number=replica, started=session.at)
            session.commit()
    except psycopg.Error as error:
        raise unreachable(error, server) from error
    return Storage(
        connect=lambda: _session(server, clock, replica, write=True),
        connect_to_read=lambda: _session(server, clock, replica, write=False),
        readers=READERS,
        shared=True,
        replica=replica,
        refused=_REFUSED,
        failed=(psycopg.Error, OSError),
        again=_AGAIN,
        unavailable=unavailable,
    )


class PostgresSession:
    """A connection to a ledger's server; see `Session` and `Transaction`."""

    def __init__(self, wire: Wire, clock: Callable[[], int] | None, replica: int) -> None:
        self.ends: dict[str, tuple[int, str]] = {}
        self._at = 0
        self._replica = replica
        self._wire = wire
        self._clock = clock
        self._ahead: list[Sent] = []  # statements that the next trip takes along
        self._holding: Callable[[list[PGresult]], None] | None = None  # takes in what `hold` asked for
        self._numbers: dict[Table, list[int]] = {}
        self._usual: dict[Table, int] = {}
        self._cursors = 0

    def rows(self, statement: ClauseElement, /, **values: object) -> list[Row]:
        return self.gather((statement, values))[0]

    def gather(self, *asked: tuple[ClauseElement, Mapping[str, object]]) -> list[list[Row]]:
        results = self._trip(*(filled(_TEXTS.of(statement), values) for statement, values in asked))
        return [self._wire.rows(result) for result in results]

    def each(self, statement: ClauseElement, /, **values: object) -> Iterator[Row]:
        self._cursors += 1
        sql, given = filled(_TEXTS.of(statement), values)
        name = f"part{self._cursors}"
        self._trip((f"DECLARE {name} NO SCROLL CURSOR FOR {sql}", given))
        while rows := self._wire.rows(self._trip((f"FETCH {ROWS_AT_A_TIME} FROM {name}", ()))[0]):
            yield from rows
        self._trip((f"CLOSE {name}", ()))

    def row(self, statement: ClauseElement, /, **values: object) -> Row | None:
        rows = self.rows(statement, **values)
        return rows[0] if rows else None

    def change(self, statement: ClauseElement, /, **values: object) -> int:
        return self._trip(filled(_TEXTS.of(statement), values))[0].command_tuples or 0

    def change_exactly(self, *changes: Change) -> None:
        self._ahead += [exactly(_TEXTS.of(change.statement), change) for change in changes if change.rows]

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self._ahead.append(("SAVEPOINT part", ()))
        before, length = self._ahead, len(self._ahead)
        try:
            yield
            self._trip()  # what fails, fails inside
        except BaseException:
            # What was not sent yet of the inside never is.
            self._ahead = before[:length] if self._ahead is before else []
            self._trip(("ROLLBACK TO part", ()), ("RELEASE part", ()))
            raise
        self._ahead.append(("RELEASE part", ()))

    def listed(self, values: Sequence[str] | Sequence[int]) -> object:
        return array(values)

    def numbers(self, table: Table, count: int) -> list[int]:
        self._be_held()
        held, self._usual[table] = self._numbers.pop(table, []), count
        if len(held) < count:
            held += [number for (number,) in self.rows(_next_numbers(table), count=count - len(held))]
        return held[:count]

    @property
    def at(self) -> int:
        self._be_held()
        return self._at

    @property
    def lately(self) -> int:
        return self._at

    def now(self) -> int:
        return self._later(*self.rows(_NOW)[0])

    def is_gone(self, replica: int) -> bool:
        return replica != self._replica and bool(self.rows(_IS_GONE, number=replica)[0][0])

    def alive(self) -> bool:
        return self._wire.alive()

    def begin(self) -> None:
        self._ahead, self._holding = [("BEGIN", ())], None
        self._numbers = {}
        self.ends.clear()

    def hold(self, populations: frozenset[str] | None) -> None:
        if populations is None:
            locks: list[tuple[ClauseElement, Mapping[str, object]]] = [(_ALONE, {}), (_EVERY_ROOT, {})]
        else:
            locks = [(_ROOTS, {"ids": array(sorted(populations))})]
        # Numbers too, as many as the last transaction took: they would cost another way there and back.
        usual, self._usual = self._usual, {}
        numbers = [(_next_numbers(table), {"count": count}) for table, count in usual.items()]
        first = len(self._ahead) + len(locks)

        def take_in(results: list[PGresult]) -> None:
            for table, result in zip(usual, results[first:], strict=False):
                self._numbers[table] = [number for (number,) in self._wire.rows(result)]
            self._at = self._later(*self._wire.rows(results[first + len(usual)])[0])

        # One after the other: the time is read when the locks are held.
        asked = [*locks, *numbers, (_NOW, {})]
        self._ahead += [filled(_TEXTS.of(statement), values) for statement, values in asked]
        self._holding = take_in

    def commit(self) -> None:
        (result,) = self._trip(("COMMIT", ()))
        if result.command_status != b"COMMIT":
            # What PostgreSQL answers, and no error, where a statement had failed and nobody undid it.
            raise psycopg.OperationalError("the transaction was undone")

    def rollback(self) -> None:
        self._ahead, self._holding = [], None
        self._trip(("ROLLBACK", ()))

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        self._ahead = [("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", ())]
        try:
            yield
        finally:
            self._trip(("COMMIT", ()))

    def close(self) -> None:
        self._wire.close()

    def _later(self, time: int, last: int) -> int:
        return max(time if self._clock is None else self._clock(), last)

    def _be_held(self) -> None:
        if self._holding is not None:
            self._trip()

    def _trip(self, *sent: Sent) -> list[PGresult]:
        (ahead, self._ahead), (holding, self._holding) = (self._ahead, []), (self._holding, None)
        if not ahead and not sent:
            return []
        try:
            results = self._wire.trip(*ahead, *sent)
        except psycopg.errors.DivisionByZero as error:
            raise changed_meanwhile() from error
        if holding is not None:
            holding(results)
        return results[len(ahead) :]


def _session(
    server: Mapping[str, Any], clock: Callable[[], int] | None, replica: int, *, write: bool
) -> PostgresSession:
    connection = connect(server)
    try:
        prepare(connection, replica, write=write)
        return PostgresSession(Wire(connection), clock, replica)
    except BaseException:
        connection.close()
        raise


@cache
def _next_numbers(table: Table) -> Select[tuple[int]]:
    (key,) = table.primary_key
    sequence = func.pg_get_serial_sequence(table.name, key.name)
    times = func.generate_series(1, bindparam("count", type_=BigInteger)).table_valued("n")
    return select(func.nextval(sequence)).select_from(times)
