"""How many plans of a dataset may fail before nothing fresh is asked of it. TRUSTED.

Each failure after a charge may tell one bit about rows (TRUST.md, "The residual bit").
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from noisegate.errors import Blocked, Throttled
from noisegate.ledger.store import Ledger

MOST_FAILURES = 5


class Failures:
    """Counts the questions in progress. From a dataset's first failure on, each of them may be one more."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the ledger, which knows the plans that are closed."""
        self._ledger = ledger
        self._in_progress: Counter[str] = Counter()  # questions that are or will be charged, by dataset
        self._guard = threading.Lock()

    @contextmanager
    def among_few(self, datasets: tuple[str, ...]) -> Iterator[None]:
        """Count a question as one in progress, if it may be, from before its charge until it has ended."""
        with self._guard:
            self._in_progress.update(datasets)
            counts = {dataset: self._in_progress[dataset] for dataset in datasets}
        try:
            # Counted first, looked at second: who ended before is among the failures that are read now.
            self.refuse_after(counts)
            yield
        finally:
            with self._guard:
                self._in_progress.subtract(datasets)
                for dataset in datasets:
                    if not self._in_progress[dataset]:
                        del self._in_progress[dataset]

    def refuse_after(self, in_progress: Mapping[str, int]) -> None:
        """Refuse where so many plans of a dataset failed, or may yet, that failing may itself be an answer.

        `in_progress` are the questions in progress here, by dataset, with the one that is looked at.

        Raises:
            Blocked: MOST_FAILURES plans of a dataset are closed.
            Throttled: with those in progress they would be more.
        """
        closed = Counter(name for plan in self._ledger.suspended() for name in plan.datasets)
        for dataset, count in in_progress.items():
            if closed[dataset] >= MOST_FAILURES:
                raise Blocked(
                    f"{MOST_FAILURES} plans on {dataset} failed after they were charged",
                    "ask the custodian to look at them and open them again",
                )
            if closed[dataset] and closed[dataset] + count > MOST_FAILURES:
                raise Throttled(
                    f"plans on {dataset} failed after they were charged, so few run on it at once",
                    "ask again in a moment, or ask the custodian to look at them and open them again",
                )
