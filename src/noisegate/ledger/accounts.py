"""Accounts of the budget tree, population ⊃ dataset ⊃ project ⊃ analyst.

An account's id is its path in the tree, `population/dataset/project/analyst`, so its parent and its kind
can be read off it; the constructors refuse one that does not agree.
"""

import enum
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from noisegate.privacy.filter import Capacity, Limits
from noisegate.privacy.loss import Loss

_PART = re.compile(r"[^\s/]{1,100}")


class Kind(enum.Enum):
    """The levels of the budget tree, root first."""

    POPULATION = "population"
    DATASET = "dataset"
    PROJECT = "project"
    ANALYST = "analyst"


_KINDS = tuple(Kind)


@lru_cache(maxsize=4096)
def kind_of(account: str) -> Kind:
    """Return the level an account id stands at.

    >>> kind_of("olmsted/liver").value
    'dataset'
    """
    parts = account.split("/")
    if len(parts) > len(_KINDS) or not all(_PART.fullmatch(p) for p in parts):
        raise ValueError(
            f"an account id is population/dataset/project/analyst or a part of it, not {account!r}"
        )
    return _KINDS[len(parts) - 1]


def parent_of(account: str) -> str | None:
    """Return the id one level up, None for a population.

    >>> parent_of("olmsted/liver/default")
    'olmsted/liver'
    """
    return account.rpartition("/")[0] or None


def chain_of(account: str) -> str:
    """Return the chain that receipts on an account's own opening go to: its dataset's name.

    A population has no dataset; its chain has a slash in it, as no dataset's name does.

    >>> chain_of("olmsted/liver/default"), chain_of("olmsted")
    ('liver', 'population/olmsted')
    """
    parts = account.split("/")
    return parts[1] if len(parts) > 1 else f"population/{account}"


@dataclass(frozen=True, slots=True)
class Account:
    """A node of the budget tree and the limits of its present period."""

    id: str
    parent: str | None
    kind: Kind
    limits: Limits

    def __post_init__(self) -> None:
        if kind_of(self.id) is not self.kind or parent_of(self.id) != self.parent:
            raise ValueError(f"account {self.id!r} is not a {self.kind.value} under {self.parent!r}")

    @classmethod
    def at(cls, path: str, limits: Limits) -> "Account":
        """Return the account of that id; its parent and kind follow from it."""
        return cls(path, parent_of(path), kind_of(path), limits)


class AccountState(enum.Enum):
    """Whether an account bears charges. Only a custodian opens one that does not."""

    OPEN = "open"
    SUSPENDED = "suspended"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class Period:
    """One share of an account's budget: its limits stand from its first second to its end.

    `number` counts from 1. `since` and `until` are in seconds since 1970 UTC; from `until` on the account
    bears no charge until it is renewed, None for a share without end.
    """

    number: int
    since: int
    until: int | None = None

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError("periods count from 1")
        if self.until is not None and self.until <= self.since:
            raise ValueError("a period ends after it began")


@dataclass(frozen=True, slots=True)
class Lifetime:
    """An account over all its periods, the present one included.

    `epsilon` and `delta` are the sums of the periods' limits: what the account guarantees by basic
    composition. `spent` is the true loss of all charges that ever named it, less what jobs gave back.
    """

    epsilon: Fraction
    delta: Fraction
    spent: Loss
    charges: int


@dataclass(frozen=True, slots=True)
class Balance:
    """An account as it stands.

    `spent` is the true loss of the present period's charges that name the account; `surcharge` what the
    adaptive price added, which counts against this account's capacity only. `charges` is how many charges
    of the period name it. `state` says whether it bears charges, with `reason` where it does not;
    `strikes` counts restricted questions since a custodian last opened it.
    """

    account: Account
    capacity: Capacity
    spent: Loss
    surcharge: Loss
    charges: int
    period: Period
    lifetime: Lifetime
    state: AccountState = AccountState.OPEN
    reason: str = ""
    strikes: int = 0

    @property
    def id(self) -> str:
        """The account's id."""
        return self.account.id

    @property
    def limits(self) -> Limits:
        """The limits of the present period, as the ledger holds them: rounded down."""
        return self.account.limits

    @property
    def counted(self) -> Loss:
        """What is held against the capacity: spent and surcharge together."""
        return (
            self.spent + self.surcharge if any(self.surcharge.renyi) or self.surcharge.delta else self.spent
        )


def limits_as_json(limits: Limits, fixed: Capacity) -> dict[str, object]:
    """Return an account's limits, as exact fractions, and its capacity, in its integer units."""
    return {
        "epsilon": str(limits.epsilon),
        "delta": str(limits.delta),
        "delta_keys": str(limits.delta_keys),
        "capacity": {"renyi": list(fixed.renyi), "delta_keys": fixed.delta_keys},
    }
