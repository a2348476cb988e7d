"""Opens ledgers and runs jobs on them until it is killed, for `test_jobs_crash.py`.

As `crash_child.py` does, it forks a process for each directory that it reads. In the fork, threads open or
resume jobs, draw, "run" each step by writing a line to STEPS in the directory, and end the jobs in all ways.
"""

import os
import sys
import threading
import time
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from pathlib import Path

from noisegate.errors import BudgetExhausted
from noisegate.ledger.records import JobState
from noisegate.ledger.store import Account, Charge, Ledger
from noisegate.privacy.curves import pure
from noisegate.privacy.filter import Limits

CENT = pure(Fraction(1, 100))
PATH = ("olmsted", "olmsted/liver", "olmsted/liver/default", "olmsted/liver/default/ana")
STEPS = 6
BETWEEN_SECONDS = 0.002  # a draw and its step: time to be killed in
THREADS = 3


@dataclass
class Log:
    """Lines of what happened, each written at once, in the order of things."""

    descriptor: int

    def __call__(self, *words: object) -> None:
        os.write(self.descriptor, (" ".join(map(str, words)) + "\n").encode())


def run(ledger: Ledger, job: int, log: Log) -> None:
    """Go on with a job to its end: the last digit of its number says which."""
    stop = STEPS if job % 3 else job % (STEPS + 1)
    while ledger.job(job).steps_drawn < stop:
        number = ledger.draw(job, CENT).steps_drawn - 1
        time.sleep(BETWEEN_SECONDS)
        log("step", job, number)
    if job % 3 == 0:
        ledger.end_job(job, JobState.CANCELLED)
        log("cancelled", job)
    elif job % 3 == 1:
        ledger.end_job(job, JobState.FINISHED, f'"{job}"')
        log("finished", job)
    else:
        ledger.end_job(job, JobState.FAILED, reason="timeout")
        log("failed", job)


def work(ledger: Ledger, log: Log, mine: list[int]) -> None:
    for job in mine:
        run(ledger, job, log)
    for i in count():
        wanted = Charge(
            accounts=PATH,
            loss=CENT.times(STEPS),
            datasets=("liver",),
            fingerprint=f"{os.getpid()}.{threading.get_ident()}.{i}",
            asker="ana",
            tier="clinical",
            steps=STEPS,
        )
        try:
            job = ledger.charge(wanted).id
        except BudgetExhausted:
            continue
        log("reserved", job)
        run(ledger, job, log)


def live(directory: Path, epsilon: Fraction, url: str | None) -> None:
    ledger = Ledger.open(directory, url=url)
    for path in PATH:
        ledger.open_account(Account.at(path, Limits.of(epsilon, Fraction(0))))
    log = Log(os.open(directory / "STEPS", os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    log("opened", os.getpid())
    left = [j.charge for j in ledger.jobs() if j.state is JobState.RUNNING]
    threads = [threading.Thread(target=work, args=(ledger, log, left[i::THREADS])) for i in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    for line in sys.stdin:
        directory, epsilon, *url = line.split()
        child = os.fork()
        if child == 0:
            try:
                live(Path(directory), Fraction(epsilon), url[0] if url else None)
            finally:
                os._exit(1)  # it is meant to be killed; coming this far is a failure
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
