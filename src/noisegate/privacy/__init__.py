"""The trusted core: plan words, sensitivity, noise, loss and filter, with no input or output.

The functions below answer one question about a list, an array or a column, one value a person, without
any server: `noisegate.privacy.mean(ages, low=0, high=100, epsilon=1)`. They are loaded when first used,
so that reading a catalog does not load the samplers.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noisegate.privacy.library import (
        Result,
        count,
        maximum,
        mean,
        median,
        minimum,
        quantile,
        standard_deviation,
        sum,  # noqa: A004 -- the name SQL and everybody has for it
        variance,
    )

__all__ = [
    "Result",
    "count",
    "maximum",
    "mean",
    "median",
    "minimum",
    "quantile",
    "standard_deviation",
    "sum",
    "variance",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from noisegate.privacy import library

    return getattr(library, name)
