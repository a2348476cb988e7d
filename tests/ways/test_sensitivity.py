"""No exact cell moves further than the sensitivity says: questions in SQL, on the real engine.

Random questions are asked of random neighbouring towns: others, the same with a joiner (rows permuted, on
another number of threads), and the joiner alone. Given one salt, what a unit adds depends on its own rows
only, so the three must add up: with = without + alone. From that it follows that other people's groups
do not move; what the joiner adds is held against the claim.
"""

import math
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import noisegate.engines.duckdb as engine_module
from noisegate import sql
from noisegate.engines.lower import lower
from noisegate.engines.unitrows import Statement
from noisegate.errors import RequestError
from noisegate.privacy.question import Aggregation, CountValues, Measure, Rank
from noisegate.privacy.relations import Grid
from noisegate.privacy.selection import stretches
from noisegate.privacy.sensitivity import Sensitivity, of_aggregation

from .cells import Cells, Engine, engine
from .random_towns import JOINER, questions, towns
from .world import Town, person, shuffled, visit, with_joiner


def breach(measure: Measure, claim: Sensitivity, without: Cells, joined: Cells, alone: Cells) -> str | None:
    """What a measure's cells in three towns say against the claim; None if nothing."""
    groups = set(without) | set(joined) | set(alone)
    shape = next((c.shape for cells in (without, joined, alone) for c in cells.values()), ())
    nothing = np.zeros(shape, np.int64)
    l1 = l2 = linf = moved = 0
    for group in groups:
        before, after, own = (c.get(group, nothing) for c in (without, joined, alone))
        if isinstance(measure, CountValues):
            # A value that others have as well is not new, so what the joiner adds may be less.
            if not before <= after <= before + own:
                return f"group {group}: {before} and {own} alone make {after}"
        elif not np.array_equal(after, before + own):
            return f"group {group}: {before} and {own} alone make {after}"
        if isinstance(measure, Rank):
            ends = [np.concatenate(stretches(c, measure.quantile)) for c in (before, after)]
            move = int(np.abs(ends[1] - ends[0]).max())
        else:
            move = abs(int(after) - int(before))
        moved += move > 0
        linf, l1, l2 = max(linf, move), l1 + move, l2 + move**2
    if moved > claim.groups or linf > claim.linf or l1 > claim.l1 or l2 > claim.l2_squared:
        return f"{moved} groups moved, by {linf} at most, {l1} in all; claimed {claim}"
    return None


def breaches(question: str, others: Engine, everybody: Engine, alone: Engine) -> list[str]:
    """What three towns say against the claims of a question."""
    plan = sql.read(question, others.catalog)
    cells = [town.cells(plan.private) for town in (others, everybody, alone)]
    claims = of_aggregation(plan.private)
    return [
        found
        for i, measure in enumerate(plan.private.measures)
        if (found := breach(measure, claims[i], *(c[i] for c in cells)))
    ]


@contextmanager
def three_towns(
    others: Town, joiner: Town, directory: Path, threads: int, rng: random.Random
) -> Iterator[tuple[Engine, Engine, Engine]]:
    with ExitStack() as stack:
        yield (
            stack.enter_context(engine(others, directory / "others", 1)),
            stack.enter_context(
                engine(shuffled(with_joiner(others, joiner), rng), directory / "all", threads)
            ),
            stack.enter_context(engine(joiner, directory / "alone", 1)),
        )


def search(directory: Path, examples: int) -> dict[str, int]:
    """Look for a breach in random questions over random towns; count the questions that were asked."""
    seen = {"answered": 0, "refused": 0}

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples < 100,
        suppress_health_check=list(HealthCheck),
    )
    @given(towns(), st.lists(questions(), min_size=12, max_size=12), st.integers(1, 16), st.randoms())
    def look(town: tuple[Town, Town], asked: list[str], threads: int, rng: random.Random) -> None:
        with (
            TemporaryDirectory(dir=directory) as place,
            three_towns(*town, Path(place), threads, rng) as three,
        ):
            for question in asked:
                try:
                    found = breaches(question, *three)
                except RequestError as refused:
                    seen["refused"] += 1
                    event(f"refused: {refused.code}")
                    continue
                seen["answered"] += 1
                assert not found, question

    look()
    return seen


def test_no_cell_moves_further_than_claimed(tmp_path: Path) -> None:
    seen = search(tmp_path, examples=10)
    assert seen["answered"] > 80, seen


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_cell_moves_further_than_claimed_in_a_long_search(tmp_path: Path) -> None:
    seen = search(tmp_path, examples=1_500)
    assert seen["answered"] > 10_000, seen


GREEDY: Town = {
    "people": [person(JOINER, age=100, weight=1e300, ratio=math.inf, mass=2**62)],
    "visits": [visit(JOINER, day, value=9.0, word=f"w{day % 7}") for day in range(21) for _ in range(3)],
}
QUIET: Town = {
    "people": [person(n) for n in range(1, 6)],
    "visits": [visit(n, d) for n in range(1, 6) for d in (1, 2)],
}
TELLING = (
    "SELECT count(*) FROM ward.visits",
    "SELECT kind, count(*), sum(value), avg(value), median(value) FROM ward.visits GROUP BY kind",
    "SELECT word, count(*), count(DISTINCT day) FROM ward.visits GROUP BY word",
    "SELECT day, sum(value) FROM ward.visits GROUP BY day",
    "SELECT sum(mass), var_pop(weight) FROM ward.people",
)


def test_a_greedy_person_moves_the_cells_as_far_as_claimed_and_no_further(tmp_path: Path) -> None:
    with three_towns(QUIET, GREEDY, tmp_path, 4, random.Random(1)) as three:
        for question in TELLING:
            assert breaches(question, *three) == [], question
        plan = sql.read(TELLING[0], three[0].catalog)
        (before,), (after,) = (town.cells(plan.private) for town in three[:2])
        assert after[()] - before[()] == of_aggregation(plan.private)[0].l1


def test_a_claim_of_half_the_sensitivity_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = of_aggregation

    def half(aggregation: Aggregation) -> tuple[Sensitivity, ...]:
        found = claimed(aggregation)
        return tuple(Sensitivity(s.groups, s.linf // 2, s.linf // 2) if s.linf > 1 else s for s in found)

    monkeypatch.setitem(globals(), "of_aggregation", half)
    with three_towns(QUIET, GREEDY, tmp_path, 4, random.Random(1)) as three:
        assert [question for question in TELLING if not breaches(question, *three)] == []


@pytest.mark.parametrize("forgotten", [{"rows": 63, "total": 63}, {"groups": 63, "total": 189}])
def test_an_engine_that_bounds_less_than_the_plan_says_would_be_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgotten: dict[str, int]
) -> None:
    def loosely(aggregation: Aggregation) -> tuple[Statement, ...]:
        return lower(replace(aggregation, bounding=replace(aggregation.bounding, **forgotten)))

    monkeypatch.setattr(engine_module, "lower", loosely)
    with three_towns(QUIET, GREEDY, tmp_path, 4, random.Random(1)) as three:
        assert breaches("SELECT word, count(*) FROM ward.visits GROUP BY word", *three)


def test_an_engine_that_mixed_two_people_up_would_be_noticed(tmp_path: Path) -> None:
    """A joiner who bears another person's name: as if an engine had taken two people for one."""
    double = {"people": [], "visits": [visit(1, d, value=9.0) for d in range(5)]}
    with three_towns(QUIET, double, tmp_path, 1, random.Random(1)) as three:
        assert breaches("SELECT count(*) FROM ward.visits", *three)


def large_town(people: int, rng: random.Random) -> Town:
    """Many people, so that the engine works in parallel and sums saturate."""
    sizes = [1e300, -1e300, 0.1, 1e16, 1.0, -1e16, math.nan]
    return {
        "people": [
            person(n, mass=2**62 if n % 7 else -(2**62), ratio=rng.choice(sizes), weight=rng.random() * 200)
            for n in range(1, people + 1)
        ],
        "visits": [
            visit(n, rng.randrange(21), value=rng.choice(sizes), word=f"w{n % 5}")
            for n in range(1, people + 1)
            for _ in range(3)
        ],
    }


LARGE = (
    "SELECT sum(mass), sum(ratio), avg(weight), var_samp(ratio) FROM ward.people",
    "SELECT sex, sum(weight), median(ratio) FROM ward.people GROUP BY sex",
    "SELECT kind, day, sum(value), count(DISTINCT word) FROM ward.visits GROUP BY kind, day",
    "SELECT word, avg(value), count(*) FROM ward.visits GROUP BY word",
    """SELECT sum(s), sum(r) FROM (SELECT person, sum(value) AS s, first(day ORDER BY value) AS r
       FROM ward.visits GROUP BY person)""",
    """SELECT avg(value) FROM (SELECT *, row_number() OVER (PARTITION BY person ORDER BY value) AS r
       FROM ward.visits) WHERE r = 1""",
)


@pytest.mark.parametrize("people", [5_000, pytest.param(150_000, marks=pytest.mark.slow)])
def test_neither_the_order_of_rows_nor_the_number_of_threads_moves_a_cell(
    tmp_path: Path, people: int
) -> None:
    rng = random.Random(3)
    town = large_town(people, rng)
    with ExitStack() as stack:
        engines = [stack.enter_context(engine(town, tmp_path / "1", 1))]
        for threads in (2, 16):
            place = tmp_path / str(threads)
            engines.append(stack.enter_context(engine(shuffled(town, rng), place, threads)))
        for question in LARGE:
            plan = sql.read(question, engines[0].catalog)
            found = [town.cells(plan.private) for town in engines]
            for cells in zip(*found, strict=True):
                assert all(list(c) and c.keys() == cells[0].keys() for c in cells)
                for key, cell in cells[0].items():
                    assert all(np.array_equal(c[key], cell) for c in cells), question


def test_a_sum_that_saturates_moves_no_further(tmp_path: Path) -> None:
    everybody = [person(n, mass=2**62) for n in range(1, 2_400)]
    with (
        engine({"people": everybody}, tmp_path / "all", 2) as joined,
        engine({"people": everybody[:-1]}, tmp_path / "others", 2) as others,
    ):
        asked = sql.read("SELECT sum(mass) FROM ward.people", others.catalog).private
        fine = replace(asked.measures[0], grid=Grid(0, 4 * 10**15, Fraction(1)))
        asked = replace(asked, measures=(fine,))
        (before,), (after,) = others.cells(asked), joined.cells(asked)
        assert after[()] == 2**63 - 1
        assert 0 <= after[()] - before[()] <= of_aggregation(asked)[0].linf
