"""Opens ledgers and charges them until it is killed, for `test_crash.py`.

This process itself never opens one: for each directory that it reads from standard input it forks a
process that does, and writes that one's number. So a restart costs a fork and not an import.

In the fork, threads charge and close, or fail now and then. What they have released they write to
RELEASED in the directory, one line an answer, after `close` has returned.
"""

import os
import sqlite3
import sys
import threading
import time
from fractions import Fraction
from itertools import count
from pathlib import Path

from noisegate.errors import Blocked, BudgetExhausted
from noisegate.ledger import store
from noisegate.ledger.sqlite import connect
from noisegate.ledger.store import Account, Charge, Ledger
from noisegate.privacy.curves import pure
from noisegate.privacy.filter import Limits

COMMIT_SECONDS = 0.004  # as a disk takes that really syncs: time to be killed in
CENT = pure(Fraction(1, 100))
ANALYSTS = ("ana", "ben")
THREADS = 4


class SlowDisk:
    """A connection whose commits take their time before they begin."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def execute(self, text: str, *values: object) -> sqlite3.Cursor:
        if text == "COMMIT":
            time.sleep(COMMIT_SECONDS)
        return self._connection.execute(text, *values)

    def close(self) -> None:
        self._connection.close()


def work(ledger: Ledger, released: int, thread: int, epsilon: Fraction) -> None:
    project = "olmsted/liver/default"
    analyst = f"{project}/{ANALYSTS[thread % 2]}"
    for i in count():
        charge = Charge(
            accounts=("olmsted", "olmsted/liver", project, analyst),
            loss=CENT,
            surcharges={analyst: CENT} if i % 3 == 0 and epsilon > 100 else {},
            datasets=("liver",),
            fingerprint=f"{os.getpid()}.{thread}.{i}" if i % 5 else f"shared.{i}",
            body={"question": "SELECT count(*) FROM liver.patients"},
        )
        try:
            charged = ledger.charge(charge)
        except (BudgetExhausted, Blocked):
            continue
        if i % 11 == 7:
            ledger.fail(charged.id, "timeout")
            continue
        answer = ledger.close(charged.id, f'{{"by":{charged.id}}}')
        os.write(released, f"{charged.id} {answer.fingerprint} {answer.sha256}\n".encode())


def live(directory: Path, epsilon: Fraction) -> None:
    limits = Limits.of(epsilon, Fraction(0))
    ledger = Ledger.open(directory)
    store.connect = lambda file: SlowDisk(connect(file))
    for path in ("olmsted", "olmsted/liver", "olmsted/liver/default"):
        ledger.open_account(Account.at(path, limits))
    for name in ANALYSTS:
        ledger.open_account(Account.at(f"olmsted/liver/default/{name}", limits))
    released = os.open(directory / "RELEASED", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    threads = [
        threading.Thread(target=work, args=(ledger, released, thread, epsilon)) for thread in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    for line in sys.stdin:
        directory, epsilon = line.split()
        child = os.fork()
        if child == 0:
            try:
                live(Path(directory), Fraction(epsilon))
            finally:
                os._exit(1)  # it is meant to be killed; coming this far is a failure
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
