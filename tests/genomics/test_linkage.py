"""r² by distance, beside a plain twin."""

import numpy as np
import pytest

from noisegate.genomics.linkage import REACH, linkage
from noisegate.genotypes.packed import pack
from noisegate.leakage.genomes import Held

from .panels import panels

EDGES = (0, 100, 1_000, 10_000)


def held(calls):
    return Held(pack(np.ascontiguousarray(calls)))


def chain(rng, variants, people, keep=0.9):
    """Haplotypes that copy the last allele, so that neighbours are linked."""
    alleles = rng.random((2, people)) < 0.4
    rows = []
    for _ in range(variants):
        fresh = rng.random((2, people)) < 0.4
        alleles = np.where(rng.random((2, people)) < keep, alleles, fresh)
        rows.append(alleles.sum(axis=0))
    return np.array(rows, np.int8)


def squared(x, y):
    there = (x >= 0) & (y >= 0)
    x, y = x[there].astype(float), y[there].astype(float)
    if x.std() == 0 or y.std() == 0:
        return None
    return np.corrcoef(x, y)[0, 1] ** 2


def slow(ours, theirs, chromosomes, positions, edges):
    found = [[[], [], []] for _ in edges[1:]]
    for v in range(len(ours)):
        for k in range(max(v - REACH, 0), v):
            apart = positions[v] - positions[k]
            exact = squared(ours[v], ours[k])
            if chromosomes[v] != chromosomes[k] or not edges[0] <= apart < edges[-1] or exact is None:
                continue
            shown = squared(theirs[v], theirs[k]) or 0.0
            row = found[np.searchsorted(edges, apart, side="right") - 1]
            for column, figure in zip(row, (exact, shown, abs(exact - shown)), strict=True):
                column.append(figure)
    return found


@pytest.fixture
def rng():
    return np.random.default_rng(13)


def test_linkage_is_that_of_the_plain_twin_however_blocks_are_cut(rng):
    ours = chain(rng, 180, 70)
    theirs = np.where(rng.random(ours.shape) < 0.1, rng.integers(0, 3, ours.shape), ours).astype(np.int8)
    ours[rng.random(ours.shape) < 0.02] = -1
    ours[7], theirs[9] = 1, 2
    chromosomes = np.repeat([1, 2], 90).astype(np.int64)
    positions = np.concatenate([np.sort(rng.integers(0, 9_000, 90)) for _ in range(2)])
    expected = slow(ours, theirs, chromosomes, positions, EDGES)
    for pair in (
        (held(ours), held(theirs)),
        (panels.Cut(ours, [10] * 18), panels.Cut(theirs, [70, 1, 109])),
    ):
        found = linkage(*pair, chromosomes, positions, edges=EDGES)
        assert found.pairs == tuple(len(row[0]) for row in expected)
        for k, figures in enumerate((found.exact, found.released, found.difference)):
            assert figures == pytest.approx([np.mean(row[k]) for row in expected])


def test_linkage_falls_with_distance_and_noise_takes_it_away(rng):
    ours = chain(rng, 300, 500)
    noisy = rng.integers(0, 3, ours.shape).astype(np.int8)
    positions = np.arange(300) * 100
    found = linkage(held(ours), held(noisy), np.zeros(300, np.int64), positions, edges=(0, 150, 450, 900))
    assert found.exact[0] > found.exact[1] > found.exact[2] > 0.1
    assert max(found.released) < 0.01


def test_a_limit_of_pairs_thins_evenly(rng):
    ours = chain(rng, 400, 60)
    positions = np.arange(400) * 100
    chromosomes = np.zeros(400, np.int64)
    whole = linkage(held(ours), held(ours), chromosomes, positions, edges=EDGES)
    some = linkage(held(ours), held(ours), chromosomes, positions, edges=EDGES, pairs=400 * REACH // 8)
    assert 0 < sum(some.pairs) <= 400 * REACH // 8
    assert some.pairs == pytest.approx(np.array(whole.pairs) / 8, rel=0.1)
    assert some.difference[1:] == (0, 0)


def test_a_bin_without_pairs_has_no_mean(rng):
    ours = chain(rng, 4, 20)
    found = linkage(held(ours), held(ours), np.zeros(4, np.int64), np.arange(4) * 200, edges=EDGES)
    assert found.pairs == (0, 6, 0)
    assert np.isnan(found.exact[0])
    assert np.isnan(found.exact[2])


def test_every_variant_needs_a_place(rng):
    ours = held(chain(rng, 4, 20))
    with pytest.raises(ValueError, match="3 positions"):
        linkage(ours, ours, np.zeros(3, np.int64), np.arange(3))
    with pytest.raises(ValueError, match="edges rise"):
        linkage(ours, ours, np.zeros(4, np.int64), np.arange(4), edges=(0, 10, 5))


def test_people_of_the_two_sides_may_differ_in_number(rng):
    ours, theirs = chain(rng, 30, 70), chain(rng, 30, 40)
    found = linkage(held(ours), held(theirs), np.zeros(30, np.int64), np.arange(30) * 90, edges=EDGES)
    expected = slow(ours, ours, np.zeros(30), np.arange(30) * 90, EDGES)
    other = slow(theirs, theirs, np.zeros(30), np.arange(30) * 90, EDGES)
    for i in range(2):
        assert found.exact[i] == pytest.approx(np.mean(expected[i][0]))
        assert found.released[i] == pytest.approx(np.mean(other[i][0]))
