import gzip
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisegate.errors import BadInput
from noisegate.genotypes import manifest
from noisegate.genotypes.manifest import read
from noisegate.genotypes.variants import Variants

from .panels import calls_of, panel, store_of
from .test_vcf_store import PROJECT_PANEL

ROWS = [("1", 5, "rs1", "A", "G"), ("X", 0, "", "C", "."), ("2", 9, "rs3", "AT", "A")]
LISTED = Variants.of(*zip(*ROWS, strict=True))
SOURCES = {
    "some.bim": "1 rs1 0 5 G A\nX . 0 0 0 C\n2 rs3 0 9 A AT\n",
    "some.pvar": "##x\n#CHROM\tPOS\tID\tREF\tALT\n1\t5\trs1\tA\tG\nX\t0\t.\tC\t.\n2\t9\trs3\tAT\tA\n",
    "some.csv": "id,ALT,Ref,pos,chrom\nrs1,G,A,5,1\n.,.,C,0,X\nrs3,A,AT,9,2\n",
    "some.tsv": "chrom\tpos\tid\tref\talt\tmore\n1\t5\trs1\tA\tG\tx\nX\t0\t\tC\t0\tx\n2\t9\trs3\tAT\tA\tx\n",
}


@pytest.mark.parametrize("name", SOURCES)
def test_lists_of_all_kinds_say_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(SOURCES[name])
    assert read(path).digest() == LISTED.digest()
    assert read(path, 2).digest() == LISTED[:2].digest()
    zipped = tmp_path / f"{name}.gz"
    zipped.write_bytes(gzip.compress(SOURCES[name].encode()))
    assert read(zipped).digest() == LISTED.digest()


def test_a_parquet_file_is_a_list_too(tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    pl.DataFrame(ROWS, schema=["chrom", "pos", "id", "ref", "alt"], orient="row").write_parquet(path)
    assert read(path).digest() == LISTED.digest()
    pl.DataFrame({"id": ["rs1"], "ref": ["A"], "alt": ["C"]}).write_parquet(path)
    assert list(read(path).rows()) == [("0", 0, "rs1", "A", "C")]


def test_stores_vcfs_and_panels_are_lists_of_their_variants(tmp_path: Path) -> None:
    store = store_of(tmp_path / "s.zarr", calls_of(20, 3))
    assert read(store.path).digest() == store.variants.digest()
    assert len(read(PROJECT_PANEL, 5)) == 5
    assert len(read(panel("kg1").with_suffix(".bim"))) == 14_079


MISTAKES = [
    ("some.csv", "", "it lists no variant|no column"),
    ("some.csv", "id,ref\nrs1,A\n", "no column alt"),
    ("some.csv", "id,ref,alt\n", "it lists no variant"),
    ("some.csv", "id,ref,alt\nrs1,A\n", "line 2: 2 fields, not 3"),
    ("some.csv", "id,ref,alt,pos\nrs1,A,C,x\n", "line 2: no position"),
    ("some.csv", "id,ref,alt\nrs1,A,C\nrs2,A,a\n", "line 3: both alleles are the same"),
    ("some.csv", 'id,ref,alt\nrs1,A,"C,G"\n', "line 2: several alternate alleles"),
    ("some.csv", "id,ref,alt\nrs 1,A,C\n", "line 2: a field is empty, too long or holds a space"),
    ("some.csv", 'id,ref,alt\n"rs1,A,C\n', "line 2"),
    ("some.bim", "1 rs1 0 5 G\n", "line 1: 5 fields where 6 are due"),
    ("some.pvar", "#CHROM\tPOS\tID\tREF\tALT\n1\t5\n", "line 2: only 2 fields"),
    ("some.pvar", "#CHROM\tPOS\tID\tALT\n", "no column ref"),
    ("some.parquet", "no", "cannot be read as Parquet"),
    ("some.doc", "no", "not a list of variants"),
]


@pytest.mark.parametrize(("name", "content", "message"), MISTAKES)
def test_what_lists_no_variants_is_refused_by_its_line(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(BadInput, match=message) as caught:
        read(tmp_path / name)
    assert caught.value.message.startswith(name)
    assert caught.value.hint


def test_letters_are_seen_in_the_first_row_or_the_types(tmp_path: Path) -> None:
    for content, due in (("id,v\na,AG\n", True), ("id,v\na,1\n", False), ("id,v\n", False)):
        (path := tmp_path / "some.csv").write_text(content)
        assert manifest.has_letters(path) == due
    for values, due in ((["AG"], True), ([1], False)):
        pl.DataFrame({"id": ["a"], "v": values}).write_parquet(path := tmp_path / "some.parquet")
        assert manifest.has_letters(path) == due


def test_a_small_list_of_long_texts_is_refused_before_it_fills_memory(tmp_path: Path) -> None:
    columns = {name: ["1"] * 400 for name in ("chrom", "pos", "id", "ref")}
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 400, pa.int32()), pa.array(["A" * 2**20]))
    path = tmp_path / "list.parquet"
    pq.write_table(pa.table({**columns, "alt": long}), path)
    with pytest.raises(BadInput, match="a value has more than 20,001 bytes"):
        read(path)
