"""Who takes part in a study, with which trait and which covariates: files beside the genotypes.

Files are as PLINK reads them: a line a person, the person's family (FID) and name (IID) or the name alone,
then values; fields parted by blanks, tabs or commas, perhaps in quotes. A first line of headings may be
there, and has to be where a column is asked for by its name. People are matched with the genotypes by IID, or
by FID_IID where only that fits. Who is in the file alone is counted and left out; who is in the genotypes
alone takes no part.

Missing are NA, NaN, null, ".", an empty field and -9. A trait of 1 and 2 has cases (2) and controls (1),
and 0 is then missing, as with PLINK; a trait of 0 and 1 has cases (1) and controls (0), as with its --1; any
other numbers are a quantitative trait.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genomics.gwas.rows import MISSING, Line, Rows, rows_of

Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]
Coding = Literal["1/2", "0/1", "number"]
CODINGS: tuple[Coding, ...] = ("1/2", "0/1", "number")
_NO_VALUE = -9.0
_MOST_COVARIATES = 200


@dataclass(frozen=True, slots=True, eq=False)
class Phenotype:
    """A trait of the people of a store, in the store's order.

    `values` is float64 of shape (people,), read-only; NaN takes no part. Of a `binary` trait 1.0 is a case
    and 0.0 a control.

    Raises:
        BadInput: nobody takes part, everybody is alike, or there are no cases or no controls.
        ValueError: values of another shape or type, or a binary trait with other values than 0 and 1.
    """

    name: str
    values: Reals
    binary: bool

    def __post_init__(self) -> None:
        if self.values.dtype != np.float64 or self.values.ndim != 1:
            raise ValueError("a trait is float64, a value a person")
        there = self.values[self.part]
        if self.binary and not np.isin(there, (0.0, 1.0)).all():
            raise ValueError("a binary trait is 1 for a case and 0 for a control")
        if not len(there):
            raise BadInput(f"nobody has a value of {self.name}")
        if there.min() == there.max():
            alike = "is a case" if there[0] == 1.0 else "is a control"
            raise BadInput(f"{self.name}: everybody {alike if self.binary else 'has the same value'}")
        self.values.flags.writeable = False

    @property
    def part(self) -> Flags:
        """Who takes part: bool, shape (people,)."""
        return np.isfinite(self.values)

    @property
    def labels(self) -> NDArray[np.int8]:
        """1 for a case, 0 for a control, -1 for who takes no part: int8, shape (people,)."""
        if not self.binary:
            raise ValueError(f"{self.name} has no cases and controls")
        return np.where(self.part, self.values, -1).astype(np.int8)

    def among(self, keep: Flags) -> "Phenotype":
        """Return the trait of those who are kept; the others take no part."""
        return replace(self, values=np.where(keep, self.values, np.nan))


@dataclass(frozen=True, slots=True, eq=False)
class Covariates:
    """Numbers that a regression adjusts for, in the store's order.

    `values` is float64 of shape (people, len(names)), read-only; a person with a NaN takes no part.
    """

    names: tuple[str, ...]
    values: Reals

    def __post_init__(self) -> None:
        if self.values.dtype != np.float64 or self.values.ndim != 2:
            raise ValueError("covariates are float64, a row a person")
        if self.values.shape[1] != len(self.names):
            raise ValueError("a covariate has one name")
        if len(set(self.names)) < len(self.names):
            raise BadInput("two covariates have one name", "rename one of them")
        self.values.flags.writeable = False

    @classmethod
    def none(cls, people: int) -> "Covariates":
        """Return no covariates of so many people."""
        return cls((), np.empty((people, 0)))

    @property
    def part(self) -> Flags:
        """Who has all of them: bool, shape (people,)."""
        found: Flags = np.all(np.isfinite(self.values), axis=1)
        return found

    def and_(self, other: "Covariates") -> "Covariates":
        """Return these and others of the same people."""
        return Covariates(self.names + other.names, np.hstack([self.values, other.values]))


@dataclass(frozen=True, slots=True)
class Roll:
    """Of a file: how many people it lists, how many of them are in the store, how many have all values."""

    listed: int
    known: int
    valued: int


def read_phenotype(
    file: Path,
    samples: Sequence[str],
    *,
    column: str | None = None,
    coding: Coding | None = None,
    cases: Sequence[str] = (),
) -> tuple[Phenotype, Roll]:
    """Read a trait.

    Args:
        file: see the module.
        samples: the store's people, in order.
        column: the heading of the trait; needed where there are several columns.
        coding: how numbers are read, where they do not tell: "1/2" and "0/1" have cases and controls.
        cases: words that make a case, of a column of words; whoever has another word is a control.

    Raises:
        BadInput: no such file or column, a line that does not fit, a person twice, a value that is none,
            nobody of the store, or a trait that cannot be studied. The message names file, line and column.
    """
    rows = rows_of(file, samples)
    (at,) = rows.columns([] if column is None else [column], most=1)
    name = rows.heads[at]
    found = np.full(len(samples), np.nan)
    if cases:
        wanted = set(cases)
        for line, (cell,) in rows.cells((at,)):
            if cell not in MISSING:
                found[line.person] = cell in wanted
        if not (found == 1).any():
            raise BadInput(f"{file.name}: nobody has the words of a case in {name}")
        trait = Phenotype(name, found, binary=True)
    else:
        for line, (cell,) in rows.cells((at,)):
            found[line.person] = _number(rows, line, at, cell)
        trait = _coded(file, name, found, coding)
    return trait, Roll(rows.listed, len(rows.lines), int(trait.part.sum()))


def read_covariates(
    file: Path, samples: Sequence[str], *, columns: Sequence[str] = ()
) -> tuple[Covariates, Roll]:
    """Read covariates: the columns named, or all.

    Raises:
        BadInput: as for `read_phenotype`; or more than 200 of them.
    """
    rows = rows_of(file, samples)
    places = rows.columns(list(columns), most=_MOST_COVARIATES)
    found = np.full((len(samples), len(places)), np.nan)
    for line, cells in rows.cells(places):
        found[line.person] = [_number(rows, line, at, cell) for at, cell in zip(places, cells, strict=True)]
    held = Covariates(tuple(rows.heads[at] for at in places), found)
    valued = int(held.part.sum())
    if not valued:
        raise BadInput(f"{file.name}: nobody has all covariates")
    return held, Roll(rows.listed, len(rows.lines), valued)


def _coded(file: Path, name: str, values: Reals, coding: Coding | None) -> Phenotype:
    """Return a trait of numbers as they are coded."""
    seen = set(np.unique(values[np.isfinite(values)])[:4].tolist())
    if coding is None:
        if seen == {0.0, 1.0, 2.0}:
            raise BadInput(
                f"{file.name}: {name} has 0, 1 and 2, which can be read in two ways",
                "say --coding 1/2 for controls, cases, and 0 where it is not known; or --coding number",
            )
        coding = "0/1" if seen <= {0.0, 1.0} else "1/2" if seen <= {0.0, 1.0, 2.0} else "number"
    if coding == "number":
        return Phenotype(name, values, binary=False)
    known = {0.0, 1.0} if coding == "0/1" else {0.0, 1.0, 2.0}
    if not seen <= known:
        raise BadInput(f"{file.name}: {name} has other values than {coding}", "--coding number takes any")
    if coding == "1/2":
        values = np.where(values == 0, np.nan, values - 1)
    return Phenotype(name, values, binary=True)


def _number(rows: Rows, line: Line, at: int, cell: str) -> float:
    """Return a value, NaN where it is missing.

    Raises:
        BadInput: it is none. The message says where, not what: it may be private.
    """
    if cell in MISSING:
        return math.nan
    try:
        found = float(cell) if cell.isascii() and "_" not in cell else math.inf
    except ValueError:
        found = math.inf
    if not math.isfinite(found):
        raise BadInput(
            f"{rows.file}, line {line.number}: {rows.heads[at]} is no number",
            "write numbers, NA where one is missing; --case says which words of a trait make a case",
        )
    return math.nan if found == _NO_VALUE else found
