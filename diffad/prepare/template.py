"""The MNI152 template that scans are registered to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from diffad.data.volume import Array
from diffad.prepare.extras import import_extra
from diffad.prepare.geometry import VoxelGrid, make_upright_grid

NAME = "MNI152 (ICBM 2009c asymmetric in nilearn), 1 mm"


@dataclass(frozen=True, eq=False)
class Template:
    """A brain to register to.

    Args:
        image: T1 without skull, (I, J, K), in [0, 1].
        brain: Its brain mask, (I, J, K), bool.
        grid: Where it lies.
    """

    image: Array
    brain: Array
    grid: VoxelGrid


@cache
def mni152() -> Template:
    """Load the template that comes with nilearn: 197 x 233 x 189 voxels of 1 mm.

    Raises:
        ImportError: If nilearn is missing.
    """
    datasets = import_extra("nilearn.datasets")
    image, brain = datasets.load_mni152_template(resolution=1), datasets.load_mni152_brain_mask(resolution=1)
    inside = np.asarray(brain.dataobj) > 0
    data = np.asarray(image.dataobj, dtype=np.float32) * inside
    return Template(data, inside, VoxelGrid(data.shape, np.asarray(image.affine, dtype=np.float64)))


def template_grid(spacing: float | None) -> VoxelGrid:
    """Return the template's grid, or one over the same field with other voxels."""
    grid = mni152().grid
    if spacing in (None, 1.0):
        return grid
    assert spacing is not None
    lower = grid.affine[:3, 3] - 0.5 + spacing / 2  # the edge of the field stays where it is
    upper = lower + np.maximum(np.ceil(np.array(grid.shape) / spacing - 1e-6) - 1, 0) * spacing
    return make_upright_grid(lower, upper, spacing)
