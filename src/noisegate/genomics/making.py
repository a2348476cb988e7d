"""Making what a proposal says, in pieces that are on disk one by one, so that a restart goes on.

TRUSTED. What is given out lies in `exports/`; beside it the noisy store, or the noisy cells, that it is made
from. Exports are post-processing: they may be made again, and come out the same. PROOFS.md, "Shared genomes".
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import Conflict, InternalError
from noisegate.genomics import chains, frequencies, synthetic, tables
from noisegate.genomics.chunks import Draws, Flips, Moved, Work
from noisegate.genomics.counts import Noisy, Source, again, measure
from noisegate.genomics.exports import export, write_frequencies, write_tables
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.laws import Response
from noisegate.genomics.mechanism import CELLS, Counting, Drawing, Flipping, Mechanism
from noisegate.genomics.panel import Panel
from noisegate.genomics.proposal import Proposal
from noisegate.genomics.recipe import GENOTYPES, Format, Method
from noisegate.genomics.releases import CUSTODIAN, EXPORTS, Release, ReleasedFile, described, write_whole
from noisegate.genomics.scheduler import Scheduler
from noisegate.genomics.targets import ReleasedTarget, Target
from noisegate.genotypes.store import Store, Writer, partial
from noisegate.ledger.records import canonical

STORE = "release.zarr"
CONTEXT = "context.json"
SLOTS = "slots.tsv"

Flags = NDArray[np.bool_]
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Made:
    """A release that is whole: SHA-256 of its store or its cells, and what is given out."""

    digest: str
    files: tuple[ReleasedFile, ...]


def is_made(proposal: Proposal, folder: Path, name: str) -> bool:
    """Whether all that noise is drawn for is on disk, so that the key is needed no more.

    Raises:
        Conflict: it is of another input, recipe or layout.
    """
    genotypes = proposal.recipe.method in GENOTYPES
    if not (folder / (STORE if genotypes else CELLS)).exists():
        return False
    _check_context(proposal, folder, name)
    return True


def is_there(release: Release, folder: Path) -> bool:
    """Whether all that a release's record names is in its folder, as it is recorded."""
    exports = folder / EXPORTS
    if not all(
        (exports / f.name).is_file() and described(exports / f.name, f.format) == f for f in release.files
    ):
        return False
    if Method(release.method) in GENOTYPES:
        return (folder / STORE).is_dir() and Store.open(folder / STORE).digest == release.digest
    if not (folder / CELLS).is_file():
        return False
    with np.load(folder / CELLS, allow_pickle=False) as held:
        return _digest(held["counts"]) == release.digest


def make(
    proposal: Proposal,
    folder: Path,
    name: str,
    key: ReleaseKey | None,
    scheduler: Scheduler,
    on_progress: Told,
    go_on: Callable[[], bool],
) -> bool:
    """Make all that noise is drawn for, from where it was left; False where it was told not to go on.

    Needs: the release is charged and drawn; `key` is bound to the proposal's context, or all is made.

    Args:
        proposal: what is made.
        folder: of the release.
        name: its id.
        key: of its noise; None where `is_made`.
        scheduler: who does the chunks.
        on_progress: told how many are done, and of how many.
        go_on: asked between them.
    """
    if key is None:
        of = 1 if isinstance(proposal.mechanism, Counting) else -(-proposal.variants // proposal.chunk)
        on_progress(of, of)
        return True
    cells = _measured_once(proposal, folder, name)
    if isinstance(proposal.mechanism, Counting):
        on_progress(1, 1)
        return True
    chunks = chunks_of(proposal, proposal.source, cells)
    writer = _writer(proposal, folder, name)
    done, of = writer.done(), len(writer.chunks())
    on_progress(len(done), of)

    def after(number: int, _: None) -> bool:
        done.add(number)
        on_progress(len(done), of)
        return go_on() or len(done) == of

    left = [number for number in writer.chunks() if number not in done]
    work = Work(name, chunks, folder / STORE)
    if not go_on() or not scheduler.run(work, key, left, after):
        return False
    writer.finish()
    return True


def finished(proposal: Proposal, folder: Path, name: str) -> Made:
    """Return what is given out of a release whose noise is all drawn, exported where it is not there."""
    _check_context(proposal, folder, name)
    exports = folder / EXPORTS
    exports.mkdir(mode=0o700, exist_ok=True)
    recipe = proposal.recipe
    if recipe.method in GENOTYPES:
        if isinstance(proposal.mechanism, Flipping):
            rows = zip(Store.open(folder / STORE).samples, proposal.source.samples, strict=True)
            whose = "".join(f"{slot}\t{person}\n" for slot, person in rows)
            write_whole(folder / CUSTODIAN / SLOTS, whose.encode())
        return Made(Store.open(folder / STORE).digest, exported(folder, name, recipe.formats))
    released = kept(proposal, folder)["counts"]
    variants = proposal.source.variants
    if recipe.method is Method.FREQUENCIES:
        assert isinstance(proposal.mechanism, Counting)  # noqa: S101 -- that is what frequencies are
        found = frequencies.estimate(released, proposal.mechanism.panel)
        return Made(_digest(released.cells), write_frequencies(exports, name, variants, found))
    return Made(_digest(released.cells), write_tables(exports, name, variants, tables.estimate(released)))


def exported(folder: Path, name: str, formats: Iterable[Format]) -> tuple[ReleasedFile, ...]:
    """Return the files of a noisy store in some formats, made where they are not there."""
    store = Store.open(folder / STORE)
    return tuple(file for format_ in formats for file in export(store, folder / EXPORTS, name, format_))


def kept(proposal: Proposal, folder: Path) -> dict[str, Noisy]:
    """Return the noisy cells of a release that are on disk, by the name of their plan."""
    with np.load(folder / CELLS, allow_pickle=False) as held:
        return {plan: again(made, held[plan], proposal.people) for plan, made in proposal.plans.items()}


def measured(proposal: Proposal, folder: Path) -> dict[str, Noisy]:
    """Return the noisy cells of a release; measured once, and on disk before anybody can see them.

    A run that was killed before that gave nothing out: its noise went with it.
    """
    if not proposal.plans:
        return {}
    if not (folder / CELLS).exists():
        cases = cases_of(proposal)
        noisy = {name: measure(plan, proposal.source, cases) for name, plan in proposal.plans.items()}
        draft = folder / f".{CELLS}"
        with draft.open("wb") as stream:
            np.savez(stream, **{name: held.cells for name, held in noisy.items()})  # type: ignore[arg-type]
        write_whole(folder / CELLS, draft.read_bytes())
        draft.unlink()
    return kept(proposal, folder)


def cases_of(proposal: Proposal) -> Flags | None:
    """Return who is a case, bool of shape (people,); None where nobody asks."""
    digest = proposal.recipe.cases
    if not digest:
        return None
    named = proposal.sources.cases(digest)
    samples = proposal.source.samples
    if not named <= set(samples):
        raise InternalError("the list of cases names people who are not on the roster")
    return np.array([sample in named for sample in samples], np.bool_)


def chunks_of(proposal: Proposal, source: Source, cells: Mapping[str, Noisy]) -> Flips | Draws:
    """Return what a chunk of the release is, for a source of the same variants.

    Args:
        proposal: what is made.
        source: whose genotypes; the proposal's own, or those of people it is tried on.
        cells: what was measured of it.
    """
    return chunks_with(proposal.mechanism, source, cells)


def chunks_with(mechanism: Mechanism, source: Source, cells: Mapping[str, Noisy]) -> Flips | Draws:
    """Return what a chunk is of a release by a mechanism; see `chunks_of`."""
    match mechanism:
        case Flipping(law=law, panel=panel):
            target = mechanism.target
            if mechanism.plan is not None:
                target = ReleasedTarget.of(cells["counts"], panel)
            return Flips(source, law, _moved(target, None, by_genotype=isinstance(law, Response)))
        case Drawing(starts=starts, panel=panel):
            found = synthetic.Measured(mechanism.design, cells.get("alleles"), cells.get("pairs"))
            chain = synthetic.model(found, starts, source.people, panel)
            target = None if found.alleles is None else ReleasedTarget.of(found.alleles, panel)
            return Draws(chain, source.people, _moved(target, panel, by_genotype=True))
        case Counting():
            raise InternalError("counts have no chunks")
        case _:
            assert_never(mechanism)


def _moved(target: Target | None, panel: Panel | None, *, by_genotype: bool) -> Moved | None:
    if target is None:
        return None
    # Of xor, alleles are moved one by one, as published; other noise agrees better by way of genotypes.
    return Moved(target, chains.margins(target.shares.frequency, panel) if by_genotype else None)


def _writer(proposal: Proposal, folder: Path, name: str) -> Writer:
    """Return the writer of the noisy store, gone on with where it was begun."""
    path = folder / STORE
    if partial(path).is_dir():
        writer = Writer.resume(path)
        if writer.chunk != proposal.chunk or writer.people != proposal.people:
            raise Conflict(f"release {name} was begun in another layout", "it needs a new charge")
        return writer
    source = proposal.source
    return Writer.create(
        path,
        samples=_slots(proposal),
        variants=source.variants,
        build=source.build,
        noisy=True,
        provenance={
            "release": name,
            "title": proposal.summary["title"],
            "law": proposal.summary["law_digest"],
        },
        chunk=proposal.chunk,
    )


def _slots(proposal: Proposal) -> Sequence[str]:
    """Return what rows are called: slots, which tell of nobody, unless the roster is declared public.

    Slots are in the order of the roster. That order is no secret of anybody's genotypes, and what a release
    loses is accounted for somebody whose place is known.
    """
    drawn = isinstance(proposal.mechanism, Drawing)
    if proposal.named and not drawn:
        return proposal.source.samples
    digits = len(str(proposal.people))
    return [f"{'synthetic' if drawn else 'slot'}{i:0{digits}}" for i in range(1, proposal.people + 1)]


def _measured_once(proposal: Proposal, folder: Path, name: str) -> dict[str, Noisy]:
    """Return the noisy cells of a release, which it is bound to from when they are on disk.

    Raises:
        Conflict: they are gone, or not what they were. Measured again they would be a second measurement
            under one charge, mixed with what was made from the first.
    """
    begun = (folder / STORE).exists() or partial(folder / STORE).exists()
    if begun or (folder / CONTEXT).exists():
        _check_context(proposal, folder, name, measured=begun)
    else:
        write_whole(folder / CONTEXT, canonical({"context": proposal.context(name).digest}).encode())
    cells = measured(proposal, folder)
    if cells:
        bound = {"context": proposal.context(name).digest, "cells": _digest_of(folder / CELLS)}
        write_whole(folder / CONTEXT, canonical(bound).encode())
    return cells


def _check_context(proposal: Proposal, folder: Path, name: str, *, measured: bool = True) -> None:
    """Refuse what was made of another input, recipe or layout, or of noisy cells that are not there.

    Args:
        proposal: what is made.
        folder: of the release.
        name: its id.
        measured: whether its cells must be there: something was made from them.
    """
    try:
        bound = json.loads((folder / CONTEXT).read_bytes())
        same = bound["context"] == proposal.context(name).digest
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        same = False
    if not same:
        raise Conflict(
            f"release {name} was begun on another input, recipe or layout",
            "put them back to go on, or cancel its job and share anew, which is charged",
        )
    there = (folder / CELLS).is_file()
    # Cells that nothing is bound to yet were written by a run that was killed right after: they count.
    gone = not there and proposal.plans and (measured or "cells" in bound)
    if gone or (there and bound.get("cells") not in (None, _digest_of(folder / CELLS))):
        raise Conflict(
            f"the noisy counts of release {name} are not there any more as they were",
            f"put its {CELLS} back from a backup, or cancel its job and share anew, which is charged",
        )


def _digest_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _digest(cells: NDArray[np.int64]) -> str:
    return hashlib.sha256(cells.astype("<i8").tobytes()).hexdigest()
