"""What walks over noise can reveal: losses of chains and families, from their whole-number thresholds.

TRUSTED. A chain is a family of one, so both are walks over states of r bits, column after column. The
logarithms of transition probabilities become whole multiples of 2**-40, one rounded up and one down, further
than NumPy errs; their sums and maxima are exact. Two databases that show the same have noise that differs by
what they differ by: their two walks are followed together. PROOFS.md, "Exact account".
"""

import math
from fractions import Fraction

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.genomics.laws import Chain, Family, Thresholds
from noisegate.privacy.loss import INFINITE, ORDERS, Loss, nano_up

Logs = NDArray[np.int64]

UNIT = 2**40
# Columns walked before a sum goes into a Python integer: each adds less than 2**49 units.
BLOCK = 1024
# No logarithm of a bit's chance passes 45. NumPy's and libm's exp and log err by less than 2**-48.
LARGEST_LOG = 64
SLACK = 2.0**-44
_NEVER = -(2**62)


def members(law: Chain | Family) -> int:
    """Return how many rows are drawn together."""
    return law.size if isinstance(law, Family) else 1


def family_loss(law: Chain | Family) -> Fraction:
    """Bound the pure ε of replacing everybody who is drawn together: the likeliest word over the rarest."""
    states = 2 ** members(law)
    high, low = np.zeros(states, np.int64), np.zeros(states, np.int64)
    total = 0
    for start in _starts(law):
        high, low = _walk(*_logs(law, start, start + BLOCK), high, low)
        top, bottom = int(high.max()), int(low.min())
        high, low, total = high - top, low - bottom, total + top - bottom
    return Fraction(total, UNIT)


def row_loss(law: Chain | Family, row: int) -> Fraction:
    """Bound the pure ε of replacing all of one person, the given member of those drawn together."""
    value = np.zeros((2 ** members(law), 2), np.int64)
    total = 0
    for start in _starts(law):
        value = _walk_two(*_logs(law, start, start + BLOCK), row, value)
        top = int(value.max())
        value, total = value - top, total + top
    return Fraction(total, UNIT)


def variant_losses(law: Chain | Family, row: int) -> Logs:
    """Bound the pure ε of replacing one variant of one person: int64 nano-units, shape (variants,)."""
    found = np.zeros(law.variants, np.int64)
    for start in _starts(law):
        stop = min(start + BLOCK, 2 * law.variants)
        up, down = _logs(law, start, stop + 1)  # the next column's chances depend on this variant
        found[start // 2 : stop // 2] = _windows(up, down, row, (stop - start) // 2)
    # A nano-unit is 2**31 / 5**9 units. Whole part and rest apart, so that nothing passes 63 bits.
    rest = (found % UNIT * 5**9 + 2**31 - 1) >> 31
    return np.asarray(found // UNIT * 10**9 + rest)


def bits_loss(law: Chain, most: int) -> Fraction:
    """Bound the pure ε of changing at most so many bits of one person, from 1 to BLOCK."""
    if not 1 <= most <= BLOCK:
        raise ValueError(f"from 1 to {BLOCK} bits may change")
    value = np.full((most + 1, 2, 2), _NEVER)
    value[0, 0, 0] = 0
    for start in _starts(law):
        value = _walk_few(*_logs(law, start, start + BLOCK), value)
    return Fraction(int(value.max()), UNIT)


def renyi_loss(law: Chain | Family, row: int) -> Loss:
    """Bound the loss of one person at finite orders; there is no bound at the last order.

    For given neighbours the moment E[(P/Q)**a] is a product of matrices, a column each. It is bounded by
    letting their difference be chosen column by column in view of the noise so far: a maximum a step.
    """
    orders = np.array(ORDERS[:-1])
    value = np.zeros((len(orders), 2 ** members(law), 2))
    tops = []
    for start in reversed(_starts(law)):
        up, down = _logs(law, start, start + BLOCK)
        tops.append(_moments(up / UNIT, down / UNIT, row, orders, value))
    slack = 2 * law.variants * (1 + 2 * orders * LARGEST_LOG * members(law)) * SLACK
    sums = (math.fsum(value for top in tops for value in top[i]) for i in range(len(orders)))
    moments = (max(Fraction(s) + Fraction(more), Fraction(0)) for s, more in zip(sums, slack, strict=True))
    curve = (nano_up(m / (Fraction(a) - 1)) for m, a in zip(moments, ORDERS, strict=False))
    return Loss((*curve, INFINITE))


def _starts(law: Chain | Family) -> range:
    """Return the columns at which blocks begin."""
    return range(0, 2 * law.variants, BLOCK)


def _logs(law: Chain | Family, start: int, stop: int) -> tuple[Logs, Logs]:
    """Return upper and lower bounds on ln P(state t | state s before), in units, shape (columns, s, t)."""
    if isinstance(law, Family):
        chances: Thresholds = law.thresholds[start:stop]
    else:
        chances = np.stack([law.first[start:stop], law.after[start:stop]], 1)[:, :, None]
    one = np.log(chances) - 64 * math.log(2)
    zero = np.log(~chances + np.uint64(1)) - 64 * math.log(2)
    states = chances.shape[1]
    up = np.zeros((len(chances), states, states), np.int64)
    down = up.copy()
    for state in range(states):
        for bit in range(states.bit_length() - 1):
            node = 2**bit - 1 + (state & (2**bit - 1))
            log = (one if state >> bit & 1 else zero)[:, :, node] * UNIT
            up[:, :, state] += np.minimum(np.floor(log) + 2, 0).astype(np.int64)
            down[:, :, state] += (np.ceil(log) - 2).astype(np.int64)
    return up, down


@njit(cache=True, nogil=True)
def _walk(up, down, high, low):  # type: ignore[no-untyped-def]
    """Follow the largest and the smallest sum that ends in each state."""
    columns, states, _ = up.shape
    for j in range(columns):
        above, below = high, low
        high, low = np.empty_like(above), np.empty_like(below)
        for t in range(states):
            high[t] = (above + up[j, :, t]).max()
            low[t] = (below + down[j, :, t]).min()
    return high, low


@njit(cache=True, nogil=True)
def _walk_two(up, down, row, value):  # type: ignore[no-untyped-def]
    """Follow the largest log ratio of two walks, the one in state s, the other in s but for bit `row`."""
    columns, states, _ = up.shape
    for j in range(columns):
        before, value = value, np.empty_like(value)
        for t in range(states):
            for g in range(2):
                best = before[t, 0] + _NEVER
                for s in range(states):
                    for f in range(2):
                        best = max(best, before[s, f] + _gain(up, down, j, row, s, f, t, g))
                value[t, g] = best
    return value


@njit(cache=True, nogil=True)
def _gain(up, down, j, row, s, f, t, g):  # type: ignore[no-untyped-def]
    """Return the log ratio of a step from s to t against one whose states differ by f and g in bit `row`."""
    if f == 0 and g == 0:
        return 0
    return up[j, s, t] - down[j, s ^ (f << row), t ^ (g << row)]


@njit(cache=True, nogil=True)
def _windows(up, down, row, variants):  # type: ignore[no-untyped-def]
    """Return the largest log ratio where two walks differ in the two columns of a variant only."""
    columns, states, _ = up.shape
    found = np.zeros(variants, np.int64)
    first = np.zeros((states, 2), np.int64)
    for v in range(variants):
        j = 2 * v
        for t in range(states):
            for g in range(2):
                first[t, g] = _gain(up, down, j, row, 0, 0, t, g)
                for s in range(1, states):
                    first[t, g] = max(first[t, g], _gain(up, down, j, row, s, 0, t, g))
        for t in range(states):
            for g in range(2):
                best = _NEVER
                for s in range(states):
                    for f in range(2):
                        best = max(best, first[s, f] + _gain(up, down, j + 1, row, s, f, t, g))
                if j + 2 < columns:
                    after = _gain(up, down, j + 2, row, t, g, 0, 0)
                    for s in range(1, states):
                        after = max(after, _gain(up, down, j + 2, row, t, g, s, 0))
                    best += after
                found[v] = max(found[v], best)
    return found


@njit(cache=True, nogil=True)
def _walk_few(up, down, value):  # type: ignore[no-untyped-def]
    """Follow the largest log ratio of two walks in states s and t that have differed in k columns."""
    columns = len(up)
    most = len(value) - 1
    for j in range(columns):
        before, value = value, np.full_like(value, _NEVER)
        for k in range(most + 1):
            for s in range(4):
                if before[k, s // 2, s % 2] == _NEVER:
                    continue
                for t in range(4):
                    differ = k + (t // 2 != t % 2)
                    if differ > most:
                        continue
                    gain = 0
                    if s // 2 != s % 2 or t // 2 != t % 2:
                        gain = up[j, s // 2, t // 2] - down[j, s % 2, t % 2]
                    reached = before[k, s // 2, s % 2] + gain
                    value[differ, t // 2, t % 2] = max(value[differ, t // 2, t % 2], reached)
    return value


@njit(cache=True, nogil=True)
def _moments(up, down, row, orders, value):  # type: ignore[no-untyped-def]
    """Follow the logarithm of the largest moment from the last column to the first, into `value`.

    Each column's largest is taken off and returned, shape (orders, columns).
    """
    columns, states, _ = up.shape
    tops = np.empty((len(orders), columns))
    logs = np.empty(states)
    for i in range(len(orders)):
        a = orders[i]
        for j in range(columns - 1, -1, -1):
            after = value[i].copy()
            for s in range(states):
                for f in range(2):
                    best = -np.inf
                    for g in range(2):
                        for t in range(states):
                            other = down[j, s ^ (f << row), t ^ (g << row)]
                            logs[t] = a * up[j, s, t] - (a - 1) * other + after[t, g]
                        largest = logs.max()
                        best = max(best, largest + np.log(np.exp(logs - largest).sum()))
                    value[i, s, f] = best
            tops[i, j] = value[i].max()
            value[i] -= tops[i, j]
    return tops
