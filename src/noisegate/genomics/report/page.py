"""A page that needs nothing but itself, and can be read by eye, by ear and on paper."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from noisegate.genomics.report.figures import Drawing

STYLE = Path(__file__).with_name("style.css")
DIGEST = re.compile("[0-9a-f]{32,}", re.ASCII)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its anchor, its heading, and its HTML."""

    anchor: str
    heading: str
    body: str


def page(title: str, lead: str, sections: Sequence[Section], *, banner: str = "", foot: str = "") -> str:
    """Return a whole HTML document. `lead` is HTML; `title`, `banner` and `foot` are text."""
    contents = "".join(
        f'<li><a href="#{section.anchor}">{escape(section.heading)}</a></li>' for section in sections
    )
    parts = "\n".join(
        f'<section aria-labelledby="{s.anchor}">'
        f'<h2 id="{s.anchor}">{escape(s.heading)}</h2>\n{s.body}</section>'
        for s in sections
    )
    warning = f'<p class="banner">{escape(banner)}</p>' if banner else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title>
<style>
{STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
{warning}{lead}
<nav aria-label="On this page"><ul>{contents}</ul></nav>
{parts}
<footer><p>{escape(foot)}</p></footer>
</main>
</body>
</html>
"""


def table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()
) -> str:
    """Return a table of text. The first cell heads its row; columns in `numbers` are aligned on the right."""

    def mark(column: int) -> str:
        return ' class="n"' if column in numbers else ""

    heads = "".join(f'<th scope="col"{mark(i)}>{escape(cell)}</th>' for i, cell in enumerate(head))
    wide = ' class="wide"' if len(head) > 4 else ""
    body = "\n".join(
        "<tr>"
        f'<th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td{mark(i)}>{_cell(cell)}</td>" for i, cell in enumerate(row[1:], start=1))
        + "</tr>"
        for row in rows
    )
    return f"""<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}">
<table{wide}>
<caption>{escape(caption)}</caption>
<thead><tr>{heads}</tr></thead>
<tbody>
{body}
</tbody></table></div>
"""


def _cell(text: str) -> str:
    return f"<code>{text}</code>" if DIGEST.fullmatch(text) else escape(text)


def figure(drawing: Drawing) -> str:
    """Return a figure with its text and caption."""
    data = base64.b64encode(drawing.svg.encode()).decode()
    return (
        f'<figure><img alt="{escape(drawing.alt)}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{escape(drawing.caption)}</figcaption></figure>\n"
    )


def paragraph(text: str) -> str:
    """Return a paragraph of text."""
    return f"<p>{escape(text)}</p>\n"


def warning(text: str) -> str:
    """Return a paragraph of text that a reader must not miss."""
    return f'<div class="warning" role="note"><p><strong>Warning.</strong> {escape(text)}</p></div>\n'
