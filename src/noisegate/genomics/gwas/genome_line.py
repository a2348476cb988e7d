"""The line a Manhattan plot stands on: chromosomes side by side, each variant at its place."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate.genotypes.variants import Variants

Reals = NDArray[np.float64]
_LETTERS = {"X": 23, "Y": 24, "XY": 25, "MT": 26}
_LAST = 1_000
_GAP = 0.012  # of the line, shared among the gaps between chromosomes


@dataclass(frozen=True, slots=True)
class Stretch:
    """One chromosome: its name, and its two ends on the line, in [0, 1]."""

    name: str
    start: float
    end: float

    @property
    def middle(self) -> float:
        """Half-way between its ends."""
        return (self.start + self.end) / 2


@dataclass(frozen=True, slots=True, eq=False)
class GenomeLine:
    """Where variants stand.

    `at` is float64 of shape (variants,), in [0, 1]; `which` int64 of shape (variants,): the place in
    `stretches`. `low` and `high` are the first and last position of a line of one chromosome, in base pairs;
    None where there are several chromosomes, or no positions are known.
    """

    at: Reals
    which: NDArray[np.int64]
    stretches: tuple[Stretch, ...]
    low: int | None
    high: int | None


def line_of(variants: Variants) -> GenomeLine:
    """Return the line of some variants.

    Chromosomes come in the order 1 to 22, X, Y, XY, MT, then others as they appear, each as wide as the span
    of its variants. Where no variant has a position they stand at equal distances, in the order of the store.
    """
    names, number = variants.contigs
    order = sorted(range(len(names)), key=lambda i: (_rank(names[i]), i))
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    which = rank[number]
    pos = variants.pos.astype(np.float64)
    placed = bool(pos.any())
    if not placed:
        pos = np.arange(1, len(pos) + 1, dtype=np.float64)
    lowest, highest = (np.full(len(names), start) for start in (np.inf, -np.inf))
    np.minimum.at(lowest, which, pos)
    np.maximum.at(highest, which, pos)
    spans = highest - lowest + 1
    gap = _GAP / (len(names) - 1) if len(names) > 1 else 0.0
    scale = (1 - gap * (len(names) - 1)) / spans.sum()
    starts = np.concatenate([[0.0], np.cumsum(spans * scale + gap)[:-1]])
    stretches = tuple(
        Stretch(names[i], float(starts[j]), float(starts[j] + spans[j] * scale)) for j, i in enumerate(order)
    )
    at = starts[which] + (pos - lowest[which] + 0.5) * scale
    alone = placed and len(names) == 1
    return GenomeLine(
        at, which, stretches, int(lowest[0]) if alone else None, int(highest[0]) if alone else None
    )


def shown(stretches: tuple[Stretch, ...], room: float) -> tuple[Stretch, ...]:
    """Return the chromosomes whose names fit below the line, from left to right.

    Args:
        stretches: from left to right.
        room: the share of the line that one character takes.
    """
    kept: list[Stretch] = []
    for stretch in stretches:
        half = (len(stretch.name) + 1) * room / 2
        if not kept or stretch.middle - half >= kept[-1].middle + (len(kept[-1].name) + 1) * room / 2:
            kept.append(stretch)
    return tuple(kept)


def marks_of(low: int, high: int, most: int = 9) -> tuple[list[tuple[float, str]], str]:
    """Return marks along one chromosome, as places in [0, 1] with a number each, and the numbers' unit.

    >>> marks_of(900_000, 3_100_000, most=5)[0][0], marks_of(900_000, 3_100_000)[1]  # doctest: +ELLIPSIS
    ((0.0454547..., '1'), 'Mb')
    """
    step = next(f * 10**k for k in range(10) for f in (1, 2, 5) if (high - low) / (f * 10**k) <= most)
    size, unit = next((s, u) for s, u in ((10**6, "Mb"), (1_000, "kb"), (1, "bases")) if step >= s / 10)
    first = -(-low // step) * step
    marks = range(first, high + 1, step)
    return [((at - low + 0.5) / (high - low + 1), f"{at / size:,.10g}") for at in marks], unit


def _rank(name: str) -> int:
    """Return where a chromosome comes."""
    if name.isascii() and name.isdigit():
        return int(name) if int(name) else _LAST
    return _LETTERS.get(name, _LAST)
