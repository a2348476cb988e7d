"""docs/reference/sql.md and the reader agree, in both directions."""

import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from noisegate import sql
from noisegate.catalog.load import load
from noisegate.catalog.model import Catalog
from noisegate.errors import NoisegateError, Refused
from noisegate.privacy.expressions import Function
from noisegate.privacy.question import MAX_GROUPS
from noisegate.privacy.relations import Window
from noisegate.sql import grids, joins
from noisegate.sql import parse as limits
from noisegate.sql.aggregates import Kind
from noisegate.sql.domains import MOST_VALUES
from noisegate.sql.functions import READERS

from .pages import ROOT, fences_of, section, table, words_in

TEXT = (ROOT / "docs" / "reference" / "sql.md").read_text("utf-8")
FUNCTIONS = table(section(TEXT, "## Functions"))
AGGREGATES = table(section(TEXT, "## Aggregates"))
REFUSED = table(section(TEXT, "## What is refused"))
PLACES = {
    "over everybody": "SELECT {} FROM demo.people",
    "of a person's rows": "SELECT count(v) FROM (SELECT person, {} AS v FROM demo.visits GROUP BY person)",
    "in a window": "SELECT count(v) FROM (SELECT {} OVER (PARTITION BY person) AS v FROM demo.visits)",
    "of answers": "SELECT {} FROM (SELECT g, count(*) AS n, sum(n) AS x, count(*) > 3 AS b "
    "FROM demo.people GROUP BY g)",
}
COLUMNS = """
columns.n = { type = "int", low = 0, high = 5000, tier = "clinical" }
columns.x = { type = "float", low = 0, high = 10, step = 0.1, tier = "clinical" }
columns.b = { type = "bool", tier = "clinical" }
columns.t = { type = "str", tier = "clinical" }
columns.d = { type = "date", tier = "clinical" }
columns.s = { type = "timestamp", tier = "clinical" }
columns.g = { type = "str", values = ["u", "v"], tier = "clinical" }
"""
DEMO = f"""
[demo]
unit = "person"
[demo.tables.people]
source = "people.csv"
{COLUMNS}
[demo.tables.visits]
source = "visits.csv"
rows_per_unit = 3
{COLUMNS}
"""


# Raw texts are constants, date_trunc of a date constant is one too, and DuckDB has no way to write a DateSub.
UNREACHABLE = {exp.RawString, exp.DateTrunc, exp.DateSub}
# One form of two that mean the same.
TURNED = {Function.GT: Function.LT, Function.GE: Function.LE}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    path = tmp_path_factory.mktemp("demo") / "catalog.toml"
    path.write_text(DEMO)
    return load(path)


@pytest.fixture(scope="module")
def shipped() -> Catalog:
    return load(Path(ROOT / "catalog.toml"))


def understood(question: str, catalog: Catalog) -> bool:
    try:
        sql.read(question, catalog)
    except Refused:
        return False
    return True


def test_every_function_has_one_row() -> None:
    assert [row[0] for row in FUNCTIONS] == [f.value for f in Function]


@pytest.mark.parametrize("row", FUNCTIONS, ids=lambda r: r[0])
def test_a_function_is_read_from_each_way_of_writing_it(row: list[str], demo: Catalog) -> None:
    name, written, meaning = row
    assert meaning
    forms = re.findall(r"`([^`]+)`", written)
    assert forms
    for form in forms:
        plan = sql.read(
            f"SELECT count(*) FROM (SELECT {form} AS v FROM demo.people) WHERE v IS NOT NULL", demo
        )
        if name == Function.IS_NULL.value:
            plan = sql.read(f"SELECT count(*) FROM demo.people WHERE {form}", demo)
        function = TURNED.get(Function(name), Function(name))
        assert f"Function.{function.name}:" in repr(plan), form


def test_everything_that_can_be_read_is_written_down() -> None:
    seen: set[type[exp.Expr]] = set()
    for form in re.findall(r"`([^`]+)`", section(TEXT, "## Functions").replace("\\|", "|")):
        try:
            tree = sqlglot.parse_one(form, dialect="duckdb")
        except sqlglot.errors.SqlglotError:
            continue
        seen |= {type(node) for node in tree.walk()}
    left = set(READERS) - seen - UNREACHABLE
    assert not left, f"no example for {sorted(c.__name__ for c in left)}"


def test_every_aggregate_has_a_row() -> None:
    documented = " ".join(row[0] for row in AGGREGATES)
    for kind in Kind:
        assert f"`{kind.value.partition('(')[0]}" in documented, kind


@pytest.mark.parametrize("row", AGGREGATES, ids=lambda r: r[0].strip("`"))
def test_an_aggregate_is_understood_where_the_table_says(row: list[str], demo: Catalog) -> None:
    call = row[0].strip("`")
    for (place, text), said in zip(PLACES.items(), row[1:], strict=True):
        assert understood(text.format(call), demo) == (said == "yes"), f"{call} {place}"


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("variance(x)", "var_samp(x)"),
        ("stddev(x)", "stddev_samp(x)"),
        ("percentile_cont(0.9) WITHIN GROUP (ORDER BY x)", "quantile_cont(x, 0.9)"),
        ("quantile(x, 0.9)", "quantile_cont(x, 0.9)"),
        ("sum(b)", "count_if(b)"),
        ("count(*) FILTER (WHERE b)", "count_if(b)"),
    ],
)
def test_other_names_of_aggregates_mean_the_same(other: str, same: str, demo: Catalog) -> None:
    plans = [sql.read(f"SELECT {call} AS v FROM demo.people", demo) for call in (other, same)]
    assert plans[0] == plans[1]
    assert other.partition("(")[0] in TEXT


def test_every_window_function_has_a_row(demo: Catalog) -> None:
    rows = table(section(TEXT, "## Within a person"))
    assert len(rows) == len(Window)
    whole = " ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
    seen = ""
    for call in (row[0].strip("`") for row in rows):
        frame = whole if call.startswith("last_value") else ""
        text = f"SELECT {call} OVER (PARTITION BY person ORDER BY n{frame}) AS v FROM demo.visits"
        seen += repr(sql.read(f"SELECT count(*) FROM ({text}) WHERE v > 1", demo))
    assert all(f"Window.{w.name}:" in seen for w in Window)


@pytest.mark.parametrize(
    "question", [f.text for f in fences_of(TEXT.splitlines()) if f.language == "sql"], ids=lambda q: q[:40]
)
def test_an_example_is_understood_over_the_data_that_comes_with_noisegate(
    question: str, shipped: Catalog
) -> None:
    assert sql.describe(sql.read(question, shipped), shipped)


@pytest.mark.parametrize("row", REFUSED, ids=lambda r: r[1][:50])
def test_a_refusal_has_the_code_that_is_written_down(row: list[str], shipped: Catalog) -> None:
    code, question, _ = (cell.strip("`") for cell in row)
    with pytest.raises(NoisegateError) as refusal:
        sql.read(question, shipped)
    assert refusal.value.code == code


def test_the_limits_are_those_of_the_reader() -> None:
    documented = {row[0]: int(re.sub(r"\D", "", row[1])) for row in table(section(TEXT, "## Limits"))}
    assert list(documented.values()) == [
        limits.MAX_TEXT,
        limits.MAX_TOKENS,
        limits.MAX_DEPTH,
        limits.MAX_QUERIES,
        limits.MAX_JOINS,
        limits.MAX_AGGREGATES,
        limits.MAX_IN_LIST,
        MAX_GROUPS,
        joins.MOST_ROWS,
    ]
    assert f"at most {grids.MOST_CANDIDATES:,}" in TEXT
    assert f"fewer than {MOST_VALUES:,} values" in " ".join(TEXT.split())
    assert grids.MOST_STEPS_SQUARED == 2**21
    assert "at most 2^21 steps" in TEXT
    assert f"at most {limits.MAX_IN_LIST:,} constants" in TEXT


def test_the_codes_are_those_that_sql_can_be_refused_with() -> None:
    assert {row[0].strip("`") for row in REFUSED} <= words_in(
        (ROOT / "docs" / "reference" / "http.md").read_text("utf-8")
    )
