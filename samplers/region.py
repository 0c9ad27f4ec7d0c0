"""From a saliency to the region that may change: the most salient voxels, and what is near them."""

from __future__ import annotations

import math

import torch
from einops import reduce
from torch import Tensor

from diffad.samplers.morphology import dilate as dilate_region


def select_region(
    saliency: Tensor,
    share: float = 0.1,
    dilate: int = 5,
    brain: Tensor | None = None,
    per_channel: bool = False,
) -> Tensor:
    r"""Keep the most salient share of the voxels of each item, and grow it.

    .. math:: M_0 = [S_c / \max S_c > q_{1 - p}], \quad M = \mathrm{dilate}_w(M_0)

    The quantile :math:`q` is one for all channels and voxels of an item, those of the brain where there is
    one, and the excess is strict: where nothing stands out, the region is empty.

    Args:
        saliency: The map :math:`S \ge 0`, (B, C, *S).
        share: Share :math:`p` of the voxels before they grow, in (0, 1).
        dilate: Odd width :math:`w` of the square, in voxels.
        brain: Where voxels count and may change, (B, 1, *S); everywhere if there is none.
        per_channel: Let each channel have its own region; else they share the union.

    Returns:
        The region of zeros and ones, (B, 1, *S), or (B, C, *S) per channel.

    Raises:
        TypeError: If the width is no integer.
        ValueError: If a shape or an option does not fit, or the saliency is not finite.

    Reference:
        Diffusion Models for Counterfactual Generation and Anomaly Detection in Brain Images (Fontanella et
        al., 2024), section III.
    """
    check_share(share)
    brain_voxels = _find_voxels(saliency, brain)
    scaled_map = _scale_by_peak(saliency.masked_fill(~brain_voxels, 0))
    salient = torch.stack([_select_above(s, share, b) for s, b in zip(scaled_map, brain_voxels, strict=True)])
    region = dilate_region(salient.to(saliency), dilate) * brain_voxels
    return region if per_channel else reduce(region, "b c ... -> b 1 ...", "max")


def keep_in_bytes(saliency: Tensor) -> Tensor:
    """Divide the map of each item (B, C, *S) by its largest value and round it to 256 steps, as published."""
    peak = saliency.amax(tuple(range(1, saliency.ndim)), keepdim=True)
    scaled_map = torch.where(peak > 0, saliency / peak.where(peak > 0, torch.ones_like(peak)), 0)
    return (255 * scaled_map).round() / 255


def check_share(share: float) -> float:
    """Return a share that lies in (0, 1).

    Raises:
        ValueError: If it does not.
    """
    if not 0 < share < 1:
        raise ValueError(f"expected share in (0, 1), got {share}")
    return share


def _find_voxels(saliency: Tensor, brain: Tensor | None) -> Tensor:
    """Return where voxels count, shaped like the saliency, bool."""
    if saliency.ndim not in (4, 5):
        shape = tuple(saliency.shape)
        raise ValueError(f"expected saliency of shape (B, C, *S) with 2 or 3 spatial axes, got {shape}")
    if not saliency.isfinite().all():
        raise ValueError("expected a finite saliency, got one with NaN or infinity")
    if brain is None:
        return torch.ones_like(saliency, dtype=torch.bool)
    shape = (len(saliency), 1, *saliency.shape[2:])
    if brain.shape != shape:
        raise ValueError(f"expected brain of shape {shape}, got {tuple(brain.shape)}")
    return brain.to(saliency.device).bool().expand_as(saliency)


def _scale_by_peak(saliency: Tensor) -> Tensor:
    """Divide each channel of each item by its largest value; what is zero everywhere stays so."""
    peak = saliency.amax(tuple(range(2, saliency.ndim)), keepdim=True)
    return torch.where(peak > 0, saliency / peak.where(peak > 0, torch.ones_like(peak)), 0)


def _select_above(saliency: Tensor, share: float, brain_voxels: Tensor) -> Tensor:
    """Return which voxels of one item (C, *S) exceed the quantile of those inside."""
    values = saliency[brain_voxels]
    if not len(values):
        return brain_voxels
    # strictly above the interpolated quantile is strictly above the lower of its two neighbours
    below = math.floor(round((len(values) - 1) * (1 - share), 6))
    return (saliency > values.kthvalue(below + 1).values) & brain_voxels
