"""What is found of the variants of a chunk, column by column."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]
MOST_WORDS = 127


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A column of few different words: `words[codes[i]]` is in row i; int8 of shape (rows,)."""

    codes: NDArray[np.int8]
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.codes.dtype != np.int8 or self.codes.ndim != 1:
            raise ValueError("codes are int8, one a row")
        if not 0 < len(self.words) <= MOST_WORDS:
            raise ValueError("between 1 and 127 words")
        if len(self.codes) and not 0 <= self.codes.min() <= self.codes.max() < len(self.words):
            raise ValueError("a code has no word")


# float64, NaN where it is not defined; or int64; or words. In the order in which they are written.
Column = Reals | Counts | Coded
Columns = Mapping[str, Column]


def value(column: Column, row: int) -> float | int | str | None:
    """Return one value, as JSON has it: None where it is not defined, or infinite.

    >>> value(np.array([0.5, np.nan]), 1), value(Coded(np.zeros(1, np.int8), ("ok",)), 0)
    (None, 'ok')
    """
    if isinstance(column, Coded):
        return column.words[int(column.codes[row])]
    found: float | int = column[row].item()
    return found if math.isfinite(found) else None
