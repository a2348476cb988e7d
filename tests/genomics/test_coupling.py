import itertools

import numpy as np
import pytest

from noisegate.errors import BadInput, Forbidden
from noisegate.genomics.coupling import SMOOTHING, Neighbours, neighbours
from noisegate.genotypes.packed import pack

from .held import held


class InBlocks:
    """The same calls in blocks of a few variants."""

    public = True
    noisy = False

    def __init__(self, calls, width):
        self.calls, self.width = calls, width
        self.people = calls.shape[1]

    def blocks(self):
        for start in range(0, len(self.calls), self.width):
            yield start, pack(self.calls[start : start + self.width])


def plain(calls):
    """Count pairs of bits person by person."""
    found = np.zeros((2 * len(calls) - 1, 2, 2), np.int64)
    for person in calls.T.tolist():
        bits = [None if g < 0 else bit for g in person for bit in (int(g == 2), int(g >= 1))]
        for j, (x, y) in enumerate(itertools.pairwise(bits)):
            missing = person[j // 2] < 0 or person[(j + 1) // 2] < 0
            if not missing:
                found[j, x, y] += 1
    return found


@pytest.mark.parametrize("people", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("width", [1, 2, 5, 100])
def test_pairs_of_bits_are_counted_across_blocks_without_missing_calls(people, width):
    rng = np.random.default_rng(people)
    calls = rng.choice(np.array([-1, 0, 1, 2], np.int8), (11, people), p=[0.1, 0.4, 0.3, 0.2])
    found = neighbours(InBlocks(calls, width))
    assert np.array_equal(found.counts, plain(calls))


def test_a_hi_never_stands_without_its_lo():
    calls = np.random.default_rng(1).integers(0, 3, (9, 300), np.int8)
    counts = neighbours(held(calls, public=True)).counts
    assert not counts[::2, 1, 0].any()
    assert (counts.sum((1, 2)) == 300).all()


def test_log_odds_are_of_pairs_that_go_together_and_finite_where_none_does():
    counts = np.array([[[40, 10], [20, 30]], [[10, 40], [30, 20]], [[25, 25], [0, 50]], [[0, 0], [0, 0]]])
    found = Neighbours(counts.astype(np.int64)).log_odds
    s = SMOOTHING
    assert found[0] == pytest.approx(np.log((40 + s) * (30 + s) / (10 + s) / (20 + s)))
    assert found[0] > 0 > found[1]
    assert np.isfinite(found).all()
    assert found[3] == 0


def test_only_a_public_reference_shapes_noise():
    calls = np.zeros((2, 3), np.int8)
    with pytest.raises(Forbidden, match="public"):
        neighbours(held(calls))
    with pytest.raises(BadInput, match="without variants"):
        neighbours(InBlocks(calls[:0], 1))
