"""The benchmark of association studies still runs, on a small one: what it says of speed is not looked at."""

import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # the benchmarks are no part of the package

from bench import gwas, gwas_data, gwas_private  # noqa: E402

SMALL = gwas.Scale(quick=True, people=300, variants=400, repeats=1)
needs_plink = pytest.mark.skipif(
    not (shutil.which("plink1.9") and shutil.which("plink2")), reason="plink1.9 and plink2 are not installed"
)


@needs_plink
def test_studies_are_measured_beside_plink_and_agree_with_it(tmp_path, monkeypatch):
    monkeypatch.setattr(gwas_data, "SEGMENT", 1_000_000)
    monkeypatch.setattr(gwas, "_fresh", lambda _: [])  # a process of its own each, which the real run has
    monkeypatch.setattr(gwas, "HERE", tmp_path)  # without sgkit's environment
    found = {row.row: row for row in gwas._studies(tmp_path, SMALL, {})}
    assert found["allelic and trend, 300 × 400: plink 1.9"].target == "≥ 4 × faster"
    assert "not installed" in found["linear, 3 covariates, 300 × 400: sgkit"].note
    apart = [row for name, row in found.items() if name.startswith("agreement") and row.met is not None]
    assert len(apart) == 6
    assert all(row.met for row in apart)


def test_noisy_tables_are_judged_and_found_again(monkeypatch):
    monkeypatch.setattr(gwas_private, "NULLS", (400, 400))
    monkeypatch.setattr(gwas_private, "REAL", 100)
    found = gwas_private.rows(quick=True)
    assert all(row.ours > 0 for row in found if row.unit == "variants/CPU-s")
    power = [row.ours for row in found if row.row.startswith("found at")]
    assert power == sorted(power[:3]) + sorted(power[3:])  # more ε finds more
