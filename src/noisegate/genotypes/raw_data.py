"""Raw data of 23andMe and AncestryDNA, line by line.

23andMe has four columns (rsid, chromosome, position, genotype: two letters, one where a person has one
copy, D and I for deletions and insertions, `--` where there is no call), AncestryDNA five (two alleles, 0
where there is no call; 23 to 26 stand for X, Y, XY and MT). Comments at the top name the genome build.
Letters are of the plus strand.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from noisegate.errors import BadInput
from noisegate.genotypes import text
from noisegate.genotypes.reading import ONE_COPY, build_said
from noisegate.genotypes.variants import MAX_POSITION, contig

ENDINGS = (".txt", ".txt.gz", ".tsv", ".tsv.gz", ".csv", ".csv.gz")
_VENDORS = {"23andme": "23andMe", "ancestrydna": "AncestryDNA"}
_MAX_LINE = 2**16
_MAX_COMMENTS = 10_000
_NO_CALL = frozenset("-0")
_LETTERS = frozenset("ACGTDI-0")
AGAIN = "download the raw data again, and leave the file as it is"

Row = tuple[int, str, str, int, str]  # line, id, chromosome, position, letters


def files_of(source: Path) -> list[Path]:
    """Return the files of a source in the order of their names: one file, or all text files of a folder.

    Raises:
        BadInput: there are none.
    """
    if not source.is_dir():
        return [source]
    found = sorted(f for f in source.iterdir() if f.name.lower().endswith(ENDINGS) and f.name[0] != ".")
    if not found:
        raise BadInput(f"{source.name}: no raw data files in it", f"they end in {', '.join(ENDINGS[:4])}")
    return found


def is_raw_data(path: Path) -> bool:
    """Whether a file begins as raw data of one of the two vendors does."""
    try:
        for number, line in text.lines(path, whole=False, longest=_MAX_LINE):
            if any(mark in line.casefold() for mark in _VENDORS):
                return True
            if not line.startswith("#") or number > _MAX_COMMENTS:
                return False
    except BadInput:
        return False
    return False


def rows(file: Path) -> Iterator[Row]:
    """Yield line, id, chromosome, position and the letters of each call; "" where there is none.

    Raises:
        BadInput: a line that is not of one of the two vendors. The message names it.
    """
    width = 0
    for number, line in text.lines(file, longest=_MAX_LINE):
        if line.startswith("#") or not line:
            continue
        fields = [field.strip('" ') for field in re.split(r"[\t,]", line)]
        where = f"{file.name}, line {number}"
        if not width:
            if len(fields) not in (4, 5):
                raise BadInput(
                    f"{where}: {len(fields)} columns, which is no raw data of 23andMe or AncestryDNA", AGAIN
                )
            width = len(fields)
        if fields[0].casefold() == "rsid":
            continue
        if len(fields) != width:
            raise BadInput(f"{where}: {len(fields)} columns where {width} are due", AGAIN)
        name, chrom, pos = fields[:3]
        letters = "".join(fields[3:]).upper()
        if not (pos.isascii() and pos.isdigit() and int(pos[:11]) <= MAX_POSITION) or not chrom or not name:
            raise BadInput(f"{where}: not a row of an id, a chromosome and a position", AGAIN)
        if len(letters) > 2 or not _LETTERS.issuperset(letters):
            raise BadInput(f"{where}: a genotype is of two letters, A, C, G, T, D or I, or --", AGAIN)
        if _NO_CALL.intersection(letters):
            letters = ""
        if len(letters) == 1 and contig(chrom) not in ONE_COPY:
            raise BadInput(f"{where}: one letter on chromosome {chrom[:20]}", AGAIN)
        yield number, name, chrom, int(pos), letters
    if not width:
        raise BadInput(f"{file.name}: it has no rows", AGAIN)


def person_of(file: Path) -> str:
    """Return what the person of a file is called: the file's name without its ending."""
    return next(
        (file.name[: -len(end)] for end in reversed(ENDINGS) if file.name.lower().endswith(end)), file.name
    )


def build_of(file: Path) -> str:
    """Return the build that the comments at the top name, "" where they name none."""
    said: list[str] = []
    for _, line in text.lines(file, whole=False, longest=_MAX_LINE):
        if not line.startswith("#") or len(said) > _MAX_COMMENTS:
            break
        said.append(line)
    return build_said("\n".join(said))
