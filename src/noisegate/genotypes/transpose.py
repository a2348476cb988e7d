"""Calls that come person by person, turned into calls variant by variant without holding all of them.

Each 64 people are packed into words of their own and put aside in a file; a block of variants then takes
its rows from all those files. Memory is that of 64 people, or of one block; the disk needs what the packed
calls take.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from noisegate.genotypes.packed import WORD, Block, Calls


class PersonByPerson:
    """A context that takes people one by one, and then gives blocks of variants. It leaves no file behind."""

    def __init__(self, beside: Path, variants: int) -> None:
        """Put files into a hidden folder beside the given path, readable by its owner alone."""
        self._folder = Path(tempfile.mkdtemp(prefix=".importing-", dir=beside.parent))
        self._variants = variants
        self._files: list[Path] = []
        self.people = 0
        self._begin()

    def __enter__(self) -> "PersonByPerson":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, calls: Calls) -> None:
        """Add the next person: int8 of shape (variants,), 0, 1, 2 or -1."""
        if calls.shape != (self._variants,) or calls.dtype != np.int8:
            raise ValueError("a person has one int8 a variant")
        bit = np.uint64(1 << self.people % WORD)
        self._hi[(calls == 2) | (calls == -1)] |= bit
        self._lo[calls >= 1] |= bit
        self.people += 1
        if self.people % WORD == 0:
            self._put_aside()

    def blocks(self, variants: int) -> Iterator[Block]:
        """Yield the calls of so many variants at a time, once everybody was added."""
        if self.people % WORD:
            self._put_aside()
        words = [np.memmap(file, np.uint64, "r", shape=(2, self._variants)) for file in self._files]
        for start in range(0, self._variants, variants):
            rows = slice(start, min(start + variants, self._variants))
            hi, lo = (np.stack([word[plane, rows] for word in words], axis=1) for plane in range(2))
            yield Block(hi, lo, self.people)

    def _begin(self) -> None:
        self._hi: NDArray[np.uint64] = np.zeros(self._variants, np.uint64)
        self._lo: NDArray[np.uint64] = np.zeros(self._variants, np.uint64)

    def _put_aside(self) -> None:
        file = self._folder / str(len(self._files))
        with file.open("wb") as stream:
            stream.write(self._hi.data)
            stream.write(self._lo.data)
        self._files.append(file)
        self._begin()
