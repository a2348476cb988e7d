import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from noisegate.genomics.quadratic import chain, family, thresholds

from .words import words


def quadratic(theta, coupling, kin=((0.0,),)):
    """Return the chance of each word from the formula alone, exp(b Θ bᵀ) over its sum."""
    bits, rows = len(theta), len(kin)
    weights = {}
    for word in itertools.product(range(2**rows), repeat=bits):
        b = np.array([[state >> i & 1 for state in word] for i in range(rows)])
        log = (b @ theta).sum() + 2 * (b[:, 1:] * b[:, :-1] @ coupling).sum()
        log += sum(2 * kin[i][k] * (b[i] * b[k]).sum() for i in range(rows) for k in range(i))
        weights[word] = math.exp(log)
    whole = math.fsum(weights.values())
    return {word: weight / whole for word, weight in weights.items()}


def near(law, expected, most=1e-12):
    chances = words(law)
    return all(abs(float(chances[word]) / p - 1) <= most for word, p in expected.items())


@pytest.mark.parametrize("seed", range(3))
def test_a_chain_is_the_quadratic_law_of_its_parameters(seed):
    rng = np.random.default_rng(seed)
    theta, coupling = rng.normal(-1, 1, 8), rng.normal(0, 0.5, 7)
    assert near(chain(theta, coupling), quadratic(theta, coupling))
    assert not near(chain(theta, 1.01 * coupling), quadratic(theta, coupling), 1e-4)


@pytest.mark.parametrize(("rows", "bits"), [(2, 4), (3, 2), (4, 2)])
def test_a_family_is_the_quadratic_law_of_its_parameters(rows, bits):
    rng = np.random.default_rng(rows)
    theta, coupling = rng.normal(-1, 1, bits), rng.normal(0, 0.5, bits - 1)
    kin = rng.normal(0, 0.3, (rows, rows))
    kin += kin.T
    law = family(theta, coupling, kin, (tuple(range(rows)),))
    assert near(law, quadratic(theta, coupling, kin))
    assert not near(law, quadratic(theta, coupling, 1.01 * kin), 1e-4)
    assert near(law.single, quadratic(theta, coupling))


def test_where_noise_begins_afresh_there_is_no_coupling():
    rng = np.random.default_rng(4)
    theta, coupling = rng.normal(-1, 1, 6), rng.normal(0, 0.5, 5)
    law = chain(theta, coupling, (0, 1))
    cut = coupling.copy()
    cut[1] = 0
    assert near(law, quadratic(theta, cut))
    assert law.starts == (0, 1)
    kin = np.array([[0, 0.2], [0.2, 0]])
    related = family(theta[:4], coupling[:3], kin, ((0, 1),), (0, 1))
    assert near(related, quadratic(theta[:4], cut[:3], kin))


def test_rows_without_kin_are_independent():
    theta, coupling = np.array([-1.0, 0.5]), np.array([0.3])
    alone = words(chain(theta, coupling))
    for word, p in words(family(theta, coupling, np.zeros((2, 2)), ((0, 1),))).items():
        apart = alone[tuple(s & 1 for s in word)] * alone[tuple(s >> 1 for s in word)]
        assert abs(float(p / apart) - 1) < 1e-12


def test_thresholds_are_rounded_towards_a_half_and_never_nothing():
    chances = np.array([0.0, 2.0**-70, 0.3, 0.5, 0.7, 1 - 2.0**-53, 1.0])
    found = [int(t) for t in thresholds(chances)]
    assert found[0] == found[1] == 1
    assert found[3] == 2**63
    assert found[-1] == 2**64 - 1
    assert found[-2] == 2**64 - 2**11
    assert 0 <= found[2] - Fraction(0.3) * 2**64 < 1
    assert 0 <= Fraction(0.7) * 2**64 - found[4] < 1
    assert int(thresholds(np.array([1e-9]))[0]) == math.ceil(Fraction(1e-9) * 2**64) > 1e-9 * 2**64


def test_strong_parameters_do_not_overflow():
    law = chain(np.full(4_000, -80.0), np.full(3_999, 75.0))
    assert law.first.min() >= 1
    law = chain(np.full(4_000, 80.0), np.full(3_999, -35.0))
    assert law.after.max() <= 2**64 - 1


@pytest.mark.parametrize(
    ("theta", "coupling", "kin"),
    [
        (np.zeros(3), np.zeros(2), np.zeros((2, 2))),
        (np.zeros(4), np.zeros(4), np.zeros((2, 2))),
        (np.array([np.nan, 0]), np.zeros(1), np.zeros((2, 2))),
        (np.zeros(2), np.array([np.inf]), np.zeros((2, 2))),
        (np.zeros(2), np.zeros(1), np.array([[0, 1], [0.5, 0]])),
        (np.zeros(2), np.zeros(1), np.zeros((2, 3))),
        (np.zeros(2), np.zeros(1), np.zeros((6, 6))),
    ],
)
def test_parameters_that_are_no_law_are_refused(theta, coupling, kin):
    with pytest.raises(ValueError, match=r"."):
        family(theta, coupling, kin, ())


def test_nothing_has_a_law_too():
    assert chain(np.zeros(0), np.zeros(0)).variants == 0
