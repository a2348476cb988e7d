"""What privacy costs, from advice at several ε: curves for a report. Advice reads public people alone."""

import math
from collections.abc import Sequence

from scipy.stats import t as student

from noisegate.genomics.advise import Advice, Tried
from noisegate.genomics.report.facts import Curve, Point
from noisegate.leakage.roc import CONFIDENCE, Estimate

# (name in Figures, what it is, its unit, whether more is better)
SHOWN = (
    ("frequency", "error of allele frequencies", "mean difference", False),
    ("point", "genotypes that differ", "share", False),
    ("kept", "findings kept at 5 % false positives", "share", True),
)


def curves_of(advice: Sequence[Advice]) -> tuple[Curve, ...]:
    """Return a curve for each figure that was measured, with a line for each method and for the panel alone.

    Intervals are Student's, over the copies of the twin.

    Raises:
        ValueError: advice of different people, variants or panels, or twice at one ε.
    """
    ordered = sorted(advice, key=lambda given: given.epsilon)
    if len({(a.people, a.variants, a.panel, a.delta, a.copies) for a in ordered}) > 1:
        raise ValueError("a curve is of one number of people and variants, one panel and one δ")
    if len({a.epsilon for a in ordered}) < len(ordered):
        raise ValueError("a curve has one point at an ε")
    methods = list(dict.fromkeys(tried.method for given in ordered for tried in given.tried))
    curves = []
    for figure, measure, unit, more in SHOWN:
        lines = tuple((method, _points(ordered, method, figure)) for method in methods)
        lines = tuple((method, points) for method, points in lines if points)
        if lines:
            curves.append(Curve(measure, unit, more, lines, public=True))
    return tuple(curves)


def _points(ordered: Sequence[Advice], method: str, figure: str) -> tuple[Point, ...]:
    found = ((given, tried) for given in ordered for tried in given.tried if tried.method == method)
    points = ((given.epsilon, _estimate(tried, figure, given.copies)) for given, tried in found)
    return tuple(Point(epsilon, estimate) for epsilon, estimate in points if estimate is not None)


def _estimate(tried: Tried, figure: str, copies: int) -> Estimate | None:
    mean, error = float(getattr(tried.mean, figure)), float(getattr(tried.error, figure))
    if not (math.isfinite(mean) and math.isfinite(error)):
        return None
    spread = float(student.ppf((1 + CONFIDENCE) / 2, copies - 1)) * error
    return Estimate(mean, max(mean - spread, min(mean, 0.0)), mean + spread)
