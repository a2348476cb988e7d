"""Areas, powers and their intervals."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import norm

from noisegate.leakage.roc import CONFIDENCE, DRAWN, area, power, proportion, roc


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def test_the_area_is_the_share_of_pairs_in_the_right_order(rng):
    members = rng.integers(0, 6, 23).astype(float) + 1
    controls = rng.integers(0, 6, 31).astype(float)
    pairs = [(m > c) + 0.5 * (m == c) for m in members for c in controls]
    assert area(members, controls).value == pytest.approx(np.mean(pairs), abs=1e-12)


def test_the_interval_of_the_area_holds_the_true_area_as_often_as_it_says(rng):
    shift = 1.2
    truth = norm.cdf(shift / np.sqrt(2))
    inside = 0
    for _ in range(1000):
        found = area(rng.normal(shift, 1, 50), rng.normal(0, 1, 60))
        inside += found.low <= truth <= found.high
    # Three standard errors of 1,000 runs are 2.1 %; an interval of 90 % would hold it 900 times.
    assert 0.925 * 1000 <= inside <= 0.975 * 1000


def test_scores_that_part_completely_still_leave_room_for_doubt():
    found = area(np.arange(60.0) + 100, np.arange(60.0))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 60))
    reverse = area(np.arange(60.0), np.arange(60.0) + 100)
    assert (reverse.low, reverse.value) == (0.0, 0.0)
    tied = area(np.ones(40), np.ones(40))
    assert tied.low < 0.4 < tied.value == 0.5 < 0.6 < tied.high


def test_the_threshold_is_fixed_on_controls_alone(rng):
    controls = rng.normal(0, 1, 200)
    for rate in (0.01, 0.05, 0.1):
        threshold = np.sort(controls)[::-1][int(rate * 200)]
        for members in (rng.normal(1, 1, 100), rng.normal(9, 1, 100)):
            found = power(members, controls, rate)
            assert found.found.value == (members > threshold).mean()
            assert found.false.value == (controls > threshold).mean() <= rate


def test_few_controls_say_that_the_rate_may_be_far_higher():
    found = power(np.arange(100.0), np.arange(20.0), 0.01)
    assert found.false.value == 0
    assert found.false.high == pytest.approx(1 - 0.025 ** (1 / 20))
    many = power(np.arange(100.0), np.arange(20_000.0), 0.01)
    assert 0.0085 < many.false.low < 0.01 < many.false.high < 0.0115


def test_the_interval_of_the_rate_holds_the_true_rate_as_often_as_it_says(rng):
    inside = 0
    for _ in range(1000):
        controls = rng.random(80)
        found = power(np.array([0.5, 0.5]), controls, 0.05)
        true_rate = 1 - np.sort(controls)[::-1][4]
        inside += found.false.low <= true_rate <= found.false.high
    assert 0.925 * 1000 <= inside <= 0.975 * 1000


def test_tied_scores_are_not_counted_as_found():
    found = power(np.zeros(50), np.zeros(50), 0.05)
    assert (found.found.value, found.false.value) == (0, 0)


@pytest.mark.parametrize(("found", "trials", "low", "high"), [(0, 10, 0, 0.3085), (7, 10, 0.3475, 0.9333)])
def test_proportions_have_the_interval_of_clopper_and_pearson(found, trials, low, high):
    estimate = proportion(found, trials)
    assert (estimate.low, estimate.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))
    assert CONFIDENCE == 0.95


def test_the_curve_climbs_from_corner_to_corner_and_keeps_its_first_steps(rng):
    members, controls = rng.normal(1, 1, 3000), rng.normal(0, 1, 3000)
    curve = roc(members, controls).curve
    assert (curve[0], curve[-1]) == ((0, 0), (1, 1))
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(curve))
    assert 50 < len(curve) <= DRAWN + 2
    ordered = np.sort(controls)[::-1]
    for false, found in curve[1:-1]:
        passed = round(false * 3000)
        assert found <= (members > ordered[passed]).mean() + 1e-9
        assert passed == 0 or found >= (members >= ordered[passed - 1]).mean() - 1e-9


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="finite"):
        roc(np.array([1.0, np.nan]), np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="two controls"):
        roc(np.array([1.0, 2.0]), np.array([0.0]))
