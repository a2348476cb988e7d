import math
from fractions import Fraction

import dp_accounting
import numpy as np
import pytest
from dp_accounting import rdp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

from noisegate.privacy.curves import bounded_range, gaussian, pure, subsampled_gaussian, with_delta
from noisegate.privacy.loss import INFINITE, NANO, ORDERS, ZERO, Loss

F = Fraction
FINITE = ORDERS[:-1]


def oracle(event, count=1):
    accountant = rdp.RdpAccountant(orders=list(FINITE))
    accountant.compose(event, count)
    return [float(r) for r in accountant._rdp]


@pytest.mark.parametrize("epsilon", [0.01, 0.05, 0.5, 1.0, 3.0, 12.0])
def test_a_pure_curve_is_that_of_randomised_response(epsilon):
    loss = pure(F(str(epsilon)))
    p = math.exp(epsilon) / (1 + math.exp(epsilon))
    for order, nano in zip(FINITE, loss.renyi, strict=False):
        if order * epsilon < 500:
            summed = p**order * (1 - p) ** (1 - order) + (1 - p) ** order * p ** (1 - order)
            assert nano / NANO == pytest.approx(math.log(summed) / (order - 1), rel=1e-5, abs=2e-9)
    assert loss.pure_epsilon == F(str(epsilon))


@pytest.mark.parametrize("epsilon", [0.05, 1.0, 4.0])
def test_a_pure_curve_is_never_below_that_of_a_laplace(epsilon):
    least = oracle(dp_accounting.LaplaceDpEvent(1 / epsilon))
    for ours, theirs in zip(pure(F(str(epsilon))).renyi, least, strict=False):
        assert ours >= theirs * NANO * (1 - 1e-9)


@given(st.fractions(min_value=0, max_value=40, max_denominator=10**6))
def test_a_pure_curve_grows_with_its_order_and_stays_below_epsilon(epsilon):
    curve = pure(epsilon).renyi
    assert list(curve) == sorted(curve)
    assert curve[-1] == math.ceil(epsilon * NANO)
    for order, nano in zip(FINITE, curve, strict=False):
        assert nano <= math.ceil(F(order) * epsilon * epsilon / 2 * NANO) + 1


@given(st.fractions(min_value=0, max_value=5, max_denominator=10**4), st.integers(0, 1000))
def test_many_releases_at_once_lose_no_more_than_one_by_one(epsilon, count):
    together, apart = pure(epsilon, count), pure(epsilon).times(count)
    for a, b in zip(together.renyi, apart.renyi, strict=True):
        assert b - count <= a <= b


def test_losses_at_the_edges():
    assert pure(F(0)) == gaussian(F(0)) == ZERO
    assert set(pure(F(10**12)).renyi) == {INFINITE}
    assert set(pure(F(1, 10**30)).renyi) == {1}
    for wrong in (lambda: pure(F(-1)), lambda: gaussian(F(-1)), lambda: with_delta(ZERO, F(-1))):
        with pytest.raises(ValueError, match="not negative"):
            wrong()


def test_a_gaussian_has_its_order_times_rho_and_no_pure_epsilon():
    loss = gaussian(F(1, 800))
    for order, nano in zip(FINITE, loss.renyi, strict=False):
        assert nano == math.ceil(F(order) / 800 * NANO)
    assert loss.pure_epsilon is None
    for ours, theirs in zip(loss.renyi, oracle(dp_accounting.GaussianDpEvent(20.0)), strict=False):
        assert ours == pytest.approx(theirs * NANO, abs=1.5)


def test_delta_is_rounded_up():
    assert with_delta(ZERO, F(1, 10**20)) == Loss(ZERO.renyi, 1)


def divergence(one, other, order):
    """Of laws on a few points, by their logarithms, by the definition."""
    return logsumexp(order * one + (1 - order) * other) / (order - 1)


@pytest.mark.parametrize("epsilon", [0.01, 0.3, 1.0, 3.0, 10.0])
def test_a_bounded_range_bounds_exponential_mechanisms_both_ways(epsilon):
    """Scores move by -epsilon / 4 to epsilon / 4 a unit of the scale 1/2: the range is at most epsilon."""
    rng, loss = np.random.default_rng(11), bounded_range(F(str(epsilon)))
    closest = {}
    for _ in range(400):
        size = int(rng.integers(2, 6))
        scores = rng.normal(size=size) * rng.choice([0, 1, 8])
        moved = scores + rng.choice([-1, 1], size=size) * epsilon / 2 * rng.choice([1, 1, 0.3])
        one, other = scores - logsumexp(scores), moved - logsumexp(moved)
        for order, ours in zip(FINITE, loss.renyi, strict=False):
            for divergence_ in (divergence(one, other, order), divergence(other, one, order)):
                assert ours >= divergence_ * NANO * (1 - 1e-9) - 1
                closest[order] = max(closest.get(order, 0), divergence_ * NANO / ours)
        assert max(abs(one - other)) <= float(loss.pure_epsilon) * (1 + 1e-12)
    if epsilon <= 1:
        assert min(closest[1.25], closest[2.0]) > 0.85  # it is no curve of something else


@pytest.mark.parametrize("epsilon", [0.3, 1.0])
def test_a_tenth_less_of_a_bounded_range_would_be_found_out(epsilon):
    """Two outputs, evenly likely, whose scores move apart: the divergence is all but the bound."""
    loss = bounded_range(F(str(epsilon)) * F(9, 10))
    one = np.log([0.5, 0.5])
    other = np.array([epsilon / 2, -epsilon / 2]) - logsumexp([epsilon / 2, -epsilon / 2])
    assert loss.renyi[0] < divergence(one, other, ORDERS[0]) * NANO


def test_a_bounded_range_is_no_more_than_a_pure_loss_and_a_quarter_of_it_where_small():
    small = bounded_range(F(1, 100))
    for ours, plain, order in zip(small.renyi, pure(F(1, 100)).renyi, FINITE, strict=False):
        assert ours == math.ceil(F(order) / 8 / 10_000 * NANO) <= plain
        if order <= 4:
            assert ours == pytest.approx(plain / 4, rel=0.01)
    assert small.pure_epsilon == F(1, 100)
    assert bounded_range(F(30)).renyi[-2] == pure(F(30)).renyi[-2]
    assert bounded_range(F(0)) == bounded_range(F(1), 0) == ZERO
    assert set(bounded_range(F(10**12)).renyi) == {INFINITE}
    with pytest.raises(ValueError, match="not negative"):
        bounded_range(F(-1))


@settings(deadline=None)
@given(st.fractions(min_value=0, max_value=5, max_denominator=10**4), st.integers(0, 1000))
def test_many_choices_at_once_lose_no_more_than_one_by_one(epsilon, count):
    together, apart = bounded_range(epsilon, count), bounded_range(epsilon).times(count)
    for a, b in zip(together.renyi, apart.renyi, strict=True):
        assert b - count <= a <= b


SAMPLED = pytest.mark.parametrize(
    ("rate", "sigma", "steps"),
    [("0.01", "1", 1000), ("0.001", "0.8", 5000), ("0.2", "4", 100), ("0.999", "2", 3), ("0.5", "0.5", 7)],
)


@SAMPLED
def test_a_sampled_gaussian_is_that_of_the_oracle_at_whole_orders(rate, sigma, steps):
    event = dp_accounting.PoissonSampledDpEvent(float(rate), dp_accounting.GaussianDpEvent(float(sigma)))
    whole = [order for order in FINITE if order == int(order)]
    accountant = rdp.RdpAccountant(orders=whole)
    accountant.compose(event, steps)
    ours = dict(zip(ORDERS, subsampled_gaussian(F(rate), F(sigma), steps).renyi, strict=True))
    for order, theirs in zip(whole, accountant._rdp, strict=True):
        assert ours[order] >= float(theirs) * NANO * (1 - 1e-9) - 1
        assert ours[order] == pytest.approx(float(theirs) * NANO, rel=1e-7, abs=2)


@SAMPLED
def test_a_sampled_gaussian_bounds_both_directions_at_every_order(rate, sigma, steps):
    """By summing the densities; the oracle's own series fail at some orders that are not whole."""
    q, s = float(rate), float(sigma)
    loss = subsampled_gaussian(F(rate), F(sigma), steps)
    for order, ours in zip(FINITE, loss.renyi, strict=False):
        if order <= 16:
            x = np.linspace(-20 * s - order, 20 * s + 2 * order, 400_001)
            without = -(x**2) / (2 * s * s)
            ratio = np.logaddexp(math.log1p(-q), math.log(q) + (2 * x - 1) / (2 * s * s))
            mass = logsumexp(without)
            joined = (logsumexp(without + order * ratio) - mass) / (order - 1)
            left = (logsumexp(without + (1 - order) * ratio) - mass) / (order - 1)
            assert ours >= max(joined, left) * steps * NANO * (1 - 1e-9) - 1
            assert ours <= joined * steps * NANO * 2.6 + 2


def test_a_sampled_gaussian_at_the_edges():
    assert subsampled_gaussian(F(0), F(1), 5) == ZERO
    assert subsampled_gaussian(F(1, 2), F(1), 0) == ZERO
    assert subsampled_gaussian(F(1), F(2), 3) == gaussian(F(3, 8))
    assert subsampled_gaussian(F(1, 2), F(1, 10**9), 1).renyi[0] == INFINITE
    with pytest.raises(ValueError, match="sampled Gaussian"):
        subsampled_gaussian(F(2), F(1), 1)


def test_losses_add_saturate_and_refuse_nonsense():
    huge = Loss((INFINITE,) * len(ORDERS), INFINITE)
    assert huge + pure(F(1)) == huge
    assert huge.times(0) == ZERO
    assert pure(F(1)).times(3) == pure(F(1)) + pure(F(1)) + pure(F(1))
    for wrong in ((1,), (-1,) * len(ORDERS), (INFINITE + 1,) * len(ORDERS)):
        with pytest.raises(ValueError, match="order"):
            Loss(wrong)
    with pytest.raises(ValueError, match="whole number"):
        ZERO.times(-1)
