"""Golden files: a title, a question, and what became of it, as tests/golden/** writes them."""

from dataclasses import dataclass
from pathlib import Path

from noisegate import sql
from noisegate.errors import NoisegateError

from .catalogs import CATALOG

GOLDEN = Path(__file__).parent.parent / "golden"
TITLE, RESULT = "-- title: ", "--> "


@dataclass(frozen=True)
class Case:
    path: Path
    title: str
    question: str
    expected: tuple[str, ...]


def cases_of(path: Path) -> list[Case]:
    """Return the cases of one file.

    Raises:
        ValueError: text outside any case.
    """
    found = []
    head, *blocks = ("\n" + path.read_text("utf-8")).split("\n" + TITLE)
    if head.strip():
        raise ValueError(f"{path}: text before the first title")
    for block in blocks:
        title, *lines = block.splitlines()
        question = "\n".join(line for line in lines if not line.startswith(RESULT.rstrip())).strip()
        expected = tuple(line.removeprefix(RESULT) for line in lines if line.startswith(RESULT.rstrip()))
        found.append(Case(path, title, question, expected))
    return found


def outcome(question: str) -> tuple[str, ...]:
    """Return the plan in words, or the refusal with its code and hint."""
    try:
        plan = sql.read(question, CATALOG)
    except NoisegateError as error:
        hint = (f"hint: {error.hint}",) if error.hint else ()
        return (f"refused: {error.code}", error.message, *hint)
    return tuple(sql.describe(plan, CATALOG))


def rewrite(path: Path) -> None:
    """Write what becomes of each question into its file."""
    blocks = []
    for case in cases_of(path):
        results = "\n".join(RESULT + line for line in outcome(case.question))
        blocks.append(f"{TITLE}{case.title}\n{case.question}\n{results}\n")
    path.write_text("\n".join(blocks), "utf-8")
