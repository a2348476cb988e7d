"""How much work a plan may be, from declared maxima alone; and when its answer leaves.

What a question makes the engine do depends on rows, and so does the time that takes. Two public figures keep
that small: plans whose joins could blow one person's rows up are refused before anyone is charged, and a
fresh answer leaves no sooner than a slot that its declared work earns it.
"""

from dataclasses import dataclass

from noisegate.ask.price import table_of
from noisegate.catalog.model import Catalog
from noisegate.errors import TooLarge
from noisegate.privacy.after import Plan
from noisegate.privacy.relations import scans

# Rows that one person may be turned into by joins: a fraction of a second of work.
MOST_ROWS_A_PERSON = 2_000_000
MOST_ROWS = 2_000_000_000
ROWS_A_SLOT = 2_000_000
SLOT_MS = 40


@dataclass(frozen=True, slots=True)
class Work:
    """Bounds on intermediate rows: of one person, and of everybody at the declared contributions."""

    a_person: int
    everybody: int

    @property
    def slot_ms(self) -> int:
        """Milliseconds before which a fresh answer does not leave."""
        return SLOT_MS * (1 + (self.everybody + self.a_person) // ROWS_A_SLOT)


def work_of(plan: Plan, catalog: Catalog) -> Work:
    """Bound the work of a plan: every join may match everything.

    Raises:
        TooLarge: it may be more than the engine should be asked for.
    """
    a_person = typical = people = 1
    for scan in scans(plan.private.source):
        table = table_of(scan, catalog)
        if scan.unit is None:
            a_person *= table.max_rows
            typical *= table.max_rows
        else:
            # Uniqueness is verified: such a table has one row a person.
            a_person *= 1 if table.rows_per_unit == 1 else table.most_rows_per_unit
            typical *= table.rows_per_unit
            people = max(people, table.expected_units or table.max_rows // table.rows_per_unit)
    work = Work(a_person, people * typical)
    if work.a_person > MOST_ROWS_A_PERSON or work.everybody > MOST_ROWS:
        raise TooLarge(
            f"by the declared maxima these joins may turn one person into {float(work.a_person):.1e} rows "
            f"(at most {float(MOST_ROWS_A_PERSON):.1e}), everybody into {float(work.everybody):.1e} "
            f"(at most {float(MOST_ROWS):.1e})",
            "aggregate each table per person in a sub-query before joining, or ask the custodian to "
            "declare most_rows_per_unit and max_rows closer to the truth",
        )
    return work
