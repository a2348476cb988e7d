"""What a plan says of stored tables, held against what registration verified of them.

TRUSTED. A `Scan` claims that a table is private (its unit and population), that a person has one row, that
a column is constant within a person. Whoever builds plans may err; this check is what lets `sql/` be
untrusted. PROOFS.md, "Registration".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from noisegate.engines.snapshot import Snapshot
from noisegate.errors import InternalError
from noisegate.privacy.relations import Relation, Scan, scans


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What registration verified of a table. `columns` holds the type of each stored column by name."""

    unit: str | None
    population: str | None
    single: bool
    columns: Mapping[str, str]
    constant: frozenset[str]


def facts_of(snapshot: Snapshot) -> dict[str, TableFacts]:
    """Return what was verified of each table of a snapshot, by name."""
    declared = json.loads(snapshot.declared)
    return {
        table["name"]: TableFacts(
            unit=table["unit"],
            population=None if table["unit"] is None else declared["population"],
            single=table["one_row_a_unit"],
            columns={c["name"]: c["type"] for c in table["columns"]},
            constant=frozenset(c["name"] for c in table["columns"] if c["per_unit"]),
        )
        for table in declared["tables"]
    }


def check_scans(source: Relation, facts: Mapping[str, Mapping[str, TableFacts]]) -> None:
    """Raise InternalError unless every scan of a plan's source says of its table what was verified.

    Args:
        source: what the plan reads.
        facts: by dataset and table.
    """
    for scan in scans(source):
        table = facts.get(scan.dataset, {}).get(scan.table)
        if table is None or not agrees(scan, table):
            raise InternalError(
                f"the plan reads {scan.dataset}.{scan.table} otherwise than it was registered",
                "this is a fault of the gateway; nothing was read",
            )


def agrees(scan: Scan, table: TableFacts) -> bool:
    """Return whether all that a scan claims of a table was verified."""
    if scan.population != table.population or (scan.unit is None) != (table.unit is None):
        return False
    if scan.single and not table.single:
        return False
    for read in scan.columns:
        if table.columns.get(read.source) != read.type.value:
            return False
        if read.name == scan.unit and read.source != table.unit:
            return False
        if read.constant and not (table.single or read.source in table.constant):
            return False
    return True
