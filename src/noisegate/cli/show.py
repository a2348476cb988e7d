"""What the commands print: JSON alone on stdout, or tables for people."""

import json
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from noisegate.client.answer import Answer, budget_line, shown, surcharge_line

Json = Mapping[str, Any]
# Of a pipe or a file: tables there are not folded to a terminal's width.
WIDE = 200
# Narrower terminals than these get long texts under their row, and accounts as a tree.
ROOM_FOR_TEXT = 160
ROOM_FOR_PATHS = 110
# A run of so many columns that differ in their names alone is shown by its ends.
RUN = 12
INDENT = "    "


def as_json(payload: object) -> None:
    """Print a JSON document."""
    print(json.dumps(payload, indent=2, ensure_ascii=False))


def out() -> Console:
    """Return the console of stdout."""
    return _console(sys.stdout)


def progress() -> Console:
    """Return the console of stderr, for all that is not the result."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> Console:
    at_terminal = stream.isatty()
    width = None if at_terminal else WIDE
    # At a terminal lines are broken between words; elsewhere a line stays a line.
    return Console(file=stream, soft_wrap=not at_terminal, highlight=False, emoji=False, width=width)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = ()) -> Table:
    """Return a table; columns at the positions in `numbers` are aligned right."""
    made = Table(show_edge=False, pad_edge=False, header_style="bold")
    for position, heading in enumerate(headings):
        made.add_column(escape(heading), justify="right" if position in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(escape(str(cell)) for cell in row))
    return made


def listing(console: Console, headings: Sequence[str], rows: Sequence[Sequence[object]], text: int) -> None:
    """Print rows whose cell at `text` is long: in its column, or under each row where there is no room."""
    if console.width >= ROOM_FOR_TEXT:
        console.print(table(headings, rows))
        return
    lines = [[str(cell) for i, cell in enumerate(row) if i != text] for row in (headings, *rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for line, row in zip(lines, (None, *rows), strict=True):
        padded = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        console.print(Text(padded, style="bold" if row is None else ""), soft_wrap=True)
        if row is not None and row[text]:
            said = textwrap.indent(textwrap.fill(str(row[text]), console.width - len(INDENT)), INDENT)
            console.print(Text(said, style="dim"), soft_wrap=True)


def answer(console: Console, found: Answer) -> None:
    """Print an answer with its intervals, what it cost and what is left."""
    headings = [f"{c.name} ({c.unit})" if c.unit else c.name for c in found.columns]
    numbers = [i for i, c in enumerate(found.columns) if not c.is_key]
    console.print(table(headings, [[shown(cell) for cell in row] for row in found.cells], numbers=numbers))
    for line in found.footer():
        console.print(f"[dim]{escape(line)}[/dim]")
    said = "; ".join(found.mechanisms)
    console.print(f"[dim]{escape(said)}; receipt {escape(found.receipt['id'])}[/dim]")


def explanation(console: Console, found: Json) -> None:
    """Print what a question would do and cost."""
    for line in found["plan"]:
        console.print(escape(line))
    rows = []
    for expected in found["expected_error"]:
        width = expected["half_width"]
        unit = f" {expected['unit']}" if expected.get("unit") else ""
        rows.append([expected["name"], "–" if width is None else f"± {width:,.4g}{unit}", expected["kind"]])
    console.print(table(["column", "expected error (95 %)", "known how"], rows, numbers=[1]))
    loss, budget = found["loss"], found["budget"]
    replay = " (this question was answered before: free)" if found["price"].get("replay") else ""
    console.print(f"would cost ε {loss['epsilon']:.4g} (δ {loss['delta']:.3g}, per {loss['unit']}){replay}")
    priced(console, found["price"], found["surcharge"])
    console.print(budget_line(budget))
    clamped = ["clamped: " + "; ".join(found["clamping"])] if found["clamping"] else []
    for line in (*found["mechanisms"], *clamped, *found["notes"]):
        console.print(f"[dim]{escape(line)}[/dim]")


def priced(console: Console, price: Json, surcharge: Json) -> None:
    """Print what a question takes beside its loss, line by line, and what the day still allows."""
    if surcharge["factor"] > 1:
        console.print(f"and {surcharge_line(surcharge)}:")
        for line in price["lines"]:
            if line["adds"]:
                console.print(escape(f"  + {line['adds']:.3g}  {line['what']}: {line['why']}"))
    if price["refused"]:
        most = f"more than the {price['max_factor']:g} times that are answered"
        console.print(f"would be refused: {most}; to ask it counts against your account")
    day = price["day"]
    if day is not None:
        console.print(f"today about ε {day['left']:.4g} of {day['most']:g} are left on {day['tier']} columns")


def _time(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S")


def closed_plans(console: Console, found: Sequence[Json], digits: int) -> None:
    """Print closed plans: why, whose, and under each what was asked. So many digits of fingerprints."""
    if not found:
        console.print("no plan is closed")
        return
    rows = [
        [p["fingerprint"][:digits], p["reason"], ", ".join(p["datasets"]), p["receipt"], *_asked(p)]
        for p in found
    ]
    headings = ["fingerprint", "reason", "datasets", "receipt", "time (UTC)", "asker", "question"]
    listing(console, headings, rows, 6)


def _asked(plan: Json) -> tuple[object, ...]:
    return _time(plan["time"]), plan["asker"], plan["question"]


def tokens(console: Console, found: Iterable[Json]) -> None:
    """Print tokens without their secrets."""
    rows = [
        [
            t["id"],
            t["name"],
            t["role"],
            _grants(t["datasets"]),
            _until(t["expires"]),
            t["state"],
            t["project"],
        ]
        for t in found
    ]
    headings = ["id", "name", "role", "datasets", "expires (UTC)", "state", "project"]
    # Where nobody uses projects there is nothing to say of them.
    used = slice(None) if any(row[-1] != "default" for row in rows) else slice(-1)
    console.print(table(headings[used], [row[used] for row in rows]))


def _grants(datasets: Sequence[str] | None) -> str:
    return "all" if datasets is None else ", ".join(datasets)


def _until(expires: str | None) -> str:
    return "never" if expires is None else _time(expires)


def datasets(console: Console, found: Iterable[Json]) -> None:
    """Print datasets with their tables and columns."""
    for dataset in found:
        label = " [SYNTHETIC]" if dataset.get("synthetic") else ""
        limit = dataset["budget"]
        console.print(f"[bold]{escape(dataset['name'])}[/bold]  {escape(dataset['title'])}{escape(label)}")
        every = f" every {limit['every']}" if "every" in limit else ""
        console.print(
            f"  a person is named by {escape(str(dataset['unit']))}; "
            f"ε {limit['epsilon']}, δ {limit['delta']}{every}"
        )
        for held in dataset["tables"]:
            rows = list(_condensed([_column(c) for c in held["columns"]]))
            console.print(f"\n  [bold]{escape(held['in_sql'])}[/bold]  {escape(held.get('title', ''))}")
            if "note" in held:
                console.print(f"  [dim]{escape(held['note'])}[/dim]")
            console.print(table(["column", "type", "tier", "bounds or values", "unit"], rows))
        console.print()


def _condensed(rows: Iterable[list[object]]) -> Iterator[list[object]]:
    """Yield columns; of a long run that differs in names alone, such as variants, its first and its last."""
    for _, alike in groupby(rows, key=lambda row: row[1:]):
        run = list(alike)
        if len(run) < RUN:
            yield from run
        else:
            yield run[0]
            yield [f"… {len(run) - 2} like it …", "", "", "", ""]
            yield run[-1]


def _column(column: Json) -> list[object]:
    if "values" in column:
        domain = ", ".join(map(str, column["values"]))
    elif "low" in column:
        domain = f"{column['low']} to {column['high']}"
    elif "by" in column:
        ranges = ((r["value"], r["low"], r["high"]) for r in column["by"]["ranges"])
        domain = "; ".join(f"{value}: {low} to {high}" for value, low, high in ranges)
    else:
        domain = ""
    domain = domain if len(domain) <= 60 else domain[:57] + "…"
    return [column["name"], column.get("type", ""), column["tier"], domain, column.get("measured_in", "")]
