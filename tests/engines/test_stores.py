"""Genotypes are registered twice: as rows for SQL, and as a store that is part of the version."""

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from noisegate.catalog.load import load
from noisegate.catalog.model import Dataset, Genotypes
from noisegate.engines import register as registering
from noisegate.engines.register import declaration, genotype_store, register, store_name
from noisegate.errors import CatalogError, SetupError
from noisegate.genotypes import vcf
from noisegate.genotypes.packed import unpack

from .test_register import rows

PANEL = Path(__file__).parents[2] / "data" / "genomes" / "kg3_aisnps.vcf.gz"
VCF = (
    "##fileformat=VCFv4.2\n##contig=<ID=1,assembly=b37>\n"
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tann\tbob\n"
    "1\t1\trs1\tA\tC\t.\t.\t.\tGT\t0/1\t./.\n1\t2\trs2\tA\tC\t.\t.\t.\tGT\t1/1\t0/0\n"
)

Declare = Callable[..., Dataset]


@pytest.fixture
def declare(tmp_path: Path) -> Declare:
    def dataset(**sources: str) -> Dataset:
        path = tmp_path / "catalog.toml"
        path.write_text(
            "[panel]\nunit = 'person'\n"
            + "".join(
                f"[panel.genotypes.{name}]\nvariants = 'public'\n{keys}\n" for name, keys in sources.items()
            ),
            "utf-8",
        )
        return load(path).datasets[0]

    (tmp_path / "some.vcf").write_text(VCF)
    return dataset


def test_a_vcf_becomes_rows_and_a_store_of_the_same_calls(declare: Declare, tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = register(declare(snps=f"source = '{PANEL}'"), tmp_path, data, 1)
    store = genotype_store(data, "panel", 1, "snps")
    assert store.path == data / "panel-1.snps.zarr"
    found = {name: list(values) for name, *values in rows(made, "snps")}
    due = unpack(store.block(0, 127)).T.tolist()
    assert found == dict(zip(store.samples, due, strict=True))
    assert store.variants.names().tolist() == [v.name for v in vcf.variants(PANEL)]
    assert (store.people, store.build, store.public) == (2_504, "GRCh37", False)
    store.verify()


def test_other_formats_become_both_too(declare: Declare, tmp_path: Path) -> None:
    pl.DataFrame({"who": ["ann", "bob"], "v1": [0, None], "v2": [2, 1]}).write_parquet(tmp_path / "n.parquet")
    dataset = declare(calls="source = 'n.parquet'\npublic = true\nbuild = 'hg38'", file="source = 'some.vcf'")
    made = register(dataset, tmp_path, tmp_path / "data", 3)
    assert rows(made, "calls") == [("ann", 0, 2), ("bob", None, 1)]
    assert rows(made, "file") == [("ann", 1, 2), ("bob", None, 0)]
    store = genotype_store(tmp_path / "data", "panel", 3, "calls")
    assert (store.public, store.build, store.samples) == (True, "GRCh38", ("ann", "bob"))
    again = replace(dataset, tables=(dataset.table("file"),))  # a store is a source as well
    folder = str(genotype_store(tmp_path / "data", "panel", 3, "file").path)
    copied = declare(file=f"source = '{folder}'")
    assert again.tables[0].columns == copied.tables[0].columns
    assert rows(register(copied, tmp_path, tmp_path / "data", 4), "file") == [("ann", 1, 2), ("bob", None, 0)]


def test_a_table_of_many_variants_has_people_alone_in_sql(
    declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("noisegate.catalog.genotypes.MAX_VCF_VARIANTS", 1)
    made = register(declare(big="source = 'some.vcf'"), tmp_path, tmp_path / "data", 1)
    assert rows(made, "big") == [("ann",), ("bob",)]
    store = genotype_store(tmp_path / "data", "panel", 1, "big")
    assert unpack(store.block(0, 2)).tolist() == [[1, -1], [2, 0]]


def test_a_store_is_told_from_another_by_the_digest_of_its_version(declare: Declare, tmp_path: Path) -> None:
    data = tmp_path / "data"
    dataset = declare(snps="source = 'some.vcf'")
    first = register(dataset, tmp_path, data, 1, key=b"k" * 32)
    assert first.digest == register(dataset, tmp_path, data, 2, key=b"k" * 32).digest
    (tmp_path / "some.vcf").write_text(VCF.replace("0/1", "0/0"))
    other = register(dataset, tmp_path, data, 3, key=b"k" * 32)
    assert other.digest != first.digest
    assert genotype_store(data, "panel", 1, "snps").digest == genotype_store(data, "panel", 2, "snps").digest
    shutil.rmtree(data / store_name("panel", 1, "snps"))
    shutil.copytree(data / store_name("panel", 3, "snps"), data / store_name("panel", 1, "snps"))
    with pytest.raises(CatalogError, match="not the store that version 1 of panel was registered with"):
        genotype_store(data, "panel", 1, "snps")


def test_what_was_not_registered_is_not_found(declare: Declare, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with pytest.raises(CatalogError, match="no genotype store of snps") as caught:
        genotype_store(data, "panel", 1, "snps")
    assert "catalog register panel" in caught.value.hint
    register(declare(snps="source = 'some.vcf'"), tmp_path, data, 1)
    with pytest.raises(CatalogError, match="no genotype store of other"):
        genotype_store(data, "panel", 1, "other")
    shutil.rmtree(data / "panel-1.snps.zarr")
    with pytest.raises(CatalogError, match="no such folder"):
        genotype_store(data, "panel", 1, "snps")


def test_a_registration_that_fails_leaves_no_store(declare: Declare, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "bad.csv").write_text("who,v1\nann,0\nann,1\n")
    with pytest.raises(CatalogError, match=r"panel\.bad: bad\.csv, line 3: sample ann is there twice"):
        register(declare(snps="source = 'some.vcf'", bad="source = 'bad.csv'"), tmp_path, data, 1)
    assert list(data.iterdir()) == []


def test_a_snapshot_that_cannot_be_published_takes_its_stores_with_it(
    declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    dataset = declare(snps="source = 'some.vcf'")

    def full(*_: object) -> None:
        assert (data / "panel-1.snps.zarr").is_dir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registering, "_publish", full)
    with pytest.raises(OSError, match="No space"):
        register(dataset, tmp_path, data, 1)
    assert list(data.iterdir()) == []
    monkeypatch.undo()
    (data / "panel-1.snps.zarr").mkdir()
    with pytest.raises(CatalogError, match="registered at the same time"):
        register(dataset, tmp_path, data, 1)
    assert [path.name for path in data.iterdir()] == ["panel-1.snps.zarr"]


def test_files_of_a_registered_store_are_the_owners_to_read(declare: Declare, tmp_path: Path) -> None:
    register(declare(snps="source = 'some.vcf'"), tmp_path, tmp_path / "data", 1)
    store = tmp_path / "data" / "panel-1.snps.zarr"
    assert store.stat().st_mode & 0o777 == 0o700
    files = [f for f in store.rglob("*") if f.is_file()]
    assert {f.stat().st_mode & 0o777 for f in files} == {0o400}


def test_calls_that_sql_cannot_have_are_refused_as_before(declare: Declare, tmp_path: Path) -> None:
    (tmp_path / "some.vcf").write_text(VCF.replace("0/1", "1"))
    dataset = declare(snps="source = 'some.vcf'")
    with pytest.raises(CatalogError, match="rs1 has calls that are not of two alleles"):
        register(dataset, tmp_path, tmp_path / "data", 1)
    (tmp_path / "some.vcf").unlink()
    with pytest.raises(CatalogError, match=r"panel\.snps: no file"):
        register(dataset, tmp_path, tmp_path / "data", 1)


def test_progress_goes_on_within_a_table_of_genotypes(declare: Declare, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    two = declare(a="source = 'some.vcf'", b="source = 'some.vcf'")
    register(two, tmp_path, tmp_path / "data", 1, lambda name, share: told.append((name, share)))
    assert told == [("a", 0.45), ("a", 0.5), ("b", 0.95), ("b", 1.0)]


def test_marking_genotypes_public_is_part_of_what_is_declared(declare: Declare) -> None:
    private, public = (declare(snps="source = 'some.vcf'" + more) for more in ("", "\npublic = true"))
    assert declaration(private) != declaration(public)
    bare = replace(private, tables=tuple(replace(t, genotypes=None) for t in private.tables))
    assert declaration(private) == declaration(bare)
    assert private.tables[0].genotypes == Genotypes()


def test_without_the_extra_registration_says_what_to_install(
    declare: Declare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = declare(snps="source = 'some.vcf'")
    for name in ("importing", "store", "layout", "packed"):
        monkeypatch.delitem(sys.modules, f"noisegate.genotypes.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(SetupError, match="not installed") as caught:
        register(dataset, tmp_path, tmp_path / "data", 1)
    assert "noisegate[genomes]" in caught.value.hint
    assert list((tmp_path / "data").iterdir()) == []
    assert np.__name__ == "numpy"
