"""What an analyst asks for when they look for association: two groups of people, and which variants."""

from dataclasses import dataclass
from fractions import Fraction

from noisegate.errors import BadInput

MOST_NAMED = 10_000
MOST_TOP = 100
MOST_TEXT = 64 * 1024  # characters
_SHOWN = 12  # variants that are named in the words of a question


@dataclass(frozen=True, slots=True)
class Wanted:
    """An association, as it is asked for.

    Attributes:
        genotypes: whose, `dataset.table`.
        cases: who is a case, in SQL: what follows FROM, or a whole SELECT count(*).
        among: who takes part, likewise; "" for everybody.
        variants: names of variants, 1 to MOST_NAMED; or
        top: how many of the most associated variants are to be found, 1 to MOST_TOP.
        reference: a public panel that fills missing calls, `dataset.table`; "" for none.
        manifest: a public panel whose variants are meant, likewise; "" for the table's own.
        epsilon: ε of the whole answer at the account's δ; None for what the tiers say.
    """

    genotypes: str
    cases: str
    among: str = ""
    variants: tuple[str, ...] = ()
    top: int = 0
    reference: str = ""
    manifest: str = ""
    epsilon: Fraction | None = None

    def __post_init__(self) -> None:
        if not self.cases.strip():
            raise BadInput("nobody says who is a case", "say it in SQL, such as clinic.diagnoses WHERE …")
        if max(len(self.cases), len(self.among)) > MOST_TEXT:
            raise BadInput(f"cases and among have at most {MOST_TEXT:,} characters each")
        if bool(self.variants) == bool(self.top):
            raise BadInput("name variants, or say how many are to be found", "give either variants or top")
        if len(self.variants) > MOST_NAMED:
            raise BadInput(f"at most {MOST_NAMED:,} variants are named at a time", "ask for the top ones")
        if len(set(self.variants)) != len(self.variants):
            raise BadInput("a variant is named twice", "name each once")
        if self.top and not 1 <= self.top <= MOST_TOP:
            raise BadInput(f"between 1 and {MOST_TOP} variants are found at a time")

    @property
    def words(self) -> str:
        """What is asked, in a line; texts as they were sent."""
        group = f"; among {self.among.strip()}" if self.among.strip() else ""
        if self.top:
            which = (
                f"the {self.top} most associated variants" if self.top > 1 else "the most associated variant"
            )
        else:
            more = ", …" if len(self.variants) > _SHOWN else ""
            named = ", ".join(self.variants[:_SHOWN])
            which = f"{len(self.variants):,} variants: {named}{more}" if self.variants[1:] else named
        return f"association of {self.genotypes} with cases {self.cases.strip()}{group}; {which}"
