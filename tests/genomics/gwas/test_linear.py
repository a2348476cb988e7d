"""Linear regression against least squares written down plainly, and against PLINK."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from noisegate.errors import BadInput
from noisegate.genomics.gwas import linear
from noisegate.genomics.gwas.regression import Note
from noisegate.genotypes.packed import pack

from ..stores import stores
from . import slow_regression
from .plinked import column, panel_of


@pytest.fixture(scope="module", params=["kg1", "ceu22"])
def panel(request, tmp_path_factory):
    return panel_of(tmp_path_factory.mktemp(request.param), request.param)


def of_all(panel):
    model = linear.fit(panel.number, panel.covariates)
    found = [linear.test(model, block) for block in panel.blocks()]
    return {
        name: np.concatenate([getattr(part, name) for part in found])
        for name in ("called", "beta", "error", "statistic", "p", "note")
    }


@settings(max_examples=60, deadline=None)
@given(st.integers(30, 150), st.integers(0, 4), st.integers(0, 2**32))
def test_each_variant_is_regressed_on_those_who_have_all_values(people, width, seed):
    draws = np.random.default_rng(seed)
    calls = stores.calls_of(12, people, seed)
    y, fixed = (
        draws.normal(170, 9, people),
        draws.normal(5, 2, (people, width)) * 10.0 ** draws.integers(-3, 4),
    )
    y[draws.random(people) < 0.1] = np.nan
    fixed[draws.random((people, width)) < 0.02] = np.nan
    keep = draws.random(people) < 0.95
    found = linear.test(linear.fit(y, fixed, keep), pack(calls))
    kept = np.where(keep, y, np.nan)
    for v in np.flatnonzero(found.note == Note.FITTED):
        beta, error, t = slow_regression.linear(kept, fixed, calls[v])
        assert (found.beta[v], found.error[v]) == pytest.approx((beta, error), rel=2e-5, abs=1e-5 * error)
        assert found.statistic[v] == pytest.approx(t, abs=2e-5 * (1 + abs(t)))
        there = ~(np.isnan(kept) | np.isnan(fixed).any(axis=1)) & (calls[v] >= 0)
        assert found.called[v] == there.sum()
        assert found.p[v] == pytest.approx(2 * stats.t.sf(abs(t), there.sum() - width - 2), rel=1e-3)
    assert (found.note == Note.FITTED).mean() > 0.9


def test_counting_the_other_allele_turns_the_sign_alone():
    draws = np.random.default_rng(1)
    calls = stores.calls_of(50, 300)
    model = linear.fit(draws.standard_normal(300), draws.standard_normal((300, 2)))
    turned = np.where(calls < 0, calls, 2 - calls).astype(np.int8)
    one, other = (linear.test(model, pack(np.ascontiguousarray(c))) for c in (calls, turned))
    assert one.statistic == pytest.approx(-other.statistic, abs=1e-6)
    assert one.p == pytest.approx(other.p, rel=1e-5)


def test_people_beyond_one_tile_count_like_the_others():
    draws = np.random.default_rng(2)
    people = 2_500
    calls, y, fixed = (
        stores.calls_of(8, people),
        draws.standard_normal(people),
        draws.standard_normal((people, 5)),
    )
    found = linear.test(linear.fit(y, fixed), pack(calls))
    for v in range(8):
        assert found.statistic[v] == pytest.approx(slow_regression.linear(y, fixed, calls[v])[2], abs=1e-5)


def test_a_rare_variant_keeps_its_digits_whichever_allele_is_counted():
    draws = np.random.default_rng(4)
    people = 5_000
    y, fixed = draws.normal(0, 1, people), draws.normal(0, 1, (people, 3))
    calls = np.zeros((2, people), np.int8)
    calls[0, draws.choice(people, 4, replace=False)] = 1
    calls[1] = 2 - calls[0]
    found = linear.test(linear.fit(y, fixed), pack(calls))
    assert found.statistic == pytest.approx([slow_regression.linear(y, fixed, c)[2] for c in calls], abs=2e-5)


def test_a_variant_with_nothing_to_test_has_no_estimate_and_says_why():
    people = 90
    draws = np.random.default_rng(5)
    y, fixed = draws.standard_normal(people), draws.integers(0, 3, (people, 2)).astype(float)
    some = draws.integers(0, 3, people)
    few = np.where(np.arange(people) < 4, np.array([0, 1, 2, 1] * 30)[:people], -1)
    rows = [
        np.zeros(people),
        np.full(people, 2),
        np.ones(people),
        np.full(people, -1),
        few,
        fixed[:, 1],
        some,
    ]
    found = linear.test(linear.fit(y, fixed), pack(np.array(rows).astype(np.int8)))
    assert [Note(n) for n in found.note] == [Note.NOTHING] * 5 + [Note.COLLINEAR, Note.FITTED]
    for values in (found.beta, found.error, found.statistic, found.p):
        assert np.isnan(values[:6]).all()
        assert np.isfinite(values[6])
    assert found.called.tolist() == [people, people, people, 0, 4, people, people]


def test_one_phenotype_among_those_with_a_call_is_nothing_to_test():
    y = np.repeat([1.0, 2.0], 40)
    calls = np.tile(np.array([0, 1, 2, 1], np.int8), 20)
    found = linear.test(linear.fit(y), pack(np.where(y == 1, calls, -1).astype(np.int8)[None]))
    assert found.note.tolist() == [Note.NOTHING]


def test_a_covariate_that_is_gone_among_those_with_a_call_leaves_no_estimate():
    draws = np.random.default_rng(6)
    site = np.repeat([0.0, 1.0], 50)
    calls = np.where(site == 0, draws.integers(0, 3, 100), -1).astype(np.int8)[None]
    found = linear.test(linear.fit(draws.standard_normal(100), site[:, None]), pack(calls))
    assert found.note.tolist() == [Note.COLLINEAR]


def test_a_phenotype_that_is_the_variant_has_p_zero():
    draws = np.random.default_rng(7)
    calls = draws.integers(0, 3, (1, 200)).astype(np.int8)
    found = linear.test(linear.fit(3.0 * calls[0] + 1), pack(calls))
    assert found.beta == pytest.approx([3.0], rel=1e-5)
    assert found.p[0] < 1e-100


@pytest.mark.parametrize("power", [-1060, -700, -300, 300, 700, 1019])
def test_the_unit_of_a_phenotype_or_a_covariate_matters_to_nothing_but_the_effect(power):
    draws = np.random.default_rng(10)
    calls, fixed = pack(stores.calls_of(30, 200)), draws.integers(1, 9, (200, 2)).astype(float)
    y = draws.integers(-8, 9, 200).astype(float)
    known = linear.test(linear.fit(y, fixed), calls)
    for model in (linear.fit(np.ldexp(y, power), fixed), linear.fit(y, np.ldexp(fixed, (0, power)))):
        found = linear.test(model, calls)
        assert np.array_equal(found.statistic, known.statistic, equal_nan=True)
        assert np.array_equal(found.p, known.p, equal_nan=True)
    effects = linear.test(linear.fit(np.ldexp(y, power), fixed), calls)
    assert np.array_equal(effects.beta, np.ldexp(known.beta, power), equal_nan=True)
    assert np.array_equal(effects.error, np.ldexp(known.error, power), equal_nan=True)
    assert np.isfinite(effects.beta[known.note == Note.FITTED]).all()


def test_the_largest_and_the_smallest_numbers_are_tested_like_others():
    draws = np.random.default_rng(11)
    calls, y = stores.calls_of(30, 200), draws.standard_normal(200)
    known = linear.test(linear.fit(y), pack(calls)).statistic
    for unit in (1e307, 1e200, 1e-200, 1e-305):
        found = linear.test(linear.fit(unit * y), pack(calls))
        assert found.statistic == pytest.approx(known, rel=1e-6, nan_ok=True)
    apart = linear.test(linear.fit(np.where(y > 0, 1.7e308, -1.7e308)), pack(calls))
    signs = linear.test(linear.fit(np.sign(y)), pack(calls)).statistic
    assert apart.statistic == pytest.approx(signs, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    ("y", "fixed", "said"),
    [
        ([1.0] * 9, None, "phenotype is the same"),
        ([1.0, 2.0, *[np.nan] * 7], None, "too few"),
        ([1.0, np.inf, *range(7)], None, "infinite"),
        (range(9), [[0.1]] * 9, "covariate age is the same"),
        (range(9), [[i, 3 - 2 * i] for i in (3, 1, 4, 1, 5, 9, 2, 6, 5)], "covariate sex follows"),
        (range(9), [[2.0 * i] for i in range(9)], "phenotype follows from the covariates"),
    ],
)
def test_what_cannot_be_fitted_is_refused(y, fixed, said):
    fixed = None if fixed is None else np.array(fixed, float)
    with pytest.raises(BadInput, match=said):
        linear.fit(np.array(y, float), fixed, names=("age", "sex"))


def test_arrays_for_other_people_are_refused():
    y = np.arange(9.0)
    with pytest.raises(ValueError, match="for each person"):
        linear.fit(y, np.zeros((8, 1)))
    with pytest.raises(ValueError, match="for each person"):
        linear.fit(y, None, np.ones(8, bool))
    with pytest.raises(ValueError, match="no use for calls of 8"):
        linear.test(linear.fit(y), pack(stores.calls_of(2, 8)))


def test_a_model_that_was_sent_elsewhere_finds_the_same():
    calls = pack(stores.calls_of(20, 130))
    model = linear.fit(np.random.default_rng(8).standard_normal(130))
    one, other = (linear.test(m, calls) for m in (model, copy.deepcopy(model)))
    assert np.array_equal(one.statistic, other.statistic, equal_nan=True)


def test_t_is_that_of_plink2_on_a_real_panel(panel):
    found = of_all(panel)
    lines = panel.plink("plink2", "level", "--glm", "hide-covar", "omit-ref")
    t, there = column(lines, "T_STAT"), found["note"] == Note.FITTED
    assert (np.isnan(t) == ~there).all()
    assert (column(lines, "OBS_CT") == found["called"]).all()
    assert np.abs(found["statistic"] - t)[there].max() < 1e-4
    assert found["p"][there] == pytest.approx(column(lines, "P")[there], rel=1e-4)
    assert found["error"][there] == pytest.approx(column(lines, "SE")[there], rel=1e-5)
    assert there.sum() > 1_500


def test_t_is_that_of_plink1_on_a_real_panel(panel):
    found = of_all(panel)
    lines = panel.plink("plink1.9", "level", "--linear", "hide-covar")
    t, there = column(lines, "STAT"), found["note"] == Note.FITTED
    assert (np.isnan(t) == ~there).all()
    # It prints four digits.
    assert found["statistic"][there] == pytest.approx(t[there], rel=6e-4, abs=1e-6)


def test_p_is_uniform_where_there_is_nothing_to_find():
    draws = np.random.default_rng(9)
    people, variants = 400, 20_000
    calls = draws.binomial(2, draws.uniform(0.05, 0.95, (variants, 1)), (variants, people)).astype(np.int8)
    y = draws.standard_normal(people)
    found = linear.test(linear.fit(y, draws.standard_normal((people, 2))), pack(calls))
    assert stats.kstest(found.p, "uniform").pvalue > 1e-3
    # A standard error that is 10 % too small would be seen.
    assert stats.kstest(2 * stats.norm.sf(np.abs(found.statistic) / 0.9), "uniform").pvalue < 1e-6
