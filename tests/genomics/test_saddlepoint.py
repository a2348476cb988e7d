"""Tails by saddlepoint, against tails that are summed over every outcome."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import hypergeom, norm

from noisegate.genomics import saddlepoint
from noisegate.genomics.known_noise import law_of
from noisegate.privacy.noise import Gaussian, Laplace

F = Fraction
TREND, ANY, TWO = (-1, 0, 1), (0, 1, 1), (0, 0, 1)


def log_choose(n, k):
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def people_law(m, n, w):
    """Return (least, probabilities) of Σ w_k c_k, c people of each genotype among n drawn of all."""
    reach = max(abs(v) for v in w) * n
    found = np.zeros(2 * reach + 1)
    twos = np.arange(m[2] + 1)
    for ones in range(m[1] + 1):
        noughts = n - ones - twos
        fit = (noughts >= 0) & (noughts <= m[0])
        chance = log_choose(m[0], noughts[fit]) + log_choose(m[1], ones) + log_choose(m[2], twos[fit])
        np.add.at(
            found,
            w[0] * noughts[fit] + w[1] * ones + w[2] * twos[fit] + reach,
            np.exp(chance - log_choose(sum(m), n)),
        )
    return -reach, found


def scaled(law, factor):
    least, p = law
    found = np.zeros((len(p) - 1) * abs(factor) + 1)
    found[:: abs(factor)] = p if factor > 0 else p[::-1]
    return (least * factor if factor > 0 else (least + len(p) - 1) * factor), found


def noise_law(noise):
    scale = float(noise.scale)
    reach = int(scale * (45 if isinstance(noise, Laplace) else 9.5)) + 3
    x = np.arange(-reach, reach + 1)
    p = np.exp(-np.abs(x) / scale) if isinstance(noise, Laplace) else np.exp(-((x / scale) ** 2) / 2)
    return -reach, p / p.sum()


def whole_law(m, n, w, noise, parts):
    """Return the law of parts * S, with the noise of six cells, where it is whole, as parts * n / Σ m is."""
    share = n * parts // sum(m)
    least, p = scaled(people_law(m, n, w), parts)
    least -= share * int(np.dot(m, w))
    if noise is None:
        return least, p
    one = noise_law(noise)
    for k in range(3):
        for factor in ((parts - share) * w[k], -share * w[k]):
            if factor:
                more, q = scaled(one, factor)
                least, p = least + more, np.convolve(p, q)
    return least, p


def arrays(noise, r, w):
    if noise is None:
        return np.zeros(1), np.zeros(1, np.int64), np.ones(1), np.ones(1), 0
    law, w = law_of(noise), np.array(w, float)
    return np.concatenate([(1 - r) * w, -r * w]), np.full(6, law.kind), np.full(6, law.size), np.ones(6), 6


def ratios(m, n, w, noise, parts, step):
    """Return tails by saddlepoint over exact ones, where those lie between 1e-10 and a half."""
    least, p = whole_law(m, n, w, noise, parts)
    exact = np.cumsum(p[::-1])[::-1]
    places = np.nonzero((exact < 0.5) & (exact > 1e-10) & (p > 0))[0]
    places = places[:: max(1, len(places) // 40)]
    terms, counts = arrays(noise, n / sum(m), w), np.array(m, float)
    found = [
        saddlepoint.tail((least + i) / parts, step, float(n), counts, np.array(w, float), *terms)
        for i in places
    ]
    return np.array(found) / exact[places], exact[places]


@pytest.mark.parametrize("noise", [Laplace(F(4)), Gaussian(F(6))])
@pytest.mark.parametrize(
    ("m", "n", "parts"), [((180, 18, 2), 100, 2), ((195, 4, 1), 20, 10), ((100, 80, 20), 40, 5)]
)
def test_tails_under_noise_are_right_far_out(m, n, parts, noise):
    for w in (TREND, ANY, TWO):
        found, _ = ratios(m, n, w, noise, parts, 1 / parts)
        assert found == pytest.approx(1, abs=0.07)
        # A tenth more or less noise is another law: the same check finds it out.
        other = type(noise)(F(round(float(noise.scale) * 1.1 * 64), 64))
        least, p = whole_law(m, n, w, other, parts)
        exact = np.cumsum(p[::-1])[::-1]
        at = int(np.argmax(exact < 1e-6))
        r = n / sum(m)
        value = saddlepoint.tail(
            (least + at) / parts,
            1 / parts,
            float(n),
            np.array(m, float),
            np.array(w, float),
            *arrays(noise, r, w),
        )
        assert value / exact[at] < 0.8


@pytest.mark.parametrize(
    "noise", [None, Laplace(F(13, 64)), Laplace(F(1)), Gaussian(F(1, 4)), Gaussian(F(1))]
)
def test_half_a_count_more_never_makes_a_tail_much_too_small(noise):
    for m, n, parts in [
        ((180, 18, 2), 100, 2),
        ((195, 5, 0), 20, 10),
        ((998, 2, 0), 100, 10),
        ((30, 9, 1), 4, 10),
    ]:
        for w in (TREND, ANY, TWO):
            if w == TWO and not m[2]:
                continue
            found, _ = ratios(m, n, w, noise, parts, 1.0)
            assert found.size == 0 or found.min() > 1 / 1.1  # what contrasts.GUARD makes good


def test_without_noise_the_tail_is_that_of_fishers_exact_test():
    for carriers, cases, people in [(60, 200, 500), (400, 150, 1_000), (30, 500, 1_000)]:
        m = np.array([people - carriers, carriers, 0.0])
        for k in range(carriers * cases // people + 2, min(carriers, cases) - 2, 3):
            exact = hypergeom.sf(k - 1, people, carriers, cases)
            if exact < 1e-12:
                break
            t = k - carriers * cases / people
            found = saddlepoint.tail(
                t, 1.0, float(cases), m, np.array([0.0, 1.0, 0.0]), *arrays(None, 0.5, ANY)
            )
            assert found == pytest.approx(exact, rel=0.03)


def test_cumulants_are_those_of_the_laws():
    for noise in (Laplace(F(3)), Laplace(F(50)), Gaussian(F(2)), Gaussian(F(40))):
        law = law_of(noise)
        least, p = noise_law(noise)
        x = least + np.arange(len(p))
        for s in np.array([-0.5, 0.01, 0.4]) / float(noise.scale):
            value, slope, curve = saddlepoint.cumulants(law.kind, law.size, s)
            weights = p * np.exp(s * x)
            mean = (weights * x).sum() / weights.sum()
            assert value == pytest.approx(math.log(weights.sum()), rel=1e-6)
            assert slope == pytest.approx(mean, rel=1e-6)
            assert curve == pytest.approx((weights * (x - mean) ** 2).sum() / weights.sum(), rel=1e-6)


def test_little_gaussian_noise_is_taken_for_no_less_than_it_is():
    x = np.arange(-12, 13)
    for scale in (0.1, 0.4, 0.8):
        p = np.exp(-((x / scale) ** 2) / 2)
        for s in (0.5, 3.0, 12.0):
            exact = math.log((p * np.exp(s * x)).sum() / p.sum())
            assert saddlepoint.cumulants(saddlepoint.NORMAL, scale, s)[0] >= exact - 1e-12


def test_the_tilt_of_a_normal_law_is_its_quantile_over_its_deviation():
    kinds, sizes, ones = np.ones(1, np.int64), np.array([3.0]), np.ones(1)
    found = saddlepoint.tilt(18.0, 16.0, ones, kinds, sizes, ones, 1)
    assert found == pytest.approx(6.0 / 5.0, rel=0.01)


def test_a_normal_tail_is_one():
    m, w = np.array([2.0, 0.0, 0.0]), np.zeros(3)
    one = (np.ones(1), np.ones(1, np.int64), np.array([5.0]), np.ones(1), 1)
    for z in (-3.0, -1.0, 0.5, 2.0, 5.5, 20.0):
        assert saddlepoint.tail(5 * z, 0.0, 1.0, m, w, *one) == pytest.approx(norm.sf(z), rel=1e-3)


def test_where_nothing_varies_the_tail_is_all_or_nothing():
    m, w = np.array([10.0, 0.0, 0.0]), np.array([-1.0, 0.0, 1.0])
    nothing = arrays(None, 0.5, TREND)
    assert saddlepoint.tail(0.0, 1.0, 5.0, m, w, *nothing) == 1
    assert saddlepoint.tail(1.0, 1.0, 5.0, m, w, *nothing) == 0
