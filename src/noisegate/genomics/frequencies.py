"""Allele frequencies under person-level differential privacy, drawn to a public panel where that is wiser.

All after `counts.measure` is post-processing, also which mixture of a panel's groups of ancestry the people
look like. Replacing one person moves an allele count by at most 2, all counts by at most 2√m in L2. With a
panel the counts are taken about its frequencies and a row's reach is bounded (`Centred`), which for common
variants halves the variance of the noise and for rare ones does far better.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genomics import ancestry, plans
from noisegate.genomics.counts import UNITS, Alleles, Centred, Noisy, Plan, Query, Source, measure
from noisegate.genomics.panel import Panel
from noisegate.privacy.noise import half_width, standard_deviation

Reals = NDArray[np.float64]
CONFIDENCE = Fraction(19, 20)
BEYOND_CHANCE = 4.0  # standard deviations
SMALLEST_SHARE = 0.05
WIDE = 1.96  # standard deviations of a 95 % interval


@dataclass(frozen=True, slots=True, eq=False)
class Frequencies:
    """Estimated alternate allele frequencies, float64 of shape (variants,), each in [0, 1].

    `noisy` are the frequencies as measured, clipped; `low` and `high` their 95 % interval due to the noise,
    each variant by itself. `mean` and `sd` are the estimate after shrinkage, and how far it may be off:
    equal to `noisy` and the noise's own deviation where there is no panel. `weight` in [0, 1] is the share
    of the measured value in the estimate: near 0, the estimate is the panel's. `reached` is the estimated
    share of the people who lie near enough to the panel to be counted, 1 where all do but for noise. The
    frequencies are theirs: where it is much below 1 the panel is of other people, and counts without it
    serve better.
    """

    noisy: Reals
    low: Reals
    high: Reals
    mean: Reals
    sd: Reals
    weight: Reals
    people: int
    reached: float

    def as_json(self) -> dict[str, object]:
        """Return a summary, and not the table, which is long."""
        return {
            "variants": len(self.mean),
            "people": self.people,
            "noise_sd": float(np.mean(self.high - self.low) / (2 * WIDE)),
            "estimate_sd": float(np.mean(self.sd)),
            "weight_of_measured": float(np.mean(self.weight)),
            "reached": self.reached,
        }


def design(variants: int, epsilon: Fraction, delta: Fraction, panel: Panel | None = None) -> Plan:
    """Return the plan of least noise that is (epsilon, delta)-DP for one person.

    Raises:
        BadInput: ε, δ or the number of variants make no sense, or the panel has other variants.
    """
    return min(
        (plans.design(query, epsilon, delta) for query in queries(variants, panel) if _allowed(query, delta)),
        key=noise_sd,
    )


def queries(variants: int, panel: Panel | None) -> list[Query]:
    """Return the queries that give allele counts."""
    if panel is not None and len(panel.frequency) != variants:
        raise BadInput("the panel has other variants than the data")
    try:
        plain: list[Query] = [Alleles(variants)]
    except ValueError as problem:
        raise BadInput(str(problem)) from problem
    return plain if panel is None else [*plain, panel.centred]


def _allowed(query: Query, delta: Fraction) -> bool:
    return delta > 0 or not isinstance(query, Centred)


def noise_sd(plan: Plan) -> float:
    """Return the standard deviation of the noise on an allele count, in alleles."""
    deviation = standard_deviation(plan.noise)
    return deviation / UNITS if isinstance(plan.query, Centred) else deviation


def release(source: Source, plan: Plan) -> Noisy:
    """Measure allele counts. Needs: `plan.loss` is charged."""
    if not isinstance(plan.query, Alleles | Centred):
        raise BadInput("frequencies are released from allele counts")
    return measure(plan, source)


def estimate(released: Noisy, panel: Panel | None = None) -> Frequencies:
    """Return frequencies from noisy counts, shrunk to a panel where there is one."""
    raw, deviation = measured(released)
    plan = released.plan
    # A half-width of the noise, on the scale of frequencies as the deviation is.
    reach = half_width(plan.noise, CONFIDENCE) * deviation / standard_deviation(plan.noise)
    noisy, low, high = (np.clip(raw + shift, 0.0, 1.0) for shift in (0.0, -reach, reach))
    share = reached(released)
    if panel is None:
        ones = np.ones_like(raw)
        return Frequencies(noisy, low, high, noisy, deviation * ones, ones, released.people, share)
    mean, sd, weight = shrink(raw, deviation**2 * np.ones_like(raw), panel, released.people)
    return Frequencies(noisy, low, high, mean, sd, weight, released.people, share)


def measured(released: Noisy) -> tuple[Reals, float]:
    """Return the noisy frequencies, float64 of shape (variants,), unclipped, and the noise's deviation."""
    query, whole = released.plan.query, 2 * released.people
    if isinstance(query, Centred):
        kept = reached(released)
        raw = (query.centre + released.cells[:-1] / (kept * released.people)) / (2 * UNITS)
        return raw, noise_sd(released.plan) / (whole * kept)
    return released.cells / whole, noise_sd(released.plan) / whole


def reached(released: Noisy) -> float:
    """Return the share of the people who were counted: 1 unless it is less beyond chance."""
    query = released.plan.query
    if not isinstance(query, Centred):
        return 1.0
    counted, error = released.cells[-1] / query.near, standard_deviation(released.plan.noise) / query.near
    if counted > released.people - BEYOND_CHANCE * error:
        return 1.0
    return max(float(counted) / released.people, SMALLEST_SHARE)


def shrink(raw: Reals, variance: Reals, panel: Panel, people: int) -> tuple[Reals, Reals, Reals]:
    """Return mean, standard deviation and weight of the measured value, by empirical Bayes.

    A frequency lies about the panel's, p, with variance c p (1 - p), as drift and sampling make it. Where
    another mixture of the panel's groups of ancestry fits clearly better, p is that mixture's. The variance
    is at least what sampling both groups from one population gives, and as much more as the measured values
    show beyond chance: by moments, less three standard errors, for with wide noise a c taken at face value
    would be all noise.

    Args:
        raw: measured frequencies, float64, any values.
        variance: of the noise on each, float64.
        panel: of the same variants.
        people: how many were measured.
    """
    p = panel.frequency
    spread = p * (1 - p)
    least = 1 / (2 * people) + 1 / (2 * panel.people)
    parts, sizes = panel.groups
    shares = ancestry.mixture(raw, variance + least * spread, parts, p)
    if shares is not None:
        p = shares @ parts
        spread = p * (1 - p)
        least = 1 / (2 * people) + float(np.sum(shares**2 / (2 * sizes)))
    found = float(np.sum((raw - p) ** 2 - variance))
    error = float(2 * np.sum((variance + least * spread) ** 2)) ** 0.5
    apart = max((found - 3 * error) / float(np.sum(spread)), least) * spread
    weight = apart / (apart + variance)
    mean = np.clip(p + weight * (raw - p), 1 / (4 * people), 1 - 1 / (4 * people))
    return mean, np.sqrt(weight * variance), weight
