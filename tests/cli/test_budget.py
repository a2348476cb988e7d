"""`noisegate budget` and tokens of projects, on a state directory opened in-process."""

from pathlib import Path

import pytest

from noisegate.server.http.budget_bodies import AccountReply, AccountsReply, GrantedReply, RenewalsReply

from .conftest import Command

COUNT = "SELECT count(*) FROM ward.people"
OWN = "town/ward/default/bob"


def test_a_share_is_granted_spent_and_followed_by_another(cli: Command) -> None:
    granted = cli("budget", "grant", "ward", "bob", "--epsilon", "2", "--until", "2999-01-01", "--json").json
    GrantedReply.model_validate(granted)
    assert (granted["account"], granted["epsilon"], granted["delta"]) == (OWN, 2.0, 1e-6)
    assert cli("ask", COUNT, "-e", "1", "--as", "bob", "--json").json["budget"]["left"] == 1.0
    text = cli("budget", "grant", "ward", "bob", "--epsilon", "2.5").out
    assert f"{OWN} began period 2; about ε 1 of the former one was forfeited; all its periods" in text
    assert "2999-01-01 00:00" in text
    again = cli("budget", "show", "--account", OWN, "--json").json
    AccountsReply.model_validate(again)
    (own,) = again["accounts"]
    assert (own["left"], own["period"]["number"], own["lifetime"]["epsilon"]) == (2.5, 2, 4.5)


def test_spending_is_shown_with_forecast_and_told_apart(cli: Command) -> None:
    cli("ask", COUNT, "-e", "1", "--as", "bob")
    shown = cli("budget", "show", "--dataset", "ward").out
    for piece in ("more like so far", "runs out", OWN, "estimate"):
        assert piece in shown
    assert "clinic" not in shown
    by_day = cli("budget", "show", "--by", "day", "--days", "7").out
    assert "█" in by_day
    assert "ward" in by_day
    readings = cli("budget", "show", "--by", "analyst", "--account", "town/ward", "--json").json["readings"]
    assert [(r["dataset"], r["of"], r["charges"]) for r in readings] == [("ward", "bob", 1)]
    wrong = cli("budget", "show", "--by", "month", "--json")
    assert (wrong.code, wrong.error["code"]) == (2, "bad_input")


def test_a_renewal_a_suspension_and_a_transfer_say_what_they_did(cli: Command) -> None:
    refused = cli("budget", "renew", "ward", "--reason", "more", "--json")
    assert (refused.code, refused.error["code"]) == (2, "conflict")
    renewed = cli("budget", "renew", "ward", "--reason", "more", "-e", "4", "--every", "year", "--json").json
    RenewalsReply.model_validate(renewed)
    assert renewed["accounts"][0]["lifetime"]["epsilon"] == 7.0
    suspended = cli("budget", "suspend", "ward", "--reason", "a [complaint]")
    assert "town/ward is suspended: a [complaint]" in suspended.out
    blocked = cli("ask", COUNT, "-e", "1", "--json")
    assert (blocked.code, blocked.error["code"]) == (3, "blocked")
    resumed = cli("budget", "resume", "town/ward", "--json").json
    AccountReply.model_validate(resumed)
    assert resumed["state"] == "open"
    for name in ("bob", "eve"):
        cli("budget", "grant", "ward", name, "-e", "1")
    moved = cli("budget", "transfer", "ward", "bob", "eve", "-e", "0.25", "--json").json["accounts"]
    assert [a["epsilon"] for a in moved] == [0.75, 1.25]
    poor = cli("budget", "transfer", "ward", "bob", "eve", "-e", "5", "--json")
    assert (poor.code, poor.error["code"]) == (4, "budget_exhausted")


def test_a_project_has_a_budget_and_tokens_of_its_own(cli: Command) -> None:
    opened = cli("budget", "grant", "ward", "--project", "stroke", "-e", "1", "--json").json
    assert opened["account"] == "town/ward/stroke"
    made = cli("token", "create", "bob", "--project", "stroke", "--json").json
    assert made["project"] == "stroke"
    assert "stroke" in cli("token", "list").out
    wrong = cli("token", "create", "bob", "--project", "a/b", "--json")
    assert (wrong.code, wrong.error["code"]) == (2, "bad_input")


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "--account", "a", "--dataset", "b"),
        ("show", "--days", "3"),
        ("grant", "ward", "bob"),
        ("grant", "ward", "bob", "-e", "nan"),
        ("grant", "ward", "bob", "-e", "1", "--until", "2001-01-01"),
        ("grant", "ward", "a/b", "-e", "1"),
        ("renew", "ward", "-e", "1"),
        ("renew", "nobody", "-e", "1", "--reason", "x"),
        ("suspend", "ward"),
        ("suspend", "ward", "--reason", " "),
    ],
)
def test_what_cannot_be_exits_with_2(cli: Command, arguments: tuple[str, ...]) -> None:
    refused = cli("budget", *arguments, "--json")
    assert refused.code == 2
    assert refused.error["code"] in ("bad_input", "not_found")


def test_a_state_directory_is_not_opened_with_another_ledger(
    cli: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cli("budget", "show")
    (tmp_path / "state" / "ledger.id").unlink()
    monkeypatch.setenv("NOISEGATE_LEDGER", "postgresql://ann:s3cret@127.0.0.1:1/nowhere")
    refused = cli("budget", "show", "--json")
    assert refused.code == 2
    assert "unspent again" in refused.error["message"]
    assert "s3cret" not in refused.err
