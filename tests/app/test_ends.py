"""When periods end: the UTC calendar, and what custodians write."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisegate.app.ends import end_of, every_of, iso, until_of
from noisegate.catalog.model import Every
from noisegate.errors import BadInput

NOW = int(datetime(2026, 5, 20, 12, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("every", "now", "end"),
    [
        (Every.DAY, "2026-05-20T23:59:59", "2026-05-21"),
        (Every.DAY, "2026-05-21T00:00:00", "2026-05-22"),
        (Every.WEEK, "2026-05-20T00:00:00", "2026-05-25"),
        (Every.WEEK, "2026-05-25T00:00:00", "2026-06-01"),
        (Every.WEEK, "2026-05-24T23:59:59", "2026-05-25"),
        (Every.MONTH, "2024-02-29T12:00:00", "2024-03-01"),
        (Every.MONTH, "2026-12-31T23:59:59", "2027-01-01"),
        (Every.QUARTER, "2026-01-01T00:00:00", "2026-04-01"),
        (Every.QUARTER, "2026-06-30T23:59:59", "2026-07-01"),
        (Every.QUARTER, "2026-11-02T00:00:00", "2027-01-01"),
        (Every.YEAR, "2026-12-31T23:59:59", "2027-01-01"),
        (Every.YEAR, "2027-01-01T00:00:00", "2028-01-01"),
    ],
)
def test_a_period_ends_where_the_calendar_s_does(every: Every, now: str, end: str) -> None:
    moment = int(datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp())
    assert iso(end_of(every, moment)) == f"{end}T00:00:00+00:00"


@given(st.sampled_from(Every), st.integers(0, 4_000_000_000))
def test_a_period_ends_at_the_next_boundary_and_at_no_later_one(every: Every, now: int) -> None:
    end = end_of(every, now)
    day = datetime.fromtimestamp(now, UTC).date() + timedelta(days=1)
    while not begins(every, day):
        day += timedelta(days=1)
    assert now < end
    assert datetime.fromtimestamp(end, UTC) == datetime(day.year, day.month, day.day, tzinfo=UTC)


def begins(every: Every, day: date) -> bool:
    """Whether a day is the first of its day, week, month, quarter or year."""
    return {
        Every.DAY: True,
        Every.WEEK: day.weekday() == 0,
        Every.MONTH: day.day == 1,
        Every.QUARTER: day.day == 1 and day.month in (1, 4, 7, 10),
        Every.YEAR: (day.month, day.day) == (1, 1),
    }[every]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-31", "2027-01-31T00:00:00+00:00"),
        ("2027-01-31T18:00Z", "2027-01-31T18:00:00+00:00"),
        ("2027-01-31T18:00+02:00", "2027-01-31T16:00:00+00:00"),
        ("2026-05-20T12:00:01+00:00", "2026-05-20T12:00:01+00:00"),
    ],
)
def test_an_end_is_a_date_at_its_midnight_or_a_time_with_its_zone(text: str, moment: str) -> None:
    assert iso(until_of(text, NOW)) == moment


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-05-20", "past"),
        ("2026-05-20T12:00Z", "past"),
        ("0001-01-01", "past"),
        ("1969-07-20T20:17Z", "past"),
        ("2027-01-31T18:00", "time zone"),
        ("2027-02-30", "no end"),
        ("31.1.2027", "no end"),
        ("tomorrow", "no end"),
        ("", "no end"),
        ("2027-13-01", "no end"),
        ("99999-01-01", "no end"),
        ("\x00", "no end"),
        ("٢٠٢٧-٠١-٠١", "no end"),
    ],
)
def test_an_end_that_cannot_be_is_refused_with_the_form_it_has(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        until_of(text, NOW)


@pytest.mark.parametrize("word", ["fortnight", "Month", "", "months"])
def test_a_word_that_is_no_part_of_the_calendar_is_refused(word: str) -> None:
    with pytest.raises(BadInput, match="day, week, month, quarter or year"):
        every_of(word)
    assert [every_of(e.value) for e in Every] == list(Every)
