"""Figures draw what the facts say, and the same facts the same way."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from noisegate.genomics.report import figures

from . import made


@pytest.fixture(scope="module")
def shared():
    return made.shareable()


def drawn(shared):
    twin = shared.twin
    return [
        figures.frequencies(twin.measures.agreement, "the twin"),
        figures.linkage(twin.measures.linkage, "the twin"),
        figures.attacks(twin.outcomes, shared.protection, "the twin"),
        figures.usefulness(shared.curves[0], 3.0),
        figures.by_variant(shared.protection),
    ]


def test_the_same_facts_are_drawn_the_same_by_every_thread(shared):
    first = drawn(shared)
    with ThreadPoolExecutor(4) as pool:
        assert all(again == first for again in pool.map(drawn, [shared] * 4))


def test_figures_are_svg_without_links_dates_or_fonts(shared):
    for drawing in drawn(shared):
        assert drawing.svg.startswith("<svg")
        assert drawing.svg.rstrip().endswith("</svg>")
        hrefs = re.findall(r'href="([^"]*)"', drawing.svg)
        assert all(h.startswith("#") for h in hrefs)
        assert not re.search(r"<text|font-family|<script|dc:date", drawing.svg)


def test_every_allele_frequency_is_a_point(shared):
    found = shared.twin.measures.agreement
    # Each point is one use of the mark that is defined once.
    assert figures.frequencies(found, "us").svg.count("<use ") >= len(found.points) == made.VARIANTS


def test_what_epsilon_rules_out_is_grey_where_it_rules_anything_out(shared):
    outcomes = shared.twin.outcomes
    assert figures.PALE in figures.attacks(outcomes, shared.protection, "us").svg
    vast = type(shared.protection)(1e6, 1e6, 0.0)
    assert figures.PALE not in figures.attacks(outcomes, vast, "us").svg


def test_texts_say_the_numbers(shared):
    frequencies, linkage, attacks, usefulness, by_variant = drawn(shared)
    assert "on average" in frequencies.alt
    assert "1 kb to 5 kb" in linkage.alt
    assert "Kinship: area" in attacks.alt
    assert "0.25 at ε 3" in usefulness.alt
    assert "0.01" in by_variant.alt


@pytest.mark.parametrize("heights", [(0.0, 0.0), (0.5, 0.5), (0.59, 0.6), (0.1, 0.6)])
def test_an_axis_holds_what_is_drawn_and_starts_at_zero_unless_that_squeezes(heights):
    low, high = figures._limits(*heights)
    assert low <= heights[0] <= heights[1] < high
    assert (low == 0) == (heights != (0.59, 0.6))
