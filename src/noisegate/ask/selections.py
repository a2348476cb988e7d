"""Whom a question singles out: for each number of its answer, all conditions on the way to it.

A plan is read from its tables upwards. Conditions count wherever they stand: in WHERE, in joins and
sub-queries, in FILTER and CASE, in the columns that others are computed from, and as the keys of groups, each
of which is one value. They are then gathered by what they are about, so that two bounds are one interval.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from noisegate.ask.conditions import Conjunct, Reading, outside, pin
from noisegate.ask.regions import Region, everything, intersection, size_of, smallest_class
from noisegate.ask.walk import Env, Walk
from noisegate.catalog.model import Catalog, Tier
from noisegate.privacy.after import Plan
from noisegate.privacy.expressions import Call, Expression, Function, columns_of
from noisegate.privacy.question import CountRows, CountUnits, Key, Measure
from noisegate.privacy.relations import Relation
from noisegate.sql.domains import domain_of as domain_of_key
from noisegate.sql.facts import Facts
from noisegate.sql.intervals import facts_of

_SCALES = frozenset(
    {
        Function.ADD, Function.SUBTRACT, Function.MULTIPLY, Function.DIVIDE, Function.NEGATE, Function.TO_INT,
        Function.TO_FLOAT, Function.TO_STR,
    }
)  # fmt: skip
EACH = "each "  # begins the subject of a group key whose values are not known
GENOTYPES = 3  # that a variant's table tells apart


@dataclass(frozen=True, slots=True)
class Condition:
    """All that a question demands of one value, or of one thing that is not understood.

    `region` is where all of it is true, `parts` where each conjunct is; None and empty where that is unknown.
    `cell` is how many positions the smallest group has, 0 where it is no key. `share` is what comes through.
    """

    subject: str
    said: str
    weight: Fraction
    share: Fraction
    region: Region | None
    parts: tuple[Region, ...]
    size: int
    cell: int

    @property
    def demands(self) -> bool:
        """Whether it asks for anything; else it only says what a key, whose values were named, is about."""
        return self.share < 1 or not self.subject.startswith(EACH)


@dataclass(frozen=True, slots=True)
class Selection:
    """The conditions on one number of an answer, by subject.

    `spares` is the largest share of people that an anti-join of it leaves in, 0 where there is none.
    """

    conditions: tuple[Condition, ...]
    spares: Fraction


def selections_of(plan: Plan, catalog: Catalog) -> tuple[Selection, ...]:
    """Return the different selections of a question, one or more."""
    walk = Walk(catalog)
    env, common = walk.read(plan.private.source, "")
    for key in plan.private.keys:
        common += _of_key(key, env, walk)
    found: dict[tuple[Conjunct, ...], None] = {}
    for measure in plan.private.measures:
        found[tuple(dict.fromkeys([*common, *_of_measure(measure, env, walk)]))] = None
    return tuple(gathered(conjuncts) for conjuncts in found)


def selections_of_groups(
    cases: Relation, among: Relation | None, variants: str, which: str, catalog: Catalog
) -> tuple[Selection, ...]:
    """Return whom tables of cases and controls by genotype single out: people of a group with one genotype.

    What is demanded of cases, and of all who take part, counts as if it were of different rows of a person,
    so no more is made of one column that both are about than if it were two.

    Args:
        cases: who is a case.
        among: who takes part; None for everybody.
        variants: what the variants are called.
        which: tells them apart from others.
        catalog: what is declared.
    """
    part = [] if among is None else Walk(catalog).read(among, "among/")[1]
    own = Walk(catalog).read(cases, "cases/")[1]
    weight = catalog.policy.tiers[Tier.GENOMIC].weight
    share = Fraction(1, GENOTYPES)
    said = f"each genotype of {variants}"
    genotype = Conjunct("", f"{EACH}genotype {variants} {which}", said, weight, share)
    controls = outside(own, "cases/")
    return gathered([*part, *own, genotype]), gathered([*part, *controls, genotype])


def gathered(conjuncts: Iterable[Conjunct]) -> Selection:
    """Return conjuncts by the value they are about."""
    groups: dict[tuple[str, str, str], list[Conjunct]] = {}
    for conjunct in conjuncts:
        if conjunct.links:
            continue
        groups.setdefault((conjunct.row, conjunct.subject, conjunct.outside), []).append(conjunct)
    conditions = []
    left_out: dict[str, Fraction] = {}
    for (_, _, which), group in groups.items():
        condition = _gathered(group)
        conditions.append(condition)
        if which:
            left_out[which] = left_out.get(which, Fraction(1)) * condition.share
    spares = max((1 - share for share in left_out.values()), default=Fraction(0))
    return Selection(tuple(sorted(conditions, key=_order)), spares)


def _order(condition: Condition) -> tuple[str, str]:
    return condition.subject, str(condition.region)


def _gathered(group: list[Conjunct]) -> Condition:
    first = group[0]
    said = " and ".join(dict.fromkeys(c.said for c in group))
    cells = [c.cell for c in group if c.cell]
    cell = min(cells, default=0)
    weight = max(c.weight for c in group)
    if first.size == 0:
        share = min(c.share for c in group)
        return Condition(first.subject, said, weight, share, None, (), 0, cell)
    parts = tuple(dict.fromkeys(c.region for c in group if c.region is not None and not c.cell))
    region = everything(first.size)
    for part in parts:
        region = intersection(region, part)
    left = min([max(size_of(region), 1), *cells])
    return Condition(first.subject, said, weight, Fraction(left, first.size), region, parts, first.size, cell)


def _of_measure(measure: Measure, env: Env, walk: Walk) -> list[Conjunct]:
    found: list[Conjunct] = []
    if measure.where is not None:
        found += walk.demands(measure.where, env)
    if not isinstance(measure, CountRows | CountUnits):
        found += walk.reading.measured(walk.shortly(measure.value, env))
    return found


def _of_key(key: Key, env: Env, walk: Walk) -> list[Conjunct]:
    """Return a group key as conditions: each group is one of its values."""
    expression, reading = _unscaled(walk.shortly(key.expression, env)), walk.reading
    bases = {ref.name: reading.bases[ref.name] for ref in columns_of(expression)}
    if not bases:
        return []
    brought = [c for base in bases.values() for c in base.brings]
    if len(bases) == 1 and key.domain is not None:
        (base,) = bases.values()
        cell = None if base.domain is None else smallest_class(expression, base.domain)
        if cell is not None and base.domain is not None:
            return [pin(base, base.domain, cell), _also_each(expression, reading), *brought]
    inside = [*reading.inside(expression)]
    # Of private values only those show that enough people have.
    values = None if key.domain is None else _values_of(expression, walk.facts)
    if key.domain is not None and values is None and any(base.domain is not None for base in bases.values()):
        # As fine as the groups of all its columns.
        fine = [pin(base, base.domain, 1) for base in bases.values() if base.domain is not None]
        return [*fine, _also_each(expression, reading), *inside, *brought]
    share = reading.unknown if values is None else Fraction(1, values)
    subject = f"{EACH}{reading.subject(expression)}"
    weight = max(base.weight for base in bases.values())
    said = f"each value of {', '.join(dict.fromkeys(base.name for base in bases.values()))}"
    return [Conjunct("", subject, said, weight, share), *inside, *brought]


def _also_each(expression: Expression, reading: Reading) -> Conjunct:
    """Return what a key is about before conditions name its values: so it is still seen to build on that."""
    return Conjunct("", f"{EACH}{reading.subject(expression)}", "", Fraction(1), Fraction(1))


def _values_of(expression: Expression, facts: Mapping[str, Facts]) -> int | None:
    """Return how many values a key may have by declaration, None where that is not known."""
    known = facts_of(expression, facts)
    if known.low is not None and known.high is not None and known.step:
        return max(int((known.high - known.low) / known.step) + 1, 1)
    values = domain_of_key(expression, facts)
    return None if values is None else len(values)


def _unscaled(expression: Expression) -> Expression:
    """Return what a key groups by, without the constants it is scaled and shifted with."""
    while isinstance(expression, Call) and expression.function in _SCALES:
        varies = [a for a in expression.args if any(True for _ in columns_of(a))]
        if len(varies) != 1:
            break
        expression = varies[0]
    return expression
