"""`noisegate genomes gwas`: from files to tables, plots and a page, on the custodian's side."""

import csv
import errno
import fcntl
import json
from pathlib import Path

import numpy as np
import pytest

from noisegate.genomics.gwas import conduct, report
from noisegate.genomics.gwas.conduct import LOCK
from noisegate.genotypes.packed import pack
from noisegate.genotypes.store import Writer
from noisegate.genotypes.variants import Variants

from .conftest import Command

PEOPLE, VARIANTS, CAUSAL = 300, 400, 123
CATALOG = f"""
[cohort]
title = "Made-up genomes"
synthetic = true
population = "made-up"
unit = "sample"
budget = {{ epsilon = 5, delta = 1e-5 }}

[cohort.genotypes.snps]
source = "cohort.zarr"
variants = "public"
expected_units = {PEOPLE}
"""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take longer than all else."""
    monkeypatch.setattr(report, "write_pictures", lambda *_: [])


@pytest.fixture
def study(cli: Command, tmp_path: Path) -> Command:
    """A directory with a store, traits and covariates: one variant matters to both traits."""
    draw = np.random.default_rng(8)
    calls = draw.binomial(2, draw.uniform(0.1, 0.9, (VARIANTS, 1)), (VARIANTS, PEOPLE)).astype(np.int8)
    calls[CAUSAL] = draw.binomial(2, 0.4, PEOPLE)
    calls[7, :40] = -1
    listed = Variants.of(
        [str(1 + i // 100) for i in range(VARIANTS)],
        [1_000_000 + 20_000 * (i % 100) for i in range(VARIANTS)],
        [f"rs{i}" for i in range(VARIANTS)],
        ["A"] * VARIANTS,
        ["G"] * VARIANTS,
    )
    for name, public in (("cohort.zarr", False), ("public.zarr", True)):
        writer = Writer.create(
            tmp_path / name, samples=[f"s{i}" for i in range(PEOPLE)], variants=listed, public=public
        )
        for chunk in writer.chunks():
            writer.write(chunk, pack(calls[slice(*writer.bounds(chunk))]))
        writer.finish()
    level = calls[CAUSAL] + draw.standard_normal(PEOPLE)
    lines = [f"s{i}\t{1 + (v > 0.8)}\t{v:.5f}\t{'ill' if v > 0.8 else 'well'}" for i, v in enumerate(level)]
    lines.append("stranger\t2\t1.5\till")
    (tmp_path / "traits.txt").write_text("\n".join(["#IID\tsick\tlevel\tword", *lines]) + "\n")
    ages = [f"s{i} s{i} {50 + i % 7} {i % 2}" for i in range(PEOPLE - 5)]
    (tmp_path / "covar.txt").write_text("\n".join(["FID IID age sex", *ages]) + "\n")
    return cli


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_a_study_leaves_tables_plots_and_a_page(study: Command, tmp_path: Path) -> None:
    done = study(
        "genomes", "gwas", "cohort.zarr", "--pheno", "traits.txt", "--pheno-name", "sick", "--out", "study"
    )
    assert done.code == 0, done.err
    assert "300 people" in done.out
    assert "rs123" in done.out
    assert "for the custodian alone" in done.out
    out = tmp_path / "study"
    assert sorted(f.name for f in out.iterdir()) == [
        "allelic.manhattan.png",
        "allelic.qq.png",
        "assoc.tsv",
        "report.html",
        "summary.json",
        "trend.manhattan.png",
        "trend.qq.png",
    ]
    assert out.stat().st_mode & 0o777 == 0o700
    assert not list(tmp_path.glob("*.partial"))
    table = rows(out / "assoc.tsv")
    assert len(table) == VARIANTS
    assert min(table, key=lambda row: float(row["p_trend"]))["id"] == f"rs{CAUSAL}"
    page = (out / "report.html").read_text()
    assert "For the custodian only" in page
    assert "lists 301 people, 300 of them in the genotypes" in page
    summary = json.loads((out / "summary.json").read_text())
    assert sorted(summary["files"]) == sorted(f.name for f in out.iterdir())
    assert summary["tests"][0]["strongest"][0]["variant"] == f"rs{CAUSAL}"


@pytest.mark.usefixtures("quick")
def test_json_alone_is_on_stdout(study: Command) -> None:
    done = study(
        *("genomes", "gwas", "public.zarr", "--pheno", "traits.txt", "--pheno-name", "level"),
        *("--out", "study", "--json"),
    )
    assert done.code == 0, done.err
    found = done.json
    assert (found["people"], found["cases"], found["kept"], found["public"]) == (PEOPLE, None, VARIANTS, True)
    assert [t["name"] for t in found["tests"]] == ["linear"]
    assert found["tables"][0]["top"][0]["id"] == f"rs{CAUSAL}"
    assert found["folder"] == "study"


@pytest.mark.usefixtures("quick")
def test_everything_can_be_asked_for_at_once(study: Command, tmp_path: Path) -> None:
    done = study(
        *(
            "genomes",
            "gwas",
            "cohort.zarr",
            "--pheno",
            "traits.txt",
            "--pheno-name",
            "sick",
            "--out",
            "study",
        ),
        *("--test", "allelic, trend,genotypic,dominant,recessive,fisher,fisher_genotypic", "--linear"),
        *("--logistic", "wald", "--screen", "0.2", "--covar", "covar.txt", "--covar-name", "age"),
        *("--components", "3", "--maf", "0.12", "--geno", "0.05", "--mind", "0.2", "--hwe", "1e-9"),
        *("--quality", "--parquet", "--threads", "2", "--json"),
    )
    assert done.code == 0, done.err
    out, found = tmp_path / "study", done.json
    assert {f.name for f in out.glob("*.parquet")} == {
        f"{n}.parquet" for n in ("assoc", "linear", "logistic", "quality")
    }
    assert found["dropped"]["missing"] == 1
    assert found["dropped"]["rare"] > 0
    assert len(rows(out / "assoc.tsv")) == found["kept"] == VARIANTS - sum(found["dropped"].values())
    assert {row["people"] for row in rows(out / "linear.tsv")} == {str(PEOPLE - 5)}
    notes = {row["note"] for row in rows(out / "logistic.tsv")}
    assert len(notes) > 1
    people = rows(out / "components.tsv")
    assert [row["#IID"] for row in people] == [f"s{i}" for i in range(PEOPLE)]
    assert [row["PC1"] == "NA" for row in people].count(True) == 5
    assert "age, PC1, PC2, PC3" in (out / "report.html").read_text()


@pytest.mark.usefixtures("quick")
def test_components_of_one_study_are_covariates_of_another(study: Command, tmp_path: Path) -> None:
    common = ("genomes", "gwas", "cohort.zarr", "--pheno", "traits.txt", "--pheno-name", "level")
    assert study(*common, "--components", "2", "--out", "one").code == 0
    assert study(*common, "--covar", "one/components.tsv", "--out", "two").code == 0
    one, two = (rows(tmp_path / name / "linear.tsv") for name in ("one", "two"))
    for a, b in zip(one, two, strict=True):
        assert float(a["t"]) == pytest.approx(float(b["t"]), rel=1e-4, abs=1e-5)


@pytest.mark.usefixtures("quick")
def test_words_make_cases_and_codings_are_obeyed(study: Command) -> None:
    common = ("genomes", "gwas", "cohort.zarr", "--pheno", "traits.txt", "--json", "--pheno-name")
    coded = study(*common, "sick", "--out", "a").json
    words = study(*common, "word", "--case", "ill", "--out", "b").json
    assert coded["tests"] == words["tests"]
    number = study(*common, "sick", "--coding", "number", "--out", "c").json
    assert number["cases"] is None


@pytest.mark.usefixtures("quick")
def test_registered_genotypes_are_named_as_in_the_catalog(study: Command, tmp_path: Path) -> None:
    (tmp_path / "catalog.toml").write_text(CATALOG)
    common = (
        "genomes",
        "gwas",
        "cohort.snps",
        "--pheno",
        "traits.txt",
        "--pheno-name",
        "sick",
        "--out",
        "study",
    )
    before = study(*common)
    assert before.code == 2
    assert "no genotypes 'cohort.snps'" in before.err
    assert study("catalog", "register", "cohort").code == 0
    assert study("catalog", "register", "cohort").code == 0
    done = study(*common, "--json")
    assert done.code == 0, done.err
    assert done.json["source"] == "cohort.snps"


@pytest.mark.usefixtures("quick")
def test_a_folder_that_is_there_stays_as_it_is(study: Command, tmp_path: Path) -> None:
    common = (
        "genomes",
        "gwas",
        "cohort.zarr",
        "--pheno",
        "traits.txt",
        "--pheno-name",
        "sick",
        "--out",
        "study",
    )
    assert study(*common).code == 0
    before = {f.name: f.read_bytes() for f in (tmp_path / "study").iterdir()}
    refused = study(*common)
    assert refused.code == 2
    assert "study exists already" in refused.err
    assert {f.name: f.read_bytes() for f in (tmp_path / "study").iterdir()} == before


@pytest.mark.usefixtures("quick")
def test_what_a_killed_run_left_is_written_over_but_not_what_another_writes(
    study: Command, tmp_path: Path
) -> None:
    common = (
        "genomes",
        "gwas",
        "cohort.zarr",
        "--pheno",
        "traits.txt",
        "--pheno-name",
        "sick",
        "--out",
        "study",
    )
    left = tmp_path / "study.partial"
    left.mkdir()
    (left / "assoc.tsv").write_text("half a table")
    foreign = study(*common)
    assert foreign.code == 2
    assert "no study's" in foreign.err
    with (left / LOCK).open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = study(*common)
        assert refused.code == 2
        assert "another run" in refused.err
        assert (left / "assoc.tsv").read_text() == "half a table"
    assert study(*common).code == 0
    assert len(rows(tmp_path / "study" / "assoc.tsv")) == VARIANTS
    assert not left.exists()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--pheno-name", "sick", "--test", "magic"), "'magic' is none of allelic"),
        (("--pheno-name", "sick", "--logistic", "magic"), "'magic' is none of wald"),
        (("--pheno-name", "sick", "--coding", "2/1"), "'2/1' is none of"),
        (("--pheno-name", "level", "--logistic", "wald"), "has no cases and controls"),
        (("--pheno-name", "level", "--test", "trend"), "has no cases and controls"),
        (("--pheno-name", "absent"), "there is no column absent"),
        ((), "3 columns of values"),
        (("--pheno-name", "sick", "--covar-name", "age"), "no file of covariates"),
        (("--pheno-name", "sick", "--test", "trend", "--covar", "covar.txt"), "adjust for no covariates"),
        (("--pheno-name", "sick", "--screen", "0.1"), "only a logistic regression"),
        (("--pheno-name", "sick", "--maf", "0.7"), "between 0 and 0.5"),
        (("--pheno-name", "sick", "--mind", "2"), "not between 0 and 1"),
        (("--pheno-name", "sick", "--components", "99"), "between 0 and 50"),
        (("--pheno-name", "sick", "--test", "trend,trend"), "once each"),
    ],
)
def test_what_does_not_go_together_is_refused_and_nothing_is_left(
    study: Command, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    done = study(
        "genomes", "gwas", "cohort.zarr", "--pheno", "traits.txt", "--out", "study", *options, "--json"
    )
    assert done.code == 2, done.err
    assert said in done.error["message"]
    assert done.out == ""
    assert not list(tmp_path.glob("study*"))


@pytest.mark.usefixtures("quick")
def test_variants_of_which_people_have_one_copy_are_told_of(study: Command, tmp_path: Path) -> None:
    listed = Variants.of(["1", "X", "X", "Y", "MT"], [5] * 5, list("abcde"), ["A"] * 5, ["G"] * 5)
    writer = Writer.create(tmp_path / "sex.zarr", samples=[f"s{i}" for i in range(PEOPLE)], variants=listed)
    calls = 2 * np.random.default_rng(2).binomial(1, 0.4, (5, PEOPLE)).astype(np.int8)
    for chunk in writer.chunks():
        writer.write(chunk, pack(calls[slice(*writer.bounds(chunk))]))
    writer.finish()
    common = ("--pheno", "traits.txt", "--pheno-name")
    done = study("genomes", "gwas", "sex.zarr", *common, "sick", "--hwe", "0.001", "--out", "study")
    assert done.code == 0, done.err
    x, once = (line for line in done.out.splitlines() if line.startswith("variants on"))
    assert x.startswith("variants on X: 2; ")
    assert "tests of alleles are NA" in x
    assert once.startswith("variants on Y and MT: 2; one copy counts once")
    # The law leaves out a variant of two copies without a heterozygote, and no other.
    tested = rows(tmp_path / "study" / "assoc.tsv")
    assert [row["id"] for row in tested] == ["b", "c", "d", "e"]
    assert [row["p_allelic"] == "NA" for row in tested] == [True, True, False, False]
    assert [row["p_trend"] == "NA" for row in tested] == [False, False, True, True]
    page = (tmp_path / "study" / "report.html").read_text()
    assert "variants on Y and MT" in page
    number = study("genomes", "gwas", "sex.zarr", *common, "level", "--out", "other").out
    assert "variants on Y and MT: 2; one copy counts once\n" in number
    plain = study("genomes", "gwas", "cohort.zarr", *common, "level", "--out", "plain")
    assert "variants on" not in plain.out


def test_a_full_disk_is_said_and_nothing_is_left(
    study: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        (tmp_path / "study.partial" / "half").write_text("a page")
        raise OSError(errno.ENOSPC, "No space left on device")

    common = ("genomes", "gwas", "cohort.zarr", "--pheno", "traits.txt", "--pheno-name", "sick", "--out")
    before = sorted(tmp_path.iterdir())
    for module, name in ((conduct, "run"), (report, "write_pictures"), (conduct, "sync_tree")):
        with monkeypatch.context() as patch:
            patch.setattr(report, "write_pictures", lambda *_: [])
            patch.setattr(module, name, full)
            done = study(*common, "study")
        assert done.code == 2
        assert "study cannot be written: No space left on device" in done.err
        assert "make room" in done.err
        assert sorted(tmp_path.iterdir()) == before
    done = study(*common, "n" * 250)
    assert done.code == 2
    assert "cannot be written: File name too long" in done.err


@pytest.mark.usefixtures("quick")
def test_a_trait_of_any_unit_is_studied(study: Command, tmp_path: Path) -> None:
    heads, *lines = (tmp_path / "traits.txt").read_text().splitlines()
    at, tables = heads.split("\t").index("level"), []
    for unit in (1.0, 1e307, 1e-200):
        numbered = [f"{line.split(chr(9))[0]} {float(line.split(chr(9))[at]) * unit!r}" for line in lines]
        (tmp_path / "unit.txt").write_text("\n".join(numbered) + "\n")
        done = study("genomes", "gwas", "cohort.zarr", "--pheno", "unit.txt", "--out", f"study{unit}")
        assert done.code == 0, done.err
        assert "Warning" not in done.err
        assert max(map(len, done.out.splitlines())) < 120
        tables.append(rows(tmp_path / f"study{unit}" / "linear.tsv"))
    for known, huge, tiny in zip(*tables, strict=True):
        assert float(huge["t"]) == pytest.approx(float(known["t"]), rel=1e-4, abs=1e-6)
        assert float(tiny["p"]) == pytest.approx(float(known["p"]), rel=1e-4)
        assert float(huge["beta"]) == pytest.approx(1e307 * float(known["beta"]), rel=1e-4)


def test_what_is_not_there_is_named(study: Command) -> None:
    common = ("--pheno", "traits.txt", "--pheno-name", "sick")
    assert study("genomes", "gwas", "nothing.zarr", *common, "--out", "study").code == 2
    assert study("genomes", "gwas", "cohort.zarr", *common, "--out", "no/such/folder").code == 2
    done = study("genomes", "gwas", "cohort.zarr", "--pheno", "nothing.txt", "--out", "study")
    assert done.code == 2
    assert "nothing.txt: cannot be read" in done.err
