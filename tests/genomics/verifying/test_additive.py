from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import chisquare

from noisegate.genomics.verifying import additive
from noisegate.genomics.verifying.simulate import key_of, uniforms
from noisegate.privacy.noise import Gaussian, Laplace, add

COUNT = 40_000


def law(noise, reach):
    k = np.arange(-reach, reach + 1)
    if isinstance(noise, Laplace):
        weights = np.exp(-np.abs(k) / float(noise.scale))
    else:
        weights = np.exp(-(k**2) / (2 * float(noise.scale) ** 2))
    return weights / weights.sum()


@pytest.mark.parametrize(
    "noise", [Laplace(Fraction(5, 2)), Gaussian(Fraction(7, 2)), Gaussian(Fraction(1, 2))]
)
def test_simulated_noise_follows_the_discrete_law(noise):
    reach = int(4 * float(noise.scale)) + 1
    for drawn in (
        additive.simulated(noise, uniforms(key_of("a"), (2, COUNT))),
        add(noise, np.zeros(COUNT, np.int64)),
    ):
        counts = np.bincount(np.clip(drawn, -reach, reach) + reach, minlength=2 * reach + 1)
        wide = law(noise, 60 * reach)
        middle = len(wide) // 2
        due = wide[middle - reach : middle + reach + 1].copy()
        due[0] += wide[: middle - reach].sum()
        due[-1] += wide[middle + reach + 1 :].sum()
        assert chisquare(counts, due / due.sum() * COUNT).pvalue > 1e-6
    off = type(noise)(noise.scale * Fraction(9, 8))
    near = law(off, 60 * reach)[middle - reach : middle + reach + 1]
    assert chisquare(counts, near / near.sum() * COUNT).pvalue < 1e-6


def test_wide_simulated_noise_has_its_deviation():
    drawn = additive.simulated(Gaussian(Fraction(5_000)), uniforms(key_of("b"), (2, COUNT)))
    assert drawn.std() == pytest.approx(5_000, rel=0.02)


def test_the_same_key_draws_the_same():
    one, two, other = (
        additive.simulated(Laplace(Fraction(9)), uniforms(key_of(name), (2, 50))) for name in ("a", "a", "b")
    )
    assert (one == two).all()
    assert (one != other).any()
