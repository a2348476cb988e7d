"""Quadratic-exponential laws as chains of thresholds: the exact sampler's tables, by backward messages.

A row of noise b has probability proportional to exp(Σ theta_j b_j + Σ 2 coupling_j b_j b_{j+1}), which is the
law exp(b Θ bᵀ) of the XOR mechanism (Ji et al. 2021, PVLDB 14(5)) with a tridiagonal Θ. Within a family the
same holds for r rows at once, with a further term 2 kin_ik b_ij b_kj between rows. Messages are floats,
scaled at each column; what is accounted for is the thresholds that come out, not the parameters.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.genomics.laws import Chain, Family, Independent, Thresholds

Floats = NDArray[np.float64]


def chain(theta: Floats, coupling: Floats, starts: tuple[int, ...] = (0,)) -> Chain:
    """Return the chain of a tridiagonal law.

    Args:
        theta: float64, shape (bits,).
        coupling: float64, shape (bits - 1,): of bit j and bit j + 1. Those into a start are left out.
        starts: variants at which noise begins afresh.
    """
    before = _before(theta, coupling, starts)
    kin = np.zeros((1, 1))
    chances = thresholds(_family_chances(theta, before, kin, 1))
    return Chain(chances[:, 0, 0], chances[:, 1, 0], starts)


def family(
    theta: Floats,
    coupling: Floats,
    kin: Floats,
    groups: tuple[tuple[int, ...], ...],
    starts: tuple[int, ...] = (0,),
    *,
    single: Independent | Chain | None = None,
) -> Family:
    """Return the law of families whose rows are coupled along the row and, bit by bit, with one another.

    Args:
        theta: float64, shape (bits,).
        coupling: float64, shape (bits - 1,).
        kin: float64, shape (r, r), symmetric: of each two members, by their place in the group.
        groups: declared families, as places in the store.
        starts: variants at which noise begins afresh.
        single: the law of everybody else; by default the chain of theta and coupling.
    """
    if kin.ndim != 2 or kin.shape[0] != kin.shape[1] or not np.array_equal(kin, kin.T):
        raise ValueError("kin is a symmetric table of the members of a family")
    before = _before(theta, coupling, starts)
    chances = thresholds(_family_chances(theta, before, np.ascontiguousarray(kin), len(kin)))
    return Family(single or chain(theta, coupling, starts), chances, groups, starts)


def thresholds(chances: Floats) -> Thresholds:
    """Return whole thresholds of chances, to the nearest that is not nearer 0 or 1, from 1 to 2**64 - 1."""
    rare = np.minimum(chances, 1 - chances)
    small = np.maximum(np.ceil(rare * 2.0**64), 1).astype(np.uint64)
    return np.where(chances <= 0.5, small, ~small + np.uint64(1))


def _before(theta: Floats, coupling: Floats, starts: tuple[int, ...]) -> Floats:
    """Return the coupling of each bit with the one before it, 0 where noise begins afresh."""
    if theta.ndim != 1 or len(theta) % 2 or coupling.shape != (max(len(theta) - 1, 0),):
        raise ValueError("theta is of each bit, and coupling of each two neighbours")
    if not (np.isfinite(theta).all() and np.isfinite(coupling).all()):
        raise ValueError("parameters are finite")
    before = np.concatenate([np.zeros(min(len(theta), 1)), coupling]).astype(np.float64)
    before[2 * np.array([s for s in starts if 2 * s < len(theta)], np.int64)] = 0
    return before


@njit(cache=True, nogil=True)
def _family_chances(theta, before, kin, rows):  # type: ignore[no-untyped-def]
    """Return the chance of each node after each state, float64 of shape (bits, 2**rows, 2**rows - 1)."""
    columns, states = len(theta), 1 << rows
    chances = np.empty((columns, states, states - 1))
    message = np.zeros(states)  # log weight of all that comes after a column, by its state
    ones = np.zeros(states)
    pairs = np.zeros(states)
    for t in range(states):
        for i in range(rows):
            ones[t] += t >> i & 1
            for k in range(i):
                pairs[t] += 2 * kin[i, k] * (t >> i & 1) * (t >> k & 1)
    logs = np.empty(states)
    sums = np.empty(states)
    for j in range(columns - 1, -1, -1):
        found = np.empty(states)
        for s in range(states):
            for t in range(states):
                logs[t] = theta[j] * ones[t] + pairs[t] + 2 * before[j] * ones[s & t] + message[t]
            most = logs.max()
            sums[:] = np.exp(logs - most)
            found[s] = most + np.log(sums.sum())
            # Fold the highest bit away, one after the other: sums[u] is then of all states with low bits u.
            for k in range(rows - 1, -1, -1):
                half = 1 << k
                for u in range(half):
                    whole = sums[u] + sums[u + half]
                    chances[j, s, half - 1 + u] = sums[u + half] / whole if whole > 0 else 0.5
                    sums[u] = whole
        message = found - found[0]
    return chances
