import json
import tomllib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisegate.catalog import genotypes
from noisegate.catalog.load import load
from noisegate.catalog.model import (
    Budget,
    Catalog,
    Column,
    Every,
    Range,
    Specificity,
    Table,
    TableKind,
    Tier,
)
from noisegate.errors import CatalogError
from noisegate.privacy.expressions import Type

DESIGN = """
[liver]
title = "NAFLD cohort"
population = "olmsted"                  # accounts of datasets of one population share a root
unit = "patient_id"
budget = { epsilon = 10, delta = 1e-6 }

[liver.tables.patients]
source = "data/nafld/patients.parquet"
rows_per_unit = 1
columns.age     = { type = "int", low = 18, high = 100, measured_in = "years", tier = "demographic" }
columns.is_male = { type = "bool", tier = "demographic" }
columns.bmi     = { type = "float", low = 10, high = 70, step = 0.01, measured_in = "kg/m2", tier="clinical" }
columns.case_id = { tier = "restricted" }   # names another person

[liver.tables.measurements]
source = "data/nafld/measurements.parquet"
rows_per_unit = 60
columns.test  = { type = "str", values = ["fib4", "hdl", "sbp", "smoke"], tier = "clinical" }
columns.value = { type = "float", step = 0.01, tier = "clinical", BY }

[panel]
population = "1000genomes"
unit = "sample"

[panel.tables.samples]
source = "data/genomes/kg3_samples.csv"

[panel.genotypes.snps]
source = "PANEL"
variants = "public"
"""


SMALL = """
[d]
unit = "person"
[d.tables.t]
source = "t.parquet"
rows_per_unit = 1
{columns}
"""

BY = "by.test.sbp = { low = 60, high = 260 }, by.test.hdl = { low = 10, high = 150 }"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(text: str) -> Path:
        path = tmp_path / "catalog.toml"
        path.write_text(text, "utf-8")
        return path

    return to_file


@pytest.fixture
def panel() -> Path:
    return Path(__file__).parents[2] / "data" / "genomes" / "kg3_aisnps.vcf.gz"


def design(panel: Path) -> str:
    return DESIGN.replace("PANEL", str(panel)).replace("BY", BY)


def table_of(catalog: Catalog, dataset: str, table: str) -> Table:
    found = catalog.dataset(dataset)
    assert found is not None
    result = found.table(table)
    assert result is not None
    return result


def column_of(table: Table, name: str) -> Column:
    found = table.column(name)
    assert found is not None
    return found


def problems(path: Path) -> dict[str, str]:
    """Return what is wrong by place; there is one problem a place in these tests."""
    with pytest.raises(CatalogError) as caught:
        load(path)
    listed = caught.value.detail["problems"]
    assert isinstance(listed, list)
    for problem in listed:
        assert f"{problem['where']}: {problem['message']}" in caught.value.message
    places = {p["where"]: p["message"] for p in listed}
    assert len(places) == len(listed)
    return places


def test_the_form_of_the_design_loads(write: Write, panel: Path) -> None:
    path = write(design(panel))
    catalog = load(path)
    liver = catalog.dataset("LIVER")
    assert liver is not None
    assert (liver.title, liver.population, liver.unit) == ("NAFLD cohort", "olmsted", "patient_id")
    assert liver.budget == Budget(Fraction(10), Fraction(1, 10**6))
    assert catalog.populations == {
        "olmsted": liver.budget,
        "1000genomes": Budget(Fraction(3), Fraction(1, 10**6)),
    }
    patients = table_of(catalog, "liver", "patients")
    assert patients.source == str(path.parent / "data/nafld/patients.parquet")
    assert [c.name for c in patients.columns] == ["patient_id", "age", "is_male", "bmi", "case_id"]
    assert column_of(patients, "patient_id") == Column(
        "patient_id", Type.INT, Tier.DEMOGRAPHIC, nullable=False, per_unit=True
    )
    bmi = column_of(patients, "bmi")
    assert (bmi.bounds, bmi.step) == (Range(Fraction(10), Fraction(70)), Fraction(1, 100))
    assert column_of(patients, "case_id").tier is Tier.RESTRICTED
    by = column_of(table_of(catalog, "liver", "measurements"), "value").by
    assert by is not None
    assert by.column == "test"
    assert by.ranges == {"sbp": Range(Fraction(60), Fraction(260)), "hdl": Range(Fraction(10), Fraction(150))}


def test_a_genotype_file_is_a_table_of_dosages(write: Write, panel: Path) -> None:
    snps = table_of(load(write(design(panel))), "panel", "snps")
    assert (snps.kind, snps.unit, snps.rows_per_unit) == (TableKind.GENOTYPES, "sample", 1)
    assert len(snps.columns) == 128
    assert snps.columns[0] == Column("sample", Type.STR, Tier.DEMOGRAPHIC, nullable=False, per_unit=True)
    dosage = column_of(snps, "RS2986742")
    assert (dosage.name, dosage.type, dosage.tier) == ("rs2986742", Type.INT, Tier.GENOMIC)
    assert (dosage.bounds, dosage.values) == (Range(Fraction(0), Fraction(2)), (0, 1, 2))
    assert dosage.nullable


def test_sources_need_not_exist_but_variant_lists_do(write: Write) -> None:
    text = design(Path("nowhere.vcf.gz"))
    assert problems(write(text)) == {
        "panel.genotypes.snps.source": "nowhere.vcf.gz: cannot be read: No such file or directory"
    }


def test_numbers_are_taken_exactly(write: Write) -> None:
    text = SMALL.format(
        columns='columns.x = { type = "float", low = -0.1, high = 1e2, step = 0.1, tier = "clinical" }'
    )
    text = text.replace('unit = "person"', 'unit = "person"\nbudget = { epsilon = 0.3 }')
    catalog = load(write(text))
    x = column_of(table_of(catalog, "d", "t"), "x")
    assert x.bounds == Range(Fraction(-1, 10), Fraction(100))
    assert x.step == Fraction(1, 10)
    assert catalog.datasets[0].budget == Budget(Fraction(3, 10), Fraction(1, 10**6))


def test_a_column_that_is_not_declared_does_not_exist(write: Write) -> None:
    table = table_of(load(write(SMALL.format(columns=""))), "d", "t")
    assert [c.name for c in table.columns] == ["person"]


def test_all_mistakes_are_reported_at_once(write: Write) -> None:
    text = SMALL.format(columns='columns.a = { type = "int" }\ncolumns.b = { tier = "clinical" }')
    places = {"d.tables.t.columns.a", "d.tables.t.columns.b", "e.tables"}
    assert set(problems(write(text + "[e]\nunit = 'u'\ntables = 3\nunit_type = 'int'\n"))) == places | {"e"}


COLUMN_MISTAKES = [
    ('{ type = "int" }', "", "tier is missing"),
    ('{ tier = "clinical" }', "", "type is missing"),
    ('{ type = "itn", tier = "clinical" }', ".type", "did you mean 'int'?"),
    ('{ type = "int", tier = "clinicl" }', ".tier", "did you mean 'clinical'?"),
    ('{ type = "int", tier = "clinical", hihg = 3 }', "", "unknown key 'hihg'; did you mean 'high'?"),
    ('{ type = "int", tier = "clinical", low = 3 }', "", "high is missing"),
    ('{ type = "int", tier = "clinical", low = 3, high = 3 }', "", "low 3 is not below high 3"),
    ('{ type = "int", tier = "clinical", low = 0.5, high = 3 }', ".low", "whole number"),
    ('{ type = "int", tier = "clinical", low = 0, high = "9" }', ".high", "is a finite number, not a text"),
    ('{ type = "int", tier = "clinical", low = 0, high = inf }', ".high", "is a finite number"),
    ('{ type = "int", tier = "clinical", low = 0, high = 1e999999 }', ".high", "is a finite number"),
    ('{ type = "int", tier = "clinical", low = 0, high = true }', ".high", "is a finite number"),
    ('{ type = "int", tier = "clinical", low = 0, high = 9e15 }', "", "too wide for their step"),
    ('{ type = "int", tier = "clinical", step = 0.5 }', ".step", "whole number"),
    ('{ type = "float", tier = "clinical", low = 0, high = 1 }', "", "step is missing"),
    ('{ type = "float", tier = "clinical", low = 0, high = 1, step = 0 }', ".step", "is above 0"),
    ('{ type = "str", tier = "clinical", low = 0, high = 1 }', "", "type str has no bounds"),
    ('{ type = "str", tier = "clinical", step = 1 }', ".step", "type str has no step"),
    ('{ type = "str", tier = "clinical", values = [] }', ".values", "at least one"),
    (
        '{ type = "str", tier = "clinical", values = ["a", 1] }',
        ".values",
        "holds 1, which is not of type str",
    ),
    ('{ type = "str", tier = "clinical", values = ["a", "a"] }', ".values", "lists 'a' twice"),
    ('{ type = "int", tier = "clinical", values = [true] }', ".values", "holds True"),
    (
        '{ type = "int", tier = "clinical", values = [9], low = 0, high = 2 }',
        ".values",
        "outside low and high",
    ),
    ('{ type = "bool", tier = "clinical", values = [true] }', ".values", "leave values out"),
    ('{ type = "date", tier = "clinical", values = [2020-01-01T00:00:00] }', ".values", "not of type date"),
    ('{ type = "int", tier = "clinical", nullable = "no" }', ".nullable", "is true or false, not a text"),
    ('{ type = "int", tier = "clinical", title = 1 }', ".title", "is a text in quotes, not a number"),
    ('{ type = "int", tier = "clinical", by.z.a = { low = 0, high = 1 } }', ".by", "no other column 'z'"),
    (
        '{ type = "int", tier = "clinical", by.person.1 = { low = 0, high = 1 } }',
        ".by",
        "no other column 'person'",
    ),
    ('{ type = "int", tier = "clinical", by.x.1 = { low = 0, high = 1 } }', ".by", "no other column 'x'"),
    (
        '{ type = "int", tier = "clinical", by.free.a = { low = 0, high = 1 } }',
        ".by",
        "free needs public values",
    ),
    (
        '{ type = "int", tier = "clinical", by.kind.c = { low = 0, high = 1 } }',
        ".by.kind.c",
        "not among the values",
    ),
    ('{ type = "int", tier = "clinical", by.kind.a = { low = 0 } }', ".by.kind.a", "high is missing"),
    (
        '{ type = "str", tier = "clinical", by.kind.a = { low = 0, high = 1 } }',
        ".by",
        "type str has no bounds",
    ),
    ('{ type = "float", tier = "clinical", by.kind.a = { low = 0, high = 1 } }', "", "step is missing"),
    ('{ type = "int", tier = "clinical", by = 3 }', ".by", "names one other column"),
    ("7", "", "is a table of keys, not a number"),
]


@pytest.mark.parametrize(("declared", "place", "message"), COLUMN_MISTAKES)
def test_a_wrong_column_is_refused_with_its_place_and_mend(
    write: Write, declared: str, place: str, message: str
) -> None:
    columns = f"""
columns.x = {declared}
columns.kind = {{ type = "str", tier = "clinical", values = ["a", "b"] }}
columns.free = {{ type = "str", tier = "clinical" }}
"""
    found = problems(write(SMALL.format(columns=columns)))
    assert list(found) == [f"d.tables.t.columns.x{place}"]
    assert message in found[f"d.tables.t.columns.x{place}"]


D = "[d]\nunit = 'u'\n[d.tables.t]\nsource = 't.csv'\n"
FILE_MISTAKES = [
    ("", "", "declares no dataset"),
    ("[d]\n[d.tables.t]\nsource = 't.csv'", "d", "unit is missing"),
    ("[d]\nunit = 'u'", "d", "has no table; add [d.tables.NAME]"),
    ("[d]\nunit = 'u'\n[d.tables.t]", "d.tables.t", "source is missing"),
    ("[d]\nunit = 'u'\n[d.tables.t]\nsource = 't.xlsx'", "d.tables.t.source", "ending in .parquet or .csv"),
    ("[d]\nunit = 'u'\n[d.tables.t]\nsource = 'pg://h/t.csv'", "d.tables.t.source", "is a local file"),
    (
        D + "rows_per_unit = 0",
        "d.tables.t.rows_per_unit",
        "1 to",
    ),
    (
        D + "max_rows = 1.5",
        "d.tables.t.max_rows",
        "whole number",
    ),
    (D + "row_per_unit = 3", "d.tables.t", "'rows_per_unit'?"),
    ("[d]\nunit = 'u'\n[d.tables.'a b']\nsource = 't.csv'", "d.tables.a b", "letters, digits and _"),
    ("[d]\nunit = 'u v'\n[d.tables.t]\nsource = 't.csv'", "d.unit", "one column's name"),
    ("[d]\nunit = 'u'\nunit_type = 'float'\n[d.tables.t]\nsource = 't.csv'", "d.unit_type", "'int' or 'str'"),
    ("[d]\nunit = 'u'\npopulation = 'a/b'\n[d.tables.t]\nsource = 't.csv'", "d.population", "letters"),
    (
        "[d]\nunit = 'u'\nbudget = { epsilon = 0 }\n[d.tables.t]\nsource = 't.csv'",
        "d.budget.epsilon",
        "above 0",
    ),
    ("[d]\nunit = 'u'\nbudget = { delta = 1 }\n[d.tables.t]\nsource = 't.csv'", "d.budget.delta", "below 1"),
    ("[d]\nunit = 'u'\nbudget = 3\n[d.tables.t]\nsource = 't.csv'", "d.budget", "is a table of keys"),
    (D + "public = true", "d.tables.t", "declares no columns"),
    (
        D + "public = true\nunit = 'u'\ncolumns.a.type = 'int'",
        "d.tables.t.unit",
        "leave this out",
    ),
    (
        D + "public = true\ncolumns.a = { type = 'int', tier = 'clinical' }",
        "d.tables.t.columns.a.tier",
        "leave it out",
    ),
    (
        D + "columns.u = { type = 'int', low = 1 }",
        "d.tables.t.columns.u.low",
        "takes type, tier and title only",
    ),
    (
        D + "columns.u = { tier = 'restricted' }",
        "d.tables.t.columns.u.tier",
        "cannot be restricted",
    ),
    (
        "[d]\nunit = 'u'\nunit_type = 'str'\n[d.tables.t]\nsource = 't.csv'\ncolumns.U = { type = 'int' }",
        "d.tables.t.columns.U.type",
        "of one type",
    ),
    (
        D + "[d.tables.T]\nsource = 't.csv'",
        "d.tables.T",
        "SQL ignores case",
    ),
    (
        D + "[Policy]\n",
        "Policy",
        "write [policy]",
    ),
    (
        D + "[policy.tiers]\ngenomc.max_epsilon = 1",
        "policy.tiers.genomc",
        "did you mean 'genomic'?",
    ),
    (
        D + "[policy.tiers]\ngenomic.max_epsilon = 0.01",
        "policy.tiers.genomic",
        "needs 0 < default_epsilon <= max_epsilon, not 0.1 and 0.01",
    ),
    (
        D + "[policy.tiers]\ngenomic.max_per_day = 0.01",
        "policy.tiers.genomic.max_per_day",
        "0.01 is less than default_epsilon 0.1: no question would fit in a day",
    ),
    (
        D + "[policy.tiers]\ngenomic.weight = 0.5",
        "policy.tiers.genomic.weight",
        "is a number of 1 to 100, not 0.5",
    ),
    (
        D + "[policy.specificity]\nper_bits = 1",
        "policy.specificity",
        "unknown key 'per_bits'; did you mean 'per_bit'?",
    ),
    (
        D + "[policy.specificity]\nper_bit = -0.1",
        "policy.specificity.per_bit",
        "is a number of 0 to 1,000, not -0.1",
    ),
    (
        D + "[policy.specificity]\nmax_factor = 0.5",
        "policy.specificity.max_factor",
        "is a number of 1 to 1,000, not 0.5",
    ),
    (
        D + "[policy.specificity]\nunknown_share = 0",
        "policy.specificity.unknown_share",
        "is a share: above 0 and at most 1, not 0",
    ),
    (
        D + "[policy.specificity]\nlock_after = 0",
        "policy.specificity.lock_after",
        "is a whole number of 1 to 1,000, not 0",
    ),
    (
        D + "[policy.specificity]\nhistory = 2000",
        "policy.specificity.history",
        "is a whole number of 0 to 1,000, not 2000",
    ),
    (
        "[d]\nunit = 'u'\nbudget = { every = 'months' }\n[d.tables.t]\nsource = 't.csv'",
        "d.budget.every",
        "is one of day, week, month, quarter, year; did you mean 'month'?",
    ),
    (
        D + "[populations.dd]\nbudget.epsilon = 1",
        "populations.dd",
        "no dataset has this population; did you mean 'd'?",
    ),
    (
        D + "[e]\nunit = 'u'\nunit_type = 'str'\npopulation = 'd'\n[e.tables.t]\nsource = 't.csv'",
        "e",
        "its unit is str, but d, of the same population, has int",
    ),
]


@pytest.mark.parametrize(("text", "place", "message"), FILE_MISTAKES)
def test_a_wrong_file_is_refused_with_its_place_and_mend(
    write: Write, text: str, place: str, message: str
) -> None:
    found = problems(write(text))
    assert list(found) == [place]
    assert message in found[place]


def test_genotypes_are_opened_only_by_declaring_their_variants_public(write: Write, panel: Path) -> None:
    text = f"[p]\nunit = 's'\n[p.genotypes.g]\nsource = '{panel}'\n"
    assert "write variants = 'public'" in problems(write(text))["p.genotypes.g"]
    found = problems(write(text + "variants = 'charged'\n"))
    assert "not supported" in found["p.genotypes.g.variants"]


def test_a_genotype_table_and_a_table_have_different_names(write: Write, panel: Path) -> None:
    text = f"[p]\nunit = 's'\n[p.genotypes.G]\nsource = '{panel}'\nvariants = 'public'\n"
    found = problems(write(text + "[p.tables.g]\nsource = 't.csv'\n"))
    assert found == {"p.genotypes": "'G' is a table as well; SQL could not tell them apart"}


def test_a_genotype_table_needs_a_textual_unit(write: Write, panel: Path) -> None:
    text = f"[p]\nunit = 's'\nunit_type = 'int'\n[p.genotypes.g]\nsource = '{panel}'\nvariants = 'public'\n"
    assert "unit_type = 'str'" in problems(write(text))["p.genotypes.g"]


def test_a_variant_may_not_be_called_like_the_unit(write: Write, panel: Path) -> None:
    text = f"[p]\nunit = 'RS2986742'\n[p.genotypes.g]\nsource = '{panel}'\nvariants = 'public'\n"
    assert "named like the unit" in problems(write(text))["p.genotypes.g.source"]


def test_a_vcf_of_very_many_variants_has_no_columns_but_its_people(
    write: Write, panel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"[p]\nunit = 's'\n[p.genotypes.g]\nsource = '{panel}'\nvariants = 'public'\n"
    for most, columns in ((127, 128), (126, 1)):
        monkeypatch.setattr(genotypes, "MAX_VCF_VARIANTS", most)
        table = table_of(load(write(text)), "p", "g")
        assert len(table.columns) == columns
        assert table.genotypes is not None
        assert table.genotypes.in_sql == (columns == 128)
    assert table.genotypes.not_in_sql == "it has more than 126 variants"
    monkeypatch.setattr(genotypes, "MAX_VCF_BYTES", 10_000)
    table = table_of(load(write(text)), "p", "g")
    assert table.genotypes is not None
    assert table.genotypes.not_in_sql == "it is larger than 10,000 bytes"


@pytest.mark.parametrize(
    ("dataset", "column", "expected"),
    [
        ("", "", Type.INT),
        ("unit_type = 'str'", "", Type.STR),
        ("", "columns.U = { type = 'str' }", Type.STR),
        ("unit_type = 'int'", "columns.u = { type = 'int', title = 'who' }", Type.INT),
    ],
)
def test_the_unit_has_one_declared_type(write: Write, dataset: str, column: str, expected: Type) -> None:
    catalog = load(write(f"[d]\nunit = 'u'\n{dataset}\n[d.tables.t]\nsource = 't.csv'\n{column}\n"))
    assert catalog.datasets[0].unit_type is expected
    assert catalog.datasets[0].tables[0].columns[0].type is expected


def test_a_table_may_call_the_unit_otherwise(write: Write) -> None:
    catalog = load(write(D + "unit = 'who'\n"))
    table = table_of(catalog, "d", "t")
    assert table.unit == "who"
    assert [c.name for c in table.columns] == ["who"]


def test_a_public_table_has_public_columns_and_no_unit(write: Write) -> None:
    text = D + "public = true\ncolumns.a = { type = 'int' }\n"
    table = table_of(load(write(text)), "d", "t")
    assert table.public
    assert [(c.name, c.tier) for c in table.columns] == [("a", Tier.PUBLIC)]


def test_bounds_may_depend_on_a_bool_or_a_whole_number(write: Write) -> None:
    columns = """
columns.fasting = { type = "bool", tier = "clinical" }
columns.device = { type = "int", values = [1, 2], tier = "clinical" }
columns.a = { type = "int", tier = "clinical", by.fasting.true = { low = 0, high = 1 } }
columns.b = { type = "int", tier = "clinical", by.Device.2 = { low = 0, high = 1 } }
"""
    table = table_of(load(write(SMALL.format(columns=columns))), "d", "t")
    a, b = column_of(table, "a").by, column_of(table, "b").by
    assert a is not None
    assert b is not None
    assert (a.column, list(a.ranges)) == ("fasting", [True])
    assert (b.column, list(b.ranges)) == ("device", [2])


def test_a_population_has_the_largest_budget_of_its_datasets_or_its_own(write: Write) -> None:
    def dataset(name: str, budget: str) -> str:
        head = f"[{name}]\nunit = 'u'\npopulation = 'p'\nbudget = {budget}\n"
        return head + f"[{name}.tables.t]\nsource = 't.csv'\n"

    text = dataset("a", "{ epsilon = 2, delta = 1e-5 }") + dataset("b", "{ epsilon = 5, delta = 0 }")
    assert load(write(text)).populations == {"p": Budget(Fraction(5), Fraction(1, 10**5))}
    text += "[populations.p]\nbudget = { epsilon = 1 }\n"
    assert load(write(text)).populations == {"p": Budget(Fraction(1), Fraction(1, 10**6))}


def test_the_policy_of_a_tier_replaces_the_default(write: Write) -> None:
    text = SMALL.format(columns="") + "[policy.tiers]\nclinical = { max_epsilon = 0.7 }\n"
    tiers = load(write(text)).policy.tiers
    assert (tiers[Tier.CLINICAL].default_epsilon, tiers[Tier.CLINICAL].max_epsilon) == (
        Fraction(1, 4),
        Fraction(7, 10),
    )
    assert tiers[Tier.GENOMIC].max_epsilon == Fraction(1, 2)


def test_a_day_has_no_maximum_unless_one_is_given(write: Write) -> None:
    text = SMALL.format(columns="") + "[policy.tiers]\nclinical = { max_per_day = 0.7, weight = 1.5 }\n"
    tiers = load(write(text)).policy.tiers
    assert (tiers[Tier.CLINICAL].max_per_day, tiers[Tier.CLINICAL].weight) == (
        Fraction(7, 10),
        Fraction(3, 2),
    )
    assert (tiers[Tier.GENOMIC].max_per_day, tiers[Tier.GENOMIC].weight) == (None, Fraction(2))


def test_specificity_is_tuned_key_by_key(write: Write) -> None:
    text = SMALL.format(columns="") + "[policy.specificity]\nfree_conditions = 0\nper_bit = 0.25\n"
    found = load(write(text)).policy.specificity
    assert found == Specificity(free_conditions=0, per_bit=Fraction(1, 4))


def test_periods_of_datasets_alike_are_those_of_their_population(write: Write) -> None:
    def dataset(name: str, every: str) -> str:
        head = f"[{name}]\nunit = 'u'\npopulation = 'p'\nbudget = {{ epsilon = 1{every} }}\n"
        return f"{head}[{name}.tables.t]\nsource = 't.csv'\n"

    monthly = ", every = 'month'"
    same = load(write(dataset("a", monthly) + dataset("b", monthly)))
    assert same.populations["p"].every is same.datasets[0].budget.every is Every.MONTH
    for other in (", every = 'day'", ""):
        mixed = load(write(dataset("a", monthly) + dataset("b", other) + dataset("c", monthly)))
        assert mixed.populations["p"].every is None


@pytest.mark.parametrize("content", [b"[d", b"\xff\xfe", b"a = 1\na = 2", b"x = " + b"[" * 5000])
def test_what_is_not_toml_is_a_catalog_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "catalog.toml"
    path.write_bytes(content)
    with pytest.raises(CatalogError, match="not TOML"):
        load(path)


def test_a_missing_catalog_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="cannot be read: No such file"):
        load(tmp_path / "catalog.toml")


JUNK = [
    "",
    "x",
    "-1",
    "0",
    "1e400",
    "nan",
    "true",
    "[]",
    "[1, 'a', []]",
    "{}",
    "{ a = { b = 1 } }",
    "2020-01-01",
]
SHIPPED = Path(__file__).parents[2] / "catalog.toml"
KEYED = [
    n for n, line in enumerate(SHIPPED.read_text("utf-8").splitlines()) if " = " in line and line[0].islower()
]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.sampled_from(KEYED), junk=st.sampled_from(JUNK))
def test_no_value_anywhere_makes_the_loader_fail_otherwise(tmp_path: Path, line: int, junk: str) -> None:
    lines = SHIPPED.read_text("utf-8").replace('"data/', f'"{SHIPPED.parent}/data/').splitlines()
    key = lines[line].split(" = ")[0]
    lines[line] = f"{key} = {junk}"
    text = "\n".join(lines)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    path = tmp_path / "catalog.toml"
    path.write_text(text, "utf-8")
    try:
        load(path)
    except CatalogError as error:
        assert json.dumps(error.as_json())  # noqa: PT017  (some values are fine)
