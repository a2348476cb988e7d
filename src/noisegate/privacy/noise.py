"""Descriptions of noise, and what they promise: draws, half-widths, standard deviations.

TRUSTED. A description holds every number the noise has, as exact fractions of the doubles that are handed
to OpenDP, so that the loss computed from it is the loss of what is drawn. PROOFS.md, "Noise".
"""

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, localcontext
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from noisegate.privacy import samplers, staircase
from noisegate.privacy.curves import decimal_of, exactly
from noisegate.privacy.selection import PermuteAndFlip
from noisegate.privacy.staircase import Staircase

Cells = NDArray[np.int64]
CELL = 2**63
SUMMED = 2_000.0  # discrete Gaussians up to this σ are summed, wider ones bounded by the continuous tail


@dataclass(frozen=True, slots=True)
class Laplace:
    """Discrete Laplace: P(x) proportional to exp(-|x| / scale)."""

    scale: Fraction

    def __post_init__(self) -> None:
        _check_scale(self.scale)


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Discrete Gaussian: P(x) proportional to exp(-x² / 2 scale²)."""

    scale: Fraction

    def __post_init__(self) -> None:
        _check_scale(self.scale)


Additive = Laplace | Gaussian | Staircase
Noise = Additive | PermuteAndFlip


def _check_scale(scale: Fraction) -> None:
    if scale <= 0:
        raise ValueError("a scale is positive")
    if Fraction(float(scale)) != scale:
        raise ValueError("a scale is exactly a double, so that what is drawn is what is described")


def add(noise: Additive, values: Cells) -> Cells:
    """Return values with independent noise added to each, saturated to 64 bits.

    Args:
        noise: its law.
        values: int64, one dimension, any values.

    Raises:
        InternalError: the sampler failed; the text is constant.
    """
    match noise:
        case Laplace(scale=scale):
            return samplers.add_laplace(values, scale)
        case Gaussian(scale=sigma):
            return samplers.add_gaussian(values, sigma)
        case Staircase():
            moved = [min(max(v + staircase.draw(noise), -CELL), CELL - 1) for v in values.tolist()]
            return np.array(moved, dtype=np.int64)
        case _:
            assert_never(noise)


def half_width(noise: Additive, confidence: float | Fraction) -> int:
    """Return a t with P(|noise| <= t) >= confidence, the smallest one, for a wide Gaussian at most one more.

    Args:
        noise: its law.
        confidence: in [0, 1).
    """
    wanted = Fraction(confidence)
    if not 0 <= wanted < 1:
        raise ValueError("a confidence is at least 0 and below 1")
    match noise:
        case Laplace(scale=scale):
            return _laplace_half_width(scale, wanted)
        case Gaussian(scale=sigma):
            return _gaussian_half_width(float(sigma), float(wanted))
        case Staircase():
            return staircase.half_width(noise, wanted)
        case _:
            assert_never(noise)


def standard_deviation(noise: Additive) -> float:
    """Return the standard deviation; for a Gaussian its σ, which bounds that of the discrete law."""
    match noise:
        case Laplace(scale=scale):
            return 1 / (math.sqrt(2) * math.sinh(1 / (2 * float(scale))))
        case Gaussian(scale=sigma):
            return float(sigma)
        case Staircase():
            return staircase.standard_deviation(noise)
        case _:
            assert_never(noise)


def laplace_tail(scale: Fraction, least: int) -> Fraction:
    """Return a bound on P(x >= least) of a discrete Laplace draw, above it by less than 1e-40, least >= 1.

    Exactly exp(-least / scale) / (1 + exp(-1 / scale)).
    """
    if least < 1:
        raise ValueError("the tail starts at 1 or above")
    with localcontext(exactly()):
        top = (-decimal_of(least / scale)).exp()
        tail = Fraction(top / (1 + (-decimal_of(1 / scale)).exp()))
    return min(tail + Fraction(1, 10**45), Fraction(1, 2))


@lru_cache(maxsize=4096)
def _laplace_half_width(scale: Fraction, confidence: Fraction) -> int:
    # P(|x| > t) = 2 exp(-(t + 1) / s) / (1 + exp(-1 / s)) <= 1 - confidence, solved for t.
    with localcontext(exactly()):
        s = decimal_of(scale)
        wanted = s * (2 / (decimal_of(1 - confidence) * (1 + (-1 / s).exp()))).ln() - 1
        return max(0, int(wanted.to_integral_value(rounding=ROUND_CEILING)))


@lru_cache(maxsize=4096)
def _gaussian_half_width(sigma: float, confidence: float) -> int:
    if sigma > SUMMED:
        # P(x >= t + 1) <= P(N(0, σ²) >= t): PROOFS.md, "Noise".
        return math.ceil(sigma * NormalDist().inv_cdf((1 + confidence) / 2) * (1 + 1e-12))
    reach = math.ceil(sigma * 40) + 1
    weights = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    weights[1:] *= 2
    beyond = np.cumsum(weights[::-1])[::-1] / weights.sum()  # P(|x| >= t), small ends summed first
    missed = np.append(beyond[1:], 0.0) * (1 + 1e-12)
    return int(np.argmax(missed <= 1 - confidence))
