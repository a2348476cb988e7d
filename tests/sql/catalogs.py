"""The catalog that questions are read against in tests: a liver cohort, a genotype panel, a second cohort."""

from collections.abc import Mapping
from fractions import Fraction
from types import MappingProxyType

from noisegate.catalog.model import (
    Budget,
    Catalog,
    Column,
    Dataset,
    Range,
    RangesBy,
    Table,
    TableKind,
    Tier,
)
from noisegate.privacy.expressions import Scalar, Type

HUNDREDTH = Fraction(1, 100)
BUDGET = Budget(Fraction(10), Fraction(1, 10**6))


def unit(name: str, kind: Type = Type.INT) -> Column:
    return Column(name, kind, Tier.DEMOGRAPHIC, nullable=False, per_unit=True)


def between(low: float, high: float) -> Range:
    return Range(Fraction(str(low)), Fraction(str(high)))


def whole(
    name: str,
    low: int,
    high: int,
    tier: Tier = Tier.CLINICAL,
    *,
    nullable: bool = False,
    measured_in: str = "",
) -> Column:
    return Column(name, Type.INT, tier, between(low, high), nullable=nullable, measured_in=measured_in)


def real(name: str, low: float, high: float, measured_in: str, *, nullable: bool = True) -> Column:
    return Column(
        name,
        Type.FLOAT,
        Tier.CLINICAL,
        between(low, high),
        step=HUNDREDTH,
        measured_in=measured_in,
        nullable=nullable,
    )


def text(name: str, *values: Scalar, tier: Tier = Tier.CLINICAL, nullable: bool = False) -> Column:
    return Column(name, Type.STR, tier, values=values or None, nullable=nullable)


RANGES: Mapping[Scalar, Range] = MappingProxyType(
    {"sbp": between(60, 260), "hdl": between(10, 150), "fib4": between(0, 20), "smoke": between(0, 1)}
)

PATIENTS = Table(
    "patients",
    "patients.parquet",
    (
        unit("patient_id"),
        whole("age", 18, 100, Tier.DEMOGRAPHIC, measured_in="years"),
        Column("is_male", Type.BOOL, Tier.DEMOGRAPHIC, nullable=False),
        real("weight_kg", 30, 250, "kg"),
        real("height_cm", 120, 220, "cm"),
        real("bmi", 10, 70, "kg/m2"),
        whole("follow_up_days", 0, 7500, measured_in="days"),
        Column("died", Type.BOOL, Tier.CLINICAL, nullable=False),
        text("site", "north", "south", "east", tier=Tier.DEMOGRAPHIC, nullable=True),
        text("postcode", tier=Tier.DEMOGRAPHIC),
        Column("born", Type.DATE, Tier.DEMOGRAPHIC),
        Column("seen", Type.TIMESTAMP, Tier.CLINICAL),
        Column("case_id", Type.INT, Tier.RESTRICTED),
        Column("score", Type.FLOAT, Tier.CLINICAL),
    ),
    "patient_id",
)
MEASUREMENTS = Table(
    "measurements",
    "measurements.parquet",
    (
        unit("patient_id"),
        whole("day", -8000, 8000, measured_in="days"),
        text("test", "fib4", "hdl", "sbp", "smoke"),
        Column(
            "value",
            Type.FLOAT,
            Tier.CLINICAL,
            by=RangesBy("test", RANGES),
            step=HUNDREDTH,
            nullable=False,
        ),
        Column("raw", Type.FLOAT, Tier.CLINICAL),
    ),
    "patient_id",
    rows_per_unit=60,
)
CONDITIONS = Table(
    "conditions",
    "conditions.parquet",
    (
        unit("patient_id"),
        whole("day", -17000, 8000, measured_in="days"),
        text("condition", "nafld", "diabetes", "stroke", "htn"),
        text("code"),
    ),
    "patient_id",
    rows_per_unit=14,
    groups_per_unit=6,
)
ICD = Table(
    "icd",
    "icd.csv",
    (
        text("code", tier=Tier.PUBLIC),
        text("chapter", tier=Tier.PUBLIC, nullable=True),
        text("organ", "liver", "heart", "brain", tier=Tier.PUBLIC),
        whole("weight", 0, 10, Tier.PUBLIC),
    ),
    None,
)
SAMPLES = Table(
    "samples",
    "samples.csv",
    (
        unit("sample", Type.STR),
        text("superpopulation", "AFR", "AMR", "EAS", "EUR", "SAS", tier=Tier.DEMOGRAPHIC),
        text("gender", "female", "male", tier=Tier.DEMOGRAPHIC),
    ),
    "sample",
)
SNPS = Table(
    "snps",
    "snps.vcf.gz",
    (
        unit("sample", Type.STR),
        *(
            Column(f"rs{number}", Type.INT, Tier.GENOMIC, between(0, 2), nullable=True)
            for number in (2986742, 6541030, 731257, *range(1000, 1120))
        ),
    ),
    "sample",
    TableKind.GENOTYPES,
)
VISITS = Table(
    "visits",
    "visits.parquet",
    (unit("person"), whole("year", 2000, 2030), text("ward", "A", "B")),
    "person",
    rows_per_unit=10,
)
CATALOG = Catalog(
    (
        Dataset(
            "liver",
            "Liver cohort",
            "olmsted",
            "patient_id",
            BUDGET,
            (PATIENTS, MEASUREMENTS, CONDITIONS, ICD),
        ),
        Dataset(
            "panel", "Genotype panel", "1000genomes", "sample", BUDGET, (SAMPLES, SNPS), unit_type=Type.STR
        ),
        Dataset("clinic", "Clinic visits", "leeds", "person", BUDGET, (VISITS,)),
    ),
    {"olmsted": BUDGET, "1000genomes": BUDGET, "leeds": BUDGET},
)
