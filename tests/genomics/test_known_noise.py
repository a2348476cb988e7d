"""How far out sums of known noise lie, and on what lattice."""

import math
from fractions import Fraction

import numpy as np
import pytest

from noisegate.genomics.known_noise import SEEN, half_wave, lattice_step, law_of
from noisegate.privacy.noise import Gaussian, Laplace

F = Fraction


def noise_law(noise):
    scale = float(noise.scale)
    reach = int(scale * (45 if isinstance(noise, Laplace) else 9.5)) + 3
    x = np.arange(-reach, reach + 1)
    p = np.exp(-np.abs(x) / scale) if isinstance(noise, Laplace) else np.exp(-((x / scale) ** 2) / 2)
    return -reach, p / p.sum()


@pytest.mark.parametrize("noise", [Laplace(F(2)), Laplace(F(30)), Gaussian(F(3)), Gaussian(F(100))])
def test_a_reach_is_passed_as_rarely_as_it_says_and_not_much_more_rarely(noise):
    law = law_of(noise)
    least, p = noise_law(noise)
    four = p
    for _ in range(3):
        four = np.convolve(four, p)
    values = 4 * least + np.arange(len(four))
    for chance in (0.01, 1e-6, 1e-10):
        h = law.reach(-math.log(chance), np.ones(4))
        passed = four[values >= h].sum()
        assert passed <= chance
        assert passed > chance / (12 if float(noise.scale) < 5 else 2)


def test_a_reach_of_nothing_is_nothing():
    assert law_of(Gaussian(F(3))).reach(5.0, np.zeros(4)) == 0


def test_a_lattice_is_seen_where_noise_leaves_it():
    w = np.array([-1.0, 0.0, 1.0])
    half = np.concatenate([w / 2, -w / 2])
    odd = np.concatenate([0.63 * w, -0.37 * w])
    assert lattice_step(law_of(Gaussian(F(30))), half) == 1 / 2
    assert lattice_step(law_of(Laplace(F(30))), half) == 1 / 2
    assert lattice_step(law_of(Gaussian(F(30))), odd) == 1 / 16
    assert lattice_step(law_of(Gaussian(F(1, 8))), odd) == 1
    assert lattice_step(law_of(Laplace(F(1, 8))), odd) == 1


def test_numbers_two_apart_are_seen_only_where_there_is_next_to_no_noise():
    w = np.array([-1.0, 0.0, 1.0])
    for share in np.linspace(0.001, 0.5, 30):
        trend = np.concatenate([share * w, (1 - share) * w])
        for noise in (Laplace(F(1, 4)), Gaussian(F(1, 2))):
            assert half_wave(law_of(noise), trend) > SEEN
        for noise in (Laplace(F(2)), Gaussian(F(1)), Laplace(F(30)), Gaussian(F(100))):
            assert half_wave(law_of(noise), trend) < SEEN
