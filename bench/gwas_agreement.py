"""How far our tables lie from the peers', variant by variant, on the study that was just measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.rows import Row, at_most, shown

Table = Mapping[str, np.ndarray]


def rows(place: Path, peers: Mapping[str, Path]) -> list[Row]:
    """Return the largest difference from each peer's table.

    Args:
        place: the study's folder, with ours-NAME.tsv.
        peers: what each peer's files begin with, by its name.
    """
    both, linear = _read(place / "ours-allelic-and-trend.tsv"), _read(place / "ours-linear.tsv")
    wald = _read(place / "ours-Wald.tsv")
    allelic = _read(_suffixed(peers["plink1.9 --assoc"], ".assoc"))
    trend = _read(_suffixed(peers["plink1.9 --model trend-only"], ".model"))
    old_linear = _read(_suffixed(peers["plink1.9 --linear"], ".assoc.linear"))
    new_linear = _read(_one(place, f"{peers['plink2 --glm, linear'].name}.*.glm.linear"))
    old_wald = _read(_suffixed(peers["plink1.9 --logistic"], ".assoc.logistic"))
    new_wald = _read(_one(place, f"{peers['plink2 --glm, Wald'].name}.*.glm.logistic*"))
    sgkit = place / "sgkit.npy"
    found = [
        _within_digits("allelic χ²: plink 1.9", both["chi2_allelic"], allelic["CHISQ"]),
        _within_digits("trend χ²: plink 1.9", both["chi2_trend"], trend["CHISQ"]),
        _within_digits("allelic p: plink 1.9", both["p_allelic"], allelic["P"]),
        _within("linear t: plink 2", linear["t"], new_linear["T_STAT"], 1e-4),
        _beyond_rounding("linear t: plink 1.9", linear["t"], old_linear["STAT"], 1e-4),
        _beyond_rounding("Wald z: plink 1.9", wald["z"], old_wald["STAT"], 1e-3),
        _apart("Wald z: plink 2", wald["z"], new_wald["Z_STAT"], "its own steps end early: up to .003"),
    ]
    if sgkit.exists():
        note = "it counts missing calls as the mean, we leave them out"
        found.append(_apart("linear t: sgkit", linear["t"], np.load(sgkit), note))
    return found


def _within(row: str, ours: np.ndarray, peer: np.ndarray, most: float) -> Row:
    return at_most(f"agreement, {row}", [_largest(ours, peer)], most, "apart at most")


def _apart(row: str, ours: np.ndarray, peer: np.ndarray, note: str) -> Row:
    return shown(f"agreement, {row}", [_largest(ours, peer)], "apart at most", note)


def _largest(ours: np.ndarray, peer: np.ndarray) -> float:
    """Return the largest difference; infinite where one has a number and the other has none."""
    if (np.isfinite(ours) != np.isfinite(peer)).any():
        return float("inf")
    return float(np.nanmax(np.abs(ours - peer)))


def _within_digits(row: str, ours: np.ndarray, peer: np.ndarray) -> Row:
    """Compare with numbers of four printed digits, in units of the last one: half of it is rounding."""
    if (np.isfinite(ours) != np.isfinite(peer)).any():
        return at_most(f"agreement, {row}", [float("inf")], 1, "last digits")
    apart = np.nanmax(np.abs(ours - peer) / _last_digit(peer))
    return at_most(f"agreement, {row}", [float(apart)], 1, "last digits")


def _beyond_rounding(row: str, ours: np.ndarray, peer: np.ndarray, most: float) -> Row:
    """Compare with numbers of four printed digits, whose rounding is no difference."""
    if (np.isfinite(ours) != np.isfinite(peer)).any():
        return at_most(f"agreement, {row}", [float("inf")], most, "apart at most")
    apart = np.nanmax(np.abs(ours - peer) - _last_digit(peer) / 2)
    return at_most(f"agreement, {row}", [max(float(apart), 0.0)], most, "apart at most", "beyond rounding")


def _last_digit(printed: np.ndarray) -> np.ndarray:
    return 10.0 ** (np.floor(np.log10(np.maximum(np.abs(printed), 1e-300))) - 3)


def _read(file: Path) -> Table:
    """Return the columns of a table of numbers, NaN where it has none."""
    with file.open() as lines:
        names = next(lines).split()
        cells = [line.split() for line in lines]
    columns: Sequence[Sequence[str]] = list(zip(*cells, strict=True))
    return {name: np.array([_number(c) for c in column]) for name, column in zip(names, columns, strict=True)}


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _suffixed(stem: Path, suffix: str) -> Path:
    return stem.with_name(stem.name + suffix)


def _one(place: Path, pattern: str) -> Path:
    (found,) = place.glob(pattern)
    return found
