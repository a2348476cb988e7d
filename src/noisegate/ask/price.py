"""What a question costs, from public facts alone: its plan, the catalog and the accounts' limits.

The nominal ε comes from the question, from the accuracy it wants, or from the tiers of the columns it
touches. The family of noise is the one with the smaller error at equal cost; cost is the share of the
account's best order. The loss is then computed by the trusted core from the noise itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import sqrt

from noisegate.ask.question import MIN_EPSILON, Question
from noisegate.catalog.model import Catalog, Column, Table, Tier
from noisegate.errors import BadInput, EpsilonAboveTier, RestrictedColumn, UnknownColumn
from noisegate.privacy.after import CountOf, MeanOf, Plan, SumOf, VarianceOf, step_of
from noisegate.privacy.filter import Limits, capacity, cost_share, stand_alone_epsilon
from noisegate.privacy.loss import Loss
from noisegate.privacy.mechanism import Family, Mechanism, design, half_width_of, loss_of, stairs_fit
from noisegate.privacy.question import Rank
from noisegate.privacy.relations import Scan, scans
from noisegate.privacy.staircase import WORTH_STAIRS

# Private keys draw on the account's δ for keys; each question takes this share of it.
KEY_QUESTIONS = 1_000
# A loss is rounded up to nano-units; that alone does not put a question above its tier.
ROUNDING = Fraction(1, 10**6)
# Accuracy is met to this resolution of ε.
RESOLUTION = Fraction(1, 10_000)


@dataclass(frozen=True, slots=True)
class Price:
    """A priced plan. `stand_alone` is the ε that the answer alone loses, at `delta`."""

    epsilon: Fraction
    family: Family
    mechanism: Mechanism
    loss: Loss
    stand_alone: Fraction
    delta: Fraction
    tiers: tuple[Tier, ...]
    max_epsilon: Fraction
    planned: bool

    @property
    def why(self) -> str:
        """Say which tiers set the price."""
        return "columns of tier " + ", ".join(t.value for t in self.tiers)


def price(plan: Plan, question: Question, catalog: Catalog, limits: Mapping[str, Limits]) -> Price:
    """Price a plan.

    Args:
        plan: what is asked.
        question: may say ε or the accuracy wanted.
        catalog: bounds, tiers, policy.
        limits: of each dataset's account, by name.

    Raises:
        EpsilonAboveTier: one question may not spend that much on such columns.
        BadInput: an accuracy is wanted for something that has no forecast.
    """
    tiers = tiers_touched(plan, catalog)
    default = min(catalog.policy.tiers[t].default_epsilon for t in tiers)
    most = min(catalog.policy.tiers[t].max_epsilon for t in tiers)
    datasets = {scan.dataset for scan in scans(plan.private.source) if scan.unit is not None}
    # The tightest account decides what noise is cheap.
    bound = min((limits[d] for d in sorted(datasets)), key=lambda x: (x.epsilon, x.delta))
    if question.within is not None:
        epsilon = _epsilon_within(plan, question.within, catalog, bound, most)
    else:
        epsilon = question.epsilon if question.epsilon is not None else default
    found = _cheapest(plan, epsilon, bound, most)
    if found is None:
        raise EpsilonAboveTier(
            f"one question on columns of tier {', '.join(t.value for t in tiers)} may spend at most "
            f"ε {float(most):g}, this one asks for ε {float(epsilon):g}",
            f"ask with epsilon at most {float(most):g}, or accept a wider interval",
            max_epsilon=float(most),
        )
    family, mechanism, loss, alone = found
    planned = question.within is not None and not _exact_forecast(plan)
    return Price(epsilon, family, mechanism, loss, alone, bound.delta, tiers, most, planned)


def _cheapest(
    plan: Plan, epsilon: Fraction, bound: Limits, most: Fraction
) -> tuple[Family, Mechanism, Loss, Fraction] | None:
    """Return the family with the smallest error at equal cost among those within the tier's maximum."""
    room = capacity(bound)
    delta = bound.delta_keys / KEY_QUESTIONS
    best: tuple[float, Family, Mechanism, Loss, Fraction] | None = None
    for family in _families(plan, epsilon, bound):
        mechanism = design(plan.private, epsilon, family, delta)
        loss = loss_of(plan.private, mechanism)
        alone = stand_alone_epsilon(loss, bound.delta)
        if alone > most * (1 + ROUNDING):
            continue
        # Error falls as 1/ε and cost grows as ε², so error times the root of cost compares at equal cost.
        badness = _error(plan, mechanism) * sqrt(cost_share(room, loss))
        if best is None or badness < best[0]:
            best = (badness, family, mechanism, loss, alone)
    return None if best is None else best[1:]


def _families(plan: Plan, epsilon: Fraction, bound: Limits) -> Iterable[Family]:
    yield Family.LAPLACE
    private = plan.private
    if all(isinstance(m, Rank) for m in private.measures):
        return
    if bound.delta > 0:
        yield Family.GAUSSIAN
    if epsilon >= WORTH_STAIRS * len(private.measures) and stairs_fit(private, epsilon):
        yield Family.STAIRCASE


def _error(plan: Plan, mechanism: Mechanism) -> float:
    """Return a mean half-width over the additive measures, each relative to nothing but itself."""
    widths = [
        float(half_width_of(mechanism, i, 0.95))
        for i, measure in enumerate(plan.private.measures)
        if not isinstance(measure, Rank)
    ]
    if not widths:
        return 1.0
    product = 1.0
    for width in widths:
        product *= max(width, 1e-9) ** (1 / len(widths))
    return product


def forecast(
    plan: Plan, mechanism: Mechanism, catalog: Catalog
) -> tuple[tuple[str, float | None, bool], ...]:
    """Return, for each estimate, its name, the half-width of its 95 % interval and whether that is exact.

    Counts and sums are exact. Means are a planning figure: the custodian's expected number of people,
    spread evenly over the groups. None where there is no forecast.
    """
    people = _expected_units(plan, catalog)
    groups = 1 if plan.private.private_keys else plan.private.group_count
    size = None if people is None else max(people / groups, 1.0)
    return tuple(
        (named.name, *_half_width(plan, mechanism, named.estimate, size)) for named in plan.estimates
    )


def _half_width(
    plan: Plan, mechanism: Mechanism, kind: object, size: float | None
) -> tuple[float | None, bool]:
    match kind:
        case CountOf(measure=m) | SumOf(measure=m):
            return float(half_width_of(mechanism, m, 0.95) * step_of(plan.private, m)), True
        case MeanOf(moment=m, count=n) if size is not None:
            moment = plan.private.measures[m]
            step = float(step_of(plan.private, m))
            slope = getattr(moment, "reach", 0) / 2
            top = half_width_of(mechanism, m, 0.975) + slope * half_width_of(mechanism, n, 0.975)
            return top / size * step, False
        case VarianceOf(second=q, root=root) if size is not None and not root:
            step = float(step_of(plan.private, q))
            return half_width_of(mechanism, q, 1 - 0.05 / 3) / size * step * step, False
        case _:
            return None, False


def _exact_forecast(plan: Plan) -> bool:
    return all(isinstance(e.estimate, CountOf | SumOf) for e in plan.estimates)


def _epsilon_within(
    plan: Plan, within: Fraction, catalog: Catalog, bound: Limits, most: Fraction
) -> Fraction:
    """Return the smallest ε, to RESOLUTION, whose forecast half-widths are all at most `within`."""

    def meets(steps: int) -> bool:
        found = _cheapest(plan, steps * RESOLUTION, bound, most)
        if found is None:
            return True
        widths = [width for _, width, _ in forecast(plan, found[1], catalog)]
        if any(width is None for width in widths):
            raise BadInput(
                "there is no forecast of the error of this question, so --within cannot be met",
                "give --epsilon instead, or ask the custodian to declare expected_units",
            )
        return all(width <= float(within) for width in widths if width is not None)

    low, high = int(MIN_EPSILON / RESOLUTION) - 1, int(most / RESOLUTION)
    if _cheapest(plan, high * RESOLUTION, bound, most) is None or not meets(high):
        raise EpsilonAboveTier(
            f"an interval of ± {float(within):g} needs more than ε {float(most):g}, "
            "the most one question on such columns may spend",
            "accept a wider interval, or ask about fewer groups",
            max_epsilon=float(most),
        )
    while high - low > 1:
        middle = (low + high) // 2
        if meets(middle):
            high = middle
        else:
            low = middle
    return high * RESOLUTION


def tiers_touched(plan: Plan, catalog: Catalog) -> tuple[Tier, ...]:
    """Return the tiers of the columns the plan reads, least sensitive first; demographic for none."""
    found = set()
    for scan, _, column in _columns(plan, catalog):
        if scan.unit is not None:
            found.add(column.tier)
    found.discard(Tier.PUBLIC)
    if Tier.RESTRICTED in found:
        raise RestrictedColumn("the question reads a restricted column")
    return tuple(sorted(found or {Tier.DEMOGRAPHIC}, key=list(Tier).index))


def _columns(plan: Plan, catalog: Catalog) -> Iterable[tuple[Scan, Table, Column]]:
    for scan in scans(plan.private.source):
        table = table_of(scan, catalog)
        for read in scan.columns:
            column = table.column(read.source)
            if column is not None:
                yield scan, table, column


def table_of(scan: Scan, catalog: Catalog) -> Table:
    """Return the declared table that a scan reads."""
    dataset = catalog.dataset(scan.dataset)
    table = dataset.table(scan.table) if dataset is not None else None
    if table is None:
        raise UnknownColumn(f"no table {scan.dataset}.{scan.table}")
    return table


def _expected_units(plan: Plan, catalog: Catalog) -> int | None:
    declared = [table_of(s, catalog).expected_units for s in scans(plan.private.source) if s.unit is not None]
    known = [d for d in declared if d is not None]
    return min(known) if known else None
