"""The noise of cells as saddlepoint.py takes it: how far out sums of it lie, and on what lattice."""

import math
from dataclasses import dataclass
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.saddlepoint import LAPLACE, LEAST_SCALE, NORMAL, reach
from noisegate.privacy.noise import Gaussian, Laplace, standard_deviation

Reals = NDArray[np.float64]
LAPLACE_QUANTILES = 1.10
FINEST = 16  # a lattice of 1 / FINEST or finer is taken for one of 1 / FINEST
SEEN = 0.01  # of a lattice's wave: what is left of it below this is not seen in a tail
SMOOTH = 1.0  # σ from which a discrete Gaussian's waves are those of a normal law


@dataclass(frozen=True, slots=True)
class Known:
    """A law of noise: its kind and size as a kernel takes them, its variance, and its scale."""

    kind: int
    size: float
    variance: float
    scale: float

    @property
    def stretch(self) -> float:
        """How far its quantiles, alone or of two draws, lie beyond a normal law's, at 97.5 % at most."""
        return LAPLACE_QUANTILES if self.kind == LAPLACE else 1.0

    def reach(self, level: float, coefficients: Reals) -> float:
        """Return an h that Σ coefficient * noise passes with a chance of exp(-level) at most, each way."""
        n = len(coefficients)
        kinds, sizes, ones = np.full(n, self.kind), np.full(n, self.size), np.ones(n)
        return float(reach(level, np.asarray(coefficients, np.float64), kinds, sizes, ones))

    def wave(self, turns: Reals) -> Reals:
        """Return |E exp(2πi turns noise)| of each number of turns."""
        off = np.pi * (turns - np.round(turns))
        if self.kind == LAPLACE:
            steep = math.sinh(min(1 / (2 * self.scale), 300.0)) ** 2
            found: Reals = 1 / (1 + np.sin(off) ** 2 / steep)
            return found
        if self.scale < SMOOTH:
            return np.ones(np.shape(off))
        return np.asarray(np.exp(-2 * (self.scale * off) ** 2), np.float64)


def law_of(noise: Gaussian | Laplace) -> Known:
    """Return the law of a noise; very little Laplace noise is taken for a little more."""
    deviation, scale = standard_deviation(noise), float(noise.scale)
    match noise:
        case Gaussian():
            return Known(NORMAL, scale, deviation**2, scale)
        case Laplace():
            size = math.sinh(1 / (2 * max(scale, LEAST_SCALE))) ** 2
            return Known(LAPLACE, size, deviation**2, scale)
        case _:
            assert_never(noise)


def lattice_step(law: Known, coefficients: Reals) -> float:
    """Return the step of the lattice on which whole numbers plus Σ coefficient * noise lie, or nearly.

        Such a sum is smooth but for waves of 1, 2, 3, … turns a count; the first that noise does not wash out
    tells the step. Too long a step makes p-values larger, never smaller.
    """
    for turns in range(1, FINEST):
        if np.prod(law.wave(turns * coefficients)) > SEEN:
            return 1 / turns
    return 1 / FINEST


def half_wave(law: Known, coefficients: Reals) -> float:
    """Return what Σ coefficient * noise leaves of a wave of half a turn a count, which even numbers have."""
    return float(np.prod(law.wave(coefficients / 2)))
