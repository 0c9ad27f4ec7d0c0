"""What was painted at a glance: three planes with the region before, and with the label after."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from diffad.data.volume import Array
from diffad.fill.picture import GAP, LEFT, LINE, OUTLINE, PLANES, TILE, TOP
from diffad.report.canvas import BRIGHT, PAPER, PLAIN, place_axes, place_text
from diffad.report.plane_tile import draw_plane_tile
from diffad.synthesise.result import SynthesisedScan

LABEL = "#35c3ff"


def draw_synthesis(result: SynthesisedScan, title: str) -> bytes:
    """Draw a scan with the outline of its region, and what was painted with that of its label, as PNG.

    Args:
        result: The scan.
        title: What the picture is called.
    """
    size = 2 * LEFT + 3 * TILE + 2 * GAP, TOP + 2 * (TILE + LINE)
    figure = Figure(size, dpi=110, facecolor=PAPER)
    FigureCanvasAgg(figure)
    place_text(figure, LEFT, 0.14, title, 11, BRIGHT, weight="bold")
    subject = result.info.get("prompt") or f"class {result.info.get('class', '?')}"
    rows = (
        ("Scan, and where it may change", result.scan.data[0], result.region.fill_mask, OUTLINE),
        (f"Painted: {subject}; outlined is its label", result.image, result.label, LABEL),
    )
    for number, (words, image, mask, colour) in enumerate(rows):
        top = TOP + number * (TILE + LINE)
        place_text(figure, LEFT, top - 0.2, words, 8, PLAIN)
        _draw_row(figure, result, image, mask, colour, top)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _draw_row(
    figure: Figure, result: SynthesisedScan, image: Array, mask: Array, colour: str, top: float
) -> None:
    region = result.region
    low, high = np.percentile(result.scan.data[0][region.brain], (0.5, 99.5)).tolist()
    outlines = {colour: mask} if mask.any() else {}
    is_slice = 1 in image.shape
    for column, axis in enumerate(PLANES[:1] if is_slice else PLANES):
        index = int(region.fill_mask.sum(tuple(a for a in range(3) if a != axis)).argmax())
        axes = place_axes(figure, LEFT + column * (TILE + GAP), top, TILE, TILE)
        axes.set_axis_off()
        draw_plane_tile(axes, image, result.scan.spacing.tolist(), (axis, index), (low, high), outlines, 0.9)
