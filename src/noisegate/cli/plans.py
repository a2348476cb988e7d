"""`noisegate plans`: what failed after it was charged, and stays closed until a custodian looked."""

from typing import Annotated

from typer import Argument, Typer

from noisegate.cli import options, show
from noisegate.cli.door import Json, open_door
from noisegate.errors import BadInput, NotFound

# As many digits as the table shows; fewer might come to fit a plan that was closed in the meantime.
DIGITS = 12
FULL = 64

program = Typer(help="Plans that failed after their charge and are closed.", no_args_is_help=True)


@program.command(epilog="Example: noisegate plans closed --json")
def closed(
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """List the plans that are closed for everyone, oldest first."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.closed_plans()
    show.as_json({"plans": found}) if as_json else show.closed_plans(show.out(), found, DIGITS)


@program.command("open", epilog="Example: noisegate plans open 3f9a0c1b22d4, once the cause is mended")
def open_again(
    fingerprint: Annotated[
        str, Argument(help=f"Of the plan, from `plans closed`; {DIGITS} digits do.", show_default=False)
    ],
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Let a closed plan be asked again. What it was charged stays spent."""
    if not DIGITS <= len(fingerprint) <= FULL:
        raise BadInput(
            f"a fingerprint has {DIGITS} to {FULL} digits, this has {len(fingerprint)}",
            "`noisegate plans closed` lists them",
        )
    with open_door(url, token, state=state, catalog=catalog) as door:
        plan = _only(door.closed_plans(), fingerprint)
        door.open_plan(plan["fingerprint"])
    if as_json:
        show.as_json({"opened": plan["fingerprint"]})
    else:
        show.out().print(f"opened {plan['fingerprint'][:DIGITS]}: it may be asked again", markup=False)


def _only(closed_now: list[Json], start: str) -> Json:
    """Return the plan whose fingerprint starts so."""
    found = [plan for plan in closed_now if plan["fingerprint"].startswith(start.lower())]
    if len(found) != 1:
        many = "more than one plan is" if found else "no plan is"
        raise NotFound(f"{many} closed with fingerprint {start}", "`noisegate plans closed` lists them")
    return found[0]
