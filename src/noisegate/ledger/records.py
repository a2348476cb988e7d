"""The values that go into the ledger and come out of it, accounts apart."""

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from noisegate.ledger.accounts import Kind, chain_of, kind_of, parent_of
from noisegate.privacy.loss import INFINITE, Loss


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A principal's own name for one request, and the hash of that request in canonical form."""

    principal: str
    key: str
    request_hash: str

    def __post_init__(self) -> None:
        if not (self.principal and self.key and self.request_hash):
            raise ValueError("an idempotency key names its principal, its key and its request")


@dataclass(frozen=True, slots=True)
class Daily:
    """What a charge counts for against a day's maximum, and that maximum, in nano-units of ε.

    The maximum is an analyst's for one tier and one UTC day of the ledger's clock, on each of their accounts.
    `wider` are the maxima of less sensitive tiers that are touched too: each with the other tiers whose
    amounts of the day count for it beside the charge's own. They are policy, and not on receipts.
    """

    amount: int
    limit: int
    wider: tuple[tuple[str, tuple[str, ...], int], ...] = ()

    def __post_init__(self) -> None:
        if self.amount < 0 or not 0 <= self.limit <= INFINITE:
            raise ValueError("a day's amounts are not negative, and its maximum is one that can be counted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A loss to be taken once from every account named, or from none.

    Attributes:
        accounts: ids, closed under parents: with an account, all its ancestors. All of one population.
        loss: the true loss of what will be released.
        surcharges: analyst account -> further loss counted against that account alone.
        datasets: names of the datasets read; exactly those whose accounts are charged.
        fingerprint: of plan, mechanism and data versions; equal fingerprints get one answer.
        idempotency: the caller's key, if it gave one.
        body: public facts for the receipt, JSON values only: question text, plan in words, mechanism,
            data versions, asker.
        asker: who asks, "" where nobody does.
        tier: the most sensitive tier the release reads, a word of the catalog; "" where none is.
        daily: what it counts for against the asker's maximum a day on that tier, None where there is none.
        conditions: what the question singles out, canonical JSON that only `ask/` reads; earlier ones price
            later ones.
        steps: for a job, how many steps its schedule has: the loss is then reserved, drawn step by step, and
            what never started returns. None for a release that happens once.
    """

    accounts: tuple[str, ...]
    loss: Loss
    surcharges: Mapping[str, Loss] = field(default_factory=dict)
    datasets: tuple[str, ...]
    fingerprint: str
    idempotency: IdempotencyKey | None = None
    body: Mapping[str, object] = field(default_factory=dict)
    asker: str = ""
    tier: str = ""
    daily: Daily | None = None
    conditions: str = "[]"
    steps: int | None = None

    def __post_init__(self) -> None:
        named = set(self.accounts)
        if not named or len(named) != len(self.accounts):
            raise ValueError("a charge names each of its accounts once, and at least one")
        if not {parent_of(a) for a in named} <= named | {None}:
            raise ValueError("a charge that names an account names its ancestors too")
        if len({a.partition("/")[0] for a in named}) != 1:
            raise ValueError("all accounts of a charge belong to one population")
        charged = {chain_of(a) for a in named if kind_of(a) is Kind.DATASET}
        if not charged or charged != set(self.datasets) or len(charged) != len(self.datasets):
            raise ValueError("a charge names the datasets whose accounts it charges, each once")
        if not self.surcharges.keys() <= {a for a in named if kind_of(a) is Kind.ANALYST}:
            raise ValueError("only analysts' accounts that are charged bear a surcharge")
        if not self.fingerprint:
            raise ValueError("a charge has a fingerprint")
        if self.daily is not None and not self.tier:
            raise ValueError("a day's maximum is one of a tier")
        if self.steps is not None and self.steps < 1:
            raise ValueError("a job has at least one step")


class ChargeState(enum.Enum):
    """What became of a charge. Its loss stays spent in every state."""

    OPEN = "open"
    ANSWERED = "answered"
    FAILED = "failed"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class ChargeRow:
    """A charge as the ledger keeps it; what it took is on its receipts."""

    id: int
    fingerprint: str
    datasets: tuple[str, ...]
    state: ChargeState
    idempotency: IdempotencyKey | None


class ReceiptKind(enum.Enum):
    """What a receipt records."""

    OPENED = "opened"
    RENEWED = "renewed"
    TRANSFERRED = "transferred"
    SUSPENDED = "suspended"
    RESTRICTED = "restricted"
    LOCKED = "locked"
    RESUMED = "resumed"
    REGISTERED = "registered"
    CHARGE = "charge"
    ANSWER = "answer"
    FAILED = "failed"
    LOST = "lost"
    FINISHED = "finished"
    UNSUSPENDED = "unsuspended"


@dataclass(frozen=True, slots=True)
class Receipt:
    """One link of a chain.

    `dataset` names the chain, `seq` counts from 1 in it, `at` is in seconds since 1970 UTC, `body` is
    canonical JSON text of public facts, `previous` and `hash` are SHA-256 in hexadecimal.
    """

    dataset: str
    seq: int
    kind: ReceiptKind
    charge: int | None
    at: int
    body: str
    previous: str
    hash: str

    @property
    def id(self) -> str:
        """The receipt's name, unique in the ledger: `liver:17`."""
        return f"{self.dataset}:{self.seq}"

    def content(self) -> dict[str, object]:
        """Return the body as JSON values."""
        found = json.loads(self.body)
        if not isinstance(found, dict):
            raise ValueError(f"the body of receipt {self.id} is not an object")
        return found


@dataclass(frozen=True, slots=True)
class Charged:
    """A charge that is durable. `earlier` where the idempotency key had paid and been answered before:
    then nothing was taken now, and nothing may be computed again.
    """

    id: int
    receipts: tuple[Receipt, ...]
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an idempotency key was used for before."""

    charge: int
    state: ChargeState
    fingerprint: str
    cancelled: bool = False  # a job that was cancelled; its charge counts as lost


@dataclass(frozen=True, slots=True)
class Suspended:
    """A plan that failed after it was charged, closed until the custodian opens it again."""

    fingerprint: str
    charge: int
    reason: str
    datasets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """The one answer under a fingerprint: JSON text, its SHA-256, and the receipts that record it.

    `charge` is the one whose answer was stored; `receipts` has one a dataset.
    """

    fingerprint: str
    charge: int
    answer: str
    sha256: str
    receipts: tuple[Receipt, ...]

    @property
    def receipt(self) -> Receipt:
        """The receipt on the first dataset."""
        return self.receipts[0]


@dataclass(frozen=True, slots=True)
class DataVersion:
    """A registered snapshot. `digest` is keyed and stays with the custodian."""

    dataset: str
    version: int
    declaration: str
    digest: str


class Role(enum.Enum):
    """What a token's bearer may do."""

    CUSTODIAN = "custodian"
    ANALYST = "analyst"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token without its secret. `grants` lists datasets, or is "*" for all of them.

    `project` is the one whose accounts its bearer's questions are charged to.
    """

    id: str
    name: str
    role: Role
    grants: tuple[str, ...] | Literal["*"]
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    project: str = "default"


@dataclass(frozen=True, slots=True)
class Tally:
    """What one analyst's account was charged on one day for one tier, all periods alike.

    `day` counts days since 1970-01-01 UTC on the ledger's clock; `amount` is the sum of what counts against
    the day's maximum, in nano-units of ε. What a job gives back is taken off the day it was charged on.
    """

    account: str
    day: int
    tier: str
    charges: int
    spent: Loss
    surcharge: Loss
    amount: int


@dataclass(frozen=True, slots=True)
class Asked:
    """An earlier question of an asker, as prices of later ones see it."""

    charge: int
    fingerprint: str
    datasets: tuple[str, ...]
    conditions: str
    at: int


class JobState(enum.Enum):
    """Where a job stands. What it reserved and never drew returns when it ends, however it ends."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Job:
    """A release in steps: the loss it reserved, the loss its started steps drew, and how far it is.

    `accounts` are those that it was charged to, root first.
    """

    charge: int
    asker: str
    title: str
    datasets: tuple[str, ...]
    accounts: tuple[str, ...]
    state: JobState
    reserved: Loss
    drawn: Loss
    steps: int
    steps_drawn: int
    created: int
    changed: int


_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


def canonical(value: object) -> str:
    r"""Return the one JSON text of a value: keys sorted, no spaces, ASCII only, no NaN.

    >>> canonical({"b": 1, "a": "ε"})
    '{"a":"\\u03b5","b":1}'
    """
    return _ENCODE(value)


def charge_body(charge: Charge) -> tuple[str, str]:
    """Return the receipt body of a charge as canonical JSON, what is before and after its periods.

    The periods are those of its accounts, {account: number}, and known once they are held.
    """
    key, daily = charge.idempotency, charge.daily
    before = canonical(
        {
            "accounts": sorted(charge.accounts),
            "asker": charge.asker,
            "conditions": charge.conditions,
            "daily": None if daily is None else [daily.amount, daily.limit],
            "datasets": sorted(charge.datasets),
            "fingerprint": charge.fingerprint,
            "idempotency": None if key is None else [key.principal, key.key, key.request_hash],
        }
    )
    after = canonical(
        {
            "public": charge.body,
            "steps": charge.steps,
            "surcharges": {a: loss_as_json(s) for a, s in charge.surcharges.items()},
            "tier": charge.tier,
        }
    )
    return f'{before[:-1]},"loss":{_loss_text(charge.loss)},"periods":', f",{after[1:]}"


@lru_cache(maxsize=4096)
def _loss_text(loss: Loss) -> str:
    return canonical(loss_as_json(loss))


def loss_as_json(loss: Loss) -> dict[str, object]:
    """Return a loss as JSON values, in its integer units."""
    return {"renyi": list(loss.renyi), "delta": loss.delta}


def loss_of_json(content: Mapping[str, Any]) -> Loss:
    """Return the loss in such JSON values."""
    return Loss(tuple(content["renyi"]), content["delta"])


def title_of(body: Mapping[str, object]) -> str:
    """Return what a job is called, of the public facts on its receipt."""
    return str(body.get("title", ""))
