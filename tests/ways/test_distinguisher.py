"""A distinguisher over neighbouring towns finds no ε above the claim, and finds it when noise is halved.

The exact cells are taken once from the real engine. `release` is then drawn thousands of times for the
town without the joiner and for the one with; an event is chosen on one half of the draws and counted on
the other, and Clopper–Pearson bounds on its two probabilities are held against the claim.

Many draws of one answer are had at once by releasing copies of it as the groups of a further key: the
mechanism stays that of the one answer, and noise is drawn for each cell by itself.
"""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from noisegate import sql
from noisegate.ask import desk
from noisegate.privacy.exact import Counted, Exact, _open
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.loss import ZERO, Loss
from noisegate.privacy.mechanism import Family, Mechanism, design, loss_of
from noisegate.privacy.noise import Gaussian, Laplace
from noisegate.privacy.question import Aggregation, Key
from noisegate.privacy.relations import unit_ref
from noisegate.privacy.release import Noisy, release
from noisegate.privacy.selection import PermuteAndFlip

from .cells import Engine, engine
from .world import WARD, Town, ask, opened, person, spending, visit, with_joiner

DRAWS = 6_000
ALARM = 1e-6
EPSILON = Fraction(1)
# An event may be as much likelier as e^ε allows, and by this more. Pure claims are held against 0.
DELTA = {Family.LAPLACE: Fraction(0), Family.STAIRCASE: Fraction(0), Family.GAUSSIAN: Fraction(1, 5)}

OTHERS: Town = {
    "people": [person(n, weight=100.0, age=40 + n) for n in range(1, 6)],
    "visits": [visit(n, 10) for n in range(1, 6) for _ in range(2)],
}
# Moves what is asked below as far as one person may.
JOINER: Town = {
    "people": [person(99, weight=200.0, age=0)],
    "visits": [visit(99, 0, value=10.0, kind="a", word=f"new{i}") for i in range(5)],
}
QUESTIONS = (
    "SELECT count(*) FROM ward.people",
    "SELECT count(DISTINCT person) FROM ward.visits",
    "SELECT count(*) FROM ward.visits",
    "SELECT count(*) FILTER (WHERE kind = 'a') FROM ward.visits WHERE value > 3",
    "SELECT kind, count(*) FROM ward.visits GROUP BY kind",
    "SELECT sum(value) FROM ward.visits",
    "SELECT avg(weight) FROM ward.people",
    "SELECT var_pop(weight) FROM ward.people",
    "SELECT count(DISTINCT word) FROM ward.visits",
    "SELECT count(*), sum(weight) FROM ward.people",
)
# Towns on the edge of two answers, and by how much noise must shrink to make an event likelier than claimed:
# a selection is priced for scores that move either way, and these move one way only.
EDGES: dict[str, tuple[Town, Town, int]] = {
    "SELECT median(day) FROM ward.visits": ({}, {"visits": [visit(99, 0)] * 3}, 12),
    "SELECT min(day) FROM ward.visits": (
        {"visits": [visit(n, 10) for n in range(1, 12) for _ in range(3)]},
        {"visits": [visit(99, 10)] * 3},
        6,
    ),
}
Draws = list[tuple[int, ...]]


@dataclass(frozen=True)
class Rivals:
    """Two neighbouring towns behind the real engine."""

    without: Engine
    joined: Engine


@contextmanager
def neighbours(others: Town, joiner: Town, home: Path) -> Iterator[Rivals]:
    with (
        engine(with_joiner(others, {}), home / "without") as without,
        engine(with_joiner(others, joiner), home / "joined") as joined,
    ):
        yield Rivals(without, joined)


@pytest.fixture(scope="module")
def rivals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rivals]:
    with neighbours(OTHERS, JOINER, tmp_path_factory.mktemp("rivals")) as found:
        yield found


def copied(exact: Exact, aggregation: Aggregation, copies: int) -> tuple[Exact, Aggregation]:
    """The same answer many times over, as the groups of a further, public key."""
    keys, cells = _open(exact)
    copy = Key("copy", unit_ref(aggregation.source.shape), tuple(range(copies)))
    groups = tuple((i, *key) for i in range(copies) for key in keys)
    tiled = tuple(
        tiled_counts(cell, len(keys), copies) if isinstance(cell, Counted) else np.tile(cell, copies)
        for cell in cells
    )
    return Exact(groups, tiled), replace(aggregation, keys=(copy, *aggregation.keys))


def tiled_counts(cell: Counted, groups: int, copies: int) -> Counted:
    shifts = np.repeat(np.arange(copies) * groups, len(cell.groups))
    return Counted(
        np.tile(cell.groups, copies) + shifts, np.tile(cell.candidates, copies), np.tile(cell.counts, copies)
    )


def draw(town: Engine, aggregation: Aggregation, mechanism: Mechanism, draws: int) -> Draws:
    """Many releases of one answer, each as the integers it shows."""
    noisy = release(*copied(town.exact(aggregation), aggregation, draws), mechanism)
    shown = [cell.reshape(draws, -1) for cell in noisy.cells]
    return [tuple(row) for row in np.concatenate(shown, axis=1).tolist()]


def scores(
    drawn: Draws, seen: tuple[Draws, Draws], mechanism: Mechanism, rivals: Rivals, plan: Aggregation
) -> np.ndarray:
    """How much each draw speaks for the town with the joiner: the log-likelihood ratio of additive noise; of
    a selection, that of its value among the draws seen before.
    """
    if isinstance(mechanism.noises[0], PermuteAndFlip):
        without, joined = (Counter(d[0] for d in draws) for draws in seen)
        return np.array([math.log((joined[d[0]] + 0.5) / (without[d[0]] + 0.5)) for d in drawn])
    values = np.array(drawn, dtype=np.float64)
    each = values.shape[1] // len(mechanism.noises)
    total = np.zeros(len(values))
    cells = [_open(town.exact(plan))[1] for town in (rivals.without, rivals.joined)]
    for i, noise in enumerate(mechanism.noises):
        shown = values[:, i * each : (i + 1) * each]
        far, near = (np.abs(shown - cell[i]) for cell in cells)
        scale = float(noise.scale) if isinstance(noise, Laplace | Gaussian) else 1.0
        power = 2 if isinstance(noise, Gaussian) else 1
        total += ((far**power - near**power) / (power * scale**power)).sum(axis=1)
    return total


def bounds(hits: int, draws: int) -> tuple[float, float]:
    """Clopper–Pearson bounds on a probability, each wrong with at most ALARM / 2."""
    low = float(stats.beta.ppf(ALARM / 2, hits, draws - hits + 1)) if hits else 0.0
    return low, float(stats.beta.ppf(1 - ALARM / 2, hits + 1, draws - hits)) if hits < draws else 1.0


def excess(
    question: str, rivals: Rivals, family: Family, spoil: Fraction = Fraction(1), draws: int = DRAWS
) -> float:
    """By how much an event is surely likelier than claimed; negative where the claim stands.

    `spoil` divides the scale of the noise that is drawn, not of the one that is claimed.
    """
    plan = sql.read(question, rivals.without.catalog).private
    mechanism = design(plan, EPSILON, family, Fraction(0))
    delta = DELTA[family]
    claim = float(stand_alone_epsilon(loss_of(plan, mechanism), delta))
    drawn = [draw(town, plan, spoiled(mechanism, spoil), draws) for town in (rivals.without, rivals.joined)]
    half = draws // 2
    seen = (drawn[0][:half], drawn[1][:half])
    without, joined = (scores(d, seen, mechanism, rivals, plan) for d in drawn)
    found = -math.inf
    for likely, rare in ((joined, without), (-without, -joined)):
        cut = best_cut(likely[:half], rare[:half], claim)
        low, _ = bounds(int((likely[half:] >= cut).sum()), half)
        _, high = bounds(int((rare[half:] >= cut).sum()), half)
        found = max(found, low - math.exp(claim) * high - float(delta))
    return found


def best_cut(likely: np.ndarray, rare: np.ndarray, claim: float) -> float:
    """Where the event should begin, judged on draws that are not counted afterwards."""
    half = len(likely)
    cuts = np.unique(np.quantile(np.concatenate([likely, rare]), np.linspace(0, 1, 60)))
    gains = [
        bounds(int((likely >= c).sum()), half)[0] - math.exp(claim) * bounds(int((rare >= c).sum()), half)[1]
        for c in cuts
    ]
    return float(cuts[int(np.argmax(gains))])


def spoiled(mechanism: Mechanism, by: Fraction) -> Mechanism:
    """The mechanism with less noise than it says."""
    noises = []
    for noise in mechanism.noises:
        match noise:
            case Laplace() | Gaussian():
                noises.append(replace(noise, scale=Fraction(float(noise.scale / by))))
            case PermuteAndFlip():
                ends = None if noise.ends is None else noise.ends / by
                noises.append(replace(noise, scale=noise.scale / by, ends=ends))
            case _:
                noises.append(replace(noise, epsilon=noise.epsilon * by))
    return replace(mechanism, noises=tuple(noises))


@pytest.mark.parametrize("family", [Family.LAPLACE, Family.GAUSSIAN])
@pytest.mark.parametrize("question", QUESTIONS)
def test_no_event_is_likelier_than_claimed_and_with_half_the_noise_one_is(
    rivals: Rivals, question: str, family: Family
) -> None:
    assert excess(question, rivals, family) < 0
    assert excess(question, rivals, family, spoil=Fraction(2)) > 0


def test_the_same_holds_for_the_staircase(rivals: Rivals) -> None:
    assert excess(QUESTIONS[0], rivals, Family.STAIRCASE) < 0
    assert excess(QUESTIONS[0], rivals, Family.STAIRCASE, spoil=Fraction(2)) > 0


@pytest.mark.parametrize("question", EDGES)
def test_no_selection_is_likelier_than_claimed_and_with_far_less_noise_one_is(
    tmp_path: Path, question: str
) -> None:
    others, joiner, spoil = EDGES[question]
    with neighbours(others, joiner, tmp_path) as rivals:
        assert excess(question, rivals, Family.LAPLACE, draws=2_400) < 0
        assert excess(question, rivals, Family.LAPLACE, spoil=Fraction(spoil), draws=2_400) > 0


@pytest.mark.parametrize(
    "question", [*QUESTIONS, *EDGES, "SELECT word, count(*) FROM ward.visits GROUP BY word"]
)
def test_what_is_charged_is_the_loss_of_the_noise_that_was_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    drawn: list[Loss] = []

    def noting(exact: Exact, plan: Aggregation, mechanism: Mechanism) -> Noisy:
        drawn.append(loss_of(plan, mechanism))
        return release(exact, plan, mechanism)

    monkeypatch.setattr(desk, "release", noting)
    with opened(OTHERS, tmp_path, WARD) as gateway:
        for epsilon in ("0.25", "1", "3"):
            answer = ask(gateway, question, epsilon)
            claim = stand_alone_epsilon(drawn[-1], Fraction(1, 10**6))
            assert answer.epsilon >= float(claim) * (1 - 1e-9)
        assert len(drawn) == 3
        _, accounts = spending(gateway)
        assert [spent for _, _, spent in accounts] == [sum(drawn, ZERO)] * 4
