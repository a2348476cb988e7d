"""A genotype table of the catalog: what its file is, and which of its variants are columns of SQL.

The list of variants, which the custodian declares to be a public fact, is read from the file (the .bim of a
.bed, the first columns of a VCF, the names of a table's columns); no call is.
"""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from noisegate.catalog.columns import unit_column
from noisegate.catalog.keys import Section, is_name, nearest
from noisegate.catalog.model import Column, Genotypes, Range, Table, TableKind, Tier
from noisegate.errors import NoisegateError
from noisegate.genotypes import formats, vcf
from noisegate.genotypes.variants import Variants
from noisegate.privacy.expressions import Type

# More columns than these are no help to anyone who writes SQL, and slow to plan.
MAX_VARIANTS = 2_000
MAX_VCF_VARIANTS = 10_000
# A larger VCF would be read for a minute whenever the catalog is.
MAX_VCF_BYTES = 2**28
MAX_PEOPLE = 2**40
_VCF = (".vcf", ".vcf.gz", ".vcf.bgz")


def genotype_table(name: str, section: Section, dataset_unit: str, unit_type: Type, base: Path) -> Table:
    """Return the table of one [DATASET.genotypes.NAME], with what is wrong noted in its section."""
    unit = section.text("unit", dataset_unit)
    if unit_type is not Type.STR:
        section.note("people are named by text in a genotype file; write unit_type = 'str' in the dataset")
    variants = section.needed_text("variants", "write variants = 'public' if which variants exist is public")
    if variants not in ("", "public"):
        section.note("is 'public': variants whose very presence is private are not supported", "variants")
    roster = section.text("roster", "private")
    if roster not in ("private", "public"):
        section.note("is 'public', if who is in it is a public fact, or 'private'", "roster")
    declared = Genotypes(
        format=_format(section),
        build=section.text("build"),
        public=section.flag("public", default=False),
        manifest=_file(section, "manifest", base),
        person=section.text("person"),
        named=roster == "public",
    )
    source = _source(section, base, declared.format)
    columns: list[Column] = []
    reason = ""
    if source and variants == "public":
        try:
            columns, reason = _columns(Path(source), declared)
        except NoisegateError as error:
            section.note(f"{error.message}{'; ' if error.hint else ''}{error.hint}", "source")
    if any(column.name.casefold() == unit.casefold() for column in columns):
        section.note(f"has a variant named like the unit column, {unit!r}", "source")
    return Table(
        name=name,
        source=source,
        columns=(unit_column(unit, None, unit_type), *columns),
        unit=unit,
        kind=TableKind.GENOTYPES,
        expected_units=section.whole("expected_units", MAX_PEOPLE),
        title=section.text("title"),
        genotypes=replace(declared, not_in_sql=reason),
    )


def _format(section: Section) -> str:
    wanted = section.text("format")
    if wanted and wanted not in formats.READ:
        section.note(f"is one of {', '.join(formats.READ)}{nearest(wanted, formats.READ)}", "format")
        return ""
    return wanted


def _file(section: Section, key: str, base: Path) -> str:
    text = section.text(key)
    if "://" in text:
        section.note("is a local file", key)
        return ""
    return str((base / text).resolve()) if text else ""


def _source(section: Section, base: Path, kind: str) -> str:
    text = section.needed_text("source", "the file with the genotypes, such as a .vcf.gz, .bed or .pgen")
    if not text:
        return ""
    path = (base / text).resolve()
    known = kind or path.is_dir() or text.lower().endswith(formats.ENDINGS)
    if "://" in text or not known:
        section.note(f"is a local folder, or a file ending in {', '.join(formats.ENDINGS)}", "source")
        return ""
    return str(path)


def _columns(source: Path, declared: Genotypes) -> tuple[list[Column], str]:
    """Return a column a variant, or none and why.

    Raises:
        NoisegateError: the list of variants cannot be read.
    """
    if is_vcf_text(source, declared):
        return _vcf_columns(source)
    found = formats.sites(
        source,
        format=declared.format or None,
        manifest=Path(declared.manifest) if declared.manifest else None,
        person=declared.person,
        most=MAX_VARIANTS + 1,
    )
    if found is None:
        return (
            [],
            "which there are is known once it is registered; a manifest would tell it before",
        )
    if len(found) > MAX_VARIANTS:
        return [], f"it has more than {MAX_VARIANTS:,} variants"
    names = found.names().tolist()
    if unfit := [name for name in names if not is_name(name)]:
        return [], f"{unfit[0][:60]} cannot be a column name, which is made of letters, digits and _"
    if len({name.casefold() for name in names}) < len(names):
        return [], "two of its variants have one name"
    return _dosages(names, found), ""


def is_vcf_text(source: Path, declared: Genotypes) -> bool:
    """Whether a source is a VCF in text by its name: it is read with the rules of `genotypes.vcf`."""
    return declared.format in ("", "vcf") and source.name.lower().endswith(_VCF) and not source.is_dir()


def _vcf_columns(source: Path) -> tuple[list[Column], str]:
    """Return a column a variant of a VCF; where they are few enough they must be fit to be columns."""
    if source.is_file() and source.stat().st_size > MAX_VCF_BYTES:
        return [], f"it is larger than {MAX_VCF_BYTES:,} bytes"
    try:
        found = formats.sites(source, format="vcf", most=MAX_VCF_VARIANTS + 1)
    except NoisegateError:
        found = None  # said better below
    if found is not None and len(found) > MAX_VCF_VARIANTS:
        return [], f"it has more than {MAX_VCF_VARIANTS:,} variants"
    return [_dosage(v.name, v.chrom, v.pos, v.ref, v.alt) for v in vcf.variants(source)], ""


def _dosages(names: list[str], variants: Variants) -> list[Column]:
    rows = zip(names, variants.rows(), strict=True)
    return [_dosage(name, chrom, pos, ref, alt) for name, (chrom, pos, _, ref, alt) in rows]


def _dosage(name: str, chrom: str, pos: int, ref: str, alt: str) -> Column:
    return Column(
        name=name,
        type=Type.INT,
        tier=Tier.GENOMIC,
        bounds=Range(Fraction(0), Fraction(2)),
        values=(0, 1, 2),
        per_unit=True,
        title=f"copies of {alt[:20]} at {chrom}:{pos} (reference {ref[:20]})",
    )
