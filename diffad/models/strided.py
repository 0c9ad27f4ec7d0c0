"""The U-Net of IterMask3D: strided residual units without a noise level, for whole volumes and for slices."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.models.padding import check_input, check_widths, run_padded
from diffad.registry import MODELS

CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
BATCH_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
NORMS = ("group", "batch")


class Units:
    """Builds the layers of a strided U-Net.

    Args:
        dims: Spatial axes, 2 or 3.
        norm: "group" or "batch".
        groups: Groups of the former.
        dropout: Share of activations dropped in training.
    """

    def __init__(self, dims: int, norm: str, groups: int, dropout: float) -> None:
        self.dims, self.norm, self.groups, self.dropout = dims, norm, groups, dropout

    def make_unit(self, in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
        """Build a convolution, 3 wide, with normalisation, dropout and a learnt slope below 0."""
        return nn.Sequential(
            CONVOLUTION[self.dims](in_channels, out_channels, 3, stride, padding=1),
            self._make_norm(out_channels),
            nn.Dropout(self.dropout),
            nn.PReLU(),
        )

    def _make_norm(self, channels: int) -> nn.Module:
        if self.norm == "batch":
            return BATCH_NORM[self.dims](channels)
        return nn.GroupNorm(self.groups, channels)


class StridedUnit(nn.Module):
    r"""Convolves twice, the first time with a stride, and adds the averaged input to the first channels.

    .. math:: y_c = f(x)_c + [c \le C] \, \bar x_c

    Args:
        units: Builder of the layers.
        in_channels: Channels C of the input.
        out_channels: Channels of the answer, no fewer.
        stride: 2 where lengths are halved, each average being that of 3 voxels a side; or 1.
    """

    def __init__(self, units: Units, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride, self.pool = stride, F.avg_pool2d if units.dims == 2 else F.avg_pool3d
        self.units = nn.Sequential(
            units.make_unit(in_channels, out_channels, stride), units.make_unit(out_channels, out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Answer for ``x`` (B, C, *S)."""
        y: Tensor = self.units(x)
        shortcut = x if self.stride == 1 else self._average(x)
        first, rest = y[:, : x.shape[1]], y[:, x.shape[1] :]
        return torch.cat([first + shortcut.to(y.dtype), rest], dim=1)

    def _average(self, x: Tensor) -> Tensor:
        # torch pools volumes in no narrower type on a CPU, and pads none that is shorter than the window
        padded = F.pad(x.to(torch.promote_types(x.dtype, torch.float32)), [1, 1] * (x.ndim - 2))
        return self.pool(padded, 3, self.stride)


@MODELS.register("strided")
class StridedUNet(ModelMixin, ConfigMixin):
    """Predicts the image with strided residual units; it is told of no level.

    Even the finest scale has half the length of the image, which keeps volumes of 192 voxels a side within
    reach. On the way back what was found and the stage of the same size are enlarged together, by
    repetition, before two convolutions; the last of all is bare.

    Args:
        in_channels: Channels C of the state, and of conditions that are concatenated to it; at most the
            first width.
        out_channels: Channels of the answer.
        channels: Width at each stage, finest first, never falling; all but the last halve lengths.
        groups: Groups of the normalisation; divides every width.
        norm: "group", by item, or "batch" as published, which knows other items in training.
        dropout: Share of activations dropped in training.
        dims: Spatial axes, 2 or 3.

    Raises:
        ValueError: If an option is out of range, or an input has other axes or channels than the network.

    Reference:
        IterMask3D: Unsupervised Anomaly Detection and Segmentation with Test-Time Iterative Mask Refinement
        in 3D Brain MRI (Liang et al., 2025), whose network has norm "batch" and dropout .2.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        groups: int = 8,
        norm: str = "group",
        dropout: float = 0.0,
        dims: int = 3,
    ) -> None:
        super().__init__()
        _check(in_channels, channels, groups, norm, dropout, dims)
        units = Units(dims, norm, groups, dropout)
        widths = list(channels)
        strides = [2] * (len(widths) - 1) + [1]
        stages = zip([in_channels, *widths], widths, strides, strict=False)
        self.down = nn.ModuleList(StridedUnit(units, c, width, stride) for c, width, stride in stages)
        seen = [widths[-1] + widths[-2], *(2 * width for width in widths[-3::-1])]
        self.up = nn.ModuleList(units.make_unit(width, width) for width in seen)
        self.narrow = nn.ModuleList(units.make_unit(a, b) for a, b in zip(seen, widths[-3::-1], strict=False))
        self.out = CONVOLUTION[dims](seen[-1], out_channels, 3, padding=1)

    @property
    def multiple(self) -> int:
        """What the sides of an input are padded to."""
        return int(2 ** (len(self.config.channels) - 1))

    def forward(self, x_t: Tensor, labels: Tensor) -> Tensor:
        """Answer for the state ``x_t`` (B, C, *S); ``labels`` (B,) play no part."""
        check_input(x_t, self.config.in_channels, self.config.dims, "StridedUNet")
        return run_padded(lambda x: self._run_unet(x.to(self.dtype)), x_t, self.multiple)

    def _run_unet(self, x: Tensor) -> Tensor:
        stages = []
        for down in self.down:
            x = down(x)
            stages.append(x)
        x = stages.pop()
        for up, narrow in zip(self.up, [*self.narrow, self.out], strict=True):
            joined = torch.cat([x, stages.pop()], dim=1)
            x = narrow(up(F.interpolate(joined, scale_factor=2.0)))
        return x


def _check(
    in_channels: int, channels: Sequence[int], groups: int, norm: str, dropout: float, dims: int
) -> None:
    check_widths(channels, groups, "StridedUNet")
    widths = [in_channels, *channels]
    if len(channels) < 2 or widths != sorted(widths):
        raise ValueError(
            "StridedUNet expected two widths or more that never fall, from at least as many as there are "
            f"channels, {in_channels}; got {list(channels)}"
        )
    if norm not in NORMS or dims not in CONVOLUTION or not 0 <= dropout < 1:
        raise ValueError(
            f"StridedUNet expected a norm of {' or '.join(NORMS)}, dims of 2 or 3 and a dropout in [0, 1), "
            f"got {norm!r}, {dims} and {dropout}"
        )
