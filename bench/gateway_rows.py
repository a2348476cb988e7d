"""Targets 3 and 4: what a question costs besides the engine, replays, HTTP, and many private groups.

All on the NAFLD patients table of the demo, under a catalog of its own with a budget that does not run out.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from bench import ours
from bench.rows import Row, at_least, at_most
from noisegate.app import open_gateway
from noisegate.ask.question import Question
from noisegate.config import Config
from noisegate.gate.access import Asker, Role

ROOT = Path(__file__).parent.parent
CLIENTS = 8
FRESH_A_TURN = 100_000
CATALOG = """
[policy.tiers]
demographic = {{ default_epsilon = 0.01, max_epsilon = 1 }}
[liver]
unit = "patient_id"
unit_type = "int"
budget = {{ epsilon = 1000000, delta = 1e-6 }}
[liver.tables.patients]
source = "{source}"
rows_per_unit = 1
expected_units = 17500
columns.age     = {{ type = "int", low = 18, high = 100, tier = "demographic", nullable = false }}
columns.is_male = {{ type = "bool", tier = "demographic", nullable = false }}
"""
FRESH = (
    "SELECT COUNT(*) AS n FROM liver.patients WHERE age > {age}",
    "SELECT is_male, AVG(age) AS m, COUNT(*) AS n FROM liver.patients WHERE age > {age} GROUP BY is_male",
)
CODES, PER_CODE = 100_000, 50


class _Timed:
    """Stands before an engine and remembers how long it ran; its preparing counts as fixed cost."""

    def __init__(self, engine) -> None:
        self.engine = engine
        self.seconds = 0.0

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def run(self, *asked):
        started = time.perf_counter()
        try:
            return self.engine.run(*asked)
        finally:
            self.seconds = time.perf_counter() - started


def config(directory: Path, threads: int) -> Config:
    """Write the catalog and return settings that keep everything under the directory."""
    path = directory / "catalog.toml"
    path.write_text(CATALOG.format(source=ROOT / "data" / "nafld" / "patients.parquet"), encoding="utf-8")
    return Config(catalog=path, state=directory / "state", threads=threads)


def in_process(directory: Path, repeats: int, threads: int) -> list[Row]:
    """Return the fixed cost of fresh questions and the time of a replay, without HTTP."""
    asker = Asker("bench", Role.ANALYST, None)
    with open_gateway(config(directory, threads)) as gateway:
        desk = gateway._desk
        timed = _Timed(desk.engine)
        desk.engine = timed
        rows = []
        for title, text in zip(("one count", "a mean and a count by sex"), FRESH, strict=True):
            fixed = []
            for i in range(repeats + 1):
                asked = Question(text.format(age=18 + (i + 1) / 1_000), Fraction(1, 100))
                started = time.perf_counter()
                answer = gateway.ask(asked, asker, None)
                whole = time.perf_counter() - started
                if answer.replayed:
                    raise RuntimeError("a fresh question was replayed")
                if i:
                    fixed.append(1_000 * (whole - timed.seconds))
            rows.append(at_most(f"fixed cost of a fresh question, {title}", fixed, 10, "ms"))
        again = Question(FRESH[1].format(age=18 + 1 / 1_000), Fraction(1, 100))
        took = []
        for _ in range(10 * repeats):
            started = time.perf_counter()
            answer = gateway.ask(again, asker, None)
            took.append(1_000 * (time.perf_counter() - started))
            if not answer.replayed:
                raise RuntimeError("a question asked before was not replayed")
        rows.append(at_most("replayed answer, in process", took, 2, "ms"))
    return rows


@contextmanager
def served(directory: Path, threads: int) -> Iterator[tuple[str, str]]:
    """Serve with `noisegate serve` in a process of its own; give the URL and an analyst's token."""
    settings = config(directory, threads)
    places = ["--state", str(settings.state), "--catalog", str(settings.catalog)]
    environ = {**os.environ, "NOISEGATE_THREADS": str(threads)}
    noisegate = [str(Path(sys.executable).with_name("noisegate"))]
    made = subprocess.run(
        [*noisegate, "token", "create", "bench", *places, "--json"],
        capture_output=True,
        text=True,
        env=environ,
        check=True,
    )
    token = json.loads(made.stdout)["secret"]
    server = subprocess.Popen(
        [*noisegate, "serve", "--port", "0", "--json", *places],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environ,
    )
    try:
        assert server.stdout is not None
        text = ""
        while line := server.stdout.readline():
            text += line
            try:
                url = json.loads(text)["url"]
                break
            except ValueError:
                continue
        else:
            raise RuntimeError("the server did not start")
        yield url, token
    finally:
        server.terminate()
        server.wait()


def how(seconds: float, turn: int) -> list[str]:
    """Return the arguments of the load: fresh questions start anew each turn."""
    start = turn * FRESH_A_TURN
    return ["--clients", str(CLIENTS), "--seconds", str(seconds), "--start", str(start)]


def over_http(directory: Path, seconds: float, rounds: int, threads: int) -> list[Row]:
    """Return answers a second over HTTP: replays, and fresh ones, each durably charged."""
    found: dict[str, list[dict]] = {"replay": [], "fresh": []}
    with served(directory, threads) as (url, token):
        for turn in range(rounds):
            for mode, results in found.items():
                done = subprocess.run(
                    [sys.executable, "-m", "bench.load", url, token, "--mode", mode, *how(seconds, turn)],
                    capture_output=True,
                    text=True,
                    check=True,
                    cwd=ROOT,
                )
                result = json.loads(done.stdout)
                if result["refused"]:
                    raise RuntimeError(f"{result['refused']} refused: {result['first_refusal']}")
                results.append(result)
    rows = []
    for mode, title, least in (("replay", "replays", 1_000), ("fresh", "fresh answers", 100)):
        rates = [r["per_second"] for r in found[mode]]
        row = at_least(f"{title} over HTTP, {CLIENTS} clients", rates, least, "/s")
        row.detail["rounds"] = found[mode]
        rows.append(row)
    return rows


def many_groups(
    directory: Path, repeats: int, threads: int, groups: int = CODES, each: int = PER_CODE
) -> Row:
    """Return the time of a count by a private key of so many values, from SQL to noisy answer."""
    source = ours.codes(groups * each, groups)
    text = f"SELECT code, COUNT(*) AS n FROM {source.table} GROUP BY code"
    with ours.opened([source], directory, threads=threads) as mine:
        took, shown = [], []
        for _ in range(repeats):
            started = time.perf_counter()
            shown.append(len(mine.answer(text)))
            took.append(time.perf_counter() - started)
    row = at_most(f"{groups:,} groups with private keys, {groups * each:,} rows", took, 6, "s")
    row.detail["groups_shown"] = statistics.median(shown)
    return row
