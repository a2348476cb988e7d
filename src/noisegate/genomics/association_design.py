"""Mechanisms of private associations: how much noise an (ε, δ) buys, and who gets which share.

Nothing rests on this file: what a mechanism loses follows from the mechanism, and is what is charged.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import assert_never

from noisegate.errors import BadInput
from noisegate.genomics import plans
from noisegate.genomics.association_plan import Choosing, Mechanism, Named, Tabling, Top, Wanted
from noisegate.genomics.choosing import SENSITIVITY, Selection
from noisegate.genomics.counts import Groups, Plan, Sizes
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.noise import standard_deviation
from noisegate.privacy.samplers import float_up


def design(wanted: Wanted, epsilon: Fraction, delta: Fraction) -> Mechanism:
    """Return a mechanism that is (epsilon, delta)-DP for one person, of as little noise as there is.

    Raises:
        BadInput: ε and δ leave no room for it.
    """
    match wanted:
        case Named(places=places):
            return Tabling(wanted, plans.design(Groups(len(places)), epsilon, delta))
        case Top():
            plans.check(epsilon, delta)
            found = [_fitted(_pure(wanted), epsilon, epsilon, delta)]
            if delta > 0:
                rho = plans.largest_rho(epsilon, delta)
                found.append(_fitted(_concentrated(wanted), rho, epsilon, delta))
            return min(found, key=lambda made: _deviation(made.tables))
        case _:
            assert_never(wanted)


def _fitted(
    make: Callable[[Fraction], Choosing], whole: Fraction, epsilon: Fraction, delta: Fraction
) -> Choosing:
    """Return what the largest share of a whole makes whose loss comes to (epsilon, delta).

    The parts' losses are rounded up one by one, so that the whole may be a little too much.
    """
    trim = 1 - plans.TRIM
    for _ in range(plans.TRIMS):
        made = make(whole)
        if stand_alone_epsilon(made.loss, delta) <= epsilon:
            return made
        whole, trim = whole * max(1 - trim, Fraction(1, 2)), 2 * trim
    raise BadInput("this epsilon is too small to be shared out", "raise epsilon")


def _shares(wanted: Top) -> tuple[Fraction, Fraction]:
    """Return the shares of the sizes, and of selection and tables each.

    Sizes matter through the weights, once for all variants that are chosen.
    """
    sizes = Fraction(1, 3 + wanted.count)
    return sizes, (1 - sizes) / 2


def _pure(wanted: Top) -> Callable[[Fraction], Choosing]:
    """Return what makes a mechanism of a pure ε."""
    few, half = _shares(wanted)

    def make(epsilon: Fraction) -> Choosing:
        scale = float_up(2 * SENSITIVITY * wanted.count / (epsilon * half))
        return Choosing(
            wanted,
            plans.pure(Sizes(), epsilon * few),
            Selection(wanted.count, scale),
            plans.pure(Groups(wanted.count), epsilon * half),
        )

    return make


def _concentrated(wanted: Top) -> Callable[[Fraction], Choosing]:
    """Return what makes a mechanism of a ρ: of k choices of range r each it is k r² / 8."""
    few, half = _shares(wanted)

    def make(rho: Fraction) -> Choosing:
        squared = SENSITIVITY**2 * wanted.count / (2 * rho * half)  # of the scale: r = 2 SENSITIVITY / scale
        return Choosing(
            wanted,
            plans.with_rho(Sizes(), rho * few),
            Selection(wanted.count, float_up(Fraction(float(squared) ** 0.5))),
            plans.with_rho(Groups(wanted.count), rho * half),
        )

    return make


def _deviation(plan: Plan) -> float:
    return standard_deviation(plan.noise)
