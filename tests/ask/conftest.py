"""A small made-up cohort behind a real desk: registered, with a real engine and ledger."""

from collections.abc import Iterator

import pytest

from noisegate.app import Gateway, open_gateway
from noisegate.ask.desk import Desk
from noisegate.config import Config
from noisegate.gate.access import Asker
from noisegate.ledger.records import Role

CATALOG = """
[policy.tiers]
clinical = { default_epsilon = 0.25, max_epsilon = 1 }
demographic = { default_epsilon = 0.5, max_epsilon = 2 }

[ward]
title = "A small ward"
population = "town"
unit = "person"
budget = { epsilon = 1000, delta = 1e-6 }

[ward.tables.people]
source = "people.csv"
rows_per_unit = 1
expected_units = 900
columns.age = { type = "int", low = 0, high = 100, tier = "demographic", nullable = false }
columns.bmi = { type = "float", low = 10, high = 60, step = 0.1, tier = "clinical", nullable = false }
columns.sex = { type = "str", values = ["f", "m"], tier = "demographic", nullable = false }

[ward.tables.visits]
source = "visits.csv"
rows_per_unit = 4
most_rows_per_unit = 5
columns.day  = { type = "int", low = 0, high = 365, tier = "clinical", nullable = false }
columns.site = { type = "str", tier = "clinical", nullable = false }

[ward.tables.sites]
source = "sites.csv"
public = true
columns.site = { type = "str" }
columns.town = { type = "str", values = ["east", "west"], nullable = false }

[pure]
title = "The same town without delta"
population = "town2"
unit = "person"
synthetic = true
budget = { epsilon = 2, delta = 0 }

[pure.tables.people]
source = "people.csv"
rows_per_unit = 1
columns.age = { type = "int", low = 0, high = 100, tier = "demographic", nullable = false }
columns.sex = { type = "str", tier = "demographic", nullable = false }
"""
PEOPLE = 900


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    home = tmp_path_factory.mktemp("ward")
    people = [f"{i},{i % 90 + 5},{18 + i % 30},{'fm'[i % 2]}" for i in range(PEOPLE)]
    visits = [f"{i},{(7 * i + d) % 365},s{i % 3}" for i in range(PEOPLE) for d in range(i % 5)]
    (home / "people.csv").write_text("\n".join(["person,age,bmi,sex", *people]) + "\n")
    (home / "visits.csv").write_text("\n".join(["person,day,site", *visits]) + "\n")
    (home / "sites.csv").write_text("site,town\ns0,east\ns1,west\ns2,west\n")
    (home / "catalog.toml").write_text(CATALOG)
    with open_gateway(Config(catalog=home / "catalog.toml", state=home / "state")) as opened:
        yield opened


@pytest.fixture
def desk(gateway: Gateway) -> Desk:
    return gateway._desk


@pytest.fixture
def ana(request: pytest.FixtureRequest) -> Asker:
    """An analyst of the test's own, so that accounts do not meet."""
    return Asker(f"ana{abs(hash(request.node.nodeid))}", Role.ANALYST, None)


@pytest.fixture
def custodian() -> Asker:
    return Asker("cus", Role.CUSTODIAN, None)
