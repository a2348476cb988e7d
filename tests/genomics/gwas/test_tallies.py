"""Counts of calls by group against counting one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.genomics.gwas.tallies import add_missing, masks, tallies
from noisegate.genotypes.packed import pack

from ..stores import stores


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9), st.integers(1, 200), st.integers(1, 4), st.integers(0, 2**32))
def test_each_group_is_counted_by_call(variants: int, people: int, groups: int, seed: int) -> None:
    calls = stores.calls_of(variants, people, seed)
    member = np.random.default_rng(seed).random((groups, people)) < 0.4
    found = tallies(pack(calls), masks(member))
    for g in range(groups):
        for place, call in enumerate((0, 1, 2, -1)):
            assert found[:, g, place].tolist() == (calls[:, member[g]] == call).sum(axis=1).tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 200), st.integers(0, 2**32))
def test_each_persons_missing_calls_are_counted(variants: int, people: int, seed: int) -> None:
    calls = stores.calls_of(variants, people, seed)
    found = np.arange(people)
    add_missing(pack(calls), found)
    assert (found - np.arange(people)).tolist() == (calls == -1).sum(axis=0).tolist()


def test_masks_of_other_people_are_refused() -> None:
    block = pack(stores.calls_of(3, 70))
    with pytest.raises(ValueError, match="a bit for each person"):
        tallies(block, masks(np.ones((1, 60), bool)))
