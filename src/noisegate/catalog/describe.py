"""The catalog as JSON values: what anyone with a grant on a dataset may know of it.

Nothing here was read from rows, and file names stay out. A restricted column is named and labelled, so
that nobody wonders where it went; its type, bounds and values are left out.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from fractions import Fraction

from noisegate.catalog.keys import as_number
from noisegate.catalog.model import (
    Budget,
    Catalog,
    Column,
    Dataset,
    Genotypes,
    Range,
    Specificity,
    Table,
    Tier,
)
from noisegate.privacy.expressions import NUMERIC, Scalar

Json = Mapping[str, object]


def describe(catalog: Catalog) -> dict[str, object]:
    """Return all datasets, the budgets of their populations, and the policy."""
    return {
        "datasets": [describe_dataset(d) for d in catalog.datasets],
        "populations": {name: _budget(budget) for name, budget in catalog.populations.items()},
        "policy": {
            "tiers": {
                tier.value: {
                    "default_epsilon": as_number(rule.default_epsilon),
                    "max_epsilon": as_number(rule.max_epsilon),
                    "max_per_day": None if rule.max_per_day is None else as_number(rule.max_per_day),
                    "weight": as_number(rule.weight),
                }
                for tier, rule in catalog.policy.tiers.items()
            },
            "specificity": _specificity(catalog.policy.specificity),
        },
    }


def _specificity(policy: Specificity) -> Json:
    return {
        f.name: as_number(value) if isinstance(value := getattr(policy, f.name), Fraction) else value
        for f in fields(policy)
    }


def describe_dataset(dataset: Dataset) -> dict[str, object]:
    """Return one dataset with its tables and columns."""
    return {
        "name": dataset.name,
        "title": dataset.title,
        "population": dataset.population,
        "unit": dataset.unit,
        "unit_type": dataset.unit_type.value,
        "budget": _budget(dataset.budget),
        "synthetic": dataset.synthetic,
        "notes": dataset.notes,
        "tables": [_table(dataset, t) for t in dataset.tables],
    }


def _table(dataset: Dataset, table: Table) -> Json:
    facts: dict[str, object] = {
        "name": table.name,
        "in_sql": f"{dataset.name}.{table.name}",
        "title": table.title,
        "kind": table.kind.value,
        "public": table.public,
    }
    if not table.public:
        facts |= {
            "unit": table.unit,
            "rows_per_unit": table.rows_per_unit,
            "groups_per_unit": table.groups_per_unit or table.rows_per_unit,
            "expected_units": table.expected_units,
        }
    if table.genotypes is not None and not table.genotypes.in_sql:
        facts["note"] = note(table.genotypes)
    return {**facts, "columns": [_column(c) for c in table.columns]}


def note(genotypes: Genotypes) -> str:
    """Return what to know of a table of genotypes whose variants are no columns."""
    return f"variants are no columns of SQL here, since {genotypes.not_in_sql}; releases are made of all"


def _column(column: Column) -> Json:
    if column.tier is Tier.RESTRICTED:
        return {"name": column.name, "tier": column.tier.value, "title": column.title}
    facts: dict[str, object] = {
        "name": column.name,
        "type": column.type.value,
        "tier": column.tier.value,
        "title": column.title,
        "measured_in": column.measured_in,
        "nullable": column.nullable,
        "per_unit": column.per_unit,
    }
    if column.bounds is not None:
        facts |= _range(column.bounds)
    if column.type in NUMERIC and (column.bounds or column.by):
        facts["step"] = as_number(column.step)
    if column.values is not None:
        facts["values"] = [_scalar(v) for v in column.values]
    if column.by is not None:
        facts["by"] = {
            "column": column.by.column,
            "ranges": [{"value": _scalar(v), **_range(r)} for v, r in column.by.ranges.items()],
        }
    return facts


def _range(bounds: Range) -> dict[str, object]:
    return {"low": as_number(bounds.low), "high": as_number(bounds.high)}


def _budget(budget: Budget) -> Json:
    found: dict[str, object] = {"epsilon": as_number(budget.epsilon), "delta": as_number(budget.delta)}
    # Without a period the description stays that of a plain budget: registered versions keep it.
    return found if budget.every is None else {**found, "every": budget.every.value}


def _scalar(value: Scalar) -> object:
    return value.isoformat() if isinstance(value, date) else value
