"""Small questions asked of sqlglot's syntax tree, and the one way to refuse a part of it.

A clause that a reader does not know must not be passed over in silence, so every reader names the
arguments of a node that it reads (`only`), and whatever else the node carries is refused.
"""

from collections.abc import Iterator

from sqlglot import ErrorLevel, exp

from noisegate.errors import UnsupportedSql

SHOWN = 60  # longest piece of the question quoted in a message, in characters


def written(node: exp.Expr) -> str:
    """Return the text of a node, in one spelling and without comments."""
    return node.sql(dialect="duckdb", comments=False, unsupported_level=ErrorLevel.IGNORE)


def shown(node: exp.Expr) -> str:
    """Return the text of a node, shortened, for a message or a title."""
    text = written(node)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def refusal(what: str, hint: str = "") -> UnsupportedSql:
    """Return the error that says what is not supported, and the way out."""
    return UnsupportedSql(f"{what} is not supported", hint)


def only(node: exp.Expr, *known: str) -> None:
    """Refuse the node if it carries an argument that its reader does not know.

    >>> from sqlglot import parse_one
    >>> only(parse_one("SELECT 1"), "expressions")
    """
    for name, value in node.args.items():
        if value and name not in known:
            raise refusal(f"{name.rstrip('_').replace('_', ' ').upper()} in {shown(node)}", "leave it out")


def need(node: exp.Expr, name: str) -> exp.Expr:
    """Return an argument of a node, or refuse the node if it has none: the parser does not count them."""
    found = node.args.get(name)
    if not isinstance(found, exp.Expr):
        raise refusal(f"{shown(node)} without its arguments")
    return found


def bare(node: exp.Expr) -> exp.Expr:
    """Return the node inside any parentheses."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def chain(node: exp.Expr, kind: type[exp.Expr]) -> list[exp.Expr]:
    """Return the operands of a chain such as a AND b AND c, left to right, without recursion."""
    found: list[exp.Expr] = []
    pending = [node]
    while pending:
        current = bare(pending.pop())
        if type(current) is kind:
            pending.append(need(current, "expression"))
            pending.append(need(current, "this"))
        else:
            found.append(current)
    return found


def conjuncts(node: exp.Expr | None) -> list[exp.Expr]:
    """Return the conditions that all have to hold; none where there is no condition."""
    return [] if node is None else chain(node, exp.And)


def inside(node: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the node and all below it, but nothing inside a sub-query or a window."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        if not isinstance(current, exp.Query | exp.Window):
            pending.extend(current.iter_expressions())


def name_of(node: exp.Expr | None) -> str:
    """Return the text of an identifier, empty for none."""
    return node.name if isinstance(node, exp.Expr) else ""


def text_of(node: exp.Expr, name: str) -> str:
    """Return a plain-text argument such as a join's side, in capitals; empty for none."""
    value = node.args.get(name)
    return str(value).upper() if value else ""


def is_star(node: exp.Expr) -> bool:
    """Whether a select item stands for all columns (of one table)."""
    return isinstance(node, exp.Star) or (isinstance(node, exp.Column) and isinstance(node.this, exp.Star))
