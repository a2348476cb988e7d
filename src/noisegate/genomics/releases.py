"""Releases of genomes in the state directory: what they hold, and who may have them.

A release lies in `releases/<id>/`: what is given out in `exports/`, with the shareable report, and beside it
`release.json` and `grants.json`. What is exact, and stays with the custodian, lies in `custodian/`, which
only the owner of the state directory can open; nothing here gives out a path into it. `release.json` is
written last and whole, so a release without it is one in progress.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from noisegate.errors import BadInput, Conflict, NotFound, SetupError
from noisegate.gate.access import Asker
from noisegate.ledger.records import Role, canonical
from noisegate.ledger.sqlite import make_directory, sync_directory

RELEASES = "releases"
RECORD = "release.json"
GRANTS = "grants.json"
CUSTODIAN = "custodian"
EXPORTS = "exports"
LOCK = ".lock"
_ID = re.compile(r"[A-Za-z0-9_]+-[0-9]{1,18}", re.ASCII)
_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class ReleasedFile:
    """A file that is given out. `sha256` is of its bytes, in hexadecimal."""

    name: str
    format: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Release:
    """What is known of a release by everybody who may know that it is there; public facts only.

    Attributes:
        id: its name, `<dataset>-<job>`.
        dataset: whose people it is about.
        table: the genotypes it was made from.
        job: the job that it was charged as.
        receipt: the id of the receipt of its answer.
        created: seconds since 1970 UTC, on the ledger's clock.
        method: a word of `recipe.Method`.
        people: how many slots it has, a public number.
        variants: how many variants.
        digest: SHA-256 of what was released, in hexadecimal.
        summary: JSON values: law, loss, restoration, and what else is on its receipt.
        files: what can be downloaded.
    """

    id: str
    dataset: str
    table: str
    job: int
    receipt: str
    created: int
    method: str
    people: int
    variants: int
    digest: str
    summary: Mapping[str, object] = field(default_factory=dict)
    files: tuple[ReleasedFile, ...] = ()

    def as_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {**asdict(self), "summary": dict(self.summary), "files": [asdict(f) for f in self.files]}

    @classmethod
    def of_json(cls, held: Mapping[str, Any]) -> "Release":
        """Return the release in such JSON values."""
        return cls(**{**held, "files": tuple(ReleasedFile(**f) for f in held["files"])})


@dataclass(frozen=True, slots=True)
class Grant:
    """That a custodian gave a release to an analyst, or took it back: `action` is granted or revoked.

    `at` is in seconds since 1970 UTC. `hash` is the SHA-256 of the entry with the hash of the one before it,
    so that an entry cannot be changed or left out without all later ones telling.
    """

    action: str
    analyst: str
    project: str
    by: str
    at: int
    hash: str


class Shelf:
    """All releases of a state directory. Safe to use from many threads and processes."""

    def __init__(self, state: Path) -> None:
        """Take the state directory; nothing is made until the first release."""
        self._home = state / RELEASES

    def place(self, release: str) -> Path:
        """Return the directory of a release, whether it is there or not.

        Raises:
            NotFound: this cannot be the name of one.
        """
        if not _ID.fullmatch(release):
            raise not_found(release)
        return self._home / release

    def make(self, release: str) -> Path:
        """Make the directory of a release, and the custodian's beneath it, unless they are there."""
        place = self.place(release)
        make_directory(place / CUSTODIAN)
        (place / CUSTODIAN).chmod(0o700)
        return place

    @contextmanager
    def held(self, release: str, *, wait: bool = False) -> Iterator[Path]:
        """Hold a release alone, in all processes, while it is made or its grants change.

        Raises:
            Conflict: another process or thread holds it, and it was not to be waited for.
        """
        place = self.make(release)
        descriptor = os.open(place / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise Conflict(
                    f"release {release} is being made by another process",
                    "wait for it: `noisegate jobs list` shows how far it is",
                ) from None
            yield place
        finally:
            os.close(descriptor)

    def publish(self, release: Release) -> None:
        """Record a release that is complete, durably; it can be listed and granted from now on."""
        write_whole(self.place(release.id) / RECORD, canonical(release.as_json()).encode())

    def find(self, release: str) -> Release:
        """Return a complete release.

        Raises:
            NotFound: there is none of that name.
            SetupError: its record cannot be read.
        """
        file = self.place(release) / RECORD
        try:
            return Release.of_json(json.loads(file.read_bytes()))
        except FileNotFoundError:
            raise not_found(release) from None
        except (OSError, ValueError, TypeError, KeyError) as wrong:
            raise SetupError(
                f"{file} cannot be read: {type(wrong).__name__}", "put it back from a backup"
            ) from None

    def all(self) -> list[Release]:
        """Return all complete releases whose record can be read, newest first."""
        return self._listed()[0]

    def damaged(self) -> list[str]:
        """Return the names of complete releases whose record, or that of their grants, cannot be read."""
        return self._listed()[1]

    def _listed(self) -> tuple[list[Release], list[str]]:
        """Return complete releases, newest first, and those of which something cannot be read."""
        found: list[Release] = []
        damaged: list[str] = []
        for place in self._home.iterdir() if self._home.is_dir() else ():
            if not (_ID.fullmatch(place.name) and os.path.lexists(place / RECORD)):
                continue
            try:
                release = self.find(place.name)
                self.grants(place.name)
            except (SetupError, NotFound):
                damaged.append(place.name)
            else:
                found.append(release)
        return sorted(found, key=lambda r: (r.created, r.job), reverse=True), sorted(damaged)

    def is_unsettled(self, release: str) -> bool:
        """Whether something of a release is there that was never completed."""
        place = self.place(release)
        return place.is_dir() and not (place / RECORD).exists()

    def drop(self, release: str) -> None:
        """Remove what there is of a release that was never completed.

        Raises:
            Conflict: it was completed; what was released is kept.
        """
        place = self.place(release)
        if (place / RECORD).exists():
            raise Conflict(f"release {release} is complete", "revoke its grants to close it")
        shutil.rmtree(place, ignore_errors=True)

    def custodian(self, release: str) -> Path:
        """Return the directory of the custodian's report, for the owner of the state directory alone."""
        return self.place(release) / CUSTODIAN

    def file(self, release: Release, name: str) -> tuple[Path, ReleasedFile]:
        """Return the path of a file that is given out, and what is recorded of it.

        Only names that the record lists have one, so nothing beside them can be reached.

        Raises:
            NotFound: the release has no such file.
            SetupError: what is there is not what was recorded, by its kind and its size; a link is none.
        """
        found = next((f for f in release.files if f.name == name), None)
        if found is None:
            names = ", ".join(f.name for f in release.files)
            raise NotFound(f"release {release.id} has no file {name!r}", f"it has {names}")
        exports = self.place(release.id) / EXPORTS
        if _size(exports, found.name) != found.bytes:
            raise SetupError(
                f"{found.name} of release {release.id} is not there as it was recorded",
                "put it back from a backup of the state directory",
            )
        return exports / found.name, found

    # Grants

    def grants(self, release: str) -> tuple[Grant, ...]:
        """Return all that was granted and revoked of a release, in order.

        Raises:
            SetupError: the record of them was changed or cannot be read.
        """
        file = self.place(release) / GRANTS
        if not file.exists():
            return ()
        try:
            held = tuple(Grant(**entry) for entry in json.loads(file.read_bytes()))
        except (OSError, ValueError, TypeError) as wrong:
            raise SetupError(f"{file} cannot be read: {type(wrong).__name__}", "put it back") from None
        before = release
        for entry in held:
            if entry.hash != _linked(before, entry):
                raise SetupError(f"an entry of {file} was changed", "put it back from a backup")
            before = entry.hash
        return held

    def holders(self, release: str) -> frozenset[tuple[str, str]]:
        """Return who holds a grant at present, as (analyst, project)."""
        held: set[tuple[str, str]] = set()
        for entry in self.grants(release):
            who = (entry.analyst, entry.project)
            held.add(who) if entry.action == "granted" else held.discard(who)
        return frozenset(held)

    def grant(self, release: str, analyst: str, project: str, *, by: str, at: int) -> None:
        """Give a release to an analyst, durably. Giving it again is no change."""
        self._add("granted", release, (analyst, project), by, at)

    def revoke(self, release: str, analyst: str, project: str, *, by: str, at: int) -> None:
        """Take a release back, durably; what was downloaded stays so.

        Raises:
            NotFound: they hold no grant on it.
        """
        self._add("revoked", release, (analyst, project), by, at)

    def _add(self, action: str, release: str, who: tuple[str, str], by: str, at: int) -> None:
        self.find(release)
        with self.held(release, wait=True) as place:
            holds = who in self.holders(release)
            if holds == (action == "granted"):
                if holds:
                    return
                raise NotFound(f"{who[0]} holds no grant on {release}", "`genomes releases show` lists them")
            entries = self.grants(release)
            before = entries[-1].hash if entries else release
            new = Grant(action, *who, by, at, "")
            linked = Grant(action, *who, by, at, _linked(before, new))
            text = json.dumps([asdict(e) for e in (*entries, linked)], indent=1)
            write_whole(place / GRANTS, text.encode())


def may_know(asker: Asker, release: Release, holders: Iterable[tuple[str, str]]) -> bool:
    """Whether an asker may know that a release is there.

    Custodians and auditors know of all on data that they hold a grant on. An analyst needs that, and a grant
    on the release: custodians give out names on their own data only, so the same name on other data is
    another's.
    """
    if not asker.may_see(release.dataset):
        return False
    return asker.role is not Role.ANALYST or (asker.name, asker.project) in set(holders)


def not_found(release: str) -> NotFound:
    """Return the error for a release that there is not, or that the asker may not know of."""
    return NotFound(f"there is no release {release!r} here", "`noisegate genomes releases list` lists them")


def release_id(dataset: str, job: int) -> str:
    """Return the name of the release that a job makes."""
    return f"{dataset}-{job}"


def described(path: Path, format_: str) -> ReleasedFile:
    """Return what is recorded of a file that is given out.

    Raises:
        BadInput: it is not a regular file.
    """
    if path.is_symlink() or not path.is_file():
        raise BadInput(f"{path.name} is not a file")
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return ReleasedFile(path.name, format_, path.stat().st_size, digest.hexdigest())


def _size(folder: Path, name: str) -> int:
    """Return the size of a regular file in a folder, neither of them a link; -1 where there is none."""
    above = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        within = os.open(folder, above)
        try:
            # A pipe would be waited for, so it is opened without waiting.
            opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=within)
        finally:
            os.close(within)
        try:
            about = os.fstat(opened)
        finally:
            os.close(opened)
    except OSError:
        return -1
    return about.st_size if stat.S_ISREG(about.st_mode) else -1


def write_whole(file: Path, content: bytes) -> None:
    """Write a file that is seen whole or not at all, durably, readable by its owner alone.

    Threads may write the same at once: each has a draft of its own.
    """
    new = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
    new.replace(file)
    sync_directory(file.parent)


def _linked(before: str, entry: Grant) -> str:
    said = [before, entry.action, entry.analyst, entry.project, entry.by, entry.at]
    return hashlib.sha256(canonical(said).encode()).hexdigest()
