"""Hostile SQL through the whole gateway: refused with a code, at no cost, at once, and in the same words
whatever the rows.

Every text is asked of two towns whose rows have little in common, so that a message which quotes a row,
or counts some, differs.
"""

import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from noisegate import sql
from noisegate.app import Gateway
from noisegate.errors import InternalError, NoisegateError, NotAggregate

from .world import ask, opened, person, plain_town, spending, visit, with_joiner

CORPUS = Path(__file__).with_name("hostile.txt")
SECONDS = 1.0  # of processor time in this thread, so that a busy machine does not count
WHERE = "SELECT count(*) FROM ward.people WHERE "
Towns = tuple[Gateway, Gateway]


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Towns]:
    home = tmp_path_factory.mktemp("towns")
    strange = {
        "people": [
            person(99, age=None, sex=None, note="'; DROP TABLE people; --", ratio=float("nan"), code=-7)
        ],
        "visits": [visit(99, day, word="passwd", value=float("inf")) for day in range(9)],
    }
    with (
        opened(plain_town(), home / "plain") as plain,
        opened(with_joiner(plain_town(3), strange), home / "strange") as other,
    ):
        yield plain, other


def sections() -> dict[str, tuple[str, ...]]:
    """The corpus, by its headings."""
    found: dict[str, list[str]] = {}
    for line in CORPUS.read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            heading = line.removeprefix("== ")
            found[heading] = []
        elif line.strip() and found:
            found[heading].append(line)
    return {heading: tuple(lines) for heading, lines in found.items()}


REFUSED = {heading: texts for heading, texts in sections().items() if not heading.startswith("answered")}
HARMLESS = sections()["answered: texts that only look hostile"]


def refusal(gateway: Gateway, text: str) -> NoisegateError:
    try:
        answer = ask(gateway, text)
    except NoisegateError as error:
        return error
    raise AssertionError(f"answered: {answer.rows}")


def complaint(towns: Towns, text: str, code: str) -> str | None:
    """What is wrong with how a text is refused; None if nothing is."""
    before = [spending(town) for town in towns]
    started = time.thread_time()
    errors = [refusal(town, text) for town in towns]
    took = (time.thread_time() - started) / len(towns)
    told = [json.dumps(error.as_json()).encode() for error in errors]
    if told[0] != told[1]:
        return f"two towns, two messages: {told}"
    if errors[0].code != code:
        return f"{errors[0].code} instead of {code}: {errors[0]}"
    if [spending(town) for town in towns] != before:
        return "it cost something"
    if took > SECONDS:
        return f"it took {took:.1f} s"
    if len(told[0]) > 4_000 or re.search(rb"Traceback|duckdb\.|\.py\b", told[0]):
        return f"it tells too much: {told[0][:200]!r}"
    return None


@pytest.mark.parametrize("heading", REFUSED)
def test_hostile_questions_are_refused_at_no_cost_and_in_the_same_words_whatever_the_rows(
    towns: Towns, heading: str
) -> None:
    code = heading.partition(":")[0]
    wrong = {text: found for text in REFUSED[heading] if (found := complaint(towns, text, code))}
    assert not wrong


@pytest.mark.parametrize("text", HARMLESS)
def test_texts_that_only_look_hostile_are_answered_and_change_nothing(towns: Towns, text: str) -> None:
    held = [ask(town, text) for town in towns]
    assert held[0].columns == held[1].columns
    assert all(len(answer.rows) == 1 for answer in held)
    assert all(ask(town, "SELECT count(*) FROM ward.people").rows for town in towns)


def nested(opening: str, inside: str, closing: str, levels: int) -> str:
    return opening * levels + inside + closing * levels


def doubling(levels: int) -> str:
    return nested("SELECT n * 2 + n AS n FROM (", "SELECT count(*) AS n FROM ward.people", ")", levels)


def aliases(levels: int) -> str:
    named = ", ".join(f"a{i} * 2 + a{i} AS a{i + 1}" for i in range(levels))
    return f"SELECT count(*) AS a0, {named} FROM ward.people"


LARGE = {
    "brackets, 10,000 deep": ("too_large", WHERE + nested("(", "age > 1", ")", 10_000)),
    "NOT, 10,000 deep": ("too_large", WHERE + "NOT " * 10_000 + "age > 1"),
    "minus, 10,000 deep": ("too_large", WHERE + "age > " + "- " * 10_000 + "1"),
    "sub-queries, 10,000 deep": (
        "too_large",
        "SELECT count(*) FROM " + nested("(SELECT * FROM ", "ward.people", ")", 10_000),
    ),
    "sub-queries, 70 deep": (
        "too_large",
        "SELECT count(*) FROM " + nested("(SELECT * FROM ", "ward.people", ")", 70),
    ),
    "CASE, 1,000 deep": ("too_large", WHERE + nested("CASE WHEN age > 1 THEN ", "true", " END", 1_000)),
    "casts, 3,000 deep": ("too_large", WHERE + "age" + "::INT" * 3_000 + " > 1"),
    "IS NULL, 3,000 deep": ("too_large", WHERE + "age IS NULL" + " IS NULL" * 3_000),
    "arrows, 3,000 deep": ("too_large", WHERE + "note" + " -> 1" * 3_000),
    "square brackets, 10,000 deep": ("too_large", WHERE + "age > " + "[" * 10_000),
    "a long name of parts": ("too_large", f"SELECT count({'.'.join(['x'] * 9_000)}) FROM ward.people"),
    "concatenation, 3,000 long": ("too_large", WHERE + "note" + " || note" * 3_000 + " = 'x'"),
    "a comment of 1 MB": ("too_large", WHERE + "age > 1 /*" + "x" * 2**20 + "*/"),
    "a text of 1 MB": ("too_large", WHERE + "note = '" + "x" * 2**20 + "'"),
    "a list of 1 MB": ("too_large", WHERE + f"age IN ({','.join(map(str, range(150_000)))})"),
    "1,001 values": ("too_large", WHERE + f"age IN ({','.join(map(str, range(1_001)))})"),
    "20,000 commas": ("too_large", "SELECT " + "," * 20_000),
    "5,000 aggregates": ("too_large", f"SELECT {', '.join(['count(*)'] * 5_000)} FROM ward.people"),
    "1e10 groups": (
        "too_large",
        "SELECT count(*) FROM ward.people GROUP BY age, age + 1, age + 2, age * 2, age * 3",
    ),
    "33 joins": (
        "too_large",
        "SELECT count(*) FROM ward.people a"
        + "".join(f" JOIN ward.people b{i} USING (person)" for i in range(33)),
    ),
    "21 joins of many rows": (
        "too_large",
        "SELECT count(*) FROM ward.visits a"
        + "".join(f" JOIN ward.visits b{i} USING (person)" for i in range(20)),
    ),
    "30 joins with everything": (
        "too_large",
        "SELECT count(*) FROM ward.visits a" + "".join(f" JOIN ward.kinds b{i} ON true" for i in range(30)),
    ),
    "200 unions": (
        "too_large",
        f"SELECT count(*) FROM ({' UNION ALL '.join(['SELECT person FROM ward.people'] * 200)})",
    ),
    "CTEs that double 20 times": (
        "too_large",
        "WITH t0 AS (SELECT person FROM ward.visits), "
        + ", ".join(
            f"t{i + 1} AS (SELECT a.person FROM t{i} a JOIN t{i} b USING (person))" for i in range(20)
        )
        + " SELECT count(*) FROM t20",
    ),
    "answers that double 16 times": ("unsupported_sql", doubling(16)),
    "answers that double 62 times": ("unsupported_sql", doubling(62)),
    "aliases that double 12 times": ("unsupported_sql", aliases(12)),
    "aliases that double 60 times": ("unsupported_sql", aliases(60)),
    "joins without a condition": (
        "unsupported_sql",
        "SELECT count(*) FROM ward.people a" + "".join(f" JOIN ward.people b{i}" for i in range(30)),
    ),
    "a LIKE of 5,000 wildcards": ("unsupported_sql", WHERE + "note LIKE '" + "%a" * 5_000 + "'"),
    "a LIKE of 1,000 places": ("unsupported_sql", WHERE + "note LIKE '" + "_%" * 1_000 + "'"),
    "10,001 dollars": ("unsupported_sql", WHERE + "$" * 10_001),
    "9,999 quotes": ("unsupported_sql", WHERE + "note = " + "'" * 9_999),
    "a number of 50,000 digits": ("bad_input", WHERE + "age > " + "9" * 50_000),
    "a number beyond a double": ("bad_input", WHERE + "ratio > 1e999999999"),
    "a number beyond 64 bits": ("bad_input", WHERE + "age > 9223372036854775808"),
    "an interval beyond time": ("unsupported_sql", WHERE + "born + INTERVAL '999999999 years' > born"),
    "the 30th of February": ("bad_input", WHERE + "born > '2021-02-30'"),
    "a date before our era": ("bad_input", WHERE + "born > '-0044-03-15'"),
    "a date after the last": ("bad_input", WHERE + "born > DATE '99999-01-01'"),
    "an infinite date": ("bad_input", WHERE + "born > 'infinity'"),
    "25 o'clock": ("bad_input", WHERE + "seen > TIMESTAMP '2020-01-01 25:00:00'"),
    "a limit beyond 64 bits": ("bad_input", "SELECT count(*) FROM ward.people LIMIT 99999999999999999999"),
    "NUL": ("bad_input", WHERE + "note = 'a\0b'"),
    "half a surrogate pair": ("bad_input", WHERE + "note = '\ud800'"),
    "text written backwards": ("bad_input", WHERE + "note = '\u202ex'"),
    "a space of no width": ("bad_input", "SELECT count(*) FROM ward.peo\u200bple"),
    "a byte-order mark": ("bad_input", "\ufeffSELECT count(*) FROM ward.people"),
    "a line end that ends no comment": ("bad_input", "SELECT count(*) -- x\u2028FROM ward.people"),
    "a Cyrillic a": ("unsupported_sql", "SELECT count(\u0430ge) FROM ward.people"),
    "a Cyrillic a in quotes": ("unsupported_sql", 'SELECT count("\u0430ge") FROM ward.people'),
    "a Kelvin sign, a small k": ("unsupported_sql", "SELECT count(*) FROM ward.\u212ainds"),
    "a long s, a capital S": ("unsupported_sql", 'SELECT count("\u017fecret") FROM ward.people'),
    "a dotless i": ("unsupported_sql", "SELECT count(*) FROM ward.v\u0131s\u0131ts"),
    "full-width letters": ("unsupported_sql", "\uff33ELECT count(*) FROM ward.people"),
    "a Greek question mark": ("unsupported_sql", "SELECT count(*) FROM ward.people\u037e SELECT 1"),
    "nothing": ("unsupported_sql", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_texts_that_are_too_much_are_refused_before_they_cost_anything(towns: Towns, name: str) -> None:
    code, text = LARGE[name]
    assert complaint(towns, text, code) is None


def costly_failure(gateway: Gateway, text: str) -> NoisegateError | None:
    """The error with which a text fails after it was charged, or that is not the asker's to mend."""
    before = spending(gateway)
    try:
        ask(gateway, text)
    except NoisegateError as error:
        return error if error.status >= 500 or spending(gateway) != before else None
    return None


DEEP_BUT_FAIR = (
    WHERE + nested("(", "age > 1", ")", 95),
    WHERE + nested("abs(", "age", ")", 95) + " > 1",
    WHERE + nested("CASE WHEN age > 1 THEN ", "true", " ELSE false END", 90),
    WHERE + " AND ".join(["age > 1"] * 2_000),
    WHERE + "age" + " * age" * 60 + " > 1",
    WHERE + nested("replace(", "note", ", 'x', 'xxxxxxxxxxxxxxxxxxxxxxxxxx')", 20) + " = 'x'",
    WHERE + nested("upper(", "note", ")", 40) + " = 'X'",
    WHERE + "left(note, 9223372036854775807) = 'x' OR substring(note, -9223372036854775807, 3) = 'x'",
    WHERE + "round(ratio, 9223372036854775807) > 1 OR round(age, 5000000000) > 1",
    WHERE + "power(age, 1000000000) > 1 OR ratio > 1e308 OR ratio > 1e-999999999",
    WHERE + "born + 99999999999 > born",
    "SELECT count(*) FROM " + nested("(SELECT person, age FROM ", "ward.people", ")", 40),
    "SELECT " + nested("abs(", "count(*)", ")", 90) + " FROM ward.people",
    nested("SELECT n FROM (", "SELECT count(*) AS n FROM ward.people", ")", 60),
    "SELECT age" + " * age" * 20 + " AS k, count(*) FROM ward.people GROUP BY k",
    "SELECT power(power(age, 100), 100) AS k, count(*) FROM ward.people GROUP BY k",
    "SELECT " + ", ".join(f"count_if(age = {i})" for i in range(64)) + " FROM ward.people",
)


@pytest.mark.parametrize("text", DEEP_BUT_FAIR, ids=range(len(DEEP_BUT_FAIR)))
def test_what_the_limits_allow_is_answered_or_refused_but_never_fails_after_the_charge(
    towns: Towns, text: str
) -> None:
    assert costly_failure(towns[0], text) is None


def test_spliced_and_cut_questions_never_crash_and_never_fail_after_the_charge(towns: Towns) -> None:
    rng = random.Random(20)
    pool = [text for texts in (*REFUSED.values(), HARMLESS) for text in texts]
    words = [re.findall(r"\w+|'[^']*'|\s+|.", text) for text in pool]
    for _ in range(400):
        first, second = rng.choice(words), rng.choice(words)
        spliced = first[: rng.randrange(len(first) + 1)] + second[rng.randrange(len(second)) :]
        if rng.random() < 0.3 and spliced:
            del spliced[rng.randrange(len(spliced))]
        text = "".join(spliced)
        assert costly_failure(towns[0], text) is None, text


def test_the_check_notices_a_message_that_depends_on_rows(
    towns: Towns, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "SELECT * FROM ward.people"
    assert complaint(towns, text, "not_aggregate") is None
    connections = iter([town._desk.engine._connection for town in towns])

    def talkative(*_: object) -> None:
        held = next(connections).execute("SELECT count(*) FROM ds_ward.main.people").fetchone()
        raise NotAggregate(f"{held} rows cannot be listed")

    monkeypatch.setattr(sql, "read", talkative)
    assert "two messages" in (complaint(towns, text, "not_aggregate") or "")


def test_the_check_notices_a_refusal_that_costs(towns: Towns, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise InternalError("as if the plan had not passed its check")

    monkeypatch.setattr(type(towns[0]._desk.engine), "run", fails)
    assert complaint(towns, WHERE + "age = 77", "internal") == "it cost something"
