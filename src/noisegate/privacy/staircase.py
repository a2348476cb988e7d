"""The discrete staircase mechanism: less noise than Laplace for one integer at a large ε.

TRUSTED. Geng and Viswanath (2014), "The Optimal Mechanism in Differential Privacy", for an integer query of
sensitivity Δ: P(x) is proportional to exp(-ε stair(x)), where stair 0 holds |x| < width and every further
stair the next Δ magnitudes. Drawn exactly, from rational coins.
PROOFS.md, "Staircase".
"""

import math
import secrets
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

from noisegate.privacy.curves import decimal_of, exactly
from noisegate.privacy.samplers import geometric_exp

MOST_EPSILON = 16  # rejection takes up to exp(ε / 2) rounds
WORTH_STAIRS = 1  # below this ε stairs gain less than 4 % over Laplace
ENOUGH_DIGITS = 50


@dataclass(frozen=True, slots=True)
class Staircase:
    """Noise for one integer.

    `sensitivity` is the length of a stair, `width` that of stair 0 on either side, 1 <= width <= sensitivity.
    """

    sensitivity: int
    epsilon: Fraction
    width: int

    def __post_init__(self) -> None:
        if not 1 <= self.width <= self.sensitivity:
            raise ValueError("a staircase needs 1 <= width <= sensitivity")
        if not 0 < self.epsilon <= MOST_EPSILON:
            raise ValueError(f"a staircase needs 0 < epsilon <= {MOST_EPSILON}")


def draw(noise: Staircase) -> int:
    """Return one draw.

    A stair (geometric) and a place on it (uniform) make a magnitude; stair 0 is cut to its width and
    one of the two zeros is dropped, by rejection.
    """
    while True:
        stair = geometric_exp(noise.epsilon)
        place = secrets.randbelow(noise.sensitivity)
        if stair == 0 and place >= noise.width:
            continue
        magnitude = place if stair == 0 else noise.width + (stair - 1) * noise.sensitivity + place
        negative = secrets.randbits(1)
        if negative and magnitude == 0:
            continue
        return -magnitude if negative else magnitude


def stair_of(noise: Staircase, x: int) -> int:
    """Return which stair a value stands on; its probability is proportional to exp(-ε stair)."""
    size = abs(x)
    return 0 if size < noise.width else 1 + (size - noise.width) // noise.sensitivity


def best_width(sensitivity: int, epsilon: Fraction) -> int:
    """Return the width of stair 0 that makes the expected magnitude smallest.

    As a function of width that is a convex quadratic over a positive line, so it falls, then rises.
    """
    low, high = 1, sensitivity
    while low < high:
        middle = (low + high) // 2
        if _mean(sensitivity, epsilon, middle) > _mean(sensitivity, epsilon, middle + 1):
            low = middle + 1
        else:
            high = middle
    return low


def half_width(noise: Staircase, confidence: Fraction) -> int:
    """Return the smallest t with P(|x| <= t) >= confidence."""
    with localcontext(exactly(ENOUGH_DIGITS)):
        most = decimal_of(1 - confidence)
        low, high = -1, noise.width
        while _beyond(noise, high) > most:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            if _beyond(noise, middle) > most:
                low = middle
            else:
                high = middle
        return high


def standard_deviation(noise: Staircase) -> float:
    """Return the standard deviation."""
    step, fall, first = noise.sensitivity, math.exp(-noise.epsilon), noise.width
    total = (first - 1) * first * (2 * first - 1) / 6
    mass = float(first)
    stair, weight = 1, fall
    while weight > 1e-20:
        start = first + (stair - 1) * step
        sums = step * start**2 + start * step * (step - 1) + (step - 1) * step * (2 * step - 1) / 6
        total += weight * sums
        mass += weight * step
        stair, weight = stair + 1, weight * fall
    return math.sqrt(2 * total / (2 * mass - 1))


def _mean(sensitivity: int, epsilon: Fraction, width: int) -> Fraction:
    """Return the expected magnitude, to far more digits than a comparison of neighbours needs."""
    with localcontext(exactly()):
        fall = (-decimal_of(epsilon)).exp()
        tail = fall / (1 - fall)  # Σ fall^k over k >= 1; Σ (k - 1) fall^k is its square
        step, first = Decimal(sensitivity), Decimal(width)
        mass = first + step * tail
        total = first * (first - 1) / 2 + step * first * tail
        total += step * step * tail * tail + step * (step - 1) / 2 * tail
        return Fraction(2 * total / (2 * mass - 1))


def _beyond(noise: Staircase, size: int) -> Decimal:
    """Return P(|x| > size), size >= 0."""
    fall = (-decimal_of(noise.epsilon)).exp()
    tail = fall / (1 - fall)
    step, first = noise.sensitivity, noise.width
    stair = stair_of(noise, size)
    last = first - 1 + stair * step  # of this stair
    above = (Decimal(last - size) + step * tail) * fall**stair
    return 2 * above / (2 * (first + step * tail) - 1)
