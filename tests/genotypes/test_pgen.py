"""PLINK 2 files, checked beside plink2."""

import shutil
import sys

import numpy as np
import pytest

from noisegate.errors import BadInput, SetupError
from noisegate.genotypes import pgen, plink
from noisegate.genotypes.packed import pack, unpack
from noisegate.genotypes.store import Writer
from noisegate.genotypes.variants import Variants

from .panels import calls_of, panel, run, same, store_of, variants_of


def refused(source, match, **options):
    target = source.parent / "out.zarr"
    with pytest.raises(BadInput, match=match) as caught:
        pgen.read(source, target, **options)
    assert caught.value.hint
    assert not list(source.parent.glob("out*"))


@pytest.fixture
def written(tmp_path):
    """Three files of 30 variants and 20 people."""
    store = store_of(tmp_path / "a.zarr", calls_of(30, 20))
    pgen.write(store, tmp_path / "a.pgen")
    return tmp_path / "a.pgen"


@pytest.mark.parametrize("name", ["kg1", "ceu22"])
def test_a_real_panel_comes_back_through_pgen(tmp_path, name):
    store = plink.read(panel(name), tmp_path / "a.zarr")
    pgen.write(store, tmp_path / "b")
    again = pgen.read(tmp_path / "b.pgen", tmp_path / "b.zarr")
    assert same(again.block(0, len(again.variants)), store.block(0, len(store.variants)))
    assert again.variants.digest() == store.variants.digest()
    assert again.samples == store.samples


@pytest.mark.parametrize("name", ["kg1", "ceu22"])
def test_plink2_agrees_on_frequencies_and_finds_the_file_valid(tmp_path, name):
    source = panel(name)
    pgen.write(plink.read(source, tmp_path / "a.zarr"), tmp_path / "b")
    assert "done" in run("plink2", "--pfile", tmp_path / "b", "--validate", "--out", tmp_path / "v")
    run("plink2", "--pfile", tmp_path / "b", "--freq", "--out", tmp_path / "ours")
    run("plink2", "--bfile", source.with_suffix(""), "--freq", "--out", tmp_path / "theirs")
    ours = (tmp_path / "ours.afreq").read_bytes()
    assert ours == (tmp_path / "theirs.afreq").read_bytes()


def test_what_plink2_writes_is_read_the_same_as_the_bed(tmp_path):
    source = panel("kg1")
    store = plink.read(source, tmp_path / "a.zarr")
    for name, more in (("plain", []), ("packed", ["vzs"])):
        run("plink2", "--bfile", source.with_suffix(""), "--make-pgen", *more, "--out", tmp_path / name)
        again = pgen.read(tmp_path / f"{name}.pgen", tmp_path / f"{name}.zarr")
        assert same(again.block(0, len(again.variants)), store.block(0, len(store.variants)))
        assert again.variants.digest() == store.variants.digest()


def test_missing_calls_and_every_count_survive(tmp_path, written):
    store = pgen.read(written, tmp_path / "b.zarr")
    assert np.array_equal(unpack(store.block(0, 30)), calls_of(30, 20))
    assert store.variants.digest() == variants_of(30).digest()
    assert store.samples == tuple(f"p{i}" for i in range(20))


def test_any_of_the_three_names_will_do(tmp_path, written):
    for number, name in enumerate(("a", "a.pgen", "a.pvar", "a.psam")):
        assert pgen.read(tmp_path / name, tmp_path / f"{number}.zarr").people == 20


def test_a_header_that_names_the_build_is_believed_or_contradicted(tmp_path, written):
    pvar = written.with_suffix(".pvar")
    pvar.write_text("##contig=<ID=1,length=249250621>\n" + pvar.read_text())
    assert pgen.read(written, tmp_path / "b.zarr").build == "GRCh37"
    refused(written, "on GRCh37, not on hg38", build="hg38")


def test_other_columns_are_passed_over(tmp_path, written):
    pvar, psam = written.with_suffix(".pvar"), written.with_suffix(".psam")
    rows = [line.split("\t") for line in pvar.read_text().splitlines()]
    pvar.write_text(
        "\n".join("\t".join([*row, "QUAL" if not i else "9"]) for i, row in enumerate(rows)) + "\n"
    )
    names = [line.split("\t")[0] for line in psam.read_text().splitlines()[1:]]
    psam.write_text("#FID\tIID\tSEX\tAGE\n" + "".join(f"f\t{name}\t1\t50\n" for name in names))
    store = pgen.read(written, tmp_path / "b.zarr")
    assert store.variants.digest() == variants_of(30).digest()
    assert store.samples == tuple(names)


def test_files_without_headers_are_those_of_plink_1(tmp_path, written):
    written.with_suffix(".pvar").write_text(
        "".join(f"{c}\t{name}\t0\t{pos}\t{alt}\t{ref}\n" for c, pos, name, ref, alt in variants_of(30).rows())
    )
    written.with_suffix(".psam").write_text("".join(f"p{i} p{i} 0 0 0 -9\n" for i in range(20)))
    assert pgen.read(written, tmp_path / "b.zarr").variants.digest() == variants_of(30).digest()


def test_heterozygous_calls_of_one_copy_are_missing(tmp_path):
    calls = np.tile(np.array([0, 1, 2, 1], np.int8), (2, 1))
    variants = Variants.of(["X", "Y"], [5_000_000] * 2, ["a", "b"], ["A"] * 2, ["G"] * 2)
    pgen.write(store_of(tmp_path / "a.zarr", calls, variants), tmp_path / "a")
    sexes = zip(("p0", "p1", "p2", "p3"), ("M", "1", "F", "NA"), strict=True)
    (tmp_path / "a.psam").write_text("#IID\tSEX\n" + "".join(f"{name}\t{sex}\n" for name, sex in sexes))
    store = pgen.read(tmp_path / "a", tmp_path / "b.zarr")
    assert unpack(store.block(0, 2)).tolist() == [[0, -1, 2, 1], [0, -1, 2, -1]]


def test_an_allele_without_a_name_stays_so_while_nobody_carries_it(tmp_path):
    variants = Variants.of(["1", "1"], [5, 6], ["a", "b"], ["A", "A"], [".", "G"])
    calls = np.array([[0, -1, 0], [1, 2, 0]], np.int8)
    pgen.write(store_of(tmp_path / "a.zarr", calls, variants), tmp_path / "a")
    assert pgen.read(tmp_path / "a", tmp_path / "b.zarr").variants.alt.tolist() == [".", "G"]
    pgen.write(store_of(tmp_path / "c.zarr", calls[::-1].copy(), variants), tmp_path / "c")
    refused(tmp_path / "c.pgen", "variant 1: ALT has no name, and is carried")


@pytest.mark.parametrize("keep", [0, 2, 11, 12, 40, -1])
def test_a_pgen_cut_off_is_refused(written, keep):
    written.write_bytes(written.read_bytes()[:keep])
    refused(written, "not a .pgen file|is cut off")


def test_a_damaged_pgen_is_refused_or_read_and_never_ends_the_process(tmp_path, written):
    draws = np.random.default_rng(3)
    whole = np.frombuffer(written.read_bytes(), np.uint8)
    refusals = 0
    for number in range(30):
        content = whole.copy()
        content[draws.integers(0, len(content), 4)] = draws.integers(0, 256, 4)
        written.write_bytes(content.tobytes())
        try:
            pgen.read(written, tmp_path / f"{number}.zarr")
        except BadInput:
            refusals += 1
            assert not (tmp_path / f"{number}.zarr").exists()
    assert refusals > 5


@pytest.mark.parametrize(
    ("mode", "message"), [(0x01, "not a .pgen"), (0x11, "storage mode 0x11"), (0x20, "storage mode 0x20")]
)
def test_other_kinds_of_pgen_are_refused(written, mode, message):
    content = bytearray(written.read_bytes())
    content[2] = mode
    written.write_bytes(content)
    refused(written, message)


def test_a_gigantic_header_is_refused_before_anything_is_made_of_it(written):
    content = bytearray(written.read_bytes())
    content[3:11] = b"\xff" * 8
    written.write_bytes(content)
    refused(
        written, "holds 4294967295 people and 4294967295 variants, a.psam 20 people and a.pvar 30 variants"
    )


@pytest.mark.parametrize(
    ("ending", "line", "message"),
    [
        (".pvar", "1\t5\trs\tA\n", "line 32: only 4 fields"),
        (".pvar", "1\tx\trs\tA\tG\n", "line 32: position x"),
        (".pvar", "1\t5\trs\tA\tG,T\n", "line 32: A G,T are more than two alleles"),
        (".pvar", "1\t1000\trs\tC\tA\n", "line 32: .* is there twice, first at line 2"),
        (".psam", "p3\tNA\n", "line 22: person p3 is there twice, first on line 5"),
        (".psam", "0\tNA\n", "line 22: the person has no name"),
        (".psam", "p77\n", "line 22: 1 fields where 2"),
    ],
)
def test_a_bad_line_is_named(written, ending, line, message):
    file = written.with_suffix(ending)
    file.write_text(file.read_text() + line)
    refused(written, message)


@pytest.mark.parametrize(
    ("ending", "content", "message"),
    [
        (".pvar", "", "no variant"),
        (".psam", "", "nobody"),
        (".pvar", "#CHROM\tPOS\tID\n1\t5\trs\n", "CHROM POS ID REF ALT is due"),
        (".psam", "#NAME\np1\n", "no column IID"),
    ],
)
def test_files_that_say_nothing_are_refused(written, ending, content, message):
    written.with_suffix(ending).write_text(content)
    refused(written, message)


@pytest.mark.parametrize("gone", [".pgen", ".pvar", ".psam"])
def test_all_three_files_are_needed(written, gone):
    written.with_suffix(gone).unlink()
    refused(written, f"a{gone} is not there")


def test_a_packed_list_of_variants_cut_off_is_refused(tmp_path):
    source = panel("ceu22")
    run("plink2", "--bfile", source.with_suffix(""), "--make-pgen", "vzs", "--out", tmp_path / "a")
    packed = tmp_path / "a.pvar.zst"
    packed.write_bytes(packed.read_bytes()[:-300])
    refused(tmp_path / "a.pgen", "a.pvar.zst: cannot be read|10000 variants, a.psam 99 people and a.pvar.zst")


def test_an_export_is_all_three_files_or_none(tmp_path, written):
    store = store_of(tmp_path / "b.zarr", calls_of(20, 9), chunk=8)

    def fail(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pgen.write(store, tmp_path / "c", fail)
    assert not list(tmp_path.glob("*c.*"))
    before = {file.name: file.read_bytes() for file in tmp_path.glob("a.p*")}
    with pytest.raises(BadInput, match=r"a\.psam exists already"):
        pgen.write(store, written)
    assert before == {file.name: file.read_bytes() for file in tmp_path.glob("*a.p*")}


def test_without_pgenlib_the_way_out_is_named(tmp_path, written, monkeypatch):
    monkeypatch.setitem(sys.modules, "pgenlib", None)
    for act in (
        lambda: pgen.read(written, tmp_path / "b.zarr"),
        lambda: pgen.write(store_of(tmp_path / "c.zarr", calls_of(2, 2)), tmp_path / "c"),
    ):
        with pytest.raises(SetupError, match="Pgenlib is not installed") as caught:
            act()
        assert "--make-bed" in caught.value.hint
    shutil.rmtree(tmp_path / "c.zarr")
    assert not list(tmp_path.glob("[bc].*"))


@pytest.mark.parametrize("name", ["0", "#IID"])
def test_a_name_that_plink_takes_for_something_else_is_not_exported(tmp_path, name):
    writer = Writer.create(tmp_path / "a.zarr", samples=[name], variants=variants_of(1))
    writer.write(0, pack(np.zeros((1, 1), np.int8)))
    with pytest.raises(BadInput, match="called 0, or #"):
        pgen.write(writer.finish(), tmp_path / "b")


def test_where_the_reference_alleles_are_from_is_kept(tmp_path, written):
    assert pgen.read(written, tmp_path / "b.zarr").coding_is_public
    plink.write(store_of(tmp_path / "c.zarr", calls_of(30, 20)), tmp_path / "c")
    run("plink2", "--bfile", tmp_path / "c", "--make-pgen", "--out", tmp_path / "d")
    provisional = pgen.read(tmp_path / "d", tmp_path / "d.zarr")
    assert provisional.provenance["coding"] == "people"
    assert not provisional.coding_is_public


def test_a_variant_whose_other_allele_nobody_has_is_coded_by_people(tmp_path):
    variants = Variants.of(["1"], [5], ["a"], ["A"], ["."])
    assert not store_of(tmp_path / "a.zarr", np.zeros((1, 3), np.int8), variants).coding_is_public
    assert store_of(tmp_path / "b.zarr", np.zeros((1, 3), np.int8), variants, public=True).coding_is_public
