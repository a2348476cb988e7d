"""What the commands print of budgets: accounts as a table, spending with bars, and what a change did."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.markup import escape

from noisegate.cli.show import ROOM_FOR_PATHS, table

Json = Mapping[str, Any]
BAR = 24
EIGHTHS = " ▏▎▍▌▋▊▉█"
ESTIMATE = "ε spent is an estimate; what holds is the limit"
PARTS = (
    "each ε is that of its part alone, at the account's δ: an estimate, and parts do not add up to the whole"
)

Column = tuple[str, bool, Callable[[Json], object]]


def budget(console: Console, found: Json, *, forecast: bool = False) -> None:
    """Print accounts with what they spent and have left; columns that say the same of all are left out."""
    accounts = found["accounts"]
    known = {a["account"] for a in accounts} if console.width < ROOM_FOR_PATHS else set()
    columns: list[Column] = [  # heading, whether aligned right, cell
        ("account", False, lambda a: _branch(a["account"], known)),
        ("level", False, lambda a: a["kind"]),
        ("ε spent", True, lambda a: f"{a['spent']:.4g}"),
        ("ε left", True, lambda a: f"{a['left']:.4g}"),
        ("ε limit", True, lambda a: f"{a['epsilon']:g}"),
        ("at δ", True, lambda a: f"{a['delta']:g}"),
    ]
    if any(a["period"]["until"] for a in accounts):
        columns.append(("ends (UTC)", False, lambda a: _moment(a["period"]["until"])))
    if any(a["period"]["number"] > 1 for a in accounts):
        columns.append(("period", True, lambda a: a["period"]["number"]))
        columns.append(("ε of all periods", True, _lifetime))
    if forecast:
        columns.append(("more like so far", True, _more))
        columns.append(("runs out", False, _runs_out))
    if any(a["state"] != "open" for a in accounts):
        columns.append(("state", False, lambda a: a["state"]))
    numbers = [i for i, (_, right, _) in enumerate(columns) if right]
    rows = [[cell(a) for _, _, cell in columns] for a in accounts]
    console.print(table([heading for heading, _, _ in columns], rows, numbers=numbers))
    for account in accounts:
        if account["reason"]:
            said = f"{account['account']} is {account['state']}: {account['reason']}"
            console.print(escape(said), soft_wrap=True)
        if account["strikes"]:
            count = account["strikes"]
            many = "question" if count == 1 else "questions"
            said = f"{account['account']}: {count} restricted {many}"
            console.print(escape(said), soft_wrap=True)
    console.print(f"[dim]{ESTIMATE}[/dim]")


def changed(console: Console, accounts: Sequence[Json]) -> None:
    """Print accounts that began a period, with what was forfeited and what all periods come to."""
    budget(console, {"accounts": accounts})
    for account in accounts:
        if account["period"]["number"] > 1:
            lifetime, lost = account["lifetime"], account.get("forfeited", 0)
            forfeited = f"; about ε {lost:.4g} of the former one was forfeited" if lost else ""
            said = (
                f"{account['account']} began period {account['period']['number']}{forfeited}; "
                f"all its periods together are ε {lifetime['epsilon']:g}, δ {lifetime['delta']:g}"
            )
            console.print(escape(said), soft_wrap=True)


def odometer(console: Console, found: Json) -> None:
    """Print spending told apart, with bars that compare the parts of each dataset."""
    by, readings = found["by"], found["readings"]
    if not readings:
        console.print("nothing was charged")
        return
    most: dict[str, float] = {}
    for reading in readings:
        most[reading["dataset"]] = max(most.get(reading["dataset"], 0.0), reading["epsilon"] or 0.0)
    told = by != "dataset"
    priced = any(r["surcharge"] for r in readings)
    headings = [
        "dataset",
        *([by] if told else []),
        "charges",
        "ε",
        *(["ε surcharge"] if priced else []),
        "at δ",
        "",
    ]
    rows = [
        [
            reading["dataset"],
            *([reading["of"]] if told else []),
            f"{reading['charges']:,}",
            _epsilon(reading["epsilon"]),
            *([_epsilon(reading["surcharge"])] if priced else []),
            f"{reading['delta']:g}",
            bar(reading["epsilon"] or 0.0, most[reading["dataset"]]),
        ]
        for reading in readings
    ]
    first = 1 + told
    console.print(table(headings, rows, numbers=range(first, first + 3 + priced)))
    console.print(f"[dim]{PARTS}[/dim]")


def bar(value: float, most: float) -> str:
    """Return a bar as long as a value's share of the most, in eighths of a character.

    >>> bar(0.5, 1.0) == "█" * 12, bar(0, 0), bar(1e-9, 1.0)
    (True, '', '▏')
    """
    if value <= 0 or most <= 0:
        return ""
    whole, rest = divmod(max(round(BAR * 8 * min(value / most, 1.0)), 1), 8)
    return "█" * whole + EIGHTHS[rest].strip()


def _branch(account: str, known: Collection[str]) -> str:
    """Return an account's path; its last part alone, indented, where its parent is shown above it."""
    parent, _, name = account.rpartition("/")
    return "  " * account.count("/") + name if parent in known else account


def _moment(text: str | None) -> str:
    return "never" if text is None else datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M")


def _lifetime(account: Json) -> str:
    lifetime = account["lifetime"]
    return f"{_epsilon(lifetime['spent'])} of {lifetime['epsilon']:g}"


def _more(account: Json) -> str:
    more = account["more_like_average"]
    return "–" if more is None else f"about {int(more):,}"


def _runs_out(account: Json) -> str:
    ends = account["runs_out"]
    if ends is None:
        return "–"
    return f"{ends['on']} (period ends)" if ends["because"] == "period ends" else f"about {ends['on']}"


def _epsilon(value: float | None) -> str:
    return "no bound" if value is None else f"{value:.4g}"
