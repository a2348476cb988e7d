"""Syntax to expressions: the row-wise words of a question, typed as they are read.

The dispatch table in `functions.py` is a closed allow-list: what is not in it is refused. Columns,
aggregates, windows and sub-queries mean different things at different places of a question, so the
caller says how they are read.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from noisegate.errors import BadInput
from noisegate.privacy.expressions import Expression, Type
from noisegate.sql.aggregates import is_aggregate
from noisegate.sql.functions import READERS
from noisegate.sql.nodes import bare, is_star, refusal, shown

Special = Callable[[exp.Expr], Expression]


@dataclass(frozen=True, slots=True)
class Reading:
    """How names and special nodes are read at one place of a question."""

    column: Callable[[exp.Column], Expression]
    aggregate: Special
    window: Special
    subquery: Special


def no_aggregate(node: exp.Expr) -> Expression:
    """Refuse an aggregate where rows are read."""
    raise refusal(f"the aggregate {shown(node)} here", "aggregates stand in SELECT, HAVING or ORDER BY")


def no_window(node: exp.Expr) -> Expression:
    """Refuse a window where none can be computed."""
    raise refusal(
        f"the window {shown(node)} here",
        "compute it in a sub-query, with PARTITION BY the person, and use its column",
    )


def no_subquery(node: exp.Expr) -> Expression:
    """Refuse a sub-query where none can be planned."""
    raise refusal(f"a sub-query in {shown(node)}", "join it, or use IN or EXISTS in WHERE")


def translate(node: exp.Expr, reading: Reading) -> Expression:
    """Return the expression that a node of syntax stands for.

    Raises:
        UnsupportedSql: a word that is not known.
        BadInput: constants that do not fit their columns.
    """
    node = bare(node)
    if isinstance(node, exp.Column):
        if is_star(node):
            raise refusal("* here", "name the columns")
        return reading.column(node)
    if isinstance(node, exp.Window):
        return reading.window(node)
    if is_aggregate(node):
        return reading.aggregate(node)
    if isinstance(node, exp.Exists | exp.Query) or (isinstance(node, exp.In) and node.args.get("query")):
        return reading.subquery(node)
    reader = READERS.get(type(node))
    if reader is None:
        raise refusal(shown(node), "it is not among the functions that can be planned privately")
    return reader(node, lambda inner: translate(inner, reading))


def translate_condition(node: exp.Expr, reading: Reading) -> Expression:
    """Return a condition, true or false for each row.

    Raises:
        BadInput: it is not one.
    """
    found = translate(node, reading)
    if found.type is not Type.BOOL:
        raise BadInput(f"{shown(node)} is not a condition", "compare it with something")
    return found
