"""A wire between a gateway and its server that can be cut, stalled, or made to lose what comes back."""

import enum
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self


class Mode(enum.Enum):
    OPEN = "open"
    STALLED = "stalled"  # what is sent arrives nowhere, and nobody hangs up
    DEAF = "deaf"  # what the server answers is lost, then the connection
    CUT = "cut"  # connections are closed, and no new ones are taken


class Proxy:
    """Listens on a port of this computer and passes everything on to a server's socket file."""

    def __init__(self, server: Path) -> None:
        self._server = str(server)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._mode = Mode.OPEN
        self._heard = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def set(self, mode: Mode) -> None:
        """Change how the wire is, for the connections there are and new ones. It is so when this returns."""
        self._heard.clear()
        self._mode = mode
        self._wake.send(b"!")
        self._heard.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wake.close()
        self._thread.join()

    def _run(self) -> None:
        peers: dict[socket.socket, socket.socket] = {}
        servers: set[socket.socket] = set()

        def hang_up(end: socket.socket) -> None:
            for one in (end, peers.pop(end)):
                peers.pop(one, None)
                servers.discard(one)
                one.close()

        told = False
        while True:
            mode = self._mode
            if mode is Mode.CUT:
                for end in list(peers):
                    if end in peers:
                        hang_up(end)
            if told:
                self._heard.set()
            heard = [] if mode is Mode.STALLED else list(peers)
            told = False
            ready, _, _ = select.select([self._woken, self._listening, *heard], [], [])
            for end in ready:
                if end is self._woken:
                    if not self._woken.recv(64):
                        self._mode = Mode.CUT
                        for one in {*peers, self._listening, self._woken}:
                            one.close()
                        return
                    told = True
                elif end is self._listening:
                    client, _ = self._listening.accept()
                    if mode is Mode.CUT:
                        client.close()
                        continue
                    server = socket.socket(socket.AF_UNIX)
                    try:
                        server.connect(self._server)
                    except OSError:
                        client.close()
                        server.close()
                        continue
                    peers |= {client: server, server: client}
                    servers.add(server)
                elif end in peers:
                    self._pass_on(end, peers[end], lambda end=end: hang_up(end), from_server=end in servers)

    def _pass_on(
        self, end: socket.socket, other: socket.socket, hang_up: Callable[[], None], *, from_server: bool
    ) -> None:
        try:
            said = end.recv(1 << 16)
            if said and not (from_server and self._mode is Mode.DEAF):
                other.sendall(said)
                return
        except OSError:
            pass
        hang_up()
