"""Association in-process, charged to the analyst who is named on the command line."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from noisegate.app import Gateway
from noisegate.ask.question import parse_number
from noisegate.client import Answer
from noisegate.gate.access import Asker
from noisegate.genomics.wanted import Wanted

Json = dict[str, Any]
Number = int | float | str | Fraction


class LocalAssociations:
    """The calls of a local door that are about association."""

    _gateway: Gateway
    _analyst: Asker

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
    ) -> Answer:
        """Compare the genotypes of cases and controls, charged to the analyst."""
        asked = _wanted(genotypes, cases, among, variants, top, reference, manifest, epsilon)
        return Answer.from_json(self._gateway.genomes.associations.ask(asked, self._analyst).as_json())

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
        """Price an association for the analyst."""
        asked = _wanted(genotypes, cases, among, variants, top, reference, manifest, epsilon)
        return self._gateway.genomes.associations.explain(asked, self._analyst)


def _wanted(
    genotypes: str,
    cases: str,
    among: str | None,
    variants: Sequence[str] | None,
    top: int | None,
    reference: str | None,
    manifest: str | None,
    epsilon: Number | None,
) -> Wanted:
    return Wanted(
        genotypes=genotypes,
        cases=cases,
        among=among or "",
        variants=tuple(variants or ()),
        top=top or 0,
        reference=reference or "",
        manifest=manifest or "",
        epsilon=epsilon if isinstance(epsilon, Fraction) else parse_number("epsilon", epsilon),
    )
