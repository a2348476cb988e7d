import gzip
import os
import resource
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisegate.genotypes import vcf_sites, vcf_store, vcf_stream
from noisegate.genotypes.packed import tally
from noisegate.genotypes.text import BGZF_END, Bgzf
from noisegate.genotypes.variants import Variants
from noisegate.genotypes.vcf_store import read, write

from .files import calls, equal, refused, shared
from .panels import calls_of, run, store_of, variants_of
from .test_vcf import HEAD, plain_reader, record

PROJECT_PANEL = Path(__file__).parents[2] / "data" / "genomes" / "kg3_aisnps.vcf.gz"

Write = Callable[[str], Path]


@pytest.fixture
def write_vcf(tmp_path: Path) -> Write:
    def to_file(records: str) -> Path:
        path = tmp_path / "some.vcf"
        path.write_text(HEAD + records, "utf-8")
        return path

    return to_file


def at(chrom: str, line: str) -> str:
    return line.replace("1\t", f"{chrom}\t", 1)


def test_the_panel_is_stored_as_a_plain_reader_reads_it(tmp_path: Path) -> None:
    samples, sites, due = plain_reader(PROJECT_PANEL)
    store = read(PROJECT_PANEL, tmp_path / "s.zarr")
    assert list(store.samples) == samples
    assert list(store.variants.rows()) == sites
    assert calls(store).tolist() == due
    assert (store.build, store.public, store.noisy) == ("GRCh37", False, False)
    assert store.provenance == {"format": "vcf", "source": "kg3_aisnps.vcf.gz"}


def test_a_panel_without_ids_and_with_missing_calls_is_stored_as_a_plain_reader_reads_it(
    tmp_path: Path,
) -> None:
    source = shared("hail_sample.vcf.gz")
    samples, sites, due = plain_reader(source)
    store = read(source, tmp_path / "s.zarr", public=True, build="hg19")
    assert (list(store.samples), list(store.variants.rows())) == (samples, sites)
    assert calls(store).tolist() == due
    assert -1 in calls(store)
    assert (store.build, store.public) == ("GRCh37", True)


CALL = st.sampled_from(["0/0", "0|1", "1/0", "1|1", "./.", "./1", "0|.", "."])


@settings(deadline=None, max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=st.lists(st.tuples(CALL, CALL, CALL), min_size=1, max_size=30),
    how=st.sampled_from(["plain", "gzip", "bgzf"]),
)
def test_any_diploid_calls_are_stored_as_a_plain_reader_reads_them(
    tmp_path: Path, found: list[tuple[str, str, str]], how: str
) -> None:
    lines = [record(" ".join(row), f"rs{i}").replace("10", str(i + 10), 1) for i, row in enumerate(found)]
    content = (HEAD + "".join(lines)).encode()
    path = tmp_path / ("some.vcf" if how == "plain" else "some.vcf.gz")
    if how == "bgzf":
        with Bgzf(path) as out:
            out.write(content)
    else:
        path.write_bytes(gzip.compress(content) if how == "gzip" else content)
    target = tmp_path / f"{os.urandom(6).hex()}.zarr"
    assert calls(read(path, target)).tolist() == plain_reader(path)[2]


def test_calls_of_one_allele_count_twice_where_people_have_one_copy(write_vcf: Write, tmp_path: Path) -> None:
    records = (
        at("X", record("0 1 0/1")) + at("Y", record("1 . 0", "rs2")) + at("chrM", record("0/1 1/1 1", "rs3"))
    )
    store = read(write_vcf(records), tmp_path / "s.zarr")
    # A heterozygous call of MT cannot be right.
    assert calls(store).tolist() == [[0, 2, 1], [2, -1, 0], [-1, 2, 2]]


def test_a_variant_nobody_carries_may_have_no_alternate_allele(write_vcf: Write, tmp_path: Path) -> None:
    store = read(write_vcf(record("0/0 ./. 0/0", alt=".")), tmp_path / "s.zarr")
    assert calls(store).tolist() == [[0, -1, 0]]
    assert list(store.variants.rows()) == [("1", 10, "rs1", "A", ".")]
    write(store, tmp_path / "out.vcf.gz")
    assert equal(read(tmp_path / "out.vcf.gz", tmp_path / "t.zarr"), store)


def test_progress_goes_from_nothing_to_all(tmp_path: Path) -> None:
    told: list[float] = []
    read(PROJECT_PANEL, tmp_path / "s.zarr", progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


RECORD_MISTAKES = [
    (record("0/0 0/1 1/2", alt="G,T"), "line 7: rs1 has several alternate alleles", "norm -m -any"),
    (record("0/0 0/1 1/1", alt="<DEL>"), "line 7: rs1 has alleles A/<DEL>", "snps,indels"),
    (record("0/0 0/1 1/1", alt="*"), "line 7: rs1 has alleles A/*", "snps,indels"),
    (record("0/0 0/1 1/1") * 2, "line 8: rs1 is there twice, first at line 7", "rm-dup"),
    (record("0/0 0/1 1/1") + "\n", "line 8: not a record", "bcftools view"),
    ("1\tten\trs1\tA\tG\t.\t.\t.\tGT\t0/0\t0/0\t0/0\n", "line 7: not a record", "bcftools view"),
    ("1\t9999999999\trs1\tA\tG\t.\t.\t.\tGT\t0/0\t0/0\t0/0\n", "line 7: rs1 has no place", "2^31"),
    (record("0/0 0/1 1/1", "rs 1"), "line 7: rs 1 has no place, or a space", "set-id"),
    (record("0 1 1"), "record 1 (rs1) has calls that are not of two alleles", "autosomes"),
    (record("0/0/1 0/1 1/1"), "record 1 (rs1) has calls that are not of two alleles", "autosomes"),
    (record("0/0 0/1 0/2"), "record 1 (rs1) has a call of an allele that is not listed", "bcftools view"),
    (record("0/0 0/0 0/0") + record("0/0 0/1", "rs2", "C"), "record 2 has no calls", "GT value"),
    (record("3 4 5", form="DP"), "record 1 (rs1) has no calls", "GT value"),
    (record("0/0 0/0 0/0")[:-1], "line 7: the last line has no end", "copy the file again"),
    ("", "no variants", "cut off"),
]


@pytest.mark.parametrize(("records", "message", "hint"), RECORD_MISTAKES)
def test_a_record_that_cannot_be_stored_is_refused_with_its_place_and_leaves_nothing(
    write_vcf: Write, tmp_path: Path, records: str, message: str, hint: str
) -> None:
    error = refused(read, write_vcf(records), tmp_path / "s.zarr")
    assert error.message.startswith("some.vcf")
    assert message in error.message
    assert hint in error.hint


FILE_MISTAKES = [
    (b"", "the file is empty"),
    (b"\n\n", "the file is empty"),
    (b"chrom,pos\n1,2\n", "does not begin with ##fileformat=VCF"),
    (b"##fileformat=VCFv4.2\n", "no #CHROM line"),
    (b"##fileformat=VCFv4.2\n#CHROM\tID\n", "line 2: the #CHROM line"),
    (HEAD.replace("\tb\t", "\ta\t").encode(), "line 6: a sample is named twice"),
    (HEAD.replace("\ta\tb\tc", "").encode() + b"1\t1\tr\tA\tC\t.\t.\t.\t.\n", "no samples"),
    (gzip.compress(HEAD.encode())[:-12], "cannot be read: Compressed file ended"),
    (b"\x1f\x8b\x08\x00junkjunkjunkjunk", "cannot be read"),
    (b"BCF\x02\x02" + struct.pack("<I", 2**31), "its header claims more than"),
    (b"BCF\x02\x02" + struct.pack("<I", 40) + b"nothing of a header", "line 1: the #CHROM line"),
    (b"BCF\x02\x02" + struct.pack("<I", 57) + b"\t".join([b"#CHROM", b"POS"]) + b"\0", "the #CHROM line"),
]


@pytest.mark.parametrize(("content", "message"), FILE_MISTAKES)
def test_what_is_not_a_whole_vcf_is_refused_and_leaves_nothing(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "some.vcf.gz"
    path.write_bytes(content)
    assert message in refused(read, path, tmp_path / "s.zarr").message


def test_a_gigantic_header_is_refused_before_it_is_held(tmp_path: Path) -> None:
    path = tmp_path / "bomb.vcf.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(b"##fileformat=VCFv4.2\n")
        for _ in range(70):
            out.write(b"##x=" + b"y" * 2**20 + b"\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = refused(read, path, tmp_path / "s.zarr")
    assert "a header of more than 67108864 bytes" in error.message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64_000  # kB


def test_a_build_that_the_header_denies_is_refused(tmp_path: Path) -> None:
    error = refused(read, PROJECT_PANEL, tmp_path / "s.zarr", build="GRCh38")
    assert "its positions are on GRCh37, not on GRCh38" in error.message
    assert "lift" in error.hint


def test_a_header_that_lies_about_genotypes_is_refused(write_vcf: Write, tmp_path: Path) -> None:
    path = write_vcf(record("0/0 0/1 1/1"))
    path.write_text(
        path.read_text().replace("ID=GT,Number=1,Type=String", "ID=GT,Number=2,Type=Integer"), "utf-8"
    )
    assert "record 1 has no calls that can be read" in refused(read, path, tmp_path / "s.zarr").message


def bcf_of(tmp_path: Path, source: Path) -> Path:
    """Write a BCF by cyvcf2, in a process of its own as everywhere."""
    target = tmp_path / "some.bcf"
    program = (
        "import cyvcf2, sys\n"
        "file = cyvcf2.VCF(sys.argv[1])\n"
        "out = cyvcf2.Writer(sys.argv[2], file, 'wb')\n"
        "for v in file: out.write_record(v)\n"
        "out.close()"
    )
    subprocess.run([sys.executable, "-c", program, str(source), str(target)], check=True)
    return target


def test_a_bcf_is_stored_as_the_vcf_it_was_made_of(tmp_path: Path) -> None:
    binary = bcf_of(tmp_path, PROJECT_PANEL)
    store = read(binary, tmp_path / "s.zarr")
    assert store.provenance["format"] == "bcf"
    assert equal(store, read(PROJECT_PANEL, tmp_path / "t.zarr"))


def test_a_bcf_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    content = bcf_of(tmp_path, PROJECT_PANEL).read_bytes()
    assert content.endswith(BGZF_END)
    cut = tmp_path / "cut.bcf"
    for length in (len(content) - len(BGZF_END), len(content) // 2):
        cut.write_bytes(content[:length])
        assert "cut off" in refused(read, cut, tmp_path / "s.zarr").message
    plain = tmp_path / "plain.bcf"
    unpacked = gzip.decompress(content)
    plain.write_bytes(unpacked)
    assert len(read(plain, tmp_path / "u.zarr").variants) == 127
    for less in (1, 700):
        plain.write_bytes(unpacked[:-less])
        refused(read, plain, tmp_path / "s.zarr")


@settings(deadline=None, max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(5, 40_000), bits=st.integers(1, 255))
def test_a_damaged_bcf_is_refused_or_read_but_never_fails_otherwise(
    tmp_path: Path, place: int, bits: int
) -> None:
    source = tmp_path / "some.bcf"
    if not source.exists():
        source = bcf_of(tmp_path, PROJECT_PANEL)
    content = bytearray(gzip.decompress(source.read_bytes()))
    content[place] ^= bits
    path = tmp_path / "damaged.bcf"
    path.write_bytes(content)
    target = tmp_path / f"{os.urandom(6).hex()}.zarr"
    try:
        read(path, target)
    except vcf_store.BadInput:
        assert not target.exists()
    assert not list(tmp_path.glob("*.partial*"))


def test_readings_that_disagree_are_not_believed(
    write_vcf: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_vcf(record("0/0 0/1 1/1") + record("0/0 0/1 1/1", "rs2", "C"))
    samples, listed, build = ("a", "b", "c"), vcf_sites.outline(source).variants, ""
    other = Variants.of(["1", "1"], [10, 11], ["rs1", "rs2"], ["A", "C"], ["G", "G"])

    def where(place: int) -> str:
        return f"some.vcf, line {place + 7}"

    for names, found, what in (
        (samples, other, "line 8"),
        (samples, listed[:1], "line 8"),
        (samples, Variants.joined([listed, other[1:]]), "how many variants"),
        (("a", "b", "d"), listed, "its samples"),
    ):
        told = vcf_sites.Outline(names, found, build, where)
        monkeypatch.setattr(vcf_store, "outline", lambda *_, told=told: told)
        assert f"two readings disagree on {what}" in refused(read, source, tmp_path / "s.zarr").message


def test_a_reader_that_gives_no_sign_is_stopped(
    write_vcf: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_vcf(record("0/0 0/1 1/1"))
    monkeypatch.setattr(vcf_stream, "STALLED", 0.001)
    assert "gave no sign" in refused(read, source, tmp_path / "s.zarr").message


def test_the_child_gets_no_secret(write_vcf: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}
    real = subprocess.Popen

    def spy(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        seen.update(options)
        return real(command, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setenv("NOISEGATE_TOKEN", "a secret")
    monkeypatch.setattr(subprocess, "Popen", spy)
    read(write_vcf(record("0/0 0/1 1/1")), tmp_path / "s.zarr")
    environment = seen["env"]
    assert isinstance(environment, dict)
    assert "NOISEGATE_TOKEN" not in environment


def test_a_long_file_is_read_a_chunk_at_a_time(tmp_path: Path) -> None:
    found = calls_of(700, 130)
    store = store_of(tmp_path / "s.zarr", found, chunk=64, build="GRCh38")
    write(store, tmp_path / "out.vcf.gz")
    again = read(tmp_path / "out.vcf.gz", tmp_path / "t.zarr")
    assert equal(again, store)
    assert np.array_equal(calls(again), found)


def test_what_is_written_is_read_alike_by_a_plain_reader_and_plink(tmp_path: Path) -> None:
    found = calls_of(300, 70)
    store = store_of(tmp_path / "s.zarr", found)
    out = tmp_path / "out.vcf.gz"
    write(store, out)
    samples, sites, read_back = plain_reader(out)
    assert tuple(samples) == store.samples
    assert sites == list(store.variants.rows())
    assert read_back == found.tolist()
    run("plink2", "--vcf", out, "--freq", "counts", "--out", tmp_path / "plink")
    lines = [line.split() for line in (tmp_path / "plink.acount").read_text().splitlines()]
    counts = tally(store.block(0, 300))
    assert [int(line[4]) for line in lines[1:]] == counts.alleles.tolist()
    assert [int(line[5]) for line in lines[1:]] == (2 * (70 - counts.missing)).tolist()


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    store = store_of(tmp_path / "s.zarr", calls_of(8, 3))
    out = tmp_path / "out.vcf.gz"
    out.write_text("mine")
    with pytest.raises(vcf_store.BadInput, match="exists already"):
        write(store, out)
    assert out.read_text() == "mine"


def test_alleles_that_no_vcf_can_hold_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    odd = Variants.of(["1"], [5], ["rs1"], ["A"], ["<DEL>"])
    store = store_of(tmp_path / "s.zarr", calls_of(1, 3), odd)
    with pytest.raises(vcf_store.BadInput, match="rs1 has alleles A/<DEL>, which no VCF can hold"):
        write(store, tmp_path / "out.vcf.gz")
    assert [path.name for path in tmp_path.iterdir()] == ["s.zarr"]


def test_the_outline_of_a_file_can_be_read_in_part(tmp_path: Path) -> None:
    whole = vcf_sites.outline(PROJECT_PANEL).variants
    for source in (PROJECT_PANEL, bcf_of(tmp_path, PROJECT_PANEL)):
        assert vcf_sites.outline(source, most=5).variants.digest() == whole[:5].digest()
    assert variants_of(1).names().tolist() == ["rs0"]


@pytest.mark.slow
def test_memory_stays_bounded_however_long_the_file_is(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from noisegate.genotypes import vcf_store\n"
        "vcf_store.read(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        # Not ru_maxrss, in which a child begins with what its parent had.
        "print(Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])\n"
    )
    peaks = []
    for count in (5_000, 40_000):
        store = store_of(tmp_path / f"{count}.zarr", calls_of(count, 1_000), variants_of(count))
        out = tmp_path / f"{count}.vcf.gz"
        write(store, out)
        done = subprocess.run(
            [sys.executable, "-c", program, str(out), str(tmp_path / f"{count}.again.zarr")],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout))
    assert peaks[1] - peaks[0] < 30_000  # kB, for 35 MB of calls
