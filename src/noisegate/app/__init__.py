"""Everything, built from the configuration by plain constructor calls, behind one object."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager

from noisegate.app.gateway import Gateway
from noisegate.app.genomes import Genomes
from noisegate.app.receipts import kept_in
from noisegate.app.registration import limits_of, open_accounts, opened_ledger, register_next, registered
from noisegate.app.state import Room, alone, clear_leftovers
from noisegate.ask.desk import Desk
from noisegate.catalog.load import load
from noisegate.config import Config
from noisegate.engines.after import AfterEngine
from noisegate.engines.duckdb import DuckDB
from noisegate.engines.register import Snapshot
from noisegate.gate.door import Gate

__all__ = ["Gateway", "open_gateway", "register_next"]


@contextmanager
def open_gateway(
    config: Config, on_register: Callable[[str, float], None] = lambda _name, _share: None
) -> Iterator["Gateway"]:
    """Open the state directory and build a gateway on it, registering datasets that have no version yet.

    Gateways that share a ledger on a server may share the directory too; the first of them registers.

    Args:
        config: all settings.
        on_register: told the dataset that is being registered and the share that is done.

    Raises:
        CatalogError: the catalog or the data it names is not as declared, or not as it was registered.
        StateLocked: another process holds the state directory.
        SetupError: the state directory belongs to another ledger.
        LedgerUnavailable: the ledger cannot be written, or was rolled back past a checkpoint.
    """
    catalog = load(config.catalog)
    with (
        opened_ledger(config) as ledger,
        kept_in(config.checkpoints, ledger, config.checkpoint_every) as keeper,
    ):
        with alone(config.state):
            clear_leftovers(config.state)
            open_accounts(ledger, catalog)
            snapshots = {d.name: registered(ledger, d, config, on_register) for d in catalog.datasets}
            room = Room(config.state)
        limits = {d.name: limits_of(d.budget) for d in catalog.datasets}
        with closing(room), closing(_engine(config, snapshots, room)) as engine:
            desk = Desk(
                catalog=catalog,
                versions={name: s.version for name, s in snapshots.items()},
                limits=limits,
                engine=engine,
                runner=AfterEngine(),
                gate=Gate(ledger, limits, catalog.policy.specificity.lock_after),
                ledger=ledger,
            )
            genomes = Genomes(desk, config)
            try:
                yield Gateway(desk, genomes, keeper)
            finally:
                genomes.stop_making()


def _engine(config: Config, snapshots: Mapping[str, Snapshot], room: Room) -> DuckDB:
    return DuckDB(
        snapshots,
        memory_limit=config.memory_limit,
        spill=room.path,
        threads=config.threads,
        timeout_s=config.query_timeout,
    )
