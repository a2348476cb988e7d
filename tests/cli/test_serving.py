"""The real gateway behind the real server, started as a user starts it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from noisegate import errors
from noisegate.client import connect
from noisegate.server.http.bodies import AnswerReply

from .conftest import Command, write_small_catalog

START = "from noisegate.cli import main; main()"
COUNT = "SELECT count(*) FROM ward.people WHERE age > 30"


@contextmanager
def serving(directory: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("NOISEGATE_")}
    server = subprocess.Popen(
        [sys.executable, "-c", START, "serve", "--port", "0", "--json"],
        cwd=directory,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        said = "".join(iter(server.stdout.readline, "}\n")) + "}"
        yield json.loads(said)["url"], server
    finally:
        server.kill()
        server.communicate()


def test_analysts_custodians_and_auditors_over_http(cli: Command, tmp_path: Path) -> None:
    secrets = {
        role: cli("token", "create", f"the-{role}", "--role", role, "--json").json["secret"]
        for role in ("analyst", "custodian", "auditor")
    }
    with serving(tmp_path) as (url, server):
        locked = cli("budget", "show", "--json")
        assert (locked.code, locked.error["code"]) == (6, "ledger_unavailable")
        assert "--url" in locked.error["hint"]

        remote = ("--url", url, "--token", secrets["analyst"], "--json")
        answer = cli("ask", COUNT, "-e", "1", *remote)
        assert answer.code == 0
        AnswerReply.model_validate(answer.json)
        assert cli("ask", COUNT, "-e", "1", *remote).json["replayed"]
        assert cli("ask", "SELECT * FROM ward.people", *remote).code == 3
        assert cli("ask", COUNT, "-e", "1.5", *remote).code == 0
        assert cli("ask", COUNT, "-e", "1.6", *remote).code == 4
        assert [d["name"] for d in cli("catalog", "show", *remote).json["datasets"]] == ["ward", "clinic"]
        own = cli("budget", "show", *remote).json["accounts"]
        assert [a["account"] for a in own] == [
            "town/ward/default/the-analyst",
            "town/clinic/default/the-analyst",
        ]
        assert own[0]["spent"] == 2.5
        assert cli("receipts", "list", *remote).code == 5

        auditor = ("--url", url, "--token", secrets["auditor"], "--json")
        assert cli("ask", COUNT, *auditor).code == 5
        assert {a["account"] for a in cli("budget", "show", *auditor).json["accounts"]} >= {
            "town",
            "town/ward",
        }
        assert cli("receipts", "verify", *auditor).json["whole"]

        custodian = ("--url", url, "--token", secrets["custodian"], "--json")
        made = cli("token", "create", "ward-only", "--dataset", "ward", *custodian).json
        narrow = ("--url", url, "--token", made["secret"], "--json")
        assert [d["name"] for d in cli("catalog", "show", *narrow).json["datasets"]] == ["ward"]
        assert cli("ask", "SELECT count(*) FROM clinic.visits", *narrow).code == 3  # as good as none
        assert cli("token", "revoke", made["id"], *custodian).code == 0
        assert cli("ask", COUNT, *narrow).code == 5

        with connect(url, secrets["analyst"]) as client:
            client.ask("SELECT count(*) FROM clinic.visits", epsilon=0.1, idempotency_key="k")
            with pytest.raises(errors.Conflict):
                client.ask("SELECT count(*) FROM clinic.visits", epsilon=0.2, idempotency_key="k")

        assert httpx2.get(f"{url}/healthz").json()["status"] == "ok"
        metrics = httpx2.get(f"{url}/metrics", headers={"Authorization": f"Bearer {secrets['auditor']}"}).text
        assert 'route="/v1/ask",code="answered"' in metrics
        assert "noisegate_ledger_up 1" in metrics
        assert "A small ward" in httpx2.get(url).text

        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
    assert cli("ask", COUNT, "-e", "1", "--as", "the-analyst", "--json").json["replayed"]


def test_a_first_start_says_how_to_make_a_token_and_a_second_start_that_the_port_is_taken(
    tmp_path: Path, cli: Command
) -> None:
    elsewhere = tmp_path / "b"
    elsewhere.mkdir()
    write_small_catalog(elsewhere)
    with serving(tmp_path) as (url, server):
        refused = cli("serve", "--catalog", "b/catalog.toml", "--port", url.rsplit(":", 1)[1], "--json")
        assert (refused.code, refused.error["code"]) == (2, "bad_input")
        assert "--port" in refused.error["hint"]
        assert httpx2.get(f"{url}/v1/datasets").status_code == 401
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
        assert server.stderr is not None
        said: Any = server.stderr.read()
        assert "noisegate token create" in said
        assert "Traceback" not in said
