"""What a terminal shows: no line is folded in a word where there is another way."""

import io

import pytest
from rich.console import Console

from noisegate.cli import show

QUESTION = "SELECT count(*) FROM liver.patients WHERE age > 60 AND note = ':warning: [red]' AND bmi > 30"
ACCOUNTS = {
    "accounts": [
        {"account": a, "kind": "k", "spent": 0.5, "left": 1.5, "epsilon": 2, "delta": 1e-6}
        for a in ("population", "population/dataset", "population/dataset/default", "other/panel/default/ana")
    ]
}
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


def test_accounts_are_a_tree_in_a_narrow_terminal_and_paths_elsewhere() -> None:
    narrow, wide = console_of(80), console_of(200)
    show.budget(narrow, ACCOUNTS)
    show.budget(wide, ACCOUNTS)
    firsts = [line.split("│")[0].rstrip() for line in text_of(narrow).splitlines()[2:]]
    assert firsts == ["population", "  dataset", "    default", "other/panel/default/ana"]
    firsts = [line.split("│")[0].rstrip() for line in text_of(wide).splitlines()[2:]]
    assert firsts == [a["account"] for a in ACCOUNTS["accounts"]]


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
