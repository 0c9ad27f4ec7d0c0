"""Erosion of brain masks: layer by layer, or by how much of a neighbourhood is brain."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn.functional import avg_pool2d, avg_pool3d

from diffad.inference.median_filter import check_map, check_odd, check_whole


def peel_layers(mask: Tensor, pixels: int) -> Tensor:
    """Peel ``pixels`` layers off a mask, each with the cross element; beyond the image counts as outside.

    Args:
        mask: Brain mask, (B, 1, *S).
        pixels: Layers to remove.

    Raises:
        ValueError: If the shape or the number does not fit.
    """
    check_map("mask", mask)
    check_whole("pixels", pixels, 0)
    if pixels == 0:  # scipy reads 0 as "until nothing is left to change"
        return mask.bool()
    cross = ndimage.generate_binary_structure(mask.ndim - 2, 1)[None, None]
    eroded_mask = ndimage.binary_erosion(to_array(mask), cross, iterations=pixels)
    return torch.from_numpy(eroded_mask).to(mask.device)


def erode_by_average(mask: Tensor, size: int = 5, fraction: float = 0.95) -> Tensor:
    r"""Keep the pixels whose neighbourhood is mostly mask, so that one-pixel holes are tolerated.

    .. math:: m_e = [\mathrm{mean}_{size}(m) > fraction]

    Args:
        mask: Brain mask, (B, 1, *S); beyond the image counts as outside.
        size: Odd width of the neighbourhood, in pixels.
        fraction: Share of it that must be exceeded, in [0, 1).

    Raises:
        ValueError: If the shape or an option does not fit.

    Reference:
        Denoising autoencoders for unsupervised anomaly detection in brain MRI (Kascenas et al., MIDL 2022).
    """
    check_map("mask", mask)
    check_odd("size", size)
    if not 0 <= fraction < 1:
        raise ValueError(f"expected fraction in [0, 1), got {fraction}")
    average = avg_pool2d if mask.ndim == 4 else avg_pool3d
    return average(mask.bool().float(), size, stride=1, padding=size // 2) > fraction


def to_array(binary: Tensor) -> np.ndarray:
    """Bring a mask to NumPy, as booleans."""
    return binary.detach().bool().cpu().numpy()
