"""Rebuilding the one person whom an adversary who knows the others does not know."""

import numpy as np
import pytest

from noisegate.genotypes.packed import pack
from noisegate.leakage.genomes import Held
from noisegate.leakage.reconstruction import blind_guess, judged, reconstruct

from . import panels


def test_exact_counts_give_the_last_person_away():
    calls = panels.random_calls(np.random.default_rng(1), 300, 30)
    known = Held(pack(np.ascontiguousarray(calls[:, 1:])))
    guess = reconstruct(calls.sum(axis=1).astype(float), known)
    assert (guess == calls[:, 0]).all()
    for off in (-0.4, 0.4):
        assert (reconstruct(calls.sum(axis=1) + off, known) == calls[:, 0]).all()
    found = judged(guess, blind_guess(known), calls[:, 0])
    assert (found.right.value, found.variants) == (1.0, 300)
    assert found.blind.high < 0.9


def test_calls_the_person_lacks_are_not_counted():
    truth = np.array([0, -1, 2, -1], np.int8)
    found = judged(np.array([0, 0, 2, 1], np.int8), np.zeros(4, np.int8), truth)
    assert (found.variants, found.right.value, found.blind.value) == (2, 1.0, 0.5)
    with pytest.raises(ValueError, match="no calls"):
        judged(truth, truth, np.full(4, -1, np.int8))


def test_counts_restored_as_published_give_three_calls_in_four_away():
    """A restoration that truncates leaves a quarter of the counts one allele up."""
    rng = np.random.default_rng(2)
    calls = panels.lactose("target")
    known = Held(pack(np.ascontiguousarray(calls[:, :59])))
    counts = (calls.sum(axis=1) + (rng.random(len(calls)) < 0.25)).astype(float)
    found = judged(reconstruct(counts, known), blind_guess(known), calls[:, 59])
    assert found.right.value == pytest.approx(0.77, abs=0.015)
    assert found.blind.value == pytest.approx(0.65, abs=0.03)
    # Whoever minds how common each call is does better still.
    minding = judged(reconstruct(counts - 0.25, known, 0.45), blind_guess(known), calls[:, 59])
    assert minding.right.low > found.right.high


def test_enough_noise_leaves_nothing_but_the_blind_guess():
    rng = np.random.default_rng(3)
    calls = panels.random_calls(rng, 4000, 60)
    known = Held(pack(np.ascontiguousarray(calls[:, 1:])))
    counts = calls.sum(axis=1)
    found = {
        noise: judged(
            reconstruct(counts + rng.normal(0, noise, 4000), known, noise), blind_guess(known), calls[:, 0]
        )
        for noise in (0.3, 100)
    }
    assert found[0.3].right.value > 0.88
    assert found[100].right.value == pytest.approx(found[100].blind.value, abs=0.005)


def test_known_people_with_other_variants_are_refused():
    known = Held(pack(np.zeros((3, 2), np.int8)))
    with pytest.raises(ValueError, match="3 variants, the release 4"):
        reconstruct(np.zeros(4), known)
