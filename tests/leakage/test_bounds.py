"""What ε allows, and what canaries prove."""

import math

import numpy as np
import pytest
from scipy.stats import beta

from noisegate.genotypes.packed import pack, unpack
from noisegate.leakage.bounds import alleles_of, canary, lower_bound, most_area, most_power, planted

from . import panels


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0, 5.0, 20.0])
@pytest.mark.parametrize("delta", [0.0, 1e-5, 0.1])
def test_no_test_of_two_worlds_does_better_than_is_allowed(epsilon, delta):
    """The worst pair of worlds: told apart with probability δ, else randomised response (Kairouz et al.)."""
    keep = math.exp(epsilon) / (1 + math.exp(epsilon))
    one = np.array([delta, (1 - delta) * keep, (1 - delta) * (1 - keep), 0])
    other = one[::-1]
    rates, powers = np.append(0, np.cumsum(other)), np.append(0, np.cumsum(one))
    for rate, power in zip(rates[1:], powers[1:], strict=True):
        assert most_power(epsilon, delta, rate) == pytest.approx(power, rel=1e-6)
    area = ((powers[1:] + powers[:-1]) / 2 * np.diff(rates)).sum()
    assert most_area(epsilon, delta) == pytest.approx(area, abs=1e-9)


def test_no_bound_is_one_where_epsilon_is_vast():
    assert most_power(math.inf, 0, 0.01) == most_power(1e6, 0, 0.01) == 1
    assert most_area(math.inf, 0) == most_area(1e6, 0) == 1
    assert most_power(1e6, 0, 0.0) == 0


def test_the_bound_is_from_both_rates_at_once():
    bound = lower_bound(90, 100, 3, 100)
    power, rate = beta.ppf(0.025, 90, 11), beta.ppf(0.975, 4, 97)
    assert bound.epsilon == pytest.approx(math.log(power / rate))
    assert lower_bound(97, 100, 10, 100).epsilon == pytest.approx(bound.epsilon)  # the worlds exchanged
    assert lower_bound(90, 100, 3, 100, delta=0.5).epsilon < bound.epsilon
    assert lower_bound(3, 100, 90, 100).epsilon == 0
    with pytest.raises(ValueError, match="trials"):
        lower_bound(11, 10, 0, 10)


def test_a_bound_passes_the_true_epsilon_hardly_ever():
    rng = np.random.default_rng(7)
    epsilon = 1.0
    keep = math.exp(epsilon) / (1 + math.exp(epsilon))
    bounds = [
        canary((rng.random(400) < keep).astype(float), (rng.random(400) > keep).astype(float)).epsilon
        for _ in range(300)
    ]
    # The confidence is 95 %: 15 of 300 in the worst case, 30 is four standard deviations beyond.
    assert sum(b > epsilon for b in bounds) <= 30
    assert np.median(bounds) > 0.5


def test_the_runs_that_choose_the_threshold_are_not_counted():
    told, untold = np.tile([1.0, 0.0], 50), np.zeros(100)
    assert canary(told, untold).epsilon == 0
    assert canary(1 - told, untold).epsilon == lower_bound(0, 50, 0, 50).epsilon
    assert canary(np.ones(100), untold) == lower_bound(50, 50, 0, 50)


def flipped(rng, flip):
    """Each of a call's two bits flipped with a probability, decoded as the sum of the bits."""

    def release(block):
        calls = unpack(block)
        bits = np.stack([calls == 2, calls >= 1])
        return pack((bits ^ (rng.random(bits.shape) < flip)).sum(axis=0).astype(np.int8))

    return release


def test_a_canary_proves_most_of_an_honest_epsilon_and_no_more():
    rng = np.random.default_rng(9)
    block = pack(panels.random_calls(rng, 4, 6))
    flip = 0.35
    epsilon = 8 * math.log((1 - flip) / flip)
    found = planted(flipped(rng, flip), block, 3, 3_000, alleles_of(3))
    assert 0.45 * epsilon < found.epsilon <= epsilon


def test_a_canary_catches_a_release_with_less_noise_than_it_says():
    rng = np.random.default_rng(10)
    block = pack(panels.random_calls(rng, 4, 6))
    claimed = 8 * math.log(0.65 / 0.35)
    # The published sampler flips .0056 of the bits where .5009 is meant.
    found = planted(flipped(rng, 0.0056), block, 3, 3_000, alleles_of(3))
    assert found.epsilon > claimed
    assert lower_bound(found.found, found.trials, found.false, found.false_trials) == found


def test_a_canary_is_seen_in_exact_counts_though_rows_are_noisy():
    rng = np.random.default_rng(11)
    calls = panels.random_calls(rng, 30, 20)

    def shuffled_to_exact_counts(block):
        return pack(np.stack([rng.permutation(row) for row in unpack(block)]))

    blind = planted(shuffled_to_exact_counts, pack(calls), 0, 400, alleles_of(None))
    assert blind.epsilon == pytest.approx(math.log(0.025 ** (1 / 200) / (1 - 0.025 ** (1 / 200))))
