"""`noisegate genomes kinship` and `identify` over stores and releases."""

from pathlib import Path

import numpy as np
import pytest

from noisegate.genomics import share
from noisegate.genotypes.packed import pack
from noisegate.genotypes.store import Writer
from noisegate.genotypes.variants import Variants

from .conftest import Command

PEOPLE, VARIANTS, CONTROLS = 12, 400, 150
CATALOG = """
[cohort]
title = "Made-up genomes"
synthetic = true
population = "made-up"
unit = "sample"
budget = { epsilon = 5000, delta = 1e-5 }

[cohort.genotypes.snps]
source = "cohort.zarr"
variants = "public"
expected_units = 12
"""


def write(home: Path, name: str, calls: np.ndarray) -> None:
    count, people = calls.shape
    listed = Variants.of(
        ["1"] * count, range(1, count + 1), [f"rs{i}" for i in range(count)], ["A"] * count, ["G"] * count
    )
    writer = Writer.create(
        home / f"{name}.zarr", samples=[f"{name}{i}" for i in range(people)], variants=listed
    )
    for chunk in writer.chunks():
        writer.write(chunk, pack(np.ascontiguousarray(calls[slice(*writer.bounds(chunk))], np.int8)))
    writer.finish()


@pytest.fixture
def stores(cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """A cohort in which 2 and 3 are one person, outsiders, and two probes: person 5 and a stranger."""
    monkeypatch.setattr(share, "report", lambda *_: ())
    rng = np.random.default_rng(3)
    share_of = rng.uniform(0.2, 0.5, (VARIANTS, 1))
    calls = rng.binomial(2, share_of, (VARIANTS, PEOPLE + CONTROLS + 1))
    calls[:, 3] = calls[:, 2]
    write(tmp_path, "cohort", calls[:, :PEOPLE])
    write(tmp_path, "controls", calls[:, PEOPLE:-1])
    write(tmp_path, "probe", calls[:, [5, -1]])
    (tmp_path / "catalog.toml").write_text(CATALOG)
    return cli


def test_duplicates_are_listed_written_and_left_out(stores: Command, tmp_path: Path) -> None:
    done = stores("genomes", "kinship", "cohort.zarr", "--degree", "0")
    assert done.code == 0, done.err
    assert "for the custodian alone" in done.out
    assert "cohort2" in done.out
    found = stores(
        "genomes", "kinship", "cohort.zarr", "--degree", "0", "--unrelated", "keep.txt", "--json"
    ).json
    assert found["related"] == [
        {"first": "cohort2", "second": "cohort3", "kinship": 0.5, "degree": "duplicates, or identical twins"}
    ]
    assert (found["families"], found["in_families"], found["unrelated"]) == (1, 2, PEOPLE - 1)
    kept = (tmp_path / "keep.txt").read_text().split()
    assert len(kept) == PEOPLE - 1
    assert ("cohort2" in kept) != ("cohort3" in kept)
    assert stores("genomes", "kinship", "cohort.zarr", "--all", "--out", "pairs.tsv", "--json").code == 0
    lines = (tmp_path / "pairs.tsv").read_text().splitlines()
    assert lines[0] == "#IID1\tIID2\tNSNP\tHETHET\tIBS0\tKINSHIP"
    assert len(lines) == 1 + PEOPLE * (PEOPLE - 1) // 2
    assert any(line.startswith("cohort3\tcohort2\t400\t") and line.endswith("\t0\t0.5") for line in lines)


def test_few_variants_say_what_is_there_by_chance(stores: Command) -> None:
    assert "would be by chance" in stores("genomes", "kinship", "cohort.zarr").out


def test_a_person_is_found_in_a_store_and_a_stranger_is_not(stores: Command) -> None:
    asked = ("genomes", "identify", "probe.zarr", "--in", "cohort.zarr", "--controls", "controls.zarr")
    found = stores(*asked, "--json").json
    assert next((p["presence"], p["nearest"]) for p in found["people"]) == ("in it", "cohort5")
    assert found["people"][1]["presence"] == "not in it"
    assert found["wrongly_named"]["value"] == 0
    shown = stores(*asked).out
    assert "who consented" in shown
    assert "Of 150 controls 0.00% are named" in shown


def test_a_person_is_found_in_a_release_by_its_id_with_its_misses(stores: Command) -> None:
    made = stores("genomes", "share", "cohort.snps", "-m", "response", "-e", "900", "--yes", "--json")
    assert made.code == 0, made.err
    asked = ("genomes", "identify", "probe.zarr", "--in", made.json["id"], "--controls", "controls.zarr")
    found = stores(*asked, "--json").json
    assert found["noisy"]
    assert found["judged_by"] == "distance"
    assert (found["people"][0]["presence"], found["people"][0]["nearest"]) == ("in it", 6)
    # Of twelve members none is missed; that is too few to say that somebody is not in it.
    assert found["missed"]["value"] == 0
    assert found["people"][1]["presence"] == "cannot tell"


def test_nonsense_is_refused(stores: Command) -> None:
    here = ("--in", "cohort.zarr", "--controls", "controls.zarr")
    for argv in (
        ("kinship", "nothing.zarr"),
        ("kinship", "cohort.zarr", "--all"),
        ("kinship", "cohort.zarr", "--degree", "4"),
        ("identify", "probe.zarr", *here, "--level", "1"),
        ("identify", "nothing.zarr", *here),
        ("identify", "probe.zarr", "--in", "cohort-9", "--controls", "controls.zarr"),
    ):
        done = stores("genomes", *argv, "--json")
        assert (done.code, done.out) == (2, ""), argv
        assert done.error["message"]
