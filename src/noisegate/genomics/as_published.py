"""The published two-stage recipe on public stores: to compare, labelled with what it claims and what holds.

Nothing is charged, since everybody's genotypes are public already; nothing else may be shared so.
"""

import secrets
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from noisegate.errors import BadInput, Conflict
from noisegate.genomics import published
from noisegate.genomics.keys import KEY_BYTES, ReleaseKey
from noisegate.genomics.keystream import KeyStream
from noisegate.genomics.measures import errors
from noisegate.genomics.releases import write_whole
from noisegate.genomics.report import write_shareable
from noisegate.genomics.report.published import as_published
from noisegate.genotypes.store import Store, Writer
from noisegate.ledger.records import canonical

TARGETS = ("private", "public")
STORE = "as-published.zarr"
LABEL = "AS-PUBLISHED.json"
WARNING = (
    "Made by the published recipe, from public genotypes, for comparison. It is not differentially private: "
    "its ε is not what it claims, and restoring to exact frequencies voids what there is."
)


def share_as_published(
    target: Store, reference: Store, epsilon: Fraction, restore: str, out: Path
) -> dict[str, object]:
    """Make a copy of a public store by the published recipe; return its label.

    Args:
        target: marked as public.
        reference: of the same variants, likewise.
        epsilon: a variant, as the recipe counts.
        restore: "private", to the target's own exact frequencies, as published; "public", to the reference's.
        out: the folder to make.

    Raises:
        Forbidden: a store is not marked as public, or the recipe never flips some bits.
        Conflict: the folder is there.
        BadInput: no such target, or the stores have other variants.
    """
    if restore not in TARGETS:
        raise BadInput(f"{restore!r} is none of {', '.join(TARGETS)}")
    if out.exists():
        raise Conflict(f"{out} exists already", "name a folder that is not there")
    law = published.scheme(published.correlations(reference), epsilon)
    stream = KeyStream(ReleaseKey(secrets.token_bytes(KEY_BYTES)))
    towards = None if restore == "private" else reference
    blocks = published.release(target, law, stream, towards)
    first = next(blocks)  # what is refused is refused before anything is made
    out.mkdir(mode=0o700)
    label = {
        "warning": WARNING,
        **law.as_json(),
        "epsilon_variant_claimed": float(epsilon),
        "restored_to": "the target's own exact frequencies"
        if towards is None
        else "the reference's frequencies",
        "people": target.people,
        "variants": len(target.variants),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    writer = Writer.create(
        out / STORE,
        samples=target.samples,
        variants=target.variants,
        build=target.build,
        public=True,
        provenance={"as published": label},
        chunk=target.chunk,
    )
    for chunk, (_, block) in enumerate((first, *blocks)):
        writer.write(chunk, block)
    made = writer.finish()
    found = errors(target, made)
    label |= {
        "point_error": found.point,
        "sample_error": found.sample,
        "mean_error": found.mean,
        "variance_error": found.variance,
        "store": str(made.path),
    }
    facts = as_published(
        out.name, target, reference, made, law, to_exact=towards is None, created=str(label["made"])
    )
    write_shareable(out, facts)
    write_whole(out / LABEL, canonical(label).encode())
    return label
