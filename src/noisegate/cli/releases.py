"""`noisegate genomes releases`: what was shared, who may have it, and fetching it."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from noisegate.cli import genomes_show, options, show
from noisegate.cli.door import open_door

program = Typer(help="What was shared, who may have it, and fetching it.", no_args_is_help=True)

ReleaseId = Annotated[str, Argument(help="Its id, from `genomes releases list`.", show_default=False)]
Analyst = Annotated[str, Argument(help="The name on their token.", show_default=False)]
Project = Annotated[str, Option("--project", help="The project on their token.")]


@program.command("list", epilog="Example: noisegate genomes releases list --json")
def releases_list(
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """List releases, newest first; an analyst sees those that they were granted."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.releases()
    show.as_json({"releases": found}) if as_json else genomes_show.releases(show.out(), found)


@program.command("show", epilog="Example: noisegate genomes releases show panel-17")
def releases_show(
    release_id: ReleaseId,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a release: its law and loss, its files with their digests, and who was granted it."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.release(release_id)
    show.as_json(found) if as_json else genomes_show.release(show.out(), found)


@program.command("grant", epilog="Example: noisegate genomes releases grant panel-17 ana")
def releases_grant(
    release_id: ReleaseId,
    analyst: Analyst,
    project: Project = "default",
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Give a release to an analyst, who needs a token with a grant on its dataset. It is kept on record."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.grant_release(release_id, analyst, project=project)
    show.as_json(found) if as_json else show.out().print(f"{analyst} may have {release_id}", markup=False)


@program.command("revoke", epilog="Example: noisegate genomes releases revoke panel-17 ana")
def releases_revoke(
    release_id: ReleaseId,
    analyst: Analyst,
    project: Project = "default",
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Take a release back from an analyst. What they downloaded stays theirs."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.revoke_release(release_id, analyst, project=project)
    show.as_json(found) if as_json else show.out().print(
        f"{analyst} may have {release_id} no longer", markup=False
    )


@program.command(
    "download", epilog="Example: noisegate genomes releases download panel-17 copies/ --only bed"
)
def releases_download(
    release_id: ReleaseId,
    directory: Annotated[Path, Argument(help="Where the files go; made if missing.", show_default=False)],
    only: Annotated[
        list[str] | None, Option("--only", help="A file or a format; repeat for more. All without it.")
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Fetch the files of a release, and verify each against its digest."""
    with (
        open_door(url, token, state=state, catalog=catalog) as door,
        genomes_show.bytes_(show.progress()) as on_progress,
    ):
        paths = door.download_release(release_id, directory, only=only or None, on_progress=on_progress)
    if as_json:
        show.as_json({"files": [str(path) for path in paths]})
    else:
        for path in paths:
            show.out().print(str(path), markup=False, soft_wrap=True)
