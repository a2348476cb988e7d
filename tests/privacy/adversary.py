"""An asker who chooses every question by the answers so far, against a filter, on the inputs 0 and 1.

Two of them. `optimum` is exact: the best there is against questions whose loss is ±ε, found backwards over
all states. `play` draws answers of any mechanism in many runs at once, for askers who follow a rule. What
both are held against is the same: E[max(0, 1 − e^(ε − L))] ≤ δ under either input, L being the loss of the
whole transcript, which is what (ε, δ)-differential privacy says of the transcripts that tell most.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from noisegate.privacy.curves import gaussian, pure, with_delta
from noisegate.privacy.filter import Limits
from noisegate.privacy.loss import ZERO, Loss

ALARM = 1e-9
MOST_QUESTIONS = 120
Floats = NDArray[np.float64]
Counts = tuple[int, ...]


@dataclass(frozen=True)
class Offered:
    """A question that may be asked any number of times: its kind, its nominal ε, the δ of its keys."""

    kind: str
    epsilon: Fraction
    delta: Fraction = Fraction(0)

    def loss(self) -> Loss:
        plain = gaussian(self.epsilon**2 / 2) if self.kind == "gaussian" else pure(self.epsilon)
        return with_delta(plain, self.delta)

    def draw(self, truth: int, runs: int, chance: np.random.Generator) -> Floats:
        """Answers to so many runs, each as ln of how much likelier input 1 made it than input 0."""
        size = float(self.epsilon)
        match self.kind:
            case "laplace":
                said = truth + chance.laplace(0, 1 / size, runs)
                told = size * (np.abs(said) - np.abs(said - 1))
            case "gaussian":
                told = size**2 * (truth + chance.normal(0, 1 / size, runs) - 0.5)
            case _:
                right = chance.random(runs) < 1 / (1 + math.exp(-size))
                told = np.where(right == bool(truth), size, -size)
        if self.delta and truth:
            told = np.where(chance.random(runs) < float(self.delta), np.inf, told)
        return told


# Whether the question of this place may be asked after so many of each.
Filter = Callable[[Limits, Sequence[Loss], Counts, int], bool]


def summed(losses: Sequence[Loss], counts: Counts) -> Loss:
    total = ZERO
    for loss, count in zip(losses, counts, strict=True):
        total = total + loss.times(count)
    return total


def optimum(
    accounts: Sequence[Limits], epsilon: Fraction, step: Fraction, menu: Sequence[int], allows: Filter
) -> float:
    """Return the largest E[max(0, 1 − e^(ε − L))] that any asker can reach.

    Args:
        accounts: periods, one after another; the asker says when one ends.
        epsilon: the ε that all of it together is said to have.
        step: loss of the smallest question; randomised responses of `menu` times this are offered.
        menu: whole numbers.
        allows: the filter.
    """
    losses = [pure(step * each) for each in menu]
    most = [_reachable(limits, losses, allows) for limits in accounts]
    reach = sum(max(sum(c * m for c, m in zip(s, menu, strict=True)) for s in states) for states in most)
    told = np.arange(-reach, reach + 1) * float(step)
    value: Floats = np.maximum(0, -np.expm1(np.minimum(float(epsilon) - told, 0)))
    for states in reversed(most):
        worth: dict[Counts, Floats] = {}
        for state in sorted(states, key=sum, reverse=True):
            best = value  # asking no more of this account
            for k, each in enumerate(menu):
                after = (*state[:k], state[k] + 1, *state[k + 1 :])
                if after in states[state]:
                    p = 1 / (1 + math.exp(-float(step) * each))
                    won = np.append(worth[after][each:], np.full(each, worth[after][-1]))
                    lost = np.append(np.full(each, worth[after][0]), worth[after][:-each])
                    best = np.maximum(best, p * won + (1 - p) * lost)
            worth[state] = best
        value = worth[(0,) * len(menu)]
    return float(value[reach])


def _reachable(limits: Limits, losses: Sequence[Loss], allows: Filter) -> dict[Counts, set[Counts]]:
    found: dict[Counts, set[Counts]] = {}
    open_ = [(0,) * len(losses)]
    while open_:
        state = open_.pop()
        if state in found:
            continue
        found[state] = {
            (*state[:k], state[k] + 1, *state[k + 1 :])
            for k in range(len(losses))
            if sum(state) < MOST_QUESTIONS and allows(limits, losses, state, k)
        }
        open_ += found[state]
    return found


@dataclass
class Runs:
    """Many transcripts side by side: what each has told so far, and how often it asked each question."""

    told: Floats  # ln of how much likelier input 1 made the answers, shape (runs,)
    last: Floats  # the same of the last answer alone
    counts: NDArray[np.int64]  # shape (runs, questions)


# Which question each run asks, -1 to stop, given which are allowed: shape (runs,) from (runs, questions).
Rule = Callable[[Runs, NDArray[np.bool_], Limits], NDArray[np.int64]]


def play(
    menu: Sequence[Offered],
    limits: Limits,
    allows: Filter,
    rule: Rule,
    truth: int,
    runs: int,
    *,
    refunds: bool = False,
) -> Floats:
    """Return the loss of each run's transcript: ln of how much likelier the true input made it.

    With `refunds` a charge is given back where its answer spoke for input 0.
    """
    chance = np.random.default_rng()
    losses = [offered.loss() for offered in menu]
    state = Runs(np.zeros(runs), np.zeros(runs), np.zeros((runs, len(menu)), np.int64))
    asking = np.ones(runs, bool)
    powers = (MOST_QUESTIONS + 1) ** np.arange(len(menu))
    known: dict[int, list[bool]] = {}
    for _ in range(MOST_QUESTIONS):
        places, which = np.unique(state.counts @ powers, return_inverse=True)
        firsts = np.zeros(len(places), np.int64)
        firsts[which] = np.arange(runs)
        for place, first in zip(places, firsts, strict=True):
            if place not in known:
                counts = tuple(int(c) for c in state.counts[first])
                known[place] = [allows(limits, losses, counts, k) for k in range(len(menu))]
        allowed = np.array([known[place] for place in places])[which]
        chosen = np.where(asking, rule(state, allowed, limits), -1)
        chosen = np.where(allowed[np.arange(runs), chosen], chosen, -1)
        asking = chosen >= 0
        if not asking.any():
            break
        for k, offered in enumerate(menu):
            of_this = np.flatnonzero(chosen == k)
            answers = offered.draw(truth, len(of_this), chance)
            state.told[of_this] += answers
            state.last[of_this] = answers
            state.counts[of_this, k] += ~((answers < 0) & refunds)
    return state.told if truth else -state.told


def divergence(losses: Floats, epsilon: float) -> tuple[float, float]:
    """Return E[max(0, 1 − e^(ε − L))] as estimated, and a bound it is above but for once in 1 / ALARM.

    The bound is Maurer and Pontil's (2009), "Empirical Bernstein Bounds", Theorem 4.
    """
    parts = np.maximum(0, -np.expm1(np.minimum(epsilon - losses, 0)))
    runs, chance = len(parts), math.log(2 / ALARM)
    mean, variance = float(np.mean(parts)), float(np.var(parts, ddof=1))
    return mean, mean - math.sqrt(2 * variance * chance / runs) - 7 * chance / (3 * (runs - 1))
