"""`read`: a question's text becomes a plan, or is refused; nothing of the text goes further.

Not trusted: the plan's own constructors enforce unit-locality, whatever is built here.
"""

from sqlglot import exp

from noisegate.catalog.model import Catalog
from noisegate.errors import NoisegateError, NotAggregate, NotUnitLocal, UnsupportedSql
from noisegate.privacy.after import Output, Plan
from noisegate.privacy.expressions import ColumnRef, NotUnitLocalError, PlanError
from noisegate.sql.env import Answer, Env, with_ctes
from noisegate.sql.nodes import is_star
from noisegate.sql.noisy import Noisy
from noisegate.sql.parse import parse
from noisegate.sql.scope import Context, unit_of
from noisegate.sql.selects import read_query

LONGEST_TITLE = 100  # characters


def read(text: str, catalog: Catalog) -> Plan:
    """Return the plan of a question in SQL.

    Args:
        text: one SELECT, in DuckDB's dialect.
        catalog: what data exists and what is declared of it.

    Raises:
        Refused: the question may not be asked; the code says why, the hint how to mend it.
        BadInput: a constant or a character that is not what it should be.
        TooLarge: longer, deeper or wider than the limits.
    """
    try:
        return plan_of(parse(text), catalog)
    except NoisegateError:
        raise
    except NotUnitLocalError as error:
        raise NotUnitLocal(str(error), "a row may depend on one person's rows only") from error
    except PlanError as error:
        raise UnsupportedSql(str(error), "see the reference of the SQL that can be asked") from error
    except Exception as error:
        raise UnsupportedSql(
            "the question cannot be planned",
            "write it more simply; see the reference of the SQL that can be asked",
        ) from error


def plan_of(tree: exp.Query, catalog: Catalog) -> Plan:
    """Return the plan of a parsed question."""
    columns = list(tree.find_all(exp.Column))
    mentioned = {c.name.casefold() for c in columns}
    mentioned.update(i.name.casefold() for j in tree.find_all(exp.Join) for i in j.args.get("using") or ())
    everything = any(is_star(item) for select in tree.find_all(exp.Select) for item in select.expressions)
    context = Context(catalog, frozenset(mentioned), everything)
    env = Env(context, read_query, {})
    answer = read_query(tree, env)
    _check_unused(tree, env)
    if not isinstance(answer, Noisy):
        raise _lists_rows(answer)
    return Plan(answer.private, answer.estimates, answer.steps, _outputs(answer))


def _lists_rows(answer: Answer) -> NoisegateError:
    if not isinstance(answer, Noisy) and unit_of(answer.rows) is None:
        return UnsupportedSql(
            "the question reads no private table", "public tables are public; join one with a private table"
        )
    return NotAggregate(
        "the question lists rows, a person or more each",
        "ask for an aggregate: SELECT count(*), avg(…) FROM …; per-person rows stand in a sub-query",
    )


def _check_unused(tree: exp.Query, env: Env) -> None:
    """Read the CTEs that nothing reads: they too have to be understood."""
    pending: list[tuple[exp.Expr, Env]] = [(tree, env)]
    while pending:
        node, around = pending.pop()
        within = with_ctes(node, around)
        for name, cte in within.ctes.items():
            if around.ctes.get(name) is not cte:
                if id(cte.query) not in env.context.used:
                    read_query(cte.query, cte.env)
                pending.append((cte.query, cte.env))


def _outputs(answer: Noisy) -> tuple[Output, ...]:
    found: list[Output] = []
    titles: set[str] = set()
    for column in answer.columns:
        name = column.expression.name if isinstance(column.expression, ColumnRef) else ""
        title, again = column.name[:LONGEST_TITLE], 1
        while title in titles:
            again += 1
            title = f"{column.name[:LONGEST_TITLE]}_{again}"
        titles.add(title)
        facts = answer.known.get(name)
        found.append(Output(title, name, facts.measured_in if facts is not None else ""))
    return tuple(found)
