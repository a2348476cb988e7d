"""kill -9 at random moments: in the first migration, in recovery, between charge, answer and release."""

import random
import time
from collections import Counter

import pytest

from .crashes import Nursery, check, released_in, wait_until, wait_until_alone, wait_until_working

STEPS = ("begin", "hold", "change_exactly", "commit")


@pytest.fixture
def nursery():
    with Nursery() as opened:
        yield opened


def live_and_die(nursery, directory, epsilon, url, after, *, working):
    """Let a ledger live for `after` seconds from its start, or from its first charge, then kill it."""
    child = nursery.start(directory, epsilon, url)
    if working:
        wait_until_working(directory, child)
        wait_until(lambda: len(released_in(directory)) >= 5)  # slow machines come to that too
    time.sleep(after)
    nursery.kill(child)
    wait_until_alone(url)


def crash_again_and_again(nursery, tmp_path, make_url, epsilon, ledgers, kills):
    """Kill each of several ledgers several times. Returns what was seen in them all."""
    moment = random.Random(7)
    seen = Counter()
    for number in range(ledgers):
        directory, url = tmp_path / f"{epsilon}.{number}", make_url()
        last = Counter()
        for _ in range(kills):
            # Opening takes some tens of milliseconds; half the kills fall into it or shortly after.
            working = moment.random() < 0.5
            live_and_die(nursery, directory, epsilon, url, 0.12 * moment.random(), working=working)
            if directory.exists():
                last = check(directory, epsilon, url)
        seen += last
    print(f"{ledgers * kills} kills: {dict(seen)}")
    return seen


@pytest.mark.parametrize("epsilon", [1000, 1])
def test_no_moment_of_a_crash_loses_a_charge_or_releases_without_one(nursery, tmp_path, make_url, epsilon):
    seen = crash_again_and_again(nursery, tmp_path, make_url, epsilon, ledgers=2, kills=7)
    assert seen["released"] > 5
    assert seen["answer"] >= seen["released"]
    assert seen["charge"] == seen["answer"] + seen["lost"] + seen["failed"]
    assert seen["lost"] > 0


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("epsilon", [1000, 1])
def test_thousands_of_crashes_lose_nothing_either(nursery, tmp_path, make_url, epsilon):
    seen = crash_again_and_again(nursery, tmp_path, make_url, epsilon, ledgers=60, kills=12)
    assert seen["released"] > 500
    assert seen["lost"] > 50


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_gateway_that_dies_at_a_step_of_a_batch_leaves_whole_books(nursery, tmp_path, make_url, step, when):
    directory, url = tmp_path / "state", make_url()
    for passes in (1, 4):
        nursery.start(directory, 1000, url, (step, when, passes))
        assert nursery.ended() == -9
        wait_until_alone(url)
        seen = check(directory, 1000, url)
        assert seen["charge"] == seen["answer"] + seen["lost"] + seen["failed"]


def test_the_check_would_see_an_answer_that_was_released_without_its_record(nursery, tmp_path):
    directory = tmp_path / "state"
    live_and_die(nursery, directory, 1000, None, 0.2, working=True)
    check(directory, 1000, None)
    with (directory / "RELEASED").open("a") as released:
        released.write("999999 never 00\n")
    with pytest.raises(KeyError):
        check(directory, 1000, None)
