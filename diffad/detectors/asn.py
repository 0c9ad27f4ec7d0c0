"""The separation network: what it cannot rebuild is held apart from what it can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.detectors.base import DetectorNetwork
from diffad.detectors.compare import absolute_error
from diffad.detectors.losses import separation_loss
from diffad.detectors.sides import check_halved_scan, check_halvings
from diffad.detectors.vnet import VNet
from diffad.models.padding import run_padded
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample

ERRORS = ("lesion", "image", "voxel")


@DETECTORS.register("asn")
class ASN(DetectorNetwork):
    r"""Rebuilds healthy scans well and synthetic lesions badly, and maps the error.

    .. math:: a = \lvert x - \sigma(f(x)) \rvert, \qquad
        L = \max(0, \beta - \bar r_P) + \lambda_P \operatorname{var} r_P
        + \bar r_N + \lambda_N \operatorname{var} r_N

    with errors :math:`r_P` of scans that hold a lesion and :math:`r_N` of those that do not, of one batch:
    each of its items has the loss of the whole. What it makes of a lesion is as far from it as may be, which
    is no healthy twin.

    Args:
        in_channels: Sequences C of a scan.
        error: What is averaged of a scan with a lesion: the error in the "lesion", or in the "image"; with
            "voxel" every voxel of the batch is a member of one of the two groups by itself.
        beta: Mean error of lesions from which on there is no more to gain.
        spread: Weight :math:`\lambda_P` of the variance of errors of lesions.
        healthy_spread: Weight :math:`\lambda_N` of the variance of the others.
        dilate: Voxels that lesions are widened by in the loss; 7 were published for specks of a few pixels.
        channels: Width at each scale, finest first.
        dims: Spatial axes, 2 or 3.
        reference: Whether errors are those of all voxels, and one ReLU a sequence stands before the last
            convolution, as was published. Beside a brain the void costs nothing, so that errors of the whole
            brain pay; and where the ReLU is silent the answer is one grey. Else only the brain counts.

    Raises:
        ValueError: If an option is out of range, or a scan has other axes or channels or is too small.

    Reference:
        Cascaded Generative and Discriminative Learning for Microcalcification Detection in Breast Mammograms
        (Zhang et al., CVPR 2019), its first stage, on synthetic lesions in the place of outlined ones.
    """

    config: Any
    supervision: ClassVar[str] = "normal+synthetic"

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        error: str = "lesion",
        beta: float = 0.8,
        spread: float = 1.0,
        healthy_spread: float = 0.1,
        dilate: int = 0,
        channels: Sequence[int] = (16, 32, 64, 128),
        dims: int = 2,
        reference: bool = False,
    ) -> None:
        super().__init__()
        check_halvings(in_channels, channels, dims, "ASN")
        if error not in ERRORS:
            raise ValueError(f"ASN expected an error of {', '.join(ERRORS)}, got {error!r}")
        if not 0 < beta <= 1 or min(spread, healthy_spread, dilate) < 0:
            raise ValueError(
                f"ASN expected beta in (0, 1], and spread, healthy_spread and dilate of at least 0, "
                f"got {beta}, {spread}, {healthy_spread} and {dilate}"
            )
        self.network = VNet(in_channels, channels, dims, reference)

    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of the batch for each item, (B,)."""
        x = example.seen
        error = absolute_error(x, self._rebuild(x))
        brain = torch.ones_like(example.brain) if self.config.reference else example.brain
        groups = self._group(error, self._widen(example.damage) * brain, brain)
        weights = (self.config.beta, self.config.spread, self.config.healthy_spread)
        return separation_loss(*groups, *weights).expand(len(x))

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, *S) in [0, 1]; the mask plays no part."""
        x_hat = self._rebuild(x)
        return Detection(absolute_error(x, x_hat), x_hat)

    def _rebuild(self, x: Tensor) -> Tensor:
        check_halved_scan(x, self.config.in_channels, self.config.channels, self.config.dims, "ASN")
        return torch.sigmoid(run_padded(self.network, x, 2 ** (len(self.config.channels) - 1)).float())

    def _widen(self, damage: Tensor) -> Tensor:
        reach = self.config.dilate
        if not reach:
            return damage
        pool = F.max_pool2d if damage.ndim == 4 else F.max_pool3d
        return pool(damage, 2 * reach + 1, stride=1, padding=reach)

    def _group(self, error: Tensor, damage: Tensor, brain: Tensor) -> tuple[Tensor, Tensor]:
        """Return the errors of lesions (P,) and of what is healthy (N,)."""
        if self.config.error == "voxel":
            return error[damage > 0], error[(damage == 0) & (brain > 0)]
        has_lesion, mean = damage.flatten(1).any(1), _average(error, brain)
        lesions = mean if self.config.error == "image" else _average(error, damage)
        return lesions[has_lesion], mean[~has_lesion]


def _average(error: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of each item where there is weight, (B,)."""
    return (error * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp(min=1)
