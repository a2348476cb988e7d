"""The way of an association study: genotypes, chunk by chunk, become tables of tests.

    for each chunk, in any order, on any machine:
        calls -> counts by group -> good enough? -> each analysis' columns -> lines of text
    for each chunk, in its order, here:
        lines of text -> the end of each table;  p-values -> the summary

No more than a few chunks are in memory at a time, and eight bytes a variant for each p-value. Tables appear
under their names, all of them, when the last chunk is written.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from noisegate.errors import BadInput
from noisegate.genomics.gwas.analyses import Analysis, name_of, prepare
from noisegate.genomics.gwas.columns import Flags
from noisegate.genomics.gwas.copies import copies_of
from noisegate.genomics.gwas.phenotypes import Covariates, Phenotype
from noisegate.genomics.gwas.pieces import QUALITY, Piece, Pieces
from noisegate.genomics.gwas.quality import REASONS, Limits, Source
from noisegate.genomics.gwas.sheets import Draft, Sheet
from noisegate.genomics.gwas.tallies import masks
from noisegate.genomics.keys import KEY_BYTES, ReleaseKey
from noisegate.genomics.scheduler import Scheduler, Threads
from noisegate.genotypes import durable
from noisegate.genotypes.flat import Flat
from noisegate.genotypes.packed import Words
from noisegate.genotypes.store import Store
from noisegate.genotypes.text import Told, silent

__all__ = ["Sheet", "Source", "Study", "Summary", "run"]


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """What is asked of whose genotypes.

    Attributes:
        source: the genotypes.
        phenotype: the trait, in the source's order of people.
        analyses: what is done with every variant, one of a kind.
        covariates: what regressions adjust for, in the same order.
        keep: bool, shape (people,): whom the study is about; None for all. Others are not counted at all;
            who is kept and has no trait counts for the quality of variants.
        limits: what a variant may be like at worst.
        quality: whether a table of quality is written.
        parquet: whether each table is written as Parquet too, with all digits.

    Raises:
        BadInput: nothing to do, or an analysis twice.
        ValueError: arrays for other people.
    """

    source: Source
    phenotype: Phenotype
    analyses: tuple[Analysis, ...]
    covariates: Covariates | None = None
    keep: Flags | None = None
    limits: Limits = field(default_factory=Limits)
    quality: bool = False
    parquet: bool = False

    def __post_init__(self) -> None:
        names = [name_of(analysis) for analysis in self.analyses]
        if not names and not self.quality:
            raise BadInput("nothing is asked for", "name a test or a regression")
        if len(set(names)) < len(names):
            raise BadInput("an analysis is asked for twice", "name each once")
        people = self.source.people
        shapes = [self.phenotype.values.shape[0]]
        shapes += [] if self.covariates is None else [len(self.covariates.values)]
        shapes += [] if self.keep is None else [len(self.keep)]
        if set(shapes) != {people}:
            raise ValueError(f"trait, covariates and who is kept are of {people} people")


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """What came of a study.

    `people` have a trait and were kept; of a trait of cases and controls there are so many of each, else
    None. Regressions leave out who lacks a covariate as well. `dropped` counts the variants that were left
    out by the first reason.
    """

    people: int
    cases: int | None
    controls: int | None
    variants: int
    kept: int
    dropped: Mapping[str, int]
    sheets: tuple[Sheet, ...]

    def as_json(self) -> dict[str, object]:
        """Return a summary."""
        return {
            "people": self.people,
            "cases": self.cases,
            "controls": self.controls,
            "variants": self.variants,
            "kept": self.kept,
            "dropped": dict(self.dropped),
            "tables": [sheet.as_json() for sheet in self.sheets],
        }


def run(
    study: Study,
    out: Path,
    *,
    scheduler: Scheduler | None = None,
    progress: Told = silent,
    go_on: Callable[[], bool] = lambda: True,
) -> Summary | None:
    """Do a study, and return what came of it; None where it was not to go on, and then nothing is left.

    Args:
        study: what is asked.
        out: the folder for NAME.tsv of each analysis, and quality.tsv; NAME.parquet where asked for.
        scheduler: who works on chunks; by default one thread here.
        progress: told the share that is done.
        go_on: asked after each chunk.

    Raises:
        BadInput: a table is there already, or the trait does not suit an analysis.
        Conflict: another run is writing into the folder.
    """
    part = study.phenotype.part if study.keep is None else study.phenotype.part & study.keep
    trait = study.phenotype.among(part)
    prepared = {name_of(a): prepare(a, trait, study.covariates, study.keep) for a in study.analyses}
    source, flat = study.source, _flat(study.source)
    work = Pieces(
        release="study",
        source=source,
        variants=flat,
        begins=0,
        copies=copies_of(flat, source.build),
        prepared=prepared,
        masks=_groups(study, trait),
        binary=trait.binary,
        limits=study.limits,
        quality=study.quality,
    )
    variants = source.variants if study.parquet else None
    drafts: list[Draft] = []
    try:
        for name in [*([QUALITY] if study.quality else []), *prepared]:
            drafts.append(Draft(out, name, flat, variants))  # noqa: PERF401 -- kept as they are made
        kept, dropped = 0, dict.fromkeys(REASONS, 0)
        waiting: dict[int, Piece] = {}
        numbers = iter(study.source.chunks())
        due = next(numbers, None)

        def after(number: int, piece: Piece) -> bool:
            nonlocal due, kept
            waiting[number] = piece
            while due is not None and due in waiting:
                ready = waiting.pop(due)
                start, stop = source.bounds(due)
                for draft in drafts:
                    draft.add(start, ready)
                kept += int(ready.rows.sum())
                for reason, count in ready.dropped.items():
                    dropped[reason] += count
                due = next(numbers, None)
                progress(stop / len(flat))
            return go_on() or due is None

        # Nothing is drawn in a study: its key opens nothing.
        key = ReleaseKey(secrets.token_bytes(KEY_BYTES))
        who = Threads(1) if scheduler is None else scheduler
        if not who.run(work, key, source.chunks(), after):
            return None
        for draft in drafts:
            draft.finish()
        sheets = tuple(draft.publish() for draft in drafts)
        durable.sync(out)
    finally:
        for draft in drafts:
            draft.discard()
    labels = trait.labels if trait.binary else None
    return Summary(
        people=int(part.sum()),
        cases=None if labels is None else int((labels == 1).sum()),
        controls=None if labels is None else int((labels == 0).sum()),
        variants=len(flat),
        kept=kept,
        dropped=dropped,
        sheets=sheets,
    )


def _flat(source: Source) -> Flat:
    return source.flat if isinstance(source, Store) else Flat.of(source.variants)


def _groups(study: Study, trait: Phenotype) -> Words:
    """Return the masks of controls and cases, or of who has a trait, and of the others if there are any."""
    groups = [trait.labels == 0, trait.labels == 1] if trait.binary else [trait.part]
    others = ~trait.part if study.keep is None else study.keep & ~trait.part
    return masks(np.stack([*groups, others] if others.any() else groups))
