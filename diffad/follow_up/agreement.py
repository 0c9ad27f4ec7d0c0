"""How well two visits fit together once they are registered: brains that overlap, edges that run alike."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array, Volume
from diffad.follow_up.rigid import halve_motion
from diffad.prepare.geometry import find_bounding_box, make_upright_grid, map_voxels, resample
from diffad.prepare.read import get_grid

SPACING, RIM = 2.0, 2
"""Voxel size in mm, and voxels at the surface of the brain whose edges do not count, as masks make them."""


def measure_fit(
    first: Volume, first_brain: Array, second: Volume, second_brain: Array, motion: Array, threads: int = 0
) -> tuple[float, float]:
    """Return overlap (Dice) of the brains, and agreement of the edges where both are brain.

    Both are brought to a grid of 2 mm halfway between them, so that their order makes no difference.

    Args:
        first: First visit, whose first sequence counts.
        first_brain: Its brain, (I, J, K), bool.
        second: Second visit, alike.
        second_brain: Its brain, alike.
        motion: World of the first to that of the second, (4, 4).
        threads: Threads of the resampling; 0 for all cores.
    """
    half = halve_motion(motion)
    pairs = ((first, first_brain, np.linalg.inv(half)), (second, second_brain, half))
    boxes = [find_bounding_box(b, np.linalg.inv(world) @ v.affine, SPACING) for v, b, world in pairs]
    lower, upper = np.min([box[0] for box in boxes], axis=0), np.max([box[1] for box in boxes], axis=0)
    grid = make_upright_grid(lower, upper, SPACING)
    brains, images = [], []
    for volume, brain, world in pairs:
        matrix = map_voxels(grid, get_grid(volume), world)
        brains.append(resample(brain, matrix, grid.shape, threads=threads) > 0.5)
        images.append(resample(volume.data[0], matrix, grid.shape, threads=threads))
    both = brains[0] & brains[1]
    dice = 2 * float(both.sum()) / max(float(brains[0].sum() + brains[1].sum()), 1.0)
    return dice, measure_agreement(images[0], images[1], ndimage.binary_erosion(both, iterations=RIM))


def measure_agreement(first: Array, second: Array, mask: Array) -> float:
    r"""Return how far the edges of two images run alike, whatever their contrast; in [0, 1].

    .. math:: \frac{\sum |\nabla x \cdot \nabla y|}{\sum |\nabla x| \, |\nabla y|}

    Args:
        first: Image :math:`x`, (I, J, K).
        second: Image :math:`y` on the same grid.
        mask: Voxels that count, alike, bool.

    Reference:
        The angle between gradients is that of normalized gradient fields (Haber and Modersitzki, 2006).
    """
    gradients = [
        np.stack([ndimage.gaussian_filter(image, 1.0, order=order)[mask] for order in np.eye(3, dtype=int)])
        for image in (first.astype(np.float64), second.astype(np.float64))
    ]
    product = np.abs((gradients[0] * gradients[1]).sum(0)).sum()
    lengths = [np.linalg.norm(gradient, axis=0) for gradient in gradients]
    total = float((lengths[0] * lengths[1]).sum())
    return float(product) / total if total else 0.0
