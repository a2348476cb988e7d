"""The workers of a Dask cluster make chunks. The key of the noise reaches them over TLS only.

A task says what its chunk is and where the stores lie, never the key: a worker asks the driver for it, on a
TLS connection of its own on which both sides show certificates of the cluster's authority, and forgets it
when the chunk is done. So no key is in task arguments, in the scheduler, in logs, or beside the output.
Workers read and write the stores themselves, on paths that mean the same everywhere; what is to be told of
a chunk, such as the tables of a study, goes back to the driver by Dask, over TLS too.
"""

import asyncio
import concurrent.futures
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import distributed

from noisegate.errors import SetupError
from noisegate.genomics.keys import KEY_BYTES, ReleaseKey
from noisegate.genomics.scheduler import Made, Work

dask: Any = distributed  # it says little of its types
Security = Any  # distributed.Security

PATIENCE_SECONDS = 30
AHEAD = 2  # tasks a worker's thread, so that none waits for the driver
RETRIES = 3
LONGEST_NAME = 200
HINT = (
    "set distributed.comm.tls.ca-file, client.cert and client.key in Dask's configuration "
    "(DASK_DISTRIBUTED__COMM__TLS__CA_FILE …), and start scheduler and workers with theirs"
)


class Cluster:
    """A Dask scheduler and its workers, spoken to over TLS."""

    def __init__(self, address: str, security: Security) -> None:
        """Take the scheduler's address and the certificates to show.

        Raises:
            SetupError: without TLS: a key would travel in the clear.
        """
        if not (security.tls_ca_file and security.tls_client_cert):
            raise SetupError(
                f"{address} would be spoken to without TLS, and keys of noise travel there", HINT
            )
        parts = urlsplit(address)
        if parts.scheme not in ("tls", "tcp") or parts.hostname is None or parts.port is None:
            raise SetupError(
                f"{address!r} is no address of a scheduler", "it looks like tls://scheduler.example.org:8786"
            )
        # Behind TLS there is no other port: what was written as tcp:// is spoken to by TLS or not at all.
        self._address = f"tls://{parts.netloc}"
        self._host = parts.hostname
        self._security = security

    @classmethod
    def at(cls, address: str) -> "Cluster":
        """Return the cluster at an address, with the certificates that Dask's configuration names."""
        return cls(address, dask.Security())

    def run(
        self, work: Work[Made], key: ReleaseKey, chunks: Iterable[int], go_on: Callable[[int, Made], bool]
    ) -> bool:
        """See `scheduler.Scheduler`.

        Raises:
            SetupError: the cluster cannot be reached.
        """
        with self._reached() as client, handed_out(key, work.release, self._security, self._host) as where:
            at_once = max(sum(client.nthreads().values()), 1) * AHEAD
            left = iter(chunks)
            numbers: dict[Any, int] = {}

            def submit(number: int) -> Any:
                future = client.submit(
                    do_chunk, work.only(number), number, where, pure=False, retries=RETRIES
                )
                numbers[future.key] = number
                return future

            pending = dask.as_completed([submit(number) for number in islice(left, at_once)])
            whole = True
            for future in pending:
                with _workers_lost():
                    made = future.result()
                whole = go_on(numbers.pop(future.key), made) and whole
                number = next(left, None) if whole else None
                if number is not None:
                    pending.add(submit(number))
            return whole

    @contextmanager
    def _reached(self) -> Iterator[Any]:
        try:
            client = dask.Client(self._address, security=self._security, timeout=PATIENCE_SECONDS)
        except (OSError, TimeoutError) as wrong:
            raise SetupError(
                f"the scheduler at {self._address} cannot be reached: {type(wrong).__name__}", HINT
            ) from None
        with client:
            yield client


@contextmanager
def _workers_lost() -> Iterator[None]:
    """Say of what went wrong with the cluster, not with a chunk, that it can be tried again."""
    try:
        yield
    except (
        asyncio.CancelledError,
        concurrent.futures.CancelledError,
        TimeoutError,
        dask.KilledWorker,
        dask.CancelledError,
        dask.comm.CommClosedError,
    ) as wrong:
        raise SetupError(
            f"the cluster lost a chunk: {type(wrong).__name__}",
            "look at its workers; then give the same command again: it costs nothing more",
        ) from None


def do_chunk(work: Work[Made], number: int, where: tuple[str, int]) -> Made:
    """Make one chunk on a worker, with the key that the driver gives it."""
    return work.do(number, fetched(work.release, where, dask.get_worker().security))


def fetched(release: str, where: tuple[str, int], security: Security) -> ReleaseKey:
    """Return the key of a release from the driver at `where`, over TLS with certificates on both sides.

    Raises:
        OSError: the driver is not there, is not who it should be, or gives no key of this release.
    """
    context: ssl.SSLContext = security.get_connection_args("worker")["ssl_context"]
    with (
        socket.create_connection(where, PATIENCE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=where[0]) as safe,
    ):
        safe.sendall(release.encode() + b"\n")
        key = b""
        while len(key) < KEY_BYTES and (piece := safe.recv(KEY_BYTES - len(key))):
            key += piece
    if len(key) != KEY_BYTES:
        raise ConnectionError(f"the driver gave no key of release {release}")
    return ReleaseKey(key)


@contextmanager
def handed_out(key: ReleaseKey, release: str, security: Security, towards: str) -> Iterator[tuple[str, int]]:
    """Hand the key of a release to whoever shows a certificate of the cluster's authority, for as long as it
    takes; gives where.

    Args:
        key: what is handed out.
        release: its release; nothing is handed out for another.
        security: the certificates to show.
        towards: a host of the cluster, so that the address given is one that it can reach.
    """
    context: ssl.SSLContext = security.get_listen_args("client")["ssl_context"]
    if context.verify_mode is not ssl.CERT_REQUIRED:
        raise SetupError("keys are handed only to those who show a certificate", HINT)
    host = dask.utils.get_ip(towards)
    with socket.create_server((host, 0)) as listening:
        thread = threading.Thread(
            target=_serve, args=(listening, context, key, release), name="keys", daemon=True
        )
        thread.start()
        try:
            yield listening.getsockname()[:2]
        finally:
            # Closing alone would not wake a thread that waits for the next connection.
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
            thread.join(PATIENCE_SECONDS)


def _serve(listening: socket.socket, context: ssl.SSLContext, key: ReleaseKey, release: str) -> None:
    while True:
        try:
            plain, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(plain, context, key, release), daemon=True).start()


def _answer(plain: socket.socket, context: ssl.SSLContext, key: ReleaseKey, release: str) -> None:
    """Give the key to one worker. Whoever is not one learns nothing, and nothing is logged."""
    plain.settimeout(PATIENCE_SECONDS)
    with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as safe:
        name = b""
        while not name.endswith(b"\n") and len(name) < LONGEST_NAME and (piece := safe.recv(LONGEST_NAME)):
            name += piece
        if name == release.encode() + b"\n":
            safe.sendall(key.reveal())
