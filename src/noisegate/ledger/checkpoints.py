"""Signed checkpoints: where each chain ended at some moment, kept where the ledger's host cannot change it.

A chain of hashes tells of a change only to someone who holds a later hash of it. A checkpoint is that
hash for every chain, signed, in a file of its own: a ledger that ends before one, or has another hash
where one has its own, was rolled back or rewritten (PROOFS.md, "Checkpoints").
"""

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from noisegate.errors import LedgerUnavailable
from noisegate.ledger.records import canonical
from noisegate.ledger.signing import Signer, signed_by
from noisegate.ledger.sqlite import sync_directory
from noisegate.ledger.store import Ledger

FORMAT = "noisegate checkpoint 1"
SUFFIX = ".json"
# A ledger that opens is held to the furthest receipt of each chain in all checkpoints, and to all there is in
# so many of the latest; an export is held to all there is.
CLOSELY = 100
_LONGEST = 16 * 1024 * 1024  # bytes; a chain has about 100
PUT_BACK = "put the newest ledger back; docs/guides/operations.md says what to do where it is lost"

# Takes the name of a checkpoint and its content, and returns once that is kept; OSError where it is not.
Destination = Callable[[str, bytes], None]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where chains ended: `heads` has the number and hash of the last receipt of each, by chain."""

    ledger: str
    at: int
    heads: Mapping[str, tuple[int, str]]

    @property
    def receipts(self) -> int:
        """How many receipts it holds fast."""
        return sum(seq for seq, _ in self.heads.values())

    def as_json(self, form: str = FORMAT) -> dict[str, object]:
        """Return it as JSON values, not signed yet. `form` says what they are."""
        heads = {chain: [seq, hash_] for chain, (seq, hash_) in self.heads.items()}
        return {"format": form, "ledger": self.ledger, "at": self.at, "heads": heads}


@dataclass(frozen=True, slots=True)
class Held:
    """What the checkpoints of a ledger hold together: `heads` has the furthest receipt of each chain.

    `strange` is how many files beside them are no checkpoints by a key of the ledger.
    """

    heads: Mapping[str, tuple[int, str]]
    strange: int = 0


def take(ledger: Ledger, chains: Collection[str] | None = None) -> Checkpoint:
    """Return where the ledger's chains end now: all of them, or those named."""
    heads = {chain: (seq, hash_) for chain, (seq, hash_, _) in ledger.heads().items()}
    if chains is not None:
        heads = {chain: head for chain, head in heads.items() if chain in chains}
    return Checkpoint(ledger.id, ledger.now(), heads)


def signed(signer: Signer, value: Mapping[str, object]) -> dict[str, object]:
    """Return a value with its key and signature. What is signed begins with the value's format."""
    said = {**value, "key": signer.public}
    return {**said, "signature": signer.sign(_message(said))}


def file_of(value: Mapping[str, object]) -> tuple[str, bytes]:
    """Return the file name and content of a signed checkpoint, checked.

    Names sort by time, and differ where contents do.

    Raises:
        LedgerUnavailable: it is none.
    """
    content = f"{canonical(value)}\n".encode()
    found = _parsed(content)
    if found is None:
        raise _none("what was given")
    return _name_of(found[0], content), content


def write(directory: Path, name: str, content: bytes) -> None:
    """Put a checkpoint into a directory, durably and whole; what is there already is never replaced.

    Raises:
        OSError: it could not be written.
    """
    unfinished = directory / f".{name}.{secrets.token_hex(8)}"
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
        try:
            os.link(unfinished, directory / name)  # unlike rename, it never replaces
        except FileExistsError:
            return  # the name has the content's hash in it
    finally:
        unfinished.unlink()
    sync_directory(directory)


def kept_in(directory: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of all files of checkpoints in a directory, those named latest first.

    What nobody could write as a checkpoint comes with no content.

    Raises:
        OSError: it cannot be read.
    """
    for name in sorted((f.name for f in directory.iterdir() if f.suffix == SUFFIX), reverse=True):
        file = directory / name
        try:
            # Neither a pipe, which would never end, nor what fills the memory.
            fit = file.is_file() and file.stat().st_size <= _LONGEST
            yield name, file.read_bytes() if fit else b""
        except PermissionError:
            yield name, b""


def hold(ledger: Ledger, kept: Iterable[tuple[str, bytes]]) -> Held:
    """Hold a ledger against checkpoints that were kept of it, the latest first.

    What is no checkpoint by a key of this ledger, under its own name, binds nothing: whoever may add files
    to the directory can thereby neither hide the others nor keep the gateway from starting.

    Raises:
        LedgerUnavailable: one is of another ledger, or of receipts that this one does not have; or there are
            some, and all are signed by other keys.
    """
    heads: dict[str, tuple[int, str]] = {}
    seen: set[tuple[str, int, str]] = set()
    count = strange = 0
    foreign = ""
    for name, content in kept:
        found = _signed_by(name, content)
        if found is None or found[1] not in ledger.keys:
            strange += 1
            foreign = foreign or ("" if found is None else name)
            continue
        checkpoint, count = found[0], count + 1
        if checkpoint.ledger != ledger.id:
            raise LedgerUnavailable(
                f"checkpoint {name} is of ledger {checkpoint.ledger}, this one is {ledger.id}",
                "give each ledger a directory of its own; if this one was made anew in place of that one, "
                "put that one back: what was spent in it is missing here",
            )
        for chain, (seq, hash_) in checkpoint.heads.items():
            furthest = seq > heads.get(chain, (0, ""))[0]
            if furthest:
                heads[chain] = (seq, hash_)
            if (furthest or count <= CLOSELY) and (chain, seq, hash_) not in seen:
                seen.add((chain, seq, hash_))
                wrong = gone(ledger, chain, seq, hash_, f"checkpoint {name} holds it")
                if wrong is not None:
                    raise LedgerUnavailable(wrong, PUT_BACK)
    if foreign and not count:
        raise LedgerUnavailable(
            f"checkpoint {foreign}, and every other there, is signed by a key that is not this ledger's",
            "give each ledger a directory of its own; if the signing key was replaced, name the former one "
            "in `known_keys`; if the ledger was made anew, put the former one back",
        )
    return Held(heads, strange)


def gone(ledger: Ledger, chain: str, seq: int, hash_: str, why: str) -> str | None:
    """Say what is wrong where a ledger no longer has a receipt, None where it has."""
    found = ledger.receipt(f"{chain}:{seq}")
    if found is not None and found.hash == hash_:
        return None
    wrong = "missing" if found is None else "another"
    return (
        f"receipt {chain}:{seq} is {wrong} here, and {why}: the ledger was "
        "rolled back or rewritten, and what was spent is not on it"
    )


def read(name: str, content: bytes) -> Checkpoint:
    """Return a signed checkpoint, whoever signed it.

    Raises:
        LedgerUnavailable: it is none, was changed, or is not under its own name.
    """
    found = _signed_by(name, content)
    if found is None:
        raise _none(name)
    return found[0]


def _signed_by(name: str, content: bytes) -> tuple[Checkpoint, str] | None:
    """Return a checkpoint and the key that signed it, None where it is none, or under another name."""
    found = _parsed(content)
    return None if found is None or name != _name_of(found[0], content) else found


def _parsed(content: bytes) -> tuple[Checkpoint, str] | None:
    try:
        value = json.loads(content.decode("ascii"))
        whole = value["format"] == FORMAT and signed_by(
            value["key"], value["signature"], _message({k: v for k, v in value.items() if k != "signature"})
        )
        heads = {str(chain): (int(seq), str(hash_)) for chain, (seq, hash_) in value["heads"].items()}
        found = Checkpoint(str(value["ledger"]), int(value["at"]), heads), str(value["key"])
        datetime.fromtimestamp(found[0].at, UTC)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError):
        return None
    return found if whole else None


def _name_of(checkpoint: Checkpoint, content: bytes) -> str:
    time = datetime.fromtimestamp(checkpoint.at, UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(content).hexdigest()[:16]
    return f"{time}-{checkpoint.receipts:012d}-{digest}{SUFFIX}"


def _none(name: str) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"{name} is no checkpoint, or was changed",
        "nothing but checkpoints belongs in their directory: find out who changed it, then move it away",
    )


def _message(value: Mapping[str, object]) -> bytes:
    return f"{value['format']}\0{canonical(value)}".encode()
