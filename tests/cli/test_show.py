"""What a terminal shows: no line is folded in a word where there is another way."""

import io

import pytest
from rich.console import Console

from noisegate.cli import show

QUESTION = "SELECT count(*) FROM liver.patients WHERE age > 60 AND note = ':warning: [red]' AND bmi > 30"
PLAN = {
    "fingerprint": "0123456789abcdef" * 4,
    "reason": "timeout",
    "datasets": ["liver", "panel"],
    "charge": 7,
    "receipt": "liver:14",
    "time": "2026-01-02T03:04:05+00:00",
    "asker": "ana",
    "question": QUESTION,
}


def console_of(width: int) -> Console:
    return Console(file=io.StringIO(), width=width, highlight=False, emoji=False)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_long_text_has_a_column_where_there_is_room_and_else_its_own_lines(width: int) -> None:
    console = console_of(width)
    show.closed_plans(console, [PLAN], 12)
    lines = text_of(console).splitlines()
    assert max(map(len, lines)) <= max(width, 75)
    assert " ".join(text_of(console).split()).count("':warning: [red]'") == 1
    facts = next(line for line in lines if "0123456789ab" in line)
    for piece in ("timeout", "liver, panel", "liver:14", "2026-01-02 03:04:05", "ana"):
        assert piece in facts
    assert (QUESTION in facts) == (width == 200)


EXPLANATION = {
    "plan": [],
    "expected_error": [],
    "loss": {"epsilon": 0.25, "delta": 0.0, "unit": "person"},
    "surcharge": {"factor": 1.0, "epsilon": 0.0},
    "price": {
        "factor": 1.0, "max_factor": 4.0, "refused": False, "day": None, "replay": False,
        "lines": [{"what": "share", "why": "14.0 bits, 8 are free: [red] 1 in 83", "adds": 0.0}],
    },
    "budget": {"spent": 0.0, "left": 10.0, "delta": 1e-6, "more_like_this": 55},
    "mechanisms": [], "clamping": [], "notes": [],
}  # fmt: skip


def explained(**changed: object) -> list[str]:
    console = console_of(200)
    price = {**EXPLANATION["price"], **changed}
    surcharge = {"factor": price["factor"], "epsilon": 0.149}
    show.explanation(console, {**EXPLANATION, "price": price, "surcharge": surcharge})
    return [line.rstrip() for line in text_of(console).splitlines()]


def test_an_explanation_says_line_by_line_what_makes_a_question_dear() -> None:
    assert not any("more from your own budget" in line or "today" in line for line in explained())
    lines = [
        {"what": "conditions", "why": "3 conditions", "adds": 0.0},
        {"what": "share", "why": "14.0 bits, 8 are free: [red] 1 in 83", "adds": 0.597},
    ]
    shown = explained(factor=1.597, lines=lines)
    at = shown.index("would cost ε 0.25 (δ 0, per person)")
    assert shown[at + 1].startswith("and ε 0.149 more from your own budget, 1.597 times in all")
    assert shown[at + 2] == "  + 0.597  share: 14.0 bits, 8 are free: [red] 1 in 83"
    assert shown[at + 3].startswith("budget left")


def test_an_explanation_says_what_would_be_refused_and_what_the_day_still_allows() -> None:
    shown = explained(factor=4.5, refused=True, day={"tier": "clinical", "most": 5.0, "left": 1.25})
    assert (
        "would be refused: more than the 4 times that are answered; to ask it counts against your account"
        in (shown)
    )
    assert "today about ε 1.25 of 5 are left on clinical columns" in shown


def test_a_long_run_of_columns_that_differ_in_their_names_is_shown_by_its_ends() -> None:
    def dataset(variants: int) -> dict[str, object]:
        columns = [{"name": "sample", "type": "str", "tier": "demographic"}]
        columns += [{"name": f"rs{i}", "type": "int", "tier": "genomic"} for i in range(variants)]
        tables = [{"in_sql": "panel.snps", "columns": columns}]
        budget = {"epsilon": 1, "delta": 0}
        return {"name": "panel", "title": "", "unit": "sample", "budget": budget, "tables": tables}

    short, long = console_of(80), console_of(80)
    show.datasets(short, [dataset(show.RUN - 1)])
    show.datasets(long, [dataset(127)])
    assert all(f"rs{i} " in text_of(short) for i in range(show.RUN - 1))
    assert "… 125 like it …" in text_of(long)
    assert "rs0 " in text_of(long)
    assert "rs126 " in text_of(long)
    assert "rs64 " not in text_of(long)


def test_a_table_whose_variants_are_no_columns_says_so() -> None:
    console = console_of(200)
    columns = [{"name": "sample", "type": "str", "tier": "demographic"}]
    tables = [{"in_sql": "panel.all", "columns": columns, "note": "no column of SQL for its [many] variants"}]
    budget = {"epsilon": 1, "delta": 0}
    show.datasets(console, [{"name": "p", "title": "", "unit": "sample", "budget": budget, "tables": tables}])
    assert "no column of SQL for its [many] variants" in text_of(console)
