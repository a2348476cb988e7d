"""One row a target, and how rows are printed and kept in bench/README.md."""

import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

README = Path(__file__).parent / "README.md"


@dataclass(frozen=True, slots=True)
class Row:
    """What was reached. `ours` and `peer` are medians in `unit`; `ratio` is what `target` speaks of.

    `met` is None where nothing is promised, or where there was nothing to compare with: `note` then says why.
    """

    row: str
    ours: float | None
    peer: float | None
    unit: str
    ratio: float | None
    target: str
    met: bool | None
    note: str = ""
    detail: dict[str, object] = field(default_factory=dict)


def at_most_times(
    row: str, ours: Sequence[float], peer: Sequence[float], most: float, unit: str = "ms", note: str = ""
) -> Row:
    """Return a row for "no more than so many times the peer"."""
    mine, theirs = statistics.median(ours), statistics.median(peer)
    ratio = mine / theirs
    return Row(row, mine, theirs, unit, ratio, f"≤ {most:g} ×", ratio <= most, note, spread(ours, peer))


def faster_by(
    row: str, ours: Sequence[float], peer: Sequence[float], least: float, unit: str = "ms", note: str = ""
) -> Row:
    """Return a row for "at least so many times as fast as the peer"."""
    mine, theirs = statistics.median(ours), statistics.median(peer)
    ratio = theirs / mine
    return Row(
        row, mine, theirs, unit, ratio, f"≥ {least:g} × faster", ratio >= least, note, spread(ours, peer)
    )


def at_least_times(
    row: str, ours: Sequence[float], peer: Sequence[float], least: float, unit: str = "/s", note: str = ""
) -> Row:
    """Return a row for "at least so many times the peer", of figures where more is better."""
    told = beside(row, ours, peer, unit, note)
    assert told.ratio is not None
    return replace(told, target=f"≥ {least:g} ×", met=told.ratio >= least)


def beside(row: str, ours: Sequence[float], peer: Sequence[float], unit: str, note: str = "") -> Row:
    """Return a row that sets ours beside a peer for information, with no target."""
    mine, theirs = statistics.median(ours), statistics.median(peer)
    return Row(row, mine, theirs, unit, mine / theirs, "–", None, note, spread(ours, peer))


def shown(row: str, ours: Sequence[float], unit: str, note: str = "") -> Row:
    """Return a row for information, with no target."""
    return Row(row, statistics.median(ours), None, unit, None, "–", None, note, spread(ours))


def at_most(row: str, ours: Sequence[float], most: float, unit: str, note: str = "") -> Row:
    """Return a row for an upper limit on the median."""
    mine = statistics.median(ours)
    return Row(row, mine, None, unit, None, f"≤ {most:g} {unit}", mine <= most, note, spread(ours))


def at_least(row: str, ours: Sequence[float], least: float, unit: str, note: str = "") -> Row:
    """Return a row for a lower limit on the median."""
    mine = statistics.median(ours)
    return Row(row, mine, None, unit, None, f"≥ {least:g} {unit}", mine >= least, note, spread(ours))


def missing(row: str, unit: str, target: str, note: str) -> Row:
    """Return a row of which nothing could be measured, and why."""
    return Row(row, None, None, unit, None, target, None, note)


def spread(ours: Sequence[float], peer: Sequence[float] = ()) -> dict[str, object]:
    """Return how many repeats there were and how far they lay apart."""
    found: dict[str, object] = {"repeats": len(ours), "ours_range": [min(ours), max(ours)]}
    if peer:
        found["peer_range"] = [min(peer), max(peer)]
    return found


def in_turn(*works: Callable[[], object], repeats: int, warm: int = 1) -> list[list[float]]:
    """Run the works in turn, `warm` rounds unmeasured, and return the milliseconds of each."""
    found: list[list[float]] = [[] for _ in works]
    for turn in range(warm + repeats):
        for place, work in enumerate(works):
            started = time.perf_counter()
            work()
            if turn >= warm:
                found[place].append(1_000 * (time.perf_counter() - started))
    return found


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| row | ours | peer | unit | ratio | target | met |",
        "|---|---:|---:|---|---:|---|---|",
    ]
    lines += [
        f"| {r.row}{f' ({r.note})' if r.note else ''} | {_number(r.ours)} | {_number(r.peer)} | {r.unit} | "
        f"{_number(r.ratio)} | {r.target} | {'–' if r.met is None else 'yes' if r.met else '**no**'} |"
        for r in rows
    ]
    return "\n".join(lines)


def as_json(rows: Sequence[Row]) -> str:
    """Return the rows as JSON."""
    return json.dumps([asdict(r) for r in rows], ensure_ascii=False, indent=1)


def write(name: str, rows: Sequence[Row], versions: str) -> None:
    """Replace the table between this benchmark's markers in bench/README.md."""
    text = README.read_text(encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    README.write_text(f"{before}{begin}\n{table(rows)}\n\n{versions}\n{end}{after}", encoding="utf-8")


def machine(cores: int, load: float) -> str:
    """Return the machine in a few words, without its name, and how busy others kept it before the run."""
    system = f"{platform.system()} {platform.machine()}"
    return f"Python {platform.python_version()}, {system}, {cores} cores, load {load:.1f} at the start"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    if value == 0:
        return "0"
    magnitude = abs(value)
    if magnitude >= 1_000:
        return f"{value:,.0f}"
    if magnitude >= 0.01:
        return f"{value:.3g}"
    return f"{value:.2g}"
