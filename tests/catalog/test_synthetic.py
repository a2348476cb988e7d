"""data/synthetic is what tools/make_synthetic.py makes, and shows the effects it says."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "data" / "synthetic"


@pytest.fixture(scope="module")
def maker() -> Iterator[ModuleType]:
    pytest.importorskip("cyvcf2")
    spec = importlib.util.spec_from_file_location("make_synthetic", ROOT / "tools" / "make_synthetic.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def people(maker: ModuleType) -> object:
    return maker.People(ROOT / "data" / "genomes")


@pytest.fixture(scope="module")
def made(maker: ModuleType, people: object) -> dict[str, pa.Table]:
    tables: dict[str, pa.Table] = maker.make(people)
    return tables


@pytest.mark.parametrize("name", ["patients", "diagnoses", "labs"])
def test_the_files_are_what_the_script_makes(made: dict[str, pa.Table], name: str) -> None:
    stored = pq.read_table(FOLDER / f"{name}.parquet")
    assert stored.equals(made[name])
    assert b"invented" in stored.schema.metadata[b"noisegate.synthetic"]


def test_the_files_are_small() -> None:
    assert sum(f.stat().st_size for f in FOLDER.glob("*.parquet")) < 2**20


def share_with(table: pa.Table, condition: str, samples: tuple[str, ...], alleles: list[int]) -> list[float]:
    """Return the share of people with a diagnosis, by number of alternate alleles."""
    rows = zip(table["sample"].to_pylist(), table["condition"].to_pylist(), strict=True)
    having = {sample for sample, name in rows if name == condition}
    ill = np.array([s in having for s in samples])
    return [float(ill[np.array(alleles) == copies].mean()) for copies in (0, 1, 2)]


@pytest.mark.parametrize(
    ("condition", "variant"),
    [("migraine", "rs4798812"), ("gallstones", "rs946918"), ("diabetes", "rs881728")],
)
def test_carriers_of_a_chosen_variant_show_more_of_its_condition(
    made: dict[str, pa.Table], people: object, condition: str, variant: str
) -> None:
    none, one, two = share_with(made["diagnoses"], condition, people.samples, people.alleles[variant])  # type: ignore[attr-defined]
    assert none * 1.3 < one
    assert one * 1.3 < two


@pytest.mark.parametrize("condition", ["asthma", "eczema"])
def test_the_controls_depend_on_no_variant(made: dict[str, pa.Table], people: object, condition: str) -> None:
    for alleles in people.alleles.values():  # type: ignore[attr-defined]
        none, one, _ = share_with(made["diagnoses"], condition, people.samples, alleles)  # type: ignore[attr-defined]
        assert abs(none - one) < 0.035


def test_the_readme_states_what_is_there(made: dict[str, pa.Table], people: object) -> None:
    text = (FOLDER / "README.md").read_text("utf-8")
    assert "SYNTHETIC" in text
    for name, table in made.items():
        assert f"| {name}.parquet | {table.num_rows:,}" in text
    assert f"{made['labs']['value'].null_count} of them NULL" in text
    shares = share_with(made["diagnoses"], "migraine", people.samples, people.alleles["rs4798812"])  # type: ignore[attr-defined]
    stated = re.search(r"found in (\d+)% .*?, (\d+)% with one and (\d+)% with two", text, re.S)
    assert stated is not None
    assert [abs(int(s) - 100 * share) < 1 for s, share in zip(stated.groups(), shares, strict=True)] == [
        True
    ] * 3
