"""Which noise each measure of a question gets, and what the whole release loses.

TRUSTED: `loss_of` and `check`. A loss is computed from the noise and the sensitivity themselves, never from
the ε that was asked for; `design` may therefore round as it likes. PROOFS.md, "Mechanism".
"""

import enum
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import assert_never

from noisegate.errors import Refused
from noisegate.privacy import selection
from noisegate.privacy.curves import gaussian, pure, with_delta
from noisegate.privacy.loss import ZERO, Loss, least
from noisegate.privacy.noise import (
    Additive,
    Gaussian,
    Laplace,
    Noise,
    half_width,
    laplace_tail,
    standard_deviation,
)
from noisegate.privacy.question import Aggregation, Moment, Rank
from noisegate.privacy.samplers import float_up
from noisegate.privacy.selection import PermuteAndFlip
from noisegate.privacy.sensitivity import Sensitivity, of_aggregation
from noisegate.privacy.staircase import MOST_EPSILON, Staircase, best_width

MOMENT_WEIGHT = 2
ROOT_BITS = 256  # of a square root that becomes a scale


class Family(enum.Enum):
    """What noise additive measures get. Quantiles always use permute-and-flip, private keys Laplace."""

    LAPLACE = "laplace"
    GAUSSIAN = "gaussian"
    STAIRCASE = "staircase"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One noise a measure. `threshold` is the least noisy count of units a private group shows at."""

    noises: tuple[Noise, ...]
    threshold: int | None = None

    def __post_init__(self) -> None:
        if not self.noises:
            raise ValueError("a mechanism has a noise for each measure")
        if self.threshold is not None and self.threshold < 2:
            raise ValueError("a group of one unit must stay below the threshold: at least 2")


def design(aggregation: Aggregation, epsilon: Fraction, family: Family, delta: Fraction) -> Mechanism:
    """Split one nominal ε over the measures of a question.

    Args:
        aggregation: what is asked.
        epsilon: nominal ε > 0 of the question: a measure of share s gets ε s, a Gaussian one ε √s.
        family: of the additive noise.
        delta: most probability of showing a group that one unit alone holds; only with private keys.

    Raises:
        Refused: private keys without δ, a staircase for more than one cell, or an ε too small for a quantile.
    """
    if epsilon <= 0:
        raise Refused("an answer needs epsilon > 0", "give a positive epsilon")
    parts = shares(aggregation)
    if family is Family.STAIRCASE and not stairs_fit(aggregation, epsilon):
        raise Refused(
            f"staircase noise is for one group and epsilon up to {MOST_EPSILON} a measure",
            "let the gateway choose the noise",
        )
    noises: list[Noise] = []
    for i, (measure, reach) in enumerate(zip(aggregation.measures, of_aggregation(aggregation), strict=True)):
        if isinstance(measure, Rank):
            noises.append(selection.design(measure, reach.linf, epsilon * parts[i] / reach.groups))
        elif aggregation.private_keys and i == 0:
            noises.append(_additive(Family.LAPLACE, reach, epsilon, parts[i]))
        else:
            noises.append(_additive(family, reach, epsilon, parts[i]))
    if not aggregation.private_keys:
        return Mechanism(tuple(noises))
    if delta <= 0:
        raise Refused(
            "groups whose values are private need a budget with δ > 0",
            "name the values in the WHERE clause, or ask the custodian to declare the column's values",
        )
    first = noises[0]
    if not isinstance(first, Laplace):
        raise TypeError("private keys are selected with Laplace noise")
    return Mechanism(tuple(noises), threshold_of(first, aggregation.bounding.groups, delta))


def shares(aggregation: Aggregation) -> tuple[Fraction, ...]:
    """Return the share of a question's ε that each measure gets; they sum to 1.

    A moment gets twice what others do: a mean's error is mostly that of its sum, as values lie about a third
    of the way from the centre to the bounds, and 2 to 1 is near the best split of the two.
    """
    weights = [MOMENT_WEIGHT if isinstance(m, Moment) else 1 for m in aggregation.measures]
    return tuple(Fraction(w, sum(weights)) for w in weights)


def stairs_fit(aggregation: Aggregation, epsilon: Fraction) -> bool:
    """Return whether staircase noise can be drawn for this question at this ε: one cell, not too steep."""
    if aggregation.private_keys or aggregation.group_count != 1:
        return False
    return epsilon * max(shares(aggregation)) <= MOST_EPSILON


def _additive(family: Family, reach: Sensitivity, epsilon: Fraction, share: Fraction) -> Additive:
    match family:
        case Family.LAPLACE:
            return Laplace(float_up(reach.l1 / (epsilon * share)))
        case Family.GAUSSIAN:
            return Gaussian(_root_up(reach.l2_squared / (epsilon**2 * share)))
        case Family.STAIRCASE:
            return Staircase(reach.l1, epsilon * share, best_width(reach.l1, epsilon * share))
        case _:
            assert_never(family)


def threshold_of(noise: Laplace, groups: int, delta: Fraction) -> int:
    """Return the smallest threshold at which groups * P(1 + noise >= threshold) <= delta."""
    low, high = 1, 2
    while groups * laplace_tail(noise.scale, high - 1) > delta:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if groups * laplace_tail(noise.scale, middle - 1) > delta:
            low = middle
        else:
            high = middle
    return high


def loss_of(aggregation: Aggregation, mechanism: Mechanism) -> Loss:
    """Return what one release of this aggregation through this mechanism loses.

    Claim: a bound, at every order, on the (approximate) Rényi divergence between the releases of any two
    neighbouring databases, both ways round.
    Needs: cells bounded as the aggregation says; noise drawn as the mechanism says.
    Argued in PROOFS.md, "Mechanism".
    """
    check(aggregation, mechanism)
    total = ZERO
    for noise, reach in zip(mechanism.noises, of_aggregation(aggregation), strict=True):
        total = total + _loss(noise, reach)
    first = mechanism.noises[0]
    if mechanism.threshold is not None and isinstance(first, Laplace):
        groups = aggregation.bounding.groups
        total = with_delta(total, groups * laplace_tail(first.scale, mechanism.threshold - 1))
    return total


def _loss(noise: Noise, reach: Sensitivity) -> Loss:
    """Return the loss of one measure: `groups` independent cells move by `linf` each, `l1` together."""
    match noise:
        case Laplace(scale=scale):
            return least(pure(reach.linf / scale, reach.groups), pure(reach.l1 / scale))
        case Gaussian(scale=sigma):
            return gaussian(reach.l2_squared / (2 * sigma**2))
        case Staircase(sensitivity=stair, epsilon=epsilon):
            return pure(-(-reach.linf // stair) * epsilon, reach.groups)
        case PermuteAndFlip(scale=scale, ends=ends):
            value = pure(2 * reach.linf / scale, reach.groups)
            return value if ends is None else value + pure(2 * reach.linf / ends, 2 * reach.groups)
        case _:
            assert_never(noise)


def check(aggregation: Aggregation, mechanism: Mechanism) -> None:
    """Raise ValueError unless the mechanism is one for this aggregation."""
    if len(mechanism.noises) != len(aggregation.measures):
        raise ValueError("a mechanism has one noise for each measure")
    for measure, noise in zip(aggregation.measures, mechanism.noises, strict=True):
        if isinstance(measure, Rank) != isinstance(noise, PermuteAndFlip):
            raise ValueError("quantiles, and only they, are selected by permute-and-flip")
        if (
            isinstance(measure, Rank)
            and isinstance(noise, PermuteAndFlip)
            and (measure.quantile in (0, 1)) != (noise.ends is None)
        ):
            raise ValueError("a quantile between the extremes, and only it, has its ends selected")
    if aggregation.private_keys != (mechanism.threshold is not None):
        raise ValueError("a threshold belongs to private keys, and they to it")
    if mechanism.threshold is not None and not isinstance(mechanism.noises[0], Laplace):
        raise ValueError("private keys are selected with Laplace noise")


def half_width_of(mechanism: Mechanism, measure: int, confidence: float) -> int:
    """Return how far the noisy cell of an additive measure may be from the exact one, in its unit.

    Raises:
        ValueError: the measure is a quantile, which carries its own interval.
    """
    return half_width(_additive_noise(mechanism, measure), confidence)


def deviation_of(mechanism: Mechanism, measure: int) -> float:
    """Return the standard deviation of the noise of an additive measure, in its unit."""
    return standard_deviation(_additive_noise(mechanism, measure))


def _additive_noise(mechanism: Mechanism, measure: int) -> Additive:
    noise = mechanism.noises[measure]
    if isinstance(noise, PermuteAndFlip):
        raise ValueError("a quantile carries its own interval")
    return noise


def describe(aggregation: Aggregation, mechanism: Mechanism) -> tuple[str, ...]:
    """Return a line of words for each measure, and one for the threshold."""
    check(aggregation, mechanism)
    lines = [
        f"{type(measure).__name__}: {_words(noise)}"
        for measure, noise in zip(aggregation.measures, mechanism.noises, strict=True)
    ]
    if mechanism.threshold is not None:
        lines.append(f"groups show at a noisy count of {mechanism.threshold} people or more")
    return tuple(lines)


def _words(noise: Noise) -> str:
    match noise:
        case Laplace(scale=scale):
            return f"discrete Laplace, scale {float(scale):.6g}"
        case Gaussian(scale=sigma):
            return f"discrete Gaussian, σ {float(sigma):.6g}"
        case Staircase(sensitivity=stair, epsilon=epsilon, width=width):
            return f"discrete staircase, ε {float(epsilon):.6g}, stair {stair}, first stair {width}"
        case PermuteAndFlip(scale=scale, ends=None, shift=shift):
            return f"permute-and-flip, scale {float(scale):.6g}, shifted inwards by {shift}"
        case PermuteAndFlip(scale=scale, ends=ends, shift=shift):
            return (
                f"permute-and-flip, scale {float(scale):.6g}; ends at scale {float(ends or 0):.6g}, ± {shift}"
            )
        case _:
            assert_never(noise)


def _root_up(value: Fraction) -> Fraction:
    """Return a double that is at least the square root."""
    shifted = (value.numerator << 2 * ROOT_BITS) // value.denominator + 1
    return float_up(Fraction(math.isqrt(shifted) + 1, 2**ROOT_BITS))
