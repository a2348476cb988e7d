"""The four errors and the agreement of frequencies, beside plain twins and the published figures."""

import numpy as np
import pytest

from noisegate.genomics.measures import agreement, errors, frequency_errors, joint
from noisegate.genotypes.packed import pack
from noisegate.leakage.genomes import Held

from .panels import panels


def held(calls):
    return Held(pack(np.ascontiguousarray(calls)))


@pytest.fixture
def rng():
    return np.random.default_rng(12)


@pytest.mark.parametrize("people", [1, 64, 65, 130])
def test_pairs_of_calls_are_counted_as_by_hand(rng, people):
    ours, theirs = (panels.random_calls(rng, 20, people, 0.1) for _ in range(2))
    found = joint(pack(ours), pack(theirs))
    for a in range(3):
        for b in range(3):
            assert (found[:, a, b] == ((ours == a) & (theirs == b)).sum(axis=1)).all()


def test_errors_are_those_of_the_published_formulas(rng):
    ours, theirs = panels.random_calls(rng, 200, 70), panels.random_calls(rng, 200, 70)
    found = errors(panels.Cut(ours, [7, 93, 100]), panels.Cut(theirs, [150, 50]))
    people = [np.abs(a.astype(int) - b).sum() / 200 for a, b in zip(ours.T, theirs.T, strict=True)]
    assert found.point == pytest.approx((ours != theirs).mean())
    assert found.sample == pytest.approx(np.mean(people))
    assert found.mean == pytest.approx(np.abs(ours.mean(axis=1) - theirs.mean(axis=1)).mean())
    assert found.variance == pytest.approx(np.abs(ours.var(axis=1) - theirs.var(axis=1)).mean())


def test_calls_missing_on_a_side_are_left_out(rng):
    ours = panels.random_calls(rng, 50, 40, 0.2)
    theirs = panels.random_calls(rng, 50, 40, 0.2)
    ours[3] = -1
    there = (ours >= 0) & (theirs >= 0)
    found = errors(held(ours), held(theirs))
    assert found.point == pytest.approx((ours != theirs)[there].mean())
    away = [abs(a[t].mean() - b[t].mean()) for a, b, t in zip(ours, theirs, there, strict=True) if t.any()]
    assert found.mean == pytest.approx(np.mean(away))


def test_people_and_variants_are_the_same_in_number(rng):
    with pytest.raises(ValueError, match="3 people are compared with 4"):
        errors(held(panels.random_calls(rng, 5, 3)), held(panels.random_calls(rng, 5, 4)))
    with pytest.raises(ValueError, match="same variants"):
        errors(held(panels.random_calls(rng, 5, 3)), held(panels.random_calls(rng, 6, 3)))
    with pytest.raises(ValueError, match="no call"):
        errors(held(np.full((2, 2), -1, np.int8)), held(np.full((2, 2), -1, np.int8)))


def test_the_published_local_baseline_has_its_published_errors(rng):
    """A third of the calls become a uniform one, whatever the ε: point error 2/9 in every published row."""
    calls = panels.lactose("target")
    noisy = np.where(rng.random(calls.shape) < 1 / 3, rng.integers(0, 3, calls.shape), calls).astype(np.int8)
    found = errors(held(calls), held(noisy))
    assert found.point == pytest.approx(0.2222, abs=0.002)
    assert found.sample == pytest.approx(0.309, abs=0.003)
    assert found.mean == pytest.approx(0.220, abs=0.003)
    assert found.variance == pytest.approx(0.215, abs=0.003)


def test_frequencies_are_judged_as_if_calls_were_drawn_from_them(rng):
    exact = rng.random(30)
    shown = exact + rng.normal(0, 0.2, 30)
    found = frequency_errors(exact, shown)
    shown = shown.clip(0, 1)
    assert found.point is None
    assert found.sample is None
    assert found.mean == pytest.approx(2 * np.abs(shown - exact).mean())
    assert found.variance == pytest.approx(np.abs(2 * shown * (1 - shown) - 2 * exact * (1 - exact)).mean())


def test_agreement_is_of_the_allele_that_is_rare_on_the_exact_side(rng):
    exact, shown = rng.random(4000), rng.random(4000)
    exact[5] = np.nan
    found = agreement(exact, shown)
    there = np.isfinite(exact)
    ours = np.minimum(exact, 1 - exact)[there]
    theirs = np.where(exact <= 0.5, shown, 1 - shown)[there]
    assert found.error == pytest.approx(np.abs(ours - theirs).mean())
    assert found.worst == pytest.approx(np.abs(ours - theirs).max())
    assert found.correlation == pytest.approx(np.corrcoef(ours, theirs)[0, 1])
    assert len(found.points) == 1500
    assert set(found.points) <= set(zip(ours.tolist(), theirs.tolist(), strict=True))
    assert np.isnan(agreement(np.full(3, 0.2), np.array([0.1, 0.2, 0.3])).correlation)
