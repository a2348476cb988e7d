"""What the tests of crashes share: gateways in processes of their own, and the check of what they left."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from noisegate.ledger.store import Ledger
from noisegate.privacy.curves import pure
from noisegate.privacy.loss import ZERO

CHILD = Path(__file__).parent / "crash_child.py"
CENT = pure(Fraction(1, 100))


class Nursery:
    """A process that starts ledgers for us, one after the other, each in a process of its own."""

    _child: int | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:  # a test that failed has left it, with its end of our pipe
            with suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
        self._process.communicate()

    def start(
        self, directory: Path, epsilon: int, url: str | None, step: Sequence[object] | None = None
    ) -> int:
        """Have a ledger opened and charged, and return the number of the process."""
        given = {"directory": str(directory), "epsilon": epsilon, "url": url, "step": step}
        print(json.dumps(given), file=self._process.stdin, flush=True)
        self._child = int(self._process.stdout.readline())
        return self._child

    def ended(self) -> int:
        """Wait for the process to end, and return its exit code."""
        code = int(self._process.stdout.readline())
        self._child = None
        return code

    def kill(self, child: int) -> None:
        os.kill(child, signal.SIGKILL)
        assert self.ended() == -signal.SIGKILL


def wait_until_alone(url: str | None) -> None:
    """Wait until the server has noticed that those who were killed are gone."""
    if url is None:
        return
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        others = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        wait_until(lambda: connection.execute(others).fetchone() == (0,))


def wait_until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    patience = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < patience
        time.sleep(0.002)


def wait_until_working(directory: Path, child: int) -> None:
    """Wait until a process has opened its ledger and begins to charge."""
    wait_until((directory / f"opened-{child}").exists)


def released_in(directory: Path) -> list[list[str]]:
    file = directory / "RELEASED"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def check(directory: Path, epsilon: int, url: str | None) -> Counter[str]:
    """Open what killed processes left, compare it with what they released, and return what was seen."""
    with Ledger.open(directory, url=url) as ledger:
        report = ledger.verify()
        assert report.fault is None
        receipts = ledger.receipts("liver", limit=10**6)
        recorded = {r.charge: r for r in receipts if r.kind.value == "answer"}
        released = released_in(directory)
        for charge, fingerprint, digest in released:
            assert recorded[int(charge)].content()["sha256"] == digest
            assert ledger.find_answer(fingerprint).sha256 == digest
        check_sums(ledger, report.charges, epsilon)
        seen: Counter[str] = Counter(r.kind.value for r in receipts)
        seen["released"] = len(released)
        return seen


def check_sums(ledger: Ledger, charges: int, epsilon: int) -> None:
    """See that children sum to their parents, all to the charges, and none beyond its limit."""
    balances: dict[str, Any] = {b.id: b for b in ledger.accounts()}
    if len(balances) < 5:
        assert charges == 0
        return
    root = balances["olmsted"]
    leaves = [b for name, b in balances.items() if name.count("/") == 3]
    assert root.spent == CENT.times(charges)
    assert sum((b.spent for b in leaves), ZERO) == root.spent
    assert charges <= epsilon * 100
    assert all((b.spent + b.surcharge).renyi[-1] <= epsilon * 10**9 for b in balances.values())
