"""P-values from noisy tables: never too small, even where counts are large, and sharp."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import hypergeom, kstest, norm

from noisegate.errors import BadInput
from noisegate.genomics import contrasts, saddlepoint, significance
from noisegate.genomics.counts import Alleles, Groups, Plan, Sizes, again
from noisegate.genomics.group_sizes import Size, declared, estimated, exact
from noisegate.genomics.known_noise import law_of
from noisegate.genomics.significance import Evaluated, adjusted, evaluate, evaluate_cells
from noisegate.privacy.noise import Gaussian, Laplace

from . import null_studies

F = Fraction
P_VALUES = ("p_trend", "p_dominant", "p_heterozygous", "p_recessive", "p_genotypic")
QUIET = Gaussian(F(1, 64))


def spread(expected):
    """Three binomial standard deviations, of how often a rare thing happened."""
    return 3 * np.sqrt(max(expected, 1.0))


def too_often(p, level):
    """Whether p-values lie at or below a level more often than chance allows."""
    return int((p <= level).sum()) > level * len(p) + spread(level * len(p))


def sized(mode, tables, noise, controls, cases, rng):
    """Return sizes as a release of this kind tells them."""
    people = controls + cases
    beside = tuple(
        Size(size + float(null_studies.draw(noise, 1, rng)[0]), ((1.0, noise, 1),))
        for size in (controls, cases)
    )
    match mode:
        case "declared":
            return declared(people, cases)
        case "tables":
            return estimated(tables, noise, people)
        case "sizes":
            return estimated(tables, noise, people, beside)
        case "some":
            return estimated(tables, noise, people + 100, beside, everybody=False)


GRID = [
    (people, share, frequency, noise, mode)
    for people in (200, 1_000, 20_000)
    for share in (0.1, 0.5)
    for frequency in (0.001, 0.03, 0.3)
    for noise in (Laplace(F(1, 2)), Gaussian(F(2)), Laplace(F(6)), Gaussian(F(40)))
    for mode in ("declared", "tables", "sizes", "some")
]


@pytest.mark.parametrize("part", range(4))
def test_p_values_of_nothing_are_never_too_small(part):
    """Thousands of studies of every kind: sizes, shares, rare and common variants, both noises."""
    rng = np.random.default_rng(part)
    pooled = {name: [] for name in P_VALUES}
    for people, share, frequency, noise, mode in GRID[part::4]:
        cases = round(share * people)
        tables, _ = null_studies.noisy(240, people - cases, cases, frequency, noise, rng)
        for at in range(0, 240, 40):
            some = tables[at : at + 40]
            sizes = sized(mode, some, noise, people - cases, cases, rng)
            found = evaluate_cells(some, noise, sizes)
            for name in P_VALUES:
                pooled[name].append(getattr(found, name))
    for name in P_VALUES:
        p = np.concatenate(pooled[name])
        assert p.min() > 0
        assert p.max() <= 1
        for level in (0.5, 0.05, 1e-3, 1e-4):
            assert not too_often(p, level), (name, level)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [Laplace(F(2)), Gaussian(F(12))])
@pytest.mark.parametrize(
    ("people", "share", "frequency"), [(300, 0.2, 0.03), (3_000, 0.5, 0.3), (800, 0.1, 0.2)]
)
def test_p_values_of_nothing_are_not_too_small_at_a_hundred_thousandth(people, share, frequency, noise):
    rng = np.random.default_rng(5)
    cases = round(share * people)
    tables, _ = null_studies.noisy(250_000, people - cases, cases, frequency, noise, rng)
    for sizes in (declared(people, cases), estimated(tables, noise, people)):
        found = evaluate_cells(tables, noise, sizes)
        for name in P_VALUES:
            for level in (0.05, 1e-3, 1e-5):
                assert not too_often(getattr(found, name), level), (name, level)


def far_out(people, share, frequency, noise, contrast, level, drawn, rng):
    """Return tables drawn where p-values of a contrast are about a level, and their weights."""
    cases = round(share * people)
    controls, weights, law = people - cases, contrasts.WEIGHTS[contrast], law_of(noise)
    q, r = null_studies.genotypes(frequency), cases / people
    variance = r * (1 - r) * people * ((q * weights**2).sum() - (q * weights).sum() ** 2)
    coefficients = np.concatenate([(1 - r) * weights, -r * weights])
    steep = saddlepoint.tilt(
        -np.log(2 * level), variance, coefficients, np.full(6, law.kind), np.full(6, law.size), np.ones(6), 6
    )
    tables, logs = null_studies.tilted(drawn, controls, cases, frequency, noise, weights, steep, rng)
    return controls, cases, tables, np.exp(logs)


def chance(hits, weights):
    """Return an estimate of a chance by importance sampling and its standard error."""
    found = weights * hits
    return found.mean(), found.std() / np.sqrt(len(found))


FAR = [
    (people, share, frequency, noise, contrast)
    for people, share in ((300, 0.5), (4_000, 0.1))
    for frequency in (0.002, 0.25)
    for noise in (Laplace(F(4)), Gaussian(F(10)), Gaussian(F(100)))
    for contrast in (contrasts.TREND, contrasts.RECESSIVE)
]


@pytest.mark.parametrize("level", [5e-8, 1e-5])
def test_p_values_of_nothing_are_not_too_small_at_the_genome_wide_level(level):
    """P(p <= level) by importance sampling, at a level that no plain simulation reaches."""
    rng = np.random.default_rng(8)
    sharp = 0
    for people, share, frequency, noise, contrast in FAR:
        controls, cases, tables, weights = far_out(
            people, share, frequency, noise, contrast, level, 1_000, rng
        )
        name = P_VALUES[contrast]
        p = getattr(evaluate_cells(tables, noise, exact(controls, cases)), name)
        found, error = chance(p <= level, weights)
        assert found <= level + 3.5 * error, (people, share, frequency, noise, name)
        sharp += found > 0.5 * level
        some = slice(0, 100)
        for mode in ("tables", "sizes", "some"):
            sizes = sized(mode, tables[some], noise, controls, cases, rng)
            p = getattr(evaluate_cells(tables[some], noise, sizes), name)
            found, error = chance(p <= level, weights[some])
            assert found <= level + 4 * error, (people, share, frequency, noise, name, mode)
    assert sharp > len(FAR) / 2  # so that they are not merely idle


@pytest.mark.parametrize("mode", ["declared", "tables"])
@pytest.mark.parametrize("noise", [Gaussian(F(1, 8)), Gaussian(F(1, 4)), Laplace(F(1, 8))])
def test_p_values_of_homozygotes_alone_are_not_too_small_with_next_to_no_noise(noise, mode):
    """Counts of cases lie two apart. Every outcome is tried, with the chance that no cell has any noise."""
    scale = float(noise.scale)
    odd = np.exp(-1 / scale) if isinstance(noise, Laplace) else np.exp(-1 / (2 * scale**2))
    quiet = float(1 - 2 * odd) ** 6
    for people, cases, twos in ((8, 4, 3), (20, 3, 3), (200, 2, 3), (200, 20, 20), (1_000, 500, 40)):
        of_cases = np.arange(max(0, cases + twos - people), min(twos, cases) + 1)
        tables = np.zeros((len(of_cases), 2, 3))
        tables[:, 1, 2], tables[:, 1, 0] = of_cases, cases - of_cases
        tables[:, 0] = [people - twos, 0, twos] - tables[:, 1]
        chances = hypergeom.pmf(of_cases, people, twos, cases)
        groups = declared(people, cases) if mode == "declared" else estimated(tables[:1], noise, people)
        p = evaluate_cells(tables, noise, groups).p_trend
        for level in p[p < 1]:
            happens = quiet * chances[p <= level].sum()
            assert happens <= level * (1 + 1e-9)


def test_noise_that_is_understated_by_a_tenth_is_found_out():
    rng = np.random.default_rng(9)
    noise, less = Gaussian(F(100)), Gaussian(F(90))
    tables, _ = null_studies.noisy(4_000, 600, 400, 0.3, noise, rng)
    assert not too_often(evaluate_cells(tables, noise, exact(600, 400)).p_trend, 0.05)
    assert too_often(evaluate_cells(tables, less, exact(600, 400)).p_trend, 0.05)
    assert too_often(evaluate_cells(tables, QUIET, exact(600, 400)).p_trend, 1e-3)  # no heed of noise at all
    controls, cases, tables, weights = far_out(1_000, 0.4, 0.3, noise, contrasts.TREND, 5e-8, 2_000, rng)
    right, _ = chance(evaluate_cells(tables, noise, exact(controls, cases)).p_trend <= 5e-8, weights)
    wrong, error = chance(evaluate_cells(tables, less, exact(controls, cases)).p_trend <= 5e-8, weights)
    assert right <= 1.2 * 5e-8
    assert wrong - 4 * error > 2 * 5e-8


@pytest.mark.parametrize("noise", [Gaussian(F(5)), Laplace(F(5)), Gaussian(F(400))])
def test_p_values_of_nothing_are_even_where_counts_are_large(noise):
    rng = np.random.default_rng(10)
    tables, _ = null_studies.noisy(3_000, 12_000, 8_000, 0.3, noise, rng)
    for sizes in (exact(12_000, 8_000), estimated(tables, noise, 20_000)):
        found = evaluate_cells(tables, noise, sizes)
        for name in P_VALUES[:4]:
            assert kstest(getattr(found, name), "uniform").statistic < 0.05, name
            assert np.mean(getattr(found, name) <= 0.05) == pytest.approx(0.05, abs=0.014), name


def test_power_is_what_the_law_of_the_noise_foretells():
    """The share of real effects that are found is near that of the test that knows everything."""
    rng = np.random.default_rng(11)
    for noise in (Gaussian(F(20)), Laplace(F(12))):
        law = law_of(noise)
        shares = [null_studies.genotypes(f) for f in (0.30, 0.37)]
        clean = np.stack([rng.multinomial(2_000, q, 1_500) for q in shares], axis=1).astype(float)
        tables = clean + null_studies.draw(noise, clean.shape, rng)
        means = [q @ np.arange(3) for q in shares]
        variances = [q @ np.arange(3) ** 2 - mean**2 for q, mean in zip(shares, means, strict=True)]
        effect, deviation = 1_000 * (means[1] - means[0]), np.sqrt(500 * sum(variances) + law.variance)
        pooled, w = 2_000 * sum(shares), contrasts.WEIGHTS[contrasts.TREND]
        terms = np.concatenate([w / 2, -w / 2]), np.full(6, law.kind), np.full(6, law.size), np.ones(6), 6
        known = evaluate_cells(tables, noise, exact(2_000, 2_000)).p_trend
        told = evaluate_cells(tables, noise, estimated(tables, noise, 4_000)).p_trend
        for level in (0.05, 1e-3, 5e-8):
            given = (0.0, 2_000.0, pooled, w, *terms)
            needed = brentq(lambda t, g, p: saddlepoint.tail(t, *g) / p - 1, 1, 200, (given, level / 2))
            foretold = norm.sf((needed - effect) / deviation)
            assert np.mean(known <= level) == pytest.approx(foretold, abs=0.06)
            assert np.mean(told <= level) == pytest.approx(foretold, abs=0.07)


@pytest.mark.parametrize("noise", [Laplace(F(5)), Gaussian(F(20))])
def test_no_counts_and_sizes_within_their_bounds_give_a_larger_p_value(noise):
    """The largest of the few points that are tried is nearly that of a grid over the whole set."""
    rng = np.random.default_rng(12)
    law, people, compared = law_of(noise), 800.0, 0
    work = np.empty(20), np.empty(20, np.int64), np.empty(20), np.empty(20)
    for frequency, cases in ((0.02, 100), (0.3, 400)):
        tables, _ = null_studies.noisy(12, 800 - cases, cases, frequency, noise, rng)
        tables[:, 1, 2] += np.linspace(0.5, 12, 12) * np.sqrt(
            law.variance + 400 * frequency * (1 - frequency)
        )
        for groups in (exact(800 - cases, cases), sized("sizes", tables[:1], noise, 800 - cases, cases, rng)):
            widths = significance._widths(law, True)
            corners, ranges = significance._corners(law, groups, widths), groups.ranges()
            estimates = np.stack([groups.value, groups.centre])
            for contrast in (contrasts.TREND, contrasts.RECESSIVE):
                w, near = contrasts.WEIGHTS[contrast], widths[contrast]
                known = groups.own, True
                noises = (law.kind, law.size, law.variance), groups.terms(), work
                for x in tables:
                    sets = ranges, near, corners[contrast]
                    given = x, w, (1 / 16, 0.0), estimates, *known, *sets, *noises
                    p = contrasts.p_value(contrast, *given)
                    band = int(np.argmax(contrasts.EDGES[1:] < p))
                    if p >= min(contrasts.EDGES[band], 0.5) or band > 9:
                        continue
                    assert p == pytest.approx(
                        contrasts._largest(contrast, band, *given) / (1 - contrasts.ETA)
                    )
                    largest = 0.0
                    for n1, m in grid(contrast, x, groups, ranges[band], near[band], corners[contrast, band]):
                        at = x, n1, people - n1, m, w, contrasts.QUANTILES[band], (1 / 16, 0.0)
                        largest = max(largest, contrasts._chance(*at, groups.value, *known, *noises))
                    assert largest <= 1.03 * p * (1 - contrasts.ETA)
                    compared += 1
    assert compared > 50


def grid(contrast, x, groups, ends, near, far):
    """Yield cases and counts all over the set C, of 800 people."""
    y, m = x.sum(axis=0), np.empty(3)
    lift = (800 - y.sum()) / 3
    first, second = (y[2] - y[0] if contrast == contrasts.TREND else y[2] + lift), y[1] + lift
    for a in np.linspace(-1, 1, 5):
        for b in np.linspace(-1, 1, 5):
            for c in (-1, 0, 1):
                n1, gap = groups.value[1] + a * (ends[1, 1] - ends[0, 1]) / 2, first + b * near[0]
                if far[0] > 0:
                    if abs(a) + abs(b) > 1:
                        continue
                    n1, gap = groups.value[1] + a * far[0], first + b * far[1]
                ones = second + c * near[1]
                if contrast == contrasts.TREND and c > -1 and abs(gap) + max(ones, 0) > 800:
                    continue  # no counts are so
                contrasts._place(contrast, 800.0, gap, ones, m)
                yield min(max(n1, 0.5), 799.5), m


def test_with_no_noise_the_statistic_is_the_trend_test():
    rng = np.random.default_rng(13)
    tables = null_studies.exact(200, 600, 400, 0.3, rng)
    found = evaluate_cells(tables, QUIET, exact(600, 400))
    n, c = np.array([600, 400]), tables.sum(axis=1)
    dosage = tables @ np.arange(3)
    mean, square = c @ np.arange(3) / 1_000, c @ np.arange(3) ** 2 / 1_000
    gap = dosage[:, 1] - 0.4 * dosage.sum(axis=1)
    chi2 = gap**2 / (0.24 * 1_000 * (square - mean**2))
    assert found.chi2_trend == pytest.approx(chi2, rel=1e-3, abs=1e-4)
    # p is that of a permutation with half a count more, so a little above the usual one.
    usual = 2 * norm.sf(np.sqrt(chi2))
    assert (found.p_trend >= 0.97 * usual).all()
    assert np.median(found.p_trend / usual) < 1.12
    counted = dosage / (2 * n)
    odds = counted[:, 1] * (1 - counted[:, 0]) / (counted[:, 0] * (1 - counted[:, 1]))
    assert found.odds_ratio == pytest.approx(odds, rel=1e-3)
    assert found.frequency[:, :2] == pytest.approx(counted, abs=1e-6)


@pytest.mark.parametrize("noise", [Gaussian(F(3)), Laplace(F(8)), Gaussian(F(60))])
@pytest.mark.parametrize(
    ("frequency", "odds"), [(0.005, 1.0), (0.05, 1.0), (0.3, 1.0), (0.3, 1.5), (0.1, 2.0)]
)
def test_intervals_hold_the_truth(noise, frequency, odds):
    rng = np.random.default_rng(14)
    raised = odds * frequency / (1 - frequency) / (1 + odds * frequency / (1 - frequency))
    for controls, cases in ((150, 100), (1_200, 800)):
        clean = np.stack(
            [
                rng.multinomial(controls, null_studies.genotypes(frequency), 1_000),
                rng.multinomial(cases, null_studies.genotypes(raised), 1_000),
            ],
            axis=1,
        ).astype(float)
        tables = clean + null_studies.draw(noise, clean.shape, rng)
        alleles = clean[..., 1] + 2 * clean[..., 2]
        n = np.array([controls, cases, controls + cases])
        share = np.concatenate([alleles, alleles.sum(axis=1, keepdims=True)], axis=1) / (2 * n)
        for sizes in (exact(controls, cases), estimated(tables, noise, controls + cases)):
            found = evaluate_cells(tables, noise, sizes)
            assert np.mean((found.low <= odds) & (odds <= found.high)) > 0.93
            assert (found.low <= found.odds_ratio).all()
            assert (found.odds_ratio <= found.high).all()
            held = (found.frequency_low <= share + 1e-9) & (share <= found.frequency_high + 1e-9)
            assert held.mean(axis=0).min() > 0.93


def test_intervals_are_not_wider_than_need_be():
    rng = np.random.default_rng(15)
    noise = Gaussian(F(10))
    tables, clean = null_studies.noisy(4_000, 3_000, 2_000, 0.3, noise, rng)
    found = evaluate_cells(tables, noise, exact(3_000, 2_000))
    assert np.mean((found.low <= 1) & (found.high >= 1)) == pytest.approx(0.95, abs=0.015)
    share = (clean[:, 1, 1] + 2 * clean[:, 1, 2]) / 4_000
    held = (found.frequency_low[:, 1] <= share) & (share <= found.frequency_high[:, 1])
    assert held.mean() == pytest.approx(0.955, abs=0.015)


def test_a_variant_nobody_has_gives_no_finding():
    for noise in (QUIET, Laplace(F(1, 8))):
        tables = np.zeros((1, 2, 3))
        tables[0, :, 0] = 60, 40
        found = evaluate_cells(tables, noise, exact(60, 40))
        assert all(getattr(found, name)[0] == pytest.approx(1) for name in P_VALUES)
        assert found.low[0] == 0
        assert np.isinf(found.high[0])
        assert found.chi2_trend[0] == pytest.approx(0, abs=1e-6)


def test_complete_separation_is_found_and_its_odds_have_no_bound():
    tables = np.array([[[500.0, 0, 0], [0, 0, 500]]])
    found = evaluate_cells(tables, Gaussian(F(4)), exact(500, 500))
    assert found.p_trend[0] < 1e-100
    assert found.odds_ratio[0] > 1_000
    assert np.isinf(found.high[0])
    assert found.low[0] > 100


@given(
    st.lists(st.integers(-(2**40), 2**40), min_size=6, max_size=6),
    st.sampled_from(
        [Laplace(F(1, 64)), Laplace(F(3)), Laplace(F(10**6)), QUIET, Gaussian(F(30)), Gaussian(F(10**7))]
    ),
    st.sampled_from(["declared", "tables", "sizes", "some"]),
    st.integers(1, 400),
    st.integers(0, 400),
)
@settings(max_examples=150, deadline=None)
def test_any_cells_give_numbers_that_make_sense(cells, noise, mode, cases, controls):
    rng = np.random.default_rng(0)
    tables = np.array(cells, float).reshape(1, 2, 3)
    found = evaluate_cells(tables, noise, sized(mode, tables, noise, controls, cases, rng))
    for name in P_VALUES:
        assert 0 < getattr(found, name)[0] <= 1
    assert found.chi2_trend[0] >= 0
    assert 0 < found.odds_ratio[0] < np.inf
    assert 0 <= found.low[0] <= found.odds_ratio[0] <= found.high[0]
    assert ((found.frequency_low <= found.frequency) & (found.frequency <= found.frequency_high)).all()
    assert ((found.frequency >= 0) & (found.frequency <= 1) & (found.maf <= 0.5)).all()
    assert (found.size_low <= found.size_high).all()


def released(cells):
    return again(Plan(Groups(len(cells)), Gaussian(F(5))), np.asarray(cells, np.int64), 1_000)


def test_sizes_may_be_declared_told_beside_or_told_by_the_tables():
    rng = np.random.default_rng(16)
    noise = Gaussian(F(5))
    tables, _ = null_studies.noisy(50, 600, 400, 0.3, noise, rng)
    noisy = released(tables)
    beside = again(Plan(Sizes(), noise), np.array([603, 396]), 1_000)
    ways = [
        evaluate(noisy, cases=400),
        evaluate(noisy),
        evaluate(noisy, sizes=beside),
        evaluate(noisy, sizes=beside, everybody=False),
        evaluate(noisy, sizes=(Size(603.0, ((1.0, noise, 1),)), Size(400.0))),
    ]
    for found in ways:
        assert isinstance(found, Evaluated)
        assert found.sizes == pytest.approx([600, 400], abs=6)
        assert (found.size_low <= [600, 400]).all()
        assert (found.size_high >= [600, 400]).all()
        assert found.p_trend == pytest.approx(ways[0].p_trend, abs=0.12)
    wide = [(found.size_high - found.size_low)[1] for found in ways]
    assert wide[0] == 0
    assert wide[2] < wide[1]


def test_what_does_not_fit_is_refused():
    noisy = released(np.zeros((1, 2, 3)))
    beside = again(Plan(Sizes(), Gaussian(F(5))), np.array([603, 396]), 1_000)
    for wrong in (
        lambda: evaluate(again(Plan(Alleles(1), Gaussian(F(5))), np.zeros(1, np.int64), 10)),
        lambda: evaluate(noisy, cases=1_001),
        lambda: evaluate(noisy, cases=-1),
        lambda: evaluate(noisy, cases=10, everybody=False),
        lambda: evaluate(noisy, cases=10, sizes=beside),
        lambda: evaluate(noisy, sizes=noisy),
        lambda: adjusted(np.ones(1), 0),
    ):
        with pytest.raises(BadInput):
            wrong()


def test_a_p_value_of_one_among_many_is_multiplied():
    assert adjusted(np.array([1e-9, 0.4]), 10**6).tolist() == pytest.approx([1e-3, 1.0])
