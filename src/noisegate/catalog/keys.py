"""The keys catalog.toml may hold, and a reader that takes them one by one.

Reading does not stop at the first mistake: what is wrong is noted with its place, and the custodian sees
all of it at once. A key nobody knows is a mistake too, since a misspelt bound would otherwise be silently
left out.
"""

import difflib
import enum
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

Value = object
MAX_DIGITS = 400
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Part(enum.Enum):
    """The kinds of TOML table there are. The value is its heading in docs/reference/catalog.md."""

    DATASET = "A dataset"
    TABLE = "A table"
    GENOTYPES = "A genotype table"
    COLUMN = "A column"
    RANGE = "Bounds by another column"
    BUDGET = "A budget"
    POPULATION = "A population"
    POLICY = "The policy"
    TIER = "A tier of the policy"
    SPECIFICITY = "Specificity"


KEYS: Mapping[Part, tuple[str, ...]] = {
    Part.DATASET: (
        "title",
        "population",
        "unit",
        "unit_type",
        "budget",
        "synthetic",
        "notes",
        "tables",
        "genotypes",
    ),
    Part.TABLE: (
        "title",
        "source",
        "public",
        "unit",
        "rows_per_unit",
        "groups_per_unit",
        "max_rows",
        "most_rows_per_unit",
        "expected_units",
        "columns",
    ),
    Part.GENOTYPES: (
        "title",
        "source",
        "format",
        "variants",
        "manifest",
        "person",
        "build",
        "public",
        "roster",
        "unit",
        "expected_units",
    ),
    Part.COLUMN: (
        "title",
        "type",
        "tier",
        "low",
        "high",
        "step",
        "by",
        "values",
        "nullable",
        "per_unit",
        "measured_in",
    ),
    Part.RANGE: ("low", "high"),
    Part.BUDGET: ("epsilon", "delta", "every"),
    Part.POPULATION: ("budget",),
    Part.POLICY: ("tiers", "specificity"),
    Part.TIER: ("default_epsilon", "max_epsilon", "max_per_day", "weight"),
    Part.SPECIFICITY: (
        "per_condition",
        "free_conditions",
        "per_bit",
        "free_bits",
        "per_similar",
        "most_similar",
        "near",
        "unknown_share",
        "history",
        "max_factor",
        "lock_after",
    ),
}
RESERVED = ("policy", "populations")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at one place: `where` is the key path, as in liver.tables.patients.columns.age."""

    where: str
    message: str


def is_name(text: str) -> bool:
    """Whether the text can name a dataset, a table or a column in SQL without quotes."""
    return _NAME.fullmatch(text) is not None


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" for the closest known word, or nothing.

    >>> nearest("rows_per_person", ["rows_per_unit", "title"])
    "; did you mean 'rows_per_unit'?"
    """
    matches = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


@dataclass(frozen=True, slots=True)
class Section:
    """One TOML table, read key by key. `problems` is shared by the whole file and only ever grows."""

    values: Mapping[str, Value]
    where: str
    part: Part
    problems: list[Problem]

    def __post_init__(self) -> None:
        known = KEYS[self.part]
        for key in self.values:
            if key not in known:
                self.note(f"unknown key {key!r}{nearest(key, known)}")

    def note(self, message: str, key: str = "") -> None:
        """Write down what is wrong here, or at a key of this part."""
        self.problems.append(Problem(_path(self.where, key), message))

    def has(self, key: str) -> bool:
        """Whether the key is given. Asking for a key that is not documented is a mistake in the loader."""
        if key not in KEYS[self.part]:
            raise KeyError(key)
        return key in self.values

    def text(self, key: str, default: str = "") -> str:
        """Return a text."""
        value = self.values[key] if self.has(key) else default
        if isinstance(value, str):
            return value
        self.note(f"is a text in quotes, not {_kind(value)}", key)
        return default

    def needed_text(self, key: str, why: str) -> str:
        """Return a text that must be there; `why` says what it is for."""
        if self.has(key) and self.values[key] == "":
            self.note(f"is empty: {why}", key)
        elif not self.has(key):
            self.note(f"{key} is missing: {why}")
        return self.text(key)

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        value = self.values[key] if self.has(key) else default
        if isinstance(value, bool):
            return value
        self.note(f"is true or false, not {_kind(value)}", key)
        return default

    def whole(self, key: str, most: int, least: int = 1) -> int | None:
        """Return a whole number of `least` to `most`, or None where the key is not given."""
        if not self.has(key):
            return None
        value = self.values[key]
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        self.note(f"is a whole number of {least:,} to {most:,}, not {_shown(value)}", key)
        return None

    def number(self, key: str) -> Fraction | None:
        """Return a number exactly as it is written, or None where the key is not given."""
        if not self.has(key):
            return None
        value = self.values[key]
        number = exact(value)
        if number is None:
            self.note(f"is a finite number, not {_shown(value)}", key)
        return number

    def section(self, key: str, part: Part) -> "Section | None":
        """Return a table inside this one, or None where it is not given."""
        if not self.has(key):
            return None
        return open_section(self.values[key], _path(self.where, key), part, self.problems)

    def sections(self, key: str, part: Part) -> "Iterator[tuple[str, Section]]":
        """Yield the named tables inside this one, as in [X.tables.NAME]; names are checked by `named`."""
        if self.has(key):
            yield from named(self.values[key], _path(self.where, key), part, self.problems)


def open_section(value: Value, where: str, part: Part, problems: list[Problem]) -> Section | None:
    """Return a TOML table as a section, or note that the value is none."""
    if isinstance(value, dict):
        return Section(value, where, part, problems)
    problems.append(Problem(where, f"is a table of keys, not {_kind(value)}"))
    return None


def named(
    value: Value, where: str, part: Part, problems: list[Problem], *, strict: bool = True
) -> Iterator[tuple[str, Section]]:
    """Yield the sections of a TOML table of tables with their names.

    A name that cannot be written in SQL without quotes (unless `strict` is false), or that occurs twice
    when case is ignored, is noted; it is yielded all the same, so that what stands below it is read too.
    """
    if not isinstance(value, dict):
        problems.append(Problem(where, f"is a table of tables, not {_kind(value)}"))
        return
    seen: dict[str, str] = {}
    for name, inner in value.items():
        place = _path(where, name)
        if strict and not is_name(name):
            problems.append(
                Problem(place, "a name is made of letters, digits and _, and does not begin with a digit")
            )
        if (other := seen.setdefault(name.casefold(), name)) != name:
            problems.append(Problem(place, f"the same name as {other!r}: SQL ignores case"))
        section = open_section(inner, place, part, problems)
        if section is not None:
            yield name, section


def exact(value: Value) -> Fraction | None:
    """Return a TOML number as the exact fraction that is written, or None if it is none, or not finite.

    >>> exact(Decimal("1e-6"))
    Fraction(1, 1000000)
    """
    match value:
        case bool():
            return None
        case int():
            return Fraction(value)
        case Decimal() if value.is_finite() and abs(value.adjusted()) < MAX_DIGITS:
            return Fraction(value)
        case _:
            return None


def shown(number: Fraction) -> str:
    """Return a number as people write it.

    >>> shown(Fraction(1, 1000000))
    '1e-06'
    """
    return str(number.numerator) if number.denominator == 1 else f"{float(number):.12g}"


def as_number(number: Fraction) -> int | float:
    """Return a number as JSON holds it, an int where it is whole."""
    return number.numerator if number.denominator == 1 else float(number)


def _path(where: str, key: str) -> str:
    if not key:
        return where
    return f"{where}.{key}" if where else key


def _kind(value: Value) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | Decimal():
            return "a number"
        case str():
            return "a text"
        case list():
            return "a list"
        case dict():
            return "a table"
        case _:
            return "a date or time"


def _shown(value: Value) -> str:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        digits = value.adjusted() if isinstance(value, Decimal) else math.log10(max(abs(value), 1))
        return str(value) if digits < 30 else "a number that large"
    return _kind(value)
