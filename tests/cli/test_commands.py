import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest

from noisegate import errors
from noisegate.cli import options
from noisegate.engines.duckdb import DuckDB
from noisegate.gate.failures import MOST_FAILURES
from noisegate.server.http.bodies import AnswerReply

from .conftest import PEOPLE, Command

COUNT = "SELECT count(*) FROM ward.people"


def test_a_question_is_answered_charged_and_its_twin_is_free(cli: Command) -> None:
    first, second = cli("ask", COUNT, "-e", "1", "--json"), cli("ask", COUNT, "-e", "1", "--json")
    assert (first.code, second.code) == (0, 0)
    AnswerReply.model_validate(first.json)
    assert first.json["rows"] == second.json["rows"]
    assert abs(first.json["rows"][0][0]["value"] - PEOPLE) < 60
    assert (first.json["replayed"], second.json["replayed"]) == (False, True)
    assert first.json["budget"]["spent"] == second.json["budget"]["spent"] == 1.0
    assert "registering ward" in first.err
    assert second.err == ""


def test_an_answer_for_people_shows_interval_cost_and_what_is_left(cli: Command) -> None:
    shown = cli("ask", "SELECT sex, avg(age) AS mean_age FROM ward.people GROUP BY sex", "-e", "1")
    assert shown.code == 0
    for piece in ("mean_age (years)", "cost ε 1 (δ 0, per person)", "budget left about ε 2", "SYNTHETIC"):
        assert piece in shown.out


def test_explain_costs_nothing_and_tells_the_price(cli: Command) -> None:
    told = cli("ask", COUNT, "--explain", "--epsilon", "1", "--json")
    assert told.code == 0
    assert told.json["loss"]["epsilon"] == 1.0
    assert told.json["expected_error"][0]["half_width"] > 0
    assert "would cost ε 1" in cli("ask", COUNT, "--explain", "--epsilon", "1").out
    accounts = cli("budget", "show", "--json").json["accounts"]
    assert {a["spent"] for a in accounts} == {0.0}


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("ask", "SELECT * FROM ward.people"), 3, "not_aggregate"),
        (("ask", "SELECT count(*) FROM ward.people WHERE note = 'x'"), 3, "restricted_column"),
        (("ask", "SELECT count(*) FROM ward.nobody"), 3, "unknown_column"),
        (("ask", COUNT, "--epsilon", "1.9", "--as", "poor"), 4, "budget_exhausted"),
        (("ask", COUNT, "--epsilon", "many"), 2, "bad_input"),
        (("ask", COUNT, "--epsilon", "1", "--within", "1"), 2, "bad_input"),
        (("ask", COUNT, "--url", "http://127.0.0.1:9"), 5, "unauthorised"),
        (("ask", COUNT, "--url", "http://127.0.0.1:9", "--token", "t"), 6, "ledger_unavailable"),
        (("ask", COUNT, "--url", "http://127.0.0.1:9", "--token", "t", "--state", "x"), 2, "bad_input"),
        (("ask",), 2, "bad_input"),
        (("ask", COUNT, "--colour"), 2, "bad_input"),
        (("bogus",), 2, "bad_input"),
        (("token", "revoke", "nobody"), 2, "not_found"),
        (("token", "create", "a/b"), 2, "bad_input"),
        (("token", "create", "bob", "--role", "king"), 2, "bad_input"),
        (("token", "create", "bob", "--dataset", "nowhere"), 2, "not_found"),
        (("receipts", "list", "--dataset", "nowhere"), 2, "not_found"),
        (("budget", "grant", "nowhere", "bob", "-e", "1"), 2, "not_found"),
        (("budget", "grant", "ward", "bob", "-e", "0"), 2, "bad_input"),
        (("serve", "--port", "70000"), 2, "bad_input"),
        (("catalog", "show", "--catalog", "nowhere.toml"), 2, "bad_input"),
        (("catalog", "register", "nowhere"), 2, "not_found"),
    ],
)
def test_each_failure_has_its_exit_code_and_json_on_stderr_alone(
    cli: Command, arguments: tuple[str, ...], code: int, word: str
) -> None:
    if word == "budget_exhausted":
        assert cli("budget", "grant", "ward", "poor", "-e", "0.5").code == 0
    result = cli(*arguments, "--json")
    assert (result.code, result.error["code"]) == (code, word)
    assert result.error["message"]
    assert result.out == ""
    plain = cli(*arguments)
    assert plain.code == code
    assert "error: " in plain.err
    assert plain.out == ""


def test_a_failure_of_ours_shows_a_place_and_no_text(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise ZeroDivisionError("patient 4711")

    monkeypatch.setattr(options, "settings", fail)
    result = cli("catalog", "show")
    assert result.code == 1
    assert "ZeroDivisionError at " in result.err
    assert "4711" not in result.err
    assert "Traceback" not in result.err


def test_tokens_are_created_listed_and_revoked(cli: Command) -> None:
    made = cli("token", "create", "ana", "--dataset", "ward", "--expires-days", "5", "--json").json
    assert made["secret"].startswith("ng_")
    assert (made["role"], made["datasets"], made["state"]) == ("analyst", ["ward"], "valid")
    [listed] = cli("token", "list", "--json").json["tokens"]
    assert listed == {k: v for k, v in made.items() if k != "secret"}
    assert cli("token", "revoke", made["id"]).code == 0
    assert cli("token", "list", "--json").json["tokens"][0]["state"] == "revoked"
    assert "revoked" in cli("token", "list").out


def test_the_secret_of_a_token_alone_is_on_stdout(cli: Command) -> None:
    made = cli("token", "create", "ana")
    assert made.out.strip().startswith("ng_")
    assert len(made.out.split()) == 1
    assert "cannot be shown again" in made.err


def test_receipts_tell_the_story_and_hold(cli: Command) -> None:
    cli("ask", COUNT, "-e", "1")
    found = cli("receipts", "list", "--dataset", "ward", "--json").json["receipts"]
    assert [r["number"] for r in found] == list(range(1, len(found) + 1))
    assert found[-1]["kind"] == "answer"
    assert any(r["body"].get("public", {}).get("question") == COUNT for r in found)
    assert all(b["previous"] == a["hash"] for a, b in pairwise(found))
    page = cli("receipts", "list", "--dataset", "ward", "--limit", "2", "--json").json
    assert (len(page["receipts"]), page["next"], page["more"]) == (2, "ward:2", True)
    for place in ("2", page["next"]):
        rest = cli("receipts", "list", "--dataset", "ward", "--after", place, "--json").json
        assert [*page["receipts"], *rest["receipts"]] == found
        assert not rest["more"]
    assert COUNT in cli("receipts", "list").out
    verified = cli("receipts", "verify", "--json")
    assert (verified.code, verified.json["whole"], verified.json["fault"]) == (0, True, None)
    assert "whole" in cli("receipts", "verify").out


def test_the_catalog_is_shown_and_checked(cli: Command, tmp_path: Path) -> None:
    assert [d["name"] for d in cli("catalog", "show", "--json").json["datasets"]] == ["ward", "clinic"]
    shown = cli("catalog", "show").out
    for piece in ("ward.people", "[SYNTHETIC]", "0 to 100", "f, m", "restricted", "years"):
        assert piece in shown
    checked = cli("catalog", "check", "--json")
    assert (checked.code, checked.json["ok"]) == (0, True)
    broken = tmp_path / "broken.toml"
    broken.write_text((tmp_path / "catalog.toml").read_text().replace("columns.age", "columns.aeg"))
    checked = cli("catalog", "check", "broken.toml", "--json")
    assert (checked.code, checked.json["ok"]) == (2, False)
    assert "aeg" in str(checked.json["findings"])
    assert "error: " in cli("catalog", "check", "broken.toml").out


def test_what_is_wrong_with_a_catalog_is_told_place_by_place(cli: Command, tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_text(path.read_text().replace("low = 0, high = 100", "low = 100, high = 0, colour = 1"))
    result = cli("ask", COUNT)
    assert result.code == 2
    assert result.err.count("ward.tables.people.columns.age") >= 2


def test_suggestions_are_paid_for_and_shown(cli: Command) -> None:
    # 60 ages of some seven people each: ε 2 lets their bins rise above the noise.
    found = cli("catalog", "suggest", "ward.people", "age", "-e", "2", "--json")
    assert found.code == 0
    assert 10 <= found.json["low"] < found.json["high"] <= 100
    assert found.json["rows_per_unit"] == {"p50": 1, "p95": 1, "p99": 1}
    assert found.json["epsilon"] == pytest.approx(2.0)
    assert len(found.json["receipts"]) == 2
    assert "bounds of age" in cli("catalog", "suggest", "ward.people", "age", "-e", "2").out
    refused = cli("catalog", "suggest", "ward.people", "age", "-e", "0", "--json")
    assert (refused.code, refused.error["code"]) == (2, "bad_input")


def failing_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise errors.EngineTimeout

    monkeypatch.setattr(DuckDB, "run", fail)


def test_a_plan_that_failed_is_closed_until_it_is_opened(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("plans", "closed", "--json").json == {"plans": []}
    assert cli("plans", "closed").out == "no plan is closed\n"
    with monkeypatch.context() as patched:
        failing_engine(patched)
        failed = cli("ask", COUNT, "-e", "1", "--as", "ana", "--json")
    assert (failed.code, failed.error["code"]) == (1, "engine_failed")
    blocked = cli("ask", COUNT, "-e", "1", "--json")
    assert (blocked.code, blocked.error["code"]) == (3, "blocked")

    [plan] = cli("plans", "closed", "--json").json["plans"]
    assert (plan["reason"], plan["datasets"], plan["asker"]) == ("timeout", ["ward"], "ana")
    assert plan["question"] == COUNT
    receipts = {r["id"]: r for r in cli("receipts", "list", "--json").json["receipts"]}
    assert receipts[plan["receipt"]]["charge"] == plan["charge"]
    assert receipts[plan["receipt"]]["time"] == plan["time"]
    shown = cli("plans", "closed").out
    for piece in (plan["fingerprint"][:12], "timeout", plan["receipt"], COUNT):
        assert piece in shown

    for wrong, word in (("0" * 12, "not_found"), (plan["fingerprint"][:11], "bad_input")):
        refused = cli("plans", "open", wrong, "--json")
        assert (refused.code, refused.error["code"]) == (2, word)
    opened = cli("plans", "open", plan["fingerprint"][:12], "--json")
    assert (opened.code, opened.json) == (0, {"opened": plan["fingerprint"]})
    assert cli("plans", "open", plan["fingerprint"]).code == 2
    again = cli("ask", COUNT, "-e", "1", "--as", "ana", "--json")
    assert (again.code, again.json["replayed"], again.json["budget"]["spent"]) == (0, False, 2.0)
    assert cli("receipts", "verify").code == 0


def test_many_closed_plans_close_a_dataset_until_one_is_opened(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        failing_engine(patched)
        for age in range(MOST_FAILURES):
            assert cli("ask", f"{COUNT} WHERE age > {age}", "-e", "0.1").code == 1
    fresh = cli("ask", COUNT, "-e", "0.1", "--json")
    assert (fresh.code, fresh.error["code"]) == (3, "blocked")
    plans = cli("plans", "closed", "--json").json["plans"]
    assert len(plans) == MOST_FAILURES
    assert cli("plans", "open", plans[0]["fingerprint"]).code == 0
    assert cli("ask", COUNT, "-e", "0.1").code == 0


def test_a_dataset_does_not_start_afresh_in_another_population(cli: Command, tmp_path: Path) -> None:
    cli("ask", COUNT, "-e", "1")
    path = tmp_path / "catalog.toml"
    declared = path.read_text()
    path.write_text(declared.replace('population = "town"', 'population = "village"'))
    refused = cli("ask", COUNT, "-e", "1", "--json")
    assert (refused.code, refused.error["code"]) == (2, "bad_input")
    assert "'town'" in refused.error["hint"]
    path.write_text(declared)
    accounts = cli("budget", "show", "--json").json["accounts"]
    assert {a["account"].partition("/")[0] for a in accounts} == {"town"}


def test_receipts_of_all_chains_keep_to_the_limit(cli: Command) -> None:
    cli("budget", "show")
    every = cli("receipts", "list", "--json").json
    assert not every["more"]
    few = cli("receipts", "list", "--limit", "3", "--json").json
    assert (few["receipts"], few["more"]) == (every["receipts"][:3], True)
    assert f"more with --after {few['next']}" in cli("receipts", "list", "--limit", "3").out
    rest = cli("receipts", "list", "--after", few["next"], "--json").json
    assert [*few["receipts"], *rest["receipts"]] == every["receipts"]
    wrong = cli("receipts", "list", "--after", "3", "--json")
    assert (wrong.code, wrong.error["code"]) == (2, "bad_input")


def test_a_changed_declaration_is_refused_until_it_is_registered(cli: Command, tmp_path: Path) -> None:
    before = cli("ask", COUNT, "--json").json
    path = tmp_path / "catalog.toml"
    path.write_text(path.read_text().replace('values = ["f", "m"]', 'values = ["f", "m", "x"]'))
    refused = cli("ask", COUNT, "--json")
    assert (refused.code, refused.error["code"]) == (2, "bad_input")
    assert "catalog register ward" in refused.error["hint"]
    again = cli("catalog", "register", "ward", "--json")
    assert again.json == {"dataset": "ward", "version": 2}
    after = cli("ask", COUNT, "--json").json
    assert (before["replayed"], after["replayed"]) == (False, False)
    assert cli("ask", COUNT, "--json").json["replayed"]


def test_a_changed_budget_of_an_open_account_is_refused(cli: Command, tmp_path: Path) -> None:
    assert cli("budget", "show").code == 0
    path = tmp_path / "catalog.toml"
    path.write_text(path.read_text().replace("epsilon = 3", "epsilon = 300"))
    refused = cli("ask", COUNT, "--json")
    assert (refused.code, refused.error["code"]) == (2, "bad_input")
    assert "town" in refused.error["message"]


def test_changed_files_matter_only_once_they_are_registered(cli: Command, tmp_path: Path) -> None:
    cli("budget", "show")
    (tmp_path / "people.csv").write_text("person,age,sex,note\n1,30,f,x\n")
    still = cli("ask", COUNT, "-e", "1", "--json").json["rows"][0][0]["value"]
    assert still > PEOPLE / 2
    assert cli("catalog", "register", "ward").code == 0
    now = cli("ask", COUNT, "-e", "1", "--json").json["rows"][0][0]["value"]
    assert now < PEOPLE / 2


def test_a_registration_that_never_reached_the_ledger_is_made_again(cli: Command, tmp_path: Path) -> None:
    data = tmp_path / "state" / "data"
    data.mkdir(parents=True)
    (data / "ward-1.duckdb").write_bytes(b"half a file")
    assert cli("ask", COUNT).code == 0


def test_a_snapshot_that_cannot_be_written_is_the_operators_to_mend(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise duckdb.IOException("patient 4711 does not fit on the disk")

    with monkeypatch.context() as patched:
        patched.setattr("noisegate.app.registration.register", full)
        failed = cli("ask", COUNT, "--json")
    assert (failed.code, failed.error["code"]) == (2, "bad_input")
    assert "ward" in failed.error["message"]
    assert "space" in failed.error["hint"]
    assert "4711" not in failed.err
    assert cli("ask", COUNT).code == 0


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), RuntimeError("Query interrupted")])
def test_an_interrupted_command_says_nothing(
    cli: Command, monkeypatch: pytest.MonkeyPatch, raised: BaseException
) -> None:
    def stop(**_: object) -> None:
        raise raised

    monkeypatch.setattr(options, "settings", stop)
    result = cli("catalog", "show")
    assert (result.code, result.out, result.err) == (130, "", "")


def test_variables_choose_the_state(cli: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOISEGATE_STATE", "elsewhere")
    assert cli("budget", "show").code == 0
    assert (tmp_path / "elsewhere" / "data").is_dir()
    assert not (tmp_path / "state").exists()
    assert cli("budget", "show", "--state", "third").code == 0
    assert (tmp_path / "third" / "data").is_dir()


def test_a_gateway_in_the_variables_is_asked_unless_a_flag_says_here(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOISEGATE_URL", "http://127.0.0.1:9")
    assert cli("budget", "show").code == 5
    monkeypatch.setenv("NOISEGATE_TOKEN", "t")
    assert cli("budget", "show").code == 6
    assert cli("catalog", "show").code == 6
    assert cli("budget", "show", "--state", "here").code == 0
    assert cli("catalog", "show", "--catalog", "catalog.toml").code == 0


def test_the_state_directory_is_its_owners_alone(cli: Command, tmp_path: Path) -> None:
    cli("budget", "show")
    state = tmp_path / "state"
    for path in (state, *state.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_every_error_of_the_tree_has_an_exit_code_of_the_contract() -> None:
    pending: list[type[errors.NoisegateError]] = [errors.NoisegateError]
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        assert kind.exit_code in {1, 2, 3, 4, 5, 6}


def test_help_comes_at_once_and_has_an_example() -> None:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", "from noisegate.cli import main; main(['--help'])"],
        capture_output=True,
        text=True,
        check=True,
    )
    # Half a second is the promise on a machine at rest; tests share it with others.
    assert time.perf_counter() - began < 3
    assert "ask" in done.stdout
    code = (
        "import json, sys; from noisegate.cli.run import run; run(['--help']);"
        "print(json.dumps(sorted(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(json.loads(loaded.stdout.splitlines()[-1]))
    assert not modules & {"duckdb", "sqlglot", "fastapi", "pyarrow", "sqlalchemy", "opendp"}


@pytest.mark.parametrize(
    "command",
    [
        "ask",
        "serve",
        "demo",
        "catalog check",
        "catalog show",
        "catalog suggest",
        "catalog register",
        "budget show",
        "budget grant",
        "receipts list",
        "receipts verify",
        "receipts export",
        "receipts checkpoint",
        "jobs list",
        "jobs show",
        "jobs cancel",
        "token create",
        "token list",
        "token revoke",
    ],
)
def test_every_command_explains_itself_with_an_example(cli: Command, command: str) -> None:
    told = cli(*command.split(), "--help")
    assert told.code == 0
    assert f"Example: noisegate {command}" in " ".join(told.out.split())
    assert "--json" in told.out
