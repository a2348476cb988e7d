"""Every way to share genotypes, run on people at hand, and how good what comes out is.

For the advisor, on a public twin, and for benchmarks, on public people: all is held in memory. What each
method loses is computed as for a release; nothing is charged, so no private row may come here.

Three errors and one figure of use are measured. A copy has a row for each person in XOR and response only; a
synthetic or a panel's person is nobody, so row i is compared with a person it has nothing to do with. Hence
two point errors:

- `point`: the share of calls that differ from those of the person in the same row, as published. Of
  synthetic people it says what someone gets who takes them for the real ones; drawing the same frequencies
  at random gives the same.
- `columns`: the least share of calls that would have to change for every variant to have the right number of
  each genotype, whoever has them: the total variation distance of genotypes. It is at most `point`, and
  compares all.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import Forbidden
from noisegate.genomics import chains, design, frequencies, plans, synthetic, targets
from noisegate.genomics.account import account
from noisegate.genomics.association import chi_squared, retention
from noisegate.genomics.counts import Noisy, Plan, Sizes, measure
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.laws import Independent, Response
from noisegate.genomics.measures import joint
from noisegate.genomics.panel import Panel, PublicSource
from noisegate.genomics.perturb import perturb
from noisegate.genotypes.packed import Block
from noisegate.privacy.curves import gaussian, pure
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.loss import ZERO, Loss
from noisegate.privacy.noise import Gaussian, Laplace
from noisegate.privacy.samplers import float_up

Reals = NDArray[np.float64]
RATE = 0.05  # false-positive rate at which findings are compared
FOR_FREQUENCIES = Fraction(
    2, 5
)  # of the budget, where response is restored to frequencies of the same release


@dataclass(frozen=True, slots=True)
class Case:
    """What is wanted of a release of `variants` variants: (epsilon, delta) for one person, replace-one.

    Where fewer variants are at hand than will be released, the noise is still that of all.
    """

    variants: int
    epsilon: Fraction
    delta: Fraction


@dataclass(frozen=True, slots=True)
class Figures:
    """How far a release is from the people; `point` and `columns` are explained above.

    `frequency` is the mean absolute error of allele frequencies; `kept` the share of findings (genotypic χ²
    against controls, p < .05) that are kept at a false-positive rate of RATE, NaN where there are none.
    """

    point: float
    columns: float
    frequency: float
    kept: float


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """A release made for comparison."""

    block: Block
    loss: Loss


def panel_alone(people: PublicSource, panel: Panel, _case: Case, key: ReleaseKey) -> Made:
    """Put people together from the panel; nothing is measured, so nothing is lost."""
    return Made(_copied(people, panel, key, targets.PublicTarget.of_panel(panel)), ZERO)


def xor(people: PublicSource, panel: Panel, case: Case, key: ReleaseKey) -> Made:
    """Flip bits independently, restore to the panel: the published scheme, honestly accounted for."""
    return _perturbed(people, panel, _flips(case), key, targets.PublicTarget.of_panel(panel), ZERO)


def response(people: PublicSource, panel: Panel, case: Case, key: ReleaseKey) -> Made:
    """Replace genotypes by others at random, restore to the panel."""
    return _perturbed(people, panel, _changes(case), key, targets.PublicTarget.of_panel(panel), ZERO)


def response_to_released(people: PublicSource, panel: Panel, case: Case, key: ReleaseKey) -> Made:
    """Release frequencies for a part of the budget, and restore response for the rest of it to them."""
    plan, law = shared(panel, case)
    measured = measure(_for_all(plan, case), people)
    return _perturbed(people, panel, law, key, targets.ReleasedTarget.of(measured, panel), plan.loss)


def from_frequencies(people: PublicSource, panel: Panel, case: Case, key: ReleaseKey) -> Made:
    """Release frequencies, and put people together from the panel who have them."""
    plan = frequencies.design(len(panel.frequency), case.epsilon, case.delta, panel)
    measured = measure(_for_all(plan, case), people)
    return Made(_copied(people, panel, key, targets.ReleasedTarget.of(measured, panel)), plan.loss)


def from_tables(people: PublicSource, panel: Panel, case: Case, key: ReleaseKey) -> Made:
    """Release frequencies and tables of neighbours, half the budget each, and draw people from them."""
    if panel.starts.all():
        return from_frequencies(people, panel, case, key)
    both = synthetic.design(panel.starts, case.epsilon, case.delta, panel, Fraction(1, 2))
    found = {name: measure(_for_all(plan, case), people) for name, plan in both.by_name().items()}
    alleles, pairs = found["alleles"], found["pairs"]
    return Made(
        _drawn(people, panel, key, targets.ReleasedTarget.of(alleles, panel), alleles, pairs), both.loss
    )


METHODS = {
    "panel": panel_alone,
    "xor": xor,
    "response": response,
    "response+frequencies": response_to_released,
    "frequencies": from_frequencies,
    "synthetic": from_tables,
}
ROWS = frozenset({"xor", "response", "response+frequencies"})  # a row for each person


def run(name: str, people: PublicSource, panel: Panel, case: Case, key: ReleaseKey) -> Made:
    """Make a release by a method's name.

    Raises:
        Forbidden: the people are not public: this charges nothing.
    """
    if people.public is not True:
        raise Forbidden("methods are compared on public people: a comparison is not charged")
    return METHODS[name](people, panel, case, key)


def figures(people: PublicSource, made: Block, controls: Panel) -> Figures:
    """Measure a release against the public people it was made from, other public people being controls."""
    pairs = joint(people.block(0, made.variants), made).astype(np.float64)
    truth, theirs, total = pairs.sum(axis=2), pairs.sum(axis=1), people.people
    alleles = np.arange(3.0)
    exact, noisy = (counts.astype(np.int64) for counts in (truth, theirs))
    found = retention(
        chi_squared(exact, controls.genotypes), chi_squared(noisy, controls.genotypes), (RATE,)
    ).at_rate[0][1]
    return Figures(
        point=1 - float(np.trace(pairs, axis1=1, axis2=2).mean()) / total,
        columns=float(np.abs(truth - theirs).sum(axis=1).mean()) / 2 / total,
        frequency=float(np.abs((truth - theirs) @ alleles).mean()) / 2 / total,
        kept=found,
    )


def shared(panel: Panel, case: Case) -> tuple[Plan, Response]:
    """Return a plan for frequencies and a response that together are within the budget."""
    part, law = _parts(case)
    here = len(panel.frequency)
    if case.delta == 0:
        return plans.pure(frequencies.queries(here, None)[0], part), law
    found = [plans.with_rho(query, part) for query in frequencies.queries(here, panel)]
    return min(found, key=frequencies.noise_sd), law


@lru_cache(maxsize=16)
def _parts(case: Case) -> tuple[Fraction, Response]:
    """Return what frequencies may lose, ρ or without δ an ε, and a response for the rest of the budget."""
    if case.delta == 0:
        part = case.epsilon * FOR_FREQUENCIES
        beside, rest = pure(part), case.epsilon - part
    else:
        part = plans.largest_rho(case.epsilon, case.delta) * FOR_FREQUENCIES
        # What a response may lose is sought as the ε it would have by itself.
        beside = gaussian(part)
        rest = stand_alone_epsilon(gaussian(part * (1 / FOR_FREQUENCIES - 1)), case.delta)
    while True:
        law = design.response(case.variants, rest, case.delta)
        if stand_alone_epsilon(account(law).loss + beside, case.delta) <= case.epsilon:
            return part, law
        rest *= Fraction(199, 200)


@lru_cache(maxsize=16)
def _flips(case: Case) -> Independent:
    return design.independent(case.variants, case.epsilon, case.delta)


@lru_cache(maxsize=16)
def _changes(case: Case) -> Response:
    return design.response(case.variants, case.epsilon, case.delta)


def _for_all(plan: Plan, case: Case) -> Plan:
    """Return the plan with the noise it would have if all variants of the release were counted."""
    query = plan.query
    if isinstance(query, Sizes) or case.variants == query.variants:
        return plan
    more = Fraction(case.variants, query.variants)
    if isinstance(plan.noise, Laplace):
        return Plan(plan.query, Laplace(float_up(plan.noise.scale * more)))
    return Plan(plan.query, Gaussian(float_up(plan.noise.scale * Fraction(float(more) ** 0.5))))


def _perturbed(
    people: PublicSource,
    panel: Panel,
    law: Independent | Response,
    key: ReleaseKey,
    target: targets.Target,
    loss: Loss,
) -> Made:
    here = len(panel.frequency)
    noisy = perturb(people.block(0, here), law.slice(0, here), key, 0)
    lost = account(law).loss + loss
    if isinstance(law, Independent):
        return Made(targets.restored(noisy, target, 0, key, 0), lost)
    # Hardy-Weinberg proportions agree with more rows than the panel's, which lack some heterozygotes.
    return Made(_regrouped(noisy, None, target, key), lost)


def _copied(people: PublicSource, panel: Panel, key: ReleaseKey, target: targets.Target) -> Block:
    """Return people put together from the panel, with exactly the wanted frequencies."""
    here = len(panel.frequency)
    return _regrouped(synthetic.copy_chunk(panel.source, 0, here, people.people, key, 0), panel, target, key)


def _drawn(
    people: PublicSource,
    panel: Panel,
    key: ReleaseKey,
    target: targets.Target,
    alleles: Noisy,
    pairs: Noisy,
) -> Block:
    """Return drawn people with exactly the wanted frequencies: drawing alone would add a sample's noise."""
    chain = chains.fit(panel.starts, people.people, panel, alleles, pairs)
    drawn = synthetic.draw_chunk(chain, 0, chain.variants, people.people, key, 0)
    return _regrouped(drawn, panel, target, key)


def _regrouped(noisy: Block, panel: Panel | None, target: targets.Target, key: ReleaseKey) -> Block:
    shares = chains.margins(target.shares.frequency, panel)
    return targets.regrouped(noisy, target, shares, 0, key, 0)
