import itertools
import math
import os
from collections import Counter

import numpy as np
import pytest

from noisegate.genomics import restore
from noisegate.genomics.aes import WIDTH
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.laws import Independent
from noisegate.genomics.perturb import perturb
from noisegate.genomics.restore import restore_with
from noisegate.genotypes.packed import Block, pack, tally, unpack

from .held import laws as find_laws
from .slow_noise import restored
from .test_perturb import PATHS, bits_of

laws = find_laws()
KEY = os.urandom(16)


def noisy(variants: int, people: int, rate: float = 0.2) -> Block:
    """Return raw planes, all four codes, at all allele frequencies."""
    generator = np.random.default_rng()
    frequencies = generator.random((variants, 1))
    calls = generator.binomial(2, frequencies, (variants, people)).astype(np.int8)
    flip = np.full(2 * variants, int(rate * 2**64), np.uint64)
    return perturb(pack(calls), Independent(flip), ReleaseKey(KEY), 0)


def some_counts(variants: int, people: int) -> np.ndarray:
    counts = np.random.default_rng().integers(0, 2 * people + 1, variants)
    counts[:2] = (0, 2 * people)
    return counts


@pytest.mark.parametrize("aes", PATHS)
@pytest.mark.parametrize("people", [1, 5, 64, 65, 130, 600])
def test_the_same_alleles_move_as_in_the_slow_twin(people: int, aes: bool) -> None:
    for rate in (1e-6, 0.2):
        block, counts = noisy(12, people, rate), some_counts(12, people)
        found = restore_with(block, counts, ReleaseKey(KEY), 77, None, aes=aes)
        assert np.array_equal(unpack(found), restored(bits_of(block), counts, KEY, 77))


@pytest.mark.parametrize("aes", PATHS)
@pytest.mark.parametrize("people", [3, 700, 20_000])
def test_counts_are_exactly_those_wanted_and_the_fewest_alleles_move(people: int, aes: bool) -> None:
    variants = 300
    block, counts = noisy(variants, people), some_counts(variants, people)
    before = (block.hi & block.lo, block.hi | block.lo)
    found = restore_with(block, counts, ReleaseKey(KEY), 3, None, aes=aes)
    told = tally(found)
    assert np.array_equal(told.alleles, counts)
    assert not told.missing.any()
    bits_of(found)  # looks at those past the last person
    steps = unpack(found).astype(np.int64) - unpack(Block(*before, people))
    assert np.array_equal(np.abs(steps).sum(1), np.abs(steps.sum(1)))


def test_both_paths_move_the_same_alleles() -> None:
    if WIDTH == 0:
        pytest.skip("no AES instructions")
    for variants, people in ((900, 61), (40, 40_000)):
        block, counts = noisy(variants, people), some_counts(variants, people)
        one, other = (restore_with(block, counts, ReleaseKey(KEY), 5, None, aes=aes) for aes in (True, False))
        assert np.array_equal(bits_of(one), bits_of(other))


def test_a_count_that_is_right_moves_nobody() -> None:
    block = noisy(50, 333)
    counts = (bits_of(block).reshape(50, 2, 333).sum((1, 2))).astype(np.int64)
    found = restore.restore(block, counts, ReleaseKey(KEY), 0)
    assert np.array_equal(found.hi, block.hi & block.lo)
    assert np.array_equal(found.lo, block.hi | block.lo)


def test_the_same_chunk_comes_out_the_same_over_its_input_or_apart_and_others_differ() -> None:
    block, counts = noisy(100, 900), np.full(100, 700)
    once = restore.restore(block, counts, ReleaseKey(KEY), 1)
    assert np.array_equal(once.lo, restore.restore(block, counts, ReleaseKey(KEY), 1).lo)
    assert not np.array_equal(once.lo, restore.restore(block, counts, ReleaseKey(KEY), 2).lo)
    assert restore.restore(block, counts, ReleaseKey(KEY), 1, out=block) is block
    assert np.array_equal(once.hi, block.hi)
    assert np.array_equal(once.lo, block.lo)


@pytest.mark.parametrize(
    "counts", [np.zeros(3, np.int64), np.zeros(4, np.int32), np.array([0, 0, 0, 201]), -np.ones(4, np.int64)]
)
def test_counts_that_people_cannot_have_are_refused(counts: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"count|alleles"):
        restore.restore(noisy(4, 100), counts, ReleaseKey(KEY), 0)


def test_nobody_and_nothing_is_no_trouble() -> None:
    for variants, people in ((0, 7), (5, 0)):
        block = pack(np.zeros((variants, people), np.int8))
        assert restore.restore(block, np.zeros(variants, np.int64), ReleaseKey(KEY), 0).people == people


def outcomes(calls: list[int], count: int) -> "laws.Law":
    """The law of what is left, as a number in base 3, when every set of alleles is as likely as any other."""
    alleles = [(i, a) for i, g in enumerate(calls) for a in (1,) * g + (0,) * (2 - g)]
    lowered = count < sum(calls)
    movable = [i for i, a in alleles if a == lowered]
    moved = abs(count - sum(calls))
    found = Counter()
    for chosen in itertools.combinations(range(len(movable)), moved):
        left = list(calls)
        for c in chosen:
            left[movable[c]] += -1 if lowered else 1
        found[sum(g * 3**i for i, g in enumerate(left))] += 1
    p = np.array([found[x] for x in range(3 ** len(calls))]) / math.comb(len(movable), moved)
    return laws.Law(0, p)


def people_evenly(calls: list[int], count: int) -> "laws.Law":
    """A near miss: people who can move are chosen, whatever they have, and moved by one allele."""
    can = [i for i, g in enumerate(calls) if (g > 0 if count < sum(calls) else g < 2)]
    chosen = list(itertools.combinations(can, abs(count - sum(calls))))
    p = np.zeros(3 ** len(calls))
    for group in chosen:
        step = -1 if count < sum(calls) else 1
        p[sum((g + step * (i in group)) * 3**i for i, g in enumerate(calls))] += 1 / len(chosen)
    return laws.Law(0, p)


DRAWS = 60_000


@pytest.mark.parametrize(
    ("calls", "count"), [([2, 1, 1, 0], 2), ([2, 1, 0, 0], 5), ([1, 1, 2, 2], 3), ([0, 0, 2, 1], 5)]
)
def test_every_set_of_alleles_is_as_likely(calls: list[int], count: int) -> None:
    repeated = np.tile(np.array(calls, np.int8), (DRAWS, 1))
    found = restore.restore(pack(repeated), np.full(DRAWS, count), ReleaseKey(KEY), 1)
    left = unpack(found).astype(np.int64) @ 3 ** np.arange(len(calls))
    law, people = outcomes(calls, count), people_evenly(calls, count)
    seldom = laws.Law(0, 0.9 * law.p + 0.1 * people.p)
    near = {"people, not alleles": people, "people in one case of ten": seldom}
    laws.assert_follows(left, law, not_these=near)


def moves_are_even_at_scale(shift: float = 0.0) -> None:
    """Among 40,000 people at .3, all positions are taken alike: by word, by bit, and by genotype."""
    people, variants = 40_000, 60
    calls = np.sort(np.random.default_rng().binomial(2, 0.3, people)).astype(np.int8)
    block = pack(np.tile(calls, (variants, 1)))
    alleles = int(calls.sum())
    wanted = int(alleles * 0.6)
    found = unpack(restore.restore(block, np.full(variants, wanted), ReleaseKey(os.urandom(16)), 0))
    moved = (calls - found).astype(np.int64)
    share = (alleles - wanted) / alleles + shift
    for who in (calls == 1, calls == 2, np.arange(people) % 64 == 5, np.arange(people) < people // 2):
        several = calls[who].sum() * variants
        # Hypergeometric: a little narrower than binomial.
        z = (moved[:, who].sum() - several * share) / math.sqrt(several * share * (1 - share))
        assert abs(z) < 6.5
    one, two = (np.mean(moved[:, calls == 2] == n) for n in (1, 2))
    pairs = np.sum(calls == 2) * variants
    both = share * ((alleles - wanted - 1) / (alleles - 1) + shift)
    assert abs(two - both) < 6.5 * math.sqrt(both / pairs)
    assert abs(one - 2 * (share - both)) < 6.5 * math.sqrt(2 * share / pairs)


def test_moves_are_even_at_scale() -> None:
    moves_are_even_at_scale()


def test_moves_uneven_by_a_hundredth_would_be_noticed() -> None:
    with pytest.raises(AssertionError):
        moves_are_even_at_scale(0.01)


def test_more_alleles_than_aimed_at_are_given_back_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "_FEWER", -3.0)
    moves_are_even_at_scale()
    test_every_set_of_alleles_is_as_likely([2, 1, 1, 0], 2)
