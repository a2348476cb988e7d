"""Target 3 apart from charging: verifying an export, the odometer over a million receipts, a restart."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from bench.books import LEFT_OPEN, Size, filled, leave_open
from bench.rows import Row, at_least, at_most, in_turn, shown
from noisegate.app import spending
from noisegate.catalog.load import load
from noisegate.gate.access import Asker
from noisegate.gate.odometer import By
from noisegate.ledger.export import export
from noisegate.ledger.records import Role
from noisegate.ledger.store import Ledger

ROOT = Path(__file__).parent.parent
VERIFIED_LEAST = 20_000
ODOMETER_MOST_MS = 50
CATALOG = """
[liver]
population = "people"
unit = "patient_id"
budget = { epsilon = 1000000, delta = 1e-6 }
[liver.tables.patients]
source = "patients.parquet"
rows_per_unit = 1
columns.is_male = { type = "bool", tier = "demographic" }
"""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the books are that are read, and those that are verified, and how often."""

    read: Size
    verified: Size
    rounds: int


def verification(place: Path, scale: Scale) -> list[Row]:
    """Return receipts a second of the offline verifier, run as a command, and of the ledger's own check."""
    exported = place / "receipts.jsonl"
    with filled(place / "state", scale.verified) as (ledger, _):
        started = time.perf_counter()
        with exported.open("wb") as file:
            file.writelines(export(ledger))
        seconds = time.perf_counter() - started
        own, whole = [], 0
        for _ in range(scale.rounds):
            began = time.perf_counter()
            report = ledger.verify()
            own.append(report.receipts / (time.perf_counter() - began))
            if not report.whole:
                raise RuntimeError(f"the books do not add up: {report.fault}")
            whole = report.receipts
    command = [sys.executable, "-m", "noisegate.verifier", str(exported), "--json"]
    rates = []
    for _ in range(scale.rounds):
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        told = json.loads(done.stdout)
        rates.append(told["receipts"] / (time.perf_counter() - began))
        if not told["whole"] or told["receipts"] != whole:
            raise RuntimeError(f"the export was not verified: {told}")
    size = f"{whole:,} receipts, {exported.stat().st_size / 2**20:,.0f} MiB"
    return [
        at_least(f"offline verification, {size}", rates, VERIFIED_LEAST, "receipts/s", "start included"),
        shown("the ledger's own check of all its rows", own, "receipts/s"),
        shown("export of receipts", [whole / seconds], "receipts/s"),
    ]


def reading(place: Path, scale: Scale) -> list[Row]:
    """Return what reading the budget takes with so many receipts, and what a gateway's start takes."""
    rows = []
    with filled(place / "state", scale.read) as (ledger, seconds):
        receipts = sum(seq for seq, _, _ in ledger.heads().values())
        rates = [2 * scale.read.charges / seconds]
        rows.append(shown("charges and answers written, 32 clients, while filling the books", rates, "/s"))
        rows += odometer(ledger, place, receipts, scale.rounds)
        leave_open(ledger)
    return rows + restart(place / "state", receipts, scale.rounds)


def restart(state: Path, receipts: int, rounds: int) -> list[Row]:
    """Return how long a gateway's ledger takes to open, in a process of its own, and the memory it holds."""
    found = []
    for _ in range(rounds):
        command = [sys.executable, "-m", "bench.books", str(state)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
        found.append(json.loads(done.stdout))
        if found[-1]["settled"] != LEFT_OPEN:
            raise RuntimeError(f"a restart settled {found[-1]['settled']} of {LEFT_OPEN} open charges")
    title = f"restart with {receipts:,} receipts and {LEFT_OPEN} charges left open"
    return [
        shown(title, [1_000 * each["seconds"] for each in found], "ms"),
        shown(f"{title}: memory", [each["mib"] for each in found], "MiB"),
    ]


def odometer(ledger: Ledger, place: Path, receipts: int, repeats: int) -> list[Row]:
    """Return the times of what a custodian sees of spending: accounts with forecasts, and each reading."""
    path = place / "catalog.toml"
    path.write_text(CATALOG, encoding="utf-8")
    desk = SimpleNamespace(ledger=ledger, catalog=load(path))
    asker = Asker("custodian", Role.CUSTODIAN, None)
    looks: dict[str, Callable[[], object]] = {
        "accounts and forecasts": lambda: spending.budget(desk, asker, None)
    }
    for by in By:
        looks[f"by {by.value}"] = lambda by=by: spending.odometer(desk, asker, by.value, None, None)
    times = in_turn(*looks.values(), repeats=3 * repeats)
    return [
        at_most(f"odometer over {receipts:,} receipts, {look}", took, ODOMETER_MOST_MS, "ms")
        for look, took in zip(looks, times, strict=True)
    ]
