"""`noisegate jobs`: releases in steps, how far they are, and their end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from rich.console import Console
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from typer import Argument, Typer

from noisegate.cli import options, show
from noisegate.cli.door import Json, open_door

BAR = 24  # characters
HEADINGS = ("job", "state", "progress", "steps", "ε drawn", "ε reserved", "asker", "datasets", "title")

program = Typer(help="Releases in steps, such as training and streams.", no_args_is_help=True)

JobId = Annotated[int, Argument(min=1, help="The job's number, from `jobs list`.", show_default=False)]


@program.command("list", epilog="Example: noisegate jobs list --json")
def jobs_list(
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """List jobs, newest first, with how far each is."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.jobs()
    show.as_json({"jobs": found}) if as_json else _show(show.out(), found)


@program.command("show", epilog="Example: noisegate jobs show 7")
def jobs_show(
    job_id: JobId,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Show one job: how far it is, what it reserved and what its steps drew."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.job(job_id)
    show.as_json(found) if as_json else _show_one(show.out(), found)


@program.command("cancel", epilog="Example: noisegate jobs cancel 7; what it never drew returns")
def jobs_cancel(
    job_id: JobId,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """End a job, also one that runs elsewhere. What its steps drew stays spent, the rest returns."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        ended = door.cancel_job(job_id)
    show.as_json(ended) if as_json else _show_one(show.out(), ended)


def _show(console: Console, jobs: Sequence[Json]) -> None:
    """Print jobs, each with a bar of the steps that it has drawn."""
    if not jobs:
        console.print("there are no jobs")
        return
    made = Table(show_edge=False, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        made.add_column(heading, overflow="fold")
    for job in jobs:
        told = (job["asker"], ", ".join(job["datasets"]), job["title"])
        made.add_row(
            str(job["id"]),
            job["state"],
            _bar(job),
            _steps(job),
            _epsilon(job["drawn"]),
            _epsilon(job["reserved"]),
            *map(escape, told),
        )
    console.print(made)


def _show_one(console: Console, job: Json) -> None:
    """Print one job, a fact a line."""
    facts = {
        "title": job["title"],
        "asker": job["asker"],
        "datasets": ", ".join(job["datasets"]),
        "drawn": _loss(job["drawn"]),
        "reserved": _loss(job["reserved"]),
        "created": _time(job["created"]),
        "changed": _time(job["changed"]),
        "receipts": ", ".join(job.get("receipts", ())),
        "release": job.get("release", ""),
        "chunks": _chunks(job.get("progress")),
        "stopped": job.get("stopped", {}).get("message", ""),
    }
    made = Table.grid(padding=(0, 2))
    made.add_row(f"job {job['id']}", job["state"])
    made.add_row("", _bar(job))
    made.add_row("steps", _steps(job))
    for name, fact in facts.items():
        if fact:
            made.add_row(name, escape(fact))
    console.print(made)


def _chunks(progress: Json | None) -> str:
    return f"{progress['done']:,} of {progress['of']:,}" if progress and progress["of"] else ""


def _bar(job: Json) -> ProgressBar:
    return ProgressBar(total=job["steps"], completed=job["steps_drawn"], width=BAR)


def _steps(job: Json) -> str:
    return f"{job['steps_drawn']:,} of {job['steps']:,}"


def _epsilon(loss: Json) -> str:
    return "no bound" if loss["epsilon"] is None else f"{loss['epsilon']:.4g}"


def _loss(loss: Json) -> str:
    return _epsilon(loss) if loss["epsilon"] is None else f"ε {_epsilon(loss)} at δ {loss['delta']:.3g}"


def _time(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S UTC")
