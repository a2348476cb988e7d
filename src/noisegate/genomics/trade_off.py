"""What privacy costs, for the shareable report: a release's method at several ε, on public people alone."""

import hashlib
from fractions import Fraction

import numpy as np

from noisegate.genomics import candidates
from noisegate.genomics.advise import BASELINE, MEASURES, Advice, Tried
from noisegate.genomics.candidates import ROWS, Case, Figures
from noisegate.genomics.keys import KEY_BYTES, ReleaseKey
from noisegate.genomics.panel import Panel, chain_starts
from noisegate.genomics.proposal import Proposal
from noisegate.genomics.recipe import Method
from noisegate.genomics.report.curves import curves_of
from noisegate.genomics.report.facts import Curve
from noisegate.genomics.twin import Twin

EPSILONS = tuple(map(Fraction, (1, 3, 10, 100)))
COPIES = 4
LOOKED_AT = 2**22  # genotypes of a copy: the curve is to be seen, and not to be waited for
LEAST_VARIANTS = 64
# The candidates a method is compared with: itself, and frequencies, which cost least.
COMPARED = {
    Method.XOR: ("xor", "frequencies"),
    Method.RESPONSE: ("response", "response+frequencies", "frequencies"),
    Method.SYNTHETIC: ("frequencies",),
    Method.FREQUENCIES: ("frequencies",),
    Method.TABLES: ("frequencies",),
}


def trade_off(proposal: Proposal) -> tuple[Curve, ...]:
    """Return how useful a release's method is at each ε, on twins of its panel; nothing where it has none."""
    reference = proposal.reference
    if reference is None:
        return ()
    people = proposal.people
    variants = min(proposal.variants, max(LEAST_VARIANTS, LOOKED_AT // people))
    starts = chain_starts(np.asarray(proposal.source.variants.contigs[1]), proposal.chunk)[:variants]
    names = (BASELINE, *COMPARED[proposal.recipe.method])
    wanted = sorted({*EPSILONS, proposal.recipe.epsilon})
    found: dict[tuple[Fraction, str], list[list[float]]] = {}
    for copy in range(COPIES):
        groups = [
            Twin(reference, variants, size, _key(proposal, f"{group} {copy}"))
            for group, size in (
                ("people", people),
                ("panel", reference.people),
                ("controls", reference.people),
            )
        ]
        theirs, panel, controls = groups[0], Panel.of(groups[1], starts), Panel.of(groups[2], starts)
        for epsilon in wanted:
            case = Case(proposal.variants, epsilon, proposal.recipe.delta)
            for name in names:
                made = candidates.run(name, theirs, panel, case, _key(proposal, f"{name} {epsilon} {copy}"))
                figures = candidates.figures(theirs, made.block, controls)
                given = [float(getattr(figures, measure)) for measure in MEASURES]
                found.setdefault((epsilon, name), []).append(given)
    return curves_of([_advice(proposal, variants, epsilon, names, found) for epsilon in wanted])


def _advice(
    proposal: Proposal,
    variants: int,
    epsilon: Fraction,
    names: tuple[str, ...],
    found: dict[tuple[Fraction, str], list[list[float]]],
) -> Advice:
    reference = proposal.reference
    assert reference is not None  # noqa: S101 -- as the caller found
    return Advice(
        people=proposal.people,
        variants=proposal.variants,
        epsilon=float(epsilon),
        delta=float(proposal.recipe.delta),
        panel=reference.digest,
        panel_people=reference.people,
        looked_at=variants,
        copies=COPIES,
        tried=tuple(_tried(name, epsilon, np.array(found[epsilon, name])) for name in names),
    )


def _tried(name: str, epsilon: Fraction, rows: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Tried:
    mean, error = rows.mean(axis=0), rows.std(axis=0, ddof=1) / len(rows) ** 0.5
    nothing = Figures(*(float("nan"),) * len(MEASURES))
    return Tried(
        method=name,
        rows=name in ROWS,
        epsilon=float(epsilon),
        mean=Figures(*map(float, mean)),
        error=Figures(*map(float, error)),
        better=nothing,
        useful=False,
    )


def _key(proposal: Proposal, name: str) -> ReleaseKey:
    """Return a key of public noise on public people; it is no secret."""
    told = f"trade-off {proposal.summary['law_digest']} {name}"
    return ReleaseKey(hashlib.sha256(told.encode()).digest()[:KEY_BYTES])
