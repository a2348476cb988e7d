"""Plans of noisy counts: how much noise an (ε, δ) buys.

Nothing rests on this file: what a plan loses follows from the plan (`counts.Plan.loss`), and is what is
charged.
"""

from fractions import Fraction
from functools import lru_cache

from noisegate.errors import BadInput
from noisegate.genomics.counts import Plan, Query, absolute_sensitivity, squared_sensitivity
from noisegate.genomics.recipe import LEAST_EPSILON
from noisegate.privacy.curves import gaussian
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.loss import ZERO, Loss
from noisegate.privacy.noise import Gaussian, Laplace, standard_deviation
from noisegate.privacy.samplers import float_up

ROUNDS = 50  # of halving
TRIM = Fraction(10**7 - 1, 10**7)
TRIMS = 24  # of a budget that is shared out, each twice the one before


@lru_cache(maxsize=256)
def largest_rho(epsilon: Fraction, delta: Fraction, beside: Loss = ZERO) -> Fraction:
    """Return a ρ, near the largest, for which ρ-zCDP is (epsilon, delta)-DP as the gateway converts.

    Args:
        epsilon: of all together.
        delta: likewise.
        beside: what else is lost.

    Raises:
        BadInput: no ρ will do.
    """
    check(epsilon, delta)
    low, high = Fraction(0), epsilon
    for _ in range(ROUNDS):
        middle = (low + high) / 2
        if stand_alone_epsilon(gaussian(middle) + beside, delta) <= epsilon:
            low = middle
        else:
            high = middle
    if low < epsilon / 2**40:
        raise BadInput(
            "this epsilon and delta leave no room for noise of finite size", "raise delta or epsilon"
        )
    return low


def with_rho(query: Query, rho: Fraction) -> Plan:
    """Return a plan with Gaussian noise that is rho-zCDP or a little better: σ² = Δ₂² / 2ρ, σ rounded up."""
    squared = Fraction(squared_sensitivity(query)) / (2 * rho)
    sigma = float_up(Fraction(float(squared) ** 0.5))
    while sigma * sigma < squared:
        sigma = float_up(sigma * (1 + Fraction(1, 2**50)))
    return Plan(query, Gaussian(sigma))


def pure(query: Query, epsilon: Fraction) -> Plan:
    """Return a plan with Laplace noise that is epsilon-DP.

    Raises:
        BadInput: the query has no bound in L1.
    """
    moved = absolute_sensitivity(query)
    if moved is None:
        raise BadInput("a centred count cannot be released without delta", "give a delta above 0")
    return Plan(query, Laplace(float_up(Fraction(moved) / epsilon)))


def design(query: Query, epsilon: Fraction, delta: Fraction) -> Plan:
    """Return the plan with least noise that is (epsilon, delta)-DP: Gaussian, or Laplace where better.

    Raises:
        BadInput: ε is below LEAST_EPSILON, δ not in [0, 1), or the query needs a δ.
    """
    check(epsilon, delta)
    found = [] if absolute_sensitivity(query) is None else [pure(query, epsilon)]
    if delta > 0:
        found.append(with_rho(query, largest_rho(epsilon, delta) * TRIM))
    if not found:
        raise BadInput("a centred count cannot be released without delta", "give a delta above 0")
    return min(found, key=lambda plan: standard_deviation(plan.noise))


def share(queries: dict[str, tuple[Query, Fraction]], epsilon: Fraction, delta: Fraction) -> dict[str, Plan]:
    """Return plans for several queries that together are (epsilon, delta)-DP: Gaussian, or Laplace if δ is 0.

    Args:
        queries: by name, each with its share of the budget, above 0; shares sum to at most 1.
        epsilon: of all together.
        delta: of all together.

    Raises:
        BadInput: the shares are none, or ε and δ leave no room for them.
    """
    check(epsilon, delta)
    if any(part <= 0 for _, part in queries.values()) or sum(p for _, p in queries.values()) > 1:
        raise BadInput("shares of a budget are above 0 and sum to at most 1")
    whole, make = (epsilon, pure) if delta == 0 else (largest_rho(epsilon, delta), with_rho)
    trim = 1 - TRIM
    for _ in range(TRIMS):
        plans = {name: make(query, whole * part) for name, (query, part) in queries.items()}
        if stand_alone_epsilon(total(plans), delta) <= epsilon:
            return plans
        whole, trim = whole * max(1 - trim, Fraction(1, 2)), 2 * trim  # every loss was rounded up by itself
    raise BadInput("this epsilon is too small to be shared out", "raise epsilon")


def total(plans: dict[str, Plan]) -> Loss:
    """Return what several plans lose together."""
    return sum((plan.loss for plan in plans.values()), ZERO)


def check(epsilon: Fraction, delta: Fraction) -> None:
    """Refuse an ε below LEAST_EPSILON, or a δ outside [0, 1)."""
    if epsilon < LEAST_EPSILON or not 0 <= delta < 1:
        raise BadInput(f"a release needs epsilon of {float(LEAST_EPSILON):g} at least and delta in [0, 1)")
