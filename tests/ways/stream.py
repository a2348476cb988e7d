"""A stream as a builder of one writes it: one noisy count a day, each drawn before a row is read.

Run as a program it runs the stream in a process of its own for each order that it reads, a line of JSON, and
writes that process's exit code: 0 once the stream is finished. `place` and `passes` name where, and after how
often, the process kills itself.
"""

import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from noisegate.app import open_gateway
from noisegate.ask.desk import Desk, Prepared
from noisegate.ask.question import Question
from noisegate.config import Config
from noisegate.engines.duckdb import DuckDB
from noisegate.gate.access import Asker
from noisegate.gate.door import Offer, fingerprint_of
from noisegate.gate.jobs import JobPassage, Schedule, open_job, resume_job
from noisegate.ledger.records import JobState, Role
from noisegate.ledger.sqlite import SqliteSession
from noisegate.ledger.store import Ledger
from noisegate.privacy import release as noise
from noisegate.privacy.loss import ZERO

DAYS = range(12)
EPSILON = Fraction(1, 20)
ANA = Asker("ana", Role.ANALYST, None)
PER_DAY = "SELECT count(*) FROM ward.visits WHERE day = {}"
# Where the stream passes: what has the place, its name there, and whether to die before it or after.
PLACES: dict[str, tuple[Any, str, bool]] = {
    "before a charge": (Ledger, "charge", True),
    "after a charge": (Ledger, "charge", False),
    "before a draw": (Ledger, "draw", True),
    "after a draw": (Ledger, "draw", False),
    "after the engine": (DuckDB, "run", False),
    "after the noise": (noise, "release", False),
    "before the end": (Ledger, "end_job", True),
    "after the end": (Ledger, "end_job", False),
    "before a commit": (SqliteSession, "commit", True),
    "after a commit": (SqliteSession, "commit", False),
}
Log = Callable[..., None]


def planned(desk: Desk) -> list[Prepared]:
    """Plan and price one question a day; no row is read and nothing charged."""
    return [desk.prepare(Question(PER_DAY.format(day), EPSILON), ANA) for day in DAYS]


def as_job(steps: Sequence[Prepared]) -> tuple[Offer, Schedule]:
    """Return the stream as one offer and its schedule."""
    schedule = Schedule(tuple((step.price.loss, 1) for step in steps))
    first = steps[0].offer
    whole = replace(
        first,
        fingerprint=fingerprint_of("stream of counts", "".join(s.offer.fingerprint for s in steps), {}),
        loss=schedule.total,
        surcharge=sum((s.offer.surcharge for s in steps), ZERO),
        body={"title": "visits a day", "question": PER_DAY.format("?"), "days": len(steps)},
    )
    return whole, schedule


def run_steps(
    desk: Desk, steps: Sequence[Prepared], schedule: Schedule, passage: JobPassage, log: Log
) -> str:
    """Run what is left of the stream, and return the text of everything that was released here."""
    released = {}
    while passage.job is not None and passage.job.steps_drawn < schedule.steps:
        number = passage.spend(schedule.at(passage.job.steps_drawn)).steps_drawn - 1
        log("begin", number)
        step = steps[number]
        noisy = noise.release(desk.engine.run(step.ready), step.plan.private, step.price.mechanism)
        released[number] = int(noisy.cells[0][0])
        log("released", number, released[number])
    return passage.finish(json.dumps(released))


def stream(desk: Desk, log: Log) -> str:
    """Open the stream, or go on with the one that a crash cut off, and return its answer."""
    steps = planned(desk)
    offer, schedule = as_job(steps)
    running = [job for job in desk.ledger.jobs(ANA.name) if job.state is JobState.RUNNING]
    if running:
        with resume_job(desk.gate, ANA, running[0].charge, offer, schedule) as passage:
            return run_steps(desk, steps, schedule, passage, log)
    with open_job(desk.gate, ANA, offer, schedule) as passage:
        if passage.stored is not None:
            return passage.stored
        return run_steps(desk, steps, schedule, passage, log)


def die_at(place: str, passes: int) -> None:
    """Kill this process once a place has been passed so often."""
    home, name, before = PLACES[place]
    work, left = getattr(home, name), [passes]

    def die() -> None:
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        if before:
            die()
        done = work(*args, **kwargs)
        if not before:
            die()
        return done

    setattr(home, name, deadly)


def live(order: dict[str, Any]) -> None:
    home = Path(order["home"])
    descriptor = os.open(home / "LOG", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def log(*words: object) -> None:
        os.write(descriptor, (" ".join(map(str, words)) + "\n").encode())

    with open_gateway(Config(catalog=home / "catalog.toml", state=home / "state")) as gateway:
        if order.get("place"):
            die_at(order["place"], order["passes"])
        log("answer", stream(gateway._desk, log))


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                live(json.loads(line))
                code = 0
            finally:
                os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
