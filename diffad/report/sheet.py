"""How a picture of several slices is drawn: rows of tiles on black, one colour bar, text around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from diffad.data.volume import Array
from diffad.report.canvas import BRIGHT, PAPER, PLAIN, place_axes, place_text
from diffad.report.overview import HEIGHT, UNSEEN, Overview
from diffad.report.planes import PictureRow
from diffad.report.sheet_text import WARNING as WARNING
from diffad.report.sheet_text import SheetText as SheetText
from diffad.report.tiles import (
    draw_image,
    draw_outline,
    draw_ruler,
    fill_mask,
    hatch_mask,
    write_corner,
    write_sides,
)

TRUTH, OTHER_TRUTH, DETECTION, BRAIN = "#35e0ff", "#2b7f90", "#ffb02e", "#5c5470"
MAP, MAP_TITLE = "inferno", "Anomaly map"
TILE, GAP, LEFT, RIGHT, TOP, BOTTOM = 1.9, 0.1, 1.4, 0.16, 1.22, 1.12
"""Width of a tile, space between tiles, and margins, in inches."""
LONGEST = 10.0
"""Longest side of a tile over the other; a body is not so long, but voxels of a wrong size are."""


@dataclass(frozen=True)
class Sheet:
    """A picture of several rows with everything that all tiles share.

    Args:
        rows: Rows of tiles, top to bottom, all of one shape.
        threshold: Threshold of the detections, in units of the map.
        spacing: Pixel size (row, column) in mm; none if unknown.
        sides: Letters at the left and right edge of a slice, or none.
        window: Intensities that are black and white; by default those of the brain.
        overview: The whole brain in small, above the rows; none for none.
    """

    rows: Sequence[PictureRow]
    threshold: float
    spacing: tuple[float, float] | None = None
    sides: tuple[str, str] | None = None
    window: tuple[float, float] | None = None
    overview: Overview | None = None

    @cached_property
    def aspect(self) -> float:
        """Height of a pixel over its width, within what leaves no side of a tile too long for a picture."""
        aspect = self.spacing[0] / self.spacing[1] if self.spacing else 1.0
        rows, columns = self.crop
        tile = (rows.stop - rows.start) / (columns.stop - columns.start)
        if 1 / LONGEST <= aspect * tile <= LONGEST:
            return aspect
        return (LONGEST if aspect * tile > LONGEST else 1 / LONGEST) / tile

    @cached_property
    def crop(self) -> tuple[slice, slice]:
        """Rows and columns around the brain, which are what is drawn of a slice."""
        brain = np.any([r.brain for r in self.rows], 0)
        if not brain.any():
            return slice(0, brain.shape[0]), slice(0, brain.shape[1])
        margin = 0.02 * max(np.ptp(np.flatnonzero(brain.any(axis))) for axis in (0, 1)) + 1
        rows, columns = (_cut_around(brain.any(axis), margin) for axis in (1, 0))
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

    @cached_property
    def worst_row(self) -> PictureRow:
        """The row with the most detections, or without any the highest map."""
        return max(self.rows, key=lambda row: (int(row.detections.sum()), float(row.anomaly.max())))

    @cached_property
    def tile_height(self) -> float:
        """Height of a tile, in inches."""
        rows, columns = self.crop
        return TILE * self.aspect * (rows.stop - rows.start) / (columns.stop - columns.start)

    def draw(self, text: SheetText) -> Figure:
        """Draw the picture."""
        columns = self._list_columns()
        pitch, width = self.tile_height + GAP, LEFT + len(columns) * (TILE + GAP) + RIGHT
        head = text.measure_height(width)
        top = TOP + head + (HEIGHT + 0.3 if self.overview else 0)
        size = width, top + len(self.rows) * pitch + BOTTOM
        figure = Figure(size, dpi=150, facecolor=PAPER)
        FigureCanvasAgg(figure)
        for i, row in enumerate(self.rows):
            self._draw_row(figure, row, top + i * pitch, columns, is_last=i == len(self.rows) - 1)
        for j, (title, colour, _) in enumerate(columns):
            left = LEFT + j * (TILE + GAP)
            place_text(figure, left + TILE / 2, top - 0.1, title, 9.5, colour, ha="center", va="bottom")
            if title == MAP_TITLE:
                self._draw_bar(figure, left, size[1] - BOTTOM + 0.1)
        if self.overview:
            self.overview.draw(figure, TOP + head - 0.3)
        text.write(figure)
        return figure

    def _list_columns(self) -> list[tuple[str, str, Any]]:
        """Return title, colour of the title and painter of each column."""
        has_truth = any(r.lesion is not None for r in self.rows)
        truth = [("Ground truth", TRUTH, self._paint_truth)] if has_truth else []
        return [
            ("Scan", PLAIN, self._paint_scan),
            *truth,
            ("Pseudo-healthy reconstruction", PLAIN, self._paint_reconstruction),
            (MAP_TITLE, PLAIN, self._paint_map),
            ("Detections", DETECTION, self._paint_detections),
        ]

    def _draw_row(
        self,
        figure: Figure,
        row: PictureRow,
        top: float,
        columns: Sequence[tuple[str, str, Any]],
        is_last: bool,
    ) -> None:
        middle = top + self.tile_height / 2
        place_text(figure, 0.16, middle - 0.03, row.label, 10.5, BRIGHT, weight="bold", va="bottom")
        place_text(figure, 0.16, middle + 0.03, row.note, 8.5, PLAIN)
        for j, (_, _, paint) in enumerate(columns):
            axes = place_axes(figure, LEFT + j * (TILE + GAP), top, TILE, self.tile_height)
            axes.set_axis_off()
            axes.set_label("worst tile" if row is self.worst_row else "tile")
            paint(axes, row)
            self._set_limits(axes)
            if j == 0 and self.sides:
                write_sides(axes, self.sides)
            if j == 0 and is_last and self.spacing:
                draw_ruler(axes, self.crop, self.spacing)

    def _set_limits(self, axes: Axes) -> None:
        rows, columns = self.crop
        axes.set(xlim=(columns.start - 0.5, columns.stop - 0.5), ylim=(rows.stop - 0.5, rows.start - 0.5))
        axes.set_aspect(self.aspect)

    def _paint_scan(self, axes: Axes, row: PictureRow) -> None:
        draw_image(axes, row.scan, self.grey, "gray")

    def _paint_reconstruction(self, axes: Axes, row: PictureRow) -> None:
        draw_image(axes, row.reconstruction, self.grey, "gray")

    def _paint_map(self, axes: Axes, row: PictureRow) -> None:
        draw_image(axes, row.anomaly, self.heat, MAP)
        draw_outline(axes, row.brain, BRAIN, 0.6)
        if row.unseen_mask is not None:
            hatch_mask(axes, row.unseen_mask, UNSEEN)

    def _paint_truth(self, axes: Axes, row: PictureRow) -> None:
        self._paint_scan(axes, row)
        if row.lesion is None or not row.lesion.any():
            write_corner(axes, "unknown" if row.lesion is None else "no lesion", TRUTH)
        else:
            draw_outline(axes, row.lesion, TRUTH, 1.3)
        if row.others is not None:
            draw_outline(axes, row.others, OTHER_TRUTH, 0.9)

    def _paint_detections(self, axes: Axes, row: PictureRow) -> None:
        self._paint_scan(axes, row)
        if row.unseen_mask is not None:
            hatch_mask(axes, row.unseen_mask, UNSEEN)
        fill_mask(axes, row.detections, DETECTION)
        draw_outline(axes, row.detections, DETECTION, 1.0)
        if row.lesion is not None:
            draw_outline(axes, row.lesion, TRUTH, 0.9)

    def _draw_bar(self, figure: Figure, left: float, top: float) -> None:
        axes = place_axes(figure, left, top, TILE, 0.11)
        bar = figure.colorbar(ScalarMappable(self.heat, MAP), cax=axes, orientation="horizontal")
        bar.outline.set_visible(False)
        highest = self.heat.vmax or 1.0
        bar.set_ticks([0, highest], labels=["0", f"{highest:.2g}"])
        bar.ax.tick_params(colors=PLAIN, labelsize=7, length=0, pad=3)
        first, last = bar.ax.get_xticklabels()
        first.set_horizontalalignment("left")
        last.set_horizontalalignment("right")
        style: dict[str, Any] = {"transform": bar.ax.get_xaxis_transform(), "clip_on": False}
        bar.ax.plot([self.threshold] * 2, [-1.5, 1.2], color=BRIGHT, lw=1.2, **style)
        text = f"threshold {self.threshold:.3g}"
        bar.ax.text(self.threshold, -1.8, text, color=BRIGHT, fontsize=7.5, ha="center", va="top", **style)


def _cut_around(line: Array, margin: float) -> slice:
    indices = np.flatnonzero(line)
    return slice(max(0, int(indices[0] - margin)), min(len(line), int(indices[-1] + margin) + 1))
