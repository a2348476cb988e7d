"""Recipes that are refused before anything is charged."""

from collections.abc import Iterator
from fractions import Fraction

import pytest

from noisegate.errors import BadInput
from noisegate.genomics.recipe import Method

from .workshop import Lab, lab, recipe


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab(tmp_path_factory.mktemp("shop") / "lab") as made:
        yield made


@pytest.mark.parametrize("method", [Method.XOR, Method.RESPONSE, Method.FREQUENCIES])
def test_a_delta_that_may_show_somebody_outright_is_refused(shop: Lab, method: Method) -> None:
    with pytest.raises(BadInput, match="among 30 people may show somebody"):
        shop.propose(recipe(method, delta=Fraction(1, 299)))
    assert shop.propose(recipe(method, delta=Fraction(1, 300))).people == 30


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([["p1"]], "2 to 5 people"),
        ([[]], "2 to 5 people"),
        ([["p1", "p2", "p3", "p4", "p5", "p6"]], "2 to 5 people"),
        ([["p1", "p1"]], "named twice"),
        ([["p1", "p2"], ["p2", "p3"]], "named twice"),
        ([["p1", "nobody"]], "not on the roster"),
    ],
)
def test_families_that_cannot_be_are_refused_in_words(shop: Lab, groups: list[list[str]], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        shop.propose(recipe(families=shop.declared.families(groups)))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_table_of_what_are_no_frequencies_is_refused(shop: Lab, value: float) -> None:
    with pytest.raises(BadInput, match="between 0 and 1"):
        shop.declared.frequencies({"rs1": 0.5, "rs2": value})


@pytest.mark.parametrize("epsilon", [0, Fraction(1, 10**7), 10**8])
def test_an_epsilon_out_of_range_is_refused(epsilon: Fraction) -> None:
    with pytest.raises(BadInput, match="epsilon is at least 1e-06 and at most"):
        recipe(epsilon=epsilon)
