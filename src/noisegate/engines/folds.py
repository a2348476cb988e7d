"""Folds of one unit's rows written down for DuckDB. TRUSTED.

A fold is one or two engine aggregates over columns, and a finish over those. Sums are of integers, so
they do not depend on the order of rows, nor on how the engine splits them among threads.
"""

from collections.abc import Callable
from typing import assert_never

from noisegate.engines.expressions import cleaned
from noisegate.engines.grids import multiplied, saturated, steps
from noisegate.privacy.expressions import Expression, Type
from noisegate.privacy.relations import Fold, Order, UnitFold

Take = Callable[[Expression], str]


def aggregates(fold: UnitFold, take: Take) -> tuple[str, ...]:
    """Return the engine's aggregates that a fold is made of.

    Args:
        fold: the fold.
        take: gives the short text that stands for an expression in the relation that is aggregated.
    """
    among = "" if fold.where is None else f" FILTER (WHERE {take(fold.where)})"
    if fold.value is None:
        return (f"count(*){among}",)
    value = take(fold.value)
    match fold.fold:
        case Fold.COUNT_ROWS | Fold.COUNT:
            return (f"count({value}){among}",)
        case Fold.COUNT_DISTINCT:
            return (f"count(DISTINCT {value}){among}",)
        case Fold.SUM | Fold.MEAN:
            summed = value if fold.grid is None else steps(value, fold.value.type, fold.grid)
            total = f"sum({summed}){among}"
            return (total,) if fold.fold is Fold.SUM else (total, f"count({value}){among}")
        case Fold.MIN | Fold.MAX:
            return (f"{fold.fold.value}({value}){among}",)
        case Fold.ANY_TRUE:
            return (f"bool_or({value}){among}",)
        case Fold.ALL_TRUE:
            return (f"bool_and({value}){among}",)
        case Fold.FIRST | Fold.LAST:
            # With the value as the last key the order is total over what is selected.
            keys = ", ".join([*(sorted_by(o, take) for o in fold.order), f"{value} NULLS LAST"])
            return (f"{fold.fold.value}({value} ORDER BY {keys}){among}",)
        case _:
            assert_never(fold.fold)


def finished(fold: UnitFold, totals: tuple[str, ...]) -> str:
    """Return the fold's value, of its own type, from the columns that hold its aggregates."""
    total = totals[0]
    if fold.fold is Fold.SUM:
        if fold.grid is None:
            return saturated(total)
        result = multiplied(f"CAST({total} AS DOUBLE)", fold.grid.step)
        return cleaned(result) if fold.type is Type.FLOAT else f"TRY_CAST(round({result}) AS BIGINT)"
    if fold.fold is Fold.MEAN:
        mean = f"(CAST({total} AS DOUBLE) / CAST({totals[1]} AS DOUBLE))"
        return cleaned(mean if fold.grid is None else multiplied(mean, fold.grid.step))
    return total


def sorted_by(order: Order, take: Take) -> str:
    """Return a sort key. NULLs come last, whatever the direction."""
    return f"{take(order.expression)}{' DESC' if order.descending else ''} NULLS LAST"
