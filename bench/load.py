"""A closed-loop HTTP load: keep-alive connections, each sending its next question when it has its answer.

`python -m bench.load URL TOKEN --mode fresh|replay --clients 8 --seconds 5` is a process of its own: it does
not share an interpreter with the server. One thread and raw sockets: on a small machine what the client
costs is taken from the server. Prints one JSON object.
"""

import argparse
import json
import selectors
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

QUESTION = "SELECT COUNT(*) AS n FROM liver.patients WHERE age > {age}"
WARM_SECONDS = 0.5
AS_ASKED = {"fresh": b'"replayed":false', "replay": b'"replayed":'}


def questions(mode: str, start: int) -> Iterator[str]:
    """Yield questions: one and the same to be replayed, else each with another constant."""
    number = start
    while True:
        yield QUESTION.format(age=50 if mode == "replay" else f"{18 + number / 1_000_000:.6f}")
        number += 1


def request(host: str, token: str, sql: str) -> bytes:
    """Return the bytes of POST /v1/ask."""
    body = json.dumps({"sql": sql, "epsilon": 0.01}).encode()
    head = (
        f"POST /v1/ask HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection:
    """One keep-alive connection and what it is waiting for."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    def send(self, data: bytes) -> None:
        """Send a request."""
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(data)

    def read(self) -> int | None:
        """Return the status once the whole reply is there."""
        piece = self.socket.recv(65_536)
        if not piece:
            raise ConnectionError("the server closed a connection")
        self.received += piece
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return None
        lowered = head.lower()
        length = int(lowered.split(b"content-length:")[1].split(b"\r\n")[0])
        return int(head.split(b" ")[1]) if len(body) >= length else None


def run(url: str, token: str, mode: str, clients: int, seconds: float, start: int) -> dict[str, object]:
    """Return how many answers came in a second, how long each took (ms), and what was refused."""
    parts = urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or 80)
    asked = questions(mode, start)
    waiting = selectors.DefaultSelector()
    for _ in range(clients):
        connection = Connection(address)
        waiting.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send(request(address[0], token, next(asked)))
    begun = time.perf_counter()
    took: list[float] = []
    refused: list[str] = []
    while (now := time.perf_counter()) < begun + WARM_SECONDS + seconds:
        for key, _ in waiting.select(timeout=1.0):
            connection = key.data
            status = connection.read()
            if status is None:
                continue
            if status == 200 and AS_ASKED[mode] not in connection.received:
                raise RuntimeError("a fresh question was replayed, or the other way round")
            if status != 200:
                refused.append(connection.received.partition(b"\r\n\r\n")[2][:300].decode())
            elif now >= begun + WARM_SECONDS:
                took.append(1_000 * (time.perf_counter() - connection.sent_at))
            connection.send(request(address[0], token, next(asked)))
    for key in list(waiting.get_map().values()):
        key.data.socket.close()
    took.sort()
    return {
        "per_second": len(took) / seconds,
        "answers": len(took),
        "median_ms": took[len(took) // 2] if took else None,
        "p99_ms": took[int(len(took) * 0.99)] if took else None,
        "refused": len(refused),
        "first_refusal": refused[0] if refused else None,
    }


def main() -> None:
    """Read the command line and print the result."""
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("url")
    parser.add_argument("token")
    parser.add_argument("--mode", choices=("fresh", "replay"), required=True)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--start", type=int, default=0, help="number of the first fresh question")
    given = parser.parse_args()
    print(json.dumps(run(given.url, given.token, given.mode, given.clients, given.seconds, given.start)))


if __name__ == "__main__":
    main()
