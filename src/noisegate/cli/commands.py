"""The commands. Each opens a door, calls one method, and shows what came."""

from typing import Annotated

from typer import Argument, Exit, Option, Typer

from noisegate.cli import options, show
from noisegate.cli.catalog import program as catalog_program
from noisegate.cli.door import open_door
from noisegate.cli.plans import program as plans_program
from noisegate.errors import BadInput

program = Typer(
    name="noisegate",
    help="A differential-privacy gateway for clinical and genomic data.",
    epilog="With --url a command speaks to a running gateway; without, it opens a state directory itself.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
budget_program = Typer(help="Who may spend how much, and did.", no_args_is_help=True)
receipts_program = Typer(help="What was released, on a chain of hashes.", no_args_is_help=True)
token_program = Typer(help="Credentials of custodians, analysts and auditors.", no_args_is_help=True)
program.add_typer(catalog_program, name="catalog")
program.add_typer(budget_program, name="budget")
program.add_typer(receipts_program, name="receipts")
program.add_typer(plans_program, name="plans")
program.add_typer(token_program, name="token")

Dataset = Annotated[str | None, Option("--dataset", help="Only this dataset.")]


@program.command(
    epilog='Example: noisegate ask "SELECT count(*) FROM liver.patients WHERE age > 60" --epsilon 0.5'
)
def ask(
    sql: Annotated[str, Argument(help="One SELECT that aggregates.", show_default=False)],
    epsilon: Annotated[str | None, Option("--epsilon", "-e", help="Nominal ε to spend.")] = None,
    within: Annotated[
        str | None, Option("--within", "-w", help="Half-width of the 95 % interval to reach instead.")
    ] = None,
    explain: Annotated[
        bool, Option("--explain", help="Say what it would do and cost; spend nothing.")
    ] = False,
    analyst: Annotated[str, Option("--as", help="Whose account pays, in-process.")] = "local",
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Ask a question: an answer, its interval, and what it cost."""
    if epsilon is not None and within is not None:
        raise BadInput("give either --epsilon or --within, not both")
    with open_door(url, token, state=state, catalog=catalog, analyst=analyst) as door:
        if explain:
            priced = door.explain(sql, epsilon=epsilon, within=within)
            show.as_json(priced) if as_json else show.explanation(show.out(), priced)
        else:
            answer = door.ask(sql, epsilon=epsilon, within=within)
            show.as_json(dict(answer.json)) if as_json else show.answer(show.out(), answer)


@program.command(epilog="Example: noisegate serve --catalog catalog.toml --state state --port 8400")
def serve(
    host: options.Host = None,
    port: options.Port = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Serve the HTTP interface until stopped."""
    from noisegate.cli.serving import serve_until_stopped

    serve_until_stopped(options.settings(host=host, port=port, state=state, catalog=catalog), as_json=as_json)


@program.command(epilog="Example: noisegate demo --state /tmp/noisegate --once")
def demo(
    state: options.State = None,
    port: options.Port = None,
    catalog: options.Catalog = None,
    once: Annotated[bool, Option("--once", help="Exit after the questions instead of serving on.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Register the public data that comes with Noisegate, serve it, and ask a handful of questions."""
    from noisegate.cli.demo import run_demo

    run_demo(options.settings(state=state, port=port, catalog=catalog), once=once, as_json=as_json)


@budget_program.command("show", epilog="Example: noisegate budget show --json")
def budget_show(
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what was spent and what is left."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.budget()
    show.as_json(found) if as_json else show.budget(show.out(), found)


@budget_program.command("grant", epilog="Example: noisegate budget grant liver ana --epsilon 2")
def budget_grant(
    dataset: Annotated[str, Argument(help="The dataset.", show_default=False)],
    analyst: Annotated[str, Argument(help="The analyst's name, as on their token.", show_default=False)],
    epsilon: Annotated[str, Option("--epsilon", "-e", help="The limit on ε.")],
    delta: Annotated[str | None, Option("--delta", help="The limit on δ; the dataset's by default.")] = None,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Open an analyst's account on a dataset with limits of its own."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        granted = door.grant(dataset, analyst, epsilon=epsilon, delta=delta)
    show.as_json(granted) if as_json else show.budget(show.out(), {"accounts": [granted]})


@receipts_program.command("list", epilog="Example: noisegate receipts list --dataset liver --limit 20")
def receipts_list(
    dataset: Dataset = None,
    after: Annotated[int, Option("--after", min=0, help="Only after this number of the chain.")] = 0,
    limit: Annotated[int, Option("--limit", min=1, max=1_000, help="At most so many.")] = 100,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """List what was released, oldest first."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.receipts(dataset, after=after, limit=limit)
    show.as_json(found) if as_json else show.receipts(show.out(), found)


@receipts_program.command(
    "verify", epilog="Example: noisegate receipts verify; exit code 1 says that it broke"
)
def receipts_verify(
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Recompute the chain of receipts from its first link."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.verify_receipts()
    if as_json:
        show.as_json(found)
    else:
        state_of = "whole" if found["whole"] else f"BROKEN: {found['fault']}"
        show.out().print(
            f"{found['receipts']:,} receipts of {found['charges']:,} charges: {state_of}", markup=False
        )
    if not found["whole"]:
        raise Exit(1)


@token_program.command(
    "create", epilog="Example: noisegate token create ana --dataset liver --expires-days 90"
)
def token_create(
    name: Annotated[str, Argument(help="Who it is for; accounts go by this name.", show_default=False)],
    role: Annotated[str, Option("--role", help="custodian, analyst or auditor.")] = "analyst",
    dataset: Annotated[
        list[str] | None, Option("--dataset", help="A dataset they may see; repeat for more; all without.")
    ] = None,
    expires_days: Annotated[
        int | None, Option("--expires-days", min=1, max=3_650, help="Valid so long.")
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Create a token. Its secret is shown this once."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        made = door.create_token(name, role, datasets=dataset or None, expires_days=expires_days)
    if as_json:
        show.as_json(made)
    else:
        show.out().print(made["secret"], markup=False, soft_wrap=True)
        show.progress().print(f"token {made['id']}: keep it safe, it cannot be shown again", markup=False)


@token_program.command("list", epilog="Example: noisegate token list")
def token_list(
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """List tokens without their secrets."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        found = door.tokens()
    show.as_json({"tokens": found}) if as_json else show.tokens(show.out(), found)


@token_program.command("revoke", epilog="Example: noisegate token revoke 3f9a0c1b22d4")
def token_revoke(
    token_id: Annotated[str, Argument(help="The token's id, from `token list`.", show_default=False)],
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a token invalid at once."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        door.revoke_token(token_id)
    show.as_json({"revoked": token_id}) if as_json else show.out().print(f"revoked {token_id}", markup=False)
