"""The shapes of verifications, as the OpenAPI document shows them."""

from typing import Annotated, Literal

from pydantic import Field

from noisegate.ask.question import parse_number
from noisegate.genomics.check import (
    DRAWS,
    FEWEST_DRAWS,
    LEVEL,
    MOST_DRAWS,
    OF_FINDINGS,
    THRESHOLD,
    Check,
)
from noisegate.genomics.wanted import Wanted
from noisegate.server.http.associations_bodies import Group
from noisegate.server.http.bodies import Body, Number
from noisegate.server.http.genomes_bodies import TableName

MOST_FINDINGS = 100_000
Level = Annotated[float, Field(gt=0, lt=0.5)]
Text = Annotated[str, Field(max_length=200)]


class VerificationBody(Body):
    """Findings to be verified. Give `release`; or `genotypes` and `cases`, of a private answer."""

    findings: list[dict[Text, Text | float | int | None]] = Field(
        min_length=1,
        max_length=MOST_FINDINGS,
        description="a row each: variant, p, and where reported direction, odds_ratio or beta, with a1",
        examples=[[{"variant": "rs4988235", "p": "0.0021", "odds_ratio": 1.8}]],
    )
    reference: TableName = Field(description="a public panel: the controls")
    release: str | None = Field(None, min_length=1, max_length=201, description="the id of a release")
    genotypes: TableName | None = Field(
        None, description="or whose genotypes, for a private answer about the findings' variants"
    )
    cases: Group | None = Field(None, description="who is a case, in SQL, as for an association")
    among: Group | None = Field(None, description="who takes part, likewise; everybody where absent")
    manifest: TableName | None = Field(None, description="a public panel whose variants are meant")
    epsilon: Number | None = Field(None, description="of the whole private answer, at the account's δ")
    test: Literal["chi2", "odds", "trend", "allelic"] = Field(
        "chi2", description="the test that the findings rest on"
    )
    threshold: float = Field(
        THRESHOLD, gt=0, lt=1, description="a finding is found again where p in the release is below"
    )
    alpha: Level = Field(LEVEL, description="share of honest findings that may be refused")
    beta: Level = Field(LEVEL, description="share of made-up findings that may pass")
    draws: int = Field(DRAWS, ge=FEWEST_DRAWS, le=MOST_DRAWS, description="releases that are simulated")

    def check(self) -> Check:
        """Return what the gateway takes."""
        return Check(
            findings=tuple(self.findings),
            reference=self.reference,
            release=self.release or "",
            association=None
            if self.genotypes is None
            else Wanted(
                genotypes=self.genotypes,
                cases=self.cases or "",
                among=self.among or "",
                variants=OF_FINDINGS,
                reference=self.reference,
                manifest=self.manifest or "",
                epsilon=parse_number("epsilon", self.epsilon),
            ),
            test=self.test,
            threshold=self.threshold,
            alpha=self.alpha,
            beta=self.beta,
            draws=self.draws,
        )


class ShareReply(Body):
    """A share, with an interval or a range."""

    value: float
    low: float
    high: float


class SourcedReply(ShareReply):
    """A share, and what it was read off."""

    from_: str = Field(alias="from")


class FindingsReply(Body):
    """What became of the rows that were sent."""

    digest: str = Field(description="SHA-256 of what was read")
    reported: int
    used: int
    absent: list[str] = Field(description="variants that release or reference have not; the first 20")
    absent_count: int
    unattainable: int = Field(description="p-values that no data of so many people have")
    skipped: int = Field(description="rows without a p-value")
    above_level: int = Field(description="rows that report no significance")


class ErrorsReply(Body):
    """How often a verdict like this one is wrong."""

    honest_refused: ShareReply
    falsified_passes: ShareReply


class PowerReply(Body):
    """How often it is noticed that a share of the findings is made up."""

    share: float
    found: ShareReply


class LawsReply(Body):
    """How many findings are found again in each simulated release, ascending."""

    honest: list[int]
    cautious: list[int] = Field(description="of data that give the same p-values and keep the fewest")
    falsified: list[int]


class FindingReply(Body):
    """One finding; `chance` is that of being found again if it is honest."""

    variant: str
    p: float
    released_p: float
    retained: bool
    chance: float
    attainable: bool


class VerdictReply(Body):
    """A verdict on findings."""

    verdict: Literal["consistent", "not consistent", "cannot tell"]
    reason: str
    test: str
    statistic: str = Field(description="what is tested in the release")
    threshold: float
    alpha: float
    beta: float
    slack: float = Field(description="the factor by which weights of plausible data may be off")
    draws: int
    evidence: dict[str, object] = Field(description="what is told of the release or of the private answer")
    reference: dict[str, object] = Field(description="people, variants and digest of the controls")
    findings: FindingsReply
    retained: int = Field(description="how many findings are significant in the release")
    retention: ShareReply
    expected: ShareReply = Field(description="the same share if honest: mean, and the range of 95 %")
    background: SourcedReply = Field(description="the false-positive rate of the release")
    falsified: SourcedReply = Field(description="the same share if made up: mean, and the range of 95 %")
    critical: int = Field(description="fewer than this speak against honesty")
    p_value: float = Field(description="the chance of so few or fewer, if honest")
    errors: ErrorsReply
    power: list[PowerReply]
    smallest_share: float | None = Field(description="of made-up findings that is noticed with 1 - beta")
    laws: LawsReply
    rows: list[FindingReply] = Field(description="the findings that were used, at most 10,000")
    notes: list[str]
