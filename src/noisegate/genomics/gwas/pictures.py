"""Manhattan and QQ plots as PNG files, for slides and papers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from noisegate.genomics.gwas.drawings import EVEN, LINE, ODD, STRONG
from noisegate.genomics.gwas.genome_line import marks_of, shown
from noisegate.genomics.gwas.scans import Manhattan, Quantiles, labelled
from noisegate.genomics.report.figures import DRAWING, GREY, PALE, SETTINGS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DOTS = 200  # to the inch
WIDE, HIGH, SIDE = 11.0, 4.2, 4.6  # inches
_CHARACTER = 0.0085  # of a Manhattan plot's width


def write_manhattan(file: Path, picture: Manhattan, title: str, names: Mapping[int, str]) -> None:
    """Write a Manhattan plot; `names` calls its hits, by their place in the store."""

    def draw(axes: "Axes") -> None:
        strong = picture.y >= picture.lines[0][1]
        odd = picture.line.which[picture.variants] % 2 == 1
        for colour, some in ((EVEN, ~strong & ~odd), (ODD, ~strong & odd), (STRONG, strong)):
            axes.scatter(picture.x[some], picture.y[some], s=6, color=colour, linewidths=0, clip_on=False)
        for (name, height), dash in zip(picture.lines, ("-", "--"), strict=False):
            axes.axhline(height, color=LINE, linewidth=0.8, linestyle=dash, alpha=0.75)
            axes.annotate(
                name, (1, height), (8, -3), ("axes fraction", "data"), "offset points", color=GREY, fontsize=8
            )
        for hit in labelled(picture, 0.09):
            side = "left" if hit.x < 0.03 else "center"
            axes.annotate(
                names[hit.variant], (hit.x, hit.y), (0, 5), textcoords="offset points", fontsize=8, ha=side
            )
        line = picture.line
        if line.low is not None and line.high is not None:
            marks, unit = marks_of(line.low, line.high)
            axes.set_xticks([at for at, _ in marks], [name for _, name in marks])
            axes.set_xlabel(f"position on chromosome {line.stretches[0].name} ({unit})")
        else:
            places = shown(line.stretches, _CHARACTER)
            axes.set_xticks([s.middle for s in places], [s.name for s in places])
            axes.tick_params(axis="x", length=0)
            axes.set_xlabel(
                "chromosome" if len(line.stretches) > 1 else "variants, in the order of the store"
            )
        axes.set_xlim(-0.008, 1.008)
        axes.set_ylim(0, picture.top)
        axes.set_ylabel("−log₁₀ p")
        axes.set_title(title, loc="left", fontsize=11)

    _write(file, draw, WIDE, HIGH)


def write_qq(file: Path, picture: Quantiles, title: str) -> None:
    """Write a QQ plot."""

    def draw(axes: "Axes") -> None:
        at, low, high = picture.band
        axes.fill_between(at, low, high, color=PALE, linewidth=0)
        longest = float(at.max(initial=1.0))
        highest = max(float(picture.observed.max(initial=1.0)), longest)
        axes.plot([0, longest], [0, longest], color=GREY, linewidth=1, zorder=1)
        axes.scatter(picture.expected, picture.observed, s=9, color=EVEN, linewidths=0, clip_on=False)
        if picture.inflation is not None:
            axes.text(0.05, 0.93, f"λ = {picture.inflation:.3f}", transform=axes.transAxes)
        axes.set_xlim(0, 1.04 * longest)
        axes.set_ylim(0, 1.04 * highest)
        axes.set_xlabel("expected −log₁₀ p")
        axes.set_ylabel("observed −log₁₀ p")
        axes.set_title(title, loc="left", fontsize=11)

    _write(file, draw, SIDE, SIDE)


def _write(file: Path, draw: "Callable[[Axes], None]", width: float, height: float) -> None:
    # Imported here, so that whoever only holds the numbers does not wait for it.
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with DRAWING, rc_context(SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        canvas = FigureCanvasAgg(figure)
        draw(figure.add_subplot())
        canvas.print_figure(file, dpi=DOTS, format="png", metadata={"Software": "Noisegate"})
