"""Exact cells, sealed: what an engine hands over and nothing but `release` may open.

TRUSTED. PROOFS.md, "Sealed cells".
"""

from dataclasses import dataclass, fields
from typing import Never

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import EngineFailed
from noisegate.privacy.expressions import Scalar
from noisegate.privacy.sealed import Sealed, _contents

Cells = NDArray[np.int64]
SEALED = "<exact cells, sealed>"
REFUSAL = "exact cells are sealed: only release opens them"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Counted:
    """How many rows stand at each candidate of each group, where any do: the cells of a quantile.

    int64 arrays of one length: places of groups, places of candidates, counts. Sorted by group, then
    candidate, each pair at most once.

    Raises:
        EngineFailed: arrays of another type, length or order; the text says nothing of them.
    """

    groups: Cells
    candidates: Cells
    counts: Cells

    def __post_init__(self) -> None:
        for field in fields(self):
            given = getattr(self, field.name)
            if not (_is_cells(given) and len(given) == len(self.groups)):
                raise EngineFailed
            held = given.copy()
            held.setflags(write=False)
            object.__setattr__(self, field.name, held)
        step, along = np.diff(self.groups), np.diff(self.candidates)
        if np.any(step < 0) or np.any((step == 0) & (along <= 0)):
            raise EngineFailed
        if len(self.groups) and min(self.groups[0], self.candidates.min()) < 0:
            raise EngineFailed

    def dense(self, groups: Cells, candidates: int) -> Cells:
        """Return the counts of some groups at all candidates: int64, shape (len(groups), candidates)."""
        starts = np.searchsorted(self.groups, groups, "left")
        held = np.searchsorted(self.groups, groups, "right") - starts
        rows = np.repeat(np.arange(len(groups)), held)
        at = np.arange(len(rows)) + np.repeat(starts - (np.cumsum(held) - held), held)
        counts = np.zeros((len(groups), candidates), dtype=np.int64)
        counts[rows, self.candidates[at]] = self.counts[at]
        return counts

    def within(self, groups: int, candidates: int) -> bool:
        """Whether there are no other groups and candidates than so many."""
        return not len(self.groups) or bool(self.groups[-1] < groups and self.candidates.max() < candidates)

    def __repr__(self) -> str:
        return SEALED

    def __reduce_ex__(self, protocol: object) -> Never:
        raise TypeError(REFUSAL)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Contents:
    """What is inside."""

    keys: tuple[tuple[Scalar, ...], ...]
    cells: tuple[Cells | Counted, ...]


def _is_cells(given: object) -> bool:
    return isinstance(given, np.ndarray) and given.dtype == np.int64 and given.ndim == 1


class Exact(Sealed[_Contents]):
    """The exact cells of an aggregation.

    Args:
        keys: one tuple a group, in the order of the aggregation's keys; () for the one group of no keys.
        cells: for each measure an int64 array of shape (groups,), for a Rank the counts at its candidates.

    Raises:
        EngineFailed: cells of another type, or not one for each group; the text says nothing of them.
    """

    __slots__ = ()
    shown = SEALED
    refusal = REFUSAL

    def __init__(self, keys: tuple[tuple[Scalar, ...], ...], cells: tuple[Cells | Counted, ...]) -> None:
        if not all(isinstance(c, Counted) or (_is_cells(c) and len(c) == len(keys)) for c in cells):
            raise EngineFailed
        # Counts were copied when they were made, and cannot be written to.
        held = tuple(c if isinstance(c, Counted) else c.copy() for c in cells)
        super().__init__(_Contents(tuple(keys), held))


def _open(exact: Exact) -> tuple[tuple[tuple[Scalar, ...], ...], tuple[Cells | Counted, ...]]:
    """Return keys and cells. For `release.py` alone; a test keeps it so."""
    contents = _contents(exact)
    return contents.keys, contents.cells
