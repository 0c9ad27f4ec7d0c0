"""How a scan was made ready, at a glance: the brain that was found in it, and how it lies on the template."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from diffad.data.volume import Array, Volume
from diffad.prepare import PreparedScan
from diffad.prepare.geometry import map_voxels, resample
from diffad.prepare.read import get_grid
from diffad.prepare.template import load_mni152
from diffad.report.canvas import BRIGHT, PAPER, PLAIN, place_axes, place_text
from diffad.report.plane_tile import draw_plane_tile

BRAIN, TEMPLATE = "#ffb02e", "#35e0ff"
TILE, GAP, LEFT, TOP, LINE = 1.9, 0.08, 0.16, 0.62, 0.2
"""Edge of a tile, space between tiles, margins, and height of a line, in inches."""
PLANES = (2, 1, 0)
"""Planes of a row: axial, coronal and sagittal, by the axis they are cut along."""


@dataclass(frozen=True)
class OutlineRow:
    """Three planes through the middle of a brain.

    Args:
        title: What they show.
        volume: The scan.
        outlines: Masks (I, J, K) by colour, whose outlines are drawn.
        brain: The mask whose middle the planes go through.
    """

    title: str
    volume: Volume
    outlines: dict[str, Array]
    brain: Array


def draw_preparation(scan: PreparedScan) -> bytes:
    """Draw the scan with the outline of its brain, and the prepared scan with that of the template, as PNG.

    A brain that was not found well, and a registration that failed, show at once. The same scan gives the
    same picture.

    Args:
        scan: A prepared scan.
    """
    rows = [OutlineRow(_describe_brain(scan), scan.native, {BRAIN: scan.native_brain}, scan.native_brain)]
    if _find_step(scan, "register"):
        outlines = {BRAIN: scan.brain, TEMPLATE: _move_template(scan.volume)}
        rows.append(OutlineRow(_describe_registration(scan), scan.volume, outlines, scan.brain))
    pitch = TILE + LINE + 0.16
    size = 2 * LEFT + 3 * TILE + 2 * GAP, TOP + pitch * len(rows)
    figure = Figure(size, dpi=110, facecolor=PAPER)
    FigureCanvasAgg(figure)
    place_text(figure, LEFT, 0.16, "How the scan was made ready", 11, BRIGHT, weight="bold")
    for index, row in enumerate(rows):
        top = TOP + index * pitch
        place_text(figure, LEFT, top - 0.22, row.title, 8, PLAIN)
        for column, axis in enumerate(PLANES):
            _draw_tile(figure, row, axis, LEFT + column * (TILE + GAP), top)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _draw_tile(figure: Figure, row: OutlineRow, axis: int, left: float, top: float) -> None:
    axes = place_axes(figure, left, top, TILE, TILE)
    axes.set_axis_off()
    index = _find_middle(row.brain, axis)
    values = row.volume.data[0][row.brain] if row.brain.any() else row.volume.data[0].ravel()
    low, high = np.percentile(values[:: max(1, len(values) // 100_000)], (0.5, 99.5)).tolist()
    place = (row.volume.spacing.tolist(), (axis, index), (low, high))
    draw_plane_tile(axes, row.volume.data[0], *place, row.outlines, 1.0)


def _find_middle(brain: Array, axis: int) -> int:
    others = tuple(a for a in range(3) if a != axis)
    indices = np.flatnonzero(brain.any(axis=others))
    return int(indices[len(indices) // 2]) if len(indices) else brain.shape[axis] // 2


def _move_template(volume: Volume) -> Array:
    """Return the brain of the template on the grid of a prepared scan."""
    template, grid = load_mni152(), get_grid(volume)
    if grid.shape == template.grid.shape and np.allclose(grid.affine, template.grid.affine):
        return template.brain
    return resample(template.brain, map_voxels(grid, template.grid), grid.shape, nearest=True) > 0.5


def _find_step(scan: PreparedScan, name: str) -> dict[str, Any]:
    steps = [step for step in scan.record["steps"] if step["step"] == name]
    return steps[0] if steps else {}


def _describe_brain(scan: PreparedScan) -> str:
    way = _find_step(scan, "brain").get("way", "unknown")
    litres = float(scan.native_brain.sum()) * scan.native.voxel_ml / 1000
    return f"The scan and the brain that was found in it (orange): {litres:.2f} litres, by {way}"


def _describe_registration(scan: PreparedScan) -> str:
    dice = _find_step(scan, "register").get("dice")
    overlap = "" if dice is None else f", an overlap (Dice) of {dice:.2f}"
    return f"Registered to MNI152: its brain (orange) and that of the template (blue){overlap}"
