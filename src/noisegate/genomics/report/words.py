"""What a report says to a reader who is no statistician. Every sentence follows from its facts."""

import math

from noisegate.genomics.comparison import Measures
from noisegate.genomics.report.facts import METHODS, Protection, Shareable, Target, Twin
from noisegate.genomics.report.numbers import epsilon_of, of_hundred, plain, share
from noisegate.leakage.audit import Outcomes
from noisegate.leakage.bounds import most_area, most_power
from noisegate.leakage.roc import Estimate

RATE = 0.05  # the rate of wrong accusations that sentences speak of
DECLARED = (
    "The ε on this page is conditional on that table: it says what the copy adds to the table, and "
    "nothing of what the table itself gives away. Exact allele frequencies give away a lot. On 60 people "
    "of the 1000 Genomes, a test that wrongly accuses 5 of 100 outsiders finds about 90 of 100 members "
    "from the exact frequencies of 1,000 variants, and all of them from 5,000."
)
CONTRADICTED = (
    "An attack did more than ε allows. Either its outsiders are not like its members, or the noise is "
    "not what this page says. Ask the custodian before you rely on this release."
)
STRENGTHS = (
    (0.10, "strong", "This is a strong guarantee."),
    (0.40, "moderate", "This is a moderate guarantee."),
    (0.99, "weak", "This is a weak guarantee: do not rely on it alone."),
    (
        math.inf,
        "none",
        "So nobody is guaranteed anything that matters.",
    ),
)


def strength(protection: Protection) -> tuple[str, str]:
    """Return how strong a guarantee is, in a word (strong, moderate, weak, none) and in a sentence."""
    power = most_power(protection.epsilon, protection.delta, RATE)
    return next((word, sentence) for limit, word, sentence in STRENGTHS if power <= limit)


def guarantee(protection: Protection) -> str:
    """Return what ε means for one person."""
    if math.isinf(protection.epsilon):
        return (
            "There is no guarantee: for some people, this copy may prove that they are in the data, or not."
        )
    power = most_power(protection.epsilon, protection.delta, RATE)
    somebody = (
        "Take somebody who knows everything about everybody else, and looks for one person in this copy "
        "by any means, known today or not. If they accept to accuse 5 of 100 outsiders wrongly, "
    )
    word, sentence = strength(protection)
    if word == "none":
        return f"{somebody}the noise does not keep them from finding {of_hundred(power)} members. {sentence}"
    return f"{somebody}they find at most {of_hundred(power)} members; guessing, they find 5. {sentence}"


def tried(outcomes: Outcomes | None, whose: str, *, exchangeable: bool = True) -> str:
    """Return what the attacks came to; `exchangeable` says that outsiders could as well have been members."""
    if outcomes is None or outcomes.strongest is None:
        if outcomes is None or (outcomes.reconstruction is None and outcomes.canary is None):
            return f"No attack was tried on {whose}."
        return f"No attack that tells who is in the data was tried on {whose}; what else was is told below."
    best = outcomes.strongest
    power = max(best.roc.power, key=lambda p: p.allowed)
    number = {1: "The only attack", 2: "The better of two attacks"}.get(
        len(outcomes.attacks), f"The best of {len(outcomes.attacks)} attacks"
    )
    said = (
        f"{number} tried on {whose} ({best.title}) found {of_hundred(power.found.value)} members "
        f"while wrongly accusing {of_hundred(power.allowed)} outsiders or fewer. "
    )
    if not exchangeable:
        return (
            said
            + "The outsiders are not of the same group, so part of this tells groups apart, not membership."
        )
    if best.roc.area.low <= 0.5:
        return said + "As far as can be seen with so many people, that is no better than guessing."
    if best.roc.area.value < 0.6:
        return said + "That is a little better than guessing."
    if best.roc.area.value < 0.9:
        return said + "That is clearly better than guessing."
    return said + "So this kind of copy tells who is in it."


def twin(found: Twin) -> str:
    """Return what the twin is."""
    people = (
        f"{found.people:,} people simulated from the public panel {found.panel}"
        if found.simulated
        else f"{found.people:,} people of the public panel {found.panel}"
    )
    return (
        f"The figures below are of a twin: {people}, who went through the same steps with other noise. "
        "Nothing of the private data is in them, so on the private data they may be somewhat other."
    )


def contradicted(outcomes: Outcomes, protection: Protection) -> bool:
    """Whether an attack did what ε rules out, beyond chance."""
    bound = outcomes.canary
    if bound is not None and bound.epsilon > (protection.epsilon if bound.delta else protection.person):
        return True
    limit = most_area(protection.epsilon, protection.delta)
    return any(outcome.roc.area.low > limit for outcome in outcomes.attacks)


def use(measures: Measures, whose: str) -> str:
    """Return how useful the copy is, from what was measured on the twin or on the data."""
    sides = [
        f"On {whose}, an allele frequency is off by {plain(measures.agreement.error)} on average"
        + (
            f", and {share(measures.errors.point)} of single genotypes are wrong."
            if measures.errors.point is not None
            else "."
        )
    ]
    found = measures.chi_squared
    if found is not None and found.kept is not None and found.false is not None:
        sides.append(
            f"Of {found.reported} findings of an association test, {of_hundred(found.kept.value)} are "
            f"found again; but so are {of_hundred(found.false.value)} of what was no finding."
        )
        if found.area is not None:
            sides.append(_told_apart(found.area))
    return " ".join(sides)


def _told_apart(area: Estimate) -> str:
    if area.low <= 0.5:
        return "So the copy does not tell findings from the rest, whatever threshold is used."
    if area.value < 0.8:
        return "So the copy tells findings from the rest, but poorly."
    return "So the copy tells most findings from the rest."


def made(facts: Shareable) -> str:
    """Return what the copy is and how it was made."""
    said = f"{sentence(METHODS[facts.method])} {sentence(facts.law.sentence)}"
    return f"{said} {target(facts.target)}" if was_moved(facts) else said


def was_moved(facts: Shareable) -> bool:
    """Whether it makes sense to say what allele frequencies were moved to."""
    return facts.target.kind != "none" or facts.method in ("xor", "response", "synthetic")


def sentence(text: str) -> str:
    """Return a text that begins as a sentence and ends as one.

    >>> sentence("counts: noise of scale 3")
    'Counts: noise of scale 3.'
    """
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def target(found: Target) -> str:
    """Return towards what allele frequencies were moved."""
    name = f" ({found.name})" if found.name else ""
    match found.kind:
        case "public":
            return (
                f"Allele frequencies were moved to those of a public panel{name}. They say nothing of the "
                "people in the data; where the panel differs from them, so does this copy."
            )
        case "declared":
            return (
                f"Allele frequencies were moved to a table{name} that the custodian declares already "
                f"published: “{found.statement}”."
            )
        case "released":
            return (
                f"Allele frequencies were moved to noisy frequencies{name} that were released under the "
                "same charge; the ε on this page includes them."
            )
        case _:
            return "Allele frequencies were not moved: they carry the noise as it fell."


def not_protected(facts: Shareable) -> tuple[tuple[str, str], ...]:
    """Return what the release does not protect, each as a heading and a sentence."""
    protection = facts.protection
    family = (
        f"For the declared families together, ε is {epsilon_of(protection.family)}. "
        if protection.family is not None
        else ""
    )
    said = [
        (
            "Families.",
            (
                f"{family}The guarantee is for one person at a time. Relatives share genes: k relatives in "
                "the data are protected with up to k times ε, and a relative who is not in the data is not "
                "protected at all from what the data say of the family."
            ),
        ),
        (
            "A variant is not a person.",
            (
                f"ε by variant speaks of one variant of one person. A person has {facts.variants:,} variants "
                "here, and their ε add up: only ε of one person says what the copy may tell about somebody."
            ),
        ),
        (
            "The roster.",
            (
                f"That there are {facts.people:,} places, and which variants are listed, is public. Whoever "
                "was in the data must have belonged to the group it was taken from."
            ),
        ),
        (
            "What is true of everybody.",
            (
                "What the data teach about people in general (that an allele goes with a disease) also holds "
                "for people who are in no data."
            ),
        ),
        (
            "Twins and repeats.",
            "Somebody who is in the data twice is two people to the noise, and loses twice ε.",
        ),
        (
            "Other releases.",
            "Each release of the same people adds to what was lost; the budget adds them up.",
        ),
    ]
    if facts.method in ("xor", "response", "synthetic", "as-published"):
        said.append(
            (
                "Broken cipher.",
                (
                    "The noise comes from AES with a secret key. The guarantee holds against anyone who "
                    "cannot break AES."
                ),
            )
        )
    return tuple(said)


GLOSSARY = (
    (
        "ε (epsilon)",
        (
            "how far one person can move the odds of anything seen in the copy: by a factor of e^ε at "
            "most. 0 is perfect privacy."
        ),
    ),
    ("δ (delta)", "a small probability with which the bound by ε may fail."),
    (
        "allele frequency",
        (
            "how common one of the two letters of a variant is, from 0 to 1; minor where the rarer one is "
            "meant."
        ),
    ),
    ("r²", "how strongly two variants go together, from 0 (not at all) to 1 (always)."),
    (
        "area under the curve",
        ("how often an attack ranks a member above an outsider: 0.5 is blind guessing, 1 is never wrong."),
    ),
    ("point error", "share of genotypes that differ."),
    ("sample error", "mean over people of the difference in allele counts a variant."),
    (
        "mean error, variance error",
        ("mean over variants of the difference of the mean, or the variance, of allele counts (0 to 2)."),
    ),
    (
        "retention",
        (
            "share of reported findings with p < 0.0625 in the release; false positives: the same share "
            "of all others."
        ),
    ),
    (
        "twin",
        (
            "people anyone may see (of a public panel, or simulated from one) who went through the same "
            "steps with other noise."
        ),
    ),
)
