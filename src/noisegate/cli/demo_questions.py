"""What the demo asks, and the truth beside it.

The truth is computed here from the public files, with plain DuckDB: the gateway never sees these
statements and has no way to give an exact answer. Real data would have nothing of the kind.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from noisegate.catalog.model import Catalog

Truth = list[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class DemoQuestion:
    """A question and the same in plain SQL over the files; no truth where a refusal is expected.

    `files` names the tables that the plain SQL reads, as `dataset.table`; in it they are called
    `dataset_table`. `variants` are columns of panel.snps it needs.
    """

    title: str
    sql: str
    truth: str | None
    files: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    epsilon: str | None = None


QUESTIONS = (
    DemoQuestion(
        "How many patients are over 60?",
        "SELECT count(*) FROM liver.patients WHERE age > 60",
        "SELECT count(*) FROM liver_patients WHERE age > 60",
        ("liver.patients",),
    ),
    DemoQuestion(
        "What is the mean body mass index of women and of men?",
        "SELECT is_male, avg(bmi) AS mean_bmi FROM liver.patients GROUP BY is_male ORDER BY is_male",
        "SELECT is_male = 1, avg(bmi) FROM liver_patients GROUP BY 1 ORDER BY 1",
        ("liver.patients",),
    ),
    DemoQuestion(
        "What is the mean of the patients' latest systolic pressures?",
        "SELECT avg(latest) AS mean_sbp FROM (SELECT patient_id, arg_max(value, day) AS latest "
        "FROM liver.measurements WHERE test = 'sbp' GROUP BY patient_id)",
        "SELECT avg(latest) FROM (SELECT patient_id, arg_max(value, day) AS latest "
        "FROM liver_measurements WHERE test = 'sbp' GROUP BY patient_id)",
        ("liver.measurements",),
    ),
    DemoQuestion(
        "How many people with hypertension died during follow-up?",
        "SELECT count(*) FROM liver.patients WHERE died AND patient_id IN "
        "(SELECT patient_id FROM liver.conditions WHERE condition = 'htn')",
        "SELECT count(*) FROM liver_patients WHERE died = 1 AND patient_id IN "
        "(SELECT patient_id FROM liver_conditions WHERE condition = 'htn')",
        ("liver.patients", "liver.conditions"),
    ),
    DemoQuestion(
        "How many people of each superpopulation carry the alternate allele of rs2986742?",
        "SELECT superpopulation, count(*) AS carriers FROM panel.samples JOIN panel.snps USING (sample) "
        "WHERE rs2986742 >= 1 GROUP BY superpopulation ORDER BY superpopulation",
        "SELECT superpopulation, count(*) FROM panel_samples JOIN panel_snps USING (sample) "
        "WHERE rs2986742 >= 1 GROUP BY 1 ORDER BY 1",
        ("panel.samples",),
        ("rs2986742",),
    ),
    DemoQuestion(
        "How many people carry two alternate alleles of rs4798812 and have migraine?",
        "SELECT count(DISTINCT sample) AS people FROM panel.snps JOIN clinic.diagnoses USING (sample) "
        "WHERE rs4798812 = 2 AND condition = 'migraine'",
        "SELECT count(DISTINCT sample) FROM panel_snps JOIN clinic_diagnoses USING (sample) "
        "WHERE rs4798812 = 2 AND condition = 'migraine'",
        ("clinic.diagnoses",),
        ("rs4798812",),
        "0.5",
    ),
    DemoQuestion(
        "May I see the patients?",
        "SELECT * FROM liver.patients",
        None,
    ),
)


def truth_of(question: DemoQuestion, catalog: Catalog) -> Truth | None:
    """Return the exact rows from the public files, or None where there is no such answer."""
    if question.truth is None:
        return None
    with duckdb.connect() as connection:
        for name in question.files:
            source = Path(_source(catalog, name))
            read = connection.read_csv if source.suffix == ".csv" else connection.read_parquet
            read(str(source)).create_view(name.replace(".", "_"))
        if question.variants:
            dosages = read_dosages(Path(_source(catalog, "panel.snps")), question.variants)
            connection.register("panel_snps", pa.table(dict(dosages)))
        return connection.sql(question.truth).fetchall()


def _source(catalog: Catalog, name: str) -> str:
    dataset, _, table = name.partition(".")
    held = catalog.dataset(dataset)
    found = held.table(table) if held is not None else None
    if found is None:
        raise LookupError(f"the demo's catalog has no table {name}")
    return found.source


def read_dosages(path: Path, variants: tuple[str, ...]) -> Mapping[str, list[str] | list[int]]:
    """Read alternate-allele counts of a few variants from a VCF without missing calls, the obvious way."""
    columns: dict[str, list[str] | list[int]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            if line.startswith("#CHROM"):
                columns["sample"] = fields[9:]
            elif not line.startswith("#") and fields[2] in variants:
                columns[fields[2]] = [call.partition(":")[0].count("1") for call in fields[9:]]
    return columns
