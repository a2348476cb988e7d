"""What askers asked before, remembered, so that pricing a question reads only what is new of it."""

import threading
from collections.abc import Callable

from noisegate.ask.similar import Earlier, recalled
from noisegate.ledger.records import Asked

# So many of the newest are read each time: charges of two populations may become visible out of order.
NEWEST = 16
MOST_ASKERS = 1_024

Known = tuple[tuple[int, Earlier], ...]


class History:
    """The last questions of each asker. Charges never change, so what was read once stays true."""

    def __init__(self, read: Callable[[str, int], tuple[Asked, ...]], most: int) -> None:
        """Take how the ledger gives an asker's last questions, newest first, and how many count."""
        self._read = read
        self._most = most
        self._known: dict[str, Known] = {}
        self._guard = threading.Lock()

    def of(self, asker: str) -> tuple[Earlier, ...]:
        """Return the asker's last questions, newest first."""
        if self._most == 0:
            return ()
        newest = self._asked(asker, min(NEWEST, self._most))
        known = self._known.get(asker, ())
        if len(newest) == NEWEST < self._most:
            ids = {charge for charge, _ in newest}
            if known and known[0][0] in ids:
                last = newest[-1][0]
                newest += tuple(k for k in known if k[0] < last)[: self._most - NEWEST]
            else:
                newest = self._asked(asker, self._most)
        with self._guard:
            if len(self._known) >= MOST_ASKERS and asker not in self._known:
                self._known.clear()
            self._known[asker] = newest
        return tuple(earlier for _, earlier in newest)

    def _asked(self, asker: str, most: int) -> Known:
        return tuple((asked.charge, recalled(asked.conditions)) for asked in self._read(asker, most))
