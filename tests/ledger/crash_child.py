"""Opens ledgers and charges them until it is killed, for the tests of crashes and of several gateways.

This process itself never opens one: for each line of JSON that it reads it forks a process that does, and
writes that one's number, then how it ended. So a restart costs a fork and not an import.

In the fork, threads charge and close, or fail now and then. What they have released they write to
RELEASED in the directory, one line an answer, after `close` has returned; before they begin, there is a
file `opened-` with the number of the process. `step` names a method of a session; the process kills itself
before or after the `passes`-th time that its writer calls it.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from noisegate.errors import Blocked, BudgetExhausted, Conflict, LedgerUnavailable
from noisegate.ledger.postgres import PostgresSession
from noisegate.ledger.sqlite import SqliteSession
from noisegate.ledger.store import Account, Charge, Ledger
from noisegate.privacy.curves import pure
from noisegate.privacy.filter import Limits

COMMIT_SECONDS = 0.004  # as a disk takes that really syncs: time to be killed in
CENT = pure(Fraction(1, 100))
ANALYSTS = ("ana", "ben")
THREADS = 4
T = TypeVar("T")


def slow_down(session: type) -> None:
    """Make commits take their time before they begin."""
    plain = session.commit

    def commit(self: Any) -> None:
        time.sleep(COMMIT_SECONDS)
        plain(self)

    session.commit = commit


def die_at(session: type, step: str, when: str, passes: int) -> None:
    """Have this process kill itself around a step of its writer."""
    plain, left = getattr(session, step), [passes]

    def deadly(self: Any, *given: Any) -> Any:
        mine = threading.current_thread().name == "ledger-writer"
        left[0] -= mine
        if mine and left[0] == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = plain(self, *given)
        if mine and left[0] == 0 and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(session, step, deadly)


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
            if i % 11 == 7:
                ledger.fail(charged.id, "timeout")
                continue
            answer = ledger.close(charged.id, f'{{"by":{charged.id}}}')
        except (BudgetExhausted, Blocked, Conflict):
            continue
        except LedgerUnavailable:
            time.sleep(0.01)
            continue
        os.write(released, f"{charged.id} {answer.fingerprint} {answer.sha256}\n".encode())


def patiently(work: Callable[[], T]) -> T:
    """Do what a server that was cut off refuses, again and again, as whoever starts gateways would."""
    while True:
        try:
            return work()
        except LedgerUnavailable:
            time.sleep(0.01)


def live(directory: Path, epsilon: Fraction, url: str | None, step: list[Any] | None) -> None:
    limits = Limits.of(epsilon, Fraction(0))
    session = SqliteSession if url is None else PostgresSession
    ledger = patiently(lambda: Ledger.open(directory, url=url))
    slow_down(session)
    for path in ("olmsted", "olmsted/liver", "olmsted/liver/default"):
        patiently(lambda path=path: ledger.open_account(Account.at(path, limits)))
    for name in ANALYSTS:
        leaf = Account.at(f"olmsted/liver/default/{name}", limits)
        patiently(lambda leaf=leaf: ledger.open_account(leaf))
    (directory / f"opened-{os.getpid()}").touch()
    if step is not None:
        die_at(session, *step)
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
        given = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                live(Path(given["directory"]), Fraction(given["epsilon"]), given["url"], given.get("step"))
            finally:
                os._exit(1)  # it is meant to be killed; coming this far is a failure
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
