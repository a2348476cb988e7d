"""The comparison lets other draws pass, and nothing else."""

import json

import pytest

from .matching import differences, json_differences
from .pages import section, steps_of, table
from .session import as_shown


@pytest.mark.parametrize(
    ("shown", "got"),
    [
        ("5,254 ± 6 │  5,253", "5,249 ± 6 │ 5,253"),
        ("30.18 (29.97 to 30.39)", "30.0 (29.8 to 30.2)"),
        ("30.18 (29.97 to 30.39)", "30.10 ± 0.21"),
        ("1 (-∞ to 3)", "2 (-∞ to 4)"),
        ("0.5  (95 %: 0.4 to 0.7; ε 0.5 a person)", "0.6  (95 %: 0.5 to 0.7; ε 0.5 a person)"),
        ("liver:3 │ 2026-01-15 10:00:00 │ 3f9a0c1b22d4", "liver:3 │ 2027-02-16 11:01:01 │ aaaaaaaaaaaa"),
        ("a\n…\nb 3 ± 1\n…", "a\nx\ny\nb 4 ± 1\nz"),
        ("…\nb", "a\nb"),
        ("age ┃ n\n━━━━╇━━", "age  ┃   n\n━━━━━╇━━━━\n"),
    ],
)
def test_another_draw_matches(shown: str, got: str) -> None:
    assert differences(shown, got) == []


@pytest.mark.parametrize(
    ("shown", "got"),
    [
        ("5,254 ± 6 │ 5,253", "5,254 ± 6 │ 5,252"),
        ("5,254 ± 6", "5,154 ± 6"),
        ("5,254 ± 6", "5,254 ± 60"),
        ("30.18 (29.97 to 30.39)", "30.18 (20.0 to 40.0)"),
        ("30.18 (29.97 to 30.39)", "30.18"),
        ("1 (-∞ to 3)", "1 (0 to 3)"),
        ("cost ε 0.5 (δ 0, per person)", "cost ε 0.6 (δ 0, per person)"),
        ("liver:3", "liver:4"),
        ("a\n…\nb\n…", "x\na\nb\nz"),
        ("…\nb", "a\nb\nc"),
        ("a\n…\nc\n…\nb\n…", "a\nb\nc"),
        ("one line", "one line\nand another"),
    ],
)
def test_anything_else_does_not(shown: str, got: str) -> None:
    assert differences(shown, got)


def test_where_numbers_vary_words_still_count() -> None:
    assert not differences("p50 4, p95 12", "p50 3, p95 15", numbers_vary=True)
    assert differences("p50 4, p95 12", "p50 4, p99 12 and more", numbers_vary=True)


def test_json_is_compared_by_its_shape_its_facts_and_its_noise() -> None:
    shown = {"rows": [[{"value": 10, "low": 4, "high": 16}]], "loss": {"epsilon": 0.5}, "hash": "a" * 64}
    same = {**shown, "rows": [[{"value": 12, "low": 6, "high": 18}]], "hash": "b" * 64}
    assert not json_differences(json.dumps(shown), json.dumps(same))
    for wrong in (
        {**shown, "loss": {"epsilon": 0.4}},
        {**shown, "more": 1},
        {**shown, "rows": []},
        {**shown, "rows": [[{"value": 10, "low": -90, "high": 110}]]},
    ):
        assert json_differences(json.dumps(shown), json.dumps(wrong))


def test_steps_carry_their_output_and_how_they_are_run(tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# T\n<!-- test: in another terminal -->\n```sh\na\nb\n```\n\n```text\nout\n```\n```python\n1\n```\n"
        "words\n```text\nnot its output\n```\n<!-- test: stop the gateway -->\n```toml\nx = 1\n```\n"
    )
    first, second, last = steps_of(page)
    assert (first.line, first.code, first.how, first.output) == (3, "a\nb", "in another terminal", "out")
    assert (second.code, second.output) == ("1", None)
    assert last.language == "stop"


def test_an_unknown_directive_is_found(tmp_path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- test: in anotter terminal -->\n```sh\na\n```\n")
    with pytest.raises(AssertionError, match="line 1"):
        steps_of(page)


def test_sections_and_tables_are_read() -> None:
    text = "## A\n| x | y |\n|---|---|\n| 1 | a \\| b |\n### B\n## C\n| x |\n|---|\n"
    assert table(section(text, "## A")) == [["1", "a | b"]]
    assert table(section(text, "## C")) == []


def test_times_on_a_page_are_all_the_same() -> None:
    assert as_shown("at 2027-02-16 11:01:01 \n\n") == "at 2026-01-15 10:00:00"
