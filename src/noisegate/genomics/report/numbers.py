"""Numbers as a reader wants them: three figures, shares out of 100, an infinite ε as what it means."""

import math

from noisegate.leakage.roc import Estimate

NONE = "–"
NO_BREAK, JOINED = "\N{NO-BREAK SPACE}", "\N{WORD JOINER}"


def plain(value: float | None) -> str:
    """Return a number with three significant figures; "–" where there is none.

    >>> [plain(x) for x in (0.0, 0.00012345, 0.3899, 27272.73, None)]
    ['0', '0.000123', '0.39', '27,273', '–']
    """
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞"
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:.3g}"
    return f"{value:.1e}".replace("e-0", "e-") if abs(value) < 1e-5 else text


def epsilon_of(value: float | None) -> str:
    """Return an ε, rounded up in its third figure or to a whole number: it never looks smaller than it is.

    >>> [epsilon_of(x) for x in (1.0, 2.0001, 27272.5, float("inf"), None)]
    ['1', '2.01', '27,273', '∞ (no bound)', '–']
    """
    if value is None:
        return NONE
    if math.isinf(value):
        return "∞ (no bound)"
    if value == 0:
        return "0"
    step = 10.0 ** min(math.floor(math.log10(value)) - 2, 0)
    up = math.ceil(round(value / step, 6)) * step
    return plain(up) if up < 1000 else f"{up:,.0f}"


def share(value: float | None) -> str:
    """Return a share in per cent.

    >>> [share(x) for x in (0.05, 0.333, 1.0, 0.0004, None)]
    ['5 %', '33.3 %', '100 %', '0.04 %', '–']
    """
    if value is None or math.isnan(value):
        return NONE
    return f"{float(f'{100 * value:.3g}'):g} %"


def with_interval(found: Estimate | None, *, percent: bool = False) -> str:
    """Return an estimate and its interval; a line may break between the two, and nowhere else.

    >>> with_interval(Estimate(0.61, 0.52, 0.7)).replace(JOINED, "")
    '0.61 (0.52–0.7)'
    >>> with_interval(Estimate(0.61, 0.52, 0.7), percent=True).replace(NO_BREAK, " ").replace(JOINED, "")
    '61 % (52–70 %)'
    """
    if found is None:
        return NONE
    shown = share if percent else plain
    low = shown(found.low).removesuffix(" %")
    # A dash after a number below 0 would be read as its sign.
    to = f"{JOINED}–{JOINED}" if found.low >= 0 else " to "
    inside = f"({low}{to}{shown(found.high)})".replace(" ", NO_BREAK)
    return f"{shown(found.value)}".replace(" ", NO_BREAK) + " " + inside


def of_hundred(value: float) -> str:
    """Return a share as people out of 100, never 0 or 100 where it is not.

    >>> [of_hundred(x) for x in (0.0, 0.002, 0.136, 0.999, 1.0)]
    ['none of 100', 'fewer than 1 of 100', '14 of 100', 'more than 99 of 100', 'all of 100']
    """
    whole = round(100 * value)
    if value <= 0:
        return "none of 100"
    if value >= 1:
        return "all of 100"
    if whole == 0:
        return "fewer than 1 of 100"
    return "more than 99 of 100" if whole == 100 else f"{whole} of 100"
