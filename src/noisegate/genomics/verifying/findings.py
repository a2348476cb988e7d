"""A researcher's table of findings: variants and the p-values that were reported of them.

Whoever sends it is not trusted: sizes are bounded, every value is checked, and nothing of a row that cannot
be read is guessed. Of each p-value the printed digits are kept as a range: 0.031 says no more than 0.0305 to
0.0315, and how many data sets could have given it depends on that.
"""

import csv
import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput, TooLarge
from noisegate.genotypes import text
from noisegate.genotypes.variants import fit

Floats = NDArray[np.float64]

MOST_BYTES = 64 * 2**20
MOST_FINDINGS = 1_000_000
MOST_COLUMNS = 200
LONGEST_NAME = 200
LONGEST_LINE = 2**16
UNDERFLOW = 1e-300  # what a plain 0 is taken to be below: programs write it where a double has no smaller one
WHOLE = 14  # digits from which on nobody rounded a p-value, but another program computed it
EXACT = 1e-7  # relative error that such a p-value may have
# Headings in use, without case: plink 1.9 and 2, SAIGE, regenie, METAL, the GWAS catalog, and plain words.
NAMES = ("variant", "snp", "rsid", "rs_id", "id", "variant_id", "markername", "marker")
P_VALUES = ("p", "pval", "pvalue", "p_value", "p-value", "p.value", "p_bolt_lmm")
DIRECTIONS = ("direction",)
RATIOS = ("or", "odds_ratio", "oddsratio", "odds ratio")
EFFECTS = ("beta", "effect", "z", "t_stat", "z_stat", "stat_signed")
ALLELES = ("a1", "effect_allele", "allele1", "counted_allele")
KNOWN = frozenset({*NAMES, *P_VALUES, *DIRECTIONS, *RATIOS, *EFFECTS, *ALLELES, "test", "obs_ct"})
_MISSING = frozenset({"", "na", "nan", ".", "null", "none", "-"})
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What was reported; arrays of shape (findings,).

    Attributes:
        variants: names, each once.
        p: float64, in [0, 1].
        low: float64; `low` to `high` is what the printed digits of a p-value stand for.
        high: likewise.
        direction: int8; 1 where `allele` is commoner among the cases, -1 where it is rarer, 0 if not said.
        allele: the allele that the direction is of, "" where the table does not say, which then is the
            alternate one.
        skipped: rows that gave no p-value, as plink's NA.
        digest: SHA-256 of what was read, hexadecimal.
    """

    variants: tuple[str, ...]
    p: Floats
    low: Floats
    high: Floats
    direction: NDArray[np.int8]
    allele: tuple[str, ...]
    skipped: int
    digest: str

    def __post_init__(self) -> None:
        if not self.variants:
            raise BadInput("there are no findings in this table", "give a variant and a p-value a row")
        count = len(self.variants)
        if len(set(self.variants)) != count:
            raise BadInput("a variant is named twice among the findings", "report one test of each variant")
        if any(len(part) != count for part in (self.p, self.low, self.high, self.direction, self.allele)):
            raise ValueError("each finding has one of everything")
        if not (self.low <= self.p).all() or not (self.p <= self.high).all():
            raise ValueError("a p-value lies in the range that its digits stand for")


def read_findings(file: Path) -> Findings:
    """Return the findings in a file: CSV, tab- or blank-separated with headings, plink's tables, or Parquet.

    Of plink 1.9's `--model` and plink 2's `--glm`, which have several rows a variant, rows of other tests
    than the additive one (TREND, ADD) are left out.

    Raises:
        BadInput: it is none of these, has no column of variants or of p-values, or a value that is none.
        TooLarge: it is larger than any table of findings.
    """
    text.regular(file)
    if file.stat().st_size > MOST_BYTES:
        raise TooLarge(f"{file.name} is larger than {MOST_BYTES // 2**20} MiB", "send the findings alone")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    rows = _parquet(file) if file.suffix.casefold() == ".parquet" else _lines(file)
    return _read(rows, digest)


def rows_of(file: Path) -> list[dict[str, str]]:
    """Return the rows of a file for `findings_of`, as text: to be sent where the file cannot be.

    Raises:
        BadInput: as `read_findings`.
        TooLarge: likewise.
    """
    read_findings(file)
    rows = _parquet(file) if file.suffix.casefold() == ".parquet" else _lines(file)
    return [
        {name: value for name, value in row.items() if name in KNOWN}
        for _, row in rows
        if not _other_test(row)
    ]


def findings_of(rows: Sequence[Mapping[str, object]]) -> Findings:
    """Return the findings in rows of named values, as JSON has them: at least "variant" and "p" in each.

    Raises:
        BadInput: a row that is none.
        TooLarge: more rows than any table of findings has.
    """
    if len(rows) > MOST_FINDINGS:
        raise TooLarge(f"there are more than {MOST_FINDINGS:,} findings", "send the findings alone")
    told = hashlib.sha256()
    for row in rows:
        told.update(repr(sorted((str(name), value) for name, value in row.items())).encode())
    plain = ({str(name).casefold(): _plain(value) for name, value in row.items()} for row in rows)
    return _read(enumerate(plain, 1), told.hexdigest())


def _read(rows: Iterable[tuple[int, Mapping[str, str]]], digest: str) -> Findings:
    """Return the findings in numbered rows of text by heading."""
    names: dict[str, None] = {}
    found: list[tuple[float, float, float, int, str]] = []
    skipped = 0
    for number, row in rows:
        if _other_test(row):
            continue
        name, p = _one_of(row, NAMES), _one_of(row, P_VALUES)
        if name is None or p is None:
            lacking = "a variant" if name is None else "a p-value"
            raise BadInput(
                f"row {number} has no column for {lacking}",
                f"head columns {NAMES[0]!r} and {P_VALUES[0]!r}; plink's SNP, ID and P are known too",
            )
        if p.strip().casefold() in _MISSING:
            skipped += 1
            continue
        if not fit(name, LONGEST_NAME):
            raise BadInput(f"row {number}: this is no name of a variant", "names have no spaces")
        if name in names:
            raise BadInput(f"row {number}: {name} is there twice", "report one test of each variant")
        if len(names) == MOST_FINDINGS:
            raise TooLarge(f"there are more than {MOST_FINDINGS:,} findings", "send the findings alone")
        names[name] = None
        found.append((*_range(p, number), _direction(row, number), _one_of(row, ALLELES) or ""))
    if not found:
        raise BadInput("there are no findings in this table", "give a variant and a p-value a row")
    numbers = np.array([row[:3] for row in found], np.float64)
    return Findings(
        tuple(names),
        numbers[:, 0],
        numbers[:, 1],
        numbers[:, 2],
        np.array([row[3] for row in found], np.int8),
        tuple(row[4] for row in found),
        skipped,
        digest,
    )


def _lines(file: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield numbered rows of a text table by heading, in small letters."""
    heads: list[str] | None = None
    comma = tab = False
    try:
        for number, line in text.lines(file, whole=False, longest=LONGEST_LINE):
            if not line.strip() or line.startswith("##"):
                continue
            if heads is None:
                plain = line.removeprefix("\ufeff").removeprefix("#")
                tab, comma = "\t" in plain, "," in plain and "\t" not in plain
                heads = [name.strip().strip('"').casefold() for name in _fields(plain, tab=tab, comma=comma)]
                if len(heads) > MOST_COLUMNS or len(set(heads)) != len(heads):
                    raise BadInput(f"{file.name}: its headings are not those of a table of findings")
                continue
            fields = _fields(line, tab=tab, comma=comma)
            if len(fields) != len(heads):
                raise BadInput(
                    f"{file.name}, line {number}: {len(fields)} fields under {len(heads)} headings",
                    "quote fields that hold a comma",
                )
            yield number, dict(zip(heads, fields, strict=True))
    except csv.Error as wrong:
        raise BadInput(f"{file.name} cannot be read as a table: {wrong}") from None


def _fields(line: str, *, tab: bool, comma: bool) -> list[str]:
    if not (tab or comma):
        return line.split()
    return next(csv.reader([line], delimiter="\t" if tab else ",", strict=True))


def _parquet(file: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield numbered rows of a Parquet file, values as text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        source = pq.ParquetFile(file)
        if source.metadata.num_rows > MOST_FINDINGS:
            raise TooLarge(f"{file.name} has more than {MOST_FINDINGS:,} rows", "send the findings alone")
        wanted = [name for name in source.schema_arrow.names if name.casefold() in KNOWN]
        number = 0
        for batch in source.iter_batches(columns=wanted, batch_size=2**14):
            for row in batch.to_pylist():
                number += 1
                yield number, {name.casefold(): _plain(value) for name, value in row.items()}
    except (pa.ArrowException, OSError, UnicodeDecodeError, RecursionError) as wrong:
        raise BadInput(f"{file.name} cannot be read as Parquet: {type(wrong).__name__}") from None


def _plain(value: object) -> str:
    """Return a value as text: of a float the fewest digits that tell it from others."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            raise BadInput("a truth value is no number")
        case int():
            return str(value)
        case float():
            return repr(value)
        case _:
            raise BadInput("a finding is made of text and numbers")


def _one_of(row: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    for name in names:
        if (value := row.get(name)) is not None:
            return value.strip()
    return None


def _other_test(row: Mapping[str, str]) -> bool:
    """Whether a row is of another than the additive test, where a table has several of each variant."""
    test = row.get("test", "").strip().casefold()
    return test in ("geno", "allelic", "dom", "rec", "domdev", "geno_2df", "hwe", "all", "aff", "unaff") or (
        bool(test) and row.get("obs_ct") is not None and test not in ("add", "trend")
    )


def _range(given: str, number: int) -> tuple[float, float, float]:
    """Return a p-value, and the range that its digits stand for.

    >>> _range("0.031", 1)
    (0.031, 0.0305, 0.0315)
    """
    told = given.strip().strip('"')
    match = _NUMBER.fullmatch(told)
    value = float(told) if match else math.nan
    if not 0 <= value <= 1 or math.copysign(1, value) < 0:
        raise BadInput(f"row {number}: this is no p-value", "a p-value lies between 0 and 1, with a point")
    assert match is not None  # noqa: S101 -- else the value would be none
    digits = len(match[1] or match[2] or "")
    exponent = int(match[3] or 0)
    if len(re.sub(r"[eE].*|\D", "", told).lstrip("0")) >= WHOLE:
        return value, value * (1 - EXACT), min(value * (1 + EXACT), 1.0)
    if value == 0 and not digits:
        return 0.0, 0.0, UNDERFLOW
    half = float(f"0.5e{exponent - digits}")
    return value, max(value - half, 0.0), min(value + half, 1.0)


def _direction(row: Mapping[str, str], number: int) -> int:
    """Return 1, -1, or 0 where the row says nothing of a direction."""
    for names, none in ((DIRECTIONS, 0.0), (RATIOS, 1.0), (EFFECTS, 0.0)):
        given = _one_of(row, names)
        if given is None or given.casefold() in _MISSING:
            continue
        if names is DIRECTIONS and given in ("+", "-"):
            return 1 if given == "+" else -1
        try:
            value = float(given)
        except ValueError:
            raise BadInput(f"row {number}: this is no direction, ratio or effect") from None
        if math.isnan(value):
            return 0
        return int(np.sign(value - none))
    return 0
