"""`noisegate statement`: Markdown for people, JSON for programs."""

import io

import pytest
from rich.console import Console

from noisegate.cli import show

from .conftest import Command

COUNT = "SELECT count(*) FROM ward.people"


def test_a_dataset_is_stated_as_markdown_or_json(cli: Command) -> None:
    text = cli("statement", "ward").out
    assert text.startswith("# Privacy statement: A small ward\n")
    assert "SYNTHETIC" in text
    assert text.endswith("\n")
    stated = cli("statement", "ward", "--json").json
    assert (stated["statement"], stated["name"]) == ("dataset", "ward")
    assert all(f"## {section['title']}\n" in text for section in stated["sections"].values())


def test_a_release_is_stated_by_its_receipt(cli: Command) -> None:
    receipt = cli("ask", COUNT, "-e", "1", "--json").json["receipt"]["id"]
    stated = cli("statement", "--receipt", receipt, "--json").json
    assert (stated["statement"], stated["about"]["question"]) == ("release", COUNT)
    assert COUNT in cli("statement", "--receipt", receipt).out


def test_a_terminal_shows_it_laid_out(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=100)
    monkeypatch.setattr(show, "out", lambda: screen)
    cli("statement", "ward")
    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert "Unit of privacy" in shown
    assert "## Unit" not in shown


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("statement",), "bad_input"),
        (("statement", "ward", "--receipt", "ward:1"), "bad_input"),
        (("statement", "nowhere"), "not_found"),
        (("statement", "--receipt", "ward:1"), "not_found"),
    ],
)
def test_what_cannot_be_stated_is_refused(cli: Command, arguments: tuple[str, ...], word: str) -> None:
    refused = cli(*arguments, "--json")
    assert (refused.code, refused.error["code"]) == (2, word)
