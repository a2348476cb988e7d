"""From ε to the most that any attack can do, and from what an attack did to the least that ε can be.

A release that is (ε, δ)-private for one person bounds every test of two worlds that differ in that person:
power <= e^ε rate + δ, and the same with the worlds' parts exchanged. Kairouz, Oh and Viswanath (2015),
Theorem 2.1. PROOFS.md, "Attack bounds".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from noisegate.genotypes.packed import Block, tally
from noisegate.leakage.genomes import take
from noisegate.leakage.roc import CONFIDENCE, Scores, highest, lowest


def most_power(epsilon: float, delta: float, rate: float) -> float:
    """Return the most power that a test with this false-positive rate can have; 1 for an infinite ε."""
    if math.isinf(epsilon):
        return 1.0
    left = 1 - delta - rate
    return min(1.0, _product(epsilon, rate) + delta, 1 - max(0.0, math.exp(-epsilon) * left))


def most_area(epsilon: float, delta: float) -> float:
    """Return the largest area under the curve that a test can have: 1 - (1 - δ)² / (1 + e^ε)."""
    return 1.0 if epsilon > 700 else 1 - (1 - delta) ** 2 / (1 + math.exp(epsilon))


@dataclass(frozen=True, slots=True)
class LowerBound:
    """What repeated releases of two worlds prove of ε: `epsilon` or more, with probability `confidence`.

    `found` of `trials` releases with the canary were told by the test, and `false` of `false_trials` without.
    """

    epsilon: float
    delta: float
    confidence: float
    found: int
    trials: int
    false: int
    false_trials: int


def lower_bound(
    found: int, trials: int, false: int, false_trials: int, delta: float = 0.0, confidence: float = CONFIDENCE
) -> LowerBound:
    """Return the least ε these counts allow, by Clopper and Pearson's bounds on both rates.

    The test and its threshold must not have been chosen on these runs; the runs have independent noise.
    """
    if not (0 <= found <= trials and 0 <= false <= false_trials and trials and false_trials):
        raise ValueError("counts lie between 0 and a positive number of trials")
    tail = (1 - confidence) / 2
    power, rate = lowest(found, trials, tail), highest(false, false_trials, tail)
    least = max(_log_ratio(power - delta, rate), _log_ratio(1 - rate - delta, 1 - power), 0.0)
    return LowerBound(least, delta, confidence, found, trials, false, false_trials)


def canary(
    with_it: Scores, without: Scores, delta: float = 0.0, confidence: float = CONFIDENCE
) -> LowerBound:
    """Return the bound from scores of releases of two worlds, float64 of shape (runs,), at least four each.

    The threshold is the one that does best on the runs with even numbers; the odd ones are counted.
    """
    if min(len(with_it), len(without)) < 4:
        raise ValueError("a canary needs at least four releases of each world")
    thresholds = np.unique(np.concatenate([with_it[::2], without[::2]]))
    tried = [
        lower_bound(*_counted(with_it[::2], without[::2], threshold), delta, confidence).epsilon
        for threshold in thresholds[:: max(1, len(thresholds) // 200)]
    ]
    best = thresholds[:: max(1, len(thresholds) // 200)][int(np.argmax(tried))]
    return lower_bound(*_counted(with_it[1::2], without[1::2], best), delta, confidence)


def planted(
    release: Callable[[Block], Block],
    block: Block,
    person: int,
    runs: int,
    statistic: Callable[[Block], float],
    delta: float = 0.0,
) -> LowerBound:
    """Release a block with one person's calls all 2, then all 0, `runs` times each, and bound ε from below.

    Args:
        release: makes one release, with fresh noise every time.
        block: complete calls; all but this person's stay as they are.
        person: whose calls are replaced.
        runs: how often each world is released, at least four.
        statistic: what the attacker looks at, fixed beforehand: `alleles_of(person)` or `alleles_of(None)`.
        delta: the δ that the release claims.
    """
    worlds = [_replaced(block, person, both) for both in (True, False)]
    scores = [np.array([statistic(release(world)) for _ in range(runs)], np.float64) for world in worlds]
    return canary(scores[0], scores[1], delta)


def alleles_of(person: int | None) -> Callable[[Block], float]:
    """Return a statistic: the alternate alleles in one row of a release, or in all."""

    def counted(block: Block) -> float:
        seen = block if person is None else take(block, np.array([person], np.int64))
        return float(tally(seen).alleles.sum())

    return counted


def _replaced(block: Block, person: int, both: bool) -> Block:
    bit = np.uint64(1 << person % 64)
    planes = (block.hi.copy(), block.lo.copy())
    for plane in planes:
        plane[:, person // 64] = plane[:, person // 64] | bit if both else plane[:, person // 64] & ~bit
    return Block(*planes, block.people)


def _counted(with_it: Scores, without: Scores, threshold: float) -> tuple[int, int, int, int]:
    return int((with_it >= threshold).sum()), len(with_it), int((without >= threshold).sum()), len(without)


def _product(epsilon: float, rate: float) -> float:
    return 0.0 if rate == 0 else math.exp(min(epsilon + math.log(rate), 1.0))


def _log_ratio(above: float, below: float) -> float:
    if above <= 0:
        return 0.0
    return math.inf if below <= 0 else math.log(above / below)
