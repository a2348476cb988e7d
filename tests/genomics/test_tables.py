"""Tables of cases and controls: consistent, with intervals and tests that know of the noise."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.errors import BadInput
from noisegate.genomics import tables
from noisegate.genomics.counts import Alleles, Groups, Plan
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.noise import Gaussian

from .held import held

F = Fraction

DELTA = F(1, 10**6)


def study(variants=300, people=2_000, effect=0.0, seed=0):
    """Return calls (variants, people) and who is a case; a tenth of the variants has an effect."""
    rng = np.random.default_rng(seed)
    cases = rng.random(people) < 0.4
    p = rng.uniform(0.1, 0.5, (variants, 1)) + effect * (np.arange(variants) % 10 == 0)[:, None] * cases
    return rng.binomial(2, p).astype(np.int8), cases


def measured(epsilon, **given_study):
    calls, cases = study(**given_study)
    plan = tables.design(len(calls), epsilon, DELTA)
    return calls, cases, tables.release(held(calls), cases, plan)


def exact(calls, cases):
    return np.stack(
        [
            np.stack([(calls[:, cases == g] == k).sum(axis=1) for k in range(3)], axis=1)
            for g in (False, True)
        ],
        axis=1,
    )


def test_a_design_is_within_the_budget():
    plan = tables.design(300, F(5), DELTA)
    assert F(499, 100) < stand_alone_epsilon(plan.loss, DELTA) <= 5
    with pytest.raises(BadInput):
        tables.design(0, F(5), DELTA)


def test_cells_are_consistent_and_nearer_the_truth_than_the_noise():
    calls, cases, released = measured(F(3))
    found = tables.estimate(released)
    truth = exact(calls, cases)
    assert found.cells.min() >= 0
    assert found.cells.sum(axis=2) == pytest.approx(np.broadcast_to(found.sizes, (300, 2)))
    assert found.sizes.sum() == pytest.approx(2_000)
    assert np.abs(found.cells - truth).mean() < 0.95 * np.abs(found.noisy - truth).mean()
    assert np.mean((found.low <= truth) & (truth <= found.high)) == pytest.approx(0.95, abs=0.02)


def test_the_sizes_of_the_groups_come_from_all_tables_together():
    _, cases, released = measured(F(3))
    found = tables.estimate(released)
    assert abs(found.sizes[1] - cases.sum()) < 4 * found.size_sd
    assert found.size_sd < 0.1 * found.noise_sd
    declared = tables.estimate(released, cases=int(cases.sum()))
    assert declared.declared
    assert not found.declared
    assert declared.sizes.tolist() == [2_000 - cases.sum(), cases.sum()]
    with pytest.raises(BadInput):
        tables.estimate(released, cases=2_001)


def test_the_size_is_as_uncertain_as_it_says():
    calls, cases = study(variants=20, people=300)
    plan = Plan(Groups(20), Gaussian(F(10)))
    found = [tables.estimate(tables.release(held(calls), cases, plan)) for _ in range(300)]
    assert np.std([f.sizes[1] for f in found]) == pytest.approx(found[0].size_sd, rel=0.2)


@given(
    st.lists(st.floats(-50, 50), min_size=6, max_size=6),
    st.floats(0, 40),
    st.floats(0, 40),
    st.integers(0, 10**6),
)
@settings(max_examples=100, deadline=None)
def test_the_simplex_is_met_at_its_nearest_point(cells, controls, cases, seed):
    given_cells, sizes = np.array(cells).reshape(1, 2, 3), np.array([controls, cases])
    found = tables.onto_simplex(given_cells, sizes)
    assert found.min() >= 0
    assert found.sum(axis=2)[0] == pytest.approx(sizes, abs=1e-9)
    other = np.random.default_rng(seed).dirichlet(np.ones(3), (200, 2)) * sizes[None, :, None]
    assert ((found - given_cells) ** 2).sum() <= ((other - given_cells) ** 2).sum(axis=(1, 2)).min() + 1e-9


def test_p_values_of_nothing_are_never_too_small_however_much_noise_there_is():
    for epsilon in (F(1), F(50)):
        _, _, released = measured(epsilon, variants=2_000, people=500)
        p = tables.associations(tables.estimate(released)).p
        assert 0.02 < np.mean(p < 0.05) < 0.06
        assert 0.4 < np.mean(p < 0.5) < 0.53


def test_effects_are_found_and_their_odds_ratios_lie_in_the_intervals():
    calls, cases, released = measured(F(10), effect=0.15, people=3_000)
    found = tables.associations(tables.estimate(released))
    true = np.arange(300) % 10 == 0
    assert np.mean(found.p[true] < 0.01) > 0.8
    assert np.mean(found.p[~true] < 0.01) < 0.05
    shares = np.stack([calls[:, cases == g].mean(axis=1) / 2 for g in (False, True)])
    log_odds = np.log(shares[1] / (1 - shares[1])) - np.log(shares[0] / (1 - shares[0]))
    assert np.mean((found.low <= log_odds) & (log_odds <= found.high)) > 0.95
    assert np.corrcoef(found.log_odds, log_odds)[0, 1] > 0.7


def test_tests_agree_with_the_plain_one_where_there_is_hardly_noise():
    calls, cases = study(effect=0.05)
    quiet = Plan(Groups(300), Gaussian(F(1, 64)))
    found = tables.associations(tables.estimate(tables.release(held(calls), cases, quiet)))
    r, people = cases.mean(), len(cases)
    gap = calls[:, cases].sum(axis=1) - r * calls.sum(axis=1)
    plain = gap / np.sqrt(r * (1 - r) * people * calls.var(axis=1))
    # The test is that of a permutation, with half a count more: it is never further out than the usual one.
    assert found.z == pytest.approx(plain, abs=0.1)
    assert (np.abs(found.z) <= np.abs(plain) + 0.005).all()


def test_a_group_that_may_be_empty_gives_no_finding():
    calls, _ = study(variants=5, people=50)
    released = tables.release(held(calls), np.zeros(50, bool), Plan(Groups(5), Gaussian(F(1, 64))))
    found = tables.associations(tables.estimate(released))
    assert (found.p == 1).all()
    assert np.isinf(found.high).all()


def test_tables_are_made_of_counts_of_cases_and_controls_alone():
    with pytest.raises(BadInput):
        tables.release(held(np.zeros((2, 3))), np.zeros(3, bool), Plan(Alleles(2), Gaussian(F(1))))


def test_the_summary_says_whether_sizes_were_declared():
    _, cases, released = measured(F(5))
    assert tables.estimate(released).as_json()["sizes"] == "estimated"
    assert tables.estimate(released, int(cases.sum())).as_json()["sizes"] == "declared"
