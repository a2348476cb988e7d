"""What can be asked of every variant, and the columns that come of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

import numpy as np

from noisegate.errors import BadInput
from noisegate.genomics.gwas import contingency, linear, logistic
from noisegate.genomics.gwas.columns import Coded, Column, Counts, Flags
from noisegate.genomics.gwas.copies import Copies, blank, counted_once
from noisegate.genomics.gwas.phenotypes import Covariates, Phenotype
from noisegate.genomics.gwas.regression import NOTES, Regression
from noisegate.genotypes.haploid import IN_ALL, IN_MEN
from noisegate.genotypes.packed import Block


class Test(StrEnum):
    """A test of cases against controls; see `contingency.py`."""

    ALLELIC = "allelic"
    TREND = "trend"
    GENOTYPIC = "genotypic"
    DOMINANT = "dominant"
    RECESSIVE = "recessive"
    FISHER = "fisher"
    FISHER_GENOTYPIC = "fisher_genotypic"


class Method(StrEnum):
    """How a logistic regression is done; see `logistic.py`."""

    WALD = "wald"
    SCORE = "score"
    FIRTH = "firth"


@dataclass(frozen=True, slots=True)
class Contingency:
    """Tests of tables of cases and controls by genotype; each named once.

    `counts` writes the tables too, whole numbers of people.
    """

    tests: tuple[Test, ...]
    counts: bool = False

    def __post_init__(self) -> None:
        if not self.tests or len(set(self.tests)) < len(self.tests):
            raise BadInput("tests of cases and controls are named once each, at least one")


@dataclass(frozen=True, slots=True)
class Linear:
    """Linear regression of a trait on alternate alleles and covariates."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """Logistic regression of being a case on alternate alleles and covariates.

    Wald's test is done by Firth's method where the usual one fails. With `below` it is done only of variants
    whose score test has a smaller p-value; the others keep that.
    """

    method: Method = Method.WALD
    below: float | None = None

    def __post_init__(self) -> None:
        if self.below is not None and (self.method is not Method.WALD or not 0 < self.below <= 1):
            raise BadInput("what is tested by score first is Wald's test, below a p-value up to 1")


Analysis = Contingency | Linear | Logistic


@dataclass(frozen=True, slots=True)
class FittedLogistic:
    """A null model, and how variants are added to it."""

    model: logistic.Model
    asked: Logistic


# Columns of tests of alleles; other tests are of genotypes.
OF_ALLELES = ("chi2_allelic", "p_allelic", "odds_ratio", "low", "high", "p_fisher")
# An analysis with what is worked out once, before any variant.
Prepared = Contingency | linear.Model | FittedLogistic


def name_of(analysis: Analysis) -> str:
    """Return the name of an analysis and of its table.

    >>> name_of(Linear())
    'linear'
    """
    match analysis:
        case Contingency():
            return "assoc"
        case Linear():
            return "linear"
        case Logistic():
            return "logistic"
        case _:
            assert_never(analysis)


def prepare(
    analysis: Analysis, phenotype: Phenotype, covariates: Covariates | None, keep: Flags | None
) -> Prepared:
    """Work out what no variant changes.

    Args:
        analysis: what is asked.
        phenotype: the trait.
        covariates: what regressions adjust for.
        keep: bool, shape (people,): who may take part; None for all.

    Raises:
        BadInput: cases and controls are asked for of a number, or the other way round; or a regression cannot
            be fitted.
    """
    values = None if covariates is None or not covariates.names else covariates.values
    names: Sequence[str] = () if covariates is None else covariates.names
    match analysis:
        case Contingency():
            _check(phenotype, True, "tables of cases and controls")
            return analysis
        case Linear():
            return linear.fit(phenotype.values, values, keep, names)
        case Logistic():
            _check(phenotype, True, "logistic regression")
            return FittedLogistic(logistic.fit(phenotype.values, values, keep, names), analysis)
        case _:
            assert_never(analysis)


def columns_of(
    prepared: Prepared, block: Block, tables: Counts | None, copies: Copies | None = None
) -> dict[str, Column]:
    """Return what is found of each variant of a block.

    Args:
        prepared: what is asked.
        block: the variants' calls.
        tables: int64, shape (variants, 2, 3), of controls and cases, where the trait has them.
        copies: int8, shape (variants,), who has one copy of each; None where everybody has two.
    """
    match prepared:
        case Contingency():
            if tables is None:
                raise ValueError("there are no cases and controls")
            return _tested(prepared, tables, copies)
        case linear.Model():
            return _regressed(_of_one(linear.test(prepared, block), copies), "t")
        case FittedLogistic(model=model, asked=asked):
            return _odds(_of_one(_logistic(model, asked, block), copies))
        case _:
            assert_never(prepared)


def _logistic(model: logistic.Model, asked: Logistic, block: Block) -> Regression:
    match asked.method:
        case Method.WALD:
            return logistic.wald(model, block, below=asked.below)
        case Method.SCORE:
            return logistic.score(model, block)
        case Method.FIRTH:
            return logistic.firth(model, block)
        case _:
            assert_never(asked.method)


def _of_one(found: Regression, copies: Copies | None) -> Regression:
    """Return effects of one allele, where a call of one copy was kept as two of it."""
    if copies is None:
        return found
    times = np.where(copies == IN_ALL, 2.0, 1.0)
    return replace(found, beta=found.beta * times, error=found.error * times)


def _tested(asked: Contingency, tables: Counts, copies: Copies | None) -> dict[str, Column]:
    cells = contingency.reals(tables)
    alleles = cells if copies is None else counted_once(cells, copies)
    controls, cases = contingency.frequencies(alleles)
    found: dict[str, Column] = {"freq_cases": cases, "freq_controls": controls}
    if asked.counts:
        for group, name in ((1, "cases"), (0, "controls")):
            found |= {f"{name}_{allele}": tables[:, group, allele] for allele in range(3)}
    for test in asked.tests:
        match test:
            case Test.ALLELIC:
                tested, odds = contingency.allelic(alleles), contingency.odds(alleles)
                found |= {"chi2_allelic": tested.chi2, "p_allelic": tested.p}
                found |= {"odds_ratio": odds.ratio, "low": odds.low, "high": odds.high}
            case Test.TREND:
                tested = contingency.trend(cells)
                found |= {"chi2_trend": tested.chi2, "p_trend": tested.p}
            case Test.GENOTYPIC:
                tested = contingency.genotypic(tables)
                found |= {"chi2_genotypic": tested.chi2, "p_genotypic": tested.p}
            case Test.DOMINANT:
                tested = contingency.dominant(tables)
                found |= {"chi2_dominant": tested.chi2, "p_dominant": tested.p}
            case Test.RECESSIVE:
                tested = contingency.recessive(tables)
                found |= {"chi2_recessive": tested.chi2, "p_recessive": tested.p}
            case Test.FISHER:
                found["p_fisher"] = contingency.fisher(tables if copies is None else alleles)
            case Test.FISHER_GENOTYPIC:
                found["p_fisher_genotypic"] = contingency.fisher_genotypic(tables)
            case _:
                assert_never(test)
    if Test.ALLELIC not in asked.tests:
        found["odds_ratio"] = contingency.odds(alleles).ratio
    return found if copies is None else _undefined(found, copies)


def _undefined(found: dict[str, Column], copies: Copies) -> dict[str, Column]:
    """Return columns with NaN where one copy allows of no test; see `copies.py`."""
    for name, column in found.items():
        kind = IN_MEN if name in OF_ALLELES else IN_ALL
        if not isinstance(column, Coded) and (name in OF_ALLELES or name.startswith(("chi2_", "p_"))):
            found[name] = blank(column, copies == kind)
    return found


def _regressed(found: Regression, statistic: str) -> dict[str, Column]:
    return {
        "people": found.called,
        "beta": found.beta,
        "error": found.error,
        statistic: found.statistic,
        "p": found.p,
        "note": Coded(found.note, NOTES),
    }


def _odds(found: Regression) -> dict[str, Column]:
    """Return columns of a logistic regression, whose effects are log odds ratios."""
    far = contingency.WIDE * found.error
    with np.errstate(over="ignore"):
        ratios = (np.exp(found.beta + shift) for shift in (0.0, -far, far))
        return {
            "people": found.called,
            **dict(zip(("odds_ratio", "low", "high"), ratios, strict=True)),
            "error": found.error,
            "z": found.statistic,
            "p": found.p,
            "note": Coded(found.note, NOTES),
        }


def _check(phenotype: Phenotype, binary: bool, what: str) -> None:
    if phenotype.binary is not binary:
        raise BadInput(
            f"{phenotype.name} is a number, and {what} need cases and controls",
            "use linear regression, or say which values are cases",
        )
