"""The report of a copy made by the published recipe, from public data: what it claims beside what holds."""

import hashlib
import math

from noisegate.genomics.comparison import Places, compare
from noisegate.genomics.published import Scheme
from noisegate.genomics.report.facts import (
    Claim,
    Law,
    Protection,
    Published,
    Setting,
    Shareable,
    Target,
    Twin,
    by_steps,
)
from noisegate.genotypes.store import Store
from noisegate.privacy.samplers import float_up

SOURCE = "Jiang, Ji, Li, Ayday: PROVGEN, PoPETs 2026(2), 642–661"
LAW = (
    "Bits are flipped independently, with chances shaped by log odds ratios of a reference; then random "
    "alleles are changed until allele frequencies are those of the target, as the authors' code has it."
)


def as_published(
    name: str,
    target: Store,
    reference: Store,
    released: Store,
    law: Scheme,
    *,
    to_exact: bool,
    created: str,
    claims: tuple[Claim, ...] = (),
) -> Shareable:
    """Return the facts of a report on a copy made by the published recipe.

    Args:
        name: what the copy is called.
        target: what it was made from, marked public.
        reference: what shaped the flips, marked public; it stands as controls to the target as cases.
        released: the copy.
        law: of its flips.
        to_exact: whether frequencies were restored to the target's own, as published.
        created: UTC date and time, ISO 8601.
        claims: figures as published, beside those found.

    Raises:
        ValueError: a store is neither public nor noisy.
    """
    variants = target.variants
    places = Places(variants.contigs[1].astype("int64"), variants.pos.astype("int64"))
    measures = compare(target, released, places=places, controls=reference)
    exact = math.inf if law.exact is None else float(float_up(law.exact))
    # What is restored to exact frequencies of the people themselves has no guarantee at any noise.
    person = math.inf if to_exact else exact
    return Shareable(
        release=name,
        dataset=target.path.name,
        title=f"{target.path.stem}, by the published recipe",
        method="as-published",
        people=target.people,
        variants=len(variants),
        manifest=variants.digest(),
        created=created,
        law=Law(
            LAW,
            (Setting("claimed ε of a person", f"{float(law.claimed):g}"),),
            hashlib.sha256(law.flip.tobytes()).hexdigest(),
        ),
        protection=Protection(person, person, 0.0, () if math.isinf(person) else by_steps(law.variants)),
        charge=None,
        target=Target("none") if to_exact else Target("public", reference.path.name, reference.digest),
        twin=Twin(target.path.name, False, target.people, len(variants), measures, None),
        published=Published(float(law.claimed), exact, claims, SOURCE, to_exact),
    )
