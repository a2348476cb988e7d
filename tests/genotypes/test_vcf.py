import gzip
import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noisegate.errors import CatalogError
from noisegate.genotypes import text, vcf
from noisegate.genotypes.vcf import Dosages, Variant, read, variants

PANEL = Path(__file__).parents[2] / "data" / "genomes" / "kg3_aisnps.vcf.gz"
HEAD = """##fileformat=VCFv4.2
##contig=<ID=1>
##contig=<ID=X>
##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="depth">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ta\tb\tc
"""

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(records: str) -> Path:
        path = tmp_path / "some.vcf"
        path.write_text(HEAD + records, "utf-8")
        return path

    return to_file


def record(calls: str, identifier: str = "rs1", ref: str = "A", alt: str = "G", form: str = "GT") -> str:
    return "\t".join(["1", "10", identifier, ref, alt, ".", ".", ".", form, *calls.split()]) + "\n"


def plain_reader(path: Path) -> tuple[list[str], list[tuple[str, int, str, str, str]], list[list[int]]]:
    """The slow, obvious twin: split the text and add up the alleles."""
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    lines = [line.split("\t") for line in text.splitlines() if not line.startswith("##")]
    calls = []
    for fields in lines[1:]:
        place = fields[8].split(":").index("GT")
        alleles = [call.split(":")[place].replace("|", "/").split("/") for call in fields[9:]]
        calls.append([-1 if "." in pair else sum(int(allele) for allele in pair) for pair in alleles])
    sites = [(f[0], int(f[1]), f[2].removeprefix("."), f[3], f[4]) for f in lines[1:]]
    return lines[0][9:], sites, calls


def test_the_panel_is_read_as_a_plain_reader_reads_it() -> None:
    samples, sites, calls = plain_reader(PANEL)
    found = read(PANEL)
    assert list(found.samples) == samples
    assert [(v.chrom, v.pos, v.id, v.ref, v.alt) for v in found.variants] == sites
    assert found.calls.dtype == np.int8
    assert found.calls.shape == (127, 2504)
    assert found.calls.tolist() == calls
    assert variants(PANEL) == found.variants


def test_the_panel_has_the_allele_counts_it_states() -> None:
    # INFO/AC was counted by the 1000 Genomes Project itself.
    with gzip.open(PANEL, "rt") as stream:
        infos = [line.split("\t")[7] for line in stream if not line.startswith("#")]
    stated = [int(dict(p.split("=") for p in info.split(";") if "=" in p)["AC"]) for info in infos]
    assert read(PANEL).calls.sum(axis=1).tolist() == stated


CALL = st.builds("{}{}{}".format, st.sampled_from("01."), st.sampled_from("/|"), st.sampled_from("01."))


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.tuples(CALL, CALL, CALL), min_size=1, max_size=6), zipped=st.booleans())
def test_any_diploid_calls_are_read_as_a_plain_reader_reads_them(
    tmp_path: Path, calls: list[tuple[str, str, str]], zipped: bool
) -> None:
    text = HEAD + "".join(
        record(" ".join(f"{call}:7" for call in row), f"rs{number}", form="GT:DP")
        for number, row in enumerate(calls)
    )
    path = tmp_path / ("some.vcf.gz" if zipped else "some.vcf")
    path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    assert read(path).calls.tolist() == plain_reader(path)[2]


def test_a_call_is_missing_when_any_allele_is(write: Write) -> None:
    found = read(write(record("./. ./1 .") + record("0/1 1|1 0/0", "rs2")))
    assert found.calls.tolist() == [[-1, -1, -1], [1, 2, 0]]


def test_a_variant_without_an_id_is_named_by_its_place(write: Write) -> None:
    (variant,) = variants(write(record("0/0 0/1 1/1", ".", "AT")))
    assert (variant.id, variant.name) == ("", "chr1_10_AT_G")
    assert Variant("chr2", 5, "", "C", "T").name == "chr2_5_C_T"
    assert read(write(record("0/0 0/1 1/1", ".", "AT"))).variants == (variant,)


OUTLINE_MISTAKES = [
    (record("0/0 0/1 1/2", alt="G,T"), "line 7: rs1 has several alternate alleles", "norm -m -any"),
    (record("0/0 0/1 1/1", alt="<DEL>"), "line 7: rs1 has alleles A/<DEL>, which are not bases", "snps"),
    (record("0/0 0/1 1/1", alt="."), "line 7: rs1 has alleles A/., which are not bases", "snps"),
    (record("0/0 0/1 1/1", "rs1;rs2"), "line 7: rs1;rs2 cannot be a column name", "--set-id"),
    (record("0/0 0/1 1/1", "1_10"), "line 7: 1_10 cannot be a column name", "--set-id"),
    (record("0/0 0/1 1/1") + record("0/0 0/1 1/1", "RS1"), "line 8: RS1 was there on line 7", "duplicates"),
    ("1\tten\trs1\tA\tG\t.\t.\t.\tGT\t0/0\t0/0\t0/0\n", "line 7: not a record", ""),
    ("1 10 rs1 A G . . . GT 0/0 0/0 0/0\n", "line 7: not a record", ""),
]


@pytest.mark.parametrize(("records", "message", "hint"), OUTLINE_MISTAKES)
@pytest.mark.parametrize("reader", [variants, read])
def test_a_variant_that_cannot_be_a_column_is_refused_by_its_line(
    write: Write, reader: Callable[[Path], object], records: str, message: str, hint: str
) -> None:
    with pytest.raises(CatalogError) as caught:
        reader(write(records))
    assert f"some.vcf, {message}" in caught.value.message
    assert hint in caught.value.hint


CALL_MISTAKES = [
    (record("0 1 1"), "rs1 has calls that are not of two alleles"),
    (record("0/0 1 1/1"), "rs1 has calls that are not of two alleles"),
    (record("0/0/1 0/1 1/1"), "rs1 has calls that are not of two alleles"),
    (record("0/0 0/1 0/2"), "rs1 has"),
    (record("0/0 0/1 x/y"), "the first variant has no calls"),
    (record("0/0 0/0 0/0") + record("0/0 0/1", "rs2"), "the variant after rs1 has no calls"),
    (record("3 4 5", form="DP"), "rs1 has no calls"),
]


@pytest.mark.parametrize(("records", "message"), CALL_MISTAKES)
def test_calls_that_are_not_of_two_alleles_are_refused_by_their_variant(
    write: Write, records: str, message: str
) -> None:
    with pytest.raises(CatalogError) as caught:
        read(write(records))
    assert caught.value.message.startswith(f"some.vcf: {message}")
    assert caught.value.hint


FILE_MISTAKES = [
    (b"", "no #CHROM line"),
    (b"chrom,pos\n1,2\n", "does not begin with ##fileformat=VCF"),
    (b"BCF\x02\x02", "does not begin with ##fileformat=VCF"),
    (b"##fileformat=VCFv4.2\n", "no #CHROM line"),
    (b"##fileformat=VCFv4.2\n#CHROM\tID\n", "line 2: the #CHROM line"),
    (HEAD.replace("\tb\t", "\ta\t").encode(), "line 6: a sample is named twice"),
    (gzip.compress(HEAD.encode())[:-12], "cannot be read: Compressed file ended"),
    (gzip.compress(b"##fileformat=VCFv4.2\n\xff\n", mtime=0), "cannot be read: 'utf-8' codec"),
    (b"\x1f\x8b\x08\x00junkjunkjunkjunk", "cannot be read"),
]


@pytest.mark.parametrize(("content", "message"), FILE_MISTAKES)
def test_what_is_not_a_whole_vcf_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "some.vcf.gz"
    path.write_bytes(content)
    for reader in (variants, read):
        with pytest.raises(CatalogError) as caught:
            reader(path)
        assert message in caught.value.message


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 2_000), bits=st.integers(1, 255), keep=st.integers(0, 40_000))
def test_a_damaged_file_is_refused_or_read_but_never_fails_otherwise(
    tmp_path: Path, place: int, bits: int, keep: int
) -> None:
    content = bytearray(PANEL.read_bytes())
    content[place] ^= bits
    path = tmp_path / "damaged.vcf.gz"
    path.write_bytes(content[: 2_001 + keep])
    with pytest.raises(CatalogError):  # cut off, whatever else
        variants(path)


def test_a_bgzf_file_cut_between_blocks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.vcf.gz"
    path.write_bytes(PANEL.read_bytes()[: -len(text.BGZF_END)])
    with pytest.raises(CatalogError, match="cut off, its last block is missing"):
        variants(path)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.vcf"
    os.mkfifo(pipe)
    for path, message in ((pipe, "not a regular file"), (tmp_path, "not a regular file")):
        with pytest.raises(CatalogError, match=message):
            read(path)
    with pytest.raises(CatalogError, match="No such file"):
        read(tmp_path / "nowhere.vcf")


def test_a_file_of_sites_has_variants_but_no_dosages(tmp_path: Path) -> None:
    path = tmp_path / "sites.vcf"
    path.write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n1\t1\trs1\tA\tC\t.\t.\t.\n",
        "utf-8",
    )
    assert [v.name for v in variants(path)] == ["rs1"]
    with pytest.raises(CatalogError, match="no samples"):
        read(path)


def test_dosages_cannot_be_changed_or_of_another_shape(write: Write) -> None:
    found = read(write(record("0/0 0/1 1/1")))
    with pytest.raises(ValueError, match="read-only"):
        found.calls[0, 0] = 2
    with pytest.raises(ValueError, match="one row a variant"):
        Dosages(found.samples, (), found.calls)
    with pytest.raises(ValueError, match="0, 1, 2 or -1"):
        Dosages(found.samples, found.variants, np.full((1, 3), 3, dtype=np.int8))


def test_readers_that_disagree_are_not_believed(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_child(_: Path, out: Path) -> None:
        np.save(out / "calls.npy", np.zeros((1, 3), dtype=np.int8))
        records = {"samples": ["a", "b", "d"], "records": [["1", 10, "rs1", "A", "G"]]}
        (out / "records.json").write_text(json.dumps(records), "utf-8")

    monkeypatch.setattr(vcf, "_run_child", other_child)
    with pytest.raises(CatalogError, match="two readers disagree"):
        read(write(record("0/0 0/1 1/1")))


def test_a_reader_that_runs_too_long_is_stopped(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vcf, "SECONDS", 0.001)
    with pytest.raises(CatalogError, match="took more than"):
        read(write(record("0/0 0/1 1/1")))


def child(tmp_path: Path, program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=60
    )


def test_without_cyvcf2_the_extra_is_named(tmp_path: Path) -> None:
    done = child(
        tmp_path,
        "import sys; sys.modules['cyvcf2'] = None\n"
        f"sys.argv = ['vcf_child', {str(PANEL)!r}, '.']\n"
        "from noisegate.genotypes.vcf_child import main; sys.exit(main())",
    )
    assert done.returncode == 3
    assert "noisegate[genomes]" in json.loads(done.stdout)["hint"]


def test_the_child_limits_itself_before_it_reads(tmp_path: Path) -> None:
    done = child(
        tmp_path,
        "import resource\n"
        "from noisegate.genotypes.vcf_child import limit\n"
        "limit()\n"
        "print(*(resource.getrlimit(r)[1] for r in (resource.RLIMIT_AS, resource.RLIMIT_CPU, "
        "resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)))\n"
        "try:\n    bytearray(9 * 2**30)\nexcept MemoryError:\n    print('refused')",
    )
    memory, seconds, written, files, core = map(int, done.stdout.split()[:5])
    assert memory <= 8 * 2**30
    assert seconds <= 600
    assert written <= 16 * 2**30
    assert (files, core) == (64, 0)
    assert done.stdout.split()[5] == "refused"


def test_the_child_gets_no_secret_and_leaves_nothing_behind(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, object] = {}
    real = subprocess.run

    def spy(command: list[str], **options: object) -> subprocess.CompletedProcess[bytes]:
        seen.update(options, command=command)
        return real(command, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setenv("NOISEGATE_TOKEN", "a secret")
    monkeypatch.setattr(subprocess, "run", spy)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    read(write(record("0/0 0/1 1/1")))
    environment, folder = seen["env"], seen["cwd"]
    assert isinstance(environment, dict)
    assert isinstance(folder, Path)
    assert "NOISEGATE_TOKEN" not in environment
    assert not folder.exists()


def test_a_server_with_threads_may_read_from_any_of_them(write: Write) -> None:
    path = write(record("0/0 0/1 1/1"))
    results: list[list[list[int]]] = []
    threads = [threading.Thread(target=lambda: results.append(read(path).calls.tolist())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[[0, 1, 2]]] * 3


def test_the_file_is_only_read(write: Write) -> None:
    path = write(record("0/0 0/1 1/1"))
    path.chmod(stat.S_IRUSR)
    before = (path.read_bytes(), sorted(path.parent.iterdir()))
    read(path)
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == before
