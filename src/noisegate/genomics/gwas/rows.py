"""Lines of values beside people's names, as PLINK writes them, matched with the people of a store."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from noisegate.errors import BadInput
from noisegate.genotypes.text import lines

MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL", ".", "-", "-9"})
MOST_BYTES = 256 * 2**20
_LONGEST = 2**16
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
        raise BadInput(f"{file.name} has no values", "write a value behind each name")
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
    if headed:
        return 2 if head[0].casefold() in _FAMILY or (head[1:2] and head[1].casefold() in _NAME) else 1
    if len(head) < 3:
        return 1
    by_second = sum(fields[1] in place for _, fields in body)
    return 1 if sum(fields[0] in place for _, fields in body) > by_second else 2


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
    """Yield numbered lines as their fields."""
    numbered = lines(file, whole=False, longest=_LONGEST)
    first = next(numbered, None)
    if first is None:
        return
    if file.stat().st_size > MOST_BYTES:
        raise BadInput(f"{file.name} is larger than {MOST_BYTES // 2**20} MiB")
    first = (first[0], first[1].removeprefix("\ufeff"))
    comma, tab = "," in first[1], "\t" in first[1]
    for number, line in chain([first], numbered):
        if comma:
            fields = next(csv.reader([line]), [])
        elif tab:
            fields = line.split("\t")
        else:
            fields = line.split()
        yield number, [field.strip() for field in fields]


def _listed(names: Sequence[str]) -> str:
    """Return names of columns, few of them.

    >>> _listed(["a", "b"])
    'a, b'
    """
    return ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
