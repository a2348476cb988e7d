"""Everything, built from the configuration by plain constructor calls, behind one object."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

from noisegate.app.gateway import Gateway
from noisegate.app.registration import (
    SPILL,
    clear_leftovers,
    limits_of,
    open_accounts,
    register_next,
    registered,
)
from noisegate.ask.desk import Desk
from noisegate.catalog.load import load
from noisegate.config import Config
from noisegate.engines.after import AfterEngine
from noisegate.engines.duckdb import DuckDB
from noisegate.gate.door import Gate
from noisegate.ledger.store import Ledger

__all__ = ["Gateway", "open_gateway", "register_next"]


@contextmanager
def open_gateway(
    config: Config, on_register: Callable[[str, float], None] = lambda _name, _share: None
) -> Iterator["Gateway"]:
    """Open the state directory and build a gateway on it, registering datasets that have no version yet.

    Args:
        config: all settings.
        on_register: told the dataset that is being registered and the share that is done.

    Raises:
        CatalogError: the catalog or the data it names is not as declared, or not as it was registered.
        StateLocked: another process holds the state directory.
        LedgerUnavailable: the ledger cannot be written.
    """
    catalog = load(config.catalog)
    with Ledger.open(config.state) as ledger:
        clear_leftovers(config.state)
        open_accounts(ledger, catalog)
        snapshots = {d.name: registered(ledger, d, config, on_register) for d in catalog.datasets}
        limits = {d.name: limits_of(d.budget) for d in catalog.datasets}
        engine = DuckDB(
            snapshots,
            memory_limit=config.memory_limit,
            spill=config.state / SPILL,
            threads=config.threads,
            timeout_s=config.query_timeout,
        )
        with closing(engine):
            desk = Desk(
                catalog=catalog,
                versions={name: s.version for name, s in snapshots.items()},
                limits=limits,
                engine=engine,
                runner=AfterEngine(),
                gate=Gate(ledger, limits),
                ledger=ledger,
            )
            yield Gateway(desk)
