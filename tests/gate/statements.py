"""Datasets, accounts and receipts to state the privacy of, one of every kind."""

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from noisegate.catalog.describe import describe_dataset
from noisegate.catalog.load import load
from noisegate.catalog.model import Catalog
from noisegate.gate.statement.dataset import dataset_statement
from noisegate.gate.statement.release import release_statement
from noisegate.ledger.accounts import Account, AccountState, Balance, Lifetime, Period
from noisegate.ledger.records import Receipt, ReceiptKind, canonical, loss_as_json
from noisegate.privacy.curves import gaussian, pure
from noisegate.privacy.filter import Limits, capacity
from noisegate.privacy.loss import ZERO

F = Fraction
Json = Mapping[str, object]
BEGAN = 1_768_471_200  # 2026-01-15 10:00:00 UTC
NOW = BEGAN + 3_600
CATALOG = """
[policy.tiers]
demographic = { default_epsilon = 0.5, max_epsilon = 2 }
clinical    = { default_epsilon = 0.25, max_epsilon = 1 }

[ward]
title = "A small ward"
population = "town"
unit = "person"
budget = { epsilon = 3, delta = 1e-6 }
notes = "Dates are shifted by up to a week."

[ward.tables.people]
source = "secret-place/people.csv"
rows_per_unit = 1
expected_units = 400
columns.age  = { type = "int", low = 0, high = 100, measured_in = "years", tier = "demographic" }
columns.sex  = { type = "str", values = ["f", "m"], tier = "demographic" }
columns.note = { type = "str", tier = "restricted" }

[ward.tables.tests]
source = "secret-place/tests.csv"
rows_per_unit = 60
groups_per_unit = 6
columns.test  = { type = "str", values = ["hdl", "sbp"], tier = "clinical" }
columns.value = { type = "float", step = 0.5, tier = "clinical", by.test.sbp = { low = 60, high = 260 }, \
by.test.hdl = { low = 10, high = 150 } }

[ward.tables.kinds]
source = "secret-place/kinds.csv"
public = true
columns.test = { type = "str", values = ["hdl", "sbp"], nullable = false }

[clinic]
title = "Visits made up"
synthetic = true
population = "town"
unit = "person"
budget = { epsilon = 2, delta = 0 }

[clinic.tables.visits]
source = "secret-place/visits.csv"
rows_per_unit = 3
columns.kind = { type = "str", values = ["a", "b"], tier = "clinical" }
"""
QUESTION = "SELECT sex, avg(age) FROM ward.people GROUP BY sex"


def catalog_in(directory: Path) -> Catalog:
    path = directory / "catalog.toml"
    path.write_text(CATALOG)
    return load(path)


def balance(
    account: str,
    epsilon: Fraction,
    delta: Fraction,
    *,
    period: int = 1,
    until: int | None = None,
    state: AccountState = AccountState.OPEN,
) -> Balance:
    """An account that lost ε 1/2 four times in this period, and as much in each before it."""
    limits = Limits.of(epsilon, delta)
    lost = pure(F(1, 2)).times(4)
    life = Lifetime(epsilon * period, delta * period, lost.times(period), 4 * period)
    share = Period(period, BEGAN, until)
    return Balance(Account.at(account, limits), capacity(limits), lost, ZERO, 4, share, life, state)


def accounts_of(catalog: Catalog, name: str, **of_dataset: object) -> tuple[Balance, Balance]:
    """The accounts of a dataset's population and of the dataset, with the limits that were declared."""
    dataset = catalog.dataset(name)
    assert dataset is not None
    root = catalog.populations[dataset.population]
    own = f"{dataset.population}/{name}"
    return (
        balance(dataset.population, root.epsilon, root.delta),
        balance(own, dataset.budget.epsilon, dataset.budget.delta, **of_dataset),  # type: ignore[arg-type]
    )


def of_dataset(catalog: Catalog, name: str, *, spent: bool = False, **of_account: object) -> Json:
    dataset = catalog.dataset(name)
    assert dataset is not None
    accounts = accounts_of(catalog, name, **of_account)
    seen = [b.id for b in accounts] if spent else []
    return dataset_statement(dataset, 2, catalog, accounts, NOW, seen).as_json()


def body(**changed: object) -> dict[str, object]:
    """The body of a charge's receipt, of a mean of ages by sex."""
    loss = pure(F(1, 2))
    return {
        "accounts": ["town", "town/ward", "town/ward/default", "town/ward/default/ana"],
        "periods": {"town": 1, "town/ward": 2, "town/ward/default": 2, "town/ward/default/ana": 1},
        "datasets": ["ward"],
        "loss": loss_as_json(loss),
        "surcharges": {},
        "fingerprint": "f" * 64,
        "idempotency": None,
        "asker": "ana",
        "tier": "demographic",
        "daily": None,
        "steps": None,
        "conditions": "[]",
        "public": {
            "question": QUESTION,
            "plan": [
                "reads ward.people (one row a person): age, sex",
                "groups by sex: 'f', 'm'",
                "measure 1: sum of deviations of age, in 0 .. 100, step 1",
                "measure 2: count of rows",
                "each person counts with one row in one group",
                "shows sex: sex",
                "shows avg: mean from measures 1 and 2, in years",
            ],
            "mechanisms": ["Moment: discrete Laplace, scale 150", "CountRows: discrete Laplace, scale 6"],
            "clamping": ["values below 0 count as 0, above 100 as 100"],
            "nominal_epsilon": 0.5,
            "epsilon": 0.5,
            "delta": 0.0,
            "loss": loss_as_json(loss),
            "versions": {"ward": 2},
            "asker": "ana",
            "role": "analyst",
        },
    } | changed


def public(**changed: object) -> dict[str, object]:
    """A body whose public part is changed."""
    said = body()["public"]
    assert isinstance(said, dict)
    return body(public=said | changed)


def receipt(content: Json, kind: ReceiptKind = ReceiptKind.CHARGE, seq: int = 17) -> Receipt:
    text = canonical(content)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Receipt("ward", seq, kind, 4, BEGAN, text, "0" * 64, digest)


def of_release(catalog: Catalog, content: Json, outcome: ReceiptKind | None = ReceiptKind.ANSWER) -> Json:
    names = content["datasets"]
    assert isinstance(names, list)
    declared = [describe_dataset(d) for d in catalog.datasets if d.name in names]
    ended = None if outcome is None else receipt({"sha256": "ab" * 32}, outcome, 18)
    return release_statement(receipt(content), declared, NOW, ended).as_json()


BODIES: Mapping[str, Json] = {
    "a mean with Laplace noise": body(),
    "Gaussian noise": public(
        mechanisms=["CountRows: discrete Gaussian, σ 10"], epsilon=0.4575, delta=1e-6, clamping=[]
    )
    | {"loss": loss_as_json(gaussian(F(1, 200)))},
    "a quantile": public(mechanisms=["Rank: permute-and-flip, scale 8; ends at scale 16, ± 96"]),
    "a count at a large ε": public(mechanisms=["CountRows: discrete staircase, ε 2, stair 1, first stair 1"]),
    "private groups": public(
        mechanisms=[
            "CountUnits: discrete Laplace, scale 2",
            "groups show at a noisy count of 40 people or more",
        ],
        delta=1e-9,
    ),
    "a surcharge": public(
        price={
            "factor": 1.25,
            "epsilon": 0.125,
            "lines": [{"what": "conditions", "why": "5 conditions, 3 are free: age > 3", "adds": 0.25}],
        }
    )
    | {"surcharges": {"town/ward/default/ana": loss_as_json(pure(F(1, 8)))}},
    "a job": body(steps=100),
    "two datasets": public(versions={"ward": 2, "clinic": 1}) | {"datasets": ["clinic", "ward"]},
    "a receipt of an older version": {
        k: v
        for k, v in public().items()
        if k not in ("periods", "asker", "tier", "daily", "steps", "conditions")
    },
}
