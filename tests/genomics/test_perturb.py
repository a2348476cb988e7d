import os
import threading
from collections.abc import Callable

import numpy as np
import pytest

from noisegate.errors import InternalError
from noisegate.genomics import perturb
from noisegate.genomics.aes import WIDTH
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.keystream import Domain, KeyStream
from noisegate.genomics.laws import Chain, Family, Independent, Law, Response
from noisegate.genomics.perturb import bernoulli, decode, everybody, perturb_with
from noisegate.genotypes.packed import Block, pack, unpack, words_of

from .slow_noise import Stream, number_of, perturbed

PATHS = [False, pytest.param(True, marks=pytest.mark.skipif(WIDTH == 0, reason="no AES instructions"))]
KEY = os.urandom(16)


def bits_of(block: Block) -> np.ndarray:
    """Return bits hi, lo, hi, lo, …, uint8 (2 * variants, people), after a look at those past the last."""
    rows = np.stack((block.hi, block.lo), axis=1).reshape(2 * block.variants, -1)
    assert not np.any(rows & ~everybody(block.people))
    found = np.unpackbits(rows.astype("<u8").view(np.uint8), axis=1, bitorder="little")
    return found[:, : block.people]


def chain(variants: int, generator: np.random.Generator, *, starts: tuple[int, ...] = (0,)) -> Chain:
    first, after = generator.integers(1, 2**64 - 1, (2, 2 * variants), dtype=np.uint64)
    for start in starts:
        after[2 * start] = first[2 * start]
    return Chain(first, after, starts)


def laws(variants: int, people: int) -> dict[str, Law]:
    generator = np.random.default_rng()
    flip = generator.integers(1, 2**63, 2 * variants, dtype=np.uint64)
    flip[:4] = (1, 2**63, 2**52, 2**52 - 1)
    found: dict[str, Law] = {
        "independent": Independent(flip),
        "chain": chain(variants, generator),
        "response": Response(generator.integers(1, 2**62, variants, dtype=np.uint64) * np.uint64(2)),
    }
    if people >= 5:
        order = generator.permutation(people)
        for size in (2, 3, 5):
            nodes = generator.integers(1, 2**64 - 1, (2 * variants, 2**size, 2**size - 1), dtype=np.uint64)
            nodes[0] = nodes[0, :1]
            groups = tuple(
                tuple(map(int, order[f * size : f * size + size])) for f in range(people // size // 2 + 1)
            )
            found[f"families of {size}"] = Family(found["chain"], nodes, groups)
        found["families among independent people"] = Family(found["independent"], nodes, groups)
    return found


@pytest.mark.parametrize("aes", PATHS)
@pytest.mark.parametrize("people", [1, 60, 64, 65, 513])
def test_noise_is_that_of_the_slow_twin(people: int, aes: bool) -> None:
    variants = 3 if people > 100 else 7
    calls = np.random.default_rng().integers(0, 3, (variants, people), dtype=np.int8)
    for name, law in laws(variants, people).items():
        for chunk in (0, 2**40 + 3):
            noisy = perturb_with(pack(calls), law, ReleaseKey(KEY), chunk, None, aes=aes)
            assert np.array_equal(bits_of(noisy), perturbed(calls, law, KEY, chunk)), name


@pytest.mark.skipif(WIDTH == 0, reason="no AES instructions")
@pytest.mark.parametrize(("people", "variants"), [(2, 900), (511, 300), (512, 300), (5_000, 70), (70_000, 9)])
def test_both_paths_put_the_same_noise(people: int, variants: int) -> None:
    assert perturb.has_aes()
    block = pack(np.random.default_rng().integers(0, 3, (variants, people), dtype=np.int8))
    for name, law in laws(variants, people).items():
        found = [perturb_with(block, law, ReleaseKey(KEY), 9, None, aes=aes) for aes in (True, False)]
        assert np.array_equal(bits_of(found[0]), bits_of(found[1])), name


def numbers_are_compared_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give people numbers around their thresholds, in place of key-stream words."""
    generator = np.random.default_rng()
    thresholds = np.concatenate(
        (
            generator.integers(1, 2**63, 40, dtype=np.uint64),
            np.array([1, 2, 2**52, 2**52 + 1, 2**63 - 1, 2**63], np.uint64),
        )
    )
    steps = (-1, 0, 1, -(2**52), 2**52, 2**60)
    given = [[(t + step) % 2**64 for step in steps] for t in map(int, thresholds)]

    def words(self, chunk, domain, count, counter=0):
        found = np.zeros(count, np.uint64)
        for j in range(count // 8):
            row = given[2 * counter // 8 + j]
            found[8 * j] = sum((u >> 63 - domain & 1) << i for i, u in enumerate(row))
        return found

    def at(self, chunk, domain, numbers):
        assert domain == Domain.TAIL
        places = [divmod(int(n), 512) for n in numbers]
        return np.array([given[j][i] << 12 & 2**64 - 1 for j, i in places], np.uint64)

    monkeypatch.setattr(KeyStream, "words", words)
    monkeypatch.setattr(KeyStream, "at", at)
    block = pack(np.zeros((len(thresholds) // 2, len(steps)), np.int8))
    noise = bits_of(perturb_with(block, Independent(thresholds), ReleaseKey(KEY), 0, None, aes=False))
    expected = [[u < int(t) for u in row] for row, t in zip(given, thresholds, strict=True)]
    assert np.array_equal(noise, np.array(expected, np.uint8))


def test_a_bit_is_flipped_exactly_where_its_number_is_below_the_threshold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    numbers_are_compared_exactly(monkeypatch)


def test_numbers_compared_with_too_large_a_threshold_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settle = perturb._settle
    monkeypatch.setattr(
        perturb,
        "_settle",
        lambda left, drawn, first, after, *rest: settle(left, drawn, first + np.uint64(1), after, *rest),
    )
    with pytest.raises(AssertionError):
        numbers_are_compared_exactly(monkeypatch)


@pytest.mark.parametrize("aes", PATHS)
def test_noise_does_not_depend_on_what_it_is_put_on(aes: bool) -> None:
    generator = np.random.default_rng()
    for name, law in laws(20, 300).items():
        if name == "response":
            continue
        noise = []
        for _ in range(2):
            block = pack(generator.integers(0, 3, (20, 300), dtype=np.int8))
            noisy = perturb_with(block, law, ReleaseKey(KEY), 4, None, aes=aes)
            noise.append(bits_of(noisy) ^ bits_of(block))
        assert np.array_equal(*noise), name


def another_chunk_or_key_has_other_noise(aes: bool) -> None:
    blank = pack(np.zeros((50, 400), np.int8))
    law = laws(50, 400)["chain"]
    names = [(KEY, 0), (KEY, 1), (KEY, 2**33), (os.urandom(16), 0)]
    found = [bits_of(perturb_with(blank, law, ReleaseKey(k), c, None, aes=aes)) for k, c in names]
    fair = [np.mean(one == other) for i, one in enumerate(found) for other in found[:i]]
    assert max(fair) < 0.95


@pytest.mark.parametrize("aes", PATHS)
def test_every_chunk_and_every_key_has_noise_of_its_own(aes: bool) -> None:
    another_chunk_or_key_has_other_noise(aes)


def test_a_nonce_used_for_two_chunks_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    words, at = KeyStream.words, KeyStream.at
    monkeypatch.setattr(KeyStream, "words", lambda self, _, *rest: words(self, 7, *rest))
    monkeypatch.setattr(KeyStream, "at", lambda self, _, *rest: at(self, 7, *rest))
    with pytest.raises(AssertionError):
        another_chunk_or_key_has_other_noise(False)


@pytest.mark.skipif(WIDTH == 0, reason="no AES instructions")
def test_a_nonce_used_for_two_chunks_would_be_noticed_with_aes(monkeypatch: pytest.MonkeyPatch) -> None:
    table = perturb.table_of
    monkeypatch.setattr(perturb, "table_of", lambda key, _, *rest: table(key, 7, *rest))
    with pytest.raises(AssertionError):
        another_chunk_or_key_has_other_noise(True)


def test_threads_that_repeat_a_chunk_get_the_same_noise() -> None:
    block = pack(np.random.default_rng().integers(0, 3, (200, 3_000), dtype=np.int8))
    law = laws(200, 3_000)["families of 3"]
    found: list[np.ndarray] = []

    def work() -> None:
        paths = (WIDTH > 0, False)
        found.extend(bits_of(perturb_with(block, law, ReleaseKey(KEY), 3, None, aes=aes)) for aes in paths)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(np.array_equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("aes", PATHS)
def test_writing_over_the_input_gives_the_same(aes: bool) -> None:
    calls = np.random.default_rng().integers(0, 3, (30, 700), dtype=np.int8)
    for law in laws(30, 700).values():
        block = pack(calls)
        apart = perturb_with(block, law, ReleaseKey(KEY), 3, None, aes=aes)
        assert np.array_equal(unpack(block), calls)
        assert perturb_with(block, law, ReleaseKey(KEY), 3, block, aes=aes) is block
        assert np.array_equal(bits_of(block), bits_of(apart))


def test_a_response_is_a_genotype() -> None:
    block = pack(np.random.default_rng().integers(0, 3, (30, 700), dtype=np.int8))
    noisy = perturb.perturb(block, laws(30, 700)["response"], ReleaseKey(KEY), 3)
    assert unpack(noisy).min() >= 0


@pytest.mark.parametrize("aes", PATHS)
@pytest.mark.parametrize("name", ["independent", "chain", "families of 2", "response"])
def test_noise_is_not_put_on_missing_calls(name: str, aes: bool) -> None:
    calls = np.zeros((30, 700), np.int8)
    calls[17, 555] = -1
    with pytest.raises(InternalError, match="some are missing"):
        perturb_with(pack(calls), laws(30, 700)[name], ReleaseKey(KEY), 3, None, aes=aes)


def test_what_does_not_fit_is_refused() -> None:
    block, key = pack(np.zeros((30, 700), np.int8)), ReleaseKey(KEY)
    with pytest.raises(ValueError, match="a law of 29 variants on 30"):
        perturb.perturb(block, laws(29, 700)["chain"], key, 0)
    with pytest.raises(ValueError, match="another shape"):
        perturb.perturb(block, laws(30, 700)["chain"], key, 0, out=pack(np.zeros((30, 701), np.int8)))
    with pytest.raises(ValueError, match="not there"):
        perturb.perturb(pack(np.zeros((30, 9), np.int8)), laws(30, 700)["families of 5"], key, 0)
    with pytest.raises(ValueError, match="key stream"):
        perturb.perturb(block, laws(30, 700)["chain"], key, 2**56)


@pytest.mark.parametrize("aes", PATHS)
def test_nobody_and_nothing_is_no_trouble(aes: bool) -> None:
    for variants, people in ((0, 5), (4, 0), (0, 0)):
        law = Independent(np.full(2 * variants, 2**62, np.uint64))
        block = pack(np.zeros((variants, people), np.int8))
        assert perturb_with(block, law, ReleaseKey(KEY), 0, None, aes=aes).hi.shape == (
            variants,
            words_of(people),
        )


@pytest.mark.parametrize("path", [lambda: True, lambda: False])
def test_bits_for_others_are_those_of_the_same_numbers(
    path: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    if path() and not perturb.has_aes():
        pytest.skip("no AES instructions")
    monkeypatch.setattr(perturb, "has_aes", path)
    thresholds = np.array([0, 1, 2**63 + 12345, 2**64 - 1], np.uint64)
    rows = bernoulli(ReleaseKey(KEY), 6, thresholds, 77, domain=Domain.TWIN)
    stream = Stream(KEY)
    for j, threshold in enumerate(map(int, thresholds)):
        expected = [number_of(stream, 6, j, i, 77, Domain.TWIN) < threshold for i in range(77)]
        assert [int(rows[j, i // 64]) >> i % 64 & 1 for i in range(128)] == expected + 51 * [0]


def test_decoding_reads_each_code_as_the_sum_of_its_bits() -> None:
    hi, lo = np.array([[0b1100]], np.uint64), np.array([[0b1010]], np.uint64)
    assert unpack(decode(Block(hi, lo, 4))).tolist() == [[0, 1, 1, 2]]
    block = Block(hi, lo, 4)
    assert decode(block, block) is block
    assert unpack(block).tolist() == [[0, 1, 1, 2]]
