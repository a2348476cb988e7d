"""Privacy statements: of a dataset as the ledger and the catalog have it now, of a release by its receipt."""

import json
from typing import Any

from noisegate.app.budgets import dataset_of
from noisegate.ask.desk import Desk
from noisegate.errors import InternalError, NotFound
from noisegate.gate.access import RIGHTS, Asker, Right, require
from noisegate.gate.statement.dataset import dataset_statement
from noisegate.gate.statement.release import release_statement
from noisegate.gate.statement.shape import Statement
from noisegate.ledger.accounts import Balance
from noisegate.ledger.records import Receipt, ReceiptKind
from noisegate.ledger.store import Ledger

OUTCOMES = (ReceiptKind.ANSWER, ReceiptKind.FAILED, ReceiptKind.LOST, ReceiptKind.FINISHED)


def of_dataset(desk: Desk, asker: Asker, name: str) -> Statement:
    """Return the statement of a dataset; what was spent on it is for custodians and auditors alone.

    Raises:
        Forbidden: the asker may not see datasets.
        NotFound: there is no such dataset, or none the asker may know of.
    """
    require(asker, Right.SEE_DATASETS)
    dataset = dataset_of(desk, asker, name)
    root, own = dataset.population, f"{dataset.population}/{dataset.name}"
    accounts = (_account(desk.ledger, root), _account(desk.ledger, own))
    spent_on: frozenset[str] = frozenset()
    if Right.SEE_ALL_BUDGETS in RIGHTS[asker.role]:
        # What was spent on a population tells of datasets that a grant on one of them does not cover.
        spent_on = frozenset({root, own} if asker.datasets is None else {own})
    version = desk.versions[dataset.name]
    return dataset_statement(dataset, version, desk.catalog, accounts, desk.ledger.now(), spent_on)


def of_release(desk: Desk, asker: Asker, receipt_id: str) -> Statement:
    """Return the statement of the release that a receipt records: for its asker, custodians and auditors.

    Raises:
        Forbidden: the asker could neither ask nor see receipts.
        NotFound: no receipt of that id records a release, or none the asker may know of.
    """
    if not {Right.ASK, Right.SEE_RECEIPTS} & RIGHTS[asker.role]:
        require(asker, Right.SEE_RECEIPTS)
    found = desk.ledger.receipt(receipt_id)
    charged = None if found is None else _charge(desk.ledger, found)
    if charged is None or not _may_see(asker, charged):
        raise NotFound(
            f"no receipt {receipt_id!r} of a release is here",
            "an answer names its receipt; its statement is for whoever asked, custodians and auditors",
        )
    body: dict[str, Any] = charged.content()
    versions = body["public"]["versions"]
    declared = [_declared(desk, name, versions[name]) for name in body["datasets"]]
    return release_statement(charged, declared, desk.ledger.now(), _outcome(desk.ledger, charged))


def _account(ledger: Ledger, account: str) -> Balance:
    balance = ledger.find_account(account)
    if balance is None:
        raise InternalError(f"account {account} is not open")
    return balance


def _charge(ledger: Ledger, receipt: Receipt) -> Receipt | None:
    """Return the receipt of the charge that a receipt belongs to, on the same chain; None if to none."""
    if receipt.charge is None:
        return None
    of_charge = ledger.receipts_of(receipt.charge, ReceiptKind.CHARGE)
    return next((r for r in of_charge if r.dataset == receipt.dataset), None)


def _may_see(asker: Asker, charged: Receipt) -> bool:
    body: dict[str, Any] = charged.content()
    if not all(asker.may_see(name) for name in body["datasets"]):
        return False
    if Right.SEE_RECEIPTS in RIGHTS[asker.role]:
        return True
    # By the accounts that paid: a name alone can be given to another, in another project.
    paid = {account.split("/", 2)[2] for account in body["accounts"] if account.count("/") == 3}
    said = body["public"]
    return paid == {f"{asker.project}/{asker.name}"} and said["role"] == asker.role.value


def _declared(desk: Desk, name: str, version: int) -> dict[str, Any]:
    """Return what was declared of a version of a dataset when it was registered."""
    registered = desk.ledger.find_version(name, version)
    if registered is None:
        raise InternalError(f"version {version} of {name} is not in the ledger")
    declared: dict[str, Any] = json.loads(registered.declaration)
    return declared


def _outcome(ledger: Ledger, charged: Receipt) -> Receipt | None:
    """Return what became of a charge, on the same chain."""
    assert charged.charge is not None  # noqa: S101 -- receipts of a charge name it
    for kind in OUTCOMES:
        for receipt in ledger.receipts_of(charged.charge, kind):
            if receipt.dataset == charged.dataset:
                return receipt
    return None
