"""How many people two groups have, as far as noisy counts tell, and the law of what they do not tell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genomics import contrasts
from noisegate.genomics.known_noise import Known, law_of
from noisegate.genomics.saddlepoint import reach
from noisegate.privacy.noise import Gaussian, Laplace

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Size:
    """An estimate of a group's size: `value` is the size plus Σ coefficient * (a sum of so many draws).

    `noises` holds (coefficient, noise, how many draws) for each kind of noise, all draws independent; () says
    that the size is exact.
    """

    value: float
    noises: tuple[tuple[float, Gaussian | Laplace, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Error:
    """Noise in the estimates: `how_many` draws, each added to both with these coefficients."""

    controls: float
    cases: float
    law: Known
    how_many: int


@dataclass(frozen=True, slots=True, eq=False)
class GroupSizes:
    """Estimates of the sizes of (controls, cases) and their errors.

    Attributes:
        value: float64 (2,), unbiased, so it may leave the possible.
        people: how many there may be at most.
        everybody: whether they are `people` together.
        own: float64 (2, 2): how far noise in a cell of a row (second) of any one table moves an estimate
            (first), where estimates come from the tables.
        cell: the law of that noise.
        errors: all other noise in them, seen from one table.
        draws: all noise in them, whichever table it is in.
    """

    value: Reals
    people: float
    everybody: bool
    own: Reals
    cell: Known | None
    errors: tuple[Error, ...]
    draws: tuple[Error, ...]

    @property
    def centre(self) -> Reals:
        """The sizes nearest to the estimates that can be, both above 0: float64 (2,)."""
        least = contrasts.FEWEST
        found: Reals = np.clip(self.value, least, max(self.people - least, least))
        if self.everybody:
            found[0] = self.people - found[1]
        return found

    @property
    def variances(self) -> Reals:
        """Of the estimates: float64 (2,)."""
        return np.array([self.variance_of(1.0, 0.0), self.variance_of(0.0, 1.0)])

    @property
    def variance_together(self) -> float:
        """Of the estimate of how many both are."""
        return 0.0 if self.everybody else self.variance_of(1.0, 1.0)

    def variance_of(self, controls: float, cases: float) -> float:
        """Return the variance of the estimates, times these numbers, added."""
        return float(
            sum(
                e.how_many * e.law.variance * (controls * e.controls + cases * e.cases) ** 2
                for e in self.draws
            )
        )

    def ranges(self) -> Reals:
        """Return the least and the most (controls, cases) may be in each band: float64 (bands, 2, 2)."""
        least = contrasts.FEWEST
        found = np.empty((contrasts.BANDS, 2, 2))
        for band in range(contrasts.BANDS):
            for group in range(2):
                width = _reach(self.draws, group, contrasts.miss(band))
                low, high = self.value[group] - width, self.value[group] + width
                found[band, :, group] = np.clip([low, high], least, max(self.people - least, least))
        return found

    def reach(self, level: float) -> float:
        """Return how far the cases' estimate may be off, but for a chance of exp(-level) each way."""
        return _reach(self.draws, 1, level)

    def reach_with(self, level: float, scale: float, row: Reals, law: Known) -> float:
        """Return a bound on scale * (the cases' error) ± Σ row * (noise of a table's cells), both rows.

        But for a chance of exp(-level) for each sign and way. `row` is float64 (3,); `law` is that of cells.
        """
        kinds = np.array([law.kind] * 6 + [e.law.kind for e in self.errors], np.int64)
        sizes = np.array([law.size] * 6 + [e.law.size for e in self.errors])
        counts = np.array([1.0] * 6 + [e.how_many for e in self.errors])
        beyond = [scale * e.cases for e in self.errors]
        both = [
            np.array([*(scale * self.own[1, 0] + s * row), *(scale * self.own[1, 1] + s * row), *beyond])
            for s in (1.0, -1.0)
        ]
        return max(float(reach(level, coefficients, kinds, sizes, counts)) for coefficients in both)

    def terms(self) -> tuple[Reals, NDArray[np.int64], Reals, Reals, Reals]:
        """Return `errors` as a kernel takes them: coefficients (2, J), kind, size, count, variance (J,)."""
        laws = [e.law for e in self.errors]
        return (
            np.array([[e.controls for e in self.errors], [e.cases for e in self.errors]]),
            np.array([law.kind for law in laws], np.int64),
            np.array([law.size for law in laws], np.float64),
            np.array([e.how_many for e in self.errors], np.float64),
            np.array([law.variance for law in laws], np.float64),
        )


def exact(controls: float, cases: float) -> GroupSizes:
    """Return sizes that are known."""
    value = np.array([controls, cases], np.float64)
    return GroupSizes(value, controls + cases, True, np.zeros((2, 2)), None, (), ())


def declared(people: int, cases: int) -> GroupSizes:
    """Return sizes of which the cases are known and all others are controls.

    Raises:
        BadInput: more cases than people.
    """
    if not 0 <= cases <= people:
        raise BadInput("there are between none and as many cases as people")
    return exact(people - cases, cases)


def estimated(
    cells: Reals,
    noise: Gaussian | Laplace,
    people: int,
    given: tuple[Size, Size] | None = None,
    *,
    everybody: bool = True,
) -> GroupSizes:
    """Return the sizes that tables, and estimates beside them, tell of together.

    Each table adds up to the sizes; their mean is weighed with what is given by how noisy either is.

    Args:
        cells: noisy tables, float64 (variants, 2, 3).
        noise: of each cell.
        people: how many there are, or may be at most.
        given: estimates of (controls, cases), independent of the tables and of each other.
        everybody: whether each of the people is in one of the groups.
    """
    law, tables = law_of(noise), len(cells)
    sums = cells.sum(axis=2).mean(axis=0)
    errors: tuple[Error, ...] = ()
    rows: tuple[Error, ...]
    if everybody:
        # Half of what cases are more than controls, and half of everybody.
        value, variance = (sums[1] - sums[0] + people) / 2, 1.5 * law.variance / tables
        weight, beside = 1.0, 0.0
        if given is not None:
            parts = [(-0.5, given[0]), (0.5, given[1])]
            beside = (given[1].value - given[0].value + people) / 2
            weight = _weight(variance, sum(c * c * _variance(size) for c, size in parts))
            errors = tuple(e for c, size in parts for e in _errors(size, -c * (1 - weight), c * (1 - weight)))
        cases = weight * value + (1 - weight) * beside
        share = weight / (2 * tables)
        own = np.array([[share, -share], [-share, share]])
        rows = (Error(share, -share, law, 6),)
    else:
        weights = np.ones(2)
        value = sums.copy()
        if given is not None:
            weights = np.array([_weight(3 * law.variance / tables, _variance(size)) for size in given])
            value = weights * sums + (1 - weights) * np.array([size.value for size in given])
            errors = tuple(_errors(given[0], 1 - weights[0], 0.0)) + tuple(
                _errors(given[1], 0.0, 1 - weights[1])
            )
        own = np.diag(weights / tables)
        rows = (Error(own[0, 0], 0.0, law, 3), Error(0.0, own[1, 1], law, 3))
        cases = value[1]
    found = np.array([people - cases if everybody else value[0], cases])
    rows = tuple(row for row in rows if row.controls or row.cases)
    elsewhere = tuple(
        Error(row.controls, row.cases, law, row.how_many * (tables - 1)) for row in rows if tables > 1
    )
    whole = tuple(Error(row.controls, row.cases, law, row.how_many * tables) for row in rows)
    if not whole and not errors:
        return exact(*found)
    return GroupSizes(found, float(people), everybody, own, law, elsewhere + errors, whole + errors)


def _weight(ours: float, theirs: float) -> float:
    """Return the weight of ours, by precision."""
    return theirs / (ours + theirs) if ours + theirs > 0 else 0.0


def _variance(size: Size) -> float:
    return sum(many * c * c * law_of(noise).variance for c, noise, many in size.noises)


def _errors(size: Size, controls: float, cases: float) -> list[Error]:
    return [Error(c * controls, c * cases, law_of(noise), many) for c, noise, many in size.noises]


def _reach(draws: Sequence[Error], group: int, level: float) -> float:
    """Return how far an estimate may be off, but for a chance of exp(-level) each way."""
    if not draws:
        return 0.0
    return float(
        reach(
            level,
            np.array([e.cases if group else e.controls for e in draws]),
            np.array([e.law.kind for e in draws], np.int64),
            np.array([e.law.size for e in draws]),
            np.array([e.how_many for e in draws], np.float64),
        )
    )
