"""Options that many commands share."""

import os
from pathlib import Path
from typing import Annotated

from typer import Option

from noisegate import config
from noisegate.errors import BadInput

Url = Annotated[
    str | None, Option("--url", help="Ask the gateway there, over HTTP. (env NOISEGATE_URL)", metavar="URL")
]
Token = Annotated[
    str | None, Option("--token", help="The bearer token for --url. (env NOISEGATE_TOKEN)", metavar="TOKEN")
]
State = Annotated[
    Path | None,
    Option(
        "--state", help="State directory, opened in-process; beside the catalog by default.", metavar="DIR"
    ),
]
Catalog = Annotated[Path | None, Option("--catalog", help="The catalog file.", metavar="FILE")]
AsJson = Annotated[bool, Option("--json", help="JSON alone on stdout; progress and errors on stderr.")]
Host = Annotated[str | None, Option("--host", help="Address to listen on. Default 127.0.0.1.")]
Port = Annotated[int | None, Option("--port", help="Port to listen on, 0 for any free one. Default 8400.")]
Threads = Annotated[
    int | None, Option("--threads", help="How many chunks are worked on at once; a core each, up to 8.")
]
Ledger = Annotated[
    str | None,
    Option(
        "--ledger",
        help="A PostgreSQL database as the ledger. Others see flags: with a password, use NOISEGATE_LEDGER.",
        metavar="URL",
    ),
]
Scheduler = Annotated[
    str | None,
    Option("--scheduler", help="A Dask scheduler whose workers do the work, over TLS.", metavar="URL"),
]


def settings(**flags: object) -> config.Config:
    """Return the configuration in force here, flags first."""
    checkout = Path(__file__).parents[3]
    home = checkout if (checkout / "pyproject.toml").is_file() else None
    return config.load(directory=Path.cwd(), environ=os.environ, flags=flags, home=home)


def address(url: str | None, *, local: bool) -> str | None:
    """Return the gateway to speak to, None for a state directory.

    A flag that means this machine (`local`) wins over NOISEGATE_URL, and contradicts --url.
    """
    if url is not None and local:
        raise BadInput("give --url, or --state and --catalog, not both")
    return url if url is not None or local else os.environ.get("NOISEGATE_URL") or None
