"""The genotype store: calls of any number of people and variants, a chunk of variants at a time.

`layout.py` says how it lies on disk. A store is made by one `Writer` (or several in turn, or on several
machines, for different chunks), appears under its name once it is whole, and never changes afterwards.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from noisegate.errors import BadInput, CatalogError, Conflict
from noisegate.genotypes import chunks, durable, flat, layout
from noisegate.genotypes.layout import AGAIN, CALLS, CHECKS, Header
from noisegate.genotypes.packed import Block
from noisegate.genotypes.variants import MAX_FIELD, NO_ALT, Variants, fit

_PARTIAL = ".partial"


class Store:
    """A finished store, open for reading. Threads may share it.

    Every chunk is checked against its sum when it is read, so that no mistake of disks or copies goes unseen;
    `verify` compares all of it with what `digest` names.
    """

    def __init__(self, path: Path, header: Header, digest: str, checks: list[bytes]) -> None:
        """Use `Store.open`."""
        self.path = path
        self.digest = digest
        self._header = header
        self._checks = checks

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open a store after checking that all of it is there and that its header is the one it was given.

        The content of a chunk is checked when it is read; `verify` reads all.

        Raises:
            CatalogError: not a store, an unfinished one, one of another version, or one with files
                missing, cut off, or not those its digest names.
        """
        if not path.is_dir():
            if partial(path).is_dir():
                raise _unfinished(path)
            raise CatalogError(f"{path.name}: there is no such folder", "import the genotypes first")
        header, digest = layout.read_header(path)
        if not digest:
            raise _unfinished(path)
        layout.check_arrays(path, header)
        checks = [chunks.check(path, header, chunk) for chunk in range(header.chunks)]
        if header.digest(checks) != digest:
            raise CatalogError(f"{path.name}: the store's header or list of chunks was changed", AGAIN)
        return cls(path, header, digest, checks)

    @property
    def people(self) -> int:
        """How many people there are."""
        return self._header.people

    @property
    def chunk(self) -> int:
        """How many variants a chunk holds; the last holds what is left."""
        return self._header.chunk

    @property
    def build(self) -> str:
        """The genome build positions are of, "" where it is not known."""
        return self._header.build

    @property
    def public(self) -> bool:
        """Whether the custodian marked it as public at import."""
        return self._header.public

    @property
    def noisy(self) -> bool:
        """Whether it holds a release."""
        return self._header.noisy

    @property
    def provenance(self) -> dict[str, Any]:
        """Where it comes from: JSON values, as given to the writer."""
        return dict(self._header.provenance)

    @property
    def coding_is_public(self) -> bool:
        """Whether which allele is counted, and that one is named, was not worked out of the people at hand.

        It was in a file of PLINK 1, whose A1 is the rarer allele, and wherever an alternate allele is not
        named because nobody has it.
        """
        worked_out = self.provenance.get("coding") == "people" or bool((self.variants.alt == NO_ALT).any())
        return self.public or not worked_out

    @cached_property
    def samples(self) -> tuple[str, ...]:
        """The people's names, in the order of their bits."""
        return _samples(self.path, self._header)

    @cached_property
    def variants(self) -> Variants:
        """The variants, in the order of their calls."""
        return _variants(self.path, self._header)

    @cached_property
    def flat(self) -> flat.Flat:
        """The variants as bytes: as `variants`, and ten times as fast to have."""
        found = flat.read(self.path, self._header.variants)
        if found is None:
            return flat.Flat.of(self.variants)
        if found.digest() != self._header.variants_digest:
            raise CatalogError(f"{self.path.name}: the variants were changed", AGAIN)
        return found

    def chunks(self) -> range:
        """The numbers of all chunks."""
        return range(self._header.chunks)

    def bounds(self, chunk: int) -> tuple[int, int]:
        """Return the first variant of a chunk, and the one after its last."""
        return self._header.bounds(chunk)

    def read(self, chunk: int) -> Block:
        """Return the calls of one chunk, in memory of their own.

        Raises:
            CatalogError: the chunk's file is not the one that was written.
        """
        return chunks.read(self.path, self._header, chunk, self._checks)

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Yield the first variant and the calls of each chunk in turn."""
        for chunk in self.chunks():
            yield self.bounds(chunk)[0], self.read(chunk)

    def block(self, start: int, stop: int) -> Block:
        """Return the calls of variants start to stop - 1, whichever chunks they are in."""
        if not 0 <= start <= stop <= self._header.variants:
            raise ValueError(f"variants {start} to {stop} of {self._header.variants}")
        if start < stop and (start, stop) == self.bounds(start // self.chunk):
            return self.read(start // self.chunk)
        hi, lo = (chunks.room(stop - start, self._header.words) for _ in range(2))
        done = start
        while done < stop:
            chunk = done // self.chunk
            first, end = self.bounds(chunk)
            part, until = self.read(chunk), min(end, stop)
            hi[done - start : until - start] = part.hi[done - first : until - first]
            lo[done - start : until - start] = part.lo[done - first : until - first]
            done = until
        return Block(hi, lo, self.people)

    def verify(self) -> None:
        """Read all of the store and check it.

        Raises:
            CatalogError: something is not what was written.
        """
        _samples(self.path, self._header)
        _variants(self.path, self._header)
        for chunk in self.chunks():
            chunks.read(self.path, self._header, chunk, self._checks, fully=True)


class Writer:
    """A store being written, under its name with ".partial" behind it until it is whole.

    A chunk is on disk when `write` returns. After a crash `Writer.resume` goes on; chunks may be written in
    any order, again, and by several processes.
    """

    def __init__(self, path: Path, header: Header) -> None:
        """Use `Writer.create` or `Writer.resume`."""
        self.path = path
        self.chunk = header.chunk
        self._header = header
        self._folder = partial(path)

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        samples: Iterable[str],
        variants: Variants,
        build: str = "",
        public: bool = False,
        noisy: bool = False,
        provenance: Mapping[str, Any] | None = None,
        chunk: int | None = None,
    ) -> "Writer":
        """Begin a store.

        Args:
            path: the folder to make; its parent exists.
            samples: the people's names, each once, without spaces.
            variants: in the order of the calls to come.
            build: such as "GRCh37"; "" where it is not known.
            public: whether all of it may be seen by anybody.
            noisy: whether it is a release; its planes are then kept as they are, since noise does not shrink.
            provenance: JSON values that say where it comes from.
            chunk: variants a chunk, a multiple of 8; by default at most 4,096 and 64 MB.

        Raises:
            BadInput: a name twice or unfit, nobody, no variant, or more than a store can hold.
            Conflict: there is such a folder, finished or not.
        """
        names = tuple(samples)
        _check_samples(names)
        if path.exists() or partial(path).exists():
            raise Conflict(
                f"{path.name} exists already, or is being written",
                f"give another name, resume it, or remove {path.name} and {partial(path).name}",
            )
        try:
            header = Header(
                people=len(names),
                variants=len(variants),
                chunk=chunk if chunk is not None else layout.chunk_for(len(names), len(variants)),
                build=build,
                public=public,
                noisy=noisy,
                samples_digest=layout.samples_digest(names),
                variants_digest=variants.digest(),
                provenance=json.loads(json.dumps(dict(provenance or {}), allow_nan=False)),
            )
        except (TypeError, ValueError) as error:
            raise BadInput(f"{path.name}: cannot be a genotype store: {error}") from None
        draft = path.with_name(path.name + _PARTIAL + ".new")
        shutil.rmtree(draft, ignore_errors=True)
        try:
            layout.make(draft, header, names, variants)
            durable.sync_tree(draft)
            draft.rename(partial(path))
            durable.sync(path.parent)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return cls(path, header)

    @classmethod
    def resume(cls, path: Path) -> "Writer":
        """Go on with a store that was begun.

        Raises:
            CatalogError: there is none, or it is damaged.
        """
        folder = partial(path)
        if not folder.is_dir():
            raise CatalogError(
                f"{path.name}: nothing is being written under this name", "begin the import anew"
            )
        header, _ = layout.read_header(folder)
        layout.check_arrays(folder, header)
        return cls(path, header)

    @property
    def people(self) -> int:
        """How many people there are."""
        return self._header.people

    def chunks(self) -> range:
        """The numbers of all chunks."""
        return range(self._header.chunks)

    def bounds(self, chunk: int) -> tuple[int, int]:
        """Return the first variant of a chunk, and the one after its last."""
        return self._header.bounds(chunk)

    def write(self, chunk: int, block: Block) -> None:
        """Put one chunk on disk, durably. Writing it again replaces it.

        Raises:
            ValueError: the block has other people or variants than the chunk, or bits past the last person.
        """
        start, stop = self.bounds(chunk)
        if block.people != self._header.people or block.variants != stop - start:
            raise ValueError(
                f"chunk {chunk} holds {stop - start} variants of {self._header.people} people, "
                f"got {block.variants} of {block.people}"
            )
        chunks.write(self._folder, self._header, chunk, block)

    def done(self) -> set[int]:
        """Return the chunks that are on disk."""
        folder = self._folder
        return {n for n in self.chunks() if (folder / chunks.check_name(n)).is_file()}

    def finish(self) -> Store:
        """Give the store its digest and its name.

        Raises:
            Conflict: a chunk is missing, or the name was taken meanwhile.
        """
        missing = len(self.chunks()) - len(self.done())
        if missing:
            raise Conflict(f"{self.path.name}: {missing} of {len(self.chunks())} chunks are not written yet")
        checks = [chunks.check(self._folder, self._header, chunk) for chunk in self.chunks()]
        for name in (CALLS, CHECKS):
            for draft in (self._folder / name).glob(".*"):
                draft.unlink(missing_ok=True)
        digest = self._header.digest(checks)
        durable.write(self._folder / "zarr.json", layout.write_header(self._folder, self._header, digest))
        if self.path.exists():
            raise Conflict(f"{self.path.name} exists already", "remove it, or finish under another name")
        self._folder.rename(self.path)
        durable.sync(self.path.parent)
        return Store.open(self.path)

    def discard(self) -> None:
        """Remove what was written. A finished store stays."""
        shutil.rmtree(self._folder, ignore_errors=True)


def partial(path: Path) -> Path:
    """Return the folder a store is written in until it is whole."""
    return path.with_name(path.name + _PARTIAL)


def _unfinished(path: Path) -> CatalogError:
    return CatalogError(
        f"{path.name}: its import or release was not finished",
        f"resume it, or remove {partial(path).name} and begin anew",
    )


def _check_samples(names: tuple[str, ...]) -> None:
    if not all(names) or (names and not fit("".join(names), MAX_FIELD * len(names))):
        number = next(i for i, name in enumerate(names, 1) if not fit(name))
        raise BadInput(f"sample {number} has no name, or one with a space in it")
    if len(set(names)) < len(names):
        name = Counter(names).most_common(1)[0][0]
        raise BadInput(f"sample {name} is there twice", "a person has one row: rename or drop one of them")


def _samples(path: Path, header: Header) -> tuple[str, ...]:
    found = tuple(flat.words(path / "sample_id", header.people) or _column(path, "sample_id").tolist())
    if layout.samples_digest(found) != header.samples_digest:
        raise CatalogError(f"{path.name}: the samples were changed", AGAIN)
    return found


def _variants(path: Path, header: Header) -> Variants:
    contigs = _column(path, "contig_id")
    alleles = _column(path, "variant_allele")
    try:
        found = Variants(
            contigs[_column(path, "variant_contig")],
            _column(path, "variant_position"),
            _column(path, "variant_id"),
            np.ascontiguousarray(alleles[:, 0]),
            np.ascontiguousarray(alleles[:, 1]),
        )
    except (ValueError, IndexError):
        raise CatalogError(f"{path.name}: the variants were changed", AGAIN) from None
    if found.digest() != header.variants_digest:
        raise CatalogError(f"{path.name}: the variants were changed", AGAIN)
    return found


def _column(path: Path, name: str) -> Any:
    try:
        return np.asarray(zarr.open_array(path / name, mode="r", zarr_format=3)[...])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise CatalogError(f"{path.name}: {name} cannot be read: {error}", AGAIN) from None
