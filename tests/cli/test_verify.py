"""`noisegate genomes verify`: findings against the folder of a published copy, and against a release."""

from pathlib import Path

import numpy as np
import pytest

from noisegate.cli.local_verifications import check_of
from noisegate.errors import BadInput
from noisegate.genomics import share
from noisegate.genomics.verifying.statistic import Test, p_values
from noisegate.genotypes.packed import pack
from noisegate.genotypes.store import Writer
from noisegate.genotypes.variants import Variants

from .conftest import Command

PEOPLE, VARIANTS = 60, 300
CATALOG = """
[cohort]
title = "Made-up genomes"
synthetic = true
population = "made-up"
unit = "sample"
budget = { epsilon = 5000, delta = 1e-5 }

[cohort.genotypes.snps]
source = "cases.zarr"
variants = "public"
expected_units = 60

[cohort.genotypes.panel]
source = "controls.zarr"
variants = "public"
public = true
expected_units = 60
"""


@pytest.fixture
def study(cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Cases that differ from public controls at a fifth of the variants; what was found, and made up."""
    monkeypatch.setattr(share, "report", lambda *_: ())
    rng = np.random.default_rng(8)
    base = rng.uniform(0.2, 0.5, VARIANTS)
    raised = np.where(np.arange(VARIANTS) % 5 == 0, np.minimum(base + 0.3, 0.9), base)
    counts = []
    for name, shares in (("cases", raised), ("controls", base)):
        calls = rng.binomial(2, shares[:, None], (VARIANTS, PEOPLE)).astype(np.int8)
        counts.append(np.stack([(calls == g).sum(axis=1) for g in range(3)], axis=1))
        listed = Variants.of(
            ["1"] * VARIANTS,
            range(1, VARIANTS + 1),
            [f"rs{i}" for i in range(VARIANTS)],
            ["A"] * VARIANTS,
            ["G"] * VARIANTS,
        )
        writer = Writer.create(
            tmp_path / f"{name}.zarr",
            samples=[f"{name}{i}" for i in range(PEOPLE)],
            variants=listed,
            public=True,
        )
        for chunk in writer.chunks():
            writer.write(chunk, pack(calls[slice(*writer.bounds(chunk))]))
        writer.finish()
    p = p_values(Test.CHI2, *counts)
    order = np.argsort(p)
    for file, places in (("honest", order[:30]), ("made-up", order[-30:])):
        rows = [f"rs{place},{value:.3g}" for place, value in zip(places, p[order[:30]], strict=True)]
        (tmp_path / f"{file}.csv").write_text("\n".join(["variant,p", *rows, ""]))
    (tmp_path / "catalog.toml").write_text(CATALOG)
    return cli


def test_honest_findings_pass_and_made_up_ones_do_not_against_a_published_copy(
    study: Command, tmp_path: Path
) -> None:
    made = study(
        *("genomes", "share", "cases.zarr", "--as-published", "--epsilon", "2"),
        *("--reference", "controls.zarr", "--restore", "private", "--out", "copy", "--json"),
    )
    assert made.code == 0, made.err
    asked = ("--release", "copy", "--reference", "controls.zarr", "--draws", "200")
    good = study("genomes", "verify", "honest.csv", *asked, "--json", "--require", "consistent")
    assert (good.code, good.json["verdict"]) == (0, "consistent"), good.json["reason"]
    bad = study("genomes", "verify", "made-up.csv", *asked, "--page", "verdict.html")
    assert bad.code == 0, bad.err
    assert bad.out.startswith("not consistent\n")
    assert "made up, yet passes" in bad.out
    assert "not consistent</span>" in (tmp_path / "verdict.html").read_text()
    required = study("genomes", "verify", "made-up.csv", *asked, "--require", "consistent", "--json")
    assert (required.code, required.json["verdict"]) == (3, "not consistent")


def test_findings_are_held_against_a_release_by_its_id(study: Command) -> None:
    made = study("genomes", "share", "cohort.snps", "-m", "response", "-e", "1200", "--yes", "--json")
    assert made.code == 0, made.err
    asked = ("--release", made.json["id"], "--reference", "cohort.panel", "--draws", "200", "--json")
    verdicts = [study("genomes", "verify", f"{name}.csv", *asked).json for name in ("honest", "made-up")]
    assert [v["verdict"] for v in verdicts] == ["consistent", "not consistent"], [
        v["reason"] for v in verdicts
    ]
    again = study("genomes", "verify", "honest.csv", *asked).json
    assert again == verdicts[0]


def test_nonsense_is_refused_with_a_hint(study: Command, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("variant,p\n")
    release = ("--release", "cohort-1")
    panel = ("--reference", "cohort.panel")
    for argv in (
        ("honest.csv", *panel),
        ("honest.csv", *panel, *release, "--genotypes", "cohort.snps", "--cases", "cohort.people"),
        ("honest.csv", *panel, "--genotypes", "cohort.snps"),
        ("honest.csv", *panel, *release),
        ("honest.csv", *panel, *release, "--test", "magic"),
        ("honest.csv", *panel, *release, "--draws", "3"),
        ("honest.csv", *panel, *release, "--beta", "0.7"),
        ("honest.csv", *panel, *release, "--require", "true"),
        ("empty.csv", *panel, *release),
        ("nothing.csv", *panel, *release),
        ("honest.csv", "--release", "cases.zarr", "--reference", "controls.zarr"),
    ):
        done = study("genomes", "verify", *argv, "--json")
        assert (done.code, done.out) == (2, ""), (argv, done.err)
        assert done.error["message"]


def test_a_word_that_is_none_is_refused_in_process_too() -> None:
    rows = [{"variant": "rs1", "p": "0.01"}]
    with pytest.raises(BadInput, match="verified so"):
        check_of(rows, "cohort.panel", {"release": "cohort-1", "nonsense": 1})
    check = check_of(
        rows, "cohort.panel", {"genotypes": "a.b", "cases": "c.d", "epsilon": "0.5", "among": None}
    )
    assert check.association is not None
    assert float(check.association.epsilon or 0) == 0.5
