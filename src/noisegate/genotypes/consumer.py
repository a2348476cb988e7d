"""Raw data of 23andMe and AncestryDNA: text files of one person each, into a store of many people.

Such files name no alleles, and which positions they hold differs from chip to chip, so that a list taken
from the files would depend on the people. A public manifest says which variants there are and which allele
is counted; a variant is found by its id, else by its place. Without a manifest only a source that is marked
public is read: the variants are those of its first file, and the alleles are the letters seen, in
alphabetical order.

A call is missing where the file has none, where it has letters that the manifest does not name, and where a
file has two rows of one variant that differ.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from noisegate.errors import BadInput
from noisegate.genotypes import raw_data
from noisegate.genotypes.importing import filling
from noisegate.genotypes.packed import MISSING, Calls
from noisegate.genotypes.reading import agreed_build, part, rows_at_once
from noisegate.genotypes.store import Store
from noisegate.genotypes.text import Told, silent
from noisegate.genotypes.transpose import PersonByPerson
from noisegate.genotypes.variants import NO_ALT, Variants, contig

# A file whose positions differ from the manifest's for more than this share of ids is of another build.
_MOST_ELSEWHERE = 0.1


def read(
    source: Path,
    target: Path,
    *,
    public: bool = False,
    build: str = "",
    manifest: Variants | None = None,
    progress: Told = silent,
) -> Store:
    """Import one file, or a folder of files, of one person each, called as the file is less its ending.

    Args:
        source: a file or a folder.
        target: the store to make.
        public: whether all of it may be seen by anybody.
        build: the genome build, of files that do not say it.
        manifest: which variants to take; needed unless `public`.
        progress: told the share that is done.

    Raises:
        BadInput: a file is none of the two vendors', cut off, of another build, or has none of the
            manifest's variants; the message names file and line. Nothing is left behind.
    """
    files = raw_data.files_of(source)
    samples = [raw_data.person_of(file) for file in files]
    if len(set(samples)) != len(samples):
        raise BadInput(
            f"{source.name}: two files are named alike but for their endings", "rename one of them"
        )
    for file in files:
        build = agreed_build(file, build, raw_data.build_of(file))
    if manifest is None:
        if not public:
            raise BadInput(
                f"{source.name}: raw data names no alleles, and its list of variants depends on the people",
                "give a public manifest with the columns chrom, pos, id, ref and alt",
            )
        manifest = _seen(files)
    finder = _Finder(manifest)
    told = part(progress, 0.0, 0.9)
    with PersonByPerson(target, len(manifest)) as people:
        for number, file in enumerate(files, 1):
            people.add(finder.calls(file))
            told(number / len(files))
        with filling(
            target,
            samples=samples,
            variants=manifest,
            build=build,
            public=public,
            provenance={"format": "consumer", "source": source.name, "files": len(files)},
            told=part(progress, 0.9, 1.0),
        ) as filled:
            for block in people.blocks(rows_at_once(len(files))):
                filled.add_packed(block)
            return filled.finish()


class _Finder:
    """Finds the manifest's variants in files, and counts their alternate alleles."""

    def __init__(self, manifest: Variants) -> None:
        self._size = len(manifest)
        self._ids: dict[str, int] = {}
        self._places: dict[tuple[str, int], int] = {}
        self._positions = manifest.pos
        self._alleles: list[tuple[str, str]] = []
        for place, (chrom, pos, name, ref, alt) in enumerate(manifest.rows()):
            if name:
                self._ids.setdefault(name, place)
            if pos:
                self._places.setdefault((contig(chrom), pos), place)
            self._alleles.append(_as_letters(ref, alt))

    def calls(self, file: Path) -> Calls:
        """Return one person's calls, int8 of shape (variants,)."""
        calls = np.full(self._size, MISSING, np.int8)
        known = np.zeros(self._size, dtype=bool)
        clash = np.zeros(self._size, dtype=bool)
        elsewhere = found = 0
        for _, name, chrom, pos, letters in raw_data.rows(file):
            place = self._ids.get(name, -1)
            if place >= 0 and self._positions[place] and self._positions[place] != pos:
                elsewhere += 1
                place = -1
            if place < 0:
                place = self._places.get((contig(chrom), pos), -1)
            if place < 0:
                continue
            found += 1
            call = _count(letters, self._alleles[place])
            if call == MISSING:
                continue
            clash[place] |= known[place] and calls[place] != call
            calls[place], known[place] = call, True
        if not found and not elsewhere:
            raise BadInput(
                f"{file.name}: it has none of the manifest's variants",
                "is the manifest of another chip or build?",
            )
        if elsewhere > _MOST_ELSEWHERE * (found + elsewhere):
            raise BadInput(
                f"{file.name}: many ids stand at other positions than in the manifest",
                "it is of another genome build: give a manifest of the same one",
            )
        calls[clash] = MISSING
        return calls


def _as_letters(ref: str, alt: str) -> tuple[str, str]:
    """Return the letters of two alleles: I for the longer one, D for the shorter, where lengths differ."""
    if alt != NO_ALT and len(ref) != len(alt):
        return ("I", "D") if len(ref) > len(alt) else ("D", "I")
    return ref.upper(), alt.upper()


def _count(letters: str, alleles: tuple[str, str]) -> int:
    """Return how many alternate alleles letters hold; one letter counts twice, as PLINK stores it."""
    if not letters or not set(letters) <= set(alleles):
        return MISSING
    return sum(letter == alleles[1] for letter in (letters * 2)[:2])


def _seen(files: Sequence[Path]) -> Variants:
    """Return the variants of the first file, with the letters of all files. Of public people alone."""
    letters: dict[str, set[str]] = {}
    sites: dict[str, tuple[str, int]] = {}
    for number, file in enumerate(files):
        for _, name, chrom, pos, found in raw_data.rows(file):
            if number == 0 and name not in sites:
                sites[name], letters[name] = (chrom, pos), set()
            if name in letters:
                letters[name].update(found)
    kept = [(name, *sites[name], *_alphabetical(found)) for name, found in letters.items() if len(found) <= 2]
    names, chroms, positions, refs, alts = zip(*kept, strict=True) if kept else ((), (), (), (), ())
    if not kept:
        raise BadInput(f"{files[0].name}: no variant has one or two letters", raw_data.AGAIN)
    return Variants.of(chroms, positions, names, refs, alts)


def _alphabetical(letters: set[str]) -> tuple[str, str]:
    first, *second = sorted(letters) or ["N"]
    return first, second[0] if second else NO_ALT
