"""A U-Net that outlines synthetic lesions: what supervision by imitation alone achieves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.detectors.base import DetectorNetwork
from diffad.detectors.dense import CONVOLUTION
from diffad.detectors.losses import dice_loss, focal_loss
from diffad.detectors.sides import check_halved_scan, check_halvings
from diffad.models.padding import run_padded
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample


@DETECTORS.register("unet_synthetic")
class UNetSynthetic(DetectorNetwork):
    r"""Says of each voxel how likely it is part of a synthetic lesion.

    .. math:: a = \sigma(f(x)), \qquad L = w_F\, \mathrm{focal}(f(x), y) + w_D\, \mathrm{dice}(a, y)

    The overlap is that of the whole batch, and a part of the loss of each of its items.
    Its target y is what ``corrupt`` of role "restore" has changed. It makes no twin. The U-Net ends in the
    width of its finest scale: one that ends in a single normalised channel learns nothing in hundreds of
    steps.

    Args:
        in_channels: Sequences C of a scan.
        focal: Weight :math:`w_F`.
        dice: Weight :math:`w_D`.
        gamma: Exponent of the focal loss; 0 is the plain cross-entropy.
        channels: Width at each scale, finest first.
        layers: Convolutions of a residual unit.
        dims: Spatial axes, 2 or 3.

    Raises:
        ValueError: If an option is out of range, or a scan has other axes or channels or is too small.

    Reference:
        U-Net: Convolutional Networks for Biomedical Image Segmentation (Ronneberger et al., 2015), in the
        residual form of MONAI.
    """

    config: Any
    supervision: ClassVar[str] = "normal+synthetic"

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        focal: float = 1.0,
        dice: float = 1.0,
        gamma: float = 0.0,
        channels: Sequence[int] = (16, 32, 64, 128),
        layers: int = 2,
        dims: int = 2,
    ) -> None:
        from monai.networks.nets import UNet

        super().__init__()
        check_halvings(in_channels, channels, dims, "UNetSynthetic")
        if min(focal, dice, gamma) < 0 or focal + dice == 0 or layers < 1:
            raise ValueError(
                "UNetSynthetic expected focal, dice and gamma of at least 0, one of the weights above it, "
                f"and layers of at least 1, got {focal}, {dice}, {gamma} and {layers}"
            )
        strides = (2,) * (len(channels) - 1)
        width = channels[0]
        unet = UNet(dims, in_channels, width, tuple(channels), strides, num_res_units=layers)
        self.network = nn.Sequential(unet, CONVOLUTION[dims](width, 1, 1))

    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of each item, (B,)."""
        logits = self._segment(example.seen)
        focal = focal_loss(logits, example.damage, self.config.gamma)
        return self.config.focal * focal + self.config.dice * dice_loss(logits.sigmoid(), example.damage)

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, *S) in [0, 1]; the mask plays no part."""
        return Detection(torch.sigmoid(self._segment(x)))

    def _segment(self, x: Tensor) -> Tensor:
        check_halved_scan(x, self.config.in_channels, self.config.channels, self.config.dims, "UNetSynthetic")
        return run_padded(self.network, x, 2 ** (len(self.config.channels) - 1)).float()
