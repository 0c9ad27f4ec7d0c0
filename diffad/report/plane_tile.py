"""A plane through a volume as one tile of a picture, grey, with outlines over it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from diffad.config.choices import AXES
from diffad.data.slices import slice_spacing
from diffad.data.volume import Array
from diffad.report.planes import SIDES, orient_plane
from diffad.report.tiles import draw_image, draw_outline, write_sides


def draw_plane_tile(
    axes: Axes,
    image: Array,
    spacing: Sequence[float],
    cut: tuple[int, int],
    bounds: tuple[float, float],
    outlines: Mapping[str, Array],
    width: float,
) -> None:
    """Draw a plane of an image, its sides and outlines of masks, in the proportions of the voxels.

    Args:
        axes: Where to.
        image: Intensities, (I, J, K).
        spacing: Distance of voxels along each axis, in mm.
        cut: The axis it is cut along, and the index there.
        bounds: Intensities of black and white; black is 0 at most.
        outlines: Masks (I, J, K) by the colour of their outline.
        width: Width of the outlines, in points.
    """
    plane = orient_plane(torch.from_numpy(np.ascontiguousarray(image))[None], *cut)
    low, high = bounds
    draw_image(axes, plane, Normalize(min(low, 0.0), max(high, low + 1e-6)), "gray")
    for colour, mask in outlines.items():
        draw_outline(axes, np.asarray(orient_plane(torch.from_numpy(mask)[None], *cut)), colour, width)
    write_sides(axes, SIDES[cut[0]])
    down, across = slice_spacing(list(spacing), AXES[cut[0]])
    axes.set(xlim=(-0.5, plane.shape[1] - 0.5), ylim=(plane.shape[0] - 0.5, -0.5))
    axes.set_aspect(down / across)
