"""Noisegate's own parts, put together for measuring: a catalog of the tables of data.py, and an engine."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from bench import data
from bench.questions import GROUPS, QUESTIONS, ROWS, Answers
from noisegate import sql
from noisegate.ask.finish import finish
from noisegate.ask.price import price
from noisegate.ask.question import Question
from noisegate.catalog.load import load
from noisegate.catalog.model import Catalog
from noisegate.engines.after import AfterEngine
from noisegate.engines.duckdb import DuckDB
from noisegate.engines.register import Snapshot, register
from noisegate.privacy.after import Plan
from noisegate.privacy.filter import Limits
from noisegate.privacy.release import release

TIMEOUT_S = 600.0
# At a maximum of 1, only noise whose stand-alone loss is ε 1 may be chosen: what the peers are given too.
POLICY = """
[policy.tiers]
public      = { default_epsilon = 1, max_epsilon = 1 }
demographic = { default_epsilon = 1, max_epsilon = 1 }
clinical    = { default_epsilon = 1, max_epsilon = 1 }
genomic     = { default_epsilon = 1, max_epsilon = 1 }
"""
COLUMNS = """
columns.sex  = {{ type = "str", values = ["F", "M"], tier = "demographic", nullable = false{per_unit} }}
columns.age  = {{ type = "int", low = 18, high = 100, tier = "demographic", nullable = false{per_unit} }}
columns.site = {{ type = "int", values = {sites}, tier = "demographic", nullable = false }}
columns.bmi  = {{ type = "float", low = 10, high = 70, step = 0.01, tier = "clinical", nullable = false }}
"""


@dataclass(frozen=True, slots=True)
class Source:
    """A table of the benchmark, in a dataset of its own: `bench_<name>.rows`."""

    name: str
    path: Path
    rows_per_unit: int
    groups_per_unit: int
    columns: str
    max_rows: int = 200_000_000

    @property
    def table(self) -> str:
        """The table's name in SQL."""
        return f"{self.dataset}.rows"

    @property
    def dataset(self) -> str:
        """The dataset's name."""
        return f"bench_{self.name}"

    def toml(self) -> str:
        """Return its part of a catalog."""
        return f"""
[{self.dataset}]
unit = "patient_id"
unit_type = "int"
budget = {{ epsilon = 1000, delta = 1e-6 }}
[{self.dataset}.tables.rows]
source = "{self.path}"
rows_per_unit = {self.rows_per_unit}
groups_per_unit = {self.groups_per_unit}
most_rows_per_unit = {data.MOST_ROWS}
max_rows = {self.max_rows}
{self.columns}
"""


def encounters(groups: int = GROUPS, rows: int = data.ENCOUNTERS) -> Source:
    """Return encounters, of which a person may stand in `groups` groups.

    Nobody stands in more groups than they have rows, so as many rows count where that is more than usual.
    """
    sites = str(list(range(data.SITES)))
    columns = COLUMNS.format(sites=sites, per_unit=", per_unit = true")
    return Source(f"encounters_{rows}_{groups}", data.encounters(rows), max(ROWS, groups), groups, columns)


def visits(rows: int) -> Source:
    """Return many rows of many people, of which a person may stand in the usual number of groups."""
    columns = COLUMNS.format(sites=str(list(range(data.SITES))), per_unit=", per_unit = true")
    return Source(f"visits_{rows}", data.visits(rows), ROWS, GROUPS, columns)


def people(rows: int) -> Source:
    """Return a table with one row a person."""
    columns = COLUMNS.format(sites=str(list(range(data.SITES))), per_unit="")
    return Source(f"people_{rows}", data.people(rows), 1, 1, columns)


def codes(rows: int, groups: int) -> Source:
    """Return a table with one row a person and a code of which the catalog lists no values."""
    columns = 'columns.code = { type = "int", tier = "clinical", nullable = false }'
    return Source(f"codes_{groups}", data.codes(rows, groups), 1, 1, columns)


@dataclass(frozen=True, slots=True)
class Ours:
    """Noisegate without ledger and padding, which no peer has: read, price, run, release, finish."""

    catalog: Catalog
    limits: dict[str, Limits]
    snapshots: dict[str, Snapshot]
    engine: DuckDB
    runner: AfterEngine

    def plan(self, text: str) -> Plan:
        """Return the plan of a question."""
        return sql.read(text, self.catalog)

    def run(self, plan: Plan) -> None:
        """Run the engine's part of a plan."""
        self.engine.run(plan.private)

    def answer(self, text: str, epsilon: Fraction = Fraction(1)) -> list[tuple[object, ...]]:
        """Return the rows of a noisy answer, values without their intervals."""
        plan = self.plan(text)
        offer = price(plan, Question(text, epsilon), self.catalog, self.limits)
        if offer.stand_alone > epsilon * Fraction(1_000_001, 1_000_000):  # losses are rounded up
            raise RuntimeError(f"the answer alone would lose ε {float(offer.stand_alone)}")
        noisy = release(self.engine.run(plan.private), plan.private, offer.mechanism)
        _, rows = finish(plan, noisy, offer.mechanism, self.runner)
        return [tuple(getattr(cell, "value", cell) for cell in row) for row in rows]

    def ask(self, source: Source, name: str) -> tuple[float, Answers]:
        """Answer one of the four questions; return seconds and answers by group."""
        text = next(q.sql for q in QUESTIONS if q.name == name).format(t=source.table)
        started = time.perf_counter()
        rows = self.answer(text)
        seconds = time.perf_counter() - started
        return seconds, {"" if len(r) == 1 else str(r[0]): float(str(r[-1])) for r in rows}


@contextmanager
def opened(
    sources: Sequence[Source], directory: Path, *, threads: int, memory: str = "4GB"
) -> Iterator[Ours]:
    """Register the sources under a directory and open an engine on them."""
    path = directory / "catalog.toml"
    path.write_text(POLICY + "".join(s.toml() for s in sources), encoding="utf-8")
    catalog = load(path)
    snapshots = {d.name: register(d, directory, directory / "snapshots", 1) for d in catalog.datasets}
    limits = {d.name: Limits.of(d.budget.epsilon, d.budget.delta) for d in catalog.datasets}
    engine = DuckDB(
        snapshots, memory_limit=memory, spill=directory / "spill", threads=threads, timeout_s=TIMEOUT_S
    )
    with closing(engine):
        yield Ours(catalog, limits, snapshots, engine, AfterEngine())
