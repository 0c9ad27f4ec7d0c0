"""A scan as it might come out a second time: moved, with other noise, evenness and gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from diffad.data.augment_scanner import NODES
from diffad.data.scan_noise import add_rician_noise
from diffad.data.volume import Array, Volume
from diffad.follow_up.rigid import make_motion
from diffad.prepare.geometry import VoxelGrid, centre_of_mass, map_voxels
from diffad.prepare.read import get_grid


@dataclass(frozen=True)
class RescanOptions:
    """How far a second scan may differ from the first of the same day.

    Args:
        turn: Largest rotation about each axis, in degrees.
        shift: Largest shift along each axis, in mm.
        noise: Standard deviation of the Rician noise, as a share of the 98th percentile of the brain.
        bias: Largest logarithm of the change of the uneven sensitivity.
        gain: Largest relative change of the gain.
    """

    turn: float = 5.0
    shift: float = 5.0
    noise: float = 0.02
    bias: float = 0.1
    gain: float = 0.1


USUAL = RescanOptions()


def rescan(
    volume: Volume, brain: Array, seed: int, options: RescanOptions = USUAL
) -> tuple[Volume, Array, Array]:
    r"""Simulate a second scan of the same person, on the grid of the first.

    .. math:: y = g \sqrt{(e^b x(M v) + \sigma n_1)^2 + (\sigma n_2)^2}

    The motion :math:`M` is rigid, and the scan is interpolated once by cubic splines. Noise of the first scan
    stays in it, so that its own is added to it.

    Args:
        volume: The scan :math:`x`, (C, I, J, K).
        brain: Its brain, (I, J, K), bool.
        seed: Seed of motion, noise :math:`n`, bias :math:`b` and gain :math:`g`.
        options: How far they go.

    Returns:
        The second scan, its brain, and the motion from its world to that of the first, (4, 4).
    """
    generator = torch.Generator().manual_seed(seed)
    grid = get_grid(volume)
    motion = _draw_motion(centre_of_mass(brain, grid.affine), options, generator)
    matrix = map_voxels(grid, grid, motion)
    is_stripped = not volume.data[:, ~brain].any()
    moved_brain = _move(brain.astype(np.float32), matrix, grid, 1) > 0.5
    data = np.stack([_scan_again(x, brain, matrix, grid, options, generator) for x in volume.data])
    if is_stripped:
        data = np.where(moved_brain, np.maximum(data, 1e-3), 0)
    return Volume(data, volume.affine, volume.origin), moved_brain, motion


def _draw_motion(centre: Array, options: RescanOptions, generator: torch.Generator) -> Array:
    draws = (2 * torch.rand(6, generator=generator) - 1).double().numpy()
    return make_motion(np.radians(options.turn) * draws[:3], options.shift * draws[3:], centre)


def _scan_again(
    image: Array,
    brain: Array,
    matrix: Array,
    grid: VoxelGrid,
    options: RescanOptions,
    generator: torch.Generator,
) -> Array:
    moved_image = _move(image, matrix, grid, 3).clip(image.min(), image.max())
    nodes = 2 * torch.rand((NODES, NODES, NODES), generator=generator) - 1
    field = torch.nn.functional.interpolate(
        nodes[None, None], grid.shape, mode="trilinear", align_corners=True
    )
    gain = 1 + options.gain * (2 * float(torch.rand((), generator=generator)) - 1)
    uneven = torch.from_numpy(moved_image) * (options.bias * field[0, 0]).exp() * gain
    sd = options.noise * float(np.percentile(image[brain], 98))
    return add_rician_noise(uneven, sd, generator).numpy()


def _move(image: Array, matrix: Array, grid: VoxelGrid, order: int) -> Array:
    moved_image: Array = ndimage.affine_transform(image, matrix, output_shape=grid.shape, order=order)
    return moved_image.astype(np.float32)
