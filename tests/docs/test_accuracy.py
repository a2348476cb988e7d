"""The figures and formulas of docs/guides/accuracy.md are those of the code."""

import math
from fractions import Fraction
from pathlib import Path

import pytest

from noisegate import sql
from noisegate.ask.price import KEY_QUESTIONS, price
from noisegate.ask.question import Question
from noisegate.catalog.load import load
from noisegate.catalog.model import Catalog
from noisegate.privacy.curves import gaussian, pure
from noisegate.privacy.expressions import ColumnRef, Type
from noisegate.privacy.filter import Limits, capacity, more_like_this, stand_alone_epsilon
from noisegate.privacy.loss import ZERO
from noisegate.privacy.mechanism import Family
from noisegate.privacy.noise import Gaussian, Laplace, half_width
from noisegate.privacy.question import Bounding, CountRows, CountUnits, Moment, Sum
from noisegate.privacy.relations import Grid
from noisegate.privacy.sensitivity import sensitivity

from .pages import ROOT, section, table

TEXT = (ROOT / "docs" / "guides" / "accuracy.md").read_text("utf-8")
LIMITS = Limits.of(Fraction(10), Fraction(1, 10**6))
PRESSURE = "FROM liver.measurements WHERE test = 'sbp'"


@pytest.fixture(scope="module")
def shipped() -> Catalog:
    return load(Path(ROOT / "catalog.toml"))


def family_of(question: str, epsilon: str, catalog: Catalog, limits: Limits = LIMITS) -> Family:
    found = price(
        sql.read(question, catalog),
        Question(question, Fraction(epsilon)),
        catalog,
        {d.name: limits for d in catalog.datasets},
    )
    return found.family


def test_an_account_holds_as_many_questions_as_the_table_says() -> None:
    rows = table(section(TEXT, "## ε, δ and what is charged"))
    assert len(rows) == 5
    for nominal, laplace, gauss, alone in rows:
        epsilon = Fraction(nominal)
        normal = gaussian(epsilon**2 / 2)
        held = (more_like_this(capacity(LIMITS), ZERO, loss) for loss in (pure(epsilon), normal))
        assert tuple(held) == (int(laplace.replace(",", "")), int(gauss.replace(",", "")))
        assert f"{float(stand_alone_epsilon(normal, LIMITS.delta)):.3g}" == alone


def test_the_readme_says_the_same_of_a_budget() -> None:
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    rows = {row[0]: row[1] for row in table(section(TEXT, "## ε, δ and what is charged"))}
    said = f"holds {rows['0.5']} questions at ε 0.5, {rows['0.25']} at ε 0.25 or {rows['0.1']} at ε 0.1"
    assert said in readme


@pytest.mark.parametrize("scale", [40, 400])
def test_half_widths_are_three_and_two_scales(scale: int) -> None:
    assert half_width(Laplace(Fraction(scale)), 0.95) / scale == pytest.approx(math.log(20), abs=0.03)
    assert half_width(Gaussian(Fraction(scale)), 0.95) / scale == pytest.approx(1.96, abs=0.03)


@pytest.mark.parametrize(("rows", "groups"), [(1, 1), (5, 3), (60, 6)])
def test_one_person_moves_a_measure_as_far_as_the_table_says(rows: int, groups: int) -> None:
    value, grid = ColumnRef("x", Type.FLOAT), Grid(-20, 100, Fraction(1))
    bounding = Bounding(rows, groups, rows)
    assert sensitivity(CountUnits(), bounding).l1 == groups
    assert sensitivity(CountRows(), bounding).l1 == rows
    assert sensitivity(Sum(value, grid), bounding).l1 == rows * 100
    assert sensitivity(Moment(value, grid, 1), bounding).l1 == rows * (100 + 20) // 2
    assert sensitivity(CountUnits(), bounding).l2_squared == groups


def test_the_families_are_chosen_where_the_guide_says(shipped: Catalog) -> None:
    people = "SELECT count(*) FROM liver.patients"
    assert family_of(people, "0.5", shipped) is Family.LAPLACE
    assert family_of(people, "0.05", shipped) is Family.GAUSSIAN
    assert family_of(people, "2", shipped) is Family.LAPLACE
    assert family_of("SELECT sum(age) FROM liver.patients", "2", shipped) is Family.STAIRCASE
    assert (
        family_of("SELECT is_male, sum(age) FROM liver.patients GROUP BY 1", "2", shipped) is Family.LAPLACE
    )
    assert family_of(people + " WHERE died", "0.25", shipped) is Family.LAPLACE
    assert family_of(people, "0.05", shipped, Limits.of(Fraction(10), Fraction(0))) is Family.LAPLACE


def test_a_mean_of_per_person_means_has_a_tenth_of_the_noise(shipped: Catalog) -> None:
    rows = sql.read(f"SELECT avg(value) {PRESSURE}", shipped).private
    means = f"SELECT avg(m) FROM (SELECT patient_id, avg(value) AS m {PRESSURE} GROUP BY patient_id)"
    persons = sql.read(means, shipped).private
    assert (rows.bounding.rows, persons.bounding.rows) == (60, 1)


def test_a_question_takes_the_share_of_delta_that_the_guide_says() -> None:
    assert LIMITS.delta_keys * 10 == LIMITS.delta
    assert KEY_QUESTIONS == 1_000
    assert "a thousandth of what the account keeps for keys, which is a tenth of its δ" in " ".join(
        TEXT.split()
    )
