"""SQLite as the ledger uses it: one file in a directory of its own process, and every commit on disk.

TRUSTED for durability: `connect` refuses a connection whose commits might not survive a power cut.
"""
# What a session's methods promise is said where `Transaction` and `Session` are.
# ruff: noqa: D102

import fcntl
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Select, Table, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement

from noisegate.errors import LedgerUnavailable, StateLocked
from noisegate.ledger.migrate import migrate
from noisegate.ledger.storage import LAST_ENTRY, Storage, changed_meanwhile
from noisegate.ledger.transaction import Change, Row, Texts

LEDGER_FILE = "ledger.sqlite"
LOCK_FILE = "ledger.lock"
BUSY_SECONDS = 1.0
_READERS = 64
_FULL = 2  # what PRAGMA synchronous says of FULL
_OVERFLOW = "integer overflow"  # SQLite's words for a sum that leaves 64 bits; its code is that of any error
_BIND = re.compile(r":(\d+)")
_TEXTS = Texts(sqlite.dialect(paramstyle="numeric"))

# What SQLite raises at an entry that breaks a CHECK or cannot be stored; anything else is the storage's.
_REFUSED = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


def unavailable(cause: BaseException | None = None) -> LedgerUnavailable:
    """Return the one error for a ledger that cannot be read or written, whatever the reason."""
    error = LedgerUnavailable(
        "the ledger cannot be read or written, so nothing is released",
        "see that the state directory's disk has space, can be written and is whole, then try again",
    )
    error.__cause__ = cause
    return error


class StateLock:
    """Use of a state directory, held until `release` or until the process ends.

    Alone, or shared by the gateways of a ledger that lies elsewhere.
    """

    def __init__(self, directory: Path, *, shared: bool) -> None:
        """Take the lock, or raise StateLocked where somebody else's is in the way."""
        self._descriptor = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # flock, not lockf: it also keeps out a second ledger of this same process.
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(self._descriptor, kind | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise StateLocked(
                f"another process holds the state directory {directory}",
                "stop the server that uses it, or speak to that server with --url",
            ) from error

    def release(self) -> None:
        """Give the directory back; once more is no change."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def make_directory(directory: Path) -> None:
    """Make a state directory that only its owner can read, durably, and its parents."""
    missing = [d for d in (directory, *directory.parents) if not d.exists()]
    for new in reversed(missing):
        new.mkdir(mode=0o700, exist_ok=True)
        sync_directory(new.parent)


def make_file(file: Path) -> None:
    """Make an empty ledger file that only its owner can read, durably, unless there is one."""
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    sync_directory(file.parent)


def sync_directory(directory: Path) -> None:
    """Put a directory's entries on disk; a file's own fsync does not."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def connect(file: Path) -> sqlite3.Connection:
    """Return a connection that leaves transactions to the caller and syncs every commit.

    Raises:
        LedgerUnavailable: the file system does not give write-ahead logging with full syncs.
    """
    connection = sqlite3.connect(
        file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        connection.execute("PRAGMA synchronous = FULL")
        synchronous = connection.execute("PRAGMA synchronous").fetchone()[0]
        if mode != "wal" or synchronous != _FULL:
            raise LedgerUnavailable(
                f"the ledger's file system gives journal_mode {mode} and synchronous {synchronous}; "
                "charges would not survive a power cut",
                "put the state directory on a local disk",
            )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA recursive_triggers = ON")  # so that REPLACE meets the append-only triggers
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(file: Path) -> sqlite3.Connection:
    """Return a connection that cannot write."""
    connection = connect(file)
    connection.execute("PRAGMA query_only = ON")
    return connection


class SqliteSession:
    """A connection to a ledger's file; see `Session` and `Transaction`."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], int]) -> None:
        self.connection = connection
        self.at = 0
        self.ends: dict[str, tuple[int, str]] = {}
        self._clock = clock
        self._given: dict[str, int] = {}

    def rows(self, statement: ClauseElement, /, **values: object) -> list[Row]:
        try:
            return self._run(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            if str(error) == _OVERFLOW:
                raise OverflowError from error
            raise

    def gather(self, *asked: tuple[ClauseElement, Mapping[str, object]]) -> list[list[Row]]:
        return [self.rows(statement, **values) for statement, values in asked]

    def each(self, statement: ClauseElement, /, **values: object) -> Iterator[Row]:
        return self._run(statement, values)

    def row(self, statement: ClauseElement, /, **values: object) -> Row | None:
        rows = self.rows(statement, **values)
        return rows[0] if rows else None

    def change(self, statement: ClauseElement, /, **values: object) -> int:
        return self._run(statement, values).rowcount

    def change_exactly(self, *changes: Change) -> None:
        for change in changes:
            if change.rows:
                sql, rows = _by_place(change)
                if self.connection.executemany(sql, rows).rowcount != len(change.rows):
                    raise changed_meanwhile()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self.connection.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK TO part")
            self.connection.execute("RELEASE part")
            raise
        self.connection.execute("RELEASE part")

    def listed(self, values: Sequence[str] | Sequence[int]) -> object:
        return json.dumps(list(values))

    def numbers(self, table: Table, count: int) -> list[int]:
        # The one writer has the file, and rows with numbers are never deleted.
        last = max(self.rows(_last_number(table))[0][0], self._given.get(table.name, 0))
        self._given[table.name] = last + count
        return list(range(last + 1, last + 1 + count))

    @property
    def lately(self) -> int:
        return self.at

    def now(self) -> int:
        return max(self._clock(), int(self.rows(LAST_ENTRY)[0][0]))

    def is_gone(self, replica: int) -> bool:  # noqa: ARG002  one process has the directory, and it is this one
        return True

    def alive(self) -> bool:
        return True

    def begin(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self._given.clear()
        self.ends.clear()

    def hold(self, populations: frozenset[str] | None) -> None:  # noqa: ARG002  BEGIN IMMEDIATE holds all
        self.at = self.now()

    def commit(self) -> None:
        self.connection.execute("COMMIT")

    def rollback(self) -> None:
        self.connection.execute("ROLLBACK")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        # Text that is not UTF-8 is a fault to report, not a failure of storage; it cannot be hashed again.
        self.connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        self.connection.execute("BEGIN")
        try:
            yield
        finally:
            self.connection.execute("COMMIT")
            self.connection.text_factory = str

    def close(self) -> None:
        self.connection.close()

    def _run(self, statement: ClauseElement, values: Mapping[str, object]) -> sqlite3.Cursor:
        text = _TEXTS.of(statement)
        given = {**text.constants, **values} if text.constants else values
        return self.connection.execute(_numbered(text.sql), [given[name] for name in text.binds])


@cache
def _numbered(sql: str) -> str:
    """Return a statement with its binds as SQLite counts them, so that values can be given by place.

    >>> _numbered("SELECT a FROM t WHERE b = :1 AND c = :2")
    'SELECT a FROM t WHERE b = ?1 AND c = ?2'
    """
    return _BIND.sub(r"?\1", sql)


def _by_place(change: Change) -> tuple[str, Sequence[Row]]:
    """Return a change's text, and its rows of values in the order of the text's binds."""
    text = _TEXTS.of(change.statement)
    if change.names == text.binds:
        return _numbered(text.sql), change.rows
    names = (*change.names, *text.constants)
    constants, places = tuple(text.constants.values()), [names.index(name) for name in text.binds]
    return _numbered(text.sql), [
        tuple([whole[place] for place in places]) for whole in ((*row, *constants) for row in change.rows)
    ]


@cache
def _last_number(table: Table) -> Select[tuple[int]]:
    (key,) = table.primary_key
    return select(func.coalesce(func.max(key), 0))


def storage(directory: Path, clock: Callable[[], int]) -> Storage:
    """Return the storage of the ledger's file in a directory, made where there is none.

    Raises:
        LedgerUnavailable: it cannot be read or written, or its commits would not be durable.
    """
    file = directory / LEDGER_FILE
    try:
        make_file(file)
        with closing(connect(file)) as connection:
            migrate(connection)
    except (sqlite3.Error, OSError) as error:
        raise unavailable(error) from error
    return Storage(
        connect=lambda: SqliteSession(connect(file), clock),
        connect_to_read=lambda: SqliteSession(connect_to_read(file), clock),
        readers=_READERS,
        shared=False,
        replica=0,
        refused=_REFUSED,
        failed=(sqlite3.Error, OSError),
        again=(),
        unavailable=unavailable,
    )
