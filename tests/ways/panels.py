"""A house with real genomes and invented records: the shipped panel, its clinic, and people of elsewhere."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet
from starlette.testclient import TestClient

from noisegate.app import Gateway, open_gateway
from noisegate.config import Config
from noisegate.genotypes import vcf
from noisegate.server.http.app import build_app

from .door import BOSS, Door

ROOT = Path(__file__).parents[2]
PEOPLE, VARIANTS = 2_504, 127
BUDGET = "epsilon = 1000, delta = 1e-6"
CATALOG = f"""
[policy.tiers]
public      = {{ default_epsilon = 0.5, max_epsilon = 20 }}
demographic = {{ default_epsilon = 0.5, max_epsilon = 20 }}
clinical    = {{ default_epsilon = 0.5, max_epsilon = 20 }}
genomic     = {{ default_epsilon = 0.1, max_epsilon = 10, weight = 2 }}

[policy.specificity]
lock_after = 3

[populations.1000genomes]
budget = {{ {BUDGET} }}

[panel]
title = "1000 Genomes phase 3: ancestry-informative variants"
population = "1000genomes"
unit = "sample"
unit_type = "str"
budget = {{ {BUDGET} }}

[panel.tables.samples]
source = "{ROOT}/data/genomes/kg3_samples.csv"
rows_per_unit = 1
expected_units = 2500
columns.population      = {{ type = "str", tier = "demographic" }}
columns.superpopulation = {{ type = "str", tier = "demographic", nullable = false, values = ["AFR", "AMR", "EAS", "EUR", "SAS"] }}
columns.gender          = {{ type = "str", tier = "restricted" }}

[panel.genotypes.snps]
source = "{ROOT}/data/genomes/kg3_aisnps.vcf.gz"
variants = "public"
expected_units = 2500

[panel.genotypes.known]
source = "{ROOT}/data/genomes/kg3_aisnps.vcf.gz"
variants = "public"
public = true
expected_units = 2500

[clinic]
title = "SYNTHETIC clinical records"
synthetic = true
population = "1000genomes"
unit = "sample"
unit_type = "str"
budget = {{ {BUDGET} }}

[clinic.tables.patients]
source = "{ROOT}/data/synthetic/patients.parquet"
rows_per_unit = 1
columns.age = {{ type = "int", low = 18, high = 90, tier = "demographic", nullable = false }}
columns.sex = {{ type = "str", values = ["female", "male"], tier = "demographic", nullable = false }}

[clinic.tables.diagnoses]
source = "{ROOT}/data/synthetic/diagnoses.parquet"
rows_per_unit = 8
groups_per_unit = 6
most_rows_per_unit = 20
columns.condition = {{ type = "str", values = ["asthma", "diabetes", "eczema", "gallstones", "hypertension", "migraine"], tier = "clinical", nullable = false }}
columns.onset_day = {{ type = "int", low = -3650, high = 1825, tier = "clinical", nullable = false }}

[clinic.tables.words]
source = "words.csv"
public = true
max_rows = 10
columns.condition = {{ type = "str", values = ["asthma", "migraine"], nullable = false }}

[codes]
title = "Public words"
population = "nobody"
unit = "person"
unit_type = "str"
budget = {{ {BUDGET} }}

[codes.tables.words]
source = "codes.csv"
public = true
max_rows = 10
columns.superpopulation = {{ type = "str", values = ["AFR", "AMR", "EAS", "EUR", "SAS"], nullable = false }}

[abroad]
title = "People of elsewhere"
synthetic = true
population = "elsewhere"
unit = "person"
budget = {{ {BUDGET} }}

[abroad.tables.folk]
source = "folk.parquet"
rows_per_unit = 1
columns.age = {{ type = "int", low = 0, high = 100, tier = "demographic" }}
"""  # noqa: E501 - a line a column
MIGRAINE = "clinic.diagnoses WHERE condition = 'migraine'"


def build(home: Path, catalog: str = CATALOG) -> Config:
    """Write the house; return its settings."""
    home.mkdir(exist_ok=True)
    (home / "catalog.toml").write_text(catalog)
    (home / "codes.csv").write_text("superpopulation\nEUR\n")
    (home / "words.csv").write_text("condition\nmigraine\n")
    parquet.write_table(pa.table({"person": [1, 2, 3], "age": [30, 40, 50]}), home / "folk.parquet")
    return Config(catalog=home / "catalog.toml", state=home / "state", threads=2)


@contextmanager
def opened_panel(home: Path, catalog: str = CATALOG) -> Iterator[Gateway]:
    """Open the gateway of the house."""
    with open_gateway(build(home, catalog)) as gateway:
        yield gateway


@contextmanager
def panel_door(home: Path, catalog: str = CATALOG, padding_ms: int = 0) -> Iterator[Door]:
    """The application in front of the house, with a secret of each role, and of some with fewer grants."""
    with opened_panel(home, catalog) as gateway:

        def secret(name: str, role: str, datasets: list[str] | None = None) -> str:
            return str(gateway.create_token(BOSS, name, role, datasets, None)["secret"])

        secrets = {role: secret(f"the-{role}", role) for role in ("custodian", "auditor")}
        secrets |= {name: secret(name, "analyst") for name in ("ana", "bob", "eve", "auntie")}
        secrets["clinic only"] = secret("cli", "analyst", ["clinic"])
        secrets["panel only"] = secret("pan", "analyst", ["panel"])
        app = build_app(gateway, version="0", padding_ms=padding_ms, max_request_bytes=262_144)
        with TestClient(app, raise_server_exceptions=False) as http:
            yield Door(gateway, http, secrets)


@cache
def genotypes() -> tuple[tuple[str, ...], list[str], NDArray[np.int8]]:
    """The panel's people and variants, and their calls, int8 of shape (variants, people), -1 for missing."""
    found = vcf.read(ROOT / "data" / "genomes" / "kg3_aisnps.vcf.gz")
    return found.samples, [v.name for v in found.variants], found.calls


def table_of(variant: str, cases: set[str], among: set[str] | None = None) -> NDArray[np.int64]:
    """The exact table of a variant, int64 of shape (2, 3): a missing call is no counted allele."""
    samples, names, calls = genotypes()
    row = np.maximum(calls[names.index(variant)], 0)
    found = np.zeros((2, 3), np.int64)
    for name, call in zip(samples, row.tolist(), strict=True):
        if among is None or name in among:
            found[int(name in cases), call] += 1
    return found


def with_condition(condition: str) -> set[str]:
    """Who has a diagnosis."""
    rows = parquet.read_table(ROOT / "data" / "synthetic" / "diagnoses.parquet").to_pylist()
    return {row["sample"] for row in rows if row["condition"] == condition}


def of_superpopulation(word: str) -> set[str]:
    """Who is of a superpopulation."""
    with (ROOT / "data" / "genomes" / "kg3_samples.csv").open() as lines:
        return {row["sample"] for row in csv.DictReader(lines) if row["superpopulation"] == word}
