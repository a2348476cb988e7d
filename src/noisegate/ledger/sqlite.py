"""SQLite as the ledger uses it: one file in a directory of its own process, and every commit on disk.

TRUSTED for durability: `connect` refuses a connection whose commits might not survive a power cut.
"""

import fcntl
import os
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from noisegate.errors import LedgerUnavailable, StateLocked

LEDGER_FILE = "ledger.sqlite"
LOCK_FILE = "ledger.lock"
BUSY_SECONDS = 1.0
_FULL = 2  # what PRAGMA synchronous says of FULL


def unavailable(cause: BaseException | None = None) -> LedgerUnavailable:
    """Return the one error for a ledger that cannot be read or written, whatever the reason."""
    error = LedgerUnavailable(
        "the ledger cannot be read or written, so nothing is released",
        "see that the state directory's disk has space, can be written and is whole, then try again",
    )
    error.__cause__ = cause
    return error


class StateLock:
    """Exclusive use of a state directory, held until `release` or until the process ends."""

    def __init__(self, directory: Path) -> None:
        """Take the lock, or raise StateLocked where anyone else holds it."""
        self._descriptor = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # flock, not lockf: it also keeps out a second ledger of this same process.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise StateLocked(
                f"another process holds the state directory {directory}",
                "stop the server that uses it, or speak to that server with --url",
            ) from error

    def release(self) -> None:
        """Give the directory back."""
        os.close(self._descriptor)

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
