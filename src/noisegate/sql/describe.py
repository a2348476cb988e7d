"""`describe`: a plan in plain words, one line a step, for `explain` and for golden files."""

from collections import Counter
from typing import assert_never

from noisegate.catalog.model import Catalog
from noisegate.privacy.after import Compute, Fold, Keep, Limit, Plan, Sort, Step, Unique
from noisegate.privacy.expressions import Expression
from noisegate.privacy.question import Aggregation, Key
from noisegate.privacy.relations import (
    Distinct,
    Filter,
    GroupWithinUnit,
    JoinKind,
    JoinOnUnit,
    JoinPublic,
    Matching,
    Project,
    Relation,
    Scan,
    Union,
    WindowWithinUnit,
    scans,
)
from noisegate.sql.words import (
    Names,
    estimate_words,
    fold_words,
    measure_words,
    scalar,
    where_words,
    window_words,
    words,
)

_MOST_VALUES = 12  # values of a domain that are written out


def describe(plan: Plan, catalog: Catalog) -> list[str]:
    """Return the plan in plain words, one line a step.

    Args:
        plan: what is asked.
        catalog: names the person's column and what is declared of it.
    """
    private = plan.private
    names = _names(private)
    lines = _relation(private.source, names, catalog)
    lines += [_key(key, names) for key in private.keys]
    lines += [f"measure {i + 1}: {measure_words(m, names)}" for i, m in enumerate(private.measures)]
    lines.append(_bounding(private))
    answers = {k.name: words(k.expression, names) for k in private.keys}
    answers |= {e.name: estimate_words(e.estimate) for e in plan.estimates}
    for step in plan.steps:
        line, answers = _step(step, answers)
        lines.append(line)
    for output in plan.outputs:
        measured = f", in {output.measured_in}" if output.measured_in else ""
        lines.append(f"shows {output.title}: {answers.get(output.column, output.column)}{measured}")
    return lines


def _names(private: Aggregation) -> dict[str, str]:
    """Return column names as people know them; a table that is read twice is numbered."""
    found: dict[str, str] = {}
    times: Counter[str] = Counter()
    tables = scans(private.source)
    for scan in tables:
        times[scan.table] += 1
        number = f"#{times[scan.table]}" if times[scan.table] > 1 else ""
        prefix = f"{scan.table}{number}." if len(tables) > 1 else ""
        found |= {c.name: f"{prefix}{c.source}" for c in scan.columns}
    for name, key in _keys_within(private.source):
        found[name] = words(key, found)
    return found


def _keys_within(relation: Relation) -> list[tuple[str, Expression]]:
    """Return the keys of per-person groups, which are called what they are; inner ones first."""
    match relation:
        case Scan():
            return []
        case JoinOnUnit() | JoinPublic() | Matching():
            return _keys_within(relation.left) + _keys_within(relation.right)
        case Union(parts=parts):
            return [key for part in parts for key in _keys_within(part)]
        case GroupWithinUnit(source=source, keys=keys):
            return _keys_within(source) + list(keys)
        case Filter() | Project() | WindowWithinUnit() | Distinct():
            return _keys_within(relation.source)
        case _:
            assert_never(relation)


def _relation(relation: Relation, names: Names, catalog: Catalog) -> list[str]:
    match relation:
        case Scan():
            return [_scan(relation, catalog)]
        case Filter(source=source, condition=condition):
            return [*_relation(source, names, catalog), f"keeps rows where {words(condition, names)}"]
        case Project(source=source, outputs=outputs):
            made = [
                f"computes {n} = {words(e, names)}" for n, e in outputs if words(e, names) != names.get(n, n)
            ]
            return [*_relation(source, names, catalog), *made]
        case JoinOnUnit() | JoinPublic():
            return _join(relation, names, catalog)
        case Matching(left=left, right=right, anti=anti, condition=condition):
            same = " of the same person" if right.shape.unit is not None else ""
            which = "has none" if anti else "has some"
            where = where_words(condition, names)
            return [
                *_relation(left, names, catalog),
                f"keeps rows for which the following {which}{same}{where}:",
                *_inset(_relation(right, names, catalog)),
            ]
        case GroupWithinUnit(source=source, keys=keys, folds=folds):
            per = "".join(f" and {words(k, names)}" for _, k in keys)
            made = [f"  computes {n} = {fold_words(f, names)}" for n, f in folds]
            return [*_relation(source, names, catalog), f"makes one row for each person{per}", *made]
        case WindowWithinUnit(source=source, windows=windows):
            made = [f"computes {n} = {window_words(w, names)}" for n, w in windows]
            return [*_relation(source, names, catalog), *made]
        case Union(parts=parts):
            lines = ["puts together the rows of:"]
            for part in parts:
                lines += _inset(["part", *_inset(_relation(part, names, catalog))])
            return lines
        case Distinct(source=source):
            return [*_relation(source, names, catalog), "keeps each different row once"]
        case _:
            assert_never(relation)


def _scan(scan: Scan, catalog: Catalog) -> str:
    columns = ", ".join(c.source for c in scan.columns[:_MOST_VALUES])
    more = ", …" if len(scan.columns) > _MOST_VALUES else ""
    dataset = catalog.dataset(scan.dataset)
    table = dataset.table(scan.table) if dataset is not None else None
    if scan.unit is None:
        kind = "public"
    elif scan.single:
        kind = "one row a person"
    else:
        kind = (
            f"at most {table.rows_per_unit} rows a person count" if table is not None else "rows of persons"
        )
    return f"reads {scan.dataset}.{scan.table} ({kind}): {columns}{more}"


def _join(join: JoinOnUnit | JoinPublic, names: Names, catalog: Catalog) -> list[str]:
    link = "on the person" if isinstance(join, JoinOnUnit) else "with a public table"
    kept = ", keeping rows without a match" if join.kind is JoinKind.LEFT else ""
    where = where_words(join.condition, names)
    return [
        *_relation(join.left, names, catalog),
        f"joins {link}{where}{kept}:",
        *_inset(_relation(join.right, names, catalog)),
    ]


def _inset(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _key(key: Key, names: Names) -> str:
    text = f"groups by {words(key.expression, names)}"
    if key.domain is None:
        return f"{text}, whose values are private: only groups of enough persons show"
    if len(key.domain) > _MOST_VALUES:
        return f"{text}: {len(key.domain)} public values, {scalar(key.domain[0])} .. {scalar(key.domain[-1])}"
    return f"{text}: {', '.join(scalar(v) for v in key.domain)}"


def _bounding(private: Aggregation) -> str:
    bounding = private.bounding
    rows = "one row" if bounding.rows == 1 else f"at most {bounding.rows} rows"
    if not private.keys:
        return f"each person counts with {rows}"
    if bounding.groups == 1:
        return f"each person counts with {rows} in one group"
    if bounding.total == bounding.rows:
        return f"each person counts with {rows} in all, in at most {bounding.groups} groups"
    in_all = f", {bounding.total} in all" if bounding.shared else ""
    return f"each person counts with {rows} in each of at most {bounding.groups} groups{in_all}"


def _step(step: Step, answers: dict[str, str]) -> tuple[str, dict[str, str]]:
    match step:
        case Compute(outputs=outputs):
            made = {n: words(e, answers) for n, e in outputs}
            return "then computes " + ", ".join(made.values()), made
        case Keep(condition=condition):
            return f"then keeps answers where {words(condition, answers)}", answers
        case Fold(keys=keys, folds=folds):
            grouped = {n: words(e, answers) for n, e in keys}
            made = {
                n: f"{fold.value} of {words(value, answers) if value is not None else 'answers'}"
                for n, fold, value in folds
            }
            by = f" by {', '.join(grouped.values())}" if grouped else ""
            return f"then folds answers{by}: {', '.join(made.values()) or 'each once'}", grouped | made
        case Sort(keys=keys):
            texts = [words(e, answers) + (" descending" if down else "") for e, down, _ in keys]
            return "then sorts by " + ", ".join(texts), answers
        case Limit(count=count, offset=offset):
            first = f"the first {count} answers" if count is not None else "all answers"
            return f"then keeps {first}" + (f" after skipping {offset}" if offset else ""), answers
        case Unique():
            return "then keeps each different answer once", answers
        case _:
            assert_never(step)
