"""A stream that is killed anywhere and resumed: no day is counted without its draw, and the sums fit."""

import json
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from noisegate.app import Gateway, open_gateway
from noisegate.config import Config
from noisegate.ledger.records import Job, JobState, ReceiptKind
from noisegate.privacy.loss import ZERO

from .stream import ANA, DAYS, PLACES, as_job, planned, stream
from .world import opened, plain_town

CHILD = Path(__file__).with_name("stream.py")
Run = Callable[..., int]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Run the stream in a process of its own until it is finished or killed, and return the exit code."""
    with subprocess.Popen(
        [sys.executable, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def once(home: Path, **order: Any) -> int:
            print(json.dumps({"home": str(home), **order}), file=process.stdin, flush=True)
            return int(process.stdout.readline())

        yield once
        process.stdin.close()


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town that is registered, and that nobody has asked anything yet."""
    home = tmp_path_factory.mktemp("registered")
    with opened(plain_town(), home):
        return home


@pytest.fixture
def home(registered: Path, tmp_path: Path) -> Path:
    """A copy of the registered town."""
    return Path(shutil.copytree(registered, tmp_path / "home"))


@contextmanager
def gateway_of(home: Path) -> Iterator[Gateway]:
    with open_gateway(Config(catalog=home / "catalog.toml", state=home / "state")) as gateway:
        yield gateway


def logged(home: Path) -> list[list[str]]:
    log = home / "LOG"
    return [line.split(" ", 2) for line in log.read_text().splitlines()] if log.exists() else []


def checked(home: Path, jobs: int = 1) -> Job | None:
    """Hold the log against the ledger and return the last job."""
    with gateway_of(home) as gateway:
        desk = gateway._desk
        assert desk.ledger.verify().fault is None
        found = desk.ledger.jobs("ana")
        assert len(found) <= jobs
        if not found:
            assert logged(home) == []
            return None
        job = found[0]
        begun = Counter(int(words[1]) for words in logged(home) if words[0] == "begin")
        assert set(begun.values()) <= {1}, "a day was counted twice"
        assert all(number < job.steps_drawn for number in begun), "a day was counted before its draw"
        steps = planned(desk)
        assert job.drawn == sum((s.price.loss for s in steps[: job.steps_drawn]), ZERO)
        assert job.reserved == as_job(steps)[1].total
        counted = job.reserved if job.state is JobState.RUNNING else job.drawn
        balances = [b for b in desk.ledger.accounts() if b.charges]
        assert len(balances) == 4
        assert all(b.spent == counted for b in balances)
        return job


@pytest.mark.parametrize("place", PLACES)
def test_a_stream_killed_anywhere_goes_on_where_it_was(run: Run, home: Path, place: str) -> None:
    # A stream is charged and ends once; all else it passes once a day.
    passes = 0 if place.endswith(("charge", "end")) else 3
    assert run(home, place=place, passes=passes) == -signal.SIGKILL
    checked(home)
    assert run(home) == 0
    job = checked(home)
    assert job is not None
    assert (job.state, job.steps_drawn) == (JobState.FINISHED, len(DAYS))
    begun = sum(words[0] == "begin" for words in logged(home))
    # What a kill parts from its draw is spent, and not counted again.
    assert begun == len(DAYS) - (place in ("after a draw", "after a commit"))


def test_a_stream_killed_again_and_again_keeps_the_books(run: Run, home: Path) -> None:
    moment = random.Random(3)
    every_day = [place for place in PLACES if not place.endswith(("charge", "end"))]
    deaths = 0
    while run(home, place=moment.choice(every_day), passes=moment.randrange(5)) != 0:
        deaths += 1
        assert deaths < 50
    assert deaths > 2
    job = checked(home)
    assert job is not None
    assert (job.state, job.steps_drawn) == (JobState.FINISHED, len(DAYS))


def test_the_answer_of_a_stream_is_near_the_truth_and_free_from_then_on(tmp_path: Path) -> None:
    said: list[tuple[object, ...]] = []
    town = plain_town(400)
    with opened(town, tmp_path) as gateway:
        desk = gateway._desk
        counts = json.loads(stream(desk, lambda *words: said.append(words)))
        truth = Counter(visit["day"] for visit in town["visits"])
        assert [int(day) for day in counts] == list(DAYS)
        assert all(abs(counts[str(day)] - truth[day]) < 1_000 for day in DAYS)
        assert [words for words in said if words[0] == "begin"] == [("begin", day) for day in DAYS]
        again = json.loads(stream(desk, lambda *_: pytest.fail("a day was counted again")))
        assert again == counts
        assert len(desk.ledger.receipts_of(desk.ledger.jobs()[0].charge, ReceiptKind.FINISHED)) == 1


def test_a_cancelled_stream_counts_no_further_day(tmp_path: Path) -> None:
    def cancel_after_three(*words: object) -> None:
        if words == ("released", 2, words[-1]):
            gateway.cancel_job(ANA, desk.ledger.jobs()[0].charge)

    with opened(plain_town(), tmp_path) as gateway:
        desk = gateway._desk
        with pytest.raises(Exception, match="is cancelled"):
            stream(desk, cancel_after_three)
        (job,) = desk.ledger.jobs()
        assert (job.state, job.steps_drawn) == (JobState.CANCELLED, 3)
        assert [b.spent for b in desk.ledger.accounts() if b.charges] == [job.drawn] * 4
        assert desk.ledger.verify().whole
