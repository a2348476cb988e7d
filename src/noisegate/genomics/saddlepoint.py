"""Tails of a contrast between two groups of people, by saddlepoint.

The law is that of chance alone. N people, of whom M_k have genotype k, are parted at random into n cases and
the rest; c_k cases have genotype k. Independent noise of known law is added:

    S = Σ_k w_k c_k - (n / N) Σ_k w_k M_k + Σ_j coefficient_j * noise_j.

Given that n people of N are cases, the c_k are binomial counts of a common chance, conditioned on their sum.
So log E exp(S s) is found by two numbers, s and u, where
K(s, u) = Σ_k M_k log(1 - n/N + n/N exp(s w_k + u)) - s n/N Σ_k w_k M_k + Σ_j k_j(s coefficient_j),
and the tail is the double saddlepoint of I. M. Skovgaard (1987), "Saddlepoint expansions for conditional
distributions", Journal of Applied Probability 24, with the second continuity correction of H. E. Daniels
(1987), "Tail probability approximations", International Statistical Review 55, for sums on a lattice. Noise
enters by its own cumulant generating function k_j.

Everything here is a numba kernel of floats. Noise is given as arrays of shape (terms,): coefficient float64,
kind int64, size float64 as `cumulants` takes it, count float64, how many such draws there are.
"""

import math

import numpy as np
from numba import njit

LAPLACE, NORMAL = 0, 1
LEAST_SCALE = 1 / 3  # Laplace noise below it is taken for noise of this scale, which is more
ROUNDS = 60
TINY = 1e-300
DOUBTFUL = 0.05
EVEN = 5e-3  # |w| below which both tails are given as one half


@njit(cache=True, nogil=True)
def cumulants(kind, size, x):  # type: ignore[no-untyped-def]
    """Return (k, k', k'') at x of one draw of noise.

    `size` is sinh(1 / 2b)² of a discrete Laplace law of scale b, or σ.
    """
    if kind == LAPLACE:
        half = math.sinh(x / 2)
        square = half * half
        left = size - square
        slope = half * math.sqrt(1 + square) / left
        return -math.log1p(-square / size), slope, (0.5 + square) / left + slope * slope
    variance = size * size
    return variance * x * x / 2, variance * x, variance


@njit(cache=True, nogil=True)
def _noise(s, coefficient, kind, size, count, terms):  # type: ignore[no-untyped-def]
    value = slope = curve = 0.0
    for j in range(terms):
        c = coefficient[j]
        k, k1, k2 = cumulants(kind[j], size[j], s * c)
        value += count[j] * k
        slope += count[j] * c * k1
        curve += count[j] * c * c * k2
    return value, slope, curve


@njit(cache=True, nogil=True)
def _slopes(s, coefficient, kind, size, count, terms):  # type: ignore[no-untyped-def]
    """Return the first and second derivative of what `_noise` returns, in about half the time."""
    slope = curve = 0.0
    for j in range(terms):
        c = coefficient[j]
        if kind[j] == LAPLACE:
            grown = math.exp(s * c / 2)
            half = (grown - 1 / grown) / 2
            square = half * half
            inverse = 1 / (size[j] - square)
            k1 = half * math.sqrt(1 + square) * inverse
            k2 = (0.5 + square) * inverse + k1 * k1
        else:
            k2 = size[j] * size[j]
            k1 = k2 * s * c
        slope += count[j] * c * k1
        curve += count[j] * c * c * k2
    return slope, curve


@njit(cache=True, nogil=True)
def _limit(coefficient, kind, size, terms):  # type: ignore[no-untyped-def]
    """Return the s at which a Laplace term's moments cease to exist, or infinity."""
    found = math.inf
    for j in range(terms):
        if kind[j] == LAPLACE and coefficient[j] != 0.0:
            found = min(found, 2 * math.asinh(math.sqrt(size[j])) / abs(coefficient[j]))
    return found


@njit(cache=True, nogil=True)
def _moments(s, u, r, w, m):  # type: ignore[no-untyped-def]
    """Return the means of S and of the cases and their second moments, of the people's part."""
    first = cases = ss = su = uu = 0.0
    for k in range(3):
        if m[k] > 0.0:
            z = s * w[k] + u
            if z > 0:
                p = r / (r + (1 - r) * math.exp(-z))
            else:
                e = r * math.exp(z)
                p = e / (1 - r + e)
            v = m[k] * p * (1 - p)
            first += m[k] * w[k] * (p - r)
            cases += m[k] * (p - r)
            ss += v * w[k] * w[k]
            su += v * w[k]
            uu += v
    return first, cases, ss, su, uu


@njit(cache=True, nogil=True)
def _level(s, u, r, w, m):  # type: ignore[no-untyped-def]
    """Return K(s, u) - u n of the people's part."""
    found = 0.0
    for k in range(3):
        if m[k] > 0.0:
            z = s * w[k] + u
            grown = z + math.log(r + (1 - r) * math.exp(-z)) if z > 0 else math.log1p(r * math.expm1(z))
            found += m[k] * (grown - r * z)
    return found


@njit(cache=True, nogil=True)
def tail(t, step, n, m, w, coefficient, kind, size, count, terms):  # type: ignore[no-untyped-def]
    """Return P(S >= t), where S lies on a lattice of this step, or nearly; step 0 for none.

    Args:
        t: from where on.
        step: of the lattice, at least 0.
        n: cases, above 0 and below the sum of m.
        m: people of each genotype, float64 (3,), not negative; need not be whole.
        w: weights, float64 (3,).
        coefficient: with kind, size, count: the noise; the first `terms` entries count.
        kind: LAPLACE or NORMAL.
        size: as `cumulants` takes it.
        count: how many such draws.
        terms: how many entries there are.
    """
    people = m[0] + m[1] + m[2]
    r = n / people
    t -= step / 2
    _, _, ss, su, uu = _moments(0.0, 0.0, r, w, m)
    _, curve = _slopes(0.0, coefficient, kind, size, count, terms)
    start = uu
    variance = ss - su * su / uu + curve
    if variance <= TINY:
        return 1.0 if t <= 0 else 0.0
    edge = _limit(coefficient, kind, size, terms)
    low, high = -edge, edge
    s = t / variance
    if abs(s) >= edge:
        s = math.copysign(0.9 * edge, s)
    u = -su / uu * s
    for _ in range(ROUNDS):
        for _ in range(ROUNDS):
            first, cases, ss, su, uu = _moments(s, u, r, w, m)
            if abs(cases) <= 1e-6 * start + 1e-12 or uu <= TINY:
                break
            move = -cases / uu
            u += min(max(move, -2.0), 2.0)
        slope, curve = _slopes(s, coefficient, kind, size, count, terms)
        gap = first + slope - t
        if gap > 0:
            high = s
        else:
            low = s
        variance = curve + (ss - su * su / uu if uu > TINY else 0.0)
        if abs(gap) <= 1e-4 * math.sqrt(variance) or high - low <= 1e-13 * abs(s):
            break
        wanted = s - gap / variance if variance > TINY else math.inf
        if not low < wanted < high:
            if math.isinf(low) or math.isinf(high):
                wanted = 2 * s if abs(s) > 1e-3 else math.copysign(1.0, t)
            else:
                wanted = (low + high) / 2
        u += -su / uu * (wanted - s) if uu > TINY else 0.0
        s = wanted
        if abs(s) > 1e6:
            break
    value, _, curve = _noise(s, coefficient, kind, size, count, terms)
    exponent = s * t - value - _level(s, u, r, w, m)
    first, cases, ss, su, uu = _moments(s, u, r, w, m)
    root = math.copysign(math.sqrt(max(2 * exponent, 0.0)), s)
    if abs(root) < EVEN:
        return 0.5
    spread = math.sqrt(max(((ss + curve) * uu - su * su) / start, 0.0))
    factor = s if step == 0 else 2 * math.sinh(min(max(step * s / 2, -300.0), 300.0)) / step
    density = math.exp(-max(exponent, 0.0)) / math.sqrt(2 * math.pi)
    plain = 0.5 * math.erfc(root / math.sqrt(2))
    if spread * abs(factor) <= TINY:
        return 1.0 if root < 0 else min(1.0, math.exp(-max(exponent, 0.0)))
    found = plain + density * (1 / (factor * spread) - 1 / root)
    if found < DOUBTFUL * plain:
        return min(1.0, math.exp(-max(exponent, 0.0)))  # Chernoff's bound, where the expansion breaks down
    return min(found, 1.0)


@njit(cache=True, nogil=True)
def reach(level, coefficient, kind, size, count):  # type: ignore[no-untyped-def]
    """Return an h that Σ coefficient * noise reaches with a chance of exp(-level) at most.

    The smaller of what Chernoff's bound gives and what the saddlepoint does, a tenth of the chance and half
    of the largest coefficient being kept in hand.
    """
    terms = len(coefficient)
    low, high = -40.0, 40.0
    largest = 0.0
    for j in range(terms):
        largest = max(largest, abs(coefficient[j]))
        if kind[j] == LAPLACE and coefficient[j] != 0.0:
            edge = 2 * math.asinh(math.sqrt(size[j])) / abs(coefficient[j])
            high = min(high, math.log(edge) - 1e-9)
    if largest == 0.0:
        return 0.0
    best = math.inf
    for _ in range(4):
        width = (high - low) / 16
        at = low
        for i in range(17):
            s = math.exp(low + i * width)
            value = level
            for j in range(terms):
                value += count[j] * cumulants(kind[j], size[j], s * coefficient[j])[0]
            if value / s < best:
                best = value / s
                at = low + i * width
        low, high = at - width, min(high, at + width)
    nobody, nothing = np.array([2.0, 0.0, 0.0]), np.zeros(3)
    under, over = 0.0, best
    for _ in range(16):
        middle = (under + over) / 2
        if tail(middle, 0.0, 1.0, nobody, nothing, coefficient, kind, size, count, terms) > 0.9 * math.exp(
            -level
        ):
            under = middle
        else:
            over = middle
    return min(best, over + largest / 2)


@njit(cache=True, nogil=True)
def tilt(level, variance, coefficient, kind, size, count, terms):  # type: ignore[no-untyped-def]
    """Return the s at which s K'(s) - K(s) = level, of a normal law of this variance and noise.

    It is how steeply the tail falls, -d ln P / dt, where it has fallen to about exp(-level).
    """
    _, curve = _slopes(0.0, coefficient, kind, size, count, terms)
    s = math.sqrt(2 * level / (variance + curve))
    edge = _limit(coefficient, kind, size, terms)
    if s >= 0.95 * edge:
        s = 0.95 * edge
    for _ in range(8):
        value, slope, curve = _noise(s, coefficient, kind, size, count, terms)
        gap = s * slope - value + variance * s * s / 2 - level
        move = gap / (s * (curve + variance))
        if abs(move) <= 0.01 * s:
            return s
        s -= move
        if s >= edge:
            s = (s + move + edge) / 2
    return s
