"""VCF and BCF files as cyvcf2 reads them, record by record, in a child process with limits.

cyvcf2 bundles C libraries, so this process never loads it: `vcf_child.py` does, and writes to a pipe one
line of JSON with the samples, one for each record with its chromosome, position, id and alleles (each
followed by an int8 a sample where calls are asked for), and one with the number of records.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genotypes.vcf import PASSED_ON

STALLED = 600  # seconds without a byte
MAX_LINE = 2**28
_CHECK = "check the file with bcftools view"

Site = tuple[str, int, str, str, str]


class Records:
    """What a child says of one file: `samples`, and then each record with its calls."""

    def __init__(self, path: Path, pipe: "_Pipe", calls: bool) -> None:
        self._path, self._pipe, self._calls = path, pipe, calls
        head = self._line()
        if not isinstance(head, dict) or not isinstance(head.get("samples"), list):
            raise self._failed()
        self.samples = tuple(str(name) for name in head["samples"])

    def __iter__(self) -> Iterator[tuple[Site, NDArray[np.int8] | None]]:
        """Yield each record and its calls, int8 of shape (samples,), or None where none were asked for."""
        count = 0
        while isinstance(said := self._line(), list):
            chrom, pos, name, ref, alt = said
            count += 1
            calls = None
            if self._calls:
                calls = np.frombuffer(self._pipe.exactly(len(self.samples)), np.int8)
            yield (str(chrom), int(pos), str(name), str(ref), str(alt) or "."), calls
        if not isinstance(said, dict) or said.get("records") != count:
            raise self._failed()

    def _line(self) -> object:
        """Return what the next line holds.

        Raises:
            BadInput: it says what is wrong with the file, or there is no such line.
        """
        try:
            said = json.loads(self._pipe.line())
        except (ValueError, EOFError):
            raise self._failed() from None
        if isinstance(said, dict) and "problem" in said:
            raise BadInput(f"{self._path.name}: {said['problem']}", str(said.get("hint", "")))
        return said

    def _failed(self) -> BadInput:
        return BadInput(f"{self._path.name}: the VCF reader stopped before the end", _CHECK)


@contextmanager
def reading(path: Path, *, calls: bool) -> Iterator[Records]:
    """Read a file in a process of its own, which ends with the context.

    Raises:
        BadInput: it cannot be read, or cyvcf2 is missing.
    """
    how = "--calls" if calls else "--sites"
    command = [sys.executable, "-P", "-m", "noisegate.genotypes.vcf_child", str(path.resolve()), how]
    environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    # A stack for each core would count against the memory limit, and no file may be written.
    environment |= {"OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        child = subprocess.Popen(  # noqa: S603  (no shell; the arguments are ours)
            command,
            env=environment,
            cwd=path.resolve().parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        raise BadInput(f"{path.name}: no process could be started to read it ({error})", _CHECK) from error
    with child:
        assert child.stdout is not None  # noqa: S101  (it was asked for)
        try:
            yield Records(path, _Pipe(path, child.stdout.fileno()), calls)
        finally:
            child.kill()


class _Pipe:
    """Lines and runs of bytes from a pipe, waiting no longer than STALLED for the next of them."""

    _MOST = 2**20

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor
        self._ready = select.poll()
        self._ready.register(descriptor, select.POLLIN)
        self._held = bytearray()
        self._at = 0

    def line(self) -> bytes:
        """Return all up to the next line end."""
        seen = self._at
        while (end := self._held.find(b"\n", seen)) < 0:
            seen = len(self._held) - self._at
            if seen > MAX_LINE:
                raise EOFError
            if not self._more():
                return self._take(len(self._held))  # what a child says last has no line end
        return self._take(end + 1)

    def exactly(self, count: int) -> bytes:
        """Return so many bytes."""
        while len(self._held) - self._at < count:
            if not self._more():
                raise BadInput(f"{self._path.name}: the VCF reader stopped within a record", _CHECK)
        return self._take(self._at + count)

    def _take(self, end: int) -> bytes:
        taken = bytes(self._held[self._at : end])
        self._at = end
        return taken

    def _more(self) -> bool:
        """Wait for more bytes; False at the end. What was taken is forgotten."""
        del self._held[: self._at]
        self._at = 0
        if not self._ready.poll(STALLED * 1_000):
            raise BadInput(
                f"{self._path.name}: the VCF reader gave no sign for {STALLED} s", "split the file"
            )
        got = os.read(self._descriptor, self._MOST)
        self._held += got
        return bool(got)
