"""Odds ratios and their intervals."""

import numpy as np
import pytest

from noisegate.genomics.odds import odds_ratios

QUIET = np.zeros((1, 2))


def of(shares, deviations=QUIET, sizes=(500.0, 500.0)):
    """Return ratio, low and high of one variant."""
    found = odds_ratios(np.array([shares]), np.broadcast_to(deviations, (1, 2)), np.array(sizes), np.ones(1))
    return [float(part[0]) for part in found]


def test_without_noise_the_interval_is_about_that_of_woolf():
    ratio, low, high = of((0.2, 0.3))
    assert ratio == pytest.approx((0.3 / 0.7) / (0.2 / 0.8))
    error = np.sqrt(sum(1 / (1_000 * p) + 1 / (1_000 * (1 - p)) for p in (0.2, 0.3)))
    assert low == pytest.approx(ratio * np.exp(-1.96 * error), rel=0.01)
    assert high == pytest.approx(ratio * np.exp(1.96 * error), rel=0.01)


def test_exchanging_groups_or_alleles_turns_the_interval_round():
    noise = np.array([[0.02, 0.05]])
    ratio, low, high = of((0.2, 0.3), noise)
    assert of((0.3, 0.2), noise[:, ::-1]) == pytest.approx([1 / ratio, 1 / high, 1 / low])
    assert of((0.8, 0.7), noise) == pytest.approx([1 / ratio, 1 / high, 1 / low])


def test_noise_makes_an_interval_wider_until_nothing_bounds_it():
    widths = []
    for deviation in (0.0, 0.02, 0.05):
        _, low, high = of((0.2, 0.3), deviation)
        widths.append(np.log(high / low))
    assert widths == sorted(widths)
    assert of((0.2, 0.3), 0.5)[1:] == [0.0, np.inf]


@pytest.mark.parametrize("shares", [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (-0.2, 1.3), (0.0, 0.5)])
def test_ratios_are_finite_and_lie_within_their_intervals(shares):
    for deviation in (0.0, 0.1):
        ratio, low, high = of(shares, deviation)
        assert 0 < ratio < np.inf
        assert 0 <= low <= ratio <= high


def test_a_group_that_may_be_empty_bounds_nothing():
    assert of((0.2, 0.3), sizes=(500.0, 0.4))[1:] == [0.0, np.inf]
