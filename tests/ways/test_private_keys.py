"""Groups whose names are private: one person's own group hardly ever shows, and nothing else tells of it."""

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from scipy import stats
from starlette.testclient import TestClient

from noisegate import sql
from noisegate.app import Gateway
from noisegate.gate.access import Asker
from noisegate.ledger.records import Role
from noisegate.privacy.mechanism import Family, design
from noisegate.privacy.release import release
from noisegate.server.http.app import build_app

from .cells import engine
from .world import WARD, Row, Town, ask, opened, person, plain_town, shuffled, visit, with_joiner

DELTA = Fraction(1, 20)
RELEASES = 4_000
ALARM = 1e-6
WORDS = ("alpha", "beta", "gamma", "delta")
OTHERS: Town = {
    "people": [person(n, note=WORDS[n % 4]) for n in range(1, 41)],
    "visits": [visit(n, d, word=WORDS[(n + d) % 4]) for n in range(1, 41) for d in (1, 2)],
}
# Words of the joiner's own, that would be sorted first, between and last.
JOINER: Town = {
    "people": [person(99, note="aaa")],
    "visits": [visit(99, 1, word="aaa"), visit(99, 2, word="bbb"), visit(99, 3, word="zzz")],
}


def shown_alone(directory: Path, family: Family, lowered: int = 0) -> int:
    """In how many of the releases a group shows that the joiner alone is in."""
    with engine(with_joiner(OTHERS, JOINER), directory) as town:
        plan = sql.read("SELECT word, count(*) FROM ward.visits GROUP BY word", town.catalog).private
        mechanism = design(plan, Fraction(1), family, DELTA)
        exact = town.exact(plan)
    assert mechanism.threshold is not None
    mechanism = replace(mechanism, threshold=mechanism.threshold - lowered)
    own = {("aaa",), ("bbb",), ("zzz",)}
    return sum(bool(own & set(release(exact, plan, mechanism).keys)) for _ in range(RELEASES))


@pytest.mark.parametrize("family", [Family.LAPLACE, Family.GAUSSIAN])
def test_a_group_of_one_person_shows_no_more_often_than_delta(tmp_path: Path, family: Family) -> None:
    shown = shown_alone(tmp_path, family)
    assert stats.binom.sf(shown - 1, RELEASES, float(DELTA)) > ALARM
    assert shown > 0, "a test of something that never happens"


def test_a_threshold_that_is_too_low_would_be_noticed(tmp_path: Path) -> None:
    shown = shown_alone(tmp_path, Family.LAPLACE, lowered=4)
    assert stats.binom.sf(shown - 1, RELEASES, float(DELTA)) < ALARM


@pytest.fixture
def neighbours(tmp_path: Path) -> Iterator[tuple[Gateway, Gateway]]:
    """The town, and the one with the joiner and its rows in another order."""
    joined = shuffled(with_joiner(OTHERS, JOINER), random.Random(5))
    with opened(OTHERS, tmp_path / "a", WARD) as one, opened(joined, tmp_path / "b", WARD) as other:
        yield one, other


def body(gateway: Gateway, question: str, epsilon: float) -> tuple[str, str]:
    """The reply without its numbers, and the headers without their length."""
    token = gateway.create_token(Asker("c", Role.CUSTODIAN, None), "ana", "analyst", None, None)["secret"]
    with TestClient(build_app(gateway, version="0", padding_ms=0)) as http:
        reply = http.post(
            "/v1/ask",
            json={"sql": question, "epsilon": epsilon},
            headers={"Authorization": f"Bearer {token}"},
        )
    assert reply.status_code == 200
    assert int(reply.headers["content-length"]) == len(reply.content)
    headers = sorted((k, v) for k, v in reply.headers.items() if k != "content-length")
    text = re.sub(r'"hash":"[0-9a-f]+"', "", reply.text)
    return re.sub(r"-?\d+(\.\d+)?(e[+-]?\d+)?", "#", text), str(headers)


@pytest.mark.parametrize(
    "question",
    [
        "SELECT word, count(*) FROM ward.visits GROUP BY word",
        "SELECT note, count(*) AS n FROM ward.people GROUP BY note ORDER BY note DESC",
        "SELECT word, kind, count(*), avg(value) FROM ward.visits GROUP BY word, kind",
    ],
)
def test_neither_order_nor_row_count_nor_length_tells_of_a_group_of_one(
    neighbours: tuple[Gateway, Gateway], question: str
) -> None:
    # With so much ε each large group shows; a group of one with a probability below 1e-9, by the account's δ.
    bodies = [body(gateway, question, 40) for gateway in neighbours]
    assert "alpha" in bodies[0][0]
    assert bodies[0] == bodies[1]


def test_public_keys_show_every_group_in_one_order_whoever_is_in_it(
    neighbours: tuple[Gateway, Gateway],
) -> None:
    for question in (
        "SELECT kind, count(*) FROM ward.visits GROUP BY kind",
        "SELECT sex, alive, age // 25, count(*), median(weight) FROM ward.people GROUP BY 1, 2, 3",
        "SELECT count(*) FROM ward.people WHERE age < 0",
    ):
        bodies = [body(gateway, question, 1) for gateway in neighbours]
        assert bodies[0] == bodies[1]


def test_a_town_of_nobody_replies_like_any_other(tmp_path: Path) -> None:
    nobody: dict[str, list[Row]] = {}
    with opened(nobody, tmp_path / "a", WARD) as empty, opened(plain_town(), tmp_path / "b", WARD) as town:
        for question in (
            "SELECT kind, count(*), sum(value) FROM ward.visits GROUP BY kind",
            "SELECT count(*), avg(age), median(weight), min(age) FROM ward.people",
        ):
            answers = [ask(gateway, question) for gateway in (empty, town)]
            assert answers[0].columns == answers[1].columns
            assert len(answers[0].rows) == len(answers[1].rows)
        assert ask(empty, "SELECT word, count(*) FROM ward.visits GROUP BY word", 40).rows == ()
