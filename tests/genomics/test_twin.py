"""A twin is made of public people and key-stream bits, and is like the panel."""

import numpy as np
import pytest

from noisegate.errors import BadInput, Forbidden
from noisegate.genomics import twin
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.keystream import Domain, KeyStream
from noisegate.genomics.twin import Twin
from noisegate.genotypes.packed import unpack

from .held import held
from .test_synthetic import linked

KEY = ReleaseKey(bytes(range(16)))


def plain(calls, people, chunk=0, stretch=twin.STRETCH):
    """The slow, obvious twin of one chunk."""
    variants, panel = calls.shape
    tiles = -(-variants // 64)
    words = KeyStream(KEY).words(chunk, Domain.TWIN, tiles * people).tolist()
    found = np.zeros((variants, people), np.int8)
    for i in range(people):
        now = 0
        for t in range(tiles):
            word = words[t * people + i]
            fresh, low = (word >> 32) * panel >> 32, word & (2**32 - 1)
            now = fresh if t == 0 else now
            at = low % 64 if t > 0 and low <= 2**32 * 64 // stretch - 1 else 64
            for k in range(min(64, variants - 64 * t)):
                if k == at:
                    now = fresh
                found[64 * t + k, i] = calls[64 * t + k, now]
            now = fresh if at < 64 else now
    return found


@pytest.mark.parametrize(
    ("variants", "panel", "people"), [(1, 1, 1), (64, 3, 70), (200, 130, 65), (333, 64, 5)]
)
def test_a_twin_is_what_the_plain_one_is(variants, panel, people):
    calls = np.random.default_rng(variants).integers(0, 3, (variants, panel)).astype(np.int8)
    found = Twin(held(calls, public=True), variants, people, KEY)
    assert (unpack(found.block(0, variants)) == plain(calls, people)).all()


def test_ranges_and_chunks_agree(monkeypatch):
    monkeypatch.setattr(twin, "CHUNK", 128)
    calls = np.random.default_rng(0).integers(0, 3, (300, 40)).astype(np.int8)
    found = Twin(held(calls, public=True), 300, 70, KEY)
    whole = np.concatenate([unpack(block) for _, block in found.blocks()])
    for start, stop in ((0, 300), (0, 0), (5, 130), (127, 128), (128, 256), (200, 300)):
        assert (unpack(found.block(start, stop)) == whole[start:stop]).all()
    for number in range(3):
        part = calls[number * 128 : (number + 1) * 128]
        assert (whole[number * 128 : (number + 1) * 128] == plain(part, 70, number)).all()
    with pytest.raises(BadInput):
        found.block(0, 301)


def test_a_twin_has_the_frequencies_and_the_linkage_of_its_panel():
    calls, starts = linked(1_000, 300, chains_of=50)
    found = unpack(Twin(held(calls, public=True), 1_000, 3_000, KEY).block(0, 1_000))
    assert found.mean(axis=1) == pytest.approx(calls.mean(axis=1), abs=0.08)
    inner = np.flatnonzero(~starts)
    r = [np.array([np.corrcoef(c[v - 1], c[v])[0, 1] for v in inner[:400]]) for c in (calls, found)]
    assert r[0].mean() > 0.5
    assert np.abs(r[1] - r[0]).mean() < 0.05


def test_no_twin_person_is_a_copy_of_one_public_person():
    calls = np.random.default_rng(0).integers(0, 3, (2_000, 50)).astype(np.int8)
    found = unpack(Twin(held(calls, public=True), 2_000, 40, KEY).block(0, 2_000))
    same = (found[:, :, None] == calls[:, None, :]).mean(axis=0)
    assert same.max() < 0.9


def test_a_twin_of_private_people_is_refused():
    with pytest.raises(Forbidden):
        Twin(held(np.zeros((5, 5))), 5, 5, KEY)


def test_a_twin_that_makes_no_sense_is_refused():
    panel = held(np.zeros((5, 5)), public=True)
    for variants, people, stretch in ((0, 5, 256), (5, 0, 256), (5, 5, 63)):
        with pytest.raises(BadInput):
            Twin(panel, variants, people, KEY, stretch)


def test_a_twin_is_public_and_named_by_what_it_is_made_from():
    calls = np.zeros((5, 5))
    one, other = Twin(held(calls, public=True), 5, 5, KEY), Twin(held(calls + 1, public=True), 5, 5, KEY)
    assert one.public is True
    assert one.digest != other.digest
