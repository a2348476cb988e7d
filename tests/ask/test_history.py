"""What is remembered of an asker's questions is what the ledger would say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate.ask.history import MOST_ASKERS, NEWEST, History
from noisegate.ask.similar import recalled
from noisegate.ledger.records import Asked


class Charges:
    """A ledger's list of one asker's charges, and how many of them were read."""

    def __init__(self) -> None:
        self.charged: list[int] = []
        self.read = 0

    def asked(self, _: str, most: int) -> tuple[Asked, ...]:
        newest = sorted(self.charged, reverse=True)[:most]
        self.read += len(newest)
        return tuple(Asked(i, str(i), ("d",), text(i), 0) for i in newest)


def text(charge: int) -> str:
    return f'{{"asked":[],"what":"{charge}"}}'


@pytest.mark.parametrize("most", [0, 3, NEWEST, NEWEST + 1, 40])
@given(st.lists(st.integers(0, NEWEST + 3), max_size=12))
def test_the_last_questions_are_those_of_the_ledger(most, batches):
    ledger, charge = Charges(), 0
    history = History(ledger.asked, most)
    for batch in batches:
        ledger.charged += range(charge, charge + batch)
        charge += batch
        assert [e.identity for e in history.of("ana")] == [
            text(i) for i in range(charge - 1, max(charge - most, 0) - 1, -1)
        ]


def test_a_charge_that_becomes_visible_late_is_seen():
    ledger = Charges()
    history = History(ledger.asked, 40)
    ledger.charged = [i for i in range(30) if i != 25]
    history.of("ana")
    ledger.charged += [25, 30]
    assert [e.identity for e in history.of("ana")] == [text(i) for i in range(30, -1, -1)]


def test_no_more_is_read_than_what_may_be_new():
    ledger = Charges()
    history = History(ledger.asked, 200)
    ledger.charged = list(range(300))
    history.of("ana")
    before = ledger.read
    history.of("ana")
    assert ledger.read - before == NEWEST


def test_askers_are_told_apart_and_not_kept_for_ever():
    asked = {"ana": 1, "ben": 2}
    history = History(lambda who, _: (Asked(asked.get(who, 0), who, (), text(asked.get(who, 0)), 0),), 40)
    assert history.of("ana") == (recalled(text(1)),)
    for number in range(2 * MOST_ASKERS):
        history.of(str(number))
    assert len(history._known) <= MOST_ASKERS
    assert history.of("ben") == (recalled(text(2)),)
