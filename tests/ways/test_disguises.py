"""The averaging attack: one question in many disguises costs once and shows one number."""

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from noisegate import sql
from noisegate.app import Gateway, open_gateway, register_next
from noisegate.ask.answer import Answer, Estimated
from noisegate.config import Config

from .world import WARD, an_analyst, ask, opened, plain_town, spending, write

WHERE = "age > 40 AND sex = 'f'"
COUNT = f"SELECT count(*) FROM ward.people WHERE {WHERE}"
DISGUISES = (
    COUNT,
    "select COUNT( * )\n from WARD.PEOPLE\twhere AGE>40 and SEX='f'  ;",
    'SELECT count(*) FROM "ward"."people" WHERE "age" > 40 AND "sex" = \'f\'',
    f"SELECT count(*) /* once */ FROM ward.people -- more\n WHERE {WHERE}",
    f"SELECT count(*) AS n FROM people WHERE {WHERE}",
    "SELECT count(*) FROM ward.people AS p WHERE p.age > 40 AND p.sex = 'f'",
    "SELECT count(*) FROM ward.people WHERE sex = 'f' AND age > 40",
    "SELECT count(*) FROM ward.people WHERE ((age) > (40)) AND ((sex = 'f'))",
    "SELECT count(*) FROM ward.people WHERE 40 < age AND 'f' = sex",
    "SELECT count(*) FROM ward.people WHERE NOT age <= 40 AND NOT sex <> 'f'",
    "SELECT count(*) FROM ward.people WHERE age > 40 AND sex IN ('f', 'f') AND age > 40",
    f"SELECT count(1) FROM ward.people WHERE {WHERE}",
    f"SELECT count(person) FROM ward.people WHERE {WHERE}",
    f"SELECT sum(1) FROM ward.people WHERE {WHERE}",
    f"FROM ward.people SELECT count(*) WHERE {WHERE}",
    f"SELECT n FROM (SELECT count(*) AS n FROM ward.people WHERE {WHERE})",
    f"WITH t AS (SELECT * FROM ward.people) SELECT count(*) FROM t WHERE {WHERE}",
    "SELECT count(*) FROM (SELECT * FROM ward.people WHERE age > 40) WHERE sex = 'f'",
    "SELECT count(*) FROM (SELECT person, age, sex FROM ward.people WHERE sex = 'f') AS q WHERE q.age > 40",
    f"SELECT count(*) FROM ward.people WHERE {WHERE} ORDER BY 1 LIMIT 5",
    f"SELECT count(*), count(*) - count(*) FROM ward.people WHERE {WHERE}",
    f"SELECT count(*) FROM ward.people WHERE {WHERE} HAVING count(*) > -1000000",
)
OTHERS: dict[str, tuple[str, ...]] = {
    "keys and aggregates in another order": (
        "SELECT count(*), avg(age), sex, alive FROM ward.people GROUP BY sex, alive",
        "SELECT count(*) AS n, avg(age) AS m, sex AS s, alive AS a FROM ward.people GROUP BY a, s",
        "SELECT count(*), avg(age), sex, alive FROM ward.people GROUP BY 4, 3",
        "SELECT count(*), avg(age), sex, alive FROM ward.people GROUP BY ALL",
    ),
    "between": (
        "SELECT avg(weight) FROM ward.people WHERE age BETWEEN 10 AND 50",
        "SELECT avg(weight) FROM ward.people WHERE 50 >= age AND 10 <= age",
        "SELECT avg(p.weight) FROM ward.people p WHERE NOT (p.age < 10) AND NOT (p.age > 50)",
    ),
    "one of": (
        "SELECT count(*) FROM ward.visits WHERE kind IN ('a', 'b')",
        "SELECT count(*) FROM ward.visits WHERE kind IN ('b', 'a', 'b')",
    ),
    "a joined table": (
        "SELECT count(*) FROM ward.people p JOIN ward.visits v ON p.person = v.person WHERE v.day > 3",
        "SELECT count(*) FROM ward.people JOIN ward.visits USING (person) WHERE day > 3",
        "SELECT count(*) FROM ward.people a, ward.visits b WHERE b.person = a.person AND 3 < b.day",
    ),
    "a sub-query": (
        "SELECT avg(n) FROM (SELECT person, count(*) AS n FROM ward.visits GROUP BY person)",
        """WITH t AS (SELECT count(*) AS k, person AS p FROM ward.visits v GROUP BY v.person)
           SELECT avg(t.k) FROM t""",
    ),
    "a condition on an aggregate": (
        "SELECT count(*) FILTER (WHERE alive AND age > 30) FROM ward.people",
        "SELECT count_if(age > 30 AND alive) FROM ward.people",
        "SELECT sum(CASE WHEN alive AND age > 30 THEN 1 ELSE 0 END) FROM ward.people",
        "SELECT sum(CASE WHEN age > 30 AND alive THEN 1 END) FROM ward.people",
    ),
}
# The same number, which the rules above do not recognise: each costs, so averaging them is paid for.
UNRECOGNISED = (
    f"SELECT count(DISTINCT person) FROM ward.people WHERE {WHERE}",
    f"SELECT count(*) FILTER (WHERE {WHERE}) FROM ward.people",
    "SELECT count(*) FROM ward.people WHERE age >= 41 AND sex = 'f'",
    "SELECT count(*) FROM ward.people WHERE age > 40.0 AND sex = 'f'",
    "SELECT count(*) FROM ward.people WHERE age > 39 + 1 AND sex = 'f'",
    f"SELECT count(*) FROM ward.people WHERE {WHERE} AND true",
    f"SELECT count(*) FROM ward.people WHERE {WHERE} AND person IS NOT NULL",
    "SELECT count(*) FROM ward.people WHERE age > 40 AND sex LIKE 'f'",
    "SELECT count(*) FROM ward.people WHERE age > 40 AND lower(sex) = 'f'",
    "SELECT count(*) FROM ward.people WHERE NOT (age <= 40 OR sex <> 'f')",
    "SELECT count(*) FROM ward.people p JOIN ward.people q USING (person) WHERE p.age > 40 AND p.sex = 'f'",
    f"SELECT count(*) FROM ward.people WHERE {WHERE} AND person IN (SELECT person FROM ward.people)",
    f"SELECT count(*) FROM (SELECT DISTINCT * FROM ward.people) WHERE {WHERE}",
)


@pytest.fixture
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with opened(plain_town(), tmp_path_factory.mktemp("town"), WARD) as found:
        yield found


def charges(gateway: Gateway) -> int:
    return int(spending(gateway)[0])


def numbers(answer: Answer) -> list[list[object]]:
    return [[(c.value, c.interval) if isinstance(c, Estimated) else c for c in row] for row in answer.rows]


def distinct_answers(gateway: Gateway, texts: Sequence[str]) -> int:
    """How many different answers the first cell of these texts has; each must be paid for once."""
    before, seen = charges(gateway), []
    for text in texts:
        held = charges(gateway)
        answer = ask(gateway, text)
        assert answer.replayed == (charges(gateway) == held)
        seen.append(repr(numbers(answer)[0][0]))
    assert charges(gateway) - before >= len(set(seen))
    return charges(gateway) - before


def test_a_disguised_question_costs_once_and_shows_one_number(gateway: Gateway) -> None:
    assert distinct_answers(gateway, DISGUISES) == 1
    first = numbers(ask(gateway, COUNT))[0][0]
    assert all(numbers(ask(gateway, text))[0][0] == first for text in DISGUISES)


@pytest.mark.parametrize("theme", OTHERS)
def test_so_does_one_with_groups_joins_or_sub_queries(gateway: Gateway, theme: str) -> None:
    assert distinct_answers(gateway, OTHERS[theme]) == 1
    answers = [sorted(map(repr, numbers(ask(gateway, text)))) for text in OTHERS[theme]]
    assert all(answer == answers[0] for answer in answers)


def test_a_replay_shows_keys_beside_their_own_numbers_in_whatever_order(gateway: Gateway) -> None:
    one = ask(gateway, "SELECT sex, alive, count(*), sum(age) FROM ward.people GROUP BY sex, alive")
    other = ask(gateway, "SELECT sum(age), alive, count(*), sex FROM ward.people GROUP BY alive, sex")
    assert other.replayed
    turned = [[row[3], row[1], row[2], row[0]] for row in numbers(other)]
    assert sorted(map(repr, turned)) == sorted(map(repr, numbers(one)))


def test_a_disguise_that_is_not_recognised_is_paid_for(gateway: Gateway) -> None:
    ask(gateway, COUNT)
    for text in UNRECOGNISED:
        before = charges(gateway)
        answer = ask(gateway, text)
        assert answer.replayed or charges(gateway) == before + 1


def test_another_analyst_gets_the_same_answer_and_pays_nothing(gateway: Gateway) -> None:
    first = ask(gateway, COUNT)
    again = ask(gateway, DISGUISES[5], asker=an_analyst("ben"))
    assert again.replayed
    assert numbers(again) == numbers(first)
    assert charges(gateway) == 1


def test_more_epsilon_is_another_release_and_is_paid_for(gateway: Gateway) -> None:
    for number, epsilon in enumerate(("0.5", "0.50", "0.500001", "0.6"), start=1):
        ask(gateway, COUNT, epsilon)
        assert charges(gateway) == (1 if number <= 2 else number - 1)


def test_a_new_version_of_the_data_is_another_release_on_the_same_account(tmp_path: Path) -> None:
    with opened(plain_town(), tmp_path, WARD) as gateway:
        ask(gateway, COUNT)
        assert charges(gateway) == 1
    write(plain_town(11), tmp_path, WARD)  # one person left
    config = Config(catalog=tmp_path / "catalog.toml", state=tmp_path / "state")
    assert register_next(config, "ward", lambda *_: None) == 2
    with open_gateway(config) as gateway:
        assert not ask(gateway, COUNT).replayed
        assert ask(gateway, DISGUISES[3]).replayed
        assert charges(gateway) == 2
        assert {number for _, number, _ in spending(gateway)[1]} == {2}


def test_forgetting_that_questions_are_the_same_would_be_noticed(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "fingerprint", lambda _: secrets.token_hex(16))
    assert distinct_answers(gateway, DISGUISES) > 1
