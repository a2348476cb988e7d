"""What a client can ask of association: which variants differ between two groups of people."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from noisegate.client.answer import Answer
from noisegate.client.numbers import Number, plain

PATH = "/v1/genomes/associations"

Json = dict[str, Any]


class AssociationCalls:
    """The calls of a client that are about association; `client.http.Client` is one."""

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

    def associate(
        self,
        genotypes: str,
        *,
        cases: str,
        among: str | None = None,
        variants: Sequence[str] | None = None,
        top: int | None = None,
        reference: str | None = None,
        manifest: str | None = None,
        epsilon: Number | None = None,
        idempotency_key: str | None = None,
    ) -> Answer:
        """Compare the genotypes of cases and controls: a row a variant, with noise-aware tests.

        Args:
            genotypes: whose, `dataset.table`.
            cases: who is a case: what follows FROM in SQL, or a whole SELECT count(*).
            among: who takes part, likewise; everybody without it.
            variants: which variants, by name; or
            top: how many are to be found, of those that differ most.
            reference: a public panel that fills missing calls, `dataset.table`.
            manifest: a public panel whose variants are meant, likewise.
            epsilon: ε of the whole answer at the account's δ.
            idempotency_key: up to 200 characters; a request repeated with it is charged once.

        Returns:
            An answer as `ask` gives it. `json` also has `people`, `groups`, `looked_at` and `measured`.

        Raises:
            NoisegateError: what the gateway refused it with, by its class.
            Unreachable: no gateway answered.
        """
        key = idempotency_key or uuid.uuid4().hex
        body = association(genotypes, cases, among, variants, top, reference, manifest, epsilon)
        return Answer.from_json(self._send("POST", PATH, body=body, headers={"Idempotency-Key": key}))

    def explain_association(
        self,
        genotypes: str,
        *,
        cases: str,
        among: str | None = None,
        variants: Sequence[str] | None = None,
        top: int | None = None,
        reference: str | None = None,
        manifest: str | None = None,
        epsilon: Number | None = None,
    ) -> Json:
        """Say what an association would do and cost; spends nothing. Arguments as of `associate`."""
        body = association(genotypes, cases, among, variants, top, reference, manifest, epsilon)
        return self._send("POST", f"{PATH}/explain", body=body)


def association(
    genotypes: str,
    cases: str,
    among: str | None,
    variants: Sequence[str] | None,
    top: int | None,
    reference: str | None,
    manifest: str | None,
    epsilon: Number | None,
) -> Json:
    """Return the body of an association."""
    body = {
        "genotypes": genotypes,
        "cases": cases,
        "among": among,
        "variants": None if variants is None else list(variants),
        "top": top,
        "reference": reference,
        "manifest": manifest,
        "epsilon": None if epsilon is None else plain("epsilon", epsilon),
    }
    return {name: value for name, value in body.items() if value is not None}
