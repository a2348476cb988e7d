"""catalog.toml becomes a Catalog. Every key is explained in docs/reference/catalog.md.

The catalog means the same wherever it is read: no table of rows is opened here, so a missing or changed
file cannot change a type or a bound. Genotype files are the one exception: the list of their variants, a
public fact, makes the columns, and is read from the file.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

from noisegate.catalog.columns import column, unit_column, with_ranges
from noisegate.catalog.genotypes import genotype_table
from noisegate.catalog.keys import (
    RESERVED,
    Part,
    Problem,
    Section,
    Value,
    is_name,
    named,
    nearest,
    open_section,
    shown,
)
from noisegate.catalog.model import (
    MOST_PRIVATE_ROWS,
    MOST_PUBLIC_ROWS,
    MOST_ROWS_PER_UNIT,
    Budget,
    Catalog,
    Column,
    Dataset,
    Every,
    Policy,
    Specificity,
    Table,
    TierPolicy,
)
from noisegate.errors import CatalogError
from noisegate.privacy.expressions import Type

DEFAULT_BUDGET = Budget(Fraction(3), Fraction(1, 10**6))
MAX_CONTRIBUTION = 2**20
MAX_ROWS = 2**40
# Of what sets a price: enough for any policy, small enough to be looked at for every question.
MAX_WEIGHT = 100
MAX_RATE = 1_000
MAX_CONDITIONS = 1_000
MAX_HISTORY = 1_000
ROW_FILES = (".parquet", ".csv")
_POPULATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)


def load(path: Path) -> Catalog:
    """Read a catalog, with every source as an absolute path.

    Raises:
        CatalogError: the file is unreadable, or says what cannot be. The message lists everything that is
            wrong with its key path and how to mend it; `detail["problems"]` holds the same as
            `{"where", "message"}` each.
    """
    document = read_document(path)
    problems: list[Problem] = []
    catalog = _catalog(document, path.resolve().parent, problems)
    if problems:
        lines = "\n".join(f"  {p.where}: {p.message}" for p in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise CatalogError(
            f"{path}: {count}\n{lines}",
            "every key is explained in docs/reference/catalog.md",
            problems=[{"where": p.where, "message": p.message} for p in problems],
        )
    return catalog


def read_document(path: Path) -> dict[str, Value]:
    """Return the TOML document with its decimals exact, or raise CatalogError."""
    try:
        return tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
    except OSError as error:
        raise CatalogError(
            f"{path}: cannot be read: {error.strerror}", "name a catalog.toml that is there"
        ) from error
    except (ValueError, RecursionError) as error:
        raise CatalogError(f"{path}: not TOML in UTF-8: {error}", "https://toml.io shows the form") from error


def _catalog(document: Mapping[str, Value], base: Path, problems: list[Problem]) -> Catalog:
    parts = {name: value for name, value in document.items() if name not in RESERVED}
    datasets = tuple(
        _dataset(name, section, base)
        for name, section in named(parts, "", Part.DATASET, problems)
        if not _reserved(name, section)
    )
    if not datasets:
        problems.append(Problem("", "declares no dataset; begin with [name] and its title, unit and tables"))
    populations = _populations(document.get("populations", {}), datasets, problems)
    return Catalog(datasets, populations, _policy(document.get("policy"), problems))


def _reserved(name: str, section: Section) -> bool:
    if name.casefold() in RESERVED:
        section.note(f"write [{name.casefold()}], or name the dataset otherwise")
        return True
    return False


def _dataset(name: str, section: Section, base: Path) -> Dataset:
    unit = section.needed_text("unit", "the column that names the person in every private table")
    if unit and not is_name(unit):
        section.note("is one column's name, of letters, digits and _", "unit")
    population = section.text("population", name)
    if not _POPULATION.fullmatch(population):
        section.note("is made of letters, digits, _, . and -", "population")
    unit_type = _unit_type(section, unit)
    tables = [_table(n, s, unit, unit_type, base) for n, s in section.sections("tables", Part.TABLE)]
    genotypes = [
        genotype_table(n, s, unit, unit_type, base) for n, s in section.sections("genotypes", Part.GENOTYPES)
    ]
    if not tables and not genotypes:
        section.note(f"has no table; add [{name}.tables.NAME] or [{name}.genotypes.NAME]")
    taken = {t.name.casefold() for t in tables}
    for clash in (g for g in genotypes if g.name.casefold() in taken):
        section.note(f"{clash.name!r} is a table as well; SQL could not tell them apart", "genotypes")
    return Dataset(
        name=name,
        title=section.text("title"),
        population=population,
        unit=unit,
        budget=_budget(section),
        tables=(*tables, *genotypes),
        synthetic=section.flag("synthetic", default=False),
        notes=section.text("notes"),
        unit_type=unit_type,
    )


def _unit_type(section: Section, unit: str) -> Type:
    """Return the type of the unit: as declared, by the dataset or on a column; else str where people are
    named by a genotype file; else int.
    """
    if section.has("unit_type"):
        text = section.text("unit_type")
        if text in (Type.INT.value, Type.STR.value):
            return Type(text)
        section.note("is 'int' or 'str'", "unit_type")
    tables = section.values.get("tables")
    for table in tables.values() if isinstance(tables, dict) else ():
        if not isinstance(table, dict) or not isinstance(columns := table.get("columns"), dict):
            continue
        wanted = str(table.get("unit", unit)).casefold()
        for name, declared in columns.items():
            kind = declared.get("type") if isinstance(declared, dict) else None
            if name.casefold() == wanted and kind in (Type.INT.value, Type.STR.value):
                return Type(kind)
    return Type.STR if section.has("genotypes") else Type.INT


def _table(name: str, section: Section, dataset_unit: str, unit_type: Type, base: Path) -> Table:
    public = section.flag("public", default=False)
    if public:
        for key in ("unit", "rows_per_unit", "groups_per_unit", "most_rows_per_unit", "expected_units"):
            if section.has(key):
                section.note("a public table holds no person's rows; leave this out", key)
    unit = None if public else section.text("unit", dataset_unit)
    rows_per_unit = section.whole("rows_per_unit", MAX_CONTRIBUTION) or 1
    return Table(
        name=name,
        source=_source(section, base),
        columns=_columns(section, unit, unit_type),
        unit=unit,
        rows_per_unit=rows_per_unit,
        groups_per_unit=section.whole("groups_per_unit", MAX_CONTRIBUTION),
        max_rows=section.whole("max_rows", MAX_ROWS) or (MOST_PUBLIC_ROWS if public else MOST_PRIVATE_ROWS),
        most_rows_per_unit=section.whole("most_rows_per_unit", MAX_ROWS)
        or max(MOST_ROWS_PER_UNIT, rows_per_unit),
        expected_units=section.whole("expected_units", MAX_ROWS),
        title=section.text("title"),
    )


def _columns(section: Section, unit: str | None, unit_type: Type) -> tuple[Column, ...]:
    """Return the columns, the unit's first. What is not declared does not exist for analysts."""
    parts = dict(section.sections("columns", Part.COLUMN))
    declared_unit = next((n for n in parts if unit and n.casefold() == unit.casefold()), None)
    unit_part = parts.pop(declared_unit) if declared_unit else None
    found = {n.casefold(): column(n, s, public=unit is None) for n, s in parts.items()}
    for name, part in parts.items():
        key = name.casefold()
        if (by := with_ranges(found[key], part, found, unit)) is not None:
            found[key] = replace(found[key], by=by)
    if unit is not None:
        return (unit_column(unit, unit_part, unit_type), *found.values())
    if not found:
        section.note("declares no columns, and a column that is not declared does not exist")
    return tuple(found.values())


def _source(section: Section, base: Path) -> str:
    endings = " or ".join(ROW_FILES)
    text = section.needed_text("source", f"the file with the rows, ending in {endings}")
    if not text:
        return ""
    if "://" in text or not text.lower().endswith(ROW_FILES):
        section.note(f"is a local file ending in {endings}", "source")
        return ""
    return str((base / text).resolve())


def _budget(section: Section) -> Budget:
    inner = section.section("budget", Part.BUDGET)
    if inner is None:
        return DEFAULT_BUDGET
    epsilon, delta = inner.number("epsilon"), inner.number("delta")
    epsilon = DEFAULT_BUDGET.epsilon if epsilon is None else epsilon
    delta = DEFAULT_BUDGET.delta if delta is None else delta
    if epsilon <= 0:
        inner.note("is above 0", "epsilon")
    if not 0 <= delta < 1:
        inner.note("is at least 0 and far below 1; at most one in the number of people", "delta")
    every = _every(inner)
    return Budget(epsilon, delta, every) if epsilon > 0 and 0 <= delta < 1 else DEFAULT_BUDGET


def _every(section: Section) -> Every | None:
    """Return how long a period lasts, None for a budget that is not renewed."""
    if not section.has("every"):
        return None
    text, known = section.text("every"), [every.value for every in Every]
    if text in known:
        return Every(text)
    section.note(f"is one of {', '.join(known)}{nearest(text, known)}", "every")
    return None


def _populations(
    value: Value, datasets: tuple[Dataset, ...], problems: list[Problem]
) -> Mapping[str, Budget]:
    """Return the budget at the root of each population: as declared, or what its largest datasets need."""
    result: dict[str, Budget] = {}
    for dataset in datasets:
        before = result.get(dataset.population, dataset.budget)
        result[dataset.population] = Budget(
            max(before.epsilon, dataset.budget.epsilon),
            max(before.delta, dataset.budget.delta),
            # Where all of them are renewed alike, so is what they need together.
            dataset.budget.every if before.every is dataset.budget.every else None,
        )
        same = next(d for d in datasets if d.population == dataset.population)
        if same.unit_type is not dataset.unit_type:
            problems.append(
                Problem(
                    dataset.name,
                    f"its unit is {dataset.unit_type.value}, but {same.name}, of the same population, has "
                    f"{same.unit_type.value}: set unit_type in both",
                )
            )
    for name, section in named(value, "populations", Part.POPULATION, problems, strict=False):
        if name not in result:
            section.note(f"no dataset has this population{nearest(name, result)}")
        elif section.has("budget"):
            result[name] = _budget(section)
    return MappingProxyType(result)


def _policy(value: Value | None, problems: list[Problem]) -> Policy:
    policy = Policy()
    section = None if value is None else open_section(value, "policy", Part.POLICY, problems)
    if section is None:
        return policy
    tiers = dict(policy.tiers)
    known = {tier.value: tier for tier in tiers}
    for name, part in section.sections("tiers", Part.TIER):
        if name not in known:
            part.note(f"is one of {', '.join(known)}{nearest(name, known)}")
            continue
        tiers[known[name]] = _tier_policy(part, tiers[known[name]])
    specific = section.section("specificity", Part.SPECIFICITY)
    return Policy(
        MappingProxyType(tiers),
        policy.specificity if specific is None else _specificity(specific, policy.specificity),
    )


def _tier_policy(section: Section, before: TierPolicy) -> TierPolicy:
    default, most = section.number("default_epsilon"), section.number("max_epsilon")
    default = before.default_epsilon if default is None else default
    most = before.max_epsilon if most is None else most
    if not 0 < default <= most:
        section.note(f"needs 0 < default_epsilon <= max_epsilon, not {shown(default)} and {shown(most)}")
    daily = section.number("max_per_day")
    if daily is not None and daily < default:
        section.note(
            f"{shown(daily)} is less than default_epsilon {shown(default)}: no question would fit in a day",
            "max_per_day",
        )
    weight = section.number("weight")
    weight = before.weight if weight is None else weight
    if not 1 <= weight <= MAX_WEIGHT:
        section.note(f"is a number of 1 to {MAX_WEIGHT}, not {shown(weight)}", "weight")
        weight = before.weight
    return TierPolicy(default, most, daily, weight)


def _specificity(section: Section, before: Specificity) -> Specificity:
    """Return how the price grows with specificity, each key by itself as before where it is wrong."""
    rates = ("per_condition", "per_bit", "free_bits", "per_similar")
    numbers = {key: _at_least(section, key, 0) for key in rates}
    numbers |= {key: _share(section, key) for key in ("near", "unknown_share")}
    numbers["max_factor"] = _at_least(section, "max_factor", 1)
    counts = {
        "free_conditions": section.whole("free_conditions", MAX_CONDITIONS, 0),
        "most_similar": section.whole("most_similar", MAX_HISTORY, 0),
        "history": section.whole("history", MAX_HISTORY, 0),
        "lock_after": section.whole("lock_after", MAX_HISTORY),
    }
    given = {key: value for key, value in (numbers | counts).items() if value is not None}
    return replace(before, **given)  # type: ignore[arg-type]


def _at_least(section: Section, key: str, least: int) -> Fraction | None:
    number = section.number(key)
    if number is not None and not least <= number <= MAX_RATE:
        section.note(f"is a number of {least} to {MAX_RATE:,}, not {shown(number)}", key)
        return None
    return number


def _share(section: Section, key: str) -> Fraction | None:
    number = section.number(key)
    if number is not None and not 0 < number <= 1:
        section.note(f"is a share: above 0 and at most 1, not {shown(number)}", key)
        return None
    return number
