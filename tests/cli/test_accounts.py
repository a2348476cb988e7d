"""What a terminal shows of budgets: columns where they say something, and nowhere an estimate unlabelled."""

import io
from typing import Any

import pytest
from rich.console import Console

from noisegate.cli import accounts
from noisegate.cli.accounts import BAR, bar


def account(path: str, **more: Any) -> dict[str, Any]:
    plain = {
        "account": path,
        "kind": "analyst",
        "state": "open",
        "reason": "",
        "strikes": 0,
        "epsilon": 2.0,
        "delta": 1e-6,
        "spent": 0.5,
        "left": 1.5,
        "surcharge": 0.0,
        "charges": 1,
        "period": {"number": 1, "since": "2026-01-01T00:00:00+00:00", "until": None},
        "lifetime": {"epsilon": 2.0, "delta": 1e-6, "spent": 0.5, "charges": 1},
        "more_like_average": 3,
        "runs_out": None,
    }
    return plain | more


def shown(*found: dict[str, Any], width: int = 200, **more: Any) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, emoji=False)
    accounts.budget(console, {"accounts": found}, **more)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def told(readings: list[dict[str, Any]], by: str) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False, emoji=False)
    accounts.odometer(console, {"by": by, "readings": readings})
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def reading(of: str, epsilon: float | None, dataset: str = "liver", surcharge: float = 0.0) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "of": of,
        "charges": 1_234,
        "epsilon": epsilon,
        "surcharge": surcharge,
        "delta": 1e-6,
    }


def test_accounts_are_a_tree_in_a_narrow_terminal_and_paths_elsewhere() -> None:
    paths = ("population", "population/dataset", "population/dataset/default", "other/panel/default/ana")
    for width, wanted in ((80, ["population", "  dataset", "    default", paths[3]]), (200, list(paths))):
        lines = shown(*map(account, paths), width=width).splitlines()
        assert [line.split("│")[0].rstrip() for line in lines[2:-1]] == wanted


def test_a_column_that_says_the_same_of_all_is_left_out() -> None:
    heading = shown(account("a")).splitlines()[0]
    assert [h.strip() for h in heading.split("┃")] == [
        "account",
        "level",
        "ε spent",
        "ε left",
        "ε limit",
        "at δ",
    ]


def test_periods_states_and_reasons_are_shown_where_there_are_any() -> None:
    period = {"number": 3, "since": "2026-01-01T00:00:00+00:00", "until": "2026-02-01T00:00:00+00:00"}
    lifetime = {"epsilon": 6.0, "delta": 3e-6, "spent": 4.25, "charges": 9}
    text = shown(
        account("a", period=period, lifetime=lifetime, state="suspended", reason="a [complaint]"),
        account("b", strikes=2),
    )
    first, second = (text.splitlines()[n] for n in (2, 3))
    for piece in ("2026-02-01 00:00", "3", "4.25 of 6", "suspended"):
        assert piece in first
    for piece in ("never", "1", "0.5 of 2", "open"):
        assert piece in second
    assert "a is suspended: a [complaint]" in text
    assert "b: 2 restricted questions" in text


def test_a_forecast_says_why_and_that_it_is_about() -> None:
    text = shown(
        account("a", runs_out={"on": "2026-03-04", "because": "spent"}),
        account("b", runs_out={"on": "2026-02-01", "because": "period ends"}, more_like_average=None),
        account("c", more_like_average="9007199254740993"),
        forecast=True,
    )
    lines = text.splitlines()
    assert "about 2026-03-04" in lines[2]
    assert "about 3" in lines[2]
    assert "2026-02-01 (period ends)" in lines[3]
    assert lines[4].count("–") == 1
    assert "about 9,007,199,254,740,993" in lines[4]


@pytest.mark.parametrize("text", [shown(account("a")), told([reading("ana", 0.5)], "analyst")])
def test_every_table_of_spending_says_that_it_is_an_estimate(text: str) -> None:
    assert "estimate" in text.splitlines()[-1]


def test_a_lifetime_without_a_bound_says_so() -> None:
    period = {"number": 2, "since": "2026-01-01T00:00:00+00:00", "until": None}
    lifetime = {"epsilon": 4.0, "delta": 1e-6, "spent": None, "charges": 2}
    assert "no bound of 4" in shown(account("a", period=period, lifetime=lifetime))


def test_a_new_period_tells_what_it_cost() -> None:
    console = Console(file=io.StringIO(), width=200, highlight=False, emoji=False)
    period = {"number": 2, "since": "2026-01-01T00:00:00+00:00", "until": None}
    lifetime = {"epsilon": 5.0, "delta": 2e-6, "spent": 0.5, "charges": 1}
    found = [account("a", period=period, lifetime=lifetime, forfeited=1.25), account("b", forfeited=0.0)]
    accounts.changed(console, found)
    assert isinstance(console.file, io.StringIO)
    (line,) = (line for line in console.file.getvalue().splitlines() if "began" in line)
    assert line.startswith("a began period 2; about ε 1.25 of the former one was forfeited; all its periods")
    assert line.endswith("together are ε 5, δ 2e-06")


def test_spending_is_told_apart_with_bars_that_compare_within_a_dataset() -> None:
    text = told(
        [reading("2026-01-01", 1.0), reading("2026-01-02", 0.5), reading("2026-01-01", 9.0, "panel")], "day"
    )
    lines = text.splitlines()
    assert [line.count("█") for line in lines[2:5]] == [BAR, BAR // 2, BAR]
    assert [h.strip() for h in lines[0].split("┃")][:4] == ["dataset", "day", "charges", "ε"]
    assert "1,234" in lines[2]


def test_a_surcharge_and_a_loss_without_a_bound_are_shown() -> None:
    text = told([reading("ana", None), reading("ben", 0.5, surcharge=0.25)], "analyst")
    assert "ε surcharge" in text
    assert "no bound" in text
    assert "0.25" in text


def test_where_nothing_was_charged_there_is_nothing_to_tell() -> None:
    assert told([], "tier") == "nothing was charged\n"


@pytest.mark.parametrize(("value", "most", "length"), [(0, 1, 0), (1, 1, BAR), (1e-9, 1, 1), (2, 1, BAR)])
def test_a_bar_is_as_long_as_its_share(value: float, most: float, length: int) -> None:
    assert len(bar(value, most)) == length
