"""The page and the pictures of a study: whole, small, without a script, and readable without eyes."""

import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from noisegate.genomics.gwas import drawings, plots
from noisegate.genomics.gwas.page import PRIVATE, Facts, cell, page_of
from noisegate.genotypes.variants import Variants

RNG = np.random.default_rng
VOID = {"meta", "img", "br", "hr", "input", "link"}
HOSTILE = "rs<script>alert(1)</script>&\"'"


def variants_of(count: int) -> Variants:
    each = -(-count // 22)
    return Variants.of(
        [str(1 + i // each) for i in range(count)],
        [1_000 + 3_000 * (i % each) for i in range(count)],
        [f"rs{i}" if i % 3 else "" for i in range(count)],
        ["A"] * count,
        ["G"] * count,
    )


def facts(**more: object) -> Facts:
    given: dict[str, object] = {
        "trait": "sick",
        "source": "cohort.zarr",
        "people": "1,000 cases and 900 controls",
        "groups": (1_000, 900),
        "variants": 2_000,
        "kept": 1_990,
        "done": [("variants tested", "1,990")],
        "top": {
            "assoc": [
                {
                    "chrom": "1",
                    "pos": 7,
                    "id": HOSTILE,
                    "ref": "A",
                    "alt": "G",
                    "p_trend": 1e-9,
                    "odds_ratio": None,
                }
            ]
        },
        "files": [("assoc.tsv", "the results")],
        "public": False,
    }
    return Facts(**(given | more))  # type: ignore[arg-type]


def found_of(
    variants: Variants, seed: int = 1, tests: tuple[str, ...] = ("p_trend",)
) -> tuple[plots.Scan, ...]:
    columns = {}
    for i, name in enumerate(tests):
        p = RNG(seed + i).random(len(variants))
        p[3], p[4], p[5] = 1e-12, np.nan, 0.0
        columns[name] = p
    return plots.scans_of({"assoc": columns}, variants, {})


class Reader(HTMLParser):
    """Checks that elements nest, and gathers what a page says and refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [v for k, v in attrs if k in ("href", "src") and v is not None]
        self.ids += [v for k, v in attrs if k == "id" and v is not None]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


def test_a_page_needs_nothing_but_itself_and_runs_nothing() -> None:
    variants = variants_of(2_000)
    seen = read(page_of(facts(), found_of(variants), variants))
    assert "script" not in seen.tags
    assert all(link.startswith("#") for link in seen.links)
    assert {link[1:] for link in seen.links} <= set(seen.ids)
    assert len(set(seen.ids)) == len(seen.ids)
    assert HOSTILE in "".join(seen.text)


def test_private_results_are_labelled_and_public_ones_are_not() -> None:
    variants = variants_of(200)
    assert PRIVATE in page_of(facts(), found_of(variants), variants)
    assert PRIVATE not in page_of(facts(public=True), found_of(variants), variants)


def test_a_page_says_what_was_found() -> None:
    variants = variants_of(2_000)
    said = "".join(read(page_of(facts(), found_of(variants), variants)).text)
    assert "2 variants are below 5 × 10⁻⁸, the strongest is rs5 with p = 0" in said
    assert "1,990 of 2,000 variants of cohort.zarr" in said
    assert "λ for 1,000 cases and 1,000 controls" in said
    assert "λ is above 1.1" not in said


def test_what_is_pointed_at_has_its_effect() -> None:
    variants = variants_of(2_000)
    row = {"chrom": "1", "pos": 16_000, "id": "rs5", "ref": "A", "alt": "G"}
    for effect, said in (
        ({"odds_ratio": 2.80694614}, "odds ratio 2.81"),
        ({"odds_ratio": 2.80694614, "low": 1.5, "high": 3.25}, "odds ratio 2.81 (1.50–3.25)"),
        ({"beta": -0.12345, "error": 0.0456}, "β = -0.123 ± 0.0456"),
    ):
        page = page_of(facts(top={"assoc": [row | effect]}), found_of(variants), variants)
        assert f"rs5; 1:16000  A &gt; G; p = 0; {said}" in page


def test_inflated_statistics_are_warned_of() -> None:
    variants, z = variants_of(2_000), RNG(3).standard_normal(2_000)
    from scipy.stats import norm

    for factor, warned in ((1.0, False), (1.5, True)):
        p = 2 * norm.sf(np.abs(z) * factor**0.5)
        page = page_of(facts(), plots.scans_of({"assoc": {"p_trend": p}}, variants, {}), variants)
        assert ("λ is above 1.1" in page) == warned


def test_a_study_in_which_nothing_could_be_tested_has_a_page_too(tmp_path: Path) -> None:
    variants = variants_of(5)
    found = plots.scans_of({"linear": {"p": np.full(5, np.nan)}}, variants, {"linear": "Linear regression"})
    page = page_of(facts(groups=None, top={}), found, variants)
    assert "no variant could be tested" in page
    read(page)
    assert len(plots.write_pictures(tmp_path, found, variants, "sick")) == 2


def test_a_page_of_many_variants_and_tests_stays_below_two_megabytes() -> None:
    variants = variants_of(800_000)
    tests = ("p_allelic", "p_trend", "p_genotypic", "p_fisher")
    page = page_of(facts(variants=800_000), found_of(variants, tests=tests), variants)
    assert len(page.encode()) < 2_000_000


def test_the_strongest_can_be_pointed_at_and_are_read_out() -> None:
    variants = variants_of(2_000)
    (scan,) = found_of(variants)
    names = plots.names_of((scan,), variants)
    told = {place: (name, "place", "p") for place, name in names.items()}
    svg = drawings.manhattan(scan.picture, 'words & "more"', names, told)
    root = ElementTree.fromstring(svg)  # noqa: S314 - made here
    assert root.get("aria-label") == 'words & "more"'
    hits = [e for e in root.iter("g") if e.get("class") == "hit"]
    assert len(hits) == plots.HITS
    assert all(e.get("tabindex") == "0" and (e.get("aria-label") or "").endswith("; place; p") for e in hits)
    # The strongest comes last, over all others.
    assert (hits[-1].get("aria-label") or "").startswith("rs5;")
    wide, high = (int(v) for v in (root.get("viewBox") or "").split()[2:])
    for box in root.iter("rect"):
        x, y, w, h = (int(box.get(k) or 0) for k in ("x", "y", "width", "height"))
        assert min(x, y) >= 0
        assert x + w <= wide
        assert y + h <= high


def test_points_are_drawn_where_they_are() -> None:
    variants = variants_of(300)
    (scan,) = found_of(variants)
    svg = drawings.manhattan(scan.picture, "", *_names(scan, variants))
    root = ElementTree.fromstring(svg)  # noqa: S314 - made here
    places = []
    for path in (e for e in root.iter("path") if e.get("class") == "points"):
        x = y = 0
        for dx, dy in re.findall(r"m(-?\d+) ?(-?\d+)h0", path.get("d") or ""):
            x, y = x + int(dx), y + int(dy)
            places.append((x, y))
    frame = drawings.Frame(10_400, 3_800, 1.0, scan.picture.top, right=920)
    expected = zip(frame.columns(scan.picture.x).tolist(), frame.rows(scan.picture.y).tolist(), strict=True)
    assert sorted(places) == sorted(expected)


def _names(scan: plots.Scan, variants: Variants) -> tuple[dict[int, str], dict[int, tuple[str, ...]]]:
    names = plots.names_of((scan,), variants)
    return names, {place: (name,) for place, name in names.items()}


def test_pictures_are_written_for_each_test(tmp_path: Path) -> None:
    variants = variants_of(2_000)
    found = found_of(variants, tests=("p_trend", "p_fisher"))
    files = plots.write_pictures(tmp_path, found, variants, "sick")
    assert [f.name for f in files] == [
        "trend.manhattan.png",
        "trend.qq.png",
        "fisher.manhattan.png",
        "fisher.qq.png",
    ]
    for file in files:
        assert file.read_bytes().startswith(b"\x89PNG\r\n")
        assert file.stat().st_size > 10_000


def test_the_same_study_gives_the_same_files(tmp_path: Path) -> None:
    variants = variants_of(500)
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        found = found_of(variants)
        files = plots.write_pictures(tmp_path / name, found, variants, "sick")
        made.append([page_of(facts(), found, variants).encode(), *(f.read_bytes() for f in files)])
    assert made[0] == made[1]


@pytest.mark.parametrize(("value", "shown"), [(None, "–"), (float("inf"), "∞"), (0.0, "0"), (12, "12")])
def test_values_that_are_none_or_without_end_are_shown_so(value: object, shown: str) -> None:
    assert cell(value) == shown
