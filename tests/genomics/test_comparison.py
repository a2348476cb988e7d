"""All measures of a release in one value, and whether it may be shown."""

import numpy as np
import pytest

from noisegate.genomics.association import chi_squared
from noisegate.genomics.comparison import Places, compare, compare_frequencies, compare_tables
from noisegate.genotypes.packed import pack
from noisegate.leakage.genomes import Held, frequencies

from .panels import panels


@pytest.fixture
def rng():
    return np.random.default_rng(15)


def source(calls, **marks):
    return Held(pack(np.ascontiguousarray(calls)), **marks)


def test_a_release_is_measured_on_every_count(rng):
    calls = panels.random_calls(rng, 300, 60)
    noisy = np.where(rng.random(calls.shape) < 0.1, rng.integers(0, 3, calls.shape), calls).astype(np.int8)
    controls = panels.random_calls(rng, 300, 50)
    places = Places(np.zeros(300, np.int64), np.arange(300) * 500)
    found = compare(source(calls), source(noisy), places=places, controls=source(controls))
    assert found.errors.point == pytest.approx((calls != noisy).mean())
    assert found.linkage is not None
    assert sum(found.linkage.pairs) > 1000
    assert found.chi_squared is not None
    assert found.odds_ratio is not None
    assert found.chi_squared.reported + found.chi_squared.others == 300
    assert found.odds_ratio.reported + found.odds_ratio.others == 300


def test_what_is_not_known_is_not_measured(rng):
    calls = panels.random_calls(rng, 30, 6)
    found = compare(source(calls), source(calls))
    assert (found.linkage, found.chi_squared, found.odds_ratio) == (None, None, None)
    shown = compare_frequencies(source(calls), frequencies(source(calls)) + 0.25)
    assert shown.errors.point is None
    assert shown.errors.mean == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("private", ["exact", "released", "controls"])
def test_one_private_source_keeps_the_figures_with_the_custodian(rng, private):
    calls = panels.random_calls(rng, 30, 6)
    marks = {name: {"public": name != private} for name in ("exact", "released", "controls")}
    exact, released, controls = (source(calls, **marks[name]) for name in marks)
    assert not compare(exact, released, controls=controls).public
    public = source(calls, public=True)
    assert compare(public, source(calls, noisy=True), controls=public).public
    assert compare_frequencies(public, frequencies(public), charged=True).public
    assert not compare_frequencies(public, frequencies(public)).public
    assert not compare_frequencies(source(calls), frequencies(public), charged=True).public


def test_tables_are_measured_by_group_and_by_what_they_say_of_association(rng):
    cases, controls = panels.random_calls(rng, 200, 40), panels.random_calls(rng, 200, 60)
    cells = np.stack(
        [np.stack([(c == k).sum(axis=1) for k in range(3)], axis=1) for c in (controls, cases)], axis=1
    ).astype(float)
    p = chi_squared(cells[:, 1].astype(int), cells[:, 0].astype(int))
    found = compare_tables(source(cases), source(controls), cells, p)
    assert found.errors.mean == 0
    assert found.agreement.correlation == pytest.approx(1)
    assert found.chi_squared is not None
    assert found.chi_squared.kept is not None
    assert found.chi_squared.kept.value == 1
    cells[:, 1] += [-5, 0, 5]
    moved = compare_tables(source(cases), source(controls), cells, p)
    assert moved.errors.mean == pytest.approx(10 / 40 / 2)
    public = [source(calls, public=True) for calls in (cases, controls)]
    assert compare_tables(*public, cells, p, charged=True).public
    assert not compare_tables(*public, cells, p).public
    assert not compare_tables(public[0], source(controls), cells, p, charged=True).public
