"""Admission and slots follow from declared maxima alone."""

import pytest

from noisegate import sql
from noisegate.ask.work import ROWS_A_SLOT, SLOT_MS, Work, work_of
from noisegate.errors import TooLarge


@pytest.mark.parametrize(
    ("text", "a_person", "everybody"),
    [
        ("SELECT count(*) FROM ward.people", 1, 900),
        ("SELECT count(*) FROM ward.visits", 5, 25_000_000 * 4),
        ("SELECT count(*) FROM ward.people JOIN ward.visits USING (person)", 5, 25_000_000 * 4),
        ("SELECT count(*) FROM ward.people p JOIN ward.sites s ON s.town = 'east'", 10_000, 9_000_000),
    ],
)
def test_work_is_what_the_declarations_multiply_to(desk, text, a_person, everybody):
    assert work_of(sql.read(text, desk.catalog), desk.catalog) == Work(a_person, everybody)


def test_joins_that_may_blow_one_person_up_are_refused(desk):
    text = "SELECT count(*) FROM ward.visits v JOIN ward.sites s ON true JOIN ward.sites u ON true"
    with pytest.raises(TooLarge, match="one person"):
        work_of(sql.read(text, desk.catalog), desk.catalog)


def test_a_slot_grows_with_the_declared_work():
    assert Work(1, 1_000).slot_ms == SLOT_MS
    assert Work(1, ROWS_A_SLOT).slot_ms == 2 * SLOT_MS
    assert Work(ROWS_A_SLOT, 9 * ROWS_A_SLOT).slot_ms == 11 * SLOT_MS
