"""The nine panels of a figure for a paper: three planes in rows, three images in columns."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffad.data.slices import axis_index, slice_spacing
from diffad.data.volume import Array, Volume
from diffad.inference.output import AnomalyOutput
from diffad.report.montage import find_ct_window
from diffad.report.planes import LETTERS, SIDES, orient_plane

PLANES = ("axial", "coronal", "sagittal")
TITLES = ("scan", "pseudo-healthy reconstruction", "anomaly map on scan")
LEFT, RIGHT, TOP, BOTTOM, GAP = 6.0, 15.0, 5.0, 1.5, 1.2
"""Margins and space between panels, in mm of paper."""
LETTER, LINE = 1.4, 3.0
"""Width of a letter and height of a line of the titles, in mm of paper."""
FIELD, RULER = 1.06, 50
"""Edge of what a panel shows, over the largest extent of the brain; length of the scale bar in mm."""


@dataclass(frozen=True)
class FigurePanels:
    """Everything the nine panels share.

    Args:
        out: Result for a volume.
        volume: The volume.
        width: Width of the figure, in mm of paper.
        place: Voxel that all planes go through, (i, j, k).
    """

    out: AnomalyOutput
    volume: Volume
    width: float
    place: list[int]

    @cached_property
    def edge(self) -> float:
        """Edge of a panel, in mm of paper."""
        return (self.width - LEFT - RIGHT - 2 * GAP) / 3

    @cached_property
    def titles(self) -> list[str]:
        """Titles of the columns, broken where a panel ends."""
        return [textwrap.fill(title, int(self.edge / LETTER), break_on_hyphens=False) for title in TITLES]

    @cached_property
    def top(self) -> float:
        """Margin above the panels, in mm of paper."""
        return TOP + LINE * max(title.count("\n") for title in self.titles)

    @cached_property
    def height(self) -> float:
        """Height of the figure, in mm of paper."""
        return self.top + 3 * self.edge + 2 * GAP + BOTTOM

    @cached_property
    def brain(self) -> Tensor:
        """Brain mask (1, I, J, K), or everything if it is empty."""
        brain = self.out.brain[0].cpu().bool()
        return brain if brain.any() else torch.ones_like(brain)

    @cached_property
    def field(self) -> float:
        """Edge of what a panel shows, in mm of the patient."""
        indices = self.brain[0].nonzero()
        extent = (indices.max(0).values - indices.min(0).values + 1).numpy() * self.volume.spacing
        return FIELD * float(extent.max())

    @cached_property
    def grey(self) -> tuple[float, float]:
        """Intensities that are black and white."""
        values = self.out.image[0, 0].cpu()[self.brain[0]].numpy()
        low, high = np.percentile(values, (0.5, 99.8)).tolist()
        return find_ct_window(self.out.info) or (min(low, 0.0), max(high, low + 1e-6))

    def draw(self) -> Any:
        """Draw the figure."""
        from matplotlib.colors import Normalize
        from matplotlib.figure import Figure

        figure = Figure(figsize=(self.width / 25.4, self.height / 25.4))
        anomaly = self.out.anomaly_map[0].cpu()
        heat = Normalize(0, max(float(anomaly.max()), 1e-6))
        scan, reconstruction = self.out.image[0, :1].cpu(), self.out.reconstruction[0, :1].cpu()
        for row, plane in enumerate(PLANES):
            for column, image in enumerate((scan, reconstruction, scan)):
                axes = self._add_panel(figure, row, column)
                self._draw_plane(axes, plane, image, "gray", Normalize(*self.grey))
                if column == 2:
                    threshold = float(self.out.info["threshold"])
                    self._draw_plane(axes, plane, anomaly, "inferno", heat, threshold)
                self._set_limits(axes, plane)
                if column == 0:
                    self._write_sides(axes, plane)
            self._write_plane(figure, row, plane)
        self._draw_ruler(figure.axes[0])
        self._write_titles(figure)
        self._draw_bar(figure, heat)
        return figure

    def _add_panel(self, figure: Any, row: int, column: int) -> Any:
        step = self.edge + GAP
        axes = self._place_axes(figure, LEFT + column * step, self.top + row * step, self.edge, self.edge)
        axes.set(facecolor="black", xticks=[], yticks=[])
        return axes

    def _draw_plane(
        self, axes: Any, plane: str, image: Tensor, cmap: str, norm: Any, threshold: float = -np.inf
    ) -> None:
        """Draw a plane of a volume (1, I, J, K) where it is above a threshold."""
        axis = axis_index(plane)
        values = orient_plane(image, axis, self.place[axis]).astype(np.float32)
        (rows, columns), (down, across) = values.shape, self._find_spacing(plane)
        extent = (-0.5 * across, (columns - 0.5) * across, (rows - 0.5) * down, -0.5 * down)
        masked_values = np.ma.masked_less_equal(values, threshold)
        axes.imshow(masked_values, cmap=cmap, norm=norm, extent=extent, interpolation="nearest")

    def _find_spacing(self, plane: str) -> tuple[float, float]:
        return slice_spacing(self.volume.spacing.tolist(), axis_index(plane))

    def _set_limits(self, axes: Any, plane: str) -> None:
        """Show a square of the field's size around the middle of the brain."""
        x, y = self._find_middle(plane)
        half = self.field / 2
        axes.set(xlim=(x - half, x + half), ylim=(y + half, y - half))

    def _find_middle(self, plane: str) -> tuple[float, float]:
        """Return the middle of the brain in a plane, (x, y), in mm."""
        axis = axis_index(plane)
        shadow = orient_plane(self.brain.any(1 + axis, keepdim=True), axis, 0)
        y, x = (
            _find_line_middle(np.asarray(shadow.any(1 - a))) * mm
            for a, mm in enumerate(self._find_spacing(plane))
        )
        return x, y

    def _write_sides(self, axes: Any, plane: str) -> None:
        style: Any = {"transform": axes.transAxes, "color": "white", "va": "top"}
        left, right = SIDES[axis_index(plane)]
        axes.text(0.02, 0.98, left, ha="left", **style)
        axes.text(0.98, 0.98, right, ha="right", **style)

    def _draw_ruler(self, axes: Any) -> None:
        """Draw the scale bar into the first panel."""
        x, y = self._find_middle(PLANES[0])
        half = self.field / 2
        left, low = x - 0.94 * half, y + 0.93 * half
        axes.plot([left, left + RULER], [low, low], color="white", lw=1.2, solid_capstyle="butt")
        axes.text(left, low - 0.03 * half, f"{RULER} mm", color="white", va="bottom")

    def _write_titles(self, figure: Any) -> None:
        for column, title in enumerate(self.titles):
            middle = LEFT + column * (self.edge + GAP) + self.edge / 2
            self._place_text(figure, middle, self.top - 1.2, title, ha="center", va="bottom")

    def _write_plane(self, figure: Any, row: int, plane: str) -> None:
        axis = axis_index(plane)
        world = (self.volume.affine @ [*self.place, 1.0])[axis]
        middle = self.top + row * (self.edge + GAP) + self.edge / 2
        text = f"{plane}, {LETTERS[axis]} = {world:+.0f} mm"
        self._place_text(figure, LEFT - 1.2, middle, text, ha="right", va="center", rotation=90)

    def _draw_bar(self, figure: Any, heat: Any) -> None:
        from matplotlib.cm import ScalarMappable

        left, top = LEFT + 3 * self.edge + 2 * GAP + 2.0, self.top + self.edge + GAP
        axes = self._place_axes(figure, left, top, 2.5, self.edge)
        bar = figure.colorbar(ScalarMappable(heat, "inferno"), cax=axes)
        threshold = float(self.out.info["threshold"])
        bar.set_ticks([0.0, heat.vmax], labels=["0", f"{heat.vmax:.2g}"])
        self._place_text(figure, left, top - 1.2, "score", va="bottom")
        if 0 < threshold < heat.vmax:
            # beside the end of the bar there is room for the text
            y = min(max(threshold / heat.vmax, 0.14), 0.86)
            axes.axhline(threshold, color="white", lw=1.2)
            axes.text(1.5, y, f"shown\nabove\n{threshold:.2g}", transform=axes.transAxes, va="center")

    def _place_axes(self, figure: Any, left: float, top: float, width: float, height: float) -> Any:
        bottom = self.height - top - height
        box = (left / self.width, bottom / self.height, width / self.width, height / self.height)
        return figure.add_axes(box)

    def _place_text(self, figure: Any, x: float, y: float, text: str, **style: Any) -> None:
        figure.text(x / self.width, 1 - y / self.height, text, **style)


def _find_line_middle(line: Array) -> float:
    indices = np.flatnonzero(line)
    return float(indices[0] + indices[-1]) / 2
