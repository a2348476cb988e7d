"""The check of a whole ledger from its rows alone: chains, sums, limits, and what became of each charge.

What the rows of accounts, charges, answers, versions and suspensions say is computed anew from the
receipts, and must agree with them. Tokens and the texts of idempotent requests are outside of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from noisegate.ledger import answers, balances, chain, versions
from noisegate.ledger.accounts import Balance, chain_of, limits_as_json, parent_of
from noisegate.ledger.receipts import Fault, linked, registration
from noisegate.ledger.records import (
    ChargeRow,
    ChargeState,
    DataVersion,
    IdempotencyKey,
    Receipt,
    ReceiptKind,
    canonical,
)
from noisegate.ledger.transaction import Transaction
from noisegate.privacy.filter import admits, capacity
from noisegate.privacy.loss import ZERO, Loss

_SETTLES = {
    ReceiptKind.ANSWER: ChargeState.ANSWERED,
    ReceiptKind.FAILED: ChargeState.FAILED,
    ReceiptKind.LOST: ChargeState.LOST,
}


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """A stored answer, its text hashed."""

    fingerprint: str
    charge: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Suspension:
    """A suspended fingerprint, and the failed charge that it was suspended for."""

    fingerprint: str
    charge: int
    reason: str


@dataclass(frozen=True, slots=True)
class Books:
    """All rows that the check reads: receipts in the order of their chains, heads by chain."""

    receipts: Iterable[Receipt]
    heads: Mapping[str, tuple[int, str]]
    balances: tuple[Balance, ...]
    charges: tuple[ChargeRow, ...]
    answers: tuple[AnswerRow, ...]
    versions: tuple[DataVersion, ...]
    suspensions: tuple[Suspension, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What the check saw. `fault` is the first thing found wrong, None where all agrees."""

    receipts: int
    charges: int
    fault: str | None

    @property
    def whole(self) -> bool:
        """Whether nothing was found wrong."""
        return self.fault is None


@dataclass(slots=True)
class _Told:
    """What the receipts tell, by account, by charge, by dataset."""

    count: int = 0
    opened: dict[str, str] = field(default_factory=dict)
    charges: dict[int, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    charged_in: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    settled: dict[int, dict[str, tuple[ReceiptKind, str]]] = field(default_factory=lambda: defaultdict(dict))
    answers: dict[str, AnswerRow] = field(default_factory=dict)
    registered: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    suspended: dict[str, Suspension] = field(default_factory=dict)


def verify(books: Books) -> Report:
    """Return whether all rows agree with the receipts, and the first fault where they do not."""
    told = _Told()
    try:
        for receipt in linked(books.receipts, books.heads):
            told.count += 1
            _hear(told, receipt)
        _check_accounts(told, books.balances)
        _check_charges(told, books.charges)
        _check_answers(told, books.answers)
        _check_versions(told, books.versions)
        if set(told.suspended.values()) != set(books.suspensions):
            raise Fault("the suspended plans are not those whose failure was recorded")
    except Fault as fault:
        return Report(told.count, len(told.charges), str(fault))
    except (ValueError, TypeError, KeyError) as error:
        # A row that cannot even be read as what it should be was not written by the ledger.
        return Report(told.count, len(told.charges), f"a row is not what the ledger writes: {error}")
    return Report(told.count, len(told.charges), None)


def verify_rows(transaction: Transaction) -> Report:
    """Check all rows, as the transaction's snapshot shows them."""
    rows = transaction.rows
    # Text that is not UTF-8 is a fault to report, not a failure of storage; it cannot be hashed again.
    transaction.connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
    try:
        books = Books(
            receipts=map(chain.receipt_of, transaction.each(chain.EVERY_RECEIPT)),
            heads={dataset: (seq, head) for dataset, seq, head in rows(chain.EVERY_HEAD)},
            balances=balances.read_all(transaction),
            charges=tuple(answers.charge_of(row) for row in rows(answers.EVERY_CHARGE)),
            answers=tuple(
                AnswerRow(fingerprint, charge, answers.sha256(text))
                for fingerprint, charge, text in transaction.each(answers.EVERY_ANSWER)
            ),
            versions=versions.read_all(transaction),
            suspensions=tuple(Suspension(*row) for row in rows(answers.EVERY_SUSPENSION)),
        )
        return verify(books)
    except (ValueError, TypeError) as error:
        return Report(0, 0, f"a row is not what the ledger writes: {error}")
    finally:
        transaction.connection.text_factory = str


def _hear(told: _Told, receipt: Receipt) -> None:
    """Take in one receipt of a chain that has been checked up to it."""
    if receipt.kind is ReceiptKind.OPENED:
        account = str(receipt.content()["account"])
        if account in told.opened or chain_of(account) != receipt.dataset or receipt.charge is not None:
            raise Fault(f"receipt {receipt.id} opens account {account!r} again, or in another chain")
        told.opened[account] = receipt.body
    elif receipt.kind is ReceiptKind.REGISTERED:
        told.registered[receipt.dataset].append(receipt.body)
    elif receipt.charge is None:
        raise Fault(f"receipt {receipt.id} names no charge")
    elif receipt.kind is ReceiptKind.CHARGE:
        body, _ = told.charges.setdefault(receipt.charge, (receipt.body, receipt.content()))
        if body != receipt.body or receipt.dataset in told.charged_in[receipt.charge]:
            raise Fault(f"receipt {receipt.id} tells of charge {receipt.charge} what another does not")
        told.charged_in[receipt.charge].add(receipt.dataset)
    else:
        _hear_outcome(told, receipt, receipt.charge)


def _hear_outcome(told: _Told, receipt: Receipt, charge: int) -> None:
    """Take in what became of a charge."""
    if receipt.dataset not in told.charged_in[charge]:
        raise Fault(f"receipt {receipt.id} settles charge {charge}, which was not made before it")
    content = told.charges[charge][1]
    fingerprint = content["fingerprint"]
    told_first = receipt.dataset == min(content["datasets"])
    if receipt.kind is ReceiptKind.UNSUSPENDED:
        if told_first and told.suspended.pop(fingerprint, None) is None:
            raise Fault(f"receipt {receipt.id} opens a plan that was not suspended")
        return
    if receipt.dataset in told.settled[charge]:
        raise Fault(f"receipt {receipt.id} settles charge {charge} a second time")
    told.settled[charge][receipt.dataset] = (receipt.kind, receipt.body)
    if receipt.kind is ReceiptKind.FAILED and told_first:
        reason = str(receipt.content()["reason"])
        told.suspended.setdefault(fingerprint, Suspension(fingerprint, charge, reason))
    if receipt.kind is ReceiptKind.ANSWER:
        said = receipt.content()
        answer = AnswerRow(fingerprint, int(str(said["answer_of"])), str(said["sha256"]))
        if told.answers.setdefault(fingerprint, answer) != answer:
            raise Fault(f"receipt {receipt.id} tells of another answer to the same question")


def _check_accounts(told: _Told, balances: tuple[Balance, ...]) -> None:
    """Compare accounts with their opening, their spending with the charges, and both with the limits."""
    if told.opened.keys() != {b.id for b in balances} or len(told.opened) != len(balances):
        raise Fault("the accounts are not those that were opened")
    spent: dict[str, Loss] = defaultdict(lambda: ZERO)
    surcharge: dict[str, Loss] = defaultdict(lambda: ZERO)
    count: dict[str, int] = defaultdict(int)
    for charge, (_, content) in told.charges.items():
        loss = _loss(content["loss"])
        named = set(content["accounts"])
        if len(named) != len(content["accounts"]) or not {parent_of(a) for a in named} <= named | {None}:
            raise Fault(f"charge {charge} leaves out an ancestor of an account it names")
        if not named <= told.opened.keys():
            raise Fault(f"charge {charge} names an account that was not opened")
        for account in named:
            spent[account] += loss
            count[account] += 1
        for account, more in content["surcharges"].items():
            surcharge[account] += _loss(more)
    for balance in balances:
        opening = {"account": balance.id, **limits_as_json(balance.limits, balance.capacity)}
        if canonical(opening) != told.opened[balance.id] or balance.capacity != capacity(balance.limits):
            raise Fault(f"account {balance.id!r} does not have the limits it was opened with")
        if balance.spent != spent[balance.id] or balance.charges != count[balance.id]:
            raise Fault(f"what account {balance.id!r} has spent is not the sum of its charges")
        if balance.surcharge != surcharge[balance.id]:
            raise Fault(f"the surcharge of account {balance.id!r} is not the sum of its charges'")
        if not admits(balance.capacity, balance.counted):
            raise Fault(f"account {balance.id!r} has spent more than its limits")


def _check_charges(told: _Told, charges: tuple[ChargeRow, ...]) -> None:
    """Compare charges, and what became of them, with their receipts on every dataset they name."""
    if told.charges.keys() != {c.id for c in charges} or len(told.charges) != len(charges):
        raise Fault("the charges are not those that were recorded")
    for row in charges:
        content = told.charges[row.id][1]
        key = content["idempotency"]
        if (
            row.fingerprint != content["fingerprint"]
            or list(row.datasets) != content["datasets"]
            or row.idempotency != (None if key is None else IdempotencyKey(*key))
        ):
            raise Fault(f"charge {row.id} is not as recorded")
        if told.charged_in[row.id] != set(row.datasets):
            raise Fault(f"charge {row.id} is not recorded on each of its datasets")
        outcomes = told.settled.get(row.id, {})
        expected = set() if row.state is ChargeState.OPEN else set(row.datasets)
        if outcomes.keys() != expected or any(
            _SETTLES[kind] is not row.state for kind, _ in outcomes.values()
        ):
            raise Fault(f"what became of charge {row.id} is not as recorded")


def _check_answers(told: _Told, answers: tuple[AnswerRow, ...]) -> None:
    """Compare stored answers with the hashes on the receipts."""
    stored = {a.fingerprint: a for a in answers}
    if stored.keys() != told.answers.keys() or len(stored) != len(answers):
        raise Fault("the stored answers are not those that were recorded")
    for fingerprint, answer in stored.items():
        if answer != told.answers[fingerprint]:
            raise Fault(f"the answer to charge {told.answers[fingerprint].charge} is not the one recorded")


def _check_versions(told: _Told, versions: tuple[DataVersion, ...]) -> None:
    """Compare registered versions, in order, with their receipts."""
    kept: dict[str, list[str]] = defaultdict(list)
    for version in sorted(versions, key=lambda v: (v.dataset, v.version)):
        kept[version.dataset].append(registration(version))
    if dict(kept) != dict(told.registered):
        raise Fault("the data versions are not those that were registered")


def _loss(content: dict[str, Any]) -> Loss:
    return Loss(tuple(content["renyi"]), content["delta"])
