"""Manhattan and QQ plots as SVG for a page: hits answer to the pointer and the keyboard, with no script.

Lengths are in tenths of a pixel, so that whole numbers do. Points are strokes of no length with round ends,
each some eight bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.gwas.genome_line import marks_of, shown
from noisegate.genomics.gwas.scans import Hit, Manhattan, Quantiles, labelled, ticks
from noisegate.genomics.report.figures import GREY, INK, PALE

Reals = NDArray[np.float64]
Whole = NDArray[np.int64]
EVEN, ODD, STRONG, LINE = "#0b5c7a", "#7399aa", "#c04a00", "#a32020"
_CHARACTER = 80  # the width of one, about
_LINE_HEIGHT = 190
_EDGE = 0.05  # of a plot's width, where a name would lie across an axis or over what a line is called
STYLE = f"""<style>
.plot {{ width: 100%; height: auto; display: block; overflow: visible; }}
.plot.long {{ min-width: 40rem; }}
.plot text {{ font: 138px system-ui, "Segoe UI", "Liberation Sans", sans-serif; fill: {INK}; }}
.plot .soft {{ fill: #4d5762; }}
.plot .name {{
  font-weight: 600; paint-order: stroke; stroke: #fff; stroke-width: 34px; stroke-linejoin: round;
}}
.plot .axis {{ stroke: {GREY}; stroke-width: 10px; fill: none; }}
.plot .bar {{ stroke: {LINE}; stroke-width: 9px; opacity: 0.75; fill: none; }}
.plot .points {{ fill: none; stroke-linecap: round; stroke-width: 38px; }}
.plot .hit circle {{ fill: transparent; stroke: none; }}
.plot .hit .tip {{ visibility: hidden; pointer-events: none; }}
.plot .hit:hover .tip, .plot .hit:focus .tip {{ visibility: visible; }}
.plot .hit:hover circle, .plot .hit:focus circle {{ stroke: {INK}; stroke-width: 18px; }}
.plot .hit:focus {{ outline: none; }}
.plot .tip rect {{ fill: #fff; stroke: {GREY}; stroke-width: 10px; }}
td.n {{ white-space: nowrap; }}
table.wide th[scope="row"] {{ min-width: 5rem; }}
.pair {{ display: flex; flex-wrap: wrap; gap: 0 2.5rem; align-items: center; }}
.pair > * {{ flex: 1 1 18rem; }}
@media print {{ .plot .tip {{ display: none; }} }}
</style>"""


@dataclass(frozen=True, slots=True)
class Frame:
    """A drawing of `wide` by `high` with axes from 0: where values lie in it."""

    wide: int
    high: int
    widest: float
    tallest: float
    left: int = 620
    right: int = 120
    top: int = 260
    bottom: int = 520

    @property
    def floor(self) -> int:
        """Where the horizontal axis lies."""
        return self.high - self.bottom

    def columns(self, values: Reals) -> Whole:
        """Return how far from the left values lie: int64, one each."""
        room = self.wide - self.left - self.right
        found: Whole = np.rint(self.left + room * values / self.widest).astype(np.int64)
        return found

    def rows(self, values: Reals) -> Whole:
        """Return how far from the top values lie: int64, one each."""
        share = np.minimum(values / self.tallest, 1.0)
        found: Whole = np.rint(self.floor - (self.floor - self.top) * share).astype(np.int64)
        return found

    def x(self, value: float) -> int:
        """Return how far from the left a value lies."""
        return int(self.columns(np.array([value]))[0])

    def y(self, value: float) -> int:
        """Return how far from the top a value lies."""
        return int(self.rows(np.array([value]))[0])


def manhattan(
    picture: Manhattan, said: str, names: Mapping[int, str], told: Mapping[int, Sequence[str]]
) -> str:
    """Return a Manhattan plot as an SVG element.

    Args:
        picture: what is drawn.
        said: the plot in words, for who cannot see it.
        names: what each of its hits is called, by its place in the store.
        told: what is said of each of its hits that is pointed at, line by line, by its place in the store.
    """
    frame = Frame(10_400, 3_800, 1.0, picture.top, right=920)
    parts = [*_axes(frame, "−log₁₀ p"), *_chromosomes(frame, picture)]
    for (name, height), dash in zip(picture.lines, ("", ' stroke-dasharray="60 50"'), strict=False):
        y, end = frame.y(height), frame.wide - frame.right
        parts.append(f'<path class="bar" d="M{frame.left} {y}H{end}"{dash}/>')
        parts.append(_text(end + 60, y + 45, name, "start", "soft"))
    columns, rows = frame.columns(picture.x), frame.rows(picture.y)
    strong = picture.y >= picture.lines[0][1]
    odd = picture.line.which[picture.variants] % 2 == 1
    for colour, some in ((EVEN, ~strong & ~odd), (ODD, ~strong & odd), (STRONG, strong)):
        parts.append(_points(colour, columns[some], rows[some]))
    for hit in labelled(picture, 0.09):
        anchor = "start" if hit.x < _EDGE else "end" if hit.x > 1 - _EDGE else "middle"
        parts.append(_text(frame.x(hit.x), frame.y(hit.y) - 75, names[hit.variant], anchor, "name"))
    # The weakest first, so that what is said of a stronger one is not covered by a mark.
    parts += [_hit(frame, hit, told[hit.variant]) for hit in reversed(picture.hits)]
    return _svg(frame, "plot long", "group", said, parts)


def qq(picture: Quantiles, said: str) -> str:
    """Return a QQ plot as an SVG element; `said` is the plot in words."""
    longest = float(picture.band[0].max(initial=1.0))
    highest = max(float(picture.observed.max(initial=1.0)), longest)
    frame = Frame(4_600, 4_600, 1.04 * longest, 1.04 * highest)
    at, low, high = picture.band
    up = np.stack([frame.columns(at), frame.rows(high)], axis=1)
    down = np.stack([frame.columns(at), frame.rows(low)], axis=1)[::-1]
    band = "L".join(f"{x} {y}" for x, y in np.concatenate([up, down]).tolist())
    end = min(frame.widest, frame.tallest)
    parts = [
        f'<path d="M{band}Z" fill="{PALE}"/>' if band else "",
        f'<path class="axis" d="M{frame.left} {frame.floor}L{frame.x(end)} {frame.y(end)}"/>',
        _points(EVEN, frame.columns(picture.expected), frame.rows(picture.observed)),
        *_axes(frame, "observed −log₁₀ p"),
        *_below(frame, [(float(mark), str(mark)) for mark in ticks(frame.widest, 7)], "expected −log₁₀ p"),
    ]
    if picture.inflation is not None:
        parts.append(
            _text(frame.left + 130, frame.top + 130, f"λ = {picture.inflation:.3f}", "start", "name")
        )
    return _svg(frame, "plot", "img", said, parts)


def _axes(frame: Frame, title: str) -> Iterator[str]:
    """Yield the two axes, with marks and the title of the upright one."""
    yield f'<path class="axis" d="M{frame.left} {frame.top}V{frame.floor}H{frame.wide - frame.right}"/>'
    for mark in ticks(frame.tallest, 7):
        y = frame.y(mark)
        yield f'<path class="axis" d="M{frame.left} {y}h-40"/>'
        yield _text(frame.left - 80, y + 45, str(mark), "end")
    middle = (frame.top + frame.floor) // 2
    yield f'<text transform="translate(170 {middle}) rotate(-90)" text-anchor="middle">{title}</text>'


def _below(frame: Frame, marks: Sequence[tuple[float, str]], title: str) -> Iterator[str]:
    """Yield marks below the horizontal axis, and its title."""
    for at, name in marks:
        yield f'<path class="axis" d="M{frame.x(at)} {frame.floor}v40"/>'
        yield _text(frame.x(at), frame.floor + 170, name)
    yield _text((frame.left + frame.wide - frame.right) // 2, frame.floor + 400, title)


def _chromosomes(frame: Frame, picture: Manhattan) -> Iterator[str]:
    """Yield what stands below the line of the genome."""
    line = picture.line
    if line.low is not None and line.high is not None:
        marks, unit = marks_of(line.low, line.high)
        yield from _below(frame, marks, f"position on chromosome {line.stretches[0].name} ({unit})")
        return
    for stretch in shown(line.stretches, _CHARACTER / (frame.wide - frame.left - frame.right)):
        yield _text(frame.x(stretch.middle), frame.floor + 170, stretch.name)
    title = "chromosome" if len(line.stretches) > 1 else "variants, in the order of the store"
    yield _text((frame.left + frame.wide - frame.right) // 2, frame.floor + 400, title)


def _hit(frame: Frame, hit: Hit, told: Sequence[str]) -> str:
    """Return a mark that says more when it is pointed at, or reached by the keyboard."""
    x, y = frame.x(hit.x), frame.y(hit.y)
    wide = max(map(len, told)) * _CHARACTER + 160
    high = len(told) * _LINE_HEIGHT + 90
    left = x + 90 if x + 90 + wide <= frame.wide else x - 90 - wide
    top = min(max(y - high // 2, 0), frame.floor - high)
    lines = "".join(
        _text(left + 80, top + 150 + i * _LINE_HEIGHT, line, "start", "" if i else "name")
        for i, line in enumerate(told)
    )
    return (
        f'<g class="hit" tabindex="0" role="img" aria-label="{escape("; ".join(told))}">'
        f'<circle cx="{x}" cy="{y}" r="55"/>'
        f'<g class="tip"><rect x="{left}" y="{top}" width="{wide}" height="{high}" rx="40"/>{lines}</g></g>'
    )


def _points(colour: str, columns: Whole, rows: Whole) -> str:
    """Return points as one path, each given by how far it lies from the one before."""
    order = np.lexsort((rows, columns))
    steps = np.diff(np.stack([columns[order], rows[order]], axis=1), axis=0, prepend=0)
    path = "".join(f"m{x}{y:+d}h0".replace("+", " ") for x, y in steps.tolist())
    return f'<path class="points" stroke="{colour}" d="{path}"/>' if path else ""


def _text(x: int, y: int, words: str, anchor: str = "middle", kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


def _svg(frame: Frame, kind: str, role: str, said: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {frame.wide} {frame.high}" role="{role}" '
        f'aria-label="{escape(said)}">{STYLE}{"".join(parts)}</svg>\n'
    )
