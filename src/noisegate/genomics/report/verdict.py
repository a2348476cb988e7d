"""The page of a verdict on published findings, made from the verdict's JSON alone.

A verdict is made from a release, which was charged, and from public facts, so the page may be passed on as
the release may.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from noisegate.genomics.report import figures
from noisegate.genomics.report.documents import FOOT
from noisegate.genomics.report.facts import METHODS
from noisegate.genomics.report.numbers import epsilon_of, plain, share, with_interval
from noisegate.genomics.report.page import Section, figure, page, paragraph, table, warning
from noisegate.genomics.report.words import sentence
from noisegate.leakage.roc import Estimate

Said = Mapping[str, Any]
CONSISTENT, INCONSISTENT, UNDECIDED = "consistent", "not consistent", "cannot tell"
TAGS = {CONSISTENT: "strong", INCONSISTENT: "none", UNDECIDED: "moderate"}
KINDS = METHODS | {
    "association": "a private answer: noisy counts of cases and controls",
    "as published": METHODS["as-published"],
}
BOTH_SIDES = ("tables", "association")  # kinds that hold their own controls
SHOWN = 100  # findings in the table
TOLD = (5, 10, 20, 30, 50, 75, 100)  # shares of made-up findings in the table, in per cent
MEANING = {
    CONSISTENT: (
        "The release shows as many of the findings as it would if they were made on its data, and so many "
        "would be rare if they were made up. That they hold of other people is another question."
    ),
    INCONSISTENT: (
        "The release shows fewer of the findings than its noise explains. Something differs: the numbers, or "
        "the people, the controls, the test or the quality control they were made with. Ask for those "
        "before you speak of falsehood."
    ),
    UNDECIDED: (
        "At the noise of this release, findings that are honest and findings that are made up look too much "
        "alike. It speaks neither for them nor against them; a release with a larger ε, or a private answer "
        "about these variants, may."
    ),
}
LIMITS = (
    (
        "One table, one release.",
        "The verdict is on all findings together. A single row of the table of findings proves nothing.",
    ),
    (
        "What is tested.",
        (
            "Findings are hypotheses about the people of the release against these controls, in the "
            "direction that was reported, if any. Findings of "
            "other people, other controls or adjusted for covariates may fail here and be right."
        ),
    ),
    (
        "What is simulated.",
        (
            "Honest findings: data that give the reported p-values, drawn at random, and the release's own "
            "noise on them. Made-up findings: variants that have nothing to do with what was reported."
        ),
    ),
    (
        "Known noise.",
        (
            "The rates hold for noise of the law that the release states. They were not assumed but "
            "simulated, with the number of draws that is given."
        ),
    ),
)


def verdict_page(said: Said, title: str = "Reported findings") -> str:
    """Return the page of a verdict as HTML.

    Args:
        said: as `verifying.verdict.Verdict.as_json` has it.
        title: what the findings are called, such as the name of their file.
    """
    verdict = str(said["verdict"])
    sections = [_numbers(said), _rates(said), _findings(said), _against(said), _limits(said)]
    return page(f"{title}: {verdict}", _lead(said, title), sections, foot=FOOT)


def _lead(said: Said, title: str) -> str:
    verdict = str(said["verdict"])
    found, evidence = said["findings"], said["evidence"]
    against = "a private answer about" if evidence["kind"] == "association" else "a release of"
    items = [
        ("Why.", sentence(str(said["reason"]))),
        ("What it means.", MEANING[verdict]),
        ("How sure it is.", _sure(said)),
    ]
    listed = "".join(f"<li><strong>{escape(head)}</strong> {escape(text)}</li>" for head, text in items)
    return f"""<p class="kicker">Verdict on published findings</p>
<h1>{escape(title)}</h1>
<p>{found["used"]:,} of {found["reported"]:,} reported findings, held against {against}
{evidence["people"]:,} people.</p>
<div class="short" role="region" aria-label="In short"><h2>In short</h2>
<p>The findings and the release are: <span class="tag {TAGS[verdict]}">{escape(verdict)}</span></p>
<ul>{listed}</ul></div>
"""


def _sure(said: Said) -> str:
    errors = said["errors"]
    refused, passes = _estimate(errors["honest_refused"]), _estimate(errors["falsified_passes"])
    smallest = said["smallest_share"]
    more = (
        f"Tables of which {share(smallest)} or more is made up are noticed with {share(1 - said['beta'])}."
        if smallest is not None
        else f"No share of made-up findings is noticed with {share(1 - said['beta'])}."
    )
    return (
        f"Of honest tables like this one, {with_interval(refused, percent=True)} are found not consistent; "
        f"of wholly made-up ones, {with_interval(passes, percent=True)} are not noticed. {more}"
    )


def _numbers(said: Said) -> Section:
    expected, falsified = said["expected"], said["falsified"]
    used = said["findings"]["used"]
    rows = [
        ("found again in the release", f"{said['retained']:,} of {used:,}", _rate(said["retention"])),
        ("expected if honest", "", _rate(expected)),
        ("expected if made up", "", _rate(falsified)),
        (f"of {said['background']['from']}, significant", "", _rate(said["background"])),
        ("fewest that pass as honest", f"{said['critical']:,} of {used:,}", ""),
        ("chance of so few or fewer, if honest", plain(said["p_value"]), ""),
    ]
    body = table(
        f"Findings with p < {plain(said['threshold'])} in the release; 95 % intervals and ranges",
        ("what", "findings", "share"),
        rows,
        (1, 2),
    )
    body += paragraph(
        f"Made-up findings stand for {falsified['from']}: of the ways to make them up that were tried, the "
        "one that passes more often."
    )
    laws = said["laws"]
    if laws["honest"] and laws["falsified"]:
        body += figure(
            figures.retention(
                laws["honest"], laws["cautious"], laws["falsified"], said["retained"], said["critical"]
            )
        )
    return Section("numbers", "What was found", body)


def _rates(said: Said) -> Section:
    errors = said["errors"]
    rows = [
        (
            "honest findings, found not consistent",
            share(said["alpha"]),
            with_interval(_estimate(errors["honest_refused"]), percent=True),
        ),
        (
            "made-up findings, not noticed",
            share(said["beta"]),
            with_interval(_estimate(errors["falsified_passes"]), percent=True),
        ),
    ]
    body = table(
        f"How often a verdict like this one is wrong, by {said['draws']:,} simulated releases of each kind; "
        "95 % intervals",
        ("error", "wanted, at most", "simulated"),
        rows,
        (1, 2),
    )
    power = [(float(step["share"]), _estimate(step["found"])) for step in said["power"]]
    if power:
        body += paragraph(_smallest(said))
        body += figure(figures.detected(power, 1 - said["beta"]))
        body += table(
            "How often it is noticed that some of the findings are made up",
            ("made up", "noticed"),
            [(share(p), with_interval(found, percent=True)) for p, found in power if round(100 * p) in TOLD],
            (1,),
        )
    return Section("errors", "How sure the verdict is", body)


def _smallest(said: Said) -> str:
    smallest, wanted = said["smallest_share"], share(1 - said["beta"])
    if smallest is None:
        return f"No share of made-up findings is noticed with a probability of {wanted}."
    return (
        f"From a share of {share(smallest)} on, made-up findings are noticed with a probability of {wanted}."
    )


def _findings(said: Said) -> Section:
    rows: Sequence[Said] = said["rows"]
    found = said["findings"]
    body = ""
    if found["absent_count"]:
        some = ", ".join(found["absent"])
        more = ", …" if found["absent_count"] > len(found["absent"]) else ""
        body += warning(
            f"{found['absent_count']:,} findings are of variants that the release or the controls do not "
            f"have, and were left out: {some}{more}."
        )
    if found["unattainable"]:
        body += warning(
            f"{found['unattainable']:,} of the reported p-values are not those of any data of so many people "
            "against these controls, by this test: ask how they were made."
        )
    if found["skipped"] or found["above_level"]:
        body += paragraph(
            f"Left out: {found['skipped']:,} rows without a p-value, and {found['above_level']:,} that "
            "report no significance."
        )
    if rows:
        cells = [
            (
                row["variant"],
                plain(row["p"]),
                plain(row["released_p"]),
                "yes" if row["retained"] else "no",
                share(row["chance"]),
                "yes" if row["attainable"] else "no",
            )
            for row in rows[:SHOWN]
        ]
        heads = (
            "variant",
            "p reported",
            "p in the release",
            "found again",
            "chance of that, if honest",
            "p is possible",
        )
        body += table("As reported, and in the release", heads, cells, (1, 2, 4))
    if len(rows) > SHOWN:
        body += paragraph(f"The first {SHOWN} are shown; the JSON of the verdict has {len(rows):,}.")
    return Section("findings", "Each finding", body)


def _against(said: Said) -> Section:
    evidence, reference = said["evidence"], said["reference"]
    panel = (
        "which says which variants are meant" if evidence["kind"] in BOTH_SIDES else "who stand as controls"
    )
    rows = [
        ("what was released", KINDS.get(str(evidence["kind"]), str(evidence["kind"]))),
        ("its people", f"{evidence['people']:,}"),
        ("its variants", f"{evidence['variants']:,}"),
        ("the law of its noise", str(evidence["law"])),
        ("ε of one person", _epsilon(evidence["epsilon"])),
        ("δ", plain(evidence["delta"])),
        ("restored to", str(evidence["restored"] or "nothing")),
        ("which guarantees", str(evidence["guarantee"] or "nothing")),
        ("people of the public panel, " + panel, f"{reference['people']:,}"),
        ("digest of the panel (SHA-256)", str(reference["digest"])),
        ("digest of the findings (SHA-256)", str(said["findings"]["digest"])),
        ("the findings' test", str(said["test"])),
        ("what is tested in the release", str(said["statistic"])),
        ("significant is", f"p < {plain(said['threshold'])}"),
        ("simulated releases of each kind", f"{said['draws']:,}"),
    ]
    if "receipt" in evidence:
        rows.append(("receipt of the charge", str(evidence["receipt"])))
    body = table("What was held against what", ("what", "value"), rows)
    return Section("against", "What they were held against", body)


def _limits(said: Said) -> Section:
    items = [f"<li><strong>{escape(head)}</strong> {escape(text)}</li>" for head, text in LIMITS]
    items += [f"<li>{escape(sentence(str(note)))}</li>" for note in said["notes"]]
    return Section("limits", "What to know before leaning on it", f"<ul>{''.join(items)}</ul>\n")


def _rate(found: Said) -> str:
    return with_interval(_estimate(found), percent=True)


def _estimate(found: Said) -> Estimate:
    """Return an estimate; one whose mean lies outside its range by rounding is put at its edge."""
    low, high = float(found["low"]), float(found["high"])
    return Estimate(min(max(float(found["value"]), low), high), low, high)


def _epsilon(value: object) -> str:
    if value is None:
        return "no bound"
    return epsilon_of(float(value)) if isinstance(value, int | float) else str(value)
