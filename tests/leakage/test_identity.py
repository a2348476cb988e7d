"""Looking for a person among rows: who is in it is found, and outsiders are named as rarely as is said."""

import numpy as np
import pytest

from noisegate.genotypes.packed import pack
from noisegate.leakage.genomes import Held
from noisegate.leakage.identity import Presence, identify
from noisegate.leakage.identity import _limit as limit_of
from noisegate.leakage.relatives import Degree

from . import panels
from .test_relatives import children


def held(calls, **marks):
    return Held(pack(np.ascontiguousarray(calls)), **marks)


def replaced(rng, calls, keep):
    other = (calls + rng.integers(1, 3, calls.shape)) % 3
    return np.where(rng.random(calls.shape) < keep, calls, other).astype(np.int8)


@pytest.fixture
def rng():
    return np.random.default_rng(62)


def test_a_member_is_found_by_a_second_typing_and_relatives_by_their_degree(rng):
    calls = panels.random_calls(rng, 4_000, 400, 0.01)
    store, controls = calls[:, :100], calls[:, 100:]
    again = replaced(rng, np.maximum(store[:, :1], 0), 0.99)
    child = children(rng, np.maximum(store[:, 1:2], 0), np.maximum(controls[:, :1], 0))
    stranger = panels.random_calls(rng, 4_000, 1)
    found = identify(
        held(np.concatenate([again, child, stranger], axis=1)), held(store), held(controls[:, 1:])
    )
    twice, kin, nobody = found.found
    assert (twice.presence, twice.row, twice.relation) == (Presence.IN, 0, Degree.DUPLICATE)
    assert (kin.presence, kin.row, kin.relation) == (Presence.RELATIVE, 1, Degree.FIRST)
    assert (nobody.presence, nobody.relation) == (Presence.OUT, None)
    assert twice.p == kin.p == 1 / 300 < nobody.p
    assert found.false.value == 0
    assert found.missed is None


def test_few_variants_do_not_name_relatives(rng):
    calls = panels.random_calls(rng, 40, 400)
    found = identify(held(calls[:, :1]), held(calls[:, :100]), held(calls[:, 100:]))
    assert Degree.THIRD not in found.degrees


def test_controls_who_are_in_it_make_it_impossible_to_tell(rng):
    calls = panels.random_calls(rng, 500, 50)
    found = identify(held(calls[:, :1]), held(calls), held(calls[:, 20:]))
    assert found.found[0].presence is Presence.UNKNOWN
    assert found.false.value == 1


def test_a_row_with_noise_is_found_by_distance(rng):
    calls = panels.random_calls(rng, 3_000, 500)
    inside, outside, controls = calls[:, :100], calls[:, 100:200], calls[:, 200:]
    rows = held(replaced(rng, inside, 0.6), noisy=True)
    found = identify(
        held(np.concatenate([inside[:, :5], outside[:, :5]], axis=1)),
        rows,
        held(controls),
        members=held(inside),
    )
    assert [s.presence for s in found.found] == [Presence.IN] * 5 + [Presence.OUT] * 5
    assert [s.row for s in found.found[:5]] == [0, 1, 2, 3, 4]
    assert found.missed.value == 0
    assert all(s.relation is None for s in found.found)


def test_without_members_or_with_much_noise_nobody_is_said_to_be_absent(rng):
    calls = panels.random_calls(rng, 500, 400)
    inside, controls = calls[:, :100], calls[:, 100:]
    clear = held(replaced(rng, inside, 0.6), noisy=True)
    blurred = held(replaced(rng, inside, 0.35), noisy=True)
    stranger = held(panels.random_calls(rng, 500, 1))
    for rows, members in ((clear, None), (blurred, held(inside))):
        found = identify(stranger, rows, held(controls), members=members)
        assert found.found[0].presence is Presence.UNKNOWN


def test_few_controls_name_nobody_in_a_release(rng):
    calls = panels.random_calls(rng, 500, 60)
    found = identify(held(calls[:, :1]), held(calls[:, :10], noisy=True), held(calls[:, 10:]))
    assert found.limit == np.inf
    assert found.found[0].presence is Presence.UNKNOWN


def test_the_limit_lets_as_many_outsiders_pass_as_is_said(rng):
    # Of n + 1 exchangeable scores, one beyond the a-th highest of the others has probability a / (n + 1).
    for n, level, share in ((9, 0.2, 0.2), (19, 0.05, 0.05), (30, 0.1, 3 / 31), (8, 0.1, 0.0)):
        scores = rng.random((20_000, n + 1))
        passed = sum(float(row[0] > limit_of(row[1:], level)) for row in scores)
        assert abs(passed - 20_000 * share) <= 4 * np.sqrt(20_000 * share * (1 - share))


@pytest.mark.parametrize("level", [0, 1])
def test_nonsense_is_refused(rng, level):
    some = held(panels.random_calls(rng, 10, 3))
    with pytest.raises(ValueError, match="level"):
        identify(some, some, some, level=level)
