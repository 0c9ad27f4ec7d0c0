"""Coordinates of the brain's own bounding box: a rough template space that needs no registration."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

BOX_SHAPE = (16, 20, 16)
"""Cells of the box, left to right, back to front, bottom to top: about 9 mm each in an adult brain."""


def find_brain_box(brain: Tensor) -> tuple[slice, slice, slice]:
    """Find the smallest box that holds a brain (I, J, K), boolean.

    Raises:
        ValueError: If the mask is empty.
    """
    box = ndimage.find_objects(brain.to(torch.uint8).numpy())
    if not box:
        raise ValueError(f"expected a brain mask with voxels inside, got an empty one {tuple(brain.shape)}")
    first, second, third = box[0]
    return first, second, third


def pool_brain_box(
    image: Tensor, brain: Tensor, shape: tuple[int, int, int] = BOX_SHAPE
) -> tuple[Tensor, Tensor]:
    r"""Average a scan over the cells of its brain's box, each over the brain in it alone.

    .. math:: c_i = \frac{1}{|V_i|} \sum_{p \in V_i} b(p), \quad
              y_i = \frac{\sum_{p \in V_i} b(p) x(p)}{\sum_{p \in V_i} b(p)}

    Args:
        image: Scan :math:`x`, (C, *S).
        brain: Brain mask :math:`b`, (*S), boolean.
        shape: Number of cells along each axis.

    Returns:
        The means :math:`y`, (C, *shape), 0 where there is no brain, and the cover :math:`c` of the cells,
        (*shape), in [0, 1].
    """
    box = find_brain_box(brain)
    weight = brain[box].float()[None]
    cover = F.adaptive_avg_pool3d(weight, shape)
    sums = F.adaptive_avg_pool3d(image[(slice(None), *box)].float() * weight, shape)
    means = torch.where(cover > 0, sums / cover.clamp(min=1e-6), 0.0)
    return means, cover[0]
