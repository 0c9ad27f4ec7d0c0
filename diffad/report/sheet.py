"""How a picture is drawn: lines of tiles on black, one colour bar, words around them."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from diffad.report.planes import Array, PictureRow

TRUTH, DIM_TRUTH, FOUND = "#35e0ff", "#2b7f90", "#ffb02e"
PAPER, BRIGHT, PLAIN, FAINT = "#000000", "#f4f6f8", "#b4bcc6", "#7d8794"
MAP, MAP_TITLE = "inferno", "Anomaly map"
TILE, GAP, LEFT, RIGHT, TOP, BOTTOM = 1.9, 0.1, 1.4, 0.16, 1.22, 1.12
"""Width of a tile, space between tiles, and margins, in inches."""


@dataclass(frozen=True)
class SheetText:
    """What is written around the tiles.

    Args:
        title: Name of the scan.
        subtitle: What was found.
        footer: What made it.
    """

    title: str
    subtitle: str = ""
    footer: str = ""


@dataclass(frozen=True)
class Sheet:
    """A picture of several rows with everything that all tiles share.

    Args:
        rows: Lines, top to bottom, of one shape.
        threshold: Threshold of the detections, in units of the map.
        spacing: Pixel size (row, column) in mm; none where unknown.
        sides: Letters at the left and right edge of a slice, or none.
        window: Intensities shown black and white; none finds them in the brain.
    """

    rows: Sequence[PictureRow]
    threshold: float
    spacing: tuple[float, float] | None = None
    sides: tuple[str, str] | None = None
    window: tuple[float, float] | None = None

    @cached_property
    def aspect(self) -> float:
        """Height of a pixel over its width."""
        return self.spacing[0] / self.spacing[1] if self.spacing else 1.0

    @cached_property
    def crop(self) -> tuple[slice, slice]:
        """The part of the slices around the brain that is shown."""
        brain = np.any([r.brain for r in self.rows], 0)
        if not brain.any():
            return slice(0, brain.shape[0]), slice(0, brain.shape[1])
        margin = 0.02 * max(np.ptp(np.flatnonzero(brain.any(axis))) for axis in (0, 1)) + 1
        rows, columns = (_around(brain.any(axis), margin) for axis in (1, 0))
        return rows, columns

    @cached_property
    def grey(self) -> Normalize:
        """Intensities from black to white."""
        if self.window:
            return Normalize(*self.window)
        values = np.concatenate([r.scan[r.brain] for r in self.rows])
        low, high = np.percentile(values, (0.5, 99.9)) if values.size else (0.0, 1.0)
        black = low - 0.1 * (high - low)  # dark tissue stays apart from the background
        return Normalize(max(0.0, black) if low >= 0 else black, high if high > low else low + 1)

    @cached_property
    def heat(self) -> Normalize:
        """Map values from black to the brightest colour."""
        values = np.concatenate([r.anomaly[r.brain] for r in self.rows])
        top = float(np.percentile(values, 99.8)) if values.size else 0.0
        return Normalize(0, max(top, 1.5 * self.threshold, 1e-6))

    def draw(self, words: SheetText) -> Figure:
        """Draw the picture."""
        columns = self._columns()
        ys, xs = self.crop
        height = TILE * self.aspect * (ys.stop - ys.start) / (xs.stop - xs.start)
        across = LEFT + len(columns) * (TILE + GAP) + RIGHT
        down = TOP + len(self.rows) * (height + GAP) + BOTTOM
        figure = Figure((across, down), dpi=150, facecolor=PAPER)
        FigureCanvasAgg(figure)
        for i, row in enumerate(self.rows):
            top = TOP + i * (height + GAP)
            _write(figure, 0.16, top + height / 2 - 0.03, row.label, 10.5, BRIGHT, weight="bold", va="bottom")
            _write(figure, 0.16, top + height / 2 + 0.03, row.note, 8.5, PLAIN, va="top")
            for j, (_, _, paint) in enumerate(columns):
                axes = _place(figure, LEFT + j * (TILE + GAP), top, TILE, height)
                paint(axes, row)
                self._frame(axes)
                self._letters(axes, letters=j == 0, ruler=j == 0 and i == len(self.rows) - 1)
        for j, (name, colour, _) in enumerate(columns):
            middle = LEFT + j * (TILE + GAP) + TILE / 2
            _write(figure, middle, TOP - 0.1, name, 9.5, colour, ha="center", va="bottom")
            if name == MAP_TITLE:
                self._bar(figure, middle - TILE / 2, down - BOTTOM + 0.1)
        _around_tiles(figure, words, across, down)
        return figure

    def _columns(self) -> list[tuple[str, str, Any]]:
        known = any(r.lesion is not None for r in self.rows)
        truth = [("True lesion", TRUTH, self._truth)] if known else []
        found = [(MAP_TITLE, PLAIN, self._map), ("Detections", FOUND, self._overlay)]
        return [("Scan", PLAIN, self._scan), *truth, ("Pseudo-healthy twin", PLAIN, self._twin), *found]

    def _scan(self, axes: Axes, row: PictureRow) -> None:
        _show(axes, row.scan, self.grey, "gray")

    def _twin(self, axes: Axes, row: PictureRow) -> None:
        _show(axes, row.twin, self.grey, "gray")

    def _map(self, axes: Axes, row: PictureRow) -> None:
        _show(axes, row.anomaly, self.heat, MAP)
        _outline(axes, row.brain, "#5c5470", 0.6)

    def _truth(self, axes: Axes, row: PictureRow) -> None:
        self._scan(axes, row)
        if row.lesion is None or not row.lesion.any():
            word: dict[str, Any] = {"transform": axes.transAxes, "ha": "left", "va": "top", "fontsize": 8}
            axes.text(0.02, 0.98, "not known" if row.lesion is None else "none", color=TRUTH, **word)
        else:
            _outline(axes, row.lesion, TRUTH, 1.3)
        if row.others is not None:
            _outline(axes, row.others, DIM_TRUTH, 0.9)

    def _overlay(self, axes: Axes, row: PictureRow) -> None:
        self._scan(axes, row)
        fill = np.zeros((*row.detected.shape, 4))
        fill[row.detected] = (*to_rgb(FOUND), 0.38)
        axes.imshow(fill, interpolation="nearest")
        _outline(axes, row.detected, FOUND, 1.0)
        if row.lesion is not None:
            _outline(axes, row.lesion, TRUTH, 0.9)

    def _frame(self, axes: Axes) -> None:
        ys, xs = self.crop
        axes.set(xlim=(xs.start - 0.5, xs.stop - 0.5), ylim=(ys.stop - 0.5, ys.start - 0.5))
        axes.set_aspect(self.aspect)

    def _letters(self, axes: Axes, letters: bool, ruler: bool) -> None:
        # a dark rim keeps them readable where the tile is bright
        rim: dict[str, Any] = {"path_effects": [withStroke(linewidth=2.2, foreground=PAPER)]}
        style = {"transform": axes.transAxes, "fontsize": 8, "color": BRIGHT, "va": "top", **rim}
        if letters and self.sides:
            axes.text(0.02, 0.98, self.sides[0], ha="left", **style)
            axes.text(0.98, 0.98, self.sides[1], ha="right", **style)
        if ruler and self.spacing:
            ys, xs = self.crop
            length, y = 20 / self.spacing[1], ys.stop - 0.5 - 0.035 * (ys.stop - ys.start)
            start = xs.start + 0.03 * (xs.stop - xs.start)
            axes.plot([start, start + length], [y, y], color=BRIGHT, lw=1.6, solid_capstyle="butt", **rim)
            axes.text(
                start, y - 0.025 * (ys.stop - ys.start), "2 cm", fontsize=7, color=BRIGHT, va="bottom", **rim
            )

    def _bar(self, figure: Figure, left: float, top: float) -> None:
        axes = _place(figure, left, top, TILE, 0.11)
        axes.set_axis_on()
        bar = figure.colorbar(ScalarMappable(self.heat, MAP), cax=axes, orientation="horizontal")
        bar.outline.set_visible(False)
        top_value = self.heat.vmax or 1.0
        bar.set_ticks([0, top_value], labels=["0", f"{top_value:.2g}"])
        bar.ax.tick_params(colors=PLAIN, labelsize=7, length=0, pad=3)
        least, most = bar.ax.get_xticklabels()
        least.set_horizontalalignment("left")
        most.set_horizontalalignment("right")
        down: dict[str, Any] = {"transform": bar.ax.get_xaxis_transform(), "clip_on": False}
        bar.ax.plot([self.threshold] * 2, [-1.5, 1.2], color=BRIGHT, lw=1.2, **down)
        text = f"threshold {self.threshold:.3g}"
        bar.ax.text(self.threshold, -1.8, text, color=BRIGHT, fontsize=7.5, ha="center", va="top", **down)


def _around_tiles(figure: Figure, words: SheetText, across: float, down: float) -> None:
    room = int(across * 16.5)
    most = int(across * 7.5)
    title = words.title if len(words.title) <= most else f"{words.title[: most - 4]} ..."
    _write(figure, 0.16, 0.2, title, 15, BRIGHT, weight="bold")
    _write(figure, 0.16, 0.52, words.subtitle, 9.5, PLAIN)
    footer = "\n".join(line for part in words.footer.splitlines() for line in textwrap.wrap(part, room))
    _write(figure, 0.16, down - 0.16, footer, 7, FAINT, va="bottom", linespacing=1.5)


def _write(figure: Figure, x: float, y: float, text: str, size: float, colour: str, **style: Any) -> None:
    """Write at (x, y) inches from the upper left corner."""
    across, down = figure.get_size_inches()
    # scan names may hold dollar signs, which are no formulas
    style = {"va": "top", "family": "DejaVu Sans", **style}
    figure.text(x / across, 1 - y / down, text, fontsize=size, color=colour, parse_math=False, **style)


def _place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    across, down = figure.get_size_inches()
    axes = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    axes.set_facecolor(PAPER)
    axes.set_axis_off()
    return axes


def _show(axes: Axes, image: Array, norm: Normalize, colours: str) -> None:
    axes.imshow(image, cmap=colours, norm=norm, interpolation="bicubic")


def _outline(axes: Axes, mask: Array, colour: str, width: float) -> None:
    if mask.any():  # a rim of zeros closes outlines at the border of the image
        rimmed = np.pad(mask.astype(float), 1)
        y, x = (np.arange(n) - 1 for n in rimmed.shape)
        axes.contour(x, y, rimmed, levels=[0.5], colors=colour, linewidths=width)


def _around(line: Array, margin: float) -> slice:
    marked = np.flatnonzero(line)
    return slice(max(0, int(marked[0] - margin)), min(len(line), int(marked[-1] + margin) + 1))
