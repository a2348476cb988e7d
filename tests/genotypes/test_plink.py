"""PLINK 1 files, read beside bed-reader and plink1.9, written back bit for bit."""

import numpy as np
import pytest
from bed_reader import open_bed, to_bed
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from noisegate.errors import BadInput, Conflict
from noisegate.genotypes import plink
from noisegate.genotypes.packed import pack, unpack
from noisegate.genotypes.store import Store
from noisegate.genotypes.variants import Variants

from .panels import calls_of, panel, run, same, store_of, variants_of

FAM = "{0} {0} 0 0 {1} -9\n"
BIM = "1\trs{0}\t0\t{1}\tG\tA\n"


def trio(folder, calls, bim=None, fam=None, name="a"):
    """Write three files with bed-reader's help for the calls; returns the .bed."""
    variants, people = calls.shape
    bed = folder / f"{name}.bed"
    to_bed(bed, np.where(calls < 0, -127, calls).T.astype(np.int8))
    bed.with_suffix(".bim").write_text(
        bim if bim is not None else "".join(BIM.format(i, 100 + i) for i in range(variants))
    )
    bed.with_suffix(".fam").write_text(
        fam if fam is not None else "".join(FAM.format(f"p{i}", 0) for i in range(people))
    )
    return bed


def refused(bed, match, **options):
    """The import fails with a hint and leaves nothing."""
    target = bed.parent / "out.zarr"
    with pytest.raises(BadInput, match=match) as caught:
        plink.read(bed, target, **options)
    assert caught.value.hint
    assert not list(bed.parent.glob("out*"))


@pytest.mark.parametrize("name", ["kg1", "ceu22"])
def test_a_real_panel_comes_back_byte_for_byte(tmp_path, name):
    source = panel(name)
    store = plink.read(source, tmp_path / "a.zarr", build="GRCh37")
    with open_bed(source) as second:
        counted = second.read(dtype="int8").T
        assert list(second.iid) == list(store.samples)
        assert second.sid.tolist() == store.variants.id.tolist()
        assert second.bp_position.tolist() == store.variants.pos.tolist()
        assert second.allele_1.tolist() == store.variants.alt.tolist()
        assert second.allele_2.tolist() == store.variants.ref.tolist()
    whole = store.block(0, len(store.variants))
    assert np.array_equal(unpack(whole), np.where(counted == -127, -1, counted))
    plink.write(store, tmp_path / "b")
    for ending in (".bed", ".bim", ".fam"):
        assert (tmp_path / f"b{ending}").read_bytes() == source.with_suffix(ending).read_bytes()
    again = plink.read(tmp_path / "b.fam", tmp_path / "b.zarr", build="hg19")
    assert same(again.block(0, len(again.variants)), whole)
    assert again.build == "GRCh37"


@pytest.mark.parametrize("name", ["kg1", "ceu22"])
def test_plink_agrees_on_frequencies_of_what_we_write(tmp_path, name):
    source = panel(name)
    store = plink.read(source, tmp_path / "a.zarr")
    plink.write(store, tmp_path / "b.bed")
    for program in ("plink1.9", "plink2"):
        for which, files in (("theirs", source.with_suffix("")), ("ours", tmp_path / "b")):
            run(program, "--bfile", files, "--freq", "--out", tmp_path / f"{program}{which}")
    for one, ending in (("plink1.9", ".frq"), ("plink2", ".afreq")):
        ours = (tmp_path / f"{one}ours{ending}").read_bytes()
        assert ours == (tmp_path / f"{one}theirs{ending}").read_bytes()
        assert len(ours.splitlines()) == 1 + len(store.variants)


def test_plink2_counts_what_we_count(tmp_path):
    calls = calls_of(40, 77)
    plink.write(store_of(tmp_path / "a.zarr", calls), tmp_path / "a")
    run("plink2", "--bfile", tmp_path / "a", "--geno-counts", "--out", tmp_path / "c")
    rows = [line.split() for line in (tmp_path / "c.gcount").read_text().splitlines()]
    at = {
        name: rows[0].index(name)
        for name in ("HOM_REF_CT", "HET_REF_ALT_CTS", "TWO_ALT_GENO_CTS", "MISSING_CT")
    }
    for column, call in zip(at.values(), (0, 1, 2, -1), strict=True):
        assert [int(row[column]) for row in rows[1:]] == (calls == call).sum(axis=1).tolist()


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(1, 200)).flatmap(
        lambda shape: arrays(np.int8, shape, elements=st.integers(-1, 2))
    )
)
def test_rows_of_a_bed_are_the_codes_of_its_format(calls):
    rows = plink.encode(pack(calls))
    codes = {2: 0b00, -1: 0b01, 1: 0b10, 0: 0b11}
    for row, people in zip(rows.tolist(), calls.tolist(), strict=True):
        due = [0] * -(-len(people) // 4)
        for i, call in enumerate(people):
            due[i // 4] |= codes[call] << 2 * (i % 4)
        assert row == due
    assert np.array_equal(unpack(plink.decode(rows, calls.shape[1])), calls)


def test_bed_reader_reads_what_we_write(tmp_path):
    calls = calls_of(33, 131)
    plink.write(store_of(tmp_path / "a.zarr", calls, chunk=8), tmp_path / "a.bed")
    with open_bed(tmp_path / "a.bed") as second:
        assert np.array_equal(second.read(dtype="int8").T, np.where(calls < 0, -127, calls))
        assert second.allele_1.tolist() == variants_of(33).alt.tolist()


def test_progress_goes_from_little_to_all(tmp_path):
    bed = trio(tmp_path, calls_of(20, 9))
    told = []
    store = plink.read(bed, tmp_path / "a.zarr", progress=told.append)
    plink.write(store, tmp_path / "b", lambda share: told.append(1 + share))
    assert told == sorted(told)
    assert (told[0] >= 0, told[-1]) == (True, 2.0)
    assert 1.0 in told


def test_a_person_lists_bed_is_refused_with_the_way_out(tmp_path):
    bed = trio(tmp_path, calls_of(4, 4))
    content = bytearray(bed.read_bytes())
    content[2] = 0
    bed.write_bytes(content)
    refused(bed, "person by person")


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 10, -1])
def test_a_bed_cut_off_is_refused(tmp_path, cut):
    bed = trio(tmp_path, calls_of(9, 9))
    bed.write_bytes(bed.read_bytes()[:cut])
    refused(bed, "not a .bed file" if cut in (0, 1, 2) else "bytes; 9 people")


def test_a_bed_too_long_is_refused(tmp_path):
    bed = trio(tmp_path, calls_of(9, 9))
    bed.write_bytes(bed.read_bytes() + b"\0")
    refused(bed, "31 bytes; 9 people in a.fam and 9 variants in a.bim need 30")


def test_a_fam_that_lost_its_last_line_is_noticed(tmp_path):
    bed = trio(tmp_path, calls_of(9, 8), fam="".join(FAM.format(f"p{i}", 0) for i in range(7)))
    refused(bed, "more people than the 7 lines of a.fam")


def test_companions_of_another_data_set_are_refused(tmp_path):
    bed = trio(tmp_path, calls_of(9, 9), bim="".join(BIM.format(i, i) for i in range(8)))
    refused(bed, "8 variants in a.bim need 27")


@pytest.mark.parametrize("gone", [".bed", ".bim", ".fam"])
def test_all_three_files_are_needed(tmp_path, gone):
    bed = trio(tmp_path, calls_of(9, 9))
    bed.with_suffix(gone).unlink()
    refused(bed, f"a{gone} is not there")


@pytest.mark.parametrize("empty", [".bim", ".fam"])
def test_an_empty_companion_is_refused(tmp_path, empty):
    bed = trio(tmp_path, calls_of(9, 9))
    bed.with_suffix(empty).write_text("")
    refused(bed, "there is no")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1 rs1 0 100 G\n", "line 2: 5 fields where 6"),
        ("\n", "line 2: 0 fields"),
        ("1 rs1 0 -5 G A\n", "line 2: position -5"),
        ("1 rs1 0 1e6 G A\n", "line 2: position 1e6"),
        ("1 rs1 0 99999999999999999999 G A\n", "line 2: position 99999999999999999999"),
        ("1 rs1 0 2147483647 G A\n", "line 2: position 2147483647"),
        ("1 rs1 0 ١٢ G A\n", "line 2: position"),
        ("1 rs1 0 5 G,T A\n", "line 2: A G,T are more than two"),
        ("1 rs1 0 5 G 0\n", "line 2: the reference allele is not named"),
        ("1 rs1 0 5 g G\n", "line 2: both alleles are G"),
        ("chr1 rs77 0 100 A G\n", "line 2: .* is there twice, first at line 1"),
        ("1 r\x01s 0 5 G A\n", "line 2 or before: a id has a space or a control"),
        ("1 rs1 0 5 " + "G" * 10_001 + " A\n", "more than 10000 characters"),
    ],
)
def test_a_bad_line_of_a_bim_is_named(tmp_path, line, message):
    bed = trio(tmp_path, calls_of(2, 9), bim=BIM.format(0, 100) + line)
    refused(bed, message)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("f p1 0 0 0\n", "line 2: 5 fields where 6"),
        ("g p0 0 0 0 -9\n", "line 2: person p0 is there twice, first on line 1"),
        ("g 0 0 0 0 -9\n", "line 2: the person has no name"),
    ],
)
def test_a_bad_line_of_a_fam_is_named(tmp_path, line, message):
    bed = trio(tmp_path, calls_of(2, 2), fam=FAM.format("p0", 0) + line)
    refused(bed, message)


def test_text_that_is_not_utf8_is_refused(tmp_path):
    bed = trio(tmp_path, calls_of(2, 2))
    bed.with_suffix(".bim").write_bytes(b"\xff\xfe\x00" * 50)
    refused(bed, "a.bim: cannot be read")


def test_an_allele_without_a_name_stays_so_while_nobody_carries_it(tmp_path):
    calls = np.array([[0, 0, -1, 0, 0], [0, 1, 2, 0, 0]], np.int8)
    lines = ["1 rs0 0 5 0 A\n", "1 rs1 0 6 G A\n"]
    store = plink.read(trio(tmp_path, calls, bim="".join(lines)), tmp_path / "a.zarr")
    assert store.variants.alt.tolist() == [".", "G"]
    plink.write(store, tmp_path / "b")
    assert (tmp_path / "b.bim").read_text() == "".join(lines).replace(" ", "\t")
    refused(trio(tmp_path, calls[::-1].copy(), bim="".join(lines)), "line 1: A1 is nameless and carried")


def test_heterozygous_calls_of_one_copy_are_missing(tmp_path):
    calls = np.tile(np.array([0, 1, 2, 1], np.int8), (4, 1))
    bim = "".join(f"{chrom} v{chrom} 0 5000000 G A\n" for chrom in ("7", "23", "24", "26"))
    fam = "".join(FAM.format(name, sex) for name, sex in (("a", 1), ("b", 1), ("c", 2), ("d", 2)))
    store = plink.read(trio(tmp_path, calls, bim=bim, fam=fam), tmp_path / "a.zarr")
    assert unpack(store.block(0, 4)).tolist() == [[0, 1, 2, 1], [0, -1, 2, 1], [0, -1, 2, -1], [0, -1, 2, -1]]
    assert store.variants.chrom.tolist() == ["7", "23", "24", "26"]


def test_an_export_is_all_three_files_or_none(tmp_path):
    store = store_of(tmp_path / "a.zarr", calls_of(20, 9), chunk=8)
    (tmp_path / "b.bed").write_bytes(b"old")
    with pytest.raises(BadInput, match=r"b\.bed exists already"):
        plink.write(store, tmp_path / "b.bed")
    assert [file.name for file in tmp_path.glob("*b.*")] == ["b.bed"]

    def fail(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plink.write(store, tmp_path / "c", fail)
    assert not list(tmp_path.glob("*c.*"))


def test_an_import_stopped_half_way_leaves_nothing(tmp_path):
    bed = trio(tmp_path, calls_of(9_000, 9))

    def fail(share):
        if share > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plink.read(bed, tmp_path / "out.zarr", progress=fail)
    assert not list(tmp_path.glob("out*"))


def test_an_import_never_replaces_a_store(tmp_path):
    bed = trio(tmp_path, calls_of(9, 9))
    digest = plink.read(bed, tmp_path / "a.zarr").digest
    with pytest.raises(Conflict):
        plink.read(bed, tmp_path / "a.zarr")
    assert Store.open(tmp_path / "a.zarr").digest == digest


def test_a_person_named_zero_cannot_be_exported(tmp_path):
    from noisegate.genotypes.store import Writer

    variants = Variants.of(["1"], [5], ["a"], ["A"], ["G"])
    writer = Writer.create(tmp_path / "a.zarr", samples=["0"], variants=variants)
    writer.write(0, pack(np.zeros((1, 1), np.int8)))
    with pytest.raises(BadInput, match="called 0"):
        plink.write(writer.finish(), tmp_path / "b")


def neighbour(folder, name, calls):
    """Let PLINK 1.9 code the alleles of some people's calls, and import what it writes."""
    folder.mkdir()
    trio(folder, calls)
    run("plink1.9", "--bfile", folder / "a", "--make-bed", "--out", folder / "b")
    return plink.read(folder / "b.bed", folder / f"{name}.zarr")


def test_the_coding_of_alleles_that_plink_worked_out_of_people_is_not_called_public(tmp_path):
    calls = np.array([[1, 0, 0, 0, 0], [1, 1, 1, 2, 0]], np.int8)
    other = np.array([[0, 0, 0, 0, 0], [2, 1, 1, 2, 0]], np.int8)
    one, two = neighbour(tmp_path / "one", "a", calls), neighbour(tmp_path / "two", "a", other)
    # One person's row decides which of two alleles is counted.
    assert one.variants.alt[1] != two.variants.alt[1]
    assert {one.variants.alt[1], one.variants.ref[1]} == {two.variants.alt[1], two.variants.ref[1]}
    for store in (one, two):
        assert store.provenance["coding"] == "people"
        assert not store.coding_is_public
    assert plink.read(tmp_path / "one" / "b.bed", tmp_path / "p.zarr", public=True).coding_is_public
