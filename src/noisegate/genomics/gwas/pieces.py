"""What is made of each chunk of a study, here or on a worker: its columns, and their lines of text."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from noisegate.errors import Conflict
from noisegate.genomics.gwas import quality
from noisegate.genomics.gwas.analyses import Prepared, columns_of
from noisegate.genomics.gwas.columns import Columns, Flags
from noisegate.genomics.gwas.copies import Copies
from noisegate.genomics.gwas.quality import Limits
from noisegate.genomics.gwas.tallies import tallies
from noisegate.genomics.gwas.writing import Bytes, lines
from noisegate.genomics.keys import ReleaseKey
from noisegate.genotypes.flat import Flat
from noisegate.genotypes.packed import Block, Words
from noisegate.genotypes.store import Store

QUALITY = "quality"  # the name of the table of it


class Chunks(Protocol):
    """Where the calls of a chunk come from."""

    def bounds(self, chunk: int) -> tuple[int, int]:
        """Return the first variant of a chunk, and the one after its last."""

    def read(self, chunk: int) -> Block:
        """Return the calls of one chunk."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """What was made of a chunk.

    `rows`, bool of shape (chunk,), says which variants were tested; `columns` and `text` are of those, by the
    name of their table; `dropped` counts the others by reason.
    """

    rows: Flags
    dropped: Mapping[str, int]
    columns: Mapping[str, Columns]
    text: Mapping[str, Bytes]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A store that whoever works on a chunk opens."""

    path: Path
    digest: str

    def opened(self) -> Store:
        """Return the store.

        Raises:
            CatalogError: there is none under this path.
            Conflict: there is another.
        """
        store = Store.open(self.path)
        if store.digest != self.digest:
            raise Conflict(
                f"{self.path.name} is another store on a worker than here",
                "let all of them see the same folder under this path",
            )
        return store


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The work of a study; see `scheduler.Work`.

    `variants` are number `begins` and after, and `copies`, int8, says who has one copy of each, as
    `haploid.copies`. `masks`, uint64 of shape (groups, words), are of controls and cases where the trait is
    `binary`, else of who has a trait; and then of all others of the study, if there are any.
    """

    release: str
    source: Chunks | Elsewhere
    variants: Flat
    begins: int
    copies: Copies
    prepared: Mapping[str, Prepared]
    masks: Words
    binary: bool
    limits: Limits
    quality: bool

    def do(self, number: int, key: ReleaseKey | None = None) -> Piece:  # noqa: ARG002 -- nothing is drawn
        """Test the variants of one chunk."""
        source = self._opened()
        start, stop = source.bounds(number)
        block = source.read(number)
        counts = tallies(block, self.masks)
        copies: Copies | None = self.copies[start - self.begins : stop - self.begins]
        if copies is not None and not copies.any():
            copies = None
        rows, dropped = np.ones(stop - start, np.bool_), dict.fromkeys(quality.REASONS, 0)
        if self.limits.any:
            among = counts[:, 0] if self.binary else None
            kept = quality.keep(counts.sum(axis=1), self.limits, among, copies)
            rows, dropped = kept.rows, kept.dropped
        if not rows.all():
            counts = counts[rows]
            block = Block(block.hi[rows], block.lo[rows], block.people)
            copies = None if copies is None else copies[rows]
        tables = counts[:, :2, :3] if self.binary else None
        columns: dict[str, Columns] = {}
        if self.quality:
            cases, controls = (counts[:, 1], counts[:, 0]) if self.binary else (None, None)
            columns[QUALITY] = quality.columns(counts.sum(axis=1), cases, controls, copies)
        for name, prepared in self.prepared.items():
            columns[name] = columns_of(prepared, block, tables, copies)
        variants = self.variants[start - self.begins : stop - self.begins]
        if not rows.all():
            variants = variants[rows]
        text = {name: lines(variants, found) for name, found in columns.items()}
        return Piece(rows, dropped, columns, text)

    def only(self, number: int) -> "Pieces":
        """Return the work without other chunks' variants; a store is opened by who works on the chunk."""
        opened = self._opened()
        start, stop = opened.bounds(number)
        source = Elsewhere(opened.path, opened.digest) if isinstance(opened, Store) else opened
        here = slice(start - self.begins, stop - self.begins)
        variants, copies = self.variants[here].alone(), self.copies[here]
        return replace(self, source=source, variants=variants, copies=copies, begins=start)

    def _opened(self) -> Chunks:
        return self.source.opened() if isinstance(self.source, Elsewhere) else self.source
