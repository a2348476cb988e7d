"""Which variants a genotype file or store holds: public facts, column by column.

Columns are numpy arrays, so that a million variants cost some 80 MB and no Python object each. A chromosome
is kept as the source spells it; `contig` says which one is meant.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Text = NDArray[Any]  # of StringDType, for which numpy has no type that its own functions return
TEXT = np.dtypes.StringDType()

MAX_VARIANTS = 200_000_000
MAX_POSITION = 2**31 - 2
MAX_FIELD = 10_000
NO_ALT = "."  # the alternate allele of a variant nobody was seen to carry
_FLUSH = 65_536
# Spaces, controls, and what is not seen or turns the direction of text (Unicode categories Z, Cc, Cf, Cs).
_UNFIT = re.compile(
    r"["
    r"\x00-\x20\x7f-\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ud800-\udfff\ufeff\ufff9-\ufffb"
    r"\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001"
    r"\U000e0020-\U000e007f"
    r"]"
)
# PLINK's numbers, and MT as both spellings are in use (plink 1.9 manual, "Chromosome names").
_CONTIGS = {"23": "X", "24": "Y", "25": "XY", "26": "MT", "M": "MT", "PAR1": "XY", "PAR2": "XY"}
_BUILDS = {
    **dict.fromkeys(("hg18", "ncbi36", "b36", "36"), "NCBI36"),
    **dict.fromkeys(("hg19", "grch37", "b37", "hs37d5", "37"), "GRCh37"),
    **dict.fromkeys(("hg38", "grch38", "b38", "hs38", "38"), "GRCh38"),
}


def text(values: Iterable[str]) -> Text:
    """Return strings as a numpy array of strings.

    >>> text(["A", "ACGT"]).tolist()
    ['A', 'ACGT']
    """
    return np.array(list(values), dtype=TEXT)


def contig(chrom: str) -> str:
    """Return the one name of a chromosome: no "chr", X, Y, XY (pseudo-autosomal) and MT by letter.

    >>> [contig(name) for name in ("chr7", "07", "23", "chrM", "GL000191.1")]
    ['7', '7', 'X', 'MT', 'GL000191.1']
    """
    bare = chrom[3:] if chrom[:3].casefold() == "chr" else chrom
    bare = bare.lstrip("0") or "0" if bare.isascii() and bare.isdigit() else bare
    upper = bare.upper()
    return _CONTIGS.get(upper, upper if upper in ("X", "Y", "XY", "MT") else bare)


def assembly(build: str) -> str:
    """Return the one name of a human genome build, or the name itself where it is another.

    >>> [assembly(name) for name in ("hg19", "b37", "grch38", "NCBI36", "")]
    ['GRCh37', 'GRCh37', 'GRCh38', 'NCBI36', '']
    """
    return _BUILDS.get(build.strip().casefold(), build.strip())


def fit(value: str, longest: int = MAX_FIELD) -> bool:
    """Whether a string may stand in a field of a genotype file: some characters, no space, none unseen."""
    return 0 < len(value) <= longest and not _UNFIT.search(value)


@dataclass(frozen=True, eq=False)
class Variants:
    """Biallelic variants, in the order of their calls.

    All arrays have shape (variants,): `chrom`, `id`, `ref` and `alt` are numpy strings, `pos` is int32 and
    counts from 1 (0 where it is unknown). `id` is empty where a variant has none; `alt` is "." where the
    source names none.

    Raises:
        ValueError: columns of different lengths or types, a field with a space, or an empty one.
    """

    chrom: Text
    pos: NDArray[np.int32]
    id: Text
    ref: Text
    alt: Text

    def __post_init__(self) -> None:
        columns: tuple[Text, ...] = (self.chrom, self.id, self.ref, self.alt)
        if any(not isinstance(column.dtype, np.dtypes.StringDType) or column.ndim != 1 for column in columns):
            raise ValueError("chrom, id, ref and alt are numpy strings, one a variant")
        if self.pos.dtype != np.int32 or self.pos.ndim != 1:
            raise ValueError("pos is int32, one a variant")
        if {len(column) for column in columns} != {len(self.pos)}:
            raise ValueError("a variant has each of chrom, pos, id, ref and alt")
        if len(self.pos) and (self.pos.min() < 0 or self.pos.max() > MAX_POSITION):
            raise ValueError("positions are 0 or more, and below 2**31 - 1")
        for name, column in zip(("chrom", "id", "ref", "alt"), columns, strict=True):
            lengths = np.strings.str_len(column)
            if name != "id" and len(column) and lengths.min() == 0:
                raise ValueError(f"a variant has no {name}")
            if len(column) and lengths.max() > MAX_FIELD:
                raise ValueError(f"a {name} has more than {MAX_FIELD} characters")
            if _UNFIT.search("".join(column.tolist())):
                raise ValueError(f"a {name} has a space or a control character in it")
        for column in (*columns, self.pos):
            column.flags.writeable = False

    @classmethod
    def of(
        cls,
        chrom: Iterable[str],
        pos: Iterable[int],
        ids: Iterable[str],
        ref: Iterable[str],
        alt: Iterable[str],
    ) -> "Variants":
        """Return variants from five columns of plain values; "." or "" as an id says there is none.

        >>> Variants.of(["1"], [7], ["."], ["A"], ["G"]).names().tolist()
        ['chr1_7_A_G']
        """
        named = text("" if name == "." else name for name in ids)
        return cls(text(chrom), np.array(list(pos), np.int32), named, text(ref), text(alt))

    @classmethod
    def joined(cls, parts: Sequence["Variants"]) -> "Variants":
        """Return the variants of several runs, one after the other."""
        if not parts:
            return cls.of([], [], [], [], [])
        return cls(
            np.concatenate([part.chrom for part in parts]),
            np.concatenate([part.pos for part in parts]),
            np.concatenate([part.id for part in parts]),
            np.concatenate([part.ref for part in parts]),
            np.concatenate([part.alt for part in parts]),
        )

    def __len__(self) -> int:
        return len(self.pos)

    def __getitem__(self, rows: slice) -> "Variants":
        return Variants(self.chrom[rows], self.pos[rows], self.id[rows], self.ref[rows], self.alt[rows])

    def take(self, index: NDArray[np.int64]) -> "Variants":
        """Return the variants at some places, in the order of the places."""
        return Variants(self.chrom[index], self.pos[index], self.id[index], self.ref[index], self.alt[index])

    def rows(self) -> Iterator[tuple[str, int, str, str, str]]:
        """Yield chrom, pos, id, ref and alt of each variant, holding few of them at a time."""
        for start in range(0, len(self), _FLUSH):
            part = slice(start, start + _FLUSH)
            columns = (self.chrom[part], self.pos[part], self.id[part], self.ref[part], self.alt[part])
            yield from zip(*(column.tolist() for column in columns), strict=True)

    @cached_property
    def contigs(self) -> tuple[tuple[str, ...], NDArray[np.int32]]:
        """The chromosomes by their one name, in order of appearance, and which of them each variant is on."""
        spelled, which = unique(self.chrom)
        names = [contig(name) for name in spelled]
        found = tuple(dict.fromkeys(names))
        number = {name: i for i, name in enumerate(found)}
        return found, np.array([number[name] for name in names], np.int32)[which]

    def names(self) -> Text:
        """Return what each variant is called as a column: its id, or its place and alleles.

        The place also stands in for an id that several variants share.
        """
        named, which = unique(self.id)
        often = np.bincount(which, minlength=len(named))[which] > 1
        placed = np.flatnonzero(often | (self.id == ""))
        found = self.id.copy()
        rows = self.take(placed).rows()
        found[placed] = text(f"chr{contig(c)}_{pos}_{ref}_{alt}" for c, pos, _, ref, alt in rows)
        return found

    def twice(self) -> tuple[int, int] | None:
        """Return two places that hold one and the same variant, the earlier first, or None.

        The same means: chromosome, position and alleles, and the id too where the position is not known.
        Which of two bases is the reference does not matter; of longer alleles it does, as A/AT and AT/A
        are an insertion and a deletion.
        """
        _, number = self.contigs
        order = np.lexsort((self.pos, number))
        same = (np.diff(self.pos[order]) == 0) & (np.diff(number[order]) == 0)
        inside = np.zeros(len(self), dtype=bool)
        inside[order[1:][same]] = True
        inside[order[:-1][same]] = True
        seen: dict[tuple[int, int, str, str, str], int] = {}
        for place in np.flatnonzero(inside).tolist():
            pos, ref, alt = int(self.pos[place]), str(self.ref[place]).upper(), str(self.alt[place]).upper()
            if len(ref) == len(alt) == 1:
                ref, alt = sorted((ref, alt))
            key = (int(number[place]), pos, ref, alt, "" if pos else str(self.id[place]))
            if (first := seen.setdefault(key, place)) != place:
                return first, place
        return None

    def digest(self) -> str:
        """Return the SHA-256, in hex, over all five columns."""
        whole = hashlib.sha256(f"variants {len(self)}\n".encode())
        for column in (self.chrom, self.id, self.ref, self.alt):
            for start in range(0, len(self), _FLUSH):
                whole.update("\n".join([*column[start : start + _FLUSH].tolist(), ""]).encode())
        whole.update(self.pos.astype("<i4").tobytes())
        return whole.hexdigest()


class Gathered:
    """Variants being read one by one, kept as arrays a run at a time."""

    def __init__(self) -> None:
        self._parts: list[Variants] = []
        self._rows: list[tuple[str, int, str, str, str]] = []

    def add(self, chrom: str, pos: int, name: str, ref: str, alt: str) -> None:
        """Add one variant at the end. The caller has checked its fields."""
        self._rows.append((chrom, pos, name, ref, alt))
        if len(self._rows) == _FLUSH:
            self._flush()

    def variants(self) -> Variants:
        """Return all that was added."""
        self._flush()
        return Variants.joined(self._parts)

    def _flush(self) -> None:
        if self._rows:
            self._parts.append(Variants.of(*zip(*self._rows, strict=True)))
            self._rows = []


def unique(column: Text) -> tuple[list[str], NDArray[np.int64]]:
    """Return the different strings of a column in order of appearance, and which one each row has."""
    number: dict[str, int] = {}
    which = np.empty(len(column), np.int64)
    for start in range(0, len(column), _FLUSH):
        part = column[start : start + _FLUSH].tolist()
        which[start : start + len(part)] = [number.setdefault(value, len(number)) for value in part]
    return list(number), which
