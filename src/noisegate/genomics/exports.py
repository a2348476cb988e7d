"""What is given out of a release, as files: genotypes in the formats asked for, tables as CSV.

All of it is post-processing of what was released. Files come out the same whenever they are made, so one that
a crash left half-made is made again.
"""

import csv
import io
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.frequencies import Frequencies
from noisegate.genomics.recipe import Format
from noisegate.genomics.releases import ReleasedFile, described, write_whole
from noisegate.genomics.tables import Tables, associations
from noisegate.genotypes.formats import WRITTEN, write_from
from noisegate.genotypes.store import Store
from noisegate.genotypes.variants import Variants

# Beside its first file a format may have more: same name, these endings.
BESIDE = {Format.BED: (".bim", ".fam"), Format.PGEN: (".pvar", ".psam")}
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first time a zip file can name


def export(store: Store, directory: Path, name: str, format_: Format) -> list[ReleasedFile]:
    """Write a store in one format and return its files; a folder becomes a zip, which Zarr readers open.

    Args:
        store: the noisy store.
        directory: where files go.
        name: what they are called before their ending.
        format_: which format.
    """
    target = directory / f"{name}{WRITTEN[format_.value]}"
    beside = [target.with_name(name + ending) for ending in BESIDE.get(format_, ())]
    if format_ is Format.VCF_ZARR:
        zipped = target.with_name(target.name + ".zip")
        if not zipped.exists():
            _remove(target)
            write_from(store, target, format_.value, lambda _: None)
            _zip(target, zipped)
            _remove(target)
        return [described(zipped, format_.value)]
    if not all(path.exists() for path in (target, *beside)):
        for path in (target, *beside):
            path.unlink(missing_ok=True)
        write_from(store, target, format_.value, lambda _: None)
    return [described(path, format_.value) for path in (target, *beside)]


def write_frequencies(
    directory: Path, name: str, variants: Variants, found: Frequencies
) -> tuple[ReleasedFile, ...]:
    """Write estimated frequencies, a line a variant, with how far noise may have moved each."""
    columns = {
        "frequency": found.mean,
        "sd": found.sd,
        "measured": found.noisy,
        "low": found.low,
        "high": found.high,
        "weight_of_measured": found.weight,
    }
    return (_table(directory / f"{name}.frequencies.csv", variants, columns),)


def write_tables(directory: Path, name: str, variants: Variants, found: Tables) -> tuple[ReleasedFile, ...]:
    """Write tables of cases and controls, and the tests of association that follow from them."""
    tested = associations(found)
    cells = {
        f"{group}_{genotype}": found.cells[:, g, genotype]
        for g, group in enumerate(("controls", "cases"))
        for genotype in range(3)
    }
    noisy = {
        f"noisy_{group}_{genotype}": found.noisy[:, g, genotype]
        for g, group in enumerate(("controls", "cases"))
        for genotype in range(3)
    }
    tests = {
        "z": tested.z,
        "p": tested.p,
        "log_odds": tested.log_odds,
        "low": tested.low,
        "high": tested.high,
    }
    return (
        _table(directory / f"{name}.tables.csv", variants, cells | noisy),
        _table(directory / f"{name}.associations.csv", variants, tests),
    )


def _table(path: Path, variants: Variants, columns: dict[str, NDArray[np.float64]]) -> ReleasedFile:
    """Write a CSV with a line a variant: what it is, then numbers with 10 digits."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["chrom", "pos", "id", "ref", "alt", *columns])
    numbers = zip(*(column.tolist() for column in columns.values()), strict=True)
    for variant, values in zip(variants.rows(), numbers, strict=True):
        lines.writerow([*map(_inert, variant), *(f"{value:.10g}" for value in values)])
    write_whole(path, text.getvalue().encode())
    return described(path, "csv")


def _inert(field: object) -> str:
    """Return a field that no spreadsheet takes for a formula."""
    text = str(field)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text


def _zip(folder: Path, target: Path) -> None:
    """Pack a folder without compressing it, its files in order and without times, so that bytes repeat."""
    draft = target.with_name(f".{target.name}")
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED, allowZip64=True) as packed:
        for path in _files(folder):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EPOCH)
            entry.external_attr = 0o644 << 16
            with path.open("rb") as reading, packed.open(entry, "w", force_zip64=True) as writing:
                while piece := reading.read(2**20):
                    writing.write(piece)
    draft.replace(target)


def _files(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
