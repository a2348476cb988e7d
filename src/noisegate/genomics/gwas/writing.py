"""Tables of variants: as text with tabs, and as Parquet.

The text is what programs that read PLINK's tables expect: a line of headings, then one line a variant, NA
where a value is not defined. Five columns name the variant; `alt` is the allele that is counted.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from noisegate.genomics.gwas import digits
from noisegate.genomics.gwas.columns import Coded, Column, Columns
from noisegate.genotypes.flat import Flat, Strings
from noisegate.genotypes.pooled import pooled
from noisegate.genotypes.variants import Variants

NAMES = ("chrom", "pos", "id", "ref", "alt")
Bytes = NDArray[np.uint8]


def heading(columns: Columns) -> bytes:
    """Return the first line of a table."""
    return ("\t".join([*NAMES, *columns]) + "\n").encode()


def lines(variants: Flat, columns: Columns) -> Bytes:
    """Return the lines of some variants, as bytes of text.

    Args:
        variants: whose they are.
        columns: what was found of each.
    """
    kinds = [digits.TEXT, digits.WHOLE, digits.TEXT, digits.TEXT, digits.TEXT]
    text = [variants.chrom, variants.id, variants.ref, variants.alt]
    wholes: list[NDArray[Any]] = [variants.pos]
    reals: list[NDArray[Any]] = []
    for column in columns.values():
        kind = _kind(column)
        kinds.append(kind)
        if isinstance(column, Coded):
            text.append(Strings.of_words(column.words)[column.codes])
        else:
            (reals if kind == digits.REAL else wholes).append(column)
    return _lines(kinds, text, wholes, reals, len(variants))


def _kind(column: Column) -> int:
    if isinstance(column, Coded):
        return digits.TEXT
    return digits.REAL if column.dtype == np.float64 else digits.WHOLE


def _lines(kinds: list[int], text: list[Strings], wholes: list[Any], reals: list[Any], rows: int) -> Bytes:
    """Return rows of columns of these kinds, those of one kind in their order."""
    seen = [0, 0, 0]
    places = []
    for kind in kinds:
        places.append(seen[kind])
        seen[kind] += 1
    if not rows:
        return np.empty(0, np.uint8)
    starts, stops = (pooled((len(text), rows), np.int32) for _ in range(2))
    held: list[Bytes] = []
    end = long = 0
    for place, strings in enumerate(text):
        # Of all text there is, what these rows have.
        first, last, here = digits.placed(strings.starts, strings.stops, end, starts[place], stops[place])
        held.append(strings.data[first:last])
        end, long = end + last - first, long + here
    data = np.concatenate([*held, np.zeros(digits.SLACK, np.uint8)])
    each = sum(kinds.count(kind) * longest for kind, longest in digits.LONGEST.items()) + len(kinds)
    out: Bytes = pooled(long + rows * each + digits.SLACK, np.uint8)
    used = digits.lines(
        np.array(kinds),
        np.array(places),
        data,
        starts,
        stops,
        _stacked(reals, rows, np.float64),
        _stacked(wholes, rows, np.int64),
        out,
    )
    return out[:used]


def _stacked(columns: list[Any], rows: int, kind: Any) -> NDArray[Any]:
    found: NDArray[Any] = pooled((len(columns), rows), kind)
    for place, column in enumerate(columns):
        found[place] = column
    return found


def as_arrow(variants: Variants, places: NDArray[np.int64], columns: Columns) -> pa.Table:
    """Return some variants' columns as an Arrow table; values that are not defined are null."""
    found: dict[str, Any] = {name: pa.array(getattr(variants, name)[places]) for name in NAMES}
    for name, values in columns.items():
        if isinstance(values, Coded):
            found[name] = pa.array(values.words).take(pa.array(values.codes))
        else:
            found[name] = pa.array(values, from_pandas=values.dtype == np.float64)
    return pa.table(found)
