"""The thread that writes checkpoints while a gateway runs.

A checkpoint is evidence, not part of the guarantee: while one cannot be written, questions are still
answered, so that an unreachable disk elsewhere does not stop research. It does not go unnoticed either: a
gateway whose first checkpoint cannot be written does not start, and one that has receipts which no
checkpoint holds for longer than LATE times the interval says so in its health and metrics.

It also holds the ledger to what it saw of it before: where that is gone, the ledger was rolled back under the
running gateway, and nothing more is written, neither to it nor of it.
"""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from noisegate.errors import LedgerUnavailable, SetupError
from noisegate.ledger.checkpoints import PUT_BACK, Checkpoint, Destination, Held, file_of, gone, signed
from noisegate.ledger.same import ROLLED_BACK
from noisegate.ledger.store import Ledger

EVERY_RECEIPTS = 1_000
LATE = 3  # intervals
_LOOK_SECONDS = 5.0  # how often the ledger is looked at, at least

log = logging.getLogger("noisegate.ledger")


class Keeper:
    """Writes a checkpoint when it is entered and left, and meanwhile after so many seconds or receipts.

    Only where there are receipts that none holds yet. Each gateway on a shared ledger writes its own.
    """

    def __init__(
        self,
        ledger: Ledger,
        write: Destination,
        every: float,
        *,
        held: Held | None = None,
        receipts: int = EVERY_RECEIPTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what to write, where to, and how often.

        Args:
            ledger: an open ledger.
            write: keeps a checkpoint.
            every: after so many seconds at most.
            held: what is kept of the ledger already, None for nothing.
            receipts: after so many receipts at most.
            clock: seconds, which never go back.
        """
        self._ledger = ledger
        self._write = write
        self._every = every
        self._receipts = receipts
        self._clock = clock
        self._stop = threading.Event()
        self._guard = threading.Lock()
        # How far each chain was when it was last looked at.
        self._seen = {} if held is None else dict(held.heads)
        self._held = -1 if held is None else sum(seq for seq, _ in held.heads.values())
        self._strange = 0 if held is None else held.strange
        self._written = clock()
        self._waiting: float | None = None  # since when there are receipts that none holds
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def __enter__(self) -> Self:
        """Write the first checkpoint, where there is anything new, and start.

        Raises:
            SetupError: it could not be written.
            LedgerUnavailable: the ledger was rolled back or rewritten.
        """
        try:
            self._keep(last=True)
        except OSError as error:
            raise SetupError(
                f"the first checkpoint cannot be written: {error.strerror or type(error).__name__}",
                "see that the directory `checkpoints` of the configuration can be written and has space",
            ) from error
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.look(last=True)

    def late(self) -> bool:
        """Whether there are receipts that no checkpoint holds although one should long have been written."""
        with self._guard:
            return self._waiting is not None and self._clock() - self._waiting > LATE * self._every

    def metrics(self) -> str:
        """Return gauges in the Prometheus text format."""
        with self._guard:
            age, failing = self._clock() - self._written, int(self._failing)
        return (
            "# HELP noisegate_checkpoint_age_seconds Since a checkpoint was last written.\n"
            "# TYPE noisegate_checkpoint_age_seconds gauge\n"
            f"noisegate_checkpoint_age_seconds {age:.0f}\n"
            "# HELP noisegate_checkpoint_failing Whether the last attempt to write one failed.\n"
            "# TYPE noisegate_checkpoint_failing gauge\n"
            f"noisegate_checkpoint_failing {failing}\n"
            "# HELP noisegate_checkpoint_strange_files Files among them at the start that bind nothing.\n"
            "# TYPE noisegate_checkpoint_strange_files gauge\n"
            f"noisegate_checkpoint_strange_files {self._strange}\n"
        )

    def look(self, *, last: bool = False) -> None:
        """Write a checkpoint if it is time for one; if it is the `last` look, if there is anything new.

        Never raises: what went wrong is logged, shown in `metrics` and, in the end, by `late`.
        """
        try:
            self._keep(last=last)
        except Exception as error:  # noqa: BLE001 - whatever the destination raises, the next look tries again
            if not self._failing:
                log.error("a checkpoint could not be written: %s", type(error).__name__)
            self._failing = True
        else:
            self._failing = False

    def _keep(self, *, last: bool) -> None:
        if self._ledger.distrusted:
            raise LedgerUnavailable(self._ledger.distrusted, PUT_BACK)
        heads = {chain: (seq, hash_) for chain, (seq, hash_, _) in self._ledger.heads().items()}
        at = self._ledger.now()
        for chain, head in self._seen.items():
            if heads.get(chain) != head:
                self._hold(chain, *head, end=heads.get(chain, (0, ""))[0])
        self._seen = heads
        if self._is_due(sum(seq for seq, _ in heads.values()), last=last):
            self._take(Checkpoint(self._ledger.id, at, heads))

    def _hold(self, chain: str, seq: int, hash_: str, *, end: int) -> None:
        """Hold the ledger to a receipt that it had, now that the chain ends elsewhere."""
        why = "the gateway has seen it while it ran"
        wrong = gone(self._ledger, chain, seq, hash_ if seq <= end else "", why)
        if wrong is not None:
            log.critical("%s", wrong)  # names a chain, which not every asker may know of
            self._ledger.distrust(ROLLED_BACK)
            raise LedgerUnavailable(wrong, PUT_BACK)

    def _is_due(self, there: int, *, last: bool) -> bool:
        now = self._clock()
        with self._guard:
            if there == self._held:
                return False
            if self._waiting is None:
                self._waiting = now
            return last or there - self._held >= self._receipts or now - self._waiting >= self._every

    def _take(self, checkpoint: Checkpoint) -> None:
        self._write(*file_of(signed(self._ledger.signer, checkpoint.as_json())))
        with self._guard:
            self._held, self._written, self._waiting = checkpoint.receipts, self._clock(), None

    def _run(self) -> None:
        while not self._stop.wait(min(self._every, _LOOK_SECONDS)):
            self.look()
