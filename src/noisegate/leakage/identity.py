"""Whether somebody is in a set of rows: a consented probe beside them, judged by people who are not in it.

Rows as they were typed are compared by kinship, whose limits hold at all frequencies. Rows of a release carry
noise, which kinship amplifies, so there the share of alleles that differ from the nearest row decides,
against a limit that the controls alone fix. Whoever runs this says how often it errs: on the controls,
outsiders like the probe, how often it names somebody wrongly; on members, where they are known, how often
it misses one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from noisegate.leakage.genomes import Genomes
from noisegate.leakage.relatives import Degree, compared, distance_of, kinship_of
from noisegate.leakage.roc import Estimate, Scores, proportion

LEVEL = 0.01  # share of outsiders who may be named wrongly
MISSED = 0.05  # share of members who may be missed where somebody is said not to be in it


class Presence(StrEnum):
    """What is found of a person."""

    IN = "in it"
    RELATIVE = "a relative is in it"
    OUT = "not in it"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True, slots=True)
class Sought:
    """One person who was looked for.

    `row` is the row that speaks most for the person, by the score in use; `kinship` and `distance` (share of
    alleles that differ) are with that row, over `variants` that both have a call of. `relation` is by
    kinship; None for strangers, and for rows with noise. `p` is the share of outsiders, this person
    counted as one, who score as high.
    """

    person: int
    row: int
    kinship: float
    distance: float
    variants: int
    relation: Degree | None
    p: float
    presence: Presence


@dataclass(frozen=True, slots=True)
class Identified:
    """What became of a search among `rows` rows.

    `limit` is the score above which somebody is named: kinship, or for `noisy` rows minus the share of
    alleles that differ. `false` is the share of `controls` above it; `missed` that of known members below
    it, None where no members were given. `degrees` are those of kinship that so few outsiders reach that
    they may be told.
    """

    rows: int
    noisy: bool
    level: float
    limit: float
    controls: int
    false: Estimate
    missed: Estimate | None
    degrees: tuple[Degree, ...]
    found: tuple[Sought, ...]


def identify(
    probes: Genomes,
    rows: Genomes,
    controls: Genomes,
    *,
    members: Genomes | None = None,
    level: float = LEVEL,
    progress: Callable[[float], None] = lambda _: None,
) -> Identified:
    """Look for some people among rows.

    Args:
        probes: whom to look for; they consented.
        rows: a store as it was typed, or, where it is `noisy`, a release.
        controls: people like the probes, of the same ancestry, of whom none is in it.
        members: people who are in it, to measure how many are missed.
        level: share of outsiders who may be named wrongly; without 1/level controls a release says nothing.
        progress: told which share is done.

    Raises:
        ValueError: no controls or no rows, or sources whose variants differ in number.
    """
    if not (controls.people and rows.people and 0 < level < 1):
        raise ValueError("people are looked for among rows, and judged by controls at a level")
    others = _closest(controls, rows)
    outside = others.score
    degrees = tuple(d for d in Degree if not rows.noisy and (others.kinship > d.least).mean() <= level)
    progress(0.5)
    limit = _limit(outside, level) if rows.noisy else Degree.DUPLICATE.least
    false = proportion(int((outside > limit).sum()), len(outside))
    missed = None
    if members is not None and members.people:
        inside = _closest(members, rows).score
        missed = proportion(int((inside <= limit).sum()), len(inside))
    closest = _closest(probes, rows)
    progress(1.0)
    higher = len(outside) - np.searchsorted(np.sort(outside), closest.score, side="left")
    found = [
        _judged(
            person,
            closest,
            p=(1 + int(higher[person])) / (1 + len(outside)),
            limit=limit,
            rates=(false, missed),
            level=level,
            noisy=rows.noisy,
            degrees=degrees,
        )
        for person in range(probes.people)
    ]
    return Identified(
        rows=rows.people,
        noisy=rows.noisy,
        level=level,
        limit=limit,
        controls=len(outside),
        false=false,
        missed=missed,
        degrees=degrees,
        found=tuple(found),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Closest:
    """Each candidate's row that speaks most for them, arrays of shape (candidates,)."""

    row: NDArray[np.int64]
    score: Scores
    kinship: Scores
    distance: Scores
    variants: NDArray[np.int64]


def _closest(candidates: Genomes, rows: Genomes) -> _Closest:
    parts = []
    for counts in compared(candidates, rows):
        kinship, distance = kinship_of(counts), distance_of(counts)
        score = -distance if rows.noisy else kinship
        row = np.argmax(score, axis=1)
        at = np.arange(len(row)), row
        parts.append((row, score[at], kinship[at], distance[at], counts[0][at].astype(np.int64)))
    return _Closest(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _limit(outside: Scores, level: float) -> float:
    """Return the score that at most `level` of the outsiders pass, this one counted as passing too."""
    allowed = int(level * (len(outside) + 1)) - 1
    return float(np.inf) if allowed < 0 else float(np.sort(outside)[::-1][allowed])


def _judged(
    person: int,
    closest: _Closest,
    *,
    p: float,
    limit: float,
    rates: tuple[Estimate, Estimate | None],
    level: float,
    noisy: bool,
    degrees: tuple[Degree, ...],
) -> Sought:
    false, missed = rates
    kinship = float(closest.kinship[person])
    relation = next((degree for degree in degrees if kinship > degree.least), None)
    above = bool(closest.score[person] > limit)
    if noisy:
        sure = missed is not None and missed.high <= MISSED
        presence = Presence.IN if above else Presence.OUT if sure else Presence.UNKNOWN
    elif false.value > level or not closest.variants[person]:
        presence = Presence.UNKNOWN
    elif above:
        presence = Presence.IN
    else:
        presence = Presence.OUT if relation is None else Presence.RELATIVE
    return Sought(
        person=person,
        row=int(closest.row[person]),
        kinship=kinship,
        distance=float(closest.distance[person]),
        variants=int(closest.variants[person]),
        relation=relation,
        p=p,
        presence=presence,
    )
