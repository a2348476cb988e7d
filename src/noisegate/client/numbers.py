"""Numbers as a client takes them, and as JSON holds them."""

from fractions import Fraction

from noisegate.errors import BadInput

Number = int | float | str | Fraction


def plain(name: str, value: Number) -> int | float | str:
    """Return a number as JSON holds it; a fraction as the decimal nearest to it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Fraction):
        raise BadInput(f"{name} must be a number")
    return float(value) if isinstance(value, Fraction) else value
