"""What a custodian's declarations say of units, bounds and data, as sections of a statement.

A declaration is what `catalog.describe.describe_dataset` gives, now or when a version was registered: a
release is stated by the declarations of the versions it read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from noisegate.gate.statement.shape import Item, Section, sentences

Declared = Mapping[str, Any]
VERIFIED = "verified at registration"
ENFORCED = "declared by the custodian, enforced in every question"


def unit(declared: Sequence[Declared]) -> Section:
    """Say whose privacy is protected, in which tables."""
    first = declared[0]
    held = [
        {"table": table["in_sql"], "a_person_is_named_by": table.get("unit") or "– (public: about nobody)"}
        for dataset in declared
        for table in dataset["tables"]
    ]
    return Section(
        Item.UNIT,
        sentences(
            f"""
            A person: all rows that carry one person's identifier, in all tables of
            population {first["population"]}, whatever their number. Not a row, a visit or
            an event.

            Rows without an identifier are left out of every question.

            Which column names the person, and that a public table is about nobody, is
            declared by the custodian and cannot be verified by a program.
            """
        ),
        {"unit": "person", "population": first["population"], "tables": held},
    )


def contributions(declared: Sequence[Declared]) -> Section:
    """Say how much of one person counts, and who said so."""
    private = [t for dataset in declared for t in dataset["tables"] if not t["public"]]
    bounding = [
        {
            "table": table["in_sql"],
            "rows_a_person": table["rows_per_unit"],
            "groups_a_person": table["groups_per_unit"],
            "source": VERIFIED if table["rows_per_unit"] == 1 else ENFORCED,
        }
        for table in private
    ]
    ranges = [row for table in private for row in _ranges(table)]
    clamped = (
        "Values are clamped into these bounds, in whole steps, before they are added."
        if ranges
        else "No column has bounds: rows and persons can be counted, nothing can be added up."
    )
    return Section(
        Item.CONTRIBUTIONS,
        sentences(
            f"""
            Of a person's rows no more count than stand here; of more, some are chosen by a
            hash that is keyed anew for each question.

            {clamped}

            Bounds are declarations of the custodian, made without the gateway reading a row
            for them; a proposal of the gateway's own (`catalog suggest`) is a private
            answer and was charged.
            """
        ),
        {"persons": bounding, "values": ranges},
    )


def bias(declared: Sequence[Declared], clamping: Sequence[str] | None) -> Section:
    """Say what pulls answers to one side; of a release, how its own answer was clamped."""
    names = ", ".join(str(dataset["name"]) for dataset in declared)
    here = "" if clamping is None else "In this release no bound takes anything away."
    if clamping:
        here = f"In this release: {'; '.join(clamping)}."
    return Section(
        Item.BIAS,
        sentences(
            f"""
            {here}

            Clamping and contribution bounds pull sums, means and counts of rows towards what the bounds
            allow. Intervals do not show it; every answer names the clamping that may, from declared bounds
            alone.

            Noise is as large for ten people as for ten thousand, so figures of small groups are relatively
            worse; where the names of groups are private, groups of few people do not show at all.

            What was biased when the data of {names} were collected stays so.
            """
        ),
        {} if clamping is None else {"clamping": list(clamping)},
    )


def data(declared: Sequence[Declared], versions: Mapping[str, int]) -> Section:
    """Say which data stand behind it."""
    known = {str(dataset["name"]): dataset for dataset in declared}
    rows = [
        {"dataset": name, "version": version, "rows": _kind(known.get(name))}
        for name, version in sorted(versions.items())
    ]
    return Section(
        Item.DATA,
        sentences(
            """
            A version is an immutable snapshot that the custodian registered. Types, NULLs,
            declared values, one row a person and the largest numbers of rows were verified
            then, and it was refused otherwise.

            A new version opens no new account: what was spent on the people of the old one
            stays spent.

            How the rows were collected, and who else holds them, is outside of the gateway.
            """
        ),
        {"versions": rows},
    )


def expected_people(declared: Sequence[Declared]) -> dict[str, int]:
    """Return the numbers of people that are declared public, by table."""
    return {
        table["in_sql"]: table["expected_units"]
        for dataset in declared
        for table in dataset["tables"]
        if table.get("expected_units") is not None
    }


def restricted(declared: Sequence[Declared]) -> list[str]:
    """Return the columns that nobody may ask about."""
    return [
        f"{table['in_sql']}.{column['name']}"
        for dataset in declared
        for table in dataset["tables"]
        for column in table["columns"]
        if column["tier"] == "restricted"
    ]


def _kind(dataset: Declared | None) -> str:
    if dataset is None:
        return "public tables"
    return "SYNTHETIC: made up, about nobody" if dataset["synthetic"] else "of real people"


def _ranges(table: Declared) -> Iterator[dict[str, object]]:
    """Yield the bounds of a table's columns; of a run with the same ones, such as variants, at once."""
    single = [c for c in table["columns"] if "low" in c]
    for bounds, run in groupby(single, key=_bounds):
        low, high, step, measured_in = bounds
        yield _range(table, [c["name"] for c in run], "", low, high, step, measured_in)
    for column in table["columns"]:
        if "by" in column:
            for part in column["by"]["ranges"]:
                where = f"{column['by']['column']} = {part['value']}"
                step, measured_in = column.get("step", 1), column.get("measured_in", "")
                yield _range(table, [column["name"]], where, part["low"], part["high"], step, measured_in)


def _bounds(column: Declared) -> tuple[Any, Any, Any, str]:
    return column["low"], column["high"], column.get("step", 1), column.get("measured_in", "")


def _range(
    table: Declared, columns: Iterable[str], where: str, low: Any, high: Any, step: Any, measured_in: str
) -> dict[str, object]:
    found = {"table": table["in_sql"], "columns": list(columns), "where": where}
    return {**found, "low": low, "high": high, "step": step, "measured_in": measured_in}
