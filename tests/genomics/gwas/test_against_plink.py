"""The whole command, from files to tables, against PLINK 1.9 and 2 on real panels.

To each panel variants are added that have nothing to test: alike in everybody, missing in everybody or in one
group, and such that tell cases from controls perfectly.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pytest

from noisegate.cli import main
from noisegate.genomics.gwas import report
from noisegate.genotypes import plink
from noisegate.genotypes.packed import pack, unpack
from noisegate.genotypes.store import Store, Writer
from noisegate.genotypes.variants import Variants

from ..stores import stores

OPENSNP = stores.GENOMES.parent / "opensnp"
Table = dict[str, np.ndarray]


@dataclass(frozen=True)
class Cohort:
    """A panel as a store and as PLINK's files, with a trait, a number and covariates in files."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "panel.zarr"

    @property
    def bed(self) -> Path:
        return self.folder / "panel"

    @property
    def pheno(self) -> Path:
        return self.folder / "panel.pheno"

    @property
    def covar(self) -> Path:
        return self.folder / "panel.covar"


def odd_rows(cases: np.ndarray, parted: np.ndarray) -> np.ndarray:
    """Return variants with little or nothing to test, int8; `parted` says who has a trait."""
    people = len(cases)
    draws = np.random.default_rng(11)
    some = draws.binomial(2, 0.3, people)
    first, other = (int(np.flatnonzero(parted & who)[0]) for who in (cases, ~cases))
    rows = {
        "nobody": np.zeros(people),
        "everybody": np.full(people, 2),
        "all_one": np.ones(people),
        "all_missing": np.full(people, -1),
        "separated": 2 * cases,
        "carriers_are_cases": cases,
        "cases_alike": np.where(cases, 0, some),
        "missing_in_cases": np.where(cases, -1, some),
        "missing_in_controls": np.where(cases, some, -1),
        "one_carrier": np.arange(people) == first,
        "one_call": np.where(np.arange(people) == first, 1, -1),
        "two_calls": np.select([np.arange(people) == first, np.arange(people) == other], [1, 0], -1),
        "half_missing": np.where(draws.random(people) < 0.5, some, -1),
        "without_a_trait": np.where(parted, 0, some),
    }
    return np.stack(list(rows.values())).astype(np.int8)


def cohort_of(folder: Path, source: Store, *, seed: int) -> Cohort:
    """Write a panel with odd variants behind it, and a trait that a few of its variants have to do with."""
    made = Cohort(folder)
    calls = unpack(source.block(0, len(source.variants)))
    draws = np.random.default_rng(seed)
    effects = np.where(calls[:: len(calls) // 5] < 0, 0, calls[:: len(calls) // 5]).sum(axis=0)
    number = 0.4 * effects + draws.standard_normal(source.people)
    cases = number > np.median(number)
    parted = draws.random(source.people) > 0.05
    odd = odd_rows(cases, parted)
    last = source.variants[len(source.variants) - 1 :]
    listed = Variants.joined(
        [
            source.variants,
            Variants.of(
                [str(last.chrom[0])] * len(odd),
                [(int(last.pos[0]) + 1_000 * (i + 1)) if last.pos[0] else 0 for i in range(len(odd))],
                [f"odd{i}" for i in range(len(odd))],
                ["A"] * len(odd),
                ["G"] * len(odd),
            ),
        ]
    )
    writer = Writer.create(made.store, samples=source.samples, variants=listed)
    whole = np.concatenate([calls, odd])
    for chunk in writer.chunks():
        writer.write(chunk, pack(whole[slice(*writer.bounds(chunk))]))
    plink.write(writer.finish(), made.bed)
    with made.pheno.open("w") as file:
        file.write("FID IID sick level\n")
        for name, case, value, there in zip(source.samples, cases, number, parted, strict=True):
            file.write(f"{name} {name} {1 + case if there else 'NA'} {value if there else -9:.6f}\n")
    with made.covar.open("w") as file:
        file.write("FID IID age sex\n")
        for name, age, lacks in zip(
            source.samples, draws.normal(50, 9, source.people), draws.random(source.people), strict=True
        ):
            file.write(f"{name} {name} {'NA' if lacks < 0.02 else round(age, 3)} {draws.integers(0, 2)}\n")
    return made


@pytest.fixture(scope="module", autouse=True)
def without_pictures() -> Iterator[None]:
    """Pictures have tests of their own, and take longer than all else here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "write_pictures", lambda *_: [])
        yield


@pytest.fixture(scope="module", params=["kg1", "ceu22", "opensnp"])
def cohort(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "opensnp":
        return cohort_of(folder, lactose(folder), seed=3)
    return cohort_of(folder, plink.read(stores.panel(request.param), folder / "source.zarr"), seed=2)


@pytest.fixture(scope="module")
def tested(cohort: Cohort) -> Table:
    """Every test of cases and controls."""
    return ours(
        cohort, "assoc", "--pheno-name", "sick", "--test", "allelic,trend,genotypic,dominant,recessive,fisher"
    )


def lactose(folder: Path) -> Store:
    """Import both groups of openSNP as one store; people are numbered by their rows."""
    if not OPENSNP.exists():
        pytest.skip("openSNP is not here: the shared data are needed")
    both = folder / "lactose.parquet"
    parts = " UNION ALL ".join(
        f"SELECT * REPLACE ('{group}' || row_number() OVER () AS sample) FROM '{file}'"
        for group in ("target", "reference")
        for file in [OPENSNP / f"lactose_{group}.parquet"]
    )
    duckdb.sql(f"COPY ({parts}) TO '{both}' (FORMAT parquet)")
    assert command("genomes", "import", both, folder / "source.zarr") == 0
    return Store.open(folder / "source.zarr")


def command(*argv: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in argv])
    return int(left.value.code or 0)


def ours(cohort: Cohort, name: str, *options: object) -> Table:
    out = cohort.folder / f"study{len(list(cohort.folder.iterdir()))}"
    wanted = ("genomes", "gwas", cohort.store, "--pheno", cohort.pheno, "--out", out, *options)
    assert command(*wanted) == 0
    with (out / f"{name}.tsv").open(newline="") as file:
        return table(list(csv.reader(file, delimiter="\t")))


def theirs(file: Path, keep: str = "", by: str = "TEST") -> Table:
    rows = [line.split() for line in file.read_text().splitlines() if line.strip()]
    if keep:
        place = rows[0].index(by)
        rows = [rows[0], *(row for row in rows[1:] if row[place] == keep)]
    return table(rows)


def table(rows: list[list[str]]) -> Table:
    return {name: np.array(column) for name, *column in zip(*rows, strict=True)}


def numbers(column: np.ndarray) -> np.ndarray:
    return np.array([np.nan if word in ("NA", "nan") else float(word) for word in column])


def same_digits(mine: np.ndarray, printed: np.ndarray, names: np.ndarray, *, digits: int = 4) -> None:
    """Assert that a column agrees with one printed with so many digits, and is missing where that is."""
    a, b = numbers(mine), numbers(printed)
    assert names[np.isnan(a) != np.isnan(b)].tolist() == []
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = 10.0 ** (np.floor(np.log10(np.abs(b))) - digits + 1)
    far = ~(np.isnan(a) | (a == b) | (np.abs(a - b) <= 0.51 * unit + 1e-6 * np.abs(b)))
    assert [(n, x, y) for n, x, y in zip(names[far], a[far], b[far], strict=True)] == []


def plink19(cohort: Cohort, column: str, *options: object) -> Path:
    out = cohort.folder / f"one{len(list(cohort.folder.iterdir()))}"
    common = ("--keep-allele-order", "--allow-no-sex", "--pheno", cohort.pheno, "--pheno-name", column)
    stores.run("plink1.9", "--bfile", cohort.bed, *common, *options, "--out", out)
    return out


def plink2(cohort: Cohort, column: str, *options: object) -> Path:
    out = cohort.folder / f"two{len(list(cohort.folder.iterdir()))}"
    common = ("--pheno", cohort.pheno, "--pheno-name", column)
    stores.run("plink2", "--bfile", cohort.bed, *common, *options, "--out", out)
    return out


# A group has nobody with a call. There is nothing to compare, and we say so; PLINK 1.9's --assoc has χ² 0 and
# p 1 there, and plink2 what its iterations happened to reach.
ALONE = ("odd7", "odd8", "odd10")


def test_alleles_and_odds_ratios_are_those_of_assoc(cohort: Cohort, tested: Table) -> None:
    told = theirs(plink19(cohort, "sick", "--assoc", "--ci", 0.95).with_suffix(".assoc"))
    assert tested["id"].tolist() == told["SNP"].tolist()
    alone = np.isin(tested["id"], ALONE)
    assert set(tested["chi2_allelic"][alone]) == set(tested["p_allelic"][alone]) == {"NA"}
    pairs = {
        "freq_cases": "F_A",
        "freq_controls": "F_U",
        "odds_ratio": "OR",
        "low": "L95",
        "high": "U95",
        "chi2_allelic": "CHISQ",
        "p_allelic": "P",
    }
    for name, column in pairs.items():
        some = ~alone if name in ("chi2_allelic", "p_allelic") else np.ones_like(alone)
        same_digits(tested[name][some], told[column][some], tested["id"][some])


def test_models_are_those_of_model(cohort: Cohort, tested: Table) -> None:
    file = plink19(cohort, "sick", "--model").with_suffix(".model")
    for name, model in {"trend": "TREND", "genotypic": "GENO", "dominant": "DOM", "recessive": "REC"}.items():
        told = theirs(file, model)
        assert tested["id"].tolist() == told["SNP"].tolist()
        same_digits(tested[f"chi2_{name}"], told["CHISQ"], tested["id"])
        same_digits(tested[f"p_{name}"], told["P"], tested["id"])


def test_exact_tests_are_those_of_fisher(cohort: Cohort, tested: Table) -> None:
    told = theirs(plink19(cohort, "sick", "--assoc", "fisher").with_suffix(".assoc.fisher"))
    same_digits(tested["p_fisher"], told["P"], tested["id"])
    same_digits(tested["odds_ratio"], told["OR"], tested["id"])


@pytest.mark.parametrize("adjusted", [False, True])
def test_linear_regression_is_that_of_plink2(cohort: Cohort, adjusted: bool) -> None:
    covar = ("--covar", cohort.covar) if adjusted else ()
    mine = ours(cohort, "linear", "--pheno-name", "level", *covar)
    glm = ["omit-ref", "hide-covar", *([] if adjusted else ["allow-no-covars"])]
    out = plink2(cohort, "level", *covar, "--glm", *glm)
    told = theirs(out.with_name(f"{out.name}.level.glm.linear"))
    assert mine["id"].tolist() == told["ID"].tolist()
    assert mine["people"].tolist() == told["OBS_CT"].tolist()
    close(numbers(mine["t"]), numbers(told["T_STAT"]), mine["id"], 1e-4)
    # An effect of nearly 0 is known to a small part of its standard error, as t is.
    error = numbers(told["SE"])
    close(numbers(mine["beta"]) / error, numbers(told["BETA"]) / error, mine["id"], 1e-4)
    same_digits(mine["error"], told["SE"], mine["id"])


@pytest.mark.parametrize("adjusted", [False, True])
def test_logistic_regression_is_that_of_plink2(cohort: Cohort, adjusted: bool) -> None:
    covar = ("--covar", cohort.covar) if adjusted else ()
    mine = ours(cohort, "logistic", "--pheno-name", "sick", "--logistic", "wald", *covar)
    glm = ["omit-ref", "hide-covar", *([] if adjusted else ["allow-no-covars"])]
    out = plink2(cohort, "sick", *covar, "--glm", *glm)
    told = theirs(out.with_name(f"{out.name}.sick.glm.logistic.hybrid"))
    assert mine["id"].tolist() == told["ID"].tolist()
    assert mine["people"].tolist() == told["OBS_CT"].tolist()
    alone = np.isin(mine["id"], ALONE)
    assert set(mine["z"][alone]) == {"NA"}
    # Cases and controls told apart perfectly: Firth's method has a figure still.
    for name in ("odd4", "odd5"):
        (row,) = np.flatnonzero(mine["id"] == name)
        assert 3 < float(mine["z"][row]) < 12
        assert mine["note"][row] == "Firth"
    some = ~alone & (told["ERRCODE"] != "UNFINISHED")
    assert some.sum() > len(some) - 10
    for name, column in (("z", "Z_STAT"), ("odds_ratio", "OR")):
        close(numbers(mine[name][some]), numbers(told[column][some]), mine["id"][some], 1e-3)


def test_what_is_left_out_is_what_plink_leaves_out(cohort: Cohort) -> None:
    limits = ("--maf", 0.05, "--geno", 0.02, "--hwe", 0.001)
    mine = ours(cohort, "assoc", "--pheno-name", "sick", *limits)
    told = theirs(plink19(cohort, "sick", "--assoc", *limits).with_suffix(".assoc"))
    assert mine["id"].tolist() == told["SNP"].tolist()
    assert 0 < len(mine["id"]) < len(Store.open(cohort.store).variants)


def test_people_who_miss_calls_are_those_plink_removes(cohort: Cohort) -> None:
    store = Store.open(cohort.store)
    missing = (unpack(store.block(0, len(store.variants))) < 0).mean(axis=0)
    share = float(np.quantile(missing, 0.9)) * 1.000001
    mine = ours(cohort, "assoc", "--pheno-name", "sick", "--mind", share)
    told = theirs(plink19(cohort, "sick", "--assoc", "--mind", share).with_suffix(".assoc"))
    some = ~np.isin(mine["id"], ALONE)
    for name, column in (("chi2_allelic", "CHISQ"), ("odds_ratio", "OR")):
        same_digits(mine[name][some], told[column][some], mine["id"][some])


def close(a: np.ndarray, b: np.ndarray, names: np.ndarray, within: float) -> None:
    """Assert that a column is within so much, relative for large values, and missing where the other is."""
    assert names[np.isnan(a) != np.isnan(b)].tolist() == []
    far = np.abs(a - b) > within * np.maximum(1, np.abs(b))
    assert [(n, x, y) for n, x, y in zip(names[far], a[far], b[far], strict=True)] == []
