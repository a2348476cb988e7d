import gzip
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from noisegate.errors import BadInput, CatalogError, SetupError
from noisegate.genotypes import formats, layout
from noisegate.genotypes.formats import detect, files_of, read_into, sites, write_from
from noisegate.genotypes.store import Store

from .files import calls, equal, refused
from .panels import GENOMES, calls_of, panel, store_of
from .test_consumer import ANN
from .test_vcf_store import PROJECT_PANEL


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return store_of(tmp_path / "s.zarr", calls_of(70, 65), build="GRCh38")


def exported(store: Store, folder: Path, kind: str) -> Path:
    target = folder / f"out{formats.WRITTEN[kind]}"
    write_from(store, target, kind)
    return target


@pytest.mark.parametrize("kind", formats.WRITTEN)
def test_every_format_that_is_written_is_known_again_and_read_back_bit_for_bit(
    store: Store, tmp_path: Path, kind: str
) -> None:
    out = exported(store, tmp_path, kind)
    assert detect(out) == kind
    told: list[float] = []
    again = read_into(out, tmp_path / "t.zarr", build="GRCh38", public=True, progress=told.append)
    assert equal(again, store)
    assert again.public
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)
    listed = sites(out, most=10)
    assert listed is not None
    assert listed.digest() == store.variants[:10].digest()


@pytest.mark.parametrize("kind", formats.WRITTEN)
@pytest.mark.parametrize("name", ["kg1", "ceu22"])
def test_formats_in_a_row_change_nothing_of_a_real_panel(tmp_path: Path, name: str, kind: str) -> None:
    first = read_into(panel(name), tmp_path / "a.zarr")
    second = read_into(exported(first, tmp_path, kind), tmp_path / "b.zarr")
    assert equal(second, first)


def test_a_store_is_a_source_too_marked_as_is_said_now(store: Store, tmp_path: Path) -> None:
    assert detect(store.path) == "store"
    again = read_into(store.path, tmp_path / "t.zarr", public=True)
    assert equal(again, store)
    assert (again.public, store.public) == (True, False)
    noisy = store_of(tmp_path / "n.zarr", np.abs(calls_of(8, 3)), noisy=True)
    assert "it holds a release" in refused(read_into, noisy.path, tmp_path / "u.zarr").message
    shutil.rmtree(store.path / layout.CALLS)
    with pytest.raises(BadInput, match="no genotype store"):
        read_into(store.path, tmp_path / "v.zarr")


def test_a_damaged_store_is_refused_and_nothing_is_left(store: Store, tmp_path: Path) -> None:
    chunk = next(file for file in (store.path / layout.CALLS).iterdir() if file.name.startswith("c."))
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(CatalogError):
        read_into(store.path, tmp_path / "t.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


def test_tables_and_raw_data_are_told_apart_by_content(tmp_path: Path) -> None:
    (raw := tmp_path / "ann.txt").write_text(ANN)
    (table := tmp_path / "some.txt").write_text("person\tv1\nann\t1\n")
    people = tmp_path / "people"
    people.mkdir()
    shutil.copy(raw, people)
    assert (detect(raw), detect(table), detect(people)) == ("consumer", "matrix", "consumer")
    shutil.copy(table, people)
    with pytest.raises(BadInput, match="not full of raw data files"):
        detect(people)


def test_a_format_that_is_named_is_believed(tmp_path: Path) -> None:
    odd = tmp_path / "genomes.data"
    shutil.copy(PROJECT_PANEL, odd)
    with pytest.raises(BadInput, match="cannot be told from its name") as caught:
        detect(odd)
    assert "vcf-zarr" in caught.value.hint
    assert read_into(odd, tmp_path / "s.zarr", format="vcf").people == 2_504
    with pytest.raises(BadInput, match="no format 'doc'"):
        read_into(odd, tmp_path / "t.zarr", format="doc")
    with pytest.raises(BadInput, match="no format 'doc' to write"):
        write_from(Store.open(tmp_path / "s.zarr"), tmp_path / "x", "doc")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, f"x{ending}")
        for kind in ("bed", "pgen", "vcf", "parquet")
        for ending in (".vcf.gz", ".bed", ".pgen", ".csv", ".parquet")
        if ending != formats.WRITTEN[kind]
    ],
)
def test_a_file_of_another_kind_than_its_name_is_refused(
    store: Store, tmp_path: Path, kind: str, name: str
) -> None:
    shutil.copy(exported(store, tmp_path, kind), tmp_path / name)
    error = refused(read_into, tmp_path / name, tmp_path / "t.zarr")
    assert f"but its content is {kind}" in error.message


@pytest.mark.parametrize("ending", [*formats.ENDINGS])
def test_an_empty_file_is_refused_whatever_its_name(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"some{ending}"
    path.touch()
    refused(read_into, path, tmp_path / "s.zarr")
    path.write_bytes(gzip.compress(b""))
    refused(read_into, path, tmp_path / "s.zarr")
    assert "nowhere" in refused(read_into, tmp_path / f"nowhere{ending}", tmp_path / "s.zarr").message


def test_a_manifest_is_for_tables_and_raw_data_alone(tmp_path: Path) -> None:
    (listed := tmp_path / "list.csv").write_text("id,chrom,pos,ref,alt\nrs1,1,100,A,G\n")
    (raw := tmp_path / "ann.txt").write_text(ANN)
    store = read_into(raw, tmp_path / "s.zarr", manifest=listed)
    assert calls(store).tolist() == [[1]]
    found = sites(raw, manifest=listed)
    assert found is not None
    assert found.digest() == store.variants.digest()
    assert sites(raw) is None
    error = refused(read_into, PROJECT_PANEL, tmp_path / "t.zarr", manifest=listed)
    assert "names its variants itself" in error.message


def test_the_digest_of_a_source_covers_every_file_of_it(store: Store, tmp_path: Path) -> None:
    bed, pgen, vcf, folder = (exported(store, tmp_path, k) for k in ("bed", "pgen", "vcf", "vcf-zarr"))
    assert [f.name for f in files_of(bed)] == ["out.bed", "out.bim", "out.fam"]
    assert [f.name for f in files_of(pgen)] == ["out.pgen", "out.pvar", "out.psam"]
    assert files_of(vcf) == [vcf]
    for file in (bed, bed.with_suffix(".bim"), bed.with_suffix(".fam")):
        shutil.copy(file, tmp_path / f"a.panel.v2{file.suffix}")
    dotted = ["a.panel.v2.bed", "a.panel.v2.bim", "a.panel.v2.fam"]
    for name in ("a.panel.v2.bed", "a.panel.v2"):  # by a file, or by what the three have in common
        assert [f.name for f in files_of(tmp_path / name)] == dotted
        assert detect(tmp_path / name) == "bed"
        assert sites(tmp_path / name) is not None
    inside = files_of(folder)
    assert inside == sorted(inside)
    assert folder / ".zgroup" in inside


def test_finding_a_format_and_its_variants_loads_no_heavy_library() -> None:
    source = GENOMES / "kg1.bed"
    asked = [str(PROJECT_PANEL), *([str(source)] if source.exists() else [])]
    program = (
        "import sys\nfrom pathlib import Path\nfrom noisegate.genotypes import formats\n"
        "for name in sys.argv[1:]:\n    assert len(formats.sites(Path(name), most=50)) == 50\n"
        "heavy = {'numba', 'zarr', 'cyvcf2', 'pgenlib', 'bed_reader', 'scipy', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program, *asked], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_extra_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("vcf_store", "importing", "store", "layout"):
        monkeypatch.delitem(sys.modules, f"noisegate.genotypes.{name}", raising=False)
    monkeypatch.delattr("noisegate.genotypes.vcf_store", raising=False)
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(SetupError, match="zarr") as caught:
        read_into(PROJECT_PANEL, tmp_path / "s.zarr")
    assert "noisegate[genomes]" in caught.value.hint


def test_the_name_of_a_stores_planes_is_that_of_its_layout() -> None:
    assert formats._PLANES == layout.CALLS
