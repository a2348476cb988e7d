"""A privacy statement as Markdown, to be read, printed or kept beside a publication.

It is made from the statement's JSON, so that whoever has that can make it, wherever it came from.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

MOST_LISTED = 4  # of a list in a cell that are written out
Json = Mapping[str, Any]


def markdown(statement: Json) -> str:
    """Return a statement, as `Statement.as_json` gives it, as one document that ends with a line break."""
    sections = statement["sections"].values()
    return (
        "\n".join([*_head(statement), *(line for section in sections for line in _section(section))]) + "\n"
    )


def _head(statement: Json) -> Iterator[str]:
    about: Json = statement["about"]
    yield f"# Privacy statement: {plain(statement['title'])}"
    yield ""
    if statement["statement"] == "dataset":
        yield (
            f"Dataset `{statement['name']}`, data version {about['version']}, "
            f"as of {_time(statement['as_of'])}. {plain(about['notes'])}".rstrip()
        )
    else:
        yield f"Receipt `{statement['name']}`, hash `{about['hash']}`."
        yield f"Charged {_time(about['charged'])}. {about['result']}"
        yield from _block("The question:", "sql", about["question"].splitlines())
        yield from _block("What was computed for it:", "text", about["plan"])
    if about["synthetic"]:
        yield ""
        yield "**SYNTHETIC data: made up, about nobody.**"
    yield ""
    yield f"It follows {statement['guideline']}, which names what to disclose and gives no form for it."
    yield "Figures are those of the ledger and the catalog. Claims are argued in PROOFS.md and weaknesses"
    yield f"explained in TRUST.md, of {statement['software']}."


def _block(title: str, language: str, lines: Sequence[str]) -> Iterator[str]:
    """Yield a titled code block that its lines cannot end."""
    if not lines:
        return
    fence = "```"
    while any(fence in line for line in lines):
        fence += "`"
    yield from ("", title, "", f"{fence}{language}", *lines, fence)


def _section(section: Json) -> Iterator[str]:
    yield from ("", f"## {section['title']}", "")
    yield from (f"- {plain(sentence)}" for sentence in section["says"])
    for value in section["facts"].values():
        rows = _rows(value)
        if rows:
            yield ""
            yield from _table(rows)
    proofs = ", ".join(f'"{heading}"' for heading in section["proofs"])
    weak = ", ".join(f'{w["number"]} "{w["name"]}"' for w in section["weaknesses"])
    grounds = [f"Argued in PROOFS.md, {proofs}."] if proofs else []
    if weak:
        grounds.append(f"Known weaknesses in TRUST.md: {weak}.")
    if grounds:
        yield from ("", f"*{' '.join(grounds)}*")


def _rows(value: object) -> Sequence[Json]:
    """Return the rows of a fact that is a table: a list of objects, or an object of plain values."""
    if isinstance(value, list) and all(isinstance(row, Mapping) for row in value):
        return value
    if isinstance(value, Mapping) and not any(isinstance(inner, list) for inner in value.values()):
        return [{"name": name, "value": inner} for name, inner in value.items()]
    return ()


def _table(rows: Sequence[Json]) -> Iterator[str]:
    """Yield a table; columns that say nothing in any row are left out."""
    named = dict.fromkeys(heading for row in rows for heading in row)
    headings = [h for h in named if any(_cell(row.get(h)) for row in rows)]
    yield f"| {' | '.join(h.replace('_', ' ') for h in headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(_cell(row.get(h)) for h in headings)} |"


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:g}"
        case list():
            if len(value) > MOST_LISTED:
                return f"{_cell(value[0])} … {_cell(value[-1])} ({len(value)})"
            return ", ".join(map(_cell, value))
        case _:
            return plain(str(value)).replace("|", "\\|")


def _time(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S UTC")


def plain(text: str) -> str:
    r"""Return text so that Markdown shows it as it is, on one line.

    >>> plain("a *b*\n<c>")
    'a \\*b\\* \\<c>'
    """
    flat = " ".join(text.split())
    for mark in ("\\", "*", "<", "["):
        flat = flat.replace(mark, f"\\{mark}")
    return flat
