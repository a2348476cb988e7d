"""What reports are made from: `Shareable` holds nothing exact, `Exact` stays with the custodian.

TRUSTED. Everything in a `Shareable` is public before the charge, or was charged: the law of the noise, the
account, the receipt, and figures of a twin, which is a public panel or simulated people that went through
the same steps. Figures carry whether all they were computed from is public; a `Shareable` with one that is
not cannot be made. PROOFS.md, "Shareable report".
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.comparison import Measures
from noisegate.leakage.audit import Outcomes
from noisegate.leakage.roc import Estimate
from noisegate.privacy.filter import stand_alone_epsilon
from noisegate.privacy.loss import NANO, Loss
from noisegate.privacy.samplers import float_up

STEPS = 200  # points of the figure of ε by variant
METHODS = {
    "xor": "noisy genomes: bits flipped at random",
    "response": "noisy genomes: genotypes replaced at random",
    "frequencies": "noisy allele frequencies",
    "tables": "noisy case and control counts",
    "synthetic": "synthetic genomes",
    "as-published": "noisy genomes by the published recipe",
}
# What a curve may have a line for.
LINES = METHODS | {
    "response+frequencies": "genotypes replaced, then moved to noisy frequencies",
    "panel": "the public panel alone, free",
}
TARGETS = ("none", "public", "declared", "released")


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter, as it is shown: what it is, its value, and its unit or ""."""

    name: str
    value: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Law:
    """The law of the noise, which is public: a sentence, its parameters, and the digest of all thresholds."""

    sentence: str
    settings: tuple[Setting, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Protection:
    """What the noise guarantees, exactly accounted and rounded up, where one person is replaced by another.

    Attributes:
        person: pure ε of one whole person; inf where there is none, as for Gaussian noise.
        epsilon: ε at `delta` of one whole person, what the charge converts to alone.
        delta: the δ that goes with it.
        variants: ε of changing one variant of one person, at even steps from the least variant to the most;
            at most STEPS values; empty where the noise is not put on single variants.
        family: pure ε of a declared family together; None where none is declared.
        norm_bound: what the norm bound of the XOR paper gives for the same noise; None where it does not
            apply.
    """

    person: float
    epsilon: float
    delta: float
    variants: tuple[float, ...] = ()
    family: float | None = None
    norm_bound: float | None = None

    def __post_init__(self) -> None:
        if min(self.person, self.epsilon) < 0 or not 0 <= self.delta < 1:
            raise ValueError("ε is at least 0, and δ in [0, 1)")
        if self.epsilon > self.person:
            raise ValueError("ε at a δ is at most the pure ε")
        if len(self.variants) > STEPS or list(self.variants) != sorted(self.variants):
            raise ValueError(f"ε by variant rises, in at most {STEPS} steps")

    @classmethod
    def of(
        cls,
        loss: Loss,
        delta: Fraction,
        *,
        variants: NDArray[np.int64] | None = None,
        family: Fraction | None = None,
        norm_bound: float | None = None,
    ) -> "Protection":
        """Return what a loss amounts to.

        Args:
            loss: what was charged.
            delta: the δ to convert at.
            variants: nano-units of ε, int64 of shape (variants,).
            family: pure ε of a family.
            norm_bound: see the class.
        """
        pure = loss.pure_epsilon
        alone = stand_alone_epsilon(loss, delta)
        person = math.inf if pure is None else float(float_up(pure))
        return cls(
            person=person,
            epsilon=min(float(float_up(alone)), person),
            delta=float(delta),
            variants=() if variants is None or not len(variants) else by_steps(variants),
            family=None if family is None else float(float_up(family)),
            norm_bound=norm_bound,
        )


@dataclass(frozen=True, slots=True)
class Charge:
    """What was charged: the receipt's id and hash, and the ε and δ taken from the budget."""

    receipt: str
    hash: str
    epsilon: float
    delta: float


@dataclass(frozen=True, slots=True)
class Target:
    """Towards which allele frequencies the release was moved.

    `kind` is one of TARGETS: nothing, a public panel, a table declared already published, or frequencies
    released under the same charge. `name` and `digest` say which; `statement` is the custodian's, where
    declared.
    """

    kind: str
    name: str = ""
    digest: str = ""
    statement: str = ""

    def __post_init__(self) -> None:
        if self.kind not in TARGETS:
            raise ValueError(f"a target is one of {', '.join(TARGETS)}")
        if self.kind == "declared" and not (self.digest and self.statement):
            raise ValueError("a declared table has a digest, and a statement of where it was published")


@dataclass(frozen=True, slots=True)
class Twin:
    """People anyone may see, who went through the same steps as the private ones.

    `simulated` people were drawn from a public panel called `panel`; otherwise they are people of that
    panel. Attacks tell `people` of them, who were released, from as many who were not.
    """

    panel: str
    simulated: bool
    people: int
    variants: int
    measures: Measures
    outcomes: Outcomes | None

    def __post_init__(self) -> None:
        if not self.measures.public or (self.outcomes is not None and not self.outcomes.public):
            raise ValueError("a twin's figures come from public genotypes alone")


@dataclass(frozen=True, slots=True)
class Point:
    """A figure at an ε."""

    epsilon: float
    figure: Estimate


@dataclass(frozen=True, slots=True)
class Curve:
    """How useful each method is at each ε, on the twin.

    `measure` says what is measured, `unit` its unit or ""; `more_is_better` says which way is good. `lines`
    holds (method, points by rising ε).
    """

    measure: str
    unit: str
    more_is_better: bool
    lines: tuple[tuple[str, tuple[Point, ...]], ...]
    public: bool

    def __post_init__(self) -> None:
        for method, points in self.lines:
            if method not in LINES:
                raise ValueError(f"no such method: {method!r}")
            if [p.epsilon for p in points] != sorted({p.epsilon for p in points}):
                raise ValueError("a curve's ε rises")


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure as its authors published it, beside what the same recipe gave here."""

    what: str
    unit: str
    published: float
    found: float


@dataclass(frozen=True, slots=True)
class Published:
    """The published recipe on public data: ε as claimed for a person, exactly that of its flips, and figures.

    `to_exact` says that allele frequencies were then restored to the exact ones, as published, which voids
    it.
    """

    claimed: float
    exact: float
    claims: tuple[Claim, ...]
    source: str
    to_exact: bool = True


@dataclass(frozen=True, slots=True)
class Shareable:
    """All that a report for others may be made from; see the module.

    `release`, `dataset` and `title` name it; `method` is a key of METHODS; `people` is the public
    number of people, and `variants` that of the public list of variants whose digest is `manifest`; `created`
    is a UTC date and time in ISO 8601.
    """

    release: str
    dataset: str
    title: str
    method: str
    people: int
    variants: int
    manifest: str
    created: str
    law: Law
    protection: Protection
    charge: Charge | None
    target: Target
    twin: Twin | None = None
    curves: tuple[Curve, ...] = ()
    published: Published | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"no such method: {self.method!r}")
        if not all(curve.public for curve in self.curves):
            raise ValueError("curves are measured on public genotypes alone")
        if self.method == "as-published" and self.published is None:
            raise ValueError("the published recipe is reported with its claimed and its exact ε")
        if self.charge is None and self.method != "as-published":
            raise ValueError("a release was charged")


@dataclass(frozen=True, slots=True)
class Kin:
    """Relatives among the members, by KING-robust kinship of all `pairs`, over `variants` of autosomes.

    `degrees` holds (what a pair of the degree is, how many there are, how many would be by chance alone),
    nearest first. `families` of two or more people joined by pairs up to the degree `joined`, the furthest
    that is hardly ever there by chance ("" where there is none), have `related` people, the largest
    `largest`. `blank` people have no heterozygote, so nothing is known of their kin.
    """

    pairs: int
    variants: int
    degrees: tuple[tuple[str, int, float], ...]
    families: int
    related: int
    largest: int
    joined: str
    blank: int = 0


@dataclass(frozen=True, slots=True)
class Likeness:
    """How closely released rows resemble people: `members` of the data, and `controls` who are not in it.

    `member` and `control` are the share of alleles in which such a person differs from the nearest row, on
    average; `own` the share of members whose nearest row is the one that was made of them, None where no row
    was.
    """

    members: int
    controls: int
    rows: int
    member: float
    control: float
    own: Estimate | None


@dataclass(frozen=True, slots=True)
class Exact:
    """What the custodian's report holds beside the shareable one: exact figures, which never leave.

    `outcomes` are of attacks on the real members, told from `controls_are`, people held out of the release;
    None where there were none. `exchangeable` says that those could as well have been members: a random
    split of one group; else the attacks tell groups apart too. `filled` calls were missing and filled in;
    `dropped` holds (reason, how many variants of the source were left out). `kin` and `likeness` are None
    where they were not worked out: `no_kin` says why of the former.
    """

    shareable: Shareable
    input_digest: str
    measures: Measures
    outcomes: Outcomes | None = None
    controls_are: str = ""
    filled: int = 0
    dropped: tuple[tuple[str, int], ...] = ()
    exchangeable: bool = False
    kin: Kin | None = None
    no_kin: str = ""
    likeness: Likeness | None = None


def by_steps(variants: NDArray[np.int64]) -> tuple[float, ...]:
    """Return ε of variants as `Protection` holds it, from nano-units, int64 of shape (variants,)."""
    ordered = np.sort(variants)
    places = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), STEPS)).round().astype(np.int64))
    return tuple(float(float_up(Fraction(int(nano), NANO))) for nano in ordered[places])
