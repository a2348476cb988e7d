"""Variants as bytes are what the store's other reader says."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.errors import CatalogError
from noisegate.genotypes import flat
from noisegate.genotypes.flat import Flat, Strings
from noisegate.genotypes.store import Store
from noisegate.genotypes.variants import Variants, text

from .panels import calls_of, store_of, variants_of

words = st.lists(st.text(max_size=40), max_size=30)


def same(one: Flat, other: Flat) -> bool:
    columns = ("chrom", "id", "ref", "alt")
    strings = all(
        getattr(one, name).lines().tobytes() == getattr(other, name).lines().tobytes() for name in columns
    )
    return strings and np.array_equal(one.pos, other.pos)


@settings(deadline=None)
@given(words)
def test_strings_are_kept(strings: list[str]) -> None:
    for held in (Strings.of(text(strings)), Strings.of_words(strings)):
        assert [held.text(row) for row in range(len(held))] == strings
        assert [held[::2].alone().text(row) for row in range(len(held[::2]))] == strings[::2]
        assert held.lines().tobytes().decode() == "".join(word + "\n" for word in strings)


def test_a_slice_of_numpy_strings_is_that_slice() -> None:
    strings = text([f"a rather long string, number {i}" for i in range(9)])
    assert [Strings.of(strings[4:]).text(row) for row in range(5)] == strings[4:].tolist()


def variants() -> Variants:
    return Variants.of(
        ["1", "chrÄ", "1", "X"],
        [0, 5, 5, 9],
        [".", "rsß", "", "x"],
        ["A", "AC", "G", "T"],
        ["C", "A", "<DEL>", "."],
    )


def test_a_column_that_arrow_keeps_in_parts_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    strings = ["a", "", "bß", "c"]
    parts = pa.chunked_array([strings[:3], strings[3:]])
    monkeypatch.setattr("noisegate.genotypes.flat.pa.array", lambda _: parts)
    held = Strings.of(text(strings))
    assert held.starts.dtype == np.int64
    assert [held.text(row) for row in range(4)] == strings


def test_what_is_read_from_the_chunks_is_what_zarr_reads(tmp_path: Path) -> None:
    store = store_of(tmp_path / "s.zarr", calls_of(4, 5), variants())
    read = flat.read(store.path, 4)
    assert read is not None
    assert same(read, Flat.of(store.variants))
    assert read.digest() == store.variants.digest() == store.flat.digest()


def test_more_variants_than_a_chunk_of_names_are_read(tmp_path: Path) -> None:
    count = 70_001
    store = store_of(tmp_path / "s.zarr", np.zeros((count, 3), np.int8), variants_of(count))
    assert store.flat.digest() == store.variants.digest()
    assert store.flat.id.text(70_000) == "rs70000"


def test_more_bytes_than_32_bits_reach_are_found_by_64(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(tmp_path / "s.zarr", np.zeros((70_001, 3), np.int8), variants_of(70_001))
    monkeypatch.setattr(flat, "_kind", lambda size: np.int32 if size < 1_000 else np.int64)
    assert store.flat.id.starts.dtype == np.int64
    assert store.flat.digest() == store.variants.digest()
    assert store.flat[69_000:].alone().id.text(1_000) == "rs70000"


@pytest.mark.parametrize("array", ["variant_id", "variant_allele", "variant_position", "contig_id"])
def test_names_that_were_changed_are_refused(tmp_path: Path, array: str) -> None:
    store = store_of(tmp_path / "s.zarr", calls_of(4, 5), variants())
    other = store_of(tmp_path / "o.zarr", calls_of(4, 5), variants_of(4))
    for file in sorted((other.path / array / "c").rglob("0")):
        if file.is_file():
            (store.path / file.relative_to(other.path)).write_bytes(file.read_bytes())
    with pytest.raises(CatalogError, match="variants were changed"):
        _ = Store.open(store.path).flat


@pytest.mark.parametrize("content", [b"", b"junk", bytes(40)])
def test_chunks_that_are_no_strings_are_refused(tmp_path: Path, content: bytes) -> None:
    store = store_of(tmp_path / "s.zarr", calls_of(4, 5), variants())
    (store.path / "variant_id" / "c" / "0").write_bytes(content)
    with pytest.raises(CatalogError):
        _ = Store.open(store.path).flat


def test_lengths_past_the_end_are_no_strings(tmp_path: Path) -> None:
    store = store_of(tmp_path / "s.zarr", calls_of(4, 5), variants())
    for said in (b"\xff\xff\xff\xff", b"\x04\0\0\0\xff\xff\xff\xff", b"\x04\0\0\0" + 16 * b"\x7f", b""):
        packed = pa.Codec("zstd").compress(said, asbytes=True)
        (store.path / "variant_id" / "c" / "0").write_bytes(packed)
        assert flat.read(store.path, 4) is None


def test_names_of_people_are_what_zarr_reads(tmp_path: Path) -> None:
    store = store_of(tmp_path / "s.zarr", calls_of(4, 5), variants())
    assert flat.words(store.path / "sample_id", 5) == list(store.samples)
    (store.path / "sample_id" / "c" / "0").write_bytes(
        pa.Codec("zstd").compress(b"\1\0\0\0\1\0\0\0\xff", asbytes=True)
    )
    assert flat.words(store.path / "sample_id", 1) is None
    with pytest.raises(CatalogError, match=r"sample_id cannot be read|samples were changed"):
        _ = Store.open(store.path).samples
