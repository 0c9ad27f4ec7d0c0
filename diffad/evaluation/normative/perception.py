"""Perceptual distance of scan and twin, where the weights of its network are on this machine."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from einops import einsum, rearrange, repeat
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize, pad

from diffad.score.lpips import SCALE, SHIFT, LPIPSScore
from diffad.score.sources import WeightFiles, locate_weights
from diffad.score.trunks import SMALLEST
from diffad.score.weights import load_trunk
from diffad.types import Reconstruction

Doubles = NDArray[np.float64]


def lpips(image: Doubles, twin: Doubles, trunk: str = "alex", mapped: bool = True) -> float:
    r"""Return the distance of two images as one number; NaN with a warning where there are no weights.

    .. math:: \sum_l \mathrm{mean}_{ij} \sum_c w_{lc} \, (y_{lcij} - \hat y_{lcij})^2

    Args:
        image: Scan, (*S), in [0, 1]; volumes count slice by slice along the last axis.
        twin: Twin, alike.
        trunk: "alex", "vgg" or "squeeze".
        mapped: Whether [0, 1] becomes [-1, 1] first, as the network expects.

    Reference:
        The Unreasonable Effectiveness of Deep Features as a Perceptual Metric (Zhang et al., 2018, eq. 1).
    """
    source = _find_weights(trunk)
    if source is None:
        return float("nan")
    network, heads = load_trunk(trunk, source)
    total = 0.0
    for x, y in zip(split_pictures(image), split_pictures(twin), strict=True):
        pictures = to_rgb(torch.stack([x, y]), mapped)
        for layer, head in zip(network(pictures), heads, strict=True):
            feature, feature_hat = normalize(layer, eps=1e-10)
            total += float(einsum((feature - feature_hat).square(), head, "c i j, c -> i j").mean())
    return total / len(split_pictures(image))


def lpips_map(image: Doubles, twin: Doubles, trunk: str = "squeeze") -> Doubles | None:
    """Return the distance at every pixel, (*S); none with a warning where there are no weights."""
    if _find_weights(trunk) is None:
        return None
    x, x_hat = (rearrange(torch.from_numpy(v).float(), "... -> 1 1 ...") for v in (image, twin))
    distance: Doubles = LPIPSScore(trunk)(x, Reconstruction(x_hat, nfe=0))[0, 0].double().numpy()
    return distance


def split_pictures(image: NDArray[Any]) -> Tensor:
    """Return an image (*S) as pictures (N, H, W)."""
    x = torch.from_numpy(np.asarray(image, dtype=np.float32))
    return x[None] if x.ndim == 2 else rearrange(x, "h w k -> k h w")


def to_rgb(x: Tensor, mapped: bool = True) -> Tensor:
    """Turn pictures (N, H, W) in [0, 1] into a trunk's input (N, 3, H', W'), extended where too small."""
    colours = repeat(2 * x - 1 if mapped else x, "n h w -> n c h w", c=3)
    shift, scale = (rearrange(colours.new_tensor(v), "c -> c 1 1") for v in (SHIFT, SCALE))
    margin = [max(0, SMALLEST - n) for n in x.shape[1:]]
    return pad((colours - shift) / scale, (0, margin[1], 0, margin[0]), mode="replicate")


def _find_weights(trunk: str) -> WeightFiles | None:
    try:
        return locate_weights(trunk)
    except ValueError as error:
        warnings.warn(f"LPIPS is NaN: {error}", RuntimeWarning, stacklevel=4)
        return None
