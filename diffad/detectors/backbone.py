"""Detectors that look at features of a frozen network in the place of voxels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffad.detectors.backbone_networks import ARCHITECTURES, FeatureNetwork
from diffad.detectors.backbone_weights import load_published
from diffad.detectors.base import DetectorNetwork
from diffad.detectors.compare import resize
from diffad.models.padding import check_input

STATISTICS = {
    "centre": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and deviation that intensities of [0, 1] are measured by, for the three colours."""


class FeatureMaps(nn.Module):
    """Features of images, by stages of a network.

    Each sequence of a scan is looked at alone, as a grey image.

    Args:
        name: The network, one of ``ARCHITECTURES``.
        stages: Stages that are looked at; 0 is the stem.
        statistics: "centre" brings [0, 1] to [-1, 1], "imagenet" to the statistics of photographs.

    Raises:
        ValueError: If there is no such network, stage or kind of statistics.
    """

    def __init__(self, name: str, stages: Sequence[int], statistics: str) -> None:
        super().__init__()
        check_stages(name, stages)
        if statistics not in STATISTICS:
            raise ValueError(f"expected statistics of {', '.join(STATISTICS)}, got {statistics!r}")
        self.picked, self.statistics = tuple(stages), statistics
        self.widths = tuple(ARCHITECTURES[name].channels[k] for k in stages)
        self.network = FeatureNetwork(name, max(stages))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features (B, C F, H / stride, W / stride) of each stage of ``x`` (B, C, H, W)."""
        mean, deviation = (x.new_tensor(v)[:, None, None] for v in STATISTICS[self.statistics])
        with torch.autocast(x.device.type, enabled=False):
            grey = (x.float().flatten(0, 1)[:, None] - mean) / deviation
            answers = self.network(grey)
        return [answers[k].unflatten(0, x.shape[:2]).flatten(1, 2) for k in self.picked]

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Normalise by what was learned for a while, in training, too."""
        training = self.training
        self.eval()
        try:
            yield
        finally:
            self.train(training)


class FrozenFeatures(FeatureMaps):
    """The same of a network that does not learn.

    Args:
        name: The network, one of ``ARCHITECTURES``.
        stages: Stages that are looked at; 0 is the stem.
        statistics: "centre" or "imagenet".
        adapt_norm: In training, normalise by the statistics of the batch, and take on those of the data.

    Raises:
        ValueError: If there is no such network, stage or kind of statistics.
    """

    def __init__(self, name: str, stages: Sequence[int], statistics: str, adapt_norm: bool) -> None:
        super().__init__(name, stages, statistics)
        self.adapt_norm = adapt_norm
        self.network.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Switch to training; the normalisation stays as it is unless it adapts."""
        super().train(mode)
        self.network.train(mode and self.adapt_norm)
        return self

    @torch.no_grad()
    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features (B, C F, H / stride, W / stride) of each stage of ``x`` (B, C, H, W)."""
        return super().forward(x)


def check_stages(name: str, stages: Sequence[int]) -> None:
    """Refuse a network that is not known, or stages that it has not.

    Raises:
        ValueError: If there are none.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"expected a backbone of {', '.join(ARCHITECTURES)}, got {name!r}")
    count = len(ARCHITECTURES[name].channels)
    if not stages or sorted(set(stages)) != list(stages) or not 0 <= stages[0] <= stages[-1] < count:
        raise ValueError(f"expected rising stages of {name} in 0..{count - 1}, got {list(stages)}")


def join_features(features: Sequence[Tensor], grid: int) -> Tensor:
    """Bring features to one grid, and put them behind one another, (B, F, grid, grid)."""
    return torch.cat([enlarge(f, [grid, grid]) for f in features], 1)


def enlarge(x: Tensor, size: Sequence[int]) -> Tensor:
    """Bring ``x`` (B, C, H, W) to another size, corner on corner."""
    if tuple(x.shape[2:]) == tuple(size):
        return x
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=True)


class FeatureDetector(DetectorNetwork):
    """A detector that looks at scans through ``features``.

    Its options hold ``backbone``, ``weights`` and ``origin``: where the weights come from when it is
    made, and the sha256 of their file once it has them; a stored detector brings them along.
    """

    config: Any
    features: FrozenFeatures

    @property
    def backbone(self) -> str:
        """Name of the network of features; "-random" behind it where it was never trained."""
        name = str(self.config.backbone)
        return f"{name}-random" if self.config.origin == "random" else name

    def _build_features(self, size: int, stages: Sequence[int], statistics: str, adapt_norm: bool) -> None:
        """Build the network of features, with weights unless a folder will bring them."""
        options = self.config
        name, weights, origin = options.backbone, options.weights, options.origin
        check_stages(name, stages)
        stride = ARCHITECTURES[name].strides[stages[-1]]
        if size < stride or size % stride:
            raise ValueError(f"expected a size that is a multiple of {stride}, got {size}")
        if options.in_channels < 1:
            raise ValueError(f"expected in_channels of at least 1, got {options.in_channels}")
        self.features = FrozenFeatures(name, stages, statistics, adapt_norm)
        if origin or next(self.features.parameters()).is_meta:
            return
        if weights == "random":
            warnings.warn(
                f"the backbone {name} has random weights: good for a trial, not for results", stacklevel=4
            )
            origin = "random"
        else:
            origin = load_published(self.features.network, weights)
        kind = weights if weights in ("pretrained", "random") else "file"
        self.register_to_config(weights=kind, origin=origin)

    def _shrink(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return what is looked at: scans without what is no brain, at ``size``."""
        check_input(x, self.config.in_channels, 2, type(self).__name__)
        return resize(x * mask, [self.config.size] * 2)
