"""The overlap of the detections of a group on the template, as a picture."""

from __future__ import annotations

import io

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from diffad.data.volume import Array
from diffad.group.sums import VoxelSums
from diffad.io.spaces import TEMPLATE_SPACE
from diffad.prepare.template import load_mni152
from diffad.report.canvas import BRIGHT, FAINT, PAPER, PLAIN, place_axes, place_text
from diffad.report.planes import LETTERS, SIDES, orient_plane
from diffad.report.tiles import draw_image, hatch_mask, write_sides

TILE, GAP, LEFT, TOP, LINE, COLUMNS = 1.55, 0.07, 0.2, 0.78, 0.19, 6
"""Width of a tile, space between tiles, margins, height of a line (inches); tiles in a row."""
PLANES_MM = {2: (-45, -30, -18, -6, 4, 14, 24, 34, 44, 54, 62, 70), 1: (-70, -40, -10, 20), 0: (-30, 30)}
"""Planes that are drawn, in mm, by the axis that they are cut along: two rows axial, one of the others."""
COLOURS = "plasma"


def draw_overlap(sums: VoxelSums, title: str) -> bytes:
    """Draw in which share of the scans each voxel has a detection, on the template, as PNG.

    Voxels that were analysed in fewer than half of the scans are hatched: a share of few is none of the
    group. The same sums give the same picture.

    Args:
        sums: Sums of the group.
        title: What the group is called.
    """
    known_mask = sums.count >= sums.least_drawn
    share = np.where(known_mask, sums.overlap, 0.0)
    top = float(share.max()) or 1.0
    tiles = [(axis, mm) for axis, places in PLANES_MM.items() for mm in places]
    rows = -(-len(tiles) // COLUMNS)
    height = TILE * 233 / 197
    size = 2 * LEFT + COLUMNS * (TILE + GAP) + 0.75, TOP + rows * (height + LINE + GAP) + 0.25
    figure = Figure(size, dpi=110, facecolor=PAPER)
    FigureCanvasAgg(figure)
    people = f"n = {sums.scans} scan{'' if sums.scans == 1 else 's'}"
    place_text(figure, LEFT, 0.14, f"Overlap of detections: {title}, {people}", 11, BRIGHT, weight="bold")
    rule = f"drawn where at least {sums.least_drawn} were analysed, else hatched"
    place_text(figure, LEFT, 0.42, f"share of the scans with a detection; {rule}; {TEMPLATE_SPACE}", 8, PLAIN)
    for index, (axis, mm) in enumerate(tiles):
        row, column = divmod(index, COLUMNS)
        place = (LEFT + column * (TILE + GAP), TOP + row * (height + LINE + GAP))
        _draw_tile(figure, share, known_mask, axis, mm, place, height, top)
    _draw_bar(figure, top, rows * (height + LINE))
    place_text(figure, LEFT, size[1] - 0.2, "Research use only. Not a medical device.", 7, FAINT)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def _draw_tile(
    figure: Figure,
    share: Array,
    known_mask: Array,
    axis: int,
    mm: int,
    place: tuple[float, float],
    height: float,
    top: float,
) -> None:
    template = load_mni152()
    affine = template.grid.affine
    index = round((mm - float(affine[axis, 3])) / float(affine[axis, axis]))
    place_text(figure, place[0], place[1] - 0.02, f"{LETTERS[axis]} = {mm:+d} mm", 7, PLAIN)
    axes = place_axes(figure, place[0], place[1] + LINE - 0.04, TILE, height)
    axes.set_axis_off()
    scan, values, sure, brain = (
        orient_plane(torch.from_numpy(np.ascontiguousarray(x))[None], axis, index)
        for x in (template.image, share, known_mask, template.brain)
    )
    draw_image(axes, scan, Normalize(0, 1), "gray")
    hatch_mask(axes, np.asarray(brain & ~sure), PLAIN)
    overlay = np.ma.masked_where(np.asarray(values) <= 0, np.asarray(values))
    axes.imshow(overlay, cmap=COLOURS, norm=Normalize(0, top), interpolation="nearest")
    write_sides(axes, SIDES[axis])
    axes.set(xlim=(-0.5, scan.shape[1] - 0.5), ylim=(scan.shape[0] - 0.5, -0.5))
    axes.set_aspect("equal")


def _draw_bar(figure: Figure, top: float, height: float) -> None:
    axes = place_axes(figure, LEFT + COLUMNS * (TILE + GAP) + 0.1, TOP + LINE, 0.14, height - LINE)
    bar = Colorbar(axes, ScalarMappable(Normalize(0, top), COLOURS))
    bar.ax.tick_params(colors=PLAIN, labelsize=7)
    bar.formatter = FuncFormatter(lambda value, _: f"{100 * value:.3g} %")
    bar.update_ticks()
    bar.outline.set_edgecolor(FAINT)
