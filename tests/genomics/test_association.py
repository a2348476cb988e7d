"""Tests of association, and whether findings survive, beside scipy and the published figures."""

import math

import numpy as np
import pytest
from scipy.stats import chi2_contingency, norm

from noisegate.genomics.association import (
    LEVEL,
    RELAXED,
    chi_squared,
    genotype_counts,
    odds_ratio,
    retention,
)
from noisegate.genotypes.packed import pack
from noisegate.leakage.genomes import Held

from .panels import panels


@pytest.fixture
def rng():
    return np.random.default_rng(14)


def counted(calls):
    return genotype_counts(Held(pack(np.ascontiguousarray(calls))))


def test_genotypes_are_counted_without_the_missing(rng):
    calls = panels.random_calls(rng, 40, 70, 0.1)
    found = genotype_counts(panels.Cut(calls, [11, 29]))
    assert (found == np.stack([(calls == k).sum(axis=1) for k in range(3)], axis=1)).all()


def test_chi_squared_is_that_of_scipy_over_the_genotypes_somebody_has(rng):
    cases, controls = rng.integers(0, 12, (2, 300, 3))
    cases[:80, 2] = controls[:80, 2] = 0
    cases[80:90, 1:] = controls[80:90, 1:] = 0
    cases[90] = 0
    found = chi_squared(cases, controls)
    for p, case, control in zip(found, cases, controls, strict=True):
        table = np.array([case, control])
        table = table[:, table.sum(axis=0) > 0]
        if table.shape[1] < 2 or not table.sum(axis=1).all():
            assert p == 1
        else:
            assert p == pytest.approx(chi2_contingency(table)[1], rel=1e-9)


def test_odds_ratios_add_a_half_to_each_genotype_as_published(rng):
    cases, controls = rng.integers(0, 12, (2, 100, 3))
    ratio, p = odds_ratio(cases, controls)
    for i in range(100):
        a, b = cases[i] + 0.5, controls[i] + 0.5
        slow = b[0] * (a[1] + a[2]) / (a[0] * (b[1] + b[2]))
        error = math.sqrt(1 / (a[1] + a[2]) + 1 / a[0] + 1 / (b[1] + b[2]) + 1 / b[0])
        assert ratio[i] == pytest.approx(slow)
        assert p[i] == pytest.approx(2 * norm.sf(abs(math.log(slow)) / error))


def test_counts_of_other_variants_are_refused():
    with pytest.raises(ValueError, match="same variants"):
        chi_squared(np.zeros((3, 3), np.int64), np.zeros((4, 3), np.int64))


def test_retention_is_a_share_of_the_reported_beside_a_share_of_the_others():
    reported = np.array([0.01, 0.02, 0.049, 0.05, 0.5, 0.9])
    released = np.array([0.06, 0.9, 0.001, 0.061, 0.07, 1.0])
    found = retention(reported, released, rates=(0.0, 1 / 3, 1.0))
    assert (found.reported, found.others, LEVEL, RELAXED) == (3, 3, 0.05, 0.0625)
    assert found.kept is not None
    assert found.false is not None
    assert found.kept.value == pytest.approx(2 / 3)
    assert found.false.value == pytest.approx(1 / 3)
    assert found.at_rate == ((0.0, pytest.approx(2 / 3)), (1 / 3, pytest.approx(2 / 3)), (1.0, 1.0))
    assert found.area is not None
    assert found.area.value == pytest.approx(7 / 9)


def test_a_side_without_variants_has_no_share():
    found = retention(np.array([0.5, 0.6]), np.array([0.5, 0.6]))
    assert found.kept is None
    assert found.area is None
    assert all(math.isnan(kept) for _, kept in found.at_rate)


def responded(calls, keep, rng):
    moved = (calls + rng.integers(1, 3, calls.shape)) % 3
    return np.where(rng.random(calls.shape) < keep, calls, moved).astype(np.int8)


def odds(cases, controls):
    return odds_ratio(cases, controls)[1]


@pytest.mark.parametrize(("test", "kept", "false"), [(chi_squared, 0.945, 0.945), (odds, 0.78, 0.91)])
def test_noise_that_says_nothing_retains_nearly_everything_true_or_false(rng, test, kept, false):
    """Retention alone is gamed by randomised response at ε = 0; the false-positive rate gives it away."""
    target, reference = counted(panels.lactose("target")), counted(panels.lactose("reference"))
    noise = counted(responded(panels.lactose("target"), 1 / 3, rng))
    found = retention(test(target, reference), test(noise, reference))
    assert found.kept is not None
    assert found.false is not None
    assert found.area is not None
    assert found.kept.value == pytest.approx(kept, abs=0.02)
    assert found.false.value == pytest.approx(false, abs=0.02)
    assert found.area.value < 0.5
    assert all(share < rate for rate, share in found.at_rate)


@pytest.mark.parametrize(("test", "published"), [(chi_squared, 0.75), (odds, 0.64)])
def test_the_published_local_baseline_has_its_published_retention(rng, test, published):
    target, reference = counted(panels.lactose("target")), counted(panels.lactose("reference"))
    reported = test(target, reference)
    found = [
        retention(reported, test(counted(responded(panels.lactose("target"), 7 / 9, rng)), reference)).kept
        for _ in range(6)
    ]
    assert np.mean([estimate.value for estimate in found]) == pytest.approx(published, abs=0.02)


def test_an_exact_copy_retains_everything_and_nothing_else(rng):
    target, reference = counted(panels.lactose("target")), counted(panels.lactose("reference"))
    p = chi_squared(target, reference)
    found = retention(p, p)
    assert found.kept is not None
    assert found.false is not None
    assert found.kept.value == 1
    assert found.false.value == ((p >= LEVEL) & (p < RELAXED)).sum() / (p >= LEVEL).sum()
    assert all(kept == 1 for _, kept in found.at_rate)
