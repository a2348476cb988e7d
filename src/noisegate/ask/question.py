"""What a researcher asks: SQL, and how much it may cost or how exact it must be."""

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from noisegate.errors import BadInput

MAX_EPSILON = Fraction(1000)
# Whatever a question might tell beside its answer (TRUST.md), an account admits only so many questions.
MIN_EPSILON = Fraction(1, 1000)


@dataclass(frozen=True, slots=True)
class Question:
    """A question as asked.

    `epsilon` is the nominal ε to spend; `within` the half-width of the 95 % interval to reach, in the
    unit of the answer. At most one of them; with neither the tiers of the columns set ε.
    """

    sql: str
    epsilon: Fraction | None = None
    within: Fraction | None = None

    def __post_init__(self) -> None:
        if self.epsilon is not None and self.within is not None:
            raise BadInput("give either epsilon or within, not both")
        if self.epsilon is not None and not MIN_EPSILON <= self.epsilon <= MAX_EPSILON:
            raise BadInput(f"epsilon must be at least {float(MIN_EPSILON):g} and at most {MAX_EPSILON}")
        if self.within is not None and self.within <= 0:
            raise BadInput("within must be above 0: it is a half-width in the unit of the answer")


def parse_number(name: str, text: str | float | None) -> Fraction | None:
    """Return a number given as text or JSON as an exact fraction, None for None.

    Raises:
        BadInput: not a finite decimal number of moderate size.

    >>> parse_number("epsilon", "0.1")
    Fraction(1, 10)
    """
    if text is None:
        return None
    shown = str(text)
    if isinstance(text, bool) or len(shown) > 40:
        raise BadInput(f"{name} must be a number")
    try:
        value = Decimal(shown)
    except InvalidOperation:
        raise BadInput(f"{name} must be a number, such as 0.5") from None
    # Judged by its exponent: as a fraction, 1e-999999999 would fill the memory first.
    if not value.is_finite() or value.adjusted() > 18 or int(value.as_tuple().exponent) < -30:
        raise BadInput(f"{name} must be a number of moderate size")
    return Fraction(value)
