"""Target 1: the engine against the same aggregate in plain DuckDB, on the same file with the same threads."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from bench.memory import measure
from bench.ours import Ours, Source
from bench.rows import Row, at_most, at_most_times, in_turn

COUNT = "SELECT COUNT(*) AS n FROM {t}"
COUNT_OLDER = "SELECT COUNT(*) AS n FROM {t} WHERE age >= 50"
MEAN = "SELECT AVG(bmi) AS m FROM {t}"
MEAN_BY_SEX = "SELECT sex, AVG(bmi) AS m FROM {t} GROUP BY sex"
COUNT_BY_SEX = "SELECT sex, COUNT(*) AS n FROM {t} GROUP BY sex"
MEAN_BY_SITE = "SELECT site, AVG(bmi) AS m FROM {t} GROUP BY site"
COUNT_BY_SITE = "SELECT site, COUNT(*) AS n FROM {t} GROUP BY site"
PEOPLE_BY_SITE = "SELECT site, COUNT(DISTINCT patient_id) AS n FROM {t} GROUP BY site"
MEMORY_MIB_TIMES = 2
LINEAR = 13.0  # ten times the rows in at most so many times the time


@dataclass(frozen=True, slots=True)
class Pair:
    """The engine and plain DuckDB, both with one table open."""

    ours: Ours
    plain: duckdb.DuckDBPyConnection
    source: Source

    def times(self, text: str, repeats: int) -> tuple[list[float], list[float]]:
        """Return the milliseconds of the engine's part and of plain DuckDB, taken in turn."""
        plan = self.ours.plan(text.format(t=self.source.table))
        bare = text.format(t=f"{self.source.dataset}.main.rows")
        mine, theirs = in_turn(
            lambda: self.ours.run(plan), lambda: self.plain.execute(bare).fetchall(), repeats=repeats
        )
        return mine, theirs


def plain_duckdb(ours: Ours, threads: int) -> duckdb.DuckDBPyConnection:
    """Return plain DuckDB with the same files attached, under the datasets' names."""
    connection = duckdb.connect(config={"threads": threads, "memory_limit": "4GB"})
    connection.execute("SET enable_progress_bar = false")
    for name, snapshot in ours.snapshots.items():
        connection.execute(f"ATTACH '{snapshot.path}' AS {name} (READ_ONLY)")
    return connection


def one_row_each(pair: Pair, rows: int, repeats: int) -> list[Row]:
    """Return the rows for a table with one row a person."""
    return [
        at_most_times(f"engine, {_short(rows)} people: {title}", *pair.times(text, repeats), 2)
        for title, text in (
            ("COUNT(*), which plain DuckDB knows unread", COUNT),
            ("COUNT(*) WHERE age >= 50", COUNT_OLDER),
            ("AVG(bmi) by sex", MEAN_BY_SEX),
        )
    ]


def _short(rows: int) -> str:
    """Return 1e6 for a million.

    >>> _short(1_000_000)
    '1e6'
    """
    return f"{rows:.0e}".replace("e+0", "e")


def many_rows_each(bounded: Pair, unbounded: Pair, repeats: int) -> list[Row]:
    """Return the rows for 1e6 rows of 1e5 people, with groups per person bounded to 5 and to all 40."""
    rows = [
        at_most_times(f"engine, 1e6 rows of 1e5 people: {title}", *bounded.times(text, repeats), 4)
        for title, text in (("AVG(bmi) by sex", MEAN_BY_SEX), ("COUNT(*) by sex", COUNT_BY_SEX))
    ]
    absolute = (
        ("AVG(bmi) by site, 5 groups a person", MEAN_BY_SITE, bounded, 150),
        ("COUNT(*) by site, 5 groups a person", COUNT_BY_SITE, bounded, 150),
        ("AVG(bmi) by site, rows shared among all groups", MEAN_BY_SITE, unbounded, 150),
        ("people by site, 5 groups a person", PEOPLE_BY_SITE, bounded, 150),
        ("people by site, groups not bounded", PEOPLE_BY_SITE, unbounded, 50),
        ("AVG(bmi), no groups", MEAN, unbounded, 50),
        ("COUNT(*), no groups", COUNT, unbounded, 50),
    )
    for title, text, pair, most in absolute:
        mine, theirs = pair.times(text, repeats)
        row = at_most(f"engine, 1e6 rows of 1e5 people: {title}", mine, most, "ms")
        plain = statistics.median(theirs)
        rows.append(Row(row.row, row.ours, plain, "ms", (row.ours or 0) / plain, row.target, row.met))
    return rows


def linear(title: str, text: str, small: Pair, large: Pair, repeats: int) -> Row:
    """Return the row that compares ten times the rows with the smaller table, whose time is the peer's."""
    first, second = (pair.ours.plan(text.format(t=pair.source.table)) for pair in (small, large))
    before, after = in_turn(lambda: small.ours.run(first), lambda: large.ours.run(second), repeats=repeats)
    return at_most_times(f"engine, 1e7 against 1e6 rows: {title}", after, before, LINEAR)


def memory(
    ours: Ours, catalog: Path, source: Source, texts: Sequence[tuple[str, str]], threads: int
) -> list[Row]:
    """Return a row a question: the memory it takes in a fresh process, ours and plain."""
    path = ours.snapshots[source.dataset].path
    rows = []
    for title, text in texts:
        mine, theirs = (
            [
                measure(kind, path, catalog, source.dataset, text, threads=threads, cap_gib=None)
                for _ in range(3)
            ]
            for kind in ("ours", "plain")
        )
        row = at_most_times(
            f"peak memory, {title}",
            [m["peak_mib"] for m in mine],
            [m["peak_mib"] for m in theirs],
            MEMORY_MIB_TIMES,
            "MiB",
        )
        row.detail["ours"], row.detail["plain"] = mine, theirs
        rows.append(row)
    return rows
