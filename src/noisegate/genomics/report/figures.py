"""The figures of a report, as SVG that is the same for the same facts, each with a text for the blind.

Colours are those of Okabe and Ito, told apart by eyes of every kind; lines also differ in dash and mark, so
that a print in grey can be read.
"""

import io
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from noisegate.genomics.linkage import Linkage
from noisegate.genomics.measures import Agreement
from noisegate.genomics.report.facts import LINES, Curve, Protection
from noisegate.genomics.report.numbers import epsilon_of, plain, share
from noisegate.leakage.audit import Outcomes
from noisegate.leakage.bounds import most_power
from noisegate.leakage.roc import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, GREY, PALE = "#1c2430", "#5c6670", "#d9dce0"
STYLES = (
    ("#0072B2", "-", "o"),
    ("#D55E00", "--", "s"),
    ("#009E73", "-.", "^"),
    ("#8A5A83", ":", "D"),
    ("#56410B", (0, (5, 1, 1, 1)), "v"),
    ("#1c2430", (0, (1, 1)), "P"),
)
SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "noisegate",
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
}
LEAST_RATE = 0.002
NAMELESS: dict[str, None] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
# Matplotlib's settings belong to the process, not to a thread.
DRAWING = threading.Lock()


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG document, what it shows in words, and its caption."""

    svg: str
    alt: str
    caption: str


def frequencies(found: Agreement, whose: str) -> Drawing:
    """Draw released against exact allele frequencies; `whose` says whose, as in "the twin"."""

    def draw(axes: "Axes") -> None:
        exact, released = np.array(found.points).T
        axes.plot([0, 0.5], [0, 0.5], color=GREY, linewidth=1, zorder=1)
        axes.scatter(exact, released, s=9, color=STYLES[0][0], alpha=0.45, linewidths=0, zorder=2)
        axes.annotate("equal", (0.5, 0.5), (4, -3), textcoords="offset points", color=GREY, fontsize=9)
        axes.set_xlim(0, 0.53)
        axes.set_ylim(min(0, float(released.min())) - 0.02, max(0.53, float(released.max()) + 0.02))
        axes.set_xlabel("minor-allele frequency before")
        axes.set_ylabel("the same allele, released")

    return Drawing(
        _drawn(draw, height=4.2, width=5.2),
        f"Scatter of allele frequencies of {whose} before and after release: they differ by "
        f"{plain(found.error)} on average and by {plain(found.worst)} at most.",
        f"Allele frequencies of {whose}. Each point is one variant; on the line nothing was changed. Mean "
        f"difference {plain(found.error)}, largest {plain(found.worst)}.",
    )


def linkage(found: Linkage, whose: str) -> Drawing:
    """Draw mean r² by distance before and after; `whose` as for `frequencies`."""
    bins = [i for i, pairs in enumerate(found.pairs) if pairs]

    def draw(axes: "Axes") -> None:
        for figures, label, style in (
            (found.exact, "before", STYLES[0]),
            (found.released, "released", STYLES[1]),
        ):
            heights = [figures[i] for i in bins]
            axes.plot(
                range(len(bins)), heights, color=style[0], linestyle=style[1], marker=style[2], label=label
            )
        names = [f"{_bases(found.edges[i])}–{_bases(found.edges[i + 1])}" for i in bins]
        axes.set_xticks(range(len(bins)), names, rotation=25, ha="right")
        axes.set_ylim(0, None)
        axes.set_xlabel("distance between two variants (base pairs)")
        axes.set_ylabel("mean r²")
        axes.legend()

    said = "; ".join(
        f"{_bases(found.edges[i])} to {_bases(found.edges[i + 1])}: {plain(found.exact[i])} before, "
        f"{plain(found.released[i])} released"
        for i in bins
    )
    return Drawing(
        _drawn(draw),
        f"Mean r squared of pairs of variants of {whose} by distance in base pairs. {said}.",
        f"Linkage of {whose}: how strongly two variants go together, by their distance. A release that keeps "
        "linkage has both lines in one place.",
    )


def attacks(found: Outcomes, protection: Protection | None, whose: str) -> Drawing:
    """Draw the attacks' curves, and where no attack can come, unless `protection` is None."""

    def draw(axes: "Axes") -> None:
        rates = np.geomspace(LEAST_RATE, 1, 200)
        allowed = [_allowed(protection, float(rate)) for rate in rates]
        if allowed[0] < 0.999:
            axes.fill_between(rates, allowed, 1, color=PALE, linewidth=0, label="ruled out by ε")
        axes.plot(rates, rates, color=GREY, linewidth=1, label="blind guess")
        for outcome, (colour, dash, mark) in zip(found.attacks, STYLES, strict=False):
            false, power = np.array(outcome.roc.curve).T
            # A step function: what is found at a rate is what the last point at or below it found.
            steps = power[np.searchsorted(false, rates, side="right") - 1]
            axes.plot(rates, steps, color=colour, linestyle=dash, drawstyle="steps-post", label=outcome.title)
            at, found_there = np.array([(p.allowed, p.found.value) for p in outcome.roc.power]).T
            axes.scatter(at, found_there, color=colour, marker=mark, s=34, zorder=3, clip_on=False)
        for rate in (0.01, 0.05):
            axes.axvline(rate, color=GREY, linewidth=0.8, linestyle=":")
        axes.set_xscale("log")
        axes.set_xticks([0.01, 0.05, 0.1, 1], ["1 %", "5 %", "10 %", "100 %"])
        axes.minorticks_off()
        axes.set_xlim(LEAST_RATE, 1)
        axes.set_ylim(0, 1.01)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.set_xlabel("people outside the data who are wrongly accused")
        axes.set_ylabel("people in the data who are found")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)

    said = "; ".join(
        f"{o.title}: area {plain(o.roc.area.value)}"
        + "".join(f", finds {share(p.found.value)} at {share(p.allowed)}" for p in o.roc.power)
        for o in found.attacks
    )
    return Drawing(
        _drawn(draw, width=7.4, height=3.8),
        f"Attacks on {whose}: people found against people wrongly accused. {said}.",
        f"Attacks that tell who is in the data, on {whose}. A line near the blind guess tells nothing; "
        "marks are at 1 and 5 people wrongly accused of 100. What reaches into the grey is chance.",
    )


def usefulness(found: Curve, here: float) -> Drawing:
    """Draw a figure by ε for each method, with this release's ε marked."""

    def draw(axes: "Axes") -> None:
        # The baseline is grey, and what would lie on one another is moved a little apart.
        styles = iter(STYLES)
        for place, (method, points) in enumerate(found.lines):
            colour, dash, mark = (GREY, ":", "") if method == "panel" else next(styles)
            at = [p.epsilon * 1.03 ** (place - len(found.lines) // 2) for p in points]
            middle = np.array([p.figure.value for p in points])
            spread = [
                middle - [p.figure.low for p in points],
                np.array([p.figure.high for p in points]) - middle,
            ]
            axes.errorbar(
                at,
                middle,
                yerr=spread,
                color=colour,
                linestyle=dash,
                marker=mark,
                capsize=3,
                label=LINES[method],
            )
        if math.isfinite(here) and here > 0:
            axes.axvline(here, color=GREY, linewidth=1, linestyle=":")
            seen = [p.epsilon for _, points in found.lines for p in points]
            # Written towards the side where there is room.
            right = here * here < min(seen) * max(seen)
            axes.annotate(
                "this release",
                (here, 1),
                (4 if right else -4, -2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                color=GREY,
                fontsize=9,
                va="top",
                ha="left" if right else "right",
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        heights = [
            height for _, points in found.lines for p in points for height in (p.figure.low, p.figure.high)
        ]
        axes.set_ylim(*_limits(min(heights), max(heights)))
        axes.set_xlabel("ε of one person (log scale; less is more private)")
        axes.set_ylabel(found.measure + (f" ({found.unit})" if found.unit else ""))
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)

    said = "; ".join(
        f"{LINES[method]}: " + ", ".join(f"{plain(p.figure.value)} at ε {p.epsilon:g}" for p in points)
        for method, points in found.lines
    )
    way = "higher is better" if found.more_is_better else "lower is better"
    return Drawing(
        _drawn(draw, width=7.8, height=3.6),
        f"{found.measure} by ε, {way}. {said}.",
        f"What privacy costs: {found.measure} by ε on the twin, {way}. Bars hold the true mean with 95 %.",
    )


def by_variant(found: Protection) -> Drawing:
    """Draw ε by variant, sorted."""

    def draw(axes: "Axes") -> None:
        at = np.linspace(0, 100, len(found.variants)) if len(found.variants) > 1 else np.array([0, 100])
        heights = found.variants if len(found.variants) > 1 else found.variants * 2
        axes.plot(at, heights, color=STYLES[0][0], linewidth=2)
        axes.fill_between(at, 0, heights, color=STYLES[0][0], alpha=0.15, linewidth=0)
        axes.set_xlim(0, 100)
        axes.set_ylim(0, max(heights) * 1.15 or 1)
        axes.set_xlabel("share of the variants (%), from the least ε to the most")
        axes.set_ylabel("ε of one variant")

    least, most = found.variants[0], found.variants[-1]
    return Drawing(
        _drawn(draw, height=2.8),
        f"Epsilon of changing one variant of one person, sorted: from {plain(least)} to {plain(most)}.",
        f"ε of one variant, from {plain(least)} to {plain(most)}. For a whole person they add up: ε "
        f"{epsilon_of(found.person)} where no δ is allowed.",
    )


def retention(
    honest: Sequence[int], cautious: Sequence[int], falsified: Sequence[int], retained: int, critical: int
) -> Drawing:
    """Draw how many findings would be found again if they are honest, and if made up, and how many were.

    Args:
        honest: how many, in each simulated release of data that show what was reported.
        cautious: the same where the data are, within what is not known of them, the least favourable.
        falsified: the same where they show nothing of it.
        retained: how many were.
        critical: fewer speak against honesty.
    """
    least = min(*honest, *cautious, *falsified, retained)
    most = max(*honest, *cautious, *falsified, retained, critical)
    width = max(1, -(-(most - least + 1) // 60))
    edges = np.arange(least, most + width + 1, width) - 0.5

    def draw(axes: "Axes") -> None:
        for counts, label, (colour, dash, _), hatch in (
            (falsified, "if made up", STYLES[1], "////"),
            (honest, "if honest", STYLES[0], ""),
        ):
            heights = 100 * np.histogram(counts, edges)[0] / len(counts)
            axes.stairs(heights, edges, color=colour, alpha=0.35, fill=True, hatch=hatch or None, linewidth=0)
            axes.stairs(heights, edges, color=colour, linestyle=dash, linewidth=1.6, label=label)
        if cautious and list(cautious) != list(honest):
            heights = 100 * np.histogram(cautious, edges)[0] / len(cautious)
            axes.stairs(
                heights, edges, color=STYLES[3][0], linestyle="-.", linewidth=1.4, label="if honest, at worst"
            )
        axes.axvline(critical - 0.5, color=INK, linewidth=1.2, linestyle=":", label="fewer: too few")
        axes.axvline(retained, color=INK, linewidth=2.2)
        right = retained < (edges[0] + edges[-1]) / 2
        axes.set_ylim(0, axes.get_ylim()[1] * 1.12)
        axes.annotate(
            f"found again: {retained:,}",
            (retained, 1),
            (5 if right else -5, -2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="top",
            ha="left" if right else "right",
            fontweight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )
        axes.set_xlim(edges[0], edges[-1])
        axes.locator_params(axis="x", integer=True)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g} %")
        axes.set_xlabel("reported findings that are significant in the release")
        axes.set_ylabel("of simulated releases")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0)

    def said(counts: Sequence[int]) -> str:
        low, high = np.quantile(counts, [0.025, 0.975])
        return f"{plain(float(np.mean(counts)))} on average, 95 of 100 between {low:.0f} and {high:.0f}"

    return Drawing(
        _drawn(draw, width=7.8),
        f"Two histograms of how many findings are significant in a release. If honest: {said(honest)}. If "
        f"made up: {said(falsified)}. Found again: {retained}; fewer than {critical} speak against honesty.",
        f"How many of the findings would be found again: if honest, {said(honest)}; if made up, "
        f"{said(falsified)}. Where these overlap, the release cannot tell them apart. At worst: of data that "
        "give the same p-values and keep the fewest.",
    )


def detected(power: Sequence[tuple[float, Estimate]], wanted: float) -> Drawing:
    """Draw how often a share of made-up findings is noticed, from (share, how often); `wanted` is marked."""

    def draw(axes: "Axes") -> None:
        shares = [100 * share for share, _ in power]
        middle = 100 * np.array([found.value for _, found in power])
        spread = [
            middle - 100 * np.array([found.low for _, found in power]),
            100 * np.array([found.high for _, found in power]) - middle,
        ]
        colour, dash, mark = STYLES[0]
        axes.errorbar(shares, middle, yerr=spread, color=colour, linestyle=dash, marker=mark, capsize=3)
        axes.axhline(100 * wanted, color=GREY, linewidth=1, linestyle=":")
        axes.annotate(
            f"{100 * wanted:g} %", (0, 100 * wanted), (3, 3), textcoords="offset points", color=GREY
        )
        axes.set_xlim(0, 102)
        axes.set_ylim(0, 104)
        axes.set_xlabel("share of the findings that are made up (%)")
        axes.set_ylabel("how often it is noticed (%)")

    told = ", ".join(f"{share(found.value)} at {share(part)}" for part, found in power)
    return Drawing(
        _drawn(draw, height=3.0),
        f"How often made-up findings are noticed, by their share: {told}.",
        "How often it is noticed that some of the findings are made up, by their share. Bars hold the true "
        "rate with 95 %.",
    )


def _limits(least: float, most: float) -> tuple[float, float]:
    """Return an axis from 0, unless that would squeeze what differs; with room for a note above."""
    if least < most / 2 or least == most:
        return 0.0, most * 1.15 or 1.0
    return least - (most - least) / 8, most + (most - least) / 6


def _allowed(protection: Protection | None, rate: float) -> float:
    return 1.0 if protection is None else most_power(protection.epsilon, protection.delta, rate)


def _drawn(draw: "Callable[[Axes], None]", width: float = 6.4, height: float = 3.4) -> str:
    # Imported here, so that whoever only holds facts does not wait for it.
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with DRAWING, rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        canvas = FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        stream = io.StringIO()
        canvas.print_figure(stream, format="svg", metadata=NAMELESS)
    # What comes before the element names a document type that lies elsewhere.
    text = stream.getvalue()
    return text[text.index("<svg") :]


def _bases(count: int) -> str:
    if count >= 1_000_000 and count % 1_000_000 == 0:
        return f"{count // 1_000_000} Mb"
    return f"{count // 1_000} kb" if count >= 1_000 and count % 1_000 == 0 else str(count)
