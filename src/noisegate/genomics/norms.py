"""The published norm bound on the loss of XOR noise, to be shown beside the exact one, and where it fails.

Ji et al. (2021), PVLDB 14(5): noise with law exp(tr(B Θ Bᵀ) + Σ_i Σ_{j≠i} tr(J_ij B Λ_ij Bᵀ)) is said to cost
s (‖Θ‖_F + Σ_{i<j} ‖Λ_ij‖_F), where at most s bits change. It is far above the loss of a whole row, and below
that of few bits where bits flip together. Nothing is charged by it.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.account import account
from noisegate.genomics.laws import Chain, Family, Independent, Law, Response, Thresholds
from noisegate.genomics.trellis import BLOCK, bits_loss

Floats = NDArray[np.float64]

MOST_CELLS = 12  # bits of a matrix whose words are all looked at


@dataclass(frozen=True, slots=True)
class NormBound:
    """What the published condition says a law costs.

    `person` is for a row of which every bit may change, `variant` for two bits. `safe_variant` is `variant`
    with the constant mended: ‖bᵀb - b'ᵀb'‖_F reaches √(s(2P - s)) where s of P bits differ, not s.
    """

    person: float
    variant: float
    safe_variant: float


@dataclass(frozen=True, slots=True)
class Case:
    """A change of `changed` bits, what the norm bound claims that it costs, and what it does cost."""

    name: str
    changed: int
    claimed: float
    exact: float

    @property
    def fails(self) -> bool:
        """Whether the claim is too small (by more than rounding)."""
        return self.exact > self.claimed * (1 + 1e-9)


def norm_bound(law: Law) -> NormBound | None:
    """Return the published bound for a law; None for randomised response, which is not XOR noise."""
    if isinstance(law, Response):
        return None
    norm = _norm(law)
    bits = 2 * law.variants
    return NormBound(bits * norm, 2 * norm, math.sqrt(2 * (2 * bits - 2)) * norm)


def cases(law: Independent | Chain, changes: tuple[int, ...] = (1, 2, 4, 16, 64, 256)) -> tuple[Case, ...]:
    """Return the claim beside the exact loss, for few bits and for a whole row."""
    bits = 2 * law.variants
    norm = _norm(law)
    chain = law if isinstance(law, Chain) else Chain(law.flip, law.flip)
    few = [
        Case(f"{s} of {bits} bits", s, s * norm, float(bits_loss(chain, s)))
        for s in changes
        if s < min(bits, BLOCK)
    ]
    return (*few, Case("a whole row", bits, bits * norm, float(account(law).person)))


def counterexamples() -> tuple[Case, ...]:
    """Return small matrices, every word of which was looked at, on which the published bound fails.

    First Θ alone, for one person and few bits; then the coupling Λ of people, of two or three of them, one of
    whom changes altogether.
    """
    found = [_within_row(bits, changed) for bits, changed in ((4, 1), (6, 1), (4, 2))]
    found += [_between_rows(people, bits) for people, bits in ((2, 2), (3, 3))]
    return tuple(found)


def enumerated(theta: Floats, between: Floats, people: int, changed: int, within: int | None = None) -> float:
    """Return the exact loss of noise for `people` rows, by looking at every word and every change.

    Args:
        theta: float64, shape (bits, bits), of every row.
        between: the same shape: Λ of every ordered pair of rows.
        people: rows.
        changed: most bits that change.
        within: the row in which they do; by default anywhere.
    """
    bits = len(theta)
    if people * bits > MOST_CELLS:
        raise ValueError(f"at most {MOST_CELLS} cells are enumerated")
    words = np.array(list(product((0.0, 1.0), repeat=people * bits))).reshape(-1, people, bits)
    logs = np.einsum("wij,jk,wik->w", words, theta, words)
    sums = words.sum(1)
    logs += np.einsum("wj,jk,wk->w", sums, between, sums) - np.einsum("wij,jk,wik->w", words, between, words)
    places = np.arange(people * bits)
    mine = np.ones(len(places), bool) if within is None else places // bits == within
    masks = [d for d in range(1 << len(places)) if d.bit_count() <= changed and not d & _mask(~mine)]
    order = np.arange(len(logs))
    return max(float((logs - logs[order ^ mask]).max()) for mask in masks)


def _mask(places: NDArray[np.bool_]) -> int:
    """Return the number whose bits, the first place the highest, are those of the places."""
    return int("".join("1" if place else "0" for place in places), 2)


def _within_row(bits: int, changed: int) -> Case:
    theta = np.ones((bits, bits))
    exact = enumerated(theta, np.zeros((bits, bits)), 1, changed)
    return Case(f"one row of {bits} bits, all of Θ 1", changed, changed * bits, exact)


def _between_rows(people: int, bits: int) -> Case:
    between = np.ones((bits, bits))
    exact = enumerated(np.zeros((bits, bits)), between, people, bits, within=0)
    claimed = float(bits * math.comb(people, 2) * bits)
    return Case(f"{people} rows of {bits} bits, all of Λ 1", bits, claimed, exact)


def _norm(law: Independent | Chain | Family) -> float:
    """Return ‖Θ‖_F + Σ_{i<j} ‖Λ_ij‖_F of the quadratic law that has these chances.

    Parameters are second differences of ln P(column | column before), at the word without flips.
    """
    if isinstance(law, Independent):
        return float(np.linalg.norm(_logit(law.flip)))
    step = _steps(law)
    rows = step.shape[1].bit_length() - 1
    after = np.concatenate([step[1:, :, 0] - step[1:, :1, 0], np.zeros((1, step.shape[1]))])
    alone = step[:, 0] - step[:, 0, :1] + after  # ln weight of a column's state, all else 0
    one = 1 << np.arange(rows)
    inside = max(_frobenius(alone[:, e], _mixed(step, e, e)) for e in one)
    pairs = [(one[i], one[k]) for i in range(rows) for k in range(i)]
    across = [
        math.sqrt(
            float(np.sum(((alone[:, a + b] - alone[:, a] - alone[:, b]) / 2) ** 2))
            + float(np.sum((_mixed(step, a, b) / 2) ** 2 + (_mixed(step, b, a) / 2) ** 2))
        )
        for a, b in pairs
    ]
    return inside + sum(across)


def _frobenius(diagonal: Floats, off: Floats) -> float:
    """Return ‖Θ‖_F: each product of neighbours stands in two cells, half in each."""
    return math.sqrt(float(np.sum(diagonal**2)) + float(np.sum(off**2)) / 2)


def _mixed(step: Floats, before: int, now: int) -> Floats:
    """Return the weight of a column's state together with the state of the column before it."""
    return np.asarray(step[:, before, now] - step[:, before, 0] - step[:, 0, now] + step[:, 0, 0])


def _steps(law: Chain | Family) -> Floats:
    """Return ln P(state t | state s before), float64 of shape (bits, s, t)."""
    if isinstance(law, Family):
        chances: Thresholds = law.thresholds
    else:
        chances = np.stack([law.first, law.after], 1)[:, :, None]
    states = chances.shape[1]
    one, zero = np.log(chances / 2.0**64), np.log((~chances + np.uint64(1)) / 2.0**64)
    step = np.zeros((len(chances), states, states))
    for t in range(states):
        for k in range(states.bit_length() - 1):
            node = 2**k - 1 + (t & (2**k - 1))
            step[:, :, t] += (one if t >> k & 1 else zero)[:, :, node]
    return step


def _logit(flip: Thresholds) -> Floats:
    return np.asarray(np.log(flip / 2.0**64) - np.log((~flip + np.uint64(1)) / 2.0**64))
