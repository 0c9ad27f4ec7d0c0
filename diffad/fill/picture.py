"""A filled scan at a glance: three planes through the region, before and after."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from diffad.data.volume import Array
from diffad.fill.result import FilledScan
from diffad.report.canvas import BRIGHT, PAPER, PLAIN, place_axes, place_text
from diffad.report.plane_tile import draw_plane_tile

OUTLINE = "#ffb02e"
TILE, GAP, LEFT, TOP, LINE = 2.6, 0.08, 0.16, 0.66, 0.26
"""Edge of a tile, space between tiles, margins, and height of a line, in inches."""
PLANES = (2, 1, 0)
"""Planes of a row: axial, coronal and sagittal, by the axis they are cut along."""


def draw_filled(result: FilledScan, title: str) -> bytes:
    """Draw the scan with the outline of what was filled, and the filled scan below, as PNG.

    Args:
        result: The filled scan.
        title: What the picture is called.
    """
    size = 2 * LEFT + 3 * TILE + 2 * GAP, TOP + 2 * (TILE + LINE)
    figure = Figure(size, dpi=110, facecolor=PAPER)
    FigureCanvasAgg(figure)
    place_text(figure, LEFT, 0.14, title, 11, BRIGHT, weight="bold")
    before = (
        f"Scan, and what was filled ({result.region.share:.1%} of the brain)",
        result.scan.data[0],
        True,
    )
    after = (f"Filled by {result.info.get('model', 'a model')}", result.image, False)
    for index, (words, image, has_outline) in enumerate((before, after)):
        top = TOP + index * (TILE + LINE)
        place_text(figure, LEFT, top - 0.2, words, 8, PLAIN)
        for column, axis in enumerate(PLANES):
            _draw_tile(figure, result, image, axis, (LEFT + column * (TILE + GAP), top), has_outline)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _draw_tile(
    figure: Figure,
    result: FilledScan,
    image: Array,
    axis: int,
    corner: tuple[float, float],
    has_outline: bool,
) -> None:
    axes = place_axes(figure, *corner, TILE, TILE)
    axes.set_axis_off()
    region = result.region
    index = int(region.fill_mask.sum(tuple(a for a in range(3) if a != axis)).argmax())
    low, high = np.percentile(result.scan.data[0][region.brain], (0.5, 99.5)).tolist()
    outlines = {OUTLINE: region.fill_mask} if has_outline else {}
    draw_plane_tile(axes, image, result.scan.spacing.tolist(), (axis, index), (low, high), outlines, 0.9)
