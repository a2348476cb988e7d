"""SELECT … GROUP BY over everyone: where the private part of a question ends and the noise begins."""

from collections.abc import Mapping
from dataclasses import replace

from sqlglot import exp

from noisegate.errors import NotAggregate
from noisegate.privacy.expressions import ColumnRef, Expression, columns_of
from noisegate.privacy.question import Aggregation, Key, reads
from noisegate.sql.after import (
    Ending,
    distinct_of,
    finish,
    having_of,
    item_name,
    item_value,
    limit_of,
    sort_keys,
)
from noisegate.sql.bounding import bounding_of
from noisegate.sql.canonical import canonical, key_text
from noisegate.sql.domains import domain_of
from noisegate.sql.env import Env
from noisegate.sql.expressions import Reading, no_aggregate, no_window, translate
from noisegate.sql.facts import Facts
from noisegate.sql.intervals import facts_of
from noisegate.sql.matchings import flag
from noisegate.sql.measures import Measures
from noisegate.sql.noisy import Noisy
from noisegate.sql.scope import Rows, Scope, Visible, substitute
from noisegate.sql.tidy import tidy


def read_groups(select: exp.Select, scope: Scope, keys: list[Expression], env: Env) -> Noisy:
    """Return the noisy answers of a SELECT with aggregates over private rows.

    Raises:
        NotAggregate: no aggregate, or a column that is neither grouped by nor aggregated.
        TooLarge: more groups than can be answered.
    """
    plain = Reading(scope.resolve, no_aggregate, no_window, lambda node: flag(scope, node, env))
    measures = Measures(scope, plain)
    reading = replace(plain, aggregate=measures.add)
    items = []
    for node in select.expressions:
        value = translate(item_value(node), reading)
        items.append(Visible(item_name(node), value))
        if isinstance(node, exp.Alias):
            scope.aliases[node.alias.casefold()] = value
    having = having_of(select, items, reading)
    order = sort_keys(select, items, lambda n: translate(n, reading))
    if not measures.wanted:
        raise NotAggregate("a GROUP BY without an aggregate lists rows", "add COUNT(*) or another aggregate")
    named = _keys(keys, scope.rows)
    taken, estimates, known = measures.settle(private_keys=any(k.domain is None for k, _ in named))
    private = _aggregation(scope.rows, tuple(k for k, _ in named), taken)
    refs: dict[Expression, Expression] = {old: ColumnRef(k.name, k.expression.type) for k, old in named}
    own = {k.name for k, _ in named} | {e.name for e in estimates}
    about: dict[str, Facts] = {**{k.name: facts_of(old, scope.rows.known) for k, old in named}, **known}
    ending = Ending(
        _after(having, refs, own) if having is not None else None,
        tuple((_after(e, refs, own), descending, first) for e, descending, first in order),
        distinct_of(select),
        limit_of(select),
    )
    shown_items = [Visible(i.name, _after(i.expression, refs, own)) for i in items]
    steps, columns, about_columns = finish(shown_items, ending, about, env.context)
    return Noisy(private, estimates, steps, columns, about_columns)


def _keys(expressions: list[Expression], rows: Rows) -> list[tuple[Key, Expression]]:
    """Return the keys in their one order, each beside the expression as it was written."""
    found = [(Key("", canonical(e), domain_of(e, rows.known)), e) for e in expressions]
    found.sort(key=lambda pair: key_text(pair[0]))
    return [(replace(key, name=f"k{i}"), old) for i, (key, old) in enumerate(found)]


def _aggregation(rows: Rows, keys: tuple[Key, ...], measures: tuple[object, ...]) -> Aggregation:
    bounding = bounding_of(rows, keys)
    whole = Aggregation(rows.relation, keys, measures, bounding)  # type: ignore[arg-type]
    return replace(whole, source=tidy(rows.relation, reads(whole)))


def _after(expression: Expression, keys: Mapping[Expression, Expression], own: set[str]) -> Expression:
    found = substitute(expression, keys)
    for ref in columns_of(found):
        if ref.name not in own:
            column = ref.name.partition(".")[2]
            raise NotAggregate(
                f"column {column!r} is neither grouped by nor inside an aggregate, so rows would be listed",
                "put it in GROUP BY, or take an aggregate of it",
            )
    return found
