"""The only doors to randomness in the trusted core: OpenDP's exact samplers, and exact coins.

TRUSTED. OpenDP draws discrete Laplace and discrete Gaussian from the operating system with rational
arithmetic; permute-and-flip, the exponential mechanism, and what else it lacks, is built from the coins
below, which draw through `secrets`. There is no seed. PROOFS.md, "Noise", for permute-and-flip
"Selection", and for the exponential mechanism "Choosing variants".
"""

import secrets
from decimal import localcontext
from fractions import Fraction
from functools import lru_cache
from math import nextafter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from opendp.domains import atom_domain, vector_domain
from opendp.measurements import make_gaussian, make_laplace
from opendp.metrics import l1_distance, l2_distance
from opendp.mod import enable_features

from noisegate.errors import InternalError
from noisegate.privacy.curves import decimal_of, exactly

Cells = NDArray[np.int64]
ONE = Fraction(1)
PICKS = 2**12  # that are tried at a time
WORD = 32  # bits a coin is decided by, but for one in a million
MARGIN = 2.0**-20  # how far a floating-point exponential is trusted, relatively: far less than it deserves


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


def permute_and_flip(scores: Cells, scale: Fraction) -> Cells:
    """Return a position for each group, chosen by permute-and-flip.

    Heads for candidate i has probability exp((score - best) / scale), and one of the heads is taken at
    random: what flipping in random order until the first heads gives. McKenna and Sheldon (2020).

    Args:
        scores: shape (groups, candidates), each within ±2^61, so that differences fit.
        scale: above 0.
    """
    heads = exponential_coins(scores.max(axis=1, keepdims=True) - scores, scale)
    found = np.count_nonzero(heads, axis=1)  # the best is among them
    taken = np.fromiter((secrets.randbelow(n) for n in found.tolist()), np.int64, len(found))
    chosen: Cells = np.nonzero(heads)[1][np.cumsum(found) - found + taken]
    return chosen


def exponential_choice(scores: Cells, scale: Fraction) -> int:
    """Return a place, chosen with probability proportional to exp(score / scale), exactly.

    The exponential mechanism of McSherry and Talwar (2007), by rejection: a place is picked evenly, and taken
    with probability exp((score - best) / scale); else another is picked.

    Args:
        scores: shape (candidates,), at least one, each within ±2^61, so that differences fit.
        scale: above 0.
    """
    best = scores.max()
    while True:
        picked = even_picks(len(scores), PICKS)
        heads = exponential_coins(best - scores[picked], scale)
        if heads.any():
            return int(picked[np.argmax(heads)])


def even_picks(places: int, count: int) -> NDArray[np.int64]:
    """Return independent even picks of 0 to places - 1, at most `count` of them and at least one.

    Words of 64 bits past the last whole multiple of `places` are thrown away, so that none is likelier.
    """
    while True:
        words = np.frombuffer(secrets.token_bytes(8 * count), np.uint64)
        kept = words[words <= np.uint64(2**64 // places * places - 1)]
        if len(kept):
            return (kept % np.uint64(places)).astype(np.int64)


def exponential_coins(gaps: Cells, scale: Fraction) -> NDArray[np.bool_]:
    """Return for each gap >= 0, of any shape, true with probability exactly exp(-gap / scale).

    A coin is heads where a uniform U of [0, 1) lies below the exponential. WORD bits of U decide that unless
    they lie within MARGIN of it as floating point gives it; then more bits and more digits do.
    """
    drawn = np.frombuffer(secrets.token_bytes(gaps.size * WORD // 8), np.uint32).reshape(gaps.shape)
    with np.errstate(over="ignore", under="ignore"):
        odds = np.exp(gaps / -float(scale)) * 2.0**WORD
    heads: NDArray[np.bool_] = drawn + 1.0 <= odds * (1 - MARGIN)
    unsure = (drawn <= odds * (1 + MARGIN)) & ~heads
    for place in zip(*np.nonzero(unsure), strict=True):
        heads[place] = _lies_below(int(drawn[place]), WORD, Fraction(int(gaps[place])) / scale)
    return heads


def _lies_below(digits: int, count: int, rate: Fraction) -> bool:
    """Whether U < exp(-rate), for a U whose first `count` binary digits are given; others are drawn."""
    if rate == 0:
        return True
    while True:
        digits, count = digits << 64 | secrets.randbits(64), count + 64
        with localcontext(exactly(count)):  # errs by far less than a unit in the last binary digit
            nearest = int((-decimal_of(rate)).exp() * 2**count)
        if abs(digits - nearest) > 1:
            return digits < nearest


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


def _enable() -> None:
    # OpenDP marks all measurements "contrib"; neither floats nor honest-but-curious ones are let in.
    enable_features("contrib")
