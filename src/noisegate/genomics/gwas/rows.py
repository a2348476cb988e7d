"""Lines of values beside people's names, as PLINK writes them, matched with the people of a store."""

import csv
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from noisegate.errors import BadInput
from noisegate.genotypes.text import is_zipped, regular, unreadable, unzipped

MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", ".", "-", "-9"})
MOST_BYTES = 256 * 2**20
_LONGEST = 2**16
_WORD = re.compile(r'"[^"]*"(?=\s|$)|\S+')
_FAMILY, _NAME = ("#fid", "fid"), ("#iid", "iid")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of values: its number in the file, the person's place in the store, and the values."""

    number: int
    person: int
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Rows:
    """The lines of a file whose people are in the store.

    `heads` names the columns of values; `headed` says that the names stand in the file. `listed` is how many
    people the file has, in the store or not.
    """

    file: str
    heads: tuple[str, ...]
    headed: bool
    listed: int
    lines: tuple[Line, ...]

    def columns(self, wanted: Sequence[str], *, most: int) -> tuple[int, ...]:
        """Return the places of the columns named, or of all.

        Raises:
            BadInput: no such column, one twice, or more than `most`.
        """
        for name in wanted:
            if not self.headed or name not in self.heads:
                said = f"it has {_listed(self.heads)}" if self.headed else "its first line has no headings"
                raise BadInput(f"{self.file}: there is no column {name}", said)
        places = tuple(self.heads.index(name) for name in wanted) or tuple(range(len(self.heads)))
        if len(set(places)) < len(places):
            raise BadInput(f"{self.file}: a column is named twice", "name each once")
        if len(places) > most:
            raise BadInput(
                f"{self.file} has {len(places)} columns of values, {_listed(self.heads)}",
                "name the one that is meant" if most == 1 else f"name at most {most}",
            )
        return places

    def cells(self, places: Sequence[int]) -> Iterator[tuple[Line, list[str]]]:
        """Yield each line, and its values of some columns."""
        for line in self.lines:
            yield line, [line.cells[place] for place in places]


def rows_of(file: Path, samples: Sequence[str]) -> Rows:
    """Read a file of values; see `phenotypes.py` for what it may look like.

    Raises:
        BadInput: it cannot be read, a line has more or fewer fields than the first, a person is there twice,
            or nobody of it is in the store.
    """
    table = [(number, fields) for number, fields in _split(file) if any(fields)]
    if not table:
        raise BadInput(f"{file.name} is empty", "write the name of a person and a value, one a line")
    width = len(table[0][1])
    for number, fields in table:
        if len(fields) != width:
            raise BadInput(f"{file.name}, line {number}: {len(fields)} fields, the first line has {width}")
    place = {name: i for i, name in enumerate(samples)}
    head = table[0][1]
    headed = _is_heading(head, place)
    body = table[headed:]
    first = _first_value(head, headed, body, place)
    if width <= first:
        raise BadInput(
            f"{file.name} has no values", "write a value behind each name, parted by blanks, tabs or commas"
        )
    heads = tuple(head[first:]) if headed else tuple(f"column {i + 1}" for i in range(first, width))
    if len(set(heads)) < len(heads):
        raise BadInput(f"{file.name}: two columns have one heading", "rename one of them")
    return Rows(file.name, heads, headed, len(body), tuple(_matched(file, body, first, place)))


def _matched(
    file: Path, body: Sequence[tuple[int, list[str]]], first: int, place: dict[str, int]
) -> Iterator[Line]:
    """Yield the lines of who is in the store, by name, or by family and name where only that is known."""
    joined = first == 2 and not any(fields[1] in place for _, fields in body)
    seen: set[tuple[str, ...]] = set()
    found = False
    for number, fields in body:
        who = tuple(fields[:first])
        name = "_".join(who) if joined else who[-1]
        person = place.get(name)
        # Two families may have people of one name, of whom a store that knows them by it has one at most.
        key = who if person is None else (name,)
        if key in seen:
            raise BadInput(f"{file.name}, line {number}: a person is there twice", "keep one line a person")
        seen.add(key)
        if person is not None:
            found = True
            yield Line(number, person, fields[first:])
    if not found:
        raise BadInput(
            f"{file.name}: nobody of it is in the genotypes",
            "write the names that the genotypes have, behind family names if at all",
        )


def _first_value(
    head: list[str], headed: bool, body: Sequence[tuple[int, list[str]]], place: dict[str, int]
) -> int:
    """Return how many columns name the person: 2 with a family's name, else 1."""
    first, second = (word.casefold() for word in (*head, "")[:2])
    if headed and (first in _FAMILY or second in _NAME):
        return 2
    if len(head) < 3 or (headed and first in _NAME):
        return 1
    by_first, by_second = (sum(fields[at] in place for _, fields in body) for at in (0, 1))
    # What a heading leaves open the names tell; without one PLINK's two columns are more likely.
    return 2 if by_second > by_first or (by_second == by_first and not headed) else 1


def _is_heading(fields: list[str], place: dict[str, int]) -> bool:
    """Whether a first line holds headings: it begins as PLINK's do, or names nobody and has no number."""
    if fields[0].casefold() in (*_FAMILY, *_NAME):
        return True
    known = any(field in place for field in fields[:2])
    return not known and not any(_is_value(field) for field in fields[1:])


def _is_value(field: str) -> bool:
    if field in MISSING:
        return True
    try:
        float(field)
    except ValueError:
        return False
    return True


def _split(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield numbered lines as their fields, words in quotes without them.

    Lines end as on any system, in LF, CR LF or CR.
    """
    text = _text(file)
    first = text[: _LONGEST + 1].split("\n", 1)[0].split("\r", 1)[0]
    comma, tab = "," in first, "\t" in first
    for number, ended in enumerate(StringIO(text, newline=None), 1):
        line = ended.rstrip("\n")
        if len(line) > _LONGEST:
            raise BadInput(f"{file.name}, line {number}: longer than {_LONGEST} characters")
        if comma or tab:
            fields = next(csv.reader([line], delimiter="," if comma else "\t"), [])
        else:
            fields = [word[1:-1] if word[0] == word[-1] == '"' else word for word in _WORD.findall(line)]
        yield number, [field.strip() for field in fields]


def _text(file: Path) -> str:
    """Return the text of a file, perhaps compressed by gzip or bgzip."""
    regular(file)
    try:
        with file.open("rb") as raw:
            held = (unzipped(raw) if is_zipped(file) else raw).read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(file, error) from error
    if len(held) > MOST_BYTES:
        raise BadInput(f"{file.name} is larger than {MOST_BYTES // 2**20} MiB")
    try:
        text = held.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise BadInput(f"{file.name} is not text in UTF-8", "save it as UTF-8")
    return text


def _listed(names: Sequence[str]) -> str:
    """Return names of columns, few of them.

    >>> _listed(["a", "b"])
    'a, b'
    """
    return ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
