"""Stores as Parquet files, a row a variant: for data frames and SQL engines.

The columns are chrom, pos, id, ref and alt, and `calls`: a list of int8 of fixed length, a call a person,
null where it is missing. A column a person would not scale, since the footer of a Parquet file names every
column of every row group. The people's names are in the file's metadata under "noisegate", as JSON with the
build.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from noisegate.errors import BadInput
from noisegate.genotypes import durable, parquet
from noisegate.genotypes.importing import filling
from noisegate.genotypes.packed import MISSING, Block, Calls, unpack
from noisegate.genotypes.reading import agreed_build, part, refuse_twice, rows_at_once
from noisegate.genotypes.store import Store
from noisegate.genotypes.text import Told, silent
from noisegate.genotypes.variants import Variants

CALLS = "calls"
_SITES = ("chrom", "pos", "id", "ref", "alt")
_KEY = b"noisegate"
_AGAIN = "export it again, or name its format if it is a table of another kind"


def write(store: Store, target: Path, progress: Told = silent) -> None:
    """Export a store, holding some 4 million calls at a time. The file appears once it is whole.

    Raises:
        BadInput: the file exists.
    """
    about = {"samples": list(store.samples), "build": store.build}
    calls = pa.field(CALLS, pa.list_(pa.field("item", pa.int8()), store.people))
    fields = [pa.field(name, pa.int32() if name == "pos" else pa.string()) for name in _SITES]
    schema = pa.schema([*fields, calls], metadata={_KEY: json.dumps(about)})
    step = rows_at_once(store.people)
    with (
        durable.Drafts() as drafts,
        pq.ParquetWriter(drafts.draft(target), schema, compression="zstd") as out,
    ):
        for start, block in store.blocks():
            for row in range(0, block.variants, step):
                some = slice(row, row + step)
                part_of = Block(block.hi[some], block.lo[some], block.people)
                sites = store.variants[start + row : start + row + part_of.variants]
                out.write_table(_table(schema, sites, unpack(part_of)))
            progress((start + block.variants) / len(store.variants))


def read(
    source: Path, target: Path, *, public: bool = False, build: str = "", progress: Told = silent
) -> Store:
    """Import a file that `write` made.

    Raises:
        BadInput: it is none. Nothing is left behind.
    """
    try:
        with parquet.opened(source) as file:
            about = json.loads((file.schema_arrow.metadata or {})[_KEY])
            samples = [str(name) for name in about["samples"]]
            _check_sizes(source, file, len(samples))
            variants = _variants(source, file)
            refuse_twice(variants, lambda place: f"{source.name}, row {place + 1}")
            with filling(
                target,
                samples=samples,
                variants=variants,
                build=agreed_build(source, build, str(about["build"])),
                public=public,
                provenance={"format": "parquet", "source": source.name},
                told=part(progress, 0.1, 1.0),
            ) as filled:
                for calls in _calls(source, file, len(samples)):
                    filled.add(calls)
                return filled.finish()
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise _unreadable(source, error) from None


def sites(source: Path, most: int | None = None) -> Variants:
    """Return the variants of a file that `write` made, the first `most` of them.

    Raises:
        BadInput: it is none.
    """
    try:
        with parquet.opened(source) as file:
            return _variants(source, file, most)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise _unreadable(source, error) from None


def _unreadable(source: Path, error: Exception) -> BadInput:
    return BadInput(f"{source.name}: not a Parquet file of variants: {type(error).__name__}", _AGAIN)


def _table(schema: pa.Schema, sites: Variants, calls: Calls) -> pa.Table:
    values = pa.array(calls.ravel(), pa.int8(), mask=(calls == MISSING).ravel())
    texts = (column.tolist() for column in (sites.chrom, sites.id, sites.ref, sites.alt))
    chrom, name, ref, alt = texts
    columns: list[Any] = [chrom, sites.pos, name, ref, alt]
    lists = pa.FixedSizeListArray.from_arrays(values, type=schema.field(CALLS).type)
    return pa.table([pa.array(c, schema.types[i]) for i, c in enumerate(columns)] + [lists], schema=schema)


def _variants(source: Path, file: pq.ParquetFile, most: int | None = None) -> Variants:
    parts: list[Variants] = []
    for batch in file.iter_batches(65_536, columns=list(_SITES)):
        chrom, name, ref, alt = (parquet.texts(source, batch.column(c)) for c in _SITES if c != "pos")
        parts.append(Variants.of(chrom, batch.column("pos").to_pylist(), name, ref, alt))
        if most is not None and sum(map(len, parts)) >= most:
            break
    return Variants.joined(parts)[:most]


def _check_sizes(source: Path, file: pq.ParquetFile, people: int) -> None:
    """Refuse lists that are not as long as there are people, before one is read."""
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        columns = [group.column(i) for i in range(group.num_columns)]
        held = [c.num_values for c in columns if c.path_in_schema.split(".")[0] == CALLS]
        if held != [group.num_rows * people]:
            raise BadInput(f"{source.name}: not a call for each of {people} people", _AGAIN)


def _calls(source: Path, file: pq.ParquetFile, people: int) -> Iterator[Calls]:
    row = 0
    for batch in file.iter_batches(rows_at_once(people), columns=[CALLS]):
        lists = batch.column(CALLS)
        values = lists.flatten().fill_null(MISSING).cast(pa.int8()).to_numpy()
        if lists.null_count or len(values) != len(lists) * people:
            raise BadInput(f"{source.name}, after row {row}: not a call for each of {people} people", _AGAIN)
        calls = values.reshape(len(lists), people)
        if not np.isin(calls, (0, 1, 2, MISSING)).all():
            raise BadInput(f"{source.name}, after row {row}: a call that is not 0, 1, 2 or null", _AGAIN)
        row += len(lists)
        yield calls
