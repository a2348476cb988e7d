"""What a client can ask of published findings: whether a release, or the data themselves, bear them out."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from noisegate.client.numbers import plain
from noisegate.errors import BadInput

PATH = "/v1/genomes/verifications"

Json = dict[str, Any]


class VerificationCalls:
    """The calls of a client that are about published findings; `client.http.Client` is one."""

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: bool = True,
    ) -> Json:
        raise NotImplementedError

    def verify_findings(
        self, findings: Sequence[Mapping[str, object]], *, reference: str, **wanted: object
    ) -> Json:
        """Hold published findings against a release, or against a private answer on the data.

        Args:
            findings: a row of named values each: "variant" and "p" (as text, where its digits were rounded),
                and "direction" (1 or -1), "odds_ratio" or "beta" with "a1" where they were reported.
            reference: a public panel, the controls: `dataset.table`.
            wanted: `release`, its id; or `genotypes`, `cases`, `among`, `manifest` and `epsilon` of a private
                answer, as `associate` takes them, which is charged. Further `test` (chi2, odds, trend or
                allelic), `threshold`, `alpha`, `beta` and `draws`.

        Returns:
            The verdict: docs/reference/http.md says what is in it.

        Raises:
            NoisegateError: what the gateway refused it with, by its class.
            Unreachable: no gateway answered.
        """
        body = verification(findings, reference, wanted)
        return self._send("POST", PATH, body=body)


def verification(
    findings: Sequence[Mapping[str, object]], reference: str, wanted: Mapping[str, object]
) -> Json:
    """Return the body of a verification; numbers as JSON holds them."""
    given = {name: value for name, value in wanted.items() if value is not None}
    epsilon = given.get("epsilon")
    if epsilon is not None:
        if not isinstance(epsilon, int | float | str | Fraction):
            raise BadInput("epsilon must be a number")
        given["epsilon"] = plain("epsilon", epsilon)
    return {"findings": [dict(row) for row in findings], "reference": reference, **given}
