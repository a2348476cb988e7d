"""Answers contain the truth of the bounded question in their 95 % interval, for every kind of aggregate.

The exact cells are taken once from the real engine over real patients, then released thousands of times.
The truth is what the same estimates give without noise. Each output's misses are counted against a
binomial law: more misses than 5 % allows (at one in a million) fails. A second test shows that the check
would notice: with half-widths a third too small it fails.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from noisegate import sql
from noisegate.app import Gateway
from noisegate.ask.answer import Estimated
from noisegate.ask.finish import finish
from noisegate.ask.interval import Interval
from noisegate.privacy.after import Plan
from noisegate.privacy.mechanism import Family, Mechanism, design
from noisegate.privacy.question import Rank
from noisegate.privacy.release import Noisy, release
from noisegate.privacy.selection import stretches

from .cells import unsealed

RELEASES = 1_500
ALARM = 1e-6

ADDITIVE = (
    "SELECT count(*) FROM liver.patients WHERE age > 60",
    "SELECT is_male, count(*) AS n, sum(bmi) AS total FROM liver.patients GROUP BY is_male",
    "SELECT avg(bmi) FROM liver.patients",
    "SELECT is_male, avg(age) FROM liver.patients GROUP BY is_male",
    "SELECT avg(value) FROM liver.measurements WHERE test = 'sbp'",
    "SELECT variance(age), stddev(age), var_pop(bmi) FROM liver.patients WHERE died",
    "SELECT count(DISTINCT patient_id) FROM liver.conditions WHERE condition = 'htn'",
    "SELECT count(DISTINCT condition) FROM liver.conditions",
    "SELECT 100.0 * count_if(died) / count(*) AS percent FROM liver.patients",
    "SELECT avg(weight_kg) - avg(height_cm) AS odd FROM liver.patients",
)
SELECTED = (
    "SELECT median(age) FROM liver.patients",
    "SELECT quantile_cont(bmi, 0.9) FROM liver.patients",
    "SELECT min(age), max(age) FROM liver.patients",
    "SELECT is_male, median(follow_up_days) FROM liver.patients GROUP BY is_male",
    "SELECT median(value) FROM liver.measurements WHERE test = 'hdl'",
)


@dataclass
class Tally:
    """How often an output's interval held the truth."""

    held: int = 0
    tried: int = 0

    def alarming(self) -> bool:
        misses = self.tried - self.held
        return bool(stats.binom.sf(misses - 1, self.tried, 0.05) < ALARM)


def truth_of(
    plan: Plan, gateway: Gateway
) -> tuple[object, list[list[float]], tuple[tuple[object, ...], ...]]:
    """The sealed cells, and the rows an answer would have without noise (a candidate for each quantile)."""
    exact = gateway._desk.engine.run(plan.private)
    keys, cells = unsealed(exact, plan.private)
    plain = []
    for measure, cell in zip(plan.private.measures, cells, strict=True):
        if isinstance(measure, Rank):
            places = []
            for counts in cell:
                _, ends = stretches(counts, measure.quantile)
                reached = int((ends >= 0).argmax())
                if measure.quantile == 0:  # the first candidate that holds a row
                    reached = int((counts > 0).argmax())
                places.append([measure.grid.low + reached * measure.stride] * 3)
            plain.append(np.array(places, dtype=np.int64))
        else:
            plain.append(cell)
    return exact, plain, keys


def tallies(plan: Plan, gateway: Gateway, mechanism: Mechanism, shrink: float = 1.0) -> list[Tally]:
    exact, plain, keys = truth_of(plan, gateway)
    runner = gateway._desk.runner
    _, truths = finish(plan, Noisy(keys, tuple(plain)), mechanism, runner)
    counted: list[Tally] = []
    for _ in range(RELEASES // max(len(truths), 1)):
        _, rows = finish(plan, release(exact, plan.private, mechanism), mechanism, runner)
        count(counted, truths, rows, shrink)
    return counted


def count(counted: list[Tally], truths: Sequence, rows: Sequence, shrink: float) -> None:
    for truth_row, row in zip(truths, rows, strict=True):
        place = 0
        for truth, cell in zip(truth_row, row, strict=True):
            if not isinstance(cell, Estimated):
                assert truth == cell
                continue
            if place == len(counted):
                counted.append(Tally())
            assert cell.interval is not None
            counted[place].tried += 1
            counted[place].held += holds(cell, truth.value, shrink)
            place += 1


def holds(cell: Estimated, truth: float, shrink: float) -> bool:
    interval = cell.interval
    if shrink != 1 and isinstance(cell.value, int | float):
        interval = Interval(
            cell.value - (cell.value - interval.low) * shrink,
            cell.value + (interval.high - cell.value) * shrink,
        )
    return interval.low - 1e-9 <= truth <= interval.high + 1e-9


@pytest.mark.parametrize("family", [Family.LAPLACE, Family.GAUSSIAN])
@pytest.mark.parametrize("text", ADDITIVE)
def test_intervals_of_counts_sums_means_and_ratios_hold_the_truth(gateway, text, family):
    plan = sql.read(text, gateway._desk.catalog)
    mechanism = design(plan.private, Fraction(1, 2), family, Fraction(0))
    found = tallies(plan, gateway, mechanism)
    assert found
    assert not any(t.alarming() for t in found), found


@pytest.mark.parametrize("text", SELECTED)
def test_intervals_of_quantiles_hold_the_truth(gateway, text):
    plan = sql.read(text, gateway._desk.catalog)
    mechanism = design(plan.private, Fraction(1, 2), Family.LAPLACE, Fraction(0))
    found = tallies(plan, gateway, mechanism)
    assert found
    assert not any(t.alarming() for t in found), found


def test_the_staircase_holds_the_truth_too(gateway):
    plan = sql.read("SELECT sum(age) FROM liver.patients", gateway._desk.catalog)
    mechanism = design(plan.private, Fraction(3), Family.STAIRCASE, Fraction(0))
    assert not any(t.alarming() for t in tallies(plan, gateway, mechanism))


@pytest.mark.parametrize("family", [Family.LAPLACE, Family.GAUSSIAN])
def test_intervals_a_third_too_narrow_are_noticed(gateway, family):
    plan = sql.read(ADDITIVE[0], gateway._desk.catalog)
    mechanism = design(plan.private, Fraction(1, 2), family, Fraction(0))
    assert any(t.alarming() for t in tallies(plan, gateway, mechanism, shrink=2 / 3))
