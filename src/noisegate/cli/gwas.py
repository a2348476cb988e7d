"""`noisegate genomes gwas`: an association study on the custodian's side, exact and without a gate.

It releases nothing: what it writes is as private as the genotypes. Analysts ask for associations through the
gate, with `noisegate genomes associate`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.console import Console
from rich.markup import escape
from typer import Argument, Option, Typer

from noisegate.cli import genomes_show, options, show
from noisegate.config import Config
from noisegate.errors import BadInput, NotFound
from noisegate.genotypes.extra import genome_libraries

if TYPE_CHECKING:
    from noisegate.genotypes.store import Store

Json = Mapping[str, Any]
SHOWN = 10  # of the strongest variants
EFFECTS = ("freq_cases", "freq_controls", "odds_ratio", "beta", "error", "people", "p", "note")


def add_gwas(program: Typer) -> None:
    """Add the command to `noisegate genomes`."""
    program.command(
        epilog="Example: noisegate genomes gwas cohort.zarr --pheno cohort.pheno --covar cohort.covar "
        "--logistic wald --components 5 --maf 0.01 --out study"
    )(gwas)


def gwas(
    genotypes: Annotated[
        str, Argument(help="A store, or registered genotypes: dataset.table.", show_default=False)
    ],
    pheno: Annotated[
        Path, Option("--pheno", help="The trait: names and values, as PLINK's --pheno.", metavar="FILE")
    ],
    out: Annotated[Path, Option("--out", help="The folder to make.", metavar="DIR")],
    pheno_name: Annotated[
        str | None, Option("--pheno-name", help="The trait's column, where there are several.")
    ] = None,
    coding: Annotated[
        str | None,
        Option(
            "--coding",
            help="How the trait's numbers are read, where they do not tell.",
            metavar="1/2|0/1|number",
        ),
    ] = None,
    case: Annotated[
        list[str] | None,
        Option(
            "--case", help="Of a trait of words, a word that makes a case; repeat for more.", metavar="WORD"
        ),
    ] = None,
    covar: Annotated[
        Path | None, Option("--covar", help="Covariates: names and numbers, as PLINK's.", metavar="FILE")
    ] = None,
    covar_name: Annotated[
        str | None, Option("--covar-name", help="The columns that are meant, with commas; all without it.")
    ] = None,
    test: Annotated[
        str | None,
        Option(
            "--test",
            help="allelic, trend, genotypic, dominant, recessive, fisher, fisher_genotypic; with commas.",
        ),
    ] = None,
    linear: Annotated[bool, Option("--linear", help="Linear regression.")] = False,
    logistic: Annotated[
        str | None, Option("--logistic", help="Logistic regression: wald, score or firth.")
    ] = None,
    screen: Annotated[
        float | None,
        Option("--screen", help="Wald's test only where the score test's p is less; the others keep that."),
    ] = None,
    components: Annotated[
        int, Option("--components", min=0, help="So many principal components as covariates.")
    ] = 0,
    maf: Annotated[float, Option("--maf", help="Leave out variants whose minor allele is rarer.")] = 0.0,
    geno: Annotated[
        float, Option("--geno", help="Leave out variants of which more calls are missing, a share.")
    ] = 1.0,
    mind: Annotated[float, Option("--mind", help="Leave out people who miss more calls, a share.")] = 1.0,
    hwe: Annotated[
        float, Option("--hwe", help="Leave out variants whose exact Hardy-Weinberg p is less, in controls.")
    ] = 0.0,
    quality: Annotated[bool, Option("--quality", help="Write quality.tsv too: calls, MAF, HWE.")] = False,
    parquet: Annotated[
        bool, Option("--parquet", help="Write tables as Parquet too, in full digits.")
    ] = False,
    threads: options.Threads = None,
    scheduler: options.Scheduler = None,
    state: options.State = None,
    catalog: options.Catalog = None,
    as_json: options.AsJson = False,
) -> None:
    """Test variants for association with a trait. Exact: for the custodian alone."""
    config = options.settings(state=state, catalog=catalog, scheduler=scheduler, threads=threads)
    with genome_libraries():
        from noisegate.genomics.gwas.analyses import Method, Test
        from noisegate.genomics.gwas.conduct import Wanted, conduct
        from noisegate.genomics.gwas.phenotypes import CODINGS
        from noisegate.genomics.gwas.quality import Limits
        from noisegate.genomics.scheduler import scheduler_of

        wanted = Wanted(
            trait=pheno,
            column=pheno_name,
            coding=None if coding is None else _word(coding, CODINGS, "--coding"),
            cases=tuple(case or ()),
            covariates=covar,
            adjusted=_words(covar_name),
            tests=tuple(Test(_word(word, list(Test), "--test")) for word in _words(test)),
            linear=linear,
            logistic=None if logistic is None else Method(_word(logistic, list(Method), "--logistic")),
            screen=screen,
            components=components,
            limits=Limits(maf=maf, missing=geno, hardy_weinberg=hwe),
            missing_calls=mind,
            quality=quality,
            parquet=parquet,
        )
        found = conduct(
            genotypes_at(config, genotypes),
            wanted,
            out,
            name=Path(genotypes).name if Path(genotypes).is_dir() else genotypes,
            scheduler=scheduler_of(config.scheduler, config.threads),
            stage=lambda what: genomes_show.bar(show.progress(), what),
        )
    if as_json:
        show.as_json({**found, "folder": str(out)})
    else:
        print_study(show.out(), found, out)


def genotypes_at(config: Config, name: str) -> "Store":
    """Return a store by its folder, or registered genotypes, dataset.table, as they were registered last.

    Raises:
        NotFound: there is neither.
    """
    from noisegate.app.state import DATA
    from noisegate.engines.register import genotype_store
    from noisegate.genotypes.store import Store

    if Path(name).is_dir() or "/" in name or name.endswith(".zarr"):
        return Store.open(Path(name))
    dataset, _, table = name.partition(".")
    ending = f".{table}.zarr"
    held = (place.name for place in (config.state / DATA).glob(f"{dataset}-*{ending}"))
    versions = [
        word
        for word in (n.removeprefix(f"{dataset}-").removesuffix(ending) for n in held)
        if word.isdecimal()
    ]
    if not table or not versions:
        raise NotFound(
            f"there are no genotypes {name!r} here", "give a store's folder, or dataset.table of the catalog"
        )
    return genotype_store(config.state / DATA, dataset, max(map(int, versions)), table)


def print_study(console: Console, found: Json, out: Path) -> None:
    """Print what came of a study: who took part, each test, the strongest variants, and where the rest is."""
    from noisegate.genomics.gwas.page import cell, effects_joined, variant_of

    console.print(escape(_people(found)))
    for which, how in found["single"]:
        console.print(escape(f"{which}: {how}"), soft_wrap=True)
    tests: Sequence[Json] = found["tests"]
    rows = [
        [
            t["title"],
            f"{t['tested']:,}",
            "–" if t["inflation"] is None else f"{t['inflation']:.3f}",
            f"{t['genome_wide']:,}",
            *(_best(t)),
        ]
        for t in tests
    ]
    headings = ["test", "p-values", "λ", "p < 5e-8", "strongest", "its p"]
    console.print(show.table(headings, rows, numbers=(1, 2, 3, 5)))
    for sheet in found["tables"]:
        top = [effects_joined(row) for row in sheet["top"][:SHOWN]]
        if top:
            columns = [name for name in top[0] if name in EFFECTS or name.startswith("p_")]
            head = ["variant", "place", "alleles", *(name.replace("_", " ") for name in columns)]
            lines = [[*variant_of(row), *(cell(row[name]) for name in columns)] for row in top]
            console.print(f"\nstrongest of {escape(sheet['files'][0])}:")
            console.print(show.table(head, lines, numbers=range(3, len(head))))
    console.print()
    console.print(
        escape(f"{out / 'report.html'} has the plots; {len(found['files'])} files in all"), soft_wrap=True
    )
    if not found["public"]:
        console.print("[dim]exact, for the custodian alone: no noise protects what is in them[/dim]")


def _people(found: Json) -> str:
    some = f"{found['people']:,} people"
    if found["cases"] is not None:
        some += f" ({found['cases']:,} cases, {found['controls']:,} controls)"
    dropped = sum(found["dropped"].values())
    left = f", {dropped:,} left out" if dropped else ""
    return f"{found['trait']}: {some}; {found['kept']:,} variants tested{left}"


def _best(test: Json) -> tuple[str, str]:
    if not test["strongest"]:
        return "–", "–"
    first = test["strongest"][0]
    return first["variant"], f"{first['p']:.3g}"


def _words(text: str | None) -> tuple[str, ...]:
    """Return words between commas.

    >>> _words("age, sex"), _words(None)
    (('age', 'sex'), ())
    """
    return tuple(word.strip() for word in text.split(",")) if text else ()


def _word(word: str, known: Sequence[Any], option: str) -> Any:
    if word not in known:
        raise BadInput(f"{option}: {word!r} is none of {', '.join(known)}")
    return word
