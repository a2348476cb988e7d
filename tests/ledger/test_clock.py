"""The ledger's clock goes on from its last entry, whatever the computer's does."""

from dataclasses import dataclass

import pytest

from noisegate.errors import Blocked
from noisegate.ledger.store import Account, Ledger

ANA = "olmsted/liver/default/ana"
NOON = 1_800_000_000


@dataclass
class Clock:
    now: int = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def moved(house, clock):
    """The same ledger, on a clock that can be moved."""
    house.ledger.shut()
    house.ledger = Ledger.open(house.directory, url=house.url, clock=clock)
    return house


def times(house):
    return [r.at for r in house.ledger.receipts("liver", limit=1000) if r.at >= NOON]


def test_a_clock_that_is_set_back_does_not_set_the_ledger_back(moved, clock):
    moved.answer("a")
    clock.now -= 100_000
    moved.answer("b")
    assert moved.ledger.now() == NOON
    moved.ledger.shut()
    moved.ledger = Ledger.open(moved.directory, url=moved.url, clock=clock)
    moved.answer("c")
    assert times(moved) == [NOON] * 6
    clock.now = NOON + 5
    moved.answer("d")
    assert times(moved)[-2:] == [NOON + 5] * 2
    assert moved.ledger.verify().fault is None


def test_a_clock_that_leaps_ahead_and_back_again_leaves_the_books_whole(moved, clock):
    moved.answer("a")
    clock.now += 10**8
    moved.answer("b")
    clock.now -= 10**8
    moved.answer("c")
    assert times(moved) == [NOON, NOON, *[NOON + 10**8] * 4]
    assert moved.ledger.verify().fault is None


def test_a_clock_that_is_set_back_does_not_open_a_period_that_has_ended(moved, clock):
    moved.ledger.open_account(Account.at("olmsted/liver/default/eve", moved.roomy), until=NOON + 60)
    wanted = [moved.wanted(name, leaves=("olmsted/liver/default/eve",)) for name in "abc"]
    moved.ledger.charge(wanted[0])
    clock.now += 60
    with pytest.raises(Blocked):
        moved.ledger.charge(wanted[1])
    moved.answer("an entry at that time")
    clock.now -= 30
    with pytest.raises(Blocked):
        moved.ledger.charge(wanted[2])
