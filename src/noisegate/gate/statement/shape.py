"""What a privacy statement is made of: one section an item, each with its facts, sentences and grounds.

The items follow NIST SP 800-226, "Guidelines for Evaluating Differential Privacy Guarantees" (March 2025),
from the top of its pyramid down: the guarantee, how it is met, what it rests on. A statement without one of
them cannot be made. Claims are argued in PROOFS.md and weaknesses listed in TRUST.md, under the names here.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal

GUIDELINE = "NIST SP 800-226, Guidelines for Evaluating Differential Privacy Guarantees (March 2025)"
Json = Mapping[str, object]


class Item(enum.Enum):
    """What is disclosed, in order. The value is its name in JSON."""

    UNIT = "unit_of_privacy"
    NEIGHBOURS = "neighbouring_relation"
    PARAMETERS = "parameters"
    CONTRIBUTIONS = "contribution_bounds"
    COMPOSITION = "composition_and_renewal"
    MECHANISMS = "mechanisms"
    ACCURACY = "accuracy"
    BIAS = "bias"
    TRUST = "trust_model"
    SIDE_CHANNELS = "side_channels"
    ACCESS = "access_and_policy"
    DATA = "data"
    NOT_COVERED = "not_covered"


TITLES: Mapping[Item, str] = {
    Item.UNIT: "Unit of privacy",
    Item.NEIGHBOURS: "Neighbouring relation",
    Item.PARAMETERS: "ε and δ",
    Item.CONTRIBUTIONS: "Contribution bounds",
    Item.COMPOSITION: "Composition and renewal",
    Item.MECHANISMS: "Mechanisms and samplers",
    Item.ACCURACY: "Accuracy",
    Item.BIAS: "Bias",
    Item.TRUST: "Trust model",
    Item.SIDE_CHANNELS: "Implementation and side channels",
    Item.ACCESS: "Access and policy",
    Item.DATA: "Data",
    Item.NOT_COVERED: "What is not covered",
}


@dataclass(frozen=True, slots=True)
class Grounds:
    """Where a section's claims are argued, and which known weaknesses bear on it."""

    proofs: tuple[str, ...]
    weaknesses: tuple[int, ...]


# Sections of PROOFS.md by heading, weaknesses of TRUST.md by number.
GROUNDS: Mapping[Item, Grounds] = {
    Item.UNIT: Grounds(("Unit-locality", "Facts"), (4, 15)),
    Item.NEIGHBOURS: Grounds(("Sensitivity",), (9, 22, 23)),
    Item.PARAMETERS: Grounds(("Loss", "Filter", "Charge"), (8, 25, 26)),
    Item.CONTRIBUTIONS: Grounds(("Lowering", "Registration", "Sensitivity"), (10, 15, 18, 19)),
    Item.COMPOSITION: Grounds(
        ("Filter", "Charge", "Periods", "Jobs", "Stored answers"), (12, 13, 14, 20, 32)
    ),
    Item.MECHANISMS: Grounds(
        ("Noise", "Staircase", "Selection", "Choosing variants", "Mechanism", "Release"), (24, 27)
    ),
    Item.ACCURACY: Grounds(("Noise", "Selection"), (11,)),
    Item.BIAS: Grounds(("Lowering",), (11, 18, 19)),
    Item.TRUST: Grounds(("Sealed cells", "Chain"), (5, 13, 16, 29, 31)),
    Item.SIDE_CHANNELS: Grounds(("Rendering", "Release"), (1, 2, 6, 7, 28)),
    Item.ACCESS: Grounds(("Charge", "Chain"), (17, 20, 21)),
    Item.DATA: Grounds(("Registration", "Facts"), (10, 15, 16, 30, 33)),
    Item.NOT_COVERED: Grounds((), (3, 4, 5, 9, 13, 14, 34, 35)),
}
WEAKNESSES: Mapping[int, str] = {
    1: "Response time",
    2: "The residual bit",
    3: "Undeclared overlap",
    4: "A wrong unit",
    5: "Host and memory",
    6: "Budget seen from outside",
    7: "Floating point inside a row",
    8: "Odometer",
    9: "Public facts about the roster",
    10: "Registration tells the custodian",
    11: "Clamping bias",
    12: "Denial of service",
    13: "Rollback",
    14: "A new name starts afresh",
    15: "Declared facts are as true as the check",
    16: "Rows at rest",
    17: "Question texts",
    18: "The engine's hash is not cryptographic",
    19: "Quantiles sample systematically",
    20: "Stored answers are free",
    21: "The adaptive price is judged from questions alone",
    22: "The loss of a variant is not that of a person",
    23: "Relatives tell of each other",
    24: "The published scheme",
    25: "The account of noise on genotypes uses floats",
    26: "A declared table of frequencies",
    27: "Noise on genotypes is computational",
    28: "Timing of noise",
    29: "Wiped keys",
    30: "A chunk of genotypes is read on a sum that is no secret",
    31: "Keys on a cluster",
    32: "A clock that leaps ahead",
    33: "Genotype files are read in the custodian's process",
    34: "Attacks tried",
    35: "A verdict takes findings for made before the release was seen",
}


@dataclass(frozen=True, slots=True)
class Section:
    """One item: JSON facts, and what they mean in sentences. Lists of objects among the facts are tables."""

    item: Item
    says: tuple[str, ...]
    facts: Json

    def __post_init__(self) -> None:
        if not self.says:
            raise ValueError(f"the statement says nothing on {TITLES[self.item]}")

    def as_json(self) -> dict[str, object]:
        """Return the section as JSON values, with its grounds."""
        grounds = GROUNDS[self.item]
        return {
            "title": TITLES[self.item],
            "says": list(self.says),
            "facts": dict(self.facts),
            "proofs": list(grounds.proofs),
            "weaknesses": [{"number": n, "name": WEAKNESSES[n]} for n in grounds.weaknesses],
        }


@dataclass(frozen=True, slots=True)
class Statement:
    """A privacy statement, as it stood at `at` (seconds since 1970 UTC).

    `name` is a dataset's name or a receipt's id; `about` are the facts that identify what is spoken of.
    """

    kind: Literal["dataset", "release"]
    name: str
    title: str
    at: int
    about: Json
    sections: tuple[Section, ...]

    def __post_init__(self) -> None:
        if [section.item for section in self.sections] != list(Item):
            raise ValueError("a statement has one section for each item, in order")

    def as_json(self) -> dict[str, object]:
        """Return the statement as JSON values."""
        return {
            "statement": self.kind,
            "name": self.name,
            "title": self.title,
            "as_of": time(self.at),
            "guideline": GUIDELINE,
            "software": f"Noisegate {version('noisegate')}",
            "about": dict(self.about),
            "sections": {section.item.value: section.as_json() for section in self.sections},
        }


def time(at: int) -> str:
    """Return a time in seconds since 1970 as text for programs, in UTC."""
    return datetime.fromtimestamp(at, UTC).isoformat()


def shown(at: int) -> str:
    """Return a time in seconds since 1970 as text for people, in UTC.

    >>> shown(1_800_000_000)
    '2027-01-15 08:00:00 UTC'
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def sentences(text: str) -> tuple[str, ...]:
    r"""Return the paragraphs of a text, each on one line.

    >>> sentences("One\n  sentence.\n\n  Another.")
    ('One sentence.', 'Another.')
    """
    return tuple(" ".join(part.split()) for part in text.split("\n\n") if part.strip())
