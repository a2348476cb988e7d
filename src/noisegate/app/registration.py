"""What a state directory holds of each dataset: accounts with their limits, and registered versions."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import floor
from pathlib import Path

import duckdb

from noisegate.app.ends import end_of
from noisegate.app.receipts import kept_in
from noisegate.app.state import DATA, alone, bind, digest_key, refuse_other_ledger
from noisegate.catalog.describe import describe_dataset
from noisegate.catalog.load import load
from noisegate.catalog.model import Budget, Catalog, Dataset
from noisegate.config import Config
from noisegate.engines.register import Snapshot, declaration, open_snapshot, register, store_name
from noisegate.engines.register import genotype_store as registered_store
from noisegate.errors import CatalogError, NotFound, SetupError
from noisegate.gate.door import PROJECT, project_account
from noisegate.ledger.accounts import Account, Balance, Kind, chain_of
from noisegate.ledger.records import ReceiptKind
from noisegate.ledger.store import Ledger
from noisegate.privacy.filter import Limits
from noisegate.privacy.loss import DELTA_UNIT, NANO


def open_accounts(ledger: Ledger, catalog: Catalog) -> None:
    """Open the accounts of populations, datasets and projects that are not, with their first period.

    Raises:
        CatalogError: the catalog gives an account other limits than it was opened with, or an open dataset
            another population.
    """
    _refuse_other_populations(ledger, catalog)
    for population, budget in catalog.populations.items():
        _open(ledger, population, budget)
    for dataset in catalog.datasets:
        _open(ledger, f"{dataset.population}/{dataset.name}", dataset.budget)
        _open(ledger, project_account(dataset.population, dataset.name, PROJECT), dataset.budget)


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
    """Open an account as the catalog declares it, or see that it was opened so.

    What custodians granted since then began further periods, of which the catalog says nothing.
    """
    wanted = limits_of(budget)
    held = ledger.find_account(path)
    if held is None:
        until = None if budget.every is None else end_of(budget.every, ledger.now())
        ledger.open_account(Account.at(path, wanted), until=until, by="catalog")
    elif not _are(_first_limits(ledger, held), wanted):
        raise CatalogError(
            f"the budget of {path} in the catalog is not the one its account was opened with",
            "limits stand once people rely on them: write the former budget back. A further share is a new "
            f"period: `noisegate budget renew {path}`",
        )


def _first_limits(ledger: Ledger, held: Balance) -> tuple[Fraction, Fraction]:
    """Return the ε and δ that an account was opened with."""
    if held.period.number == 1:
        return held.limits.epsilon, held.limits.delta
    after = 0
    while page := ledger.receipts(chain_of(held.id), after):
        for receipt in page:
            if receipt.kind is ReceiptKind.OPENED and (said := receipt.content())["account"] == held.id:
                return Fraction(str(said["epsilon"])), Fraction(str(said["delta"]))
        after = page[-1].seq
    raise CatalogError(f"the ledger has no receipt of the opening of {held.id}", "verify the receipts")


def _are(held: tuple[Fraction, Fraction], wanted: Limits) -> bool:
    """Whether the ledger's limits are the wanted ones, rounded down to its units."""
    epsilon, delta = floor(wanted.epsilon * NANO), floor(wanted.delta * DELTA_UNIT)
    return held == (Fraction(epsilon, NANO), Fraction(delta, DELTA_UNIT))


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
    """Verify a dataset's files, keep a snapshot of them, and record it as the next version. While `alone`.

    Raises:
        CatalogError: the files are not as declared.
        SetupError: the snapshot could not be written.
    """
    on_register(dataset.name, 0.0)
    version = (ledger.current_version(dataset.name) or 0) + 1
    # What has that number is of a registration that never reached the ledger: nothing was asked of it.
    _snapshot_file(dataset, config, version).unlink(missing_ok=True)
    for left in (config.state / DATA).glob(store_name(dataset.name, version, "*")):
        shutil.rmtree(left, ignore_errors=True)
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


def genotype_store(config: Config, dataset: str, version: int, table: str) -> Path:
    """Return the folder of a registered store of genotypes, after a look at whether it is the one.

    Raises:
        CatalogError: the version has no such store, or the store is not the one that was registered.
        SetupError: a library that reads genotypes is missing.
    """
    return registered_store(config.state / DATA, dataset, version, table).path


def register_next(config: Config, name: str, on_register: Callable[[str, float], None]) -> int:
    """Register a dataset as its next version and return the version.

    Gateways that run on the same ledger go on answering from the version they started with.

    Raises:
        NotFound: the catalog has no such dataset.
        CatalogError: the files are not as declared.
        StateLocked: a gateway is open on the state directory, and the ledger is in there.
        SetupError: the ledger is not the one the state directory was used with.
        LedgerUnavailable: the ledger was rolled back past a checkpoint.
    """
    catalog = load(config.catalog)
    dataset = catalog.dataset(name)
    if dataset is None:
        raise NotFound(
            f"there is no dataset {name!r} in {config.catalog}", "`noisegate catalog show` lists them"
        )
    with (
        opened_ledger(config) as ledger,
        kept_in(config.checkpoints, ledger, config.checkpoint_every),
        alone(config.state),
    ):
        open_accounts(ledger, catalog)
        return register_version(ledger, dataset, config, on_register).version


@contextmanager
def opened_ledger(config: Config) -> Iterator[Ledger]:
    """Open the ledger in which the budgets of the state directory stand, or are to stand from now on.

    Raises:
        SetupError: they stand in another one.
        StateLocked: another process holds the state directory, and the ledger is in there.
        LedgerUnavailable: the ledger cannot be written.
    """
    refuse_other_ledger(config.state, on_server=config.ledger is not None)
    known = (config.known_keys or "").split()
    with Ledger.open(config.state, url=config.ledger, known_keys=known) as ledger:
        with alone(config.state):
            bind(config.state, ledger.id)
        yield ledger


def _snapshot_file(dataset: Dataset, config: Config, version: int) -> Path:
    return config.state / DATA / f"{dataset.name}-{version}.duckdb"
