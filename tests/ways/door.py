"""The application in front of a whole gateway, and how its errors must look."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from noisegate.app import Gateway
from noisegate.gate.access import Asker
from noisegate.ledger.records import Role
from noisegate.server.http.app import build_app
from noisegate.server.http.bodies import ErrorReply

from .world import opened, plain_town

CAP = 16_384
COUNT = "SELECT count(*) FROM ward.people"
ROLES = ("analyst", "custodian", "auditor")
BOSS = Asker("boss", Role.CUSTODIAN, None)


@dataclass(frozen=True)
class Door:
    """The application in front of the real gateway, and a secret of each role."""

    gateway: Gateway
    http: TestClient
    secrets: Mapping[str, str]

    def send(self, method: str, path: str, who: str | None = "analyst", **more: Any) -> Any:
        """Send a request as somebody, or as nobody."""
        headers = {name: value.encode() for name, value in more.pop("headers", {}).items()}
        if who is not None:
            headers["Authorization"] = f"Bearer {self.secrets.get(who, who)}".encode()
        return self.http.request(method, path, headers=headers, **more)


def error(reply: Any, status: int, code: str | None = None) -> dict[str, Any]:
    """The error of a reply, which must have the one shape and tell nothing of the inside."""
    assert reply.status_code == status, reply.text
    ErrorReply.model_validate_json(reply.content, strict=True)
    said: dict[str, Any] = reply.json()["error"]
    assert code is None or said["code"] == code
    assert reply.headers["content-type"] == "application/json"
    for word in ("Traceback", 'File "', ".py", "duckdb", "sqlite", "pydantic", "site-packages"):
        assert word not in reply.text
    return said


@contextmanager
def opened_door(home: Path) -> Iterator[Door]:
    """A door with a token of each role, of each role for one dataset alone, and a revoked one."""
    with opened(plain_town(), home) as gateway:

        def secret(name: str, role: str, datasets: list[str] | None = None) -> str:
            return str(gateway.create_token(BOSS, name, role, datasets, None)["secret"])

        secrets = {role: secret(f"the-{role}", role) for role in ROLES}
        secrets |= {f"clinic {role}": secret(f"clinic-{role}", role, ["clinic"]) for role in ROLES}
        revoked = gateway.create_token(BOSS, "gone", "analyst", None, None)
        gateway.revoke_token(BOSS, str(revoked["id"]))
        secrets["revoked"] = str(revoked["secret"])
        app = build_app(gateway, version="0", padding_ms=0, max_request_bytes=CAP)
        with TestClient(app, raise_server_exceptions=False) as http:
            yield Door(gateway, http, secrets)
