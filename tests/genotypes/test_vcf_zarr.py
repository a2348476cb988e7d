import json
import os
import shutil
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pyarrow as pa
import pytest
import zarr
import zarr.codecs

from noisegate.errors import BadInput
from noisegate.genotypes import vcf_store, vcf_zarr
from noisegate.genotypes.variants import TEXT, Variants
from noisegate.genotypes.vcf_zarr import read, sites, write

from .files import calls, refused, shared
from .panels import calls_of, store_of

ALLELES = {0: (0, 0), 1: (0, 1), 2: (1, 1), -1: (-1, -1)}


def made(path: Path, found: Any = None, **changes: Any) -> Path:
    """Write a folder as bio2zarr does, of either Zarr format, with any array changed, or left out by None."""
    kind = changes.pop("zarr_format", 2)
    chunks = changes.pop("chunks", (2, 2, 2))
    attributes = changes.pop("attributes", {"vcf_zarr_version": "0.4", "source": "bio2zarr"})
    genotypes = np.array([[[0, 0], [0, 1], [1, 1]], [[-1, -1], [1, 0], [-1, 1]]] if found is None else found)
    count, people = genotypes.shape[:2]
    arrays: dict[str, Any] = {
        "sample_id": np.array([f"s{i}" for i in range(people)], dtype=TEXT),
        "contig_id": np.array(["1", "X"], dtype=TEXT),
        "variant_contig": np.zeros(count, np.int8),
        "variant_position": np.arange(1, count + 1, dtype=np.int32),
        "variant_id": np.array(["rs1", *["."] * (count - 1)], dtype=TEXT),
        "variant_allele": np.array([["A", "G"]] * count, dtype=TEXT),
        "call_genotype": genotypes.astype(np.int8),
        **changes,
    }
    group = zarr.create_group(path, zarr_format=kind, attributes=attributes)
    for name, values in arrays.items():
        if values is None:
            continue
        array = group.create_array(
            name,
            shape=values.shape,
            dtype="string" if isinstance(values.dtype, np.dtypes.StringDType) else values.dtype,
            chunks=chunks if values.ndim == 3 else (2, *values.shape[1:]),
            config={"write_empty_chunks": True},
        )
        array[...] = values
    return path


@pytest.mark.parametrize("kind", [2, 3])
def test_both_zarr_formats_are_read(tmp_path: Path, kind: int) -> None:
    store = read(made(tmp_path / "x.vcz", zarr_format=kind), tmp_path / "s.zarr", public=True)
    assert calls(store).tolist() == [[0, 1, 2], [-1, 1, -1]]
    assert list(store.variants.rows()) == [("1", 1, "rs1", "A", "G"), ("1", 2, "", "A", "G")]
    assert (store.samples, store.public, store.build) == (("s0", "s1", "s2"), True, "")
    assert store.provenance == {"format": "vcf-zarr", "source": "x.vcz"}


@pytest.mark.parametrize(
    ("people", "chunks"), [(1, (7, 1, 2)), (63, (3, 10, 1)), (200, (16, 50, 2)), (130, (100, 130, 2))]
)
def test_calls_come_out_alike_however_the_chunks_lie(
    tmp_path: Path, people: int, chunks: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vcf_zarr, "_TILE", 1_000)  # so that tiles are smaller than chunks, too
    found = calls_of(29, people)
    alleles = np.array([[ALLELES[call] for call in row] for row in found.tolist()])
    source = made(tmp_path / "x.vcz", alleles, chunks=chunks)
    assert np.array_equal(calls(read(source, tmp_path / "s.zarr")), found)


def test_calls_of_one_allele_count_twice_where_people_have_one_copy(tmp_path: Path) -> None:
    found = [[[0, -2], [1, -2], [0, 1]]]
    store = read(made(tmp_path / "x.vcz", found, variant_contig=np.array([1], np.int8)), tmp_path / "s.zarr")
    assert calls(store).tolist() == [[0, 2, 1]]
    error = refused(read, made(tmp_path / "y.vcz", found), tmp_path / "t.zarr")
    assert "y.vcz, variant 1: it has calls that are not of two alleles" in error.message


def test_first_versions_of_the_specification_are_read(tmp_path: Path) -> None:
    attributes = {
        "vcf_zarr_version": "0.1",
        "contigs": ["1"],
        "vcf_header": "##contig=<ID=1,assembly=GRCh38>",
    }
    source = made(tmp_path / "x.vcz", contig_id=None, variant_id=None, attributes=attributes)
    store = read(source, tmp_path / "s.zarr")
    assert list(store.variants.rows()) == [("1", 1, "", "A", "G"), ("1", 2, "", "A", "G")]
    assert store.build == "GRCh38"


@pytest.mark.parametrize("ploidy", [1, 3])
def test_other_ploidies_are_read_where_calls_have_two_alleles_or_one_copy(
    tmp_path: Path, ploidy: int
) -> None:
    found = [[[0], [1]]] if ploidy == 1 else [[[0, 1, -2], [1, 1, -2]]]
    place = np.array([1], np.int8)
    store = read(
        made(tmp_path / "x.vcz", found, variant_contig=place, chunks=(2, 2, ploidy)), tmp_path / "s.zarr"
    )
    assert calls(store).tolist() == ([[0, 2]] if ploidy == 1 else [[1, 2]])


MISTAKES = [
    ({"found": [[[0, 2]]]}, "variant 1: it has a call of an allele that is not listed"),
    ({"found": [[[0, -3]]]}, "variant 1: it has a call of an allele that is not listed"),
    ({"found": [[[0, 1, 1]]], "chunks": (2, 2, 3)}, "variant 1: it has calls that are not of two alleles"),
    ({"variant_allele": np.array([["A", "G", "T"]] * 2, dtype=TEXT)}, "variant 1: several alternate alleles"),
    ({"variant_allele": np.array([["A", "G"]], dtype=TEXT)}, "variant arrays have different lengths"),
    ({"variant_contig": np.array([0, 2], np.int8)}, "chromosomes that contig_id has not"),
    ({"variant_position": np.array([5, 5], np.int32)}, "variant 2: "),
    ({"variant_position": np.array([5, 2**40])}, "variant_position holds no positions"),
    ({"sample_id": np.array(["a", "a", "b"], dtype=TEXT)}, "sample a is there twice"),
    ({"sample_id": np.array(["a", "b"], dtype=TEXT)}, "call_genotype is not [variants, samples, ploidy]"),
    ({"call_genotype": None}, "call_genotype is missing, so this is no VCF Zarr"),
    ({"call_genotype": np.zeros((2, 3), np.int8)}, "call_genotype is not [variants, samples, ploidy]"),
    ({"call_genotype": np.zeros((2, 3, 2), np.float32)}, "call_genotype holds float32"),
    ({"attributes": {"vcf_header": "##reference=hg18"}, "build": "GRCh37"}, "on NCBI36, not on GRCh37"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES)
def test_what_is_no_vcf_zarr_of_biallelic_calls_is_refused_and_leaves_nothing(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    changes = dict(changes)
    build = changes.pop("build", "")
    source = made(tmp_path / "x.vcz", changes.pop("found", None), **changes)
    assert message in refused(read, source, tmp_path / "s.zarr", build=build).message


@pytest.mark.parametrize("kind", [2, 3])
@pytest.mark.parametrize("name", ["call_genotype", "variant_position", "sample_id"])
def test_a_missing_chunk_is_refused_rather_than_filled_up(tmp_path: Path, kind: int, name: str) -> None:
    source = made(tmp_path / "x.vcz", zarr_format=kind)
    chunk = (
        source / name / ("0" if kind == 2 and name != "call_genotype" else "0.0.0" if kind == 2 else "c/0")
    )
    shutil.rmtree(chunk) if chunk.is_dir() else chunk.unlink()
    error = refused(read, source, tmp_path / "s.zarr")
    assert f"chunks of {name} are there" in error.message
    assert "copy the folder again" in error.hint


@pytest.mark.parametrize("kind", [2, 3])
def test_chunks_that_writers_leave_out_may_be_missing(tmp_path: Path, kind: int) -> None:
    # As bio2zarr 0.2 does it: nothing is written of variants on the first chromosome.
    source = made(tmp_path / "x.vcz", zarr_format=kind)
    for name in ("variant_contig", "variant_id"):
        (source / name / ("0" if kind == 2 else "c/0")).unlink()
    store = read(source, tmp_path / "s.zarr")
    assert list(store.variants.rows()) == [("1", 1, "", "A", "G"), ("1", 2, "", "A", "G")]


def test_a_lost_chunk_of_chromosomes_is_seen_where_it_puts_them_in_disorder(tmp_path: Path) -> None:
    found = [[[0, 1]]] * 6
    source = made(tmp_path / "x.vcz", found, variant_contig=np.ones(6, np.int8))
    (source / "variant_contig" / "1").unlink()
    assert "chunks of variant_contig are missing" in refused(read, source, tmp_path / "s.zarr").message


def edited(source: Path, name: str, **changes: object) -> None:
    file = source / name / ".zarray"
    said = json.loads(file.read_text())
    file.write_text(json.dumps(said | changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"filters": [{"id": "pickle"}]}, "packed by pickle"),
        ({"compressor": {"id": "json2"}}, "packed by json2"),
        ({"chunks": [2**20, 2**20, 2]}, "chunks of 2,199,023,255,552 bytes"),
        ({"shape": [2**50, 3, 2]}, "not all of the"),
        ({"chunks": [0, 0, 0]}, "chunks without a value"),
        ({"filters": [{"id": "zstd", "level": 1}]}, "packed in more ways than one"),
        ({"shape": "large"}, "cannot be read as Zarr"),
        ({"zarr_format": 7}, "cannot be read as Zarr"),
    ],
)
def test_metadata_that_would_run_code_or_eat_memory_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    source = made(tmp_path / "x.vcz")
    edited(source, "call_genotype", **changes)
    assert message in refused(read, source, tmp_path / "s.zarr").message


def test_a_codec_that_runs_code_is_refused_inside_a_shard_too(tmp_path: Path) -> None:
    source = made(tmp_path / "x.vcz", zarr_format=3)
    file = source / "call_genotype" / "zarr.json"
    said = json.loads(file.read_text())
    inner = {"codecs": [{"name": "numcodecs.pickle"}], "index_codecs": [{"name": "bytes"}]}
    said["codecs"] = [{"name": "sharding_indexed", "configuration": inner}]
    file.write_text(json.dumps(said))
    assert "packed by pickle" in refused(read, source, tmp_path / "s.zarr").message


BOMB = b"\0" * 2**25
PACKERS = {
    "zstd": numcodecs.Zstd(1).encode,
    "blosc": numcodecs.Blosc("zstd", 1).encode,
    "lz4": numcodecs.LZ4().encode,
    "gzip": numcodecs.GZip(1).encode,
    "zlib": numcodecs.Zlib(1).encode,
    "bz2": numcodecs.BZ2(9).encode,
}


def streamed(content: bytes) -> bytes:
    """A frame of zstd that does not say how long its content is."""
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "zstd") as stream:
        stream.write(content)
    return bytes(out.getvalue())


@pytest.mark.parametrize("packer", [*PACKERS, "zstd that does not say", "none"])
def test_a_chunk_that_unpacks_to_more_than_is_due_is_refused_before_it_is(
    tmp_path: Path, packer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = made(tmp_path / "x.vcz", chunks=(2, 3, 2))
    kind = packer.split()[0]
    edited(source, "call_genotype", compressor=None if kind == "none" else {"id": kind})
    pack = streamed if " " in packer else PACKERS.get(packer, bytes)
    chunk = source / "call_genotype" / "0.0.0"
    chunk.write_bytes(pack(BOMB))
    with monkeypatch.context() as patch:
        patch.setattr(zarr.Array, "__getitem__", lambda *_: pytest.fail("it was unpacked"))
        assert "unpacks to more than 1,048,576 bytes" in refused(read, source, tmp_path / "s.zarr").message
    right = np.array([[[0, 0], [0, 1], [1, 1]], [[-1, -1], [1, 0], [-1, 1]]], np.int8)
    chunk.write_bytes(pack(right.tobytes()))
    assert calls(read(source, tmp_path / "s.zarr")).tolist() == [[0, 1, 2], [-1, 1, -1]]


def test_texts_unpack_to_a_limit_too(tmp_path: Path) -> None:
    source = made(tmp_path / "x.vcz")
    edited(source, "variant_id", compressor={"id": "zstd"})
    (source / "variant_id" / "0").write_bytes(PACKERS["zstd"](BOMB * 3))
    assert "a chunk of variant_id unpacks to" in refused(read, source, tmp_path / "s.zarr").message


@pytest.mark.parametrize("kind", [2, 3])
def test_room_is_made_for_no_more_texts_than_a_chunk_can_hold(tmp_path: Path, kind: int) -> None:
    """One that claims 2 billion would have 16 GB made ready for it."""
    source = made(tmp_path / "x.vcz", zarr_format=kind)
    many = (2**20).to_bytes(4, "little") * 2 + b"a" * 100
    chunk = next(p for p in (source / "sample_id").rglob("*0") if p.is_file())
    said = json.loads((source / "sample_id" / (".zarray" if kind == 2 else "zarr.json")).read_text())
    named = said["compressor"]["id"] if kind == 2 else said["codecs"][-1]["name"]
    chunk.write_bytes(PACKERS[named](many))
    assert (
        "a chunk of sample_id claims more than 2 texts" in refused(read, source, tmp_path / "s.zarr").message
    )


@pytest.mark.parametrize("where", ["start", "end"])
def test_a_chunk_within_a_shard_is_held_to_its_size(tmp_path: Path, where: str) -> None:
    source = made(tmp_path / "x.vcz", zarr_format=3)
    shutil.rmtree(source / "call_genotype")
    found = np.array([[[0, 0], [0, 1], [1, 1]], [[-1, -1], [1, 0], [-1, 1]]], np.int8)
    for compressor, level in ((None, 0), (zarr.codecs.ZstdCodec(level=1), 1)):
        array = zarr.open_group(source, mode="a").create_array(
            "call_genotype",
            shape=found.shape,
            dtype=found.dtype,
            chunks=(1, 3, 2),
            shards={"shape": (2, 3, 2), "index_location": where},
            compressors=compressor,
            config={"write_empty_chunks": True},
            overwrite=True,
        )
        array[...] = found
        assert calls(read(source, tmp_path / f"{level}.zarr")).tolist() == [[0, 1, 2], [-1, 1, -1]]
    bomb = PACKERS["zstd"](BOMB)
    file = source / "call_genotype" / "zarr.json"
    said = json.loads(file.read_text())
    said["codecs"][0]["configuration"]["index_codecs"] = [
        {"name": "bytes", "configuration": {"endian": "little"}}
    ]
    file.write_text(json.dumps(said))
    at = 32 if where == "start" else 0
    index = np.array([[at, len(bomb)], [at, len(bomb)]], "<u8").tobytes()
    shard = index + bomb if where == "start" else bomb + index
    (source / "call_genotype" / "c" / "0" / "0" / "0").write_bytes(shard)
    assert "unpacks to more than 1,048,576 bytes" in refused(read, source, tmp_path / "s.zarr").message


def test_a_pipe_among_the_chunks_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    source = made(tmp_path / "x.vcz")
    os.mkfifo(source / "variant_contig" / "7")
    assert "no regular file" in refused(read, source, tmp_path / "s.zarr").message


def test_damaged_content_is_refused(tmp_path: Path) -> None:
    source = made(tmp_path / "x.vcz")
    chunk = source / "call_genotype" / "0.0.0"
    content = chunk.read_bytes()
    chunk.write_bytes(content[:4] + b"\xff" * 4 + content[8:])
    assert "a chunk of call_genotype unpacks to more" in refused(read, source, tmp_path / "s.zarr").message
    for damaged in (content[:5], b"", content[:12] + b"\xff" * 4):
        chunk.write_bytes(damaged)
        assert "cannot be read as Zarr" in refused(read, source, tmp_path / "s.zarr").message
    (source / "call_genotype" / ".zarray").write_text("{")
    assert "cannot be read as Zarr" in refused(read, source, tmp_path / "s.zarr").message
    other = tmp_path / "folder"
    other.mkdir()
    assert "not a Zarr folder" in refused(read, other, tmp_path / "s.zarr").message


def test_what_is_written_is_what_the_specification_asks_for(tmp_path: Path) -> None:
    source = shared("hail_sample.vcf.gz")
    store = vcf_store.read(source, tmp_path / "s.zarr", build="GRCh37")
    write(store, tmp_path / "out.vcz")
    group = zarr.open_group(tmp_path / "out.vcz", mode="r")
    assert (tmp_path / "out.vcz" / ".zgroup").is_file()
    assert group.attrs["vcf_zarr_version"] == "0.4"
    arrays: dict[str, Any] = {name: group[name] for name in group}
    found = calls(store)
    genotypes = arrays["call_genotype"][...]
    assert (genotypes.dtype, genotypes.shape) == (np.int8, (346, 100, 2))
    missing = (genotypes < 0).all(axis=2)
    assert np.array_equal(np.where(missing, -1, genotypes.sum(axis=2)), found)
    assert np.array_equal(arrays["call_genotype_mask"][...], genotypes < 0)
    assert arrays["variant_id"][...].tolist()[:2] == ["rs575534", "."]
    assert arrays["variant_id_mask"][...].tolist()[:2] == [False, True]
    assert arrays["contig_id"][...].tolist() == ["20"]
    assert arrays["variant_position"].dtype == np.int32
    names = {
        "call_genotype": ["variants", "samples", "ploidy"],
        "variant_allele": ["variants", "alleles"],
        "sample_id": ["samples"],
    }
    assert all(arrays[name].attrs["_ARRAY_DIMENSIONS"] == due for name, due in names.items())


def test_sites_are_read_without_calls_and_in_part(tmp_path: Path) -> None:
    source = made(tmp_path / "x.vcz")
    shutil.rmtree(source / "call_genotype")
    assert sites(source, 1).names().tolist() == ["rs1"]
    assert len(sites(source)) == 2


def test_a_failed_writing_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variants = Variants.of(["1"] * 9, range(1, 10), [""] * 9, ["A"] * 9, ["C"] * 9)
    store = store_of(tmp_path / "s.zarr", calls_of(9, 3), variants)

    def full(_: float) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write(store, tmp_path / "out.vcz", full)
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]
    write(store, tmp_path / "out.vcz")
    with pytest.raises(BadInput, match="exists already"):
        write(store, tmp_path / "out.vcz")
