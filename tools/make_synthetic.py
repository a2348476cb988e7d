"""Make data/synthetic: invented clinical records for the people of the 1000 Genomes panel.

The genotypes and the sexes are real, read from data/genomes; every age, diagnosis and laboratory value is
drawn here from fixed laws and a fixed seed, so the files can be made again, row for row. Nobody's health
is in them. Three variants of the panel are given an effect, so that a question about carriers has an answer
worth finding; the variants mark ancestry, and no such effect is known or claimed.

    python tools/make_synthetic.py [FOLDER]
"""

import csv
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisegate.genotypes.vcf import read

SEED = 1_272_504
ROOT = Path(__file__).resolve().parent.parent
FIRST_DAY, LAST_DAY = -3650, 1825
MAX_EPISODES = 3
MAX_VISITS = 5

# Log-odds of a first episode: at age 50 without any alternate allele; per year of age; per allele.
MIGRAINE_VARIANT, MIGRAINE_EFFECT = "rs4798812", math.log(1.9)
GALLSTONES_VARIANT, GALLSTONES_EFFECT = "rs946918", math.log(1.7)
GLUCOSE_VARIANT, GLUCOSE_EFFECT = "rs881728", 6.0  # mg/dL per allele


@dataclass(frozen=True, slots=True)
class Condition:
    """How likely a condition is: prevalence at age 50, and what age, a variant or high glucose add."""

    name: str
    prevalence: float
    per_year: float = 0.0
    variant: str = ""
    effect: float = 0.0
    per_glucose: float = 0.0

    def probability(self, age: int, alleles: int, glucose: float) -> float:
        """Return the chance that a person has it; glucose is the person's level in mg/dL."""
        odds = math.log(self.prevalence / (1 - self.prevalence))
        odds += self.per_year * (age - 50) + self.effect * alleles + self.per_glucose * (glucose - 92)
        return 1 / (1 + math.exp(-odds))


CONDITIONS = (
    Condition("asthma", 0.08),
    Condition("diabetes", 0.05, per_year=0.03, per_glucose=0.12),
    Condition("eczema", 0.10),
    Condition("gallstones", 0.07, per_year=0.02, variant=GALLSTONES_VARIANT, effect=GALLSTONES_EFFECT),
    Condition("hypertension", 0.25, per_year=0.05),
    Condition("migraine", 0.12, variant=MIGRAINE_VARIANT, effect=MIGRAINE_EFFECT),
)


class People:
    """The panel's people in file order, with their sexes and their alleles at the three variants."""

    def __init__(self, genomes: Path) -> None:
        dosages = read(genomes / "kg3_aisnps.vcf.gz")
        row = {variant.name: number for number, variant in enumerate(dosages.variants)}
        wanted = (MIGRAINE_VARIANT, GALLSTONES_VARIANT, GLUCOSE_VARIANT)
        self.samples = dosages.samples
        self.alleles = {name: [int(n) for n in dosages.calls[row[name]]] for name in wanted}
        with (genomes / "kg3_samples.csv").open(newline="", encoding="utf-8") as stream:
            sexes = {line["sample"]: line["gender"] for line in csv.DictReader(stream)}
        self.sexes = [sexes[sample] for sample in self.samples]


def make(people: People) -> dict[str, pa.Table]:
    """Return the three tables, by name."""
    uniform = np.random.default_rng(SEED)

    def draw() -> float:
        return float(uniform.random())

    def normal(mean: float, deviation: float) -> float:
        return NormalDist(mean, deviation).inv_cdf(min(max(draw(), 1e-9), 1 - 1e-9))

    def day() -> int:
        return FIRST_DAY + math.floor(draw() * (LAST_DAY - FIRST_DAY + 1))

    patients: list[tuple[str, int, str]] = []
    diagnoses: list[tuple[str, str, int]] = []
    labs: list[tuple[str, str, float | None, int]] = []
    for number, sample in enumerate(people.samples):
        age = 18 + math.floor(draw() * 68)
        patients.append((sample, age, people.sexes[number]))
        glucose = normal(92, 9) + GLUCOSE_EFFECT * people.alleles[GLUCOSE_VARIANT][number]
        levels = {
            "crp": math.exp(normal(0.5, 0.8)),
            "glucose": glucose,
            "haemoglobin": normal(14.8 if people.sexes[number] == "male" else 13.4, 0.9),
            "hdl": normal(52, 11),
        }
        for condition in CONDITIONS:
            alleles = people.alleles[condition.variant][number] if condition.variant else 0
            if draw() < condition.probability(age, alleles, glucose):
                episodes = 1 + math.floor(draw() * MAX_EPISODES)
                diagnoses += [(sample, condition.name, day()) for _ in range(episodes)]
        for _ in range(1 + math.floor(draw() * MAX_VISITS)):
            visit = day()
            for test, level in levels.items():
                # A tenth of the tests is not ordered, and one result in a hundred is lost.
                if draw() < 0.9:
                    value = round(max(level * (1 + normal(0, 0.04)), 0.1), 1)
                    labs.append((sample, test, None if draw() < 0.01 else value, visit))
    text = pa.string()
    return {
        "patients": _table(patients, sample=text, age=pa.int16(), sex=text),
        "diagnoses": _table(diagnoses, sample=text, condition=text, onset_day=pa.int32()),
        "labs": _table(labs, sample=text, test=text, value=pa.float64(), day=pa.int32()),
    }


def _table(rows: list[tuple[object, ...]], **types: pa.DataType) -> pa.Table:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types.values(), strict=True)]
    note = {b"noisegate.synthetic": b"invented records; made by tools/make_synthetic.py"}
    return pa.table(arrays, names=list(types)).replace_schema_metadata(note)


def main(folder: Path) -> None:
    """Write the tables as Parquet files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in make(People(ROOT / "data" / "genomes")).items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd", compression_level=19)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "data" / "synthetic")
