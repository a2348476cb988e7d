"""`noisegate genomes associate`: cases against controls from the command line, in-process."""

from pathlib import Path

import pytest

from noisegate.cli.associate import names_in
from noisegate.errors import BadInput

from .conftest import Command

PEOPLE, VARIANTS = 60, 12
CATALOG = """
[policy.tiers]
public      = { default_epsilon = 0.5, max_epsilon = 50 }
demographic = { default_epsilon = 0.5, max_epsilon = 50 }
clinical    = { default_epsilon = 0.5, max_epsilon = 50 }
genomic     = { default_epsilon = 0.5, max_epsilon = 50 }

[cohort]
title = "Made-up genomes"
synthetic = true
population = "made-up"
unit = "sample"
unit_type = "str"
budget = { epsilon = 500, delta = 1e-5 }

[cohort.tables.people]
source = "people.csv"
rows_per_unit = 1
columns.age = { type = "int", low = 0, high = 100, tier = "demographic", nullable = false }
columns.ill = { type = "int", low = 0, high = 1, tier = "clinical", nullable = false }

[cohort.genotypes.snps]
source = "snps.vcf"
variants = "public"
expected_units = 60
"""


@pytest.fixture
def cohort(cli: Command, tmp_path: Path) -> Command:
    """People of whom every third is ill, and the ill carry the variant rs3."""
    names = [f"p{i}" for i in range(PEOPLE)]
    rows = [f"{name},{20 + i % 50},{int(i % 3 == 0)}" for i, name in enumerate(names)]
    (tmp_path / "people.csv").write_text("\n".join(["sample,age,ill", *rows, ""]))
    header = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
    words = ("0/0", "0/1", "1/1")

    def call(variant: int, person: int) -> str:
        return words[2 * (person % 3 == 0)] if variant == 3 else words[(variant * person + person // 7) % 3]

    lines = [
        f"1\t{100 + v}\trs{v}\tA\tG\t.\t.\t.\tGT\t" + "\t".join(call(v, i) for i in range(PEOPLE))
        for v in range(VARIANTS)
    ]
    about = ["##fileformat=VCFv4.2", '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">']
    text = [*about, "##contig=<ID=1>", f"{header}\t" + "\t".join(names), *lines, ""]
    (tmp_path / "snps.vcf").write_text("\n".join(text))
    (tmp_path / "catalog.toml").write_text(CATALOG)
    return cli


def test_variants_are_compared_priced_and_found_again(cohort: Command, tmp_path: Path) -> None:
    wanted = ("genomes", "associate", "cohort.snps", "--cases", "cohort.people WHERE ill = 1")
    priced = cohort(*wanted, "--variant", "rs3", "--epsilon", "20", "--explain")
    assert priced.code == 0, priced.err
    assert "would cost ε 20 (δ 0, per person)" in priced.out
    assert "people of a group with one genotype" in priced.out
    made = cohort(*wanted, "--variant", "rs3", "--epsilon", "20")
    assert made.code == 0, made.err
    assert "of 60 people on the roster" in made.out
    assert "cost ε 20" in made.out
    (tmp_path / "names.txt").write_text("rs3\n\n")
    again = cohort(*wanted, "--variants-file", "names.txt", "--epsilon", "20", "--json")
    assert again.json["replayed"] is True
    row = dict(zip((c["name"] for c in again.json["columns"]), again.json["rows"][0], strict=True))
    assert row["p"] < 1e-3
    assert row["cases"]["value"] == pytest.approx(1, abs=0.1)
    assert row["controls"]["value"] == pytest.approx(0, abs=0.1)
    free = cohort(*wanted, "--variant", "rs3", "--epsilon", "20", "--explain")
    assert "answered before: free" in free.out


def test_the_most_associated_are_found(cohort: Command) -> None:
    wanted = ("genomes", "associate", "cohort.snps", "--cases", "cohort.people WHERE ill = 1")
    found = cohort(
        *wanted, "--among", "cohort.people WHERE age < 60", "--top", "2", "--epsilon", "50", "--json"
    )
    assert found.code == 0, found.err
    assert found.json["rows"][0][0] == "rs3"
    assert found.json["looked_at"] == VARIANTS


@pytest.mark.parametrize("which", [(), ("--variant", "rs1", "--top", "2")])
def test_variants_are_named_or_found(cohort: Command, which: tuple[str, ...]) -> None:
    refused = cohort("genomes", "associate", "cohort.snps", "--cases", "cohort.people", *which, "--json")
    assert refused.code == 2
    assert refused.error["code"] == "bad_input"


def test_the_account_that_pays_is_the_one_that_is_named(cohort: Command) -> None:
    wanted = ("genomes", "associate", "cohort.snps", "--cases", "cohort.people WHERE ill = 1", "--top", "1")
    assert cohort(*wanted, "--epsilon", "1", "--as", "vera").code == 0
    assert "made-up/cohort/default/vera" in cohort("budget", "show").out


def test_a_file_that_names_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name in ("empty", "bytes", "absent"):
        with pytest.raises(BadInput):
            names_in(tmp_path / name)
