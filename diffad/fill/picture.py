"""A filled scan at a glance: three planes through the region, before and after."""

from __future__ import annotations

import io

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from diffad.config.choices import AXES
from diffad.data.slices import slice_spacing
from diffad.data.volume import Array
from diffad.fill.result import FilledScan
from diffad.report.canvas import BRIGHT, PAPER, PLAIN, place_axes, place_text
from diffad.report.planes import SIDES, orient_plane
from diffad.report.tiles import draw_image, draw_outline, write_sides

OUTLINE = "#ffb02e"
TILE, GAP, LEFT, TOP, LINE = 2.6, 0.08, 0.16, 0.66, 0.26
"""Edge of a tile, space between tiles, margins, and height of a line, in inches."""
PLANES = (2, 1, 0)
"""Planes of a row: axial, coronal and sagittal, by the axis they are cut along."""


def draw_filled(filled: FilledScan, title: str) -> bytes:
    """Draw the scan with the outline of what was filled, and the filled scan below, as PNG.

    Args:
        filled: The filled scan.
        title: What the picture is called.
    """
    size = 2 * LEFT + 3 * TILE + 2 * GAP, TOP + 2 * (TILE + LINE)
    figure = Figure(size, dpi=110, facecolor=PAPER)
    FigureCanvasAgg(figure)
    place_text(figure, LEFT, 0.14, title, 11, BRIGHT, weight="bold")
    before = (
        f"Scan, and what was filled ({filled.region.share:.1%} of the brain)",
        filled.scan.data[0],
        True,
    )
    after = (f"Filled by {filled.info.get('model', 'a model')}", filled.image, False)
    for index, (words, image, outlined) in enumerate((before, after)):
        top = TOP + index * (TILE + LINE)
        place_text(figure, LEFT, top - 0.2, words, 8, PLAIN)
        for column, axis in enumerate(PLANES):
            _draw_tile(figure, filled, image, axis, (LEFT + column * (TILE + GAP), top), outlined)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _draw_tile(
    figure: Figure, filled: FilledScan, image: Array, axis: int, corner: tuple[float, float], outlined: bool
) -> None:
    axes = place_axes(figure, *corner, TILE, TILE)
    axes.set_axis_off()
    region = filled.region
    index = int(region.inside.sum(tuple(a for a in range(3) if a != axis)).argmax())
    plane = orient_plane(torch.from_numpy(np.ascontiguousarray(image))[None], axis, index)
    low, high = np.percentile(filled.scan.data[0][region.brain], (0.5, 99.5)).tolist()
    draw_image(axes, plane, Normalize(min(low, 0.0), max(high, low + 1e-6)), "gray")
    if outlined:
        draw_outline(axes, orient_plane(torch.from_numpy(region.inside)[None], axis, index), OUTLINE, 0.9)
    write_sides(axes, SIDES[axis])
    down, across = slice_spacing(filled.scan.spacing.tolist(), AXES[axis])
    axes.set(xlim=(-0.5, plane.shape[1] - 0.5), ylim=(plane.shape[0] - 0.5, -0.5))
    axes.set_aspect(down / across)
