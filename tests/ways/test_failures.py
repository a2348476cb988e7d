"""What one person's rows might make fail, does not show: not in errors, not in charges, not in receipts.

Each cruel person joins the same town with values that break casts, divisions, sums, dates and texts where
nobody else's do. Whatever is asked, the two towns reply alike in all but the noisy numbers.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest

from noisegate.app import Gateway
from noisegate.ask.answer import Estimated
from noisegate.ask.question import Question
from noisegate.errors import CatalogError, NoisegateError
from noisegate.ledger.records import Charge, Charged, StoredAnswer
from noisegate.ledger.store import Ledger

from .world import WARD, Row, Town, an_analyst, ask, opened, person, plain_town, spending, visit, with_joiner

LONG = "x" * 4_096
MOST = 2**63 - 1
CRUEL: Mapping[str, Mapping[str, list[Row]]] = {
    "everything missing": {
        "people": [{**dict.fromkeys(person(0)), "person": 99}],
        "visits": [visit(99, d, kind=None, value=None, word=None, home=None) for d in range(9)],
    },
    "everything as large as can be": {
        "people": [
            person(99, age=MOST, weight=1.7e308, ratio=float("inf"), code=MOST, mass=MOST, note=str(MOST))
            | {"born": date(9999, 12, 31), "seen": datetime(9999, 12, 31, 23, 59, 59, 999999)}  # noqa: DTZ001
        ],
        "visits": [visit(99, MOST, value=1.7e308, word=LONG) for _ in range(50)],
    },
    "everything as small as can be": {
        "people": [
            person(99, age=-MOST, weight=-1.7e308, ratio=float("-inf"), code=-MOST, mass=-MOST, note="-1e400")
            | {"born": date(1, 1, 1), "seen": datetime(1, 1, 1)}  # noqa: DTZ001
        ],
        "visits": [visit(99, -MOST, value=-1.7e308, word="") for _ in range(50)],
    },
    "numbers that are none, text that is no number": {
        "people": [person(99, weight=float("nan"), ratio=float("nan"), code=0, mass=0, note="abc")],
        "visits": [visit(99, 0, value=float("nan"), word="²³ 𝟜 ٣ é \u202e '\"\\%_;--") for _ in range(5)],
    },
    "zeros and ends": {
        "people": [person(99, age=0, weight=-0.0, ratio=5e-324, code=0, mass=-(2**62), note="")],
        "visits": [visit(99, 20, value=-0.0, word=LONG[:4_095] + "é") for _ in range(3)],
    },
}

PREDICATES = (
    "CAST(note AS INTEGER) > 1",
    "note::DOUBLE > 1",
    "note::DATE > born",
    "note::TIMESTAMP IS NULL",
    "note::BOOLEAN",
    "code::VARCHAR::INTEGER = 7",
    "born::VARCHAR = note",
    "1 / code > 0",
    "1 // code = 0",
    "code % (code - 7) = 0",
    "age / (age - 20) > 1",
    "1 / ratio > 1e300",
    "ratio / 0 IS NULL",
    "ln(ratio) > 0",
    "log10(weight) > 0",
    "sqrt(ratio) > 0",
    "exp(weight * ratio) > 1",
    "power(ratio, code) > 1",
    "power(0, ratio) > 1",
    "code + 1 > code",
    "code * code > 0",
    "-code < 0",
    "abs(code) > 0",
    "mass * mass * mass > 0",
    "code - mass > 0",
    "weight * 1e308 * 1e308 > 0",
    "weight - weight = 0",
    "round(ratio, 300) > 0",
    "round(code, -18) > 0",
    "floor(weight * 1e300) > 0",
    "CAST(ratio * 1e30 AS BIGINT) > 0",
    "CAST(weight AS INTEGER) > 60",
    "born + code > born",
    "born + 3000000 > born",
    "date_diff('day', born, seen::DATE) > 0",
    "year(born) > 1960 OR month(seen) = 1 OR hour(seen) = 0",
    "date_trunc('month', born) = born",
    "note LIKE '%x%x%x%x%x%'",
    "note || note || note || note > 'x'",
    "replace(note, 'x', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx') > 'x'",
    "substring(note, code, 3) = 'x' OR left(note, code) = 'x'",
    "length(note) > 4000",
    "upper(lower(note)) = note",
    "note IN ('12', 'abc')",
    "nullif(code, 0) IS NULL OR coalesce(ratio, 0) = 0",
    "least(code, age) > greatest(mass, 0)",
    "CASE WHEN note = 'abc' THEN CAST(note AS INTEGER) / 0 ELSE 1 END = 1",
    "CASE WHEN ratio > 1e300 THEN 1 / (age - age) > 0 ELSE true END",
    "person * person > 0 AND person / (person - 99) > 0",
)
WHOLE = (
    *(f"SELECT count(*) FROM ward.people WHERE {predicate}" for predicate in PREDICATES),
    "SELECT sum(weight), avg(weight), var_samp(weight), stddev_pop(weight) FROM ward.people",
    "SELECT sum(ratio), avg(ratio), median(ratio), min(ratio), max(ratio) FROM ward.people",
    "SELECT sum(mass), avg(mass), var_pop(mass) FROM ward.people",
    "SELECT quantile_cont(weight, 0.9), median(age) FROM ward.people",
    "SELECT count(DISTINCT note), count(DISTINCT code), count(DISTINCT ratio) FROM ward.people",
    "SELECT sum(least(greatest(1 / weight, 0), 1)) FROM ward.people",
    "SELECT sum(CASE WHEN TRY_CAST(note AS INTEGER) > 5 THEN 1 ELSE 0 END) FROM ward.people",
    "SELECT sex, alive, count(*), avg(weight) FROM ward.people GROUP BY sex, alive",
    "SELECT age // 10 AS decade, count(*), avg(ratio) FROM ward.people GROUP BY decade",
    "SELECT CASE WHEN 1 / ratio > 1 THEN 'a' ELSE 'b' END AS k, count(*) FROM ward.people GROUP BY k",
    "SELECT kind, sum(value), avg(value), count(*), median(value) FROM ward.visits GROUP BY kind",
    "SELECT home, kind, count(DISTINCT word), max(value) FROM ward.visits GROUP BY home, kind",
    "SELECT day, count(*) FROM ward.visits GROUP BY day",
    "SELECT avg(n), max(n) FROM (SELECT person, count(*) AS n FROM ward.visits GROUP BY person)",
    "SELECT sum(s) FROM (SELECT person, sum(value) AS s FROM ward.visits GROUP BY person)",
    "SELECT avg(m) FROM (SELECT person, avg(value) AS m FROM ward.visits GROUP BY person)",
    "SELECT count(*) FROM (SELECT person, sum(mass) AS s FROM ward.people GROUP BY 1) WHERE s / (s - s) > 0",
    """SELECT avg(value) FROM (SELECT *, row_number() OVER (PARTITION BY person ORDER BY day DESC) AS r
       FROM ward.visits) WHERE r = 1""",
    """SELECT avg(d) FROM (SELECT person, value - lag(value) OVER (PARTITION BY person ORDER BY day) AS d
       FROM ward.visits)""",
    "SELECT count(*), sum(value) FROM ward.people p JOIN ward.visits v USING (person) WHERE age / day > 1",
    """SELECT count(*) FROM ward.people p LEFT JOIN ward.visits v ON p.person = v.person AND 1 / v.day > 0
       WHERE v.person IS NULL""",
    "SELECT label, count(*) FROM ward.visits JOIN ward.kinds USING (kind) GROUP BY label",
    """SELECT count(*) FROM ward.people
       WHERE person NOT IN (SELECT person FROM ward.visits WHERE 1 / value > 0)""",
    "SELECT 1 / count(*) AS a, sum(weight) / count(weight) AS b, ln(count(*)) AS c FROM ward.people",
    "SELECT sex, count(*) AS n FROM ward.people GROUP BY sex ORDER BY 1 / n, sum(weight) DESC",
    "SELECT max(n) FROM (SELECT sex, count(*) AS n FROM ward.people GROUP BY sex)",
)
PRIVATE_KEYS = (
    "SELECT note, count(*) FROM ward.people GROUP BY note",
    "SELECT code // (code - 7) AS k, count(*), sum(weight) FROM ward.people GROUP BY k",
    "SELECT word, avg(value), count(*) FROM ward.visits GROUP BY word",
    "SELECT CAST(note AS INTEGER) AS k, avg(ratio) FROM ward.people GROUP BY k",
    "SELECT born + code AS k, count(*) FROM ward.people GROUP BY k",
)
REFUSED = (
    "SELECT count(*) FROM ward.people WHERE age = 'x'",
    "SELECT sum(code) FROM ward.people",
    "SELECT note FROM ward.people",
    "SELECT count(*) FROM ward.people WHERE secret = 'x'",
)


def reply(gateway: Gateway, text: str) -> object:
    """All of a reply that must not depend on one person: everything but noisy values and their intervals."""
    try:
        answer = ask(gateway, text)
    except NoisegateError as error:
        return error.status, error.as_json()
    rows: object = len(answer.rows)
    if text in PRIVATE_KEYS:
        rows = "as many as are selected"
    elif "ORDER BY" not in text:
        rows = [[None if isinstance(cell, Estimated) else cell for cell in row] for row in answer.rows]
    told = answer.as_json() | {"rows": rows}
    told.pop("receipt")
    return 200, told


def books(gateway: Gateway) -> object:
    """Every charge's public receipt, without times and hashes."""
    receipts = gateway._ledger.receipts("ward", limit=10_000)
    return [json.dumps(r.content(), sort_keys=True) for r in receipts if r.kind.value == "charge"]


def transcript(
    gateway: Gateway, texts: tuple[str, ...] = (*WHOLE, *PRIVATE_KEYS, *REFUSED)
) -> dict[str, object]:
    """All that asking a gateway these questions shows, by question, and what its books hold after."""
    said = {text: reply(gateway, text) for text in texts}
    return said | {"the accounts": spending(gateway), "the receipts": books(gateway)}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the town without the cruel person shows."""
    with opened(plain_town(), tmp_path_factory.mktemp("plain"), WARD) as gateway:
        return transcript(gateway)


@pytest.mark.parametrize("cruelty", CRUEL)
def test_a_cruel_person_shows_in_no_error_charge_or_receipt(
    plain: dict[str, object], tmp_path: Path, cruelty: str
) -> None:
    with opened(with_joiner(plain_town(), CRUEL[cruelty]), tmp_path, WARD) as gateway:
        found = transcript(gateway)
    assert [what for what in plain if found[what] != plain[what]] == []


def test_nearly_all_of_these_questions_are_answered(plain: dict[str, object]) -> None:
    statuses = [plain[text][0] for text in (*WHOLE, *PRIVATE_KEYS)]
    assert statuses.count(200) > 0.9 * len(statuses)
    assert all(status < 500 for status in statuses)


def test_explaining_reads_no_row_and_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(plain_town(), tmp_path, WARD) as gateway:
        fail_for(gateway, monkeypatch)
        for text in (*WHOLE, *PRIVATE_KEYS):
            assert gateway.explain(Question(text, Fraction(1, 2)), an_analyst())["plan"]
        assert spending(gateway) == (0, [])


def fail_for(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine of one gateway fail as it would over a row, quoting it."""

    def fails(_: object) -> None:
        raise duckdb.ConversionException("Could not convert string 'abc' to INT32")

    monkeypatch.setattr(gateway._desk.engine, "_answers", fails)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Gateway, Gateway]]:
    joined = with_joiner(plain_town(), CRUEL["everything missing"])
    with opened(plain_town(), tmp_path / "a", WARD) as one, opened(joined, tmp_path / "b", WARD) as other:
        yield one, other


def failure_tells(towns: tuple[Gateway, Gateway], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What an engine failure in the second town changes, besides that there is no answer."""
    text = "SELECT count(*) FROM ward.people WHERE note::INTEGER > 1"
    assert reply(towns[0], text)[0] == 200
    fail_for(towns[1], monkeypatch)
    status, told = reply(towns[1], text)
    assert status == 500
    assert "abc" not in json.dumps(told)
    found = [] if spending(towns[0]) == spending(towns[1]) else ["the accounts"]
    return found if books(towns[0]) == books(towns[1]) else [*found, "the receipts"]


def test_a_failure_in_the_engine_costs_what_the_answer_would_have_cost(
    two: tuple[Gateway, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failure_tells(two, monkeypatch) == []


def test_a_plan_that_failed_is_closed_so_that_the_same_person_cannot_be_probed_again(
    two: tuple[Gateway, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert failure_tells(two, monkeypatch) == []
    before = spending(two[1])
    for _ in range(3):
        _, told = reply(two[1], "SELECT count(*) FROM ward.people AS p WHERE p.note::INTEGER > 1")
        assert told["error"]["code"] == "blocked"
    assert spending(two[1]) == before


def test_charging_after_the_work_would_be_noticed(
    two: tuple[Gateway, Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    take, close = Ledger.charge, Ledger.close
    pending: list[Charge] = []

    def later(_: Ledger, charge: Charge) -> Charged:
        pending.append(charge)
        return Charged(0, (None,))

    def now(ledger: Ledger, _: int, answer: str) -> StoredAnswer:
        return close(ledger, take(ledger, pending.pop()).id, answer)

    monkeypatch.setattr(Ledger, "charge", later)
    monkeypatch.setattr(Ledger, "close", now)
    monkeypatch.setattr(Ledger, "fail", lambda *_: None)
    assert failure_tells(two, monkeypatch) == ["the accounts", "the receipts"]


SENTINEL = "SENTINEL-4711"
BREACHES: Mapping[str, Town] = {
    "two rows of one person": {"people": [person(4711), person(4711)]},
    "a value that is not declared": {"people": [person(4711, sex=SENTINEL)]},
    "a text beyond the cap": {"people": [person(4711, note=SENTINEL * 400)]},
    "no value where one is declared": {"visits": [{**visit(4711, 1), "day": None}]},
    "two homes of one person": {"visits": [visit(4711, 1), visit(4711, 2, home="north")]},
    "a person without a name": {"people": [{**person(4711), "person": None}]},
}


@pytest.mark.parametrize("breach", BREACHES)
def test_registration_refuses_what_breaks_a_declared_fact_and_quotes_no_value(
    tmp_path: Path, breach: str
) -> None:
    joined = with_joiner(plain_town(), BREACHES[breach])
    with pytest.raises(CatalogError) as refused, opened(joined, tmp_path, WARD):
        pass
    told = json.dumps(refused.value.as_json())
    assert "ward." in told
    assert "4711" not in told
    assert "SENTINEL" not in told
    # Nothing of the attempt stays: the mended files register as the first version.
    with opened(plain_town(), tmp_path, WARD) as gateway:
        assert gateway._desk.versions == {"ward": 1}
        assert ask(gateway, "SELECT count(*) FROM ward.people").rows
