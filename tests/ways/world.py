"""Tiny towns: a catalog that declares every kind of column, and databases of a few invented people.

A town is a mapping from table to rows. Neighbouring towns differ in all rows of one person. Files are
Parquet, written by Arrow, so NaN, infinities, huge texts and odd dates reach registration as they would
from a hospital.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from noisegate.app import Gateway, open_gateway
from noisegate.ask.answer import Answer
from noisegate.ask.question import Question
from noisegate.config import Config
from noisegate.gate.access import Asker
from noisegate.ledger.records import Role
from noisegate.privacy.expressions import Scalar

Row = Mapping[str, Scalar]
Town = Mapping[str, Sequence[Row]]

WARD = """
[policy.tiers]
public      = { default_epsilon = 0.5, max_epsilon = 50 }
demographic = { default_epsilon = 0.5, max_epsilon = 50 }
clinical    = { default_epsilon = 0.5, max_epsilon = 50 }

[policy.specificity]
lock_after = 1000    # hostile questions come by the dozen

[ward]
title = "Invented people"
synthetic = true
population = "town"
unit = "person"
budget = { epsilon = 100000, delta = 1e-6 }

[ward.tables.people]
source = "people.parquet"
rows_per_unit = 1
expected_units = 50
columns.age    = { type = "int", low = 0, high = 100, tier = "demographic", measured_in = "years" }
columns.sex    = { type = "str", values = ["f", "m"], tier = "demographic" }
columns.alive  = { type = "bool", tier = "demographic" }
columns.weight = { type = "float", low = 0, high = 200, step = 0.5, tier = "clinical", measured_in = "kg" }
columns.ratio  = { type = "float", low = -1000, high = 1000, step = 0.001, tier = "clinical" }
columns.code   = { type = "int", tier = "clinical" }
columns.mass   = { type = "int", low = -4000000000000000, high = 4000000000000000, tier = "clinical" }
columns.note   = { type = "str", tier = "clinical" }
columns.born   = { type = "date", tier = "demographic" }
columns.seen   = { type = "timestamp", tier = "demographic" }
columns.secret = { type = "str", tier = "restricted" }

[ward.tables.visits]
source = "visits.parquet"
rows_per_unit = 3
most_rows_per_unit = 100
max_rows = 1000000
groups_per_unit = 2
columns.day   = { type = "int", low = 0, high = 20, tier = "clinical", nullable = false }
columns.kind  = { type = "str", values = ["a", "b", "c"], tier = "clinical" }
columns.value = { type = "float", low = -10, high = 10, step = 0.5, tier = "clinical" }
columns.word  = { type = "str", tier = "clinical" }
columns.home  = { type = "str", values = ["north", "south"], tier = "demographic", per_unit = true }

[ward.tables.kinds]
source = "kinds.parquet"
public = true
max_rows = 10
columns.kind  = { type = "str", values = ["a", "b", "c"], nullable = false }
columns.label = { type = "str", values = ["mild", "grave"], nullable = false }
"""
CATALOG = (
    WARD
    + """
[clinic]
title = "Another house of the same town"
synthetic = true
population = "town"
unit = "person"
budget = { epsilon = 100000, delta = 1e-6 }

[clinic.tables.tests]
source = "tests.parquet"
rows_per_unit = 2
columns.result = { type = "int", low = 0, high = 5, tier = "clinical" }

[abroad]
title = "People of elsewhere"
synthetic = true
population = "elsewhere"
unit = "person"
budget = { epsilon = 100000, delta = 1e-6 }

[abroad.tables.folk]
source = "folk.parquet"
rows_per_unit = 1
columns.age = { type = "int", low = 0, high = 100, tier = "demographic" }
"""
)

KINDS = ({"kind": "a", "label": "mild"}, {"kind": "b", "label": "grave"}, {"kind": "b", "label": "mild"})
COLUMNS: Mapping[str, Mapping[str, pa.DataType]] = {
    "people": {
        "person": pa.int64(),
        "age": pa.int64(),
        "sex": pa.string(),
        "alive": pa.bool_(),
        "weight": pa.float64(),
        "ratio": pa.float64(),
        "code": pa.int64(),
        "mass": pa.int64(),
        "note": pa.string(),
        "born": pa.date32(),
        "seen": pa.timestamp("us"),
        "secret": pa.string(),
    },
    "visits": {
        "person": pa.int64(),
        "day": pa.int64(),
        "kind": pa.string(),
        "value": pa.float64(),
        "word": pa.string(),
        "home": pa.string(),
    },
    "kinds": {"kind": pa.string(), "label": pa.string()},
    "tests": {"person": pa.int64(), "result": pa.int64()},
    "folk": {"person": pa.int64(), "age": pa.int64()},
}


def person(number: int, **columns: Scalar) -> dict[str, Scalar]:
    """An ordinary row of `people`, but for the columns given."""
    plain: dict[str, Scalar] = {
        "person": number,
        "age": 20 + number % 60,
        "sex": "fm"[number % 2],
        "alive": number % 3 > 0,
        "weight": 50.0 + number % 40,
        "ratio": 1.5,
        "code": 7,
        "mass": 1_000,
        "note": "12",
        "born": date(1960, 1, 1 + number % 28),
        "seen": datetime(2020, 1, 1 + number % 28, 12),  # noqa: DTZ001
        "secret": "x",
    }
    return plain | columns


def visit(number: int, day: int, **columns: Scalar) -> dict[str, Scalar]:
    """An ordinary row of `visits`, but for the columns given."""
    plain: dict[str, Scalar] = {
        "person": number,
        "day": day,
        "kind": "abc"[day % 3],
        "value": float(day % 7) - 3,
        "word": "w",
        "home": ("north", "south")[number % 2],
    }
    return plain | columns


def plain_town(size: int = 12) -> dict[str, list[Row]]:
    """Ordinary people with two visits each."""
    return {
        "people": [person(n) for n in range(1, size + 1)],
        "visits": [visit(n, day) for n in range(1, size + 1) for day in (n % 5, 5 + n % 7)],
        "tests": [{"person": n, "result": n % 6} for n in range(1, size + 1)],
        "folk": [{"person": n, "age": 30 + n} for n in range(1, size + 1)],
    }


def with_joiner(town: Town, joiner: Town) -> dict[str, list[Row]]:
    """The neighbouring town in which one more person has rows."""
    return {
        name: [*town.get(name, ()), *joiner.get(name, ())] for name in ("people", "visits", "tests", "folk")
    }


def shuffled(town: Town, rng: random.Random) -> dict[str, list[Row]]:
    """The same rows in another order."""
    return {name: rng.sample(rows, len(rows)) for name, rows in town.items()}


def write(town: Town, directory: Path, catalog: str = CATALOG) -> Path:
    """Write a catalog and its files; return the catalog's path."""
    directory.mkdir(parents=True, exist_ok=True)
    tables: dict[str, Iterable[Row]] = {name: town.get(name, ()) for name in COLUMNS}
    tables["kinds"] = KINDS
    for name, rows in tables.items():
        held = list(rows)
        columns = {c: pa.array([r[c] for r in held], kind) for c, kind in COLUMNS[name].items()}
        parquet.write_table(pa.table(columns), directory / f"{name}.parquet")
    path = directory / "catalog.toml"
    path.write_text(catalog)
    return path


@contextmanager
def opened(town: Town, directory: Path, catalog: str = CATALOG, **settings: Any) -> Iterator[Gateway]:
    """A gateway over a town, all state of it in the directory."""
    config = Config(catalog=write(town, directory, catalog), state=directory / "state", **settings)
    with open_gateway(config) as gateway:
        yield gateway


def an_analyst(name: str = "ana") -> Asker:
    """An analyst with a grant on everything."""
    return Asker(name, Role.ANALYST, None)


def ask(gateway: Gateway, sql: str, epsilon: object = "0.5", asker: Asker | None = None) -> Answer:
    """Ask in process, as an analyst."""
    return gateway.ask(Question(sql, Fraction(str(epsilon))), asker or an_analyst(), None)


def spending(gateway: Gateway) -> object:
    """All that asking could change: every account's charges and sums, and how many receipts there are."""
    ledger = gateway._ledger
    report = ledger.verify()
    assert report.fault is None
    return report.charges, [(b.id, b.charges, b.spent) for b in ledger.accounts() if b.charges]
