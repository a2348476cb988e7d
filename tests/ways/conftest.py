"""A whole gateway over the shipped data, opened once for all tests of a way."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from noisegate.app import Gateway, open_gateway
from noisegate.config import Config
from noisegate.gate.access import Asker
from noisegate.ledger.records import Role

from .door import Door, opened_door

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """All three datasets, registered, with budgets a hundred times the shipped ones."""
    home = tmp_path_factory.mktemp("gateway")
    text = (ROOT / "catalog.toml").read_text()
    for digit in ("10", "6", "8"):
        text = text.replace(f"epsilon = {digit},", f"epsilon = {digit}000,")
    (home / "catalog.toml").write_text(text)
    (home / "data").symlink_to(ROOT / "data")
    with open_gateway(Config(catalog=home / "catalog.toml", state=home / "state")) as opened:
        yield opened


@pytest.fixture
def analyst(request: pytest.FixtureRequest) -> Asker:
    """An analyst of the test's own, so that accounts do not meet."""
    return Asker(request.node.name[:60].translate(str.maketrans("[]/ ", "____")), Role.ANALYST, None)


@pytest.fixture
def custodian() -> Asker:
    """The custodian of everything."""
    return Asker("custodian", Role.CUSTODIAN, None)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The application over a tiny town, with a token of each role."""
    with opened_door(tmp_path_factory.mktemp("house")) as found:
        yield found
