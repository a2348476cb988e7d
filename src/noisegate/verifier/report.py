"""What a verification found, for people and for programs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .accounts import FOREVER, Share

CANNOT_KNOW = (
    "whether rows were read as the receipts say, and whether noise was drawn as they name it",
    "what other ledgers, other copies of this one, or populations that overlap told of the same people",
    "receipts that were added after the newest checkpoint and cut off again before this file was made",
)
UNPINNED = (
    "who wrote the file: its key was found in it, and whoever can rewrite a whole ledger can sign it anew. "
    "Get the key from the custodian by another way and give it with --key, or keep checkpoints"
)
PARTIAL = "receipts of chains that are not in the file; spending of a population is then a least value"


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint that the file was held against. `at` in seconds since 1970 UTC."""

    name: str
    at: int
    ledger: str
    heads: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """What was read, and the first fault found, at `line` where it is one of the file's.

    Attributes:
        every_chain: whether the file says that it holds all chains of the ledger.
        kinds: how many receipts of each kind.
        heads: the last receipt of each chain: its number and hash.
        charges: how many there are; one on several chains is one.
        open_charges: charges that nothing has settled.
        shares: all periods of all accounts, with what was spent of them.
        signed: how many shares of budget are signed one by one.
        unsigned: openings that are not: those made before openings were signed.
        keys: public keys of all signatures found right.
        pinned: whether keys were known beforehand, and every signature is by one of them.
        kept: the checkpoints that the file was held against.
    """

    fault: str | None
    line: int | None
    ledger: str
    every_chain: bool
    kinds: Mapping[str, int]
    heads: Mapping[str, tuple[int, str]]
    charges: int
    open_charges: int
    shares: tuple[Share, ...]
    signed: int
    unsigned: int
    keys: tuple[str, ...]
    pinned: bool
    kept: tuple[Kept, ...]

    @property
    def whole(self) -> bool:
        """Whether no fault was found."""
        return self.fault is None

    @property
    def receipts(self) -> int:
        """How many receipts were read."""
        return sum(self.kinds.values())

    def since_newest(self) -> int | None:
        """Return how many receipts are younger than what checkpoints hold, None where none were given."""
        if not self.kept:
            return None
        held = {chain: max(int(k.heads.get(chain, [0])[0]) for k in self.kept) for chain in self.heads}
        return sum(max(number - held[chain], 0) for chain, (number, _) in self.heads.items())

    def cannot_know(self) -> tuple[str, ...]:
        """Say what this file cannot show."""
        partial = () if self.every_chain else (PARTIAL,)
        return (*CANNOT_KNOW, *partial, *(() if self.pinned else (UNPINNED,)))

    def as_json(self) -> dict[str, object]:
        """Return the report as JSON values."""
        return {
            "whole": self.whole,
            "fault": self.fault,
            "line": self.line,
            "ledger": self.ledger,
            "every_chain": self.every_chain,
            "receipts": self.receipts,
            "charges": self.charges,
            "open_charges": self.open_charges,
            "kinds": dict(self.kinds),
            "heads": {chain: list(head) for chain, head in self.heads.items()},
            "signed_shares": self.signed,
            "unsigned_openings": self.unsigned,
            "keys": list(self.keys),
            "key_pinned": self.pinned,
            "checkpoints": len(self.kept),
            "newest_checkpoint": max((k.at for k in self.kept), default=None),
            "receipts_since": self.since_newest(),
            "accounts": [_account(share) for share in self.shares],
            "cannot_know": list(self.cannot_know()),
        }

    def as_text(self) -> str:
        """Return the report as lines for people."""
        said = "whole" if self.fault is None else f"BROKEN: {self.fault}"
        place = "" if self.line is None else f"line {self.line:,}: "
        lines = [f"{place}{self.receipts:,} receipts of {self.charges:,} charges: {said}"]
        if self.whole:
            lines += self._signatures()
            lines += [_line(share) for share in self.shares]
            lines += ["This cannot show:", *(f"- {unknown}" for unknown in self.cannot_know())]
        return "\n".join(lines)

    def _signatures(self) -> list[str]:
        known = "known beforehand" if self.pinned else "only found in the file"
        share = f"{self.signed} of {self.signed + self.unsigned} shares of budget one by one"
        lines = [
            f"ledger {self.ledger}: {'all' if self.every_chain else 'some'} of its chains, {len(self.heads)}",
            f"signed with key {', '.join(self.keys)}, {known}: the end of the file, and {share}",
        ]
        if self.kept:
            newest = datetime.fromtimestamp(max(k.at for k in self.kept), UTC)
            lines.append(
                f"checkpoints that hold: {len(self.kept)}, the newest of {newest:%Y-%m-%d %H:%M:%S} UTC; "
                f"receipts since: {self.since_newest():,}"
            )
        return lines


def _account(share: Share) -> dict[str, object]:
    return {
        "account": share.account,
        "period": share.number,
        "ended": None if share.ended == FOREVER else share.ended,
        "charges": share.charges,
        "spent": float(share.spent_epsilon()),
        "epsilon": float(share.epsilon),
        "delta": float(share.delta),
    }


def _line(share: Share) -> str:
    period = f" (period {share.number}{', ended' if share.ended != FOREVER else ''})"
    return (
        f"  {share.account}{period if share.number > 1 or share.ended != FOREVER else ''}: spent about ε "
        f"{float(share.spent_epsilon()):.4g} of {float(share.epsilon):g} at δ {float(share.delta):g}; "
        f"charges: {share.charges:,}"
    )
