"""How well a score tells members from controls: area under the curve, power at a false-positive rate.

Higher scores speak for membership. Intervals are over people drawn like these, for this one release, and
need no resampling. Area: DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44:837, on the logit scale,
with the bound of Birnbaum and Klose (1957), Ann. Math. Statist. 28:933, where DeLong's variance is 0 or the
area 0 or 1. Power: Clopper and Pearson (1934).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm, rankdata

CONFIDENCE = 0.95
RATES = (0.01, 0.05)
DRAWN = 400  # most points of a curve that is kept for a figure

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with an interval that holds it with probability CONFIDENCE."""

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"an estimate lies in its interval: {self.low} <= {self.value} <= {self.high}")


@dataclass(frozen=True, slots=True)
class Power:
    """Share of members found at a threshold that the controls alone fixed.

    `allowed` is the false-positive rate asked for, `found` the share of members above the threshold, `false`
    the share of controls above it, with the interval of the rate in the controls' population: with few
    controls that rate may lie well above what was asked for.
    """

    allowed: float
    found: Estimate
    false: Estimate


@dataclass(frozen=True, slots=True)
class Roc:
    """A score's power to tell members from controls.

    `curve` holds (false-positive rate, true-positive rate) from (0, 0) to (1, 1), at most DRAWN + 2 points.
    """

    members: int
    controls: int
    area: Estimate
    power: tuple[Power, ...]
    curve: tuple[tuple[float, float], ...]


def roc(members: Scores, controls: Scores, rates: tuple[float, ...] = RATES) -> Roc:
    """Return how well a score tells these members from these controls.

    Args:
        members: float64, shape (members,), finite; higher speaks for membership.
        controls: float64, shape (controls,), finite; people drawn like the members who are not in the data.
        rates: false-positive rates to report the power at.

    Raises:
        ValueError: fewer than two of either, or a score that is not finite.
    """
    if min(len(members), len(controls)) < 2:
        raise ValueError("an attack is judged on at least two members and two controls")
    if not (np.isfinite(members).all() and np.isfinite(controls).all()):
        raise ValueError("scores are finite")
    return Roc(
        members=len(members),
        controls=len(controls),
        area=area(members, controls),
        power=tuple(power(members, controls, rate) for rate in rates),
        curve=_curve(members, controls),
    )


def area(members: Scores, controls: Scores) -> Estimate:
    """Return the probability that a member scores above a control, ties counting half."""
    n, m = len(members), len(controls)
    together = rankdata(np.concatenate([members, controls]))
    above = (together[:n] - rankdata(members)) / m
    below = 1 - (together[n:] - rankdata(controls)) / n
    found = float(above.mean())
    variance = float(above.var(ddof=1) / n + below.var(ddof=1) / m)
    z = float(norm.ppf((1 + CONFIDENCE) / 2))
    if not 0 < found < 1 or variance == 0:
        return proportion(found * min(n, m), min(n, m))
    spread = z * math.sqrt(variance) / (found * (1 - found))
    middle = math.log(found / (1 - found))
    return Estimate(found, min(found, _logistic(middle - spread)), max(found, _logistic(middle + spread)))


def power(members: Scores, controls: Scores, rate: float) -> Power:
    """Return the share of members above the lowest threshold that at most `rate` of the controls pass."""
    passing = math.floor(rate * len(controls) + 1e-9)
    threshold = np.sort(controls)[::-1][passing] if passing < len(controls) else -math.inf
    found = int((members > threshold).sum())
    false = int((controls > threshold).sum())
    # The threshold is itself a control's score, so the rate beyond it has the law of an order statistic.
    seen = false / len(controls)
    low, high = beta.ppf(
        [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], passing + 1, max(len(controls) - passing, 1)
    )
    return Power(
        allowed=rate,
        found=proportion(found, len(members)),
        false=Estimate(seen, min(float(low), seen), max(float(high), seen)),
    )


def proportion(found: float, trials: int) -> Estimate:
    """Return found / trials with the interval of Clopper and Pearson; found may lie between whole numbers."""
    tail = (1 - CONFIDENCE) / 2
    value = found / trials
    return Estimate(value, min(lowest(found, trials, tail), value), max(highest(found, trials, tail), value))


def lowest(found: float, trials: int, tail: float) -> float:
    """Return the probability that gives `found` or more of `trials` with probability `tail`."""
    return 0.0 if found <= 0 else float(beta.ppf(tail, found, trials - found + 1))


def highest(found: float, trials: int, tail: float) -> float:
    """Return the probability that gives `found` or fewer of `trials` with probability `tail`."""
    return 1.0 if found >= trials else float(beta.ppf(1 - tail, found + 1, trials - found))


def _curve(members: Scores, controls: Scores) -> tuple[tuple[float, float], ...]:
    thresholds = np.unique(np.concatenate([members, controls]))[::-1]
    false = 1 - np.searchsorted(np.sort(controls), thresholds, side="left") / len(controls)
    found = 1 - np.searchsorted(np.sort(members), thresholds, side="left") / len(members)
    if len(thresholds) > DRAWN:
        # Even steps in rank, but every step of the first twentieth, where the curve is read.
        first = int(np.searchsorted(false, 0.05)) + 1
        first = min(first, DRAWN // 2)
        rest = np.linspace(first, len(thresholds) - 1, DRAWN - first).round().astype(np.int64)
        kept = np.unique(np.concatenate([np.arange(first), rest]))
        false, found = false[kept], found[kept]
    points = [(0.0, 0.0), *zip(false.tolist(), found.tolist(), strict=True)]
    return tuple(points if points[-1] == (1.0, 1.0) else [*points, (1.0, 1.0)])


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
