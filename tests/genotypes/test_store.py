"""The store: what goes in comes out, whole or not at all, and nothing else passes for a store."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

from noisegate.errors import BadInput, CatalogError, Conflict
from noisegate.genotypes import layout
from noisegate.genotypes.packed import Block, pack, unpack
from noisegate.genotypes.store import Store, Writer, partial
from noisegate.genotypes.variants import Variants

from .panels import calls_of, store_of, variants_of

PEOPLE = 130
COUNT = 50


def begin(path, count=COUNT, people=PEOPLE, **options):
    options.setdefault("chunk", 16)
    return Writer.create(
        path, samples=[f"p{i}" for i in range(people)], variants=variants_of(count), **options
    )


def fill(writer, calls, chunks=None):
    for chunk in chunks if chunks is not None else writer.chunks():
        writer.write(chunk, pack(calls[slice(*writer.bounds(chunk))]))


@pytest.fixture
def calls():
    return calls_of(COUNT, PEOPLE)


@pytest.mark.parametrize("noisy", [False, True])
def test_what_goes_in_comes_out(tmp_path, calls, noisy):
    writer = begin(
        tmp_path / "a.zarr", build="GRCh37", public=True, noisy=noisy, provenance={"file": "x", "n": [1, 2]}
    )
    fill(writer, calls)
    store = writer.finish()
    assert not partial(store.path).exists()
    assert (store.people, store.chunk, store.build, store.public, store.noisy) == (
        PEOPLE,
        16,
        "GRCh37",
        True,
        noisy,
    )
    assert store.provenance == {"file": "x", "n": [1, 2]}
    assert store.samples == tuple(f"p{i}" for i in range(PEOPLE))
    assert store.variants.digest() == variants_of(COUNT).digest()
    assert [store.bounds(chunk) for chunk in store.chunks()] == [(0, 16), (16, 32), (32, 48), (48, 50)]
    assert np.array_equal(np.concatenate([unpack(block) for _, block in store.blocks()]), calls)
    assert [start for start, _ in store.blocks()] == [0, 16, 32, 48]
    store.verify()


def test_any_range_of_variants_can_be_read(tmp_path, calls):
    store = store_of(tmp_path / "a.zarr", calls, chunk=8)
    for start, stop in [(0, COUNT), (7, 9), (8, 16), (3, 3), (13, 41), (49, 50)]:
        assert np.array_equal(unpack(store.block(start, stop)), calls[start:stop])
    for start, stop in [(-1, 3), (3, 2), (0, COUNT + 1)]:
        with pytest.raises(ValueError, match="variants"):
            store.block(start, stop)
    with pytest.raises(ValueError, match="chunk 7 of 7"):
        store.read(7)


@pytest.mark.parametrize("noisy", [False, True])
def test_plain_zarr_reads_a_store(tmp_path, calls, noisy):
    store = store_of(tmp_path / "a.zarr", calls, chunk=16, noisy=noisy)
    group = zarr.open_group(store.path, mode="r")
    planes = group["call_planes"][...]
    whole = store.block(0, COUNT)
    assert np.array_equal(planes[:, 0], whole.hi)
    assert np.array_equal(planes[:, 1], whole.lo)
    assert group["sample_id"][...].tolist() == list(store.samples)
    assert group["variant_position"][...].tolist() == store.variants.pos.tolist()
    assert group["variant_id"][...].tolist() == store.variants.id.tolist()
    assert group["variant_allele"][...].T.tolist() == [
        store.variants.ref.tolist(),
        store.variants.alt.tolist(),
    ]
    assert group["contig_id"][...][group["variant_contig"][...]].tolist() == store.variants.chrom.tolist()
    assert group.attrs["vcf_zarr_version"] == "0.4"
    assert {name for name, _ in group.arrays()} >= {"call_planes", "call_planes_check"}


def test_the_order_of_writing_does_not_show(tmp_path, calls):
    one, two = begin(tmp_path / "one.zarr"), begin(tmp_path / "two.zarr")
    fill(one, calls)
    fill(two, calls_of(COUNT, PEOPLE, seed=8), [2])
    fill(two, calls, reversed(two.chunks()))
    assert one.finish().digest == two.finish().digest


def test_the_digest_tells_stores_apart(tmp_path, calls):
    other = calls.copy()
    other[49, 129] = (other[49, 129] + 2) % 3 - 1
    found = [
        store_of(tmp_path / f"{i}.zarr", each, chunk=16, **options).digest
        for i, (each, options) in enumerate(
            [
                (calls, {}),
                (other, {}),
                (calls, {"build": "GRCh38"}),
                (calls, {"public": True}),
                (calls, {"noisy": True}),
                (calls, {"provenance": {"file": "y"}}),
                (calls, {"variants": variants_of(COUNT, "2")}),
            ]
        )
    ]
    assert len(set(found)) == len(found)
    assert store_of(tmp_path / "again.zarr", calls, chunk=16).digest == found[0]


def test_a_writer_goes_on_where_another_stopped(tmp_path, calls):
    path = tmp_path / "a.zarr"
    fill(begin(path), calls, [0, 2])
    with pytest.raises(CatalogError, match="not finished"):
        Store.open(path)
    resumed = Writer.resume(path)
    assert resumed.done() == {0, 2}
    with pytest.raises(Conflict, match="2 of 4 chunks"):
        resumed.finish()
    fill(resumed, calls, set(resumed.chunks()) - resumed.done())
    assert np.array_equal(unpack(resumed.finish().block(0, COUNT)), calls)
    with pytest.raises(CatalogError, match="nothing is being written"):
        Writer.resume(path)


_WRITE_FOR_EVER = """
import sys
from pathlib import Path
import numpy as np
from noisegate.genotypes.packed import pack
from noisegate.genotypes.store import Writer
writer, calls = Writer.resume(Path(sys.argv[1])), np.load(sys.argv[2])
while True:
    for chunk in writer.chunks():
        writer.write(chunk, pack(calls[slice(*writer.bounds(chunk))]))
"""


def test_kill_nine_while_writing_costs_no_chunk_that_counts(tmp_path, calls):
    path = tmp_path / "a.zarr"
    begin(path)
    np.save(tmp_path / "calls.npy", calls)
    child = subprocess.Popen([sys.executable, "-c", _WRITE_FOR_EVER, path, tmp_path / "calls.npy"])
    writer = Writer.resume(path)
    while len(writer.done()) < 3:
        assert child.poll() is None
    child.kill()
    child.wait()
    fill(writer, calls, set(writer.chunks()) - writer.done())
    store = writer.finish()
    store.verify()
    assert np.array_equal(unpack(store.block(0, COUNT)), calls)
    # What the killed process left half-written is gone.
    names = {file.name for folder in (layout.CALLS, layout.CHECKS) for file in (path / folder).iterdir()}
    assert not [name for name in names if name.startswith(".")]


def test_writers_at_once_make_one_store(tmp_path, calls):
    path = tmp_path / "a.zarr"
    begin(path, chunk=8)

    def write(chunk):
        writer = Writer.resume(path)
        fill(writer, calls, [chunk])
        return chunk

    chunks_of_two = [chunk for chunk in Writer.resume(path).chunks() for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, chunks_of_two)) == chunks_of_two
    store = Writer.resume(path).finish()
    store.verify()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(store.read, store.chunks()))
    assert np.array_equal(np.concatenate([unpack(block) for block in found]), calls)


def test_a_name_is_used_once(tmp_path, calls):
    path = tmp_path / "a.zarr"
    writer = begin(path)
    with pytest.raises(Conflict, match="being written"):
        begin(path)
    fill(writer, calls)
    writer.finish()
    with pytest.raises(Conflict, match="exists already"):
        begin(path)


def test_discarding_leaves_nothing(tmp_path, calls):
    writer = begin(tmp_path / "a.zarr")
    fill(writer, calls, [0])
    writer.discard()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": ["a", "b", "a"]}, "sample a is there twice"),
        ({"samples": ["a", ""]}, "no name"),
        ({"samples": ["a", "b c"]}, "space"),
        ({"samples": []}, "0 people"),
        ({"variants": Variants.joined([])}, "0 variants"),
        ({"chunk": 12}, "multiple of 8"),
        ({"chunk": 0}, "multiple of 8"),
        ({"provenance": {"x": float("nan")}}, "cannot be a genotype store"),
        ({"provenance": {"x": object()}}, "cannot be a genotype store"),
        ({"provenance": {"x": "y" * 2**20}}, "provenance is too long"),
    ],
)
def test_what_is_no_store_is_refused_before_anything_is_written(tmp_path, options, message):
    given = {"samples": ["a", "b"], "variants": variants_of(3), **options}
    with pytest.raises(BadInput, match=message):
        Writer.create(tmp_path / "a.zarr", **given)
    assert not list(tmp_path.iterdir())


def test_a_chunk_takes_only_its_own_calls(tmp_path, calls):
    writer = begin(tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="chunk 3 holds 2 variants"):
        writer.write(3, pack(calls[:16]))
    with pytest.raises(ValueError, match="got 16 of 100"):
        writer.write(0, pack(calls[:16, :100]))
    with pytest.raises(ValueError, match="chunk 4 of 4"):
        writer.write(4, pack(calls[:16]))
    past = pack(calls[:16])
    past.hi[3, -1] |= np.uint64(1 << 2)
    with pytest.raises(ValueError, match="past its last person"):
        writer.write(0, Block(past.hi, past.lo, PEOPLE))
    assert not writer.done()


def test_many_names_are_read_quickly_and_exactly(tmp_path):
    count = 100_000
    store = store_of(tmp_path / "a.zarr", np.zeros((count, 3), np.int8), chunk=4_096)
    assert store.variants.id[99_999] == "rs99999"
    assert store.variants.names().dtype == np.dtypes.StringDType()
