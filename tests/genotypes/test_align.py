"""Variants of a source found in a manifest, or dropped with a reason."""

import dataclasses

import numpy as np
import pytest

from noisegate.errors import BadInput
from noisegate.genotypes.align import NOWHERE, Reason, align, apply
from noisegate.genotypes.packed import last_word, unpack
from noisegate.genotypes.variants import Variants

from .panels import calls_of, store_of, variants_of

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def sites(*rows):
    return Variants.of(*zip(*rows, strict=True))


def one(source, manifest, **options):
    """Align two lists of one variant each; returns the alignment."""
    return align(sites(source), sites(manifest), **options)


def told(alignment):
    """What became of the first variant of the manifest, as (index, swapped, flipped, reason)."""
    first = alignment.index[0], alignment.swapped[0], alignment.flipped[0], alignment.reason[0]
    return int(first[0]), bool(first[1]), bool(first[2]), Reason(first[3])


M = ("1", 100, "rs1", "A", "G")


@pytest.mark.parametrize(
    ("source", "swapped", "flipped"),
    [
        (("1", 100, "rs1", "A", "G"), False, False),
        (("chr1", 100, "other", "a", "g"), False, False),
        (("1", 100, "rs1", "G", "A"), True, False),
        (("1", 100, "rs1", "T", "C"), False, True),
        (("1", 100, "rs1", "C", "T"), True, True),
        (("1", 100, "rs1", "A", "."), False, False),
        (("1", 100, "rs1", "G", "."), True, False),
        (("1", 100, "rs1", "T", "."), False, True),
        (("1", 100, "rs1", "C", "."), True, True),
        (("1", 0, "rs1", "G", "A"), True, False),
    ],
)
def test_exchanged_alleles_and_the_other_strand_are_seen(source, swapped, flipped):
    found = one(source, M)
    assert told(found) == (0, swapped, flipped, Reason.KEPT)
    assert found.unused.tolist() == [Reason.KEPT]
    assert not list(found.dropped())


@pytest.mark.parametrize(
    ("source", "manifest", "reason", "also"),
    [
        (("2", 100, "rs9", "A", "G"), M, Reason.ABSENT, Reason.UNASKED),
        (("1", 101, "rs9", "A", "G"), M, Reason.ABSENT, Reason.UNASKED),
        (("1", 101, "rs1", "A", "G"), M, Reason.MOVED, Reason.UNASKED),
        (("1", 100, "rs1", "A", "C"), M, Reason.ALLELES, Reason.ALLELES),
        (("1", 100, "rs1", "AT", "A"), M, Reason.ALLELES, Reason.ALLELES),
        (("1", 100, "rs1", "A", "T"), ("1", 100, "rs1", "T", "A"), Reason.STRAND, Reason.STRAND),
        (("1", 100, "rs2", "C", "G"), ("1", 100, "rs1", "C", "G"), Reason.STRAND, Reason.STRAND),
        (("1", 100, "rs1", "A", "."), ("1", 100, "rs1", "A", "T"), Reason.STRAND, Reason.STRAND),
        (("1", 100, "rs1", "AT", "A"), ("1", 100, "rs1", "A", "AT"), Reason.INDEL, Reason.INDEL),
        (("1", 100, "rs1", "A", "."), ("1", 100, "rs1", "A", "AT"), Reason.ALLELES, Reason.ALLELES),
        (("1", 100, "rs1", "A", "G"), ("1", 100, "rs1", "A", "."), Reason.ALLELES, Reason.ALLELES),
        (("1", 0, "rs9", "A", "G"), M, Reason.ABSENT, Reason.UNASKED),
    ],
)
def test_what_cannot_be_decided_is_dropped_with_its_reason(source, manifest, reason, also):
    found = one(source, manifest)
    assert told(found) == (NOWHERE, False, False, reason)
    assert found.unused.tolist() == [also]
    assert found.kept == 0
    listed = [(each.side, each.place, each.reason) for each in found.dropped()]
    assert listed == [("manifest", 0, reason), ("source", 0, also)]
    assert found.counts() == {("manifest", reason): 1, ("source", also): 1}
    assert all(each.name and each.reason.sentence for each in found.dropped())


def test_the_same_indel_is_the_same_variant():
    assert told(one(("1", 5, "a", "A", "ATT"), ("1", 5, "b", "A", "ATT"))) == (0, False, False, Reason.KEPT)


def test_placeholders_of_one_letter_may_be_exchanged_but_have_no_other_strand():
    assert told(one(("22", 5, "a", "A", "B"), ("22", 5, "b", "B", "A"))) == (0, True, False, Reason.KEPT)
    assert told(one(("22", 5, "a", "I", "D"), ("22", 5, "b", "D", "I")))[1:] == (True, False, Reason.KEPT)


def many(count, strand="forward"):
    """Return variants that are not palindromic, perhaps read off the other strand."""
    found = variants_of(count * 2).take(np.arange(0, count * 2, 2))  # A/C and G/T
    if strand == "forward":
        return found
    turned = (
        (c, pos, name, ref.translate(COMPLEMENT), alt.translate(COMPLEMENT))
        for c, pos, name, ref, alt in found.rows()
    )
    return sites(*turned)


PALINDROME = ("9", 7, "p", "A", "T"), ("9", 7, "q", "T", "A")


@pytest.mark.parametrize(
    ("witnesses", "forward", "reason"),
    [
        (many(20), False, Reason.KEPT),
        (many(19), False, Reason.STRAND),
        (many(20, "reverse"), False, Reason.STRAND),
        (many(19), True, Reason.KEPT),
    ],
)
def test_palindromes_are_kept_where_the_strand_is_known(witnesses, forward, reason):
    manifest = many(len(witnesses))
    source = Variants.joined([sites(PALINDROME[0]), witnesses])
    found = align(source, Variants.joined([sites(PALINDROME[1]), manifest]), forward=forward)
    index = 0 if reason is Reason.KEPT else NOWHERE
    assert told(found) == (index, reason is Reason.KEPT, False, reason)
    assert (found.index[1:] == np.arange(len(witnesses)) + 1).all()


def test_one_variant_of_the_other_strand_casts_doubt_on_palindromes():
    witnesses = Variants.joined([many(30)[:29], many(30, "reverse")[29:]])
    source = Variants.joined([sites(PALINDROME[0]), witnesses])
    found = align(source, Variants.joined([sites(PALINDROME[0]), many(30), sites(("9", 8, "x", "A", "C"))]))
    assert told(found)[3] == Reason.STRAND
    assert found.counts() == {
        ("manifest", Reason.STRAND): 1,
        ("manifest", Reason.ABSENT): 1,
        ("source", Reason.STRAND): 1,
    }


def test_on_the_forward_strand_other_letters_are_other_alleles():
    assert told(one(("1", 100, "rs1", "T", "C"), M, forward=True))[3] == Reason.ALLELES


def test_several_that_fit_are_all_dropped():
    source = sites(("1", 100, "a", "A", "G"), ("1", 100, "b", "G", "A"), ("1", 100, "c", "A", "C"))
    found = align(source, sites(M))
    assert told(found) == (NOWHERE, False, False, Reason.TWICE)
    assert found.unused.tolist() == [Reason.TWICE, Reason.TWICE, Reason.ALLELES]


def test_alleles_choose_among_variants_at_one_place():
    source = sites(("1", 100, "a", "A", "C"), ("1", 100, "b", "A", "G"), ("1", 100, "c", "A", "AT"))
    found = align(source, sites(M, ("1", 100, "z", "A", "AT")))
    assert found.index.tolist() == [1, 2]
    assert found.unused.tolist() == [Reason.ALLELES, Reason.KEPT, Reason.KEPT]


def test_an_id_that_several_variants_share_finds_none():
    source = sites(("1", 0, "rs1", "A", "G"), ("2", 0, "rs1", "A", "G"))
    assert told(align(source, sites(M)))[3] == Reason.ABSENT


def test_different_builds_are_refused_by_name():
    with pytest.raises(BadInput, match="GRCh37 and the manifest's of GRCh38") as caught:
        one(M, M, builds=("hg19", "hg38"))
    assert "lift" in caught.value.hint
    assert told(one(M, M, builds=("hg19", "GRCh37")))[3] == Reason.KEPT
    assert told(one(M, M, builds=("", "GRCh37")))[3] == Reason.KEPT


def test_different_builds_are_refused_by_the_positions_of_their_ids():
    manifest = variants_of(30)
    rows = list(manifest.rows())
    shifted = [(c, pos + (7 if i < 16 else 0), *rest) for i, (c, pos, *rest) in enumerate(rows)]
    with pytest.raises(BadInput, match="16 of 30 ids"):
        align(sites(*shifted), manifest)
    few = [(c, pos + (7 if i < 3 else 0), *rest) for i, (c, pos, *rest) in enumerate(many(30).rows())]
    found = align(sites(*few), many(30))
    assert found.counts() == {("manifest", Reason.MOVED): 3, ("source", Reason.UNASKED): 3}


def test_a_manifest_that_names_a_variant_twice_is_refused():
    with pytest.raises(BadInput, match="variants 1 and 2 of the manifest"):
        align(sites(M), sites(M, ("1", 100, "x", "G", "A")))


def test_every_variant_is_either_used_or_listed_once():
    draws = np.random.default_rng(5)
    manifest = variants_of(300)
    rows = []
    for i in draws.permutation(300)[:200].tolist():
        chrom, pos, name, ref, alt = next(manifest[i : i + 1].rows())
        ref, alt = draws.choice([(ref, alt), (alt, ref), ("T", "A"), (ref, ref + "A")])
        rows.append(
            (chrom, pos + int(draws.choice([0, 0, 0, 0, 1])), str(draws.choice([name, "."])), ref, alt)
        )
    found = align(sites(*rows), manifest)
    listed = list(found.dropped())
    assert len({(each.side, each.place) for each in listed}) == len(listed)
    used = found.index[found.index != NOWHERE]
    assert len(listed) == (300 - len(used)) + (200 - len(set(used.tolist())))
    assert sum(found.counts().values()) == len(listed)
    assert 0 < found.kept < 200


def test_the_order_of_the_source_does_not_matter():
    manifest, source = variants_of(60), variants_of(60)
    shuffled = np.random.default_rng(1).permutation(60)
    found = align(source.take(shuffled), manifest)
    assert (shuffled[found.index] == np.arange(60)).all()


@pytest.mark.parametrize("people", [1, 63, 64, 130])
def test_calls_follow_the_manifest(tmp_path, people):
    calls = calls_of(40, people)
    store = store_of(tmp_path / "a.zarr", calls, variants_of(40), chunk=8)
    rows = list(variants_of(40).rows())
    wanted = [rows[i] for i in (39, 3, 4, 20)] + [("7", 5, "new", "A", "G")]
    c, pos, name, ref, alt = wanted[1]
    wanted[1] = (c, pos, name, alt, ref)
    found = align(store.variants, sites(*wanted), forward=True)
    due = np.stack(
        [calls[39], np.where(calls[3] < 0, -1, 2 - calls[3]), calls[4], calls[20], np.full(people, -1)]
    )
    for start, stop in [(0, 5), (1, 3), (4, 5), (2, 2)]:
        block = apply(store, found, start, stop)
        assert np.array_equal(unpack(block), due[start:stop])
        assert not ((block.hi[:, -1:] | block.lo[:, -1:]) & np.uint64(2**64 - 1 - last_word(people))).any()


def test_an_alignment_checks_itself_and_has_a_digest():
    found = align(variants_of(5), variants_of(6), forward=True)
    with pytest.raises(ValueError, match="kept exactly where"):
        dataclasses.replace(found, reason=np.zeros(6, np.int8))
    with pytest.raises(ValueError, match="points into its source"):
        dataclasses.replace(found, index=found.index + 9 * (found.index == found.index.max()))
    with pytest.raises(ValueError, match="something of each variant"):
        dataclasses.replace(found, unused=np.zeros(9, np.int8))
    other = dataclasses.replace(found, swapped=np.arange(6) == 2)
    assert len({found.digest(), other.digest(), align(variants_of(6), variants_of(6)).digest()}) == 3
    assert found.digest() == align(variants_of(5), variants_of(6), forward=True).digest()
