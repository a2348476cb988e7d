"""Verification of published findings, for everybody in front of the gateway.

A verdict is made of a release that the asker may have, or of a private answer that was charged to them, and
of a public panel: it costs nothing more. What reads genotypes is loaded when it is first needed.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from noisegate.app.association_answers import AssociationAnswer
from noisegate.app.associations import Associations
from noisegate.app.genome_names import Names, recipe_of
from noisegate.errors import BadInput, RestrictedColumn
from noisegate.gate.access import Asker, Right, require
from noisegate.genomics.check import Check
from noisegate.genomics.releases import Release, Shelf
from noisegate.genomics.wanted import MOST_NAMED, Wanted
from noisegate.genotypes.extra import genome_libraries

if TYPE_CHECKING:
    from noisegate.genomics.verifying.evidence import Evidence

Json = dict[str, object]
Told = Callable[[int, int], None]


def _silent(_done: int, _of: int) -> None:
    """Tell nobody."""


class Verifications:
    """All that can be asked of findings. Thread-safe."""

    def __init__(
        self,
        names: Names,
        shelf: Shelf,
        find: Callable[[Asker, str], Release],
        associations: Associations,
    ) -> None:
        """Take what finds panels and releases that an asker may know of, and what answers privately."""
        self._names = names
        self._shelf = shelf
        self._find = find
        self._associations = associations

    def verify(self, check: Check, asker: Asker, told: Told = _silent) -> Json:
        """Return the verdict on some findings, as `verifying.verdict.Verdict.as_json` has it.

        A private answer is asked as any other: charged, unless it is there already.

        Raises:
            NotFound: the asker may not know of the release or the panel.
            Forbidden: they may not have it, or the panel is not public.
            BadInput: the findings cannot be read, or none is of a variant that is there.
        """
        require(asker, Right.DOWNLOAD_RELEASES if check.release else Right.ASK)
        with genome_libraries():
            from noisegate.genomics.verifying.findings import findings_of
            from noisegate.genomics.verifying.verdict import verify

            findings = findings_of(check.findings)
            reference = self._names.store(self._names.public(asker, check.reference))
            evidence = self._released(check, asker) if check.release else self._answered(check, asker)
            return verify(
                findings,
                evidence,
                reference,
                test=check.test,
                threshold=check.threshold,
                alpha=check.alpha,
                beta=check.beta,
                draws=check.draws,
                told=told,
            ).as_json()

    def slot_ms(self, check: Check, asker: Asker) -> int:
        """Return before how many milliseconds a fresh private answer does not leave, from public facts."""
        return self._associations.slot_ms(self.wanted(check), asker)

    def ask(self, check: Check, asker: Asker, idempotency_key: str | None = None) -> AssociationAnswer:
        """Return the private answer that findings are held against, charged unless it is there already.

        What would refuse a verdict whatever the answer refuses it here, at no cost.

        Raises:
            NotFound: the asker may not know of the genotypes or of the panel.
            Forbidden: they may not ask, or the panel is not public.
            BadInput: none of the findings is of a variant that both have.
            TooLarge: there are too many findings for so many draws.
        """
        wanted = self.wanted(check)
        try:
            genotypes = self._associations.prepare(wanted, asker).proposal.genotypes
        except RestrictedColumn:  # refused, and counted, where it is asked
            return self._associations.ask(wanted, asker, idempotency_key)
        with genome_libraries():
            from noisegate.genomics.verifying.findings import findings_of
            from noisegate.genomics.verifying.statistic import Test
            from noisegate.genomics.verifying.verdict import judgeable

            judgeable(
                findings_of(check.findings),
                genotypes.source.variants.take(genotypes.places(sorted(wanted.variants))),
                self._names.store(self._names.public(asker, check.reference)),
                test=Test(check.test),
                draws=check.draws,
            )
        return self._associations.ask(wanted, asker, idempotency_key)

    def wanted(self, check: Check) -> Wanted:
        """Return the association that a private answer to findings is: of the variants that are significant.

        Raises:
            BadInput: the findings cannot be read, there are too many, or it names variants of its own.
        """
        assert check.association is not None  # noqa: S101 -- the caller asks for a private answer
        with genome_libraries():
            from noisegate.genomics.association import LEVEL
            from noisegate.genomics.verifying.findings import findings_of

            found = findings_of(check.findings)
        reported = zip(found.variants, (found.p < LEVEL).tolist(), strict=True)
        variants = tuple(variant for variant, significant in reported if significant)
        if not variants:
            raise BadInput(f"no p-value is below {LEVEL:g}, so nothing was found that could be verified")
        if len(variants) > MOST_NAMED:
            raise BadInput(
                f"a private answer is of at most {MOST_NAMED:,} variants, and there are {len(variants):,}",
                "verify the most significant findings alone",
            )
        return replace(check.association, variants=variants, top=0)

    def _released(self, check: Check, asker: Asker) -> "Evidence":
        """Return a release that the asker may have, with its law worked out anew."""
        from noisegate.genomics.verifying.evidence import of_proposal

        found = self._find(asker, check.release)
        return of_proposal(self._names.propose(asker, recipe_of(found)), self._shelf.place(found.id))

    def _answered(self, check: Check, asker: Asker) -> "Evidence":
        """Return noisy tables of cases and controls, asked now or before."""
        from noisegate.genomics.verifying.evidence import of_tables

        answer = self.ask(check, asker)
        proposal, measured = answer.proposal, answer.counted.measured
        return of_tables(
            measured.tables,
            proposal.genotypes.source.variants.take(measured.places),
            sizes=measured.sizes,
            everybody=proposal.cohort.everybody,
            said={
                "kind": "association",
                "law": "; ".join(proposal.mechanisms),
                "epsilon": answer.epsilon,
                "delta": answer.delta,
                "restored": "",
                "guarantee": "bounds what is told of a person, their group included",
                "receipt": answer.counted.receipt.id,
            },
        )
