"""The commands. Each opens a door, calls one method, and shows what came."""

from typing import Annotated

from typer import Argument, Option, Typer

from noisegate.cli import options, show
from noisegate.cli.budget import program as budget_program
from noisegate.cli.catalog import program as catalog_program
from noisegate.cli.door import open_door
from noisegate.cli.genomes import program as genomes_program
from noisegate.cli.jobs import program as jobs_program
from noisegate.cli.plans import program as plans_program
from noisegate.cli.receipts import program as receipts_program
from noisegate.cli.statement import statement
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
token_program = Typer(help="Credentials of custodians, analysts and auditors.", no_args_is_help=True)
program.add_typer(catalog_program, name="catalog")
program.add_typer(budget_program, name="budget")
program.add_typer(receipts_program, name="receipts")
program.add_typer(plans_program, name="plans")
program.add_typer(jobs_program, name="jobs")
program.add_typer(genomes_program, name="genomes")
program.add_typer(token_program, name="token")


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


program.command("statement", epilog="Example: noisegate statement liver > statement.md")(statement)


@program.command(epilog="Example: noisegate serve --catalog catalog.toml --state state --port 8400")
def serve(
    host: options.Host = None,
    port: options.Port = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    ledger: options.Ledger = None,
    as_json: options.AsJson = False,
) -> None:
    """Serve the HTTP interface until stopped."""
    from noisegate.cli.serving import serve_until_stopped

    config = options.settings(host=host, port=port, state=state, catalog=catalog, ledger=ledger)
    serve_until_stopped(config, as_json=as_json)


@program.command(epilog="Example: noisegate demo --state /tmp/noisegate --once")
def demo(
    state: options.State = None,
    port: options.Port = None,
    catalog: options.Catalog = None,
    ledger: options.Ledger = None,
    once: Annotated[bool, Option("--once", help="Exit after the questions instead of serving on.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Register the public data that comes with Noisegate, serve it, and ask a handful of questions."""
    from noisegate.cli.demo import run_demo

    config = options.settings(state=state, port=port, catalog=catalog, ledger=ledger)
    run_demo(config, once=once, as_json=as_json)


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
    project: Annotated[
        str, Option("--project", help="Whose accounts their questions are charged to.")
    ] = "default",
    url: options.Url = None,
    token: options.Token = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Create a token. Its secret is shown this once."""
    with open_door(url, token, state=state, catalog=catalog) as door:
        made = door.create_token(
            name, role, datasets=dataset or None, expires_days=expires_days, project=project
        )
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
