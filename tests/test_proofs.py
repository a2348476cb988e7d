"""PROOFS.md and TRUST.md speak of the code there is: of every trusted file, under names that exist."""

import ast
import re
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src" / "noisegate"
TESTS = ROOT / "tests"
PARTS = ("Needs, types", "Needs, caller", "Claim", "Why", "Tests")
PROOFS = (ROOT / "PROOFS.md").read_text()
TRUST = (ROOT / "TRUST.md").read_text()


def sections(text: str) -> dict[str, str]:
    """Return the body of each section by its heading."""
    _, *found = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    return dict(zip(found[::2], found[1::2], strict=True))


def parts(body: str) -> dict[str, str]:
    """Return the parts of a section by their bold names, what stands before them as ""."""
    names = "|".join(re.escape(part) for part in PARTS)
    before, *found = re.split(rf"^\*\*({names})\.\*\*\s+", body, flags=re.MULTILINE)
    return {"": before} | dict(zip(found[::2], found[1::2], strict=True))


def in_code(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", text)


def files_of(text: str) -> list[str]:
    """Return the files in backticks; one without a directory lies in that of the one before it."""
    found, directory = [], PurePosixPath()
    for name in in_code(text):
        path = PurePosixPath(name)
        if path.suffix == ".py" and " " not in name:
            directory = path.parent if "/" in name else directory
            found.append(str(directory / path.name))
    return found


def trusted_files(root: Path) -> set[str]:
    """Return the files whose docstring says TRUSTED, relative to `root`."""
    said = ((path, ast.get_docstring(ast.parse(path.read_text()))) for path in root.rglob("*.py"))
    return {path.relative_to(root).as_posix() for path, text in said if re.search(r"\bTRUSTED\b", text or "")}


def references(text: str, document: str) -> set[str]:
    """Return the headings that a source refers to, as in `PROOFS.md, "Filter" and "Loss"`."""
    flat = re.sub(r"\s*\n[ \t]*(#[ \t]?)?", " ", text)
    lists = re.findall(rf"{re.escape(document)}, ([^.:)\n]*)", flat)
    named = [name for listed in lists for name in re.findall(r'"([^"]+)"', listed)]
    return {*named, *re.findall(rf'"([^"]+)" in {re.escape(document)}', flat)}


def exists(name: str) -> bool:
    """Whether a test file or folder that PROOFS.md names is there."""
    return (ROOT / name).exists() if "/" in name else any(TESTS.rglob(name))


TRUSTED = trusted_files(SOURCES)
SECTIONS = sections(PROOFS)
PROVED = {file for body in SECTIONS.values() for file in files_of(parts(body)[""])}
TABLED = set(files_of(sections(TRUST)["Trusted files"]))


def test_what_is_looked_for_is_found() -> None:
    assert {"privacy/filter.py", "engines/quote.py", "ledger/writer.py"} <= TRUSTED
    assert "sql/planner.py" not in TRUSTED
    assert len(SECTIONS) > 15
    assert files_of("`a/b.py` (`f`, `g`), `c.py`; `d/e.py`") == ["a/b.py", "a/c.py", "d/e.py"]
    assert references('see PROOFS.md, "One" and\n# "Two"; "Three" in PROOFS.md. "Four"', "PROOFS.md") == {
        "One",
        "Two",
        "Three",
    }


@pytest.mark.parametrize("file", sorted(TRUSTED))
def test_a_trusted_file_is_in_the_table_and_has_a_proof(file: str) -> None:
    assert file in TABLED
    assert file in PROVED


@pytest.mark.parametrize("file", sorted(TABLED | PROVED))
def test_a_file_with_a_proof_or_in_the_table_exists(file: str) -> None:
    assert (SOURCES / file).is_file()


@pytest.mark.parametrize("heading", SECTIONS)
def test_a_section_has_its_five_parts_in_order_and_none_is_empty(heading: str) -> None:
    found = parts(SECTIONS[heading])
    assert tuple(found) == ("", *PARTS)
    assert all(text.strip() for text in found.values())


def test_a_section_without_a_part_would_be_noticed() -> None:
    whole = "`a.py`.\n\n" + "".join(f"**{part}.** words\n\n" for part in PARTS)
    assert tuple(parts(whole)) == ("", *PARTS)
    assert tuple(parts(whole.replace("**Why.**", "Why:"))) != ("", *PARTS)


@pytest.mark.parametrize("heading", SECTIONS)
def test_the_tests_that_a_section_names_exist(heading: str) -> None:
    named = [
        n for n in in_code(parts(SECTIONS[heading])["Tests"]) if n.endswith(".py") or n.startswith("tests/")
    ]
    assert named
    assert [n for n in named if not exists(n)] == []


def test_a_test_that_does_not_exist_would_be_noticed() -> None:
    assert exists("test_filter.py")
    assert exists("tests/engines")
    assert not exists("test_filters.py")
    assert not exists("tests/privacy/test_lower.py")


def test_every_reference_to_a_proof_or_a_weakness_names_one() -> None:
    weaknesses = set(re.findall(r"\*\*([^*]+)\*\*", sections(TRUST)["Known weaknesses"]))
    asked = [*SOURCES.rglob("*.py"), ROOT / "PROOFS.md", ROOT / "TRUST.md", *(ROOT / "docs").rglob("*.md")]
    texts = {path: path.read_text() for path in asked}
    proofs = {name: path for path, text in texts.items() for name in references(text, "PROOFS.md")}
    trust = {name: path for path, text in texts.items() for name in references(text, "TRUST.md")}
    assert len(proofs) > 10
    assert {name: path for name, path in proofs.items() if name not in SECTIONS} == {}
    assert trust
    folded = {name.casefold() for name in weaknesses}
    assert {name: path for name, path in trust.items() if name.casefold() not in folded} == {}
