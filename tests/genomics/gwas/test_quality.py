"""Which variants and people stay, against PLINK 1.9."""

from pathlib import Path

import numpy as np
import pytest

from noisegate.errors import BadInput
from noisegate.genomics.gwas import quality
from noisegate.genomics.gwas.quality import Limits
from noisegate.genomics.gwas.tallies import masks, tallies
from noisegate.genotypes import plink
from noisegate.genotypes.store import Store

from ..stores import stores


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Store, np.ndarray]:
    """Return PLINK's files, the same as a store, and who is a case."""
    draws = np.random.default_rng(5)
    share = draws.uniform(0, 0.5, 300)
    calls = draws.binomial(2, share[:, None], (300, 97)).astype(np.int8)
    calls[draws.random(calls.shape) < draws.uniform(0, 0.2, 300)[:, None]] = -1
    calls[0], calls[1], calls[2] = -1, 0, 1
    # Too few heterozygotes in a hundred variants.
    calls[3:103][calls[3:103] == 1] = 2 * (draws.random(int((calls[3:103] == 1).sum())) < 0.5)
    case = draws.random(97) < 0.5
    calls[103:110, case] = 1
    folder = tmp_path_factory.mktemp("quality")
    store = stores.store_of(folder / "s.zarr", calls, chunk=64)
    plink.write(store, folder / "s")
    lines = (folder / "s.fam").read_text().splitlines()
    coded = [line[:-2] + str(1 + label) for line, label in zip(lines, case.astype(int), strict=True)]
    (folder / "s.fam").write_text("\n".join(coded) + "\n")
    return folder, store, case


def counted(store: Store, case: np.ndarray) -> np.ndarray:
    return tallies(store.block(0, len(store.variants)), masks(np.stack([~case, case])))


def plinks(folder: Path, *options: object) -> None:
    given = (
        "--bfile",
        folder / "s",
        "--keep-allele-order",
        "--allow-no-sex",
        *options,
        "--out",
        folder / "o",
    )
    stores.run("plink1.9", *given)


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        (("--maf", 0.05), Limits(maf=0.05)),
        (("--geno", 0.1), Limits(missing=0.1)),
        (("--hwe", 1e-3), Limits(hardy_weinberg=1e-3)),
        (("--maf", 0.1, "--geno", 0.05, "--hwe", 0.01), Limits(0.1, 0.05, 0.01)),
    ],
)
def test_the_variants_that_stay_are_plinks(cohort, options: tuple[object, ...], limits: Limits) -> None:
    folder, store, case = cohort
    counts = counted(store, case)
    kept = quality.keep(counts.sum(axis=1), limits, counts[:, 0])
    plinks(folder, *options, "--write-snplist")
    known = (folder / "o.snplist").read_text().split()
    assert store.variants.id[kept.rows].tolist() == known
    assert sum(kept.dropped.values()) == 300 - len(known) > 0


def test_the_people_who_stay_are_plinks(cohort) -> None:
    folder, store, _ = cohort
    plinks(folder, "--mind", 0.11, "--make-just-fam")
    known = [line.split()[1] for line in (folder / "o.fam").read_text().splitlines()]
    stay = quality.present(store, 0.11)
    assert [name for name, there in zip(store.samples, stay, strict=True) if there] == known
    assert 0 < len(known) < 97


def test_the_law_of_hardy_and_weinberg_is_tested_as_by_plink(cohort) -> None:
    folder, store, case = cohort
    plinks(folder, "--hardy")
    rows = [line.split() for line in (folder / "o.hwe").read_text().splitlines()[1:]]
    counts = counted(store, case)
    columns = quality.columns(counts.sum(axis=1), counts[:, 1], counts[:, 0])
    for group, name in (("ALL", "p_hwe"), ("AFF", "p_hwe_cases"), ("UNAFF", "p_hwe_controls")):
        known = np.array([float(row[8]) for row in rows if row[2] == group])
        assert np.allclose(columns[name], known, rtol=6e-4)
    seen = np.array([float(row[6]) for row in rows if row[2] == "ALL"])
    assert np.allclose(columns["heterozygous"], seen, rtol=6e-4, equal_nan=True)


def test_frequencies_and_missing_calls_are_plinks(cohort) -> None:
    folder, store, case = cohort
    plinks(folder, "--freq", "--missing")
    counts = counted(store, case).sum(axis=1)
    share = [line.split()[4] for line in (folder / "o.frq").read_text().splitlines()[1:]]
    known = np.array([np.nan if word == "NA" else float(word) for word in share])
    assert np.allclose(quality.frequency(counts), known, rtol=6e-4, equal_nan=True)
    gone = [float(line.split()[4]) for line in (folder / "o.lmiss").read_text().splitlines()[1:]]
    assert np.allclose(quality.missing_share(counts), gone, rtol=6e-4)


def test_a_variant_without_a_call_has_no_frequency_and_stays_unless_calls_are_asked_for() -> None:
    nobody = np.array([[0, 0, 0, 9]])
    assert quality.keep(nobody, Limits(maf=0.3)).rows.all()
    assert not quality.keep(nobody, Limits(missing=0.9)).rows.any()


def test_what_is_at_a_limit_stays_and_what_is_just_past_it_does_not() -> None:
    at, past = np.array([[18, 2, 0, 0]]), np.array([[903, 97, 0, 0]])  # 5 % and 4.85 %
    assert quality.keep(at, Limits(maf=0.05)).rows.all()
    assert not quality.keep(past, Limits(maf=0.05)).rows.any()
    at, past = np.array([[18, 0, 0, 2]]), np.array([[899, 0, 0, 101]])
    assert quality.keep(at, Limits(missing=0.1)).rows.all()
    assert not quality.keep(past, Limits(missing=0.1)).rows.any()


@pytest.mark.parametrize(
    "wrong", [{"maf": 0.6}, {"missing": -0.1}, {"hardy_weinberg": 2}, {"maf": float("nan")}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(BadInput):
        Limits(**wrong)


def test_a_share_that_makes_no_sense_is_refused(cohort) -> None:
    with pytest.raises(BadInput, match="share of missing"):
        quality.present(cohort[1], 1.5)
