"""The parts of a report, each from the facts it is given and nothing else."""

import math
from collections.abc import Callable
from html import escape

from noisegate.genomics.association import EQUAL_RATES, LEVEL, RELAXED, Retention
from noisegate.genomics.comparison import Measures
from noisegate.genomics.report import figures, words
from noisegate.genomics.report.facts import LINES, METHODS, Curve, Protection, Published, Shareable
from noisegate.genomics.report.numbers import epsilon_of, plain, share, with_interval
from noisegate.genomics.report.page import Section, figure, paragraph, table, warning
from noisegate.leakage.audit import TITLES, Outcomes
from noisegate.leakage.bounds import most_area, most_power

Row = tuple[str, ...]
FIGURES: tuple[tuple[str, str, Callable[[Measures], float | None]], ...] = (
    ("point error", "share of genotypes", lambda m: m.errors.point),
    ("sample error", "alleles a variant", lambda m: m.errors.sample),
    ("mean error", "alleles", lambda m: m.errors.mean),
    ("variance error", "alleles squared", lambda m: m.errors.variance),
    ("allele frequency, mean difference", "frequency", lambda m: m.agreement.error),
    ("allele frequency, largest difference", "frequency", lambda m: m.agreement.worst),
    ("allele frequency, correlation", "", lambda m: m.agreement.correlation),
)


def lead(facts: Shareable, kind: str) -> str:
    """Return what heads the page."""
    about = f"{kind} · release {facts.release} · {facts.created}"
    return f"""<p class="kicker">{escape(about)}</p>
<h1>{escape(words.sentence(facts.title).rstrip("."))}</h1>
<p>{escape(METHODS[facts.method].capitalize())}; {facts.people:,} people and {facts.variants:,} variants of
the dataset <code>{escape(facts.dataset)}</code>.</p>
"""


def in_short(sentences: tuple[tuple[str, str], ...], tag: tuple[str, str]) -> str:
    """Return the box that says it all, from (what about, sentence) and a (class, text) to mark it with."""
    items = "".join(f"<li><strong>{escape(about)}</strong> {escape(said)}</li>" for about, said in sentences)
    return f"""<div class="short" role="region" aria-label="In short"><h2>In short</h2>
<p>Guarantee of one person: <span class="tag {tag[0]}">{escape(tag[1])}</span></p>
<ul>{items}</ul></div>
"""


def protection(found: Protection) -> Section:
    """Return what the noise guarantees."""
    rows: list[Row] = [
        ("one person, pure (no δ)", epsilon_of(found.person), "the most over all people and all other data")
    ]
    if found.delta > 0:
        at = f"one person, at δ = {found.delta:g}"
        rows.append((at, epsilon_of(found.epsilon), "what the charge amounts to alone"))
    if found.variants:
        middle = found.variants[len(found.variants) // 2]
        rows += [
            ("one variant of one person, most", epsilon_of(found.variants[-1]), "does not protect a person"),
            ("one variant of one person, median", epsilon_of(middle), "does not protect a person"),
        ]
    if found.family is not None:
        rows.append(("a declared family together", epsilon_of(found.family), "largest over the families"))
    if found.norm_bound is not None:
        note = "of the published theorem; not used: loose, and in places too small"
        rows.append(("norm bound for one person", epsilon_of(found.norm_bound), note))
    limits: list[Row] = [
        (share(rate), share(most_power(found.epsilon, found.delta, rate))) for rate in (0.01, 0.05, 0.1)
    ]
    area = plain(most_area(found.epsilon, found.delta))
    body = paragraph(words.guarantee(found))
    body += table("Exact ε, rounded up, where one person is replaced by another", ("of", "ε", ""), rows, (1,))
    body += table(
        f"The most that any attack can do under this ε and δ; area under the curve at most {area}",
        ("outsiders wrongly accused", "members found, at most"),
        limits,
        (1,),
    )
    if found.variants:
        body += figure(figures.by_variant(found))
    return Section("protection", "What is guaranteed", body)


def noise(facts: Shareable) -> Section:
    """Return how the noise was made, and towards what frequencies were moved."""
    rows = [(s.name, f"{s.value} {s.unit}".rstrip()) for s in facts.law.settings]
    rows.append(("digest of all thresholds (SHA-256)", facts.law.digest))
    rows.append(("digest of the public list of variants", facts.manifest))
    if facts.target.digest:
        rows.append(("digest of the target frequencies", facts.target.digest))
    body = paragraph(words.sentence(facts.law.sentence))
    body += paragraph(words.target(facts.target)) if words.was_moved(facts) else ""
    if facts.target.kind == "declared":
        body += warning(words.DECLARED)
    return Section("noise", "How the copy was made", body + table("Parameters", ("what", "value"), rows))


def charge(facts: Shareable) -> Section:
    """Return what was charged."""
    if facts.charge is None:
        said = "Nothing: everybody in these data is public already, and nothing else may be shared this way."
        return Section("charge", "What was charged", paragraph(said))
    rows = [
        ("receipt", facts.charge.receipt),
        ("hash of the receipt", facts.charge.hash),
        ("ε charged to the budget", epsilon_of(facts.charge.epsilon)),
        ("δ charged to the budget", f"{facts.charge.delta:g}"),
    ]
    body = paragraph(
        "The loss was computed, and taken from the budget, before the first genotype was read. The "
        "receipt proves it."
    )
    return Section("charge", "What was charged", body + table("The charge", ("what", "value"), rows))


def usefulness(
    columns: tuple[tuple[str, Measures], ...], drawn: str, first: str, anchor: str = "use"
) -> Section:
    """Return how near the copy is to the original, for each (whose, measures), led by a sentence.

    The first is drawn and told of, as of `drawn`.
    """
    measures = columns[0][1]
    rows = [
        (name, unit, *(plain(read(m)) for _, m in columns))
        for name, unit, read in FIGURES
        if any(read(m) is not None for _, m in columns)
    ]
    heads = ("figure", "unit", *(whose for whose, _ in columns))
    body = (paragraph(first) if first else "") + paragraph(words.use(measures, drawn))
    body += table("How far the copy is from what it was made from", heads, rows, range(2, len(heads)))
    body += figure(figures.frequencies(measures.agreement, drawn))
    if measures.linkage is not None and any(measures.linkage.pairs):
        body += figure(figures.linkage(measures.linkage, drawn))
    if any(m.chi_squared is not None or m.odds_ratio is not None for _, m in columns):
        body += "<h3>Whether findings survive</h3>\n" + _findings(columns)
    return Section(anchor, "How useful it is", body)


def _findings(columns: tuple[tuple[str, Measures], ...]) -> str:
    held = [
        (f"{test}, {whose}", found)
        for whose, measures in columns
        for test, found in (
            ("genotypic χ²", measures.chi_squared),
            ("dominant odds ratio", measures.odds_ratio),
        )
        if found is not None
    ]
    names = (
        "reported findings",
        "retained",
        "false positives",
        *(f"retained at {share(rate)} false positives" for rate in EQUAL_RATES),
        "area under the curve",
    )
    rows = list(zip(names, *(_retained(found) for _, found in held), strict=True))
    return table(
        f"Findings (p < {LEVEL:g} before) that are found again (p < {RELAXED:g} released), with 95 % "
        "intervals that take variants for independent. High retention with as many false positives is "
        "worth nothing",
        ("figure", *(name for name, _ in held)),
        rows,
        range(1, len(held) + 1),
    )


def _retained(found: Retention) -> Row:
    return (
        f"{found.reported:,} of {found.reported + found.others:,}",
        with_interval(found.kept, percent=True),
        with_interval(found.false, percent=True),
        *(share(kept) for _, kept in found.at_rate),
        with_interval(found.area),
    )


def attacks(
    outcomes: Outcomes | None,
    guaranteed: Protection,
    whose: str,
    anchor: str = "attacks",
    *,
    exchangeable: bool = True,
) -> Section:
    """Return what attacks came to, with an alarm where they pass ε though outsiders are like members."""
    body = paragraph(words.tried(outcomes, whose, exchangeable=exchangeable))
    heading = f"Attacks on {whose}"
    if outcomes is None:
        return Section(anchor, heading, body)
    if outcomes.attacks:
        first = outcomes.attacks[0].roc
        rates = [p.allowed for p in first.power]
        rows = [
            (
                o.title,
                with_interval(o.roc.area),
                *(with_interval(p.found, percent=True) for p in o.roc.power),
            )
            for o in outcomes.attacks
        ]
        bound = (
            "at most, by ε",
            plain(most_area(guaranteed.epsilon, guaranteed.delta)),
            *(share(most_power(guaranteed.epsilon, guaranteed.delta, rate)) for rate in rates),
        )
        heads = ("attack", "area under the curve", *(f"found at {share(rate)} accused" for rate in rates))
        body += table(
            f"{first.members} members told from {first.controls} outsiders"
            + (" who could as well have been members" if exchangeable else "")
            + "; thresholds fixed on the outsiders alone; 95 % intervals",
            heads,
            [*rows, bound] if exchangeable else rows,
            range(1, len(heads)),
        )
        body += paragraph(
            "With so many outsiders, the true rate of wrong accusations behind these thresholds lies "
            + " and ".join(
                f"between {share(p.false.low)} and {share(p.false.high)} (asked for: {share(p.allowed)})"
                for p in first.power
            )
            + "."
        )
        body += figure(figures.attacks(outcomes, guaranteed if exchangeable else None, whose))
    for reason in dict.fromkeys(why for _, why in outcomes.skipped):
        names = ", ".join(
            TITLES.get(attack, attack).lower() for attack, why in outcomes.skipped if why == reason
        )
        body += paragraph(f"Not tried, since {reason}: {names}.")
    if exchangeable and words.contradicted(outcomes, guaranteed):
        body = warning(words.CONTRADICTED) + body
    return Section(anchor, heading, body + _more_attacks(outcomes))


def _more_attacks(outcomes: Outcomes) -> str:
    body = ""
    if outcomes.reconstruction is not None:
        found = outcomes.reconstruction
        body += paragraph(
            "Reconstruction: somebody who knows all people but one, and the released counts, guesses "
            f"{with_interval(found.right, percent=True)} of that person's {found.variants:,} genotypes; "
            f"without the release {with_interval(found.blind, percent=True)}."
        )
    if outcomes.canary is not None:
        bound = outcomes.canary
        body += paragraph(
            f"Canary: releases with and without a planted person were told apart {bound.found} times of "
            f"{bound.trials}, with {bound.false} false alarms of {bound.false_trials}. So ε is "
            f"{plain(bound.epsilon)} or more, with {share(bound.confidence)} confidence."
        )
    return body


def curves(found: tuple[Curve, ...], here: float) -> Section:
    """Return what privacy costs, for each method."""
    body = paragraph(
        "Measured on public people, so that it cost nothing. Where the public panel alone, which is "
        "free, has a line: a method that is no better at this ε is of no use."
    )
    for curve in found:
        body += figure(figures.usefulness(curve, here))
        at = sorted({p.epsilon for _, points in curve.lines for p in points})
        rows: list[Row] = []
        for method, points in curve.lines:
            figures_at = {p.epsilon: p.figure for p in points}
            rows.append((LINES[method], *(with_interval(figures_at.get(epsilon)) for epsilon in at)))
        unit = f" ({curve.unit})" if curve.unit else ""
        heads = ("method", *(f"ε = {epsilon:g}" for epsilon in at))
        body += table(f"{curve.measure}{unit} by ε", heads, rows, range(1, len(heads)))
    return Section("curves", "What privacy costs", body)


def published(found: Published) -> Section:
    """Return the published recipe's claims beside what is exact."""
    exact = "infinite" if math.isinf(found.exact) else epsilon_of(found.exact)
    restored = (
        "and restoring to exact allele frequencies, as published, leaves no differential privacy at any ε"
        if found.to_exact
        else "and allele frequencies were restored to public ones, which is not what was published"
    )
    body = warning(
        f"This copy follows a published recipe, on public data. It claims ε = {epsilon_of(found.claimed)} "
        f"for one person; the exact ε of its flips is {exact}, {restored}. Do not use it on private data."
    )
    rows = [(c.what, c.unit, plain(c.published), plain(c.found)) for c in found.claims]
    if rows:
        caption = f"Figures as published, and as found here. Source: {found.source}"
        body += table(caption, ("figure", "unit", "published", "here"), rows, (2, 3))
    else:
        body += paragraph(f"The recipe is that of {found.source}.")
    return Section("published", "As published, and as it is", body)


def not_protected(facts: Shareable) -> Section:
    """Return what the release does not protect."""
    items = "".join(
        f"<li><strong>{escape(about)}</strong> {escape(said)}</li>"
        for about, said in words.not_protected(facts)
    )
    return Section("limits", "What is not protected", f"<ul>{items}</ul>\n")


def glossary() -> Section:
    """Return what the words mean."""
    items = "".join(f"<dt>{escape(word)}</dt><dd>{escape(said)}</dd>" for word, said in words.GLOSSARY)
    return Section("words", "Words", f"<dl>{items}</dl>\n")
