"""Exact cells of the real engine over tiny towns, opened: the one thing only tests may do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import noisegate.engines.duckdb as engine_module
from noisegate.catalog.load import load
from noisegate.catalog.model import Catalog
from noisegate.engines.duckdb import DuckDB
from noisegate.engines.register import register
from noisegate.privacy.exact import Counted, Exact, _open
from noisegate.privacy.expressions import Scalar
from noisegate.privacy.question import Aggregation, Rank

from .world import WARD, Town, write

SALT = 0x5EED
Cells = Mapping[tuple[object, ...], np.ndarray]


@dataclass(frozen=True)
class Engine:
    """The real engine over the registered files of a town."""

    catalog: Catalog
    duckdb: DuckDB

    def exact(self, aggregation: Aggregation) -> Exact:
        """The sealed cells, under the one salt of these tests."""
        before = engine_module.secrets.randbits
        engine_module.secrets.randbits = lambda _: SALT  # type: ignore[assignment]
        try:
            return self.duckdb.run(aggregation)
        finally:
            engine_module.secrets.randbits = before

    def cells(self, aggregation: Aggregation) -> list[Cells]:
        """The exact cells of each measure by group."""
        keys, cells = unsealed(self.exact(aggregation), aggregation)
        assert len(set(keys)) == len(keys)
        return [dict(zip(keys, cell, strict=True)) for cell in cells]


def unsealed(
    exact: Exact, aggregation: Aggregation
) -> tuple[tuple[tuple[Scalar, ...], ...], list[np.ndarray]]:
    """Keys and cells, those of a Rank at all its candidates: shape (groups, candidates)."""
    keys, cells = _open(exact)
    tables = []
    for measure, cell in zip(aggregation.measures, cells, strict=True):
        assert isinstance(measure, Rank) == isinstance(cell, Counted)
        if isinstance(measure, Rank) and isinstance(cell, Counted):
            tables.append(cell.dense(np.arange(len(keys)), measure.candidates))
        else:
            tables.append(np.asarray(cell))
    return keys, tables


@contextmanager
def engine(town: Town, directory: Path, threads: int = 1) -> Iterator[Engine]:
    """Register a town and open the engine over it."""
    catalog = load(write(town, directory, WARD))
    held = DuckDB(
        {"ward": register(catalog.datasets[0], directory, directory / "state", 1)},
        memory_limit="500MB",
        spill=directory / "spill",
        threads=threads,
    )
    try:
        yield Engine(catalog, held)
    finally:
        held.close()
