"""The two reports of a release, as an HTML page and as JSON.

The shareable one is made from a `Shareable` alone, whose type has no place for an exact figure of private
data, so it is the same on neighbouring inputs but for the charge. The custodian's has its own file and no
endpoint.
"""

import json
import math
from dataclasses import fields, is_dataclass
from pathlib import Path

from noisegate.genomics.report import sections, words
from noisegate.genomics.report.facts import Exact, Shareable
from noisegate.genomics.report.page import Section, page, paragraph, table
from noisegate.genomics.report.resemblance import kin_in_short, resemblance
from noisegate.genotypes.durable import write

SCHEMA = "noisegate.genomes.report/1"
TWIN, ITSELF = "the twin", "the data, which are public"
PAGE, DATA = "report.html", "report.json"
TAGS = {"strong": "strong", "moderate": "moderate", "weak": "weak", "none": "none that matters"}
PRIVATE = (
    "For the custodian only. This page holds exact figures of private data, which no noise protects. "
    "Do not pass it on; the shareable report is made for that."
)
FOOT = "Made by Noisegate. This page needs no network and holds no script."


def shareable_report(facts: Shareable) -> tuple[str, str]:
    """Return the report for whoever gets the release: (HTML, JSON)."""
    word, _ = words.strength(facts.protection)
    said = [
        ("What it is.", words.made(facts)),
        ("What it may tell about a person.", words.guarantee(facts.protection)),
    ]
    if facts.target.kind == "declared":
        said.append(("On one condition.", words.DECLARED))
    if facts.twin is not None:
        said.append(("What attacks found.", words.tried(facts.twin.outcomes, _whose(facts))))
        said.append(("What it is good for.", words.use(facts.twin.measures, _whose(facts))))
    else:
        said.append(("Not tried.", "No twin was made, so nothing is known here of its use and of attacks."))
    body = page(
        f"{facts.title}: report of release {facts.release}",
        sections.lead(facts, "Report of a release") + sections.in_short(tuple(said), (word, TAGS[word])),
        [*_published(facts), sections.protection(facts.protection), *_shared(facts)],
        foot=FOOT,
    )
    return body, _json("shareable", facts)


def custodian_report(facts: Exact) -> tuple[str, str]:
    """Return the custodian's report, with exact figures of private data: (HTML, JSON). It never leaves."""
    shared = facts.shareable
    word, _ = words.strength(shared.protection)
    whose = "the private data"
    said = [
        ("What it may tell about a person.", words.guarantee(shared.protection)),
        (
            "What attacks found.",
            words.tried(facts.outcomes, "the real members", exchangeable=facts.exchangeable),
        ),
        ("What it is good for.", words.use(facts.measures, whose)),
    ]
    if facts.kin is not None and facts.kin.families:
        said.append(("Who is related.", kin_in_short(facts.kin)))
    columns = [(whose, facts.measures)]
    if shared.twin is not None:
        columns.append((TWIN, shared.twin.measures))
    body = page(
        f"{shared.title}: custodian's report of release {shared.release}",
        sections.lead(shared, "Custodian's report") + sections.in_short(tuple(said), (word, TAGS[word])),
        [
            *_published(shared),
            sections.usefulness(tuple(columns), whose, "", "exact-use"),
            _real_attacks(facts),
            resemblance(facts),
            _input(facts),
            sections.protection(shared.protection),
            *_shared(shared, with_use=False),
        ],
        banner=PRIVATE,
        foot=FOOT,
    )
    return body, _json("custodian", facts)


def write_shareable(directory: Path, facts: Shareable) -> None:
    """Write the shareable report into a directory, as PAGE and DATA."""
    _write(directory, shareable_report(facts))


def write_custodian(directory: Path, facts: Exact) -> None:
    """Write the custodian's report into a directory that only the custodian can open, as PAGE and DATA."""
    _write(directory, custodian_report(facts))


def _write(directory: Path, report: tuple[str, str]) -> None:
    for name, text in zip((PAGE, DATA), report, strict=True):
        write(directory / name, text.encode())


def _shared(facts: Shareable, *, with_use: bool = True) -> list[Section]:
    found = []
    if facts.twin is not None:
        whose = _whose(facts)
        told = words.twin(facts.twin) if whose == TWIN else ""
        if with_use:
            found.append(sections.usefulness(((whose, facts.twin.measures),), whose, told))
        if facts.twin.outcomes is not None:
            found.append(sections.attacks(facts.twin.outcomes, facts.protection, whose))
    if facts.curves:
        found.append(sections.curves(facts.curves, facts.protection.epsilon))
    return [
        *found,
        sections.noise(facts),
        sections.charge(facts),
        sections.not_protected(facts),
        sections.glossary(),
    ]


def _whose(facts: Shareable) -> str:
    """Return whose figures are shown: the published recipe is tried on the public data themselves."""
    return ITSELF if facts.method == "as-published" else TWIN


def _published(facts: Shareable) -> list[Section]:
    return [] if facts.published is None else [sections.published(facts.published)]


def _real_attacks(facts: Exact) -> Section:
    found = sections.attacks(
        facts.outcomes,
        facts.shareable.protection,
        "the real members",
        "exact-attacks",
        exchangeable=facts.exchangeable,
    )
    told = paragraph(f"Outsiders: {facts.controls_are}.") if facts.controls_are else ""
    return Section(found.anchor, found.heading, told + found.body)


def _input(facts: Exact) -> Section:
    rows = [
        ("digest of the input (SHA-256)", facts.input_digest),
        ("missing genotypes filled in, person by person", f"{facts.filled:,}"),
        *((f"variants left out: {reason}", f"{count:,}") for reason, count in facts.dropped),
    ]
    return Section("input", "What went in", table("The input", ("what", "value"), rows))


def _json(kind: str, facts: Shareable | Exact) -> str:
    return json.dumps(
        {"schema": SCHEMA, "kind": kind, **_plain(facts)}, ensure_ascii=False, indent=1, allow_nan=False
    )


def _plain(value: object) -> dict[str, object]:
    if not is_dataclass(value):
        raise TypeError("facts are dataclasses")
    return {f.name: _value(getattr(value, f.name)) for f in fields(value)}


def _value(value: object) -> object:
    """Return JSON values; an infinite ε is "infinite", what is not known null."""
    if is_dataclass(value):
        return _plain(value)
    if isinstance(value, tuple):
        return [_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "infinite"
    return value
