"""The law of noise as it is drawn: near misses must lose, by the tests of `privacy`."""

import itertools
import math
import os

import numpy as np
import pytest

from noisegate.genomics import perturb
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.laws import Chain, Family, Independent, Response
from noisegate.genotypes.packed import Block, pack, unpack, words_of

from .held import laws as find_laws
from .test_perturb import bits_of
from .words import words

laws = find_laws()


def blank(variants: int, people: int) -> Block:
    return Block(*(np.zeros((variants, words_of(people)), np.uint64) for _ in range(2)), people)


def states(block: Block) -> np.ndarray:
    """Return everybody's noise bits as one number, bit j that of column j, int64 (people,)."""
    found = np.zeros(block.people, np.int64)
    for j, row in enumerate(bits_of(block)):
        found |= row.astype(np.int64) << j
    return found


def drawn(law: Independent | Chain, people: int) -> np.ndarray:
    return states(perturb.perturb(blank(law.variants, people), law, ReleaseKey(os.urandom(16)), 0))


def law_of(law: Independent | Chain) -> "laws.Law":
    p = np.zeros(2 ** (2 * law.variants))
    for word, chance in words(law).items():
        p[sum(bit << j for j, bit in enumerate(word))] = float(chance)
    return laws.Law(0, p)


def scaled(law: Independent | Chain, column: int, factor: float) -> Independent | Chain:
    def one(thresholds: np.ndarray) -> np.ndarray:
        found = thresholds.copy()
        found[column] = int(int(found[column]) * factor)
        return found

    if isinstance(law, Independent):
        return Independent(one(law.flip))
    return Chain(one(law.first), one(law.after))


def thresholds(*chances: float) -> np.ndarray:
    return np.array([int(c * 2**64) for c in chances], np.uint64)


INDEPENDENT = Independent(thresholds(0.35, 0.45, 0.4, 0.48))
CHAIN = Chain(thresholds(0.4, 0.35, 0.55, 0.42), thresholds(0.4, 0.48, 0.35, 0.6))
# Enough to tell a threshold that is 1 % off, wrongly one time in a billion.
MANY = 3_200_000


def follows(law: Independent | Chain, found: np.ndarray) -> None:
    true = law_of(law)
    near = {f"bit {j} off by 1 %": law_of(scaled(law, j, f)) for j, f in enumerate((0.99, 1.01, 0.99, 1.01))}
    if isinstance(law, Chain):
        alone = np.zeros(len(law.first))
        for word, chance in words(law).items():
            alone += float(chance) * np.array(word)
        near["the same bits, uncoupled"] = law_of(Chain(thresholds(*alone), thresholds(*alone)))
        near["coupled the other way"] = law_of(
            Chain(np.append(law.first[:1], law.after[1:]), np.append(law.after[:1], law.first[1:]))
        )
    else:
        copied = np.where(true.p > 0, 1.0, 0.0)
        for word in range(16):
            copied[word] = true.p[word] * (1.01 if word & 1 == word >> 1 & 1 else 0.99)
        near["bits a little alike"] = laws.Law(0, copied / copied.sum())
    laws.assert_follows(found, true, not_these=near)


@pytest.mark.parametrize("law", [INDEPENDENT, CHAIN])
def test_bits_together_follow_their_law_to_a_hundredth(law: Independent | Chain) -> None:
    follows(law, drawn(law, MANY))


@pytest.mark.parametrize(("law", "column"), [(INDEPENDENT, 3), (CHAIN, 1)])
def test_one_threshold_off_by_a_hundredth_would_be_noticed(law: Independent | Chain, column: int) -> None:
    with pytest.raises(AssertionError, match="the draws follow"):
        follows(law, drawn(scaled(law, column, 1.01), MANY))


def test_a_chain_that_forgets_the_column_before_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    put = perturb._put
    monkeypatch.setattr(perturb, "_put", lambda s, t, first, _, *rest: put(s, t, first, first, *rest))
    with pytest.raises(AssertionError, match="the draws follow"):
        follows(CHAIN, drawn(CHAIN, MANY))


def quadratic(diagonal: list[float], beside: list[float]) -> "laws.Law":
    """The law proportional to exp(b Θ bᵀ), Θ tridiagonal: `beside` stands on both sides of the diagonal."""
    weights = []
    for bits in itertools.product((0, 1), repeat=len(diagonal)):
        b = bits[::-1]  # bit j of the number counts 2**j
        total = sum(t * x for t, x in zip(diagonal, b, strict=True))
        weights.append(
            math.exp(total + sum(2 * c * x * y for c, x, y in zip(beside, b, b[1:], strict=False)))
        )
    return laws.Law(0, np.array(weights) / math.fsum(weights))


def chain_of(law: "laws.Law", bits: int) -> Chain:
    """Return the chain of a law of bits that is one: its own conditional chances, by adding up."""
    cube = law.p.reshape((2,) * bits)  # bit j is axis bits - 1 - j
    first, after = [], []
    for j in range(bits):
        kept = tuple(bits - 1 - i for i in range(bits) if i not in (j - 1, j))
        pair = cube.sum(kept)  # [bit j, bit j - 1]
        pair = pair[:, None] if j == 0 else pair
        chances = pair[1] / pair.sum(0)
        first.append(chances[0])
        after.append(chances[-1])
    return Chain(thresholds(*first), thresholds(*after))


def test_a_chain_draws_the_quadratic_exponential_law() -> None:
    diagonal, beside = [-1.5, -0.8, -1.1, -0.3], [0.3, -0.2, 0.4]
    law = quadratic(diagonal, beside)
    near = {
        f"entry {j} off by .02": quadratic([t + 0.02 * (i == j) for i, t in enumerate(diagonal)], beside)
        for j in range(4)
    }
    near |= {
        f"coupling {j} off by .02": quadratic(diagonal, [c + 0.02 * (i == j) for i, c in enumerate(beside)])
        for j in range(3)
    }
    laws.assert_follows(drawn(chain_of(law, 4), MANY), law, not_these=near)


@pytest.mark.parametrize("coupled", [False, True])
def test_columns_have_their_rates_at_scale(coupled: bool) -> None:
    """Two thousand columns of 65,536 people: marginals, and neighbours together; one key, so one outcome."""
    columns, people = 2_000, 65_536
    generator = np.random.default_rng(7)
    rates = generator.uniform(0.02, 0.45, (2, columns))
    first = (rates[0] * 2**64).astype(np.uint64)
    after = (rates[1] * 2**64).astype(np.uint64) if coupled else first.copy()
    after[0] = first[0]
    p = np.empty(columns)
    p[0] = rates[0, 0]
    for j in range(1, columns):
        p[j] = p[j - 1] * after[j] / 2**64 + (1 - p[j - 1]) * first[j] / 2**64
    block = perturb.perturb(blank(columns // 2, people), Chain(first, after), ReleaseKey(bytes(range(16))), 0)
    rows = np.stack((block.hi, block.lo), 1).reshape(columns, -1)
    ones = np.bitwise_count(rows).sum(1)
    pairs = np.bitwise_count(rows[1:] & rows[:-1]).sum(1)
    both = p[:-1] * after[1:] / 2**64
    for found, chance in ((ones, p), (pairs, both)):
        z = (found - people * chance) / np.sqrt(people * chance * (1 - chance))
        assert 0.94 < z.std() < 1.06
        assert np.abs(z).max() < 4.7
        off = (found - people * chance * 1.01) / np.sqrt(people * chance * (1 - chance))
        assert off.std() > 1.06 or abs(off.mean()) > 0.3


def test_people_are_independent_of_each_other() -> None:
    law = Independent(np.full(20_000, 2**62, np.uint64))
    bits = (
        bits_of(perturb.perturb(blank(10_000, 500), law, ReleaseKey(bytes(16)), 3)).astype(np.float64) - 0.25
    )
    products = bits.T @ bits / (20_000 * 0.25 * 0.75)
    apart = products[~np.eye(500, dtype=bool)] * math.sqrt(20_000)
    assert np.abs(apart).max() < 6
    assert abs(apart.std() - 1) < 0.02


NODES = np.stack(
    [
        np.array([[thresholds(0.2 + 0.05 * s + 0.02 * j, 0.3, 0.6 - 0.1 * s)] for s in range(4)])[:, 0]
        for j in range(4)
    ]
)
NODES[0] = NODES[0, 0]
FAMILY = Family(INDEPENDENT, NODES, ())


def families(law: Family, count: int) -> np.ndarray:
    groups = tuple((2 * f + 1, 2 * f) for f in range(count))
    joint = Family(law.single, law.thresholds, groups)
    found = states(perturb.perturb(blank(2, 2 * count + 3), joint, ReleaseKey(os.urandom(16)), 0))
    return found[1 : 2 * count : 2] + 16 * found[0 : 2 * count : 2]


def law_of_pairs(law: Family) -> "laws.Law":
    p = np.zeros(256)
    for word, chance in words(law).items():
        p[sum((s & 1) << j | (s >> 1) << 4 + j for j, s in enumerate(word))] = float(chance)
    return laws.Law(0, p)


def test_families_are_drawn_together() -> None:
    swapped, plain = FAMILY.thresholds.copy(), FAMILY.thresholds.copy()
    swapped[:, [1, 2]] = swapped[:, [2, 1]]
    plain[:, :, 2] = plain[:, :, 1]
    later = FAMILY.thresholds.copy()
    later[3] = (later[3] * 1.1).astype(np.uint64)
    near = {
        "members exchanged in the column before": law_of_pairs(Family(INDEPENDENT, swapped, ())),
        "a member that does not look at the other": law_of_pairs(Family(INDEPENDENT, plain, ())),
        "a column off by a tenth": law_of_pairs(Family(INDEPENDENT, later, ())),
    }
    laws.assert_follows(families(FAMILY, 200_000), law_of_pairs(FAMILY), not_these=near)


@pytest.mark.parametrize("genotype", [0, 1, 2])
def test_responses_are_the_true_genotype_or_either_other(genotype: int) -> None:
    def law_at(change: int, share: float = 0.5) -> "laws.Law":
        others = [g for g in range(3) if g != genotype]
        p = np.zeros(3)
        p[genotype] = 1 - change / 2**64
        p[others[0]], p[others[1]] = (1 - share) * change / 2**64, share * change / 2**64
        return laws.Law(0, p)

    change = int(0.45 * 2**64) // 2 * 2
    calls = np.full((40, 60_000), genotype, np.int8)
    noisy = perturb.perturb(
        pack(calls), Response(np.full(40, change, np.uint64)), ReleaseKey(os.urandom(16)), 0
    )
    near = {
        "1 % fewer changes": law_at(int(change * 0.99)),
        "1 % more changes": law_at(int(change * 1.01)),
        "the higher a little more often": law_at(change, 0.51),
    }
    laws.assert_follows(unpack(noisy).ravel().astype(np.int64), law_at(change), not_these=near)
