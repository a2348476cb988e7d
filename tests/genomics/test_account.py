"""Accounts against every word of noise, with its exact chance."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.genomics.account import SLACK, account, pure_epsilon
from noisegate.genomics.laws import HALF, MOST_CHANGE, Chain, Family, Independent, Response
from noisegate.privacy.curves import pure
from noisegate.privacy.loss import NANO, ORDERS

from .words import differences, divergence, ln, random_chain, random_family, renyi, words, worst

NANOS = Fraction(1, NANO)
FINITE = tuple(enumerate(ORDERS[:-1]))


def just_above(shown, exact, most=3 * NANOS):
    """Whether a figure is not below the exact one, and above it by rounding only."""
    return 0 <= Fraction(shown) - exact <= most


def flips(*thresholds):
    return Independent(np.array(thresholds, np.uint64))


CHAINS = [
    pytest.param(
        random_chain(np.random.default_rng(seed), variants, starts), id=f"{variants}-{starts}-{seed}"
    )
    for seed, (variants, starts) in enumerate(
        [(1, (0,)), (2, (0,)), (3, (0,)), (3, (0, 1)), (4, (0, 2)), (3, (0, 1, 2))]
    )
]
INDEPENDENT = [
    pytest.param(flips(*thresholds), id=str(i))
    for i, thresholds in enumerate(
        [
            (2**62, 2**62),
            (1, HALF),
            (HALF, HALF, HALF - 1, HALF - 2**40),
            (2**60, 3**39, 7**22, 2**63 - 12345, 2**50, 11),
        ]
    )
]


@pytest.mark.parametrize("law", CHAINS + INDEPENDENT)
def test_the_loss_of_a_person_is_that_of_the_worst_word_and_change(law):
    shown = account(law)
    bits = 2 * law.variants
    exact = worst(words(law), differences(bits))
    assert just_above(shown.person, exact)
    assert shown.person == pure_epsilon(law) == shown.loss.pure_epsilon
    assert shown.family is None
    for v in range(law.variants):
        assert just_above(
            Fraction(int(shown.variants[v]), NANO), worst(words(law), differences(bits, within=v))
        )
    assert shown.worst_variant == Fraction(int(max(shown.variants)), NANO)


@pytest.mark.parametrize("law", CHAINS[:5] + INDEPENDENT)
def test_finite_orders_are_those_of_the_worst_change_and_hardly_more(law):
    shown = account(law).loss
    chances = words(law)
    for i, order in FINITE:
        exact = renyi(chances, differences(2 * law.variants), order)
        assert exact - 1e-12 * (1 + exact) <= shown.renyi[i] / NANO <= 1.03 * exact + 5e-9


def test_finite_orders_of_independent_flips_are_exact():
    law = flips(2**62, 3**39, 7**22, 2**63 - 12345)
    chances = words(law)
    for i, order in FINITE:
        exact = renyi(chances, differences(4), order)
        assert account(law).loss.renyi[i] / NANO == pytest.approx(exact, rel=1e-9, abs=2e-9)


def test_many_small_flips_cost_less_at_finite_orders_than_their_sum():
    law = Independent(np.full(2_000, HALF - HALF // 4_000, np.uint64))
    loss = account(law).loss
    together = pure(account(law).person)
    assert loss.renyi[-1] == together.renyi[-1]
    assert all(one < 0.1 * other for one, other in zip(loss.renyi[:4], together.renyi, strict=False))


@pytest.mark.parametrize("size", [2, 3])
def test_the_losses_of_a_family_are_those_of_the_worst_words(size):
    variants = 2 if size == 2 else 1
    law = random_family(np.random.default_rng(size), size, variants)
    shown, chances, bits = account(law), words(law), 2 * variants
    rows = range(size)
    assert just_above(shown.person, max(worst(chances, differences(bits, row)) for row in rows))
    assert just_above(shown.family, ln(max(chances.values()) / min(chances.values())))
    assert shown.person == pure_epsilon(law)
    for v in range(variants):
        exact = max(worst(chances, differences(bits, row, within=v)) for row in rows)
        assert just_above(Fraction(int(shown.variants[v]), NANO), exact)
    for i, order in FINITE:
        exact = max(renyi(chances, differences(bits, row), order) for row in rows)
        assert exact - 1e-12 * (1 + exact) <= shown.loss.renyi[i] / NANO <= 1.2 * exact + 5e-9


def test_a_family_of_four_has_the_curve_of_its_pure_loss():
    law = random_family(np.random.default_rng(5), 4, 1)
    shown = account(law)
    assert shown.loss == pure(shown.person)
    assert just_above(shown.person, max(worst(words(law), differences(2, row)) for row in range(4)))


def test_somebody_in_no_family_counts_as_well():
    rng = np.random.default_rng(6)
    loud, quiet = flips(2, 3), flips(HALF, HALF)
    law = random_family(rng, 2, 1, least=2**62)
    alone = Family(loud, law.thresholds, law.groups)
    assert account(alone).person == account(loud).person == pure_epsilon(alone)
    assert account(alone).loss == account(loud).loss
    assert account(alone).family == account(law).family
    assert list(account(alone).variants) == list(account(loud).variants)
    nobody = Family(quiet, law.thresholds, ())
    assert account(nobody).person == pure_epsilon(nobody) == 0
    assert account(nobody).family is None


def response_law(change):
    """Return the chance of each genotype to come out, by the true one."""
    keep, other = Fraction(2**64 - change, 2**64), Fraction(change, 2**65)
    return [[keep if x == y else other for y in range(3)] for x in range(3)]


@pytest.mark.parametrize(
    "changes", [(2**62,), (2, 2**60), (MOST_CHANGE, MOST_CHANGE - 2), (2**63 + 2**61, 6, 10**18)]
)
def test_randomised_response_costs_what_the_worst_genotypes_tell(changes):
    shown = account(Response(np.array(changes, np.uint64)))
    laws = [response_law(change) for change in changes]
    exact = [
        max(ln(law[x][y] / law[z][y]) for x, z, y in itertools.product(range(3), repeat=3)) for law in laws
    ]
    assert just_above(shown.person, sum(exact))
    assert shown.person == pure_epsilon(Response(np.array(changes, np.uint64)))
    for nanos, epsilon in zip(shown.variants, exact, strict=True):
        assert just_above(Fraction(int(nanos), NANO), epsilon)
    pairs = [[(float(ln(p)), float(ln(q))) for p, q in zip(law[0], law[1], strict=True)] for law in laws]
    for i, order in FINITE:
        found = sum(divergence(law, order) for law in pairs)
        assert found * (1 - 1e-9) - 1e-12 <= shown.loss.renyi[i] / NANO <= found * (1 + 1e-9) + 5e-9


@pytest.mark.parametrize("law", [CHAINS[1].values[0], INDEPENDENT[2].values[0]])
def test_no_two_rows_of_genotypes_are_told_apart_by_more(law):
    """The same claim in plain words: rows of legal codes, outputs of any code, decoded or not."""
    code = {0: (0, 0), 1: (0, 1), 2: (1, 1)}
    chances = words(law)
    rows = list(itertools.product((0, 1, 2), repeat=law.variants))

    def raw(row):
        mine = tuple(bit for g in row for bit in code[g])
        return {tuple(m ^ b for m, b in zip(mine, word, strict=True)): p for word, p in chances.items()}

    def decoded(released):
        found = {}
        for word, p in released.items():
            read = tuple(a + b for a, b in zip(word[::2], word[1::2], strict=True))
            found[read] = found.get(read, 0) + p
        return found

    outputs = {row: raw(row) for row in rows}
    exact = max(ln(outputs[x][y] / outputs[z][y]) for x in rows for z in rows for y in chances)
    assert just_above(account(law).person, exact)
    shown = {row: decoded(outputs[row]) for row in rows}
    assert (
        max(ln(shown[x][y] / shown[z][y]) for x in rows for z in rows for y in shown[x])
        <= account(law).person
    )


@given(st.lists(st.integers(1, HALF) | st.sampled_from([1, 2, HALF - 1, HALF]), min_size=1, max_size=30))
@settings(max_examples=200, deadline=None)
def test_no_threshold_makes_the_account_too_small(thresholds):
    law = flips(*thresholds, *reversed(thresholds))
    exact = [ln(Fraction(2**64 - int(t), int(t))) for t in law.flip]
    shown = account(law)
    assert just_above(shown.person, sum(exact))
    for v in range(law.variants):
        assert just_above(Fraction(int(shown.variants[v]), NANO), exact[2 * v] + exact[2 * v + 1], 2 * NANOS)
    for i, order in FINITE[:6]:
        parts = [pure(e + Fraction(1, 10**40)) for e in exact]
        most = sum(p.renyi[i] for p in parts)
        assert most - len(parts) - 1 <= shown.loss.renyi[i] <= most + 1, order


@given(
    st.lists(
        st.integers(1, MOST_CHANGE // 2) | st.sampled_from([1, MOST_CHANGE // 2]), min_size=1, max_size=30
    )
)
@settings(max_examples=100, deadline=None)
def test_no_change_makes_the_account_too_small(halves):
    shown = account(Response(np.array(halves, np.uint64) * np.uint64(2)))
    assert just_above(shown.person, sum(ln(Fraction(2**64 - 2 * h, h)) for h in halves))


def test_no_noise_worth_the_name_costs_nothing():
    even = account(flips(HALF, HALF))
    assert even.person == 0
    assert set(even.loss.renyi) == {0}
    assert list(even.variants) == [0]


@pytest.mark.parametrize(
    "law", [flips(), Response(np.zeros(0, np.uint64)), Chain(np.zeros(0, np.uint64), np.zeros(0, np.uint64))]
)
def test_a_law_of_no_variant_costs_nothing(law):
    assert account(law).person == 0
    assert account(law).worst_variant == 0


@given(st.floats(1e-20, 1e20))
@settings(max_examples=300)
def test_numpy_errs_by_less_than_the_account_allows_for(x):
    bound = Fraction(1, 2**50)  # eight units in the last place; the account has room for 64
    assert abs(Fraction(float(np.log1p(x))) - ln(1 + Fraction(x))) <= bound * ln(1 + Fraction(x))
    exact = ln(Fraction(x))
    assert abs(Fraction(float(np.log(x))) - exact) <= bound * abs(exact)
    tail = float(np.exp(-x))
    assert tail >= 0
    if tail > 1e-300:
        assert abs(ln(Fraction(tail)) + Fraction(x)) <= bound
    assert 64 * bound == SLACK


def test_a_large_store_is_accounted_for_bit_by_bit():
    rng = np.random.default_rng(8)
    flip = rng.integers(1, HALF, 200_000, dtype=np.uint64)
    shown = account(Independent(flip))
    sample = rng.integers(0, 100_000, 300)
    for v in sample:
        pair = [ln(Fraction(2**64 - int(t), int(t))) for t in flip[2 * v : 2 * v + 2]]
        assert just_above(Fraction(int(shown.variants[v]), NANO), sum(pair), 2 * NANOS)
    # Rounding each variant up costs less than a nano-unit and a little.
    assert 0 <= int(shown.variants.sum()) - shown.person * NANO <= 1.01 * len(shown.variants)
