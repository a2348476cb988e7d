"""Random questions in SQL over the tiny town's catalog, and random neighbouring towns to ask them of."""

import math
from collections.abc import Mapping, Sequence

from hypothesis import strategies as st

from .world import Row, Town, person, visit

JOINER = 99


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
        """(SELECT person, count(*) AS n, sum(value) AS s, avg(value) AS m, min(day) AS f
            FROM ward.visits AS p WHERE {} GROUP BY person)""",
        MADE,
        "visits",
    ),
    (
        """(SELECT person, kind, count(DISTINCT day) AS n, max(value) AS s, last(value ORDER BY day) AS m,
            first(day ORDER BY value) AS f FROM ward.visits AS p WHERE {} GROUP BY person, kind)""",
        {**MADE, "keys": (*MADE["keys"], "kind")},
        "visits",
    ),
    (
        """(SELECT *, row_number() OVER (PARTITION BY person ORDER BY day DESC) AS r FROM ward.visits AS p
            WHERE {}) WHERE r <= 2""",
        {**VISITS, "keys": (*VISITS["keys"], "r")},
        "visits",
    ),
    (
        """(SELECT person, day, kind, lag(value) OVER (PARTITION BY person ORDER BY day) AS s,
            sum(value) OVER (PARTITION BY person, kind) AS m,
            rank() OVER (PARTITION BY person ORDER BY kind) AS n,
            first_value(day) OVER (PARTITION BY person ORDER BY value) AS f
            FROM ward.visits AS p WHERE {})""",
        {**MADE, "keys": ("kind", "n", "f", "day")},
        "visits",
    ),
    (
        "(SELECT DISTINCT person, kind, day, value, word, home FROM ward.visits AS p WHERE {})",
        VISITS,
        "visits",
    ),
    (
        """(SELECT person, day, kind, value, word, home FROM ward.visits AS p WHERE {}
            UNION ALL SELECT person, age, sex, weight, note, sex FROM ward.people)""",
        {
            **VISITS,
            "values": ("greatest(least(value, 10), -10)", "greatest(least(day, 20), 0)"),
            "keys": ("kind",),
        },
        "visits",
    ),
    (
        """(SELECT p.person, p.age, p.sex, p.weight, v.kind, v.day, v.value, v.word FROM ward.people AS p
            JOIN ward.visits AS v ON p.person = v.person AND v.day < p.age WHERE {})""",
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
        {
            "values": ("p.value", "v.day"),
            "keys": ("p.kind", "v.kind", "p.home"),
            "private": ("p.word", "v.value"),
        },
        "none",
    ),
    (
        "ward.visits AS p LEFT JOIN ward.kinds AS k ON p.kind = k.kind WHERE {}",
        {"values": ("p.value", "p.day"), "keys": ("k.label", "p.kind", "p.home"), "private": ("p.word",)},
        "none",
    ),
)
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
