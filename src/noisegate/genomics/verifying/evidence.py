"""What findings are held against: something that was shared of the data they were made on.

Each kind is the release itself, all of which is free to be read, with the law that it was made by, worked out
anew from public facts. Nothing private comes in: of a gateway's proposal only its mechanism, its sizes and
its list of variants are taken.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from noisegate.errors import BadInput
from noisegate.genomics import as_published, published
from noisegate.genomics.counts import Alleles, Centred, Groups, Noisy
from noisegate.genomics.making import STORE, kept
from noisegate.genomics.mechanism import Counting, Drawing, Flipping
from noisegate.genomics.proposal import Proposal
from noisegate.genotypes.store import Store
from noisegate.genotypes.variants import Variants
from noisegate.leakage.genomes import Genomes
from noisegate.privacy.noise import standard_deviation

Said = Mapping[str, object]  # what is told of a release: kind, law, epsilon, delta, restored, guarantee
LARGEST_LABEL = 2**16


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A release with a row for each slot: genotypes with noise on them, or people drawn from a model.

    `chunk` is how many variants were drawn at a time.
    """

    released: Store
    mechanism: Flipping | Drawing
    chunk: int
    said: Said

    @property
    def people(self) -> int:
        """How many people the data are of."""
        return self.released.people

    @property
    def variants(self) -> Variants:
        """The variants of the release."""
        return self.released.variants


@dataclass(frozen=True, slots=True, eq=False)
class AsPublished:
    """A copy by the published recipe: flips shaped by `reference`, then exact frequencies.

    `to_exact` says that these are the data's own, as published; else the reference's.
    """

    released: Store
    scheme: published.Scheme
    reference: Genomes
    to_exact: bool
    said: Said

    @property
    def people(self) -> int:
        """How many people the data are of."""
        return self.released.people

    @property
    def variants(self) -> Variants:
        """The variants of the release."""
        return self.released.variants


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Noisy tables of cases and controls, both of them among the people of the release.

    Attributes:
        noisy: of a Groups query over `variants`.
        variants: in the order of the tables.
        cases: how many cases there are, as estimated from the release, at least 1.
        controls: likewise.
        size_deviation: of the noise on the size of a group.
        everybody: whether all people are in one of the two groups: one is then too large by what the other
            is too small.
    """

    noisy: Noisy
    variants: Variants
    cases: int
    controls: int
    size_deviation: float
    everybody: bool
    said: Said

    def __post_init__(self) -> None:
        if not isinstance(self.noisy.plan.query, Groups) or self.noisy.plan.query.variants != len(
            self.variants
        ):
            raise ValueError("tables are of cases and controls, one a variant")

    @property
    def people(self) -> int:
        """How many people the data are of."""
        return self.noisy.people


@dataclass(frozen=True, slots=True, eq=False)
class Frequencies:
    """Noisy allele counts of all people of the release, who are the cases."""

    noisy: Noisy
    variants: Variants
    said: Said

    def __post_init__(self) -> None:
        query = self.noisy.plan.query
        if not isinstance(query, Alleles | Centred) or query.variants != len(self.variants):
            raise ValueError("frequencies are counts of alleles, one a variant")

    @property
    def people(self) -> int:
        """How many people the data are of."""
        return self.noisy.people


Evidence = Rows | AsPublished | Tables | Frequencies


def of_proposal(proposal: Proposal, folder: Path) -> Evidence:
    """Return a release of the gateway as evidence.

    Args:
        proposal: the release's recipe, worked out anew.
        folder: of the release, which is complete.
    """
    summary, mechanism = proposal.summary, proposal.mechanism
    said = {
        "kind": proposal.recipe.method.value,
        "law": summary["law"],
        "epsilon": summary["epsilon"],
        "delta": summary["delta"],
        "restored": summary["restored"],
        "guarantee": summary["meaning"],
    }
    if not isinstance(mechanism, Counting):
        return Rows(Store.open(folder / STORE), mechanism, proposal.chunk, said)
    noisy = kept(proposal, folder)["counts"]
    if isinstance(noisy.plan.query, Groups):
        return of_tables(noisy, proposal.source.variants, said=said)
    return Frequencies(noisy, proposal.source.variants, said)


def of_tables(
    noisy: Noisy, variants: Variants, *, sizes: Noisy | None = None, everybody: bool = True, said: Said
) -> Tables:
    """Return noisy tables of cases and controls as evidence, of a release or of a private association.

    Args:
        noisy: of a Groups query over these variants.
        variants: in the order of the tables.
        sizes: how many there are in each group, controls first, where that was measured by itself.
        everybody: whether all people of the data are in one of the two groups.
        said: what is told of it.

    Raises:
        BadInput: as far as the noise lets it be seen, one of the groups is empty.
    """
    if sizes is None:
        controls, cases = noisy.cells.sum(axis=2).mean(axis=0).tolist()
        deviation = standard_deviation(noisy.plan.noise) * (3 / len(variants)) ** 0.5
    else:
        controls, cases = (float(size) for size in sizes.cells)
        deviation = standard_deviation(sizes.plan.noise)
    if everybody:
        spare = (noisy.people - controls - cases) / 2
        controls, cases = controls + spare, cases + spare
        deviation /= 2**0.5
    if min(cases, controls) < 1:
        raise BadInput(
            "as far as the noise shows, one of the two groups of this release is empty",
            "findings of cases and controls need both",
        )
    return Tables(noisy, variants, round(cases), round(controls), deviation, everybody, said)


def of_folder(folder: Path, reference: Store) -> AsPublished:
    """Return a copy by the published recipe as evidence; its flips are worked out anew from the reference.

    Args:
        folder: what `share --as-published` made.
        reference: the public store that the copy was shaped by.

    Raises:
        BadInput: it is no such folder, or the reference has other variants than the copy.
    """
    file = folder / as_published.LABEL
    try:
        with file.open("rb") as stream:
            label = json.loads(stream.read(LARGEST_LABEL))
        epsilon, restored = _label(label)
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise BadInput(
            f"{folder.name} is not a copy by the published recipe",
            f"name the folder that `genomes share --as-published` made: {as_published.LABEL} is in it",
        ) from None
    released = Store.open(folder / as_published.STORE)
    if released.variants.digest() != reference.variants.digest():
        raise BadInput("the copy was shaped by another reference: their variants are not the same")
    scheme = published.scheme(published.correlations(reference), epsilon)
    told = scheme.as_json()
    said = {
        "kind": "as published",
        "law": "flips shaped by a reference, as published",
        "epsilon": None,
        "delta": 0.0,
        "claimed_epsilon": told["claimed_epsilon"],
        "exact_epsilon_of_flips": told["exact_epsilon_of_flips"],
        "restored": restored,
        "guarantee": "none",
    }
    return AsPublished(released, scheme, reference, restored.startswith("the target"), said)


def _label(label: Any) -> tuple[Fraction, str]:
    """Return the ε a variant and what was restored to, from a label."""
    epsilon, restored = Fraction(label["epsilon_variant_claimed"]), label["restored_to"]
    if not isinstance(restored, str) or epsilon <= 0:
        raise ValueError("not a label")
    return epsilon.limit_denominator(10**9), restored
