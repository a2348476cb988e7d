"""docs/reference/catalog.md and the loader agree."""

import re
from dataclasses import fields
from enum import Enum
from fractions import Fraction
from pathlib import Path

import pytest

from noisegate.catalog.genotypes import MAX_VARIANTS, MAX_VCF_VARIANTS
from noisegate.catalog.keys import KEYS, Part, shown
from noisegate.catalog.load import MAX_CONTRIBUTION, MAX_WEIGHT, load
from noisegate.catalog.model import Every, Specificity, Tier
from noisegate.privacy.expressions import Type

TEXT = (Path(__file__).parents[2] / "docs" / "reference" / "catalog.md").read_text("utf-8")
EVERYTHING = """
[d]
unit = "u"
[d.tables.t]
source = "t.csv"
columns.x = { type = "int", tier = "clinical" }
[d.genotypes.g]
source = "PANEL"
variants = "public"
"""


def rows(part: Part) -> dict[str, tuple[str, str]]:
    """Return the documented keys of a part, each with its default and its meaning."""
    (section,) = re.findall(rf"^## {re.escape(part.value)}\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)
    found = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", section, re.M)
    assert len({key for key, _, _ in found}) == len(found)
    return {key: (default, meaning) for key, default, meaning in found}


@pytest.mark.parametrize("part", list(Part))
def test_every_key_is_explained_and_nothing_else(part: Part) -> None:
    documented = rows(part)
    assert tuple(documented) == KEYS[part]
    assert all(default and meaning.endswith(".") for default, meaning in documented.values())


def test_the_defaults_are_those_of_the_loader(tmp_path: Path) -> None:
    panel = Path(__file__).parents[2] / "data" / "genomes" / "kg3_aisnps.vcf.gz"
    path = tmp_path / "catalog.toml"
    path.write_text(EVERYTHING.replace("PANEL", str(panel)), "utf-8")
    catalog = load(path)
    (dataset,) = catalog.datasets
    table = dataset.tables[0]
    x = table.columns[1]
    budget = rows(Part.BUDGET)
    assert budget["epsilon"][0] == f"`{shown(dataset.budget.epsilon)}`"
    assert float(budget["delta"][0].strip("`")) == float(dataset.budget.delta)
    assert (dataset.population, dataset.unit_type, dataset.synthetic) == ("d", Type.STR, False)
    assert rows(Part.DATASET)["synthetic"][0] == "`false`"
    documented = rows(Part.TABLE)
    assert documented["rows_per_unit"][0] == f"`{table.rows_per_unit}`"
    assert documented["max_rows"][0] == f"`{table.max_rows}`"
    assert (table.groups_per_unit, table.expected_units, table.unit) == (None, None, "u")
    assert f"At most {MAX_CONTRIBUTION:,}." in documented["rows_per_unit"][1]
    documented = rows(Part.COLUMN)
    assert documented["step"][0] == f"`{shown(x.step)}`"
    assert documented["nullable"][0] == f"`{str(x.nullable).lower()}`"
    assert documented["per_unit"][0] == f"`{str(x.per_unit).lower()}`"
    assert f'tier` (default `"{table.columns[0].tier.value}"`)' in TEXT
    assert f"at most {MAX_VARIANTS:,} variants" in TEXT
    assert f"at most {MAX_VCF_VARIANTS:,} of a VCF" in TEXT
    tiers = catalog.policy.tiers
    for key, numbers in (
        ("default_epsilon", {t: p.default_epsilon for t, p in tiers.items()}),
        ("max_epsilon", {t: p.max_epsilon for t, p in tiers.items()}),
    ):
        expected = (
            f"public and demographic `{shown(numbers[Tier.PUBLIC])}`, "
            f"clinical `{shown(numbers[Tier.CLINICAL])}`, genomic `{shown(numbers[Tier.GENOMIC])}`"
        )
        assert numbers[Tier.PUBLIC] == numbers[Tier.DEMOGRAPHIC]
        assert rows(Part.TIER)[key][0] == expected
    weights = {t: p.weight for t, p in tiers.items()}
    assert rows(Part.TIER)["weight"][0] == "public, demographic and clinical `1`, genomic `2`"
    assert weights.pop(Tier.GENOMIC) == 2
    assert set(weights.values()) == {1}
    assert {p.max_per_day for p in tiers.values()} == {None}
    assert f"1 to {MAX_WEIGHT}" in rows(Part.TIER)["weight"][1]


def test_the_defaults_of_specificity_are_those_of_the_code() -> None:
    documented = {key: default.strip("`") for key, (default, _) in rows(Part.SPECIFICITY).items()}
    assert documented == {
        f.name: shown(Fraction(getattr(Specificity(), f.name))) for f in fields(Specificity)
    }


@pytest.mark.parametrize(
    ("part", "key", "words"),
    [(Part.COLUMN, "type", Type), (Part.COLUMN, "tier", Tier), (Part.BUDGET, "every", Every)],
)
def test_every_word_of_a_key_is_listed(part: Part, key: str, words: type[Enum]) -> None:
    meaning = rows(part)[key][1]
    assert re.findall(r'`"(\w+)"`', meaning) == [word.value for word in words]


def test_the_examples_load(tmp_path: Path) -> None:
    examples = re.findall(r"^```toml\n(.*?)^```", TEXT, re.M | re.S)
    assert examples
    for example in examples:
        (tmp_path / "catalog.toml").write_text(example, "utf-8")
        load(tmp_path / "catalog.toml")
