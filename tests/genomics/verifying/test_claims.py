import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare

from noisegate.genomics.verifying import claims
from noisegate.genomics.verifying.claims import Plausible, by_chance, plausible
from noisegate.genomics.verifying.statistic import Test, direction, p_values

NONE = np.zeros(1, np.int8)


def draw(rng, sizes, variants, shift=0.0):
    """Counts of controls and cases, whose frequencies differ by `shift`."""
    found = []
    share = rng.uniform(0.1, 0.9, variants)
    for people, move in zip(sizes, (0, shift), strict=True):
        p = np.clip(share + move, 0.02, 0.98)
        shares = np.stack([(1 - p) ** 2, 2 * p * (1 - p), p**2], axis=1)
        found.append(np.stack([rng.multinomial(people, part) for part in shares]))
    return found


def rounded(p, digits):
    told = np.array([float(f"{x:.{digits - 1}e}") for x in p])
    half = 0.5 * 10.0 ** (np.floor(np.log10(told)) - digits + 1)
    return told, told - half, told + half


def test_tests_on_alleles_are_those_of_pearson_and_of_cochran_and_armitage():
    rng = np.random.default_rng(1)
    cases, controls = rng.integers(1, 40, (2, 20, 3))
    allelic, trend = (p_values(test, cases, controls) for test in (Test.ALLELIC, Test.TREND))
    for i in range(20):
        alleles = [[2 * side[i, 0] + side[i, 1], side[i, 1] + 2 * side[i, 2]] for side in (cases, controls)]
        assert allelic[i] == pytest.approx(chi2_contingency(alleles, correction=False).pvalue)
        # The trend statistic is N times the squared correlation of genotype and group.
        genotype = np.concatenate([np.repeat(np.arange(3), side[i]) for side in (cases, controls)])
        group = np.repeat([1, 0], [cases[i].sum(), controls[i].sum()])
        statistic = len(group) * np.corrcoef(genotype, group)[0, 1] ** 2
        from scipy.stats import chi2

        assert trend[i] == pytest.approx(chi2.sf(statistic, 1))


def test_what_cannot_be_tested_has_a_p_value_of_1():
    nobody, same = np.zeros((1, 3), np.int64), np.array([[5, 0, 0]])
    for test in Test:
        assert p_values(test, same, same)[0] == pytest.approx(1)
    for test in (Test.CHI2, Test.TREND, Test.ALLELIC):
        assert p_values(test, nobody, same)[0] == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(list(Test)), st.integers(1, 16), st.booleans())
def test_the_counts_behind_an_honest_p_value_are_among_the_plausible_ones(seed, test, digits, told):
    rng = np.random.default_rng(seed)
    controls, cases = draw(rng, (40, 30), 6, 0.1)
    p = p_values(test, cases, controls)
    towards = direction(test, cases, controls) if told else np.zeros(6, np.int8)
    found = plausible(test, rounded(p, digits), towards, controls, 30)
    assert found.attainable.all()
    for i in range(6):
        own = found.tables[found.starts[i] : found.starts[i + 1]]
        # Left out only where it stands for others, or is next to impossible by chance.
        chances = claims._chances(np.concatenate([cases[i : i + 1], own]), controls[i])
        if len(own) < claims.MOST and chances[0] > 1e-5:
            assert (own == cases[i]).all(axis=1).any()
        assert (own.sum(axis=1) == 30).all()
        assert found.weights[found.starts[i] : found.starts[i + 1]].sum() == pytest.approx(1)
        if told and towards[i]:
            assert (direction(test, own, np.broadcast_to(controls[i], own.shape)) == towards[i]).all()


def test_all_digits_of_a_p_value_leave_hardly_any_choice():
    rng = np.random.default_rng(4)
    controls, cases = draw(rng, (60, 60), 100, 0.1)
    found = plausible(
        Test.CHI2, rounded(p_values(Test.CHI2, cases, controls), 16), np.zeros(100, np.int8), controls, 60
    )
    assert np.median(found.sizes) == 1
    assert found.sizes.max() <= 4


def test_a_p_value_that_no_counts_give_is_said_to_be_so_and_taken_for_the_nearest():
    controls = np.array([[30, 20, 10]])
    found = plausible(Test.CHI2, rounded(np.array([0.0123456789]), 9), NONE, controls, 20)
    assert not found.attainable.any()
    near = p_values(Test.CHI2, found.tables, np.broadcast_to(controls, found.tables.shape))
    assert near == pytest.approx(0.0123, rel=0.2)


@pytest.mark.parametrize("test", list(Test))
def test_counts_of_many_people_are_solved_for_as_listing_all_of_them_would(test, monkeypatch):
    rng = np.random.default_rng(7)
    controls, cases = draw(rng, (300, 300), 80, 0.08)
    p = p_values(test, cases, controls)
    # Listing knows more: which of two directions has just these digits. So both are told.
    towards = direction(test, cases, controls)[p < 0.05]
    controls, reported = controls[p < 0.05], rounded(p[p < 0.05], 2)
    assert len(towards) > 30
    solved = plausible(test, reported, towards, controls, 300)
    monkeypatch.setattr(claims, "SMALL", 300)
    listed = plausible(test, reported, towards, controls, 300)
    assert solved.attainable.all()
    for name, column in (("heterozygotes", 1), ("homozygotes", 2)):
        means = [np.add.reduceat(f.weights * f.tables[:, column], f.starts[:-1]) for f in (listed, solved)]
        assert np.corrcoef(*means)[0, 1] > 0.97, name
        assert np.abs(means[0] - means[1]).mean() < 4, name


def test_solved_counts_have_the_p_value_in_both_directions():
    controls = np.array([[900, 900, 200]])
    found = plausible(Test.TREND, rounded(np.array([5e-8]), 3), NONE, controls, 1_500)
    p = p_values(Test.TREND, found.tables, np.broadcast_to(controls, found.tables.shape))
    assert np.abs(np.log(p / 5e-8)).max() < 0.1 * np.log(1 / 5e-8) / 3
    ways = direction(Test.TREND, found.tables, np.broadcast_to(controls, found.tables.shape))
    assert {-1, 1} == set(ways.tolist())
    one = plausible(Test.TREND, rounded(np.array([5e-8]), 3), np.ones(1, np.int8), controls, 1_500)
    assert (direction(Test.TREND, one.tables, np.broadcast_to(controls, one.tables.shape)) == 1).all()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.floats(0, 1)), min_size=1, max_size=6),
    st.floats(1, 20),
)
def test_tilted_weights_are_the_worst_within_the_factor(cells, by):
    weights = np.array([w for w, _ in cells])
    weights /= weights.sum()
    kept = np.array([k for _, k in cells])
    tables = np.zeros((len(cells), 3), np.int64)
    found = Plausible(tables, weights, np.array([0, len(cells)]), np.ones(1, bool)).tilted(kept, by)
    odds = found.weights / weights
    assert odds.max() / odds.min() <= by**2 * (1 + 1e-9)
    least = min(
        (w * kept).sum() / w.sum()
        for bits in range(2 ** len(cells))
        for w in [np.where([(bits >> i) & 1 for i in range(len(cells))], weights * by, weights / by)]
    )
    assert (found.weights * kept).sum() == pytest.approx(least)


def test_plausible_tables_are_drawn_by_their_weights():
    found = Plausible(
        np.arange(12).reshape(4, 3), np.array([0.25, 0.75, 1.0, 0.0]), np.array([0, 2, 4]), np.ones(2, bool)
    )
    uniform = np.random.default_rng(2).uniform(size=(20_000, 2))
    drawn = found.draw(uniform)
    assert (drawn[:, 1] == found.tables[2]).all()
    first = (drawn[:, 0] == found.tables[0]).all(axis=1).sum()
    assert chisquare([first, 20_000 - first], [5_000, 15_000]).pvalue > 1e-6
    assert chisquare([first, 20_000 - first], [5_500, 14_500]).pvalue < 1e-6


@pytest.mark.parametrize("people", [50, 500])
def test_counts_by_chance_have_the_p_values_of_no_effect(people):
    rng = np.random.default_rng(9)
    controls, _ = draw(rng, (800, 1), 30)
    drawn = by_chance(controls, people, rng.uniform(size=(300, 30, 2)))
    assert (drawn.sum(axis=2) == people).all()
    assert (drawn >= 0).all()
    p = p_values(Test.TREND, drawn.reshape(-1, 3), np.tile(controls, (300, 1)))
    # Drawn about what the controls leave open, so that the test of both samples has its level.
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.012)
