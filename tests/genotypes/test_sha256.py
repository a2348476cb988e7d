"""SHA-256, two at once, beside hashlib."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisegate.genotypes import sha256

LENGTHS = st.sampled_from([0, 1, 55, 56, 63, 64, 65, 119, 120, 127, 128, 129, 1_000, 4_096])


def due(*buffers):
    return tuple(hashlib.sha256(buffer).digest() for buffer in buffers)


@settings(deadline=None, max_examples=300)
@given(LENGTHS, LENGTHS, st.integers(0, 9), st.integers(0, 255))
def test_both_are_what_hashlib_says(one, other, skipped, seed):
    draws = np.random.default_rng(seed)
    whole = draws.integers(0, 256, skipped + one + other).astype(np.uint8)[skipped:]
    first, second = whole[:one], whole[one:]
    assert sha256.of_two(first, second) == due(first, second)
    assert sha256._of_two(first, second) == due(first, second) if sha256._usable() else True


def test_large_buffers_too():
    data = np.frombuffer(np.random.default_rng(1).bytes(10**6), np.uint8)
    assert sha256.of_two(data[:499_968], data[499_968:]) == due(data[:499_968], data[499_968:])


def test_constants_are_those_of_the_standard():
    assert sha256._ROUND[:2] + sha256._ROUND[-1:] == [0x428A2F98, 0x71374491, 0xC67178F2]
    assert sorted(sha256._INITIAL)[:2] == [0x1F83D9AB, 0x3C6EF372]


@pytest.mark.parametrize("features", ["+sse2", "+sha", ""])
def test_without_the_instructions_hashlib_is_asked(monkeypatch, features):
    monkeypatch.setattr(sha256.numba.config, "CPU_FEATURES", features)
    monkeypatch.setattr(sha256, "_usable", sha256._usable.__wrapped__)
    assert not sha256._usable()
    data = np.arange(200, dtype=np.uint8)
    assert sha256.of_two(data[:64], data) == due(data[:64], data)


def test_a_processor_that_is_wrong_is_not_believed(monkeypatch):
    monkeypatch.setattr(sha256, "_of_two", lambda *_: (bytes(32), bytes(32)))
    assert not sha256._usable.__wrapped__()
