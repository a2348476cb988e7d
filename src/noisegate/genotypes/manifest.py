"""Public lists of variants, read from whatever holds one, without reading a call.

A manifest says which variants there are and which allele is counted, so that neither depends on the people
of a file. It may be a .bim or .pvar, a VCF or BCF, a genotype store or VCF Zarr, or a table: CSV, TSV or
Parquet with the columns id, ref and alt, and chrom and pos where they are known.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from noisegate.errors import BadInput
from noisegate.genotypes import parquet, text, vcf_sites
from noisegate.genotypes.extra import genome_libraries
from noisegate.genotypes.text import Told, silent
from noisegate.genotypes.variants import MAX_POSITION, NO_ALT, Gathered, Variants, fit

_TABLES = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_COLUMNS = ("chrom", "pos", "id", "ref", "alt")
_UNNAMED = ("0", ".", "")
_MAX_LINE = 2**20
_PAIR = re.compile(r"[ACGTDI][/| ]?[ACGTDI]", re.ASCII)
_DUE = "a manifest has the columns id, ref and alt, and chrom and pos where they are known"

Row = tuple[str, ...]


def read(path: Path, most: int | None = None) -> Variants:
    """Return the variants that a file lists, the first `most` of them.

    Raises:
        BadInput: no such file, not a list of variants, or a line that holds none. The message names the line.
        SetupError: what reads it is not installed.
    """
    if path.is_dir():
        return _of_folder(path, most)
    name = path.name.casefold()
    if name.endswith((".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")):
        return vcf_sites.outline(path, most=most).variants
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix == ".bim":
        return _gathered(path, _bim(path), most)
    if suffix == ".pvar":
        return _gathered(path, _pvar(path), most)
    if suffix == ".parquet":
        return _gathered(path, _parquet(path), most)
    if suffix in _TABLES:
        return _gathered(path, _table(path), most)
    raise BadInput(f"{path.name}: not a list of variants", f"{_DUE}; or give a .bim, .pvar, VCF or store")


def header(path: Path) -> list[str]:
    """Return the names of a table's columns.

    Raises:
        BadInput: not a table, an empty one, or one with a name twice.
    """
    if path.suffix.casefold() == ".parquet":
        text.regular(path)
        try:
            names = list(pq.read_schema(path).names)
        except (OSError, pa.ArrowException) as error:
            raise BadInput(
                f"{path.name}: cannot be read as Parquet: {type(error).__name__}", "copy it again"
            ) from None
    else:
        names = next((row for _, row in csv_rows(path)), [])
    if not any(names):
        raise BadInput(f"{path.name}: the file is empty", "its first line holds the columns' names")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"{path.name}: column {twice[:40]!r} is there twice", "rename or drop one of them")
    return names


def has_letters(path: Path) -> bool:
    """Whether a table of calls has letters in it, by its types or its first row."""
    if path.suffix.casefold() == ".parquet":
        types = pq.read_schema(path).types[1:]
        return not all(map(_is_number, types))
    rows = csv_rows(path)
    return any(_PAIR.fullmatch(value) for _, row in islice(rows, 1, 2) for value in row[1:])


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind))


def unplaced(names: Sequence[str]) -> Variants:
    """Return variants of which nothing but the name is known: allele B is counted, A is the other one."""
    if not names:
        raise BadInput("the table has no column of a variant", "a row is a person, a column a variant")
    count = len(names)
    return Variants.of(["0"] * count, [0] * count, names, ["A"] * count, ["B"] * count)


def csv_rows(
    path: Path, told: Told = silent, longest: int = text.MAX_LINE, *, whole: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line of a CSV or TSV file, and its fields; see `text.lines`.

    Raises:
        BadInput: not text, or not CSV. The message names the line.
    """
    suffix = Path(path.name.casefold().removesuffix(".gz")).suffix
    lines = _Numbered(text.lines(path, told, whole=whole, longest=longest))
    try:
        for row in csv.reader(lines, delimiter=_TABLES.get(suffix, ","), strict=True):
            yield lines.number, [field.strip() for field in row]
    except csv.Error as error:
        raise BadInput(
            f"{path.name}, line {lines.number}: {error}", "it is CSV in UTF-8 with a header"
        ) from None


def _of_folder(path: Path, most: int | None) -> Variants:
    with genome_libraries():
        from noisegate.genotypes import layout, vcf_zarr
        from noisegate.genotypes.store import Store
    if (path / layout.CALLS).is_dir():
        return Store.open(path).variants[:most]
    return vcf_zarr.sites(path, most)


def _gathered(path: Path, rows: Iterable[tuple[int, Row]], most: int | None) -> Variants:
    """Return rows of chrom, pos, id, ref and alt as variants, each checked with its line."""
    gathered = Gathered()
    for number, (chrom, pos, name, ref, alt) in islice(rows, most):
        where = f"{path.name}, line {number}"
        if not (pos.isascii() and pos.isdigit() and int(pos[:11]) <= MAX_POSITION):
            raise BadInput(f"{where}: no position of 0 to {MAX_POSITION}", "write 0 where it is not known")
        name = "" if name in _UNNAMED else name
        ref, alt = (NO_ALT if allele in _UNNAMED else allele for allele in (ref, alt))
        if not all(map(fit, (chrom, ref, alt))) or (name and not fit(name)):
            raise BadInput(f"{where}: a field is empty, too long or holds a space", _DUE)
        if "," in alt:
            raise BadInput(f"{where}: several alternate alleles", "list such variants one by one")
        if ref.upper() == alt.upper():
            raise BadInput(f"{where}: both alleles are the same", "leave the variant out")
        gathered.add(chrom, int(pos), name, ref, alt)
    found = gathered.variants()
    if not len(found):
        raise BadInput(f"{path.name}: it lists no variant", _DUE)
    return found


def _bim(path: Path) -> Iterator[tuple[int, Row]]:
    for number, line in text.lines(path, whole=False, longest=_MAX_LINE):
        fields = line.split()
        if len(fields) != 6:
            raise BadInput(
                f"{path.name}, line {number}: {len(fields)} fields where 6 are due", "copy it again"
            )
        chrom, name, _, pos, alt, ref = fields
        yield number, (chrom, pos, name, ref, alt)


def _pvar(path: Path) -> Iterator[tuple[int, Row]]:
    places: list[int] = []
    for number, line in text.lines(path, whole=False, longest=text.MAX_LINE):
        if line.startswith("##"):
            continue
        fields = line.split("\t")
        if not places:
            places = _columns(path, fields)
        elif len(fields) <= max(places):
            raise BadInput(f"{path.name}, line {number}: only {len(fields)} fields", "copy it again")
        else:
            yield number, _picked(fields, places)


def _table(path: Path) -> Iterator[tuple[int, Row]]:
    rows = csv_rows(path, longest=_MAX_LINE)
    _, names = next(rows, (0, []))
    places = _columns(path, names)
    for number, row in rows:
        if len(row) != len(names):
            raise BadInput(f"{path.name}, line {number}: {len(row)} fields, not {len(names)}", _DUE)
        yield number, _picked(row, places)


def _parquet(path: Path) -> Iterator[tuple[int, Row]]:
    try:
        with parquet.opened(path) as file:
            names = [name for name in file.schema_arrow.names if name.casefold() in _COLUMNS]
            places = _columns(path, names)
            number = 0
            for batch in file.iter_batches(65_536, columns=names):
                columns = [parquet.texts(path, column) for column in batch.columns]
                for row in zip(*columns, strict=True):
                    number += 1
                    yield number, _picked(row, places)
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"{path.name}: cannot be read as Parquet: {type(error).__name__}", _DUE) from None


class _Numbered:
    """Lines for a CSV reader, which remembers the number of the last one."""

    def __init__(self, lines: Iterator[tuple[int, str]]) -> None:
        self._lines = lines
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        for number, line in self._lines:
            self.number = number
            yield line


def _columns(path: Path, names: Sequence[str]) -> list[int]:
    """Return where chrom, pos, id, ref and alt are in a row, -1 for a column that is not there."""
    folded = [name.strip().lstrip("#").casefold() for name in names]
    if absent := [name for name in ("id", "ref", "alt") if name not in folded]:
        raise BadInput(f"{path.name}: no column {', '.join(absent)}", _DUE)
    return [folded.index(name) if name in folded else -1 for name in _COLUMNS]


def _picked(row: Sequence[str], places: Sequence[int]) -> Row:
    return tuple(row[place] if place >= 0 else "0" for place in places)
