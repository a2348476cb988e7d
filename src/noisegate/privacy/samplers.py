"""The only doors to randomness in the trusted core: OpenDP's exact samplers, and exact rational coins.

TRUSTED. OpenDP draws discrete Laplace, discrete Gaussian and permute-and-flip from the operating system
with rational arithmetic; what it lacks is built from the coins below, which draw through `secrets`.
There is no seed. PROOFS.md, "Noise".
"""

import secrets
from fractions import Fraction
from functools import lru_cache
from math import nextafter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opendp.domains import atom_domain, vector_domain
from opendp.measurements import make_gaussian, make_laplace, make_noisy_max
from opendp.measures import max_divergence
from opendp.metrics import l1_distance, l2_distance, linf_distance
from opendp.mod import enable_features

from noisegate.errors import InternalError

Cells = NDArray[np.int64]
ONE = Fraction(1)


def float_up(value: Fraction) -> Fraction:
    """Return the smallest double that is at least the value, as a fraction. Scales are such numbers."""
    nearest = value.numerator / value.denominator  # correctly rounded: both are integers
    return Fraction(nearest if Fraction(nearest) >= value else nextafter(nearest, float("inf")))


def add_laplace(values: Cells, scale: Fraction) -> Cells:
    """Add independent discrete Laplace noise, P(x) ~ exp(-|x| / scale). Sums saturate at 64 bits."""
    return _add(_laplace(float(scale)), values)


def add_gaussian(values: Cells, sigma: Fraction) -> Cells:
    """Add independent discrete Gaussian noise, P(x) ~ exp(-x² / 2 sigma²). Sums saturate at 64 bits."""
    return _add(_gaussian(float(sigma)), values)


def permute_and_flip(scores: Cells, scale: Fraction) -> int:
    """Return a position, chosen by permute-and-flip: heads for candidate i has exp((score - best) / scale).

    McKenna and Sheldon (2020). Scores lie within ±2^62, so that differences fit.
    """
    return int(_drawn(_noisy_max(float(scale)), scores))


def bernoulli(p: Fraction) -> bool:
    """Return true with probability exactly p, 0 <= p <= 1."""
    return secrets.randbelow(p.denominator) < p.numerator


def bernoulli_exp(rate: Fraction) -> bool:
    """Return true with probability exactly exp(-rate), rate >= 0.

    Canonne, Kamath and Steinke (2020), Algorithm 1.
    """
    while rate > 1:
        if not bernoulli_exp(ONE):
            return False
        rate -= 1
    k = 1
    while bernoulli(rate / k):
        k += 1
    return k % 2 == 1


def geometric_exp(rate: Fraction) -> int:
    """Return k = 0, 1, … with probability exactly (1 - exp(-rate)) exp(-rate k), rate > 0.

    Canonne, Kamath and Steinke (2020), Algorithm 2, without its sign.
    """
    numerator, denominator = rate.numerator, rate.denominator
    while True:
        rest = secrets.randbelow(denominator)
        if bernoulli_exp(Fraction(rest, denominator)):
            break
    wholes = 0
    while bernoulli_exp(ONE):
        wholes += 1
    return (rest + denominator * wholes) // numerator


def _add(measurement: Any, values: Cells) -> Cells:
    if not len(values):
        return values.copy()
    return np.array(_drawn(measurement, np.ascontiguousarray(values)), dtype=np.int64)


def _drawn(measurement: Any, values: Cells) -> Any:
    failed = False
    drawn = None
    try:
        drawn = measurement(values)
    except Exception:  # noqa: BLE001 -- OpenDP's messages quote what they were given
        failed = True
    if failed:  # raised here, so that the first error is not carried along as its context
        raise InternalError("noise could not be drawn, so nothing was released")
    return drawn


@lru_cache(maxsize=1024)
def _laplace(scale: float) -> Any:
    _enable()
    return make_laplace(vector_domain(atom_domain(T="i64")), l1_distance(T="i64"), scale=scale)


@lru_cache(maxsize=1024)
def _gaussian(sigma: float) -> Any:
    _enable()
    return make_gaussian(vector_domain(atom_domain(T="i64")), l2_distance(T="i64"), scale=sigma)


@lru_cache(maxsize=1024)
def _noisy_max(scale: float) -> Any:
    _enable()
    domain = vector_domain(atom_domain(T="i64"))
    return make_noisy_max(domain, linf_distance(T="i64"), max_divergence(), scale=scale)


def _enable() -> None:
    # OpenDP marks all measurements "contrib"; neither floats nor honest-but-curious ones are let in.
    enable_features("contrib")
