import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.errors import BadInput, TooLarge
from noisegate.genomics import design, quadratic
from noisegate.genomics.account import account
from noisegate.genomics.coupling import Neighbours
from noisegate.genomics.laws import HALF, MOST_CHANGE
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.loss import NANO

from .words import words

DELTA = Fraction(1, 10**6)
EPSILONS = [Fraction(1, 1000), Fraction(1), Fraction(10), Fraction(1000, 3)]
NONE = np.zeros((2, 2))


def coupled(epsilon, delta):
    return design.coupled(design.even(150, 0.3, (0, 64, 128)), epsilon, delta)


def related(epsilon, delta):
    return design.related(design.even(40, -0.1), design.kinship(2, 0.3), ((0, 1),), epsilon, delta)


DESIGNERS = [
    pytest.param(lambda e, d: design.independent(150, e, d), id="independent"),
    pytest.param(lambda e, d: design.response(150, e, d), id="response"),
    pytest.param(coupled, id="coupled"),
    pytest.param(related, id="related"),
]


def spent(law, delta):
    return stand_alone_epsilon(account(law).loss, delta)


@pytest.mark.parametrize("designed", DESIGNERS)
@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("delta", [Fraction(0), DELTA])
def test_a_design_costs_what_was_asked_for_and_never_more(designed, epsilon, delta):
    law = designed(epsilon, delta)
    cost = spent(law, delta)
    assert cost <= epsilon
    assert cost >= epsilon * (1 - Fraction(1, 10**7)) - Fraction(3, NANO)


@given(st.fractions(Fraction(1, 10**4), 10**4), st.integers(1, 40), st.sampled_from([Fraction(0), DELTA]))
@settings(max_examples=60, deadline=None)
def test_no_epsilon_is_passed(epsilon, variants, delta):
    for designed in (design.independent, design.response):
        assert spent(designed(variants, epsilon, delta), delta) <= epsilon


def test_a_delta_buys_less_noise():
    pure_law = design.independent(1_000, Fraction(1))
    with_delta = design.independent(1_000, Fraction(1), DELTA)
    assert account(with_delta).person > 9 * account(pure_law).person
    assert design.flip_rates(with_delta).max() < design.flip_rates(pure_law).min()


@pytest.mark.parametrize("delta", [Fraction(3, 10), Fraction(1, 100)])
def test_a_large_delta_is_used_up_too(delta):
    for designed in (design.independent, design.response):
        cost = spent(designed(3, Fraction(1, 10), delta), delta)
        assert Fraction(999, 10_000) <= cost <= Fraction(1, 10)


def test_epsilon_is_shared_out_by_weights():
    weights = np.array([1.0, 2.0, 5.0])
    for designed in (design.independent, design.response):
        found = account(designed(3, Fraction(4), weights=weights)).variants / NANO
        assert found == pytest.approx([0.5, 1.0, 2.5], abs=1e-6)
    for wrong in (np.ones(2), np.array([1, 0, 1.0]), np.array([1, np.inf, 1])):
        with pytest.raises(BadInput, match="weight"):
            design.independent(3, Fraction(1), weights=wrong)


def test_more_than_there_can_be_is_the_least_noise_there_is():
    law = design.independent(2, Fraction(10**6))
    assert (law.flip == 1).all()
    assert (design.response(2, Fraction(10**6)).change == 2).all()
    assert spent(law, Fraction(0)) <= 10**6


@pytest.mark.parametrize(("epsilon", "delta"), [(0, 0), (-1, 0), (1, 1), (1, -1)])
def test_what_is_no_budget_is_refused(epsilon, delta):
    with pytest.raises(BadInput, match="epsilon above 0"):
        design.independent(3, Fraction(epsilon), Fraction(delta))


def test_a_loss_that_cannot_be_reached_is_refused():
    law = design.independent(3, Fraction(5))
    with pytest.raises(BadInput, match="costs as little"):
        design.solve(lambda _: law, Fraction(1))


def test_flips_and_changes_have_about_the_epsilon_that_is_asked():
    asked = np.array([1e-12, 1e-6, 0.1, 0.4999, 0.5, 0.5001, 1, 3, 20, 30])
    flip = design.flips(asked).flip
    found = [math.log1p((2**64 - 2 * t) / t) for t in flip.tolist()]
    assert found == pytest.approx(asked.tolist(), rel=1e-6, abs=1e-18)
    assert all(one <= other * (1 + 1e-12) for one, other in zip(found, asked, strict=True))
    change = design.changes(asked).change
    kept = [math.log1p((2**64 - t - t // 2) / (t // 2)) for t in change.tolist()]
    assert kept == pytest.approx(asked.tolist(), rel=1e-6, abs=1e-15)
    assert MOST_CHANGE - 2**12 <= int(design.changes(np.zeros(1)).change[0]) <= MOST_CHANGE


def test_a_rate_gives_flips_that_are_rounded_towards_a_half():
    law = design.at_rate(2, Fraction(1, 3))
    assert [int(t) for t in law.flip] == [-(-(2**64) // 3)] * 4
    assert int(design.at_rate(1, Fraction(1, 2)).flip[0]) == HALF
    assert account(design.at_rate(1, Fraction(1, 10**30))).person < Fraction(89)
    for wrong in (Fraction(0), Fraction(2, 3)):
        with pytest.raises(BadInput, match="probability"):
            design.at_rate(1, wrong)


def test_flip_rates_are_the_share_of_words_that_flip_a_bit():
    law = design.coupled(design.even(3, 0.4, (0, 2)), Fraction(9))
    chances = words(law)
    for j, rate in enumerate(design.flip_rates(law)):
        assert rate == pytest.approx(float(sum(p for word, p in chances.items() if word[j])), abs=1e-12)


def test_coupling_raises_the_chance_that_neighbours_flip_together_and_nothing_else():
    law = design.coupled(design.even(4, 0.4, (0, 2)), Fraction(8))
    assert (law.after[1:4] > law.first[1:4]).all()
    assert law.after[4] == law.first[4]
    plain = design.coupled(design.even(4), Fraction(8))
    assert account(plain).variants == pytest.approx(
        account(design.independent(4, Fraction(8))).variants, rel=1e-7
    )
    assert np.array_equal(plain.first, plain.after)


def test_noise_follows_the_linkage_of_a_reference():
    together, apart, even = [[90, 10], [10, 90]], [[10, 90], [90, 10]], [[50, 50], [50, 50]]
    tables = Neighbours(np.array([together, apart, even, together, together], np.int64))
    shape = design.from_reference(tables, 0.4, (0, 2))
    assert np.sign(shape.coupling).tolist() == [1, -1, 0, 1, 1]
    assert abs(shape.coupling).max() < 0.4
    assert (shape.theta == -1).all()
    law = design.coupled(shape, Fraction(6))
    assert np.sign(law.after.astype(float) - law.first).tolist() == [0, 1, -1, 0, 0, 1]
    weighted = design.from_reference(tables, 0.4, weights=np.array([1.0, 2.0, 1.0]))
    assert weighted.theta == pytest.approx([-0.75, -0.75, -1.5, -1.5, -0.75, -0.75])
    assert abs(weighted.coupling[3]) == pytest.approx(0.75 * abs(shape.coupling[3]))


def test_coupling_is_weaker_than_what_would_flip_everything():
    for strength in (0.5, -0.5, 7.0, math.nan):
        with pytest.raises(BadInput, match="coupled"):
            design.even(3, strength)
        with pytest.raises(BadInput, match="coupled"):
            design.from_reference(Neighbours(np.zeros((5, 2, 2), np.int64)), strength)
    with pytest.raises(BadInput, match="family of 3"):
        design.kinship(3, 0.5)
    long = design.coupled(design.even(2_000, 0.49), Fraction(2_000))
    assert design.flip_rates(long).max() < 0.5


def test_related_noise_costs_a_family_less_than_its_people_apart():
    shape = design.even(30)
    law = design.related(shape, design.kinship(3, 0.2), ((4, 0, 7),), Fraction(10))
    cost = account(law)
    assert law.groups == ((4, 0, 7),)
    assert cost.person <= 10
    assert cost.person < cost.family < 3 * cost.person


def test_the_scale_of_a_chain_is_found_where_its_parameters_are_known():
    shape = design.even(20, 0.2)
    at = quadratic.chain(0.7 * shape.theta, 0.7 * shape.coupling)
    found = design.coupled(shape, account(at).person)
    assert design.flip_rates(found) == pytest.approx(design.flip_rates(at), abs=1e-7)


def test_a_law_of_families_that_would_not_fit_memory_is_refused():
    with pytest.raises(TooLarge, match="33,825 variants"):
        design.related(design.even(33_826), design.kinship(5, 0.1), (), Fraction(1))
