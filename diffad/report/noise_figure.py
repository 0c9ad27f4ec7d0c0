"""How the contact sheet of noises is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter
from numpy.typing import NDArray

from diffad.report.canvas import BRIGHT, FAINT, PAPER, PLAIN, place_axes, place_text
from diffad.report.noise_stats import NoiseSample

COLOURS = ("#35e0ff", "#ffb02e", "#ff5d8f", "#7ce38b", "#b48cff", "#f4f6f8", "#e8e05a", "#5a9bff")
ACROSS = 4
"""Fields in a row."""

GREY, GREYS = 3.0, 32
"""Value shown white (its negative is black), in standard deviations of unit noise, and steps between."""

LEFT, TOP, BOTTOM, GAP, SCALE, PANEL, RIGHT = 2.05, 0.75, 0.75, 0.08, 0.85, 3.9, 0.25
"""Column of names, margins, space between tiles, space for a scale, and width of a plot, in inches."""

SMALLEST, LARGEST, BODY = 1.28, 2.1, 4.6
"""Smallest and largest edge of a tile, and least height of all tiles together, in inches."""


@dataclass(frozen=True)
class FigureLayout:
    """Where everything lies, in inches from the upper left corner.

    Args:
        rows: Rows of tiles.
    """

    rows: int

    @property
    def tile(self) -> float:
        """Edge of a tile."""
        return min(LARGEST, max(SMALLEST, BODY / self.rows - GAP))

    @property
    def body(self) -> float:
        """Height of what lies between the margins."""
        return max(BODY, self.rows * (self.tile + GAP) - GAP)

    @property
    def plots(self) -> float:
        """Left edge of the plots."""
        return LEFT + ACROSS * (self.tile + GAP) + SCALE

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the figure."""
        return self.plots + PANEL + RIGHT, TOP + self.body + BOTTOM


def draw_noise_figure(samples: Sequence[NoiseSample], footer: str, count: int) -> Figure:
    """Draw ``count`` fields of each noise in rows, with all spectra and autocorrelations beside them."""
    rows = math.ceil(count / ACROSS)
    layout = FigureLayout(rows * len(samples))
    sheet = Figure(layout.size, dpi=100, facecolor=PAPER)
    FigureCanvasAgg(sheet)
    place_text(sheet, 0.16, 0.2, "Noise", 15, BRIGHT, weight="bold")
    place_text(sheet, 0.16, layout.size[1] - 0.32, footer, 8.5, FAINT)
    scale = f"Grey scale: {-GREY:g} (black) to {GREY:g} (white)"
    place_text(sheet, LEFT, TOP - 0.26, scale, 8.5, PLAIN)
    for i, sample in enumerate(samples):
        colour, top = COLOURS[i % len(COLOURS)], TOP + i * rows * (layout.tile + GAP)
        _write_statistics(sheet, sample, top, colour)
        _draw_tiles(sheet, layout, sample.fields[:count, 0].numpy(), top)
    height = (min(layout.body, 9.5) - SCALE) / 2
    _draw_spectra(place_axes(sheet, layout.plots, TOP, PANEL, height), samples)
    _draw_correlations(place_axes(sheet, layout.plots, TOP + height + SCALE, PANEL, height), samples)
    return sheet


def list_colours() -> list[int]:
    """List the colours of the sheet, red, green and blue in turn: greys, and those of the lines in shades."""
    shades = [(k / (GREYS - 1),) * 3 for k in range(GREYS)]
    lines = [(*to_rgb(colour),) for colour in COLOURS]
    shades += [(r * part, g * part, b * part) for r, g, b in lines for part in (0.25, 0.5, 0.75, 1.0)]
    return [round(255 * value) for shade in shades for value in shade]


def _write_statistics(sheet: Figure, sample: NoiseSample, top: float, colour: str) -> None:
    """Write name, options and statistics of a noise at the left of its tiles."""
    stats = sample.stats
    length = f"{stats.length:.1f} px" if math.isfinite(stats.length) else "none"
    lines = [
        *sample.option_text.split(", "),
        f"std {stats.std:.2f}",
        f"std of means {stats.slice_mean_std:.2f}",
        f"1/e length {length}",
    ]
    place_text(sheet, 0.16, top + 0.05, sample.name, 12, colour, weight="bold")
    place_text(sheet, 0.16, top + 0.32, "\n".join(filter(None, lines)), 8.5, PLAIN, linespacing=1.4)


def _draw_tiles(sheet: Figure, layout: FigureLayout, fields: NDArray[Any], top: float) -> None:
    pitch, greys = layout.tile + GAP, colormaps["gray"].resampled(GREYS)
    for i, field in enumerate(fields):
        row, column = divmod(i, ACROSS)
        axes = place_axes(sheet, LEFT + column * pitch, top + row * pitch, layout.tile, layout.tile)
        axes.imshow(field, cmap=greys, vmin=-GREY, vmax=GREY, interpolation="nearest")
        axes.set_axis_off()


def _draw_spectra(axes: Axes, samples: Sequence[NoiseSample]) -> None:
    for i, sample in enumerate(samples):
        axes.loglog(*sample.stats.spectrum, color=COLOURS[i % len(COLOURS)], lw=1.5)
    axes.axhline(1, color=FAINT, lw=0.8, ls="--")
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 1e-4), max(high, 10))
    axes.set_xticks([0.02, 0.05, 0.1, 0.2, 0.5])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    _style_plot(axes, "Radial power spectrum", "frequency (cycles per pixel)", "power (white noise = 1)")


def _draw_correlations(axes: Axes, samples: Sequence[NoiseSample]) -> None:
    for i, sample in enumerate(samples):
        axes.plot(sample.stats.correlation, color=COLOURS[i % len(COLOURS)], lw=1.5)
    axes.axhline(1 / math.e, color=FAINT, lw=0.8, ls="--")
    style: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "bottom"}
    axes.text(0.99, 1 / math.e, "1/e", color=PLAIN, fontsize=8, **style)
    axes.set_xlim(0, len(samples[0].stats.correlation) - 1)
    _style_plot(axes, "Autocorrelation", "lag (pixels)", "correlation")


def _style_plot(axes: Axes, title: str, across: str, up: str) -> None:
    axes.set_facecolor(PAPER)
    axes.set_title(title, color=BRIGHT, fontsize=10.5, loc="left")
    axes.set_xlabel(across, color=PLAIN, fontsize=9)
    axes.set_ylabel(up, color=PLAIN, fontsize=9)
    axes.tick_params(which="both", colors=PLAIN, labelsize=8)
    axes.grid(color=FAINT, alpha=0.25, lw=0.6)
    for spine in axes.spines.values():
        spine.set_color(FAINT)
