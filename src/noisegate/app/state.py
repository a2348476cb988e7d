"""A state directory as one gateway holds it, or several that share a ledger on a server.

What they do to it on their way up (registering data, removing what killed processes left) is one process's
at a time. What they need while they run, room to spill rows, is each one's own.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from noisegate.errors import SetupError
from noisegate.ledger.sqlite import LEDGER_FILE, make_directory, sync_directory

DATA = "data"
SPILL = "spill"
KEY = "digest.key"
LEDGER_ID = "ledger.id"
LOCK = ".lock"
_KEY_BYTES = 32


@contextmanager
def alone(state: Path) -> Iterator[None]:
    """Hold a state directory against other gateways that start or register; wait while one does."""
    directory = state / DATA
    make_directory(directory)
    held = _open(directory / LOCK)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


class Room:
    """A directory that one process spills rows to; gone once it is left, or when another gateway starts."""

    def __init__(self, state: Path) -> None:
        """Make the room. Only while `alone`: until its lock is held, it looks as if nobody needed it."""
        self._place = state / SPILL / secrets.token_hex(8)
        make_directory(self._place)
        self._lock = _open(self._place / LOCK)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.path = self._place / "rows"

    def close(self) -> None:
        """Remove it with what it holds."""
        shutil.rmtree(self._place, ignore_errors=True)
        os.close(self._lock)


def clear_leftovers(state: Path) -> None:
    """Remove what killed processes left of private rows: half-made snapshots, and rooms of nobody's.

    Only while `alone`.
    """
    for left in (state / DATA).glob(".registering-*"):
        shutil.rmtree(left, ignore_errors=True)
    spill = state / SPILL
    for left in spill.iterdir() if spill.is_dir() else ():
        if not _in_use(left):
            _remove(left)


def refuse_other_ledger(state: Path, *, on_server: bool) -> None:
    """Refuse a ledger that cannot be the one in which this directory's budgets stand, before it is opened.

    Raises:
        SetupError: they stand in SQLite in the directory and a server's is named, or the other way round.
    """
    bound, here = (state / LEDGER_ID).is_file(), (state / LEDGER_FILE).is_file()
    if on_server and here and not bound:
        raise SetupError(
            f"what was spent stands in {state / LEDGER_FILE}; on another ledger it would be unspent again",
            "open it without --ledger and NOISEGATE_LEDGER, or name another state directory",
        )
    if not on_server and bound and not here:
        raise SetupError(
            f"the budgets of {state} stand in a ledger on a server",
            "name it, with NOISEGATE_LEDGER or --ledger",
        )


def bind(state: Path, ledger: str) -> None:
    """Tie a state directory to the ledger of this id, so that its data is never charged to another. Only
    while `alone`.

    Raises:
        SetupError: it is tied to another ledger.
    """
    file = state / LEDGER_ID
    if not file.exists():
        _write(file, f"{ledger}\n".encode())
    elif file.read_text(encoding="ascii", errors="replace").strip() != ledger:
        raise SetupError(
            f"this is not the ledger in which the budgets of {state} stand: here they would be unspent again",
            f"name the ledger that the directory was used with; its id is in {file}",
        )


def digest_key(state: Path) -> bytes:
    """Return the secret key of source digests, made when it is first needed. Only while `alone`.

    Raises:
        SetupError: the file holds no such key.
    """
    file = state / KEY
    if not file.exists():
        _write(file, secrets.token_bytes(_KEY_BYTES))
    key = file.read_bytes()
    if len(key) != _KEY_BYTES:
        raise SetupError(f"{file} does not hold a key of {_KEY_BYTES} bytes", "put it back from a backup")
    return key


def _write(file: Path, content: bytes) -> None:
    """Write a file that is seen whole or not at all, durably, readable by its owner alone."""
    new = file.with_name(f".{file.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
    new.replace(file)
    sync_directory(file.parent)


def _open(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _remove(left: Path) -> None:
    if left.is_dir():
        shutil.rmtree(left, ignore_errors=True)
    else:
        left.unlink(missing_ok=True)


def _in_use(place: Path) -> bool:
    """Whether a running process holds the lock of a room."""
    try:
        held = os.open(place / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(held)
    return False
