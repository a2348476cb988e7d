"""Running the HTTP application: in this thread until stopped, or in a thread beside what this one does."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from noisegate.errors import SetupError

START_SECONDS = 30
# Idle keep-alive connections cost little; clients ask in bursts minutes apart.
KEEP_ALIVE_SECONDS = 75
DRAIN_SECONDS = 10


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 lets the system choose.

    Raises:
        SetupError: the address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio would not turn Nagle's algorithm off and each reply would wait 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as wrong:
        bound.close()
        raise SetupError(
            f"cannot listen on {host}:{port}: {wrong.strerror or wrong}",
            "another program may hold the port: choose a free one with --port",
        ) from None
    bound.listen(128)
    return bound


def address(bound: socket.socket) -> str:
    """Return the URL a listening socket is reached at."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(app: ASGIApp, bound: socket.socket) -> None:
    """Serve until the process is told to stop (SIGINT, SIGTERM), then let questions in progress end.

    Only in the main thread. Once it has drained, uvicorn raises the signal again; it must not end the
    process before the ledger is shut.
    """

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    with suppress(KeyboardInterrupt):
        _server(app).run(sockets=[bound])


@contextmanager
def beside(app: ASGIApp, bound: socket.socket) -> Iterator[str]:
    """Serve in a thread for as long as the context lasts; give the URL once it answers."""
    server = _server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, name="server", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise SetupError("the HTTP server did not start", "the lines above say why")
            time.sleep(0.01)
        yield address(bound)
    finally:
        server.should_exit = True
        thread.join(DRAIN_SECONDS + 1)


def _server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,  # logging belongs to the program; warnings reach stderr without a configuration
            log_level="warning",
            access_log=False,  # questions and their times stay out of logs
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            ws="none",
        )
    )
