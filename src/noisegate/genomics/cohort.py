"""Who is a case and who a control, as two questions say it: checked before the charge, asked after it.

Each is a private relation of SQL, whose rows depend on one person's rows alone, and counts a person in who
has a row there. Who that is stays sealed; `genomics.labels` alone opens it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from noisegate.engines.duckdb import DuckDB
from noisegate.engines.members import ReadyMembers
from noisegate.genomics.labels import Labels, labels
from noisegate.privacy.relations import Relation
from noisegate.sql.canonical import relation_text


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """Two groups of people, in words and as what the engine runs.

    Attributes:
        cases: who is a case.
        among: who takes part; None for everybody on the roster.
        digest: equal for relations that mean the same by the rules of `sql.canonical`.
    """

    cases: ReadyMembers
    among: ReadyMembers | None
    digest: str

    @property
    def everybody(self) -> bool:
        """Whether everybody on the roster takes part, so that cases and controls add up to it."""
        return self.among is None


def cohort_of(cases: Relation, among: Relation | None, engine: DuckDB) -> Cohort:
    """Return the cohort of two relations, checked; nothing private is read.

    Raises:
        PlanError: a relation is nested too deep, or too long, to run.
        InternalError: it claims of a table what was not verified, or its SQL did not pass the check.
    """
    texts = [relation_text(relation) if relation is not None else "" for relation in (cases, among)]
    return Cohort(
        engine.prepare_members(cases),
        None if among is None else engine.prepare_members(among),
        hashlib.sha256("\n".join(texts).encode("utf-8", "surrogatepass")).hexdigest(),
    )


def labels_of(cohort: Cohort, engine: DuckDB, roster: Sequence[str], population: str) -> Labels:
    """Return who is what: int8, shape (people,), 1 a case, 0 a control, -1 takes no part. Private.

    Needs: what is made of it is charged.

    Args:
        cohort: the two groups.
        engine: holds the tables that they were read from.
        roster: the people's names, in the order of the genotypes.
        population: whose genotypes they are; both groups are of it.

    Raises:
        EngineTimeout, EngineFailed: as `DuckDB.members`.
    """
    cases = engine.members(cohort.cases)
    among = None if cohort.among is None else engine.members(cohort.among)
    return labels(roster, cases, among, population=population)
