"""Several gateways on one PostgreSQL ledger and one state directory: one budget, one registration."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path

import pytest

from noisegate.app import Gateway, open_gateway, register_next
from noisegate.ask.question import Question
from noisegate.config import Config
from noisegate.errors import (
    Blocked,
    BudgetExhausted,
    LedgerUnavailable,
    SetupError,
    StateLocked,
    Unauthorised,
)

from .door import BOSS
from .world import an_analyst, ask, plain_town, write

COUNT = "SELECT count(*) FROM ward.people"
SMALL = {"threads": 1, "memory_limit": "256MB"}

# A gateway in a process of its own; it says so once it is up, and waits to be ended.
CHILD = """
import sys, time
from pathlib import Path
from noisegate.app import open_gateway
from noisegate.config import Config
home = Path(sys.argv[1])
config = Config(catalog=home / "catalog.toml", state=home / "state", ledger=sys.argv[2], threads=1)
registered = set()
with open_gateway(config, lambda name, share: registered.add(name)) as gateway:
    print(",".join(sorted(registered)), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def config(tmp_path: Path, database: str) -> Config:
    return Config(catalog=write(plain_town(), tmp_path), state=tmp_path / "state", ledger=database, **SMALL)


@pytest.fixture
def two(config: Config) -> Iterator[tuple[Gateway, Gateway]]:
    with open_gateway(config) as one, open_gateway(config) as other:
        yield one, other


def test_what_one_gateway_changes_the_other_knows_at_once(two: tuple[Gateway, Gateway]) -> None:
    one, other = two
    made = one.create_token(BOSS, "ana", "analyst", ["ward"], None)
    assert other.authenticate(str(made["secret"])).name == "ana"
    one.revoke_token(BOSS, str(made["id"]))
    with pytest.raises(Unauthorised):
        other.authenticate(str(made["secret"]))
    ana = an_analyst()
    first = ask(one, COUNT)
    again = ask(other, COUNT)
    assert (again.replayed, again.rows, again.receipt_id) == (True, first.rows, first.receipt_id)
    one.grant(BOSS, "ward", "ana", Fraction(2), None)
    assert other.explain(Question(COUNT, Fraction(1)), ana)["budget"]["left"] == 2.0
    one.suspend(BOSS, "ward", "a complaint")
    for epsilon in (1, "0.5"):  # the second is stored
        with pytest.raises(Blocked, match="'town/ward' is suspended"):
            ask(other, COUNT, epsilon)
    other.resume(BOSS, "ward")
    assert not ask(one, COUNT, 1).replayed
    assert one.verify_receipts(BOSS)["whole"]


def test_two_gateways_cannot_spend_one_budget_twice(two: tuple[Gateway, Gateway]) -> None:
    for gateway in two:
        gateway.grant(BOSS, "ward", "ana", Fraction("2.1"), Fraction(0))

    def one(number: int) -> bool:
        try:
            ask(two[number % 2], COUNT, f"0.5{number:02}")  # each another question, each singling out nobody
        except BudgetExhausted:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(one, range(12)))
    assert outcomes.count(True) == 4
    (own,) = (a for a in two[0].budget(BOSS, "ward")["accounts"] if a["account"].endswith("/ana"))
    assert 2.0 <= own["spent"] <= 2.1
    assert (own["charges"], own["period"]["number"]) == (4, 1)


def test_twins_on_two_gateways_get_one_answer(two: tuple[Gateway, Gateway]) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: ask(two[n % 2], COUNT), range(4)))
    assert len({str(a.rows) for a in found}) == 1


def test_gateways_that_start_at_once_register_once(config: Config, database: str) -> None:
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(config.catalog.parent), database],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    told = sorted(child.stdout.readline().strip() for child in children)
    for child in children:
        child.communicate()
    assert told == ["", "abroad,clinic,ward"]
    assert [child.returncode for child in children] == [0, 0]
    with open_gateway(config) as gateway:
        assert {d["version"] for d in gateway.datasets(BOSS)} == {1}
        assert gateway.verify_receipts(BOSS)["whole"]
        assert len(list((config.state / "spill").iterdir())) == 1


def test_a_killed_gateway_leaves_the_others_alone_and_its_rows_to_the_next(
    config: Config, database: str
) -> None:
    with open_gateway(config) as gateway:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(config.catalog.parent), database],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        child.stdout.readline()
        assert len(list((config.state / "spill").iterdir())) == 2
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
        with open_gateway(config):
            assert len(list((config.state / "spill").iterdir())) == 2
        ask(gateway, COUNT)
    assert list((config.state / "spill").iterdir()) == []


def test_a_gateway_keeps_the_version_it_started_with(config: Config) -> None:
    with ExitStack() as stack:
        old = stack.enter_context(open_gateway(config))
        before = ask(old, COUNT)
        assert register_next(config, "ward", lambda *_: None) == 2
        new = stack.enter_context(open_gateway(config))
        assert {d["name"]: d["version"] for d in old.datasets(BOSS)}["ward"] == 1
        assert {d["name"]: d["version"] for d in new.datasets(BOSS)}["ward"] == 2
        fresh = ask(new, COUNT)
        assert not fresh.replayed
        assert fresh.receipt_id != before.receipt_id
        assert ask(old, COUNT).receipt_id == before.receipt_id
        assert ask(new, COUNT).receipt_id == fresh.receipt_id
        (ward,) = (a for a in new.budget(BOSS)["accounts"] if a["account"] == "town/ward")
        assert ward["charges"] == 2
        assert new.verify_receipts(BOSS)["whole"]


def test_data_is_never_charged_to_another_ledger(config: Config, tmp_path: Path, postgres: object) -> None:
    with open_gateway(config) as gateway:
        ask(gateway, COUNT)
    here = Config(catalog=config.catalog, state=config.state, **SMALL)
    with pytest.raises(SetupError, match="ledger on a server") as refused, open_gateway(here):
        pytest.fail("the budget began anew in SQLite")
    assert "NOISEGATE_LEDGER" in refused.value.hint
    assert not (config.state / "ledger.sqlite").exists()
    other = Config(catalog=config.catalog, state=config.state, ledger=postgres.make_database(), **SMALL)
    with pytest.raises(SetupError, match="not the ledger"), open_gateway(other):
        pytest.fail("the budget began anew in another database")
    with pytest.raises(SetupError, match="not the ledger"):
        register_next(other, "ward", lambda *_: None)
    local = Config(catalog=config.catalog, state=tmp_path / "local", **SMALL)
    with open_gateway(local):
        pass
    (local.state / "ledger.id").unlink()  # as an older release left it
    moved = Config(catalog=config.catalog, state=local.state, ledger=config.ledger, **SMALL)
    with pytest.raises(SetupError, match="what was spent stands"), open_gateway(moved):
        pytest.fail("what was spent in SQLite was forgotten")


def test_on_sqlite_one_gateway_holds_the_directory(config: Config, tmp_path: Path) -> None:
    local = Config(catalog=config.catalog, state=tmp_path / "local", **SMALL)
    with open_gateway(local), pytest.raises(StateLocked), open_gateway(local):
        pytest.fail("two gateways share SQLite")


def test_a_server_that_is_not_there_is_told_without_its_password(config: Config, tmp_path: Path) -> None:
    gone = Config(
        catalog=config.catalog,
        state=tmp_path / "gone",
        ledger="postgresql://ann:s3cret@127.0.0.1:1/nowhere?connect_timeout=2",
        **SMALL,
    )
    with pytest.raises(LedgerUnavailable) as refused, open_gateway(gone):
        pytest.fail("there is no server")
    assert "s3cret" not in f"{refused.value.message} {refused.value.hint} {refused.value.as_json()}"
