"""`noisegate budget`: who may spend how much, and did; and what custodians do about it."""

from typing import Annotated

from typer import Argument, Option, Typer

from noisegate.cli import accounts, options, show
from noisegate.cli.door import open_door
from noisegate.errors import BadInput

program = Typer(help="Who may spend how much, and did.", no_args_is_help=True)

Account = Annotated[
    str,
    Argument(
        help="A dataset, a population, or an account's path, as `budget show` has them.", show_default=False
    ),
]
Dataset = Annotated[str, Argument(help="The dataset.", show_default=False)]
Project = Annotated[str, Option("--project", help="The project.")]
Delta = Annotated[str | None, Option("--delta", help="The limit on δ; else as it was, or as above it.")]
Until = Annotated[
    str | None, Option("--until", help="When the period ends, such as 2027-01-31 (its midnight, UTC).")
]
Every = Annotated[
    str | None, Option("--every", help="Or with which day, week, month, quarter or year of the calendar.")
]


@program.command("show", epilog="Example: noisegate budget show --dataset liver --by day --days 30")
def budget_show(
    account: Annotated[
        str | None, Option("--account", help="Only this account and what is beneath it.")
    ] = None,
    dataset: Annotated[str | None, Option("--dataset", help="Only this dataset.")] = None,
    by: Annotated[
        str | None, Option("--by", help="Tell spending apart by day, tier, analyst or dataset.")
    ] = None,
    days: Annotated[
        int | None, Option("--days", min=1, max=3_660, help="With --by: only the last so many days.")
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what was spent, what is left, and how long it will last."""
    if account is not None and dataset is not None:
        raise BadInput("give either --account or --dataset, not both")
    if days is not None and by is None:
        raise BadInput("--days goes with --by")
    name = account or dataset
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.budget(name) if by is None else door.odometer(by, account=name, days=days)
    if as_json:
        show.as_json(found)
    elif by is None:
        accounts.budget(show.out(), found, forecast=name is not None)
    else:
        accounts.odometer(show.out(), found)


@program.command("grant", epilog="Example: noisegate budget grant liver ana --epsilon 2 --every month")
def budget_grant(
    dataset: Dataset,
    epsilon: Annotated[str, Option("--epsilon", "-e", help="The limit on ε.")],
    analyst: Annotated[
        str | None, Argument(help="The analyst's name, as on their token; without, the project's account.")
    ] = None,
    delta: Delta = None,
    project: Project = "default",
    until: Until = None,
    every: Every = None,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Give an analyst or a project a share of a dataset's budget. An open account begins a new period."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        granted = door.grant(
            dataset, analyst, epsilon=epsilon, delta=delta, project=project, until=until, every=every
        )
    show.as_json(granted) if as_json else accounts.changed(show.out(), [granted])


@program.command("renew", epilog='Example: noisegate budget renew liver --reason "the share of September"')
def budget_renew(
    account: Account,
    reason: Annotated[str, Option("--reason", help="Why, for the receipt.")],
    epsilon: Annotated[str | None, Option("--epsilon", "-e", help="The limit on ε; else as it was.")] = None,
    delta: Annotated[str | None, Option("--delta", help="The limit on δ; else as it was.")] = None,
    until: Until = None,
    every: Every = None,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Begin the next period of an account, and of those beneath it that have ended."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        renewed = door.renew(account, reason, epsilon=epsilon, delta=delta, until=until, every=every)
    show.as_json(renewed) if as_json else accounts.changed(show.out(), renewed["accounts"])


@program.command("transfer", epilog="Example: noisegate budget transfer liver ana ben --epsilon 0.5")
def budget_transfer(
    dataset: Dataset,
    giver: Annotated[str, Argument(help="The analyst who gives.", show_default=False)],
    taker: Annotated[str, Argument(help="The analyst who gets.", show_default=False)],
    epsilon: Annotated[str, Option("--epsilon", "-e", help="How much ε.")],
    project: Project = "default",
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Move what one analyst has left to another. Both begin a new period."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        moved = door.transfer(dataset, giver, taker, epsilon=epsilon, project=project)
    show.as_json(moved) if as_json else accounts.changed(show.out(), moved["accounts"])


@program.command("suspend", epilog='Example: noisegate budget suspend liver --reason "a complaint"')
def budget_suspend(
    account: Account,
    reason: Annotated[str, Option("--reason", help="Why, for the receipt and for whoever asks.")],
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Refuse all charges that name an account, and so all beneath it, until it is resumed."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.suspend(account, reason)
    show.as_json(found) if as_json else accounts.budget(show.out(), {"accounts": [found]})


@program.command("resume", epilog="Example: noisegate budget resume olmsted/liver/default/ana")
def budget_resume(
    account: Account,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Open a suspended or locked account again. Its strikes are forgotten."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.resume(account)
    show.as_json(found) if as_json else accounts.budget(show.out(), {"accounts": [found]})
