"""Walks over noise that is too long to look at every word: blocks, segments, few bits."""

import math
from fractions import Fraction

import numpy as np
import pytest

from noisegate.genomics.laws import Chain
from noisegate.genomics.quadratic import chain, family
from noisegate.genomics.trellis import (
    BLOCK,
    UNIT,
    _logs,
    bits_loss,
    family_loss,
    renyi_loss,
    row_loss,
    variant_losses,
)
from noisegate.privacy.loss import NANO, ORDERS

from .words import differences, ln, nodes, random_chain, random_family, words, worst


@pytest.mark.parametrize("seed", range(4))
def test_few_bits_cost_what_the_worst_word_and_change_of_few_bits_tell(seed):
    law = random_chain(np.random.default_rng(seed), 3, (0, 2) if seed % 2 else (0,))
    chances = words(law)
    for most in range(1, 7):
        exact = worst(chances, differences(6, most=most))
        assert 0 <= bits_loss(law, most) - exact <= Fraction(1, 10**10)
    for most in (0, -1, BLOCK + 1):
        with pytest.raises(ValueError, match="bits may change"):
            bits_loss(law, most)


def plain(law):
    """Return ln P(b | c) of each column as floats [c][b], the slow way."""
    return [
        [[math.log1p(-t / 2**64), math.log(t / 2**64)] for (t,) in column] for column in nodes(law).tolist()
    ]


def plain_person(law):
    high, low = [0.0, 0.0], [0.0, 0.0]
    for step in plain(law):
        high = [max(high[c] + step[c][b] for c in (0, 1)) for b in (0, 1)]
        low = [min(low[c] + step[c][b] for c in (0, 1)) for b in (0, 1)]
    return max(high) - min(low)


def plain_variant(law, v):
    steps = plain(law)[2 * v : 2 * v + 3]
    best = 0.0
    for c in (0, 1):
        for one in range(4):
            for other in range(4):
                x, y = (one // 2, one % 2), (other // 2, other % 2)
                ratio = steps[0][c][x[0]] + steps[1][x[0]][x[1]] - steps[0][c][y[0]] - steps[1][y[0]][y[1]]
                if len(steps) == 3:
                    ratio += max(steps[2][x[1]][b] - steps[2][y[1]][b] for b in (0, 1))
                best = max(best, ratio)
    return best


def test_a_long_chain_is_followed_across_blocks():
    law = random_chain(np.random.default_rng(7), 2 * BLOCK + 77, (0, 300))
    rounding = 2 * law.variants * 5 / UNIT
    for found in (row_loss(law, 0), family_loss(law)):
        assert -1e-10 <= float(found) - plain_person(law) <= rounding
    found = variant_losses(law, 0)
    half = BLOCK // 2
    for v in (0, 1, half - 2, half - 1, half, half + 1, 3 * half - 1, 3 * half, 299, 300, law.variants - 1):
        assert found[v] / NANO == pytest.approx(plain_variant(law, v), abs=3e-9)
        assert found[v] / NANO >= plain_variant(law, v) - 1e-12


def test_segments_that_begin_afresh_cost_the_sum_of_their_losses():
    starts = (0, 3, 700, 1_500)
    law = random_chain(np.random.default_rng(9), 2_000, starts)
    parts = [law.slice(a, b) for a, b in zip(starts, (*starts[1:], 2_000), strict=True)]
    assert abs(row_loss(law, 0) - sum(row_loss(part, 0) for part in parts)) < Fraction(1, 10**9)
    assert np.array_equal(variant_losses(law, 0), np.concatenate([variant_losses(part, 0) for part in parts]))
    together = renyi_loss(law, 0).renyi
    for i in range(len(ORDERS) - 1):
        apart = sum(renyi_loss(part, 0).renyi[i] for part in parts)
        assert abs(together[i] - apart) <= 8


@pytest.mark.parametrize("row", [0, 1])
def test_a_long_family_costs_the_sum_of_its_segments(row):
    rng = np.random.default_rng(10)
    law = random_family(rng, 2, 800, (0, 400))
    parts = [law.slice(0, 400), law.slice(400, 800)]
    for cost in (lambda x: row_loss(x, row), family_loss):
        assert abs(cost(law) - sum(map(cost, parts))) < Fraction(1, 10**9)
    apart = np.concatenate([variant_losses(part, row) for part in parts])
    assert np.array_equal(variant_losses(law, row), apart)


def test_logarithms_are_bounded_from_both_sides_and_closely():
    rng = np.random.default_rng(11)
    near = np.array([1, 2, 3, 2**63, 2**63 + 1, 2**64 - 1, 2**64 - 2, 2**64 - 2**11], np.uint64)
    some = np.concatenate([near, rng.integers(1, 2**64 - 1, 292, dtype=np.uint64)])
    up, down = (logs.tolist() for logs in _logs(Chain(some, some), 0, len(some)))
    for j, t in enumerate(some.tolist()):
        for b, part in ((0, 2**64 - t), (1, t)):
            exact = ln(Fraction(part, 2**64)) * UNIT
            for c in (0, 1):
                assert down[j][c][b] + Fraction(1, 2) < exact <= min(up[j][c][b], 0)
                assert up[j][c][b] == 0 or up[j][c][b] - Fraction(1, 2) > exact
                assert up[j][c][b] - down[j][c][b] <= 5


# Figures found earlier by a program of its own; θ and coupling as in `quadratic`, 18,182 bits.
@pytest.mark.parametrize(
    ("theta", "coupling", "person", "two_bits"),
    [
        (-1.5, 0.0, 27_273, 3.0),
        (-1.5, 0.2, 20_001, 3.0),
        (-1.5, -0.2, 34_545, 4.6),
        (-0.5, 0.1, 5_455, 1.0),
        (-3.0, 0.5, 36_365, 6.0),
    ],
)
def test_long_even_chains_cost_what_was_found_before(theta, coupling, person, two_bits):
    law = chain(np.full(18_182, theta), np.full(18_181, coupling))
    assert float(row_loss(law, 0)) == pytest.approx(person, abs=0.61)
    assert float(bits_loss(law, 2)) == pytest.approx(two_bits, abs=1e-6)


def test_long_even_families_cost_what_was_found_before():
    theta, none = np.full(18_182, -1.5), np.zeros(18_181)
    pair = np.array([[0, 0.3], [0.3, 0]])
    by_row = family(theta, none, pair, ((0, 1),))
    assert float(row_loss(by_row, 0)) == pytest.approx(27_273, abs=0.5)
    assert float(family_loss(by_row)) == pytest.approx(43_637, abs=0.5)
    by_column = family(theta, none + 0.1, 0 * pair, ((0, 1),))
    assert float(row_loss(by_column, 1)) == pytest.approx(23_637, abs=0.5)
    assert float(family_loss(by_column)) == pytest.approx(47_274, abs=0.5)
