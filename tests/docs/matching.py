"""What a page shows against what was printed: the same, except for what must differ.

Ids, hashes, secrets and times are masked. A noisy number, one with its interval, may be another draw: it
must lie within a few widths of the one shown, and the widths must be alike, so that a page that promises
better answers than the gateway gives is found out. A line that is only `…` stands for any lines.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

GAP = "…"
FAR = 8  # widths; two draws of Laplace noise are further apart about once in 10^9
ALIKE = 4  # an interval may be so many times as wide as the one shown
_NUMBER = r"-?[\d,]+(?:\.\d+)?(?:e[+-]?\d+)?"
_END = rf"(?:{_NUMBER}|-?∞)"
_SPREAD = re.compile(rf"(?P<v>{_NUMBER}) ± (?P<w>{_NUMBER})")
_RANGE = re.compile(rf"(?P<v>{_NUMBER}) +\((?:95 %: )?(?P<low>{_END}) to (?P<high>{_END})(?=[);])")
_MASKS = (
    (re.compile(r"ng_[0-9a-f]{12}_[0-9a-f]{64}"), "SECRET"),
    (re.compile(r"\b[0-9a-f]{12}(?:[0-9a-f]{4}|[0-9a-f]{20}|[0-9a-f]{52})?\b"), "HEX"),
    (re.compile(r"\b\d{8}T\d{6}Z\b"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\+00:00)?"), "TIME"),
    (re.compile(r"\b0:00:\d\d\b"), "ELAPSED"),
)
_RUNS = ((re.compile(r"[━─]+"), "━"), (re.compile(r"\s+"), " "))


@dataclass(frozen=True)
class Noisy:
    """A noisy number; an end is None where it is unbounded."""

    value: float
    low: float | None
    high: float | None

    @property
    def width(self) -> float | None:
        """The longer reach of the interval, None where neither end is known."""
        ends = [abs(e - self.value) for e in (self.low, self.high) if e is not None]
        return max(ends) if ends else None


def differences(shown: str, got: str, *, numbers_vary: bool = False) -> list[str]:
    """Return what is wrong with a page's output, nothing where it matches."""
    old, new = _lines(shown), _lines(got)
    if GAP in old:
        return _excerpts(old, new, numbers_vary=numbers_vary)
    if len(old) != len(new):
        return [f"{len(old)} lines are shown, {len(new)} were printed:\n" + "\n".join(new)]
    return _all(old, new, numbers_vary=numbers_vary)


def json_differences(shown: str, got: str) -> list[str]:
    """Return what is wrong with a JSON document that a page shows."""
    return list(_json(json.loads(shown), json.loads(got), ""))


def _all(shown: list[str], got: list[str], *, numbers_vary: bool) -> list[str]:
    return [d for a, b in zip(shown, got, strict=True) for d in _line(a, b, numbers_vary=numbers_vary)]


def _excerpts(shown: list[str], got: list[str], *, numbers_vary: bool) -> list[str]:
    """Look for each excerpt after the one before it; the first and last have to begin and end the output."""
    parts: list[list[str]] = [[]]
    for line in shown:
        if line == GAP:
            parts.append([])
        else:
            parts[-1].append(line)
    at = 0
    for i, part in enumerate(parts):
        places = range(at, len(got) - len(part) + 1)
        if i == 0:
            places = places[:1]
        elif i == len(parts) - 1:
            places = places[-1:]
        tries = [(p, _all(part, got[p : p + len(part)], numbers_vary=numbers_vary)) for p in places]
        if not tries:
            return [f"not printed: {part[:1]}"]
        place, wrong = min(tries, key=lambda t: len(t[1]))
        if wrong:
            return wrong
        at = place + len(part)
    return []


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip("\n").splitlines()]


def _line(shown: str, got: str, *, numbers_vary: bool) -> Iterator[str]:
    if numbers_vary:
        shown, got = (re.sub(rf"{_NUMBER}", "#", text) for text in (shown, got))
    frames, draws = zip(*(_split(text) for text in (shown, got)), strict=True)
    if frames[0] != frames[1] or len(draws[0]) != len(draws[1]):
        yield f"shown {shown!r}, printed {got!r}"
        return
    for old, new in zip(*draws, strict=True):
        wrong = _draws(old, new)
        if wrong:
            yield f"{wrong}: shown {shown!r}, printed {got!r}"


def _split(line: str) -> tuple[str, list[Noisy]]:
    """Return a line with its noisy numbers masked, and these numbers."""
    found: list[Noisy] = []

    def spread(match: re.Match[str]) -> str:
        value, width = _number(match["v"]), _number(match["w"])
        assert value is not None
        assert width is not None
        found.append(Noisy(value, value - width, value + width))
        return "NOISY"

    def interval(match: re.Match[str]) -> str:
        value = _number(match["v"])
        assert value is not None
        found.append(Noisy(value, _number(match["low"]), _number(match["high"])))
        return "NOISY" if match.string[match.end()] == ";" else "NOISY("

    for pattern, word in _MASKS:
        line = pattern.sub(word, line)
    line = _SPREAD.sub(spread, _RANGE.sub(interval, line)).replace("NOISY()", "NOISY")
    for pattern, word in _RUNS:
        line = pattern.sub(word, line)
    return line, found


def _number(text: str) -> float | None:
    return None if "∞" in text else float(text.replace(",", ""))


def _draws(shown: Noisy, got: Noisy) -> str:
    if [e is None for e in (shown.low, shown.high)] != [e is None for e in (got.low, got.high)]:
        return "an interval is bounded in one of the two only"
    widths = (shown.width, got.width)
    if widths[0] is None or widths[1] is None:
        return ""
    widest = max(widths[0], widths[1])
    if widest > ALIKE * max(min(widths[0], widths[1]), 1e-9):
        return "the intervals are not alike"
    return "the values are too far apart" if abs(shown.value - got.value) > FAR * max(widest, 1) else ""


def _json(shown: Any, got: Any, where: str) -> Iterator[str]:
    if isinstance(shown, dict) and isinstance(got, dict):
        if shown.keys() != got.keys():
            yield f"{where}: keys {sorted(shown)} are shown, {sorted(got)} came"
        elif shown.keys() == {"value", "low", "high"}:
            wrong = _draws(Noisy(**shown), Noisy(**got))
            if wrong:
                yield f"{where}: {wrong}"
        else:
            for key in shown:
                yield from _json(shown[key], got[key], f"{where}.{key}")
    elif isinstance(shown, list) and isinstance(got, list):
        if len(shown) != len(got):
            yield f"{where}: {len(shown)} items are shown, {len(got)} came"
        for i, (a, b) in enumerate(zip(shown, got, strict=False)):
            yield from _json(a, b, f"{where}[{i}]")
    elif _plain(shown) != _plain(got):
        yield f"{where}: {shown!r} is shown, {got!r} came"


def _plain(value: object) -> object:
    if isinstance(value, str):
        for pattern, word in _MASKS:
            value = pattern.sub(word, value)
    return value
