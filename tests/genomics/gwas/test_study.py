"""The way of a study: tables appear whole or not at all, however its chunks are done."""

import csv
import fcntl
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from noisegate.errors import BadInput, Conflict
from noisegate.genomics.gwas.analyses import Contingency, Linear, Logistic, Method
from noisegate.genomics.gwas.analyses import Test as Asked
from noisegate.genomics.gwas.phenotypes import Covariates, Phenotype
from noisegate.genomics.gwas.quality import Limits
from noisegate.genomics.gwas.study import Study, run
from noisegate.genomics.scheduler import Threads
from noisegate.genotypes.packed import Block, pack
from noisegate.genotypes.store import Store
from noisegate.genotypes.variants import Variants

from ..stores import stores

PEOPLE, VARIANTS = 130, 100
ALL_TESTS = Contingency(tuple(Asked), counts=True)
BOTH = (Contingency((Asked.ALLELIC, Asked.TREND)), Logistic())


def calls() -> np.ndarray:
    found = stores.calls_of(VARIANTS, PEOPLE)
    found[10], found[11], found[40] = 0, -1, np.where(np.arange(PEOPLE) % 2 == 0, 2, 0)
    return found


@pytest.fixture
def study(tmp_path: Path) -> Study:
    values = (np.arange(PEOPLE) % 2).astype(float)
    values[5] = np.nan
    return Study(stores.store_of(tmp_path / "s.zarr", calls(), chunk=8), Phenotype("ill", values, True), BOTH)


def folder(tmp_path: Path, name: str = "out") -> Path:
    made = tmp_path / name
    made.mkdir()
    return made


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text, delimiter="\t"))


def test_a_study_writes_a_row_a_variant_in_the_order_of_the_store(study: Study, tmp_path: Path) -> None:
    out = folder(tmp_path)
    done: list[float] = []
    summary = run(study, out, progress=done.append)
    assert summary is not None
    assert (summary.people, summary.cases, summary.controls) == (129, 64, 65)
    assert (summary.variants, summary.kept) == (VARIANTS, VARIANTS)
    assert [sheet.name for sheet in summary.sheets] == ["assoc", "logistic"]
    assert sorted(file.name for file in out.iterdir()) == ["assoc.tsv", "logistic.tsv"]
    assert done == sorted(done)
    assert done[-1] == 1.0
    found = rows(out / "assoc.tsv")
    assert [row["id"] for row in found] == study.source.variants.id.tolist()
    assert found[10]["p_trend"] == found[11]["p_trend"] == "NA"
    (sheet, _) = summary.sheets
    assert np.allclose(
        sheet.p["p_trend"],
        [float(row["p_trend"].replace("NA", "nan")) for row in found],
        rtol=1e-5,
        equal_nan=True,
    )
    # Variant 40 tells cases from controls.
    assert sheet.top[0]["id"] == "rs40"
    assert len(sheet.top) == 20
    assert [row["p_allelic"] for row in sheet.top] == sorted(sheet.p["p_allelic"])[:20]
    assert summary.as_json()["tables"]


def test_what_is_asked_for_once_is_worked_out_from_the_people_who_have_it(
    study: Study, tmp_path: Path
) -> None:
    keep = np.arange(PEOPLE) >= 30
    covariates = Covariates(
        ("age",), np.where(np.arange(PEOPLE)[:, None] == 50, np.nan, np.arange(PEOPLE)[:, None] % 7.0)
    )
    asked = replace(
        study, keep=keep, covariates=covariates, analyses=(ALL_TESTS, Logistic(Method.SCORE)), quality=True
    )
    out = folder(tmp_path)
    summary = run(asked, out)
    assert summary is not None
    assert summary.people == 100
    block = calls()[:, 30:]
    tested, quality = rows(out / "assoc.tsv"), rows(out / "quality.tsv")
    for place in (0, 40, 99):
        cells = [int(tested[place][f"{g}_{k}"]) for g in ("cases", "controls") for k in range(3)]
        case = np.arange(30, PEOPLE) % 2 == 1
        assert cells == [int((block[place, m] == k).sum()) for m in (case, ~case) for k in range(3)]
        assert int(quality[place]["people"]) == int((block[place] >= 0).sum())
    # Who has no covariate is left out of the regression alone.
    assert int(rows(out / "logistic.tsv")[40]["people"]) == 99
    assert int(tested[40]["cases_0"]) + int(tested[40]["controls_2"]) == 100
    assert summary.sheets[0].p == {}


def test_a_number_is_regressed_and_has_no_cases(study: Study, tmp_path: Path) -> None:
    trait = Phenotype("height", np.random.default_rng(2).normal(size=PEOPLE), False)
    summary = run(replace(study, phenotype=trait, analyses=(Linear(),)), folder(tmp_path))
    assert summary is not None
    assert (summary.cases, summary.controls) == (None, None)
    assert set(summary.sheets[0].p) == {"p"}
    with pytest.raises(BadInput, match="need cases and controls"):
        run(replace(study, phenotype=trait), folder(tmp_path, "other"))
    assert list((tmp_path / "other").iterdir()) == []


def test_variants_past_the_limits_are_left_out_and_counted(study: Study, tmp_path: Path) -> None:
    out = folder(tmp_path)
    summary = run(replace(study, limits=Limits(maf=0.35, missing=0.2, hardy_weinberg=1e-6)), out)
    assert summary is not None
    found = rows(out / "assoc.tsv")
    assert summary.kept == len(found) == len(rows(out / "logistic.tsv")) < VARIANTS
    assert summary.dropped["missing"] == 1
    assert sum(summary.dropped.values()) == VARIANTS - summary.kept
    assert "rs11" not in {row["id"] for row in found}
    (sheet, _) = summary.sheets
    assert np.isnan(sheet.p["p_trend"]).sum() == VARIANTS - summary.kept


def test_cases_may_depart_from_hardy_weinbergs_law_and_controls_may_not(tmp_path: Path) -> None:
    case = np.arange(PEOPLE) % 2 == 1
    lawful = np.random.default_rng(4).binomial(2, 0.5, PEOPLE)
    found = np.stack([np.where(case, 1, lawful), np.where(case, lawful, 1)]).astype(np.int8)
    asked = Study(
        stores.store_of(tmp_path / "s.zarr", found),
        Phenotype("ill", case.astype(float), True),
        BOTH[:1],
        limits=Limits(hardy_weinberg=1e-4),
    )
    out = folder(tmp_path)
    summary = run(asked, out)
    assert summary is not None
    assert [row["id"] for row in rows(out / "assoc.tsv")] == ["rs0"]
    assert summary.dropped["hardy_weinberg"] == 1


def test_where_nothing_is_left_the_table_has_its_headings(study: Study, tmp_path: Path) -> None:
    out = folder(tmp_path)
    summary = run(replace(study, keep=np.arange(PEOPLE) > 0, limits=Limits(maf=0.5, missing=0.0)), out)
    assert summary is not None
    assert summary.kept == 0
    assert (out / "assoc.tsv").read_text().startswith("chrom\tpos\tid")
    assert summary.sheets[0].top == ()


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_write_the_same_bytes(study: Study, tmp_path: Path, threads: int) -> None:
    one, other = folder(tmp_path), folder(tmp_path, "other")
    assert run(study, one, scheduler=Backwards())
    assert run(study, other, scheduler=Threads(threads))
    for name in ("assoc.tsv", "logistic.tsv"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


class Backwards:
    """Does the last chunk first."""

    def run(self, work: Any, key: Any, chunks: Any, go_on: Any) -> bool:
        for number in reversed(list(chunks)):
            go_on(number, work.only(number).do(number, key))
        return True


class Held:
    """Genotypes in memory, which are no store, in chunks of more variants than a summary names."""

    def __init__(self, store: Store) -> None:
        self._calls, self._store = calls(), store

    people, build = PEOPLE, ""

    @property
    def variants(self) -> Variants:
        return self._store.variants

    def chunks(self) -> range:
        return range(4)

    def bounds(self, chunk: int) -> tuple[int, int]:
        return 25 * chunk, 25 * chunk + 25

    def read(self, chunk: int) -> Block:
        return pack(self._calls[slice(*self.bounds(chunk))])


def test_what_is_no_store_is_studied_likewise(study: Study, tmp_path: Path) -> None:
    one, other = folder(tmp_path), folder(tmp_path, "other")
    stored = run(study, one)
    held = run(replace(study, source=Held(study.source)), other)
    assert (one / "assoc.tsv").read_bytes() == (other / "assoc.tsv").read_bytes()
    assert stored is not None
    assert held is not None
    assert stored.as_json() == held.as_json()


def test_what_is_sent_to_a_worker_opens_the_same_store_or_none(study: Study, tmp_path: Path) -> None:
    sent: list[Any] = []

    class Post:
        def run(self, work: Any, *_: Any) -> bool:
            sent.append(pickle.dumps(work.only(2)))
            return False

    run(study, folder(tmp_path), scheduler=Post())
    work = pickle.loads(sent[0])  # noqa: S301 -- made a line above
    assert (len(work.variants), work.begins) == (8, 16)
    assert work.do(2).text["assoc"].tobytes().startswith(b"1\t17000\trs16\t")
    study.source.path.rename(tmp_path / "away")
    stores.store_of(study.source.path, calls()[::-1].copy(), chunk=8)
    with pytest.raises(Conflict, match="another store on a worker"):
        work.do(2)


def test_parquet_holds_the_same_with_all_digits(study: Study, tmp_path: Path) -> None:
    out = folder(tmp_path)
    summary = run(replace(study, parquet=True, limits=Limits(maf=0.01)), out)
    assert summary is not None
    assert [file.name for file in summary.sheets[1].files] == ["logistic.tsv", "logistic.parquet"]
    for name in ("assoc", "logistic"):
        text, table = rows(out / f"{name}.tsv"), pq.read_table(out / f"{name}.parquet").to_pylist()
        assert list(text[0]) == list(table[0])
        for said, held in zip(text, table, strict=True):
            for column, word in said.items():
                value = held[column]
                known = "NA" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
                assert word == known


def test_a_study_that_is_stopped_leaves_nothing(study: Study, tmp_path: Path) -> None:
    out = folder(tmp_path)
    asked = iter([True, True, False, False, False])
    assert run(study, out, go_on=lambda: next(asked)) is None
    assert list(out.iterdir()) == []


def test_a_study_that_fails_leaves_nothing(study: Study, tmp_path: Path) -> None:
    out = folder(tmp_path)
    (study.source.path / "call_planes" / "c.5.0.0").write_bytes(b"")
    from noisegate.errors import CatalogError

    with pytest.raises(CatalogError):
        run(study, out)
    assert list(out.iterdir()) == []


def test_a_table_that_is_there_is_not_written_over(study: Study, tmp_path: Path) -> None:
    out = folder(tmp_path)
    (out / "logistic.tsv").write_text("mine")
    with pytest.raises(BadInput, match=r"logistic\.tsv exists already"):
        run(study, out)
    assert [file.read_text() for file in out.iterdir()] == ["mine"]
    with pytest.raises(BadInput, match="not a folder"):
        run(study, tmp_path / "nowhere")


def test_two_runs_do_not_write_one_table(study: Study, tmp_path: Path) -> None:
    out = folder(tmp_path)
    with (out / "assoc.tsv.partial").open("wb") as theirs:
        fcntl.flock(theirs, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="another run"):
            run(study, out)
    assert (out / "assoc.tsv.partial").exists()


CHILD = """
import sys, time
from pathlib import Path
import numpy as np
from noisegate.genomics.gwas.analyses import Contingency, Test
from noisegate.genomics.gwas.phenotypes import Phenotype
from noisegate.genomics.gwas.study import Study, run
from noisegate.genotypes.store import Store
store = Store.open(Path(sys.argv[1]))
trait = Phenotype("ill", (np.arange(store.people) % 2).astype(float), True)
def slowly():
    print("chunk", flush=True)
    time.sleep(60)
    return True
run(Study(store, trait, (Contingency((Test.TREND,)),)), Path(sys.argv[2]), go_on=slowly)
"""


def test_a_run_that_was_killed_looks_unfinished_and_can_be_given_again(study: Study, tmp_path: Path) -> None:
    out = folder(tmp_path)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, study.source.path, out], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == "chunk\n"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert [file.name for file in out.iterdir()] == ["assoc.tsv.partial"]
    assert run(replace(study, analyses=(Contingency((Asked.TREND,)),)), out)
    assert [file.name for file in out.iterdir()] == ["assoc.tsv"]
    assert len(rows(out / "assoc.tsv")) == VARIANTS


@pytest.mark.parametrize("analyses", [(), (Linear(), Linear())])
def test_what_asks_for_nothing_or_twice_is_refused(study: Study, analyses: tuple[Linear, ...]) -> None:
    with pytest.raises(BadInput, match="asked for"):
        replace(study, analyses=analyses)
    with pytest.raises(BadInput, match="once each"):
        Contingency((Asked.TREND, Asked.TREND))


def test_arrays_of_other_people_are_refused(study: Study) -> None:
    with pytest.raises(ValueError, match="130 people"):
        replace(study, keep=np.ones(7, bool))


def test_memory_holds_a_few_chunks_and_no_more(tmp_path: Path) -> None:
    """Ten times the variants take no more memory but eight bytes each for p-values and names."""
    import tracemalloc

    def most(variants: int) -> int:
        made = stores.store_of(tmp_path / f"{variants}.zarr", stores.calls_of(variants, 64), chunk=256)
        trait = Phenotype("ill", (np.arange(64) % 2).astype(float), True)
        asked = Study(made, trait, (Contingency((Asked.TREND,)),))
        run(asked, folder(tmp_path, f"warm{variants}"))
        tracemalloc.start()
        run(asked, folder(tmp_path, f"out{variants}"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    # Names take some hundred bytes a variant; a chunk's columns would take several times that.
    assert most(20_480) - most(2_048) < 250 * 18_432


distributed: Any = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def security() -> Any:
    return distributed.Security.temporary()


@pytest.fixture
def workers(security: Any) -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tls://",
        security=security,
        dashboard_address=None,
    ) as made:
        yield made


@pytest.mark.slow
def test_a_cluster_writes_the_same_bytes(study: Study, tmp_path: Path, workers: Any, security: Any) -> None:
    from noisegate.genomics.cluster import Cluster

    one, other = folder(tmp_path), folder(tmp_path, "other")
    both = replace(study, quality=True, limits=Limits(maf=0.02))
    here = run(both, one)
    there = run(both, other, scheduler=Cluster(workers.scheduler_address, security))
    assert here is not None
    assert there is not None
    for name in ("assoc.tsv", "logistic.tsv", "quality.tsv"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert here.as_json() == there.as_json()
