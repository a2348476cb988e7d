"""Many gateways on one ledger: each shows that it lives, and settles what those that ended have left.

TRUSTED: what is settled as lost can never be answered, whoever comes back. A gateway has a number, and
every session of its that may write holds a shared lock on it. So where the number can be locked alone,
that gateway has no session, can commit nothing, and its open charges are lost: spent, never answered. One
that was cut off for a while and comes back finds them so. PROOFS.md, "Durability".
"""

import threading
import time
from collections.abc import Callable

from noisegate.ledger import answers
from noisegate.ledger.storage import Session, Storage

LOOK_SECONDS = 1.0
RECOVER_SECONDS = 60.0


def recover(session: Session) -> int:
    """Settle the open charges of gateways that have ended, and return how many there were."""
    session.begin()
    gone = {replica for replica in answers.replicas_with_open_charges(session) if session.is_gone(replica)}
    if not gone:
        session.rollback()
        return 0
    session.hold(None)
    settled = answers.recover(session, gone)
    session.commit()
    return settled


class Presence:
    """A thread that keeps this gateway's number locked, whatever becomes of other sessions, and recovers."""

    def __init__(self, storage: Storage, recognise: Callable[[Session], None]) -> None:
        """Start. Raises LedgerUnavailable, or what the storage raises, where there is no connection.

        `recognise` looks at each new connection after the first, and raises where it leads to another ledger.
        """
        self._storage = storage
        self._recognise = recognise
        self._session: Session | None = storage.connect()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger-presence", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and let the number go."""
        self._stop.set()
        self._thread.join()
        self._drop()

    def _run(self) -> None:
        recovered = time.monotonic()
        while not self._stop.wait(LOOK_SECONDS):
            try:
                if self._session is None or not self._session.alive():
                    self._drop()
                    self._session = self._storage.connect()
                    self._recognise(self._session)
                if time.monotonic() - recovered >= RECOVER_SECONDS:
                    recovered = time.monotonic()
                    recover(self._session)
            except Exception:  # noqa: BLE001  whatever it was, the number must not be let go for good
                self._drop()  # and try again at the next look

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
