"""When a period of a budget ends: at a date that a custodian names, or with the calendar's next one. UTC."""

from datetime import UTC, date, datetime, time, timedelta
from typing import assert_never

from noisegate.catalog.model import Every
from noisegate.errors import BadInput

_FORM = "a date such as 2027-01-31, or a time such as 2027-01-31T18:00Z; dates begin at midnight UTC"


def end_of(every: Every, now: int) -> int:
    """Return when the calendar's period that holds `now` ends; both in seconds since 1970 UTC.

    Weeks begin on Mondays.

    >>> datetime.fromtimestamp(end_of(Every.QUARTER, 0), UTC).isoformat()
    '1970-04-01T00:00:00+00:00'
    """
    today = datetime.fromtimestamp(now, UTC).date()
    match every:
        case Every.DAY:
            end = today + timedelta(days=1)
        case Every.WEEK:
            end = today + timedelta(days=7 - today.weekday())
        case Every.MONTH:
            end = _month(today.year, today.month + 1)
        case Every.QUARTER:
            end = _month(today.year, today.month - (today.month - 1) % 3 + 3)
        case Every.YEAR:
            end = date(today.year + 1, 1, 1)
        case _:
            assert_never(every)
    return _seconds(datetime.combine(end, time(), UTC))


def _month(year: int, month: int) -> date:
    return date(year + (month - 1) // 12, (month - 1) % 12 + 1, 1)


def every_of(text: str) -> Every:
    """Return how long a period lasts, from its word."""
    try:
        return Every(text)
    except ValueError:
        words = ", ".join(every.value for every in Every)
        raise BadInput(f"a period lasts a {words.replace(', year', ' or year')}, not {text!r}") from None


def until_of(text: str, now: int) -> int:
    """Return the moment that a text names, in seconds since 1970 UTC, which must be in the future.

    The account bears charges before that moment, and none from it on.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{text!r} is no end of a period", f"give {_FORM}") from None
    if moment.tzinfo is None:
        if len(text) > len("2027-01-31"):
            raise BadInput(f"{text!r} does not say in which time zone", f"give {_FORM}")
        moment = moment.replace(tzinfo=UTC)
    seconds = _seconds(moment)
    if seconds <= now:
        raise BadInput(f"a period cannot end in the past, at {iso(seconds)}", "name a later date")
    return seconds


def iso(seconds: int) -> str:
    """Return a moment as text, in UTC.

    >>> iso(0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
