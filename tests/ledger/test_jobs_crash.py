"""kill -9 while jobs reserve, draw, run and end: no step without a draw, and the books add up."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest

from noisegate.ledger.records import JobState, ReceiptKind
from noisegate.ledger.store import Ledger
from noisegate.privacy.curves import pure
from noisegate.privacy.loss import ZERO

CHILD = Path(__file__).parent / "jobs_child.py"
CENT = pure(Fraction(1, 100))
STEPS = 6  # of each job there


@pytest.fixture
def nursery():
    """A process that starts ledgers for us, each in a process of its own."""
    command = [sys.executable, CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


def kill_one(nursery, directory, epsilon, url, after, *, lines=0):
    """Let jobs run until they have logged so many lines (or log no more), and so many seconds; then kill."""
    before = len(lines_of(directory))
    print(directory, epsilon, url or "", file=nursery.stdin, flush=True)
    child = int(nursery.stdout.readline())
    seen, patience = before, time.monotonic() + 30
    while seen < before + lines and time.monotonic() < patience:
        time.sleep(0.005)
        if len(lines_of(directory)) > seen:
            seen, patience = len(lines_of(directory)), time.monotonic() + 0.5
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    assert int(nursery.stdout.readline()) == -signal.SIGKILL


def lines_of(directory):
    log = directory / "STEPS"
    return [line.split() for line in log.read_text().splitlines()] if log.exists() else []


def faults_of(directory, epsilon, url):
    """Return what is wrong with what a killed process left, and what was seen."""
    faults, seen = [], Counter()
    lines = lines_of(directory)
    ran = Counter((int(job), int(number)) for word, job, number in (w for w in lines if w[0] == "step"))
    with Ledger.open(directory, url=url) as ledger:
        report = ledger.verify()
        if report.fault is not None:
            faults.append(report.fault)
        jobs = {job.charge: job for job in ledger.jobs()}
        for (job, number), times in ran.items():
            if times > 1 or number >= jobs[job].steps_drawn:
                faults.append(f"step {number} of job {job} ran {times} times, {jobs[job].steps_drawn} drawn")
        for word, job, *_ in lines:
            if word in ("finished", "cancelled", "failed") and jobs[int(job)].state.value != word:
                faults.append(f"job {job} was told to be {word}")
        counted = ZERO
        for job in jobs.values():
            seen[job.state.value] += 1
            if job.state is JobState.RUNNING:
                counted += job.reserved
                seen["half"] += 0 < job.steps_drawn < STEPS
            else:
                counted += job.drawn
                seen["gave back"] += job.steps_drawn < STEPS
            if job.drawn != CENT.times(job.steps_drawn):
                faults.append(f"job {job.charge} drew something else than its steps")
            if len(ledger.receipts_of(job.charge, ReceiptKind.FINISHED)) != (
                job.state is not JobState.RUNNING
            ):
                faults.append(f"the end of job {job.charge} is not on the chain once")
            if bool(ledger.receipts_of(job.charge, ReceiptKind.LOST)) != (job.state is JobState.CANCELLED):
                faults.append(
                    f"job {job.charge} is lost without having been cancelled, or the other way round"
                )
        for balance in ledger.accounts():
            if balance.spent != counted:
                faults.append(f"{balance.id} does not count what its jobs hold")
            if balance.spent.renyi[-1] > epsilon * 10**9:
                faults.append(f"{balance.id} is overspent")
    seen["unlogged"] = sum(job.steps_drawn for job in jobs.values()) - len(ran)
    return faults, seen


def kill_again_and_again(nursery, directory, url, epsilon, kills):
    """Kill the same ledger several times; return what its jobs came to, and how often they were cut off."""
    moment = random.Random(11)
    ever, last = Counter(), Counter()
    for kill in range(kills):
        # Every other kill may fall into opening and recovery, the others fall among steps.
        lines = 0 if kill % 2 else moment.randrange(2, 25)
        kill_one(nursery, directory, epsilon, url, (0.01 if lines else 0.1) * moment.random(), lines=lines)
        faults, last = faults_of(directory, epsilon, url)
        assert faults == []
        ever["half"] += last["half"]
        ever["unlogged"] += last["unlogged"] > 0
    return last, ever


@pytest.mark.parametrize("epsilon", [1000, 1])
def test_no_moment_of_a_crash_runs_a_step_undrawn_or_returns_one_that_began(
    nursery, tmp_path, make_url, epsilon
):
    last, ever = kill_again_and_again(nursery, tmp_path / "state", make_url(), epsilon, kills=6)
    assert last["finished"] + last["cancelled"] + last["failed"] > 2
    assert ever["half"] > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("epsilon", [1000, 1])
def test_hundreds_of_crashes_keep_the_books_either(nursery, tmp_path, make_url, epsilon):
    every, ever = Counter(), Counter()
    for number in range(40):
        last, cut = kill_again_and_again(nursery, tmp_path / str(number), make_url(), epsilon, kills=12)
        every, ever = every + last, ever + cut
    assert min(every["finished"], every["cancelled"], every["failed"], every["gave back"]) > 0
    assert ever["half"] > 50
    # Killed between a draw and its step: the step is spent and does not run.
    assert ever["unlogged"] > 0


def test_the_check_would_see_a_step_that_ran_without_its_draw_or_twice(nursery, tmp_path):
    directory = tmp_path / "state"
    kill_one(nursery, directory, 1000, None, 0, lines=10)
    assert faults_of(directory, 1000, None)[0] == []
    with Ledger.open(directory) as ledger:
        job = ledger.jobs()[0]
    with (directory / "STEPS").open("a") as log:
        log.write(f"step {job.charge} {STEPS}\n")
    assert any("ran 1 times" in fault for fault in faults_of(directory, 1000, None)[0])
    first = next(line for line in (directory / "STEPS").read_text().splitlines() if line.startswith("step"))
    with (directory / "STEPS").open("a") as log:
        log.write(first + "\n")
    assert any("ran 2 times" in fault for fault in faults_of(directory, 1000, None)[0])
