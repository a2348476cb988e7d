"""The helper that judges samplers is judged by broken ones."""

import numpy as np
import pytest

from . import laws

GENERATOR = np.random.default_rng(7)


def drawn(law: laws.Law, count: int) -> np.ndarray:
    return GENERATOR.choice(np.arange(law.low, law.low + len(law.p)), size=count, p=law.p)


NEAR = {"10% less noise": laws.laplace(9.0), "10% more noise": laws.laplace(11.0)}


def test_the_true_law_passes():
    laws.assert_follows(drawn(laws.laplace(10.0), 25_000), laws.laplace(10.0), not_these=NEAR)


@pytest.mark.parametrize("scale", [9.0, 11.0])
def test_a_near_miss_fails(scale):
    with pytest.raises(AssertionError, match="noise"):
        laws.assert_follows(drawn(laws.laplace(scale), 25_000), laws.laplace(10.0), not_these=NEAR)


def test_a_sampler_broken_in_a_way_nobody_foresaw_fails():
    draws = drawn(laws.laplace(10.0), 25_000)
    draws[draws == 0] = 1
    with pytest.raises(AssertionError, match="another law"):
        laws.assert_follows(draws, laws.laplace(10.0), not_these=NEAR)


def test_too_few_draws_to_tell_fail():
    with pytest.raises(AssertionError, match="draws are needed"):
        laws.assert_follows(drawn(laws.laplace(10.0), 100), laws.laplace(10.0), not_these=NEAR)
