"""An answer as it leaves: rows of values with intervals, what they cost, and the receipt."""

import math
from dataclasses import dataclass
from datetime import date

from noisegate.ask.interval import Interval
from noisegate.privacy.expressions import Scalar


@dataclass(frozen=True, slots=True)
class AnswerColumn:
    """A column's name, its type as SQL would call it, its unit of measure, and whether it holds keys."""

    name: str
    type: str
    measured_in: str
    is_key: bool


@dataclass(frozen=True, slots=True)
class Estimated:
    """A noisy value; `interval` is None where none is known (the documentation says when)."""

    value: Scalar
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """What an account has spent and has left, ε at the account's δ; an estimate, as every odometer."""

    spent: float
    left: float
    delta: float
    more_like_this: int


@dataclass(frozen=True, slots=True)
class Answer:
    """All that /v1/ask says. `nominal` is the ε asked for, `epsilon` and `delta` the stand-alone loss.

    `factor` times the loss was taken from the asker's own account: ε `surcharge` more than the loss.
    `waited` says that the answer waited for a twin's work; it stays inside, for the padding.
    """

    columns: tuple[AnswerColumn, ...]
    rows: tuple[tuple[Estimated | Scalar, ...], ...]
    nominal: float
    epsilon: float
    delta: float
    factor: float
    surcharge: float
    mechanisms: tuple[str, ...]
    clamping: tuple[str, ...]
    notes: tuple[str, ...]
    budget: BudgetLine
    replayed: bool
    receipt_id: str
    receipt_hash: str
    waited: bool = False

    def as_json(self) -> dict[str, object]:
        """Return JSON values only; an infinite end of an interval is null."""
        return {
            "columns": [
                {"name": c.name, "type": c.type, "unit": c.measured_in, "key": c.is_key} for c in self.columns
            ],
            "rows": [[_cell(cell) for cell in row] for row in self.rows],
            "confidence": 0.95,
            "loss": {
                "nominal_epsilon": self.nominal,
                "epsilon": self.epsilon,
                "delta": self.delta,
                "unit": "person",
            },
            "surcharge": {"factor": self.factor, "epsilon": self.surcharge},
            "mechanisms": list(self.mechanisms),
            "clamping": list(self.clamping),
            "notes": list(self.notes),
            "budget": budget_json(self.budget),
            "replayed": self.replayed,
            "receipt": {"id": self.receipt_id, "hash": self.receipt_hash},
        }


def budget_json(line: BudgetLine) -> dict[str, object]:
    """Return a budget line as JSON values."""
    return {
        "spent": line.spent,
        "left": line.left,
        "delta": line.delta,
        "more_like_this": line.more_like_this,
    }


def scalar_json(value: Scalar) -> object:
    """Return a scalar as a JSON value; dates as ISO 8601 text."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _cell(cell: Estimated | Scalar) -> object:
    if not isinstance(cell, Estimated):
        return scalar_json(cell)
    low = high = None
    if cell.interval is not None:
        low, high = _end(cell.interval.low), _end(cell.interval.high)
    return {"value": scalar_json(cell.value), "low": low, "high": high}


def _end(end: float) -> float | None:
    return end if math.isfinite(end) else None
