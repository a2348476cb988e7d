"""An association killed at each step of its way: a charge without an answer is lost, nothing is given out."""

import http.client
import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from noisegate.ledger.store import Ledger

from .door import BOSS
from .panels import MIGRAINE, opened_panel
from .serving_child import ASSOCIATING, STEPS
from .test_kills import Nursery

ASKED = {"genotypes": "panel.snps", "cases": MIGRAINE, "variants": ["rs4798812"], "epsilon": 1}
# A question passes these too; the others are of SQL alone.
SHARED = [name for name in STEPS if name not in ("after the engine", "after the noise")]


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with closing(Nursery()) as found:
        yield found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    home = tmp_path_factory.mktemp("kills") / "house"
    with opened_panel(home) as gateway:
        return home, str(gateway.create_token(BOSS, "ana", "analyst", None, None)["secret"])


def ask(port: int, secret: str, asked: dict[str, Any]) -> dict[str, Any] | None:
    """Ask; None where the server died before it replied."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        try:
            headers = {"Authorization": f"Bearer {secret}"}
            connection.request("POST", "/v1/genomes/associations", json.dumps(asked), headers)
            reply = connection.getresponse()
            said: dict[str, Any] = json.loads(reply.read())
        except (OSError, http.client.HTTPException):
            return None
    assert reply.status == 200, said
    return said


def kinds(home: Path) -> list[str]:
    with Ledger.open(home / "state") as ledger:
        assert ledger.verify().fault is None
        return [r.kind.value for r in ledger.receipts("panel", limit=10_000) if r.charge is not None]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(("before the charge", *ASSOCIATING), id="its own"),
        pytest.param(SHARED[1:], id="shared", marks=pytest.mark.slow),
    ],
)
def test_no_step_can_be_killed_without_its_charge_or_its_answer(
    nursery: Nursery, house: tuple[Path, str], steps: Sequence[str]
) -> None:
    home, secret = house
    for step in steps:
        asked = {**ASKED, "epsilon": 1 + [*SHARED, *ASSOCIATING].index(step) / 100}
        before = kinds(home)
        _, port = nursery.start(home=str(home), step=step, passes=0)
        assert ask(port, secret, asked) is None, step
        assert nursery.ended() == -signal.SIGKILL
        child, port = nursery.start(home=str(home))
        first, again = ask(port, secret, asked), ask(port, secret, asked)
        os.kill(child, signal.SIGTERM)
        assert nursery.ended() == 0
        assert first is not None
        assert again is not None
        assert again["replayed"]
        assert again["rows"] == first["rows"]
        added = kinds(home)[len(before) :]
        if step == "before the charge":
            assert added == ["charge", "answer"]
        elif step in ("after the answer is stored", "before the reply"):
            assert added == ["charge", "answer"]
            assert first["replayed"]
        else:
            assert sorted(added) == ["answer", "charge", "charge", "lost"], step
