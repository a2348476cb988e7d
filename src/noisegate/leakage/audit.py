"""All attacks on one release, judged on members and on people like them who are not in it."""

from dataclasses import dataclass

from noisegate.leakage.bounds import LowerBound
from noisegate.leakage.genomes import Frequencies, Genomes, frequencies, nothing_private
from noisegate.leakage.membership import Pools, homer, likelihood_ratio
from noisegate.leakage.pairs import closest, hamming, neighbour_ratio
from noisegate.leakage.reconstruction import Reconstruction
from noisegate.leakage.roc import Roc, Scores, roc

NO_ROWS = "the release holds no row for each person"
TITLES = {
    "homer": "Homer's test",
    "likelihood_ratio": "Likelihood ratio",
    "hamming": "Nearest row",
    "neighbour_ratio": "Nearest row, release against panel",
    "kinship": "Kinship",
    "relatives": "Kinship, of members' relatives",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attack on one release: `attack` is a key of TITLES."""

    attack: str
    roc: Roc

    def __post_init__(self) -> None:
        if self.attack not in TITLES:
            raise ValueError(f"no such attack: {self.attack!r}")

    @property
    def title(self) -> str:
        """What the attack is called on a page."""
        return TITLES[self.attack]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What attacks on a release came to.

    `public` says whether all they read was public or charged; only then may the figures be shown. `skipped`
    holds (attack, why it does not apply).
    """

    attacks: tuple[Outcome, ...]
    skipped: tuple[tuple[str, str], ...]
    public: bool
    reconstruction: Reconstruction | None = None
    canary: LowerBound | None = None

    @property
    def strongest(self) -> Outcome | None:
        """The attack with the largest area under the curve; None where none applies."""
        return max(self.attacks, key=lambda outcome: outcome.roc.area.value, default=None)


def audit(
    released: Genomes | None,
    *,
    members: Genomes,
    controls: Genomes,
    reference: Genomes,
    seen: Frequencies | None = None,
    seen_charged: bool = False,
    people: int | None = None,
    relatives: Genomes | None = None,
    reconstruction: Reconstruction | None = None,
    canary: LowerBound | None = None,
) -> Outcomes:
    """Run every attack that applies to a release.

    Args:
        released: released rows; None where only frequencies left.
        members: people in the data.
        controls: people who are not, and who could as well have been: members and controls must be a random
            split of one group, or the attack tells groups apart and not membership.
        reference: a panel that holds neither, of the same ancestry.
        seen: float64, shape (variants,); the allele frequencies the attacker works with. Those of `released`
            where None; for flipped bits give `membership.unflipped`.
        seen_charged: whether `seen` was charged, or comes from what was; without it nothing is public.
        people: how many people the frequencies come from; needed without `released`.
        relatives: people who are not in the data, but are kin of members: told from the controls by kinship.
        reconstruction: what it came to, where it was tried.
        canary: the same.

    Raises:
        ValueError: neither rows nor frequencies, or sources whose variants differ.
    """
    pool = people if people is not None else released.people if released is not None else 0
    public = nothing_private(released, members, controls, reference, relatives) and (
        seen is None or seen_charged
    )
    if seen is None:
        if released is None:
            raise ValueError("an attack needs released rows or released frequencies")
        seen = frequencies(released)
    pools = Pools(seen, frequencies(reference), pool, reference.people)

    def judged(attack: str, theirs: Scores, others: Scores) -> Outcome:
        return Outcome(attack, roc(theirs, others))

    attacks = [
        judged("homer", homer(members, pools), homer(controls, pools)),
        judged("likelihood_ratio", likelihood_ratio(members, pools), likelihood_ratio(controls, pools)),
    ]
    skipped: tuple[tuple[str, str], ...] = ()
    if released is None:
        skipped = tuple((attack, NO_ROWS) for attack in ("hamming", "neighbour_ratio", "kinship"))
    else:
        attacks += [
            judged("hamming", hamming(members, released), hamming(controls, released)),
            judged(
                "neighbour_ratio",
                neighbour_ratio(members, released, reference),
                neighbour_ratio(controls, released, reference),
            ),
            judged("kinship", closest(members, released), closest(controls, released)),
        ]
        if relatives is not None:
            attacks.append(judged("relatives", closest(relatives, released), closest(controls, released)))
    return Outcomes(tuple(attacks), skipped, public, reconstruction, canary)
