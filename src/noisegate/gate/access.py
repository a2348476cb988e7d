"""Who asks, and what they may do: plain roles and grants, denied by default.

Custodians set up, share genomes and spend for suggestions, analysts ask, auditors watch.
"""

import enum
from dataclasses import dataclass

from noisegate.errors import Forbidden
from noisegate.ledger.records import Role, Token


class Right(enum.Enum):
    """What an asker may want to do."""

    ASK = "ask"
    SEE_DATASETS = "see datasets"
    SEE_OWN_BUDGET = "see their own budget"
    SEE_ALL_BUDGETS = "see all budgets"
    GRANT_BUDGET = "grant budget"
    SUSPEND_ACCOUNTS = "suspend accounts"
    SEE_RECEIPTS = "see receipts"
    MANAGE_TOKENS = "manage tokens"
    SUGGEST = "spend budget on suggestions"
    OPEN_PLANS = "open closed plans"
    CANCEL_JOBS = "cancel jobs"
    SHARE_GENOMES = "share genomes"
    GRANT_RELEASES = "grant releases"
    SEE_RELEASES = "see releases"
    DOWNLOAD_RELEASES = "download releases"
    COMPARE_METHODS = "compare methods on public data"


RIGHTS: dict[Role, frozenset[Right]] = {
    # Who raises a limit cannot ask: separation of duties.
    Role.CUSTODIAN: frozenset(
        {
            Right.SEE_DATASETS,
            Right.SEE_ALL_BUDGETS,
            Right.GRANT_BUDGET,
            Right.SUSPEND_ACCOUNTS,
            Right.SEE_RECEIPTS,
            Right.MANAGE_TOKENS,
            Right.SUGGEST,
            Right.OPEN_PLANS,
            Right.CANCEL_JOBS,
            Right.SHARE_GENOMES,
            Right.GRANT_RELEASES,
            Right.SEE_RELEASES,
            Right.DOWNLOAD_RELEASES,
            Right.COMPARE_METHODS,
        }
    ),
    Role.ANALYST: frozenset(
        {
            Right.ASK,
            Right.SEE_DATASETS,
            Right.SEE_OWN_BUDGET,
            Right.CANCEL_JOBS,
            Right.SEE_RELEASES,
            Right.DOWNLOAD_RELEASES,
        }
    ),
    Role.AUDITOR: frozenset(
        {Right.SEE_DATASETS, Right.SEE_ALL_BUDGETS, Right.SEE_RECEIPTS, Right.SEE_RELEASES}
    ),
}


@dataclass(frozen=True, slots=True)
class Asker:
    """A credential that was checked. `datasets` lists the grants; None stands for all.

    `project` is the one whose accounts the asker's questions are charged to.
    """

    name: str
    role: Role
    datasets: frozenset[str] | None
    project: str = "default"

    def may_see(self, dataset: str) -> bool:
        """Whether the asker holds a grant on the dataset."""
        return self.datasets is None or dataset in self.datasets


def asker_of(token: Token) -> Asker:
    """Return who bears a token that was found valid."""
    datasets = None if token.grants == "*" else frozenset(token.grants)
    return Asker(token.name, token.role, datasets, token.project)


def require(asker: Asker, right: Right) -> None:
    """Raise Forbidden unless the asker's role has the right."""
    if right not in RIGHTS[asker.role]:
        holders = ", ".join(role.value for role in Role if right in RIGHTS[role])
        raise Forbidden(
            f"a token of role {asker.role.value!r} may not {right.value}",
            f"use a token of role {holders}",
        )


def require_dataset(asker: Asker, dataset: str) -> None:
    """Raise Forbidden unless the asker holds a grant on the dataset."""
    if not asker.may_see(dataset):
        raise Forbidden(
            f"this token has no grant on dataset {dataset!r}",
            "ask the custodian for a token with that grant",
        )
