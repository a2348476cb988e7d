"""Lists of variants: what they refuse, what they are called, which are the same."""

import unicodedata

import numpy as np
import pytest

from noisegate.genotypes.variants import Gathered, Variants, assembly, contig, fit, text


def sites(*rows):
    """Return variants from (chrom, pos, id, ref, alt)."""
    return Variants.of(*zip(*rows, strict=True))


def test_columns_must_be_as_long_as_each_other():
    with pytest.raises(ValueError, match="each of chrom"):
        Variants.of(["1", "1"], [1], ["a"], ["A"], ["G"])


@pytest.mark.parametrize("wrong", ["a b", "a\tb", "a\nb", "a\x00b", "a\x7f"])
def test_no_field_holds_a_space_or_a_control_character(wrong):
    with pytest.raises(ValueError, match="space or a control"):
        sites(("1", 1, wrong, "A", "G"))


def test_every_variant_has_a_chromosome_and_alleles():
    with pytest.raises(ValueError, match="has no alt"):
        sites(("1", 1, "a", "A", ""))
    with pytest.raises(ValueError, match="has no chrom"):
        sites(("", 1, "a", "A", "G"))


@pytest.mark.parametrize("pos", [-1, 2**31 - 1])
def test_positions_are_those_of_a_chromosome(pos):
    with pytest.raises(ValueError, match="positions are"):
        sites(("1", pos, "a", "A", "G"))


def test_columns_cannot_be_changed_afterwards():
    found = sites(("1", 1, "a", "A", "G"))
    with pytest.raises(ValueError, match="read-only"):
        found.pos[0] = 2


def test_a_name_is_the_id_or_else_the_place():
    found = sites(("chr1", 5, "rs1", "A", "G"), ("23", 6, ".", "C", "T"))
    assert found.names().tolist() == ["rs1", "chrX_6_C_T"]


def test_an_id_that_two_variants_share_names_neither():
    found = sites(("1", 5, "rs1", "A", "G"), ("1", 5, "rs1", "A", "T"), ("2", 1, "rs2", "A", "T"))
    assert found.names().tolist() == ["chr1_5_A_G", "chr1_5_A_T", "rs2"]


def test_the_same_variant_twice_is_found_however_it_is_spelt():
    first = ("chr01", 5, "rs1", "A", "G")
    assert sites(first, ("2", 5, "x", "A", "G"), ("1", 5, "rs9", "g", "a")).twice() == (0, 2)
    assert sites(first, ("1", 5, "rs1", "A", "T"), ("1", 6, "rs1", "A", "G")).twice() is None


def test_an_insertion_and_a_deletion_at_one_place_are_two_variants():
    assert sites(("1", 5, "a", "C", "CT"), ("1", 5, "b", "CT", "C")).twice() is None
    assert sites(("1", 5, "a", "C", "CT"), ("1", 5, "b", "C", "CT")).twice() == (0, 1)


def test_unknown_positions_are_told_apart_by_id():
    assert sites(("0", 0, "a", "A", "G"), ("0", 0, "b", "A", "G")).twice() is None
    assert sites(("0", 0, "a", "A", "G"), ("0", 0, "a", "A", "G")).twice() == (0, 1)


def test_the_digest_covers_every_column_and_the_order():
    rows = [("1", 5, "rs1", "A", "G"), ("2", 6, "rs2", "C", "T")]
    known = {sites(*rows).digest(), sites(*reversed(rows)).digest()}
    for column, other in enumerate(("3", 7, "rs3", "AA", "GG")):
        changed = [list(row) for row in rows]
        changed[0][column] = other
        known.add(sites(*changed).digest())
    # A character that moves from one field to the next is another list too.
    known.add(sites(("1", 5, "rs", "1A", "G"), rows[1]).digest())
    assert len(known) == 8


def test_slices_and_picks_keep_each_variant_whole():
    found = sites(*((str(i), i, f"rs{i}", "A", "G") for i in range(1, 8)))
    assert list(found[2:4].rows()) == [("3", 3, "rs3", "A", "G"), ("4", 4, "rs4", "A", "G")]
    picked = found.take(np.array([6, 0], np.int64))
    assert picked.id.tolist() == ["rs7", "rs1"]
    assert Variants.joined([found[:3], found[3:]]).digest() == found.digest()


def test_gathering_many_gives_the_same_as_all_at_once():
    count = 70_000
    gathered = Gathered()
    for i in range(count):
        gathered.add("1", i, f"rs{i}", "A", "G")
    whole = Variants.of(
        ["1"] * count, range(count), (f"rs{i}" for i in range(count)), ["A"] * count, ["G"] * count
    )
    assert gathered.variants().digest() == whole.digest()
    assert len(list(whole.rows())) == count


def test_nothing_is_a_list_too():
    assert len(Gathered().variants()) == 0
    assert Variants.joined([]).twice() is None


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        *(("chr1", "1"), ("1", "1"), ("0", "0"), ("HLA-A*01", "HLA-A*01")),
        *(("chrX", "X"), ("23", "X"), ("x", "X"), ("24", "Y"), ("25", "XY"), ("PAR1", "XY")),
        *(("26", "MT"), ("M", "MT"), ("chrM", "MT"), ("MT", "MT")),
    ],
)
def test_a_chromosome_has_one_name(spelt, name):
    assert contig(spelt) == name


def test_a_build_has_one_name():
    assert {assembly(name) for name in ("hg38", "GRCh38", "grch38", " b38 ")} == {"GRCh38"}
    assert assembly("CHM13") == "CHM13"


def test_text_keeps_strings_of_any_length():
    assert text(["", "A" * 500]).tolist() == ["", "A" * 500]


def test_fields_hold_no_character_that_is_not_seen():
    unseen = {"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"}
    for code in range(0x110000):
        # What is not assigned yet may be either.
        if (category := unicodedata.category(chr(code))) != "Cn":
            assert fit(chr(code)) == (category not in unseen), hex(code)
    assert fit("rs12_é-β")
    assert not fit("")
    assert not fit("A" * 10_001)
