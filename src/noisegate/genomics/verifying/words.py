"""A verdict in words: why, and what a reader should know before leaning on it."""

from typing import assert_never

from noisegate.genomics.frequencies import reached
from noisegate.genomics.mechanism import Flipping
from noisegate.genomics.targets import PublicTarget
from noisegate.genomics.verifying.evidence import AsPublished, Evidence, Frequencies, Rows, Tables
from noisegate.genomics.verifying.outcome import Answer, Verdict

HIGH = 0.5  # a false-positive rate that says that the release differs from the controls nearly everywhere


def reason_of(verdict: Verdict) -> str:
    """Return the verdict in a sentence or two."""
    used = len(verdict.rows)
    seen = f"{verdict.retained:,} of {used:,} findings show in the release"
    made_up = f"{verdict.falsified.value * used:,.0f}"
    match verdict.verdict:
        case Answer.CONSISTENT:
            return (
                f"{seen}. Of honest findings {verdict.expected.value * used:,.0f} are expected, and in "
                f"{1 - verdict.given.alpha:.0%} of releases {verdict.critical:,} at least; of made-up ones "
                f"{made_up}"
            )
        case Answer.NOT_CONSISTENT:
            return (
                f"{seen}, and honest findings would show at least {verdict.critical:,} times in "
                f"{1 - verdict.given.alpha:.0%} of releases. Of made-up ones {made_up} are expected"
            )
        case Answer.CANNOT_TELL:
            return (
                f"the noise of this release leaves too little to judge {used:,} findings by: made-up ones "
                f"would pass for honest in {verdict.falsified_passes.value:.0%} of releases"
            )
        case _:
            assert_never(verdict.verdict)


def notes_on(verdict: Verdict, evidence: Evidence, *, several: bool) -> tuple[str, ...]:
    """Return what a reader should know.

    Args:
        verdict: what was found.
        evidence: what it was found in.
        several: whether some p-value could have come from several counts.
    """
    given, found = verdict.given, []
    lost = sum(not row.attainable for row in verdict.rows)
    if lost:
        found.append(
            f"{lost:,} of {len(verdict.rows):,} p-values are not those of any {_cases(evidence):,} cases by "
            "this test, as their digits stand: another test, other controls, missing calls, or made up. The "
            "verdict does not rest on this; each was taken for the nearest p-value that there is"
        )
    if given.absent:
        found.append(
            f"{len(given.absent):,} findings are of variants that the release or the reference has not, and "
            "were left out"
        )
    turned = sum(row.released_p < given.threshold and not row.retained for row in verdict.rows)
    if turned:
        found.append(
            f"{turned:,} findings are significant in the release, but in the other direction than reported, "
            "and are not found again"
        )
    if several:
        found.append(
            "some p-values could have come from several counts of genotypes; their weights may be off by a "
            f"factor of {given.slack:g} before honest findings are refused more often than stated"
        )
    if verdict.background.value > HIGH:
        found.append(
            f"{verdict.background.value:.0%} of other variants are significant in the release too, so being "
            "retained says little of a finding"
        )
    found += _of_release(evidence)
    found.append(
        "whoever saw the release, or a panel of the same people, before writing the findings down can write "
        "down such as pass; and agreement says that findings were reported faithfully, not that they are true"
    )
    return tuple(found)


def _of_release(evidence: Evidence) -> list[str]:
    match evidence:
        case AsPublished(to_exact=True):
            return ["the release gives away the exact allele frequencies of the data: it protects nobody"]
        case AsPublished():
            return [_PUBLIC]
        case Rows(mechanism=Flipping(target=PublicTarget())):
            return [_PUBLIC]
        case Frequencies(noisy=noisy) if reached(noisy) < 1:
            return [
                "the frequencies are of people who lie near the panel; it is simulated as if they were all"
            ]
        case Tables() | Rows() | Frequencies():
            return []
        case _:
            assert_never(evidence)


def _cases(evidence: Evidence) -> int:
    return evidence.cases if isinstance(evidence, Tables) else evidence.people


_PUBLIC = (
    "the release was moved to public allele frequencies, so its own say nothing of the data: what is left to "
    "judge by is how genotypes go together"
)
