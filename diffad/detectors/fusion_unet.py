"""A U-Net for several sequences, which says where and how they are joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.detectors.base import DetectorNetwork
from diffad.detectors.compare import dissimilarity, squared_error
from diffad.detectors.dense import CONVOLUTION
from diffad.detectors.fusion import FUSIONS
from diffad.detectors.losses import dice_loss, focal_loss
from diffad.detectors.sides import check_halved_scan, check_halvings
from diffad.detectors.streams import SITES, FusedStreams
from diffad.models.padding import run_padded
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample


@DETECTORS.register("fusion_unet")
class FusionUNet(DetectorNetwork):
    r"""Outlines synthetic lesions in scans of several sequences, each of which has a stream of its own.

    .. math:: a = \sigma(f_0(x)), \quad \hat x = \sigma(f_{1..C}(x)), \quad
        L = w_F\, \mathrm{focal}(f_0(x), y) + w_D\, \mathrm{dice}(a, y)
        + w_R \left(\lVert x_0 - \hat x \rVert^2 + \tfrac{1}{2}(1 - \mathrm{SSIM}(x_0, \hat x))\right)

    with the healthy scan :math:`x_0` and what ``corrupt`` of role "restore" has changed, y. Where sequences
    are joined is chosen, and not searched for as was published; of one sequence nothing is joined.

    Args:
        in_channels: Sequences C of a scan.
        sites: Where streams join: any of "early" (after the first block), "middle" (at all scales of the
            encoders) and "late" (after the decoders); what an earlier one joined is joined again later.
        fusion: How: "sum", "mixture" (a learned mean), "concat" (a convolution of all channels) or "gated"
            (two of them, one of which is the gate of the other).
        focal: Weight :math:`w_F`.
        dice: Weight :math:`w_D`; the published loss has none.
        rebuild: Weight :math:`w_R`; 0 makes no twin.
        gamma: Exponent of the focal loss.
        channels: Width at each scale, finest first.
        dims: Spatial axes, 2 or 3.

    Raises:
        ValueError: If an option is out of range, or a scan has other axes or channels or is too small.

    Reference:
        Revisiting Multimodal Fusion for 3D Anomaly Detection from an Architectural Perspective (AAAI 2025),
        without its search; losses and streams as in EasyNet (Chen et al., 2023), whose work it builds on.
    """

    config: Any
    supervision: ClassVar[str] = "normal+synthetic"

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        sites: Sequence[str] = SITES,
        fusion: str = "gated",
        focal: float = 1.0,
        dice: float = 1.0,
        rebuild: float = 1.0,
        gamma: float = 2.0,
        channels: Sequence[int] = (16, 32, 64, 128),
        dims: int = 2,
    ) -> None:
        super().__init__()
        check_halvings(in_channels, channels, dims, "FusionUNet")
        _check_joining(sites, fusion)
        if min(focal, dice, rebuild, gamma) < 0 or focal + dice == 0:
            raise ValueError(
                "FusionUNet expected focal, dice, rebuild and gamma of at least 0, and focal or dice above "
                f"it, got {focal}, {dice}, {rebuild} and {gamma}"
            )
        self.streams = FusedStreams(in_channels, channels, sites, fusion, dims)
        self.leave = CONVOLUTION[dims](channels[0], 1 + in_channels if rebuild else 1, 1)

    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of each item, (B,)."""
        config, (logits, x_hat) = self.config, self._answer(example.seen)
        loss = config.focal * focal_loss(logits, example.damage, config.gamma)
        loss = loss + config.dice * dice_loss(logits.sigmoid(), example.damage)
        if x_hat is None:
            return loss
        error = squared_error(example.clean, x_hat) + dissimilarity(example.clean, x_hat)
        return loss + config.rebuild * error.flatten(1).mean(1)

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, *S) in [0, 1]; the mask plays no part."""
        logits, x_hat = self._answer(x)
        return Detection(logits.sigmoid(), x_hat)

    def _answer(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the logits (B, 1, *S) of being a lesion, and the twin (B, C, *S) if there is one."""
        config = self.config
        check_halved_scan(x, config.in_channels, config.channels, config.dims, "FusionUNet")
        multiple = 2 ** (len(config.channels) - 1)
        answer = run_padded(lambda v: self.leave(self.streams(v)), x, multiple).float()
        return answer[:, :1], torch.sigmoid(answer[:, 1:]) if config.rebuild else None


def _check_joining(sites: Sequence[str], fusion: str) -> None:
    if not sites or len(set(sites)) < len(sites) or set(sites) - set(SITES):
        raise ValueError(f"FusionUNet expected sites of {', '.join(SITES)}, each once, got {list(sites)}")
    if fusion not in FUSIONS:
        raise ValueError(f"FusionUNet expected a fusion of {', '.join(FUSIONS)}, got {fusion!r}")
