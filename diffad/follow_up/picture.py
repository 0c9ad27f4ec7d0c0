"""Planes of both visits side by side, as rows of tiles in one picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from diffad.config.choices import AXES
from diffad.follow_up.changes import FindingChange
from diffad.follow_up.comparison import Comparison
from diffad.follow_up.judgement import STATUSES
from diffad.follow_up.tiles import COLOURS, ComparisonTiles, cut_plane
from diffad.report.canvas import PAPER, PLAIN, place_axes, place_text
from diffad.report.planes import LETTERS, SIDES
from diffad.report.sheet_text import SheetText
from diffad.report.tiles import write_sides

TILE, GAP, LEFT, TOP, BOTTOM, LINE = 1.75, 0.08, 1.15, 0.86, 1.0, 0.24
"""Width of a tile, space between tiles, margins, and height of a line, in inches."""
PLANES = (2, 1, 0)
"""Planes of a picture: axial, coronal and sagittal, by the axis they are cut along."""
Row = tuple[int, int]
"""Axis and index of a plane."""


@dataclass(frozen=True)
class FollowUpPicture:
    """Planes of a comparison as rows of tiles.

    Args:
        comparison: The comparison.
    """

    comparison: Comparison

    @cached_property
    def tiles(self) -> ComparisonTiles:
        """What its tiles show."""
        return ComparisonTiles(self.comparison)

    def draw(self, rows: Sequence[Row], text: SheetText | None = None) -> bytes:
        """Draw planes as rows of tiles, as PNG.

        Args:
            rows: The planes, by axis and index.
            text: What is written around them; nothing but the heads of the columns without it.
        """
        columns = self.tiles.list_columns()
        heights = [self._measure_tile(axis) for axis, _ in rows]
        width = LEFT + len(columns) * (TILE + GAP) + 0.1
        top = LINE + 0.06 if text is None else TOP + text.measure_height(width) + 2 * LINE
        height = top + sum(heights) + GAP * len(rows) + (0.05 if text is None else BOTTOM)
        figure = Figure((width, height), dpi=130, facecolor=PAPER)
        FigureCanvasAgg(figure)
        for column, (title, _) in enumerate(columns):
            middle = LEFT + column * (TILE + GAP) + TILE / 2
            place_text(figure, middle, top - 0.05, title, 8.5, PLAIN, ha="center", va="bottom")
        offset = top
        for (axis, index), tile_height in zip(rows, heights, strict=True):
            self._draw_row(figure, axis, index, offset, tile_height)
            offset += tile_height + GAP
        if text is not None:
            text.write(figure)
            self._write_legend(figure, top - LINE - 0.12)
        content = io.BytesIO()
        figure.savefig(content, format="png")
        return content.getvalue()

    def _draw_row(self, figure: Figure, axis: int, index: int, top: float, height: float) -> None:
        world = self._find_position(axis, index)
        place_text(figure, 0.12, top + height / 2 - 0.14, AXES[axis], 9, PLAIN, weight="bold")
        place_text(figure, 0.12, top + height / 2 + 0.04, f"{LETTERS[axis]} = {world:+.0f} mm", 7.5, PLAIN)
        for column, (_, paint) in enumerate(self.tiles.list_columns()):
            axes = place_axes(figure, LEFT + column * (TILE + GAP), top, TILE, height)
            axes.set_axis_off()
            paint(axes, axis, index)
            rows, columns = self._crop(axis)
            axes.set(xlim=(columns[0] - 0.5, columns[1] + 0.5), ylim=(rows[1] + 0.5, rows[0] - 0.5))
            axes.set_aspect("auto")
            if column == 0:
                write_sides(axes, SIDES[axis])

    def _find_position(self, axis: int, index: int) -> float:
        affine = self.comparison.midpoint.grid.affine
        return float(affine[axis, axis] * index + affine[axis, 3])

    def _crop(self, axis: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return first and last row and column of the brain in planes along an axis, with a rim."""
        shadow = cut_plane(np.asarray(self.tiles.brain.any(axis, keepdims=True)), axis, 0)
        lines = [np.flatnonzero(shadow.any(a)) for a in (1, 0)]
        first, second = [(int(line[0]) - 2, int(line[-1]) + 2) for line in lines]
        return first, second

    def _measure_tile(self, axis: int) -> float:
        rows, columns = self._crop(axis)
        return TILE * (rows[1] - rows[0] + 1) / (columns[1] - columns[0] + 1)

    def _write_legend(self, figure: Figure, top: float) -> None:
        """Write what the colours of the outlines mean, of those that occur."""
        left = LEFT
        for status in STATUSES:
            if any(change.status == status for change in self.comparison.changes):
                place_text(figure, left, top, status, 8.5, COLOURS[status], weight="bold", va="bottom")
                left += 0.25 + 0.075 * len(status)


def choose_change_place(comparison: Comparison, change: FindingChange | None) -> tuple[int, int, int]:
    """Return the voxel that planes go through: where the maps differ most in a change, or anywhere.

    Args:
        comparison: The comparison.
        change: The change; none for the whole brain.
    """
    weight = np.abs(comparison.map_change)
    if change is not None:
        images, numbers = comparison.images, (change.first_detections, change.second_detections)
        region = np.any(
            [np.isin(image["labels"], side or [-1]) for image, side in zip(images, numbers, strict=True)],
            axis=0,
        )
        weight = np.where(region, weight + 1e-6, 0)
    i, j, k = np.unravel_index(int(weight.argmax()), weight.shape)
    return int(i), int(j), int(k)


def find_largest(changes: Sequence[FindingChange]) -> FindingChange | None:
    """Return the largest change that re-scanning does not give, else the largest, else none."""
    certain = [change for change in changes if change.beyond_noise]
    return next(iter([*certain, *changes]), None)
