"""A plan must mean what its text means: without noise, on people within bounds, both give the same rows."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from noisegate import sql
from noisegate.engines.after import AfterEngine
from noisegate.engines.duckdb import DuckDB
from noisegate.privacy.after import CountOf, Estimate, MeanOf, Plan, SumOf, VarianceOf, step_of
from noisegate.privacy.exact import _open
from noisegate.privacy.expressions import Scalar
from noisegate.privacy.question import CountUnits, Moment, Rank

from .catalogs import CATALOG
from .golden import GOLDEN, Case, cases_of
from .world import people, plain_engine, private_engine

# What stands in beyond.sql is more than DuckDB itself takes.
FILES = [path for path in sorted((GOLDEN / "plans").glob("*.sql")) if path.stem != "beyond"]
CASES = [case for path in FILES for case in cases_of(path)]


@pytest.fixture(scope="module")
def plain() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = plain_engine(people(random.Random(7)))
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def private(plain: duckdb.DuckDBPyConnection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDB]:
    engine = private_engine(plain, Path(tmp_path_factory.mktemp("world")))
    yield engine
    engine.close()


def estimated(plan: Plan, estimate: Estimate, cells: tuple[int, ...]) -> Scalar:
    """The plain formulas, on exact cells."""

    def centred(position: int) -> tuple[int, float]:
        moment = plan.private.measures[position]
        assert isinstance(moment, Moment)
        return moment.centre, float(step_of(plan.private, position))

    match estimate:
        case CountOf(measure=m):
            return cells[m]
        case SumOf(measure=m):
            step = step_of(plan.private, m)
            return int(cells[m]) if step == 1 else cells[m] * float(step)
        case MeanOf(moment=m, count=n):
            centre, step_size = centred(m)
            return (centre + cells[m] / cells[n]) * step_size if cells[n] else None
        case VarianceOf(first=s, second=q, count=n, sample=sample, root=root):
            _, step_size = centred(s)
            rows = cells[n]
            if rows < 2:
                return None
            spread = (cells[q] - cells[s] ** 2 / rows) / (rows - 1 if sample else rows) * step_size**2
            return math.sqrt(spread) if root else spread
        case _:
            raise AssertionError("quantiles are left out")


def rows_of(plan: Plan, engine: DuckDB) -> list[tuple[Scalar, ...]]:
    """The rows of an answer without any noise; groups that hold nobody are left out, as SQL does."""
    keys, arrays = _open(engine.run(plan.private))
    _, present = _open(engine.run(replace(plan.private, measures=(CountUnits(),))))
    noisy = []
    for group, key in enumerate(keys):
        if plan.private.keys and not present[0][group]:
            continue
        cells = tuple(int(a[group]) for a in arrays)
        noisy.append((*key, *(estimated(plan, e.estimate, cells) for e in plan.estimates)))
    columns = (
        *((k.name, k.expression.type) for k in plan.private.keys),
        *((e.name, e.type) for e in plan.estimates),
    )
    after, rows, _ = AfterEngine().run(columns, noisy, plan.steps)
    places = [[name for name, _ in after].index(o.column) for o in plan.outputs]
    return [tuple(row[p] for p in places) for row in rows]


def in_order(rows: list[tuple[Scalar, ...]]) -> list[tuple[Scalar, ...]]:
    return sorted(rows, key=lambda row: [(v is None, str(type(v)), v if v is not None else 0) for v in row])  # type: ignore[misc]


def close(ours: Scalar, theirs: Scalar) -> bool:
    if isinstance(ours, float) or isinstance(theirs, float):
        return (
            isinstance(ours, int | float)
            and isinstance(theirs, int | float)
            and math.isclose(ours, theirs, rel_tol=1e-3, abs_tol=1e-3)
        )
    return ours == theirs


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.path.stem}: {c.title}")
def test_a_plan_answers_what_its_text_asks(
    case: Case, plain: duckdb.DuckDBPyConnection, private: DuckDB
) -> None:
    plan = sql.read(case.question, CATALOG)
    if any(isinstance(m, Rank) for m in plan.private.measures):
        assert _open(private.run(plan.private))[1], (
            "quantiles are chosen by noise: here they only have to run"
        )
        return
    theirs = [tuple(row) for row in plain.execute(case.question).fetchall()]
    ours = rows_of(plan, private)
    if "ORDER BY" not in case.question.rpartition(")")[2]:
        ours, theirs = in_order(ours), in_order(theirs)
    assert len(ours) == len(theirs)
    for row, expected in zip(ours, theirs, strict=True):
        assert all(close(a, b) for a, b in zip(row, expected, strict=True)), f"{ours} is not {theirs}"
