"""What a tile of a picture shows: images, masks and their outlines, sides of the patient, a ruler."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, to_rgb
from matplotlib.patheffects import withStroke

from diffad.data.volume import Array
from diffad.report.canvas import BRIGHT, PAPER

RIM: dict[str, Any] = {"path_effects": [withStroke(linewidth=2.2, foreground=PAPER)]}
"""A dark rim, which keeps letters readable where the tile is bright."""
RULER_MM = 20


def draw_image(axes: Axes, image: Array, norm: Normalize, colours: str) -> None:
    """Draw an image (H, W)."""
    axes.imshow(image, cmap=colours, norm=norm, interpolation="bicubic")


def fill_mask(axes: Axes, mask: Array, colour: str) -> None:
    """Fill a mask (H, W) so that the image below stays visible."""
    fill = np.zeros((*mask.shape, 4))
    fill[mask] = (*to_rgb(colour), 0.38)
    axes.imshow(fill, interpolation="nearest")


def hatch_mask(axes: Axes, mask: Array, colour: str) -> None:
    """Dim a mask (H, W) and hatch it, as what nothing is known of; nothing if it is empty."""
    if mask.any():
        shade = np.zeros((*mask.shape, 4))
        shade[mask, 3] = 0.45
        axes.imshow(shade, interpolation="nearest")
        padded_mask = np.pad(mask.astype(float), 1)
        y, x = (np.arange(n) - 1 for n in padded_mask.shape)
        area = axes.contourf(x, y, padded_mask, levels=[0.5, 1.5], colors="none", hatches=["////"])
        area.set(edgecolor=colour, linewidth=0.0)


def draw_outline(axes: Axes, mask: Array, colour: str, width: float) -> None:
    """Draw the outline of a mask (H, W); nothing if it is empty."""
    if mask.any():  # a rim of zeros closes outlines at the border of the image
        padded_mask = np.pad(mask.astype(float), 1)
        y, x = (np.arange(n) - 1 for n in padded_mask.shape)
        axes.contour(x, y, padded_mask, levels=[0.5], colors=colour, linewidths=width)


def write_corner(axes: Axes, text: str, colour: str) -> None:
    """Write in the upper left corner."""
    style: dict[str, Any] = {"transform": axes.transAxes, "ha": "left", "va": "top", "fontsize": 8}
    axes.text(0.02, 0.98, text, color=colour, **style)


def write_sides(axes: Axes, sides: tuple[str, str]) -> None:
    """Write the letters of the left and right edge."""
    style = {"transform": axes.transAxes, "fontsize": 8, "color": BRIGHT, "va": "top", **RIM}
    axes.text(0.02, 0.98, sides[0], ha="left", **style)
    axes.text(0.98, 0.98, sides[1], ha="right", **style)


def draw_ruler(axes: Axes, crop: tuple[slice, slice], spacing: tuple[float, float]) -> None:
    """Draw a scale bar in the lower left corner of the crop (rows, columns); spacing in mm."""
    rows, columns = crop
    height, width = rows.stop - rows.start, columns.stop - columns.start
    start, length = columns.start + 0.03 * width, RULER_MM / spacing[1]
    y = rows.stop - 0.5 - 0.035 * height
    axes.plot([start, start + length], [y, y], color=BRIGHT, lw=1.6, solid_capstyle="butt", **RIM)
    text = f"{RULER_MM // 10} cm"
    axes.text(start, y - 0.025 * height, text, fontsize=7, color=BRIGHT, va="bottom", **RIM)
