"""Targets 1 and 2: durable charges a second on PostgreSQL and on SQLite, each in turn with its peer.

Ours is one gateway process (`bench/charging.py`) whose threads charge a ledger, each for an analyst of its
own. A round of one side is followed by a round of the other, on the same disk, while the first one waits.
"""

import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.flush import slowed
from bench.postgres import NoServerError, served
from bench.rows import Row, at_least_times, at_most, beside, missing

ROOT = Path(__file__).parent.parent
PG_LEAST, PG_MOST_MS = 0.6, 100
SQLITE_LEAST, SQLITE_MOST_MS = 4, 60
CPU_MOST_US = 150
SLOW_MS = 3.0


@dataclass(frozen=True, slots=True)
class Load:
    """How often each thing is measured, for how long in seconds, and by how many clients: few, and many.

    `warm` rounds before them warm files and caches and do not count.
    """

    rounds: int
    seconds: float
    few: int = 8
    many: int = 32
    warm: int = 1


class Gateway:
    """A charging process that waits for its rounds; ours, or the plain peer."""

    def __init__(self, kind: str, place: Path, *more: str, environ: Mapping[str, str] | None = None) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "bench.charging", kind, str(place), *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environ,
        )
        self._hear()

    def start(self, clients: int, seconds: float) -> None:
        """Begin a round; `result` waits for its end."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps({"clients": clients, "seconds": seconds}) + "\n")
        self._child.stdin.flush()

    def result(self) -> dict[str, float]:
        """Return what a round came to; see `Clients.run`."""
        return self._hear()

    def run(self, clients: int, seconds: float) -> dict[str, float]:
        """Run one round."""
        self.start(clients, seconds)
        return self.result()

    def close(self) -> None:
        """Let the process end."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()
        assert self._child.stdout is not None
        self._child.stdout.close()

    def _hear(self) -> dict[str, float]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError("a charging process ended; what it said of it is above")
        found: dict[str, float] = json.loads(line)
        return found


@dataclass(slots=True)
class Rounds:
    """What the rounds of each side came to, by name of the side."""

    found: dict[str, list[dict[str, float]]] = field(default_factory=lambda: defaultdict(list))

    def run(self, load: Load, sides: dict[str, Callable[[], dict[str, float]]]) -> None:
        """Run the sides in turn."""
        for turn in range(load.warm + load.rounds):
            for name, side in sides.items():
                result = side()
                if turn >= load.warm:
                    self.found[name].append(result)

    def of(self, name: str, figure: str) -> list[float]:
        """Return one figure of all rounds of a side."""
        return [result[figure] for result in self.found[name]]

    def median(self, name: str, figure: str) -> float:
        """Return the median of a figure over the rounds of a side."""
        return statistics.median(self.of(name, figure))


@contextmanager
def gateway(
    kind: str, place: Path, *more: str, environ: Mapping[str, str] | None = None
) -> Iterator[Gateway]:
    """Start a charging process and end it afterwards."""
    started = Gateway(kind, place, *more, environ=environ)
    try:
        yield started
    finally:
        started.close()


def postgres(place: Path, load: Load, versions: dict[str, str]) -> list[Row]:
    """Return the rows of target 1, and of a charge's processor time on PostgreSQL."""
    with ExitStack() as held:
        try:
            server = held.enter_context(served(place))
        except NoServerError as error:
            return [missing("PostgreSQL: durable charges against pgbench -N", "/s", "≥ 0.6 ×", str(error))]
        versions["postgresql"] = server.version
        one, other = (
            held.enter_context(gateway("ours", place / name, "--url", server.ledger, "--name", name))
            for name in ("one", "other")
        )

        def ours(clients: int) -> Callable[[], dict[str, float]]:
            def run() -> dict[str, float]:
                before = server.cpu_seconds()
                result = one.run(clients, load.seconds)
                # All its work of the round over the charges counted: more than it was, if anything.
                return result | {"server_us": 1e6 * (server.cpu_seconds() - before) / result["charges"]}

            return run

        def replicas() -> dict[str, float]:
            for each in (one, other):
                each.start(load.many // 2, load.seconds)
            results = [each.result() for each in (one, other)]
            return {
                "per_second": sum(r["per_second"] for r in results),
                "p99_ms": max(r["p99_ms"] for r in results),
            }

        rounds = Rounds()
        sides: dict[str, Callable[[], dict[str, float]]] = {}
        for clients in (load.few, load.many):
            sides[f"pgbench {clients}"] = lambda clients=clients: server.pgbench(clients, load.seconds)
            sides[f"ours {clients}"] = ours(clients)
        sides["prepared"] = lambda: server.pgbench(load.many, load.seconds, "prepared")
        sides["replicas"] = replicas
        sides["pgbench 1"] = lambda: server.pgbench(1, load.seconds)
        sides["ours 1"] = ours(1)
        rounds.run(load, sides)
    many = load.many
    rows = [
        at_least_times(
            f"PostgreSQL, {clients} clients: durable charges against pgbench -N",
            rounds.of(f"ours {clients}", "per_second"),
            rounds.of(f"pgbench {clients}", "per_second"),
            PG_LEAST,
        )
        for clients in (load.few, load.many)
    ]
    peer = rounds.of(f"pgbench {many}", "per_second")
    worst = f"the slower one's p99 {rounds.median('replicas', 'p99_ms'):.3g} ms"
    server_us = f"the server's {rounds.median(f'ours {many}', 'server_us'):.0f} µs"
    two = f"PostgreSQL, 2 gateways of {many // 2} clients"
    return [
        *rows,
        _slowest("PostgreSQL", rounds, many, PG_MOST_MS),
        _processor("PostgreSQL", rounds, many, server_us),
        beside(two, rounds.of("replicas", "per_second"), peer, "/s", worst),
        beside(
            f"PostgreSQL, {many} clients: durable charges against pgbench -N -M prepared",
            rounds.of(f"ours {many}", "per_second"),
            rounds.of("prepared", "per_second"),
            "/s",
        ),
        _alone("PostgreSQL", rounds, "ours 1", "pgbench 1"),
    ]  # fmt: skip


def sqlite(place: Path, load: Load) -> list[Row]:
    """Return the rows of target 2, of a charge's processor time on SQLite, and of a disk slow to flush."""
    rounds = _beside_plain(place / "as it is", load, (load.few, load.many, 1), None)
    rows = [
        at_least_times(
            f"SQLite, {clients} clients: durable charges against one commit a charge",
            rounds.of(f"ours {clients}", "per_second"),
            rounds.of(f"plain {clients}", "per_second"),
            SQLITE_LEAST,
            note=_starved(rounds, clients),
        )
        for clients in (load.few, load.many)
    ]
    rows += [
        _slowest("SQLite", rounds, load.many, SQLITE_MOST_MS),
        _processor("SQLite", rounds, load.many, ""),
        _alone("SQLite", rounds, "ours 1", "plain 1"),
    ]
    environ = slowed(place, SLOW_MS)
    if environ is None:
        return rows
    rounds = _beside_plain(place / "slowed", load, (load.few, load.many), environ)
    return rows + [
        beside(
            f"SQLite, {clients} clients, were a flush to take {SLOW_MS:g} ms more",
            rounds.of(f"ours {clients}", "per_second"),
            rounds.of(f"plain {clients}", "per_second"),
            "/s",
            _starved(rounds, clients),
        )
        for clients in (load.few, load.many)
    ]


def _beside_plain(
    place: Path, load: Load, company: tuple[int, ...], environ: Mapping[str, str] | None
) -> Rounds:
    """Run ours and the plain ledger in turn, with each number of clients."""
    rounds = Rounds()
    with (
        gateway("ours", place / "ours", environ=environ) as ours,
        gateway("plain", place / "plain", environ=environ) as plain,
    ):
        sides: dict[str, Callable[[], dict[str, float]]] = {}
        for clients in company:
            for name, side in (("plain", plain), ("ours", ours)):
                sides[f"{name} {clients}"] = lambda side=side, clients=clients: side.run(
                    clients, load.seconds
                )
        rounds.run(load, sides)
    return rounds


def _starved(rounds: Rounds, clients: int) -> str:
    return f"the peer's slowest charge {rounds.median(f'plain {clients}', 'most_ms') / 1_000:.2g} s"


def _slowest(store: str, rounds: Rounds, clients: int, most: float) -> Row:
    half = rounds.median(f"ours {clients}", "p50_ms")
    times = rounds.of(f"ours {clients}", "p99_ms")
    return at_most(f"{store}, {clients} clients: p99 of a charge", times, most, "ms", f"p50 {half:.3g} ms")


def _processor(store: str, rounds: Rounds, clients: int, note: str) -> Row:
    times = rounds.of(f"ours {clients}", "cpu_us")
    row = at_most(f"{store}, {clients} clients: processor time a charge", times, CPU_MOST_US, "µs", note)
    row.detail["gateway_peak_mib"] = max(rounds.of(f"ours {clients}", "peak_mib"))
    return row


def _alone(store: str, rounds: Rounds, ours: str, peer: str) -> Row:
    half, slow = (rounds.median(ours, figure) for figure in ("p50_ms", "p99_ms"))
    rates = rounds.of(ours, "per_second"), rounds.of(peer, "per_second")
    return beside(f"{store}, a lone client", *rates, "/s", f"p50 {half:.2g} ms, p99 {slow:.2g} ms")
