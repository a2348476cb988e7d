"""What noise is put on: no call missing, each row a matter of one person and of public facts."""

import hashlib
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from noisegate.errors import BadInput, Forbidden
from noisegate.genomics.prepare import Prepared, fill, likeliest, prepared, public_calls
from noisegate.genotypes.align import align
from noisegate.genotypes.packed import pack, tally, unpack
from noisegate.genotypes.store import Store, Writer
from noisegate.genotypes.variants import Variants

ROWS = [(str(1 + i % 3), 1_000 + i, f"rs{i}", "A", "G") for i in range(30)]
LISTED = Variants.of(*zip(*ROWS, strict=True))
# A manifest with some of these, in another order, one with exchanged alleles, and one that is new.
WANTED = [ROWS[i] for i in (5, 17, 2, 29, 11)] + [("3", 9, "new", "C", "T"), (*ROWS[8][:3], "G", "A")]
MANIFEST = Variants.of(*zip(*WANTED, strict=True))
CALLS = arrays(np.int8, (30, 70), elements=st.integers(-1, 2))
FILL = np.array([0, 1, 2, 0, 1, 2, 1], np.int8)


def kept(path: Path, calls, variants=LISTED, **options) -> Store:
    writer = Writer.create(
        path, samples=[f"p{i}" for i in range(calls.shape[1])], variants=variants, chunk=8, **options
    )
    for chunk in writer.chunks():
        writer.write(chunk, pack(calls[slice(*writer.bounds(chunk))]))
    return writer.finish()


class Held:
    """A store in memory, as far as preparing looks at it."""

    variants = LISTED
    chunk = 8

    def __init__(self, calls) -> None:
        self.people = calls.shape[1]
        self.digest = hashlib.sha256(calls.tobytes()).hexdigest()
        self._calls = calls

    def bounds(self, chunk):
        return chunk * 8, min(chunk * 8 + 8, 30)

    def read(self, chunk):
        return self.block(*self.bounds(chunk))

    def block(self, start, stop):
        return pack(self._calls[start:stop])


def ready(calls) -> Prepared:
    return Prepared(cast("Store", Held(calls)), align(LISTED, MANIFEST), FILL)


def whole(source: Prepared):
    return unpack(source.block(0, len(source.variants)))


@settings(deadline=None)
@given(CALLS, arrays(np.int8, 30, elements=st.integers(-1, 2)), st.integers(0, 69))
def test_one_persons_row_changes_no_other_persons_row(calls, row, person):
    other = calls.copy()
    other[:, person] = row
    one, two = ready(calls), ready(other)
    a, b = whole(one), whole(two)
    # Which variants exist, their order and their number are the manifest's.
    assert one.variants.digest() == two.variants.digest() == MANIFEST.digest()
    assert one.alignment.digest() == two.alignment.digest()
    others = np.arange(70) != person
    assert np.array_equal(a[:, others], b[:, others])
    if not np.array_equal(calls, other):
        assert one.digest != two.digest


@settings(deadline=None)
@given(CALLS)
def test_every_row_is_what_one_person_alone_would_get(calls):
    together = whole(ready(calls))
    for person in (0, 63, 69):
        assert np.array_equal(together[:, [person]], whole(ready(calls[:, [person]])))


@settings(deadline=None)
@given(CALLS)
def test_calls_are_the_persons_own_and_none_is_missing(calls):
    source = ready(calls)
    found = whole(source)
    assert not tally(source.block(0, 7)).missing.any()
    parts = [unpack(source.block(start, start + 1)) for start in range(7)]
    assert np.array_equal(np.concatenate(parts), found)
    for place, at in enumerate((5, 17, 2, 29, 11)):
        assert np.array_equal(found[place], np.where(calls[at] < 0, FILL[place], calls[at]))
    assert (found[5] == FILL[5]).all()
    assert np.array_equal(found[6], np.where(calls[8] < 0, FILL[6], 2 - calls[8]))


@settings(deadline=None)
@given(arrays(np.int8, (4, 70), elements=st.integers(-1, 2)), arrays(np.int8, 4, elements=st.integers(0, 2)))
def test_filling_touches_missing_calls_alone(calls, public):
    assert np.array_equal(unpack(fill(pack(calls), public)), np.where(calls < 0, public[:, None], calls))


def test_only_genotypes_fill():
    block = pack(np.full((2, 3), -1, np.int8))
    for wrong in ([-1, 0], [0, 3]):
        with pytest.raises(ValueError, match="0, 1 or 2"):
            fill(block, np.array(wrong, np.int8))
    with pytest.raises(ValueError, match="one int8 call a variant"):
        fill(block, np.zeros(3, np.int8))


@given(st.integers(1, 50).flatmap(lambda n: st.tuples(st.integers(0, 2 * n), st.just(n))))
def test_the_likeliest_genotype_is_the_largest_of_three_proportions(counts):
    alleles, people = counts
    p, q = alleles, 2 * people - alleles
    proportions = [q * q, 2 * p * q, p * p]
    found = int(likeliest(np.array([alleles]), np.array([people]))[0])
    assert proportions[found] == max(proportions)


def test_calls_are_filled_from_a_public_panel_alone(tmp_path):
    calls = np.repeat(np.array([[0], [1], [2], [-1]], np.int8), 9, axis=1)
    listed = LISTED[:4]
    panel = kept(tmp_path / "panel.zarr", calls, listed, public=True)
    assert public_calls(panel).tolist() == [0, 1, 2, 0]
    wanted = [ROWS[2], (*ROWS[0][:3], "G", "A"), ("9", 5, "x", "A", "G")]
    found = align(listed, Variants.of(*zip(*wanted, strict=True)))
    assert public_calls(panel, found).tolist() == [2, 2, 0]
    private = kept(tmp_path / "private.zarr", calls, listed)
    with pytest.raises(Forbidden, match="not marked as public"):
        public_calls(private)
    with pytest.raises(Forbidden):
        public_calls(private, found)


def test_a_source_is_prepared_for_a_manifest_with_a_panel(tmp_path):
    draws = np.random.default_rng(3)
    calls = draws.integers(-1, 3, (30, 70)).astype(np.int8)
    source = kept(tmp_path / "a.zarr", calls, build="hg19")
    manifest = kept(tmp_path / "m.zarr", np.zeros((7, 1), np.int8), MANIFEST, public=True, build="GRCh37")
    panel = kept(tmp_path / "p.zarr", np.full((30, 5), 2, np.int8), public=True)
    reference = prepared(panel, manifest)
    found = prepared(source, manifest, reference)
    assert found.calls.tolist() == [2, 2, 2, 2, 2, 0, 0]
    assert (found.people, found.samples, found.build) == (70, source.samples, "GRCh37")
    assert (found.public, found.noisy) == (False, False)
    assert np.array_equal(np.concatenate([unpack(block) for _, block in found.blocks()]), whole(found))
    assert np.array_equal(whole(found)[0], np.where(calls[5] < 0, 2, calls[5]))
    # Without a panel a private source is filled with the reference allele, a public one from itself.
    assert not prepared(source, manifest).calls.any()
    assert reference.calls.tolist() == [2, 2, 2, 2, 2, 0, 0]
    with pytest.raises(BadInput, match="of another manifest"):
        prepared(source, source, reference)
    with pytest.raises(BadInput, match="positions are of GRCh37"):
        prepared(source, kept(tmp_path / "n.zarr", np.zeros((7, 1), np.int8), MANIFEST, build="hg38"))
    with pytest.raises(Forbidden):
        prepared(source, manifest, prepared(source, manifest))


def test_what_noise_is_put_on_has_a_digest_of_its_own(tmp_path):
    calls = np.zeros((30, 9), np.int8)
    one = kept(tmp_path / "a.zarr", calls)
    found = [
        prepared(one, one),
        Prepared(one, align(LISTED, MANIFEST), FILL),
        Prepared(one, align(LISTED, MANIFEST), np.zeros(7, np.int8)),
        Prepared(one, align(LISTED, MANIFEST[:6]), FILL[:6]),
        prepared(kept(tmp_path / "b.zarr", calls, build="GRCh38"), one),
    ]
    assert len({each.digest for each in found}) == len(found)
    assert prepared(Store.open(one.path), one).digest == found[0].digest


def test_parts_that_do_not_belong_together_are_refused(tmp_path):
    store = kept(tmp_path / "a.zarr", np.zeros((30, 9), np.int8))
    with pytest.raises(BadInput, match="another source"):
        Prepared(store, align(LISTED[:29], MANIFEST), FILL)
    with pytest.raises(ValueError, match="one int8 call a variant"):
        Prepared(store, align(LISTED, MANIFEST), FILL[:3])
    with pytest.raises(ValueError, match="0, 1 or 2"):
        Prepared(store, align(LISTED, MANIFEST), FILL - 1)
    with pytest.raises(ValueError, match="variants 3 to 9 of 7"):
        Prepared(store, align(LISTED, MANIFEST), FILL).block(3, 9)
