"""What is taken off scores makes variants that nothing depends on alike to be chosen."""

import numpy as np
import pytest

from noisegate.genomics import chance
from noisegate.genomics.choosing import FULL, Weights

EVEN = Weights(FULL, FULL)
SIZES = (500.0, 500.0)


def deviations(frequency):
    return np.sqrt(2 * frequency * (1 - frequency) * FULL**2 * sum(SIZES))


@pytest.mark.parametrize("noise", [3.0, 20.0, 300.0])
def test_scores_of_chance_alone_have_the_weight_of_one_at_every_frequency(noise):
    frequency = np.array([0.01, 0.1, 0.3, 0.5, 0.9])
    scale = noise * FULL
    offsets = chance.offsets(frequency, EVEN, SIZES, scale, 10**6)
    x = np.linspace(-40, 40, 400_001)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    for deviation, offset in zip(deviations(frequency), offsets, strict=True):
        if deviation / scale < np.sqrt(2 * np.log(10**6)):
            weight = np.trapezoid(density * np.exp((np.abs(x) * deviation - offset) / scale), x)
            assert weight == pytest.approx(1, rel=1e-3)


def test_where_noise_is_little_about_what_the_largest_of_all_reaches_is_taken_off():
    offsets = chance.offsets(np.array([0.5]), EVEN, SIZES, FULL / 1000, 10**5)
    reached = offsets[0] / deviations(np.array([0.5]))[0]
    assert reached == pytest.approx(np.sqrt(2 * np.log(10**5)), rel=0.01)


def test_offsets_grow_with_the_frequency_up_to_a_half_and_are_never_below_0():
    frequency = np.linspace(1e-6, 0.5, 500)
    for scale in (FULL / 7, FULL * 3.0, FULL * 1e4):
        offsets = chance.offsets(frequency, EVEN, SIZES, scale, 10**5)
        assert offsets.dtype == np.int64
        assert offsets[0] >= 0
        assert (np.diff(offsets) >= 0).all()
        assert (chance.offsets(1 - frequency, EVEN, SIZES, scale, 10**5) == offsets).all()


def test_variants_of_chance_are_chosen_as_often_whatever_their_frequency():
    """With offsets; without them the common ones are chosen far more often."""
    rng = np.random.default_rng(4)
    frequency = rng.permutation(np.repeat([0.02, 0.1, 0.4], 1000))
    scale = 8.0 * FULL
    offsets = chance.offsets(frequency, EVEN, SIZES, scale, len(frequency))
    shares = {}
    for name, taken in (("with", offsets), ("without", 0 * offsets)):
        often = np.zeros(3)
        for _ in range(1500):
            cases, controls = (rng.binomial(2 * 500, frequency) for _ in range(2))
            score = FULL * np.abs(cases - controls) - taken
            best = frequency[np.argmax(score + scale * rng.gumbel(size=len(score)))]
            often[[0.02, 0.1, 0.4].index(best)] += 1
        shares[name] = often / often.sum()
    assert np.abs(shares["with"] - 1 / 3).max() < 0.06  # five standard errors
    assert shares["without"][2] > 0.5
