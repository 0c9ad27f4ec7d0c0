"""The whole brain in two small planes: what was analysed, where detections lie, which slices are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from diffad.config.choices import AXES
from diffad.data.slices import slice_spacing
from diffad.data.volume import Array
from diffad.inference.flagged import format_share
from diffad.inference.output import AnomalyOutput
from diffad.report.canvas import PLAIN, place_axes, place_text
from diffad.report.planes import SIDES, orient_plane
from diffad.report.tiles import draw_image, draw_outline, fill_mask, hatch_mask, write_sides

HEIGHT, GAP, LEFT, LEGEND = 1.45, 0.1, 1.4, 0.24
"""Height of a tile, space between tiles, left margin, and height of a line of the legend, in inches."""
UNSEEN, DETECTION, BRAIN, SLICE = "#8fb3d9", "#ffb02e", "#8d84b0", "#9fe8ff"
MARGIN = 4
"""Voxels around the brain that are shown."""


@dataclass(frozen=True)
class OverviewTile:
    """One plane through the middle of the brain.

    Args:
        scan: Intensities, (H, W).
        brain: Brain mask, alike.
        gap: Part of it that was not analysed, alike.
        detections: Detections of all planes, laid over each other, alike.
        aspect: Height of a pixel over its width.
        sides: Letters at the left and right edge.
        lines: Rows or columns of the slices that are shown, none for another plane.
        is_row: Whether they are rows.
    """

    scan: Array
    brain: Array
    gap: Array
    detections: Array
    aspect: float
    sides: tuple[str, str]
    lines: Sequence[int]
    is_row: bool

    @property
    def crop(self) -> tuple[slice, slice]:
        """Rows and columns around the brain."""
        lines = [np.flatnonzero(self.brain.any(axis)) for axis in (1, 0)]
        ends = [
            (line[0], line[-1]) if len(line) else (0, n - 1)
            for line, n in zip(lines, self.brain.shape, strict=True)
        ]
        rows, columns = (slice(max(0, int(a) - MARGIN), int(b) + MARGIN + 1) for a, b in ends)
        return rows, columns

    @property
    def width(self) -> float:
        """Its width in inches."""
        rows, columns = self.crop
        return min(
            3.0, max(0.3, HEIGHT * (columns.stop - columns.start) / ((rows.stop - rows.start) * self.aspect))
        )


@dataclass(frozen=True)
class Overview:
    """Two planes, and the legend beside them.

    Args:
        tiles: The planes.
        gap_share: Share of the brain that was not analysed.
        grey: Intensities from black to white.
    """

    tiles: Sequence[OverviewTile]
    gap_share: float
    grey: Normalize

    @classmethod
    def of(cls, out: AnomalyOutput, axis: int, slices: Sequence[int]) -> Overview:
        """Cut the result of a volume.

        Args:
            out: Result for a volume.
            axis: Axis that the pictures below are cut along.
            slices: Which of its planes they show.
        """
        brain = out.brain[0, 0].bool()
        share = float(out.unseen_mask[0, 0].sum()) / max(1, int(brain.sum()))
        values = out.image[0, 0][brain].numpy() if brain.any() else out.image[0, 0].numpy().ravel()
        low, high = np.percentile(values[:: max(1, len(values) // 100_000)], (0.5, 99.9)).tolist()
        planes = [a for a in (1, 0, 2) if a != axis][:2]
        tiles = [_cut_tile(out, plane, axis, slices) for plane in planes]
        return cls(tiles, share, Normalize(low - 0.1 * (high - low), high if high > low else low + 1))

    def draw(self, figure: Figure, top: float) -> None:
        """Draw the planes and the legend, from ``top`` inches below the upper edge on."""
        left = LEFT
        for tile in self.tiles:
            self._draw_tile(figure, tile, left, top)
            left += tile.width + GAP
        for index, (colour, has_hatch, text) in enumerate(self._list_legend()):
            y = top + 0.05 + index * LEGEND
            axes = place_axes(figure, left + 0.15, y, 0.3, 0.15)
            axes.set(xticks=[], yticks=[], xlim=(0, 1), ylim=(0, 1))
            axes.fill_between(
                [0, 1],
                0,
                1,
                facecolor="none" if has_hatch else colour,
                hatch="////" if has_hatch else None,
                edgecolor=colour,
                linewidth=0,
            )
            place_text(figure, left + 0.55, y, text, 8.5, PLAIN)

    def _list_legend(self) -> list[tuple[str, bool, str]]:
        """Return colour, whether it is hatched, and text of each line."""
        rest = f"not analysed: {format_share(self.gap_share)} of the brain, of which nothing is known"
        whole = "the whole brain was analysed"
        first = (UNSEEN, True, rest) if self.gap_share else (BRAIN, False, whole)
        return [
            first,
            (DETECTION, False, "detections, of all slices laid over each other"),
            (SLICE, False, "slices shown below"),
        ]

    def _draw_tile(self, figure: Figure, tile: OverviewTile, left: float, top: float) -> None:
        axes = place_axes(figure, left, top, tile.width, HEIGHT)
        axes.set_axis_off()
        draw_image(axes, tile.scan, self.grey, "gray")
        draw_outline(axes, tile.brain, BRAIN, 0.7)
        hatch_mask(axes, tile.gap, UNSEEN)
        fill_mask(axes, tile.detections, DETECTION)
        for line in tile.lines:
            (axes.axhline if tile.is_row else axes.axvline)(line, color=SLICE, lw=0.7)
        rows, columns = tile.crop
        axes.set(xlim=(columns.start - 0.5, columns.stop - 0.5), ylim=(rows.stop - 0.5, rows.start - 0.5))
        axes.set_aspect(tile.aspect)
        write_sides(axes, tile.sides)


def _cut_tile(out: AnomalyOutput, plane: int, axis: int, slices: Sequence[int]) -> OverviewTile:
    assert out.volume is not None
    brain = out.brain[0].bool()
    others = [1 + a for a in range(3) if a != plane]
    indices = brain.any(others[1]).any(others[0]).flatten().nonzero().flatten().tolist()
    middle = indices[len(indices) // 2] if indices else brain.shape[1 + plane] // 2
    shadow = out.mask[0].bool().any(1 + plane, keepdim=True)
    cuts = (out.image[0, :1], brain, out.unseen_mask[0])
    scan, outline, gap = (orient_plane(x, plane, middle) for x in cuts)
    down, across = slice_spacing(out.volume.spacing.tolist(), AXES[plane])
    lines, is_row = _find_lines(plane, axis, slices, out.volume.data.shape[1:])
    return OverviewTile(
        scan, outline, gap, orient_plane(shadow, plane, 0), down / across, SIDES[plane], lines, is_row
    )


def _find_lines(plane: int, axis: int, slices: Sequence[int], shape: Sequence[int]) -> tuple[list[int], bool]:
    """Find where slices along one axis lie in a plane cut along another, as rows or as columns."""
    ramp = np.broadcast_to(np.arange(shape[axis]).reshape([-1 if a == axis else 1 for a in range(3)]), shape)
    numbers = orient_plane(torch.from_numpy(np.ascontiguousarray(ramp))[None], plane, 0)
    is_row = bool(numbers[0, 0] == numbers[0, -1])
    line = (numbers[:, 0] if is_row else numbers[0]).tolist()
    return [line.index(k) for k in slices], is_row
