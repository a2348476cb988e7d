"""Which way of sharing is worth its ε, found out on a public twin before anything is charged.

For so many people and variants and an (ε, δ), every method is run on people put together from a public
panel, with another such group as the panel it leans on, so that the two differ as two samples of one
population do. What comes out is compared with what the panel alone gives, at no cost: a method that is not
clearly better is of no use, and where none is, the advice says so. Nothing private is read, so advice is
free.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genomics import candidates, plans, synthetic
from noisegate.genomics.candidates import METHODS, ROWS, Case, Figures
from noisegate.genomics.counts import Flags
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.panel import Panel, PublicSource
from noisegate.genomics.twin import Twin
from noisegate.privacy.filter import stand_alone_epsilon

Reals = NDArray[np.float64]
MEASURES = ("point", "columns", "frequency", "kept")
BASELINE = "panel"
LEAST_COPIES, MOST_COPIES = 4, 40
WANTED = 5_000  # variants in all copies together: few variants need many copies
LOOKED_AT = 2**25  # genotypes of a copy; of more, the first variants stand for all
LEAST_VARIANTS = 64
USEFUL_FREQUENCY = 0.10  # share by which the error of frequencies must fall below the panel's
USEFUL_POINT = 0.03  # likewise the share of calls that differ
CERTAIN = 3.0  # standard errors

HOPELESS = (
    "No method is useful here: at ε {epsilon:g} for a person, {people:,} people and {variants:,} variants, "
    "whatever is released says no more than the public panel, which costs nothing, if the people are of one "
    "population with the panel's. Share the panel; or ask about fewer variants, more people, or a question "
    "that a few noisy counts answer. Of people of other ancestries noisy frequencies still tell which."
)
WORDS = {
    "xor": "Flipping bits",
    "response": "Randomised response",
    "response+frequencies": "Randomised response, restored to noisy frequencies,",
    "frequencies": "A table of noisy frequencies, or people drawn from it,",
    "synthetic": "Drawing people from noisy frequencies and tables of neighbours",
}
BETTER = (
    "{method} is useful here: on a public twin the error of allele frequencies is {error:.4f}, that of the "
    "public panel alone {panel:.4f}; of findings at a false-positive rate of 5 % it keeps {kept:.0%}, the "
    "panel {panel_kept:.0%}."
)


@dataclass(frozen=True, slots=True)
class Tried:
    """A method on the twin.

    `epsilon` is what it costs exactly, `mean` its figures over the copies of the twin and `error` their
    standard errors. `better` is the share by which each error is below the panel's, and how many more of the
    findings are kept; NaN where the twin has none. `useful`: clearly better than the panel alone in
    frequencies or calls.
    """

    method: str
    rows: bool
    epsilon: float
    mean: Figures
    error: Figures
    better: Figures
    useful: bool

    @property
    def gain(self) -> float:
        """The mean of what it gains, over all figures there are."""
        return float(np.nanmean([getattr(self.better, name) for name in MEASURES]))

    def as_json(self) -> dict[str, object]:
        """Return JSON values, NaN as None."""
        return {
            "method": self.method,
            "rows": self.rows,
            "epsilon": self.epsilon,
            "useful": self.useful,
            **{
                name: {
                    "mean": _known(getattr(self.mean, name)),
                    "error": _known(getattr(self.error, name)),
                    "better": _known(getattr(self.better, name)),
                }
                for name in MEASURES
            },
        }


@dataclass(frozen=True)
class Advice:
    """What was tried, and what is recommended; `recommended` is None where nothing is useful."""

    people: int
    variants: int
    epsilon: float
    delta: float
    panel: str
    panel_people: int
    looked_at: int
    copies: int
    tried: tuple[Tried, ...]

    @cached_property
    def recommended(self) -> str | None:
        """The useful method that gains most over the panel."""
        found = [t for t in self.tried if t.useful]
        return max(found, key=lambda t: t.gain).method if found else None

    def best(self, *, rows: bool) -> Tried:
        """Return the method that gains most of those with, or without, a row for each person."""
        return max((t for t in self.tried if t.rows == rows and t.method != BASELINE), key=lambda t: t.gain)

    def of(self, method: str) -> Tried:
        """Return what was found of a method."""
        return next(t for t in self.tried if t.method == method)

    @property
    def sentence(self) -> str:
        """The advice in words."""
        if self.recommended is None:
            return HOPELESS.format(epsilon=self.epsilon, people=self.people, variants=self.variants)
        found, panel = self.of(self.recommended).mean, self.of(BASELINE).mean
        return BETTER.format(
            method=WORDS[self.recommended],
            error=found.frequency,
            panel=panel.frequency,
            kept=0.0 if math.isnan(found.kept) else found.kept,
            panel_kept=0.0 if math.isnan(panel.kept) else panel.kept,
        )

    def as_json(self) -> dict[str, object]:
        """Return JSON values."""
        return {
            "people": self.people,
            "variants": self.variants,
            "epsilon": self.epsilon,
            "delta": self.delta,
            "panel": {"digest": self.panel, "people": self.panel_people},
            "looked_at": self.looked_at,
            "copies": self.copies,
            "recommended": self.recommended,
            "with_rows": self.best(rows=True).method,
            "without_rows": self.best(rows=False).method,
            "sentence": self.sentence,
            "tried": [t.as_json() for t in self.tried],
        }


def advise(
    panel: PublicSource,
    starts: Flags,
    people: int,
    epsilon: Fraction,
    delta: Fraction,
    key: ReleaseKey,
    progress: Callable[[float], None] | None = None,
) -> Advice:
    """Try every method on twins and return what was found.

    Args:
        panel: public people, complete, of the variants that are to be shared.
        starts: bool, shape (variants,): where chains of linkage begin.
        people: how many people are to be shared, a public number.
        epsilon: for one person, replace-one.
        delta: likewise; 0 for pure differential privacy.
        key: of the twins and of their noise; fresh for each piece of advice.
        progress: told the share that is done.

    Raises:
        BadInput: a budget or sizes that make no sense.
        Forbidden: the panel is not public.
    """
    plans.check(epsilon, delta)
    if people < 2 or panel.people < 2 or not len(starts):
        raise BadInput("advice needs at least two people, a panel of two, and a variant")
    case = Case(len(starts), epsilon, delta)
    here = min(len(starts), max(LEAST_VARIANTS, LOOKED_AT // people))
    copies = min(max(-(-WANTED // here), LEAST_COPIES), MOST_COPIES)
    starts = starts[:here]

    def group(name: str, size: int, copy: int) -> Twin:
        return Twin(panel, here, size, _key(key, f"{name} {copy}"))

    found: dict[str, list[Reals]] = {}
    cost: dict[str, float] = {}
    for copy in range(copies):
        theirs, leant_on = group("people", people, copy), Panel.of(group("panel", panel.people, copy), starts)
        controls = Panel.of(group("controls", panel.people, copy), starts)
        methods = [name for name in METHODS if name != "synthetic" or _worth_tables(leant_on, case, people)]
        for done, name in enumerate(methods):
            made = candidates.run(name, theirs, leant_on, case, _key(key, f"{name} {copy}"))
            figures = candidates.figures(theirs, made.block, controls)
            found.setdefault(name, []).append(np.array([getattr(figures, each) for each in MEASURES]))
            cost[name] = float(stand_alone_epsilon(made.loss, delta))
            if progress is not None:
                progress((copy + (done + 1) / len(methods)) / copies)
    base = np.array(found[BASELINE])
    whole = {name: np.array(given) for name, given in found.items() if len(given) == copies}
    return Advice(
        people=people,
        variants=case.variants,
        epsilon=float(epsilon),
        delta=float(delta),
        panel=panel.digest,
        panel_people=panel.people,
        looked_at=here,
        copies=copies,
        tried=tuple(_tried(name, rows, base, cost[name]) for name, rows in whole.items()),
    )


def _worth_tables(panel: Panel, case: Case, people: int) -> bool:
    if panel.starts.all():
        return False
    return synthetic.design(panel.starts, case.epsilon, case.delta, panel, people=people).pairs is not None


def _tried(name: str, rows: Reals, base: Reals, cost: float) -> Tried:
    mean, error = _mean(rows), _error(rows)
    panel = _mean(base)
    better = np.append(1 - mean[:3] / np.maximum(panel[:3], 1e-12), mean[3] - panel[3])
    gained, unsure = _mean(base[:, :3] - rows[:, :3]), _error(base[:, :3] - rows[:, :3])
    clear = gained > CERTAIN * unsure
    useful = name != BASELINE and bool(
        (clear[2] and better[2] >= USEFUL_FREQUENCY) or (clear[0] and better[0] >= USEFUL_POINT)
    )
    means, errors, gains = (Figures(*map(float, given)) for given in (mean, error, better))
    return Tried(name, name in ROWS, cost, means, errors, gains, useful)


def _mean(rows: Reals) -> Reals:
    known = np.isfinite(rows)
    count = known.sum(axis=0)
    total = np.where(known, rows, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _error(rows: Reals) -> Reals:
    known = np.isfinite(rows)
    count = known.sum(axis=0)
    squares = np.where(known, (rows - _mean(rows)) ** 2, 0.0).sum(axis=0)
    return np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1) / np.maximum(count, 1)), np.nan)


def _key(key: ReleaseKey, name: str) -> ReleaseKey:
    return ReleaseKey(hashlib.sha256(key.reveal() + name.encode()).digest()[:16])


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
