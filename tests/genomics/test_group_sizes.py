"""How many people groups have: estimates from tables and beside them, and the law of their errors."""

from fractions import Fraction

import numpy as np
import pytest

from noisegate.errors import BadInput
from noisegate.genomics.group_sizes import Size, declared, estimated
from noisegate.privacy.noise import Gaussian, Laplace

from . import null_studies

F = Fraction


def told(noise, mode, tables, rng):
    """Return the sizes of 300 and 200 people as tables, or tables and two noisy counts, tell."""
    beside = tuple(
        Size(size + float(null_studies.draw(noise, 1, rng)[0]), ((1.0, noise, 1),)) for size in (300, 200)
    )
    match mode:
        case "tables":
            return estimated(tables, noise, 500)
        case "sizes":
            return estimated(tables, noise, 500, beside)
        case "some":
            return estimated(tables, noise, 600, beside, everybody=False)
        case "some, by tables":
            return estimated(tables, noise, 600, everybody=False)


@pytest.mark.parametrize("noise", [Laplace(F(6)), Gaussian(F(9))])
@pytest.mark.parametrize("mode", ["tables", "sizes", "some", "some, by tables"])
def test_the_sizes_are_as_uncertain_as_they_say(noise, mode):
    rng = np.random.default_rng(17)
    tables, _ = null_studies.noisy(2_000, 300, 200, 0.2, noise, rng)
    found = [told(noise, mode, tables[at : at + 4], rng) for at in range(0, 2_000, 4)]
    values = np.array([sizes.value for sizes in found])
    assert values.mean(axis=0) == pytest.approx([300, 200], abs=1.5)
    assert values.std(axis=0) == pytest.approx(np.sqrt(found[0].variances), rel=0.12)
    together = np.sqrt(found[0].variance_together)
    assert values.sum(axis=1).std() == pytest.approx(together, rel=0.12, abs=1e-6)
    # Each band's range is missed as rarely as it says, the first in less than one of a hundred.
    ranges = np.array([sizes.ranges()[0] for sizes in found[:100]])
    held = (ranges[:, 0] <= [300, 200]) & (ranges[:, 1] >= [300, 200])
    assert held.mean() > 0.98


@pytest.mark.parametrize("mode", ["tables", "sizes", "some", "some, by tables"])
def test_what_one_table_and_the_rest_say_adds_up_to_all(mode):
    """Noise in one table's own cells and all other noise make the whole variance."""
    noise, rng = Laplace(F(6)), np.random.default_rng(18)
    tables, _ = null_studies.noisy(5, 300, 200, 0.2, noise, rng)
    found = told(noise, mode, tables, rng)
    coefficients, _, _, counts, variances = found.terms()
    own = 3 * (found.own**2).sum(axis=1) * found.cell.variance
    assert own + (coefficients**2 * counts * variances).sum(axis=1) == pytest.approx(found.variances)


def test_exact_counts_beside_tables_are_taken_as_they_are():
    tables, noise = np.zeros((3, 2, 3)), Gaussian(F(5))
    for everybody in (True, False):
        found = estimated(tables, noise, 500, (Size(300.0), Size(200.0)), everybody=everybody)
        assert found.value.tolist() == [300, 200]
        assert found.everybody
        assert found.variances.tolist() == [0, 0]
        assert (found.ranges() == [300, 200]).all()


def test_groups_are_never_quite_empty():
    found = declared(100, 0)
    assert found.centre.tolist() == [99.5, 0.5]
    with pytest.raises(BadInput):
        declared(100, 101)
