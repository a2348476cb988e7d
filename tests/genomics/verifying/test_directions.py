"""A finding that reports a direction is found again in that direction only, in every kind of release."""

from fractions import Fraction

import numpy as np
import pytest

from noisegate.genomics import frequencies, tables
from noisegate.genomics.counts import again
from noisegate.genomics.verifying import additive, simulate
from noisegate.genomics.verifying.background import background
from noisegate.genomics.verifying.controls import controls_of
from noisegate.genomics.verifying.evidence import Frequencies, of_tables
from noisegate.genomics.verifying.findings import findings_of
from noisegate.genomics.verifying.outcome import Answer
from noisegate.genomics.verifying.simulate import Trial, key_of, uniforms
from noisegate.genomics.verifying.statistic import Test, direction
from noisegate.genomics.verifying.verdict import verify

from ..stores import stores
from . import lactose
from .lactose import as_published, copied, drawn, rows

VARIANTS, PEOPLE = 320, 90
KEY = b"a release's key."
THRESHOLD = 0.0625
KINDS = ("rows", "as published", "tables", "frequencies")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Cases that differ from controls at every fourth variant, either way."""
    rng = np.random.default_rng(21)
    folder = tmp_path_factory.mktemp("directed")
    share = rng.uniform(0.3, 0.7, (VARIANTS, 1))
    moved = np.where(np.arange(VARIANTS)[:, None] % 4 == 0, rng.choice([-0.25, 0.25], (VARIANTS, 1)), 0.0)
    sides = [
        stores.store_of(folder / name, rng.binomial(2, p, (VARIANTS, PEOPLE)).astype(np.int8), public=True)
        for name, p in (("cases", share + moved), ("controls", share))
    ]
    return lactose.Study(*sides)


def noisy(plan, exact, people):
    noise = additive.simulated(plan.noise, uniforms(key_of("release"), (2, exact.size)))
    return again(plan, exact + noise.reshape(exact.shape), people)


def released(study, kind):
    variants = study.cases.variants
    cases, controls = study.counts
    if kind == "rows":
        return drawn(rows(study, "response", 2_000), study, KEY)
    if kind == "as published":
        return copied(as_published(study, 3), study, KEY)
    if kind == "tables":
        plan = tables.design(VARIANTS, Fraction(1_000), Fraction(1, 10**5))
        exact = np.stack([controls, cases], axis=1)
        return of_tables(noisy(plan, exact, 2 * PEOPLE), variants, said={"kind": "tables", "law": ""})
    plan = frequencies.design(VARIANTS, Fraction(600), Fraction(1, 10**5))
    alleles = cases[:, 1] + 2 * cases[:, 2]
    return Frequencies(noisy(plan, alleles, PEOPLE), variants, {"kind": "frequencies", "law": ""})


def reported(study, test, sign):
    """Findings with an odds ratio of the alternate allele, in the true direction or its opposite."""
    towards = sign * direction(Test(test), *study.counts)
    variants = study.cases.variants
    names, p = variants.names().tolist(), study.p(test)
    return findings_of(
        [
            {
                "variant": names[i],
                "p": f"{p[i]:.6e}",
                "a1": str(variants.alt[i]),
                "or": 2.0 ** int(towards[i]),
            }
            for i in np.flatnonzero(p < 1e-3)
        ]
    )


# Of a p-value with two degrees of freedom, tables leave too much open: they cannot tell.
@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (kind, test)
        for kind in KINDS
        for test in ("trend", "chi2", "odds")
        if (kind, test) != ("tables", "chi2")
    ],
)
def test_true_directions_are_consistent_and_reversed_ones_are_not(study, kind, test):
    evidence = released(study, kind)
    good, bad = (
        verify(reported(study, test, sign), evidence, study.controls, test=test, draws=200)
        for sign in (1, -1)
    )
    assert good.verdict is Answer.CONSISTENT, good.reason
    assert bad.verdict is Answer.NOT_CONSISTENT, bad.reason
    assert bad.retained <= 0.1 * len(bad.rows)
    assert bad.as_json()["retained"] == sum(row["retained"] for row in bad.as_json()["rows"])
    # The p-value that is shown stays that of the release, and a note says what is the matter.
    assert sum(row.released_p < THRESHOLD and not row.retained for row in bad.rows) > 0.5 * len(bad.rows)
    assert any("other direction" in note for note in bad.notes)
    # Made-up findings have a direction too, and every other one the wrong one.
    silent = findings_of([{"variant": row.variant, "p": f"{row.p:.6e}"} for row in good.rows])
    either = verify(silent, evidence, study.controls, test=test, draws=200)
    assert good.falsified.value < 0.75 * either.falsified.value
    assert good.background.value < 0.75 * either.background.value
    assert not any("other direction" in note for note in either.notes)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_simulated_with_a_direction_and_with_its_opposite_adds_up(study, kind):
    evidence = released(study, kind)
    controls = controls_of(study.controls, study.cases.variants)
    places = np.arange(0, VARIANTS, 4)
    cases, theirs = (side[places] for side in study.counts)
    data = np.concatenate([theirs, cases], axis=1) if kind == "tables" else cases

    def kept(towards):
        trial = Trial(evidence, controls, Test.TREND, places, towards)
        p = simulate.simulated(trial, np.broadcast_to(data, (20, *data.shape)), key_of("b"), lambda *_: None)
        return p < THRESHOLD

    towards = direction(Test.TREND, cases, theirs)
    right, wrong, either = kept(towards), kept(-towards), kept(None)
    assert ((right | wrong) == either).all()
    assert not (right & wrong).any()
    assert right.mean() > 0.5 > 0.1 > wrong.mean()
    assert (kept(np.zeros(len(places), np.int8)) == either).all()


def test_the_background_of_a_direction_is_what_is_significant_that_way():
    rng = np.random.default_rng(6)
    signs = rng.choice(np.array([-1, 0, 1], np.int8), 4_000, p=[0.1, 0.6, 0.3])
    places = np.arange(90)
    towards = np.repeat(np.array([1, -1, 0], np.int8), 30)
    found = background(signs, np.ones(4_000, bool), places, rng.integers(0, 50, 4_000), towards)
    drawn_ = found.draw(rng.uniform(size=(400, 90)), rng.uniform(size=(400, len(found.of))))
    assert drawn_.mean(axis=0).reshape(3, 30).mean(axis=1) == pytest.approx([0.3, 0.1, 0.4], abs=0.05)
    assert found.rate.value == pytest.approx((0.3 + 0.1 + 0.4) / 3, abs=0.02)
