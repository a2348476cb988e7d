"""The tables of a study as they are written, chunk after chunk, under their names once they are whole."""

import fcntl
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from noisegate.errors import BadInput, Conflict
from noisegate.genomics.gwas.columns import Columns, Reals, value
from noisegate.genomics.gwas.pieces import QUALITY, Piece
from noisegate.genomics.gwas.writing import NAMES, as_arrow, heading
from noisegate.genotypes import durable
from noisegate.genotypes.flat import Flat
from noisegate.genotypes.variants import Variants

TOP = 20


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A table that was written.

    `p` holds its p-values by column, float64 of shape (variants,) in the order of the store, NaN where there
    is none. `top` are the rows of the smallest of the first of them, at most 20, the smallest first.
    """

    name: str
    files: tuple[Path, ...]
    rows: int
    p: Mapping[str, Reals]
    top: tuple[Mapping[str, object], ...]

    def as_json(self) -> dict[str, object]:
        """Return a summary."""
        return {
            "name": self.name,
            "files": [file.name for file in self.files],
            "rows": self.rows,
            "top": [dict(row) for row in self.top],
        }


class Draft:
    """One table being written, under its name with ".partial" behind it; see `Sheet`.

    Chunks are added in order. What a killed run left is written over.
    """

    def __init__(self, folder: Path, name: str, flat: Flat, variants: Variants | None) -> None:
        """Begin a table.

        Args:
            folder: where.
            name: of the table.
            flat: all variants.
            variants: the same, where a Parquet file is written too.

        Raises:
            BadInput: there is such a table, or no such folder.
            Conflict: another run is writing it.
        """
        self.name = name
        self._flat, self._variants = flat, variants
        endings = ["tsv"] if variants is None else ["tsv", "parquet"]
        self._files = [folder / f"{name}.{ending}" for ending in endings]
        self._parquet: Any = None
        if not folder.is_dir():
            raise BadInput(f"{folder} is not a folder", "make it first")
        self._text = _locked(_partial(self._files[0]))
        for file in self._files:
            if file.exists():
                self.discard()
                raise BadInput(f"{file.name} exists already", "give another folder, or move the file away")
        self._rows = 0
        self._p: dict[str, Reals] = {}
        # The p-value, the variant, and its row in the columns of a chunk.
        self._top: list[tuple[float, int, int, Columns]] = []

    def add(self, start: int, piece: Piece) -> None:
        """Add the next chunk, whose first variant is `start`."""
        columns = piece.columns[self.name]
        if self._text.tell() == 0:
            self._text.write(heading(columns))
        self._text.write(piece.text[self.name].data)
        places: Any = start + np.flatnonzero(piece.rows)
        where = slice(start, start + len(places)) if len(places) == len(piece.rows) else places
        if self._variants is not None:
            self._add_parquet(as_arrow(self._variants, places, columns))
        self._rows += len(places)
        if self.name == QUALITY:
            return
        for name in p_columns(columns):
            if name not in self._p:
                self._p[name] = np.full(len(self._flat), np.nan)
            self._p[name][where] = np.asarray(columns[name])
        self._rank(places, columns)

    def finish(self) -> None:
        """Put the table on disk. It has not got its name yet."""
        self._text.flush()
        durable.sync(_partial(self._files[0]))
        if self._parquet is not None:
            self._parquet.close()
            durable.sync(_partial(self._files[1]))

    def publish(self) -> Sheet:
        """Give the table its name."""
        for file in self._files:
            _partial(file).replace(file)
        self._text.close()
        top = tuple(self._row(place, row, columns) for _, place, row, columns in self._top)
        return Sheet(self.name, tuple(self._files), self._rows, self._p, top)

    def discard(self) -> None:
        """Remove what was written, unless it has its name."""
        if self._parquet is not None:
            with suppress(OSError):
                self._parquet.close()
        for file in self._files:
            _partial(file).unlink(missing_ok=True)
        self._text.close()

    def _add_parquet(self, table: Any) -> None:
        from pyarrow import parquet

        if self._parquet is None:
            self._parquet = parquet.ParquetWriter(_partial(self._files[1]), table.schema, compression="zstd")
        self._parquet.write_table(table)

    def _rank(self, places: Any, columns: Columns) -> None:
        """Keep the rows of the smallest p-values, the earlier variant first where they are alike."""
        first = next(iter(p_columns(columns)), None)
        if first is None or not len(places):
            return
        p = np.asarray(columns[first])
        worst = self._top[-1][0] if len(self._top) == TOP else np.inf
        (found,) = np.nonzero(p < worst)
        if len(found) > TOP:
            found = found[np.argsort(p[found], kind="stable")[:TOP]]
        for row in found.tolist():
            self._top.append((float(p[row]), int(places[row]), row, columns))
        self._top = sorted(self._top, key=lambda kept: kept[:2])[:TOP]

    def _row(self, place: int, row: int, columns: Columns) -> Mapping[str, object]:
        flat = self._flat
        strings = (column.text(place) for column in (flat.chrom, flat.id, flat.ref, flat.alt))
        chrom, id_, ref, alt = strings
        named = dict(zip(NAMES, (chrom, int(flat.pos[place]), id_ or ".", ref, alt), strict=True))
        return {**named, **{name: value(column, row) for name, column in columns.items()}}


def p_columns(columns: Columns) -> list[str]:
    """Return the names of the columns that hold p-values."""
    return [name for name in columns if name == "p" or name.startswith("p_")]


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _locked(path: Path) -> BinaryIO:
    """Open a file to write it from its start, which one process at a time may do."""
    stream = path.open("ab")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking, another run may have ended and taken the file away.
        mine = os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        mine = False
    if not mine:
        stream.close()
        raise Conflict(f"{path.name} is being written by another run", "wait for it")
    stream.seek(0)
    stream.truncate()
    return stream
