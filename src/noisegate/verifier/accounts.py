"""Accounts as their entries tell of them: periods with limits, what is spent, and when one is closed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .forms import ORDER_COUNT, Fault, Keys, fraction, vector, whole, word

NANO, DELTA_UNIT = 10**9, 10**15
ORDERS = (1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 16.0, 32.0, 64.0, 128.0, 256.0)
ENTRY = b"noisegate entry 1\0"
SHARES = frozenset({"opened", "renewed", "transferred"})
CLOSING = frozenset({"suspended", "locked"})
KINDS = SHARES | CLOSING | {"resumed", "restricted"}
FOREVER = 2**63
# Shares of δ are added up in floating point; capacities are floors of nano-units, far coarser.
ROUNDING = 1e-9
_LEVELS = 4


@dataclass(slots=True)
class Share:
    """One period of an account: its limits, and what its charges add up to. Times in seconds since 1970."""

    account: str
    number: int
    since: int
    until: int
    epsilon: Fraction
    delta: Fraction
    capacity: list[int]
    capacity_delta: int
    spent: list[int] = field(default_factory=lambda: [0] * ORDER_COUNT)
    spent_delta: int = 0
    surcharge: list[int] | None = None
    surcharge_delta: int = 0
    charges: int = 0
    ended: int = FOREVER

    def add(self, loss: list[int], delta: int) -> None:
        """Add a charge's loss."""
        self.spent = [a + b for a, b in zip(self.spent, loss, strict=True)]
        self.spent_delta += delta
        self.charges += 1

    def add_surcharge(self, more: list[int], delta: int) -> None:
        """Add what counts against this account alone."""
        self.surcharge = [a + b for a, b in zip(self.surcharge or [0] * ORDER_COUNT, more, strict=True)]
        self.surcharge_delta += delta

    def give_back(self, loss: list[int], delta: int) -> None:
        """Take off what a job reserved and never drew."""
        self.spent = [a - b for a, b in zip(self.spent, loss, strict=True)]
        self.spent_delta -= delta

    def counted(self) -> list[int]:
        """Return what is held against the capacity."""
        if self.surcharge is None:
            return self.spent
        return [a + b for a, b in zip(self.spent, self.surcharge, strict=True)]

    def holds(self) -> bool:
        """Whether some order is within its capacity, and δ within its own."""
        if self.spent_delta + self.surcharge_delta > self.capacity_delta:
            return False
        return any(s <= c for s, c in zip(self.counted(), self.capacity, strict=True))

    def spent_epsilon(self) -> Fraction:
        """Return the ε spent at the account's δ, the least over the orders."""
        used = self.counted()
        if not any(used):
            return Fraction(0)
        limit = math.floor(self.epsilon * NANO)
        # What converting adds at an order is what parts its capacity from the limit.
        orders = zip(self.capacity[:-1], used, strict=False)
        return Fraction(max(0, min([used[-1], *(limit - c + u for c, u in orders if c)])), NANO)


@dataclass(slots=True)
class Account:
    """An account of the tree with all its periods; `closed` lists from when to when it bore no charge.

    `signed` says whether its opening is.
    """

    id: str
    shares: list[Share]
    signed: bool
    closed: list[tuple[int, int]] = field(default_factory=list)

    @property
    def is_closed(self) -> bool:
        """Whether it bears no charge now."""
        return bool(self.closed) and self.closed[-1][1] == FOREVER


def chain_of(account: str) -> str:
    """Return the chain that an account's own entries are on."""
    parts = account.split("/")
    return parts[1] if len(parts) > 1 else f"population/{account}"


def parent_of(account: str) -> str:
    """Return the account one level up, "" for a population."""
    return account.rpartition("/")[0]


class Accounts:
    """All accounts that the file's chains opened."""

    def __init__(self, keys: Keys) -> None:
        """Take what checks the signatures of entries."""
        self.found: dict[str, Account] = {}
        self.signed = self.unsigned = 0
        self._keys = keys
        self._signed_on: set[str] = set()  # chains that have a signed entry
        self._first_signed = FOREVER
        self._last_unsigned = -1

    def shares(self) -> tuple[Share, ...]:
        """Return all periods of all accounts, by account."""
        return tuple(s for _, account in sorted(self.found.items()) for s in account.shares)

    def enter(self, kind: str, content: Mapping[str, Any], at: int, chain: str) -> None:
        """Take in an entry on an account; raise Fault where it cannot be."""
        name = word(content["account"])
        if chain_of(name) != chain:
            raise Fault(f"an entry on account {name!r} is on another chain than its own")
        account = self.found.get(name)
        if (account is None) != (kind == "opened"):
            raise Fault(f"account {name!r} is {'opened twice' if account else 'not open'}")
        if kind in SHARES:
            signed = kind != "opened" or "signature" in content or "period" in content
            if signed:
                self._keys.check(f"the entry on account {name!r}", ENTRY, content)
                self.signed += 1
                self._signed_on.add(chain)
                self._first_signed = min(self._first_signed, at)
            else:
                self._excuse(name, at, chain)
            self._begin_share(name, content, at, account, signed)
        elif account is not None and kind in CLOSING:
            if not account.is_closed:
                account.closed.append((at, FOREVER))
        elif account is not None and kind == "resumed" and account.is_closed:
            account.closed[-1] = (account.closed[-1][0], at)

    def close(self) -> None:
        """Check what only all chains together tell."""
        if self._last_unsigned > self._first_signed:
            raise Fault("an account was opened without a signature after entries were signed")

    def _excuse(self, name: str, at: int, chain: str) -> None:
        """Raise Fault unless an opening can be from before entries were signed, as all before it then are."""
        above = self.found.get(parent_of(name))
        if chain in self._signed_on or (above is not None and above.signed):
            raise Fault(f"the opening of account {name!r} is not signed, and an entry before it is")
        self.unsigned += 1
        self._last_unsigned = max(self._last_unsigned, at)

    def _begin_share(
        self, name: str, content: Mapping[str, Any], at: int, account: Account | None, signed: bool
    ) -> None:
        parent = parent_of(name)
        if account is None:
            if not 1 <= len(name.split("/")) <= _LEVELS or not all(name.split("/")):
                raise Fault(f"{name!r} is no account")
            if parent and chain_of(parent) == chain_of(name) and parent not in self.found:
                raise Fault(f"account {name!r} is opened before the one above it")
            account = self.found[name] = Account(name, [], signed)
        share = _share(name, content, at)
        if share.number != len(account.shares) + 1:
            raise Fault(f"period {share.number} of account {name!r} follows period {len(account.shares)}")
        if account.shares:
            account.shares[-1].ended = at
        account.shares.append(share)
        lifetime = content.get("lifetime")
        if lifetime is not None:
            sums = [sum(getattr(s, field) for s in account.shares) for field in ("epsilon", "delta")]
            if [fraction(lifetime["epsilon"]), fraction(lifetime["delta"])] != sums:
                raise Fault(f"the lifetime sums of account {name!r} are not those of its periods")


def _share(name: str, content: Mapping[str, Any], at: int) -> Share:
    """Return the period that an entry begins; raise Fault where its capacities are more than its limits."""
    period = content.get("period", {"number": 1, "since": at, "until": None})
    since, until = whole(period["since"]), period["until"]
    if since != at or (until is not None and whole(until) <= since):
        raise Fault(f"a period of account {name!r} does not begin with its entry, or ends before")
    epsilon, delta, delta_keys = (fraction(content[k]) for k in ("epsilon", "delta", "delta_keys"))
    capacity, keys = vector(content["capacity"]["renyi"]), whole(content["capacity"]["delta_keys"])
    if not 0 <= delta_keys <= delta < 1 or not _converts(epsilon, delta - delta_keys, capacity):
        raise Fault(f"the capacities of account {name!r} are more than its limits")
    if keys > delta_keys * DELTA_UNIT:
        raise Fault(f"the capacity for private keys of account {name!r} is more than its limit")
    return Share(
        name,
        whole(period["number"], 1),
        since,
        FOREVER if until is None else until,
        epsilon,
        delta,
        capacity,
        keys,
    )


def _converts(epsilon: Fraction, delta: Fraction, capacity: list[int]) -> bool:
    """Whether losing up to some order's capacity, whichever, is (epsilon, delta)-differentially private.

    Each finite order needs the share of δ at which its capacity converts to ε (Canonne, Kamath and Steinke
    2020, Proposition 12); together they need no more than there is. At infinity the capacity is ε.
    """
    if capacity[-1] > epsilon * NANO:
        return False
    needed = 0.0
    for order, most in zip(ORDERS, capacity, strict=False):
        if most:  # an order without capacity admits only outputs that do not differ
            gap = float(epsilon - Fraction(most, NANO))
            needed += math.exp((order - 1) * (math.log1p(-1 / order) - gap) - math.log(order))
    return needed <= float(delta) * (1 + ROUNDING)
