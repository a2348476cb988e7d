"""A process under load, alone: threads that charge their books again as soon as they are answered.

`python -m bench.charging ours|plain PLACE [--url URL] [--name NAME]` opens the books, says {"ready": true},
and runs one round for each line of JSON it reads, {"clients", "seconds"}. It does nothing between rounds.
"""

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

from bench.memory import peak_mib
from bench.plain_ledger import Plain
from noisegate.ledger.records import Charge, Daily
from noisegate.ledger.store import Account, Ledger
from noisegate.privacy.curves import pure
from noisegate.privacy.filter import Limits

MOST_CLIENTS = 32
WARM = 0.1  # so much of a round's time is spent before it counts
LIMITS = Limits.of(Fraction(10**6), Fraction(1, 10**6))  # does not run out
LOSS = pure(Fraction(1, 100), 2)
SURCHARGE, EVERY = pure(Fraction(1, 1_000), 2), 10  # one question in ten is specific enough to cost more
PROJECT = "people/liver/default"


def open_accounts(ledger: Ledger, analysts: list[str]) -> None:
    """Open a population, a dataset, a project, and the analysts' accounts in it."""
    for path in ("people", "people/liver", PROJECT, *(f"{PROJECT}/{name}" for name in analysts)):
        ledger.open_account(Account.at(path, LIMITS))


def question(analyst: str, fingerprint: str, number: int, tier: str = "demographic") -> Charge:
    """Return a charge such as the gate makes of a mean by sex, of about the size that real ones have."""
    age = f"{18 + number / 1_000_000:.6f}"
    own = f"{PROJECT}/{analyst}"
    return Charge(
        accounts=("people", "people/liver", PROJECT, own),
        loss=LOSS,
        surcharges={own: SURCHARGE} if number % EVERY == 0 else {},
        datasets=("liver",),
        fingerprint=fingerprint,
        body={
            "question": f"SELECT is_male, AVG(age) FROM liver.patients WHERE age > {age} GROUP BY is_male",
            "plan": [
                f"liver.patients, one row a person, where age > {age}",
                "by is_male (2 declared groups): the sum of age within 18 to 100, and how many",
            ],
            "mechanisms": ["sum of age: Laplace, scale 8200", "count: Laplace, scale 100"],
            "nominal_epsilon": 0.01,
            "epsilon": 0.02,
            "delta": 0.0,
            "loss": {"renyi": list(LOSS.renyi), "delta": LOSS.delta},
            "versions": {"liver": 1},
            "asker": analyst,
            "role": "analyst",
        },
        asker=analyst,
        tier=tier,
        daily=Daily(20_000_000, 10**15),
        conditions=f'[["liver.patients.age","above",{age}]]',
    )


class Clients:
    """Threads that charge: `connect` gives each its own way to charge the books."""

    def __init__(self, name: str, connect: Callable[[], Callable[[Charge], object]]) -> None:
        self._name = name
        self._connect = connect
        self._round = 0

    def run(self, clients: int, seconds: float) -> dict[str, float]:
        """Return charges a second, milliseconds a charge, and processor time of this process a charge."""
        self._round += 1
        took: list[list[float]] = [[] for _ in range(clients)]
        failed: list[BaseException] = []
        stop, start = threading.Event(), threading.Barrier(clients + 1)

        def work(place: int) -> None:
            try:
                charge, analyst, mine = self._connect(), f"{self._name}{place}", took[place]
                prefix = f"{self._name}-{self._round}-{place}-"
                number = 0
                start.wait()
                while not stop.is_set():
                    started = time.perf_counter()
                    charge(question(analyst, f"{prefix}{number}".rjust(64, "0"), number))
                    mine.append(time.perf_counter() - started)
                    number += 1
            except BaseException as error:  # noqa: BLE001  told to the main thread, which raises it
                failed.append(error)
                start.abort()

        threads = [threading.Thread(target=work, args=(place,)) for place in range(clients)]
        for thread in threads:
            thread.start()
        try:
            start.wait()
            time.sleep(WARM * seconds)
            begun, cpu, before = time.perf_counter(), time.process_time(), [len(t) for t in took]
            time.sleep(seconds)
            passed, cpu = time.perf_counter() - begun, time.process_time() - cpu
            after = [len(t) for t in took]
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        if failed:
            raise failed[0]
        counted = [t[a:b] for t, a, b in zip(took, before, after, strict=True)]
        times = sorted(1_000 * each for mine in counted for each in mine)
        if not times:
            raise RuntimeError("no charge came through in time")
        return {
            "charges": len(times),
            "per_second": len(times) / passed,
            "p50_ms": times[len(times) // 2],
            "p99_ms": times[int(len(times) * 0.99)],
            "most_ms": times[-1],
            "cpu_us": 1e6 * cpu / len(times),
            "fewest_of_a_client": min(map(len, counted)),
            "peak_mib": peak_mib(),
        }


def main() -> None:
    """Read the command line, open the books, and run rounds until the input ends."""
    parser = argparse.ArgumentParser(prog="python -m bench.charging")
    parser.add_argument("kind", choices=("ours", "plain"))
    parser.add_argument("place", type=Path)
    parser.add_argument("--url")
    parser.add_argument("--name", default="ana")
    given = parser.parse_args()
    analysts = [f"{given.name}{i}" for i in range(MOST_CLIENTS)]
    with ExitStack() as held:
        opened = Ledger.open(given.place) if given.url is None else Ledger.open(given.place, url=given.url)
        ledger = held.enter_context(opened)
        open_accounts(ledger, analysts)
        connect: Callable[[], Callable[[Charge], object]] = lambda: ledger.charge  # noqa: E731
        if given.kind == "plain":
            ledger.shut()
            connect = Plain(given.place).connect
        clients = Clients(given.name, connect)
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            print(json.dumps(clients.run(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
