"""Noise on counts, drawn for a simulation: the law of `privacy.noise`, from numbers that hide nobody.

Exact samplers of secret noise are slow, and what they draw can be drawn but once. A simulation draws
millions, from public key streams, so that the same question has the same answer; that its law is off by the
rounding of floats does not matter. Nothing that is released is drawn here.
"""

from functools import lru_cache
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from noisegate.privacy.noise import Gaussian, Laplace

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

WIDE = 1_000.0  # deviation from which on a discrete Gaussian is a rounded one, but for 1e-7 of its variance
FAR = 12.0  # deviations that are tabulated


def simulated(noise: Gaussian | Laplace, uniform: Floats) -> Counts:
    """Return simulated noise, int64 of shape (count,).

    A discrete Laplace variable is the difference of two geometric ones; a discrete Gaussian one is looked up
    in the table of its distribution function.

    Args:
        noise: its law.
        uniform: float64, shape (2, count), in [0, 1).
    """
    match noise:
        case Laplace(scale=scale):
            least = 2.0**-54  # so that 0 has a logarithm
            first, second = (np.floor(-np.log(part + least) * float(scale)) for part in uniform)
            return np.asarray(np.clip(first - second, -(2.0**62), 2.0**62), np.int64)
        case Gaussian(scale=sigma) if float(sigma) > WIDE:
            from scipy.special import ndtri  # an extra's module, and slow to load

            found = np.rint(ndtri(np.clip(uniform[0], 2.0**-54, 1 - 2.0**-53)) * float(sigma))
            return np.asarray(np.clip(found, -(2.0**62), 2.0**62), np.int64)
        case Gaussian(scale=sigma):
            below = _table(float(sigma))
            return np.asarray(np.searchsorted(below, uniform[0], side="right") - len(below) // 2, np.int64)
        case _:
            assert_never(noise)


@lru_cache(maxsize=8)
def _table(sigma: float) -> Floats:
    """Return P(noise <= k) for k from -reach to reach."""
    reach = int(np.ceil(FAR * sigma)) + 1
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    found = np.cumsum(weights)
    found /= found[-1]
    found.setflags(write=False)
    return np.asarray(found, np.float64)
