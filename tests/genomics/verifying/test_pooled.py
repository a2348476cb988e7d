"""Findings on noisy tables: what they could have come from follows from the tables, not from a panel."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binom

from noisegate.genomics import tables
from noisegate.genomics.counts import Groups, Sizes, again, measure
from noisegate.genomics.plans import design
from noisegate.genomics.verifying import additive, pooled, simulate
from noisegate.genomics.verifying.controls import controls_of
from noisegate.genomics.verifying.evidence import of_tables
from noisegate.genomics.verifying.findings import findings_of
from noisegate.genomics.verifying.outcome import Answer
from noisegate.genomics.verifying.simulate import Trial, key_of, uniforms
from noisegate.genomics.verifying.statistic import Test, direction, p_values
from noisegate.genomics.verifying.verdict import verify
from noisegate.genotypes.packed import pack

from ..held import Held
from ..stores import stores

CASES, CONTROLS, VARIANTS = 110, 550, 90
DELTA = Fraction(1, 10**6)
SAID = {"kind": "association", "law": ""}


class Cohort:
    """Cases and controls of one people, and a reference of quite another."""

    def __init__(self, folder):
        rng = np.random.default_rng(4)
        share = rng.uniform(0.1, 0.9, VARIANTS)
        moved = np.clip(share + rng.choice([0, 0, -0.14, 0.14], VARIANTS), 0.02, 0.98)
        sides = [rng.binomial(2, s[:, None], (VARIANTS, n)) for s, n in ((share, CONTROLS), (moved, CASES))]
        self.exact = np.stack([np.stack([(c == g).sum(axis=1) for g in range(3)], axis=1) for c in sides], 1)
        self.calls = np.concatenate(sides, axis=1).astype(np.int8)
        self.labels = (np.arange(CASES + CONTROLS) >= CONTROLS).astype(np.int8)
        other = np.where(share < 0.5, share * 0.1, 1 - (1 - share) * 0.1)
        self.reference = stores.store_of(
            folder / "reference",
            rng.binomial(2, other[:, None], (VARIANTS, 300)).astype(np.int8),
            public=True,
        )
        self.own = stores.store_of(folder / "own", self.calls, public=True)
        self.names = self.reference.variants.names()

    def p(self, test):
        return p_values(Test(test), self.exact[:, 1], self.exact[:, 0])

    def answer(self, places, epsilon, *, sizes=False):
        """A private answer about some variants, its noise drawn in earnest."""
        data = Held(pack(np.ascontiguousarray(self.calls[places])), True)
        plan = design(Groups(len(places)), Fraction(epsilon), DELTA)
        of_groups = measure(design(Sizes(), Fraction(epsilon, 20), DELTA), data, self.labels)
        return of_tables(
            measure(plan, data, self.labels),
            self.reference.variants.take(places),
            sizes=of_groups if sizes else None,
            said=SAID,
        )

    def exactly(self, places):
        """The same with next to no noise."""
        plan = tables.design(len(places), Fraction(100 * len(places)), DELTA)
        noisy = again(plan, self.exact[places], CASES + CONTROLS)
        return of_tables(noisy, self.reference.variants.take(places), said=SAID)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return Cohort(tmp_path_factory.mktemp("cohort"))


def told(names, p, digits=6):
    return findings_of([{"variant": n, "p": f"{x:.{digits}e}"} for n, x in zip(names, p, strict=True)])


def judged(cohort, test, epsilon, reported, count, **more):
    """Verdicts on the significant of some p-values, each against an answer of its own."""
    places = np.flatnonzero(reported < 0.05)
    found = told(cohort.names[places], reported[places])
    return [
        verify(found, cohort.answer(places, epsilon, **more), cohort.reference, test=test, draws=200)
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("test", "epsilon", "sizes"), [("trend", 40, False), ("trend", 80, True), ("allelic", 40, False)]
)
def test_honest_findings_of_a_people_unlike_the_reference_are_refused_as_seldom_as_stated(
    cohort, test, epsilon, sizes
):
    verdicts = judged(cohort, test, epsilon, cohort.p(test), 24, sizes=sizes)
    refused = sum(verdict.verdict is Answer.NOT_CONSISTENT for verdict in verdicts)
    assert refused <= binom.ppf(1 - 1e-3, 24, 0.05 + 3 * 0.015)
    assert sum(verdict.verdict is Answer.CONSISTENT for verdict in verdicts) >= 18
    kept = np.mean([verdict.retention.value for verdict in verdicts])
    assert kept == pytest.approx(np.mean([verdict.expected.value for verdict in verdicts]), abs=0.06)


def test_the_reference_changes_nothing_but_which_variants_there_are(cohort):
    p = cohort.p("trend")
    places = np.flatnonzero(p < 0.05)
    evidence, found = cohort.answer(places, 40), told(cohort.names[places], p[places])
    one, other = (
        verify(found, evidence, panel, test="trend", draws=200) for panel in (cohort.reference, cohort.own)
    )
    assert (one.critical, one.honest_law, one.falsified_law) == (
        other.critical,
        other.honest_law,
        other.falsified_law,
    )


def test_findings_of_other_variants_are_told_from_honest_ones(cohort):
    p = cohort.p("trend")
    rng = np.random.default_rng(1)
    verdicts = [judged(cohort, "trend", 80, rng.permutation(p), 1)[0].verdict for _ in range(12)]
    assert verdicts.count(Answer.NOT_CONSISTENT) >= 10
    assert verdicts.count(Answer.CONSISTENT) <= 2


@pytest.mark.parametrize("test", list(Test))
def test_imagined_data_give_the_reported_p_values_and_directions(cohort, test):
    p = p_values(test, cohort.exact[:, 1], cohort.exact[:, 0])
    towards = direction(test, cohort.exact[:, 1], cohort.exact[:, 0])
    places = np.flatnonzero(p < 0.05)
    reported = (p[places], p[places], p[places])
    claims = pooled.plausible(
        test, reported, towards[places], cohort.exactly(places), np.arange(len(places)), key_of("a")
    )
    assert claims.attainable.all()
    assert claims.weights.sum() == pytest.approx(len(places))
    ours, theirs = claims.tables[:, 3:], claims.tables[:, :3]
    owner = np.repeat(np.arange(len(places)), claims.sizes)
    assert ours.min() >= -1e-9
    assert theirs.min() >= -1e-9
    assert ours.sum(axis=1) == pytest.approx(np.full(len(ours), CASES))
    both = cohort.exact[places].sum(axis=1)
    assert (ours + theirs) == pytest.approx(both[owner])
    # Where Yates's correction comes in, or a genotype is left to nobody, a test has steps.
    again_ = p_values(test, ours, theirs)
    assert np.mean(np.abs(np.log(again_ / p[places][owner])) < 1e-3) > 0.99
    assert (direction(test, ours, theirs) == towards[places][owner]).all()


def test_a_p_value_that_nobody_has_is_taken_for_the_nearest(cohort):
    tiny = np.full(3, 1e-280)
    claims = pooled.plausible(
        Test.TREND,
        (tiny, tiny, tiny),
        np.array([1, -1, 0], np.int8),
        cohort.exactly(np.arange(3)),
        np.arange(3),
        key_of("a"),
    )
    assert not claims.attainable.any()
    seen = direction(Test.TREND, claims.tables[:, 3:], claims.tables[:, :3]).reshape(3, -1)
    assert (seen[0] == 1).all()
    assert (seen[1] == -1).all()


def test_imagined_sums_are_those_behind_the_noise(cohort):
    places = np.arange(VARIANTS)
    both = cohort.exact.sum(axis=1)
    drawn = pooled.sums(cohort.answer(places, 60), places, 64, key_of("sums"))
    assert drawn.sum(axis=-1) == pytest.approx(np.full(drawn.shape[:2], drawn[0, 0].sum()))
    assert drawn.min() >= 0
    wide = both.min(axis=1) > 100
    z = (drawn.mean(axis=0) - both)[wide] / drawn.std(axis=0)[wide]
    assert abs(z.mean()) < 0.3
    # What is imagined lies as far from the release as the release from the truth.
    assert np.sqrt((z**2).mean()) == pytest.approx(1, abs=0.2)


def test_by_chance_cases_differ_as_often_as_chance_has_it(cohort):
    places = np.arange(VARIANTS)
    made = pooled.by_chance(cohort.exactly(places), places, 300, key_of("chance")).reshape(-1, 6)
    assert made.min() >= -1e-9
    low = p_values(Test.TREND, made[:, 3:], made[:, :3]) < 0.05
    error = 4 * (0.05 * 0.95 / low.size) ** 0.5
    assert low.mean() == pytest.approx(0.05, abs=error)
    assert low.mean() != pytest.approx(0.05 * 1.1, abs=error / 2)


def test_doubtful_sizes_of_groups_are_simulated_too(cohort):
    """A measured size moves every difference of a release alike, and so spreads how many are kept."""
    p = cohort.p("trend")
    places = np.flatnonzero(p < 0.05)
    controls = controls_of(cohort.reference, cohort.reference.variants.take(places))
    truth = cohort.exact[places].reshape(-1, 6).astype(np.float64)
    real = [
        simulate.released(cohort.answer(places, 20, sizes=True), controls, Test.TREND) < 0.0625
        for _ in range(150)
    ]
    trial = Trial(cohort.answer(places, 20, sizes=True), controls, Test.TREND, np.arange(len(places)))
    ours = simulate.simulated(
        trial, np.broadcast_to(truth, (400, *truth.shape)), key_of("b"), lambda *_: None
    )
    kept, seen = (ours < 0.0625).sum(axis=1), np.array(real).sum(axis=1)
    assert abs(kept.mean() - seen.mean()) < 5 * np.sqrt(kept.var() / 400 + seen.var() / 150) + 0.5
    assert kept.std() == pytest.approx(seen.std(), rel=0.25)


def test_genotypes_that_nobody_has_are_nobody_s(cohort):
    plan = tables.design(2, Fraction(200), DELTA)
    exact = np.array([[[500, 50, 0], [90, 20, 0]], [[550, 0, 0], [108, 0, 2]]])
    noise = additive.simulated(plan.noise, uniforms(key_of("n"), (2, exact.size)))
    assert not noise.any()
    evidence = of_tables(
        again(plan, exact, CASES + CONTROLS), cohort.reference.variants.take(np.arange(2)), said=SAID
    )
    p = p_values(Test.TREND, exact[:, 1], exact[:, 0])
    claims = pooled.plausible(
        Test.TREND, (p, p, p), np.zeros(2, np.int8), evidence, np.arange(2), key_of("a")
    )
    both = (claims.tables[:, :3] + claims.tables[:, 3:]).reshape(2, -1, 3)
    assert claims.attainable.all()
    assert both[0, :, 2] == pytest.approx(0)
    assert both[1, :, 1] == pytest.approx(0)
