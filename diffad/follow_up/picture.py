"""Both visits side by side: scans with their detections, maps, and the differences of both."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from diffad.config.choices import AXES
from diffad.data.volume import Array
from diffad.follow_up.changes import STATUSES, FindingChange
from diffad.follow_up.comparison import Comparison
from diffad.report.canvas import PAPER, PLAIN, place_axes, place_text
from diffad.report.planes import LETTERS, SIDES, orient_plane
from diffad.report.sheet_text import SheetText
from diffad.report.tiles import draw_image, draw_outline, write_sides

COLOURS = {
    "new": "#ff5a4f",
    "gone": "#4aa8ff",
    "grown": "#ffb02e",
    "shrunk": "#5fe0a0",
    "stable": "#d5d9de",
    "not judged": "#d9a5ff",
    "not analysed": "#8d84b0",
}
"""Colour of each status."""
TILE, GAP, LEFT, TOP, BOTTOM, LINE = 1.75, 0.08, 1.15, 0.86, 1.0, 0.24
"""Width of a tile, space between tiles, margins, and height of a line, in inches."""
DIFFERENCE = LinearSegmentedColormap.from_list(
    "difference", ["#9fe0ff", "#1f6fb0", "#000000", "#c2521a", "#ffe0b0"]
)
"""Colours of differences: blue below 0, black at 0, orange above."""
PLANES = (2, 1, 0)
"""Planes of a picture: axial, coronal and sagittal, by the axis they are cut along."""
Row = tuple[int, int]
"""Axis and index of a plane."""
Painter = Callable[[Axes, int, int], None]


@dataclass(frozen=True)
class FollowUpPicture:
    """What the tiles of a comparison share.

    Args:
        comparison: The comparison.
    """

    comparison: Comparison

    @cached_property
    def brain(self) -> Array:
        """Brain of any visit, (I, J, K), bool."""
        images = self.comparison.images
        brain: Array = images[0]["brain"] | images[1]["brain"]
        return brain

    @cached_property
    def greys(self) -> tuple[Normalize, Normalize]:
        """Intensities from black to white of each visit, matched by the fit of both."""
        values = self.comparison.images[0]["scan"][self.comparison.images[0]["brain"]]
        low, high = (float(v) for v in np.percentile(values, (0.5, 99.8)))
        high = max(high, low + 1e-6)
        fit = self.comparison.fit
        return Normalize(low, high), Normalize(fit.slope * low + fit.offset, fit.slope * high + fit.offset)

    @cached_property
    def heat(self) -> Normalize:
        """Map values from black to the brightest colour."""
        maps = [image["anomaly"][image["brain"]] for image in self.comparison.images]
        top = max(float(np.percentile(values, 99.8)) for values in maps)
        return Normalize(0, max(top, 1.5 * self.comparison.visits[0].threshold, 1e-6))

    @cached_property
    def outlines(self) -> list[tuple[int, str, Array]]:
        """Detections as visit, colour and mask (I, J, K), of every visit and status."""
        masks = [(v, s, self.comparison.mask_of(v, [s])) for v in (0, 1) for s in STATUSES]
        return [(visit, COLOURS[status], mask) for visit, status, mask in masks if mask.any()]

    def draw(self, rows: Sequence[Row], text: SheetText | None = None) -> bytes:
        """Draw planes as rows of tiles, as PNG.

        Args:
            rows: The planes, by axis and index.
            text: What is written around them; nothing but the heads of the columns without it.
        """
        columns = self._list_columns()
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
        for column, (_, paint) in enumerate(self._list_columns()):
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

    def _list_columns(self) -> list[tuple[str, Painter]]:
        """Return title and painter of each column."""
        return [
            ("Visit 1", lambda axes, axis, index: self._paint_scan(axes, axis, index, 0)),
            ("Visit 2", lambda axes, axis, index: self._paint_scan(axes, axis, index, 1)),
            ("Map, visit 1", lambda axes, axis, index: self._paint_map(axes, axis, index, 0)),
            ("Map, visit 2", lambda axes, axis, index: self._paint_map(axes, axis, index, 1)),
            ("Map 2 - map 1", self._paint_map_change),
            ("Scan 2 - scan 1", self._paint_subtraction),
        ]

    def _paint_scan(self, axes: Axes, axis: int, index: int, visit: int) -> None:
        scan = self.comparison.images[visit]["scan"]
        draw_image(axes, _cut(scan, axis, index), self.greys[visit], "gray")
        for owner, colour, mask in self.outlines:
            if owner == visit:
                draw_outline(axes, _cut(mask, axis, index), colour, 1.2)

    def _paint_map(self, axes: Axes, axis: int, index: int, visit: int) -> None:
        images = self.comparison.images[visit]
        draw_image(axes, _cut(images["anomaly"], axis, index), self.heat, "inferno")
        draw_outline(axes, _cut(images["brain"], axis, index), COLOURS["not analysed"], 0.6)

    def _paint_map_change(self, axes: Axes, axis: int, index: int) -> None:
        top = self.heat.vmax or 1.0
        self._paint_difference(axes, _cut(self.comparison.map_change, axis, index), top, axis, index)

    def _paint_subtraction(self, axes: Axes, axis: int, index: int) -> None:
        top = 0.5 * float((self.greys[0].vmax or 1.0) - (self.greys[0].vmin or 0.0))
        self._paint_difference(axes, _cut(self.comparison.subtraction, axis, index), top, axis, index)

    def _paint_difference(self, axes: Axes, plane: Array, top: float, axis: int, index: int) -> None:
        axes.imshow(plane, cmap=DIFFERENCE, norm=Normalize(-top, top), interpolation="bicubic")
        draw_outline(axes, _cut(self.brain, axis, index), COLOURS["not analysed"], 0.6)

    def _crop(self, axis: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return first and last row and column of the brain in planes along an axis, with a rim."""
        shadow = _cut(np.asarray(self.brain.any(axis, keepdims=True)), axis, 0)
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


def _cut(image: Array, axis: int, index: int) -> Array:
    """Cut a plane (H, W) out of an image (I, J, K), as radiologists hang it."""
    plane = orient_plane(torch.from_numpy(np.ascontiguousarray(image))[None], axis, index)
    return np.asarray(plane)


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
