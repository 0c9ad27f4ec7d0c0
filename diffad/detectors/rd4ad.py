"""Reverse distillation: a student rebuilds the features of a teacher from a narrow code of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.detectors.backbone import FeatureDetector, check_stages, enlarge
from diffad.detectors.backbone_networks import ARCHITECTURES
from diffad.detectors.distillation import Student, blur_map, compare_cells, compare_items
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample


@DETECTORS.register("rd4ad")
class RD4AD(FeatureDetector):
    r"""Rebuilds features of a scan from a narrow code of them, and maps the angle between both.

    .. math:: a = G_\sigma * \sum_l \left(1 - \cos(S_l, T_l)\right)

    The loss takes the cosine of whole maps. Published are "wide_resnet50" with ``stages`` 1, 2, 3, ``blocks``
    "narrow" and ``repeats`` 3, 3, 4, 6.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in pixels.
        backbone: Network of features: "lite0", "mobilenet_v2", "resnet18" or "wide_resnet50".
        weights: "pretrained", "random", or a file of weights.
        stages: Stages of the network that are looked at, each half as fine as the one before.
        statistics: "centre" or "imagenet", see ``FrozenFeatures``.
        repeats: Blocks of the code, and of each stage on the way back, coarsest first; a number is for all.
        blocks: Their kind, "plain" or "narrow".
        sigma: Deviation of the Gaussian that smooths the map, in pixels of ``size``.
        origin: What the weights came from; set once they are there.

    Raises:
        ValueError: If an option is out of range.
        OSError: If there are no weights.

    Reference:
        Anomaly Detection via Reverse Distillation from One-Class Embedding (Deng and Li, CVPR 2022).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 256,
        backbone: str = "lite0",
        weights: str = "pretrained",
        stages: Sequence[int] = (2, 3, 5),
        statistics: str = "imagenet",
        repeats: int | Sequence[int] = 2,
        blocks: str = "plain",
        sigma: float = 4.0,
        origin: str = "",
    ) -> None:
        super().__init__()
        check_halving(backbone, stages, size)
        if sigma < 0:
            raise ValueError(f"expected sigma of at least 0, got {sigma}")
        self._build_features(size, stages, statistics, adapt_norm=False)
        self.student = Student([in_channels * width for width in self.features.widths], repeats, blocks)

    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of each item, (B,); what the teacher says of the clean scan is the target."""
        target = self._look(example.clean, example.brain)
        same = torch.equal(example.seen, example.clean)
        source = target if same else self._look(example.seen, example.brain)
        pairs = zip(self.student(source), target, strict=True)
        return torch.stack([compare_items(a.float(), b) for a, b in pairs]).sum(0)

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, H, W) in [0, 1] inside ``mask`` (B, 1, H, W); there is no twin."""
        features, size = self._look(x, mask), [self.config.size] * 2
        pairs = zip(self.student(features), features, strict=True)
        total = torch.stack([enlarge(compare_cells(a.float(), b), size) for a, b in pairs]).sum(0)
        return Detection(enlarge(blur_map(total, self.config.sigma), x.shape[2:]))

    def _look(self, x: Tensor, mask: Tensor) -> list[Tensor]:
        """Return the features of scans by stage, finest first."""
        features: list[Tensor] = self.features(self._shrink(x, mask))
        return features


def check_halving(backbone: str, stages: Sequence[int], size: int) -> None:
    """Refuse stages that a student cannot rebuild one from another.

    Raises:
        ValueError: If a stage is not half as fine as the one before, or a code would have less than 2 x 2
            cells: of a single one there is nothing to normalise by.
    """
    check_stages(backbone, stages)
    strides = [ARCHITECTURES[backbone].strides[k] for k in stages]
    if any(b != 2 * a for a, b in pairwise(strides)):
        raise ValueError(f"expected stages each half as fine as the one before, got strides {strides}")
    cell = 2 * strides[-1]
    if size < 2 * cell or size % cell:
        raise ValueError(f"expected a size that is a multiple of {cell}, and at least {2 * cell}, got {size}")
