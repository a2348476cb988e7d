"""What a state directory holds of each dataset: accounts with their limits, and registered versions."""

import json
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb

from noisegate.catalog.describe import describe_dataset
from noisegate.catalog.load import load
from noisegate.catalog.model import Budget, Catalog, Dataset
from noisegate.config import Config
from noisegate.engines.register import Snapshot, declaration, open_snapshot, register
from noisegate.errors import CatalogError, Conflict, NotFound, SetupError
from noisegate.gate.door import PROJECT
from noisegate.ledger.accounts import Account, Kind
from noisegate.ledger.store import Ledger
from noisegate.privacy.filter import Limits

DATA = "data"
SPILL = "spill"
KEY = "digest.key"


def clear_leftovers(state: Path) -> None:
    """Remove what a killed process left of private rows: half-made snapshots, and the engine's spill.

    Only under the lock on the state directory, which an open ledger holds.
    """
    for left in (*(state / DATA).glob(".registering-*"), state / SPILL):
        shutil.rmtree(left, ignore_errors=True)


def open_accounts(ledger: Ledger, catalog: Catalog) -> None:
    """Open the accounts of populations, datasets and projects. Their limits stand from then on.

    Raises:
        CatalogError: the catalog gives an open account other limits, or an open dataset another population.
    """
    _refuse_other_populations(ledger, catalog)
    for population, budget in catalog.populations.items():
        _open(ledger, population, budget)
    for dataset in catalog.datasets:
        top = f"{dataset.population}/{dataset.name}"
        _open(ledger, top, dataset.budget)
        _open(ledger, f"{top}/{PROJECT}", dataset.budget)


def _refuse_other_populations(ledger: Ledger, catalog: Catalog) -> None:
    """Refuse a dataset with accounts under another population: under the new one it would start unspent."""
    for balance in ledger.accounts():
        if balance.account.kind is Kind.DATASET:
            former, _, name = balance.id.partition("/")
            dataset = catalog.dataset(name)
            if dataset is not None and dataset.population != former:
                raise CatalogError(
                    f"the catalog puts {name} in population {dataset.population!r}, but what was spent on it "
                    f"stands in the accounts of population {former!r}",
                    f"write population = {former!r} back: what was asked about these people stays spent",
                )


def _open(ledger: Ledger, path: str, budget: Budget) -> None:
    try:
        ledger.open_account(Account.at(path, limits_of(budget)))
    except Conflict:
        raise CatalogError(
            f"the budget of {path} in the catalog is not the one its account was opened with",
            "limits stand once people rely on them: write the former budget back",
        ) from None


def limits_of(budget: Budget) -> Limits:
    """Return a declared budget as an account's limits."""
    return Limits.of(budget.epsilon, budget.delta)


def registered(
    ledger: Ledger, dataset: Dataset, config: Config, on_register: Callable[[str, float], None]
) -> Snapshot:
    """Return the last registered version of a dataset, or register its first.

    Raises:
        CatalogError: what is declared of its rows is no longer what was verified.
    """
    version = ledger.current_version(dataset.name)
    if version is None:
        return register_version(ledger, dataset, config, on_register)
    snapshot = open_snapshot(_snapshot_file(dataset, config, version))
    if (snapshot.dataset, snapshot.version) != (dataset.name, version):
        raise CatalogError(
            f"{snapshot.path.name} does not hold version {version} of {dataset.name}",
            "put the registered file back, or register the dataset again",
        )
    if snapshot.declaration != declaration(dataset):
        raise CatalogError(
            f"what the catalog declares of the rows of {dataset.name} is not what version {version} was "
            "verified against",
            f"run `noisegate catalog register {dataset.name}`, or undo the change",
        )
    return snapshot


def register_version(
    ledger: Ledger, dataset: Dataset, config: Config, on_register: Callable[[str, float], None]
) -> Snapshot:
    """Verify a dataset's files, keep a snapshot of them, and record it as the next version.

    Raises:
        CatalogError: the files are not as declared.
        SetupError: the snapshot could not be written.
    """
    on_register(dataset.name, 0.0)
    version = (ledger.current_version(dataset.name) or 0) + 1
    # A file of that number is of a registration that never reached the ledger: nothing was asked of it.
    _snapshot_file(dataset, config, version).unlink(missing_ok=True)
    try:
        snapshot = register(
            dataset,
            config.catalog.parent,
            config.state / DATA,
            version,
            lambda _, share: on_register(dataset.name, share),
            key=digest_key(config.state),
        )
    except (duckdb.Error, OSError) as error:
        raise SetupError(
            f"the snapshot of {dataset.name} could not be made: {type(error).__name__}",
            "see that the state directory can be written, has space, and that memory_limit suffices",
        ) from None
    declared = json.dumps(describe_dataset(dataset), sort_keys=True, separators=(",", ":"))
    recorded = ledger.register_version(dataset.name, declared, snapshot.digest)
    if recorded != version:
        raise CatalogError(f"{dataset.name} was registered twice at once", "register it again")
    return snapshot


def register_next(config: Config, name: str, on_register: Callable[[str, float], None]) -> int:
    """Register a dataset as its next version, with the gateway shut, and return the version.

    Raises:
        NotFound: the catalog has no such dataset.
        CatalogError: the files are not as declared.
        StateLocked: a gateway is open on the state directory.
    """
    catalog = load(config.catalog)
    dataset = catalog.dataset(name)
    if dataset is None:
        raise NotFound(
            f"there is no dataset {name!r} in {config.catalog}", "`noisegate catalog show` lists them"
        )
    with Ledger.open(config.state) as ledger:
        open_accounts(ledger, catalog)
        return register_version(ledger, dataset, config, on_register).version


def digest_key(state: Path) -> bytes:
    """Return the secret key of source digests, made when it is first needed."""
    path = state / KEY
    if not path.exists():
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(secrets.token_bytes(32))
    return path.read_bytes()


def _snapshot_file(dataset: Dataset, config: Config, version: int) -> Path:
    return config.state / DATA / f"{dataset.name}-{version}.duckdb"
