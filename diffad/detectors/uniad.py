"""UniAD: a transformer rebuilds features that it may not look at."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.detectors.backbone import FeatureDetector, enlarge, join_features
from diffad.detectors.query import QueryTransformer
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample

CELL = 16
"""Pixels of a scan between two cells of the grid of features."""


@DETECTORS.register("uniad")
class UniAD(FeatureDetector):
    r"""Rebuilds features of a scan from those farther away, and maps the distance.

    .. math:: a_p = \lVert \hat \phi_p - \phi_p \rVert_2, \qquad
        \phi + \alpha \tfrac{\lVert \phi \rVert_2}{F} z \to \hat \phi, \quad z \sim \mathcal N(0, I)

    The features are shaken in training only, and the target is not. Published with EfficientNet-B4, whose
    stages of strides 2, 4, 8 and 16 have 272 features.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in pixels, a multiple of 16.
        backbone: Network of features: "lite0", "mobilenet_v2", "resnet18" or "wide_resnet50".
        weights: "pretrained", "random", or a file of weights.
        stages: Stages of the network that are looked at; 0 is the stem.
        statistics: "centre" or "imagenet", see ``FrozenFeatures``.
        width: Width of the transformer, even.
        heads: Heads of its attention.
        layers: Layers of its encoder, and as many of its decoder.
        hidden: Width of its layers beside the attention.
        reach: Width of the window around a cell that it may not look at, odd.
        dropout: Share of numbers that are left out in training.
        jitter: How much the features are shaken, :math:`\alpha`.
        origin: What the weights came from; set once they are there.

    Raises:
        ValueError: If an option is out of range.
        OSError: If there are no weights.

    Reference:
        A Unified Model for Multi-class Anomaly Detection (You et al., NeurIPS 2022).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 224,
        backbone: str = "lite0",
        weights: str = "pretrained",
        stages: Sequence[int] = (1, 2, 3, 5),
        statistics: str = "imagenet",
        width: int = 256,
        heads: int = 8,
        layers: int = 4,
        hidden: int = 1024,
        reach: int = 7,
        dropout: float = 0.1,
        jitter: float = 20.0,
        origin: str = "",
    ) -> None:
        super().__init__()
        if size < CELL or size % CELL:
            raise ValueError(f"expected a size that is a multiple of {CELL}, got {size}")
        if reach < 1 or reach % 2 == 0 or reach > size // CELL or jitter < 0:
            raise ValueError(
                f"expected an odd reach of at most {size // CELL} cells and a jitter of at least 0, "
                f"got {reach} and {jitter}"
            )
        self._build_features(size, stages, statistics, adapt_norm=False)
        count, grid = in_channels * sum(self.features.widths), size // CELL
        self.transformer = QueryTransformer(count, grid, width, heads, layers, hidden, reach, dropout)

    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of each item, (B,)."""
        target = self._look(example.clean, example.brain)
        same = torch.equal(example.seen, example.clean)
        source = target if same else self._look(example.seen, example.brain)
        if self.training:
            source = shake(source, self.config.jitter, example.generators)
        return (self.transformer(source).float() - target).square().flatten(1).mean(1)

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, H, W) in [0, 1] inside ``mask`` (B, 1, H, W); there is no twin."""
        features = self._look(x, mask)
        distance = (self.transformer(features).float() - features).norm(dim=2)
        grid = self.config.size // CELL
        return Detection(enlarge(distance.reshape(len(x), 1, grid, grid), x.shape[2:]))

    def _look(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the features of scans as tokens, (B, N, F)."""
        maps = join_features(self.features(self._shrink(x, mask)), self.config.size // CELL)
        return maps.flatten(2).transpose(1, 2)


def shake(tokens: Tensor, scale: float, generators: Sequence[torch.Generator]) -> Tensor:
    r"""Add noise to tokens, in units of their length, as published over the number of features.

    .. math:: t + \alpha \tfrac{\lVert t \rVert_2}{F} z

    Args:
        tokens: Features, (B, N, F).
        scale: How much, :math:`\alpha`.
        generators: One for each item.
    """
    shape = tokens.shape[1:]
    noise = torch.stack([torch.randn(shape, generator=g, device=g.device) for g in generators])
    length = tokens.norm(dim=2, keepdim=True)
    return tokens + scale * length / tokens.shape[2] * noise.to(tokens)
