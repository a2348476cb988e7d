"""Who has a row in a private relation, written down for DuckDB.

TRUSTED. A row depends on the rows of one unit alone, and carries that unit, which is never NULL; so whether
a unit is among those returned is a fact of that unit. PROOFS.md, "Members".
"""
# ruff: noqa: S608  (the SQL is rendered; nothing of a question is in what is added here)

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from noisegate.engines.render import render, unit_of
from noisegate.engines.unitrows import Statement
from noisegate.errors import EngineFailed
from noisegate.privacy.expressions import PlanError, Type
from noisegate.privacy.members import Members
from noisegate.privacy.relations import Relation, unit_ref


@dataclass(frozen=True, slots=True, eq=False)
class ReadyMembers:
    """A private relation and the statement that gives its units, checked."""

    relation: Relation
    statement: Statement = field(repr=False)

    @property
    def population(self) -> str:
        """Whose units they are."""
        return population_of(self.relation)


def statement(relation: Relation) -> Statement:
    """Return the statement of a private relation's units, each once, as the column u.

    Raises:
        NotUnitLocalError: the relation is public.
        PlanError: its unit is neither a whole number nor text, or it is nested too deep to write.
    """
    if unit_ref(relation.shape).type not in (Type.INT, Type.STR):
        raise PlanError("people are named by whole numbers or text")
    rendered = render(relation)
    sql = f"{rendered.given}SELECT DISTINCT {unit_of(relation.shape, 't')} AS u FROM ({rendered.select}) AS t"
    return Statement(sql, (), salted=False)


def population_of(relation: Relation) -> str:
    """Return the population of a private relation."""
    population = relation.shape.population
    if population is None:
        raise PlanError("a public relation has no people")
    return population


def members_of(ready: ReadyMembers, columns: Mapping[str, Any]) -> Members:
    """Return the units of an answer, sealed.

    Raises:
        EngineFailed: they are not what the statement gives; the text is constant.
    """
    units = np.ma.getdata(columns["u"])
    if np.ma.getmaskarray(columns["u"]).any():  # every scan drops them
        raise EngineFailed
    return Members(ready.population, units)
