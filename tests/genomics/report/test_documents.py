"""The two reports as pages and as JSON."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from noisegate.genomics.report import (
    custodian_report,
    figures,
    shareable_report,
    words,
    write_custodian,
    write_shareable,
)
from noisegate.genomics.report.facts import Protection, Target
from noisegate.leakage.bounds import lower_bound

from ..panels import panels
from . import made

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Elements that are not closed, pictures without text, anchors, and addresses a page would fetch."""

    def __init__(self, text):
        super().__init__()
        self.open, self.images, self.ids, self.links, self.fetched, self.text = [], [], [], [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(found)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a":
            self.links.append(found["href"])
        self.fetched += [v for k, v in attributes if k in ("src", "srcset", "action", "data")]
        assert tag not in ("script", "link", "iframe", "object", "form")
        assert not any(k.startswith("on") for k in found)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def undrawn(_draw, **_size):
    return "<svg></svg>"


@pytest.fixture(autouse=True)
def quick(request, monkeypatch):
    """Figures are drawn only for who asks."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(figures, "_drawn", undrawn)


@pytest.fixture
def drawn():
    """Figures are drawn in this test."""


@pytest.fixture(scope="module")
def private_calls():
    return panels.random_calls(np.random.default_rng(1), made.VARIANTS, 3 * made.PEOPLE)


@pytest.fixture(scope="module")
def shared():
    return made.shareable()


@pytest.fixture(scope="module")
def page(shared):
    return shareable_report(shared)[0]


@pytest.fixture(scope="module")
def custodians(private_calls, shared):
    return custodian_report(made.exact(private_calls, shared))


def test_a_page_is_whole_and_needs_nothing_from_elsewhere(page, custodians):
    for text in (page, custodians[0]):
        found = Page(text)
        assert found.open == []
        assert len(found.ids) == len(set(found.ids))
        assert {link.removeprefix("#") for link in found.links} == set(found.ids)
        assert all(address.startswith("data:image/svg+xml;base64,") for address in found.fetched)
        assert "default-src 'none'" in text
        assert "@media print" in text
        assert "url(" not in text
        assert '<html lang="en">' in text


def test_every_picture_says_what_it_shows(page):
    images = Page(page).images
    assert len(images) == 5
    assert all(len(image["alt"]) > 60 for image in images)
    assert any("Nearest row" in image["alt"] for image in images)


def test_names_are_text_and_never_markup(page):
    assert "A panel &amp; its &lt;people&gt;" in page
    assert "<people>" not in page
    assert "panel &lt;public&gt;" in page


def test_a_page_tells_of_everything_it_must(page):
    text = Page(page).text
    for said in (
        "one person, pure (no δ)",
        "one variant of one person, most",
        "point error",
        "variance error",
        "false positives",
        "Homer's test",
        "found at 1 % accused",
        "found at 5 % accused",
        "hash of the receipt",
        "What is not protected",
        "Families.",
        "A variant is not a person.",
        "moved to those of a public panel",
        "simulated from the public panel",
    ):
        assert said in text


def test_the_shareable_report_is_the_same_whoever_is_in_the_data(drawn, private_calls, shared, custodians):
    """Neighbours, and even quite other people: the private rows have no way into it."""
    neighbour = private_calls.copy()
    neighbour[:, 0] = 2 - neighbour[:, 0]
    one, other = made.exact(private_calls, shared), made.exact(neighbour, shared)
    assert shareable_report(one.shareable) == shareable_report(other.shareable)
    assert custodian_report(one) == custodians
    assert custodian_report(other)[1] != custodians[1]


def test_reports_of_releases_that_cost_more_differ_in_the_charge_alone(shared):
    dearer = replace(shared, charge=replace(shared.charge, epsilon=9.0))
    differing = [
        (a, b)
        for a, b in zip(
            shareable_report(shared)[1].splitlines(), shareable_report(dearer)[1].splitlines(), strict=True
        )
        if a != b
    ]
    assert [b.strip() for _, b in differing] == ['"epsilon": 9.0,']


def test_json_holds_the_facts_and_no_number_json_lacks(shared, custodians):
    found = json.loads(shareable_report(shared)[1])
    assert found["schema"] == "noisegate.genomes.report/1"
    assert (found["kind"], found["protection"]["person"]) == ("shareable", shared.protection.person)
    assert found["twin"]["outcomes"]["attacks"][0]["roc"]["power"][0]["allowed"] == 0.01
    assert "input_digest" not in found
    held = json.loads(custodians[1])
    assert held["kind"] == "custodian"
    assert held["shareable"]["release"] == "panel-17"
    infinite = made.shareable(method="as-published", published=made.published(), twin=None)
    assert json.loads(shareable_report(infinite)[1])["published"]["exact"] == "infinite"


def test_the_custodians_report_says_that_it_must_not_leave(custodians, page):
    assert "For the custodian only" in Page(custodians[0]).text
    assert "the private data" in Page(custodians[0]).text
    assert "98" * 32 in custodians[0]
    assert "For the custodian only" not in page


def test_a_declared_table_comes_with_its_warning():
    text = Page(shareable_report(made.shareable(target=made.declared()))[0]).text
    assert "Table S3 of our paper" in text
    assert "conditional on that table" in text
    assert "90 of 100 members" in text


@pytest.mark.parametrize("kind", ["none", "released"])
def test_other_targets_are_told(kind):
    text = Page(shareable_report(made.shareable(target=Target(kind)))[0]).text
    assert words.target(Target(kind)) in text


def test_the_published_recipe_is_shown_with_both_losses():
    text = Page(shareable_report(made.shareable(published=made.published()))[0]).text
    assert "claims ε = 9,091" in text
    assert "the exact ε of its flips is infinite" in text
    assert "0.0042" in text


def test_a_release_without_a_twin_says_that_nothing_was_tried():
    text = Page(shareable_report(made.shareable(twin=None, curves=()))[0]).text
    assert "No twin was made" in text
    assert "Homer" not in text


def test_an_attack_that_does_what_epsilon_rules_out_raises_an_alarm(shared):
    outcomes = replace(shared.twin.outcomes, canary=lower_bound(990, 1000, 3, 1000))
    assert outcomes.canary.epsilon > shared.protection.person
    loud = replace(shared, twin=replace(shared.twin, outcomes=outcomes))
    assert "did more than ε allows" in Page(shareable_report(loud)[0]).text
    assert "did more than ε allows" not in Page(shareable_report(shared)[0]).text


def test_outsiders_of_another_group_raise_no_alarm_and_are_told_of(private_calls, shared):
    outcomes = made.exact(private_calls).outcomes
    outcomes = replace(outcomes, canary=lower_bound(990, 1000, 3, 1000))
    facts = made.exact(private_calls, shared, outcomes=outcomes)
    apart, alike = (Page(custodian_report(replace(facts, exchangeable=e))[0]).text for e in (False, True))
    assert "tells groups apart, not membership" in apart
    assert "did more than ε allows" not in apart
    assert "tells groups apart, not membership" not in alike
    assert "did more than ε allows" in alike


@pytest.mark.parametrize(
    ("epsilon", "word"), [(0.1, "strong"), (1.0, "moderate"), (3.0, "weak"), (20.0, "none")]
)
def test_the_word_for_a_guarantee_follows_from_what_it_rules_out(epsilon, word):
    found = Protection(epsilon, epsilon, 0.0)
    assert words.strength(found)[0] == word
    assert f'<span class="tag {word}">' in shareable_report(made.shareable(protection=found))[0]


def test_reports_are_written_beside_each_other(tmp_path, shared, private_calls):
    write_shareable(tmp_path, shared)
    (tmp_path / "custodian").mkdir()
    facts = made.exact(private_calls, shared)
    write_custodian(tmp_path / "custodian", facts)
    assert (tmp_path / "report.html").read_text() == shareable_report(shared)[0]
    assert (tmp_path / "custodian" / "report.json").read_text() == custodian_report(facts)[1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["custodian", "report.html", "report.json"]


def test_facts_are_held_without_loading_what_draws():
    code = "import sys, noisegate.genomics.report.facts; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_text_stands_out_from_its_ground():
    """WCAG AA: a contrast of 4.5 or more for every colour of text, on white and on the boxes' grounds."""

    def light(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    style = shareable_report(made.shareable(twin=None, curves=()))[0]
    named = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", style))
    inks = [named[name] for name in ("ink", "soft", "accent", "good", "bad")] + ["#6a5200"]
    assert "#6a5200" in style
    for ink in inks:
        for ground in ("#ffffff", "#eef4f7", "#fdf1ef"):
            bright, dark = sorted((light(ink), light(ground)), reverse=True)
            assert (bright + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)
