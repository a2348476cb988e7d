"""Tests of cases and controls against SciPy, and PLINK 1.9 with variants that have nothing to test."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, chi2_contingency

from noisegate.genomics.gwas import contingency as tests
from noisegate.genomics.gwas.tallies import masks, tallies
from noisegate.genotypes import plink
from noisegate.genotypes.packed import pack

from ..stores import stores

PRINTED = 6e-4  # PLINK 1.9 prints four digits
cells = st.lists(st.integers(0, 60), min_size=6, max_size=6)


def table(numbers: list[int]) -> np.ndarray:
    return np.array(numbers, np.int64).reshape(1, 2, 3)


def alleles(of: np.ndarray) -> np.ndarray:
    return np.stack([2 * of[0, :, 0] + of[0, :, 1], of[0, :, 1] + 2 * of[0, :, 2]], axis=1)


@settings(max_examples=100, deadline=None)
@given(cells)
def test_tests_are_scipys_without_correction(numbers: list[int]) -> None:
    of = table(numbers)
    split = {
        tests.allelic: alleles(of),
        tests.dominant: np.stack([of[0, :, 0], of[0, :, 1] + of[0, :, 2]], axis=1),
        tests.recessive: np.stack([of[0, :, 0] + of[0, :, 1], of[0, :, 2]], axis=1),
        tests.genotypic: of[0],
    }
    for test, counts in split.items():
        found = test(of) if test is tests.allelic else test(of, cell=1)
        defined = (counts.sum(axis=0) > 0).all() and (counts.sum(axis=1) > 0).all()
        if defined and (test is tests.allelic or of.min() >= 1):
            known = chi2_contingency(counts, correction=False)
            assert found.chi2[0] == pytest.approx(known.statistic, rel=1e-9, abs=1e-9)
            assert found.p[0] == pytest.approx(known.pvalue, rel=1e-9)
        else:
            assert np.isnan(found.chi2[0])
            assert np.isnan(found.p[0])


@settings(max_examples=100, deadline=None)
@given(cells)
def test_the_trend_is_the_correlation_of_group_and_alleles(numbers: list[int]) -> None:
    of = table(numbers)
    group = np.repeat([0, 0, 0, 1, 1, 1], numbers)
    count = np.repeat([0, 1, 2, 0, 1, 2], numbers)
    found = tests.trend(of)
    if len(set(group.tolist())) < 2 or len(set(count.tolist())) < 2:
        assert np.isnan(found.chi2[0])
        return
    expected = len(group) * np.corrcoef(group, count)[0, 1] ** 2
    assert found.chi2[0] == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert found.p[0] == pytest.approx(chi2.sf(expected, 1), rel=1e-7)


@pytest.mark.parametrize(
    ("numbers", "what"),
    [
        ([9, 0, 0, 7, 0, 0], "all alike"),
        ([0, 0, 9, 0, 0, 7], "all alike, with the other allele"),
        ([0, 0, 0, 0, 0, 0], "nobody"),
        ([4, 5, 6, 0, 0, 0], "no case"),
        ([0, 0, 0, 4, 5, 6], "no control"),
    ],
)
def test_where_nothing_can_be_told_there_is_no_statistic(numbers: list[int], what: str) -> None:
    of = table(numbers)
    every = (tests.allelic, tests.trend, tests.genotypic, tests.dominant, tests.recessive)
    assert all(np.isnan(test(of).chi2[0]) and np.isnan(test(of).p[0]) for test in every), what
    assert tests.fisher(of).tolist() == [1.0]
    assert tests.fisher_genotypic(of).tolist() == [1.0]


def test_an_odds_ratio_of_nought_has_no_upper_end() -> None:
    found = tests.odds(table([3, 9, 9, 20, 0, 0]))
    assert (found.ratio[0], found.low[0]) == (0, 0)
    assert np.isinf(found.error[0])
    assert np.isnan(found.high[0])
    never = tests.odds(table([20, 0, 0, 3, 9, 9]))
    assert all(np.isnan(part[0]) for part in (never.ratio, never.error, never.low, never.high))


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Return PLINK's files of 150 people with all there is to go wrong, and the tables of the same."""
    draws = np.random.default_rng(11)
    people = 150
    case = draws.random(people) < 0.4
    share = draws.choice([0.01, 0.05, 0.2, 0.5, 0.8, 0.99], 120)
    calls = draws.binomial(2, share[:, None], (120, people)).astype(np.int8)
    calls[draws.random(calls.shape) < 0.05] = -1
    calls[0], calls[1], calls[2], calls[6] = 0, 2, -1, 1
    calls[3, case], calls[4, ~case] = -1, -1
    calls[5] = np.where(case, 0, 2)
    calls[7] = np.where(case, 0, calls[13])
    calls[8] = np.where(case, 1, 0)
    calls[9] = np.where(case, calls[13], 2)
    folder = tmp_path_factory.mktemp("plink")
    plink.write(stores.store_of(folder / "s.zarr", calls), folder / "s")
    lines = (folder / "s.fam").read_text().splitlines()
    coded = [line[:-2] + str(1 + label) for line, label in zip(lines, case.astype(int), strict=True)]
    (folder / "s.fam").write_text("\n".join(coded) + "\n")
    return folder, tallies(pack(calls), masks(np.stack([~case, case])))[:, :, :3]


def printed(studied: tuple[Path, np.ndarray], ending: str, *options: str) -> dict[str, list[str]]:
    folder, _ = studied
    given_ = (
        "--bfile",
        folder / "s",
        "--keep-allele-order",
        "--allow-no-sex",
        *options,
        "--out",
        folder / "o",
    )
    stores.run("plink1.9", *given_)
    rows = [line.split() for line in (folder / f"o.{ending}").read_text().splitlines()]
    return {name: [row[place] for row in rows[1:]] for place, name in enumerate(rows[0])}


def agree(ours: np.ndarray, theirs: list[str]) -> None:
    known = np.array([np.nan if word in ("NA", "nan") else float(word) for word in theirs])
    assert np.isnan(ours).tolist() == np.isnan(known).tolist()
    there = np.isfinite(known)
    assert np.array_equal(ours[np.isinf(known)], known[np.isinf(known)])
    assert np.allclose(ours[there], known[there], rtol=PRINTED, atol=1e-12)


def test_alleles_and_odds_are_plinks(studied: tuple[Path, np.ndarray]) -> None:
    _, tables = studied
    known = printed(studied, "assoc", "--assoc", "--ci", ".95")
    found, odds, share = tests.allelic(tables), tests.odds(tables), tests.frequencies(tables)
    # Of a group without a call PLINK prints 0 here, and NA in --model; it is NaN to us.
    nobody = np.array([word == "NA" for word in known["F_A"]]) | [word == "NA" for word in known["F_U"]]
    assert np.isnan(found.p[nobody]).all()
    for part, name in ((found.chi2, "CHISQ"), (found.p, "P")):
        agree(part, ["NA" if none else word for none, word in zip(nobody, known[name], strict=True)])
    agree(share[1], known["F_A"])
    agree(share[0], known["F_U"])
    for part, name in ((odds.ratio, "OR"), (odds.error, "SE"), (odds.low, "L95"), (odds.high, "U95")):
        agree(part, known[name])


def test_models_are_plinks(studied: tuple[Path, np.ndarray]) -> None:
    _, tables = studied
    known = printed(studied, "model", "--model")
    for name, test in (
        ("GENO", tests.genotypic),
        ("TREND", tests.trend),
        ("ALLELIC", tests.allelic),
        ("DOM", tests.dominant),
        ("REC", tests.recessive),
    ):
        here = [place for place, test_ in enumerate(known["TEST"]) if test_ == name]
        agree(test(tables).chi2, [known["CHISQ"][place] for place in here])
        agree(test(tables).p, [known["P"][place] for place in here])


def test_exact_tests_are_plinks(studied: tuple[Path, np.ndarray]) -> None:
    _, tables = studied
    agree(tests.fisher(tables), printed(studied, "assoc.fisher", "--assoc", "fisher")["P"])
    known = printed(studied, "model", "--model", "fisher")
    here = [place for place, name in enumerate(known["TEST"]) if name == "GENO"]
    agree(tests.fisher_genotypic(tables), [known["P"][place] for place in here])
