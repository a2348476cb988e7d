"""The part of the custodian's report on who is kin to whom, and how closely rows resemble members."""

from noisegate.genomics.report.facts import Exact, Kin, Likeness, Protection
from noisegate.genomics.report.numbers import epsilon_of, share, with_interval
from noisegate.genomics.report.page import Section, paragraph, table, warning

ANCHOR, HEADING = "kin", "Relatives among the members, and how rows resemble them"
CHANCE = 0.1  # so many pairs of strangers are worth a word


def resemblance(facts: Exact) -> Section:
    """Return the section."""
    body = (
        _relatives(facts.kin, facts.shareable.protection)
        if facts.kin is not None
        else paragraph(f"Nobody was compared with anybody, since {facts.no_kin or 'it was not asked for'}.")
    )
    if facts.likeness is not None:
        body += "<h3>How closely rows resemble members</h3>\n" + _likeness(facts.likeness)
    return Section(ANCHOR, HEADING, body)


def kin_in_short(kin: Kin) -> str:
    """Return who is related, and what that does to the guarantee, in two sentences."""
    return (
        f"{kin.related:,} of the members have a relative among the others, up to {kin.joined}. "
        f"{_adds_up(kin)} What that comes to is told below."
    )


def _relatives(kin: Kin, protection: Protection) -> str:
    (_, duplicates, _), *_ = kin.degrees
    body = ""
    if duplicates:
        body += warning(
            f"{duplicates:,} {'pairs of members have' if duplicates > 1 else 'pair of members has'} the same "
            "genotypes: one person who is in the data twice, or identical twins. Somebody who is in the data "
            f"twice loses {_times(2, protection)}, and not what this page says. Keep one of each such pair, "
            "and share anew."
        )
    if kin.blank:
        body += warning(
            f"{kin.blank:,} {'people have' if kin.blank > 1 else 'person has'} no heterozygous genotype at "
            "all, so nobody could be compared with them: these genotypes may have failed."
        )
    by_chance = any(chance >= CHANCE for _, _, chance in kin.degrees)
    heads = ("relation", "pairs", "by chance alone") if by_chance else ("relation", "pairs")
    rows = [
        (title, f"{pairs:,}", *([f"{chance:,.1f}"] if by_chance else []))
        for title, pairs, chance in kin.degrees
    ]
    body += table(
        f"KING-robust kinship of all {kin.pairs:,} pairs of members, over {kin.variants:,} variants",
        heads,
        rows,
        range(1, len(heads)),
    )
    if by_chance:
        body += paragraph(
            "With so few variants, some pairs of strangers look like kin; where the two columns are alike, "
            "there need be no such pair at all."
        )
    body += paragraph(
        "Where variants are linked, more strangers look like distant kin than of as many that are not."
    )
    if not kin.joined:
        return body + paragraph("There are too few variants to say who is related.")
    if not kin.families:
        return body + paragraph(
            f"Nobody has a relative in the data, up to {kin.joined}, so the guarantee stands as it is."
        )
    family = "family has" if kin.families == 1 else "families have"
    return body + paragraph(
        f"Joined by pairs up to {kin.joined}, {kin.families:,} {family} {kin.related:,} people, the largest "
        f"{kin.largest:,}. {_adds_up(kin)} Of all {kin.largest:,} people of the largest together, that is "
        f"{_times(kin.largest, protection)} at most. Families that are declared (--families, for xor) have a "
        "loss of their own, which is smaller."
    )


def _adds_up(kin: Kin) -> str:
    return (
        "The guarantee is for one person at a time: relatives share genes, so what is told of a family of "
        f"{kin.largest:,} adds up."
    )


def _times(count: int, protection: Protection) -> str:
    """Return what some people lose together, by group privacy."""
    if protection.person < float("inf"):
        return f"ε = {epsilon_of(count * protection.person)}"
    return f"{count} times what one person loses, at a larger δ"


def _likeness(found: Likeness) -> str:
    rows = [
        (f"{found.members:,} members", share(found.member)),
        (f"{found.controls:,} people of the public panel", share(found.control)),
    ]
    body = table(
        f"Alleles in which somebody differs from the nearest of {found.rows:,} rows, on average",
        ("who", "alleles that differ"),
        rows,
        (1,),
    )
    if found.control > 0:
        nearer = 1 - found.member / found.control
        body += paragraph(
            f"Members are {share(nearer)} nearer to a row than people of the panel."
            if nearer > 0
            else "Members are no nearer to a row than people of the panel, who are of another group."
        )
    if found.own is not None:
        body += paragraph(
            f"Of the members, {with_interval(found.own, percent=True)} are nearest to the row that was made "
            f"of them; by chance it would be {share(1 / found.rows)}. Who holds somebody's genotypes finds "
            "that person's row so, with everything a row gives away."
        )
    return body
