"""Verification of published findings in-process; a private answer is charged to the analyst who is named."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from noisegate.app import Gateway
from noisegate.ask.question import parse_number
from noisegate.errors import BadInput
from noisegate.gate.access import Asker
from noisegate.genomics.check import OF_FINDINGS, Check
from noisegate.genomics.wanted import Wanted

Json = dict[str, Any]
GROUPS = ("genotypes", "cases", "among", "manifest", "epsilon")


class LocalVerifications:
    """The call of a local door that is about published findings."""

    _gateway: Gateway
    _operator: Asker
    _analyst: Asker

    def verify_findings(
        self, findings: Sequence[Mapping[str, object]], *, reference: str, **wanted: object
    ) -> Json:
        """Hold published findings against a release, or against a private answer, which is charged."""
        check = check_of(findings, reference, wanted)
        asker = self._operator if check.association is None else self._analyst
        return self._gateway.genomes.verifications.verify(check, asker)


def check_of(findings: Sequence[Mapping[str, object]], reference: str, wanted: Mapping[str, object]) -> Check:
    """Return a verification from what a command was given; what is None was not.

    Raises:
        BadInput: something is given that there is not.
    """
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    private = {name: given.pop(name) for name in GROUPS if name in given}
    try:
        association = None
        if private:
            epsilon = private.pop("epsilon", None)
            association = Wanted(
                **private,
                variants=OF_FINDINGS,
                reference=reference,
                epsilon=epsilon if isinstance(epsilon, Fraction) else parse_number("epsilon", epsilon),
            )
        return Check(tuple(findings), reference, association=association, **given)
    except TypeError as wrong:
        raise BadInput(
            f"findings cannot be verified so: {wrong}", "see `noisegate genomes verify --help`"
        ) from None
