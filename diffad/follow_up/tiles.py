"""What the tiles of a comparison show: scans with their detections, maps, and the differences of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize

from diffad.data.volume import Array
from diffad.follow_up.comparison import Comparison
from diffad.follow_up.judgement import STATUSES
from diffad.report.planes import orient_plane
from diffad.report.tiles import draw_image, draw_outline

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
DIFFERENCE = LinearSegmentedColormap.from_list(
    "difference", ["#9fe0ff", "#1f6fb0", "#000000", "#c2521a", "#ffe0b0"]
)
"""Colours of differences: blue below 0, black at 0, orange above."""
Painter = Callable[[Axes, int, int], None]
"""Draws a plane of an axis and an index."""
WIDTHS = {False: 0.7, True: 1.8}
"""Widths of outlines in points, of changes within and beyond noise."""


@dataclass(frozen=True, eq=False)
class Outline:
    """Detections of a visit that are outlined alike.

    Args:
        visit: 0 for the first visit, 1 for the second.
        colour: Colour of their status.
        width: Width in points.
        mask: The detections, (I, J, K), bool.
    """

    visit: int
    colour: str
    width: float
    mask: Array


@dataclass(frozen=True)
class ComparisonTiles:
    """What each tile of a comparison shows.

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
    def outlines(self) -> list[Outline]:
        """Outlines of the detections of both visits, thick where a change is beyond noise."""
        kinds = product((0, 1), STATUSES, (False, True))
        masks = [(v, s, beyond, self.comparison.mask_of(v, s, beyond)) for v, s, beyond in kinds]
        return [Outline(v, COLOURS[s], WIDTHS[beyond], mask) for v, s, beyond, mask in masks if mask.any()]

    def list_columns(self) -> list[tuple[str, Painter]]:
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
        draw_image(axes, cut_plane(scan, axis, index), self.greys[visit], "gray")
        for outline in self.outlines:
            if outline.visit == visit:
                draw_outline(axes, cut_plane(outline.mask, axis, index), outline.colour, outline.width)

    def _paint_map(self, axes: Axes, axis: int, index: int, visit: int) -> None:
        images = self.comparison.images[visit]
        draw_image(axes, cut_plane(images["anomaly"], axis, index), self.heat, "inferno")
        draw_outline(axes, cut_plane(images["brain"], axis, index), COLOURS["not analysed"], 0.6)

    def _paint_map_change(self, axes: Axes, axis: int, index: int) -> None:
        top = self.heat.vmax or 1.0
        self._paint_difference(axes, cut_plane(self.comparison.map_change, axis, index), top, axis, index)

    def _paint_subtraction(self, axes: Axes, axis: int, index: int) -> None:
        top = 0.5 * float((self.greys[0].vmax or 1.0) - (self.greys[0].vmin or 0.0))
        self._paint_difference(axes, cut_plane(self.comparison.subtraction, axis, index), top, axis, index)

    def _paint_difference(self, axes: Axes, plane: Array, top: float, axis: int, index: int) -> None:
        axes.imshow(plane, cmap=DIFFERENCE, norm=Normalize(-top, top), interpolation="bicubic")
        draw_outline(axes, cut_plane(self.brain, axis, index), COLOURS["not analysed"], 0.6)


def cut_plane(image: Array, axis: int, index: int) -> Array:
    """Cut a plane (H, W) out of an image (I, J, K), as radiologists hang it."""
    plane = orient_plane(torch.from_numpy(np.ascontiguousarray(image))[None], axis, index)
    return np.asarray(plane)
