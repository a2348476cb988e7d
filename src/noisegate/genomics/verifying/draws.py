"""Draws of the laws of retention: what is kept in releases of honest findings, and of made-up ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noisegate.genomics.keys import ReleaseKey
from noisegate.genomics.verifying import pooled, simulate
from noisegate.genomics.verifying.background import Background
from noisegate.genomics.verifying.claims import Hypothesised, Plausible, by_chance, plausible
from noisegate.genomics.verifying.evidence import Frequencies, Tables
from noisegate.genomics.verifying.simulate import Told, Trial, key_of, uniforms

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]

PILOT, LEAST_PILOT, PILOT_GENOTYPES = 60, 16, 2**25


@dataclass(frozen=True, slots=True, eq=False)
class Laws:
    """Draws of the laws of retention: bool arrays of shape (draws, findings), true where one is kept.

    `key` is of all that is drawn, and follows from public words.
    """

    trial: Trial
    threshold: float
    draws: int
    key: ReleaseKey
    told: Told

    def _named(self, name: str) -> ReleaseKey:
        return key_of(self.key.reveal().hex(), name)

    def claims(self, reported: tuple[Floats, Floats, Floats], towards: NDArray[np.int8]) -> Plausible:
        """Return the data sets that findings could have come from: of p-values, their ranges, directions."""
        trial = self.trial
        if isinstance(trial.evidence, Tables):
            return pooled.plausible(
                trial.test, reported, towards, trial.evidence, trial.places, self._named("claims")
            )
        return plausible(trial.test, reported, towards, trial.theirs, trial.cases)

    def honest(self, claims: Plausible, slack: float) -> tuple[Flags, Flags, Flags]:
        """Return draws by the weights themselves, and two lots by the least favourable weights.

        The second lot is what K is judged by, the first what then shows how often honest findings are
        refused: a quantile fits the draws it is taken from too well.
        """
        if not (claims.sizes > 1).any():
            one, two = (self._kept(claims, name) for name in ("honest", "judge"))
            return one, one, two
        worst = claims.tilted(self._pilot(claims), slack)
        expected = self._kept(claims, "honest")
        return expected, self._kept(worst, "cautious"), self._kept(worst, "judge")

    def by_chance(self) -> Flags:
        """Return draws where the same variants are reported, and the data are those of the controls' kind."""
        trial, key = self.trial, self._named("chance")
        if isinstance(trial.evidence, Tables):
            return self._released(pooled.by_chance(trial.evidence, trial.places, self.draws, key), "null")
        uniform = uniforms(key, (self.draws, len(trial.places), 2))
        return self._released(by_chance(trial.theirs, trial.cases, uniform), "null")

    def picked(self, others: Background) -> Flags:
        """Return draws where variants of the release are reported at random, as common as those reported."""
        uniform = uniforms(self._named("picked"), (self.draws, len(self.trial.places)))
        return others.draw(uniform, uniforms(self._named("rates"), (self.draws, len(others.of))))

    def mixed(self, honest: Flags, falsified: Flags, share: float) -> Flags:
        """Return draws of findings of which a share, any as likely as any other, is made up."""
        order = np.argsort(uniforms(self._named("order"), honest.shape), axis=1)
        made_up = np.zeros(honest.shape, np.bool_)
        np.put_along_axis(made_up, order[:, : round(share * honest.shape[1])], values=True, axis=1)
        found: Flags = np.where(made_up, falsified, honest)
        return found

    def _kept(self, claims: Plausible, name: str) -> Flags:
        uniform = uniforms(self._named(f"tables {name}"), (self.draws, len(claims)))
        return self._released(claims.draw(uniform), name)

    def _released(self, tables: Hypothesised, name: str) -> Flags:
        found: Flags = simulate.simulated(self.trial, tables, self._named(name), self.told) < self.threshold
        return found

    def _pilot(self, claims: Plausible) -> Floats:
        """Return the chance of being kept for every plausible table, float64 of shape (tables,)."""
        trial, count = self.trial, len(claims.tables)
        sizes = claims.sizes
        if not simulate.is_whole(trial.evidence):
            people = 1 if isinstance(trial.evidence, Tables | Frequencies) else trial.evidence.people
            draws = max(min(PILOT, PILOT_GENOTYPES // (count * people)), LEAST_PILOT)
            towards = None if trial.towards is None else np.repeat(trial.towards, sizes)
            wide = Trial(trial.evidence, trial.controls, trial.test, np.repeat(trial.places, sizes), towards)
            every = np.arange(len(claims.tables)) + np.zeros((draws, 1), np.int64)
            shown = simulate.simulated(
                wide, claims.tables[every], self._named("pilot"), lambda _done, _all: None
            )
            return np.asarray((shown < self.threshold).mean(axis=0), np.float64)
        # All variants are drawn together, so each draw tries one table of every finding, in turn.
        turn = np.arange(PILOT)[:, None] % sizes
        picked = claims.starts[:-1] + turn
        kept = self._released(claims.tables[picked], "pilot")
        tried = np.bincount(picked.ravel(), minlength=count)
        found = np.bincount(picked.ravel(), weights=kept.ravel(), minlength=count)
        mean = np.repeat(kept.mean(axis=0), sizes)
        return np.asarray((found + mean) / (tried + 1), np.float64)
