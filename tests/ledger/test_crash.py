"""kill -9 at random moments: in the first migration, in recovery, between charge, answer and release."""

import os
import random
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import pytest

from noisegate.ledger.store import Ledger
from noisegate.privacy.curves import pure
from noisegate.privacy.loss import ZERO

CHILD = Path(__file__).parent / "crash_child.py"
CENT = pure(Fraction(1, 100))


@pytest.fixture
def nursery():
    """A process that starts ledgers for us, each in a process of its own."""
    command = [sys.executable, CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.stdin.close()


def kill_one(nursery, directory, epsilon, after):
    """Let a ledger work for `after` seconds, then kill it."""
    print(directory, epsilon, file=nursery.stdin, flush=True)
    child = int(nursery.stdout.readline())
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    assert int(nursery.stdout.readline()) == -signal.SIGKILL


def check(directory, epsilon):
    """Open what the killed process left, and compare it with what was released. Returns what was seen."""
    with Ledger.open(directory) as ledger:
        report = ledger.verify()
        assert report.fault is None
        balances = {b.id: b for b in ledger.accounts()}
        released = directory / "RELEASED"
        lines = released.read_text().splitlines() if released.exists() else []
        recorded = {r.charge: r for r in everything(ledger) if r.kind.value == "answer"}
        for line in lines:
            charge, fingerprint, digest = line.split()
            assert recorded[int(charge)].content()["sha256"] == digest
            assert ledger.find_answer(fingerprint).sha256 == digest
        if len(balances) == 5:
            root = balances["olmsted"]
            leaves = [balances[f"olmsted/liver/default/{name}"] for name in ("ana", "ben")]
            assert root.spent == CENT.times(report.charges)
            assert sum((b.spent for b in leaves), ZERO) == root.spent
            assert report.charges <= epsilon * 100
            assert all((b.spent + b.surcharge).renyi[-1] <= epsilon * 10**9 for b in balances.values())
        kinds = [r.kind.value for r in everything(ledger)]
        return {kind: kinds.count(kind) for kind in set(kinds)} | {"released": len(lines)}


def everything(ledger):
    return ledger.receipts("liver", limit=10**6)


def crash_again_and_again(nursery, tmp_path, epsilon, ledgers, kills):
    """Kill each of several ledgers several times. Returns what was seen in them all."""
    moment = random.Random(7)
    seen = []
    for number in range(ledgers):
        directory = tmp_path / f"{epsilon}.{number}"
        for _ in range(kills):
            # Opening takes some tens of milliseconds; half the kills fall into it or shortly after.
            kill_one(nursery, directory, epsilon, moment.choice([0.05, 0.3]) * moment.random())
            if directory.exists():
                last = check(directory, epsilon)
        seen.append(last)
    return {key: sum(s.get(key, 0) for s in seen) for key in set().union(*seen)}


@pytest.mark.parametrize("epsilon", [1000, 1])
def test_no_moment_of_a_crash_loses_a_charge_or_releases_without_one(nursery, tmp_path, epsilon):
    seen = crash_again_and_again(nursery, tmp_path, epsilon, ledgers=4, kills=8)
    assert seen["released"] > 10
    assert seen["answer"] >= seen["released"]
    assert seen["charge"] == seen["answer"] + seen.get("lost", 0) + seen.get("failed", 0)
    assert seen.get("lost", 0) > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("epsilon", [1000, 1])
def test_thousands_of_crashes_lose_nothing_either(nursery, tmp_path, epsilon):
    seen = crash_again_and_again(nursery, tmp_path, epsilon, ledgers=100, kills=12)
    assert seen["released"] > 1_000
    assert seen["lost"] > 50


def test_the_check_would_see_an_answer_that_was_released_without_its_record(nursery, tmp_path):
    directory = tmp_path / "state"
    kill_one(nursery, directory, 1000, 0.4)
    check(directory, 1000)
    with (directory / "RELEASED").open("a") as released:
        released.write("999999 never 00\n")
    with pytest.raises(KeyError):
        check(directory, 1000)
