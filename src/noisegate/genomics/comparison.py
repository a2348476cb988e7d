"""A release beside what it was made from: every measure that applies, in one value."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.association import Retention, chi_squared, genotype_counts, odds_ratio, retention
from noisegate.genomics.linkage import Linkage, linkage
from noisegate.genomics.measures import Agreement, Errors, agreement, errors, frequency_errors
from noisegate.leakage.genomes import Frequencies, Genomes, frequencies, nothing_private


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where variants lie: int64 arrays of shape (variants,); equal chromosome numbers mean one chromosome."""

    chromosomes: NDArray[np.int64]
    positions: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Measures:
    """How near a release is to what it was made from.

    `public` says whether all that was read is public or was charged; only then may the figures be shown.
    """

    errors: Errors
    agreement: Agreement
    linkage: Linkage | None
    chi_squared: Retention | None
    odds_ratio: Retention | None
    public: bool


def compare(
    exact: Genomes,
    released: Genomes,
    *,
    places: Places | None = None,
    controls: Genomes | None = None,
) -> Measures:
    """Measure a release that has a row for each person.

    Args:
        exact: what it was made from.
        released: the release; the same people in the same order, and the same variants.
        places: for linkage, where known.
        controls: for association, other people who stand as controls to these as cases.
    """
    found: tuple[Retention | None, Retention | None] = (None, None)
    if controls is not None:
        cases, noisy, others = (genotype_counts(source) for source in (exact, released, controls))
        found = (
            retention(chi_squared(cases, others), chi_squared(noisy, others)),
            retention(odds_ratio(cases, others)[1], odds_ratio(noisy, others)[1]),
        )
    return Measures(
        errors=errors(exact, released),
        agreement=agreement(frequencies(exact), frequencies(released)),
        linkage=linkage(exact, released, places.chromosomes, places.positions) if places else None,
        chi_squared=found[0],
        odds_ratio=found[1],
        public=nothing_private(exact, released, controls),
    )


def compare_frequencies(exact: Genomes, released: Frequencies, *, charged: bool = False) -> Measures:
    """Measure a release of frequencies.

    Args:
        exact: what it was made from.
        released: float64, shape (variants,); shares of the alternate allele.
        charged: whether they were charged, or come from what was; without it the figures are not public.
    """
    ours = frequencies(exact)
    return Measures(
        errors=frequency_errors(ours, released),
        agreement=agreement(ours, np.clip(released, 0, 1)),
        linkage=None,
        chi_squared=None,
        odds_ratio=None,
        public=charged and nothing_private(exact),
    )


def compare_tables(
    cases: Genomes,
    controls: Genomes,
    cells: NDArray[np.float64],
    p_values: NDArray[np.float64],
    *,
    charged: bool = False,
) -> Measures:
    """Measure a release of case and control counts.

    Args:
        cases: the people the second group of the tables is of.
        controls: those of the first.
        cells: float64, shape (variants, 2, 3); people by group and genotype, none negative.
        p_values: float64, shape (variants,); what the release says of association, noise allowed for.
        charged: whether both were charged, or come from what was; without it the figures are not public.
    """
    counts = [genotype_counts(source) for source in (controls, cases)]
    exact, released = (
        (groups[..., 1] + 2 * groups[..., 2]) / np.maximum(2 * groups.sum(axis=-1), 1e-9)
        for groups in (np.stack(counts, axis=1), cells)
    )
    return Measures(
        errors=frequency_errors(exact.ravel(), released.ravel()),
        agreement=agreement(exact.ravel(), np.clip(released.ravel(), 0, 1)),
        linkage=None,
        chi_squared=retention(chi_squared(counts[1], counts[0]), p_values),
        odds_ratio=retention(odds_ratio(counts[1], counts[0])[1], p_values),
        public=charged and nothing_private(cases, controls),
    )
