"""`noisegate receipts`: what was released, exported, checked offline, and held fast by checkpoints."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from rich.markup import escape
from typer import Argument, Exit, Option, Typer

from noisegate.cli import options, show
from noisegate.cli.door import open_door
from noisegate.errors import BadInput, SetupError

FAULT_FOUND = 3

program = Typer(help="What was released, on chains of hashes.", no_args_is_help=True)

Dataset = Annotated[str | None, Option("--dataset", help="Only this dataset.")]


@program.command("list", epilog="Example: noisegate receipts list --dataset liver --limit 20")
def receipts_list(
    dataset: Dataset = None,
    after: Annotated[
        str | None,
        Option(
            "--after", help="Go on where a page ended; for one dataset, after this number.", metavar="PLACE"
        ),
    ] = None,
    limit: Annotated[int, Option("--limit", min=1, max=1_000, help="At most so many.")] = 100,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """List what was released, the earliest first."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.receipts(dataset, after=after, limit=limit)
    if as_json:
        show.as_json(found)
        return
    rows = [[r["id"], _time(r["time"]), r["kind"], _about(r), r["hash"][:12]] for r in found["receipts"]]
    console = show.out()
    show.listing(console, ["receipt", "time (UTC)", "kind", "about", "hash"], rows, 3)
    if found["more"]:
        console.print(f"[dim]more with --after {escape(found['next'])}[/dim]")


@program.command("export", epilog="Example: noisegate receipts export receipts.jsonl")
def receipts_export(
    file: Annotated[
        Path | None, Argument(help="Where to; stdout without it.", metavar="[FILE]", show_default=False)
    ] = None,
    dataset: Dataset = None,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Write all receipts to a file that can be verified offline, one JSON document a line."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        pieces = door.export_receipts(dataset)
        if file is None:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.flush()
            return
        size = _write(file, pieces)
    if as_json:
        show.as_json({"file": str(file), "bytes": size})
    else:
        show.out().print(f"wrote {file}", markup=False)


@program.command("verify", epilog="Example: noisegate receipts verify receipts.jsonl --checkpoints kept")
def receipts_verify(
    source: Annotated[
        str | None,
        Argument(
            help="An exported file, or the URL of a gateway to export from; else the ledger itself.",
            metavar="[SOURCE]",
            show_default=False,
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        Option("--key", help="The custodian's public key, or a file of it; repeat for more.", metavar="KEY"),
    ] = None,
    checkpoints: Annotated[
        Path | None, Option("--checkpoints", help="A directory of checkpoints you kept.", metavar="DIR")
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Verify exported receipts offline, or have the ledger check all its rows against them."""
    if source is None:
        if key or checkpoints is not None:
            raise BadInput("--key and --checkpoints go with an exported file or the URL of a gateway")
        with open_door(url, token, state=state, catalog=catalog) as door:
            found = door.verify_receipts()
        held = "whole" if found["whole"] else f"BROKEN: {found['fault']}"
        text = f"{found['receipts']:,} receipts of {found['charges']:,} charges: {held}"
        if found["whole"]:
            text += f"\nbudget given under key {found['key']}"
    elif url is not None or state is not None or catalog is not None:
        raise BadInput(f"{source} is verified by itself", "leave out --url, --state and --catalog")
    else:
        found, text = _verified(source, key or [], checkpoints, token)
    if as_json:
        show.as_json(found)
    else:
        show.out().print(text, markup=False)
    if not found["whole"]:
        raise Exit(FAULT_FOUND)


@program.command("checkpoint", epilog="Example: noisegate receipts checkpoint /mnt/elsewhere/checkpoints")
def receipts_checkpoint(
    directory: Annotated[
        Path | None,
        Argument(help="Where to keep it; only shown without it.", metavar="[DIRECTORY]", show_default=False),
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Take a signed checkpoint of where each chain ends, to be kept where the gateway cannot change it."""
    from noisegate.ledger.checkpoints import file_of, write

    with open_door(url, token, state=state, catalog=catalog) as door:
        taken = door.checkpoint()
    name, content = file_of(taken)
    if directory is not None:
        try:
            write(directory, name, content)
        except OSError as wrong:
            raise SetupError(
                f"the checkpoint cannot be written to {directory}: {wrong.strerror}",
                "give a directory that is there and can be written",
            ) from None
    if as_json:
        show.as_json(taken)
        return
    receipts = sum(number for number, _ in taken["heads"].values())
    told = "" if directory is None else f", kept as {directory / name}"
    show.out().print(f"{receipts:,} receipts in {len(taken['heads'])} chains{told}", markup=False)
    show.out().print(f"signed with key {taken['key']}", markup=False)


def _verified(
    source: str, keys: list[str], directory: Path | None, token: str | None
) -> tuple[dict[str, Any], str]:
    """Verify a file, or what a gateway exports now; return the report for programs and for people."""
    from noisegate.verifier import checkpoints_in, key_of, verify

    try:
        known = [key_of(text) for text in keys]
        kept = None if directory is None else checkpoints_in(directory)
        with _opened(source, token) as stream:
            report = verify(stream, keys=known, checkpoints=kept)
    except OSError as wrong:
        raise BadInput(f"{wrong.filename or source} cannot be read: {wrong.strerror}") from None
    except ValueError as wrong:
        raise BadInput(str(wrong)) from None
    return report.as_json(), report.as_text()


@contextmanager
def _opened(source: str, token: str | None) -> Iterator[BinaryIO]:
    if not source.startswith(("http://", "https://")):
        with Path(source).open("rb") as file:
            yield file
        return
    # Whole on disk first: a download that breaks off is then no finding about the ledger.
    with tempfile.TemporaryFile() as copy:
        with open_door(source, token) as door:
            for piece in door.export_receipts():
                copy.write(piece)
        copy.seek(0)
        yield copy


def _write(file: Path, pieces: Iterator[bytes]) -> int:
    """Write a file that is seen whole or not at all, and return its size in bytes."""
    unfinished = file.with_name(f".{file.name}.part")
    try:
        with unfinished.open("wb") as stream:
            for piece in pieces:
                stream.write(piece)
            size = stream.tell()
        unfinished.replace(file)
    except OSError as wrong:
        raise SetupError(f"{file} cannot be written: {wrong.strerror}", "name another file") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return size


def _time(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S")


def _about(receipt: Mapping[str, Any]) -> str:
    """Return what a receipt is about, in a line."""
    body = receipt["body"]
    public = body.get("public")
    if isinstance(public, dict) and "question" in public:
        epsilon = f"ε {public['epsilon']:.4g} " if "epsilon" in public else ""
        return f"{epsilon}{public.get('asker', '')}: {public['question']}"
    if "version" in body:
        return f"data version {body['version']}"
    if "period" in body and body["period"]["number"] > 1:
        return f"{body['account']}, period {body['period']['number']}"
    return str(body.get("account", body.get("reason", body.get("state", ""))))
