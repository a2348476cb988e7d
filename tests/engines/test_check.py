"""The independent check: what is refused, and that what is rendered passes at little cost."""

import json
import time

import duckdb
import pytest

from noisegate.engines import check
from noisegate.engines.check import Checker, _parsed_level_by_level, parsed
from noisegate.engines.lower import lower
from noisegate.errors import InternalError
from noisegate.privacy.question import Aggregation, Bounding, CountRows, CountUnits, Key

from .lab import STR, col, tables
from .plans import VISITS

TABLES = frozenset({("ds_lab", "visits")})
SCAN = 'FROM "ds_lab"."main"."visits" AS s'

REFUSED = [
    "",
    "SELECT",
    f"SELECT s.n AS c0 {SCAN}; DROP TABLE x",
    f"SELECT s.n AS c0 {SCAN}; SELECT s.n AS c0 {SCAN}",
    "DROP TABLE ds_lab.main.visits",
    "ATTACH '/tmp/x.duckdb'",
    f"COPY (SELECT s.n AS c0 {SCAN}) TO '/tmp/x.csv'",
    "SET threads = 1",
    "PRAGMA database_list",
    "DETACH ds_lab",
    "CREATE TABLE t AS SELECT 1",
    "SHOW TABLES",
    "SELECT t.x AS c0 FROM duckdb_settings() AS t",
    "SELECT t.x AS c0 FROM read_csv('/etc/passwd') AS t",
    "SELECT t.x AS c0 FROM '/etc/passwd' AS t",
    "SELECT t.x AS c0 FROM range(10) AS t",
    'SELECT s.n AS c0 FROM "ds_lab"."main"."people" AS s',
    'SELECT s.n AS c0 FROM "ds_lab"."noisegate"."snapshot" AS s',
    'SELECT s.n AS c0 FROM "ds_lab"."visits" AS s',
    "SELECT s.n AS c0 FROM visits AS s",
    "SELECT s.n AS c0 FROM information_schema.tables AS s",
    f"SELECT * {SCAN}",
    f"SELECT s.* {SCAN}",
    f"SELECT random() AS c0 {SCAN}",
    f"SELECT current_date AS c0 {SCAN}",
    f"SELECT current_setting('threads') AS c0 {SCAN}",
    f"SELECT getvariable('x') AS c0 {SCAN}",
    f"SELECT error('x') AS c0 {SCAN}",
    f"SELECT md5(s.s) AS c0 {SCAN}",
    f"SELECT main.abs(s.n) AS c0 {SCAN}",
    f"SELECT CAST(s.n AS JSON) AS c0 {SCAN}",
    f"SELECT s.n::INTEGER[] AS c0 {SCAN}",
    f"SELECT (SELECT 1) AS c0 {SCAN}",
    f"SELECT s.n AS c0 {SCAN} WHERE s.n IN (SELECT t.n {SCAN.replace(' s', ' t')})",
    f"SELECT s.n AS c0 {SCAN} LIMIT 1",
    f"SELECT s.n AS c0 {SCAN} TABLESAMPLE 10%",
    f"SELECT s.n AS c0 {SCAN}, {SCAN.replace('FROM ', '').replace(' s', ' t')}",
    f"SELECT s.n AS c0 {SCAN} FULL JOIN {SCAN.replace('FROM ', '').replace(' s', ' t')} ON s.n = t.n",
    f"(SELECT s.n AS c0 {SCAN}) UNION (SELECT s.n AS c0 {SCAN})",
    f"(SELECT s.n AS c0 {SCAN}) EXCEPT ALL (SELECT s.n AS c0 {SCAN})",
    (
        f"WITH RECURSIVE r0 AS ((SELECT s.n AS c0 {SCAN}) UNION ALL (SELECT t.c0 AS c0 FROM r0 AS t)) "
        "SELECT t.c0 AS c0 FROM r0 AS t"
    ),
    f"SELECT s.n AS c0 {SCAN} GROUP BY ALL",
    "SELECT t.c0 AS c0 FROM (VALUES (1)) AS t(c0)",
    "SELECT 1 AS c0",
]


@pytest.fixture(scope="module")
def checker() -> Checker:
    return Checker()


@pytest.mark.parametrize("sql", REFUSED)
def test_anything_but_a_plain_select_of_known_words_is_refused(checker: Checker, sql: str) -> None:
    with pytest.raises(InternalError) as caught:
        checker.check(sql, TABLES)
    assert caught.value.message == "a rendered plan did not pass its own check, so it was not run"
    assert sql not in str(caught.value) or not sql


def test_each_refused_text_becomes_acceptable_without_its_fault(checker: Checker) -> None:
    checker.check(f"SELECT s.n AS c0, abs(s.n) AS c1, CAST(s.n AS DOUBLE) AS c2 {SCAN}", TABLES)
    checker.check(f"(SELECT s.n AS c0 {SCAN}) UNION ALL (SELECT s.n AS c0 {SCAN})", TABLES)
    checker.check(f"WITH r0 AS (SELECT s.n AS c0 {SCAN}) SELECT t.c0 AS c0 FROM r0 AS t", TABLES)


PLAN = Aggregation(
    VISITS, (Key("s", col("s", STR), tuple("abcdefgh")),), (CountUnits(), CountRows()), Bounding(3, 1)
)


def test_a_refusal_is_not_remembered_as_a_pass(checker: Checker) -> None:
    (statement,) = lower(PLAN)
    for _ in range(2):
        with pytest.raises(InternalError):
            checker.check(statement.sql, frozenset())
    checker.check(statement.sql, tables(VISITS))


def test_a_plan_that_comes_again_is_checked_in_microseconds() -> None:
    checker = Checker()
    (statement,) = lower(PLAN)
    checker.check(statement.sql, tables(VISITS))
    start = time.process_time()
    for _ in range(100):
        checker.check(statement.sql, tables(VISITS))
    assert (time.process_time() - start) / 100 < 1e-4


def test_what_is_remembered_of_a_plan_is_small_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "REMEMBERED", 3)
    checker = Checker()
    long = ", ".join(f"{n}" for n in range(20_000))
    for n in range(5):
        checker.check(f"SELECT s.n IN ({long}, -{n}) AS c0 {SCAN}", tables(VISITS))
    assert len(checker.passed) == 3
    assert all(len(digest) == 32 for digest, _ in checker.passed)
    with pytest.raises(InternalError):
        checker.check(f"SELECT s.n IN ({long}, -4) AS c0 {SCAN}", frozenset())


def test_an_ordinary_plan_is_checked_in_about_a_millisecond() -> None:
    checker = Checker()
    (statement,) = lower(PLAN)
    times = []
    for n in range(20):
        start = time.process_time()
        checker.check(statement.sql.replace("AS g", f"AS g{n}").replace("g.", f"g{n}."), tables(VISITS))
        times.append(time.process_time() - start)
    assert sorted(times)[5] < 3e-3


def test_both_json_readers_see_the_same() -> None:
    sql = f"SELECT CASE WHEN s.n > 1 THEN 'a,]}}\\\"' ELSE NULL END AS c0, -1.5e0 AS c1 {SCAN}"
    text = duckdb.connect().execute("SELECT json_serialize_sql($1)", [sql]).fetchall()[0][0]
    assert _parsed_level_by_level(text) == json.loads(text)
    deep = parsed('{"deep": ' + "[" * 100_000 + "]" * 100_000 + "}")
    levels = 0
    while deep:
        deep, levels = (deep["deep"] if isinstance(deep, dict) else deep[0]), levels + 1
    assert levels == 100_000
