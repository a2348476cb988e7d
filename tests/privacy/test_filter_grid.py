"""The filter against a tight accountant, on random histories: it never shows or admits too little.

What a history loses at least comes from dp-accounting's privacy-loss distributions, rounded down, so a
single figure of ours below it would disprove the filter. Books that are each wrong in one way show what
the grid sees.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache

import pytest
from dp_accounting.pld import privacy_loss_distribution as pld

from noisegate.privacy.curves import gaussian, pure
from noisegate.privacy.filter import Limits, admits, capacity, spent_epsilon, stand_alone_epsilon
from noisegate.privacy.loss import DELTA_UNIT, INFINITE, NANO, ZERO, Loss

from .histories import KINDS, Asked, History, interval_for, random_history

F = Fraction
DELTAS = (F(1, 10**3), F(1, 10**5), F(1, 10**6), F(1, 10**8))
STRATA = (*((kind,) for kind in KINDS), KINDS)
SHARES_OF_KEYS = (F(0), F(1, 10), F(1, 2))
ACCOUNTS = (F(1, 2), F(3), F(20))  # ε of accounts that were opened for another history


@dataclass(frozen=True)
class Book:
    """How an account is kept: what a history is charged, what is admitted, what is shown."""

    loss: Callable[[History], Loss] = lambda history: history.loss
    admits: Callable[[Limits, Loss], bool] = lambda limits, spent: admits(capacity(limits), spent)
    shown: Callable[[Limits, Loss], Fraction] = spent_epsilon


OURS = Book()


@cache
def case(number: int) -> tuple[History, Fraction, float]:
    """The history of this number, its δ, and the ε it loses at least."""
    delta = DELTAS[number // len(STRATA) % len(DELTAS)]
    history = random_history(f"history {number}", STRATA[number % len(STRATA)], delta)
    return history, delta, history.least_epsilon(float(delta), interval_for(history, delta))


def disproofs(number: int, book: Book) -> Iterator[str]:
    """What a book says of a history that is less than the truth."""
    history, delta, least = case(number)
    spent = book.loss(history)
    chance = random.Random(number)
    for share in SHARES_OF_KEYS:
        keys = share * delta
        near = F(least if least < 1000 else 10).limit_denominator(10**6)
        opened = [near * F(chance.uniform(0.5, 1.5)).limit_denominator(1000) for _ in range(2)]
        for epsilon in (*(e for e in opened if e > 0), *ACCOUNTS, tightest(spent, delta, keys, book)):
            limits = Limits(epsilon, delta, keys)
            if book.admits(limits, spent) and epsilon < least:
                yield f"history {number}: an account of {float(epsilon):.4f} admits {least:.4f} at {delta}"
            if spent.delta <= keys * DELTA_UNIT and book.shown(limits, spent) < least:
                yield f"history {number}: shown {float(book.shown(limits, spent)):.4f} of {least:.4f}"
    if spent.delta <= delta * DELTA_UNIT and stand_alone_epsilon(spent, delta) < least:
        yield f"history {number}: {float(stand_alone_epsilon(spent, delta)):.4f} alone, of {least:.4f}"


def tightest(spent: Loss, delta: Fraction, keys: Fraction, book: Book) -> Fraction:
    """About the smallest ε of an account that admits this."""
    low, high = F(1, 1000), F(1000)
    while high > low * F(1001, 1000):
        middle = F((float(low) * float(high)) ** 0.5)
        if book.admits(Limits(middle, delta, keys), spent):
            high = middle
        else:
            low = middle
    return high


@pytest.mark.parametrize(
    "histories", [300, pytest.param(6_000, marks=[pytest.mark.slow, pytest.mark.timeout(1_800)])]
)
def test_no_account_shows_or_admits_less_than_a_history_loses(histories: int) -> None:
    assert [wrong for number in range(histories) for wrong in disproofs(number, OURS)] == []


def without_keys(history: History) -> Loss:
    return replace(history, keys=()).loss


def once_each(history: History) -> Loss:
    return replace(history, asked=tuple(replace(each, count=1) for each in history.asked)).loss


def half_of_rho(history: History) -> Loss:
    softer = (
        replace(each, epsilon=each.epsilon * F(7, 10)) if each.kind == "gaussian" else each
        for each in history.asked
    )
    return replace(history, asked=tuple(softer)).loss


def sampled_less(history: History) -> Loss:
    return replace(history, asked=tuple(replace(each, rate=each.rate / 2) for each in history.asked)).loss


def a_fiftieth_less(history: History) -> Loss:
    less = (r if r == INFINITE else r * 49 // 50 for r in history.loss.renyi)
    return Loss(tuple(less), history.loss.delta)


def the_worst_alone(history: History) -> Loss:
    return max((each.loss() for each in history.asked), key=lambda loss: loss.renyi[4])


def unconverted(limits: Limits, spent: Loss) -> bool:
    return any(r <= limits.epsilon * NANO for r in spent.renyi)


@pytest.mark.parametrize(
    "book",
    [
        pytest.param(Book(loss=without_keys), id="private keys are free"),
        pytest.param(Book(loss=once_each), id="a repeated question is charged once"),
        pytest.param(Book(loss=half_of_rho), id="Gaussians are charged half"),
        pytest.param(Book(loss=sampled_less), id="samples are taken for half as large"),
        pytest.param(Book(loss=a_fiftieth_less), id="every loss is a fiftieth too small"),
        pytest.param(Book(loss=the_worst_alone), id="losses do not add"),
        pytest.param(Book(admits=unconverted), id="a divergence is taken for an epsilon"),
    ],
)
def test_the_grid_sees_books_that_are_wrong(book: Book) -> None:
    assert any(True for number in range(200) for _ in disproofs(number, book))


def test_the_oracle_is_close_enough_to_see_something() -> None:
    """Rounded down, it stays within an eighth of what one answer with this loss would be labelled."""
    ratios = []
    for number in range(100):
        history, delta, least = case(number)
        if history.keys == () and least > 0.1:
            ratios.append(float(stand_alone_epsilon(history.loss, delta)) / least)
    assert len(ratios) > 20
    assert sorted(ratios)[len(ratios) // 2] < 1.125


THOUSANDS = pytest.mark.parametrize(
    ("kind", "ours"), [("laplace", "9.0958"), ("gaussian", "9.1216")], ids=["Laplace", "Gaussian"]
)


@THOUSANDS
def test_a_thousand_questions_cost_within_12_percent_of_the_tight_figure(kind: str, ours: str) -> None:
    """Basic composition gives 50. For an account whose limit they fill, a tenth of δ kept for keys."""
    asked = Asked(kind, 1000, F(1, 20))
    spent, delta = asked.loss(), F(1, 10**6)
    least = asked.distribution(1e-5).get_epsilon_for_delta(float(delta))
    most = asked.distribution(1e-5, upwards=True).get_epsilon_for_delta(float(delta))
    assert least <= most <= least * 1.01

    account = Limits.of(F(ours), delta)
    assert admits(capacity(account), spent)
    assert not admits(capacity(Limits.of(F(ours) - F(1, 1000), delta)), spent)
    assert most <= float(ours) <= 1.12 * least
    assert most <= float(spent_epsilon(account, spent)) <= float(ours)


def test_the_oracle_knows_the_pair_of_a_nominal_epsilon() -> None:
    """Laplace of scale 1/ε, and Gaussian of σ = 1/ε, for a person who moves a cell by one."""
    assert Asked("laplace", 1, F(1, 20)).loss() == pure(F(1, 20))
    assert Asked("gaussian", 1, F(1, 20)).loss() == gaussian(F(1, 800))
    laplace = pld.from_laplace_mechanism(20.0).get_epsilon_for_delta(0)
    assert laplace == pytest.approx(0.05, abs=1e-4)
    assert History(()).loss == ZERO
