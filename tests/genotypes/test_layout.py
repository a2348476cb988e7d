"""What is no store, or no longer the one that was written, is refused."""

import hashlib
import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
import zarr

from noisegate.errors import CatalogError
from noisegate.genotypes import chunks, layout
from noisegate.genotypes.layout import chunk_for
from noisegate.genotypes.packed import pack, unpack
from noisegate.genotypes.store import Store

from .panels import calls_of, same, store_of

PEOPLE = 130
COUNT = 50


@pytest.fixture
def calls():
    return calls_of(COUNT, PEOPLE)


@pytest.fixture
def damaged(tmp_path, calls):
    """A finished store to be spoilt."""
    return store_of(tmp_path / "a.zarr", calls, chunk=16).path


def edit(path, change):
    file = path / "zarr.json"
    found = json.loads(file.read_bytes())
    change(found["attributes"]["noisegate"])
    file.write_text(json.dumps(found))


def refused(path, match):
    with pytest.raises(CatalogError, match=match) as caught:
        Store.open(path)
    assert path.name in caught.value.message
    assert caught.value.hint


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    refused(tmp_path / "none.zarr", "no such folder")
    (tmp_path / "empty.zarr").mkdir()
    refused(tmp_path / "empty.zarr", "not a genotype store")
    zarr.create_group(tmp_path / "other.zarr")
    refused(tmp_path / "other.zarr", "not a genotype store")
    for content in ("", "[]", "{", '"x"', '{"attributes": {"noisegate": 3}}', "[" * 100_000):
        (tmp_path / "empty.zarr" / "zarr.json").write_text(content)
        refused(tmp_path / "empty.zarr", "not a genotype store")
    (tmp_path / "empty.zarr" / "zarr.json").write_bytes(b" " * (layout.MAX_JSON + 1))
    refused(tmp_path / "empty.zarr", "larger than")
    (tmp_path / "file.zarr").write_text("x")
    refused(tmp_path / "file.zarr", "no such folder")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("people", 10**12, "claims 1000000000000 people"),
        ("people", 0, "claims 0 people"),
        ("people", -5, "claims -5 people"),
        ("people", "130", "whole numbers"),
        ("people", True, "whole numbers"),
        ("people", 131, "do not fit|was changed"),
        ("variants", 10**15, "claims 1000000000000000 variants"),
        ("variants", 51, "do not fit"),
        ("chunk", 10**9, "variants a chunk"),
        ("chunk", 24, "do not fit|another size"),
        ("format", 2, "its format is 2"),
        ("build", "GRCh38", "was changed"),
        ("build", 7, "strings"),
        ("public", True, "was changed"),
        ("public", 1, "true or false"),
        ("noisy", True, "packed in another way"),
        ("samples_digest", "0" * 64, "was changed"),
        ("provenance", {"x": 1}, "was changed"),
        ("provenance", 3, "an object"),
        ("unheard", 1, "other fields"),
    ],
)
def test_a_header_that_was_touched_is_refused(damaged, field, value, message):
    edit(damaged, lambda stated: stated["header"].update({field: value}))
    refused(damaged, message)


def test_a_header_without_its_digest_is_refused(damaged):
    edit(damaged, lambda stated: stated.update(digest=""))
    refused(damaged, "not finished")
    edit(damaged, lambda stated: stated.update(digest="0" * 64))
    refused(damaged, "was changed")
    edit(damaged, lambda stated: stated.pop("header"))
    refused(damaged, "not a genotype store")


def test_a_chunk_missing_or_cut_off_is_refused_at_once(damaged):
    chunk = damaged / "call_planes" / "c.1.0.0"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-1])
    refused(damaged, "chunk 1 of the calls is cut off")
    chunk.unlink()
    refused(damaged, "chunk 1 of the calls is missing")
    chunk.write_bytes(whole)
    (damaged / "call_planes_check" / "c.2.0").write_bytes(b"short")
    refused(damaged, "chunk 2 of the calls is cut off or damaged")
    (damaged / "call_planes_check" / "c.2.0").unlink()
    refused(damaged, "chunk 2 of the calls is missing")


@pytest.mark.parametrize("noisy", [False, True])
def test_one_bit_changed_in_a_chunk_is_found_when_it_is_read(tmp_path, calls, noisy):
    store = store_of(tmp_path / "a.zarr", calls, chunk=16, noisy=noisy)
    chunk = store.path / "call_planes" / "c.2.0.0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 4
    chunk.write_bytes(content)
    again = Store.open(store.path)
    assert same(again.read(1), store.read(1))
    for act in (
        lambda: again.read(2),
        lambda: again.block(40, 41),
        again.verify,
        lambda: list(again.blocks()),
    ):
        with pytest.raises(CatalogError, match=r"c\.2\.0\.0 was changed"):
            act()


def test_what_passes_for_whole_by_its_sum_alone_is_found_by_verifying(tmp_path, calls, monkeypatch):
    store = store_of(tmp_path / "a.zarr", calls, chunk=16, noisy=True)
    chunk = store.path / "call_planes" / "c.2.0.0"
    content = bytearray(chunk.read_bytes())
    content[-1] ^= 1
    chunk.write_bytes(content)
    kept = (store.path / "call_planes_check" / "c.2.0").read_bytes()
    real = chunks.sum_of

    def forged(halves):
        return kept[-16:] if b"".join(half.tobytes() for half in halves) == content else real(halves)

    monkeypatch.setattr(chunks, "sum_of", forged)
    store.read(2)
    with pytest.raises(CatalogError, match=r"c\.2\.0\.0 was changed"):
        store.verify()


def test_a_chunk_that_is_none_though_its_sum_is_right_is_refused(tmp_path, calls, monkeypatch):
    store = store_of(tmp_path / "a.zarr", calls, chunk=16)
    chunk = store.path / "call_planes" / "c.1.0.0"
    kept = (store.path / "call_planes_check" / "c.1.0").read_bytes()
    chunk.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(chunk.stat().st_size - 4))
    monkeypatch.setattr(chunks, "sum_of", lambda _: kept[-16:])
    with pytest.raises(CatalogError, match=r"c\.1\.0\.0 does not hold a chunk"):
        store.read(1)


def test_a_digest_can_be_worked_out_by_hand(tmp_path, calls):
    store = store_of(tmp_path / "a.zarr", calls, chunk=16)
    header = json.loads((store.path / "zarr.json").read_bytes())["attributes"]["noisegate"]["header"]
    whole = hashlib.sha256(b"noisegate genotypes\n")
    whole.update(json.dumps(header, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    for chunk in store.chunks():
        file = (store.path / "call_planes" / f"c.{chunk}.0.0").read_bytes()
        check = (store.path / "call_planes_check" / f"c.{chunk}.0").read_bytes()
        half = len(file) // 2
        assert int.from_bytes(check[:8], "little") == len(file)
        assert check[8:40] == hashlib.sha256(file[:half]).digest()
        assert check[40:72] == hashlib.sha256(file[half:]).digest()
        whole.update(check)
    assert whole.hexdigest() == store.digest


def test_calls_are_packed_where_that_makes_them_much_smaller(tmp_path):
    people, count = 2_000, 64
    plain = np.repeat(calls_of(1, people), count, axis=0)
    mixed = calls_of(count, people)
    thrice = np.repeat(calls_of(count // 3 + 1, people), 3, axis=0)[:count]
    sizes = {}
    for name, each in (("plain", plain), ("mixed", mixed), ("thrice", thrice)):
        store = store_of(tmp_path / f"{name}.zarr", each)
        assert np.array_equal(unpack(store.block(0, count)), each)
        planes = zarr.open_group(store.path, mode="r")["call_planes"][...]
        assert np.array_equal(planes[:, 0], store.read(0).hi)
        sizes[name] = (store.path / "call_planes" / "c.0.0.0").stat().st_size
    raw = 2 * count * 32 * 8
    assert sizes["plain"] < raw / 10
    assert raw <= sizes["mixed"] < 1.01 * raw
    planes = np.concatenate([pack(thrice).hi, pack(thrice).lo])
    assert 2.5 < raw / pa.Codec("zstd", compression_level=layout.LEVEL).compress(planes.data).size < 4
    assert sizes["thrice"] > 0.9 * raw


def test_a_chunk_of_another_store_does_not_pass(tmp_path, calls):
    one = store_of(tmp_path / "one.zarr", calls, chunk=16, noisy=True)
    two = store_of(tmp_path / "two.zarr", calls_of(COUNT, PEOPLE, seed=8), chunk=16, noisy=True)
    for name in ("call_planes/c.0.0.0", "call_planes_check/c.0.0"):
        shutil.copy(two.path / name, one.path / name)
    refused(one.path, "list of chunks was changed")


@pytest.mark.parametrize(
    ("array", "message"),
    [("sample_id", "samples were changed"), ("variant_id", "variants were changed"),
     ("variant_position", "variants were changed"), ("variant_allele", "variants were changed"),
     ("variant_contig", "variants were changed"), ("contig_id", "variants were changed")],
)  # fmt: skip
def test_names_and_variants_that_were_touched_are_found_when_they_are_read(damaged, array, message):
    found = zarr.open_group(damaged, mode="r+")[array]
    found[...] = (
        np.roll(found[...], 1)
        if array != "variant_contig" and array != "contig_id"
        else (
            np.full(found.shape, 7, np.int32) if array == "variant_contig" else np.array(["9"], dtype=object)
        )
    )
    store = Store.open(damaged)
    with pytest.raises(CatalogError, match=message):
        store.verify()


@pytest.mark.parametrize("array", ["sample_id", "variant_position", "call_planes"])
def test_an_array_that_is_gone_is_refused(damaged, array):
    (damaged / array / "zarr.json").unlink()
    refused(damaged, "do not fit its header")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda said: said["codecs"][0]["configuration"].update(order=[0, 1, 2]), "in another order"),
        (lambda said: said["codecs"][1]["configuration"].update(endian="big"), "in another order"),
        (lambda said: said["codecs"].pop(0), "do not fit"),
        (lambda said: said["codecs"].clear(), "do not fit"),
        (lambda said: said["codecs"][2].update(name="gzip"), "in another way"),
        (lambda said: said.update(data_type="int64"), "is not"),
        (lambda said: said.update(node_type="group"), "no array"),
        (lambda said: said.update(zarr_format=2), "no array"),
        (lambda said: said.pop("shape"), "do not fit"),
        (lambda said: said.update(long=" " * layout.MAX_JSON), "do not fit"),
    ],
)
def test_an_array_that_says_something_else_of_itself_is_refused(damaged, change, message):
    file = damaged / "call_planes" / "zarr.json"
    said = json.loads(file.read_bytes())
    change(said)
    file.write_text(json.dumps(said))
    refused(damaged, message)


def test_metadata_cut_off_is_refused(damaged):
    (damaged / "variant_id" / "c" / "0").write_bytes(b"\x28\xb5\x2f\xfd\x00")
    with pytest.raises(CatalogError, match="variant_id cannot be read"):
        _ = Store.open(damaged).variants


def test_chunks_are_of_a_size_a_machine_can_hold():
    assert chunk_for(500_000, 800_000) * 16 * 7_813 <= 64_000_000
    assert chunk_for(2_504, 10**6) == 4_088
    assert chunk_for(65_536, 16_000) == 3_200  # five chunks, as full as each other
    assert chunk_for(10**7, 10**6) == 24
    assert chunk_for(5, 3) == 8
