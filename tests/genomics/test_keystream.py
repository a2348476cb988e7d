import itertools
import os

import numpy as np
import pytest

from noisegate.genomics import keystream
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.keystream import CHUNKS, Domain, KeyStream
from noisegate.genomics.laws import Chain, Family, Independent, Response
from noisegate.genomics.perturb import bernoulli, perturb_with
from noisegate.genomics.restore import restore_with
from noisegate.genotypes.packed import pack

from .slow_noise import Stream

# FIPS 197, appendix B.
KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
PLAIN = bytes.fromhex("3243f6a8885a308d313198a2e0370734")
CIPHER = bytes.fromhex("3925841d02dc09fbdc118597196a0b32")


def test_a_word_is_half_a_block_of_the_standard() -> None:
    chunk, counter = int.from_bytes(PLAIN[1:8]), int.from_bytes(PLAIN[8:])
    found = KeyStream(ReleaseKey(KEY)).words(chunk, PLAIN[0], 2, counter)
    assert found.tolist() == [int.from_bytes(CIPHER[:8], "little"), int.from_bytes(CIPHER[8:], "little")]


def test_words_are_the_same_in_order_and_one_by_one() -> None:
    key = os.urandom(16)
    stream, slow = KeyStream(ReleaseKey(key)), Stream(key)
    for chunk, domain, counter in ((0, 0, 0), (1, 13, 7), (CHUNKS - 1, 255, 2**62), (5, 24, 2**32 - 3)):
        numbers = np.arange(2 * counter, 2 * counter + 9, dtype=np.uint64)
        expected = [slow.word(chunk, domain, int(n)) for n in numbers]
        assert stream.words(chunk, domain, 9, counter).tolist() == expected
        assert stream.at(chunk, domain, numbers[::-1]).tolist() == expected[::-1]


def test_long_stretches_go_on_where_short_ones_end() -> None:
    stream = KeyStream(ReleaseKey(os.urandom(16)))
    count = 3 * keystream._PIECE // 8 + 5
    whole = stream.words(1, 2, count)
    assert np.array_equal(whole[keystream._PIECE // 8 :], stream.words(1, 2, count)[keystream._PIECE // 8 :])
    assert np.array_equal(whole[2**15 :], stream.words(1, 2, count - 2**15, 2**14))
    assert len(np.unique(whole)) == count
    assert len(stream.words(1, 2, 0)) == 0


@pytest.mark.parametrize(
    ("chunk", "domain", "count", "counter"),
    [(-1, 0, 1, 0), (CHUNKS, 0, 1, 0), (0, 256, 1, 0), (0, -1, 1, 0), (0, 0, 1, -1), (0, 0, 4, 2**63 - 1)],
)
def test_words_that_would_be_others_are_refused(chunk: int, domain: int, count: int, counter: int) -> None:
    with pytest.raises(ValueError, match="key stream"):
        KeyStream(ReleaseKey(KEY)).words(chunk, domain, count, counter)


def test_a_key_stream_shows_nothing() -> None:
    stream = KeyStream(ReleaseKey(KEY))
    assert repr(stream) == str(stream) == "<key stream>"
    assert not hasattr(stream, "__dict__")


def drawn(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Return a list that every word drawn from now on is written into: chunk, domain, number."""
    found: list[tuple[int, int, int]] = []
    words, at = KeyStream.words, KeyStream.at

    def in_order(self, chunk, domain, count, counter=0):
        found.extend((chunk, int(domain), 2 * counter + i) for i in range(count))
        return words(self, chunk, domain, count, counter)

    def one_by_one(self, chunk, domain, numbers):
        found.extend((chunk, int(domain), int(n)) for n in numbers)
        return at(self, chunk, domain, numbers)

    monkeypatch.setattr(KeyStream, "words", in_order)
    monkeypatch.setattr(KeyStream, "at", one_by_one)
    return found


def no_word_is_drawn_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put every kind of noise on two chunks of 600 people, restore them, and look at what was drawn."""
    generator = np.random.default_rng(1)
    key = ReleaseKey(os.urandom(16))
    block = pack(generator.integers(0, 3, (9, 600), dtype=np.int8))
    some = generator.integers(2**60, 2**62, 18, dtype=np.uint64)
    chain = Chain(some, np.concatenate((some[:1], some[:0:-1])))
    nodes = np.full((18, 8, 7), 2**61, np.uint64)
    families = Family(chain, nodes, ((0, 5, 599), (64, 63, 1)))
    for law in (Independent(some), chain, families, Response(some[:9] & ~np.uint64(1))):
        with monkeypatch.context() as inside:
            found = drawn(inside)
            for chunk in (0, 1):
                noisy = perturb_with(block, law, key, chunk, None, aes=False)
                restore_with(noisy, np.full(9, 500), key, chunk, None, aes=False)
                if isinstance(law, Response):
                    continue
                inside.setattr("noisegate.genomics.perturb.has_aes", lambda: False)
                bernoulli(key, chunk, some, 600, domain=Domain.SYNTHETIC)
        assert len(found) > 1_000
        assert len(set(found)) == len(found)


def test_no_word_is_drawn_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    no_word_is_drawn_twice(monkeypatch)


def test_tails_drawn_where_noise_is_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = drawn(monkeypatch)
    at = KeyStream.at
    monkeypatch.setattr(KeyStream, "at", lambda self, c, _, numbers: at(self, c, Domain.NOISE, numbers))
    block = pack(np.zeros((200, 600), np.int8))
    law = Independent(np.full(400, 2**62, np.uint64))
    perturb_with(block, law, ReleaseKey(KEY), 0, None, aes=False)
    assert len(set(found)) < len(found)


def test_chunks_and_domains_have_no_block_in_common() -> None:
    names = itertools.product((0, 1, 255, 2**55), (0, 1, 12, 32), (0, 1, 2**40))
    blocks = [keystream.block_of(c, d, n, 0) for c, d, n in names]
    assert len(set(blocks)) == len(blocks)
    assert len({*Domain}) == len(Domain.__members__)
    begins = sorted(d for d in Domain if d not in (Domain.TAIL, Domain.FAMILY, Domain.CHOICE, Domain.PICK))
    assert all(other - one >= 16 for one, other in itertools.pairwise(begins))
