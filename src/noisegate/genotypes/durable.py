"""Files that are on disk, whole, when the call returns."""

import errno
import fcntl
import mmap
import os
import secrets
from pathlib import Path
from typing import Any

from noisegate.errors import BadInput

_LARGE = 2**22
_AT_ONCE = 2**21


def sync(path: Path) -> None:
    """Put a file's content, or a directory's entries, on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, *parts: Any) -> None:
    """Write buffers to a file that is seen whole or not at all, and stays seen after a power cut.

    Several may write the same content at once, on several machines too: each has a draft of its own.
    """
    draft = _draft_of(path)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o666)
    try:
        try:
            _write_all(descriptor, [memoryview(part).cast("B") for part in parts])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync(path.parent)


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def _write_all(descriptor: int, parts: list[memoryview]) -> None:
    """Write all of the parts, and what is large past the page cache, which would only hold it until the sync.

    That saves the system's copy and its pages, most of what writing costs. It takes whole blocks that lie at
    multiples of blocks in memory, so they pass through a buffer that does. A file system that cannot do
    this gets them in the usual way.
    """
    direct = sum(part.nbytes for part in parts) >= _LARGE and _bypass(descriptor, True)
    # It is left to be collected: closing it while an error still holds a part of it would hide the error.
    held = memoryview(mmap.mmap(-1, _AT_ONCE))
    filled = 0
    for part in parts:
        while part:
            some = part[: _AT_ONCE - filled]
            held[filled : filled + some.nbytes] = some
            part, filled = part[some.nbytes :], filled + some.nbytes
            if filled == _AT_ONCE:
                direct = _write(descriptor, held, direct)
                filled = 0
    if direct:
        _bypass(descriptor, False)
    _write(descriptor, held[:filled], False)


def _write(descriptor: int, data: memoryview, direct: bool) -> bool:
    """Write all of the data; returns whether the page cache may be passed by further on."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except OSError as error:
            if not direct or error.errno != errno.EINVAL:
                raise
        if direct and data:
            direct = _bypass(descriptor, False)
    return direct


def _bypass(descriptor: int, yes: bool) -> bool:
    """Pass the page cache by, or no longer; returns whether that is so."""
    flag: int = getattr(os, "O_DIRECT", 0)
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | flag if yes else flags & ~flag)
    except OSError:
        return False
    return yes and flag != 0


def sync_tree(folder: Path) -> None:
    """Put a folder and all it holds on disk."""
    for root, _, files in os.walk(folder, topdown=False):
        for name in files:
            sync(Path(root, name))
        sync(Path(root))
    sync(folder.parent)


class Drafts:
    """Several files that appear together, or not at all where writing them fails.

    A context: `draft(path)` gives the name to write to; leaving without an error syncs every draft and gives
    it its name, in the order asked for, so a reader that looks for the last file finds all of them.
    """

    def __init__(self) -> None:
        self._names: dict[Path, Path] = {}

    def __enter__(self) -> "Drafts":
        return self

    def draft(self, path: Path) -> Path:
        """Return the name to write `path` under.

        Raises:
            BadInput: the file exists, or its folder does not.
        """
        if path.exists():
            raise BadInput(f"{path.name} exists already", "give another name, or move the old file away")
        if not path.parent.is_dir():
            raise BadInput(f"{path.parent} is not a folder", "make it first")
        return self._names.setdefault(path, _draft_of(path))

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        try:
            if failed is None:
                for draft in self._names.values():
                    sync(draft)
                for path, draft in self._names.items():
                    draft.replace(path)
                for folder in {path.parent for path in self._names}:
                    sync(folder)
        finally:
            for draft in self._names.values():
                draft.unlink(missing_ok=True)
