"""The check of a whole ledger from its rows alone: chains, sums, limits, and what became of each charge.

What the rows of accounts, tallies, charges, jobs, answers, versions and suspensions say is computed anew
from the receipts, and must agree with them. Tokens, the texts of idempotent requests, the numbers of
gateways, and how far a job that still runs has drawn are outside of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import select

from noisegate.errors import InternalError
from noisegate.ledger import answers, balances, chain, jobs, schema, tallies, versions
from noisegate.ledger.balances import Held
from noisegate.ledger.receipts import Fault, linked, registration
from noisegate.ledger.records import (
    ChargeRow,
    ChargeState,
    DataVersion,
    Job,
    JobState,
    Receipt,
    ReceiptKind,
    Tally,
    canonical,
    loss_as_json,
)
from noisegate.ledger.sums import Sums
from noisegate.ledger.told import OF_ACCOUNTS, Line, Told
from noisegate.ledger.transaction import Row, Transaction
from noisegate.privacy.filter import admits
from noisegate.privacy.loss import INFINITE, Loss

_SETTLES = {
    ReceiptKind.ANSWER: ChargeState.ANSWERED,
    ReceiptKind.FAILED: ChargeState.FAILED,
    ReceiptKind.LOST: ChargeState.LOST,
}
_ENDS = {
    JobState.FINISHED: ChargeState.ANSWERED,
    JobState.FAILED: ChargeState.FAILED,
    JobState.CANCELLED: ChargeState.LOST,
}
# What reading a row raises that the ledger never wrote. Of its storage's own errors none is among them.
_UNREADABLE = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError),
    InternalError,
)
_CREATED = select(schema.ledger.c.created)
_PERIODS = select(schema.job.c.charge, schema.job.c.periods)


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
class Facts:
    """A charge as its row tells it."""

    row: ChargeRow
    population: str
    asker: str
    tier: str
    conditions: str
    at: int


@dataclass(frozen=True, slots=True)
class Books:
    """All rows that the check reads: receipts in the order of their chains, heads by chain.

    `created` is the ledger's: entries up to then may be those of the first schema. `known` are the public
    keys that its entries may be signed with. `periods` are jobs' by charge, canonical JSON.
    """

    created: int
    known: frozenset[str]
    receipts: Iterable[Receipt]
    heads: Mapping[str, tuple[int, str, int]]
    accounts: tuple[Held, ...]
    tallies: tuple[Tally, ...]
    charges: tuple[Facts, ...]
    jobs: tuple[Job, ...]
    periods: Mapping[int, str]
    answers: tuple[AnswerRow, ...]
    versions: tuple[DataVersion, ...]
    suspensions: tuple[Suspension, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What the check saw. `fault` is the first thing found wrong, None where all agrees.

    `keys` are the public keys that entries are signed with, all of them known ones.
    """

    receipts: int
    charges: int
    fault: str | None
    keys: frozenset[str] = frozenset()

    @property
    def whole(self) -> bool:
        """Whether nothing was found wrong."""
        return self.fault is None


@dataclass(slots=True)
class _Outcomes:
    """What the receipts tell of the ends of charges, of answers, versions and suspensions."""

    settled: dict[int, dict[str, tuple[ReceiptKind, str]]] = field(default_factory=lambda: defaultdict(dict))
    answers: dict[str, AnswerRow] = field(default_factory=dict)
    registered: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    suspended: dict[str, Suspension] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    count: int = 0


def verify(books: Books) -> Report:
    """Check a ledger's rows against its receipts.

    Claim: no fault means that the rows of accounts, tallies, charges, jobs, answers, versions and
    suspensions are what the receipts tell, that no account lost more in a period than that period's
    limits, and that the receipts are those that led to the heads.
    Needs: someone who kept a head, or trusts the table of heads (see `receipts.py`).
    Argued in PROOFS.md, "Chain".
    """
    told, ends = Told(books.created, books.known), _Outcomes()
    fault: str | None = None
    try:
        heads = {dataset: (seq, head) for dataset, (seq, head, _) in books.heads.items()}
        for receipt in linked(books.receipts, heads):
            ends.count += 1
            _hear(told, ends, receipt)
        if ends.last != {dataset: at for dataset, (_, _, at) in books.heads.items()}:
            raise Fault("a chain's head is not of the time of its last receipt")
        told.close()
        _check_accounts(told, books.accounts)
        _check_tallies(told, books.tallies)
        _check_charges(told, ends, books.charges)
        _check_jobs(told, books)
        _check_answers(ends, books.answers)
        _check_versions(ends, books.versions)
        if set(ends.suspended.values()) != set(books.suspensions):
            raise Fault("the suspended plans are not those whose failure was recorded")
    except Fault as found:
        fault = str(found)
    except _UNREADABLE as error:
        # A row that cannot even be read as what it should be was not written by the ledger.
        fault = _not_written(error)
    return Report(ends.count, len(told.charges), fault, frozenset(told.keys))


def verify_rows(transaction: Transaction, known: frozenset[str]) -> Report:
    """Check all rows, as the transaction's snapshot shows them; `known` keys may have signed entries."""
    rows = transaction.rows
    try:
        ((created,),) = rows(_CREATED)
        books = Books(
            created=created,
            known=known,
            receipts=map(chain.receipt_of, transaction.each(chain.EVERY_RECEIPT)),
            heads={dataset: (seq, head, at) for dataset, seq, head, at in rows(chain.EVERY_HEAD)},
            accounts=tuple(balances.every(transaction)),
            tallies=tuple(map(tallies.tally_of, transaction.each(tallies.EVERY_TALLY))),
            charges=tuple(map(_facts, transaction.each(answers.EVERY_CHARGE))),
            jobs=jobs.find_all(transaction, None),
            periods=dict(rows(_PERIODS)),
            answers=tuple(
                AnswerRow(fingerprint, charge, answers.sha256(text))
                for fingerprint, charge, text in transaction.each(answers.EVERY_ANSWER)
            ),
            versions=versions.read_all(transaction),
            suspensions=tuple(Suspension(*row) for row in rows(answers.EVERY_SUSPENSION)),
        )
        return verify(books)
    except _UNREADABLE as error:
        return Report(0, 0, _not_written(error))


def _not_written(error: Exception) -> str:
    return f"a row is not what the ledger writes: {type(error).__name__}: {str(error)[:200]}"


def _facts(row: Row) -> Facts:
    *charge, population, asker, tier, conditions, at = row
    return Facts(answers.charge_of(tuple(charge)), population, asker, tier, conditions, at)


def _hear(told: Told, ends: _Outcomes, receipt: Receipt) -> None:
    """Take in one receipt of a chain that has been checked up to it."""
    before = ends.last.get(receipt.dataset, receipt.at)
    if receipt.at < before and not told.is_legacy(receipt):
        raise Fault(f"receipt {receipt.id} is older than the one before it")
    if canonical(receipt.content()) != receipt.body:
        raise Fault(f"the body of receipt {receipt.id} is not in canonical form")
    ends.last[receipt.dataset] = receipt.at
    if receipt.kind in OF_ACCOUNTS:
        told.hear_account(receipt)
    elif receipt.kind is ReceiptKind.REGISTERED:
        ends.registered[receipt.dataset].append(receipt.body)
    elif receipt.charge is None:
        raise Fault(f"receipt {receipt.id} names no charge")
    elif receipt.kind is ReceiptKind.CHARGE:
        told.hear_charge(receipt, receipt.charge)
    elif receipt.dataset not in told.charged_in[receipt.charge]:
        raise Fault(f"receipt {receipt.id} settles charge {receipt.charge}, which was not made before it")
    elif receipt.kind is ReceiptKind.FINISHED:
        told.hear_finished(receipt, receipt.charge)
    else:
        _hear_outcome(told, ends, receipt, receipt.charge)


def _hear_outcome(told: Told, ends: _Outcomes, receipt: Receipt, charge: int) -> None:
    """Take in what became of a charge."""
    fingerprint = told.charges[charge].fingerprint
    told_first = receipt.dataset == min(told.charges[charge].datasets)
    if receipt.kind is ReceiptKind.UNSUSPENDED:
        if told_first and ends.suspended.pop(fingerprint, None) is None:
            raise Fault(f"receipt {receipt.id} opens a plan that was not suspended")
        return
    if receipt.dataset in ends.settled[charge]:
        raise Fault(f"receipt {receipt.id} settles charge {charge} a second time")
    ends.settled[charge][receipt.dataset] = (receipt.kind, receipt.body)
    if receipt.kind is ReceiptKind.FAILED and told_first:
        reason = str(receipt.content()["reason"])
        ends.suspended.setdefault(fingerprint, Suspension(fingerprint, charge, reason))
    if receipt.kind is ReceiptKind.ANSWER:
        said = receipt.content()
        answer = AnswerRow(fingerprint, int(str(said["answer_of"])), str(said["sha256"]))
        if ends.answers.setdefault(fingerprint, answer) != answer:
            raise Fault(f"receipt {receipt.id} tells of another answer to the same question")


def _check_accounts(told: Told, accounts: tuple[Held, ...]) -> None:
    """Compare accounts with what was told of them, and what each period lost with its limits."""
    if told.lines.keys() != {h.balance.id for h in accounts} or len(told.lines) != len(accounts):
        raise Fault("the accounts are not those that were opened")
    for account, number in told.sums:
        if account not in told.lines or not 1 <= number <= len(told.lines[account].shares):
            raise Fault(f"a charge names account {account!r} in a period that was not opened")
    if any(
        told.moves[giver, taker, moved, at, 1] != told.moves[giver, taker, moved, at, -1]
        for giver, taker, moved, at, _ in tuple(told.moves)
    ):
        raise Fault("budget was moved from an account and not to another, or the other way round")
    for held in accounts:
        _check_account(held, told.lines[held.balance.id], told)


def _check_account(held: Held, line: Line, told: Told) -> None:
    balance, share = held.balance, line.shares[-1]
    name, periods = balance.id, [told.sums[balance.id, i + 1] for i in range(len(line.shares))]
    if (balance.limits, balance.capacity, balance.period) != (share.limits, share.capacity, share.period):
        raise Fault(f"account {name!r} does not have the limits and the period it was last given")
    if (balance.lifetime.epsilon, balance.lifetime.delta) != (line.epsilon, line.delta):
        raise Fault(f"the lifetime of account {name!r} is not the sum of its periods")
    if (balance.state, balance.reason, balance.strikes) != (line.state, line.reason, line.strikes):
        raise Fault(f"account {name!r} is {balance.state.value}, which is not what was recorded")
    now, before = periods[-1], periods[:-1]
    if not _is_sum(balance.spent, [now]) or balance.charges != now.charges:
        raise Fault(f"what account {name!r} has spent is not the sum of its charges")
    if not _is_sum(held.former, before) or balance.lifetime.charges != sum(p.charges for p in periods):
        raise Fault(f"what account {name!r} spent in former periods is not the sum of its charges")
    if balance.surcharge != now.extra():
        raise Fault(f"the surcharge of account {name!r} is not the sum of its charges'")
    if held.version != line.changes + sum(p.charges + p.returns for p in periods):
        raise Fault(f"account {name!r} was changed more or less often than was recorded")
    in_order, following = balance.account.parent is not None, [*line.shares[1:], None]
    for one, sums, after in zip(line.shares, periods, following, strict=True):
        if not admits(one.capacity, sums.counted(in_order=in_order)):
            raise Fault(f"account {name!r} has spent more than its limits in period {one.period.number}")
        ends = one.period.until
        over = (ends is not None and sums.last >= ends) or (after and sums.last > after.period.since)
        if sums.charges and (sums.first < one.period.since or over):
            raise Fault(f"account {name!r} was charged outside of period {one.period.number}")


def _is_sum(row: Loss, parts: list[Sums]) -> bool:
    """Whether a row's loss is the sum of charges less what came back.

    A sum that once left 64 bits has no bound for good, although it would fit again without what came back.
    """
    for i, entry in enumerate((*row.renyi, row.delta)):
        taken, back = sum(p.taken[i] for p in parts), sum(p.back[i] for p in parts)
        exact = min(taken - back, INFINITE)
        if entry != exact and not (entry == INFINITE and taken >= INFINITE):
            return False
    return True


def _check_tallies(told: Told, rows: tuple[Tally, ...]) -> None:
    """Compare the tallies with the charges."""
    if told.tallies.keys() != {(t.account, t.day, t.tier) for t in rows} or len(told.tallies) != len(rows):
        raise Fault("the tallies are not of the days, accounts and tiers that were charged")
    for row in rows:
        sums = told.tallies[row.account, row.day, row.tier]
        same = (sums.extra(), sums.charges, sums.amount) == (row.surcharge, row.charges, row.amount)
        if not same or not _is_sum(row.spent, [sums]):
            raise Fault(
                f"the tally of account {row.account!r} on day {row.day} is not the sum of its charges"
            )


def _check_charges(told: Told, ends: _Outcomes, charges: tuple[Facts, ...]) -> None:
    """Compare charges, and what became of them, with their receipts on every dataset they name."""
    if told.charges.keys() != {c.row.id for c in charges} or len(told.charges) != len(charges):
        raise Fault("the charges are not those that were recorded")
    for facts in charges:
        row, said = facts.row, told.charges[facts.row.id]
        if (row.fingerprint, row.datasets, row.idempotency) != (
            said.fingerprint,
            said.datasets,
            said.idempotency,
        ) or (facts.population, facts.asker, facts.tier, facts.conditions, facts.at) != (
            said.population,
            said.asker,
            said.tier,
            said.conditions,
            said.at,
        ):
            raise Fault(f"charge {row.id} is not as recorded")
        if told.charged_in[row.id] != set(row.datasets):
            raise Fault(f"charge {row.id} is not recorded on each of its datasets")
        outcomes = ends.settled.get(row.id, {})
        expected = set() if row.state is ChargeState.OPEN else set(row.datasets)
        if outcomes.keys() != expected or any(
            _SETTLES[kind] is not row.state for kind, _ in outcomes.values()
        ):
            raise Fault(f"what became of charge {row.id} is not as recorded")


def _check_jobs(told: Told, books: Books) -> None:
    """Compare jobs with their charges, and those that have ended with what their ends tell."""
    wanted = {charge for charge, said in told.charges.items() if said.steps is not None}
    if wanted != {job.charge for job in books.jobs} or len(wanted) != len(books.jobs):
        raise Fault("the jobs are not those that were charged")
    states = {facts.row.id: facts.row.state for facts in books.charges}
    for job in books.jobs:
        said, end = told.charges[job.charge], told.finished.get(job.charge)
        charged = (said.asker, said.title, said.datasets, said.loss, said.steps, said.at)
        if charged != (job.asker, job.title, job.datasets, job.reserved, job.steps, job.created) or (
            books.periods[job.charge] != canonical(said.periods)
        ):
            raise Fault(f"job {job.charge} is not as it was charged")
        if end is None:
            if job.state is not JobState.RUNNING:
                raise Fault(f"job {job.charge} has ended, which was not recorded")
            if job.changed < job.created or not 0 <= job.steps_drawn <= job.steps:
                raise Fault(f"job {job.charge} has drawn what it does not have")
            continue
        if states[job.charge] is not _ENDS.get(job.state):
            raise Fault(f"job {job.charge} has ended otherwise than its charge")
        content = end.content()
        if told.finished_in[job.charge] != set(job.datasets) or (
            content["state"],
            content["steps_drawn"],
            content["drawn"],
            end.at,
        ) != (job.state.value, job.steps_drawn, loss_as_json(job.drawn), job.changed):
            raise Fault(f"the end of job {job.charge} is not as recorded")


def _check_answers(ends: _Outcomes, answers: tuple[AnswerRow, ...]) -> None:
    """Compare stored answers with the hashes on the receipts."""
    stored = {a.fingerprint: a for a in answers}
    if stored.keys() != ends.answers.keys() or len(stored) != len(answers):
        raise Fault("the stored answers are not those that were recorded")
    for fingerprint, answer in stored.items():
        if answer != ends.answers[fingerprint]:
            raise Fault(f"the answer to charge {ends.answers[fingerprint].charge} is not the one recorded")


def _check_versions(ends: _Outcomes, versions: tuple[DataVersion, ...]) -> None:
    """Compare registered versions, in order, with their receipts."""
    kept: dict[str, list[str]] = defaultdict(list)
    for version in sorted(versions, key=lambda v: (v.dataset, v.version)):
        kept[version.dataset].append(registration(version))
    if dict(kept) != dict(ends.registered):
        raise Fault("the data versions are not those that were registered")
