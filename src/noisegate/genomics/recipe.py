"""What a custodian asks for when they share genomes: the method, the loss, and the public facts it stands on.

A recipe is decided before a private row is read, goes on the receipt as it is, and is all that a restart
needs to go on. Whatever it names (panels, lists of variants, tables, pedigrees) is named by a
registered name or by a digest, never by a path.
"""

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from noisegate.errors import BadInput

_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\.([A-Za-z_][A-Za-z0-9_]*)@([1-9][0-9]*)", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
LEAST_EPSILON = Fraction(1, 10**6)  # below, losses in whole nano-units say little
MOST_EPSILON = 10**7
MOST_STATEMENT = 2_000


class Method(enum.Enum):
    """How a release is made."""

    XOR = "xor"
    RESPONSE = "response"
    FREQUENCIES = "frequencies"
    TABLES = "tables"
    SYNTHETIC = "synthetic"


class Restoration(enum.Enum):
    """Towards which allele frequencies noisy genotypes are moved; never towards private ones."""

    NOTHING = "none"
    PUBLIC = "public"
    DECLARED = "declared"
    RELEASED = "released"


class Format(enum.Enum):
    """The formats genotypes are given out in."""

    BED = "bed"
    PGEN = "pgen"
    VCF = "vcf"
    VCF_ZARR = "vcf-zarr"
    PARQUET = "parquet"


# Those whose releases are genotypes, one row a person.
GENOTYPES = frozenset({Method.XOR, Method.RESPONSE, Method.SYNTHETIC})
# Those that put noise on each genotype, and may be restored afterwards.
PERTURBING = frozenset({Method.XOR, Method.RESPONSE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a custodian sends: names as they are spoken, and the content of what they declare.

    Attributes:
        genotypes: `dataset.table`.
        method: a word of Method.
        epsilon: of one person, all variants together.
        delta: 0 for pure differential privacy.
        reference: a public panel, `dataset.table`.
        manifest: a public panel whose variants are shared.
        coupling: for `xor`, a share in (-0.5, 0.5) of a flip's own log-odds; see Recipe.
        families: for `xor`, groups of names of people.
        restore: a word of Restoration.
        target: the public panel or the release that is restored towards.
        frequencies: or the table that is: variant name -> frequency of its alternate allele.
        statement: where that table was published.
        cases: for `tables`, the names of the cases; everybody else is a control.
        formats: words of Format.
        accept: whether the custodian read the warnings, and goes on.
        anew: whether it may be begun; else only one that was begun is gone on with.
    """

    genotypes: str
    method: str
    epsilon: Fraction
    delta: Fraction = Fraction(0)
    reference: str = ""
    manifest: str = ""
    coupling: Fraction = Fraction(0)
    families: tuple[tuple[str, ...], ...] = ()
    restore: str = "none"
    target: str = ""
    frequencies: Mapping[str, float] | None = None
    statement: str = ""
    cases: tuple[str, ...] = ()
    formats: tuple[str, ...] = ("bed",)
    accept: bool = False
    anew: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A release as it is asked for; see the module.

    Attributes:
        dataset: whose people it is about.
        table: their genotypes.
        version: the registered version of the data.
        method: how it is made.
        epsilon: the loss of one person, all variants together, under replace-one.
        delta: 0 for pure differential privacy.
        reference: a public panel, as `dataset.table@version`; "" for none. It fills missing calls, is shrunk
            towards, and stands in for the people on the shareable report.
        manifest: a public panel whose variants are shared, named likewise; "" for those of the table itself,
            which its declaration calls public.
        coupling: for `xor`, how flips of neighbouring bits hang together, as a share of a flip's own
            log-odds; with families those of relatives. 0 for none, for families what suits their size.
        families: for `xor`, the digest of the declared pedigrees whose noise is drawn together; "" for none.
        restoration: towards which frequencies genotypes are moved after the noise.
        target: what those stand in: a public panel, the digest of a declared table, or the id of a release;
            "" for frequencies that are released under the same charge.
        statement: where a declared table was published, in the custodian's words; for the receipt.
        cases: for `tables`, the keyed digest of the list of cases.
        formats: what genotypes are given out as.
    """

    dataset: str
    table: str
    version: int
    method: Method
    epsilon: Fraction
    delta: Fraction = Fraction(0)
    reference: str = ""
    manifest: str = ""
    coupling: Fraction = Fraction(0)
    families: str = ""
    restoration: Restoration = Restoration.NOTHING
    target: str = ""
    statement: str = ""
    cases: str = ""
    formats: tuple[Format, ...] = (Format.BED,)

    def __post_init__(self) -> None:
        fits = LEAST_EPSILON <= self.epsilon <= MOST_EPSILON
        _check(fits, f"epsilon is at least {float(LEAST_EPSILON):g} and at most {MOST_EPSILON:,}")
        _check(0 <= self.delta < 1, "delta is at least 0 and below 1")
        _check(self.version >= 1, "versions of data are numbered from 1")
        for name in (self.reference, self.manifest):
            _check(not name or _NAME.fullmatch(name) is not None, f"{name!r} names no version of a panel")
        xor = self.method is Method.XOR
        _check(xor or not (self.coupling or self.families), "only xor has coupling and families")
        _check(abs(self.coupling) < Fraction(1, 2), "coupling lies between -0.5 and 0.5")
        _check(bool(self.cases) == (self.method is Method.TABLES), "tables, and only they, name the cases")
        for digest in (self.families, self.cases):
            _check(not digest or _DIGEST.fullmatch(digest) is not None, "a digest has 64 hexadecimal digits")
        self._check_target()
        _check(len(self.statement) <= MOST_STATEMENT, f"a statement has at most {MOST_STATEMENT} characters")
        _check(len(set(self.formats)) == len(self.formats), "each format is named once")

    def _check_target(self) -> None:
        restored = self.restoration is not Restoration.NOTHING
        _check(not restored or self.method in PERTURBING, "only xor and response are restored")
        released = self.restoration is Restoration.RELEASED
        _check(released or restored == bool(self.target), "restoration, and only that, names its target")
        declared = self.restoration is Restoration.DECLARED
        _check(declared == bool(self.statement), "a declared table comes with where it was published")
        if self.restoration is Restoration.PUBLIC:
            _check(_NAME.fullmatch(self.target) is not None, "restoration is towards a public panel")
        if declared:
            _check(_DIGEST.fullmatch(self.target) is not None, "a declared table is named by its digest")

    @property
    def of(self) -> str:
        """The genotypes, as they are named: `dataset.table`."""
        return f"{self.dataset}.{self.table}"

    @property
    def panels(self) -> tuple[str, ...]:
        """The public panels that it names, each once."""
        target = self.target if self.restoration is Restoration.PUBLIC else ""
        return tuple(dict.fromkeys(name for name in (self.manifest, self.reference, target) if name))

    def as_json(self) -> dict[str, object]:
        """Return it as JSON values; fractions as text, so that none is rounded.

        >>> Recipe(dataset="d", table="t", version=1, method=Method.XOR, epsilon=Fraction(1, 3)).as_json()[
        ...     "epsilon"
        ... ]
        '1/3'
        """
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def of_json(cls, held: Mapping[str, Any]) -> "Recipe":
        """Return the recipe in such JSON values.

        Raises:
            BadInput: they are not those of a recipe.
        """
        try:
            return cls(
                **{
                    **held,
                    "method": Method(held["method"]),
                    "restoration": Restoration(held["restoration"]),
                    "formats": tuple(map(Format, held["formats"])),
                    **{name: Fraction(held[name]) for name in ("epsilon", "delta", "coupling")},
                }
            )
        except (KeyError, TypeError, ValueError) as wrong:
            raise BadInput(f"this is not a recipe: {wrong}") from None


@dataclass(frozen=True, slots=True)
class PanelName:
    """A public table of genotypes at one registered version."""

    dataset: str
    table: str
    version: int

    @property
    def name(self) -> str:
        """As recipes write it."""
        return f"{self.of}@{self.version}"

    @property
    def of(self) -> str:
        """As it is named at any version: `dataset.table`."""
        return f"{self.dataset}.{self.table}"

    @classmethod
    def named(cls, name: str) -> "PanelName":
        """Return the panel that a recipe names.

        >>> PanelName.named("panel.snps@2").version
        2
        """
        found = _NAME.fullmatch(name)
        if found is None:
            raise BadInput(f"{name!r} names no version of a panel")
        return cls(found[1], found[2], int(found[3]))


def _plain(value: object) -> object:
    match value:
        case Fraction():
            return str(value)
        case enum.Enum():
            return value.value
        case tuple():
            return [_plain(inner) for inner in value]
        case _:
            return value


def _check(holds: bool, rule: str) -> None:
    if not holds:
        raise BadInput(f"this cannot be shared so: {rule}", "see `noisegate genomes share --help`")
