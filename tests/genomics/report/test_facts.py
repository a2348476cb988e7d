"""What a shareable report can hold, and what it cannot."""

import math
from dataclasses import is_dataclass, replace
from fractions import Fraction
from typing import get_args, get_type_hints

import numpy as np
import pytest

from noisegate.genomics.comparison import Measures
from noisegate.genomics.report import facts
from noisegate.genomics.report.facts import Protection, Target
from noisegate.leakage.audit import Outcomes
from noisegate.leakage.roc import Estimate
from noisegate.privacy.curves import gaussian, pure
from noisegate.privacy.filter import stand_alone_epsilon

from ..panels import panels
from . import made


@pytest.fixture(scope="module")
def private():
    return made.exact(panels.random_calls(np.random.default_rng(1), made.VARIANTS, 3 * made.PEOPLE))


def test_exact_figures_have_no_place_in_a_shareable_report(private):
    shared = made.shareable()
    with pytest.raises(ValueError, match="public genotypes alone"):
        replace(shared.twin, measures=private.measures)
    with pytest.raises(ValueError, match="public genotypes alone"):
        replace(shared.twin, outcomes=private.outcomes)
    with pytest.raises(ValueError, match="public genotypes alone"):
        replace(shared, curves=(replace(made.curve(), public=False),))
    with pytest.raises(TypeError):
        replace(shared, measures=private.measures)


def held_by(kind, path=""):
    """Yield (path, type) of every field that a value of a kind may hold; facts alone are entered."""
    if get_args(kind):
        for part in get_args(kind):
            yield from held_by(part, path)
    elif is_dataclass(kind) and kind.__module__ == facts.__name__:
        for name, part in get_type_hints(kind).items():
            yield from held_by(part, f"{path}.{name}".lstrip("."))
    else:
        yield path, kind


def test_a_shareable_fact_is_text_or_a_number_and_measures_are_of_the_twin():
    """A new field that could hold an exact figure is noticed here."""
    found = {path: kind for path, kind in held_by(facts.Shareable) if kind not in (str, type(None), ...)}
    numbers = {path for path, kind in found.items() if kind in (int, float, bool)}
    assert {path: kind for path, kind in found.items() if path not in numbers} == {
        "twin.measures": Measures,
        "twin.outcomes": Outcomes,
        "curves.lines.figure": Estimate,
    }
    assert {path for path in numbers if "." not in path} == {"people", "variants"}
    assert {path.split(".")[0] for path in numbers if "." in path} == {
        "protection",
        "charge",
        "twin",
        "curves",
        "published",
    }
    assert {path for path, kind in held_by(facts.Exact) if kind is Measures} == {
        "measures",
        "shareable.twin.measures",
    }


def test_protection_is_rounded_up_from_the_loss_and_the_account():
    loss = pure(Fraction(10, 3))
    nano = np.arange(1000, dtype=np.int64) * 10**6 + 1
    found = Protection.of(loss, Fraction(1, 10**5), variants=nano, family=Fraction(20, 3), norm_bound=99.0)
    assert Fraction(found.person) >= Fraction(10, 3)
    assert found.person == pytest.approx(10 / 3, abs=1e-8)
    assert Fraction(found.epsilon) >= stand_alone_epsilon(loss, Fraction(1, 10**5))
    assert len(found.variants) == 200
    assert Fraction(found.variants[0]) >= Fraction(1, 10**9)
    assert found.variants[-1] == pytest.approx(0.999, abs=1e-6)
    assert (found.family, found.norm_bound) == (pytest.approx(20 / 3), 99.0)


def test_no_float_that_is_shown_lies_below_the_exact_epsilon():
    nano = np.arange(150, dtype=np.int64) * 987_654_321 + 1
    found = Protection.of(pure(Fraction(1)), Fraction(0), variants=nano[::-1].copy())
    assert all(
        Fraction(shown) >= Fraction(int(n), 10**9) for shown, n in zip(found.variants, nano, strict=True)
    )
    assert found.variants == pytest.approx(nano / 1e9)


def test_gaussian_noise_has_no_pure_bound():
    found = Protection.of(gaussian(Fraction(1, 2)), Fraction(1, 10**6))
    assert math.isinf(found.person)
    assert 1 < found.epsilon < 10


@pytest.mark.parametrize(
    "changes",
    [
        {"person": -1.0},
        {"delta": 1.0},
        {"person": 1.0, "epsilon": 2.0},
        {"variants": (2.0, 1.0)},
        {"variants": (0.0,) * 201},
    ],
)
def test_protection_that_makes_no_sense_is_refused(changes):
    with pytest.raises(ValueError, match="ε"):
        replace(Protection(5.0, 5.0, 0.0), **changes)


def test_a_declared_table_is_named_and_its_publication_stated():
    assert made.declared().kind == "declared"
    with pytest.raises(ValueError, match="statement"):
        Target("declared", "our paper", "12" * 32)
    with pytest.raises(ValueError, match="one of"):
        Target("private")


def test_the_published_recipe_is_never_shown_without_its_exact_loss():
    with pytest.raises(ValueError, match="claimed and its exact"):
        made.shareable(method="as-published")
    assert made.shareable(method="as-published", published=made.published()).published is not None
    with pytest.raises(ValueError, match="was charged"):
        made.shareable(charge=None)
    with pytest.raises(ValueError, match="no such method"):
        made.shareable(method="magic")
