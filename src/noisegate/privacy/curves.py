"""Rényi curves of the mechanisms there are: each function gives a `Loss` that is never too small.

TRUSTED. All real numbers are computed with DIGITS decimal digits. `decimal` rounds its exp and ln
correctly, so every operation errs by at most one unit in its last digit; where a formula subtracts
numbers near 1 this is an absolute error below 1e-70 for a loss that a Loss can hold at all. SLACK, far
above that error and far below one nano-unit, is added before the one rounding up to nano-units.
PROOFS.md, "Loss".
"""

import math
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

from noisegate.privacy.loss import INFINITE, NANO, ORDERS, ZERO, Loss, delta_up, least, nano_up

DIGITS = 100
SLACK = Fraction(1, 10**40)
MOST_STEPS = 10**12
# Past this a loss is INFINITE at every order, and exponents would leave the range of `decimal`.
LARGEST = Fraction(INFINITE, NANO)


def exactly(digits: int = DIGITS) -> Context:
    """Return a decimal context in which exp and ln neither overflow nor underflow here."""
    return Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN)


def decimal_of(value: Fraction) -> Decimal:
    """Return the nearest decimal in the current context."""
    return Decimal(value.numerator) / Decimal(value.denominator)


@lru_cache(maxsize=4096)
def pure(epsilon: Fraction, count: int = 1) -> Loss:
    """Return the loss of `count` independent releases, each epsilon-differentially private.

    The curve is that of randomised response, which every ε-DP pair of outputs is a post-processing of
    (Kairouz, Oh and Viswanath 2015). Written so that nothing overflows, order a has
    ε + ln((1 + exp(-(2a - 1) ε)) / (1 + exp(-ε))) / (a - 1).

    >>> pure(Fraction(1)).pure_epsilon
    Fraction(1, 1)
    """
    if epsilon < 0 or count < 0:
        raise ValueError("a loss is not negative")
    if epsilon == 0 or count == 0:
        return ZERO
    if epsilon >= LARGEST:
        return Loss((INFINITE,) * len(ORDERS))
    with localcontext(exactly()):
        one = Decimal(1)
        divisor = (one + (-decimal_of(epsilon)).exp()).ln()
        curve = []
        for order in ORDERS[:-1]:
            a = Fraction(order)
            above = (one + (-decimal_of((2 * a - 1) * epsilon)).exp()).ln()
            gain = Fraction(above - divisor) / (a - 1)
            curve.append(_up(epsilon + gain, epsilon, count))
    return Loss((*curve, nano_up(epsilon * count)))


def _up(value: Fraction, most: Fraction, count: int) -> int:
    """Round `count` times a computed divergence up; it is known not to pass `most`."""
    return nano_up(min(value + SLACK, most) * count)


@lru_cache(maxsize=4096)
def bounded_range(epsilon: Fraction, count: int = 1) -> Loss:
    """Return the loss of `count` releases, one after the other, each of range at most epsilon.

    A release has that range where the logarithms of its outputs' ratios of probability between neighbours
    lie within an interval of this length, as those of an exponential mechanism do: Durfee and Rogers (2019).
    It is epsilon-DP, and order a has at most a * epsilon² / 8: Cesar and Rogers (2021).
    """
    if epsilon < 0 or count < 0:
        raise ValueError("a loss is not negative")
    curve = (nano_up(Fraction(order) * epsilon**2 / 8 * count) for order in ORDERS[:-1])
    return least(pure(epsilon, count), Loss((*curve, INFINITE)))


def gaussian(rho: Fraction) -> Loss:
    """Return the loss of rho-zero-concentrated DP: order a has a * rho, and no pure ε.

    The discrete Gaussian has it with rho = Δ₂² / (2 σ²): Canonne, Kamath and Steinke (2020), Theorem 14.
    """
    if rho < 0:
        raise ValueError("a loss is not negative")
    if rho == 0:
        return ZERO
    return Loss((*(nano_up(Fraction(order) * rho) for order in ORDERS[:-1]), INFINITE))


def with_delta(loss: Loss, delta: Fraction) -> Loss:
    """Return the loss with a further probability of no guarantee."""
    if delta < 0:
        raise ValueError("a probability is not negative")
    return loss + Loss((0,) * len(ORDERS), delta_up(delta))


@lru_cache(maxsize=1024)
def subsampled_gaussian(rate: Fraction, sigma: Fraction, steps: int) -> Loss:
    """Return the loss of `steps` Gaussian releases, each on a Poisson sample of the units.

    Add or remove one unit. At whole orders, Mironov, Talwar and Zhang (2019), Section 3.3; between two
    of them (a - 1) R_a is convex in a, so the chord through its neighbours, 0 at order 1, bounds it;
    and sampling never adds to the loss, so the unsampled Gaussian bounds it as well.

    Args:
        rate: probability with which a unit is in a sample, in [0, 1].
        sigma: standard deviation of the noise, as a multiple of the L2 sensitivity, > 0.
        steps: how many releases, up to 1e12.
    """
    if not 0 <= rate <= 1 or sigma <= 0 or not 0 <= steps <= MOST_STEPS:
        raise ValueError("a sampled Gaussian needs a rate in [0, 1], sigma > 0 and a number of steps")
    if rate == 0 or steps == 0:
        return ZERO
    unsampled = gaussian(steps / (2 * sigma * sigma))
    if rate == 1 or 1 / (2 * sigma * sigma) > LARGEST:
        return unsampled
    finite = [Fraction(order) for order in ORDERS[:-1]]
    whole = {w for a in finite for w in (math.floor(a), math.ceil(a)) if w >= 2}
    moments = {1: Fraction(0)} | {a: _log_moment(a, rate, sigma) for a in whole}
    curve = []
    for a, plain in zip(finite, unsampled.renyi, strict=False):
        low, high = math.floor(a), math.ceil(a)
        share = a - low
        chord = moments[low] if low == high else (1 - share) * moments[low] + share * moments[high]
        curve.append(min(nano_up((chord + SLACK) / (a - 1) * steps), plain))
    return Loss((*curve, INFINITE))


def _log_moment(order: int, rate: Fraction, sigma: Fraction) -> Fraction:
    """Return (a - 1) R_a = ln Σ_k C(a, k) (1 - q)^(a-k) q^k exp((k² - k) / 2σ²), for a whole order a."""
    with localcontext(exactly()):
        q, variance = decimal_of(rate), sigma * sigma
        rest = decimal_of(1 - rate)
        total = Decimal(0)
        for k in range(order + 1):
            gain = decimal_of((k * k - k) / (2 * variance)).exp()
            total += math.comb(order, k) * rest ** (order - k) * q**k * gain
        return Fraction(total.ln())
