"""What came of a verification, in one value: the verdict, what it rests on, how often it would be wrong."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from noisegate.leakage.roc import Estimate

NAMED = 20  # absent variants that are named
MOST_ROWS = 10_000


class Answer(enum.Enum):
    """The three verdicts there are."""

    CONSISTENT = "consistent"
    NOT_CONSISTENT = "not consistent"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Row:
    """One finding: what was reported, and what the release says of it.

    `released_p` is that of either direction; it is `retained` in the reported one only. `chance` is that of
    being kept if the finding is honest.
    """

    variant: str
    p: float
    released_p: float
    retained: bool
    chance: float
    attainable: bool


@dataclass(frozen=True, slots=True)
class Power:
    """How often findings are refused if this share of them is made up."""

    share: float
    found: Estimate


@dataclass(frozen=True, slots=True)
class Given:
    """What was asked: test, thresholds, how much was drawn, and what was left out of the findings.

    `slack` is the factor by which weights of plausible data sets may be off; `absent` are findings of
    variants that release or reference have not, `skipped` rows without a p-value, `above_level` those that
    report no significance.
    """

    test: str
    statistic: str
    threshold: float
    alpha: float
    beta: float
    slack: float
    draws: int
    digest: str
    reported: int
    absent: tuple[str, ...]
    skipped: int
    above_level: int
    evidence: Mapping[str, object]
    reference: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether findings agree with a release.

    Attributes:
        verdict: the answer.
        reason: it in a sentence.
        given: what was asked.
        retained: findings that are significant in the release, and in the direction that was reported, where
            one was.
        retention: as a share of those used.
        expected: that share if the findings are honest: mean, and the range of 95 % of releases.
        falsified: that share if they are made up, likewise, in the way that passes more often.
        falsified_from: what way that is.
        background: the false-positive rate of the release.
        background_from: where that was read off.
        critical: fewer retained than this many are too few for honest findings.
        p_value: the chance of so few or fewer, if the findings are honest, at most.
        honest_refused: how often honest findings have fewer than `critical` retained, at most.
        falsified_passes: how often made-up ones have as many.
        power: how often findings are refused of which a share is made up.
        smallest_share: the smallest share of them that is found with probability 1 - beta; None if none is.
        honest_law: retained in each simulated release of honest findings, ascending.
        cautious_law: the same where the data are, within `slack`, those that keep the fewest.
        falsified_law: the same of made-up ones.
        rows: findings one by one.
        notes: what a reader should know, in sentences.
    """

    verdict: Answer
    reason: str
    given: Given
    retained: int
    retention: Estimate
    expected: Estimate
    falsified: Estimate
    falsified_from: str
    background: Estimate
    background_from: str
    critical: int
    p_value: float
    honest_refused: Estimate
    falsified_passes: Estimate
    power: tuple[Power, ...]
    smallest_share: float | None
    honest_law: tuple[int, ...]
    cautious_law: tuple[int, ...]
    falsified_law: tuple[int, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        given = self.given
        return {
            "verdict": self.verdict.value,
            "reason": self.reason,
            "test": given.test,
            "statistic": given.statistic,
            "threshold": given.threshold,
            "alpha": given.alpha,
            "beta": given.beta,
            "slack": given.slack,
            "draws": given.draws,
            "evidence": dict(given.evidence),
            "reference": dict(given.reference),
            "findings": {
                "digest": given.digest,
                "reported": given.reported,
                "used": len(self.rows),
                "absent": list(given.absent[:NAMED]),
                "absent_count": len(given.absent),
                "unattainable": sum(not row.attainable for row in self.rows),
                "skipped": given.skipped,
                "above_level": given.above_level,
            },
            "retained": self.retained,
            "retention": _estimate(self.retention),
            "expected": _estimate(self.expected),
            "background": {**_estimate(self.background), "from": self.background_from},
            "falsified": {**_estimate(self.falsified), "from": self.falsified_from},
            "critical": self.critical,
            "p_value": self.p_value,
            "errors": {
                "honest_refused": _estimate(self.honest_refused),
                "falsified_passes": _estimate(self.falsified_passes),
            },
            "power": [{"share": part.share, "found": _estimate(part.found)} for part in self.power],
            "smallest_share": self.smallest_share,
            "laws": {
                "honest": list(self.honest_law),
                "cautious": list(self.cautious_law),
                "falsified": list(self.falsified_law),
            },
            "rows": [
                {
                    "variant": row.variant,
                    "p": row.p,
                    "released_p": row.released_p,
                    "retained": row.retained,
                    "chance": row.chance,
                    "attainable": row.attainable,
                }
                for row in self.rows[:MOST_ROWS]
            ],
            "notes": list(self.notes),
        }


def _estimate(found: Estimate) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}
