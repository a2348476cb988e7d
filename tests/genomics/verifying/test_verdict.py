"""Verdicts on findings: on the lactose tables, as published and by honest releases; on made-up studies."""

import json
import os
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import binom

from noisegate.errors import BadInput, Forbidden, TooLarge
from noisegate.genomics import frequencies, tables
from noisegate.genomics.as_published import LABEL, share_as_published
from noisegate.genomics.association import genotype_counts
from noisegate.genomics.counts import again
from noisegate.genomics.recipe import Method
from noisegate.genomics.share import begin, carry_out
from noisegate.genomics.verifying import additive, simulate
from noisegate.genomics.verifying.background import background
from noisegate.genomics.verifying.controls import controls_of
from noisegate.genomics.verifying.evidence import Frequencies, Rows, Tables, of_folder, of_proposal, of_tables
from noisegate.genomics.verifying.findings import findings_of
from noisegate.genomics.verifying.matching import matched
from noisegate.genomics.verifying.outcome import Answer
from noisegate.genomics.verifying.simulate import Trial, key_of, uniforms
from noisegate.genomics.verifying.statistic import Test
from noisegate.genomics.verifying.verdict import verify
from noisegate.genotypes.store import Store

from ..stores import stores
from ..workshop import BOSS, PRIVATE, PUBLIC, lab, recipe
from . import lactose
from .lactose import as_published, copied, drawn, findings, flipped, needs_data, noised, rows

# Releases are drawn by a fixed key: what must be refused once in twenty times is then always or never so.
KEY = b"a release's key."
CONSISTENT, NOT, CANNOT = Answer.CONSISTENT, Answer.NOT_CONSISTENT, Answer.CANNOT_TELL


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return lactose.lactose(tmp_path_factory.mktemp("lactose"))


@pytest.fixture(scope="module")
def names(study):
    return study.cases.variants.names().tolist()


@pytest.fixture(scope="module")
def copies(study):
    return {epsilon: copied(as_published(study, epsilon), study, KEY) for epsilon in (1, 5)}


def judged(study, evidence, found, **more):
    return verify(found, evidence, study.controls, **{"draws": 200, **more})


@needs_data
@pytest.mark.parametrize(
    ("test", "epsilon", "published"),
    [("chi2", 1, 0.561), ("chi2", 5, 0.626), ("odds", 1, 0.772), ("odds", 5, 0.776)],
)
def test_the_published_retention_comes_out_again(study, names, copies, test, epsilon, published):
    verdict = judged(study, copies[epsilon], findings(names, study.p(test)), test=test)
    assert verdict.verdict is CONSISTENT
    # One release of a few hundred findings: four standard deviations.
    assert verdict.retention.value == pytest.approx(published, abs=0.075)
    if test == "chi2":
        assert verdict.expected.value == pytest.approx(published, abs=0.015)
        assert all(row.attainable for row in verdict.rows)
    assert verdict.smallest_share <= 0.5
    assert verdict.falsified_passes.value == 0


@needs_data
@pytest.mark.parametrize("epsilon", [1, 5])
def test_falsified_findings_are_told_from_honest_ones_at_published_levels(study, names, copies, epsilon):
    rng = np.random.default_rng(epsilon)
    p = study.p("chi2")
    lists = (flipped(p, 1, rng), flipped(p, 0.5, rng)) if epsilon == 1 else (noised(p, 0.1, rng),)
    for made_up in lists:
        verdict = judged(study, copies[epsilon], findings(names, made_up, 3))
        assert verdict.verdict is NOT
        assert verdict.p_value <= 0.05
        assert verdict.retained < verdict.critical
        assert any(not row.attainable for row in verdict.rows)


def refused(study, evidence, verdict, test="chi2", draws=300):
    """How often releases of the true data would have had fewer than the critical number kept."""
    controls = controls_of(study.controls, study.cases.variants)
    place = {name: i for i, name in enumerate(study.cases.variants.names().tolist())}
    places = np.array([place[row.variant] for row in verdict.rows])
    truth = genotype_counts(study.cases)[places]
    trial = Trial(evidence, controls, Test(test), places)
    p = simulate.simulated(
        trial, np.broadcast_to(truth, (draws, *truth.shape)), key_of(os.urandom(9).hex()), lambda *_: None
    )
    return int(((p < verdict.given.threshold).sum(axis=1) < verdict.critical).sum())


@needs_data
@pytest.mark.parametrize(("epsilon", "digits"), [(1, None), (5, 2)])
def test_honest_findings_are_refused_no_more_often_than_stated(study, names, copies, epsilon, digits):
    verdict = judged(study, copies[epsilon], findings(names, study.p("chi2"), digits), draws=400)
    # The critical number is itself drawn: its level has a standard deviation of about 0.011.
    assert refused(study, copies[epsilon], verdict) <= binom.ppf(1 - 1e-4, 300, 0.05 + 3 * 0.011)


@needs_data
def test_without_slack_rounded_honest_findings_would_be_refused(study, names, copies):
    found = findings(names, study.p("chi2"), 2)
    assert refused(study, copies[5], judged(study, copies[5], found, slack=1)) > 150
    # So would honest ones be whose critical number is one tenth too high.
    verdict = judged(study, copies[1], findings(names, study.p("chi2")))
    assert refused(study, copies[1], replace(verdict, critical=round(1.1 * verdict.critical))) > 150


@needs_data
@pytest.mark.parametrize("method", ["as published", "response", "xor"])
def test_a_release_restored_to_public_frequencies_cannot_tell(study, names, method):
    if method == "as published":
        evidence = copied(as_published(study, 1, to_exact=False), study, KEY)
    else:
        evidence = drawn(rows(study, method, 9_091, restored=True), study, KEY)
    p = study.p("chi2")
    for reported in (p, flipped(p, 1, np.random.default_rng(3))):
        verdict = judged(study, evidence, findings(names, reported))
        assert verdict.verdict is CANNOT
        assert verdict.falsified_passes.value > 0.5
        assert any("public allele frequencies" in note for note in verdict.notes)


@needs_data
@pytest.mark.parametrize("epsilon", [10, 100, 1_000])
@pytest.mark.parametrize("method", ["response", "xor"])
def test_honest_releases_of_small_epsilon_cannot_tell(study, names, method, epsilon):
    evidence = drawn(rows(study, method, epsilon), study, KEY)
    p = study.p("allelic")
    for reported in (p, flipped(p, 1, np.random.default_rng(3))):
        verdict = judged(study, evidence, findings(names, reported), test="allelic")
        assert verdict.verdict is CANNOT
        # The noise is taken out, so other variants are no more often significant than by chance.
        assert 0.04 < verdict.background.value < 0.1


def verdicts(study, names, evidence, count):
    """Verdicts on honest and on falsified findings, each from a release of its own."""
    p, rng = study.p("allelic"), np.random.default_rng(8)
    found = {"honest": [], "falsified": []}
    for number in range(count):
        released = drawn(evidence, study, number.to_bytes(16))
        for kind, reported in (("honest", p), ("falsified", flipped(p, 1, rng))):
            verdict = judged(study, released, findings(names, reported, 3), test="allelic")
            found[kind].append(verdict.verdict)
    return found["honest"], found["falsified"]


@needs_data
def test_an_honest_release_of_epsilon_1_a_variant_tells_them_apart(study, names):
    honest, falsified = verdicts(study, names, rows(study, "response", 9_091), 3)
    assert honest == [CONSISTENT] * 3
    assert falsified.count(NOT) >= 2
    assert CONSISTENT not in falsified


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [9_091, 20_000])
def test_verdicts_err_no_more_often_than_stated(study, names, epsilon):
    honest, falsified = verdicts(study, names, rows(study, "response", epsilon), 100)
    most = binom.ppf(1 - 1e-3, 100, 0.05)
    assert honest.count(NOT) <= most
    assert falsified.count(CONSISTENT) <= most
    assert honest.count(CONSISTENT) >= 100 - most


# Studies made up here


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """600 cases and 600 controls at 900 variants, of which 60 differ."""
    rng = np.random.default_rng(11)
    folder = tmp_path_factory.mktemp("made_up")
    share = rng.uniform(0.1, 0.5, (900, 1))
    shift = np.where(np.arange(900)[:, None] % 15 == 0, 0.1, 0.0)
    sides = [
        stores.store_of(folder / name, rng.binomial(2, p, (900, 600)).astype(np.int8), public=True)
        for name, p in (("cases", share + shift), ("controls", share))
    ]
    return lactose.Study(*sides)


def noisy(plan, exact, people):
    """Counts with the noise of a plan, by a fixed key."""
    drawn_ = additive.simulated(plan.noise, uniforms(key_of("release"), (2, exact.size)))
    return again(plan, exact + drawn_.reshape(exact.shape), people)


def released_frequencies(study, epsilon, delta=Fraction(0)):
    counts = genotype_counts(study.cases)
    plan = frequencies.design(len(counts), Fraction(epsilon), delta)
    released = noisy(plan, counts[:, 1] + 2 * counts[:, 2], 600)
    return Frequencies(released, study.cases.variants, {"kind": "frequencies", "law": str(epsilon)})


def released_tables(study, epsilon, delta=Fraction(0), places=None):
    chosen = np.arange(900) if places is None else places
    plan = tables.design(len(chosen), Fraction(epsilon), delta)
    exact = np.stack([counts[chosen] for counts in study.counts[::-1]], axis=1)
    variants = study.cases.variants.take(chosen.astype(np.int64))
    return of_tables(noisy(plan, exact, 1_200), variants, said={"kind": "tables", "law": str(epsilon)})


@pytest.mark.parametrize("release", [released_frequencies, released_tables])
def test_noisy_counts_tell_findings_apart_where_noise_is_small(made_up, release):
    names, p = made_up.cases.variants.names().tolist(), made_up.p("trend")
    rng = np.random.default_rng(1)
    evidence = release(made_up, 500, Fraction(1, 10**5))
    verdict = judged(made_up, evidence, findings(names, p, 4), test="trend")
    assert verdict.verdict is CONSISTENT
    assert verdict.smallest_share <= 0.6
    false = rng.permutation(p)
    assert judged(made_up, evidence, findings(names, false, 4), test="trend").verdict is NOT
    weak = release(made_up, 1)
    assert {judged(made_up, weak, findings(names, q, 4), test="trend").verdict for q in (p, false)} == {
        CANNOT
    }


def test_tables_know_how_large_the_groups_are(made_up):
    evidence = released_tables(made_up, 400)
    assert isinstance(evidence, Tables)
    assert (evidence.cases, evidence.controls) == pytest.approx((600, 600), abs=15)
    assert evidence.cases + evidence.controls == pytest.approx(1_200, abs=1)


def test_a_few_findings_of_which_nothing_else_is_known_are_judged_by_simulated_variants(made_up):
    names, p = np.array(made_up.cases.variants.names().tolist()), made_up.p("trend")
    best = np.argsort(p)[:60]
    some = released_tables(made_up, 300, Fraction(1, 10**5), best)
    verdict = judged(made_up, some, findings(names[best], p[best], 4), test="trend")
    assert verdict.background_from == "simulated variants"
    assert verdict.background.value == pytest.approx(0.0625, abs=0.03)
    assert verdict.verdict is CONSISTENT
    two = findings(names[best[:2]], p[best[:2]], 4)
    hard = released_tables(made_up, 5, places=best)
    assert judged(made_up, hard, two, test="trend").verdict is CANNOT


def test_a_verdict_is_json_and_the_same_again(made_up):
    names, p = made_up.cases.variants.names().tolist(), made_up.p("trend")
    evidence = released_frequencies(made_up, 3_000)
    found = findings_of(
        [{"variant": n, "p": f"{x:.3g}"} for n, x in zip(names, p, strict=True)]
        + [{"variant": "rs_elsewhere", "p": "1e-9"}, {"variant": "rs_none", "p": None}]
    )
    verdict = judged(made_up, evidence, found, test="trend")
    said = json.loads(json.dumps(verdict.as_json(), allow_nan=False))
    assert said["findings"]["absent"] == ["rs_elsewhere"]
    assert said["findings"]["skipped"] == 1
    assert said["findings"]["used"] + said["findings"]["above_level"] + 1 == said["findings"]["reported"]
    assert len(said["laws"]["honest"]) == len(said["laws"]["falsified"]) == said["draws"] == 200
    assert said["retained"] == sum(row["retained"] for row in said["rows"])
    assert said["retention"]["low"] <= said["retention"]["value"] <= said["retention"]["high"]
    assert [part["share"] for part in said["power"]][-1] == 1
    assert str(said["retained"]) in said["reason"]
    assert json.dumps(said) == json.dumps(judged(made_up, evidence, found, test="trend").as_json())


def test_settings_that_make_no_sense_are_refused(made_up):
    names, p = made_up.cases.variants.names().tolist(), made_up.p("trend")
    evidence, found = released_frequencies(made_up, 3_000), findings(names, p, 3)
    for wrong in (
        {"test": "magic"},
        {"threshold": 0.0},
        {"threshold": 1.0},
        {"threshold": float("nan")},
        {"alpha": 0.5},
        {"beta": 0.0},
        {"slack": 0.5},
        {"slack": float("inf")},
        {"draws": 10},
        {"draws": 10**6},
    ):
        with pytest.raises(BadInput):
            judged(made_up, evidence, found, **wrong)
    with pytest.raises(BadInput, match="none of"):
        judged(made_up, evidence, findings(["x", "y"], np.array([0.01, 0.02])))
    with pytest.raises(BadInput, match="none of"):
        judged(made_up, evidence, findings_of([{"variant": names[0], "p": "0.4"}]))


def test_more_findings_than_can_be_drawn_for_are_refused(made_up, monkeypatch):
    from noisegate.genomics.verifying import verdict as module

    monkeypatch.setattr(module, "MOST_DRAWN", 1_000)
    names, p = made_up.cases.variants.names().tolist(), made_up.p("trend")
    with pytest.raises(TooLarge):
        judged(made_up, released_frequencies(made_up, 3_000), findings(names, p, 3))


def test_a_private_panel_is_no_reference(made_up, tmp_path):
    private = stores.store_of(tmp_path / "private", np.zeros((900, 5), np.int8))
    with pytest.raises(Forbidden):
        controls_of(private, made_up.cases.variants)


def test_directions_are_of_the_alternate_allele_where_the_table_says_which(made_up):
    variants = made_up.cases.variants
    names = variants.names().tolist()
    rows_ = [
        {"variant": names[0], "p": "0.01", "beta": 1, "a1": str(variants.alt[0])},
        {"variant": names[1], "p": "0.01", "beta": 1, "a1": str(variants.ref[1]).lower()},
        {"variant": names[2], "p": "0.01", "beta": 1, "a1": "TTT"},
        {"variant": names[3], "p": "0.01", "beta": -1},
    ]
    usable = np.ones(900, bool)
    assert matched(findings_of(rows_), variants, usable, Test.TREND).towards.tolist() == [1, -1, 0, -1]
    assert matched(findings_of(rows_), variants, usable, Test.ODDS).towards.tolist() == [1, 0, 0, -1]


def test_the_background_is_that_of_variants_as_common():
    rng = np.random.default_rng(6)
    minor = rng.integers(0, 50, 5_000)
    significant = rng.uniform(size=5_000) < minor / 100
    places = np.flatnonzero(minor >= 45)[:100]
    found = background(
        significant.astype(np.int8), np.ones(5_000, bool), places, minor, np.zeros(100, np.int8)
    )
    drawn_ = found.draw(rng.uniform(size=(400, 100)), rng.uniform(size=(400, len(found.of))))
    assert drawn_.mean() == pytest.approx(significant[minor >= 45].mean(), abs=0.06)
    assert found.rate.value == pytest.approx(0.245, abs=0.03)
    # Each stratum is there thrice: for either direction, for more and for fewer alternate alleles.
    assert int(found.of.sum()) == 3 * 5_000
    few = significant[:150].astype(np.int8), np.ones(150, bool), places[:2] % 150, minor[:150]
    assert background(*few, np.zeros(2, np.int8)) is None


def test_a_published_copy_in_a_folder_is_evidence(tmp_path):
    rng = np.random.default_rng(2)
    share = rng.uniform(0.2, 0.8, (300, 1))
    sides = [
        stores.store_of(
            tmp_path / name,
            rng.binomial(2, np.clip(share + move, 0, 1), (300, 40)).astype(np.int8),
            public=True,
        )
        for name, move in (("cases", rng.normal(0, 0.12, (300, 1))), ("controls", 0))
    ]
    study = lactose.Study(*sides)
    share_as_published(*sides, Fraction(3), "private", tmp_path / "copy")
    evidence = of_folder(tmp_path / "copy", study.controls)
    assert evidence.to_exact
    assert evidence.said["guarantee"] == "none"
    found = findings(study.cases.variants.names().tolist(), study.p("chi2"), 6)
    verdict = judged(study, evidence, found)
    assert verdict.verdict is not CANNOT
    assert verdict.given.evidence["people"] == 40
    label = json.loads((tmp_path / "copy" / LABEL).read_text())
    for wrong in (
        "{}",
        "[",
        "[1]",
        "\x00",
        json.dumps({**label, "epsilon_variant_claimed": -1}),
        "1" * 10_000,
    ):
        (tmp_path / "copy" / LABEL).write_text(wrong)
        with pytest.raises(BadInput):
            of_folder(tmp_path / "copy", study.controls)
    with pytest.raises(BadInput):
        of_folder(tmp_path, study.controls)


@pytest.mark.parametrize(
    "method",
    [
        Method.RESPONSE,
        Method.FREQUENCIES,
        Method.TABLES,
        pytest.param(Method.SYNTHETIC, marks=pytest.mark.slow),
    ],
)
def test_releases_of_the_gateway_are_evidence(tmp_path, monkeypatch, method):
    from noisegate.genomics import share

    monkeypatch.setattr(share, "report", lambda *_: ())
    with lab(tmp_path / "home") as made:
        cases = made.declared.cases([f"p{i}" for i in range(15)]) if method is Method.TABLES else ""
        proposal = made.propose(recipe(method, 5_000, cases=cases))
        begun = begin(made.shop, BOSS, proposal)
        release = carry_out(made.shop, BOSS, begun.job, proposal)
        evidence = of_proposal(
            made.propose(recipe(method, 5_000, cases=cases)), made.shop.shelf.place(release.id)
        )
        kinds = {Method.FREQUENCIES: Frequencies, Method.TABLES: Tables}
        assert isinstance(evidence, kinds.get(method, Rows))
        assert evidence.people == 30
        assert evidence.said["kind"] == method.value
        reference = Store.open(made.stores[PUBLIC].path)
        study = lactose.Study(Store.open(made.stores[PRIVATE].path), reference)
        found = findings([f"rs{i}" for i in range(40)], np.full(40, 0.012))
        verdict = judged(study, evidence, found, test="allelic")
        assert verdict.given.evidence["epsilon"] is not None
        assert len(verdict.rows) == 40
