"""The benchmark of genomes still runs, on a few people: what it says of speed is not looked at."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # the benchmarks are no part of the package

from bench import cpu, genomes, genomes_kernel, genomes_pipeline, rows  # noqa: E402

SMALL = genomes.Scale(quick=True, repeats=1, people=700, variants=16, splits=1)


def test_noise_is_compared_with_numpy_and_with_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(genomes_kernel, "NAIVE", (640, 8))
    found = genomes_kernel.rows(tmp_path, SMALL)
    assert [row.unit for row in found] == [genomes_kernel.UNIT] * 8
    assert [row.target for row in found[:3]] == ["≥ 12 Gbit/CPU-s", "≥ 100 ×", "≥ 0.8 ×"]
    assert all(row.ours for row in found[1:])
    assert all(row.met is None for row in found[4:])


def test_a_release_is_measured_stage_by_stage_and_extrapolated(tmp_path, monkeypatch):
    monkeypatch.setattr(genomes_pipeline, "BIOBANK", (900, 51_200))
    monkeypatch.setattr(genomes_pipeline, "WIDE", (512, 1_024))
    found = genomes_pipeline.rows(tmp_path, SMALL)
    assert [row.row.split(": ")[1] for row in found[1:5]] == list(genomes_pipeline.STAGES)
    memory = [row for row in found if "memory" in row.row]
    assert len(memory) == 2
    assert all(row.met in (True, False) for row in memory)
    extrapolated = [row for row in found if row.row.startswith("extrapolated to 900 × 51,200")]
    assert len(extrapolated) == len(genomes_pipeline.STAGES) + 2
    assert extrapolated[-1].ours == pytest.approx(2 * 900 * 51_200 / 8e9)
    assert extrapolated[0].note == "256 variants, and 199 × what 256 more took"
    assert rows.table(found).count("\n") == len(found) + 1


def test_a_section_that_is_none_is_refused():
    with pytest.raises(SystemExit, match="no section nonsense; there are kernel, pipeline"):
        genomes.run(quick=True, only=frozenset({"nonsense"}), say=print)


def test_works_are_run_in_turn_after_a_round_that_does_not_count():
    order = []
    found = cpu.in_turn(lambda: order.append("a"), lambda: order.append("b"), repeats=2)
    assert order == ["a", "b"] * 3
    assert [len(seconds) for seconds in found] == [2, 2]
    assert cpu.rates(6, [2.0, 0.0]) == [3.0, 6_000.0]
