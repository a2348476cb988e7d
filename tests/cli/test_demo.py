"""`noisegate demo` as ./run starts it, on the data that comes with Noisegate."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from noisegate.app import Gateway
from noisegate.catalog.load import load
from noisegate.cli.demo import keep_tokens
from noisegate.cli.demo_questions import QUESTIONS, read_dosages, truth_of
from noisegate.errors import SetupError, Unauthorised

from .conftest import Command, Result

ROOT = Path(__file__).parents[2]
# What the public files hold, counted once by hand.
OVER_60 = 5253


def near(answer: dict[str, Any], truth: list[list[Any]]) -> bool:
    """Whether each noisy value lies within five half-widths of the truth."""
    exact = {tuple(row[:-1]): row[-1] for row in truth}
    for row in answer["rows"]:
        cell = row[-1]
        reach = 5 * max(cell["high"] - cell["value"], cell["value"] - cell["low"])
        if abs(cell["value"] - exact[tuple(row[:-1])]) > reach:
            return False
    return True


def run(*arguments: str) -> Result:
    """Run a command line as a process of its own: the demo starts a server."""
    program = "import sys; from noisegate.cli import main; main(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120
    )
    return Result(done.returncode, done.stdout, done.stderr)


def test_the_demo_answers_near_the_truth_and_again_for_free(tmp_path: Path) -> None:
    arguments = (
        "demo", "--once", "--json", "--port", "0", "--state", str(tmp_path / "s"),
        "--catalog", str(ROOT / "catalog.toml"),
    )  # fmt: skip
    first = run(*arguments)
    assert first.code == 0, first.err
    questions = first.json["questions"]
    assert len(questions) == len(QUESTIONS)
    answered = [q for q in questions if "answer" in q]
    assert len(answered) == 6
    for question in answered:
        assert not question["answer"]["replayed"]
        assert near(question["answer"], question["truth"]), question["title"]
    assert questions[0]["truth"] == [[OVER_60]]
    [refused] = [q for q in questions if "error" in q]
    assert refused["error"]["code"] == "not_aggregate"
    assert any("SYNTHETIC" in note for note in questions[5]["answer"]["notes"])

    tokens = tmp_path / "s" / "tokens.json"
    held = json.loads(tokens.read_text())
    assert set(held) == {"custodian", "analyst", "auditor"}
    assert tokens.stat().st_mode & 0o777 == 0o600
    second = run(*arguments)
    assert json.loads(tokens.read_text()) == held
    again = [q for q in second.json["questions"] if "answer" in q]
    assert all(q["answer"]["replayed"] for q in again)
    assert [q["answer"]["rows"] for q in again] == [q["answer"]["rows"] for q in answered]
    spoken = run(*(a for a in arguments if a != "--json"))
    for piece in ("5,253", "±", "cost nothing", "budget left", "refused: ", "SYNTHETIC"):
        assert piece in spoken.out


class Issuer:
    """Knows the tokens it made and no others."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def create_token(self, _: object, name: str, *__: object) -> dict[str, object]:
        self.made.append(f"{name}-{len(self.made)}")
        return {"secret": self.made[-1]}

    def authenticate(self, token: str) -> str:
        if token not in self.made:
            raise Unauthorised("unknown")
        return token


@pytest.mark.parametrize("held", [None, b"", b"\xff\xfe", b"[]", b'{"analyst": 3}', b'{"custodian": "old"'])
def test_tokens_that_cannot_be_read_are_made_anew_and_then_kept(tmp_path: Path, held: bytes | None) -> None:
    path, issuer = tmp_path / "tokens.json", Issuer()
    if held is not None:
        path.write_bytes(held)
    first = keep_tokens(tmp_path, cast("Gateway", issuer))
    assert sorted(first.values()) == sorted(issuer.made)
    assert json.loads(path.read_text()) == first == keep_tokens(tmp_path, cast("Gateway", issuer))


def test_a_token_file_that_is_in_the_way_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "tokens.json").mkdir()
    with pytest.raises(SetupError, match="cannot read") as raised:
        keep_tokens(tmp_path, cast("Gateway", Issuer()))
    assert "remove it" in raised.value.hint


def test_the_demo_says_which_data_it_needs(cli: Command) -> None:
    result = cli("demo", "--once", "--json", "--port", "0")
    assert (result.code, result.error["code"]) == (2, "bad_input")
    assert "liver" in result.error["message"]


def test_the_truth_comes_from_the_public_files() -> None:
    catalog = load(ROOT / "catalog.toml")
    assert truth_of(QUESTIONS[0], catalog) == [(OVER_60,)]
    refused = [q for q in QUESTIONS if q.truth is None]
    assert [truth_of(q, catalog) for q in refused] == [None]


def test_dosages_are_read_person_by_person() -> None:
    found = read_dosages(ROOT / "data" / "genomes" / "kg3_aisnps.vcf.gz", ("rs2986742",))
    assert len(found["sample"]) == len(found["rs2986742"]) == 2504
    assert set(found["rs2986742"]) == {0, 1, 2}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda q: q.title)
def test_every_file_a_truth_reads_is_named(question: Any) -> None:
    for name in question.files:
        assert name in question.sql
        assert name.replace(".", "_") in question.truth
