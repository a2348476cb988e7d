"""What holds for every dataset and every release alike, as sections of a statement."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import assert_never

from noisegate.gate.statement.shape import WEAKNESSES, Item, Section, sentences
from noisegate.privacy.mechanism import Family

CONFIDENCE = 0.95


def neighbours(expected_people: Mapping[str, int]) -> Section:
    """Say between which databases the guarantee holds."""
    public = (
        "The expected numbers of people below are public by declaration: they are not protected."
        if expected_people
        else "No number of people is declared public."
    )
    return Section(
        Item.NEIGHBOURS,
        sentences(
            f"""
            Add or remove one person: two databases are neighbours if one holds all rows of
            one person, in all tables of the population, and the other none of them
            (unbounded differential privacy).

            The guarantee holds both ways round. Replacing one person's rows by others is two such steps.

            {public}
            """
        ),
        {"relation": "add or remove one person", "expected_people": dict(expected_people)},
    )


def replaced(expected_people: Mapping[str, int], people: int) -> Section:
    """Say between which databases the guarantee of a release with a public number of places holds."""
    return Section(
        Item.NEIGHBOURS,
        sentences(
            f"""
            Replace one person: two databases are neighbours if they differ in one person's whole row,
            which is any other (bounded differential privacy). The release has {people:,} places, a
            public number.

            The guarantee holds both ways round. It bounds adding or removing one person too, whose place
            then holds a row that everybody knows.
            """
        ),
        {"relation": "replace one person", "people": people, "expected_people": dict(expected_people)},
    )


def samplers(*, with_delta: bool) -> list[dict[str, str]]:
    """Return each kind of noise that may be drawn, what for, and what draws it; some need a δ."""
    found = [
        {"noise": family.value, "used_for": used_for, "drawn_by": drawn_by}
        for family in Family
        if with_delta or family is not Family.GAUSSIAN
        for used_for, drawn_by in [_drawn(family)]
    ]
    found.append(
        {
            "noise": "permute-and-flip",
            "used_for": "quantiles, medians, minima and maxima",
            "drawn_by": "Noisegate: exact coins; where NumPy's exponential cannot settle one, more digits do",
        }
    )
    found.append(
        {
            "noise": "exponential mechanism",
            "used_for": "the most associated variants, where there are genotypes",
            "drawn_by": "Noisegate: exact coins; where NumPy's exponential cannot settle one, more digits do",
        }
    )
    if with_delta:
        found.append(
            {
                "noise": "laplace with a threshold",
                "used_for": "groups whose names are private: few people do not show",
                "drawn_by": f"OpenDP {version('opendp')}, exact and discrete",
            }
        )
    return found


def _drawn(family: Family) -> tuple[str, str]:
    match family:
        case Family.LAPLACE | Family.GAUSSIAN:
            return "counts, sums, means, variances", f"OpenDP {version('opendp')}, exact and discrete"
        case Family.STAIRCASE:
            return "one of these at a large ε", "Noisegate: exact coins of the operating system's random bits"
        case _:
            assert_never(family)


def mechanisms(rows: Sequence[Mapping[str, str]], first: str) -> Section:
    """Say which noise is drawn and by what."""
    return Section(
        Item.MECHANISMS,
        sentences(
            f"""
            {first}

            The engine hands over whole numbers, and whole noise is added to them: no
            floating-point noise takes part, and no random generator but the operating
            system's.

            The same question on the same data gets the stored answer again, without new
            noise.
            """
        ),
        {"mechanisms": [dict(row) for row in rows]},
    )


def accuracy(first: str) -> Section:
    """Say how far answers may be off through noise."""
    return Section(
        Item.ACCURACY,
        sentences(
            f"""
            {first}

            An interval holds the exact answer to the bounded question with
            {100 * CONFIDENCE:g} %; it speaks of noise alone. Clamping, and errors in the data,
            are not in it.
            """
        ),
        {"confidence": CONFIDENCE},
    )


def trust_model() -> Section:
    """Say who is trusted with what."""
    return Section(
        Item.TRUST,
        sentences(
            """
            Central: the gateway and whoever administers its host hold the rows, and noise
            is added inside.

            The custodian is trusted to declare truly who is a person, which data overlap,
            bounds and tiers, and to guard the host and its disk. Analysts are not trusted,
            and may collude.

            Auditors need not trust the gateway's books: receipts form a chain of hashes
            that they can recompute.
            """
        ),
        {"model": "central"},
    )


def side_channels() -> Section:
    """Say what may tell something beside the answers."""
    return Section(
        Item.SIDE_CHANNELS,
        sentences(
            """
            ε bounds what answers, prices, refusals and receipts tell. It does not bound
            what times and failures tell: how long a fresh answer took, beyond its padding,
            and whether work failed after its charge.

            A failure costs what the answer would have, is told in one constant text and
            closes the plan for everyone.

            That others spent shows in refusals, and that somebody asked the same shows in a
            free answer.

            Values are computed in double precision within a row; from there on all sums are
            of whole numbers.
            """
        ),
        {},
    )


def not_covered() -> Section:
    """Say what no figure above protects from."""
    return Section(
        Item.NOT_COVERED,
        sentences(
            """
            People who are also in another population, in another ledger or under another
            identifier: such losses are not added up.

            Facts about groups: an answer may tell a truth about all who smoke, and so about
            one of them.

            Rows about a person that carry somebody else's identifier.

            The host, its memory, its disk and its backups: who restores an older ledger
            spends its budget again.

            Names of tables and columns, declared values, bounds and numbers of people:
            declared public.

            Every weakness that is known of this software stands below, explained in
            TRUST.md under its number.
            """
        ),
        {"known_weaknesses": [{"number": n, "weakness": name} for n, name in sorted(WEAKNESSES.items())]},
    )
