"""What the documentation points at is there."""

import re
from pathlib import Path

import pytest

from .pages import ROOT, fences_of

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def prose_of(page: Path) -> str:
    lines = page.read_text("utf-8").splitlines()
    for fence in fences_of(lines):
        lines[fence.line : fence.end + 1] = [""] * (fence.end + 1 - fence.line)
    return "\n".join(lines)


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that a renderer gives to a page's headings."""
    headings = re.findall(r"^#+ (.*)$", prose_of(page), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    for target in LINK.findall(prose_of(page)):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        to = (page.parent / name).resolve() if name else page
        assert to.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors_of(to), f"{page.name} links to {target}"


def test_every_page_of_the_documentation_can_be_found_from_the_readme() -> None:
    found, pending = set(), [ROOT / "README.md"]
    while pending:
        page = pending.pop()
        if page in found:
            continue
        found.add(page)
        links = (t.partition("#")[0] for t in LINK.findall(prose_of(page)) if "://" not in t)
        pending += [to for t in links if t.endswith(".md") and (to := (page.parent / t).resolve()).is_file()]
    assert {p for p in PAGES if "docs" in p.parts} <= found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_pages_hold_nothing_of_this_machine(page: Path) -> None:
    text = page.read_text("utf-8")
    assert str(ROOT) not in text
    assert "pytest-of" not in text
