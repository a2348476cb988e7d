"""Every command of the README and the tutorials is run, and prints what the page shows."""

from pathlib import Path

import pytest

from .matching import GAP, differences, json_differences
from .pages import ROOT, Step, steps_of
from .session import Session, as_shown, python_path

TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
PAGES = [ROOT / "README.md", *TUTORIALS, *GUIDES]


def wrong_with(step: Step, printed: str) -> list[str]:
    if step.output is None:
        return []
    if step.output_language == "json":
        return json_differences(step.output, printed)
    return differences(step.output, printed, numbers_vary=step.how == "numbers vary")


def rewrite(page: Path, changed: list[tuple[Step, str]]) -> None:
    """Put what was printed in the place of what the page shows."""
    lines = page.read_text("utf-8").splitlines()
    for step, printed in reversed(changed):
        lines[step.start : step.end] = as_shown(printed).splitlines()
    page.write_text("\n".join(lines) + "\n", "utf-8")


# Following this one takes a minute: it registers, shares, reports and serves.
LONG = {"genomes", "verify"}


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.slow) if page.stem in LONG else page for page in PAGES],
    ids=lambda p: p.stem,
)
def test_a_page_can_be_followed_and_prints_what_it_shows(
    page: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    write = request.config.getoption("--write-golden")
    session = Session(tmp_path / "you", python_path())
    changed: list[tuple[Step, str]] = []
    problems: list[str] = []
    try:
        for step in steps_of(page):
            if step.how.startswith("not run, "):
                continue
            printed = session.run(step)
            wrong = wrong_with(step, printed) if not (write and step.output == "") else ["new"]
            if wrong and write and GAP not in (step.output or "").splitlines():
                changed.append((step, printed))
                continue
            problems += [f"{page.name}:{step.line}: {w}" for w in wrong]
    finally:
        session.stop()
    if changed:
        rewrite(page, changed)
    assert not problems, "\n".join(problems)
