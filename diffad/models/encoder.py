"""A residual network that sums a clean slice or volume up in one vector."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from diffad.models.padding import check_input

DEPTHS = {10: ("basic", (1, 1, 1, 1)), 18: ("basic", (2, 2, 2, 2)), 50: ("bottleneck", (3, 4, 6, 3))}
"""Kind and number of residual blocks of the four stages, by depth."""
NORMS = ("group", "batch")
GROUPS = 8
STRIDE = 32
"""Pixels between two positions of the last stage."""


class Encoder(nn.Module):
    r"""Maps an image to a vector by a residual network, a mean over positions and a linear head.

    .. math:: c = W \, \mathrm{mean}_u \, f(x)_u + b

    Args:
        depth: Layers of the network: 10, 18 or 50.
        width: Length D of the vector.
        in_channels: Channels C of the image.
        dims: Spatial axes, 2 or 3.
        planes: Channels inside the blocks of the first stage; each later stage has twice those before.
        norm: "group", whose answer for an item follows from that item alone, or "batch" as published.

    Raises:
        ValueError: If an option has no such value, or an image has other axes or channels.

    Reference:
        Deep Residual Learning for Image Recognition (He et al., 2016), table 1; as a condition in Guided
        Reconstruction with Conditioned Diffusion Models for Unsupervised Anomaly Detection in Brain MRIs
        (Behrendt et al., 2025).
    """

    def __init__(
        self,
        depth: int = 50,
        width: int = 512,
        in_channels: int = 1,
        dims: int = 2,
        planes: int = 64,
        norm: str = "group",
    ) -> None:
        super().__init__()
        _check(depth, width, in_channels, dims, planes, norm)
        # MONAI takes seconds to import, and most networks have no encoder
        from monai.networks.nets.resnet import ResNet

        self.options: dict[str, Any] = {"depth": depth, "width": width, "in_channels": in_channels}
        self.options |= {"dims": dims, "planes": planes, "norm": norm}
        block, layers = DEPTHS[depth]
        self.resnet = ResNet(
            block,
            list(layers),
            [planes * 2**stage for stage in range(len(layers))],
            spatial_dims=dims,
            n_input_channels=in_channels,
            conv1_t_stride=2,
            bias_downsample=False,
            num_classes=width,
        )
        if norm == "group":
            _regroup(self.resnet)

    @property
    def widths(self) -> list[int]:
        """Channels that leave each stage, finest first."""
        factor = 4 if DEPTHS[self.options["depth"]][0] == "bottleneck" else 1
        return [self.options["planes"] * factor * 2**stage for stage in range(4)]

    def forward(self, image: Tensor) -> Tensor:
        """Return the vectors (B, D) of images (B, C, *S) in [0, 1]."""
        check_input(image, self.options["in_channels"], self.options["dims"], "Encoder")
        vector: Tensor = self.resnet(image.to(self.resnet.conv1.weight.dtype))
        return vector


def _check(depth: int, width: int, in_channels: int, dims: int, planes: int, norm: str) -> None:
    if depth not in DEPTHS:
        raise ValueError(f"Encoder expected depth of {', '.join(map(str, DEPTHS))}, got {depth}")
    if dims not in (2, 3):
        raise ValueError(f"Encoder expected dims of 2 or 3, got {dims}")
    if norm not in NORMS:
        raise ValueError(f"Encoder expected norm of {', '.join(NORMS)}, got {norm!r}")
    if width < 1 or in_channels < 1:
        raise ValueError(f"Encoder expected width and in_channels of 1 or more, got {width}, {in_channels}")
    if planes < 1 or planes % GROUPS:
        raise ValueError(f"Encoder expected planes divisible by {GROUPS}, got {planes}")


def _regroup(module: nn.Module) -> None:
    """Put group in the place of batch normalisation; MONAI hands its choice of norm on to the first only."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d | nn.BatchNorm3d):
            setattr(module, name, nn.GroupNorm(GROUPS, child.num_features))
        else:
            _regroup(child)
