"""`python -m bench gwas`: association studies beside plink 1.9, plink 2 and sgkit, files to files.

Every figure is in CPU seconds of whole runs: plink's of its processes, sgkit's and ours of processes whose
modules are loaded and kernels compiled, as in a gateway or a notebook; what a fresh process of ours takes is
a row of its own. All read the same genotypes in their own format and write their tables as text.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench import gwas_agreement, gwas_data, gwas_private
from bench.rows import Row, at_most, beside, faster_by, missing, shown

HERE = Path(__file__).parent
SECONDS = "CPU-s"
MEMORY_MIB = 1_024.0
Say = Callable[[str], None]
Work = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured: whether it is to take about a minute, the study's size, and rounds."""

    quick: bool
    people: int
    variants: int
    repeats: int


FULL = Scale(quick=False, people=2_000, variants=100_000, repeats=5)
QUICK = Scale(quick=True, people=2_000, variants=20_000, repeats=3)
LINEAR = ("--pheno", "linear.txt", "--covar", "covariates.txt")
LOGISTIC = ("--pheno", "case.txt", "--covar", "covariates.txt")
# plink 2 tests the rarer allele of these people, unless it is told to test the one that the file counts.
GLM = ("--glm", "hide-covar", "omit-ref")
PEERS: Mapping[str, tuple[str, ...]] = {
    "plink1.9 --assoc": ("plink1.9", "--pheno", "case.txt", "--assoc"),
    "plink1.9 --model trend-only": ("plink1.9", "--pheno", "case.txt", "--model", "trend-only"),
    "plink1.9 --linear": ("plink1.9", *LINEAR, "--linear", "hide-covar"),
    "plink1.9 --logistic": ("plink1.9", *LOGISTIC, "--logistic", "beta", "hide-covar"),
    "plink2 --glm, linear": ("plink2", *LINEAR, *GLM),
    "plink2 --glm, Wald": ("plink2", *LOGISTIC, *GLM, "no-firth"),
    "plink2 --glm firth": ("plink2", *LOGISTIC, *GLM, "firth"),
}
OURS = ("allelic and trend", "linear", "score", "Wald", "Firth")
LONG = "plink2 --glm firth"
ONCE = frozenset({"Firth", LONG})  # measured once


def run(*, quick: bool, only: frozenset[str] | None, say: Say) -> tuple[list[Row], dict[str, str]]:
    """Measure, and return rows and versions; see `bench.genomes.run`."""
    scale = QUICK if quick else FULL
    sections = {"studies": _studies, "private": lambda *_: gwas_private.rows(quick=quick)}
    unknown = (only or frozenset()) - sections.keys()
    if unknown:
        raise SystemExit(f"no section {', '.join(sorted(unknown))}; there are {', '.join(sections)}")
    versions = {p: version(p) for p in ("noisegate", "numpy", "numba", "zarr", "scipy")}
    rows: list[Row] = []
    for name, section in sections.items():
        if only is not None and name not in only:
            continue
        started = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="noisegate-bench-") as place:
            rows += section(Path(place), scale, versions)
        say(f"{name}: {time.perf_counter() - started:.0f} s")
    return rows, versions


def _studies(place: Path, scale: Scale, versions: dict[str, str]) -> list[Row]:
    gwas_data.make(place, scale.people, scale.variants)
    works: dict[str, Work] = {name: _ours(place, name) for name in OURS}
    for name, command in PEERS.items():
        if name == LONG and scale.quick:
            continue
        works[name] = lambda name=name, command=command: _peer(place, name, command)
        versions[command[0]] = _version(command[0])
    found: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(scale.repeats + 1):  # the first is not counted: it compiles, and fills caches
        for name, work in works.items():
            if (name in ONCE and turn > 1) or (name == LONG and turn == 0):
                continue
            seconds = work()
            if turn:
                found[name].append(seconds)
    rows = _rows(found, f"{scale.people:,} × {scale.variants:,}")
    rows += _sgkit(place, scale, found["linear"], versions)
    rows += gwas_agreement.rows(place, {name: place / _slug(name) for name in PEERS if name in found})
    return rows + _fresh(place)


def _rows(found: dict[str, list[float]], size: str) -> list[Row]:
    both = [
        a + b for a, b in zip(found["plink1.9 --assoc"], found["plink1.9 --model trend-only"], strict=True)
    ]
    rows = [
        faster_by(f"allelic and trend, {size}: plink 1.9", found["allelic and trend"], both, 4, SECONDS),
        faster_by(
            f"linear, 3 covariates, {size}: plink 2",
            found["linear"],
            found["plink2 --glm, linear"],
            3,
            SECONDS,
        ),
        beside(
            f"linear, 3 covariates, {size}: plink 1.9", found["linear"], found["plink1.9 --linear"], SECONDS
        ),
        faster_by(
            f"Wald, 3 covariates, {size}: plink 1.9", found["Wald"], found["plink1.9 --logistic"], 1, SECONDS
        ),
        faster_by(
            f"Wald, 3 covariates, {size}: plink 2", found["Wald"], found["plink2 --glm, Wald"], 2, SECONDS
        ),
        shown(f"score, 3 covariates, {size}", found["score"], SECONDS),
    ]
    if LONG in found:
        rows.append(beside(f"Firth, {size}: plink 2", found["Firth"], found[LONG], SECONDS))
    else:
        rows.append(shown(f"Firth, {size}", found["Firth"], SECONDS))
    return rows


def _ours(place: Path, name: str) -> Work:
    """Return one of our studies, from files to files."""
    from noisegate.genomics.gwas.analyses import Contingency, Linear, Logistic, Method, Test
    from noisegate.genomics.gwas.phenotypes import read_covariates, read_phenotype
    from noisegate.genomics.gwas.study import Study, run
    from noisegate.genotypes.store import Store

    analysis = {
        "allelic and trend": Contingency((Test.ALLELIC, Test.TREND)),
        "linear": Linear(),
        "score": Logistic(Method.SCORE),
        "Wald": Logistic(Method.WALD),
        "Firth": Logistic(Method.FIRTH),
    }[name]

    def work() -> float:
        with tempfile.TemporaryDirectory(dir=place) as out:
            started = time.process_time()
            store = Store.open(place / "data.zarr")
            trait = "linear.txt" if name == "linear" else "case.txt"
            phenotype, _ = read_phenotype(place / trait, store.samples)
            covariates = None
            if name != "allelic and trend":
                covariates, _ = read_covariates(place / "covariates.txt", store.samples)
            run(Study(store, phenotype, (analysis,), covariates), Path(out))
            seconds = time.process_time() - started
            (made,) = Path(out).glob("*.tsv")
            made.replace(place / f"ours-{_slug(name)}.tsv")
        return seconds

    return work


def _peer(place: Path, name: str, command: tuple[str, ...]) -> float:
    """Run plink on one thread, and return the CPU seconds of its process."""
    program, *arguments = command
    # Alleles stay as the file has them: plink 1.9 would turn those that are commoner than half.
    same = ["--allow-no-sex", "--keep-allele-order"] if program == "plink1.9" else []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [program, "--bfile", "data", *same, *arguments, "--threads", "1", "--out", _slug(name)],
        cwd=place,
        check=True,
        capture_output=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _sgkit(place: Path, scale: Scale, ours: list[float], versions: dict[str, str]) -> list[Row]:
    name = f"linear, 3 covariates, {scale.people:,} × {scale.variants:,}: sgkit"
    python = HERE / ".venvs" / "sgkit" / "bin" / "python"
    if not python.exists():
        return [missing(name, SECONDS, "≥ 8 × faster", "sgkit is not installed: bench/peers/install.sh")]
    done = subprocess.run(
        [python, HERE / "peers" / "sgkit_linear.py", place, "3"], check=True, capture_output=True, text=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    versions |= {f"{package} (with sgkit)": v for package, v in told["versions"].items()}
    return [faster_by(name, ours, told["seconds"][1:], 8, SECONDS)]


def _fresh(place: Path) -> list[Row]:
    """Return what a process of its own takes, from its start, and the most memory that is resident in it."""
    rows = []
    for name in ("allelic and trend", "linear", "Wald"):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "bench.gwas", str(place), name],
            check=True,
            capture_output=True,
            text=True,
            cwd=HERE.parent,
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        rows.append(shown(f"{name}: a fresh process, from its start", [whole], SECONDS))
        rows.append(at_most(f"{name}: peak memory", [float(done.stdout)], MEMORY_MIB, "MiB"))
    return rows


def _version(program: str) -> str:
    told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
    return told.stdout.strip().split(" 64-bit")[0].removeprefix("PLINK ")


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name)


def main() -> None:
    """Run one of our studies and print the peak of memory, in MiB."""
    from bench.memory import peak_mib

    _ours(Path(sys.argv[1]), sys.argv[2])()
    print(peak_mib())


if __name__ == "__main__":
    main()
