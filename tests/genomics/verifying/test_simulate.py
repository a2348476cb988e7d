"""That what is simulated is what releases show: the same counts, released by the code that releases."""

import os
from fractions import Fraction

import numpy as np
import pytest

from noisegate.genomics import design, frequencies, synthetic, tables
from noisegate.genomics.account import account
from noisegate.genomics.association import genotype_counts
from noisegate.genomics.counts import measure
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.making import chunks_with
from noisegate.genomics.mechanism import Drawing, Flipping, plans_of
from noisegate.genomics.panel import Panel, chain_starts
from noisegate.genomics.prepare import prepared
from noisegate.genomics.targets import PublicTarget
from noisegate.genomics.verifying import judging, simulate
from noisegate.genomics.verifying.controls import controls_of
from noisegate.genomics.verifying.evidence import Frequencies, Rows, of_tables
from noisegate.genomics.verifying.simulate import Trial, key_of
from noisegate.genomics.verifying.statistic import Test

from ..stores import stores
from . import lactose

PEOPLE, VARIANTS, CHUNK = 50, 240, 80
SAID = {"kind": "test", "law": ""}
THRESHOLD = 0.0625


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(5)
    share = rng.uniform(0.15, 0.85, (VARIANTS, 1))
    shift = np.where(np.arange(VARIANTS)[:, None] % 3 == 0, 0.18, 0.0)
    made = []
    for name, p in (("cases", np.clip(share + shift, 0, 1)), ("controls", share)):
        calls = rng.binomial(2, p, (VARIANTS, PEOPLE)).astype(np.int8)
        made.append(stores.store_of(folder / name, calls, public=True, chunk=CHUNK))
    return lactose.Study(*made)


def mechanisms(study):
    starts = chain_starts(np.zeros(VARIANTS), CHUNK)
    cut = tuple(range(0, VARIANTS, CHUNK))
    panel = Panel.of(prepared(study.controls, study.controls), np.ones(VARIANTS, np.bool_))
    target = PublicTarget.of(prepared(study.controls, study.controls), VARIANTS)
    response = design.response(VARIANTS, Fraction(2 * VARIANTS), Fraction(0))
    xor = design.independent(VARIANTS, Fraction(2 * VARIANTS), Fraction(0))
    chain = design.coupled(design.even(VARIANTS, 0.2, cut), Fraction(2 * VARIANTS), Fraction(0))
    drawing = synthetic.design(starts, Fraction(4 * VARIANTS), Fraction(0), None, people=PEOPLE)
    return {
        "response": Flipping(response, account(response), None, None, None),
        "response to public": Flipping(response, account(response), target, None, None),
        "xor": Flipping(xor, account(xor), None, None, None),
        "xor to public": Flipping(xor, account(xor), target, None, None),
        "chain": Flipping(chain, account(chain), None, None, None),
        "response to released": Flipping(
            response,
            account(response),
            None,
            frequencies.design(VARIANTS, Fraction(VARIANTS), Fraction(0), None),
            panel,
        ),
        "synthetic": Drawing(drawing, starts, None),
    }


NAMES = (
    "response",
    "response to public",
    "xor",
    "xor to public",
    "chain",
    "response to released",
    "synthetic",
)
WHOLE = ("chain", "response to released", "synthetic")


def retained(study, evidence, controls, places, released):
    counts = genotype_counts(released)[places]
    line = judging.left(evidence)
    line = None if line is None else (line[0][places], line[1][places])
    return judging.of_rows(counts, controls.counts[places], Test.CHI2, line) < THRESHOLD


@pytest.mark.parametrize("name", NAMES)
def test_simulated_rows_are_kept_as_often_as_released_ones(study, name):
    mechanism = mechanisms(study)[name]
    evidence = Rows(study.cases, mechanism, CHUNK, SAID)
    controls = controls_of(study.controls, study.cases.variants)
    places = np.flatnonzero(study.p("chi2") < 0.05)
    data = prepared(study.cases, study.cases)
    real = []
    times = 24 if name in WHOLE else 40
    for _ in range(times):
        cells = {part: measure(plan, data) for part, plan in plans_of(mechanism).items()}
        chunks = chunks_with(mechanism, data, cells)
        key = ReleaseKey(os.urandom(16))
        parts = [
            chunks.block(n, s, min(s + CHUNK, VARIANTS), key) for n, s in enumerate(range(0, VARIANTS, CHUNK))
        ]
        real.append(retained(study, evidence, controls, places, lactose.released(study.cases, parts)))
    truth = genotype_counts(study.cases)[places]
    draws = 24 if name in WHOLE else 300
    trial = Trial(evidence, controls, Test.CHI2, places)
    hypothesised = np.broadcast_to(truth, (draws, *truth.shape))
    seen = []
    p = simulate.simulated(
        trial, hypothesised, key_of(os.urandom(8).hex()), lambda done, of: seen.append((done, of))
    )
    ours, theirs = (p < THRESHOLD).sum(axis=1), np.array(real).sum(axis=1)
    error = np.sqrt(ours.var() / draws + theirs.var() / times) + 0.05
    # Where all variants hang together, those without findings are only a twin's.
    room = 0.06 * len(places) if name in WHOLE else 0
    assert abs(ours.mean() - theirs.mean()) < 5 * error + room
    assert seen[-1] == (draws, draws)
    assert simulate.is_whole(evidence) == (name in WHOLE)


@pytest.mark.parametrize("to_exact", [True, False])
def test_simulated_copies_are_kept_as_often_as_published_ones(study, to_exact):
    evidence = lactose.as_published(study, 2, to_exact=to_exact)
    controls = controls_of(study.controls, study.cases.variants)
    places = np.flatnonzero(study.p("chi2") < 0.05)
    real = [
        retained(study, evidence, controls, places, lactose.copied(evidence, study, os.urandom(16)).released)
        for _ in range(60)
    ]
    truth = genotype_counts(study.cases)[places]
    trial = Trial(evidence, controls, Test.CHI2, places)
    p = simulate.simulated(
        trial, np.broadcast_to(truth, (300, *truth.shape)), key_of(os.urandom(8).hex()), lambda *_: None
    )
    ours, theirs = (p < THRESHOLD).sum(axis=1), np.array(real).sum(axis=1)
    assert abs(ours.mean() - theirs.mean()) < 5 * np.sqrt(ours.var() / 300 + theirs.var() / 60)
    wrong = np.roll(truth, 1, axis=0)
    p = simulate.simulated(trial, np.broadcast_to(wrong, (300, *truth.shape)), key_of("a"), lambda *_: None)
    off = abs((p < THRESHOLD).sum(axis=1).mean() - theirs.mean())
    assert (off > 3) == to_exact


@pytest.mark.parametrize("kind", ["frequencies", "tables"])
@pytest.mark.parametrize("delta", [Fraction(0), Fraction(1, 10**5)])
def test_simulated_counts_are_kept_as_often_as_measured_ones(study, kind, delta):
    controls = controls_of(study.controls, study.cases.variants)
    places = np.flatnonzero(study.p("allelic") < 0.05)
    truth = genotype_counts(study.cases)
    if kind == "frequencies":
        hypothesised = truth
        plan = frequencies.design(VARIANTS, Fraction(VARIANTS // 2), delta)
        data = prepared(study.cases, study.cases)

        def release():
            return Frequencies(measure(plan, data), study.cases.variants, SAID)
    else:
        plan = tables.design(VARIANTS, Fraction(VARIANTS // 2), delta)
        both = both_of(study)
        hypothesised = np.concatenate([genotype_counts(study.controls), truth], axis=1)
        cases = np.arange(2 * PEOPLE) < PEOPLE

        def release():
            return of_tables(measure(plan, both, cases), study.cases.variants, said=SAID)

    real = np.array(
        [simulate.released(release(), controls, Test.ALLELIC)[places] < THRESHOLD for _ in range(60)]
    )
    trial = Trial(release(), controls, Test.ALLELIC, places)
    p = simulate.simulated(
        trial,
        np.broadcast_to(hypothesised[places], (300, *hypothesised[places].shape)),
        key_of("counts"),
        lambda *_: None,
    )
    ours, theirs = (p < THRESHOLD).sum(axis=1), real.sum(axis=1)
    assert abs(ours.mean() - theirs.mean()) < 5 * np.sqrt(ours.var() / 300 + theirs.var() / 60) + 0.02 * len(
        places
    )
    again = simulate.simulated(
        trial,
        np.broadcast_to(hypothesised[places], (300, *hypothesised[places].shape)),
        key_of("counts"),
        lambda *_: None,
    )
    assert (p == again).all()


def both_of(study):
    from noisegate.genotypes.packed import pack, unpack

    from ..held import Held

    calls = [np.concatenate([unpack(b) for _, b in side.blocks()]) for side in (study.cases, study.controls)]
    return Held(pack(np.concatenate(calls, axis=1)), True)


def test_people_are_put_together_from_counts_exactly(study):
    counts = genotype_counts(study.cases)
    block = simulate._people(counts, PEOPLE)
    assert (simulate._counts(block) == counts).all()
    assert (simulate.scaled(counts, 3 * PEOPLE) == 3 * counts).all()
    assert (simulate.scaled(counts, 7).sum(axis=1) == 7).all()


def test_more_than_can_be_waited_for_is_refused(study, monkeypatch):
    from noisegate.errors import TooLarge

    monkeypatch.setattr(simulate, "MOST", 10)
    evidence = Rows(study.cases, mechanisms(study)["xor"], CHUNK, SAID)
    controls = controls_of(study.controls, study.cases.variants)
    trial = Trial(evidence, controls, Test.CHI2, np.arange(3))
    with pytest.raises(TooLarge):
        simulate.simulated(trial, np.zeros((2, 3, 3), np.int64), key_of("a"), lambda *_: None)
