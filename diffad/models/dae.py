"""The denoising autoencoder: a U-Net of weight-standardised convolutions that knows no noise level."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.models.padding import check_input, run_padded
from diffad.registry import MODELS

CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED_CONVOLUTION = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
EPSILON = 1e-5


def find_middle_divisor(channels: int) -> int:
    """Return the divisor in the middle of all divisors, the upper one of two: 64 gives 8, 128 gives 16."""
    divisors = [d for d in range(1, channels + 1) if channels % d == 0]
    return divisors[len(divisors) // 2]


def standardise_filters(weight: Tensor) -> Tensor:
    r"""Bring each filter to mean 0 and standard deviation 1, in single precision at least.

    .. math:: \hat w = \frac{w - \mu}{s + 10^{-5}}

    Args:
        weight: Filters, (C_out, C_in, *K); mean :math:`\mu` and unbiased deviation :math:`s` are each one's.

    Reference:
        Micro-Batch Training with Batch-Channel Normalization and Weight Standardization (Qiao et al., 2019).
    """
    wide_weight = weight.to(torch.promote_types(weight.dtype, torch.float32))
    # the gradient of std is 0 for a constant filter, where that of a square root would be infinite
    s, mean = torch.std_mean(wide_weight, dim=tuple(range(1, weight.ndim)), keepdim=True)
    return ((wide_weight - mean) / (s + EPSILON)).to(weight.dtype)


def mirror_pad(x: Tensor) -> Tensor:
    """Extend each axis of ``x`` (B, C, *S) by the reflected neighbour, or repeat an axis of one voxel."""
    lengths = reversed(x.shape[2:])  # F.pad counts from the last axis
    reflect = [int(n > 1) for n in lengths for _ in range(2)]
    x = F.pad(x, reflect, mode="reflect")
    return x if all(reflect) else F.pad(x, [1 - p for p in reflect], mode="replicate")


def average_halves(x: Tensor) -> Tensor:
    """Average each block of 2 voxels a side of ``x`` (B, C, *S)."""
    if x.ndim == 4:
        return F.avg_pool2d(x, 2)
    # torch pools volumes in no narrower type on a CPU
    return F.avg_pool3d(x.to(torch.promote_types(x.dtype, torch.float32)), 2).to(x.dtype)


class StandardisedConv(nn.Module):
    """Convolves a reflected image with standardised 3-wide filters; shapes (B, C, *S) stay.

    Args:
        dims: Spatial axes, 2 or 3.
        in_channels: Channels of the input.
        out_channels: Filters.
    """

    def __init__(self, dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        convolution = CONVOLUTION[dims](in_channels, out_channels, 3)
        self.weight, self.bias = convolution.weight, convolution.bias
        self.convolve = F.conv2d if dims == 2 else F.conv3d

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (B, C, *S)."""
        return self.convolve(mirror_pad(x), standardise_filters(self.weight), self.bias)


def make_block(dims: int, in_channels: int, out_channels: int) -> nn.Sequential:
    """Build two rounds of convolution, swish and group normalisation, in this order."""
    groups = find_middle_divisor(out_channels)
    return nn.Sequential(
        StandardisedConv(dims, in_channels, out_channels),
        nn.SiLU(),
        nn.GroupNorm(groups, out_channels),
        StandardisedConv(dims, out_channels, out_channels),
        nn.SiLU(),
        nn.GroupNorm(groups, out_channels),
    )


@MODELS.register("dae")
class DAEUNet(ModelMixin, ConfigMixin):
    r"""Predicts the clean image from one with coarse noise, in a single evaluation and without a noise level.

    Each scale holds a block of two standardised convolutions; scales are joined by average pooling on the way
    down, and by transposed convolutions and skips on the way up. The answer is linear: no residual, no clamp.

    Args:
        in_channels: Channels C of the image.
        out_channels: Channels of the answer.
        width_exponent: Exponent :math:`w` of the width at the finest scale, :math:`2^w`; each coarser scale
            has twice the width. At least 2, below which groups hold single channels.
        depth: Number of scales.
        dims: Spatial axes, 2 or 3.

    Raises:
        ValueError: If an option is out of range, or an input has other axes or channels than the network.

    Reference:
        Denoising Autoencoders for Unsupervised Anomaly Detection in Brain MRI (Kascenas et al., MIDL 2022).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        width_exponent: int = 6,
        depth: int = 4,
        dims: int = 2,
    ) -> None:
        super().__init__()
        if depth < 1 or width_exponent < 2 or dims not in CONVOLUTION:
            values = f"{depth}, {width_exponent} and {dims}"
            raise ValueError(
                f"DAEUNet expected depth >= 1, width_exponent >= 2 and dims of 2 or 3, got {values}"
            )
        widths = [2 ** (width_exponent + k) for k in range(depth)]
        pairs = list(pairwise(widths))
        self.first = make_block(dims, in_channels, widths[0])
        self.down = nn.ModuleList(make_block(dims, fine, coarse) for fine, coarse in pairs)
        self.up = nn.ModuleList(
            TRANSPOSED_CONVOLUTION[dims](coarse, fine, 2, stride=2) for fine, coarse in pairs[::-1]
        )
        self.merge = nn.ModuleList(make_block(dims, coarse, fine) for fine, coarse in pairs[::-1])
        self.head = CONVOLUTION[dims](widths[0], out_channels, 1)

    @property
    def multiple(self) -> int:
        """What the sides of an input are padded to."""
        return int(2 ** (self.config.depth - 1))

    def forward(self, x_t: Tensor, labels: Tensor) -> Tensor:
        """Answer for the image ``x_t`` (B, C, *S); ``labels`` (B,) play no part."""
        check_input(x_t, self.config.in_channels, self.config.dims, "DAEUNet")
        return run_padded(lambda x: self._run_unet(x.to(self.dtype)), x_t, self.multiple)

    def _run_unet(self, x: Tensor) -> Tensor:
        skips = [self.first(x)]
        for down in self.down:
            skips.append(down(average_halves(skips[-1])))
        x = skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), skips.pop()], dim=1))
        return self.head(x)
