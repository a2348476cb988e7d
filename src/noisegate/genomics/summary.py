"""What is told of a release: on its receipt, with its record, before it is charged. Public facts alone."""

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from typing import assert_never

from noisegate.genomics.mechanism import Counting, Drawing, Flipping, Mechanism, loss_of, plans_of
from noisegate.genomics.norms import norm_bound
from noisegate.genomics.prepare import Prepared
from noisegate.genomics.recipe import Recipe
from noisegate.ledger.records import canonical
from noisegate.privacy.filter import UNBOUNDED, stand_alone_epsilon

# Past this a person is hardly protected; each of their genotypes may be.
MOST_MEANINGFUL = 10


def summary_of(
    recipe: Recipe, source: Prepared, mechanism: Mechanism, roster: str, *, named: bool
) -> dict[str, object]:
    """Return the public facts of a release, as JSON values.

    Args:
        recipe: what is asked for.
        source: the genotypes; how many people and which variants, no row.
        mechanism: the noise.
        roster: a keyed digest of who is in it.
        named: whether who is in it is declared public.
    """
    loss = loss_of(mechanism)
    epsilon = stand_alone_epsilon(loss, recipe.delta)
    flipping = mechanism if isinstance(mechanism, Flipping) else None
    accounted = None if flipping is None else flipping.account
    target = None if flipping is None else flipping.target
    restored = {} if target is None else target.as_json()
    own = flipping is not None and flipping.plan is not None
    bound = None if flipping is None else norm_bound(flipping.law)
    people, variants = source.people, len(source.variants)
    return {
        "title": f"{recipe.method.value} of {recipe.of}, {people:,} people and {variants:,} variants",
        "method": recipe.method.value,
        "people": people,
        "variants": variants,
        "build": source.build,
        "roster": roster,
        "rows": _rows(mechanism, named=named),
        "manifest": source.variants.digest(),
        "neighbours": "one person's whole row is replaced by any other; how many there are is public",
        "epsilon": None if epsilon >= UNBOUNDED else float(epsilon),
        "delta": float(recipe.delta),
        "epsilon_variant": None if accounted is None else float(accounted.worst_variant),
        "epsilon_family": None if accounted is None or accounted.family is None else float(accounted.family),
        "norm_bound": None if bound is None else bound.person,
        "meaning": _meaning(epsilon),
        **_law(mechanism),
        "restored": _restored(restored, own=own),
        "target_digest": str(restored.get("digest", "")),
        "condition": restored.get("condition", ""),
        "statement": recipe.statement,
        "recipe": recipe.as_json(),
    }


def _rows(mechanism: Mechanism, *, named: bool) -> str:
    match mechanism:
        case Flipping():
            slots = "people, by name: the roster is declared public"
            return slots if named else "numbered slots, in the order of the roster"
        case Counting():
            return "none"
        case Drawing():
            return "people who do not exist"
        case _:
            assert_never(mechanism)


def _restored(target: Mapping[str, object], *, own: bool) -> str:
    if own:
        return "towards frequencies released under the same charge"
    return f"towards {target['target']} frequencies" if target else ""


def _law(mechanism: Mechanism) -> dict[str, object]:
    """Return the law of the noise as a sentence, its parameters, and the digest of all of it."""
    plans = plans_of(mechanism)
    if isinstance(mechanism, Flipping) and not plans:
        law = mechanism.law.as_json()
        return {"law": _flips(law), "law_settings": law, "law_digest": mechanism.law.digest()}
    noises = {
        name: f"{type(p.noise).__name__}, scale {float(p.noise.scale):.6g}" for name, p in plans.items()
    }
    exact = {
        name: [type(p.query).__name__, type(p.noise).__name__, str(p.noise.scale)]
        for name, p in plans.items()
    }
    said = "; ".join(f"{name}: discrete {noise}" for name, noise in noises.items())
    if isinstance(mechanism, Flipping):
        exact["genotypes"] = [mechanism.law.digest()]
        said = f"{_flips(mechanism.law.as_json())}; {said}"
    return {
        "law": said,
        "law_settings": exact,
        "law_digest": hashlib.sha256(canonical(exact).encode()).hexdigest(),
    }


def _flips(said: Mapping[str, object]) -> str:
    return f"{said['kind']} noise from AES-CTR, thresholds of 64 bits"


def _meaning(epsilon: Fraction) -> str:
    if epsilon <= MOST_MEANINGFUL:
        return "bounds what is told of a person"
    return (
        "so large an ε bounds nothing that matters of a whole person: who knows much of somebody's genome "
        "can tell that they are in it. It bounds what is told of each genotype alone"
    )
