"""Budgets that are shared out among noisy counts, and those that are too small to be."""

from fractions import Fraction

import pytest

from noisegate.errors import BadInput
from noisegate.genomics.counts import Alleles
from noisegate.genomics.plans import design, share, total
from noisegate.genomics.recipe import LEAST_EPSILON
from noisegate.privacy.filter import stand_alone_epsilon

DELTAS = [Fraction(0), Fraction(1, 10**6)]
HALVES = {name: (Alleles(8), Fraction(1, 2)) for name in ("one", "other")}


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("epsilon", [Fraction(1, 10), Fraction(1), Fraction(100)])
def test_plans_that_share_a_budget_lose_nearly_all_of_it_and_never_more(
    epsilon: Fraction, delta: Fraction
) -> None:
    lost = stand_alone_epsilon(total(share(HALVES, epsilon, delta)), delta)
    assert epsilon * Fraction(99, 100) < lost <= epsilon


def test_the_smallest_budget_is_shared_out() -> None:
    assert stand_alone_epsilon(total(share(HALVES, LEAST_EPSILON, Fraction(0))), Fraction(0)) <= LEAST_EPSILON


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("epsilon", [Fraction(1, 10**15), Fraction(1, 10**400), Fraction(0), Fraction(-1)])
def test_an_epsilon_below_what_losses_are_counted_in_is_refused(epsilon: Fraction, delta: Fraction) -> None:
    with pytest.raises(BadInput, match="epsilon"):
        share(HALVES, epsilon, delta)
    with pytest.raises(BadInput, match="epsilon"):
        design(Alleles(8), epsilon, delta)
