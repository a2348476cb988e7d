"""Tables of calls, CSV, TSV or Parquet: a row a person, a column a variant.

One column names the person, by default the first; with "#" there is none, and people are numbered by their
rows. A call is a number of alternate alleles (0, 1, 2), or two letters (AG, A/G). Missing are an empty
field, NA, NaN, ".", "--", and of numbers -1 and -9, of letters 00 and NN.

With a manifest, its ids say which columns are variants, and its alleles what is counted. Without one:

- a table of numbers is taken as it is, all of its columns; alleles are called A and B, of which B is
  counted, and places are unknown;
- a table of letters is read where it is marked public alone, since which alleles there are would be taken
  from the
  people: columns without letters are left out, and the second allele by the alphabet is counted.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from noisegate.errors import BadInput
from noisegate.genotypes import manifest as tables
from noisegate.genotypes import parquet
from noisegate.genotypes.importing import filling
from noisegate.genotypes.packed import MISSING
from noisegate.genotypes.reading import ONE_COPY, agreed_build, part, rows_at_once
from noisegate.genotypes.store import Store
from noisegate.genotypes.text import Told, silent
from noisegate.genotypes.transpose import PersonByPerson
from noisegate.genotypes.variants import NO_ALT, Gathered, Variants, contig, fit

NUMBERED = "#"  # in place of a column's name: people are numbered
_UNSAID = ("", "NA", "N/A", "NaN", "nan", "null", ".", "-", "--")
_NUMBERS: Mapping[str, int] = {
    **dict.fromkeys((*_UNSAID, "-1", "-9", "-1.0", "-9.0"), MISSING),
    **{number: int(number[0]) for number in ("0", "1", "2", "0.0", "1.0", "2.0")},
}
_NO_LETTERS = (*_UNSAID, "00", "NN", "0/0", "N/N", "0|0", "N|N", "0 0", "N N")
_PAIR = re.compile(r"([ACGTDI])[/| ]?([ACGTDI])", re.ASCII)
_ODD = -2  # what a value that is no call becomes
_CELLS = 2**22  # how many values of a Parquet file are held at a time


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns are taken, at which places of a row, and what each value of theirs counts as."""

    person: int  # -1 where people are numbered
    places: tuple[int, ...]
    codes: tuple[Mapping[str, int], ...]
    variants: Variants


def read(
    source: Path,
    target: Path,
    *,
    public: bool = False,
    build: str = "",
    manifest: Variants | None = None,
    person: str = "",
    progress: Told = silent,
) -> Store:
    """Import a table of calls.

    Args:
        source: a .csv, .tsv or .txt file, perhaps gzipped, with names in its first line, or a .parquet file.
        target: the store to make.
        public: whether all of it may be seen by anybody.
        build: the genome build of the manifest's positions.
        manifest: which columns are variants, and their alleles.
        person: the column that names the person; "" for the first, "#" for none.
        progress: told the share that is done.

    Raises:
        BadInput: a value that is no call, a person twice, or letters without a manifest; the message names
            line and column, never a value. Nothing is left behind.
    """
    names = _names(source)
    columns = _columns(source, names, person, manifest, public)
    samples: list[str] = []
    known: set[str] = set()
    told = part(progress, 0.0, 0.7)
    with PersonByPerson(target, len(columns.variants)) as people:
        for number, row in _rows(source, told):
            samples.append(str(len(samples) + 1) if columns.person < 0 else row[columns.person])
            where = f"{source.name}, {_line(source)} {number}"
            if not fit(samples[-1]):
                raise BadInput(f"{where}: the person has no name, or one with a space", "name each person")
            if samples[-1] in known:
                raise BadInput(f"{where}: sample {samples[-1]} is there twice", "keep one row a person")
            known.add(samples[-1])
            people.add(_calls(source, number, names, columns, row))
        if not samples:
            raise BadInput(
                f"{source.name}: nobody is in it", "the first line holds names, each other a person"
            )
        with filling(
            target,
            samples=samples,
            variants=columns.variants,
            build=agreed_build(source, build, ""),
            public=public,
            provenance={"format": "matrix", "source": source.name, "manifest": manifest is not None},
            told=part(progress, 0.7, 1.0),
        ) as filled:
            for block in people.blocks(rows_at_once(len(samples))):
                filled.add_packed(block)
            return filled.finish()


def _columns(
    source: Path, names: Sequence[str], person: str, manifest: Variants | None, public: bool
) -> Columns:
    at = _person(source, names, person)
    if manifest is not None:
        return _listed(source, names, at, manifest)
    places = [place for place in range(len(names)) if place != at]
    seen = _letters_seen(source, places) if public else None
    if seen is None:
        chosen = [names[place] for place in places]
        return Columns(at, tuple(places), (_NUMBERS,) * len(places), tables.unplaced(chosen))
    gathered = Gathered()
    codes: list[Mapping[str, int]] = []
    for place, letters in seen.items():
        ref, *alt = sorted(letters) or ["N"]
        gathered.add("0", 0, _fitting(source, names[place]), ref, alt[0] if alt else NO_ALT)
        codes.append(_letter_codes(ref, alt[0] if alt else NO_ALT, one_copy=False))
    return Columns(at, tuple(seen), tuple(codes), gathered.variants())


def _listed(source: Path, names: Sequence[str], person: int, manifest: Variants) -> Columns:
    """Return the columns that a manifest lists, in its order, of numbers or letters as they come."""
    at = {name: place for place, name in enumerate(names) if place != person}
    absent = [name for name in manifest.id.tolist() if name not in at]
    if absent:
        raise BadInput(
            f"{source.name}: it has no column for {len(absent)} of the manifest's variants",
            "leave them out of the manifest, or call the columns by its ids",
        )
    if len(set(manifest.id.tolist())) != len(manifest):
        raise BadInput(
            f"{source.name}: its manifest has an id twice", "a column has one id: rename one of them"
        )
    codes = [
        {**_letter_codes(ref, alt, one_copy=contig(chrom) in ONE_COPY), **_NUMBERS}
        for chrom, _, _, ref, alt in manifest.rows()
    ]
    return Columns(person, tuple(at[name] for name in manifest.id.tolist()), tuple(codes), manifest)


def _letter_codes(ref: str, alt: str, *, one_copy: bool) -> dict[str, int]:
    """Return what each way of writing a call in letters counts as."""
    alleles = [(ref, 0)] if alt == NO_ALT else [(ref, 0), (alt, 1)]
    codes = dict.fromkeys(_NO_LETTERS, MISSING)
    for first, one in alleles:
        if one_copy:
            codes[first] = 2 * one
        for second, other in alleles:
            codes |= dict.fromkeys((f"{first}{mark}{second}" for mark in "/| "), one + other)
            if len(first) == len(second) == 1:
                codes[first + second] = one + other
    return codes


def _letters_seen(source: Path, places: Sequence[int]) -> dict[int, set[str]] | None:
    """Return the letters of each column that has letters alone, of public people; None where none has."""
    letters: dict[int, set[str]] = {place: set() for place in places}
    for _, row in _rows(source, silent):
        for place in list(letters):
            value = row[place]
            if value in _NO_LETTERS:
                continue
            pair = _PAIR.fullmatch(value)
            letters[place].update(pair.groups() if pair else ())
            if pair is None or len(letters[place]) > 2:
                del letters[place]
    found = {place: seen for place, seen in letters.items() if seen}
    return found or None


def _calls(source: Path, number: int, names: Sequence[str], columns: Columns, row: Sequence[str]) -> Any:
    values = [codes.get(row[place], _ODD) for place, codes in zip(columns.places, columns.codes, strict=True)]
    calls = np.array(values, np.int8)
    if (odd := np.flatnonzero(calls == _ODD)).size:
        name = names[columns.places[int(odd[0])]]
        raise BadInput(
            f"{source.name}, {_line(source)} {number}, column {name[:80]!r}: "
            "neither 0, 1, 2 nor two of its alleles, nor missing",
            "give a manifest with the alleles of each variant, or drop columns that hold no calls",
        )
    return calls


def _person(source: Path, names: Sequence[str], person: str) -> int:
    if person == NUMBERED:
        return -1
    if person and person not in names:
        raise BadInput(f"{source.name}: no column {person!r}", "name the column that holds the person")
    return names.index(person) if person else 0


def _fitting(source: Path, name: str) -> str:
    if not fit(name):
        raise BadInput(f"{source.name}: column {name[:40]!r} has no name, or one with a space", "rename it")
    return name


def _names(source: Path) -> list[str]:
    """Return the names of the columns."""
    names = tables.header(source)
    for name in names:
        _fitting(source, name)
    return names


def _rows(source: Path, told: Told) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the number of each person's line (of a Parquet file: row) and its fields as text."""
    if _is_parquet(source):
        yield from _parquet_rows(source, told)
    else:
        rows = tables.csv_rows(source, told, whole=True)
        width = len(next(rows)[1])
        for number, row in rows:
            if len(row) != width:
                raise BadInput(
                    f"{source.name}, line {number}: {len(row)} fields where {width} are due", "mend the line"
                )
            yield number, row


def _parquet_rows(source: Path, told: Told) -> Iterator[tuple[int, Sequence[str]]]:
    try:
        with parquet.opened(source) as file:
            total, number = max(file.metadata.num_rows, 1), 0
            for batch in file.iter_batches(max(1, _CELLS // max(len(file.schema_arrow.names), 1))):
                columns = [parquet.texts(source, column) for column in batch.columns]
                for row in zip(*columns, strict=True):
                    number += 1
                    yield number, row
                told(number / total)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(
            f"{source.name}: cannot be read as Parquet: {type(error).__name__}", "copy the file again"
        ) from None


def _is_parquet(source: Path) -> bool:
    return source.suffix.casefold() == ".parquet"


def _line(source: Path) -> str:
    return "row" if _is_parquet(source) else "line"
