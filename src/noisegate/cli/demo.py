"""`noisegate demo`: the public data that comes with Noisegate behind a gateway, and some questions."""

import json
import os
import shlex
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from noisegate.app import Gateway
from noisegate.catalog.load import load
from noisegate.cli import show
from noisegate.cli.demo_questions import QUESTIONS, DemoQuestion, Truth, truth_of
from noisegate.cli.door import OPERATOR
from noisegate.cli.local import gateway_of
from noisegate.cli.serving import application
from noisegate.client import Answer, Client
from noisegate.client.answer import shown
from noisegate.config import Config
from noisegate.errors import BadInput, InternalError, NoisegateError, SetupError
from noisegate.gate.access import Asker
from noisegate.ledger.records import Role
from noisegate.server.serve import beside, listen

TOKENS_FILE = "tokens.json"
NEEDED = ("liver", "panel", "clinic")
EXAMPLE = "SELECT avg(age) AS mean_age FROM liver.patients"


def run_demo(config: Config, *, once: bool, as_json: bool) -> None:
    """Register, serve, ask, print; then serve on until stopped, unless `once`.

    With the same state directory again, tokens are kept and the answers come from the ledger at no cost.

    Raises:
        BadInput: the catalog is not the one that comes with Noisegate.
        SetupError: the port is taken.
    """
    console = show.progress() if as_json else show.out()
    catalog = load(config.catalog)
    missing = [name for name in NEEDED if catalog.dataset(name) is None]
    if missing:
        raise BadInput(
            f"{config.catalog} has no dataset {missing[0]!r}",
            "the demo asks about the data in Noisegate's source tree: start it there, or give --catalog",
        )
    with listen(config.host, config.port) as bound, gateway_of(config, show.progress()) as gateway:
        tokens = keep_tokens(config.state, gateway)
        gateway.genomes.begin_making()
        with beside(application(gateway, config), bound) as url:
            console.print(f"[bold]Noisegate serves {url}[/bold]\n")
            with Client(url, tokens["analyst"]) as client:
                results = [_ask(client, q, truth_of(q, catalog), console) for q in QUESTIONS]
            if as_json:
                show.as_json({"url": url, "state": str(config.state), "questions": results})
            if not once:
                _say_how(console, url, config.state)
                _wait()


def keep_tokens(state: Path, gateway: Gateway) -> dict[str, str]:
    """Return the demo's tokens by role, from tokens.json where it has valid ones, else new."""
    path = state / TOKENS_FILE
    held = _read_tokens(path)
    roles = [role.value for role in Role]
    if not all(_is_valid(gateway, held.get(role)) for role in roles):
        operator = Asker(OPERATOR, Role.CUSTODIAN, None)
        held = {}
        for role in roles:
            made = gateway.create_token(operator, f"demo-{role}", role, None, None)
            held[role] = str(made["secret"])
        new = path.with_suffix(".new")
        # Made unreadable to others before it holds anything.
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            json.dump(held, stream, indent=2)
        new.replace(path)
    return {role: held[role] for role in roles}


def _read_tokens(path: Path) -> dict[str, str]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    except OSError as wrong:
        raise SetupError(
            f"cannot read {path}: {wrong.strerror}", "remove it: the demo makes new tokens"
        ) from None
    return {str(k): str(v) for k, v in held.items()} if isinstance(held, dict) else {}


def _is_valid(gateway: Gateway, token: str | None) -> bool:
    try:
        return token is not None and bool(gateway.authenticate(token))
    except NoisegateError:
        return False


def _ask(client: Client, question: DemoQuestion, truth: Truth | None, console: Console) -> dict[str, Any]:
    console.print(f"[bold]{escape(question.title)}[/bold]")
    console.print(f"[dim]{escape(question.sql)}[/dim]")
    result: dict[str, Any] = {"title": question.title, "sql": question.sql}
    try:
        answer = client.ask(question.sql, epsilon=question.epsilon)
    except InternalError:
        raise
    except NoisegateError as refusal:
        console.print(f"refused: {escape(refusal.message)}")
        console.print(f"[dim]{escape(refusal.hint)}[/dim]\n")
        return {**result, **refusal.as_json()}
    _show_beside(console, answer, truth)
    console.print()
    return {**result, "answer": answer.json, "truth": truth}


def _show_beside(console: Console, answer: Answer, truth: Truth | None) -> None:
    """Print the answer with a column of the truth for each noisy one."""
    by_key = {row[:-1]: row[-1] for row in truth or ()}
    headings = [*(c.name for c in answer.columns), "truth (from the public files)"]
    rows = []
    for cells, plain in zip(answer.cells, answer.rows, strict=True):
        key = tuple(v for v, c in zip(plain, answer.columns, strict=True) if c.is_key)
        exact = by_key.get(key)
        rows.append([*(shown(c) for c in cells), "–" if exact is None else _exact(exact)])
    console.print(show.table(headings, rows, numbers=range(len(headings) - 1, len(headings))))
    for line in answer.footer():
        console.print(f"[dim]{escape(line)}[/dim]")


def _exact(value: object) -> str:
    match value:
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.4f}"
        case _:
            return str(value)


def _say_how(console: Console, url: str, state: Path) -> None:
    tokens = state / TOKENS_FILE
    read = f"import json; print(json.load(open('{tokens}'))['analyst'])"
    body = json.dumps({"sql": EXAMPLE})
    console.print(
        f"Serving on at {url}: a status page there, the API reference at {url}/docs. Ctrl-C stops it."
    )
    console.print(f"Tokens of a custodian, an analyst and an auditor are in {tokens}. In another shell:\n")
    # ./run starts a program that is not on the reader's PATH.
    program = "noisegate" if shutil.which("noisegate") else shlex.quote(str(Path(sys.argv[0]).absolute()))
    for line in (
        f"export NOISEGATE_URL={url}",
        f'export NOISEGATE_TOKEN=$(python3 -c "{read}")',
        f'{program} ask "{EXAMPLE}"',
        f"""curl -s {url}/v1/ask -H "Authorization: Bearer $NOISEGATE_TOKEN" -d '{body}'""",
    ):
        console.print(f"  {line}", markup=False, soft_wrap=True)


def _wait() -> None:
    """Wait for SIGINT or SIGTERM."""
    told = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.set())
    told.wait()
