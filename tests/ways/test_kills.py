"""Races, kills and full disks: a real server process, real clients, and what the ledger holds afterwards."""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from noisegate.gate.access import Asker
from noisegate.ledger.accounts import Kind
from noisegate.ledger.records import Role
from noisegate.ledger.store import Ledger
from noisegate.privacy.curves import pure
from noisegate.privacy.loss import ZERO

from .serving_child import OPENING, STEPS
from .world import WARD, opened, plain_town, spending, write

CHILD = Path(__file__).with_name("serving_child.py")
CENT = Fraction(1, 100)
LIVE = "SELECT count(*) FROM ward.people WHERE code <> {}"
SHIPPED = "epsilon = 100000, delta = 1e-6"


class Nursery:
    """A process that starts servers for us, each in a process of its own."""

    def __init__(self) -> None:
        self.child: int | None = None
        self.process = subprocess.Popen(
            [sys.executable, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def begin(self, **order: Any) -> int:
        """Start a server; return its process at once."""
        assert self.process.stdin is not None
        print(json.dumps(order), file=self.process.stdin, flush=True)
        self.child = int(self._read())
        return self.child

    def start(self, **order: Any) -> tuple[int, int]:
        """Start a server; return its process, and its port once it serves."""
        return self.begin(**order), int(self._read())

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ended(self, *, served: bool = True) -> int:
        """Wait for the server's end; return its exit code."""
        if not served:
            self._read()
        code = int(self._read())
        self.child = None
        return code

    def close(self) -> None:
        """Leave no process behind, whatever a test left running."""
        if self.child is not None:
            os.kill(self.child, signal.SIGKILL)
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with closing(Nursery()) as found:
        yield found


@dataclass
class House:
    """A state directory with a budget of so many hundredths of ε, and who may ask there."""

    home: Path
    secret: str
    secrets: tuple[str, ...]
    seen: list[dict[str, Any]] = field(default_factory=list)
    asked: set[int] = field(default_factory=set)
    next: int = 0

    def fresh(self) -> int:
        """The number of a question that was not asked before."""
        self.next += 1
        return self.next


@pytest.fixture
def house(tmp_path: Path) -> Callable[[int], House]:
    def built(cents: int) -> House:
        home = tmp_path / str(cents)
        catalog = WARD.replace(SHIPPED, f"epsilon = {cents / 100}, delta = 0")
        with opened(plain_town(), home, catalog) as gateway:
            secrets = [
                str(
                    gateway.create_token(Asker("c", Role.CUSTODIAN, None), name, "analyst", None, None)[
                        "secret"
                    ]
                )
                for name in ("ana", *(f"ben{i}" for i in range(7)))
            ]
        return House(home, secrets[0], tuple(secrets))

    return built


def ask(
    port: int,
    house: House,
    number: int,
    connection: http.client.HTTPConnection | None = None,
    secret: str | None = None,
) -> Any:
    """Ask one question over HTTP; return the status and the reply."""
    if connection is None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as own:
            return ask(port, house, number, own, secret)
    body = json.dumps({"sql": LIVE.format(number), "epsilon": "0.01"})
    connection.request("POST", "/v1/ask", body, {"Authorization": f"Bearer {secret or house.secret}"})
    reply = connection.getresponse()
    said = json.loads(reply.read())
    if reply.status == 200:
        house.seen.append({"number": number, **said})
    return reply.status, said


def ask_until_it_dies(port: int, house: House, guard: threading.Lock) -> None:
    with (
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection,
        suppress(OSError, http.client.HTTPException, ValueError),
    ):
        while True:
            with guard:
                number = house.fresh()
            ask(port, house, number, connection)


@contextmanager
def clients(port: int, house: House, count: int) -> Iterator[None]:
    """Clients that ask one question after another until the server is dead."""
    guard = threading.Lock()
    threads = [threading.Thread(target=ask_until_it_dies, args=(port, house, guard)) for _ in range(count)]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def books(house: House) -> dict[str, int]:
    """Check what a dead server left against what its clients saw; return how many receipts of each kind."""
    with Ledger.open(house.home / "state") as ledger:
        report = ledger.verify()
        assert report.fault is None
        receipts = ledger.receipts("ward", limit=100_000)
        balances = {b.id: b for b in ledger.accounts()}
    kinds = [r.kind.value for r in receipts]
    charged = {r.charge for r in receipts if r.kind.value == "charge"}
    answered = {r.charge: r for r in receipts if r.kind.value == "answer"}
    for account in ("town", "town/ward", "town/ward/default"):
        assert balances[account].spent == pure(CENT).times(kinds.count("charge"))
    analysts = [b.spent for b in balances.values() if b.account.kind is Kind.ANALYST]
    assert sum(analysts, ZERO) == pure(CENT).times(kinds.count("charge"))
    by_id = {r.id: r for r in receipts}
    for said in house.seen:
        receipt = by_id[said["receipt"]["id"]]
        assert receipt.hash == said["receipt"]["hash"]
        assert receipt.charge in charged
        assert receipt.charge in answered
    return {kind: kinds.count(kind) for kind in set(kinds)} | {"seen": len(house.seen)}


def replays(port: int, house: House, most: int) -> None:
    """Every answer that was seen is still there, number for number, at no cost."""
    for said in list(house.seen)[-most:]:
        status, again = ask(port, house, said["number"])
        house.seen.pop()
        assert status == 200
        assert again["replayed"]
        assert again["rows"] == said["rows"]


def race(nursery: Nursery, house: House, wanted: int, flaw: str = "") -> list[int]:
    """Statuses of 32 clients, of eight analysts, that ask `wanted` different questions at once."""
    child, port = nursery.start(home=str(house.home), flaw=flaw)
    numbers = iter(range(1, wanted + 1))
    statuses: list[int] = []
    guard = threading.Lock()

    def client(secret: str) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            while True:
                with guard:
                    number = next(numbers, None)
                if number is None:
                    return
                statuses.append(ask(port, house, number, connection, secret)[0])

    with ThreadPoolExecutor(32) as pool:
        for done in [pool.submit(client, house.secrets[i % 8]) for i in range(32)]:
            done.result()
    if not flaw:
        replays(port, house, 5)
    os.kill(child, signal.SIGTERM)
    assert nursery.ended() == 0
    return statuses


def test_32_clients_racing_for_100_charges_get_exactly_100(nursery: Nursery, house: Any) -> None:
    there = house(100)
    statuses = race(nursery, there, 160)
    assert (statuses.count(200), statuses.count(402)) == (100, 60)
    found = books(there)
    assert (found["charge"], found["answer"], found["seen"]) == (100, 100, 100)


def test_checking_before_inserting_would_be_noticed(nursery: Nursery, house: Any) -> None:
    there = house(100_000)  # the ledger's own filter has room, so that the flawed check alone holds the line
    statuses = race(nursery, there, 160, flaw="check then insert")
    assert statuses.count(200) > 100


def test_32_clients_with_one_question_pay_once(nursery: Nursery, house: Any) -> None:
    there = house(100)
    child, port = nursery.start(home=str(there.home))
    with ThreadPoolExecutor(32) as pool:
        replies = list(pool.map(lambda _: ask(port, there, 7), range(64)))
    os.kill(child, signal.SIGTERM)
    assert nursery.ended() == 0
    assert {status for status, _ in replies} == {200}
    assert len({json.dumps(said["rows"]) for _, said in replies}) == 1
    assert [said["replayed"] for _, said in replies].count(False) == 1
    assert books(there)["charge"] == 1


def kill(
    nursery: Nursery, house: House, *, step: str = "", passes: int = 0, after: float = 0.0
) -> dict[str, int]:
    """Let a server work until it is killed, at a step or after a time, and check what it left."""
    child, port = nursery.start(home=str(house.home), step=step, passes=passes)
    replays(port, house, 2)
    with clients(port, house, 4):
        if not step:
            time.sleep(after)
            os.kill(child, signal.SIGKILL)
    assert nursery.ended() == -signal.SIGKILL
    return books(house)


def test_no_step_of_a_question_can_be_killed_without_its_charge_or_receipt(
    nursery: Nursery, house: Any
) -> None:
    there = house(100_000)
    for step in (*STEPS, "before a commit", "after a commit"):
        for passes in (0, 5):
            # A replay passes no step but the reply.
            there.seen.clear()
            kill(nursery, there, step=step, passes=passes)
    found = books(there)
    assert found["charge"] == found["answer"] + found["lost"]
    assert found["lost"] >= 5
    assert found["answer"] > 20


@pytest.mark.parametrize(
    "kills", [16, pytest.param(2_000, marks=[pytest.mark.slow, pytest.mark.timeout(7_200)])]
)
def test_no_moment_can_be_killed_without_its_charge_or_receipt(
    nursery: Nursery, house: Any, kills: int
) -> None:
    moment = random.Random(11)
    for first in range(0, kills, 100):
        there = house(
            100_000 + first
        )  # a new one now and then: its books are checked from the start each time
        for _ in range(min(kills, 100)):
            found = kill(nursery, there, after=0.25 * moment.random())
        assert found["charge"] == found["answer"] + found.get("lost", 0)
        assert found["seen"] > min(kills, 100)


@pytest.mark.parametrize("moment", ["random", *OPENING])
def test_a_first_registration_can_be_killed_and_leaves_no_rows_about(
    nursery: Nursery, tmp_path: Path, moment: str
) -> None:
    write(plain_town(), tmp_path, WARD)
    rng = random.Random(3)
    for _ in range(6 if moment == "random" else 1):
        child = nursery.begin(home=str(tmp_path), step=moment if moment in OPENING else "", passes=0)
        if moment == "random":
            time.sleep(0.3 * rng.random())
            os.kill(child, signal.SIGKILL)
        assert nursery.ended(served=False) == -signal.SIGKILL
    with opened(plain_town(), tmp_path, WARD) as gateway:
        assert gateway._desk.versions == {"ward": 1}
        assert spending(gateway) == (0, [])
        assert sorted(f.name for f in (tmp_path / "state" / "data").iterdir()) == [".lock", "ward-1.duckdb"]


def test_an_answer_that_leaves_before_it_is_stored_would_be_noticed(nursery: Nursery, house: Any) -> None:
    there = house(100_000)
    child, port = nursery.start(home=str(there.home), flaw="answer first")
    assert ask(port, there, 1)[0] == 200
    os.kill(child, signal.SIGKILL)
    assert nursery.ended() == -signal.SIGKILL
    with pytest.raises(AssertionError):
        books(there)


def test_a_full_disk_refuses_and_loses_nothing(nursery: Nursery, house: Any) -> None:
    there = house(100_000)
    child, port = nursery.start(home=str(there.home), full=True)
    for number in range(1, 2_000):
        status, said = ask(port, there, number)
        if status != 200:
            break
    assert (status, said["error"]["code"]) == (503, "ledger_unavailable")
    granted = len(there.seen)
    assert granted > 5
    assert ask(port, there, 5_000)[0] == 503
    replays(port, there, 3)
    os.kill(child, signal.SIGUSR1)  # room again, in the same process
    assert ask(port, there, 5_001)[0] == 200
    os.kill(child, signal.SIGKILL)
    assert nursery.ended() == -signal.SIGKILL
    found = books(there)
    assert found["answer"] == found["seen"] == granted + 1
    # At most the one question that met the full disk was charged without an answer.
    assert found["charge"] <= found["answer"] + 2


def test_a_second_process_on_one_state_directory_exits_with_6(nursery: Nursery, house: Any) -> None:
    there = house(100)
    child, port = nursery.start(home=str(there.home))
    command = "from noisegate.cli import main; main()"
    environ = {k: v for k, v in os.environ.items() if not k.startswith("NOISEGATE_")}
    for verb in (["serve", "--port", "0"], ["ask", LIVE.format(1)]):
        second = subprocess.run(
            [sys.executable, "-c", command, *verb, "--state", "state", "--catalog", "catalog.toml", "--json"],
            cwd=there.home,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == 6, second.stderr
        assert json.loads(second.stderr.splitlines()[-1])["error"]["code"] == "ledger_unavailable"
    assert ask(port, there, 1)[0] == 200
    os.kill(child, signal.SIGTERM)
    assert nursery.ended() == 0
    assert books(there)["answer"] == 1
