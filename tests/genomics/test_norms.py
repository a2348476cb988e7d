import itertools
import math

import numpy as np
import pytest

from noisegate.genomics import norms
from noisegate.genomics.laws import Independent, Response
from noisegate.genomics.quadratic import chain, family


def test_the_published_bound_fails_where_it_was_found_to_fail():
    found = norms.counterexamples()
    told = [(case.changed, case.claimed, round(case.exact, 9)) for case in found]
    assert told == [(1, 4, 7), (1, 6, 11), (2, 8, 12), (2, 4, 8), (3, 27, 36)]
    assert len({case.name for case in found}) == 4
    assert all(case.fails for case in found)


@pytest.mark.parametrize(
    ("bits", "exact", "claimed"), [(2, 0.9, 0.6), (3, 1.5, 0.9), (5, 2.7, 1.5), (8, 4.5, 2.4)]
)
def test_one_bit_of_an_even_matrix_costs_more_than_the_bound(bits, exact, claimed):
    theta = np.full((bits, bits), 0.3)
    assert norms.enumerated(theta, np.zeros_like(theta), 1, 1) == pytest.approx(exact)
    assert float(np.linalg.norm(theta)) == pytest.approx(claimed)
    assert exact <= math.sqrt(2 * bits - 1) * claimed  # the safe constant


def test_the_bound_holds_and_is_reached_where_every_bit_may_change():
    ones, none = np.ones((4, 4)), np.zeros((4, 4))
    assert norms.enumerated(ones, none, 1, 4) == pytest.approx(16)
    four = norms.enumerated(np.zeros((2, 2)), np.ones((2, 2)), 4, 2, within=0)
    assert four == pytest.approx(24) == 2 * 6 * 2


def test_enumeration_agrees_with_a_plainer_one():
    rng = np.random.default_rng(1)
    theta, between = (m + m.T for m in rng.normal(0, 1, (2, 2, 2)))
    best = 0.0
    for word, other in itertools.product(itertools.product((0, 1), repeat=4), repeat=2):
        if word[2:] != other[2:]:
            continue
        logs = []
        for w in (word, other):
            rows = np.array(w, float).reshape(2, 2)
            log = sum(row @ theta @ row for row in rows)
            logs.append(log + 2 * (rows[0] @ between @ rows[1]))
        best = max(best, logs[0] - logs[1])
    assert norms.enumerated(theta, between, 2, 2, within=0) == pytest.approx(best)
    with pytest.raises(ValueError, match="enumerated"):
        norms.enumerated(np.ones((13, 13)), np.ones((13, 13)), 1, 1)


@pytest.mark.parametrize(
    ("bits", "theta", "coupling", "person", "variant"),
    [
        (18_182, -1.5, 0.0, 3_677_509, 404),
        (18_182, -1.5, 0.2, 3_742_312, 412),
        (18_182, -0.5, 0.1, 1_273_924, 140),
        (18_182, -3.0, 0.5, 7_556_552, 831),
        (56_792, -1.5, 0.0, 20_301_214, 715),
        (56_792, -0.5, 0.1, 7_032_542, 248),
    ],
)
def test_the_bound_of_a_long_chain_is_that_of_its_matrix(bits, theta, coupling, person, variant):
    bound = norms.norm_bound(chain(np.full(bits, theta), np.full(bits - 1, coupling)))
    assert bound.person == pytest.approx(person, abs=1)
    assert bound.variant == pytest.approx(variant, abs=0.7)
    assert bound.safe_variant == pytest.approx(bound.variant / 2 * math.sqrt(4 * bits - 4))


def test_the_bound_is_that_of_the_parameters_a_law_was_made_of():
    rng = np.random.default_rng(2)
    theta, coupling = rng.normal(-1, 1, 8), rng.normal(0, 0.4, 7)
    norm = math.sqrt((theta**2).sum() + 2 * (coupling**2).sum())
    assert norms.norm_bound(chain(theta, coupling)).person == pytest.approx(8 * norm, rel=1e-9)
    kin = np.array([[0, 0.3, 0.1], [0.3, 0, -0.2], [0.1, -0.2, 0]])
    law = family(theta, coupling, kin, ((0, 1, 2),))
    across = (0.3 + 0.1 + 0.2) * math.sqrt(8)
    assert norms.norm_bound(law).person == pytest.approx(8 * (norm + across), rel=1e-9)


def test_a_long_family_has_the_bound_found_before():
    law = family(np.full(18_182, -1.5), np.zeros(18_181), np.array([[0, 0.3], [0.3, 0]]), ((0, 1),))
    assert norms.norm_bound(law).person == pytest.approx(4.4e6, rel=0.01)


def test_the_bound_of_independent_bits_is_too_large_by_the_root_of_their_number():
    law = Independent(np.full(400, 2**61, np.uint64))
    bound = norms.norm_bound(law)
    *few, whole = norms.cases(law)
    assert bound.person / whole.exact == pytest.approx(20, rel=1e-6)
    assert not any(case.fails for case in (*few, whole))
    assert [case.changed for case in few] == [1, 2, 4, 16, 64, 256]


def test_where_bits_flip_together_the_bound_of_few_bits_can_fail():
    law = chain(np.zeros(4), np.full(3, 2.0))
    one, two, whole = norms.cases(law, (1, 2))
    assert one.exact == pytest.approx(8, abs=1e-6)
    assert one.claimed == pytest.approx(2 * math.sqrt(6), abs=1e-6)
    assert one.fails
    assert not whole.fails
    assert two.changed == 2


def test_randomised_response_is_no_xor_noise():
    assert norms.norm_bound(Response(np.array([2], np.uint64))) is None
