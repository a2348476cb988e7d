"""The verdict on findings: consistent with a release, not consistent, or not to be told at this noise.

Honest means: the p-values are those that the stated test gives, on the data the release was made from,
against these controls. It does not mean true: an honest finding may be chance. Falsified means: the reported
list has nothing to do with the data. The statistic is retention, the number K of findings that are
significant in the release below a relaxed threshold (Jiang et al., PROVGEN, PoPETs 2026(2), 642-661, where
K alone is shown), and in the direction that was reported, where one was.

The honest law of K is drawn: data sets that the findings could have come from (claims.py; of noisy tables,
pooled.py) go through the release's own mechanism (simulate.py). Findings are refused if K is too small for
that law where it is least favourable, by the rank of K among the draws (Dwass 1957; Barnard 1963), so that
honest ones are refused with probability α at most, however few draws there are.

There are two falsified laws, and the one counts that passes more often. Either variants are picked at random,
and K follows what the release shows at others (background.py). Or the same variants are reported, and the
data differ there from the controls by chance alone. The second matters where a release was restored to public
frequencies, or where little but noise is left: what it shows then follows from the variants and the
reference, which whoever makes findings up knows too, and honest findings show neither more nor less. If
falsified findings would have as many retained with a probability above β, nothing is said at all, not even
that K is too small: a test that both would fail as often is no evidence.
PROOFS.md, "Verdicts on findings".
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from noisegate.errors import BadInput, TooLarge
from noisegate.genomics.association import RELAXED
from noisegate.genomics.verifying import judging, pooled, simulate
from noisegate.genomics.verifying.background import background
from noisegate.genomics.verifying.controls import Controls, controls_of
from noisegate.genomics.verifying.draws import Laws
from noisegate.genomics.verifying.evidence import AsPublished, Evidence, Rows, Tables
from noisegate.genomics.verifying.findings import Findings
from noisegate.genomics.verifying.matching import Matched, matched
from noisegate.genomics.verifying.outcome import Answer, Given, Power, Row, Verdict
from noisegate.genomics.verifying.simulate import Trial, key_of
from noisegate.genomics.verifying.statistic import Test
from noisegate.genomics.verifying.words import notes_on, reason_of
from noisegate.genotypes.store import Store
from noisegate.genotypes.variants import Variants
from noisegate.leakage.roc import Estimate, proportion

Flags = NDArray[np.bool_]
Told = Callable[[int, int], None]

ALPHA = BETA = 0.05
SLACK = 3.0  # the factor that weights of plausible data sets may be off by
DRAWS, LEAST_DRAWS, MOST_DRAWS = 400, 200, 10_000
MOST_DRAWN = 2**24  # findings times draws
SAME = "the same variants, in data that differ from the controls by chance alone"
PICKED = "variants of this release picked at random"
SHARES = tuple(i / 20 for i in range(1, 21))


def verify(
    findings: Findings,
    evidence: Evidence,
    reference: Store,
    *,
    test: str = "chi2",
    threshold: float = RELAXED,
    alpha: float = ALPHA,
    beta: float = BETA,
    slack: float = SLACK,
    draws: int = DRAWS,
    told: Told = lambda _done, _all: None,
) -> Verdict:
    """Say whether findings agree with a release.

    Claim: if the findings are honest, P(not consistent) <= alpha, for data sets whose chances are within
        `slack` of those of claims.py or pooled.py; if they are falsified, P(consistent) <= beta, but for the
        error of simulation that its interval shows.
    Needs: who made the findings had not seen the release.
    Argued in PROOFS.md, "Verdicts on findings".

    Args:
        findings: what was reported; only p-values below 0.05 are findings.
        evidence: the release, with its law.
        reference: the public panel that stood as controls. For released tables, which hold controls of their
            own, it only says which variants are meant.
        test: what the p-values are of: a word of `Test`.
        threshold: p-value below which the release is said to keep a finding; where it reports a direction, in
            that direction.
        alpha: how often honest findings may be refused.
        beta: how often falsified ones may pass.
        slack: see above.
        draws: releases simulated for each law.
        told: how many simulations are done, and of how many.

    Raises:
        BadInput: a setting that makes no sense; no finding is of a variant that both sides have.
        Forbidden: the reference is not public.
        TooLarge: more would have to be simulated than can be waited for.
    """
    kind = _checked(test, threshold, alpha, beta, slack, draws)
    build = evidence.released.build if isinstance(evidence, Rows | AsPublished) else ""
    controls, match = judgeable(findings, evidence.variants, reference, test=kind, draws=draws, build=build)
    trial = Trial(evidence, controls, kind, match.places, match.towards if match.towards.any() else None)
    shown = simulate.released(evidence, controls, kind)
    signs = _signs(trial, shown < threshold)
    kept = (signs[match.places] != 0) & ((match.towards == 0) | (signs[match.places] == match.towards))
    retained, used = int(kept.sum()), len(kept)

    reported = (findings.p[match.findings], findings.low[match.findings], findings.high[match.findings])
    key = key_of(findings.digest, kind.value, sorted(evidence.said.items()), draws)
    laws = Laws(trial, threshold, draws, key, told)
    claims = laws.claims(reported, match.towards)
    honest, cautious, judge = laws.honest(claims, slack)
    minor = pooled.minor(evidence) if isinstance(evidence, Tables) else controls.minor
    others = background(signs, controls.usable, match.places, minor, match.towards)

    # By the rank of K among draws; ties count for the findings.
    ordered = np.sort(judge.sum(axis=1))
    critical = int(ordered[int(alpha * (draws + 1)) - 1])
    made_up = {SAME: laws.by_chance()} | ({} if others is None else {PICKED: laws.picked(others)})
    way = max(made_up, key=lambda name: float((made_up[name].sum(axis=1) >= critical).mean()))
    falsified = made_up[way]
    passes = _share(falsified.sum(axis=1) >= critical)
    null = made_up[SAME]
    rate = proportion(int(null.sum()), null.size) if others is None else others.rate
    power = tuple(
        Power(share, _share(laws.mixed(honest, falsified, share).sum(axis=1) < critical)) for share in SHARES
    )
    verdict = Verdict(
        verdict=Answer.CANNOT_TELL
        if passes.high > beta
        else (Answer.NOT_CONSISTENT if retained < critical else Answer.CONSISTENT),
        reason="",
        given=Given(
            test=kind.value,
            statistic=judging.words(evidence, kind),
            threshold=threshold,
            alpha=alpha,
            beta=beta,
            slack=slack,
            draws=draws,
            digest=findings.digest,
            reported=len(findings.variants),
            absent=match.absent,
            skipped=findings.skipped,
            above_level=match.above_level,
            evidence={**evidence.said, "people": evidence.people, "variants": len(evidence.variants)},
            reference={
                "people": reference.people,
                "variants": int(controls.usable.sum()),
                "digest": reference.digest,
            },
        ),
        retained=retained,
        retention=proportion(retained, used),
        expected=_range(honest),
        falsified=_range(falsified),
        falsified_from=way,
        background=rate,
        background_from="simulated variants" if others is None else "unreported variants",
        critical=critical,
        p_value=(1 + int((ordered <= retained).sum())) / (draws + 1),
        honest_refused=_share(cautious.sum(axis=1) < critical),
        falsified_passes=passes,
        power=power,
        smallest_share=next((part.share for part in power if part.found.value >= 1 - beta), None),
        honest_law=_law(honest),
        cautious_law=_law(cautious),
        falsified_law=_law(falsified),
        rows=tuple(
            Row(findings.variants[i], float(findings.p[i]), float(shown[place]), flag, chance, attainable)
            for i, place, flag, chance, attainable in zip(
                match.findings.tolist(),
                match.places.tolist(),
                kept.tolist(),
                honest.mean(axis=0).tolist(),
                claims.attainable.tolist(),
                strict=True,
            )
        ),
        notes=(),
    )
    several = bool((claims.sizes > 1).any())
    return replace(verdict, reason=reason_of(verdict), notes=notes_on(verdict, evidence, several=several))


def judgeable(
    findings: Findings, variants: Variants, reference: Store, *, test: Test, draws: int, build: str = ""
) -> tuple[Controls, Matched]:
    """Return the controls over a release's variants, and which findings are of which.

    Whatever refuses findings of themselves is found here, from public facts: before a release is asked for.

    Args:
        findings: what was reported.
        variants: of the release, in its order.
        reference: as `verify` takes it.
        test: what the p-values are of.
        draws: releases simulated for each law.
        build: of the release's positions, "" where it is not known.

    Raises:
        BadInput: no finding is of a variant that both sides have.
        Forbidden: the reference is not public.
        TooLarge: more would have to be simulated than can be waited for.
    """
    controls = controls_of(reference, variants, build)
    match = matched(findings, variants, controls.usable, test)
    if draws * len(match.places) > MOST_DRAWN:
        raise TooLarge(
            f"{len(match.places):,} findings are too many for {draws:,} draws",
            "verify the most significant ones, or give fewer draws",
        )
    return controls, match


def _signs(trial: Trial, significant: Flags) -> NDArray[np.int8]:
    """Return the direction of what is significant in the release, 1 or -1, and 0 of the rest, (variants,).

    Where no finding reports a direction none is looked for.
    """
    if trial.towards is None:
        return significant.astype(np.int8)
    more = np.ones(len(significant), np.int8)
    up = simulate.released(trial.evidence, trial.controls, trial.test, more) < 1
    return np.where(significant, np.where(up, 1, -1), 0).astype(np.int8)


def _share(found: Flags) -> Estimate:
    return proportion(int(found.sum()), len(found))


def _range(kept: Flags) -> Estimate:
    """Return mean retention, and the range of 95 % of draws."""
    shares = kept.mean(axis=1)
    low, high = (float(edge) for edge in np.quantile(shares, [0.025, 0.975]))
    mean = float(shares.mean())
    return Estimate(mean, min(low, mean), max(high, mean))


def _law(kept: Flags) -> tuple[int, ...]:
    return tuple(np.sort(kept.sum(axis=1)).tolist())


def _checked(test: str, threshold: float, alpha: float, beta: float, slack: float, draws: int) -> Test:
    try:
        kind = Test(test)
    except ValueError:
        raise BadInput(
            f"{test!r} is no test of findings", f"give one of {', '.join(t.value for t in Test)}"
        ) from None
    if not 0 < threshold < 1:
        raise BadInput("the threshold is a p-value between 0 and 1")
    if not (0 < alpha < 0.5 and 0 < beta < 0.5):
        raise BadInput("error rates lie between 0 and a half")
    if not 1 <= slack <= 1e6:
        raise BadInput("the slack is a factor of 1 or more")
    if not LEAST_DRAWS <= draws <= MOST_DRAWS:
        raise BadInput(f"between {LEAST_DRAWS} and {MOST_DRAWS:,} releases are simulated")
    return kind
