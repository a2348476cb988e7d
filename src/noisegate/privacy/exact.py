"""Exact cells, sealed: what an engine hands over and nothing but `release` may open.

TRUSTED, against mistakes rather than malice: code in this process could reach into any object. What the
seal stops is the accident: an exact number in a log line, an error, a cache, a pickle or a comparison.
PROOFS.md, "Sealed cells".
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Never, NoReturn

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import EngineFailed
from noisegate.privacy.expressions import Scalar

Cells = NDArray[np.int64]
SEALED = "<exact cells, sealed>"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Contents:
    """What is inside."""

    keys: tuple[tuple[Scalar, ...], ...]
    cells: tuple[Cells, ...]


class Exact:
    """The exact cells of an aggregation.

    Args:
        keys: one tuple a group, in the order of the aggregation's keys; () for the one group of no keys.
        cells: one int64 array a measure, shape (groups,), for a Rank (groups, candidates).

    Raises:
        EngineFailed: arrays of another type or length; the text says nothing of them.
    """

    __slots__ = ("__opened",)
    __opened: Callable[[], _Contents]

    def __init__(self, keys: tuple[tuple[Scalar, ...], ...], cells: tuple[Cells, ...]) -> None:
        if not all(isinstance(c, np.ndarray) and c.dtype == np.int64 and c.ndim in (1, 2) for c in cells):
            raise EngineFailed
        if any(len(c) != len(keys) for c in cells):
            raise EngineFailed
        contents = _Contents(tuple(keys), tuple(c.copy() for c in cells))
        # A closure, so that no tool which walks attributes or slots finds numbers.
        object.__setattr__(self, "_Exact__opened", lambda: contents)

    def __repr__(self) -> str:
        return SEALED

    def __format__(self, spec: str) -> str:
        return SEALED

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("exact cells are sealed: no subclass")

    def __setattr__(self, name: str, value: object) -> Never:
        _refuse()

    def __delattr__(self, name: str) -> Never:
        _refuse()

    def __eq__(self, other: object) -> bool:
        _refuse()

    def __ne__(self, other: object) -> bool:
        _refuse()

    def __hash__(self) -> int:
        _refuse()

    def __bool__(self) -> bool:
        _refuse()

    def __len__(self) -> int:
        _refuse()

    def __iter__(self) -> Never:
        _refuse()

    def __contains__(self, item: object) -> bool:
        _refuse()

    def __getitem__(self, item: object) -> Never:
        _refuse()

    def __array__(self, *args: object, **kwargs: object) -> Never:
        _refuse()

    def __copy__(self) -> Never:
        _refuse()

    def __deepcopy__(self, memo: object) -> Never:
        _refuse()

    def __reduce_ex__(self, protocol: object) -> Never:
        _refuse()

    def __getstate__(self) -> Never:
        _refuse()


def _refuse() -> Never:
    raise TypeError("exact cells are sealed: only release opens them")


def _open(exact: Exact) -> tuple[tuple[tuple[Scalar, ...], ...], tuple[Cells, ...]]:
    """Return keys and cells. For `release.py` alone; a test keeps it so."""
    contents = object.__getattribute__(exact, "_Exact__opened")()
    return contents.keys, contents.cells
