"""Memory for large arrays that are filled at once and soon dropped, as those of a chunk are."""

import math
from typing import Any

import numpy as np
import pyarrow as pa


def pooled(shape: int | tuple[int, ...], kind: Any) -> Any:
    """Return an array to be filled, from Arrow's pool, where memory that was used before costs no faults.

    numpy's own goes back to the system when a large array is dropped, and comes from there page by page.

    >>> pooled((2, 3), np.int32).shape, pooled(0, np.uint8).tolist()
    ((2, 3), [])
    """
    sizes = (shape,) if isinstance(shape, int) else shape
    held = pa.allocate_buffer(math.prod(sizes) * np.dtype(kind).itemsize)
    return np.frombuffer(held, kind).reshape(sizes)
