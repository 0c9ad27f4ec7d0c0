"""The MNI152 template that scans are registered to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from diffad.data.volume import Array
from diffad.io.extras import import_extra
from diffad.io.spaces import TEMPLATE_SPACE
from diffad.prepare.geometry import VoxelGrid, make_upright_grid

TEMPLATE_NAME = f"{TEMPLATE_SPACE} (ICBM 2009a symmetric, as nilearn ships it), 1 mm"
"""What records call it; nilearn's file is ``mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz``, which equals
its mirror image, on the grid of release a (that of release c has 193 x 229 x 193 voxels)."""


@dataclass(frozen=True, eq=False)
class Template:
    """The brain that scans are registered to.

    Args:
        image: T1 without skull, (I, J, K), in [0, 1].
        brain: Brain mask, (I, J, K), bool.
        grid: Grid of both.
    """

    image: Array
    brain: Array
    grid: VoxelGrid


@cache
def load_mni152() -> Template:
    """Load the template that comes with nilearn: 197 x 233 x 189 voxels of 1 mm.

    Raises:
        ImportError: If nilearn is missing.
    """
    datasets = import_extra("nilearn.datasets", "prepare")
    image, brain = datasets.load_mni152_template(resolution=1), datasets.load_mni152_brain_mask(resolution=1)
    brain_mask = np.asarray(brain.dataobj) > 0
    data = np.asarray(image.dataobj, dtype=np.float32) * brain_mask
    return Template(data, brain_mask, VoxelGrid(data.shape, np.asarray(image.affine, dtype=np.float64)))


def make_template_grid(spacing: float | None) -> VoxelGrid:
    """Return the grid of the template, or one over the same field with other voxels."""
    grid = load_mni152().grid
    if spacing in (None, 1.0):
        return grid
    assert spacing is not None
    lower = grid.affine[:3, 3] - 0.5 + spacing / 2  # the edge of the field stays where it is
    upper = lower + np.maximum(np.ceil(np.array(grid.shape) / spacing - 1e-6) - 1, 0) * spacing
    return make_upright_grid(lower, upper, spacing)
