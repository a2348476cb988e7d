"""An auditor's work at the command line: pages, exports, checkpoints, and what a rollback looks like."""

import json
import shutil
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from noisegate.app import open_gateway
from noisegate.app.receipts import receipt_json
from noisegate.ask.question import Question
from noisegate.config import Config
from noisegate.errors import LedgerUnavailable, SetupError
from noisegate.gate.access import Asker
from noisegate.ledger.records import Receipt, ReceiptKind, Role
from noisegate.ledger.signing import KEY_FILE
from noisegate.server.http.app import build_app
from noisegate.server.serve import beside, listen

from .conftest import Command, write_small_catalog

COUNT = "SELECT count(*) AS n FROM ward.people"
VISITS = "SELECT count(*) AS n FROM clinic.visits"
AUDITOR = Asker("aud", Role.AUDITOR, None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with a question on each dataset."""
    directory = tmp_path_factory.mktemp("made")
    write_small_catalog(directory)
    with open_gateway(settings(directory)) as gateway:
        for sql, epsilon in ((COUNT, Fraction(1)), (VISITS, Fraction(1, 2))):
            gateway.ask(Question(sql, epsilon=epsilon), Asker("local", Role.ANALYST, None), None)
    return directory / "state"


@pytest.fixture
def asked(cli: Command, made: Path, tmp_path: Path) -> Command:
    """The command line where that state directory is."""
    shutil.copytree(made, tmp_path / "state")
    return cli


def settings(directory: Path, **changes: object) -> Config:
    return Config(catalog=directory / "catalog.toml", state=directory / "state", **changes)  # type: ignore[arg-type]


def every_receipt(cli: Command, *options: str, limit: int = 3) -> list[dict[str, object]]:
    """Read all pages."""
    found: list[dict[str, object]] = []
    page = cli("receipts", "list", "--limit", str(limit), *options, "--json").json
    while page["receipts"]:
        assert len(page["receipts"]) <= limit
        found += page["receipts"]
        assert page["more"] or len(page["receipts"]) <= limit
        page = cli(
            "receipts", "list", "--limit", str(limit), "--after", page["next"], *options, "--json"
        ).json
    assert not page["more"]
    return found


def test_pages_over_all_chains_hold_each_receipt_once_the_earliest_first(asked: Command) -> None:
    whole = asked("receipts", "list", "--limit", "1000", "--json").json
    paged = every_receipt(asked)
    assert paged == whole["receipts"]
    assert {r["chain"] for r in paged} == {"ward", "clinic", "population/town"}
    assert all(a["at"] <= b["at"] for a, b in pairwise(paged))  # type: ignore[operator]
    assert every_receipt(asked, "--dataset", "ward") == [r for r in paged if r["chain"] == "ward"]


def test_what_is_added_between_two_pages_is_on_a_later_one(asked: Command) -> None:
    first = asked("receipts", "list", "--limit", "4", "--json").json
    for i in range(3):
        asked("ask", f"SELECT count(*) AS n FROM ward.people WHERE age > {i}", "-e", "0.1")
    rest = asked("receipts", "list", "--limit", "1000", "--after", first["next"], "--json").json
    ids = [r["id"] for r in (*first["receipts"], *rest["receipts"])]
    assert len(ids) == len(set(ids))
    assert sorted(ids) == sorted(r["id"] for r in every_receipt(asked, limit=1000))
    again = asked("receipts", "list", "--after", rest["next"], "--json").json
    assert (again["receipts"], again["next"], again["more"]) == ([], rest["next"], False)


@pytest.mark.parametrize(
    "place", ["x", ":", "ward:", "ward:-1", "ward:1,", "ward:1;x", ":1", "ward:" + "9" * 19, "²"]
)
def test_a_place_that_is_none_is_refused(asked: Command, place: str) -> None:
    refused = asked("receipts", "list", "--after", place, "--json")
    assert (refused.code, refused.error["code"]) == (2, "bad_input")


def test_a_place_may_name_chains_that_are_not_there(asked: Command) -> None:
    found = asked("receipts", "list", "--after", "nowhere:7,ward:1", "--json").json
    assert "ward:1" not in {r["id"] for r in found["receipts"]}
    assert "nowhere" not in found["next"]


def test_the_body_that_was_hashed_is_there_with_every_number_exact(asked: Command) -> None:
    charge = next(r for r in every_receipt(asked) if r["kind"] == "charge")
    body, text = charge["body"], str(charge["body_text"])
    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) == text
    losses = json.loads(text)["loss"]["renyi"]
    assert body["loss"]["renyi"] == [n if n < 2**53 else str(n) for n in losses]  # type: ignore[index]


def test_numbers_beyond_what_readers_hold_are_text(asked: Command, tmp_path: Path) -> None:
    body = '{"a":[9007199254740992,true],"b":{"c":-9007199254740993,"d":9007199254740991,"e":0.5}}'
    shown = receipt_json(Receipt("ward", 1, ReceiptKind.LOST, None, 0, body, "p", "h"))
    assert shown["body"] == {
        "a": ["9007199254740992", True],
        "b": {"c": "-9007199254740993", "d": 2**53 - 1, "e": 0.5},
    }
    assert shown["body_text"] == body


def test_an_export_verifies_offline(asked: Command, tmp_path: Path) -> None:
    wrote = asked("receipts", "export", "receipts.jsonl", "--json").json
    assert wrote == {"file": "receipts.jsonl", "bytes": (tmp_path / "receipts.jsonl").stat().st_size}
    shutil.rmtree(tmp_path / "state")
    found = asked("receipts", "verify", "receipts.jsonl", "--json")
    assert (found.code, found.json["whole"], found.json["charges"]) == (0, True, 2)
    spent = {a["account"]: a["spent"] for a in found.json["accounts"]}
    assert (spent["town/ward"], spent["town/clinic"], spent["town"]) == (1.0, 0.5, 1.5)
    said = asked("receipts", "verify", "receipts.jsonl").out
    assert "whole" in said.splitlines()[0]
    assert "town/ward/default/local: spent about ε 1 of 3" in said


def test_an_export_goes_to_stdout_too_and_never_half_to_a_file(asked: Command, tmp_path: Path) -> None:
    piped = asked("receipts", "export", "--dataset", "ward").out
    assert piped.endswith("\n")
    assert '"all":false,"chains":["ward"]' in piped.splitlines()[0]
    (tmp_path / "ward.jsonl").write_text(piped)
    found = asked("receipts", "verify", "ward.jsonl", "--json").json
    assert (found["whole"], found["every_chain"], found["charges"]) == (True, False, 1)
    refused = asked("receipts", "export", "nowhere/receipts.jsonl", "--json")
    assert (refused.code, refused.error["code"]) == (2, "bad_input")
    refused = asked("receipts", "export", "other.jsonl", "--dataset", "nowhere", "--json")
    assert (refused.code, refused.error["code"]) == (2, "not_found")
    assert {p.name for p in tmp_path.iterdir() if "jsonl" in p.name} == {"ward.jsonl"}


def test_a_fault_ends_with_its_own_exit_code(asked: Command, tmp_path: Path) -> None:
    asked("receipts", "export", "receipts.jsonl")
    content = (tmp_path / "receipts.jsonl").read_text()
    (tmp_path / "changed.jsonl").write_text(content.replace("ward.people", "ward.puople", 1))
    found = asked("receipts", "verify", "changed.jsonl")
    assert found.code == 3
    assert "BROKEN: receipt ward:" in found.out
    assert not asked("receipts", "verify", "changed.jsonl", "--json").json["whole"]


def test_a_checkpoint_is_kept_and_holds_what_comes_later(asked: Command, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    taken = asked("receipts", "checkpoint", "kept", "--json").json
    assert taken["heads"].keys() == {"ward", "clinic", "population/town"}
    (file,) = (tmp_path / "kept").iterdir()
    assert json.loads(file.read_bytes()) == taken
    shown = asked("receipts", "checkpoint", "kept").out
    assert f"signed with key {taken['key']}" in shown
    (tmp_path / "custodian.key").write_text(taken["key"] + "\n")
    asked("ask", "SELECT count(*) AS n FROM ward.people WHERE age > 40", "-e", "0.5")
    asked("receipts", "export", "receipts.jsonl")
    with_all = ("receipts.jsonl", "--key", "custodian.key", "--checkpoints", "kept")
    found = asked("receipts", "verify", *with_all, "--json").json
    assert (found["whole"], found["key_pinned"], found["receipts_since"]) == (True, True, 2)
    assert asked("receipts", "verify", "receipts.jsonl", "--key", "ab" * 32).code == 3
    several = ("--key", "ab" * 32, "--key", taken["key"])
    assert asked("receipts", "verify", "receipts.jsonl", *several).code == 0
    refused = asked("receipts", "checkpoint", "nowhere", "--json")
    assert (refused.code, refused.error["code"]) == (2, "bad_input")


@pytest.mark.parametrize(
    "given",
    [
        ("nowhere.jsonl",),
        (".",),
        ("receipts.jsonl", "--key", "nowhere.key"),
        ("receipts.jsonl", "--key", "catalog.toml"),
        ("receipts.jsonl", "--checkpoints", "nowhere"),
        ("receipts.jsonl", "--checkpoints", "catalog.toml"),
        ("receipts.jsonl", "--state", "state"),
        ("receipts.jsonl", "--url", "http://127.0.0.1:9", "--token", "t"),
        ("--key", "ab" * 32),
        ("--checkpoints", "."),
    ],
)
def test_what_cannot_be_verified_is_wrong_usage_and_no_finding(
    asked: Command, tmp_path: Path, given: tuple[str, ...]
) -> None:
    (tmp_path / "receipts.jsonl").write_text("{}\n")
    refused = asked("receipts", "verify", *given, "--json")
    assert (refused.code, refused.error["code"]) == (2, "bad_input")


def test_what_a_gateway_exports_now_is_verified_here(asked: Command, tmp_path: Path) -> None:
    secret = asked("token", "create", "aud", "--role", "auditor", "--json").json["secret"]
    (tmp_path / "kept").mkdir()
    with (
        open_gateway(settings(tmp_path)) as gateway,
        listen("127.0.0.1", 0) as bound,
        beside(build_app(gateway, version="0"), bound) as url,
    ):
        remote = ("--url", url, "--token", secret)
        asked("receipts", "checkpoint", "kept", *remote)
        found = asked("receipts", "verify", url, "--token", secret, "--checkpoints", "kept", "--json")
        assert (found.code, found.json["whole"], found.json["key_pinned"]) == (0, True, True)
        assert asked("receipts", "verify", *remote).code == 0
        assert asked("receipts", "verify", url, "--token", "nonsense").code == 5
        exported = asked("receipts", "export", *remote).out
        assert exported == b"".join(gateway.export_receipts(AUDITOR, None)).decode()
        narrow = asked("token", "create", "n", "--role", "auditor", "--dataset", "ward", *remote)
        assert narrow.code == 5
    assert asked("receipts", "verify", url, "--token", secret).code == 6


def test_an_auditor_of_one_dataset_gets_its_chain_alone(asked: Command, tmp_path: Path) -> None:
    narrow = Asker("aud", Role.AUDITOR, frozenset({"ward"}))
    with open_gateway(settings(tmp_path)) as gateway:
        (header, *_), _ = b"".join(gateway.export_receipts(narrow, None)).decode().splitlines(), None
        assert json.loads(header)["chains"] == ["ward"]
        assert not json.loads(header)["all"]
        assert gateway.checkpoint(narrow)["heads"].keys() == {"ward"}  # type: ignore[attr-defined]
        assert {r["chain"] for r in gateway.receipts(narrow, None, None, 1000)["receipts"]} == {"ward"}  # type: ignore[attr-defined]


# The checkpoints that a gateway keeps itself


def test_a_gateway_keeps_checkpoints_and_does_not_start_once_it_was_rolled_back(
    asked: Command, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    config = settings(tmp_path, checkpoints=kept)
    shutil.copytree(tmp_path / "state", tmp_path / "backup")
    with open_gateway(config) as gateway:
        assert gateway.health() == {"status": "ok", "ledger": "ok"}
        assert "noisegate_checkpoint_failing 0" in gateway.metrics(AUDITOR)
        assert len(list(kept.iterdir())) == 1
        gateway._ledger.suspend("town/ward", "a test", by="cus")
    assert len(list(kept.iterdir())) == 2
    with open_gateway(config):
        pass
    assert len(list(kept.iterdir())) == 2  # nothing new
    shutil.rmtree(tmp_path / "state")
    shutil.copytree(tmp_path / "backup", tmp_path / "state")
    with pytest.raises(LedgerUnavailable, match="rolled back or rewritten") as refused, open_gateway(config):
        pass
    assert "docs/guides/operations.md" in refused.value.hint


def test_a_state_directory_made_anew_is_refused_by_what_is_kept_of_the_old_one(
    asked: Command, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    config = settings(tmp_path, checkpoints=kept)
    with open_gateway(config):
        pass
    shutil.rmtree(tmp_path / "state")
    with pytest.raises(LedgerUnavailable, match="a key that is not this ledger's"), open_gateway(config):
        pass
    assert not list((tmp_path / "state").rglob("*.duckdb"))  # nothing was registered in it


def test_a_directory_of_checkpoints_that_is_not_there_is_told_at_the_start(
    asked: Command, tmp_path: Path
) -> None:
    config = settings(tmp_path, checkpoints=tmp_path / "nowhere")
    with pytest.raises(SetupError, match="nowhere cannot be read"), open_gateway(config):
        pass


def test_a_checkpoint_by_a_key_that_is_named_as_known_binds(asked: Command, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    with open_gateway(settings(tmp_path, checkpoints=kept)):
        pass
    former = asked("receipts", "verify", "--json").json["key"]
    (tmp_path / "state" / KEY_FILE).unlink()
    with (
        pytest.raises(LedgerUnavailable, match="a key that is not this ledger's"),
        open_gateway(settings(tmp_path, checkpoints=kept)),
    ):
        pass
    with open_gateway(settings(tmp_path, checkpoints=kept, known_keys=str(former))) as gateway:
        assert gateway.verify_receipts(AUDITOR)["whole"]
        assert gateway.verify_receipts(AUDITOR)["key"] != former
    found = asked("receipts", "verify")
    assert found.code == 3
    assert f"is signed by {former}, which is no key of this ledger" in found.out


def test_health_says_when_checkpoints_are_late(
    asked: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    with open_gateway(settings(tmp_path, checkpoints=kept)) as gateway:
        assert gateway._keeper is not None
        monkeypatch.setattr(gateway._keeper, "late", lambda: True)
        assert gateway.health() == {"status": "degraded", "ledger": "ok", "checkpoints": "late"}
        assert "noisegate_ledger_up 1" in gateway.metrics(AUDITOR)


def test_the_signing_key_is_the_ledgers_and_stays_private(asked: Command, tmp_path: Path) -> None:
    key = tmp_path / "state" / KEY_FILE
    assert (key.stat().st_mode & 0o777) == 0o600
    key.chmod(0o644)
    refused = asked("receipts", "list", "--json")
    assert (refused.code, refused.error["code"]) == (2, "bad_input")
    assert "chmod 600" in refused.error["hint"]


def test_nothing_is_registered_on_a_ledger_that_was_rolled_back(asked: Command, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "noisegate.toml").write_text('checkpoints = "kept"\n')
    shutil.copytree(tmp_path / "state", tmp_path / "backup")
    assert asked("catalog", "register", "clinic").code == 0
    assert len(list((tmp_path / "kept").iterdir())) == 2
    shutil.rmtree(tmp_path / "state")
    shutil.copytree(tmp_path / "backup", tmp_path / "state")
    refused = asked("catalog", "register", "clinic", "--json")
    assert (refused.code, refused.error["code"]) == (6, "ledger_unavailable")
    assert "rolled back" in refused.error["message"]
