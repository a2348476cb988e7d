"""`noisegate catalog`: what is declared, whether it holds together, and what bounds would be good."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option, Typer

from noisegate.cli import options, show
from noisegate.cli.door import open_door
from noisegate.errors import BadInput

program = Typer(help="What data exists, as its custodian declares it.", no_args_is_help=True)


@program.command(epilog="Example: noisegate catalog check catalog.toml; exit code 2 says that it has errors")
def check(
    file: Annotated[Path | None, Argument(help="The catalog; else --catalog or catalog.toml.")] = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Check a catalog against itself and the files it names."""
    from noisegate.catalog.check import Severity
    from noisegate.catalog.check import check as findings_of

    findings = findings_of(options.settings(catalog=file or catalog).catalog)
    bad = any(f.severity is Severity.ERROR for f in findings)
    if as_json:
        show.as_json({"ok": not bad, "findings": [f.as_json() for f in findings]})
    else:
        out = show.out()
        for finding in findings:
            where = f"{finding.where}: " if finding.where else ""
            out.print(f"{finding.severity.value}: {where}{finding.message}", markup=False)
        errors = sum(f.severity is Severity.ERROR for f in findings)
        others = len(findings) - errors
        out.print(f"{_many(errors, 'error')}, {_many(others, 'other finding')}")
    if bad:
        raise Exit(2)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


@program.command("show", epilog="Example: noisegate catalog show --json")
def show_catalog(
    url: options.Url = None,
    token: options.Token = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Show datasets, tables, columns, bounds and tiers."""
    if options.address(url, local=catalog is not None) is not None:
        with open_door(url, token) as door:
            found = door.datasets()
    else:
        from noisegate.catalog.describe import describe_dataset
        from noisegate.catalog.load import load

        declared = load(options.settings(catalog=catalog).catalog)
        found = [describe_dataset(d) for d in declared.datasets]
    show.as_json({"datasets": found}) if as_json else show.datasets(show.out(), found)


@program.command(
    epilog="Example: noisegate catalog suggest liver.measurements value --where \"test = 'sbp'\" -e 0.5"
)
def suggest(
    table: Annotated[str, Argument(help="dataset.table", show_default=False)],
    column: Annotated[str | None, Argument(help="A numeric column; without, rows per person alone.")] = None,
    where: Annotated[str | None, Option("--where", help="An SQL condition that picks the rows.")] = None,
    epsilon: Annotated[str, Option("--epsilon", "-e", help="ε to spend on all of it together.")] = "0.5",
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Propose bounds and rows per person from the data, through the gate, for a stated ε."""
    from noisegate.ask.question import parse_number
    from noisegate.cli.local import open_local

    price = parse_number("epsilon", epsilon)
    if price is None or price <= 0:
        raise BadInput("--epsilon must be above 0")
    with open_local(options.settings(state=state, catalog=catalog), "local", show.progress()) as door:
        found = door.suggest(table, column, where, price)
    if as_json:
        show.as_json(found)
        return
    out = show.out()
    rows = ", ".join(f"{name} {count:,}" for name, count in found["rows_per_unit"].items())
    out.print(f"rows per person: {rows}", markup=False)
    if found["low"] is not None:
        out.print(f"bounds of {column}: low = {found['low']:g}, high = {found['high']:g}", markup=False)
    out.print(f"cost ε {found['epsilon']:.4g}, receipts {', '.join(found['receipts'])}", markup=False)


@program.command(
    epilog="Example: noisegate catalog register liver, after its files or what is declared changed"
)
def register(
    dataset: Annotated[str, Argument(help="The dataset.", show_default=False)],
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Verify a dataset's files anew and register them as its next version. Answers then start afresh."""
    from noisegate.app import register_next
    from noisegate.cli.local import bars_of

    with bars_of(show.progress()) as registering:
        version = register_next(options.settings(state=state, catalog=catalog), dataset, registering)
    if as_json:
        show.as_json({"dataset": dataset, "version": version})
    else:
        show.out().print(f"{dataset} is registered as version {version}", markup=False)
