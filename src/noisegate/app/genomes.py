"""Genomes as everybody in front of the gateway sees them: sharing, what is being made, releases and grants.

What reads genotypes is loaded when it is first needed: without the `genomes` extra all else works.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisegate.app.associations import Associations
from noisegate.app.background import Background
from noisegate.app.budgets import name_of
from noisegate.app.genome_names import Names
from noisegate.app.verifications import Verifications
from noisegate.ask.desk import Desk
from noisegate.config import Config
from noisegate.errors import BadInput, Conflict, NoisegateError, NotFound
from noisegate.gate.access import Asker, Right, require
from noisegate.genomics.recipe import Recipe, Request
from noisegate.genomics.releases import Release, Shelf, may_know, not_found, release_id
from noisegate.genotypes.extra import genome_libraries
from noisegate.ledger.records import Job, JobState, ReceiptKind, Role

if TYPE_CHECKING:
    from noisegate.genomics.share import Workshop

KEYS = "keys"
log = logging.getLogger("noisegate.genomes")

Json = dict[str, object]
# Told how many chunks are done, and of how many.
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is, in chunks; `stopped` is why it does not go on, in the words of an error."""

    done: int = 0
    of: int = 0
    stopped: NoisegateError | None = None

    def as_json(self) -> Json:
        """Return it as JSON values."""
        said: Json = {"progress": {"done": self.done, "of": self.of}}
        return said if self.stopped is None else {**said, "stopped": self.stopped.as_json()["error"]}


class Genomes:
    """All that can be asked of genomes. Thread-safe."""

    def __init__(self, desk: Desk, config: Config) -> None:
        """Take what asking needs, and where things lie."""
        self._desk = desk
        self._config = config
        self._shelf = Shelf(config.state)
        self._names = Names(desk, config, self._shelf, self._find)
        self.associations = Associations(desk, self._names)
        self.verifications = Verifications(self._names, self._shelf, self._find, self.associations)
        self._progress: dict[int, Progress] = {}
        self._guard = threading.Lock()
        self._background = Background(self._make_quietly, "genomes")

    # Sharing

    def share(self, asker: Asker, request: Request, idempotency_key: str | None = None) -> Json:
        """Charge for a release and have it made, or find it; see `genomics.share.begin`.

        Raises:
            BadInput: it cannot be shared so, or its warnings were not accepted: they stand in the detail.
            NotFound: the asker may not know of some name in it.
        """
        require(asker, Right.SHARE_GENOMES)
        with genome_libraries():
            from noisegate.genomics.share import begin

            proposal = self._names.propose(asker, self._names.recipe(asker, request))
            if proposal.warnings and not request.accept:
                raise BadInput(
                    f"read this before it is shared: {proposal.warnings[0]}",
                    "if it is to go on all the same, accept it: --yes, or accept in the request",
                    warnings=list(proposal.warnings),
                )
            begun = begin(self._shop, asker, proposal, idempotency_key, anew=request.anew)
        if begun.release is None and self._background.running:
            self._background.add(begun.job)
        return {
            "job": begun.job,
            "release": begun.id,
            "complete": begun.release is not None,
            "resumed": begun.resumed,
            **proposal.summary,
        }

    def explain(self, asker: Asker, request: Request) -> Json:
        """Say what a release would do, lose and warn of."""
        require(asker, Right.SHARE_GENOMES)
        with genome_libraries():
            proposal = self._names.propose(asker, self._names.recipe(asker, request))
        return {**proposal.summary, "warnings": list(proposal.warnings)}

    def advise(
        self, asker: Asker, reference: str, *, people: int, variants: int, epsilon: Fraction, delta: Fraction
    ) -> Json:
        """Compare all methods on a public panel and recommend one, or none."""
        require(asker, Right.COMPARE_METHODS)
        with genome_libraries():
            from noisegate.genomics.consult import consulted

            return consulted(
                self._names.store(self._names.public(asker, reference)),
                people=people,
                variants=variants,
                epsilon=epsilon,
                delta=delta,
            ).as_json()

    def carry_out(
        self, job: int, on_progress: Told = lambda _done, _all: None, go_on: Callable[[], bool] = lambda: True
    ) -> Release | None:
        """Make a release that is charged, here and now; see `genomics.share.carry_out`.

        Raises:
            NotFound: there is no such job of genomes.
        """
        held = self._desk.ledger.job(job)
        found = None if held is None else self._begun(held)
        if held is None or found is None:
            raise NotFound(f"job {job} shares no genomes", "`noisegate jobs list` lists jobs")
        asker, recipe = found
        if held.state in (JobState.CANCELLED, JobState.FAILED):
            self._clear(held)
            return None

        def told(done: int, of: int) -> None:
            self._tell(job, Progress(done, of))
            on_progress(done, of)

        with genome_libraries():
            from noisegate.genomics.share import carry_out

            return carry_out(self._shop, asker, job, self._names.propose(asker, recipe), told, go_on)

    def begin_making(self) -> None:
        """Start the thread that makes releases, first of all those that a restart interrupted."""
        jobs = [job for job in self._desk.ledger.jobs() if self._is_ours(job)]
        self._background.start(job.charge for job in reversed(jobs))

    def stop_making(self) -> None:
        """Leave what is being made at its next chunk, to be resumed."""
        self._background.stop()

    # Jobs

    def of_job(self, job: int) -> Json:
        """Return what there is to say of a job that shares genomes: its release, and how far it is."""
        held = self._desk.ledger.job(job)
        if held is None or self._begun(held) is None:
            return {}
        with self._guard:
            known = self._progress.get(job)
        said: Json = {} if known is None else known.as_json()
        return {"release": release_id(held.datasets[0], job), **said}

    def cancelled(self, job: int) -> None:
        """Have what there is of a cancelled job removed, as soon as nobody works on it."""
        held = self._desk.ledger.job(job)
        if held is None or self._begun(held) is None:
            return
        if self._background.running:
            self._background.add(job)
        else:
            with suppress(Conflict):  # whoever works on it removes it
                self._clear(held)

    def _clear(self, job: Job) -> None:
        """Remove key and files of a job that was given up; nothing that its recipe names is needed for it."""
        name = release_id(job.datasets[0], job.charge)
        if not self._shelf.is_unsettled(name):
            return
        with genome_libraries():
            from noisegate.genomics.share import clear

            with self._shelf.held(name):
                clear(self._shop, name)

    # Releases

    def releases(self, asker: Asker) -> list[Json]:
        """List the releases that the asker may know of, newest first.

        One whose records cannot be read is left out for analysts, and shown as damaged to others.
        """
        require(asker, Right.SEE_RELEASES)
        found = [self._told(asker, release) for release in self._shelf.all() if self._knows(asker, release)]
        for name in self._shelf.damaged():
            dataset = name.rpartition("-")[0]
            log.error("the records of release %s cannot be read", name)
            if asker.role is not Role.ANALYST and asker.may_see(dataset):
                said = "its record, or that of its grants, cannot be read: put it back from a backup"
                found.append({"id": name, "dataset": dataset, "damaged": said})
        return found

    def release(self, asker: Asker, release: str) -> Json:
        """Show one release; to custodians and auditors also who was granted it, and when.

        Raises:
            NotFound: there is none, or none that the asker may know of.
        """
        require(asker, Right.SEE_RELEASES)
        return self._told(asker, self._find(asker, release))

    def file(self, asker: Asker, release: str, name: str) -> tuple[Path, str]:
        """Return the path of a file that is given out, and its SHA-256 in hexadecimal.

        Raises:
            NotFound: there is none, or none that the asker may have.
        """
        require(asker, Right.DOWNLOAD_RELEASES)
        path, recorded = self._shelf.file(self._find(asker, release), name)
        return path, recorded.sha256

    def grant(self, asker: Asker, release: str, analyst: str, project: str) -> Json:
        """Give a release to an analyst by name, durably and on record."""
        require(asker, Right.GRANT_RELEASES)
        found = self._find(asker, release)
        who = name_of(analyst), name_of(project)
        self._shelf.grant(found.id, *who, by=asker.name, at=self._desk.ledger.now())
        return self._told(asker, found)

    def revoke(self, asker: Asker, release: str, analyst: str, project: str) -> Json:
        """Take a release back from an analyst.

        Raises:
            NotFound: they hold no grant on it.
        """
        require(asker, Right.GRANT_RELEASES)
        found = self._find(asker, release)
        self._shelf.revoke(found.id, analyst, project, by=asker.name, at=self._desk.ledger.now())
        return self._told(asker, found)

    def custodian_directory(self, release: str) -> Path:
        """Return where a release's exact report lies, for the owner of the state directory alone."""
        return self._shelf.custodian(self._shelf.find(release).id)

    def _told(self, asker: Asker, release: Release) -> Json:
        said = release.as_json()
        if asker.role is not Role.ANALYST:
            said["grants"] = [
                {"action": g.action, "analyst": g.analyst, "project": g.project, "by": g.by, "at": g.at}
                for g in self._shelf.grants(release.id)
            ]
        return said

    def _knows(self, asker: Asker, release: Release) -> bool:
        if asker.role is not Role.ANALYST:
            return may_know(asker, release, ())
        return asker.may_see(release.dataset) and may_know(asker, release, self._shelf.holders(release.id))

    def _find(self, asker: Asker, release: str) -> Release:
        try:
            found = self._shelf.find(release)
        except NotFound:
            found = self._finished(release)
        if not self._knows(asker, found):
            raise not_found(release)
        return found

    def _finished(self, release: str) -> Release:
        """Return a release that the ledger has the answer of and the shelf not yet: it was just finished."""
        number = release.rpartition("-")[2]
        held = self._desk.ledger.job(int(number)) if self._shelf.place(release).is_dir() else None
        if (
            held is None
            or held.state is not JobState.FINISHED
            or release_id(held.datasets[0], held.charge) != release
        ):
            raise not_found(release)
        (receipt, *_) = self._desk.ledger.receipts_of(held.charge, ReceiptKind.CHARGE)
        answer = self._desk.ledger.find_answer(str(receipt.content()["fingerprint"]))
        if answer is None:
            raise not_found(release)
        with genome_libraries():
            from noisegate.genomics.share import settled

            return settled(self._shelf, answer.answer)

    # Making

    @cached_property
    def _shop(self) -> "Workshop":
        from noisegate.genomics.keys import KeyStore
        from noisegate.genomics.scheduler import scheduler_of
        from noisegate.genomics.share import Workshop

        return Workshop(
            gate=self._desk.gate,
            shelf=self._shelf,
            keys=KeyStore(self._config.state / KEYS),
            scheduler=scheduler_of(self._config.scheduler, self._config.threads),
        )

    def _begun(self, job: Job) -> tuple[Asker, Recipe] | None:
        """Return who began a job that shares genomes, and its recipe, from its receipt; else None."""
        (receipt, *_) = self._desk.ledger.receipts_of(job.charge, ReceiptKind.CHARGE)
        public = _mapping(receipt.content()["public"])
        if "recipe" not in public:
            return None
        own = next(a for a in job.accounts if a.count("/") == 3)
        project = own.split("/")[2]
        asker = Asker(job.asker, Role(public["role"]), frozenset(job.datasets), project)
        return asker, Recipe.of_json(_mapping(public["recipe"]))

    def _is_ours(self, job: Job) -> bool:
        """Whether a job is to be looked at on the way up: it runs, or it ended and left something behind."""
        if self._begun(job) is None:
            return False
        place = self._shelf.place(release_id(job.datasets[0], job.charge))
        if job.state is JobState.RUNNING:
            # One that was drawn from elsewhere, on a ledger that gateways share, is made there.
            return job.steps_drawn == 0 or place.is_dir()
        return self._shelf.is_unsettled(place.name)

    def _make_quietly(self, job: int) -> None:
        """Make a release in the background: what goes wrong is told with the job, and logged without rows."""
        try:
            self.carry_out(job, go_on=self._background.go_on)
        except NoisegateError as wrong:
            with self._guard:
                before = self._progress.get(job, Progress())
            self._tell(job, Progress(before.done, before.of, wrong))
            log.warning("job %d does not go on: %s", job, wrong.code)
        except Exception as wrong:  # noqa: BLE001 - the thread goes on with the next; the text may quote rows
            log.error("job %d failed: %s", job, type(wrong).__name__)

    def _tell(self, job: int, progress: Progress) -> None:
        with self._guard:
            self._progress[job] = progress


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("this is an object of JSON")
    return value
