"""Principal components against a singular value decomposition, and against plink2."""

from dataclasses import dataclass

import numpy as np
import pytest

from noisegate.errors import BadInput
from noisegate.genomics.gwas import components
from noisegate.genotypes import plink
from noisegate.genotypes.packed import pack
from noisegate.genotypes.variants import Variants

from ..stores import stores


@dataclass
class Held:
    """Calls in memory, in chunks of unequal sizes."""

    calls: np.ndarray
    variants: Variants
    cuts: tuple[int, ...] = ()

    @property
    def people(self):
        return self.calls.shape[1]

    def chunks(self):
        return range(len(self.cuts) + 1)

    def bounds(self, chunk):
        ends = (0, *self.cuts, len(self.calls))
        return ends[chunk], ends[chunk + 1]

    def read(self, chunk):
        return pack(np.ascontiguousarray(self.calls[slice(*self.bounds(chunk))]))


def populations(people=150, variants=900, groups=3, seed=1, missing=0.05):
    """Return calls of people from populations whose frequencies drifted apart."""
    draws = np.random.default_rng(seed)
    before = draws.uniform(0.1, 0.9, variants)
    shared = 12.0
    apart = draws.beta(before * shared, (1 - before) * shared, (groups, variants))
    calls = draws.binomial(2, apart[np.arange(people) % groups].T).astype(np.int8)
    calls[draws.random(calls.shape) < missing] = -1
    return calls


def held(calls, cuts=(100, 101, 640)):
    return Held(calls, stores.variants_of(len(calls)), tuple(cut for cut in cuts if cut < len(calls)))


def plain(calls, keep, rarest=components.RAREST):
    """Return all eigenvalues and vectors of the people's mean cross products, the largest first."""
    some = np.where(calls[:, keep] < 0, np.nan, calls[:, keep])
    p = np.nanmean(some, axis=1) / 2
    used = np.minimum(p, 1 - p) >= rarest
    rows = (some[used] - 2 * p[used, None]) / np.sqrt(2 * p[used] * (1 - p[used]))[:, None]
    _, singular, vectors = np.linalg.svd(np.nan_to_num(rows), full_matrices=False)
    return singular**2 / used.sum(), vectors.T, int(used.sum())


def same_lines(found, exact, *, near):
    """Assert that unit vectors are the same but for their signs."""
    assert np.abs((found * exact).sum(axis=0)) == pytest.approx(np.ones(found.shape[1]), abs=near)


@pytest.mark.parametrize("people", [4, 30, 150, 700])
def test_components_are_those_of_a_singular_value_decomposition(people):
    calls = populations(people)
    how_many = min(3, people - 1)
    found = components.principal(held(calls), how_many)
    values, vectors, used = plain(calls, np.ones(people, bool))
    assert found.variants == used
    assert found.values == pytest.approx(values[:how_many], rel=1e-4)
    same_lines(found.vectors[:, :2], vectors[:, :2], near=1e-5)
    assert np.linalg.norm(found.vectors, axis=0) == pytest.approx(np.ones(how_many))


def test_many_components_need_several_starts(monkeypatch):
    monkeypatch.setattr(components, "_HELD", 3)
    monkeypatch.setattr(components, "_BEYOND", 2)
    calls = populations(400)
    found = components.principal(held(calls), 8)
    values, vectors, _ = plain(calls, np.ones(400, bool))
    assert found.values == pytest.approx(values[:8], rel=1e-5)
    same_lines(found.vectors[:, :2], vectors[:, :2], near=1e-6)


def test_who_takes_no_part_changes_nothing_and_has_no_place():
    calls = populations()
    keep = np.random.default_rng(2).random(150) < 0.6
    found = components.principal(held(calls), 2, keep=keep)
    values, vectors, _ = plain(calls, keep)
    assert found.values == pytest.approx(values[:2], rel=1e-5)
    same_lines(found.vectors[keep], vectors[:, :2], near=1e-5)
    assert np.isnan(found.vectors[~keep]).all()


def test_rare_variants_and_those_of_x_y_and_mt_are_left_out():
    calls = populations()
    more = np.concatenate([calls, populations(seed=9)[:60], np.zeros((3, 150), np.int8)])
    more[-1, 7] = 1
    names = ["1"] * 900 + ["X"] * 20 + ["chrY"] * 20 + ["MT"] * 20 + ["2"] * 3
    variants = Variants.of(names, range(1, 964), [f"v{i}" for i in range(963)], ["A"] * 963, ["G"] * 963)
    found = components.principal(Held(more, variants), 2)
    only = components.principal(held(calls), 2)
    assert found.variants == only.variants <= 900
    assert found.vectors == pytest.approx(only.vectors, abs=1e-5)
    assert components.principal(Held(more, variants), 2, rarest=0.0).variants > found.variants


def test_the_same_people_have_the_same_components_however_they_are_cut():
    calls = populations()
    one, other = (components.principal(held(calls, cuts), 3) for cuts in ((), (1, 17, 899)))
    assert one.vectors == pytest.approx(other.vectors, abs=1e-4)
    again = components.principal(held(calls, ()), 3)
    assert np.array_equal(one.vectors, again.vectors)


def test_twins_leave_fewer_components_than_people():
    calls = np.repeat(populations(6, missing=0), 2, axis=1)
    found = components.principal(held(calls), 8)
    assert found.values[5:] == pytest.approx(np.zeros(3), abs=1e-6)


@pytest.mark.parametrize("how_many", [0, 150])
def test_as_many_components_as_people_are_refused(how_many):
    with pytest.raises(BadInput, match="components of 150 people"):
        components.principal(held(populations()), how_many)


def test_too_few_variants_are_refused():
    with pytest.raises(BadInput, match="0 variants of the autosomes"):
        components.principal(held(np.zeros((5, 40), np.int8)), 2)


def test_progress_rises_to_the_end():
    told = []
    components.principal(held(populations()), 2, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_components_are_those_of_plink2_on_a_real_panel(tmp_path):
    source = plink.read(stores.panel("kg1"), tmp_path / "kg1.zarr")
    found = components.principal(source, 4)
    plink.write(source, tmp_path / "kg1")
    options = ("--maf", components.RAREST, "--nonfounders", "--pca", 4, "meanimpute")
    stores.run("plink2", "--bfile", tmp_path / "kg1", *options, "--out", tmp_path / "pca")
    values = [float(line) for line in (tmp_path / "pca.eigenval").read_text().split()]
    lines = (tmp_path / "pca.eigenvec").read_text().splitlines()[1:]
    vectors = np.array([[float(word) for word in line.split()[-4:]] for line in lines])
    assert found.values == pytest.approx(values, rel=1e-5)
    same_lines(found.vectors, vectors, near=1e-5)
