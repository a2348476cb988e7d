"""What a custodian brings in files beside the genotypes: pedigrees, who is a case, a table of frequencies."""

import csv
import math
from pathlib import Path

from noisegate.errors import BadInput

MOST_BYTES = 64 * 2**20


def families_in(file: Path) -> list[list[str]]:
    """Return declared pedigrees: one a line, names of people with blanks between them.

    Raises:
        BadInput: a line that is none, with its number.
    """
    groups = []
    for number, line in _lines(file):
        names = line.split()
        if len(names) < 2:
            raise BadInput(f"{file.name}, line {number}: a family has at least two people")
        groups.append(names)
    return groups


def cases_in(file: Path) -> list[str]:
    """Return the names of people, one a line.

    Raises:
        BadInput: nobody is named, or somebody twice.
    """
    seen: set[str] = set()
    for number, line in _lines(file):
        name = line.strip()
        if name in seen:
            raise BadInput(f"{file.name}, line {number}: {name} is there twice")
        seen.add(name)
    if not seen:
        raise BadInput(f"{file.name} names nobody", "write the names of the cases, one a line")
    return sorted(seen)


def frequencies_in(file: Path) -> dict[str, float]:
    """Return a CSV of `variant,frequency` (a first line of headings may be there), frequencies in [0, 1].

    Raises:
        BadInput: a line that is not so, with its number.
    """
    table: dict[str, float] = {}
    for number, line in _lines(file):
        fields = next(csv.reader([line]))
        try:
            name, value = fields[0].strip(), float(fields[1])
        except (IndexError, ValueError):
            if number == 1:
                continue
            raise BadInput(f"{file.name}, line {number}: write variant,frequency") from None
        if not (math.isfinite(value) and 0 <= value <= 1):
            raise BadInput(f"{file.name}, line {number}: a frequency lies between 0 and 1")
        if name in table:
            raise BadInput(f"{file.name}, line {number}: {name} is there twice")
        table[name] = value
    if not table:
        raise BadInput(f"{file.name} has no frequencies", "write variant,frequency, one a line")
    return table


def _lines(file: Path) -> list[tuple[int, str]]:
    """Return numbered lines that are not empty, from 1."""
    try:
        if file.stat().st_size > MOST_BYTES:
            raise BadInput(f"{file.name} is larger than {MOST_BYTES // 2**20} MiB")
        text = file.read_text("utf-8")
    except OSError as wrong:
        raise BadInput(f"{file} cannot be read: {wrong.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{file.name} is not text in UTF-8") from None
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
