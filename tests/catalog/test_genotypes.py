import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from noisegate import sql
from noisegate.catalog import genotypes
from noisegate.catalog.check import Severity, check
from noisegate.catalog.describe import describe_dataset
from noisegate.catalog.load import load
from noisegate.catalog.model import Column, Dataset, Genotypes, Table
from noisegate.errors import CatalogError, UnknownColumn

ROOT = Path(__file__).parents[2]
PANEL = ROOT / "data" / "genomes" / "kg3_aisnps.vcf.gz"
BIM = "1 rs1 0 5 G A\n1 rs2 0 6 T C\n1 . 0 7 C A\n"

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(keys: str) -> Path:
        path = tmp_path / "catalog.toml"
        path.write_text(
            f"[p]\nunit = 'person'\nunit_type = 'str'\n[p.genotypes.g]\nvariants = 'public'\n{keys}\n",
            "utf-8",
        )
        return path

    return to_file


def bed(folder: Path, bim: str = BIM) -> None:
    (folder / "some.bed").write_bytes(b"l\x1b\x01" + bytes(bim.count("\n")))
    (folder / "some.bim").write_text(bim)
    (folder / "some.fam").write_text("ann ann 0 0 0 -9\n")


def table(path: Path) -> Table:
    (found,) = load(path).datasets[0].tables
    return found


def refusal(path: Path) -> tuple[str, str]:
    with pytest.raises(CatalogError) as caught:
        load(path)
    (problem,) = caught.value.detail["problems"]  # type: ignore[misc]
    return problem["where"], problem["message"]


def test_the_variants_of_a_bed_are_columns_by_the_list_beside_it(write: Write, tmp_path: Path) -> None:
    bed(tmp_path)
    found = table(write("source = 'some.bed'\nbuild = 'GRCh37'\npublic = true"))
    assert [c.name for c in found.columns] == ["person", "rs1", "rs2", "chr1_7_A_C"]
    assert found.columns[1].title == "copies of G at 1:5 (reference A)"
    assert found.genotypes == Genotypes(build="GRCh37", public=True)
    assert found.genotypes.in_sql
    assert not found.public


def test_who_is_in_a_file_is_private_unless_the_custodian_says_so(write: Write, tmp_path: Path) -> None:
    bed(tmp_path)
    said = {"": False, "roster = 'private'": False, "roster = 'public'": True}
    for line, named in said.items():
        found = table(write(f"source = 'some.bed'\n{line}")).genotypes
        assert found is not None
        assert found.named is named
    dataset: Dataset = load(write("source = 'some.bed'")).datasets[0]
    assert dataset.genotypes == dataset.tables


def test_few_variants_are_columns_and_many_are_none(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed(tmp_path)
    path = write("source = 'some.bed'")
    for most, columns in ((3, 4), (2, 1)):
        monkeypatch.setattr(genotypes, "MAX_VARIANTS", most)
        assert len(table(path).columns) == columns
    said = "variants are no columns of SQL here, since it has more than 2 variants"
    (described,) = describe_dataset(load(path).datasets[0])["tables"]  # type: ignore[misc]
    assert described["note"].startswith(said)
    notes = [f for f in check(path) if f.severity is Severity.NOTE and said in f.message]
    assert [f.where for f in notes] == ["p.genotypes.g"]


def test_a_question_about_a_variant_that_is_no_column_says_why(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed(tmp_path)
    monkeypatch.setattr(genotypes, "MAX_VARIANTS", 2)
    catalog = load(write("source = 'some.bed'"))
    assert sql.read("SELECT count(*) FROM p.g", catalog)
    with pytest.raises(UnknownColumn) as caught:
        sql.read("SELECT count(*) FROM p.g WHERE rs1 = 2", catalog)
    assert caught.value.hint == "the variants of p.g are no columns of SQL: it has more than 2 variants"


@pytest.mark.parametrize(
    ("bim", "reason"),
    [
        ("1 1:5:A:G 0 5 G A\n", "1:5:A:G cannot be a column name"),
        ("1 rs1 0 5 G A\n1 RS1 0 6 T C\n", "two of its variants have one name"),
    ],
)
def test_variants_that_no_sql_could_name_are_no_columns(
    write: Write, tmp_path: Path, bim: str, reason: str
) -> None:
    bed(tmp_path, bim)
    found = table(write("source = 'some.bed'"))
    assert [c.name for c in found.columns] == ["person"]
    assert found.genotypes is not None
    assert reason in found.genotypes.not_in_sql


def test_a_table_whose_columns_are_all_there_has_no_note(write: Write, tmp_path: Path) -> None:
    bed(tmp_path)
    (described,) = describe_dataset(load(write("source = 'some.bed'")).datasets[0])["tables"]  # type: ignore[misc]
    assert "note" not in described


def test_tables_of_calls_take_their_columns_from_names_or_a_manifest(write: Write, tmp_path: Path) -> None:
    pl.DataFrame({"who": ["a"], "v1": [1], "v2": [0]}).write_parquet(tmp_path / "n.parquet")
    (tmp_path / "l.csv").write_text("sex,who,v1\nf,a,AG\n")
    (tmp_path / "list.csv").write_text("id,ref,alt\nv1,A,G\n")
    assert [c.name for c in table(write("source = 'n.parquet'")).columns] == ["person", "v1", "v2"]
    listed = table(write("source = 'l.csv'\nperson = 'who'\nmanifest = 'list.csv'"))
    assert [c.name for c in listed.columns] == ["person", "v1"]
    assert listed.genotypes == Genotypes(person="who", manifest=str(tmp_path / "list.csv"))
    letters = table(write("source = 'l.csv'\nperson = 'who'\npublic = true"))
    assert letters.genotypes is not None
    assert "known once it is registered" in letters.genotypes.not_in_sql


@pytest.mark.parametrize(
    ("keys", "where", "message"),
    [
        ("source = 'x.doc'", "p.genotypes.g.source", "is a local folder, or a file ending in .bed"),
        ("source = 's3://x/y.bed'", "p.genotypes.g.source", "is a local folder"),
        ("source = 'nowhere.bed'", "p.genotypes.g.source", "No such file"),
        ("source = 'some.bed'\nformat = 'bde'", "p.genotypes.g.format", "did you mean 'bed'?"),
        ("source = 'some.bed'\nroster = 'yes'", "p.genotypes.g.roster", "or 'private'"),
        ("source = 'some.bed'\npublic = 'yes'", "p.genotypes.g.public", "is true or false"),
        ("source = 'some.bed'\nmanifest = 'http://x'", "p.genotypes.g.manifest", "is a local file"),
        ("source = 'broken.bed'", "p.genotypes.g.source", "broken.bim, line 1: 2 fields where 6 are due"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    write: Write, tmp_path: Path, keys: str, where: str, message: str
) -> None:
    bed(tmp_path)
    (tmp_path / "broken.bed").write_bytes(b"l\x1b\x01")
    (tmp_path / "broken.bim").write_text("1 rs1\n")
    found = refusal(write(keys))
    assert found[0] == where
    assert message in found[1]


def test_a_vcf_of_few_variants_must_be_fit_for_sql_as_before(write: Write, tmp_path: Path) -> None:
    (tmp_path / "some.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\n"
        "1\t1\trs1;rs2\tA\tC\t.\t.\t.\tGT\t0/0\n"
    )
    assert "line 3: rs1;rs2 cannot be a column name" in refusal(write("source = 'some.vcf'"))[1]
    found = table(write(f"source = '{PANEL}'"))
    assert (len(found.columns), found.columns[1].name) == (128, "rs2986742")
    assert found.genotypes == Genotypes()


def test_reading_a_catalog_of_files_loads_no_heavy_library(write: Write, tmp_path: Path) -> None:
    bed(tmp_path)
    pl.DataFrame({"who": ["a"], "v1": [1]}).write_parquet(tmp_path / "n.parquet")
    path = write("source = 'some.bed'")
    text = path.read_text()
    for name, source in (("h", "n.parquet"), ("i", str(PANEL))):
        text += f"[p.genotypes.{name}]\nvariants = 'public'\nsource = '{source}'\n"
    path.write_text(text)
    program = (
        "import sys\nfrom pathlib import Path\nfrom noisegate.catalog.load import load\n"
        "assert len(load(Path(sys.argv[1])).datasets[0].tables) == 3\n"
        "print(sorted({'numba', 'zarr', 'cyvcf2', 'pgenlib', 'bed_reader'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_column_is_a_count_of_alleles(write: Write, tmp_path: Path) -> None:
    bed(tmp_path)
    (rs1,) = [c for c in table(write("source = 'some.bed'")).columns if c.name == "rs1"]
    assert isinstance(rs1, Column)
    assert (rs1.values, rs1.tier.value, rs1.nullable, rs1.per_unit) == ((0, 1, 2), "genomic", True, True)
