"""Keys of releases: one secret each, bound to what it is used on, wiped when the release is whole.

TRUSTED. Noise must be drawn anew for other data and be repeated for the same data: the same noise on two
inputs shows where they differ, and two noises on one input halve it. So the key of a release is derived
from a secret and from everything that the noise depends on; a release is bound to one such context for
ever, and a secret that is gone never comes back under the same name. PROOFS.md, "Key stream".
"""

import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from noisegate.errors import Conflict, SetupError
from noisegate.ledger.sqlite import make_directory, sync_directory

SECRET_BYTES = 32
KEY_BYTES = 16
_LABEL = b"noisegate genomes key 1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that the noise of a release depends on.

    Attributes:
        release: its id: letters, digits, `.`, `_`, `-`; at most 100.
        input: digest of what noise is put on.
        parameters: digest of the law and of all else that is chosen.
        layout: how the input is cut into chunks, in any words that say it fully.
    """

    release: str
    input: str
    parameters: str
    layout: str

    def __post_init__(self) -> None:
        _check(self.release)

    def encoded(self) -> bytes:
        """Return it as bytes that no other context has: each part after its length."""
        parts = (p.encode() for p in (self.release, self.input, self.parameters, self.layout))
        return b"".join(len(part).to_bytes(8) + part for part in parts)

    @property
    def digest(self) -> str:
        """Its SHA-256, hexadecimal."""
        return hashlib.sha256(_LABEL + self.encoded()).hexdigest()


class ReleaseKey:
    """The AES-128 key of one release in one context. Shows nothing of itself and is in no pickle."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        """Take 16 bytes; `KeyStore.bind` or a worker's safe channel gives them."""
        if len(key) != KEY_BYTES:
            raise ValueError("the key of a release has 16 bytes")
        self._key = bytes(key)

    def reveal(self) -> bytes:
        """Return the key, for a cipher or for a channel that keeps it secret; nothing else."""
        return self._key

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return "<release key>"

    def __reduce__(self) -> NoReturn:
        """Refuse: what is pickled ends in queues, logs and files."""
        raise TypeError("the key of a release is not pickled")


def derive(secret: bytes, context: Context) -> ReleaseKey:
    """Return the key of a release by HKDF-SHA256 (RFC 5869) over its whole context."""
    info = _LABEL + context.encoded()
    return ReleaseKey(HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret))


class KeyStore:
    """The secrets of releases in a directory, for any number of processes at once.

    A release has a file `RELEASE.key` while its key may be used (secret, then the digest of its context),
    and `RELEASE.wiped` once it may not. Both are on disk before a method returns.
    """

    def __init__(self, directory: Path) -> None:
        """Take the directory, made when it is first needed."""
        self._directory = directory

    def bind(self, context: Context) -> ReleaseKey:
        """Return the key of a release, its secret made durably the first time.

        Raises:
            Conflict: the release is bound to another context, or its key was wiped.
            SetupError: its file is damaged, or may be read by others.
        """
        return self._open(context, make=True)

    def resume(self, context: Context) -> ReleaseKey:
        """Return the key of a release that was bound before; it is never made here.

        Raises:
            Conflict: as `bind`, or nothing is bound.
            SetupError: as `bind`.
        """
        return self._open(context, make=False)

    def wipe(self, release: str) -> None:
        """Destroy the secret of a release, bound or not, and let none be bound to its id again."""
        _check(release)
        with self._held():
            self._place(self._wiped(release), b"")
            self._erase(self._key(release))

    def _open(self, context: Context, *, make: bool) -> ReleaseKey:
        with self._held():
            if self._wiped(context.release).exists():
                self._erase(self._key(context.release))  # whoever wiped it may have been killed halfway
                raise Conflict(
                    f"the key of release {context.release!r} was wiped: it is finished, or was given up",
                    "start a new release; it is charged anew",
                )
            file = self._key(context.release)
            if make and not file.exists():
                self._place(file, secrets.token_bytes(SECRET_BYTES) + context.digest.encode())
            try:
                content = _read(file)
            except FileNotFoundError:
                raise Conflict(
                    f"release {context.release!r} has no key: its noise cannot be repeated",
                    "start a new release; it is charged anew",
                ) from None
        secret, bound = content[:SECRET_BYTES], content[SECRET_BYTES:]
        if bound != context.digest.encode():
            raise Conflict(
                f"the input, parameters or layout of release {context.release!r} are not those it began with",
                "put them back to go on, or start a new release, which is charged anew",
            )
        return derive(secret, context)

    def _key(self, release: str) -> Path:
        return self._directory / f"{release}.key"

    def _wiped(self, release: str) -> Path:
        return self._directory / f"{release}.wiped"

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the directory against other processes and threads; a killed one lets go."""
        make_directory(self._directory)
        lock = os.open(self._directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _place(self, file: Path, content: bytes) -> None:
        """Write a file that is seen whole or not at all, and stays; only while held."""
        unfinished = file.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        unfinished.rename(file)
        sync_directory(self._directory)

    def _erase(self, file: Path) -> None:
        """Overwrite and remove a file, if there is one; only while held."""
        if not file.exists():
            return
        with file.open("r+b") as stream:
            # What a disk keeps of overwritten blocks is its own affair: TRUST.md, "Wiped keys".
            stream.write(bytes(file.stat().st_size))
            stream.flush()
            os.fsync(stream.fileno())
        file.unlink()
        sync_directory(self._directory)


def _check(release: str) -> None:
    if not _NAME.fullmatch(release):
        raise ValueError("the id of a release has letters, digits, '.', '_' and '-', 100 at most")


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        if os.fstat(stream.fileno()).st_mode & _OTHERS:
            raise SetupError(
                f"the key file {file} may be read by others than its owner",
                f"if nobody has read it, chmod 600 {file}; else start a new release",
            )
        content = stream.read(2 * SECRET_BYTES + 65)
    if len(content) != SECRET_BYTES + 64:
        raise SetupError(f"the key file {file} is damaged", "start a new release; it is charged anew")
    return content
