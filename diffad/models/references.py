"""Healthy images that scans are compared with, kept beside a network."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from einops import reduce
from torch import Tensor, nn
from torch.nn.functional import pad

from diffad.models.padding import check_input
from diffad.registry import MODELS


@MODELS.register("references")
class References(ModelMixin, ConfigMixin):
    """Keeps healthy images; asked for an image, it answers with the nearest of them.

    Args:
        in_channels: Channels C of an image.
        count: Number N of images.
        size: Their sides, two or three.

    Raises:
        ValueError: If there is no image, or it has no voxels or other axes, or an input has other axes or
            channels.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, in_channels: int = 1, count: int = 30, size: Sequence[int] = (128, 128)) -> None:
        super().__init__()
        if min(in_channels, count, *size) < 1 or len(size) not in (2, 3):
            raise ValueError(
                f"References expected images of 2 or 3 sides, got {count} of {in_channels} channel(s) "
                f"and sides {list(size)}"
            )
        self.images = nn.Parameter(torch.zeros(count, in_channels, *size))

    @classmethod
    def of(cls, images: Tensor) -> References:
        """Keep images (N, C, *S) in [0, 1]."""
        count, channels, *size = images.shape
        references = cls(channels, count, size)
        with torch.no_grad():
            references.images.copy_(images)
        return references.eval().requires_grad_(False)

    @property
    def multiple(self) -> int:
        """What the sides of an input are padded to: nothing is."""
        return 1

    def lay_over(self, x: Tensor) -> Tensor:
        """Return the images (N, C, *S) on the grid of ``x`` (B, C, *S): cut or filled up about the middle."""
        check_input(x, self.config.in_channels, len(self.config.size), "References")
        images = self.images.to(x)
        for axis in range(2, x.ndim):
            excess = images.shape[axis] - x.shape[axis]
            if excess > 0:
                images = images.narrow(axis, excess // 2, x.shape[axis])
            elif excess < 0:
                sides = [0, 0] * (x.ndim - 1 - axis) + [-excess // 2, -excess - -excess // 2]
                images = pad(images, sides)
        return images

    def forward(self, x: Tensor) -> Tensor:
        """Return the nearest image, by mean squared difference, to each of ``x`` (B, C, *S)."""
        images = self.lay_over(x)
        errors = [reduce((image - x).float().square(), "b ... -> b", "mean") for image in images]
        return images[torch.stack(errors, 1).argmin(1)]
