"""What a query is read within: the context of the question, the CTEs in sight, and the reader of queries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from noisegate.sql.nodes import name_of, only, refusal
from noisegate.sql.noisy import Noisy
from noisegate.sql.scope import Context, RowTable

Answer = RowTable | Noisy


@dataclass(frozen=True, slots=True)
class Env:
    """See the module. `read` reads any query below; it is passed down so that readers need not import it."""

    context: Context
    read: "Callable[[exp.Expr, Env], Answer]"
    ctes: "Mapping[str, Cte]"


@dataclass(frozen=True, slots=True)
class Cte:
    """A named query, read anew wherever it is named, within what was in sight where it was written."""

    query: exp.Expr
    columns: tuple[str, ...]
    env: Env


def with_ctes(node: exp.Expr, env: Env) -> Env:
    """Return what is in sight within a query that has these CTEs before it."""
    clause = node.args.get("with_")
    if clause is None:
        return env
    only(clause, "expressions")
    for cte in clause.expressions:
        only(cte, "this", "alias", "materialized")
        alias = cte.args["alias"]
        only(alias, "this", "columns")
        if not isinstance(cte.this, exp.Query):
            raise refusal("a WITH that is not a SELECT")
        names = tuple(c.name for c in alias.args.get("columns") or ())
        env = replace(env, ctes={**env.ctes, name_of(alias.this).casefold(): Cte(cte.this, names, env)})
    return env
