"""Budgets on a ledger whose clock is set by hand, without an engine: no question is asked here."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from noisegate.app.registration import open_accounts
from noisegate.catalog.load import load
from noisegate.catalog.model import Budget, Catalog, Every
from noisegate.gate.access import Asker, Role
from noisegate.ledger.records import Charge
from noisegate.ledger.store import Ledger
from noisegate.privacy.curves import pure

CATALOG = """
[ward]
title = "A ward"
population = "town"
unit = "person"
budget = { epsilon = 3, delta = 1e-6 }
[ward.tables.people]
source = "people.csv"
columns.age = { type = "int", low = 0, high = 100, tier = "clinical" }

[clinic]
title = "A clinic"
population = "town"
unit = "person"
budget = { epsilon = 2, delta = 1e-6 }
[clinic.tables.tests]
source = "tests.csv"
columns.result = { type = "int", low = 0, high = 5, tier = "clinical" }
"""
BOSS = Asker("boss", Role.CUSTODIAN, None)
WARDEN = Asker("warden", Role.CUSTODIAN, frozenset({"ward"}))
BOTH = Asker("both", Role.CUSTODIAN, frozenset({"ward", "clinic"}))
ANA = Asker("ana", Role.ANALYST, frozenset({"ward"}))
AUDITOR = Asker("aude", Role.AUDITOR, None)
START = int(datetime(2026, 5, 20, 12, tzinfo=UTC).timestamp())


def at(text: str) -> int:
    """A moment in seconds since 1970."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


class House:
    """A catalog, a ledger and a clock; `desk` is as much of a desk as budgets need."""

    def __init__(self, catalog: Catalog, ledger: Ledger, clock: Clock) -> None:
        self.ledger, self.clock = ledger, clock
        self.desk: Any = SimpleNamespace(catalog=catalog, ledger=ledger)

    def declare(self, **every: Every) -> None:
        """Declare how long the periods of datasets and populations last; accounts are opened anew by none."""
        self.desk.catalog = lasting(self.desk.catalog, every)

    def charge(self, account: str, epsilon: object, tier: str = "clinical") -> None:
        """Charge an analyst's account and all above it."""
        parts = account.split("/")
        accounts = tuple("/".join(parts[:n]) for n in range(1, 5))
        body: Mapping[str, object] = {"asker": parts[3]}
        self.ledger.charge(
            Charge(
                accounts=accounts,
                loss=pure(Fraction(str(epsilon))),
                datasets=(parts[1],),
                fingerprint=f"{account} {self.clock.now} {epsilon}",
                body=body,
                asker=parts[3],
                tier=tier,
            )
        )


def lasting(catalog: Catalog, every: Mapping[str, Every]) -> Catalog:
    """The catalog with periods for the datasets and populations that are named."""

    def budget(name: str, held: Budget) -> Budget:
        return replace(held, every=every.get(name, held.every))

    return replace(
        catalog,
        datasets=tuple(replace(d, budget=budget(d.name, d.budget)) for d in catalog.datasets),
        populations=MappingProxyType({n: budget(n, b) for n, b in catalog.populations.items()}),
    )


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    path = tmp_path / "catalog.toml"
    path.write_text(CATALOG)
    return load(path)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "state", clock=clock) as opened:
        yield opened


@pytest.fixture
def house(catalog: Catalog, ledger: Ledger, clock: Clock) -> House:
    """Accounts without end, as they are opened where the catalog says nothing of periods."""
    open_accounts(ledger, catalog)
    return House(catalog, ledger, clock)


@pytest.fixture
def monthly(catalog: Catalog, ledger: Ledger, clock: Clock) -> House:
    """Accounts whose periods end with May 2026."""
    each_month = lasting(catalog, dict.fromkeys(("ward", "clinic", "town"), Every.MONTH))
    open_accounts(ledger, each_month)
    return House(each_month, ledger, clock)
