"""From a loss to the noise that costs no more: laws found by search, each with its exact account.

Every designer takes ε, and δ (0 for pure ε), of replacing one person, and returns a law whose account,
computed from its thresholds, does not pass them: not even by a nano-unit. How the noise lies over variants
is chosen from public facts alone. How much of it there is, is one number, which a search finds.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput, TooLarge
from noisegate.genomics import quadratic
from noisegate.genomics.account import account, pure_epsilon
from noisegate.genomics.coupling import Neighbours
from noisegate.genomics.laws import HALF, MOST_CHANGE, Chain, Family, Independent, Law, Response
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.loss import NANO

Floats = NDArray[np.float64]
L = TypeVar("L", bound=Law)

ROUNDS = 60
# The search ends once this share of ε is left over, or two nano-units.
NEAR = Fraction(1, 10**8)
# A coupling of 1 would make a long run of flips as likely as none.
STRONGEST = 0.5
LARGEST_SCALE = 1e15
MOST_THRESHOLDS = 2**26  # of a family law
# A log odds ratio of this size couples with 76 % of the strength (tanh 1).
TYPICAL_LOG_ODDS = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """How noise lies over bits; a scale s makes theta s and coupling s of it.

    Attributes:
        theta: float64, shape (bits,): -1 flips a bit with odds exp(-s).
        coupling: float64, shape (bits - 1,): above 0, bits flip together.
        starts: variants at which noise begins afresh: those at which chunks begin.
    """

    theta: Floats
    coupling: Floats
    starts: tuple[int, ...] = (0,)


def independent(
    variants: int, epsilon: Fraction, delta: Fraction = Fraction(0), weights: Floats | None = None
) -> Independent:
    """Return independent flips; ε is shared out over variants by their weights (all alike by default)."""
    share = np.repeat(_weights(variants, weights) / 2, 2)
    return solve(lambda scale: flips(scale * share), epsilon, delta)


def response(
    variants: int, epsilon: Fraction, delta: Fraction = Fraction(0), weights: Floats | None = None
) -> Response:
    """Return randomised response over genotypes; ε is shared out over variants by their weights."""
    share = _weights(variants, weights)
    return solve(lambda scale: changes(scale * share), epsilon, delta)


def coupled(shape: Shape, epsilon: Fraction, delta: Fraction = Fraction(0)) -> Chain:
    """Return the chain of a shape."""
    return solve(lambda s: quadratic.chain(s * shape.theta, s * shape.coupling, shape.starts), epsilon, delta)


def related(
    shape: Shape,
    kin: Floats,
    groups: tuple[tuple[int, ...], ...],
    epsilon: Fraction,
    delta: Fraction = Fraction(0),
) -> Family:
    """Return the law of a shape, coupled within declared families by kin as well; see quadratic.family.

    Raises:
        TooLarge: its thresholds would take more than 512 MB.
    """
    states = 2 ** len(kin)
    if len(shape.theta) * states * (states - 1) > MOST_THRESHOLDS:
        most = MOST_THRESHOLDS // (2 * states * (states - 1))
        raise TooLarge(
            f"noise of families of {len(kin)} is drawn for at most {most:,} variants",
            "declare smaller families, or share fewer variants",
        )

    def at(s: float) -> Family:
        return quadratic.family(s * shape.theta, s * shape.coupling, s * kin, groups, shape.starts)

    return solve(at, epsilon, delta)


def even(variants: int, coupling: float = 0.0, starts: tuple[int, ...] = (0,)) -> Shape:
    """Return the shape in which all bits are alike, and each is coupled so with the next: 2 coupling s."""
    _check_strength(coupling)
    bits = 2 * variants
    return Shape(np.full(bits, -1.0), np.full(max(bits - 1, 0), coupling), starts)


def from_reference(
    reference: Neighbours, strength: float, starts: tuple[int, ...] = (0,), weights: Floats | None = None
) -> Shape:
    """Return the shape whose bits flip together where those of a public reference go together.

    Args:
        reference: tables of neighbouring bits of a public reference with the same variants.
        strength: coupling of bits that always go together, below STRONGEST.
        starts: variants at which noise begins afresh.
        weights: as of `independent`.
    """
    _check_strength(strength)
    variants = (len(reference.counts) + 1) // 2
    theta = -np.repeat(_weights(variants, weights) * variants, 2)
    # A pair is coupled by the smaller of the two fields, so that no run of flips pays for itself.
    field = np.minimum(-theta[1:], -theta[:-1])
    return Shape(theta, strength * field * np.tanh(reference.log_odds / TYPICAL_LOG_ODDS), starts)


def kinship(size: int, strength: float) -> Floats:
    """Return the table in which all members of a family are coupled alike, below 1 / (size - 1)."""
    if not abs(strength) * (size - 1) < 1:
        raise BadInput(f"a family of {size} is coupled by less than {1 / (size - 1):.3g}")
    return np.full((size, size), strength) * (1 - np.eye(size))


def at_rate(variants: int, rate: Fraction) -> Independent:
    """Return independent flips of one probability, rounded towards 1/2: parameters in, ε out by `account`."""
    if not 0 < rate <= Fraction(1, 2):
        raise BadInput("a bit is flipped with a probability above 0, and 1/2 at most")
    return Independent(np.full(2 * variants, -(-rate.numerator * 2**64 // rate.denominator), np.uint64))


def flips(epsilons: Floats) -> Independent:
    """Return flips of about these ε a bit: odds of 1 to exp(ε), rounded towards 1/2."""
    near = np.floor(np.tanh(np.minimum(epsilons, 1) / 2) * HALF).astype(np.uint64)
    far = np.maximum(np.ceil(2.0**64 / (1 + np.exp(np.clip(epsilons, 0.5, 64)))), 1).astype(np.uint64)
    return Independent(np.where(epsilons < 0.5, np.uint64(HALF) - near, far))


def changes(epsilons: Floats) -> Response:
    """Return randomised response of about these ε a variant, rounded towards more noise."""
    other = np.ceil(2.0**64 / (2 + np.exp(np.clip(epsilons, 0, 64)))).astype(np.uint64)
    return Response(np.clip(other, 1, MOST_CHANGE // 2).astype(np.uint64) * np.uint64(2))


def flip_rates(law: Independent | Chain) -> Floats:
    """Return the probability that each bit is flipped, float64 of shape (bits,)."""
    if isinstance(law, Independent):
        return np.asarray(law.flip / 2.0**64)
    rates = np.empty(2 * law.variants)
    rate = 0.0
    for j, (after_zero, after_one) in enumerate(zip(law.first.tolist(), law.after.tolist(), strict=True)):
        rate = ((1 - rate) * after_zero + rate * after_one) / 2**64
        rates[j] = rate
    return rates


def solve(at: Callable[[float], L], epsilon: Fraction, delta: Fraction = Fraction(0)) -> L:
    """Return the law of the largest scale found whose account stays within (epsilon, delta).

    `at` makes a law of a scale above 0, and its loss grows with the scale; where it has stopped growing, the
    largest there is is returned. The search draws chords, and ends within NEAR of ε, never above it.

    Raises:
        BadInput: ε and δ are no budget, or no law however noisy stays within them.
    """
    if epsilon <= 0 or not 0 <= delta < 1:
        raise BadInput("a release needs an epsilon above 0, and a delta from 0 to below 1")
    aim = float(epsilon - max(NEAR * epsilon, Fraction(2, NANO)) / 2)
    low, spent_low, high, spent_high = 0.0, 0.0, math.inf, math.inf
    best: L | None = None
    scale = 1.0
    for turn in range(ROUNDS):
        law = at(scale)
        spent = _spent(law, delta)
        if spent <= epsilon:
            saturated = high == math.inf and spent > 0 and float(spent) == spent_low
            low, spent_low, best = scale, float(spent), law
            if saturated or epsilon - spent <= max(NEAR * epsilon, Fraction(2, NANO)):
                break
        else:
            high, spent_high = scale, float(spent)
        scale = _next(low, spent_low, high, spent_high, aim, halve=turn % 4 == 3)
        if not low < scale < min(high, LARGEST_SCALE):
            break
    if best is None:
        raise BadInput("no noise of this kind costs as little as that", "ask for a larger epsilon")
    return best


def _next(low: float, spent_low: float, high: float, spent_high: float, aim: float, *, halve: bool) -> float:
    """Return the next scale to try: where a chord meets `aim`, or half-way."""
    if high == math.inf:
        return low * min(max(aim / max(spent_low, 1e-300), 1.001), 1e6)
    share = 0.5 if halve else (aim - spent_low) / (spent_high - spent_low)
    return low + (high - low) * min(max(share, 1e-6), 1 - 1e-6)


def _spent(law: Law, delta: Fraction) -> Fraction:
    return pure_epsilon(law) if delta == 0 else stand_alone_epsilon(account(law).loss, delta)


def _weights(variants: int, weights: Floats | None) -> Floats:
    """Return weights that add up to 1."""
    if weights is None:
        return np.full(variants, 1 / max(variants, 1))
    if weights.shape != (variants,) or not (np.isfinite(weights).all() and (weights > 0).all()):
        raise BadInput("there is a weight above 0 for each variant")
    return np.asarray(weights / weights.sum())


def _check_strength(strength: float) -> None:
    if not abs(strength) < STRONGEST:
        raise BadInput(f"noise is coupled by less than {STRONGEST}")
