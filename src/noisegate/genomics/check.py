"""A verification as it is asked for: reported findings, and what they are to be held against."""

from collections.abc import Mapping
from dataclasses import dataclass

from noisegate.errors import BadInput
from noisegate.genomics.wanted import Wanted

TESTS = ("chi2", "odds", "trend", "allelic")
THRESHOLD = 0.05 / 0.8  # the published verifier's
LEVEL = 0.05
DRAWS, FEWEST_DRAWS, MOST_DRAWS = 400, 200, 10_000
OF_FINDINGS = ("(those of the findings)",)  # stands for variants that the findings will name


@dataclass(frozen=True, slots=True)
class Check:
    """Findings to be verified.

    Attributes:
        findings: a row of named values each, at least "variant" and "p"; `verifying.findings` says what else.
        reference: a public panel, `dataset.table`: the controls.
        release: the id of the release that they are held against; or
        association: what is asked of the data themselves, with noise; its variants, here OF_FINDINGS, are
            those of the findings.
        test: that the findings rest on, one of TESTS.
        threshold: below which a p-value in the release counts as found again.
        alpha: share of honest tables that may be found not consistent.
        beta: share of made-up tables that may go unnoticed; more, and the verdict is that it cannot tell.
        draws: how many releases of each kind are simulated.
    """

    findings: tuple[Mapping[str, object], ...]
    reference: str
    release: str = ""
    association: Wanted | None = None
    test: str = "chi2"
    threshold: float = THRESHOLD
    alpha: float = LEVEL
    beta: float = LEVEL
    draws: int = DRAWS

    def __post_init__(self) -> None:
        if bool(self.release) == (self.association is not None):
            raise BadInput(
                "findings are held against a release, or against a private answer",
                "name a release, or genotypes with their cases",
            )
        check_levels(self.test, self.threshold, self.alpha, self.beta, self.draws)


def check_levels(test: str, threshold: float, alpha: float, beta: float, draws: int) -> None:
    """Refuse a test that is none, and levels and draws that say nothing.

    Raises:
        BadInput: one of them.
    """
    if test not in TESTS:
        raise BadInput(f"{test!r} is none of {', '.join(TESTS)}")
    if not 0 < threshold < 1:
        raise BadInput("a threshold lies between 0 and 1")
    if not (0 < alpha < 0.5 and 0 < beta < 0.5):
        raise BadInput("alpha and beta lie between 0 and a half")
    if not FEWEST_DRAWS <= draws <= MOST_DRAWS:
        raise BadInput(f"between {FEWEST_DRAWS} and {MOST_DRAWS:,} releases are simulated")
