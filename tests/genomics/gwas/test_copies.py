"""One copy or two: tests on X, Y and MT against PLINK 1.9 and 2, which are told the sex and are not."""

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, chi2_contingency

from noisegate.genomics.gwas import contingency
from noisegate.genomics.gwas.analyses import Contingency, Linear, Logistic
from noisegate.genomics.gwas.analyses import Test as Asked
from noisegate.genomics.gwas.copies import copies_of, counted_once, in_words
from noisegate.genomics.gwas.phenotypes import Phenotype
from noisegate.genomics.gwas.quality import Limits
from noisegate.genomics.gwas.study import Study, run
from noisegate.genotypes import haploid, plink
from noisegate.genotypes.flat import Flat
from noisegate.genotypes.haploid import DIPLOID, IN_ALL, IN_MEN
from noisegate.genotypes.packed import unpack
from noisegate.genotypes.store import Store
from noisegate.genotypes.variants import Variants

from ..stores import stores

PEOPLE = 240
CHROMS = ["1"] * 12 + ["23"] * 12 + ["24"] * 12 + ["25"] * 6 + ["26"] * 12
PRINTED = 6e-4  # PLINK 1.9 prints four digits
Lines = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Cohort:
    """The same people as PLINK's files with and without their sex, and both as stores."""

    folder: Path
    case: np.ndarray
    number: np.ndarray
    stores: dict[str, Store]

    def plink(self, program: str, name: str, ending: str, *options: object) -> list[dict[str, str]]:
        """Run a program on the people called so, and return the lines it writes."""
        out = self.folder / f"out-{name}"
        more = ("--keep-allele-order", "--allow-no-sex") if program == "plink1.9" else ()
        stores.run(program, "--bfile", self.folder / name, *options, *more, "--out", out)
        heads, *lines = [line.split() for line in Path(f"{out}.{ending}").read_text().splitlines()]
        return [dict(zip(heads, line, strict=True)) for line in lines]

    def study(self, name: str, **asked: Any) -> Study:
        trait = Phenotype("ill", self.case.astype(float), True)
        return Study(self.stores[name], trait, (Contingency(tuple(Asked)),), **asked)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    draws = np.random.default_rng(5)
    count = len(CHROMS)
    man, case = draws.random(PEOPLE) < 0.5, draws.random(PEOPLE) < 0.45
    share = draws.uniform(0.15, 0.85, (count, 1))
    two, one = draws.binomial(2, share, (count, PEOPLE)), 2 * draws.binomial(1, share, (count, PEOPLE))
    chrom = np.array(CHROMS)[:, None]
    calls = np.where((chrom == "26") | (chrom == "24") | ((chrom == "23") & man), one, two)
    calls[(chrom == "24") & ~man] = -1
    calls[draws.random(calls.shape) < 0.04] = -1
    calls[0] = np.where(calls[0] == 1, 2, calls[0])  # a variant to leave out
    # Calls that cannot be right; of a man's X only who knows the sex can tell.
    calls[-1][draws.random(PEOPLE) < 0.1] = 1
    calls[-2], calls[30] = 0, np.where(man, np.where(case, 2, 0), -1)
    listed = Variants.of(
        CHROMS,
        [3_000_000 + i for i in range(count)],
        [f"rs{i}" for i in range(count)],
        ["G"] * count,
        ["A"] * count,
    )
    folder = tmp_path_factory.mktemp("copies")
    made = stores.store_of(folder / "all.zarr", calls.astype(np.int8), listed, chunk=8)
    number = draws.standard_normal(PEOPLE)
    for name, sex in (("told", np.where(man, 1, 2)), ("untold", np.zeros(PEOPLE, int))):
        plink.write(made, folder / name)
        fam = [f"p{i} p{i} 0 0 {sex[i]} {1 + case[i]}\n" for i in range(PEOPLE)]
        (folder / f"{name}.fam").write_text("".join(fam))
    numbers = "".join(f"p{i} p{i} {float(number[i])!r}\n" for i in range(PEOPLE))
    (folder / "number").write_text("FID IID level\n" + numbers)
    held = {}
    for name in ("told", "untold"):
        read = plink.read(folder / f"{name}.bed", folder / f"{name}.zarr")
        settled = unpack(read.block(0, count))
        held[name] = stores.store_of(folder / f"{name}-8.zarr", settled, read.variants, chunk=8)
    return Cohort(folder, case, number, held)


def tables(study: Study, folder: Path) -> dict[str, Lines]:
    """Return what a study writes, by table, variant and column."""
    assert run(study, folder, scheduler=Sent()) is not None
    found = {}
    for file in folder.glob("*.tsv"):
        with file.open(newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        found[file.stem] = {row["id"]: {k: real(v) for k, v in row.items() if k != "note"} for row in rows}
    return found


class Sent:
    """Does each chunk as a worker does."""

    def run(self, work: Any, key: Any, chunks: Any, go_on: Callable[[int, Any], bool]) -> bool:
        for number in list(chunks):
            go_on(number, work.only(number).do(number, key))
        return True


def real(word: str) -> float:
    try:
        return np.nan if word in ("NA", ".") else float(word)
    except ValueError:
        return np.nan


def on(*chroms: str) -> list[str]:
    return [f"rs{i}" for i, chrom in enumerate(CHROMS) if chrom in chroms]


def agree(ours: float, theirs: str, near: float = PRINTED) -> None:
    assert ours == pytest.approx(real(theirs), rel=near, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", ["told", "untold"])
def test_alleles_of_one_copy_are_counted_once_as_by_plink(cohort: Cohort, name: str, tmp_path: Path) -> None:
    found = tables(cohort.study(name), tmp_path)["assoc"]
    # On Y it needs the sex to count anybody at all; who has no Y has no call here.
    for line in cohort.plink("plink1.9", "told", "assoc", "--assoc", "--ci", 0.95):
        row = found[line["SNP"]]
        if line["CHR"] == "23":
            assert all(np.isnan(row[c]) for c in ("chi2_allelic", "p_allelic", "odds_ratio", "low", "high"))
            continue
        agree(row["freq_cases"], line["F_A"])
        agree(row["freq_controls"], line["F_U"])
        agree(row["chi2_allelic"], line["CHISQ"])
        agree(row["p_allelic"], line["P"])
        for column, theirs in (("odds_ratio", "OR"), ("low", "L95"), ("high", "U95")):
            agree(row[column], line[theirs])
    for line in cohort.plink("plink1.9", "told", "assoc.fisher", "--assoc", "fisher"):
        if line["CHR"] == "23":
            assert np.isnan(found[line["SNP"]]["p_fisher"])
        else:
            agree(found[line["SNP"]]["p_fisher"], line["P"])
    assert found["rs30"]["p_fisher"] < 1e-20
    assert sum(np.isfinite(found[v]["p_allelic"]) for v in on("24", "26")) == 23


def test_genotypes_are_tested_as_by_plink_without_a_sex(cohort: Cohort, tmp_path: Path) -> None:
    found = tables(cohort.study("untold"), tmp_path)["assoc"]
    columns = {"GENO": "genotypic", "TREND": "trend", "DOM": "dominant", "REC": "recessive"}
    seen = set()
    for line in cohort.plink("plink1.9", "untold", "model", "--model"):
        seen.add(line["SNP"])
        if line["TEST"] in columns:
            agree(found[line["SNP"]][f"chi2_{columns[line['TEST']]}"], line["CHISQ"])
            agree(found[line["SNP"]][f"p_{columns[line['TEST']]}"], line["P"])
    for line in cohort.plink("plink1.9", "untold", "model", "--model", "fisher"):
        if line["TEST"] == "GENO":
            agree(found[line["SNP"]]["p_fisher_genotypic"], line["P"])
    assert seen == set(on("1", "23", "25"))
    for variant in on("24", "26"):
        for test in (*columns.values(), "fisher_genotypic"):
            assert np.isnan(found[variant][f"p_{test}"])


def test_the_law_of_hardy_and_weinberg_is_that_of_two_copies(cohort: Cohort, tmp_path: Path) -> None:
    asked = cohort.study("untold", quality=True, limits=Limits(hardy_weinberg=1e-6))
    found = tables(asked, tmp_path)
    all_ = on(*CHROMS)
    assert sorted(found["assoc"], key=all_.index) == all_[1:]
    for line in cohort.plink("plink1.9", "untold", "hwe", "--hardy"):
        if line["SNP"] != "rs0":
            column = {"ALL": "p_hwe", "AFF": "p_hwe_cases", "UNAFF": "p_hwe_controls"}[line["TEST"]]
            two = line["CHR"] in ("1", "25")
            agree(found["quality"][line["SNP"]][column], line["P"] if two else "NA")
    kept = cohort.plink("plink1.9", "untold", "snplist", "--hwe", 1e-6, "--write-snplist")
    here = [next(iter(line.values())) for line in kept]
    assert "rs0" not in here
    assert set(on("1", "24", "25", "26")[2:]) <= set(here)


@pytest.mark.parametrize("name", ["told", "untold"])
def test_regressions_are_plink2s(cohort: Cohort, name: str, tmp_path: Path) -> None:
    asked = cohort.study(name)
    for analysis, trait, options, ending, statistic in (
        (Logistic(), asked.phenotype, (), "PHENO1.glm.logistic.hybrid", "z"),
        (
            Linear(),
            Phenotype("level", cohort.number.copy(), False),
            ("--pheno", cohort.folder / "number"),
            "level.glm.linear",
            "t",
        ),
    ):
        out = tmp_path / statistic
        out.mkdir()
        ((_, found),) = tables(replace(asked, phenotype=trait, analyses=(analysis,)), out).items()
        how = ("--glm", "allow-no-covars", "omit-ref", *(["no-x-sex"] if name == "told" else []))
        compared = 0
        for line in cohort.plink("plink2", name, ending, *how, *options):
            # A heterozygous call of one copy counts as half of one there, and is missing to us.
            if line["ID"] == on("26")[-1]:
                continue
            row = found[line["ID"]]
            compared += line["#CHROM"] in ("Y", "MT")
            agree(row[statistic], line[f"{statistic.upper()}_STAT"], 2e-3)
            if statistic == "t":
                agree(row["beta"], line["BETA"], 1e-3)
                agree(row["error"], line["SE"], 1e-3)
            elif line["ID"] != "rs30":
                agree(row["odds_ratio"], line["OR"], 1e-3)
        assert compared == (23 if name == "told" else 11)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=4, max_size=4))
def test_a_person_with_one_copy_is_one_allele(numbers: list[int]) -> None:
    none, alternate, cases_none, cases_alternate = numbers
    whole = np.array([[[none, 3, alternate], [cases_none, 5, cases_alternate]]] * 2, float)
    found = counted_once(whole, np.array([IN_ALL, DIPLOID], np.int8))
    assert np.array_equal(found[1], whole[1])
    counts = np.array([[none, alternate], [cases_none, cases_alternate]])
    chi2 = contingency.allelic(found).chi2[0]
    if counts.sum(axis=0).all() and counts.sum(axis=1).all():
        assert chi2 == pytest.approx(chi2_contingency(counts, correction=False).statistic, rel=1e-9, abs=1e-9)
    else:
        assert np.isnan(chi2)


def test_where_nothing_matters_as_many_variants_of_one_copy_are_strong_as_should_be(tmp_path: Path) -> None:
    draws = np.random.default_rng(6)
    calls = 2 * draws.binomial(1, draws.uniform(0.2, 0.8, (4_000, 1)), (4_000, 400)).astype(np.int8)
    held = stores.store_of(tmp_path / "s.zarr", calls, stores.variants_of(4_000, "MT"))
    trait = Phenotype("ill", (draws.random(400) < 0.5).astype(float), True)
    out = tmp_path / "out"
    out.mkdir()
    summary = run(Study(held, trait, (Contingency((Asked.ALLELIC,)),)), out)
    assert summary is not None
    strong = int((summary.sheets[0].p["p_allelic"] < 0.05).sum())
    # The discrete table leaves some 5 %; with every allele counted twice it would be 16.6 %.
    assert 1e-4 < binom.cdf(strong, 4_000, 0.05) < 1 - 1e-4
    assert binom.cdf(strong, 4_000, 0.166) < 1e-9


@pytest.mark.parametrize("build", ["", "GRCh37", "hg38"])
def test_who_has_one_copy_is_said_alike_of_variants_as_bytes(build: str, tmp_path: Path) -> None:
    chroms = ["chr1", "X", "X", "chrX", "23", "XY", "Y", "24", "MT", "chrM", "26", "1", "X"]
    pos = [5, 100_000, 50_000_000, 155_701_383, 2_700_000, 7, 7, 7, 7, 8, 9, 6, 3_000_000]
    names = [f"rs{i}" for i in range(len(chroms))]
    listed = Variants.of(chroms, pos, names, ["A"] * len(chroms), ["G"] * len(chroms))
    known = haploid.copies(listed, build)
    assert np.array_equal(copies_of(Flat.of(listed), build), known)
    calls = np.zeros((len(chroms), 3), np.int8)
    held = stores.store_of(tmp_path / "s.zarr", calls, listed, build=build)
    assert np.array_equal(copies_of(held.flat, held.build), known)
    assert set(known.tolist()) == {DIPLOID, IN_MEN, IN_ALL}
    assert copies_of(Flat.of(listed)[:0], build).tolist() == []


def test_it_is_said_in_words_where_there_are_such_variants() -> None:
    copies = np.array([IN_MEN, DIPLOID, IN_MEN, IN_ALL], np.int8)
    assert list(in_words(copies[1:2], tables=True, law=True)) == []
    ((which, how), (others, once)) = in_words(copies, tables=True, law=True)
    assert (which, others) == ("variants on X", "variants on Y and MT")
    assert how.startswith("2; ")
    assert "tests of alleles are NA" in how
    assert "tests of genotypes are NA" in once
    assert "Hardy–Weinberg" in how
    assert "NA" not in str(list(in_words(copies, tables=False, law=False)))
