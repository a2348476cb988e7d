"""Parquet files from elsewhere, opened so that a small file cannot become large in memory.

A value that occurs in a million rows is in the file once. It is read so, as an entry of a dictionary, and
handed on as one Python string for all of those rows.
"""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from noisegate.errors import BadInput
from noisegate.genotypes import text
from noisegate.genotypes.variants import MAX_FIELD

LONGEST = 2 * MAX_FIELD + 1  # a call: two alleles and a mark between them
_MOST_BYTES = 2**30  # of one column in one row group
_FIXED = 64  # bytes of a value of fixed length
_SMALLER = "write it with smaller row groups, and without columns that are no calls"


def opened(source: Path) -> pq.ParquetFile:
    """Open a file; its texts come as dictionaries.

    Raises:
        BadInput: it is no file, or by its footer a column is too large to be held.
        OSError, pyarrow.ArrowException: it is not Parquet.
    """
    text.regular(source)
    with pq.ParquetFile(source) as file:
        about = file.metadata
        groups = [about.row_group(number) for number in range(about.num_row_groups)]
        sizes = [g.column(i).total_uncompressed_size for g in groups for i in range(g.num_columns)]
        columns = [about.schema.column(i) for i in range(len(about.schema))]
    if max(sizes, default=0) > _MOST_BYTES:
        raise BadInput(f"{source.name}: a column has more than {_MOST_BYTES:,} bytes", _SMALLER)
    if any(c.physical_type == "FIXED_LEN_BYTE_ARRAY" and c.length > _FIXED for c in columns):
        raise BadInput(f"{source.name}: a column holds values of more than {_FIXED} bytes", _SMALLER)
    return pq.ParquetFile(
        source, read_dictionary=[c.path for c in columns if c.physical_type == "BYTE_ARRAY"]
    )


def texts(source: Path, column: pa.Array) -> list[str]:
    """Return the values of a column as texts, "" where there is none.

    Raises:
        BadInput: one is longer than any name or call.
        pyarrow.ArrowException: they are of a type that is no text and has none.
    """
    if not pa.types.is_dictionary(column.type):
        return [value or "" for value in column.cast(pa.string()).to_pylist()]
    words = column.dictionary.cast(pa.string())
    if (pc.max(pc.binary_length(words)).as_py() or 0) > LONGEST:
        raise BadInput(f"{source.name}: a value has more than {LONGEST:,} bytes", "leave such columns out")
    known: list[Any] = words.to_pylist()
    return ["" if place is None else known[place] or "" for place in column.indices.to_pylist()]
