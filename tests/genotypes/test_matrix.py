import csv
import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisegate.genotypes import parquet
from noisegate.genotypes.matrix import read
from noisegate.genotypes.packed import tally
from noisegate.genotypes.transpose import PersonByPerson
from noisegate.genotypes.variants import Variants

from .files import GENOMES, calls, refused

NUMBERS = "person,v1,v2,v3\nann,0,1,2\nbob,NA,,2\n"
LETTERS = "person,sex,v1,v2\nann,f,AG,C/C\nbob,m,GG,--\ncat,f,NA,T|C\n"
MANIFEST = Variants.of(["7", "X"], [5, 0], ["v2", "v1"], ["T", "G"], ["C", "A"])


def shared(name: str) -> Path:
    path = GENOMES.parent / name
    if not path.exists():
        pytest.skip(f"{name} is not here: the shared data are needed")
    return path


def written(tmp_path: Path, content: str, name: str = "some.csv") -> Path:
    path = tmp_path / name
    path.write_text(content, "utf-8")
    return path


def test_a_table_of_numbers_is_taken_as_it_is(tmp_path: Path) -> None:
    store = read(written(tmp_path, NUMBERS), tmp_path / "s.zarr")
    assert store.samples == ("ann", "bob")
    assert calls(store).T.tolist() == [[0, 1, 2], [-1, -1, 2]]
    assert list(store.variants.rows()) == [("0", 0, f"v{i}", "A", "B") for i in (1, 2, 3)]


def test_tables_are_alike_in_csv_tsv_and_parquet(tmp_path: Path) -> None:
    source = written(tmp_path, NUMBERS)
    tabs = written(tmp_path, NUMBERS.replace(",", "\t"), "some.tsv")
    zipped = tmp_path / "some.csv.gz"
    zipped.write_bytes(gzip.compress(NUMBERS.encode()))
    frame = pl.read_csv(source, null_values="NA")
    frame.write_parquet(tmp_path / "int.parquet")
    frame.with_columns(pl.col("v1", "v2", "v3").cast(pl.Float64)).write_parquet(tmp_path / "float.parquet")
    frame.with_columns(pl.all().cast(pl.String)).write_parquet(tmp_path / "text.parquet")
    parquet = [tmp_path / f"{kind}.parquet" for kind in ("int", "float", "text")]
    for number, path in enumerate((source, tabs, zipped, *parquet)):
        store = read(path, tmp_path / f"{number}.zarr")
        assert calls(store).T.tolist() == [[0, 1, 2], [-1, -1, 2]], path.name


VALUE = st.sampled_from(["0", "1", "2", "", "NA", "-9", "."])


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(VALUE, VALUE, VALUE), min_size=1, max_size=150))
def test_any_numbers_are_read_as_a_plain_reader_reads_them(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    tmp_path = tmp_path_factory.mktemp("matrix")
    with (tmp_path / "some.csv").open("w", newline="") as out:
        csv.writer(out).writerows([["id", "a", "b", "c"], *([f"p{i}", *row] for i, row in enumerate(rows))])
    due = [[int(v) if v in ("0", "1", "2") else -1 for v in row] for row in rows]
    assert calls(read(tmp_path / "some.csv", tmp_path / "s.zarr")).T.tolist() == due


def test_a_manifest_says_which_columns_are_variants_and_what_is_counted(tmp_path: Path) -> None:
    store = read(written(tmp_path, LETTERS), tmp_path / "s.zarr", manifest=MANIFEST, build="GRCh38")
    assert store.variants.digest() == MANIFEST.digest()
    assert calls(store).T.tolist() == [[2, 1], [-1, 0], [1, -1]]
    assert (store.build, store.provenance["manifest"]) == ("GRCh38", True)
    numbers = read(written(tmp_path, NUMBERS), tmp_path / "t.zarr", manifest=MANIFEST)
    assert calls(numbers).T.tolist() == [[1, 0], [-1, -1]]


def test_coding_by_a_manifest_does_not_depend_on_the_other_people(tmp_path: Path) -> None:
    alone = written(tmp_path, "person,v1,v2\nann,AG,CC\n", "alone.csv")
    together = written(tmp_path, "person,v1,v2\nann,AG,CC\nbob,AA,TT\ncat,GG,\n", "together.csv")
    first, second = (read(path, path.with_suffix(".zarr"), manifest=MANIFEST) for path in (alone, together))
    assert calls(first)[:, 0].tolist() == calls(second)[:, 0].tolist() == [2, 1]


def test_letters_without_a_manifest_are_read_of_public_people_alone(tmp_path: Path) -> None:
    source = written(tmp_path, LETTERS)
    error = refused(read, source, tmp_path / "s.zarr")
    assert "line 2, column 'sex': neither 0, 1, 2 nor two of its alleles, nor missing" in error.message
    assert "manifest" in error.hint
    store = read(source, tmp_path / "s.zarr", public=True)
    assert list(store.variants.rows()) == [("0", 0, "v1", "A", "G"), ("0", 0, "v2", "C", "T")]
    assert calls(store).T.tolist() == [[1, 0], [2, -1], [-1, 1]]
    assert store.public


def test_people_may_be_named_by_any_column_or_numbered(tmp_path: Path) -> None:
    source = written(tmp_path, "v1,who\n0,ann\n1,bob\n")
    assert read(source, tmp_path / "s.zarr", person="who").samples == ("ann", "bob")
    bare = written(tmp_path, "v1,v2\n0,1\n1,1\n", "bare.csv")
    store = read(bare, tmp_path / "t.zarr", person="#")
    assert (store.samples, calls(store).tolist()) == (("1", "2"), [[0, 1], [1, 1]])
    assert "no column 'whom'" in refused(read, source, tmp_path / "u.zarr", person="whom").message


MISTAKES = [
    ("", "the file is empty"),
    ("\n", "the file is empty"),
    ("person,v1,v1\nann,0,1\n", "column 'v1' is there twice"),
    ("person,v 1\nann,0\n", "column 'v 1' has no name, or one with a space"),
    ("person,v1\n", "nobody is in it"),
    ("person\nann\n", "no column of a variant"),
    ("person,v1\nann,0,1\n", "line 2: 3 fields where 2 are due"),
    ("person,v1\nann,0\nbob,3\n", "line 3, column 'v1': neither 0, 1, 2 nor"),
    ("person,v1\nann,0\nann,1\n", "sample ann is there twice"),
    ("person,v1\n,0\n", "line 2: the person has no name"),
    ('person,v1\n"ann,0\n', "line 2"),
    ("person,v1\nann,0\nbob,", "line 3: the last line has no end"),
]


@pytest.mark.parametrize(("content", "message"), MISTAKES)
def test_what_is_no_table_of_calls_is_refused_with_its_place_and_leaves_nothing(
    tmp_path: Path, content: str, message: str
) -> None:
    error = refused(read, written(tmp_path, content), tmp_path / "s.zarr")
    assert message in error.message


def test_no_refusal_holds_a_value_of_the_table(tmp_path: Path) -> None:
    source = written(tmp_path, "person,v1\nann,secret\n")
    error = refused(read, source, tmp_path / "s.zarr")
    assert "secret" not in error.message + error.hint


def test_letters_that_are_not_the_manifests_alleles_are_refused(tmp_path: Path) -> None:
    source = written(tmp_path, "person,v1,v2\nann,AG,CA\n")
    error = refused(read, source, tmp_path / "s.zarr", manifest=MANIFEST)
    assert "line 2, column 'v2'" in error.message
    short = written(tmp_path, "person,v1\nann,AG\n", "short.csv")
    error = refused(read, short, tmp_path / "s.zarr", manifest=MANIFEST)
    assert "no column for 1 of the manifest's variants" in error.message


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "PAR1 not at all", "some.parquet")
    assert "cannot be read as Parquet" in refused(read, path, tmp_path / "s.zarr").message


def bombs(folder: Path) -> dict[str, Path]:
    """Small files of people whose texts are long, as an entry of a dictionary or in a row each."""
    long = pa.array(["x" * 2**20])
    tables = {
        "entry": pa.table({"who": pa.DictionaryArray.from_arrays(pa.array([0] * 500, pa.int32()), long)}),
        "plain": pa.table({"who": pa.array(["x" * 2**20] * 20)}),
        "fixed": pa.table({"who": pa.array([b"x" * 2**20] * 20, pa.binary(2**20))}),
    }
    for name, table in tables.items():
        calls = pa.array([1] * len(table), pa.int8())
        pq.write_table(
            table.append_column("v1", calls),
            folder / f"{name}.parquet",
            compression="zstd",
            use_dictionary=name == "entry",
        )
    return {name: folder / f"{name}.parquet" for name in tables}


@pytest.mark.parametrize("kind", ["entry", "plain", "fixed"])
def test_small_files_of_long_texts_are_refused_before_they_fill_memory(tmp_path: Path, kind: str) -> None:
    path = bombs(tmp_path)[kind]
    assert path.stat().st_size < 100_000
    usual = pa.default_memory_pool()
    watched = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(watched)
    try:
        error = refused(read, path, tmp_path / "s.zarr")
    finally:
        pa.set_memory_pool(usual)
    assert "value has more than 20,001 bytes" in error.message or "more than 64 bytes" in error.message
    assert watched.max_memory() < 2**27


def test_a_column_too_large_to_be_held_is_refused_by_the_footer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bombs(tmp_path)["plain"]
    monkeypatch.setattr(parquet, "_MOST_BYTES", 2**23)
    assert "a column has more than 8,388,608 bytes" in refused(read, path, tmp_path / "s.zarr").message


def test_somebody_who_is_there_twice_is_seen_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_rows = []
    add = PersonByPerson.add

    def counted(self: PersonByPerson, found: object) -> None:
        read_rows.append(found)
        add(self, found)

    monkeypatch.setattr(PersonByPerson, "add", counted)
    path = tmp_path / "twice.parquet"
    pq.write_table(pa.table({"who": ["ann"] * 9_000, "v1": pa.array([1] * 9_000, pa.int8())}), path)
    assert "row 2: sample ann is there twice" in refused(read, path, tmp_path / "s.zarr").message
    assert len(read_rows) == 1


def test_texts_of_parquet_may_be_dictionaries_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "mixed.parquet"
    table = pa.table(
        {
            "who": pa.array(["ann", "bob", "cid"]),
            "v1": pa.array(["0", None, "0"]).dictionary_encode(),
            "v2": pa.array([None, 1, 2], pa.int64()),
        }
    )
    pq.write_table(table, path)
    store = read(path, tmp_path / "s.zarr")
    assert (store.samples, calls(store).tolist()) == (("ann", "bob", "cid"), [[0, -1, 0], [-1, 1, 2]])


def test_the_lactose_tables_are_read_as_polars_reads_them(tmp_path: Path) -> None:
    source = shared("opensnp/lactose_target.parquet")
    store = read(source, tmp_path / "s.zarr")
    frame = pl.read_parquet(source)
    assert (store.people, len(store.variants)) == (60, 9_091)
    assert store.samples == tuple(map(str, frame["sample"]))
    assert store.variants.names().tolist() == frame.columns[1:]
    assert np.array_equal(calls(store).T, frame.drop("sample").to_numpy())


def test_the_snps_of_the_asthma_table_are_counted_as_polars_counts_them(tmp_path: Path) -> None:
    source = shared("asthma.csv")
    store = read(source, tmp_path / "s.zarr", public=True, person="#")
    frame = pl.read_csv(source, infer_schema=False)
    names = frame.columns[6:]
    assert (store.people, store.variants.names().tolist()) == (1_578, names)
    counts = tally(store.block(0, 51))
    for place, (_, _, name, ref, alt) in enumerate(store.variants.rows()):
        letters = "".join(frame[name].drop_nulls())
        assert sorted(set(letters)) == [ref, alt]
        assert counts.alleles[place] == letters.count(alt)
        assert counts.missing[place] == frame[name].null_count()
