"""The page of a verdict, and the section on kin and likeness of the custodian's report."""

import math

import numpy as np
import pytest

from noisegate.genomics.report import figures
from noisegate.genomics.report.facts import Kin, Likeness
from noisegate.genomics.report.resemblance import resemblance
from noisegate.genomics.report.verdict import MEANING, verdict_page
from noisegate.leakage.roc import Estimate

from ..panels import panels
from . import made
from .test_documents import Page, undrawn


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(figures, "_drawn", undrawn)


@pytest.fixture
def drawn():
    """Figures are drawn in this test."""


def around(value, width=0.1):
    return {"value": value, "low": max(value - width, 0), "high": min(value + width, 1)}


def said(**changes):
    """A verdict's JSON: 60 findings of which 36 are retained."""
    rng = np.random.default_rng(1)
    honest, falsified = (sorted(rng.binomial(60, p, 200).tolist()) for p in (0.62, 0.2))
    rows = [
        {
            "variant": f"rs<{i}>",
            "p": 1e-4,
            "released_p": 0.01 * i,
            "retained": i < 36,
            "chance": 0.6,
            "attainable": i != 7,
        }
        for i in range(60)
    ]
    return {
        "verdict": "consistent",
        "reason": "36 of 60 findings show in the release",
        "test": "chi2",
        "statistic": "a test of the rows",
        "threshold": 0.0625,
        "alpha": 0.05,
        "beta": 0.05,
        "slack": 3.0,
        "draws": 200,
        "evidence": {
            "kind": "response",
            "people": 60,
            "variants": 9091,
            "law": "each genotype is <replaced>",
            "epsilon": None,
            "delta": 0.0,
            "restored": "",
            "guarantee": "bounds what is told of a person",
        },
        "reference": {"people": 60, "variants": 9091, "digest": "ab" * 32},
        "findings": {
            "digest": "cd" * 32,
            "reported": 64,
            "used": 60,
            "absent": ["rs1", "rs2"],
            "absent_count": 2,
            "unattainable": 1,
            "skipped": 2,
            "above_level": 3,
        },
        "retained": 36,
        "retention": around(0.6),
        "expected": around(0.62),
        "background": {**around(0.2), "from": "unreported variants"},
        "falsified": {**around(0.2), "from": "some <way>"},
        "critical": 30,
        "p_value": 0.41,
        "errors": {"honest_refused": around(0.04, 0.02), "falsified_passes": around(0.0, 0.01)},
        "power": [{"share": s / 20, "found": around(min(1, s / 15), 0.03)} for s in range(1, 21)],
        "smallest_share": 0.75,
        "laws": {"honest": honest, "cautious": [k - 1 for k in honest], "falsified": falsified},
        "rows": rows,
        "notes": ["some note"],
        **changes,
    }


@pytest.mark.parametrize("verdict", ["consistent", "not consistent", "cannot tell"])
def test_the_page_is_whole_says_the_verdict_and_needs_nothing_from_elsewhere(verdict):
    text = verdict_page(said(verdict=verdict, smallest_share=None), "A <table>.csv")
    found = Page(text)
    assert found.open == []
    assert len(found.ids) == len(set(found.ids))
    assert {link.removeprefix("#") for link in found.links} == set(found.ids)
    assert all(address.startswith("data:image/svg+xml;base64,") for address in found.fetched)
    assert [len(image["alt"]) > 60 for image in found.images] == [True, True]
    assert f">{verdict}</span>" in text
    assert MEANING[verdict] in found.text.replace("\n", " ")
    assert "<table>.csv" in found.text
    assert "No share of made-up findings is noticed" in text


def test_every_figure_of_the_verdict_is_on_the_page():
    text = Page(verdict_page(said())).text.replace("\u2060", "").replace("\u00a0", " ").replace("\n", " ")
    for figure in (
        "36 of 60",
        "60 % (50–70 %)",
        "62 % (52–72 %)",
        "0.41",
        "4 % (2–6 %)",
        "of unreported variants, significant",
        "Made-up findings stand for some <way>:",
        "From a share of 75 % on",
        "2 findings are of variants",
        "rs1, rs2.",
        "1 of the reported p-values",
        "2 rows without a p-value",
        "rs<7>",
        "each genotype is <replaced>",
        "no bound",
        "Some note.",
        "held against a release of 60 people",
        "who stand as controls",
        "noisy genomes: genotypes replaced at random",
    ):
        assert figure in text, figure


def test_a_private_answer_is_called_one_with_its_receipt():
    evidence = {**said()["evidence"], "kind": "association", "epsilon": 2.0, "receipt": "panel:7"}
    text = Page(verdict_page(said(evidence=evidence))).text.replace("\n", " ")
    for words in ("a private answer about 60 people", "panel:7", "which says which variants are meant"):
        assert words in text


def test_a_long_table_is_cut_and_says_so():
    rows = said()["rows"] * 3
    text = verdict_page(said(rows=rows))
    assert text.count("rs&lt;5&gt;") == 2
    assert "the JSON of the verdict has 180" in text


def test_the_two_laws_and_the_line_are_drawn_the_same_each_time(drawn):
    laws = said()["laws"]
    drawing = figures.retention(laws["honest"], laws["cautious"], laws["falsified"], 36, 30)
    assert drawing.svg.startswith("<svg")
    assert drawing == figures.retention(laws["honest"], laws["cautious"], laws["falsified"], 36, 30)
    assert "Found again: 36; fewer than 30" in drawing.alt
    one = figures.retention([5] * 9, [5] * 9, [5] * 9, 5, 5)
    assert one.svg.startswith("<svg")


def kin(**changes):
    given = {
        "pairs": 780,
        "variants": 5000,
        "degrees": (("duplicates", 1, 0.0), ("first degree", 2, 0.0), ("second", 0, 0.0), ("third", 3, 0.0)),
        "families": 2,
        "related": 5,
        "largest": 3,
        "joined": "third degree",
    }
    return Kin(**{**given, **changes})


def exact(**changes):
    return made.exact(
        panels.random_calls(np.random.default_rng(2), made.VARIANTS, 3 * made.PEOPLE), **changes
    )


def test_relatives_are_told_with_what_they_lose_together():
    facts = exact(kin=kin(), likeness=Likeness(40, 20, 40, 0.1, 0.3, Estimate(0.9, 0.8, 0.95)))
    text = Page(resemblance(facts).body).text.replace("\u2060", "").replace("\n", " ")
    person = facts.shareable.protection.person
    assert f"loses ε = {2 * person:.3g}" in text
    assert f"ε = {3 * person:.3g} at most" in text
    assert "2 families have 5 people, the largest 3" in text
    assert "by chance" not in text.partition("How closely")[0]
    assert "66.7 % nearer" in text
    assert "90\u00a0% (80–95\u00a0%) are nearest to the row" in text


def test_what_was_not_looked_for_or_cannot_be_told_is_said():
    assert "since 12 variants tell nothing" in resemblance(exact(no_kin="12 variants tell nothing")).body
    assert "3 people have no heterozygous genotype" in resemblance(exact(kin=kin(blank=3))).body
    few = kin(degrees=(("duplicates", 0, 0.0), ("first degree", 9, 8.5)), families=0, related=0, joined="")
    body = resemblance(exact(kin=few)).body
    assert "by chance alone" in body
    assert "too few variants to say who is related" in body
    nobody = kin(degrees=(("duplicates", 0, 0.0),), families=0, related=0, largest=0)
    assert "stands as it is" in resemblance(exact(kin=nobody)).body
    no_bound = made.shareable(protection=made.Protection(math.inf, 1.0, 1e-6))
    assert "3 times what one person loses" in resemblance(exact(facts=no_bound, kin=kin())).body
    farther = Likeness(40, 20, 40, 0.3, 0.2, None)
    assert "no nearer to a row" in resemblance(exact(likeness=farther)).body
