"""The sessions that read, lent to one thread at a time and kept for the next."""

import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

from noisegate.ledger.storage import Session, Storage

_PATIENCE = 10.0  # seconds


class Readers:
    """Sessions that see all that is committed. At most `storage.readers` are lent at once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._idle: list[Session] = []
        self._free = threading.BoundedSemaphore(storage.readers)
        self._process = os.getpid()
        self._open = True

    @contextmanager
    def lend(self) -> Iterator[Session]:
        """Lend a session.

        Raises:
            LedgerUnavailable: the storage failed, no session came free in time, or all are closed.
        """
        # A forked child would speak over its parent's connections.
        if not self._open or os.getpid() != self._process or not self._free.acquire(timeout=_PATIENCE):
            raise self._storage.unavailable(None)
        session = None
        try:
            session = self._find()
            yield session
        except self._storage.failed as error:
            if session is not None:
                session.close()
                session = None
            raise self._storage.unavailable(error) from error
        finally:
            if session is not None:
                self._keep(session)
            self._free.release()

    @contextmanager
    def apart(self) -> Iterator[Session]:
        """Open a session for one long read, which takes none from those who read a little.

        Raises: as `lend` does.
        """
        if not self._open or os.getpid() != self._process:
            raise self._storage.unavailable(None)
        try:
            with closing(self._storage.connect_to_read()) as session:
                yield session
        except self._storage.failed as error:
            raise self._storage.unavailable(error) from error

    def close(self) -> None:
        """Close the sessions, those that are lent when they come back. Later reads are refused."""
        self._open = False
        while self._idle:
            self._idle.pop().close()

    def _keep(self, session: Session) -> None:
        self._idle.append(session)
        if not self._open:
            self.close()

    def _find(self) -> Session:
        while self._idle:
            with suppress(IndexError):  # another thread may have taken the last one
                session = self._idle.pop()
                if session.alive():
                    return session
                session.close()
        return self._storage.connect_to_read()
