"""A whole study: files of traits and covariates, people and variants that are good enough, tests, a report.

All of it appears under the name of its folder once it is whole.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import Protocol

from noisegate.errors import BadInput, Conflict, SetupError
from noisegate.genomics.gwas import components, quality
from noisegate.genomics.gwas.analyses import Analysis, Contingency, Linear, Logistic, Method, Test
from noisegate.genomics.gwas.columns import Flags
from noisegate.genomics.gwas.phenotypes import (
    Coding,
    Covariates,
    Phenotype,
    Roll,
    read_covariates,
    read_phenotype,
)
from noisegate.genomics.gwas.quality import Limits
from noisegate.genomics.gwas.report import Json, write_report
from noisegate.genomics.gwas.study import Study, run
from noisegate.genomics.scheduler import Scheduler
from noisegate.genotypes.durable import sync_tree, write
from noisegate.genotypes.text import Told

COMPONENTS = "components.tsv"
LOCK = ".lock"
MOST_COMPONENTS = 50
FULL = (ENOSPC, EDQUOT, EFBIG)
# Gives what is to be told the share that is done of a stage, which has a name.
Stage = Callable[[str], AbstractContextManager[Told]]


class Source(quality.Source, Protocol):
    """Genotypes with names."""

    @property
    def samples(self) -> Sequence[str]:
        """The people's names, in the order of their calls."""

    @property
    def public(self) -> bool:
        """Whether the custodian marked them as public."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for.

    Attributes:
        trait: the file of the trait.
        column: the trait's heading, where the file has several columns.
        coding: how its numbers are read, where they do not tell.
        cases: words that make a case, of a trait of words.
        covariates: a file of covariates.
        adjusted: the headings of those that are used; all without it.
        tests: of tables of cases and controls.
        linear: whether a linear regression is wanted.
        logistic: by which method a logistic one is.
        screen: the score test's p-value below which Wald's test is done; everywhere without it.
        components: how many principal components are covariates.
        limits: which variants are good enough.
        missing_calls: the largest share of calls a person may miss.
        quality: whether a table of the variants' quality is wanted.
        parquet: whether tables are wanted as Parquet too.
    """

    trait: Path
    column: str | None = None
    coding: Coding | None = None
    cases: tuple[str, ...] = ()
    covariates: Path | None = None
    adjusted: tuple[str, ...] = ()
    tests: tuple[Test, ...] = ()
    linear: bool = False
    logistic: Method | None = None
    screen: float | None = None
    components: int = 0
    limits: Limits = field(default_factory=Limits)
    missing_calls: float = 1.0
    quality: bool = False
    parquet: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.components <= MOST_COMPONENTS:
            raise BadInput(f"between 0 and {MOST_COMPONENTS} principal components can be asked for")
        if not 0 <= self.missing_calls <= 1:
            raise BadInput(f"a share of missing calls of {self.missing_calls:g} is not between 0 and 1")
        if self.adjusted and self.covariates is None:
            raise BadInput("there is no file of covariates", "give --covar")
        if self.screen is not None and self.logistic is None:
            raise BadInput("only a logistic regression can be screened", "give --logistic wald")

    @property
    def adjusts(self) -> bool:
        """Whether there are covariates."""
        return self.covariates is not None or self.components > 0


def conduct(
    source: Source, wanted: Wanted, out: Path, *, name: str, scheduler: Scheduler, stage: Stage
) -> Json:
    """Carry out a study, and leave its tables, plots, page and summary in a new folder.

    Args:
        source: the genotypes.
        wanted: what is asked for.
        out: the folder to make, which its owner alone may open.
        name: what the genotypes are called.
        scheduler: who works on the chunks.
        stage: gives what is told how far each stage is.

    Returns:
        The summary, as it is in summary.json.

    Raises:
        BadInput: a file does not fit, or what is asked for does not go together.
        Conflict: the folder exists.
        SetupError: the folder cannot be written, as where the disk is full.
    """
    trait, roll = read_phenotype(
        wanted.trait, source.samples, column=wanted.column, coding=wanted.coding, cases=wanted.cases
    )
    analyses = analyses_of(wanted, trait)
    said = [("genotypes", _genotypes(source, name)), ("trait", _rolled(wanted.trait, roll))]
    more: dict[str, str] = {}
    covariates = Covariates.none(source.people)
    if wanted.covariates is not None:
        covariates, roll = read_covariates(wanted.covariates, source.samples, columns=wanted.adjusted)
        said.append(("covariates", _rolled(wanted.covariates, roll)))
    with _draft(out) as draft:
        keep: Flags | None = None
        if wanted.missing_calls < 1:
            with stage("looking at people") as told:
                keep = quality.present(source, wanted.missing_calls, told)
            share = f"more than {100 * wanted.missing_calls:g} % of calls missing"
            said.append((f"people left out: {share}", f"{(~keep).sum():,}"))
            trait = trait.among(keep)
        if wanted.components:
            part = trait.part & covariates.part
            found, words = _components(source, wanted.components, part, draft, stage)
            covariates = covariates.and_(found)
            more[COMPONENTS] = "principal components, a line a person"
            said.append(("principal components", words))
        study = Study(
            source,
            trait,
            analyses,
            covariates=covariates if covariates.names else None,
            keep=keep,
            limits=wanted.limits,
            quality=wanted.quality,
            parquet=wanted.parquet,
        )
        with stage("testing variants") as told:
            summary = run(study, draft, scheduler=scheduler, progress=told)
        if summary is None:
            raise Conflict("the study was stopped")
        with stage("drawing") as told:
            return write_report(
                draft, study, summary, source=name, public=source.public, said=said, more=more, told=told
            )


@contextmanager
def _draft(out: Path) -> Iterator[Path]:
    """Give a folder to write into, which gets its name when it is left without an error.

    Raises:
        Conflict: the folder exists, or another run is writing it.
        BadInput: it would lie in none.
        SetupError: it cannot be written.
    """
    draft = out.with_name(out.name + ".partial")
    try:
        if out.exists():
            raise Conflict(f"{out.name} exists already", "name a new folder, or move the old one away")
        if not out.parent.is_dir():
            raise BadInput(f"{out.parent} is not a folder", "make it first")
        if draft.exists() and not (draft / LOCK).is_file():
            raise Conflict(
                f"{draft.name} is in the way, and no study's", "move it away, or name another folder"
            )
        draft.mkdir(mode=0o700, exist_ok=True)
        held = (draft / LOCK).open("wb")
    except OSError as error:
        raise _unwritten(out, error) from error
    with held as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"{out.name} is being written by another run", "wait for it") from None
        try:
            # What a run that was killed left.
            for left in draft.iterdir():
                if left.name != LOCK:
                    left.unlink()
            yield draft
            (draft / LOCK).unlink()
            sync_tree(draft)
            draft.rename(out)
        except BaseException as error:
            shutil.rmtree(draft, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in FULL:
                raise _unwritten(out, error) from error
            raise


def _unwritten(out: Path, error: OSError) -> SetupError:
    hint = "make room" if error.errno in FULL else "name a folder that you may write into"
    why = os.strerror(error.errno or 0)
    return SetupError(f"{out.name} cannot be written: {why}", f"{hint}, then give the command again")


def analyses_of(wanted: Wanted, trait: Phenotype) -> tuple[Analysis, ...]:
    """Return the analyses asked for, or those that a trait is usually given.

    Raises:
        BadInput: they do not fit the trait, or covariates are given and nothing adjusts for them.
    """
    if not trait.binary and (wanted.tests or wanted.logistic is not None):
        raise BadInput(
            f"{trait.name} is a number, and has no cases and controls",
            "ask for --linear; or say with --coding or --case who is a case",
        )
    found: list[Analysis] = []
    if wanted.tests:
        found.append(Contingency(wanted.tests))
    if wanted.linear:
        found.append(Linear())
    if wanted.logistic is not None:
        found.append(Logistic(wanted.logistic, wanted.screen))
    if not found:
        if trait.binary:
            found.append(Contingency((Test.ALLELIC, Test.TREND)))
            if wanted.adjusts:
                found.append(Logistic(Method.WALD))
        else:
            found.append(Linear())
    if wanted.adjusts and not any(isinstance(analysis, Linear | Logistic) for analysis in found):
        raise BadInput("tests of tables adjust for no covariates", "ask for --logistic or --linear too")
    return tuple(found)


def _genotypes(source: Source, name: str) -> str:
    build = f", {source.build}" if source.build else ""
    return f"{name}: {source.people:,} people, {len(source.variants):,} variants{build}"


def _rolled(file: Path, roll: Roll) -> str:
    return (
        f"{file.name}: lists {roll.listed:,} people, {roll.known:,} of them in the genotypes, "
        f"{roll.valued:,} with a value"
    )


def _components(
    source: Source, how_many: int, part: Flags, folder: Path, stage: Stage
) -> tuple[Covariates, str]:
    """Write principal components of those who take part, and return them with what there is to say."""
    with stage("finding principal components") as told:
        found = components.principal(source, how_many, keep=part, progress=told)
    names = tuple(f"PC{i + 1}" for i in range(how_many))
    lines = ["\t".join(("#IID", *names))]
    for sample, row in zip(source.samples, found.vectors.tolist(), strict=True):
        lines.append("\t".join((sample, *("NA" if value != value else f"{value:.9g}" for value in row))))
    write(folder / COMPONENTS, ("\n".join(lines) + "\n").encode())
    values = ", ".join(f"{value:.4g}" for value in found.values)
    return Covariates(
        names, found.vectors
    ), f"{how_many} of {found.variants:,} variants, eigenvalues {values}"
