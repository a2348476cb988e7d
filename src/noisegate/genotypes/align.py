"""Which variant of a source is which of a public manifest: decided from the two lists, never from a call.

TRUSTED. Variants meet at chromosome and position; by id where one of the two positions is not known.
Alleles may be exchanged (then 2 - x is counted) or read off the other strand (then nothing changes but
their letters). What cannot be decided is dropped, and every variant that is dropped, of either list, is
listed with its reason:

- a palindromic variant (A/T or C/G) looks the same from both strands. It is kept where the strand is
  known: said by the caller, or shown by at least 20 other variants of which none is from the other strand;
- exchanged alleles of which one is longer than a base may be an insertion here and a deletion there.

Lists of different builds are refused, and so are lists whose common ids stand mostly at other positions.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import njit
from numpy.typing import NDArray

from noisegate.errors import BadInput
from noisegate.genotypes import chunks
from noisegate.genotypes.packed import Block, last_word, words_of
from noisegate.genotypes.store import Store
from noisegate.genotypes.variants import NO_ALT, Variants, assembly

Places = NDArray[np.int64]
NOWHERE = -1
_WITNESSES = 20  # variants that show which strand a source is of
_COMMON_IDS = 10  # ids that show whether positions are of one build
_BASES = "ACGT"  # in this order, a base and its complement sum to 3
_NO_ALT, _OTHER_STRAND = -1, -2


class Reason(IntEnum):
    """Why a variant is kept or dropped."""

    KEPT = 0
    ABSENT = 1
    MOVED = 2
    ALLELES = 3
    STRAND = 4
    INDEL = 5
    TWICE = 6
    UNASKED = 7

    @property
    def sentence(self) -> str:
        """Say it in words."""
        return _SENTENCES[self]


_SENTENCES = {
    Reason.KEPT: "kept",
    Reason.ABSENT: "the source has no variant there",
    Reason.MOVED: "the source has this id at another position",
    Reason.ALLELES: "the alleles are others in the source",
    Reason.STRAND: "palindromic, and it is not known which strand the source is of",
    Reason.INDEL: "the alleles are exchanged, so it may be an insertion in one and a deletion in the other",
    Reason.TWICE: "several variants of the source fit",
    Reason.UNASKED: "the manifest has no such variant",
}


@dataclass(frozen=True, slots=True)
class Dropped:
    """One variant that is not used: of the "source" or of the "manifest", by its place there."""

    side: str
    place: int
    name: str
    reason: Reason


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """How the calls of a manifest come from a source.

    Over the manifest's variants: `index` int64, the source's place or -1 for none; `swapped` bool, count
    the other allele; `flipped` bool, alleles were read off the other strand; `reason` int8, KEPT exactly
    where index is not -1. Over the source's variants: `unused` int8, KEPT for those that are in index.
    """

    source: Variants
    manifest: Variants
    index: Places
    swapped: NDArray[np.bool_]
    flipped: NDArray[np.bool_]
    reason: NDArray[np.int8]
    unused: NDArray[np.int8]

    def __post_init__(self) -> None:
        shapes = {a.shape for a in (self.index, self.swapped, self.flipped, self.reason)}
        if shapes != {(len(self.manifest),)} or self.unused.shape != (len(self.source),):
            raise ValueError("an alignment says something of each variant")
        if ((self.index == NOWHERE) == (self.reason == Reason.KEPT)).any():
            raise ValueError("a variant is kept exactly where the source has it")
        if len(self.index) and not (self.index.min() >= NOWHERE and self.index.max() < len(self.source)):
            raise ValueError("an alignment points into its source")
        for array in (self.index, self.swapped, self.flipped, self.reason, self.unused):
            array.flags.writeable = False

    @property
    def kept(self) -> int:
        """How many variants of the manifest the source has."""
        return int((self.index != NOWHERE).sum())

    def dropped(self) -> Iterator[Dropped]:
        """Yield every variant that is not used, of the manifest first."""
        for side, listed, why in (
            ("manifest", self.manifest, self.reason),
            ("source", self.source, self.unused),
        ):
            places = np.flatnonzero(why)
            names = listed.take(places).names().tolist()
            for place, name, reason in zip(places.tolist(), names, why[places].tolist(), strict=True):
                yield Dropped(side, place, name, Reason(reason))

    def counts(self) -> dict[tuple[str, Reason], int]:
        """Return how many variants of each list were dropped for each reason."""
        return {
            (side, reason): count
            for side, why in (("manifest", self.reason), ("source", self.unused))
            for reason in Reason
            if reason is not Reason.KEPT and (count := int((why == reason).sum()))
        }

    def digest(self) -> str:
        """Return the SHA-256, in hex, of both lists and of what comes from where."""
        whole = hashlib.sha256(f"alignment {self.source.digest()} {self.manifest.digest()}\n".encode())
        whole.update(self.index.astype("<i8").tobytes())
        whole.update(self.swapped.tobytes())
        return whole.hexdigest()


def align(
    source: Variants, manifest: Variants, *, builds: tuple[str, str] = ("", ""), forward: bool = False
) -> Alignment:
    """Find each variant of the manifest in the source.

    Args:
        source: the variants at hand.
        manifest: the public list that is wanted, each variant once.
        builds: genome builds of source and manifest, "" where one is not known.
        forward: both lists are of the forward strand, as those of VCF files are.

    Raises:
        BadInput: the builds are different, by name or by the positions of ids; the manifest has a variant
        twice.
    """
    ours, theirs = (assembly(build) for build in builds)
    if ours and theirs and ours != theirs:
        raise BadInput(
            f"the source's positions are of {ours} and the manifest's of {theirs}",
            "lift one of them over first, with Picard LiftoverVcf or CrossMap",
        )
    if (pair := manifest.twice()) is not None:
        raise BadInput(
            f"variants {pair[0] + 1} and {pair[1] + 1} of the manifest are the same", "drop one of them"
        )
    if source.digest() == manifest.digest():
        count = len(manifest)
        none = np.zeros(count, bool)
        kept = np.zeros(count, np.int8)
        return Alignment(source, manifest, np.arange(count), none, none.copy(), kept, kept.copy())
    by_id = _places_of_ids(source)
    _refuse_moved(source, manifest, by_id)
    return _decide(source, manifest, *_candidates(source, manifest, by_id), forward)


def apply(store: Store, alignment: Alignment, start: int, stop: int) -> Block:
    """Return the calls of the manifest's variants start to stop - 1; missing where the source has none.

    Memory is that of the result and one chunk of the store.
    """
    rows = alignment.index[start:stop]
    in_order = len(rows) > 0 and rows[0] != NOWHERE and bool((np.diff(rows) == 1).all())
    if in_order and not alignment.swapped[start:stop].any():
        return store.block(int(rows[0]), int(rows[-1]) + 1)
    hi, lo = (chunks.room(len(rows), words_of(store.people)) for _ in range(2))
    last = np.uint64(last_word(store.people))
    absent = np.flatnonzero(rows == NOWHERE)
    hi[absent], lo[absent] = np.uint64(2**64 - 1), np.uint64(0)
    hi[absent, -1] = last
    present = np.flatnonzero(rows != NOWHERE)
    chunk_of = rows[present] // store.chunk
    for chunk in np.unique(chunk_of).tolist():
        to = present[chunk_of == chunk]
        first, _ = store.bounds(chunk)
        block = store.read(chunk)
        _take(block.hi, block.lo, rows[to] - first, alignment.swapped[start:stop][to], last, to, hi, lo)
    return Block(hi, lo, store.people)


def _places_of_ids(variants: Variants) -> dict[str, int]:
    """Return where each id is; those that several variants share are left out."""
    places: dict[str, int] = {}
    often: set[str] = set()
    for place, (_, _, name, _, _) in enumerate(variants.rows()):
        if name and places.setdefault(name, place) != place:
            often.add(name)
    for name in often:
        del places[name]
    return places


def _refuse_moved(source: Variants, manifest: Variants, by_id: dict[str, int]) -> None:
    """Refuse lists in which most of the ids that both have stand at different positions."""
    both = [(place, by_id[name]) for place, (_, _, name, _, _) in enumerate(manifest.rows()) if name in by_id]
    if len(both) < _COMMON_IDS:
        return
    there, here = (np.array(side, np.int64) for side in zip(*both, strict=True))
    known = (manifest.pos[there] > 0) & (source.pos[here] > 0)
    moved = int((manifest.pos[there] != source.pos[here])[known].sum())
    if known.sum() >= _COMMON_IDS and 2 * moved > known.sum():
        raise BadInput(
            f"{moved} of {int(known.sum())} ids that source and manifest share stand at different positions",
            "one list is of another genome build: lift it over first, with Picard LiftoverVcf or CrossMap",
        )


def _keys(source: Variants, manifest: Variants) -> tuple[Places, Places]:
    """Return chromosome and position of each variant as one number; -1 where the position is not known."""
    found = []
    number: dict[str, int] = {}
    for variants in (source, manifest):
        names, which = variants.contigs
        codes = np.array([number.setdefault(name, len(number)) for name in names], np.int64)[which]
        found.append(np.where(variants.pos > 0, (codes << 32) | variants.pos, NOWHERE))
    return found[0], found[1]


def _candidates(
    source: Variants, manifest: Variants, by_id: dict[str, int]
) -> tuple[Places, Places, NDArray[np.int8]]:
    """Return pairs (place in manifest, in source) that may be one variant, and why the rest have none."""
    ours, theirs = _keys(source, manifest)
    order = np.argsort(ours, kind="stable")
    first = np.searchsorted(ours[order], theirs, "left")
    count = np.where(theirs == NOWHERE, 0, np.searchsorted(ours[order], theirs, "right") - first)
    there = np.repeat(np.arange(len(manifest)), count)
    within = np.arange(len(there)) - np.repeat(np.cumsum(count) - count, count)
    here = order[first[there] + within]
    reason = np.where(count > 0, Reason.ALLELES, Reason.ABSENT).astype(np.int8)
    named: list[tuple[int, int]] = []
    alone = np.flatnonzero(count == 0)
    for place, name in zip(alone.tolist(), manifest.id[alone].tolist(), strict=True):
        if (at := by_id.get(name, NOWHERE)) == NOWHERE:
            continue
        if theirs[place] == NOWHERE or ours[at] == NOWHERE:
            named.append((place, at))
            reason[place] = Reason.ALLELES
        else:
            reason[place] = Reason.MOVED
    more = np.array(named, np.int64).reshape(-1, 2)
    return np.concatenate([there, more[:, 0]]), np.concatenate([here, more[:, 1]]), reason


def _codes(source: Variants, manifest: Variants) -> tuple[Places, Places, Places, Places, int]:
    """Return reference and alternate alleles of both as numbers, and from which number on they are no bases.

    A, C, G, T are 0 to 3; other strings of one character follow, then longer ones, of either list; "." is -1.
    """
    columns = (source.ref, source.alt, manifest.ref, manifest.alt)
    parts = [[allele.upper() for allele in column.tolist()] for column in columns]
    rest = {allele for part in parts for allele in set(part)} - {*_BASES, NO_ALT}
    ordered = [*_BASES, *sorted(rest, key=lambda allele: (len(allele) > 1, allele))]
    number = {allele: i for i, allele in enumerate(ordered)} | {NO_ALT: _NO_ALT}
    short = sum(len(allele) == 1 for allele in ordered)
    a, b, c, d = (np.array([number[allele] for allele in part], np.int64) for part in parts)
    return a, b, c, d, short


def _decide(
    source: Variants, manifest: Variants, there: Places, here: Places, reason: NDArray[np.int8], forward: bool
) -> Alignment:
    """Judge each pair by its alleles, then each variant of the manifest by its pairs."""
    ref, alt, ref_due, alt_due, short = _codes(source, manifest)
    ref, alt, ref_due, alt_due = ref[here], alt[here], ref_due[there], alt_due[there]
    # Where the source names no alternate allele, its reference alone decides what 0 copies of it mean.
    lone = (alt == _NO_ALT) & (alt_due != _NO_ALT) & (ref_due < short) & (alt_due < short)
    equal = (ref == ref_due) & ((alt == alt_due) | lone)
    exchanged = ((ref == alt_due) & ((alt == ref_due) | lone)) & (alt_due != _NO_ALT)
    ref, alt = _complement(ref), _complement(alt)
    flipped = (ref == ref_due) & ((alt == alt_due) | lone)
    crossed = ((ref == alt_due) & ((alt == ref_due) | lone)) & (alt_due != _NO_ALT)
    either = (equal | exchanged) & (flipped | crossed)
    straight = (equal | exchanged) & ~either
    turned = (flipped | crossed) & ~either
    same_strand = forward or (straight.sum() >= _WITNESSES and not turned.any())
    indel = exchanged & ~equal & ((ref_due >= short) | (alt_due >= short))

    verdict = np.full(len(there), Reason.ALLELES, np.int8)
    verdict[straight] = Reason.KEPT
    verdict[turned] = Reason.ALLELES if forward else Reason.KEPT
    verdict[either] = Reason.KEPT if same_strand else Reason.STRAND
    verdict[indel] = Reason.INDEL
    fits = verdict == Reason.KEPT
    often = np.bincount(there[fits], minlength=len(manifest)) > 1
    verdict[fits & often[there]] = Reason.TWICE
    fits &= ~often[there]

    index = np.full(len(manifest), NOWHERE, np.int64)
    swapped, over = (np.zeros(len(manifest), bool) for _ in range(2))
    index[there[fits]] = here[fits]
    swapped[there[fits]] = np.where(turned, crossed & ~flipped, exchanged & ~equal)[fits]
    over[there[fits]] = turned[fits]
    unused = np.full(len(source), Reason.UNASKED, np.int8)
    # The weightiest verdict comes last, so that it is the one that stays.
    for verdict_of in (Reason.ALLELES, Reason.INDEL, Reason.STRAND, Reason.TWICE):
        reason[there[verdict == verdict_of]] = verdict_of
        unused[here[verdict == verdict_of]] = verdict_of
    reason[there[fits]] = Reason.KEPT
    unused[here[fits]] = Reason.KEPT
    return Alignment(source, manifest, index, swapped, over, reason, unused)


def _complement(codes: Places) -> Places:
    """Return the bases of the other strand; what is no base has none."""
    return np.where(codes == _NO_ALT, _NO_ALT, np.where(codes < len(_BASES), 3 - codes, _OTHER_STRAND))


@njit(cache=True, nogil=True)
def _take(from_hi, from_lo, rows, swapped, last, to, hi, lo):  # type: ignore[no-untyped-def]
    """Copy some rows. 2 - x, missing or not, has the complements of the planes of x, exchanged."""
    words = hi.shape[1]
    for i in range(len(rows)):
        a = rows[i]
        b = to[i]
        if swapped[i]:
            for w in range(words):
                hi[b, w] = ~from_lo[a, w]
                lo[b, w] = ~from_hi[a, w]
            hi[b, words - 1] &= last
            lo[b, words - 1] &= last
        else:
            for w in range(words):
                hi[b, w] = from_hi[a, w]
                lo[b, w] = from_lo[a, w]
