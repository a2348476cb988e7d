"""What the commands print: JSON alone on stdout, or tables for people."""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from noisegate.client.answer import Answer, shown

Json = Mapping[str, Any]
WIDE = 200


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
    # Tables in a pipe or a file are not folded to a terminal's width.
    width = None if stream.isatty() else WIDE
    return Console(file=stream, soft_wrap=True, highlight=False, width=width)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Sequence[int] = ()) -> Table:
    """Return a table; columns at the positions in `numbers` are aligned right."""
    made = Table(show_edge=False, pad_edge=False, header_style="bold")
    for position, heading in enumerate(headings):
        made.add_column(escape(heading), justify="right" if position in numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(escape(str(cell)) for cell in row))
    return made


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
    console.print(
        f"budget left about ε {budget['left']:.4g}: about {int(budget['more_like_this']):,} more like this"
    )
    for label in ("mechanisms", "clamping", "notes"):
        for line in found.get(label, ()):
            console.print(f"[dim]{escape(str(line))}[/dim]")


def budget(console: Console, found: Json) -> None:
    """Print accounts with what they spent and have left."""
    rows = [
        [
            a["account"],
            a["kind"],
            f"{a['spent']:.4g}",
            f"{a['left']:.4g}",
            f"{a['epsilon']:g}",
            f"{a['delta']:g}",
        ]
        for a in found["accounts"]
    ]
    headings = ["account", "level", "ε spent", "ε left", "ε limit", "at δ"]
    console.print(table(headings, rows, numbers=[2, 3, 4, 5]))


def receipts(console: Console, found: Json) -> None:
    """Print receipts, one a line."""
    rows = [
        [r["id"], _time(r["time"]), r["kind"], _about(r["body"]), r["hash"][:12]] for r in found["receipts"]
    ]
    console.print(table(["receipt", "time (UTC)", "kind", "about", "hash"], rows))
    if found.get("next") is not None:
        console.print(f"[dim]more with --after {found['next']}[/dim]")


def _time(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S")


def _about(body: Json) -> str:
    public = body.get("public")
    if isinstance(public, dict) and "question" in public:
        return f"ε {public['epsilon']:.4g} {public['asker']}: {public['question']}"
    if "version" in body:
        return f"data version {body['version']}"
    return str(body.get("account", body.get("reason", "")))


def tokens(console: Console, found: Iterable[Json]) -> None:
    """Print tokens without their secrets."""
    rows = [
        [t["id"], t["name"], t["role"], _grants(t["datasets"]), t["expires"] or "never", t["state"]]
        for t in found
    ]
    console.print(table(["id", "name", "role", "datasets", "expires", "state"], rows))


def _grants(datasets: Sequence[str] | None) -> str:
    return "all" if datasets is None else ", ".join(datasets)


def datasets(console: Console, found: Iterable[Json]) -> None:
    """Print datasets with their tables and columns."""
    for dataset in found:
        label = " [SYNTHETIC]" if dataset.get("synthetic") else ""
        limit = dataset["budget"]
        console.print(f"[bold]{escape(dataset['name'])}[/bold]  {escape(dataset['title'])}{escape(label)}")
        console.print(
            f"  a person is named by {escape(str(dataset['unit']))}; ε {limit['epsilon']}, δ {limit['delta']}"
        )
        for held in dataset["tables"]:
            rows = [_column(c) for c in held["columns"]]
            console.print(f"\n  [bold]{escape(held['in_sql'])}[/bold]  {escape(held.get('title', ''))}")
            console.print(table(["column", "type", "tier", "bounds or values", "unit"], rows))
        console.print()


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
