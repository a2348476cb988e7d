"""From sealed exact cells to noisy ones: the only place where exact cells are opened.

TRUSTED. PROOFS.md, "Release".
"""

import itertools
import math
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import EngineFailed
from noisegate.privacy.exact import Counted, Exact, _open
from noisegate.privacy.expressions import Scalar, Type
from noisegate.privacy.mechanism import Mechanism, check
from noisegate.privacy.noise import add
from noisegate.privacy.question import Aggregation, Rank
from noisegate.privacy.selection import PermuteAndFlip, select

Cells = NDArray[np.int64]
Places = NDArray[np.intp]
Opened = tuple[Cells | Counted, ...]
Keys = tuple[tuple[Scalar, ...], ...]
SAFE = 2**53  # integers beyond it are written as text: many JSON readers have doubles only


@dataclass(frozen=True, slots=True, eq=False)
class Noisy:
    """Noisy cells, which are free to be shown.

    `keys` holds a tuple a group; `cells` an int64 array a measure, shape (groups,), for a Rank
    (groups, 3): value, low and high.
    """

    keys: Keys
    cells: tuple[Cells, ...]

    def __post_init__(self) -> None:
        if any(len(c) != len(self.keys) for c in self.cells):
            raise ValueError("noisy cells have one entry a group")

    def __eq__(self, other: object) -> bool:
        """Whether keys (types included) and cells are the same."""
        return isinstance(other, Noisy) and self.as_json() == other.as_json()

    def __hash__(self) -> int:
        return hash(self.keys)

    def as_json(self) -> dict[str, object]:
        """Return JSON values from which `from_json` makes the same cells again, type for type."""
        return {
            "keys": [[_scalar_out(v) for v in key] for key in self.keys],
            "cells": [
                {"shape": list(c.shape), "values": [_int_out(v) for v in c.reshape(-1).tolist()]}
                for c in self.cells
            ],
        }

    @classmethod
    def from_json(cls, stored: dict[str, object]) -> "Noisy":
        """Return what `as_json` was made from.

        Raises:
            ValueError: not written by `as_json`.
        """
        match stored:
            case {"keys": list(keys), "cells": list(cells)}:
                return cls(
                    tuple(tuple(_scalar_in(v) for v in key) for key in keys),
                    tuple(_cells_in(c) for c in cells),
                )
            case _:
                raise ValueError("not a stored answer")


def release(exact: Exact, aggregation: Aggregation, mechanism: Mechanism) -> Noisy:
    """Add the mechanism's noise to every cell, and drop groups of private keys below the threshold.

    Claim: one unit's presence changes the outcome by at most `mechanism.loss_of(aggregation, mechanism)`.
    Needs: that loss has been charged, and the cells are those of the aggregation, bounded as it says.
    Edges: no group gives no row; groups of public keys are released in the order of their domains, those
    of private keys sorted, so that no order of rows carries information.

    Raises:
        EngineFailed: keys or shapes are not those of the aggregation. The text is constant.
    """
    check(aggregation, mechanism)
    keys, cells = _open(exact)
    _check_shapes(aggregation, keys, cells)
    if not aggregation.private_keys:
        keys, order = _in_public_order(aggregation, keys)
        noisy = (_noisy(aggregation, mechanism, cells, m, order) for m in range(len(cells)))
        return Noisy(keys, tuple(noisy))
    return _release_private_keys(aggregation, mechanism, keys, cells)


def _release_private_keys(aggregation: Aggregation, mechanism: Mechanism, keys: Keys, cells: Opened) -> Noisy:
    units = cells[0]
    if mechanism.threshold is None or isinstance(units, Counted):
        raise EngineFailed
    # A group nobody stands in must not show: its being there would be a fact of the rows.
    held = np.flatnonzero(units >= 1)
    counted = _noisy(aggregation, mechanism, cells, 0, held)
    shown = np.flatnonzero(counted >= mechanism.threshold)
    # Noise does not know which group it falls on, so only the groups that show need be put in order.
    sortable = [tuple(map(_sortable, keys[i])) for i in held[shown].tolist()]
    shown = shown[np.array(sorted(range(len(shown)), key=sortable.__getitem__), dtype=np.intp)]
    left = held[shown]
    others = (_noisy(aggregation, mechanism, cells, m, left) for m in range(1, len(cells)))
    return Noisy(tuple(keys[i] for i in left.tolist()), (counted[shown], *others))


def _noisy(aggregation: Aggregation, mechanism: Mechanism, cells: Opened, m: int, places: Places) -> Cells:
    """Return the noisy cells of measure m, for the groups at these places and in their order."""
    noise, measure, cell = mechanism.noises[m], aggregation.measures[m], cells[m]
    if isinstance(noise, PermuteAndFlip):
        if not isinstance(measure, Rank) or not isinstance(cell, Counted):
            raise EngineFailed
        return select(measure, noise, cell, places)
    if isinstance(cell, Counted):
        raise EngineFailed
    return add(noise, cell[places])


def _check_shapes(aggregation: Aggregation, keys: Keys, cells: Opened) -> None:
    if len(cells) != len(aggregation.measures):
        raise EngineFailed
    for measure, cell in zip(aggregation.measures, cells, strict=True):
        if isinstance(measure, Rank) != isinstance(cell, Counted):
            raise EngineFailed
        if (
            isinstance(measure, Rank)
            and isinstance(cell, Counted)
            and not cell.within(len(keys), measure.candidates)
        ):
            raise EngineFailed
    if any(len(key) != len(aggregation.keys) for key in keys):
        raise EngineFailed
    # One NaN is not equal to another, so keys that may hold it are compared as they sort.
    may_be_nan = any(key.expression.type is Type.FLOAT for key in aggregation.keys)
    if len({tuple(map(_sortable, key)) for key in keys} if may_be_nan else set(keys)) != len(keys):
        raise EngineFailed


def _in_public_order(aggregation: Aggregation, keys: Keys) -> tuple[Keys, Places]:
    """Return every combination of the public domains, in the order they list them, and where each is."""
    domains = [key.domain for key in aggregation.keys if key.domain is not None]
    wanted = tuple(itertools.product(*domains))
    if keys == wanted:
        return wanted, np.arange(len(wanted))
    place = {key: i for i, key in enumerate(keys)}
    if len(keys) != len(wanted) or any(key not in place for key in wanted):
        raise EngineFailed
    return wanted, np.array([place[key] for key in wanted], dtype=np.intp)


def _sortable(value: Scalar) -> tuple[int, Scalar]:
    """Return a sort key: values, then NaN, then NULL."""
    if value is None:
        return (2, 0)
    if isinstance(value, float) and math.isnan(value):
        return (1, 0)
    return (0, value)


def _int_out(value: int) -> int | str:
    return value if -SAFE <= value <= SAFE else str(value)


def _scalar_out(value: Scalar) -> object:
    match value:
        case None | bool() | str():
            return value
        case int():
            return {"int": str(value)}
        case float():
            return {"float": value.hex()}
        case datetime():
            return {"timestamp": value.isoformat()}
        case date():
            return {"date": value.isoformat()}


def _scalar_in(stored: object) -> Scalar:
    match stored:
        case None | bool() | str():
            return stored
        case {"int": str(text)}:
            return int(text)
        case {"float": str(text)}:
            return float.fromhex(text)
        case {"timestamp": str(text)}:
            return datetime.fromisoformat(text)
        case {"date": str(text)}:
            return date.fromisoformat(text)
        case _:
            raise ValueError("not a stored key")


def _cells_in(stored: object) -> Cells:
    match stored:
        case {"shape": list(shape), "values": list(values)}:
            return np.array([int(v) for v in values], dtype=np.int64).reshape(shape)
        case _:
            raise ValueError("not stored cells")
