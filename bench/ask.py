"""`python -m bench ask`: what a question costs, against plain DuckDB, against peers, and in itself."""

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench import data, engine_rows, gateway_rows, ours, peer_rows
from bench.engine_rows import COUNT, MEAN_BY_SEX, MEAN_BY_SITE, Pair
from bench.memory import ChildFailedError, measure
from bench.questions import GROUPS
from bench.rows import Row

Say = Callable[[str], None]
BIG = 100_000_000
BIG_CAP_GIB = 4.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: repeats of engine, peers and questions; seconds and rounds of HTTP load."""

    engine: int
    peers: int
    questions: int
    http_seconds: float
    http_rounds: int
    groups: int


FULL = Scale(engine=15, peers=7, questions=60, http_seconds=5.0, http_rounds=3, groups=3)
QUICK = Scale(engine=5, peers=0, questions=20, http_seconds=1.5, http_rounds=1, groups=1)


def run(*, quick: bool, only: frozenset[str] | None, say: Say) -> tuple[list[Row], dict[str, str]]:
    """Run the sections and return their rows, and versions.

    Args:
        quick: leave out peers and tables above 1e6 rows.
        only: names of sections, None for all.
        say: told what is being done.
    """
    scale = QUICK if quick else FULL
    threads = os.cpu_count() or 1
    versions = {p: version(p) for p in ("noisegate", "duckdb", "sqlglot", "opendp")}
    sections: dict[str, Callable[[Path], list[Row]]] = {
        "engine": lambda place: engine(place, scale, threads, quick=quick),
        "gateway": lambda place: gateway_rows.in_process(place, scale.questions, threads),
        "http": lambda place: gateway_rows.over_http(place, scale.http_seconds, scale.http_rounds, threads),
        "groups": lambda place: [gateway_rows.many_groups(place, scale.groups, threads)],
    }
    if not quick:
        sections["peers"] = lambda place: peers(place, scale, threads, versions)
        sections["big"] = lambda place: big(place, threads)
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


@contextmanager
def _pairs(sources: list[ours.Source], place: Path, threads: int) -> Iterator[tuple[ours.Ours, list[Pair]]]:
    """Open the engine and plain DuckDB on the sources."""
    with (
        ours.opened(sources, place, threads=threads) as mine,
        closing(engine_rows.plain_duckdb(mine, threads)) as plain,
    ):
        yield mine, [Pair(mine, plain, source) for source in sources]


def engine(
    place: Path, scale: Scale, threads: int, *, quick: bool, million: int = data.ENCOUNTERS
) -> list[Row]:
    """Return the rows of target 1, up to ten times a million rows; tests say that a million is less."""
    ten = 10 * million
    sources = [ours.people(million), ours.encounters(rows=million)]
    sources.append(ours.encounters(data.SITES, million))
    if not quick:
        sources += [ours.people(ten), ours.encounters(rows=ten)]
    with _pairs(sources, place, threads) as (mine, pairs):
        people, bounded, unbounded, *large = pairs
        rows = engine_rows.one_row_each(people, million, scale.engine)
        rows += engine_rows.many_rows_each(bounded, unbounded, scale.engine)
        if not large:
            return rows
        many_people, many_encounters = large
        rows += engine_rows.one_row_each(many_people, ten, scale.engine // 2)
        for title, text, small, big_one in (
            ("one row a person, AVG(bmi) by sex", MEAN_BY_SEX, people, many_people),
            ("AVG(bmi) by sex", MEAN_BY_SEX, bounded, many_encounters),
            ("AVG(bmi) by site, 5 groups a person", MEAN_BY_SITE, bounded, many_encounters),
        ):
            rows.append(engine_rows.linear(title, text, small, big_one, scale.engine // 2))
        catalog = place / "catalog.toml"
        rows += engine_rows.memory(
            mine,
            catalog,
            many_people.source,
            [("1e7 people: AVG(bmi) by sex", MEAN_BY_SEX)],
            threads,
        )
        rows += engine_rows.memory(
            mine,
            catalog,
            many_encounters.source,
            [("1e7 rows of 1e6 people: AVG(bmi) by sex", MEAN_BY_SEX)],
            threads,
        )
    return rows


def peers(place: Path, scale: Scale, threads: int, versions: dict[str, str]) -> list[Row]:
    """Return the rows of target 2."""
    source = ours.encounters()
    with ours.opened([source], place, threads=threads) as mine:
        rows, found = peer_rows.compare(lambda name: mine.ask(source, name), source.path, scale.peers)
    versions |= found
    return rows


def big(place: Path, threads: int) -> list[Row]:
    """Return the rows for 1e8 rows: registered and asked in processes that may write 4 GiB."""
    one, by_sex, by_site = (
        ("COUNT(*)", COUNT),
        ("AVG(bmi) by sex", MEAN_BY_SEX),
        (f"AVG(bmi) by site, {GROUPS} groups a person", MEAN_BY_SITE),
    )
    rows = _big(place / "people", ours.people(BIG), "1e8 people", (one, by_sex), threads)
    return rows + _big(
        place / "visits", ours.visits(BIG), "1e8 rows of 1e7 people", (by_sex, by_site), threads
    )


def _big(
    place: Path, source: ours.Source, title: str, questions: tuple[tuple[str, str], ...], threads: int
) -> list[Row]:
    place.mkdir()
    catalog, snapshots = place / "catalog.toml", place / "snapshots"
    catalog.write_text(ours.POLICY + source.toml(), encoding="utf-8")

    def run(kind: str, where: Path, text: str, cap_gib: float | None = BIG_CAP_GIB) -> dict[str, float]:
        return measure(kind, where, catalog, source.dataset, text, threads=threads, cap_gib=cap_gib)

    try:
        rows = [_within_cap(f"{title}: registration", run("register", snapshots, ""))]
    except ChildFailedError as failure:
        rows = [_out_of_memory(f"{title}: registration", failure)]
        run("register", snapshots, "", None)
    path = next(snapshots.glob("*.duckdb"))
    for asked, text in questions:
        try:
            rows.append(_within_cap(f"{title}: {asked}", *(run("ours", path, text) for _ in range(2))))
        except ChildFailedError as failure:
            rows.append(_out_of_memory(f"{title}: {asked}", failure))
    return rows


def _within_cap(title: str, *found: dict[str, float]) -> Row:
    peak = max(m["peak_mib"] for m in found) / 1_024
    seconds = statistics.median(m["seconds"] for m in found)
    return Row(
        f"peak memory, {title}",
        peak,
        None,
        "GiB",
        None,
        f"≤ {BIG_CAP_GIB:g} GiB",
        peak <= BIG_CAP_GIB,
        f"in {seconds:.2g} s",
        {"runs": list(found)},
    )


def _out_of_memory(title: str, failure: Exception) -> Row:
    target = f"≤ {BIG_CAP_GIB:g} GiB"
    return Row(
        f"peak memory, {title}", None, None, "GiB", None, target, False, "failed", {"why": str(failure)}
    )
