"""`python -m bench ledger`: a durable charge beside its peers, and what it costs to read large books."""

import sqlite3
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench import book_rows, charge_rows
from bench.book_rows import Scale
from bench.books import Size
from bench.charge_rows import Load
from bench.rows import Row

Say = Callable[[str], None]
FULL = (Load(rounds=3, seconds=3.0), Scale(Size(charges=500_000, days=180), Size(100_000, 30), rounds=3))
QUICK = (
    Load(rounds=1, seconds=1.0, warm=0),
    Scale(Size(charges=22_000, days=180), Size(10_000, 30), rounds=1),
)


def run(*, quick: bool, only: frozenset[str] | None, say: Say) -> tuple[list[Row], dict[str, str]]:
    """Run the sections and return their rows, and versions.

    Args:
        quick: one short round of each, and small books.
        only: names of sections, None for all.
        say: told what is being done.
    """
    load, scale = QUICK if quick else FULL
    versions = {"noisegate": version("noisegate"), "sqlite": sqlite3.sqlite_version}
    try:
        versions["psycopg"] = version("psycopg")
    except PackageNotFoundError:
        say("psycopg is not installed")
    sections: dict[str, Callable[[Path], list[Row]]] = {
        "postgres": lambda place: charge_rows.postgres(place, load, versions),
        "sqlite": lambda place: charge_rows.sqlite(place, load),
        "verify": lambda place: book_rows.verification(place, scale),
        "books": lambda place: book_rows.reading(place, scale),
    }
    unknown = (only or frozenset()) - sections.keys()
    if unknown:
        raise SystemExit(f"no section {', '.join(sorted(unknown))}; there are {', '.join(sections)}")
    rows: list[Row] = []
    for name, section in sections.items():
        if only is not None and name not in only:
            continue
        started = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="noisegate-bench-") as place:
            rows += section(Path(place))
        say(f"{name}: {time.perf_counter() - started:.0f} s")
    return rows, versions
