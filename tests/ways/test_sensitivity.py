"""No exact cell moves further than the sensitivity says: questions in SQL, on the real engine.

Random questions are asked of random neighbouring towns: others, the same with a joiner (rows permuted, on
another number of threads), and the joiner alone. Given one salt, what a unit adds depends on its own rows
only, so the three must add up: with = without + alone. From that it follows that other people's groups
do not move; what the joiner adds is held against the claim.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

import noisegate.engines.duckdb as engine_module
from noisegate import sql
from noisegate.catalog.load import load
from noisegate.catalog.model import Catalog
from noisegate.engines.duckdb import DuckDB
from noisegate.engines.lower import lower
from noisegate.engines.register import register
from noisegate.engines.unitrows import Statement
from noisegate.errors import Refused, RequestError
from noisegate.privacy.exact import _open
from noisegate.privacy.question import Aggregation, CountValues, Measure, Rank
from noisegate.privacy.relations import Grid
from noisegate.privacy.selection import stretches
from noisegate.privacy.sensitivity import Sensitivity, of_aggregation

from .cells import Cells, Engine, engine
from .world import Row, Town, person, shuffled, visit, with_joiner

JOINER = 99


# Questions

PREDICATES = {
    "people": (
        "age > 40", "age BETWEEN 1 AND 50", "sex = 'f'", "sex IS NULL", "alive", "NOT alive OR ratio > 0",
        "weight / age > 1", "1 / ratio > 0", "note::INTEGER > 1", "code % 2 = 0", "ratio IS NULL",
        "born > '1970-01-01'", "note LIKE '%1%'", "coalesce(weight, 0) < 60", "person <> 3",
        "person IN (SELECT person FROM ward.visits WHERE value > 0)",
        "person NOT IN (SELECT person FROM ward.visits WHERE kind = 'a')",
        "NOT EXISTS (SELECT 1 FROM ward.visits w WHERE w.person = p.person AND w.day > p.age)",
    ),
    "visits": (
        "day > 3", "kind = 'a'", "kind IS NULL OR value > 0", "value BETWEEN -3 AND 3", "word LIKE 'w%'",
        "1 / value > 0", "day % 2 = 0", "home = 'north'", "kind IN ('a', 'b')", "value IS NULL",
        "person IN (SELECT person FROM ward.people WHERE age > 40)",
        "EXISTS (SELECT 1 FROM ward.visits w WHERE w.person = p.person AND w.day = p.day + 1)",
        "kind IN (SELECT kind FROM ward.kinds WHERE label = 'grave')",
    ),
}  # fmt: skip
PEOPLE = {
    "values": ("age", "weight", "ratio", "mass", "age / 2", "-weight", "least(ratio, age)", "abs(ratio)",
               "CASE WHEN alive THEN age ELSE 0 END", "coalesce(weight, 50)", "age // 7"),
    "keys": ("sex", "alive", "age // 25", "sex = 'f'", "CASE WHEN age > 50 THEN 'old' ELSE 'young' END",
             "coalesce(sex, 'f')"),
    "private": ("note", "code", "born", "year(born)", "ratio"),
}  # fmt: skip
VISITS = {
    "values": ("day", "value", "value * 2", "abs(value)", "day - 3", "CASE WHEN kind = 'a' THEN value END",
               "greatest(value, 0)", "day // 3"),
    "keys": ("kind", "home", "day", "day // 5", "kind = 'a'", "coalesce(kind, 'c')"),
    "private": ("word", "value", "lower(word)"),
}  # fmt: skip
MADE = {"values": ("n", "s", "m", "f", "n * 2"), "keys": ("n", "f", "n > 1"), "private": ("s", "m")}
# A source in SQL with {} where a condition goes, what may be read of it, and whose predicates fit inside.
SOURCES: tuple[tuple[str, Mapping[str, Sequence[str]], str], ...] = (
    ("ward.people AS p WHERE {}", PEOPLE, "people"),
    ("ward.visits AS p WHERE {}", VISITS, "visits"),
    (
        "(SELECT person, count(*) AS n, sum(value) AS s, avg(value) AS m, min(day) AS f FROM ward.visits AS p"
        " WHERE {} GROUP BY person)",
        MADE,
        "visits",
    ),
    (
        "(SELECT person, kind, count(DISTINCT day) AS n, max(value) AS s, last(value ORDER BY day) AS m,"
        " first(day ORDER BY value) AS f FROM ward.visits AS p WHERE {} GROUP BY person, kind)",
        {**MADE, "keys": (*MADE["keys"], "kind")},
        "visits",
    ),
    (
        "(SELECT *, row_number() OVER (PARTITION BY person ORDER BY day DESC) AS r FROM ward.visits AS p"
        " WHERE {}) WHERE r <= 2",
        {**VISITS, "keys": (*VISITS["keys"], "r")},
        "visits",
    ),
    (
        "(SELECT person, day, kind, lag(value) OVER (PARTITION BY person ORDER BY day) AS s, sum(value) OVER"
        " (PARTITION BY person, kind) AS m, rank() OVER (PARTITION BY person ORDER BY kind) AS n, first_value(day)"
        " OVER (PARTITION BY person ORDER BY value) AS f FROM ward.visits AS p WHERE {})",
        {**MADE, "keys": ("kind", "n", "f", "day")},
        "visits",
    ),
    ("(SELECT DISTINCT person, kind, day, value, word, home FROM ward.visits AS p WHERE {})", VISITS, "visits"),
    (
        "(SELECT person, day, kind, value, word, home FROM ward.visits AS p WHERE {} UNION ALL"
        " SELECT person, age, sex, weight, note, sex FROM ward.people)",
        {**VISITS, "values": ("greatest(least(value, 10), -10)", "greatest(least(day, 20), 0)"), "keys": ("kind",)},
        "visits",
    ),
    (
        "(SELECT p.person, p.age, p.sex, p.weight, v.kind, v.day, v.value, v.word FROM ward.people AS p"
        " JOIN ward.visits AS v ON p.person = v.person AND v.day < p.age WHERE {})",
        {
            "values": ("age", "weight", "value", "day", "age - day"),
            "keys": ("sex", "kind", "day // 5", "age // 25"),
            "private": ("word", "value"),
        },
        "none",
    ),
    (
        "ward.people AS p LEFT JOIN ward.visits AS v ON p.person = v.person AND v.value > 0 WHERE {}",
        {
            "values": ("p.age", "p.weight", "v.value", "v.day"),
            "keys": ("p.sex", "v.kind", "v.day // 5", "v.person IS NULL"),
            "private": ("v.word", "p.note"),
        },
        "none",
    ),
    (
        "ward.visits AS p JOIN ward.visits AS v ON p.person = v.person AND p.day < v.day WHERE {}",
        {"values": ("p.value", "v.day"), "keys": ("p.kind", "v.kind", "p.home"), "private": ("p.word", "v.value")},
        "none",
    ),
    (
        "ward.visits AS p LEFT JOIN ward.kinds AS k ON p.kind = k.kind WHERE {}",
        {"values": ("p.value", "p.day"), "keys": ("k.label", "p.kind", "p.home"), "private": ("p.word",)},
        "none",
    ),
)  # fmt: skip
AGGREGATES = (
    "count(*)", "count({x})", "sum({x})", "avg({x})", "var_samp({x})", "min({x})", "max({x})", "median({x})",
    "quantile_cont({x}, 0.9)", "count(DISTINCT {x})", "count(DISTINCT {u})", "count_if({x} > 0)",
    "sum({x}) FILTER (WHERE {x} > 1)", "sum(CASE WHEN {x} > 0 THEN 1 ELSE 0 END)",
)  # fmt: skip


@st.composite
def questions(draw: st.DrawFn) -> str:
    source, columns, inside = draw(st.sampled_from(SOURCES))
    conditions = draw(st.lists(st.sampled_from(PREDICATES.get(inside, ("true",))), max_size=2)) or ["true"]
    joined = draw(st.sampled_from([" AND ", " OR "])).join(f"({c})" for c in conditions)
    keys = draw(st.lists(st.sampled_from(columns["keys"]), max_size=2, unique=True))
    if draw(st.integers(0, 3)) == 0:
        keys.append(draw(st.sampled_from(columns["private"])))
    unit = "p.person" if " AS p " in source and not source.startswith("(") else "person"
    wanted = draw(st.lists(st.sampled_from(AGGREGATES), min_size=1, max_size=3, unique=True))
    items = [a.format(x=draw(st.sampled_from(columns["values"])), u=unit) for a in wanted]
    select = ", ".join([*keys, *items])
    group = f" GROUP BY {', '.join(map(str, range(1, len(keys) + 1)))}" if keys else ""
    return f"SELECT {select} FROM {source.format(joined)}{group}"


# Towns

ODD = st.sampled_from([None, 0.0, -0.0, 1.0, 2.5, -3.0, math.nan, math.inf, -math.inf, 1e300, -1e300, 5e-324])
SMALL = st.sampled_from([None, 0, 1, 2, 45, 100, 101, -1, 2**62, -(2**62)])


def people_rows(number: int) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries(
        {
            "age": SMALL,
            "sex": st.sampled_from(["f", "m", None]),
            "alive": st.sampled_from([True, False, None]),
            "weight": ODD,
            "ratio": ODD,
            "code": SMALL,
            "mass": SMALL,
            "note": st.sampled_from([None, "1", "x", "", "12"]),
        }
    ).map(lambda given: person(number, **given))


def visit_rows(number: int) -> st.SearchStrategy[dict[str, object]]:
    return st.builds(
        lambda day, given: visit(number, day, **given),
        st.sampled_from([0, 1, 1, 2, 3, 20, 21, -1]),
        st.fixed_dictionaries(
            {
                "kind": st.sampled_from(["a", "b", "c", None]),
                "value": ODD,
                "word": st.sampled_from([None, "w", "W", "", "x"]),
            }
        ),
    )


def rows_of(number: int, most: int) -> st.SearchStrategy[dict[str, list[Row]]]:
    return st.fixed_dictionaries(
        {
            "people": st.lists(people_rows(number), max_size=1),
            # Repeated rows are ties that any order must survive.
            "visits": st.lists(visit_rows(number), max_size=most).map(lambda rows: rows + rows[:2]),
        }
    )


@st.composite
def towns(draw: st.DrawFn) -> tuple[Town, Town]:
    others: dict[str, list[Row]] = {"people": [], "visits": []}
    for number in range(1, draw(st.integers(0, 4)) + 1):
        for table, rows in draw(rows_of(number, 4)).items():
            others[table] += rows
    return others, draw(rows_of(JOINER, 7))


# The check


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
                    assert isinstance(refused, Refused) or refused.status < 500
                    continue
                seen["answered"] += 1
                assert not found, question

    look()
    return seen


def test_no_cell_moves_further_than_claimed(tmp_path: Path) -> None:
    seen = search(tmp_path, examples=14)
    assert seen["answered"] > 100, seen


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_cell_moves_further_than_claimed_in_a_long_search(tmp_path: Path) -> None:
    seen = search(tmp_path, examples=1_500)
    assert seen["answered"] > 10_000, seen


# Where random towns are too small or too tame


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


def test_a_column_of_other_people_would_be_noticed(tmp_path: Path) -> None:
    """The joiner as another person's double: an engine that mixed them up would not add up."""
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
    "SELECT sum(s), sum(r) FROM (SELECT person, sum(value) AS s, first(day ORDER BY value) AS r FROM ward.visits"
    " GROUP BY person)",
    "SELECT avg(value) FROM (SELECT *, row_number() OVER (PARTITION BY person ORDER BY value) AS r FROM ward.visits)"
    " WHERE r = 1",
)  # fmt: skip


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
