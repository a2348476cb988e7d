import json
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from noisegate.errors import BadInput
from noisegate.genotypes.formats import detect
from noisegate.genotypes.packed import tally
from noisegate.genotypes.variant_rows import read, write

from .files import calls, refused
from .panels import calls_of, store_of


def test_what_is_written_is_read_alike_by_duckdb_and_polars(tmp_path: Path) -> None:
    found = calls_of(300, 70)
    store = store_of(tmp_path / "s.zarr", found, chunk=64)
    out = tmp_path / "out.parquet"
    write(store, out)
    frame = pl.read_parquet(out)
    assert frame.columns == ["chrom", "pos", "id", "ref", "alt", "calls"]
    assert frame.drop("calls").rows() == list(store.variants.rows())
    assert frame["calls"].to_list() == [[None if c < 0 else c for c in row] for row in found.tolist()]
    with duckdb.connect() as connection:
        sums = connection.execute(f"SELECT list_sum(calls) FROM '{out}'").fetchall()
    assert [row[0] for row in sums] == tally(store.block(0, 300)).alleles.tolist()
    about = json.loads(pq.read_schema(out).metadata[b"noisegate"])
    assert about == {"samples": list(store.samples), "build": ""}
    assert detect(out) == "parquet"


def rewritten(path: Path, table: pa.Table) -> Path:
    pq.write_table(table, path)
    return path


def test_what_is_not_whole_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    store = store_of(tmp_path / "s.zarr", calls_of(40, 9))
    out, target = tmp_path / "out.parquet", tmp_path / "t.zarr"
    write(store, out)
    content = out.read_bytes()
    (cut := tmp_path / "cut.parquet").write_bytes(content[:-9])
    assert "not a Parquet file of variants" in refused(read, cut, target).message
    table = pq.read_table(out)
    odd = tmp_path / "odd.parquet"
    assert (
        "not a Parquet file of variants: KeyError"
        in refused(read, rewritten(odd, table.drop_columns("ref")), target).message
    )
    bare = rewritten(odd, table.replace_schema_metadata(None))
    assert "not a Parquet file of variants" in refused(read, bare, target).message
    assert detect(rewritten(odd, table.drop_columns("calls"))) == "matrix"
    for values, message in (
        ([[3] * 9] * 40, "a call that is not 0, 1, 2 or null"),
        ([[0] * 8] * 40, "each of 9"),
    ):
        lists = pa.array(values, pa.list_(pa.int8()))
        changed = rewritten(odd, table.set_column(5, "calls", lists))
        assert message in refused(read, changed, target).message
    twice = rewritten(odd, pa.concat_tables([table, table]))
    assert "row 41: rs0 is there twice, first at row 1" in refused(read, twice, target).message


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    store = store_of(tmp_path / "s.zarr", calls_of(8, 3))
    (tmp_path / "out.parquet").touch()
    with pytest.raises(BadInput, match="exists already"):
        write(store, tmp_path / "out.parquet")
    assert np.array_equal(calls(store), calls_of(8, 3))
