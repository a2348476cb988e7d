"""`noisegate genomes`: a cohort is imported, shared, shown, granted and fetched from the command line."""

import json
from pathlib import Path

import pytest

from noisegate.cli.genome_inputs import cases_in, families_in, frequencies_in
from noisegate.errors import BadInput
from noisegate.genomics import share

from .conftest import Command

CATALOG = """
[cohort]
title = "Made-up genomes"
synthetic = true
population = "made-up"
unit = "sample"
budget = { epsilon = 500, delta = 1e-5 }

[cohort.genotypes.snps]
source = "snps.zarr"
variants = "public"
expected_units = 30

[cohort.genotypes.panel]
source = "panel.zarr"
variants = "public"
public = true
expected_units = 30
"""
PEOPLE, VARIANTS = 30, 16


@pytest.fixture(autouse=True)
def without_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "report", lambda *_: ())


@pytest.fixture
def cohort(cli: Command, tmp_path: Path) -> Command:
    """A directory with a catalog of two stores, imported from VCF."""
    for name, seed in (("snps", 3), ("panel", 5)):
        (tmp_path / f"{name}.vcf").write_text(vcf(name, seed))
        marks = ["--public"] if name == "panel" else []
        made = cli("genomes", "import", f"{name}.vcf", f"{name}.zarr", "--build", "GRCh37", *marks, "--json")
        assert made.code == 0, made.err
        assert (made.json["people"], made.json["variants"]) == (PEOPLE, VARIANTS)
        assert made.json["public"] == (name == "panel")
    (tmp_path / "catalog.toml").write_text(CATALOG)
    return cli


def vcf(name: str, seed: int) -> str:
    header = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
    names = "\t".join(f"{name}{i}" for i in range(PEOPLE))
    genotypes = ("0/0", "0/1", "1/1")
    rows = [
        f"1\t{100 + v}\trs{v}\tA\tG\t.\t.\t.\tGT\t"
        + "\t".join(genotypes[(seed * v + 7 * i + i * i * v) % 3] for i in range(PEOPLE))
        for v in range(VARIANTS)
    ]
    return "\n".join(
        [
            "##fileformat=VCFv4.2",
            '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
            "##contig=<ID=1>",
            f"{header}\t{names}",
            *rows,
            "",
        ]
    )


def test_a_cohort_is_shared_granted_and_fetched(cohort: Command, tmp_path: Path) -> None:
    wanted = ("cohort.snps", "--method", "response", "--epsilon", "20", "--reference", "cohort.panel")
    priced = cohort("genomes", "share", *wanted, "--explain")
    assert "ε 20 a person" in priced.out
    made = cohort("genomes", "share", *wanted, "--format", "bed", "--format", "vcf", "--json")
    assert made.code == 0, made.err
    release = made.json
    assert release["id"] == "cohort-1"
    assert {f["format"] for f in release["files"]} == {"bed", "vcf"}
    assert release["custodian"].endswith("releases/cohort-1/custodian")
    again = cohort("genomes", "share", *wanted, "--json")
    assert again.json["job"] == release["job"]
    assert "cohort-1" in cohort("genomes", "releases", "list").out
    assert cohort("genomes", "releases", "grant", "cohort-1", "ana").out == "ana may have cohort-1\n"
    assert "granted ana by operator" in cohort("genomes", "releases", "show", "cohort-1").out
    assert "no longer" in cohort("genomes", "releases", "revoke", "cohort-1", "ana").out
    fetched = cohort("genomes", "releases", "download", "cohort-1", "copies", "--only", "vcf", "--json")
    assert [Path(p).name for p in fetched.json["files"]] == ["cohort-1.vcf.gz"]
    refused = cohort("genomes", "releases", "download", "cohort-1", "copies", "--only", "vcf")
    assert refused.code == 2
    assert "exists already" in refused.err
    (job,) = cohort("jobs", "list", "--json").json["jobs"]
    assert (job["state"], job["steps_drawn"]) == ("finished", 1)
    assert cohort("receipts", "verify").code == 0
    (tmp_path / "state" / "releases" / "cohort-1" / "release.json").write_text("{")
    listed = cohort("genomes", "releases", "list")
    assert (listed.code, listed.out.startswith("cohort-1 is damaged: ")) == (0, True)


def test_each_refusal_has_its_exit_code_and_a_hint(cohort: Command) -> None:
    for code, argv in (
        (2, ("genomes", "share", "cohort.nothing", "-e", "1")),
        (2, ("genomes", "share", "cohort.snps", "-e", "1", "--method", "magic")),
        (5, ("genomes", "share", "cohort.snps", "-e", "1", "--reference", "cohort.snps")),
        (4, ("genomes", "frequencies", "cohort.snps", "-e", "5000")),
        (2, ("genomes", "share", "cohort.snps", "-e", "1", "--scheduler", "tcp://127.0.0.1:1")),
        (2, ("genomes", "releases", "show", "cohort-9")),
        (2, ("genomes", "show", "nothing.zarr")),
        (2, ("genomes", "import", "nothing.vcf", "x.zarr")),
        (2, ("genomes", "export", "snps.zarr", "snps.txt")),
        (2, ("genomes", "share", "snps.zarr", "-e", "1", "--as-published")),
    ):
        done = cohort(*argv, "--json")
        assert done.code == code, (argv, done.err)
        assert done.out == ""
        assert done.error["message"]
    assert cohort("jobs", "list", "--json").json["jobs"] == []


def test_a_declared_table_needs_its_warning_accepted(cohort: Command, tmp_path: Path) -> None:
    lines = ["variant,frequency", *(f"rs{v},0.25" for v in range(VARIANTS))]
    (tmp_path / "table.csv").write_text("\n".join(lines))
    wanted = ["cohort.snps", "-e", "20", "--restore", "declared", "--published-table", "table.csv"]
    wanted += ["--statement", "Table S3 of Doe et al. (2020), Journal of Tables"]
    refused = cohort("genomes", "share", *wanted, "--json")
    assert (refused.code, refused.out) == (2, "")
    assert "likelihood-ratio" in refused.err
    assert cohort("jobs", "list", "--json").json["jobs"] == []
    made = cohort("genomes", "share", *wanted, "--json", "--yes")
    assert "conditional" in made.json["summary"]["condition"]


def test_a_store_is_exported_and_shown(cohort: Command, tmp_path: Path) -> None:
    assert cohort("genomes", "export", "snps.zarr", "copy.bed").code == 0
    assert {p.suffix for p in tmp_path.glob("copy.*")} == {".bed", ".bim", ".fam"}
    shown = cohort("genomes", "show", "snps.zarr", "--verify")
    assert "people" in shown.out
    assert "30" in shown.out


def test_the_published_recipe_is_for_public_stores_and_labelled(cohort: Command, tmp_path: Path) -> None:
    private = ("genomes", "share", "snps.zarr", "--as-published", "-e", "1", "--reference", "panel.zarr")
    refused = cohort(*private, "--restore", "private", "--out", "made")
    assert refused.code == 5
    assert "not marked public" in refused.err
    public = ("genomes", "share", "panel.zarr", "--as-published", "-e", "1", "--reference", "panel.zarr")
    made = cohort(*public, "--restore", "private", "--out", "made", "--json")
    assert made.code == 0, made.err
    assert "not differentially private" in made.json["warning"]
    assert made.json["claimed_epsilon"] == VARIANTS
    assert json.loads((tmp_path / "made" / "AS-PUBLISHED.json").read_text()) == made.json


def test_attacks_need_stores_and_say_who_they_are_for(cohort: Command) -> None:
    cohort("genomes", "share", "cohort.snps", "--method", "response", "-e", "100", "--json")
    found = cohort(
        "genomes",
        "attack",
        "cohort-1",
        "--members",
        "snps.zarr",
        "--controls",
        "panel.zarr",
        "--reference",
        "panel.zarr",
        "--json",
    )
    assert found.code == 0, found.err
    assert "custodian alone" in found.json["note"]
    assert len(found.json["attacks"]) == 5


# Files beside the genotypes


def test_files_of_people_and_frequencies_are_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a b\n\nc d e\n")
    assert families_in(file) == [["a", "b"], ["c", "d", "e"]]
    file.write_text("b\na\n")
    assert cases_in(file) == ["a", "b"]
    file.write_text("rs1,0.5\nrs2,1\n")
    assert frequencies_in(file) == {"rs1": 0.5, "rs2": 1.0}


@pytest.mark.parametrize(
    ("read", "text", "said"),
    [
        (families_in, "a\n", "line 1: a family has at least two people"),
        (cases_in, "", "names nobody"),
        (cases_in, "a\na\n", "line 2: a is there twice"),
        (frequencies_in, "variant,frequency\n", "has no frequencies"),
        (frequencies_in, "rs1,0.5\nrs2\n", "line 2: write variant,frequency"),
        (frequencies_in, "rs1,1.5\n", "line 1: a frequency lies between 0 and 1"),
        (frequencies_in, "rs1,nan\n", "line 1: a frequency lies between 0 and 1"),
        (frequencies_in, "rs1,0.5\nrs1,0.5\n", "line 2: rs1 is there twice"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused_with_its_line(
    read: object, text: str, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    assert callable(read)
    with pytest.raises(BadInput, match=said):
        read(file)
    with pytest.raises(BadInput, match="cannot be read"):
        read(tmp_path / "nothing")
