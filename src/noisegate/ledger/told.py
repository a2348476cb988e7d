"""What the receipts of a ledger tell of accounts and charges: what its rows must then say. See `audit.py`.

Receipts are heard chain by chain. All that touches an account of a dataset is in that dataset's chain, so
its limits, period and state are known at each of its charges; a population is charged in several chains,
and is held against its own once all have been heard.
"""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from noisegate.ledger.accounts import (
    AccountState,
    Kind,
    Period,
    chain_of,
    kind_of,
    limits_as_json,
    parent_of,
)
from noisegate.ledger.receipts import Fault, is_signed
from noisegate.ledger.records import (
    Charge,
    Daily,
    IdempotencyKey,
    JobState,
    Receipt,
    ReceiptKind,
    loss_of_json,
    title_of,
)
from noisegate.ledger.returns import amount_back, left_over
from noisegate.ledger.sums import Sums
from noisegate.ledger.tallies import day_of
from noisegate.privacy.filter import Capacity, Limits, capacity, spent_epsilon
from noisegate.privacy.loss import NANO, ZERO, Loss

_SHARES = {ReceiptKind.OPENED, ReceiptKind.RENEWED, ReceiptKind.TRANSFERRED}
OF_ACCOUNTS = _SHARES | {
    ReceiptKind.SUSPENDED,
    ReceiptKind.RESTRICTED,
    ReceiptKind.LOCKED,
    ReceiptKind.RESUMED,
}
_FRACTION = re.compile(r"\d{1,4300}(/\d{1,4300})?", re.ASCII)
_FOREVER = 2**63


@dataclass(frozen=True, slots=True)
class Share:
    """A period's limits, as its entry tells them."""

    period: Period
    limits: Limits
    capacity: Capacity


@dataclass(slots=True)
class Line:
    """The life of one account.

    `signed` says whether its opening is; `closed` from when to when it bore no charge. `changes` counts what
    has changed its row, charges and returns apart.
    """

    signed: bool = True
    closed: list[tuple[int, int]] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    epsilon: Fraction = Fraction(0)
    delta: Fraction = Fraction(0)
    state: AccountState = AccountState.OPEN
    reason: str = ""
    strikes: int = 0
    changes: int = 0


@dataclass(frozen=True, slots=True)
class ChargeTold:
    """A charge as its receipts tell it; see `Charge`. `amount` is what it counts for in the day."""

    digest: bytes
    at: int
    fingerprint: str
    datasets: tuple[str, ...]
    idempotency: IdempotencyKey | None
    population: str
    asker: str
    tier: str
    conditions: str
    periods: dict[str, int]
    loss: Loss
    amount: int
    steps: int | None
    title: str


@dataclass(slots=True)
class Told:
    """All that is told.

    `made` is when the ledger was, the last second at which entries may be those of the first schema, and
    `known` are the public keys that its entries may be signed with.
    """

    made: int
    known: frozenset[str]
    lines: dict[str, Line] = field(default_factory=dict)
    sums: dict[tuple[str, int], Sums] = field(default_factory=lambda: defaultdict(Sums))
    tallies: dict[tuple[str, int, str], Sums] = field(default_factory=lambda: defaultdict(Sums))
    charges: dict[int, ChargeTold] = field(default_factory=dict)
    charged_in: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    finished: dict[int, Receipt] = field(default_factory=dict)
    finished_in: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    moves: Counter[tuple[str, str, str, int, int]] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)
    signed_at: dict[str, int] = field(default_factory=dict)  # chain -> when its first signed entry was made
    legacy_at: int = -1  # when the last entry was made that was read as the first schema wrote them

    def is_legacy(self, receipt: Receipt) -> bool:
        """Whether an entry may be as the first schema wrote it: no signed one came before it in its chain."""
        may = receipt.at <= self.made and receipt.dataset not in self.signed_at
        if may:
            self.legacy_at = max(self.legacy_at, receipt.at)
        return may

    def hear_account(self, receipt: Receipt) -> None:
        """Take in an entry of an account."""
        said = receipt.content()
        account = str(said["account"])
        if receipt.charge is not None or chain_of(account) != receipt.dataset:
            raise Fault(f"receipt {receipt.id} tells of account {account!r} in another chain")
        opens = receipt.kind is ReceiptKind.OPENED
        if opens == (account in self.lines):
            raise Fault(f"receipt {receipt.id} tells of account {account!r} before it was opened, or again")
        if opens:
            self.lines[account] = Line()
        line = self.lines[account]
        line.changes += not opens and receipt.kind is not ReceiptKind.LOCKED
        if receipt.kind in _SHARES:
            self._begin(receipt, said, account, line)
        else:
            _restate(receipt, said, line)

    def _begin(self, receipt: Receipt, said: dict[str, Any], account: str, line: Line) -> None:
        """Take in an entry that begins a period."""
        limits = Limits(*(_fraction(said[name]) for name in ("epsilon", "delta", "delta_keys")))
        fixed = capacity(limits)
        if {name: said[name] for name in limits_as_json(limits, fixed)} != limits_as_json(limits, fixed):
            raise Fault(f"receipt {receipt.id} gives account {account!r} a capacity that its limits do not")
        bare = "key" not in said and receipt.kind is ReceiptKind.OPENED
        line.signed = line.signed and not bare
        if not (bare and self.is_legacy(receipt)):
            if not is_signed(said):
                raise Fault(f"receipt {receipt.id} is not signed by the key that it names")
            if said["key"] not in self.known:
                raise Fault(
                    f"receipt {receipt.id} is signed by {said['key']}, which is no key of this ledger"
                )
            self.keys.add(said["key"])
            self.signed_at.setdefault(receipt.dataset, receipt.at)
            period, lifetime = Period(**said["period"]), said["lifetime"]
        else:  # as the first schema wrote it
            period = Period(1, receipt.at)
            lifetime = {"epsilon": said["epsilon"], "delta": said["delta"]}
        line.epsilon += limits.epsilon
        line.delta += limits.delta
        if lifetime != {"epsilon": str(line.epsilon), "delta": str(line.delta)}:
            raise Fault(f"receipt {receipt.id} does not add up the limits of account {account!r}")
        if (period.number, period.since) != (len(line.shares) + 1, receipt.at):
            raise Fault(f"receipt {receipt.id} begins another period of account {account!r} than the next")
        if receipt.kind is ReceiptKind.TRANSFERRED:
            self._moved(receipt, said, account, line, Share(period, limits, fixed))
        line.shares.append(Share(period, limits, fixed))

    def _moved(self, receipt: Receipt, said: dict[str, Any], account: str, line: Line, new: Share) -> None:
        """Hold a transfer's new limits against what the account had left, and remember its other half."""
        old, sign = line.shares[-1], {said["from"]: -1, said["to"]: 1}[account]
        if parent_of(said["from"]) != parent_of(said["to"]) or parent_of(account) is None:
            raise Fault(f"receipt {receipt.id} moves budget between accounts that are no siblings")
        counted = self.sums[account, old.period.number].counted(in_order=True)
        left = max(old.limits.epsilon - spent_epsilon(old.limits, counted), Fraction(0))
        epsilon = (Fraction(left * NANO // 1, NANO) + sign * _fraction(said["moved"])) * NANO // 1
        same = (old.limits.delta, old.limits.delta_keys, old.period.until)
        if Fraction(epsilon, NANO) != new.limits.epsilon or same != (
            new.limits.delta,
            new.limits.delta_keys,
            new.period.until,
        ):
            raise Fault(f"receipt {receipt.id} gives account {account!r} another share than was moved")
        self.moves[said["from"], said["to"], said["moved"], receipt.at, -sign] += 1

    def hear_charge(self, receipt: Receipt, charge: int) -> None:
        """Take in a charge, or the same one in the chain of another of its datasets."""
        said = self._said(receipt)
        known = self.charges.get(charge)
        if known is None:
            self.charges[charge] = _charge_told(receipt, charge, said)
        elif (known.digest, known.at) != (_digest(receipt), receipt.at):
            raise Fault(f"receipt {receipt.id} tells of charge {charge} what another does not")
        if receipt.dataset in self.charged_in[charge]:
            raise Fault(f"receipt {receipt.id} tells of charge {charge} a second time")
        self.charged_in[charge].add(receipt.dataset)
        loss = _entries(said["loss"])
        for account, number in self._heard_here(receipt, said["periods"], first=known is None):
            more = said["surcharges"].get(account)
            extra = None if more is None else _entries(more)
            self.sums[account, number].take(loss, extra, 0, receipt.at)
            if kind_of(account) is Kind.ANALYST:
                amount = 0 if said["daily"] is None else said["daily"][0]
                tally = self.tallies[account, day_of(receipt.at), said["tier"]]
                tally.take(loss, extra, amount, receipt.at)
                if said["daily"] is not None and tally.amount > said["daily"][1]:
                    raise Fault(f"charge {charge} takes account {account!r} past its maximum of the day")
            if kind_of(account) is not Kind.POPULATION:
                self._bore(account, number, charge)

    def _heard_here(
        self, receipt: Receipt, periods: dict[str, int], *, first: bool
    ) -> Iterator[tuple[str, int]]:
        """Yield the accounts that a receipt on a charge counts for: each in one of the charge's chains."""
        for account, number in periods.items():
            if first if parent_of(account) is None else chain_of(account) == receipt.dataset:
                yield account, number

    def _bore(self, account: str, number: int, charge: int) -> None:
        """Hold a charge against the account as it stood then."""
        line = self.lines.get(account)
        if line is None or line.shares[-1].period.number != number:
            raise Fault(f"charge {charge} is not counted in the period of account {account!r} it fell in")
        if line.state is not AccountState.OPEN:
            raise Fault(f"charge {charge} was taken while account {account!r} was {line.state.value}")

    def _said(self, receipt: Receipt) -> dict[str, Any]:
        """Return what a charge's receipt says, with what the first schema left out."""
        said: dict[str, Any] = receipt.content()
        if "periods" in said or not self.is_legacy(receipt):
            return said
        return {
            "asker": "",
            "tier": "",
            "conditions": "[]",
            "daily": None,
            "steps": None,
            "periods": dict.fromkeys(said["accounts"], 1),
            **said,
        }

    def hear_finished(self, receipt: Receipt, charge: int) -> None:
        """Take in the end of a job, or the same one in the chain of another of its datasets."""
        told = self.charges[charge]
        if told.steps is None or receipt.dataset in self.finished_in[charge]:
            raise Fault(f"receipt {receipt.id} ends what is no job, or has ended before")
        self.finished_in[charge].add(receipt.dataset)
        first = charge not in self.finished
        known = self.finished.setdefault(charge, receipt)
        if (known.body, known.at) != (receipt.body, receipt.at):
            raise Fault(f"receipt {receipt.id} tells of the end of job {charge} what another does not")
        said: dict[str, Any] = receipt.content()
        drawn = _loss(said["drawn"])
        returned = left_over(told.loss, drawn)
        if (
            _loss(said["returned"]) != returned
            or said["steps"] != told.steps
            or not 0 <= said["steps_drawn"] <= told.steps
            or said["periods"] != told.periods
        ):
            raise Fault(f"receipt {receipt.id} does not give back what job {charge} had left")
        if said["state"] == JobState.FINISHED.value and said["steps_drawn"] == 0 and told.loss != ZERO:
            raise Fault(f"job {charge} has an answer, and has drawn nothing for it")
        entries = (*returned.renyi, returned.delta)
        amount = amount_back(told.amount, told.loss, drawn, told.steps, said["steps_drawn"])
        for account, number in self._heard_here(receipt, told.periods, first=first):
            self.sums[account, number].give_back(entries, 0)
            if kind_of(account) is Kind.ANALYST:
                self.tallies[account, day_of(told.at), told.tier].give_back(entries, amount)

    def close(self) -> None:
        """Hold against each other what several chains tell, once all of them have been heard."""
        for account, line in self.lines.items():
            above = self.lines.get(parent_of(account) or "")
            if not line.signed and above is not None and above.signed:
                raise Fault(
                    f"the opening of account {account!r} is not signed, and that of the one above it is"
                )
        if self.signed_at and self.legacy_at > min(self.signed_at.values()):
            raise Fault("there are entries as of the first schema, later than one that is signed")
        for charge, said in self.charges.items():
            root = self.lines.get(said.population)
            # Seconds in common are left open: which came first is not recorded.
            if root is not None and any(since < said.at < until for since, until in root.closed):
                raise Fault(f"charge {charge} was taken while account {said.population!r} was suspended")


def _charge_told(receipt: Receipt, charge: int, said: dict[str, Any]) -> ChargeTold:
    """Return a charge as its first receipt tells it."""
    periods, key, daily = said["periods"], said["idempotency"], said["daily"]
    if list(periods) != said["accounts"] or not all(type(n) is int for n in periods.values()):
        raise Fault(f"charge {charge} does not name the period of each of its accounts")
    try:
        whole = Charge(
            accounts=tuple(said["accounts"]),
            loss=_loss(said["loss"]),
            surcharges={account: _loss(more) for account, more in said["surcharges"].items()},
            datasets=tuple(said["datasets"]),
            fingerprint=said["fingerprint"],
            idempotency=None if key is None else IdempotencyKey(*key),
            asker=said["asker"],
            tier=said["tier"],
            daily=None if daily is None else Daily(*daily),
            conditions=said["conditions"],
            steps=said["steps"],
        )
    except ValueError as wrong:
        raise Fault(f"charge {charge} is none: {wrong}") from None
    return ChargeTold(
        digest=_digest(receipt),
        at=receipt.at,
        fingerprint=whole.fingerprint,
        datasets=whole.datasets,
        idempotency=whole.idempotency,
        population=said["accounts"][0].partition("/")[0],
        asker=whole.asker,
        tier=whole.tier,
        conditions=whole.conditions,
        periods=periods,
        loss=whole.loss,
        amount=0 if whole.daily is None else whole.daily.amount,
        steps=whole.steps,
        title=title_of(said["public"]),
    )


def _restate(receipt: Receipt, said: dict[str, Any], line: Line) -> None:
    """Take in an entry that changes whether an account bears charges."""
    if receipt.kind in (ReceiptKind.SUSPENDED, ReceiptKind.LOCKED) and line.state is AccountState.OPEN:
        line.closed.append((receipt.at, _FOREVER))
    elif receipt.kind is ReceiptKind.RESUMED and line.state is not AccountState.OPEN:
        line.closed[-1] = (line.closed[-1][0], receipt.at)
    match receipt.kind:
        case ReceiptKind.SUSPENDED:
            line.state, line.reason = AccountState.SUSPENDED, said["reason"]
        case ReceiptKind.RESTRICTED:
            line.strikes += 1
        case ReceiptKind.LOCKED:
            line.state, line.reason = AccountState.LOCKED, said["reason"]
        case _:
            line.state, line.reason, line.strikes = AccountState.OPEN, "", 0
    if said.get("strikes", line.strikes) != line.strikes:
        raise Fault(f"receipt {receipt.id} miscounts the strikes of account {said['account']!r}")


def _digest(receipt: Receipt) -> bytes:
    return hashlib.sha256(receipt.body.encode()).digest()


def _entries(loss: dict[str, Any]) -> tuple[int, ...]:
    checked = _loss(loss)
    return (*checked.renyi, checked.delta)


def _loss(content: dict[str, Any]) -> Loss:
    """Return a loss, of whole numbers alone: sums of others are not exact."""
    loss = loss_of_json(content)
    if {*map(type, loss.renyi), type(loss.delta)} != {int}:
        raise Fault("a loss is not in whole numbers")
    return loss


def _fraction(text: str) -> Fraction:
    """Return a number as the ledger writes it; an exponent could stand for one that fills the memory."""
    if not _FRACTION.fullmatch(text):
        raise Fault(f"{text[:100]!r} is no fraction")
    return Fraction(text)
