"""Tests of randomness that can fail: likelihood ratios, with one threshold for both directions.

A true law loses against a near miss in fewer than THRESHOLD of runs, and a near miss passes as rarely; the
helper works out how many draws that takes and refuses fewer. A law learnt from half of the draws, tried on
the other half, catches what no near miss foresaw.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

THRESHOLD = 1e-9


@dataclass(frozen=True)
class Law:
    """Probabilities of the integers low, low + 1, …; what lies outside is negligible (1e-15 in all)."""

    low: int
    p: np.ndarray

    def at(self, draws: np.ndarray) -> np.ndarray:
        places = draws - self.low
        inside = (places >= 0) & (places < len(self.p))
        return np.where(inside, self.p[np.clip(places, 0, len(self.p) - 1)], 0.0)


def law_of(weight: Callable[[int], float], reach: int) -> Law:
    """Normalise weights of -reach .. reach."""
    found = np.array([weight(x) for x in range(-reach, reach + 1)])
    return Law(-reach, found / math.fsum(found))


def laplace(scale: float) -> Law:
    return law_of(lambda x: math.exp(-abs(x) / scale), math.ceil(40 * scale) + 1)


def gaussian(sigma: float) -> Law:
    return law_of(lambda x: math.exp(-x * x / (2 * sigma * sigma)), math.ceil(9 * sigma) + 1)


def staircase(sensitivity: int, epsilon: float, width: int) -> Law:
    def weight(x: int) -> float:
        stair = 0 if abs(x) < width else 1 + (abs(x) - width) // sensitivity
        return math.exp(-epsilon * stair)

    return law_of(weight, math.ceil(40 / epsilon) * sensitivity + sensitivity)


def permute_and_flip(scores: Iterable[int], scale: float) -> Law:
    """Each candidate is heads with exp(gap / scale); one of the heads is taken at random."""
    gaps = np.array(list(scores), dtype=float)
    heads = np.exp((gaps - gaps.max()) / scale)
    chosen = []
    for i, p in enumerate(heads):
        others = np.array([1.0])  # law of how many others are heads
        for j, q in enumerate(heads):
            if j != i:
                others = np.append(others * (1 - q), 0) + np.append(0, others * q)
        chosen.append(p * float(np.sum(others / np.arange(1, len(others) + 1))))
    return Law(0, np.array(chosen))


def exponential_choice(scores: Iterable[int], scale: float) -> Law:
    """Candidate i has probability proportional to exp(score / scale)."""
    gaps = np.array(list(scores), dtype=float)
    weights = np.exp((gaps - gaps.max()) / scale)
    return Law(0, weights / weights.sum())


def draws_needed(law: Law, other: Law) -> int:
    """How many draws part two laws with THRESHOLD on either side (Bhattacharyya)."""
    low, high = min(law.low, other.low), max(law.low + len(law.p), other.low + len(other.p))
    support = np.arange(low, high)
    overlap = float(np.sum(np.sqrt(law.at(support) * other.at(support))))
    return math.ceil(math.log(THRESHOLD) / math.log(overlap))


def assert_follows(draws: Iterable[int], law: Law, *, not_these: Mapping[str, Law]) -> None:
    """Fail unless the draws follow the law rather than any near miss, or any law learnt from themselves."""
    found = np.array(list(draws), dtype=np.int64)
    true = law.at(found)
    assert np.all(true > 0), "a draw the law cannot give"
    for name, other in not_these.items():
        needed = draws_needed(law, other)
        assert len(found) >= needed, f"{needed} draws are needed to tell the law from {name}"
        rival = other.at(found)
        ratio = np.sum(np.log(true)) - np.sum(np.log(np.where(rival > 0, rival, 1e-300)))
        assert ratio > 0, f"the draws follow {name}"
    half = len(found) // 2
    counts = np.bincount(found[:half] - law.low, minlength=len(law.p))
    learnt = Law(law.low, (counts + 50 * law.p) / (half + 50))
    gain = np.sum(np.log(learnt.at(found[half:]))) - np.sum(np.log(true[half:]))
    assert gain < -math.log(THRESHOLD), "the draws follow another law"
