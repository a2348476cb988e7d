"""Way 2: a genotype store becomes a release. Charged first, made chunk by chunk, restarted at will.

TRUSTED. `begin` charges for the whole release; `carry_out` makes it, here or after a restart. The one step of
the job is drawn before a private row is read. The noise of a chunk follows from the release's key, which is
bound to the input, the parameters and the layout: a chunk that is made again is the same chunk, and once any
of them changed there is no key. PROOFS.md, "Shared genomes".
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from noisegate.errors import BudgetExhausted, CatalogError, Conflict, NoisegateError, NotFound, SetupError
from noisegate.gate.access import Asker
from noisegate.gate.door import Gate
from noisegate.gate.jobs import JobPassage, is_own, open_job, resume_job, scheduled
from noisegate.genomics.keys import KeyStore, ReleaseKey
from noisegate.genomics.making import Made, exported, finished, is_made, is_there, make
from noisegate.genomics.proposal import Proposal
from noisegate.genomics.recipe import GENOTYPES, Format
from noisegate.genomics.releases import Release, ReleasedFile, Shelf, release_id
from noisegate.genomics.reporting import report
from noisegate.genomics.scheduler import Scheduler
from noisegate.ledger.records import Job, JobState, ReceiptKind, canonical

# Told how many chunks are done, and of how many.
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where releases are made: the gate, the shelf they go to, the keys of their noise, and who works."""

    gate: Gate
    shelf: Shelf
    keys: KeyStore
    scheduler: Scheduler


@dataclass(frozen=True, slots=True)
class Begun:
    """A release that is charged: `release` where it was made before, `resumed` where its job runs."""

    job: int
    id: str
    release: Release | None = None
    resumed: bool = False


def begin(
    shop: Workshop, asker: Asker, proposal: Proposal, idempotency_key: str | None = None, *, anew: bool = True
) -> Begun:
    """Charge for a release, or find the one that was made, or is being made, from the same recipe and data.

    Args:
        shop: where it is to be made.
        asker: whose accounts pay.
        proposal: what is asked for.
        idempotency_key: a key with the same release is charged once.
        anew: whether it may be charged; else it must be there already.

    Raises:
        NotFound: it may not be charged, and there is none.
        NoisegateError: what the gate refuses it with; see `gate.jobs.open_job`.
    """
    running = find_running(shop.gate, asker, proposal)
    if running is not None:
        return Begun(running.charge, release_id(proposal.recipe.dataset, running.charge), resumed=True)
    whole = scheduled(proposal.offer, proposal.schedule)
    if not anew and shop.gate.ledger.find_answer(whole.fingerprint) is None:
        raise NotFound("no such release was begun", "leave --resume out to begin it")
    with open_job(shop.gate, asker, proposal.offer, proposal.schedule, idempotency_key) as passage:
        if passage.stored is not None:
            release = exported_too(shop.shelf, settled(shop.shelf, passage.stored), proposal)
            return Begun(release.job, release.id, release)
        assert passage.job is not None  # noqa: S101 -- what is not stored was charged
        # Left without an answer: it runs, and is carried out from here or after a restart.
        return Begun(passage.job.charge, release_id(proposal.recipe.dataset, passage.job.charge))


def carry_out(
    shop: Workshop,
    asker: Asker,
    job: int,
    proposal: Proposal,
    on_progress: Told = lambda _done, _all: None,
    go_on: Callable[[], bool] = lambda: True,
) -> Release | None:
    """Make a release that is charged, from where it was left; None where it may not go on, or was cancelled.

    Claim: what it gives out for a job has the law of one run of the proposal's mechanism on the bound input,
    however often it is killed and called again; no private row is read before charge and draw are durable.
    Needs: the shelf and the keys are in one state directory, and the proposal's source never changes.
    Argued in PROOFS.md, "Shared genomes".

    Args:
        shop: where it is made.
        asker: who began it.
        job: its number.
        proposal: as it was begun with.
        on_progress: told chunks.
        go_on: asked between chunks; False leaves the job to be resumed.

    Raises:
        Conflict: the input, the recipe or the layout is not what it was begun with, its key is gone, the job
            has ended, or another process is making it. Nothing is written; it needs a new charge.
        CatalogError: the data cannot be read. The job runs on, to be resumed when that is mended.
        SetupError: the output cannot be written; likewise.
    """
    name = release_id(proposal.recipe.dataset, job)
    ledger = shop.gate.ledger
    with shop.shelf.held(name) as folder:
        held = ledger.job(job)
        if held is not None and held.state is not JobState.RUNNING:
            return _ended(shop, proposal, held)

        def unless_cancelled() -> bool:
            now = ledger.job(job)
            return go_on() and now is not None and now.state is JobState.RUNNING

        trouble: NoisegateError | None = None
        release: Release | None = None
        try:
            with resume_job(shop.gate, asker, job, proposal.offer, proposal.schedule) as passage:
                try:
                    key = _drawn_key(shop.keys, name, folder, proposal, passage)
                    if make(proposal, folder, name, key, shop.scheduler, on_progress, unless_cancelled):
                        shop.keys.wipe(name)
                        now = ledger.now()
                        made = finished(proposal, folder, name)
                        pages = report(proposal, folder, name, passage.receipt, now)
                        release = recorded(proposal, job, passage.receipt.id, now, made, pages)
                        answer = passage.finish(canonical(release.as_json()))
                        if Release.of_json(json.loads(answer)) != release:
                            raise _made_elsewhere(name)
                        shop.shelf.publish(release)
                except (OSError, MemoryError, SetupError, Conflict) as wrong:
                    # The same chunks come out whenever it goes on, so trying again tells nothing.
                    trouble, release = _trouble(wrong), None
        finally:
            ended = ledger.job(job)
            if ended is not None and ended.state in (JobState.CANCELLED, JobState.FAILED):
                clear(shop, name)
        if trouble is not None:
            raise trouble
    return release


def find_running(gate: Gate, asker: Asker, proposal: Proposal) -> Job | None:
    """Return the asker's running job of the same release, None where there is none."""
    wanted = scheduled(proposal.offer, proposal.schedule).fingerprint
    for job in gate.ledger.jobs(asker.name):
        if job.state is JobState.RUNNING and is_own(asker, job):
            (receipt, *_) = gate.ledger.receipts_of(job.charge, ReceiptKind.CHARGE)
            if receipt.content()["fingerprint"] == wanted:
                return job
    return None


def settled(shelf: Shelf, answer: str) -> Release:
    """Return the release that a stored answer records, on the shelf even where a crash came before that."""
    release = Release.of_json(json.loads(answer))
    try:
        return shelf.find(release.id)
    except NotFound:
        if not is_there(release, shelf.place(release.id)):
            raise SetupError(
                f"release {release.id} was made, and its files are not in this state directory",
                "put them back from a backup: made again it would be a second release",
            ) from None
    shelf.publish(release)
    return release


def exported_too(shelf: Shelf, release: Release, proposal: Proposal) -> Release:
    """Return a release with the formats that are asked for now as well: post-processing, at no cost."""
    recipe = proposal.recipe
    if recipe.method not in GENOTYPES or not _missing(release, recipe.formats):
        return release
    with shelf.held(release.id, wait=True) as folder:
        now = shelf.find(release.id)  # another may have added formats meanwhile
        more = exported(folder, release.id, _missing(now, recipe.formats))
        now = replace(now, files=(*more, *now.files))
        shelf.publish(now)
    return now


def _missing(release: Release, formats: tuple[Format, ...]) -> list[Format]:
    has = {file.format for file in release.files}
    return [format_ for format_ in formats if format_.value not in has]


def clear(shop: Workshop, name: str) -> None:
    """Remove what there is of a release that was given up: its key first, then its files."""
    shop.keys.wipe(name)
    with suppress(Conflict):
        shop.shelf.drop(name)


def recorded(
    proposal: Proposal, job: int, receipt: str, created: int, made: Made, pages: tuple[ReleasedFile, ...]
) -> Release:
    """Return the record of a release that was made."""
    recipe = proposal.recipe
    return Release(
        id=release_id(recipe.dataset, job),
        dataset=recipe.dataset,
        table=recipe.table,
        job=job,
        receipt=receipt,
        created=created,
        method=recipe.method.value,
        people=proposal.people,
        variants=proposal.variants,
        digest=made.digest,
        summary=proposal.summary,
        files=(*made.files, *pages),
    )


def _drawn_key(
    keys: KeyStore, name: str, folder: Path, proposal: Proposal, passage: JobPassage
) -> ReleaseKey | None:
    """Return the key of a release's noise, its step drawn: made by who draws, found by who comes after.

    None where all that needs it is on disk, and it was or is to be wiped.

    Raises:
        Conflict: another gateway drew, so the noise is another's; or what it is drawn for is not as it was.
    """
    if is_made(proposal, folder, name):
        return None
    context = proposal.context(name)
    if passage.job is not None and passage.job.steps_drawn:
        return keys.resume(context)
    key = keys.bind(context)
    try:
        drawn = passage.spend()
    except (BudgetExhausted, Conflict):  # its one step is drawn, or it has ended
        drawn = None
    if drawn is None or drawn.steps_drawn != 1:
        keys.wipe(name)
        raise _made_elsewhere(name)
    return key


def _ended(shop: Workshop, proposal: Proposal, job: Job) -> Release | None:
    """Return the release of a job that has ended, or what is left of it removed."""
    if job.state is JobState.FINISHED:
        whole = scheduled(proposal.offer, proposal.schedule)
        answer = shop.gate.ledger.find_answer(whole.fingerprint)
        return None if answer is None else settled(shop.shelf, answer.answer)
    clear(shop, release_id(proposal.recipe.dataset, job.charge))
    return None


def _made_elsewhere(name: str) -> Conflict:
    return Conflict(
        f"release {name} is made, or was made, by another gateway on this ledger: its noise is another",
        "look for it there; here nothing of it is given out",
    )


def _trouble(wrong: OSError | MemoryError | SetupError | Conflict) -> NoisegateError:
    if isinstance(wrong, NoisegateError):
        return wrong
    said = wrong.strerror if isinstance(wrong, OSError) and wrong.strerror else type(wrong).__name__
    return CatalogError(
        f"the release cannot be written or its data read: {said}",
        "make room, or mend the disk; then give the same command again: it costs nothing more",
    )
