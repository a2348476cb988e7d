"""Bit-planes against the plain meaning of calls."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from noisegate.genotypes.packed import Block, last_word, pack, tally, unpack, words_of

SHAPES = st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 2, 63, 64, 65, 127, 128, 200]))
CALLS = SHAPES.flatmap(lambda shape: arrays(np.int8, shape, elements=st.integers(-1, 2)))


def slow(calls):
    """The plain twin: bits one by one, as Python integers."""
    codes = {0: (0, 0), 1: (0, 1), 2: (1, 1), -1: (1, 0)}
    planes = []
    for plane in (0, 1):
        rows = []
        for row in calls.tolist():
            whole = sum(codes[call][plane] << person for person, call in enumerate(row))
            rows.append([(whole >> 64 * w) & (2**64 - 1) for w in range(words_of(len(row)))])
        planes.append(rows)
    return planes


@settings(deadline=None)  # the first call compiles
@given(CALLS)
def test_calls_come_back_as_they_went_in(calls):
    block = pack(calls)
    assert (block.variants, block.people) == calls.shape
    assert np.array_equal(unpack(block), calls)


@settings(deadline=None)  # the first call compiles
@given(CALLS)
def test_each_call_has_the_two_bits_the_module_says(calls):
    block = pack(calls)
    hi, lo = slow(calls)
    assert block.hi.tolist() == hi
    assert block.lo.tolist() == lo


@settings(deadline=None)  # the first call compiles
@given(CALLS)
def test_a_tally_counts_each_kind_of_call(calls):
    found = tally(pack(calls))
    assert found.ones.tolist() == (calls == 1).sum(axis=1).tolist()
    assert found.twos.tolist() == (calls == 2).sum(axis=1).tolist()
    assert found.missing.tolist() == (calls == -1).sum(axis=1).tolist()
    assert found.alleles.tolist() == np.where(calls > 0, calls, 0).sum(axis=1).tolist()


def test_the_last_word_has_a_bit_for_each_person_left():
    assert [last_word(n) for n in (0, 1, 2, 63)] == [0, 1, 3, 2**63 - 1]
    assert [last_word(n) for n in (64, 65, 128)] == [2**64 - 1, 1, 2**64 - 1]


@pytest.mark.parametrize("call", [-2, 3, 127, -128])
def test_another_value_is_no_call(call):
    with pytest.raises(ValueError, match="0, 1, 2 or -1"):
        pack(np.array([[0, call]], np.int8))


def test_planes_of_other_shapes_or_types_make_no_block():
    planes = np.zeros((3, 2), np.uint64)
    with pytest.raises(ValueError, match="uint64"):
        Block(planes.astype(np.int64), planes, 100)
    with pytest.raises(ValueError, match="one shape"):
        Block(planes, planes[:2], 100)
    with pytest.raises(ValueError, match="64 people need 1 words"):
        Block(planes, planes, 64)
    with pytest.raises(ValueError, match="int8"):
        pack(np.zeros((1, 1), np.int64))
