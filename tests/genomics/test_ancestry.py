"""Groups of a panel, and the mixture that noisy frequencies look like."""

from fractions import Fraction

import numpy as np
import pytest

from noisegate.genomics import ancestry, counts, frequencies
from noisegate.genomics.panel import Panel, chain_starts
from noisegate.genotypes.packed import pack

from .held import Held, held

F = Fraction
DELTA = F(1, 10**6)


def populations(variants, sizes, seed=0):
    """Return calls of groups that drifted apart, shape (variants, people), and who is of which."""
    rng = np.random.default_rng(seed)
    root = rng.uniform(0.2, 0.5, variants)
    parts = [np.clip(root + rng.normal(0, 0.12, variants), 0.02, 0.98) for _ in sizes]
    calls = [rng.binomial(2, p[:, None], (variants, n)) for p, n in zip(parts, sizes, strict=True)]
    return np.concatenate(calls, axis=1).astype(np.int8), np.repeat(np.arange(len(sizes)), sizes)


def test_groups_of_a_panel_are_its_populations():
    calls, true = populations(500, (80, 60, 40, 30))
    found = ancestry.groups(held(calls), 500)
    pairs = {(int(a), int(b)) for a, b in zip(true, found, strict=True)}
    assert len(pairs) == 4
    assert len({b for _, b in pairs}) == 4


def test_groups_are_found_from_some_people_and_some_variants_in_blocks_of_any_size(monkeypatch):
    calls, true = populations(700, (90, 70, 50, 40))
    order = np.random.default_rng(1).permutation(250)
    monkeypatch.setattr(ancestry, "MOST_VARIANTS", 300)
    monkeypatch.setattr(ancestry, "MOST_PEOPLE", 120)
    whole = ancestry.groups(held(calls[:, order]), 700)
    monkeypatch.setattr(counts.blocks, "__defaults__", (7 * 250,))
    assert (ancestry.groups(held(calls[:, order]), 700) == whole).all()
    right = [np.bincount(whole[true[order] == group]).max() for group in range(4)]
    assert sum(right) > 0.95 * 250


def test_a_panel_with_fewer_people_than_groups_is_grouped_all_the_same():
    for people in (1, 2, 5):
        found = ancestry.groups(held(populations(20, (people,))[0]), 20)
        assert found.shape == (people,)
        assert found.min() >= 0


@pytest.mark.parametrize("true", [(1, 0, 0), (0.5, 0.5, 0), (0.2, 0.3, 0.5)])
def test_the_mixture_is_found_through_noise(true):
    rng = np.random.default_rng(2)
    parts = rng.uniform(0.1, 0.9, (3, 5_000))
    variance = np.full(5_000, 0.25)
    raw = np.array(true) @ parts + rng.normal(0, 0.5, 5_000)
    found = ancestry.mixture(raw, variance, parts, parts.mean(axis=0))
    assert found is not None
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    assert found == pytest.approx(np.array(true), abs=0.1)


def test_the_panel_is_kept_where_it_fits_as_well():
    rng = np.random.default_rng(3)
    parts = rng.uniform(0.1, 0.9, (3, 1_000))
    whole = parts.mean(axis=0)
    raws = [whole + rng.normal(0, 0.5, 1_000) for _ in range(100)]
    changed = [ancestry.mixture(raw, np.full(1_000, 0.25), parts, whole) is not None for raw in raws]
    assert sum(changed) <= 3


def test_groups_that_are_alike_do_no_harm():
    rng = np.random.default_rng(4)
    part = rng.uniform(0.1, 0.9, 500)
    found = ancestry.mixture(part, np.full(500, 0.01), np.stack([part, part, 1 - part]), 1 - part)
    assert found is not None
    assert found[:2].sum() == pytest.approx(1, abs=1e-3)


def test_people_of_one_ancestry_are_known_from_a_panel_of_all_at_a_small_loss():
    calls, true = populations(1_000, (300, 200, 200, 200))
    ours = np.flatnonzero(true == 0)[:150]
    panel = Panel.of(held(np.delete(calls, ours, axis=1), public=True), chain_starts(np.zeros(1_000)))
    truth = calls[:, ours].mean(axis=1) / 2
    plan = frequencies.design(1_000, F(2), DELTA, panel)
    found = frequencies.estimate(frequencies.release(held(calls[:, ours]), plan), panel)
    assert np.abs(found.mean - truth).mean() < 0.5 * np.abs(panel.frequency - truth).mean()


def test_frequencies_of_groups_are_those_of_their_people():
    calls, _ = populations(300, (80, 60, 40, 30))
    panel = Panel.of(Held(pack(calls), public=True), chain_starts(np.zeros(300)))
    parts, sizes = panel.groups
    assert sorted(sizes) == [30, 40, 60, 80]
    assert sizes @ parts / 210 == pytest.approx(panel.frequency, abs=0.005)
    labels = ancestry.groups(held(calls), 300)
    for part, group in zip(parts, range(4), strict=True):
        assert part == pytest.approx(calls[:, labels == group].mean(axis=1) / 2, abs=0.03)
