"""Chunks on a Dask cluster: the same bytes as here, and keys over TLS alone."""

import contextlib
import pickle
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noisegate.errors import SetupError
from noisegate.genomics import cluster, share
from noisegate.genomics.cluster import Cluster, fetched, handed_out
from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.making import chunks_of
from noisegate.genomics.scheduler import Threads, drained
from noisegate.genomics.share import begin, carry_out
from noisegate.genotypes.store import Store

from .workshop import BOSS, lab, recipe

distributed: Any = pytest.importorskip("distributed")
KEY = ReleaseKey(bytes(range(16)))


@pytest.fixture(scope="module")
def security() -> Any:
    return distributed.Security.temporary()


@pytest.fixture(autouse=True)
def without_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "report", lambda *_: ())


@pytest.fixture
def workers(security: Any) -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        protocol="tls://",
        security=security,
        dashboard_address=None,
    ) as made:
        yield made


@pytest.mark.slow
def test_a_cluster_makes_what_threads_make(
    tmp_path: Path, workers: Any, security: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {}
    monkeypatch.setattr("noisegate.genomics.keys.secrets.token_bytes", lambda n: b"s" * n)
    for name, scheduler in (
        ("here", Threads(1)),
        ("there", Cluster(workers.scheduler_address, security)),
    ):
        with lab(tmp_path / name, scheduler=scheduler) as place:
            proposal = place.propose(recipe(), chunk=8)
            begun = begin(place.shop, BOSS, proposal)
            assert carry_out(place.shop, BOSS, begun.job, proposal) is not None
            store = Store.open(place.shop.shelf.place(begun.id) / "release.zarr")
            made[name] = [store.read(chunk).lo.tobytes() for chunk in store.chunks()]
    assert made["here"] == made["there"]


def test_the_key_goes_to_who_shows_a_certificate_and_asks_for_its_release(security: Any) -> None:
    with handed_out(KEY, "panel-17", security, "127.0.0.1") as where:
        assert fetched("panel-17", where, security).reveal() == KEY.reveal()
        with pytest.raises(OSError, match="gave no key"):
            fetched("panel-18", where, security)
        # Again, as a worker does for its next chunk.
        assert fetched("panel-17", where, security).reveal() == KEY.reveal()
    with pytest.raises(ConnectionRefusedError):
        fetched("panel-17", where, security)


def test_strangers_get_no_key(security: Any) -> None:
    nameless = ssl.create_default_context()
    nameless.check_hostname, nameless.verify_mode = False, ssl.CERT_NONE
    theirs = distributed.Security.temporary().get_connection_args("worker")["ssl_context"]
    with handed_out(KEY, "panel-17", security, "127.0.0.1") as where:
        for context in (None, nameless, theirs):
            assert KEY.reveal() not in heard(where, context)


def heard(where: tuple[str, int], context: ssl.SSLContext | None) -> bytes:
    """What somebody hears who asks for the key, in plain text or with a certificate that nobody knows."""
    said = b""
    with contextlib.suppress(OSError), socket.create_connection(where, 5) as plain:
        plain.settimeout(5)
        with plain if context is None else context.wrap_socket(plain) as asking:
            asking.sendall(b"panel-17\n")
            while piece := asking.recv(100):
                said += piece
    return said


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:8786", "tls://127.0.0.1:8786"])
def test_a_scheduler_without_tls_is_refused(address: str) -> None:
    with pytest.raises(SetupError, match="without TLS"):
        Cluster(address, distributed.Security())
    with pytest.raises(SetupError, match="without TLS"):
        Cluster.at(address)


@pytest.mark.parametrize("address", ["http://h:1", "tls://h", "h:1", "tls://"])
def test_what_is_no_address_is_refused(address: str, security: Any) -> None:
    with pytest.raises(SetupError, match="no address"):
        Cluster(address, security)


def test_a_plain_address_is_spoken_to_over_tls(security: Any) -> None:
    assert Cluster("tcp://127.0.0.1:8786", security)._address == "tls://127.0.0.1:8786"


def test_a_scheduler_that_is_not_there_is_the_operators(
    security: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 0.2)
    with pytest.raises(SetupError, match="cannot be reached"):
        Cluster("tls://127.0.0.1:9", security).run(None, KEY, [0], lambda *_: True)  # type: ignore[arg-type]


def test_what_is_sent_to_a_worker_holds_no_key_and_only_its_chunk(tmp_path: Path) -> None:
    with lab(tmp_path / "home", variants=400) as made:
        proposal = made.propose(recipe(), chunk=8)
        chunks = chunks_of(proposal, proposal.source, {})
        sent = pickle.dumps(chunks.cut(8, 16))
        again = pickle.loads(sent)  # noqa: S301 -- made a line above
        one, other = (c.block(1, 8, 16, KEY) for c in (chunks, again))
        assert (one.lo == other.lo).all()
        assert (one.hi == other.hi).all()
        assert KEY.reveal() not in sent
        assert len(again.law.flip) == 16
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(KEY)


def test_a_scheduler_stops_before_further_chunks_where_it_is_told() -> None:
    from concurrent.futures import ThreadPoolExecutor

    done: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        whole = drained(lambda n: pool.submit(done.append, n), range(100), lambda n, _: n < 3, 1)
    assert not whole
    assert 4 <= len(done) <= 6
    with ThreadPoolExecutor(2) as pool:
        assert drained(lambda n: pool.submit(done.append, n), range(5), lambda *_: True, 2)


def test_the_first_chunk_that_fails_is_told() -> None:
    from concurrent.futures import ThreadPoolExecutor

    def fail(number: int) -> None:
        if number == 2:
            raise ValueError("of chunk 2")

    with ThreadPoolExecutor(2) as pool, pytest.raises(ValueError, match="of chunk 2"):
        drained(lambda n: pool.submit(fail, n), range(9), lambda *_: True, 2)
