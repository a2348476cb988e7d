"""Who is in a private relation, sealed: what an engine hands over and nothing but `labels` may open.

TRUSTED. PROOFS.md, "Members".
"""

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import EngineFailed
from noisegate.privacy.sealed import Sealed, _contents

Units = NDArray[np.generic]


class Members(Sealed[Units]):
    """The units of one population that have a row.

    Args:
        population: whose units they are: a public fact, which may be read.
        units: int64, or objects that are all text; of one dimension, in any order.

    Raises:
        EngineFailed: units of another type or shape; the text says nothing of them.
    """

    __slots__ = ("population",)
    shown = "<members, sealed>"
    refusal = "who is a member is sealed: only labels opens it"
    population: str

    def __init__(self, population: str, units: Units) -> None:
        texts = units.dtype == np.object_ and all(isinstance(unit, str) for unit in units)
        if units.ndim != 1 or not (texts or units.dtype == np.int64):
            raise EngineFailed
        super().__init__(units.copy())
        object.__setattr__(self, "population", population)


def _open(members: Members) -> Units:
    """Return the units. For `genomics/labels.py` alone; a test keeps it so."""
    return _contents(members)
