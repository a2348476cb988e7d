"""`noisegate statement`: what is guaranteed, as Markdown, for people and to be kept."""

from typing import Annotated

from typer import Argument, Option

from noisegate.cli import options, show
from noisegate.cli.door import open_door
from noisegate.errors import BadInput
from noisegate.gate.statement.markdown import markdown


def statement(
    dataset: Annotated[str | None, Argument(help="The dataset.", show_default=False)] = None,
    receipt: Annotated[
        str | None, Option("--receipt", help="A release instead, by its receipt's id, such as liver:17.")
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """State the privacy of a dataset or a release, with what NIST SP 800-226 asks to disclose."""
    if (dataset is None) == (receipt is None):
        raise BadInput("give a dataset or --receipt", "`noisegate statement liver`, for one")
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.release_statement(receipt) if receipt is not None else door.statement(dataset or "")
    if as_json:
        show.as_json(found)
        return
    console, text = show.out(), markdown(found)
    if console.is_terminal:
        from rich.markdown import Markdown

        console.print(Markdown(text))
    else:
        console.print(text, markup=False, end="")
