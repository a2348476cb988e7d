"""An association's answer as it leaves: a row a variant, made of noisy counts alone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from noisegate.ask.answer import Answer, AnswerColumn, BudgetLine, Estimated
from noisegate.ask.interval import Interval
from noisegate.ask.surcharge import Surcharge
from noisegate.privacy.expressions import Scalar

if TYPE_CHECKING:
    from noisegate.genomics.associate import Counted, Proposal
    from noisegate.genomics.significance import Evaluated

Json = dict[str, object]
Row = tuple[Estimated | Scalar, ...]
CONTROLS, CASES = 0, 1

# Plain values first, which tell the variant and its tests; those with an interval are shares and ratios.
COLUMNS = (
    AnswerColumn("variant", "str", "", is_key=True),
    AnswerColumn("chromosome", "str", "", is_key=True),
    AnswerColumn("position", "int", "", is_key=True),
    AnswerColumn("counted", "str", "", is_key=True),
    AnswerColumn("other", "str", "", is_key=True),
    AnswerColumn("cases", "float", "", is_key=False),
    AnswerColumn("controls", "float", "", is_key=False),
    AnswerColumn("odds_ratio", "float", "", is_key=False),
    AnswerColumn("chi2", "float", "", is_key=True),
    AnswerColumn("p", "float", "", is_key=True),
    AnswerColumn("p_genotypic", "float", "", is_key=True),
    AnswerColumn("p_adjusted", "float", "", is_key=True),
)


@dataclass(frozen=True, slots=True, eq=False)
class AssociationAnswer:
    """What was counted with noise, what it costs, and what it tells."""

    proposal: "Proposal"
    counted: "Counted"
    nominal: float
    epsilon: float
    delta: float
    added: Surcharge
    notes: tuple[str, ...]
    budget: BudgetLine

    @property
    def replayed(self) -> bool:
        """Whether the answer was there already, at no cost."""
        return self.counted.replayed

    @property
    def waited(self) -> bool:
        """Whether it waited for a twin's work."""
        return self.counted.waited

    def as_json(self) -> Json:
        """Return JSON values only: what /v1/ask says of an answer, and what is said of associations alone."""
        found = self._evaluated()
        answer = Answer(
            columns=COLUMNS,
            rows=self._rows(found),
            nominal=self.nominal,
            epsilon=self.epsilon,
            delta=self.delta,
            factor=float(self.added.factor.value),
            surcharge=float(self.added.epsilon),
            mechanisms=self.proposal.mechanisms,
            clamping=(),
            notes=self.notes,
            budget=self.budget,
            replayed=self.counted.replayed,
            receipt_id=self.counted.receipt.id,
            receipt_hash=self.counted.receipt.hash,
        )
        return {
            **answer.as_json(),
            "people": self.proposal.people,
            "groups": {"controls": _size(found, CONTROLS), "cases": _size(found, CASES)},
            "looked_at": self.counted.measured.looked_at,
            "measured": {
                **self.counted.measured.as_json(),
                "law": self.proposal.mechanism.as_json(),
            },
        }

    def _evaluated(self) -> "Evaluated":
        from noisegate.genomics.significance import evaluate

        measured = self.counted.measured
        return evaluate(measured.tables, sizes=measured.sizes, everybody=self.proposal.cohort.everybody)

    def _rows(self, found: "Evaluated") -> tuple[Row, ...]:
        """Return a row a variant: in the order in which they were named, or found."""
        from noisegate.genomics.significance import adjusted

        measured, source = self.counted.measured, self.proposal.genotypes.source
        variants = source.variants.take(measured.places)
        adjust = adjusted(found.p_trend, measured.looked_at)
        genotypes, wanted = self.proposal.genotypes, self.proposal.wanted
        names = genotypes.names(measured.places)
        rows = [
            (
                name,
                chrom,
                pos,
                alt,
                ref,
                _frequency(found, i, CASES),
                _frequency(found, i, CONTROLS),
                Estimated(float(found.odds_ratio[i]), Interval(float(found.low[i]), float(found.high[i]))),
                float(found.chi2_trend[i]),
                float(found.p_trend[i]),
                float(found.p_genotypic[i]),
                float(adjust[i]),
            )
            for i, (name, (chrom, pos, _, ref, alt)) in enumerate(zip(names, variants.rows(), strict=True))
        ]
        if wanted.top:
            return tuple(rows)
        row_of = dict(zip(measured.places.tolist(), rows, strict=True))
        return tuple(row_of[place] for place in genotypes.places(wanted.variants).tolist())


def _frequency(found: "Evaluated", variant: int, group: int) -> Estimated:
    low, high = found.frequency_low[variant, group], found.frequency_high[variant, group]
    return Estimated(float(found.frequency[variant, group]), Interval(float(low), float(high)))


def _size(found: "Evaluated", group: int) -> Json:
    low, high = float(found.size_low[group]), float(found.size_high[group])
    return {"value": float(found.sizes[group]), "low": low, "high": high}
