"""Advice is found on public twins: what is useful, what is not, and at what exact cost."""

import json
from fractions import Fraction

import numpy as np
import pytest

from noisegate.errors import BadInput, Forbidden
from noisegate.genomics import advise as advice
from noisegate.genomics import candidates
from noisegate.genomics.advise import advise
from noisegate.genomics.candidates import METHODS, Case
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.panel import Panel, chain_starts
from noisegate.genotypes.packed import tally, unpack
from noisegate.privacy.filter import stand_alone_epsilon

from .held import held

F = Fraction
KEY = ReleaseKey(bytes(range(16)))
DELTA = F(1, 10**6)


@pytest.fixture(autouse=True)
def few_copies(monkeypatch):
    monkeypatch.setattr(advice, "MOST_COPIES", 6)


def population(variants, people, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.1, 0.5, (variants, 1))
    return rng.binomial(2, p, (variants, people)).astype(np.int8)


def ask(variants, people, epsilon, panel_people=400, **given):
    panel = held(population(variants, panel_people), public=True)
    return advise(panel, chain_starts(np.zeros(variants)), people, epsilon, DELTA, KEY, **given)


def test_a_few_people_and_many_variants_are_hopeless_and_it_says_so(monkeypatch):
    monkeypatch.setattr(advice, "LOOKED_AT", 60 * 2_000)
    for epsilon in (F(1), F(10)):
        found = ask(9_000, 60, epsilon)
        assert found.recommended is None
        assert not any(t.useful for t in found.tried)
        assert found.sentence.startswith("No method is useful here")
        assert "60 people and 9,000 variants" in found.sentence


def test_many_people_and_few_variants_are_worth_it():
    found = ask(40, 2_000, F(10))
    assert found.recommended in {"frequencies", "synthetic"}
    best, panel = found.of(found.recommended).mean, found.of("panel").mean
    assert best.frequency < 0.3 * panel.frequency
    assert found.best(rows=True).method == "response+frequencies"
    assert found.recommended != "xor"
    assert "useful here" in found.sentence


def test_the_panel_alone_costs_nothing_and_is_never_useful():
    found = ask(60, 300, F(3)).of("panel")
    assert found.epsilon == 0
    assert not found.useful
    assert found.gain == 0


def test_every_method_costs_what_was_asked_and_no_more():
    for delta in (DELTA, F(0)):
        panel = held(population(60, 300), public=True)
        found = advise(panel, chain_starts(np.zeros(60)), 200, F(5), delta, KEY)
        for tried in found.tried:
            assert tried.epsilon <= 5
            assert tried.method == "panel" or tried.epsilon > 4.8


def test_the_same_question_gets_nearly_the_same_advice():
    first, second = ask(50, 800, F(5)), ask(50, 800, F(5))
    for one, other in zip(first.tried, second.tried, strict=True):
        assert one.mean.frequency == pytest.approx(other.mean.frequency, rel=0.1)
    assert first.of("xor") == second.of("xor")  # no operating system's chance in it: the key decides


def test_what_is_not_looked_at_still_costs(monkeypatch):
    whole = ask(2_000, 300, F(10)).of("frequencies").mean.frequency
    monkeypatch.setattr(advice, "LOOKED_AT", 300 * 500)
    part = ask(2_000, 300, F(10))
    assert part.looked_at == 500
    assert part.variants == 2_000
    assert part.of("frequencies").mean.frequency == pytest.approx(whole, rel=0.1)
    fewer = ask(500, 300, F(10)).of("frequencies").mean.frequency
    assert fewer < 0.9 * whole


def test_advice_is_json_with_the_sentence_and_progress_is_told():
    told = []
    found = ask(64, 100, F(2), progress=told.append)
    shown = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert shown["sentence"] == found.sentence
    assert {t["method"] for t in shown["tried"]} >= {"panel", "xor", "response", "frequencies"}
    assert told == sorted(told)
    assert told[-1] == 1


def test_private_people_are_neither_panel_nor_compared():
    with pytest.raises(Forbidden):
        advise(held(population(9, 30)), chain_starts(np.zeros(9)), 10, F(1), DELTA, KEY)
    panel = Panel.of(held(population(9, 30), public=True), chain_starts(np.zeros(9)))
    with pytest.raises(Forbidden):
        candidates.run("xor", held(population(9, 30)), panel, Case(9, F(1), DELTA), KEY)


@pytest.mark.parametrize(("people", "epsilon"), [(1, F(1)), (10, F(0)), (10, F(-1))])
def test_questions_that_make_no_sense_are_refused(people, epsilon):
    with pytest.raises(BadInput):
        ask(9, people, epsilon)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("delta", [DELTA, F(0)])
def test_every_method_makes_complete_genotypes_within_the_budget(name, delta):
    starts = np.arange(50) % 10 == 0
    people, panel = held(population(50, 150), public=True), held(population(50, 90, 1), public=True)
    made = candidates.run(name, people, Panel.of(panel, starts), Case(50, F(4), delta), KEY)
    assert (made.block.variants, made.block.people) == (50, 150)
    assert not tally(made.block).missing.any()
    assert stand_alone_epsilon(made.loss, delta) <= 4


def test_figures_say_how_far_a_release_is():
    calls = population(30, 200)
    people, controls = (
        held(calls, public=True),
        Panel.of(held(population(30, 200, 2), public=True), np.ones(30, bool)),
    )
    same = candidates.figures(people, people.all, controls)
    assert (same.point, same.columns, same.frequency) == (0, 0, 0)
    shuffled = held(np.random.default_rng(1).permuted(calls, axis=1)).all
    found = candidates.figures(people, shuffled, controls)
    assert found.columns == found.frequency == 0
    assert found.point == pytest.approx((unpack(shuffled) != calls).mean())
    turned = candidates.figures(people, held(2 - calls).all, controls)
    assert turned.frequency == pytest.approx(np.abs(1 - calls.mean(axis=1)).mean())
    shares = [np.stack([(c == k).mean(axis=1) for k in range(3)]) for c in (calls, 2 - calls)]
    assert turned.columns == pytest.approx(np.abs(shares[0] - shares[1]).sum(axis=0).mean() / 2)
    assert turned.columns <= turned.point
