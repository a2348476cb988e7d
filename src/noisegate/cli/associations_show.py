"""What the commands print of association."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from noisegate.cli.show import priced, table
from noisegate.client.answer import Answer, Cell, Scalar, budget_line, shown

Json = Mapping[str, Any]
NUMBERS = ("position", "cases", "controls", "odds_ratio", "chi2", "p", "p_genotypic", "p_adjusted")


def association(console: Console, found: Answer) -> None:
    """Print an association: how many people, a line a variant, what it cost and what is left."""
    groups = found.json["groups"]
    sizes = ", ".join(f"{name} {_size(groups[name])}" for name in ("cases", "controls"))
    console.print(f"{sizes}, of {found.json['people']:,} people on the roster")
    names = [column.name for column in found.columns]
    rows = [[_shown(name, cell) for name, cell in zip(names, row, strict=True)] for row in found.cells]
    numbers = [i for i, name in enumerate(names) if name in NUMBERS]
    console.print(table([name.replace("_", " ") for name in names], rows, numbers=numbers))
    for line in found.footer():
        console.print(f"[dim]{escape(line)}[/dim]")
    said = "; ".join(found.mechanisms)
    console.print(f"[dim]{escape(said)}; receipt {escape(found.receipt['id'])}[/dim]")


def explanation(console: Console, found: Json) -> None:
    """Print what an association would do and cost."""
    for line in found["plan"]:
        console.print(escape(line))
    rows: Sequence[Sequence[object]] = [
        [line["name"], f"± {line['half_width']:,.4g}"] for line in found["expected_error"]
    ]
    console.print(table(["what", "expected error (95 %)"], rows, numbers=[1]))
    loss = found["loss"]
    replay = " (this was answered before: free)" if found["price"]["replay"] else ""
    console.print(f"would cost ε {loss['epsilon']:.4g} (δ {loss['delta']:.3g}, per {loss['unit']}){replay}")
    priced(console, found["price"], found["surcharge"])
    console.print(budget_line(found["budget"]))
    for line in (*found["mechanisms"], *found["notes"]):
        console.print(f"[dim]{escape(line)}[/dim]")


def _size(size: Json) -> str:
    return shown(Cell(float(size["value"]), size["low"], size["high"]))


def _shown(name: str, cell: Cell | Scalar) -> str:
    """Return a cell; positions as numbers of places, tests in few digits."""
    if name == "position":
        return str(cell)
    if isinstance(cell, float):
        return f"{cell:.3g}"
    return shown(cell)
