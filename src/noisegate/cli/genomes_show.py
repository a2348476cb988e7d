"""What the commands print of genomes: bars while something is made, releases, stores and advice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from noisegate.cli.show import table

Json = Mapping[str, Any]


@contextmanager
def chunks(console: Console) -> Iterator[Callable[[Json], None]]:
    """Give a function that shows how far a job is, told of it as `GET /v1/jobs/{id}` tells it."""
    columns = (TextColumn("sharing"), BarColumn(), MofNCompleteColumn(), TextColumn("chunks"))
    with Progress(*columns, TimeRemainingColumn(), console=console) as bars:
        task = bars.add_task("", total=None)

        def told(job: Json) -> None:
            progress = job.get("progress")
            if progress and progress["of"]:
                bars.update(task, completed=progress["done"], total=progress["of"])

        yield told


@contextmanager
def bar(console: Console, what: str) -> Iterator[Callable[[float], None]]:
    """Give a function that shows which share of something is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        task = bars.add_task(escape(what), total=1.0)
        yield lambda share: bars.update(task, completed=share)


@contextmanager
def bytes_(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that shows how much of each file is there."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def told(name: str, done: int, of: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(escape(name), total=of)
            bars.update(tasks[name], completed=done)

        yield told


def explanation(console: Console, found: Json) -> None:
    """Print what a release would do and cost."""
    console.print(_facts(found))
    for warning in found["warnings"]:
        console.print(f"[bold]warning:[/bold] {escape(warning)}")


def releases(console: Console, found: Sequence[Json]) -> None:
    """Print releases, one a line."""
    if not found:
        console.print("there are no releases")
        return
    rows = [
        [
            r["id"],
            r["method"],
            f"{r['people']:,}",
            f"{r['variants']:,}",
            _epsilon(r["summary"]),
            _time(r["created"]),
            ", ".join(dict.fromkeys(f["format"] for f in r["files"])),
        ]
        for r in found
        if "damaged" not in r
    ]
    headings = ["release", "method", "people", "variants", "ε a person", "made (UTC)", "formats"]
    if rows:
        console.print(table(headings, rows, numbers=(2, 3, 4)))
    for r in found:
        if "damaged" in r:
            console.print(escape(f"{r['id']} is damaged: {r['damaged']}"), soft_wrap=True)


def release(console: Console, found: Json) -> None:
    """Print a release with its files, and who was granted it."""
    console.print(_facts({**found["summary"], "release": found["id"], "receipt": found["receipt"]}))
    rows = [[f["name"], f["format"], f"{f['bytes']:,}", f["sha256"][:16]] for f in found["files"]]
    console.print(table(["file", "format", "bytes", "sha256"], rows, numbers=(2,)))
    for grant in found.get("grants", ()):
        console.print(
            escape(f"{grant['action']} {grant['analyst']} by {grant['by']}, {_time(grant['at'])} UTC")
        )
    if "custodian" in found:
        console.print(escape(f"exact report, for you alone: {found['custodian']}"), soft_wrap=True)


def store(console: Console, found: Json) -> None:
    """Print what a genotype store holds."""
    made = Table.grid(padding=(0, 2))
    for name, value in found.items():
        if value not in ("", {}, None):
            made.add_row(escape(name.replace("_", " ")), escape(_plain(value)))
    console.print(made)


# What a method of the advice is called when it is shared.
COMMANDS = {
    "xor": "share GENOTYPES --method xor --reference PANEL --restore public",
    "response": "share GENOTYPES --method response --reference PANEL --restore public",
    "response+frequencies": "share GENOTYPES --method response --reference PANEL --restore released",
    "frequencies": "frequencies GENOTYPES --reference PANEL",
    "synthetic": "share GENOTYPES --method synthetic --reference PANEL",
}


def advice(console: Console, found: Json) -> None:
    """Print which method is worth its ε, and how all of them did on a public twin."""
    console.print(escape(found["sentence"]))
    method = found["recommended"]
    if method is not None:
        budget = f"--epsilon {found['epsilon']:g}" + (
            f" --delta {found['delta']:g}" if found["delta"] else ""
        )
        console.print(escape(f"noisegate genomes {COMMANDS[method]} {budget}"), soft_wrap=True)
    headings = ["method", "rows", "ε", "calls that differ", "frequency error", "findings kept", "useful"]
    rows = [
        [
            tried["method"],
            "yes" if tried["rows"] else "no",
            f"{tried['epsilon']:.4g}",
            *(_figure(tried[name]["mean"], tried[name]["error"]) for name in ("point", "frequency", "kept")),
            "yes" if tried["useful"] else "no",
        ]
        for tried in found["tried"]
    ]
    console.print(table(headings, rows, numbers=(2, 3, 4, 5)))


def outcomes(console: Console, found: Json) -> None:
    """Print how well attacks tell members from others."""
    console.print(escape(found["note"]))
    rows = [
        [
            attack["attack"],
            _interval(attack["auc"]),
            *(_interval(power) for power in attack["found"]),
        ]
        for attack in found["attacks"]
    ]
    rates = [f"found at {p['false_positives']:.0%} false" for p in found["attacks"][0]["found"]]
    console.print(table(["attack", "AUC (0.5 is a coin)", *rates], rows, numbers=range(1, 2 + len(rates))))
    for skipped in found["skipped"]:
        console.print(f"[dim]{escape(skipped['attack'])}: {escape(skipped['why'])}[/dim]")


def published(console: Console, found: Json) -> None:
    """Print the label of a copy by the published recipe."""
    console.print(f"[bold]{escape(found['warning'])}[/bold]")
    store(console, {name: value for name, value in found.items() if name != "warning"})


def _figure(mean: float | None, error: float | None) -> str:
    if mean is None:
        return "–"
    return f"{mean:.4f}" if error is None else f"{mean:.4f} ± {1.96 * error:.4f}"


def _interval(found: Json) -> str:
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def _facts(found: Json) -> Table:
    made = Table.grid(padding=(0, 2))
    for name, value in (
        ("release", found.get("release")),
        ("receipt", found.get("receipt")),
        ("what", found["title"]),
        ("people", f"{found['people']:,}, a public number"),
        ("variants", f"{found['variants']:,}"),
        ("loss", _loss(found)),
        ("which", found["meaning"]),
        ("one genotype", _variant(found)),
        ("families", _family(found)),
        ("law", found["law"]),
        ("restored", found["restored"]),
        ("condition", found.get("condition")),
    ):
        if value:
            made.add_row(name, escape(str(value)))
    return made


def _loss(found: Json) -> str:
    delta = found["delta"]
    pure = "" if not delta else f" at δ {delta:.3g}"
    return f"ε {_epsilon(found)}{pure} a person, replaced by any other"


def _epsilon(found: Json) -> str:
    return "no bound" if found["epsilon"] is None else f"{found['epsilon']:.6g}"


def _variant(found: Json) -> str:
    worst = found.get("epsilon_variant")
    return "" if worst is None else f"ε {worst:.4g} at most"


def _family(found: Json) -> str:
    family = found.get("epsilon_family")
    return "" if family is None else f"ε {family:.6g} a declared family"


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _plain(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
