"""Logistic regression against Newton's method written down plainly, and against PLINK."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

from noisegate.errors import BadInput
from noisegate.genomics.gwas import firth, logistic, newton
from noisegate.genomics.gwas.regression import NOTES, Note
from noisegate.genotypes.packed import pack, unpack

from ..stores import stores
from . import slow_regression
from .plinked import column, panel_of

FIGURES = ("called", "beta", "error", "statistic", "p", "note")


@pytest.fixture(scope="module", params=["kg1", "ceu22"])
def panel(request, tmp_path_factory):
    return panel_of(tmp_path_factory.mktemp(request.param), request.param)


def of_all(panel, how, **options):
    model = logistic.fit(panel.cases, panel.covariates)
    found = [how(model, block, **options) for block in panel.blocks()]
    return {name: np.concatenate([getattr(part, name) for part in found]) for name in FIGURES}


def study(people, width, seed, variants=12):
    """Return calls, a trait that depends on the covariates, and the covariates, some of each missing."""
    draws = np.random.default_rng(seed)
    calls = stores.calls_of(variants, people, seed)
    fixed = draws.normal(0, 1, (people, width))
    y = (draws.random(people) < expit(0.7 * fixed.sum(axis=1) + 0.5 * calls[0] - 0.4)).astype(float)
    fixed = 50 + 7 * fixed
    y[draws.random(people) < 0.1] = np.nan
    fixed[draws.random((people, width)) < 0.02] = np.nan
    return calls, y, fixed


@settings(max_examples=25, deadline=None)
@given(st.integers(150, 400), st.integers(0, 4), st.integers(0, 2**32))
def test_each_variant_has_the_likelihoods_maximum(people, width, seed):
    calls, y, fixed = study(people, width, seed)
    found = logistic.wald(logistic.fit(y, fixed), pack(calls))
    for v in np.flatnonzero(found.note == Note.FITTED):
        beta, error, z = slow_regression.logistic(y, fixed, calls[v])
        assert (found.beta[v], found.error[v]) == pytest.approx((beta, error), rel=2e-4, abs=2e-4 * error)
        assert found.statistic[v] == pytest.approx(z, abs=3e-4)
        assert found.p[v] == pytest.approx(2 * stats.norm.sf(abs(found.statistic[v])))
    assert (found.note == Note.FITTED).mean() > 0.9


@settings(max_examples=15, deadline=None)
@given(st.integers(40, 200), st.integers(0, 3), st.integers(0, 2**32))
def test_each_variant_has_the_penalised_likelihoods_maximum(people, width, seed):
    calls, y, fixed = study(people, width, seed)
    found = logistic.firth(logistic.fit(y, fixed), pack(calls))
    for v in np.flatnonzero(found.note == Note.FIRTH):
        beta, error, _ = slow_regression.logistic(y, fixed, calls[v], penalty=True)
        assert (found.beta[v], found.error[v]) == pytest.approx((beta, error), rel=1e-5, abs=1e-5)
    assert (found.note == Note.FIRTH).mean() > 0.9


@settings(max_examples=25, deadline=None)
@given(st.integers(150, 400), st.integers(0, 4), st.integers(0, 2**32))
def test_score_is_that_of_the_null_model(people, width, seed):
    calls, y, fixed = study(people, width, seed)
    whole = np.where(calls < 0, 0, calls).astype(np.int8)
    model = logistic.fit(y, fixed)
    found = logistic.score(model, pack(whole))
    there = logistic.score(model, pack(calls))
    for v in np.flatnonzero(found.note == Note.FITTED):
        assert found.statistic[v] == pytest.approx(slow_regression.score(y, fixed, whole[v]), abs=1e-4)
        # With calls missing the null model is that of everybody, which matters to second order.
        assert there.statistic[v] == pytest.approx(
            slow_regression.score(y, fixed, calls[v]), rel=0.1, abs=0.1
        )


def test_counting_the_other_allele_turns_the_sign_alone():
    calls, y, fixed = study(300, 2, 1)
    model = logistic.fit(y, fixed)
    turned = np.where(calls < 0, calls, 2 - calls).astype(np.int8)
    for how in (logistic.score, logistic.wald, logistic.firth):
        one, other = (how(model, pack(np.ascontiguousarray(c))) for c in (calls, turned))
        assert one.statistic == pytest.approx(-other.statistic, abs=1e-4)


def test_people_beyond_one_tile_count_like_the_others():
    calls, y, fixed = study(2_500, 5, 2)
    model = logistic.fit(y, fixed)
    wald, penalised = logistic.wald(model, pack(calls)), logistic.firth(model, pack(calls))
    for v in range(4):
        z = slow_regression.logistic(y, fixed, calls[v])[2]
        assert wald.statistic[v] == pytest.approx(z, abs=1e-4)
        z = slow_regression.logistic(y, fixed, calls[v], penalty=True)[2]
        assert penalised.statistic[v] == pytest.approx(z, abs=1e-5)


def parted(people=200):
    """Return a trait, a covariate, and variants that part cases from controls, or nearly do."""
    draws = np.random.default_rng(3)
    y = (np.arange(people) % 2).astype(float)
    some = draws.integers(0, 3, people)
    rows = [
        2 * y,
        np.where(y == 1, some, 0),
        np.where(y == 1, 2, some),
        np.where((y == 1) & (np.arange(people) < 6), 1, 0),
        np.where(np.arange(people) == 4, 1, np.where(y == 1, np.maximum(some, 1), 0)),
        some,
    ]
    return y, draws.normal(0, 1, (people, 1)), np.array(rows).astype(np.int8)


def test_firth_is_used_where_an_allele_is_on_one_side_only():
    y, fixed, calls = parted()
    model = logistic.fit(y, fixed)
    found = logistic.wald(model, pack(calls))
    assert [Note(n) for n in found.note] == [Note.FIRTH] * 5 + [Note.FITTED]
    penalised = logistic.firth(model, pack(calls))
    assert found.beta[:5] == pytest.approx(penalised.beta[:5])
    assert found.error[:5] == pytest.approx(penalised.error[:5])
    for v in range(5):
        beta, error, _ = slow_regression.logistic(y, fixed, calls[v], penalty=True)
        assert (found.beta[v], found.error[v]) == pytest.approx((beta, error), rel=1e-3)


def test_without_a_fallback_parted_variants_have_no_estimate():
    y, fixed, calls = parted()
    found = logistic.wald(logistic.fit(y, fixed), pack(calls), fallback=False)
    assert [Note(n) for n in found.note] == [Note.SEPARATED] * 4 + [Note.UNFINISHED, Note.FITTED]
    assert np.isnan(found.p[:5]).all()
    assert np.isfinite(found.p[5:]).all()


def test_a_variant_that_is_the_trait_has_an_estimate_beside_covariates_too():
    draws = np.random.default_rng(11)  # plain steps would be 350
    y = (draws.random(1_000) < 0.4).astype(float)
    fixed = np.column_stack([draws.normal(0, 1, 1_000), draws.integers(0, 2, 1_000)])
    calls = (2 * y).astype(np.int8)
    found = logistic.wald(logistic.fit(y, fixed), pack(calls[None]))
    assert found.note.tolist() == [Note.FIRTH]
    beta, error, _ = slow_regression.logistic(y, fixed, calls, penalty=True, steps=2_000)
    assert (found.beta[0], found.error[0]) == pytest.approx((beta, error), rel=1e-3)


def test_parted_with_the_help_of_a_covariate_is_left_to_firth():
    draws = np.random.default_rng(4)
    score, calls = draws.integers(0, 3, 300), draws.integers(0, 3, (1, 300)).astype(np.int8)
    # Each allele and each score is on both sides, but their sum tells cases from controls.
    y = np.select([score + calls[0] > 2, score + calls[0] < 2], [1, 0], draws.integers(0, 2, 300)).astype(
        float
    )
    model = logistic.fit(y, score[:, None].astype(float))
    found = logistic.wald(model, pack(calls))
    assert Note(found.note[0]) is Note.FIRTH
    beta, error, _ = slow_regression.logistic(y, score[:, None].astype(float), calls[0], penalty=True)
    assert (found.beta[0], found.error[0]) == pytest.approx((beta, error), rel=1e-3)
    assert logistic.wald(model, pack(calls), fallback=False).note.tolist() == [Note.UNFINISHED]


def test_only_variants_below_a_p_value_are_fitted_if_so_asked():
    calls, y, fixed = study(400, 1, 7, variants=200)
    model = logistic.fit(y, fixed)
    scores, all_ = logistic.score(model, pack(calls)), logistic.wald(model, pack(calls))
    found = logistic.wald(model, pack(calls), below=0.1)
    some = scores.p < 0.1
    assert 0 < some.sum() < 200
    assert (found.note == np.where(some, Note.FITTED, Note.SCREENED)).all()
    assert np.array_equal(found.statistic, np.where(some, all_.statistic, scores.statistic))


def test_a_variant_with_nothing_to_test_has_no_estimate_and_says_why():
    draws = np.random.default_rng(5)
    people = 90
    y, fixed = draws.integers(0, 2, people).astype(float), draws.integers(0, 3, (people, 2)).astype(float)
    some = draws.integers(0, 3, people)
    few = np.where(np.arange(people) < 4, np.array([0, 1, 2, 1] * 30)[:people], -1)
    rows = [np.zeros(people), np.full(people, 2), np.ones(people), np.full(people, -1), few]
    rows += [np.where(y == 1, some, -1), np.where(y == 1, -1, some), fixed[:, 1], some]
    model = logistic.fit(y, fixed)
    for how in (logistic.score, logistic.wald, logistic.firth):
        found = how(model, pack(np.array(rows).astype(np.int8)))
        assert [Note(n) for n in found.note[:-1]] == [Note.NOTHING] * 7 + [Note.COLLINEAR]
        assert np.isnan(found.p[:-1]).all()
        assert np.isfinite(found.p[-1])


@pytest.mark.parametrize(
    ("y", "fixed", "said"),
    [
        ([0, 1, 2, 0, 1, 1, 0, 1], None, "a case has phenotype 1"),
        ([0, 0, 0, 0, 1, 1, 1, 1], [[i] for i in range(8)], "told apart by the covariates"),
        ([0, 1] * 4, [[1]] * 8, "covariate age is the same"),
        ([1] * 8, None, "phenotype is the same"),
    ],
)
def test_what_cannot_be_fitted_is_refused(y, fixed, said):
    fixed = None if fixed is None else np.array(fixed, float)
    with pytest.raises(BadInput, match=said):
        logistic.fit(np.array(y, float), fixed, names=("age",))


def test_calls_of_other_people_are_refused():
    with pytest.raises(ValueError, match="no use for calls of 9"):
        logistic.score(logistic.fit(np.array([0.0, 1.0] * 5)), pack(stores.calls_of(2, 9)))


def test_a_model_that_was_sent_elsewhere_finds_the_same():
    calls, y, fixed = study(130, 2, 8)
    model = logistic.fit(y, fixed)
    one, other = (logistic.wald(m, pack(calls)) for m in (model, copy.deepcopy(model)))
    assert np.array_equal(one.statistic, other.statistic, equal_nan=True)


@pytest.mark.parametrize(("people", "width", "share"), [(20_000, 3, 0.005), (3_000, 25, 0.3)])
def test_rare_cases_and_many_covariates_lose_no_digits(people, width, share):
    draws = np.random.default_rng(11)
    frequency = np.concatenate([draws.uniform(0.01, 0.5, 5), draws.uniform(0.5, 0.99, 5)])
    calls = draws.binomial(2, frequency[:, None], (10, people)).astype(np.int8)
    calls[draws.random(calls.shape) < 0.1] = -1
    scaled = draws.standard_normal((people, width))
    scaled[:, 1] = scaled[:, 0] + 0.1 * scaled[:, 1]
    y = (draws.random(people) < expit(0.5 * scaled[:, 0] + np.log(share))).astype(float)
    fixed = scaled * 10.0 ** draws.integers(-4, 5, width) + 100
    found = logistic.wald(logistic.fit(y, fixed), pack(calls))
    for v in range(0, 10, 3):
        assert found.note[v] == Note.FITTED
        exact = slow_regression.logistic(y, scaled, calls[v])[2]
        assert found.statistic[v] == pytest.approx(exact, abs=2e-4)


@pytest.mark.parametrize("how", [logistic.score, logistic.wald, logistic.firth])
def test_no_variants_have_no_figures(how):
    found = how(logistic.fit(np.array([0.0, 1.0] * 5)), pack(np.zeros((0, 10), np.int8)))
    assert found.p.shape == found.note.shape == found.called.shape == (0,)


def test_every_note_has_its_words():
    assert len(NOTES) == len(Note) == len(set(NOTES))


def test_the_links_are_the_logistic_function_at_every_log_odds():
    odds = np.concatenate([np.linspace(-80, 80, 40_001), np.linspace(-1, 1, 40_001)])
    for how, dtype, near in ((newton.link, np.float32, 3e-7), (firth.link, np.float64, 1e-14)):
        weight, residual = np.empty((2, len(odds)), dtype)
        how(odds.astype(dtype), np.zeros(len(odds), dtype), weight, residual)
        # 1 - p of the other sign, so that it keeps its digits.
        exact = expit(odds.astype(dtype).astype(float))
        rest = expit(-odds.astype(dtype).astype(float))
        assert -residual == pytest.approx(exact, rel=near, abs=0)
        assert weight == pytest.approx(exact * rest, rel=3 * near, abs=0)
    far = np.array([-1e4, 1e4])
    weight, residual = np.empty((2, 2))
    firth.link(far, np.zeros(2), weight, residual)
    assert -residual == pytest.approx([0, 1], abs=1e-300)


def finished(lines):
    """Return which variants plink2 has figures for that are to be compared with.

    Those it gives up on it marks, and prints where it was. The third last of a panel has calls of controls
    alone, which it fits too, and we do not.
    """
    there = ~np.isnan(column(lines, "Z_STAT"))
    there &= [line["ERRCODE"] == "." for line in lines]
    there[-3] = False
    return there


def close_to_plink2(panel, found, z, there, *, penalty):
    """Assert that z is plink2's where it went to the end.

    It takes its standard error from the step before the last, which shows where people are few; where it is
    farthest from ours, ours is that of Newton's method.
    """
    away = np.where(there, np.abs(found["statistic"] - z), 0)
    assert np.median(away[there]) < 1e-4
    assert np.quantile(away[there], 0.98) < 5e-3
    calls = unpack(panel.store.block(0, len(panel.store.variants)))
    scaled = (panel.covariates - [50, 0]) / [10, 1]
    for v in np.argsort(-away)[:8]:
        firth_too = penalty or found["note"][v] == Note.FIRTH
        _, _, exact = slow_regression.logistic(panel.cases, scaled, calls[v], penalty=firth_too)
        assert found["statistic"][v] == pytest.approx(exact, abs=3e-4)


def test_z_is_that_of_plink2_on_a_real_panel(panel):
    found = of_all(panel, logistic.wald)
    lines = panel.plink("plink2", "sick", "--glm", "hide-covar", "omit-ref")
    z, there = column(lines, "Z_STAT"), finished(lines)
    assert not np.isnan(found["statistic"][there]).any()
    assert np.isnan(found["statistic"][np.isnan(z)]).all()
    assert (column(lines, "OBS_CT") == found["called"]).all()
    close_to_plink2(panel, found, z, there, penalty=False)
    assert ([line["FIRTH?"] == "Y" for line in lines] == (found["note"] == Note.FIRTH))[there].all()


def test_z_is_that_of_plink1_on_a_real_panel(panel):
    found = of_all(panel, logistic.wald)
    lines = panel.plink("plink1.9", "sick", "--logistic", "hide-covar", "beta")
    z, fitted = column(lines, "STAT"), found["note"] == Note.FITTED
    assert not np.isnan(z[fitted]).any()
    # It prints four digits.
    assert found["statistic"][fitted] == pytest.approx(z[fitted], rel=6e-4, abs=1e-3)
    assert (found["note"][np.isnan(z)] != Note.FITTED).all()
    assert fitted.sum() > 1_000


def test_firth_is_that_of_plink2_on_a_real_panel(panel):
    found = of_all(panel, logistic.firth)
    lines = panel.plink("plink2", "sick", "--glm", "hide-covar", "omit-ref", "firth")
    z, there = column(lines, "Z_STAT"), finished(lines)
    assert not np.isnan(found["statistic"][there]).any()
    assert np.isnan(found["statistic"][np.isnan(z)]).all()
    close_to_plink2(panel, found, z, there, penalty=True)


def test_score_and_wald_say_the_same_on_a_real_panel(panel):
    scores, found = of_all(panel, logistic.score), of_all(panel, logistic.wald)
    both = (found["note"] == Note.FITTED) & (found["error"] < 0.3)
    assert np.abs(scores["statistic"] - found["statistic"])[both].max() < 0.15
    assert np.median(np.abs(scores["statistic"] - found["statistic"])[both]) < 0.01


def test_p_is_uniform_where_there_is_nothing_to_find():
    draws = np.random.default_rng(9)
    people, variants = 1_000, 20_000
    calls = draws.binomial(2, draws.uniform(0.1, 0.9, (variants, 1)), (variants, people)).astype(np.int8)
    fixed = draws.standard_normal((people, 2))
    y = (draws.random(people) < expit(fixed[:, 0] - 0.5)).astype(float)
    for how in (logistic.score, logistic.wald):
        found = how(logistic.fit(y, fixed), pack(calls))
        assert stats.kstest(found.p, "uniform").pvalue > 1e-3
        # A standard error that is 10 % too small would be seen.
        assert stats.kstest(2 * stats.norm.sf(np.abs(found.statistic) / 0.9), "uniform").pvalue < 1e-6
