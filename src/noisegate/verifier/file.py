"""The file itself: its lines, their hashes, its signed end, and the checkpoints it is held against."""

import hashlib
from collections.abc import Collection, Mapping
from typing import Any, BinaryIO

from .books import KINDS, Books
from .forms import GENESIS, Fault, Keys, canonical, hash_of, line_of, parsed, read, whole, word
from .report import Kept, Report

HEADER, END, CHECKPOINT = "noisegate receipts 1", "noisegate receipts end 1", "noisegate checkpoint 1"
LATEST = 253_402_300_799  # the last second of the year 9999
LONGEST_LINE = 64 * 1024 * 1024  # bytes


def verify(
    stream: BinaryIO, *, keys: Collection[str] = (), checkpoints: Mapping[str, bytes] | None = None
) -> Report:
    """Check an exported file and return what was found; whatever it holds, nothing is raised.

    Args:
        stream: the file, opened for reading bytes.
        keys: public keys in hexadecimal; whatever is signed must be by one of them. Without any, those that
            signed the checkpoints count; without checkpoints, any key will do.
        checkpoints: contents of kept checkpoints by file name; None where none are given.

    Raises:
        OSError: the stream cannot be read.
    """
    reading = _Reading(Keys(keys))
    fault = None
    try:
        if checkpoints is not None:
            reading.hold_to(checkpoints)
        reading.read(stream)
    except Fault as found:
        fault = str(found)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as wrong:
        # What cannot even be taken apart was not written by a ledger.
        fault = f"this is not what a ledger writes: {type(wrong).__name__}: {str(wrong)[:200]}"
    return reading.report(fault)


class _Reading:
    """One pass over a file."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._books = Books(keys)
        self._kept: list[Kept] = []
        self._marks: dict[str, dict[int, tuple[str, str]]] = {}  # chain -> number -> hash, checkpoint
        self._line = 0
        self._ledger = ""
        self._every_chain = False
        self._chains: list[str] = []
        self._heads: dict[str, list[int | str]] = {}

    def hold_to(self, checkpoints: Mapping[str, bytes]) -> None:
        """Take in kept checkpoints; their keys count as known where none was given."""
        for name, content in sorted(checkpoints.items()):
            value = read(line_of(content, f"checkpoint {name}"), f"checkpoint {name}")
            if value.get("format") != CHECKPOINT:
                raise Fault(f"{name} is no checkpoint")
            self._keys.check(f"checkpoint {name}", CHECKPOINT.encode() + b"\0", value)
            for chain, (number, hash_) in value["heads"].items():
                marks = self._marks.setdefault(chain, {})
                if marks.setdefault(whole(number, 1), (hash_, name))[0] != hash_:
                    raise Fault(f"checkpoints {marks[number][1]} and {name} contradict each other")
            if whole(value["at"]) > LATEST:
                raise Fault(f"checkpoint {name} is of no time")
            self._kept.append(Kept(name, value["at"], word(value["ledger"]), value["heads"]))
        if not self._kept:
            raise Fault("there is no checkpoint where there should be some")
        self._keys.pinned = self._keys.pinned or frozenset(self._keys.used)

    def read(self, stream: BinaryIO) -> None:
        """Read the whole file."""
        digest = hashlib.sha256()
        raw = self._next(stream)
        self._begin(line_of(raw, "the first line"))
        chain, number, previous = "", 0, GENESIS
        while True:
            digest.update(raw)
            raw = self._next(stream)
            text = line_of(raw, "the line")
            said = parsed(text)
            if "format" in said:
                break
            if said["chain"] != chain:
                chain, number, previous = self._next_chain(said["chain"]), 0, GENESIS
            number += 1
            previous = self._receipt(text, said, number, previous)
            self._heads[chain] = [number, previous]
        self._end(read(text, "the last line"), digest.hexdigest())
        if stream.read(1):
            raise Fault("something follows the last line")
        self._books.close()

    def report(self, fault: str | None) -> Report:
        """Return what was read so far."""
        accounts = self._books.accounts
        return Report(
            fault=fault,
            line=self._line if fault is not None and self._line else None,
            ledger=self._ledger,
            every_chain=self._every_chain,
            kinds=dict(sorted(self._books.kinds.items())),
            heads={chain: (int(number), str(hash_)) for chain, (number, hash_) in self._heads.items()},
            charges=self._books.charges,
            open_charges=self._books.open_charges,
            shares=accounts.shares(),
            signed=accounts.signed,
            unsigned=accounts.unsigned,
            keys=tuple(self._keys.used),
            pinned=bool(self._keys.pinned),
            kept=tuple(self._kept),
        )

    def _next(self, stream: BinaryIO) -> bytes:
        raw = stream.readline(LONGEST_LINE)
        self._line += 1
        if not raw:
            raise Fault("the file ends before its signed last line")
        return raw

    def _begin(self, text: str) -> None:
        """Take in the first line."""
        header = read(text, "the first line")
        if header.get("format") != HEADER or header.keys() != {"all", "chains", "format", "ledger"}:
            raise Fault("the first line is not that of exported receipts")
        chains, every = header["chains"], header["all"]
        if chains != sorted(set(chains), key=_place) or not isinstance(every, bool):
            raise Fault("the first line does not list chains in their order")
        self._ledger, self._every_chain, self._chains = word(header["ledger"]), every, chains
        self._books.chains = frozenset(chains)
        for kept in self._kept:
            if kept.ledger != self._ledger:
                raise Fault(f"checkpoint {kept.name} is of another ledger")
            gone = kept.heads.keys() - self._books.chains
            if every and gone:
                raise Fault(f"chain {min(gone)!r} is gone, which checkpoint {kept.name} holds")

    def _next_chain(self, chain: str) -> str:
        """Go on to a chain, which must be the next that the first line names."""
        self._leave_chain()
        if self._chains[len(self._heads) : len(self._heads) + 1] != [chain]:
            raise Fault(f"chain {chain!r} does not follow in the order of the first line")
        self._books.begin(chain)
        return chain

    def _leave_chain(self) -> None:
        """Check that the chain that ends here reaches as far as every checkpoint does."""
        for chain, (number, _) in list(self._heads.items())[-1:]:
            far = max(self._marks.get(chain, {0: ("", "")}))
            if far > int(number):
                raise Fault(
                    f"chain {chain!r} ends at receipt {number}, and checkpoint {self._marks[chain][far][1]} "
                    f"holds receipt {far}: it was rolled back, or the file was made before the checkpoint"
                )

    def _receipt(self, text: str, said: dict[str, Any], number: int, previous: str) -> str:
        """Check one receipt and return its hash."""
        at, chain, charge, kind, body = (
            whole(said["at"]),
            said["chain"],
            said["charge"],
            said["kind"],
            said["body"],
        )
        if kind not in KINDS or (charge is not None and type(charge) is not int):
            raise Fault(f"receipt {chain}:{number} is of no known kind, or its charge is no number")
        hash_ = hash_of(previous, chain, number, kind, charge, at, body)
        written = (
            f'{{"at":{at},"body":{canonical(body)},"chain":{canonical(chain)},'
            f'"charge":{"null" if charge is None else charge},"hash":"{hash_}","kind":"{kind}",'
            f'"number":{number},"previous":"{previous}"}}'
        )
        if written != text:
            raise Fault(f"receipt {chain}:{number} {_difference(said, number, previous, hash_)}")
        mark = self._marks.get(chain, {}).get(number)
        if mark is not None and mark[0] != hash_:
            raise Fault(f"receipt {chain}:{number} is not the one that checkpoint {mark[1]} holds")
        self._books.enter(kind, charge, at, body, read(body, f"the body of receipt {chain}:{number}"))
        return hash_

    def _end(self, said: dict[str, Any], digest: str) -> None:
        """Take in the last line."""
        self._leave_chain()
        if said["format"] != END or said["ledger"] != self._ledger or whole(said["at"]) < 0:
            raise Fault("the last line is not that of this file")
        if canonical(said["heads"]) != canonical(self._heads) or len(self._heads) != len(self._chains):
            raise Fault("the chains do not end where the last line says")
        if said["sha256"] != digest:
            raise Fault("the lines are not those that the last line was written for")
        self._keys.check("the last line", END.encode() + b"\0", said)


def _place(chain: str) -> tuple[bool, str]:
    """Return what chains are put in order by: populations first, since datasets' charges name them."""
    return not chain.startswith("population/"), chain


def _difference(said: dict[str, Any], number: int, previous: str, hash_: str) -> str:
    """Say what is wrong with a receipt whose line is not the one expected."""
    if said["number"] != number:
        return f"is missing, or another stands in its place: receipt {said['number']!r}"
    if said["previous"] != previous:
        return "does not follow the one before it"
    if said["hash"] != hash_:
        return "is not the one that was recorded: its hash is another"
    return "is not written in canonical form"
