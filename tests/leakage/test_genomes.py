"""Sources of genotypes: chosen people, and blocks cut at the same places."""

import numpy as np
import pytest

from noisegate.genotypes.packed import Block, pack, unpack
from noisegate.leakage.genomes import Chosen, Held, aligned, frequencies, nothing_private, take

from . import panels


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.mark.parametrize("people", [1, 63, 64, 65, 200])
def test_chosen_people_are_those_of_the_array(rng, people):
    calls = panels.random_calls(rng, 9, people, missing=0.1)
    index = rng.integers(0, people, 70)
    assert (unpack(take(pack(calls), index)) == calls[:, index]).all()


def test_choosing_somebody_who_is_not_there_is_refused(rng):
    source = Held(pack(panels.random_calls(rng, 3, 5)))
    for index in ([5], [-1]):
        with pytest.raises(ValueError, match="5 people"):
            Chosen(source, np.array(index, np.int64))


def test_sources_cut_at_different_places_come_out_cut_alike(rng):
    ours, theirs = panels.random_calls(rng, 20, 70, 0.1), panels.random_calls(rng, 20, 3)
    blocks = list(aligned(panels.Cut(ours, [7, 0, 5, 8]), panels.Cut(theirs, [1, 11, 8]), Held(pack(ours))))
    assert [start for start, _ in blocks] == [0, 1, 7, 12]
    for k, calls in enumerate((ours, theirs, ours)):
        assert (np.concatenate([unpack(parts[k]) for _, parts in blocks]) == calls).all()


@pytest.mark.parametrize("widths", [[10, 9], [20, 1], [21]])
def test_sources_of_different_variants_are_not_compared(rng, widths):
    one = panels.Cut(panels.random_calls(rng, 20, 2), [20])
    other = panels.Cut(panels.random_calls(rng, 21, 2), widths)
    with pytest.raises(ValueError, match="same variants"):
        list(aligned(one, other))


def test_frequencies_are_of_the_calls_that_are_there():
    calls = np.array([[0, 1, 2, -1], [-1, -1, -1, 2], [-1, -1, -1, -1]], np.int8)
    found = frequencies(Held(pack(calls)))
    assert found[:2].tolist() == [0.5, 1.0]
    assert np.isnan(found[2])


def test_one_private_source_makes_what_is_computed_private():
    block = pack(np.zeros((1, 1), np.int8))
    private, public, noisy = Held(block), Held(block, public=True), Held(block, noisy=True)
    assert nothing_private(public, noisy, None)
    assert not nothing_private(public, private)
    assert not nothing_private(Chosen(private, np.array([0])))
    assert nothing_private(Chosen(public, np.array([0])), Chosen(noisy, np.array([0])))
    assert isinstance(next(iter(Chosen(public, np.array([0])).blocks()))[1], Block)
