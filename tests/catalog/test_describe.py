import json
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

from noisegate.catalog.describe import describe, describe_dataset
from noisegate.catalog.load import load
from noisegate.catalog.model import Budget, Specificity
from noisegate.engines.register import declaration

TEXT = """
[d]
title = "Trial"
unit = "person"
synthetic = true
budget = { epsilon = 0.5, delta = 0 }
[d.tables.visits]
source = "secret-folder/visits.parquet"
rows_per_unit = 4
columns.kind = { type = "str", values = ["a", "b"], tier = "clinical" }
columns.seen = { type = "date", values = [2020-01-31], tier = "clinical" }
columns.dose = { type = "float", step = 0.1, measured_in = "mg", tier = "clinical", BY }
columns.kin = { type = "int", low = 1, high = 77777, tier = "restricted", title = "a relative" }
[d.tables.codes]
source = "codes.csv"
public = true
columns.kind = { type = "str", nullable = false }
"""


def described(tmp_path: Path) -> dict[str, object]:
    path = tmp_path / "catalog.toml"
    path.write_text(TEXT.replace("BY", "by.kind.a = { low = 0, high = 2.5 }"), "utf-8")
    result = describe(load(path))
    assert json.loads(json.dumps(result)) == result  # JSON values only
    return result


def test_a_dataset_is_described_by_its_public_facts(tmp_path: Path) -> None:
    result = described(tmp_path)
    (dataset,) = result["datasets"]  # type: ignore[misc]
    visits, codes = dataset.pop("tables")
    assert dataset == {
        "name": "d",
        "title": "Trial",
        "population": "d",
        "unit": "person",
        "unit_type": "int",
        "budget": {"epsilon": 0.5, "delta": 0},
        "synthetic": True,
        "notes": "",
    }
    assert (visits["in_sql"], visits["rows_per_unit"], visits["groups_per_unit"]) == ("d.visits", 4, 4)
    assert (codes["public"], "unit" in codes) == (True, False)
    columns = {c["name"]: c for c in visits["columns"]}
    assert columns["seen"]["values"] == ["2020-01-31"]
    assert columns["dose"] == {
        "name": "dose",
        "type": "float",
        "tier": "clinical",
        "title": "",
        "measured_in": "mg",
        "nullable": True,
        "per_unit": False,
        "step": 0.1,
        "by": {"column": "kind", "ranges": [{"value": "a", "low": 0, "high": 2.5}]},
    }


def test_a_restricted_column_is_named_and_nothing_more(tmp_path: Path) -> None:
    result = described(tmp_path)
    columns = result["datasets"][0]["tables"][0]["columns"]  # type: ignore[index]
    assert columns[-1] == {"name": "kin", "tier": "restricted", "title": "a relative"}
    assert "77777" not in json.dumps(result)


def test_file_names_stay_with_the_custodian(tmp_path: Path) -> None:
    text = json.dumps(described(tmp_path))
    assert "secret-folder" not in text
    assert str(tmp_path) not in text


def test_populations_and_the_policy_are_described(tmp_path: Path) -> None:
    result = described(tmp_path)
    assert result["populations"] == {"d": {"epsilon": 0.5, "delta": 0}}
    tiers = result["policy"]["tiers"]  # type: ignore[index]
    assert tiers["genomic"] == {"default_epsilon": 0.1, "max_epsilon": 0.5, "max_per_day": None, "weight": 2}
    specificity = result["policy"]["specificity"]  # type: ignore[index]
    assert list(specificity) == [f.name for f in fields(Specificity)]
    assert (specificity["near"], specificity["free_bits"]) == (0.95, 8)


def test_a_period_is_described_where_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    text = TEXT.replace("BY", "by.kind.a = { low = 0, high = 2.5 }")
    path.write_text(text.replace("delta = 0 }", 'delta = 0, every = "month" }'), "utf-8")
    dataset = load(path).datasets[0]
    assert describe_dataset(dataset)["budget"] == {"epsilon": 0.5, "delta": 0, "every": "month"}
    assert declaration(dataset) == declaration(replace(dataset, budget=Budget(Fraction(1), Fraction(0))))


def test_one_dataset_can_be_described_alone(tmp_path: Path) -> None:
    result = described(tmp_path)
    dataset = load(tmp_path / "catalog.toml").datasets[0]
    assert describe_dataset(dataset) == result["datasets"][0]  # type: ignore[index]
