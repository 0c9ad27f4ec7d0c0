"""Anomalies of a slice as they go on in the slices below and above it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from diffad.data.corruptions.shape import Bools, Floats, Random

STEPS = (0.5, 3.0)
"""Smallest and largest distance of two slices, in pixels; log-uniform, as grids know no distance."""
HEIGHTS = (0.7, 2.0)
"""Smallest and largest half height of an anomaly, in radii of its widest part."""
FORK = 1
"""What sets the numbers of a fork apart from those of the generator that it comes from."""
OFFSET = 0.8
"""Largest distance of the slice from the middle of an anomaly, in half heights."""


def continue_anomalies(
    images: Tensor,
    corrupted_images: Tensor,
    masks: Tensor,
    neighbours: Tensor,
    generators: Sequence[torch.Generator],
) -> Tensor:
    r"""Lay the anomalies of slices into their neighbours, as cuts of the same bodies.

    A body is an ellipsoid by its depth. Where it is narrower at the height :math:`h_k` of a slice than in the
    middle slice, whose radius is :math:`R`, as much is peeled off the shape,

    .. math:: w_k = \min(1, \max(0, d - R (1 - \rho_k))), \quad
              \rho_k = \min\left(1, \sqrt{(1 - h_k^2)_+ / (1 - h_0^2)}\right)

    with the distance :math:`d` of a pixel from the outside of the shape. What is laid in is what the anomaly
    did in the middle slice, a factor of the intensity where it became darker and one of the distance from 1
    where it became brighter, so that the anatomy of the neighbour stays. Small anomalies end within a slice
    or two, large ones go on.

    Args:
        images: Middle slices before they were changed, (B, C, H, W), in [0, 1].
        corrupted_images: The same slices after it.
        masks: What changed, (B, 1, H, W), boolean.
        neighbours: Slices below and above, from the lowest on, (B, 2 N C, H, W), in [0, 1].
        generators: One for each item; what is drawn follows from its state, which stays as it is, so that the
            slice itself is noised as without neighbours.

    Returns:
        The neighbours with the anomalies, of the same shape; nothing beyond their own tissue changes.
    """
    result = neighbours.clone()
    for i, generator in enumerate(generators):
        if masks[i].any():
            rng, mask = _fork_rng(generator), masks[i, 0].cpu().numpy()
            slices = neighbours[i].reshape(-1, *images.shape[1:])
            weights = draw_weights(mask, len(slices), rng).to(slices)
            slices = _lay_change(images[i], corrupted_images[i], slices, weights[:, None])
            result[i] = slices.reshape(neighbours.shape[1:])
    return result


def draw_weights(mask: Bools, count: int, rng: Random) -> Tensor:
    """Draw how far the anomaly of a slice shows in the slices around it, (count, H, W), in [0, 1].

    Args:
        mask: The anomaly in the middle slice, (H, W).
        count: Slices around it, half of them below.
        rng: Source of the distance of the slices, and of the height and place of the body.
    """
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    radius = float(depth.max())
    step = math.exp(rng.uniform(*np.log(STEPS))) / (radius * rng.uniform(*HEIGHTS))
    middle = rng.uniform(-OFFSET, OFFSET)
    offsets = [*range(-(count // 2), 0), *range(1, count // 2 + 1)]
    widths = [_cut_width(step * offset - middle) / _cut_width(middle) for offset in offsets]
    peels = [radius * (1 - min(1.0, width)) for width in widths]
    weights: Floats = np.stack([np.clip(depth - each, 0, 1) for each in peels])
    return torch.from_numpy(weights)


def _fork_rng(generator: torch.Generator) -> Random:
    """Make a NumPy generator from the state of one that is left as it is, unlike all that it will draw."""
    twin = torch.Generator(device=generator.device)
    twin.set_state(generator.get_state())
    seed = torch.randint(2**63 - 1, (), generator=twin, device=generator.device)
    return np.random.default_rng([int(seed), FORK])


def _cut_width(height: float) -> float:
    """Return the width of a ball of radius 1 at a height, as a share of its widest."""
    return math.sqrt(max(0.0, 1 - height**2))


def _lay_change(before: Tensor, after: Tensor, slices: Tensor, weights: Tensor) -> Tensor:
    """Change slices (2 N, C, H, W) as the middle one (C, H, W) was changed, by weights (2 N, 1, H, W)."""
    darker = slices * (after / before.clamp(min=1e-6)).clamp(max=1)
    brighter = 1 - (1 - slices) * ((1 - after) / (1 - before).clamp(min=1e-6)).clamp(max=1)
    target = torch.where(after < before, darker, brighter)
    return torch.where((weights > 0) & (slices > 0), torch.lerp(slices, target, weights), slices)
