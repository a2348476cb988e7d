"""Frequencies: the noise asked for, intervals that hold, and shrinkage no worse than the panel."""

from fractions import Fraction

import numpy as np
import pytest

from noisegate.errors import BadInput
from noisegate.genomics import frequencies
from noisegate.genomics.counts import Alleles, Centred, Groups, Plan
from noisegate.genomics.panel import Panel, chain_starts
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.noise import Gaussian, Laplace

from .held import held

F = Fraction

DELTA = F(1, 10**6)


def population(variants, people, seed=0, low=0.05):
    """Return calls of two groups of one population, shape (variants, people), and their true frequencies."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(low, 0.5, variants)
    return [rng.binomial(2, p[:, None], (variants, people)).astype(np.int8) for _ in range(2)]


def panel_of(calls):
    return Panel.of(held(calls, public=True), chain_starts(np.zeros(len(calls))))


def test_counts_about_a_panel_are_less_noisy_and_equally_private():
    ours, theirs = population(400, 300)
    panel = panel_of(theirs)
    plain = frequencies.design(400, F(3), DELTA)
    centred = frequencies.design(400, F(3), DELTA, panel)
    assert isinstance(plain.query, Alleles)
    assert isinstance(centred.query, Centred)
    for plan in (plain, centred):
        assert F(299, 100) < stand_alone_epsilon(plan.loss, DELTA) <= 3
    assert frequencies.noise_sd(centred) < 0.75 * frequencies.noise_sd(plain)
    errors = [
        np.std(600 * frequencies.measured(frequencies.release(held(ours), plan))[0] - ours.sum(axis=1))
        for plan in (plain, centred)
    ]
    assert errors[1] < 0.85 * errors[0]
    assert errors[1] == pytest.approx(frequencies.noise_sd(centred), rel=0.25)


def test_without_delta_the_noise_is_laplace_and_the_loss_pure():
    _, theirs = population(20, 100)
    plan = frequencies.design(20, F(2), F(0), panel_of(theirs))
    assert isinstance(plan.noise, Laplace)
    assert plan.loss.pure_epsilon is not None
    assert plan.loss.pure_epsilon <= 2


def test_intervals_hold_the_truth_nineteen_times_in_twenty():
    ours, theirs = population(4_000, 200)
    truth = ours.mean(axis=1) / 2
    for plan in (Plan(Alleles(4_000), Gaussian(F(20))), Plan(panel_of(theirs).centred, Gaussian(F(20 * 64)))):
        found = frequencies.estimate(frequencies.release(held(ours), plan))
        held_by = np.mean((found.low <= truth) & (truth <= found.high))
        assert 0.93 < held_by < 0.97
        assert ((found.noisy >= 0) & (found.noisy <= 1)).all()


@pytest.mark.parametrize("epsilon", [F(1, 10), F(1), F(10), F(100)])
def test_shrunk_frequencies_are_never_worse_than_the_panel_and_better_where_noise_allows(epsilon):
    ours, theirs = population(500, 600, seed=int(epsilon * 10))
    panel, truth = panel_of(theirs), ours.mean(axis=1) / 2
    plan = frequencies.design(500, epsilon, DELTA, panel)
    found = frequencies.estimate(frequencies.release(held(ours), plan), panel)
    error, theirs_error = (np.abs(f - truth).mean() for f in (found.mean, panel.frequency))
    assert error < 1.03 * theirs_error
    if epsilon >= 10:
        assert error < 0.7 * theirs_error
    assert np.sqrt(np.mean((found.mean - truth) ** 2)) == pytest.approx(np.mean(found.sd), rel=0.3)


def another_population():
    rng = np.random.default_rng(5)
    theirs, ours = (
        rng.binomial(2, rng.uniform(0.05, 0.5, (300, 1)), (300, 400)).astype(np.int8) for _ in range(2)
    )
    return ours, panel_of(theirs)


def test_a_panel_of_another_population_is_left_behind_where_the_counts_are_good():
    ours, panel = another_population()
    truth = ours.mean(axis=1) / 2
    found = frequencies.estimate(
        frequencies.release(held(ours), frequencies.design(300, F(10), DELTA)), panel
    )
    assert np.mean(found.weight) > 0.9
    assert np.abs(found.mean - truth).mean() < 0.2 * np.abs(panel.frequency - truth).mean()


def test_that_people_lie_out_of_a_panels_reach_is_noticed():
    ours, panel = another_population()
    found = frequencies.estimate(
        frequencies.release(held(ours), frequencies.design(300, F(10), DELTA, panel)), panel
    )
    assert found.reached < 0.9
    same, theirs = population(300, 400)
    near, some = panel_of(theirs), np.concatenate([same[:, :300], np.full((300, 100), 2, np.int8)], axis=1)
    plan = frequencies.design(300, F(10), DELTA, near)
    part = frequencies.estimate(frequencies.release(held(some), plan), near)
    assert part.reached == pytest.approx(0.75, abs=0.05)
    assert frequencies.estimate(frequencies.release(held(same), plan), near).reached == 1.0


def test_frequencies_are_those_of_the_people_near_the_panel():
    _, theirs = population(50, 100)
    panel = panel_of(theirs)
    near = theirs[:, :5]
    far = np.concatenate([near, np.full((50, 1), 2, np.int8)], axis=1)
    released = frequencies.release(held(far), Plan(panel.centred, Gaussian(F(1, 64))))
    assert frequencies.reached(released) == pytest.approx(5 / 6)
    assert frequencies.measured(released)[0] == pytest.approx(near.mean(axis=1) / 2)


def test_frequencies_are_not_made_of_other_counts_or_of_another_panel():
    ours, theirs = population(5, 20)
    with pytest.raises(BadInput):
        frequencies.release(held(ours), Plan(Groups(5), Gaussian(F(1))))
    with pytest.raises(BadInput):
        frequencies.design(6, F(1), DELTA, panel_of(theirs))
    with pytest.raises(BadInput):
        frequencies.design(0, F(1), DELTA)


def test_the_summary_is_json_and_holds_no_table():
    ours, theirs = population(30, 20)
    plan = frequencies.design(30, F(1), DELTA)
    told = frequencies.estimate(frequencies.release(held(ours), plan), panel_of(theirs)).as_json()
    assert told["variants"] == 30
    assert all(isinstance(value, int | float) for value in told.values())
