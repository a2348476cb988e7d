"""Whatever is sent, the answer is a plan or a clean refusal, soon."""

import contextlib
import logging
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate import sql
from noisegate.errors import BadInput, NoisegateError, RequestError, TooLarge, UnsupportedSql
from noisegate.privacy.expressions import PlanError
from noisegate.sql import planner
from noisegate.sql.parse import MAX_TEXT, parse

from .catalogs import CATALOG
from .golden import GOLDEN, cases_of

COUNT = "SELECT count(*) FROM liver.patients WHERE "
QUESTIONS = [c.question for path in sorted(GOLDEN.rglob("*.sql")) for c in cases_of(path)]
SOON = 5.0  # seconds, on a busy machine; without the limits some of these would take minutes

HUGE = {
    "brackets": "SELECT " + "(" * 10_000 + "1" + ")" * 10_000,
    "open brackets": "SELECT " + "(" * 10_000,
    "lists": "SELECT " + "[" * 5_000,
    "structs": "SELECT " + "{'a':" * 5_000,
    "nots": COUNT + "NOT " * 10_000 + "died",
    "minuses": COUNT + "- " * 10_000 + "age > 0",
    "complements": COUNT + "~ " * 10_000 + "age > 0",
    "cases": COUNT + "CASE WHEN " * 5_000,
    "intervals": COUNT + "INTERVAL " * 5_000,
    "sub-queries": "SELECT count(*) FROM " + "(SELECT * FROM " * 3_000 + "liver.patients" + ")" * 3_000,
    "in-queries": COUNT
    + "patient_id IN (SELECT patient_id FROM liver.patients WHERE " * 500
    + "died"
    + ")" * 500,
    "a long chain": COUNT + " AND ".join(["age > 1"] * 5_000),
    "a long product": COUNT + " * ".join(["age"] * 3_000) + " > 0",
    "powers": COUNT + "^".join(["age"] * 3_000) + " > 0",
    "joins without conditions": "SELECT count(*) FROM liver.patients" + " JOIN liver.patients" * 30,
    "many joins": "SELECT count(*) FROM liver.patients p0"
    + "".join(f" JOIN liver.patients p{i} USING (patient_id)" for i in range(1, 200)),
    "many unions": "SELECT count(*) FROM ("
    + " UNION ALL ".join(["SELECT patient_id FROM liver.patients"] * 900)
    + ")",
    "many aggregates": "SELECT "
    + ", ".join(f"count(*) FILTER (WHERE age > {i})" for i in range(65))
    + " FROM patients",
    "a long list": COUNT + "age IN (" + ", ".join(str(i) for i in range(1_001)) + ")",
    "doubling CTEs": "WITH c0 AS (SELECT patient_id FROM liver.patients)"
    + "".join(
        f", c{i + 1} AS (SELECT patient_id FROM c{i} JOIN c{i} AS b USING (patient_id))" for i in range(20)
    )
    + " SELECT count(*) FROM c20",
    "a megabyte": COUNT + "site = '" + "x" * 1_000_000 + "'",
    "a megabyte of blanks": COUNT + " " * 1_000_000 + "died",
    "a megabyte of comments": COUNT + "/* x */" * 150_000 + "died",
    "three bytes a letter": COUNT + "site = '" + "€" * (MAX_TEXT // 2) + "'",
    "nothing": "",
    "semicolons": ";" * 60_000,
    "nots between comparisons": COUNT + "died = NOT " * 4_000 + "died",
    "minuses between powers": COUNT + "age ^ - " * 6_000 + "age > 0",
    "double negatives": COUNT
    + "-(" * 99
    + "age"
    + ")" * 99
    + " > 0"
    + " AND "
    + "abs(-" * 99
    + "age"
    + ")" * 99,
    "casts": COUNT + "age" + "::INT" * 9_000 + " > 0",
    "an open quote": "SELECT 'x",
    "an open comment": "SELECT /* x",
    "an arrow": "SELECT -> FROM liver.patients",
}
ODD = {
    "NUL": COUNT + "site = 'a\x00b'",
    "escape": "SELECT \x1b[31m count(*) FROM liver.patients",
    "a lone surrogate": COUNT + "site = '\ud800'",
    "text that runs backwards": "SELECT count(*) \u202e FROM liver.patients",
    "a space that cannot be seen": "SELECT count(\u200b*) FROM liver.patients",
}


@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE.keys())
def test_huge_or_broken_questions_are_refused_soon(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises((TooLarge, UnsupportedSql)) as caught:
        sql.read(text, CATALOG)
    assert time.perf_counter() - began < SOON
    assert caught.value.message != "the question cannot be planned"
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_characters_that_hide_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"U\+"):
        sql.read(text, CATALOG)


@pytest.mark.parametrize(
    "name", ["ｐatients", "раtients", "patıents", "ﬁb"], ids=["full width", "Cyrillic", "dotless", "ligature"]
)
def test_names_that_only_look_like_ours_are_refused(name: str) -> None:
    with pytest.raises(UnsupportedSql, match="plain ASCII"):
        sql.read(f"SELECT count(*) FROM liver.{name}", CATALOG)
    with pytest.raises(UnsupportedSql, match="plain ASCII"):
        sql.read(f'SELECT count(*) AS "{name}" FROM liver.patients', CATALOG)


def test_text_constants_may_hold_any_letters() -> None:
    assert sql.read(COUNT + "site = 'Zürich 北'", CATALOG).private.measures


def test_nesting_within_the_limit_is_read() -> None:
    assert sql.read(COUNT + "(" * 90 + "age" + ")" * 90 + " > 1", CATALOG).private.measures
    assert sql.read(COUNT + " OR ".join(f"age = {i}" for i in range(900)), CATALOG).private.measures
    weights = " + ".join(f"0.{i % 9 + 1} * rs{1000 + i}" for i in range(120))
    assert sql.read(f"SELECT avg({weights}) FROM panel.snps", CATALOG).private.measures


def test_whatever_slips_through_is_a_refusal_and_not_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("patient 42")

    monkeypatch.setattr(planner, "plan_of", broken)
    with pytest.raises(UnsupportedSql) as caught:
        sql.read("SELECT count(*) FROM liver.patients", CATALOG)
    assert "42" not in caught.value.message


def test_the_parser_does_not_log_questions(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for text in (
            "SELECT count(*) FROM liver.patients FOR UPDATE",
            "SUMMARIZE liver.patients",
            "SELECT 1 +",
        ):
            with pytest.raises(NoisegateError):
                sql.read(text, CATALOG)
    assert not caplog.records


@pytest.mark.parametrize(
    "condition",
    [" + ".join(["age"] * 3_000) + " > 0", "(" * 60 + "age" + "^8)" * 60 + " > 0"],
    ids=["a long sum", "a tower of powers"],
)
def test_what_is_long_but_flat_enough_is_planned_soon(condition: str) -> None:
    began = time.perf_counter()
    assert sql.read(COUNT + condition, CATALOG).private.measures
    assert time.perf_counter() - began < SOON


def test_the_deepest_question_that_is_read_fits_on_the_stack_of_a_server() -> None:
    def deeper(frames: int) -> None:
        if frames:
            deeper(frames - 1)
            return
        outcome_is_clean(COUNT + "-abs(" * 90 + "age" + ")" * 90 + " > 0")

    deeper(200)


def outcome_is_clean(text: str) -> None:
    """Read a question without the net: a refusal is fine, anything else that is raised fails the test."""
    with contextlib.suppress(RequestError, PlanError):
        planner.plan_of(parse(text), CATALOG)


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_text_is_planned_or_refused(text: str) -> None:
    outcome_is_clean(text)


@given(st.data())
@settings(max_examples=250, deadline=None)
def test_questions_with_pieces_of_others_are_planned_or_refused(data: st.DataObject) -> None:
    words = data.draw(st.sampled_from(QUESTIONS)).split()
    others = data.draw(st.sampled_from(QUESTIONS)).split()
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(words)))
        cut = data.draw(st.integers(0, 3))
        begin = data.draw(st.integers(0, len(others) - 1))
        words[place : place + cut] = others[begin : begin + data.draw(st.integers(0, 4))]
    outcome_is_clean(" ".join(words))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_questions_with_letters_changed_are_planned_or_refused(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(QUESTIONS))
    place = data.draw(st.integers(0, len(text)))
    new = data.draw(st.text(alphabet="()'\",.;*-+/%=<>!@#$[]{}0159aeE \n\\", max_size=3))
    outcome_is_clean(text[:place] + new + text[place + data.draw(st.integers(0, 3)) :])


def test_parsing_gives_one_select() -> None:
    assert parse("select count(*) from liver.patients;;").key == "select"
