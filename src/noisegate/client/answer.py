"""An answer as it came over HTTP, and its forms: a table to read, a data frame to go on with."""

import html
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noisegate.errors import BadInput

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Scalar = int | float | bool | str | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name, SQL type and unit of measure. Key columns hold plain values, others `Cell`s."""

    name: str
    type: str
    unit: str
    is_key: bool


@dataclass(frozen=True, slots=True)
class Cell:
    """A noisy value and the ends of its interval; an end is None where it is unknown or infinite."""

    value: Scalar
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a gateway said to a question. `json` is the reply as it came; the rest is read from it.

    Attributes:
        cells: the rows; a key is a plain value, anything noisy a `Cell`.
        confidence: of the intervals, 0.95. They cover the noise, not the clamping named in `clamping`.
        loss: `{"epsilon", "delta", "nominal_epsilon", "unit"}`, what the answer may reveal of one person.
        surcharge: `{"factor", "epsilon"}`, what the asker's own account was charged beside the loss.
        budget: `{"spent", "left", "delta", "more_like_this"}` of the asker's account.
        receipt: `{"id", "hash"}` of where it is written down.
        replayed: whether this is the stored answer of an earlier twin, at no cost.
    """

    columns: tuple[Column, ...]
    cells: tuple[tuple[Cell | Scalar, ...], ...]
    confidence: float
    loss: Mapping[str, Any]
    surcharge: Mapping[str, Any]
    mechanisms: tuple[str, ...]
    clamping: tuple[str, ...]
    notes: tuple[str, ...]
    budget: Mapping[str, Any]
    replayed: bool
    receipt: Mapping[str, str]
    json: Mapping[str, Any]

    @classmethod
    def from_json(cls, reply: Mapping[str, Any]) -> "Answer":
        """Read a reply of /v1/ask. Fields of later versions are kept in `json`."""
        columns = tuple(
            Column(c["name"], c["type"], c.get("unit", ""), bool(c.get("key", False)))
            for c in reply["columns"]
        )
        return cls(
            columns=columns,
            cells=tuple(tuple(_cell(c) for c in row) for row in reply["rows"]),
            confidence=reply["confidence"],
            loss=reply["loss"],
            surcharge=reply.get("surcharge", {"factor": 1.0, "epsilon": 0.0}),
            mechanisms=tuple(reply.get("mechanisms", ())),
            clamping=tuple(reply.get("clamping", ())),
            notes=tuple(reply.get("notes", ())),
            budget=reply["budget"],
            replayed=reply["replayed"],
            receipt=reply["receipt"],
            json=reply,
        )

    @property
    def rows(self) -> tuple[tuple[Scalar, ...], ...]:
        """The rows as plain values, intervals left out."""
        return tuple(tuple(c.value if isinstance(c, Cell) else c for c in row) for row in self.cells)

    @property
    def value(self) -> Scalar:
        """The value of an answer of one cell. Raises BadInput where there are more."""
        return self._only().value

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """The interval of an answer of one cell. Raises BadInput where there are more."""
        only = self._only()
        return only.low, only.high

    def _only(self) -> Cell:
        if len(self.cells) == 1:
            noisy = [c for c in self.cells[0] if isinstance(c, Cell)]
            if len(noisy) == 1:
                return noisy[0]
        raise BadInput(
            f"this answer has {len(self.cells)} rows of {len(self.columns)} columns, not one value",
            "use .rows, .cells or .to_polars()",
        )

    def to_columns(self) -> dict[str, list[Scalar]]:
        """Return columns by name; `NAME_low` and `NAME_high` stand beside each noisy one."""
        found: dict[str, list[Scalar]] = {}
        for position, column in enumerate(self.columns):
            cells = [row[position] for row in self.cells]
            name = _free(column.name, found)
            found[name] = [c.value if isinstance(c, Cell) else c for c in cells]
            if not column.is_key:
                found[_free(f"{column.name}_low", found)] = [_end(c, "low") for c in cells]
                found[_free(f"{column.name}_high", found)] = [_end(c, "high") for c in cells]
        return found

    def to_polars(self) -> "polars.DataFrame":
        """Return a polars data frame; needs polars (`pip install 'noisegate[frames]'`)."""
        import polars

        return polars.DataFrame(self.to_columns(), strict=False)

    def to_pandas(self) -> "pandas.DataFrame":
        """Return a pandas data frame; needs pandas (`pip install 'noisegate[frames]'`)."""
        import pandas

        return pandas.DataFrame(self.to_columns())

    def to_arrow(self) -> "pyarrow.Table":
        """Return an Arrow table."""
        import pyarrow

        return pyarrow.table(self.to_columns())

    def __repr__(self) -> str:
        """Show the answer as a table with what it cost."""
        lines = [[_heading(c) for c in self.columns], *([shown(c) for c in row] for row in self.cells)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        text = [
            "  ".join(f"{cell:<{w}}" for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        text.insert(1, "  ".join("-" * w for w in widths))
        return "\n".join([*text, *self.footer()])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{html.escape(_heading(c))}</th>" for c in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(shown(c))}</td>" for c in row) + "</tr>" for row in self.cells
        )
        footer = "<br>".join(html.escape(line) for line in self.footer())
        return (
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
            f'<p style="font-size:smaller">{footer}</p>'
        )

    def footer(self) -> Iterator[str]:
        """Yield the lines that belong under a table of this answer."""
        yield cost_line(self.loss, replayed=self.replayed)
        if self.surcharge["factor"] > 1:
            yield f"and {surcharge_line(self.surcharge)}"
        yield budget_line(self.budget)
        if self.clamping:
            yield "clamped: " + "; ".join(self.clamping)
        yield from self.notes


def shown(cell: Cell | Scalar) -> str:
    """Return a cell as people read it, with two digits of what is uncertain.

    >>> shown(Cell(1234, 1230.0, 1238.0)), shown(Cell(27.318, 27.1, 27.6)), shown(None)
    ('1,234 ± 4', '27.32 (27.10 to 27.60)', 'NULL')
    """
    if not isinstance(cell, Cell):
        return _number(cell)
    value, low, high = cell.value, cell.low, cell.high
    if isinstance(value, bool | str | None) or (low is None and high is None):
        return _number(value)
    reach = max(abs(end - value) for end in (low, high) if end is not None)
    if reach == 0:
        return f"{_number(value)} ± 0"
    digits = 0 if isinstance(value, int) else min(max(1 - math.floor(math.log10(reach)), 0), 12)
    if low is not None and high is not None and abs((high - value) - (value - low)) <= reach / 1_000:
        return f"{value:,.{digits}f} ± {reach:,.{digits}f}"
    ends = ("-∞" if low is None else f"{low:,.{digits}f}", "∞" if high is None else f"{high:,.{digits}f}")
    return f"{value:,.{digits}f} ({ends[0]} to {ends[1]})"


def cost_line(loss: Mapping[str, Any], *, replayed: bool) -> str:
    """Return what an answer cost, in words.

    >>> cost_line({"epsilon": 0.5, "delta": 0.0, "unit": "person"}, replayed=False)
    'cost ε 0.5 (δ 0, per person)'
    """
    price = f"ε {loss['epsilon']:.4g} (δ {loss['delta']:.3g}, per {loss['unit']})"
    return f"cost nothing: the answer of an earlier twin, which cost {price}" if replayed else f"cost {price}"


def surcharge_line(surcharge: Mapping[str, Any]) -> str:
    """Return what a question takes beside its loss, in words.

    >>> surcharge_line({"factor": 1.25, "epsilon": 0.125})
    'ε 0.125 more from your own budget, 1.25 times in all, for how few people it singles out'
    """
    return (
        f"ε {surcharge['epsilon']:.4g} more from your own budget, {surcharge['factor']:.4g} times in all, "
        "for how few people it singles out"
    )


def budget_line(budget: Mapping[str, Any]) -> str:
    """Return what is left of a budget, in words.

    >>> budget_line({"spent": 0.5, "left": 9.5, "delta": 1e-6, "more_like_this": 19})
    'budget left about ε 9.5 at δ 1e-06: about 19 more like this'
    """
    return (
        f"budget left about ε {budget['left']:.4g} at δ {budget['delta']:.3g}: "
        f"about {int(budget['more_like_this']):,} more like this"
    )


def _number(value: Scalar) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value:,}"
        case float():
            return f"{int(value):,}" if value.is_integer() and abs(value) < 1e15 else f"{value:,.6g}"
        case _:
            return str(value)


def _heading(column: Column) -> str:
    return f"{column.name} [{column.unit}]" if column.unit else column.name


def _cell(raw: Any) -> Cell | Scalar:
    return Cell(raw["value"], raw["low"], raw["high"]) if isinstance(raw, dict) else raw


def _end(cell: Cell | Scalar, end: str) -> float | None:
    found: float | None = getattr(cell, end) if isinstance(cell, Cell) else None
    return found


def _free(name: str, taken: Mapping[str, object]) -> str:
    """Return a name that is not taken: SQL allows two columns of one name, data frames do not."""
    candidate, count = name, 2
    while candidate in taken:
        candidate, count = f"{name}_{count}", count + 1
    return candidate
