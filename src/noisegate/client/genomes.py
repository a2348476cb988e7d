"""What a client can do with genomes: have them shared, follow the job, and fetch releases."""

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2

from noisegate.client.numbers import Number, plain
from noisegate.errors import BadInput, Unreachable

POLL_SECONDS = 0.5
ENDED = ("finished", "failed", "cancelled")

Json = dict[str, Any]


class GenomeCalls:
    """The calls of a client that are about genomes; `client.http.Client` is one."""

    url: str
    _http: httpx2.Client

    def _send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: bool = True,
    ) -> Json:
        raise NotImplementedError

    def _reached(self) -> AbstractContextManager[None]:
        raise NotImplementedError

    def _read(self, response: httpx2.Response) -> Json:
        raise NotImplementedError

    def job(self, job_id: int) -> Json:
        """Show how far a job is."""
        raise NotImplementedError

    def share_genomes(self, genotypes: str, **wanted: object) -> Json:
        """Charge for a release of genomes and have it made; returns its job and its release. For custodians.

        Args:
            genotypes: whose, `dataset.table`.
            wanted: `method` (xor, response, frequencies, tables or synthetic), `epsilon` and `delta`; further
                `reference`, `manifest`, `coupling`, `families`, `restore`, `target`, `frequencies`,
                `statement`, `cases`, `formats`, `accept` and `anew`, as docs/reference/http.md explains them,
                and `idempotency_key`: a request repeated with it is charged once.
        """
        key = str(wanted.pop("idempotency_key", None) or uuid.uuid4().hex)
        body = _share(genotypes, wanted)
        return self._send("POST", "/v1/genomes/shares", body=body, headers={"Idempotency-Key": key})

    def explain_genomes(self, genotypes: str, **wanted: object) -> Json:
        """Say what a release of genomes would do, lose and warn of; spends nothing. For custodians."""
        return self._send("POST", "/v1/genomes/explain", body=_share(genotypes, wanted))

    def advise_genomes(
        self, reference: str, *, people: int, variants: int, epsilon: Number, delta: Number = 0
    ) -> Json:
        """Compare all methods on a public panel for so many people and variants. For custodians."""
        body = {
            "reference": reference,
            "people": people,
            "variants": variants,
            "epsilon": plain("epsilon", epsilon),
            "delta": plain("delta", delta),
        }
        return self._send("POST", "/v1/genomes/advice", body=body)

    def wait_for_job(self, job_id: int, on_progress: Callable[[Json], None] = lambda _: None) -> Json:
        """Wait until a job ended, or stopped for a reason, telling how far it is; return it.

        Args:
            job_id: the job's number.
            on_progress: told the job, whenever it was looked at.
        """
        while True:
            job = self.job(job_id)
            on_progress(job)
            if job["state"] in ENDED or job.get("stopped"):
                return job
            time.sleep(POLL_SECONDS)

    def releases(self) -> list[Json]:
        """List releases of genomes, newest first: an analyst's are those that were granted to them."""
        found: list[Json] = self._send("GET", "/v1/genomes/releases")["releases"]
        return found

    def release(self, release: str) -> Json:
        """Show a release: what it holds, what it lost, its files."""
        return self._send("GET", _path(release))

    def grant_release(self, release: str, analyst: str, *, project: str = "default") -> Json:
        """Give a release to an analyst. For custodians."""
        body = {"analyst": analyst, "project": project}
        return self._send("POST", _path(release, "grants"), body=body, repeat=False)

    def revoke_release(self, release: str, analyst: str, *, project: str = "default") -> Json:
        """Take a release back from an analyst. For custodians."""
        path = _path(release, "grants", analyst)
        return self._send("DELETE", path, params={"project": project}, repeat=False)

    def download_release(
        self,
        release: str,
        directory: Path,
        *,
        only: Sequence[str] | None = None,
        on_progress: Callable[[str, int, int], None] = lambda _name, _done, _all: None,
    ) -> list[Path]:
        """Download the files of a release into a directory, and verify each against its digest.

        Args:
            release: its id.
            directory: where they go; made if missing. A file that is there already is not touched.
            only: names of files or of formats; all without it.
            on_progress: told a file's name, its bytes that are there, and all of them.

        Returns:
            The paths of the files.

        Raises:
            BadInput: there is no such file, or one of that name is in the directory.
            Unreachable: the download broke off, or what came is not what was recorded.
        """
        listed = self.release(release)["files"]
        wanted = [f for f in listed if only is None or f["name"] in only or f["format"] in only]
        if not wanted:
            names = ", ".join(f["name"] for f in listed)
            raise BadInput(f"release {release} has no such file", f"it has {names}")
        directory.mkdir(parents=True, exist_ok=True)
        return [self._download(release, file, directory, on_progress) for file in wanted]

    def _download(
        self, release: str, file: Json, directory: Path, on_progress: Callable[[str, int, int], None]
    ) -> Path:
        name, size = str(file["name"]), int(file["bytes"])
        if Path(name).name != name:
            raise Unreachable(f"{self.url} names a file {name!r}, which is a path", "do not trust it")
        target, draft = directory / name, directory / f".{name}.part"
        if target.exists():
            raise BadInput(f"{target} exists already", "move it away, or name another directory")
        digest, done = hashlib.sha256(), 0
        try:
            with draft.open("wb") as stream:
                for piece in self._pieces(_path(release, "files", name)):
                    stream.write(piece)
                    digest.update(piece)
                    done += len(piece)
                    on_progress(name, done, size)
            if digest.hexdigest() != file["sha256"]:
                raise Unreachable(
                    f"{name} did not arrive as it was recorded: {done:,} of {size:,} bytes",
                    "download it again",
                )
            draft.rename(target)
        finally:
            draft.unlink(missing_ok=True)
        return target

    def _pieces(self, path: str) -> Iterator[bytes]:
        with self._reached(), self._http.stream("GET", path) as response:
            if not response.is_success:
                response.read()
                self._read(response)
            yield from response.iter_raw()


def _share(genotypes: str, wanted: Mapping[str, object]) -> Json:
    """Return the body of a release that is wanted; numbers as JSON holds them."""
    body: Json = {"genotypes": genotypes}
    for name, value in wanted.items():
        if value is None:
            continue
        if name in ("epsilon", "delta", "coupling"):
            if not isinstance(value, int | float | str | Fraction):
                raise BadInput(f"{name} must be a number")
            body[name] = plain(name, value)
        else:
            body[name] = value
    return body


def _path(*parts: str) -> str:
    return "/".join(("/v1/genomes/releases", *(quote(part, safe="") for part in parts)))
