"""Genomes in-process: what a gateway's background does for others is done here and now, and shown."""

import hashlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from noisegate.app import Gateway
from noisegate.ask.question import parse_number
from noisegate.errors import BadInput
from noisegate.gate.access import Asker
from noisegate.genomics.recipe import Request

Json = dict[str, Any]
Number = int | float | str | Fraction
BLOCK = 2**20


class LocalGenomes:
    """The calls of a local door that are about genomes. Who may read the directory is its custodian."""

    _gateway: Gateway
    _operator: Asker

    def share_genomes(self, genotypes: str, **wanted: object) -> Json:
        """Charge for a release of genomes; `wait_for_job` makes it."""
        return self._gateway.genomes.share(self._operator, request_of(genotypes, wanted))

    def explain_genomes(self, genotypes: str, **wanted: object) -> Json:
        """Say what a release of genomes would do, lose and warn of."""
        return self._gateway.genomes.explain(self._operator, request_of(genotypes, wanted))

    def advise_genomes(
        self, reference: str, *, people: int, variants: int, epsilon: Number, delta: Number = 0
    ) -> Json:
        """Compare all methods on a public panel."""
        return self._gateway.genomes.advise(
            self._operator,
            reference,
            people=people,
            variants=variants,
            epsilon=exact("epsilon", epsilon),
            delta=exact("delta", delta),
        )

    def wait_for_job(self, job_id: int, on_progress: Callable[[Json], None] = lambda _: None) -> Json:
        """Make what a job is to make, here; return the job as it stands then.

        Raises:
            NoisegateError: what stopped it.
        """
        held = self._gateway.job(self._operator, job_id)
        if held["state"] == "running":
            self._gateway.genomes.carry_out(
                job_id, lambda done, of: on_progress({"progress": {"done": done, "of": of}})
            )
            held = self._gateway.job(self._operator, job_id)
        return held

    def releases(self) -> list[Json]:
        """List releases of genomes."""
        return self._gateway.genomes.releases(self._operator)

    def release(self, release: str) -> Json:
        """Show a release; where its exact report lies is said here, to the owner of the directory, alone."""
        found = self._gateway.genomes.release(self._operator, release)
        return {**found, "custodian": str(self._gateway.genomes.custodian_directory(release))}

    def grant_release(self, release: str, analyst: str, *, project: str = "default") -> Json:
        """Give a release to an analyst."""
        return self._gateway.genomes.grant(self._operator, release, analyst, project)

    def revoke_release(self, release: str, analyst: str, *, project: str = "default") -> Json:
        """Take a release back."""
        return self._gateway.genomes.revoke(self._operator, release, analyst, project)

    def download_release(
        self,
        release: str,
        directory: Path,
        *,
        only: Sequence[str] | None = None,
        on_progress: Callable[[str, int, int], None] = lambda _name, _done, _all: None,
    ) -> list[Path]:
        """Copy the files of a release, and verify them."""
        listed: Any = self._gateway.genomes.release(self._operator, release)["files"]
        wanted = [f for f in listed if only is None or f["name"] in only or f["format"] in only]
        if not wanted:
            names = ", ".join(f["name"] for f in listed)
            raise BadInput(f"release {release} has no such file", f"it has {names}")
        directory.mkdir(parents=True, exist_ok=True)
        return [self._copy(release, file, directory, on_progress) for file in wanted]

    def _copy(
        self, release: str, file: Json, directory: Path, on_progress: Callable[[str, int, int], None]
    ) -> Path:
        name = str(file["name"])
        source, sha256 = self._gateway.genomes.file(self._operator, release, name)
        target, draft = directory / name, directory / f".{name}.part"
        if target.exists():
            raise BadInput(f"{target} exists already", "move it away, or name another directory")
        digest, done = hashlib.sha256(), 0
        try:
            with source.open("rb") as reading, draft.open("wb") as writing:
                while piece := reading.read(BLOCK):
                    writing.write(piece)
                    digest.update(piece)
                    done += len(piece)
                    on_progress(name, done, int(file["bytes"]))
            if digest.hexdigest() != sha256:
                raise BadInput(f"{source} is not as it was recorded", "put it back from a backup")
            draft.rename(target)
        finally:
            draft.unlink(missing_ok=True)
        return target


def request_of(genotypes: str, wanted: Json) -> Request:
    """Return a request from what a command was given; what is None was not."""
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    given |= {n: exact(n, given[n]) for n in ("epsilon", "delta", "coupling") if n in given}
    given |= {n: tuple(given[n]) for n in ("cases", "formats") if n in given}
    if "families" in given:
        given["families"] = tuple(map(tuple, given["families"]))
    try:
        return Request(genotypes=genotypes, **given)
    except TypeError as wrong:
        raise BadInput(
            f"genomes cannot be shared so: {wrong}", "see `noisegate genomes share --help`"
        ) from None


def exact(name: str, value: Number) -> Fraction:
    """Return a number as it was written."""
    return value if isinstance(value, Fraction) else parse_number(name, value) or Fraction(0)
