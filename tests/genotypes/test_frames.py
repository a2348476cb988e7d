"""Frames of bytes as they are: whatever reads zstd reads them, and so do we, in place."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from noisegate.genotypes import chunks, frames
from noisegate.genotypes.packed import unpack
from noisegate.genotypes.store import Store

from .panels import calls_of, store_of

SIZES = [1, 7, 2**17 - 1, 2**17, 2**17 + 1, 3 * 2**17 + 5]


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_is_one_of_zstd(size: int) -> None:
    content = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    frame = frames.framed(content)
    assert frame.size == frames.size_of(size)
    assert pa.Codec("zstd").decompress(frame, size).to_pybytes() == content.tobytes()


@pytest.mark.parametrize("size", SIZES)
def test_what_is_read_into_the_parts_of_a_frame_is_in_place(size: int) -> None:
    content = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    frame, held = frames.framed(content), np.zeros(size, np.uint8)
    parts = frames.parts(held)
    at = 0
    for part in parts:
        part[:] = frame[at : at + part.size]
        at += part.size
    assert at == frame.size
    assert np.array_equal(held, content)
    assert frames.fit(parts)
    parts[-2][0] ^= 1
    assert not frames.fit(parts)


def test_chunks_that_zstd_framed_or_packed_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = calls_of(64, 2_000)
    zstd = pa.Codec("zstd", compression_level=-1_000)
    monkeypatch.setattr(frames, "framed", lambda content: np.frombuffer(zstd.compress(content), np.uint8))
    store = store_of(tmp_path / "framed.zarr", calls)
    monkeypatch.setattr(chunks, "_WORTH", 0.1)
    packed = store_of(tmp_path / "packed.zarr", calls)
    monkeypatch.undo()
    for each in (store, packed):
        again = Store.open(each.path)
        assert np.array_equal(unpack(again.read(0)), calls)
        again.verify()


def test_a_packed_chunk_of_the_size_of_a_frame_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = calls_of(64, 2_000)
    raw = 2 * 64 * 32 * 8
    found = pa.Codec("zstd", compression_level=-1_000).compress(bytes(raw), asbytes=True)
    # An empty frame that is to be skipped fills it up (RFC 8878, 3.1.2).
    rest = frames.size_of(raw) - len(found) - 8
    fill = b"\x50\x2a\x4d\x18" + rest.to_bytes(4, "little") + bytes(rest)
    whole = np.frombuffer(found + fill, np.uint8)
    monkeypatch.setattr(frames, "framed", lambda _: whole)
    store = store_of(tmp_path / "s.zarr", calls)
    assert not unpack(Store.open(store.path).read(0)).any()


def test_a_file_that_comes_in_pieces_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = calls_of(64, 2_000)
    store = store_of(tmp_path / "s.zarr", calls)
    real = os.preadv
    monkeypatch.setattr(os, "preadv", lambda descriptor, parts, at: real(descriptor, [parts[0][:1_000]], at))
    assert np.array_equal(unpack(store.read(0)), calls)
