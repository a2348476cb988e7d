"""A Markdown page as steps that can be run.

A fenced block of `sh`, `sql` or `python` is run. A `text` or `json` block directly below it is what it
prints. A comment directly above a block says how it is run:

    <!-- test: in another terminal -->    in the background, until it answers over HTTP
    <!-- test: not run, WHY -->           shown only
    <!-- test: stop the gateway -->       on its own: what the reader does with Ctrl-C
    <!-- test: numbers vary -->           every number of the output may differ
"""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUN = ("sh", "sql", "python")
OUTPUT = ("text", "json")
STOP = "stop the gateway"
DIRECTIVES = ("in another terminal", "numbers vary", STOP)
_FENCE = re.compile(r"^```(\w*)\s*$")
_COMMENT = re.compile(r"^<!-- test: (.*) -->$")


@dataclass(frozen=True)
class Step:
    """One block, with the output that the page shows for it; or a stop, which has no code.

    Attributes:
        line: of the page where it begins, from 1.
        start: index of the first line of the output's text, None where the page shows none.
        end: index of the line that closes the output.
    """

    line: int
    language: str
    code: str
    how: str = ""
    output: str | None = None
    output_language: str = ""
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Fence:
    """One fenced block, opened at `line` (an index) and closed at `end`."""

    line: int
    end: int
    language: str
    text: str


def fences_of(lines: list[str]) -> list[Fence]:
    """Return all fenced blocks."""
    found: list[Fence] = []
    opened: tuple[int, str] | None = None
    for i, line in enumerate(lines):
        fence = _FENCE.match(line)
        if fence is None:
            continue
        if opened is None:
            opened = (i, fence[1])
        else:
            found.append(Fence(opened[0], i, opened[1], "\n".join(lines[opened[0] + 1 : i])))
            opened = None
    assert opened is None, f"the block at line {opened and opened[0] + 1} is not closed"
    return found


def steps_of(path: Path) -> list[Step]:
    """Return what a page asks its reader to do, in order."""
    lines = path.read_text("utf-8").splitlines()
    fences = {f.line: f for f in fences_of(lines)}
    inside = {i for f in fences.values() for i in range(f.line, f.end + 1)}
    steps: list[Step] = []
    for i, line in enumerate(lines):
        comment = _COMMENT.match(line)
        if comment is not None and i not in inside:
            assert comment[1] in DIRECTIVES or comment[1].startswith("not run, "), f"line {i + 1}: {line}"
            if comment[1] == STOP:
                steps.append(Step(i + 1, "stop", ""))
        fence = fences.get(i)
        if fence is None or fence.language not in RUN:
            continue
        above = _COMMENT.match(lines[i - 1]) if i else None
        shown = fences.get(next((j for j in range(fence.end + 1, len(lines)) if lines[j]), -1))
        if shown is None or shown.language not in OUTPUT:
            steps.append(Step(i + 1, fence.language, fence.text, above[1] if above else ""))
        else:
            steps.append(
                Step(
                    i + 1,
                    fence.language,
                    fence.text,
                    above[1] if above else "",
                    shown.text,
                    shown.language,
                    shown.line + 1,
                    shown.end,
                )
            )
    return steps


def section(text: str, heading: str) -> str:
    """Return what stands under a heading, up to the next of its level or above."""
    level = heading.split(" ")[0]
    pattern = rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)"
    (found,) = re.findall(pattern, text, re.M | re.S)
    return str(found)


def table(text: str) -> list[list[str]]:
    """Return the rows of the tables in a text, headings and rules left out."""
    rows: list[list[str]] = []
    previous = ""
    for line in text.splitlines():
        if line.startswith("|") and previous.startswith("|") and not re.fullmatch(r"[|\s:-]+", line):
            cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
            rows.append([c.strip().replace("\\|", "|") for c in cells])
        previous = line
    return rows


def words_in(text: str) -> set[str]:
    """Return what stands in backticks."""
    return set(re.findall(r"`([^`\n]+)`", text))
