"""The feature autoencoder: structure that features of healthy scans do not have is odd."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.detectors.backbone import FeatureDetector, enlarge, join_features
from diffad.detectors.structure import equalise, measure_similarity
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample

CELL = 4
"""Pixels of a scan between two cells of the grid of features."""
SLOPE = 0.01


class FeatureAutoencoder(nn.Module):
    """Squeezes maps of features by convolutions of stride 2, and rebuilds them.

    Args:
        features: Channels F of the maps.
        channels: Channels after each halving; the last is that of the code.
        dropout: Share of channels that are left out in training.
    """

    def __init__(self, features: int, channels: Sequence[int], dropout: float) -> None:
        super().__init__()
        last = channels[-1]
        down, up = [features, *channels], [last, *channels[-2::-1], features]
        encoder: list[nn.Module] = []
        for a, b in pairwise(down):
            encoder += [nn.Conv2d(a, b, 5, 2, 2, bias=False), *_make_end(b, dropout)]
        self.encoder = nn.Sequential(*encoder, nn.Conv2d(last, last, 5, 1, 2, bias=False))
        decoder: list[nn.Module] = []
        for a, b in pairwise(up):
            decoder += [nn.ConvTranspose2d(a, b, 6, 2, 2, bias=False), *_make_end(b, dropout)]
        self.decoder = nn.Sequential(*decoder, nn.Conv2d(features, features, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Rebuild ``x`` (B, F, H, W)."""
        y: Tensor = self.decoder(self.encoder(x))
        return y


def _make_end(channels: int, dropout: float) -> tuple[nn.Module, ...]:
    return nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE), nn.Dropout2d(dropout)


@DETECTORS.register("fae")
class FAE(FeatureDetector):
    r"""Rebuilds features of a scan, and maps how their structure differs.

    .. math:: a = 1 - \tfrac{1}{F} \sum_k \operatorname{SSIM}(\phi_k(x), \hat \phi_k(x))

    Published with ResNet18 (``stages`` 0, 1, 2 and ``channels`` 100, 150, 200, 300) and SSIM without the 1;
    features are brought to a quarter of ``size``. Ranks are published per volume, and are those of a slice
    here.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in pixels.
        backbone: Network of features: "lite0", "mobilenet_v2", "resnet18" or "wide_resnet50".
        weights: "pretrained", "random", or a file of weights.
        stages: Stages of the network that are looked at; 0 is the stem.
        statistics: "centre" or "imagenet", see ``FrozenFeatures``.
        adapt_norm: Let the normalisation of the network take on the statistics of the scans, as published.
        equalise: Replace intensities by their ranks inside the brain.
        channels: Channels of the autoencoder after each halving.
        window: Width of the window of SSIM, in cells.
        dropout: Share of channels that are left out in training.
        origin: What the weights came from; set once they are there.

    Raises:
        ValueError: If an option is out of range.
        OSError: If there are no weights.

    Reference:
        Unsupervised Anomaly Localization with Structural Feature-Autoencoders (Meissen et al., 2022).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 128,
        backbone: str = "lite0",
        weights: str = "pretrained",
        stages: Sequence[int] = (0, 2, 3),
        statistics: str = "centre",
        adapt_norm: bool = True,
        equalise: bool = True,
        channels: Sequence[int] = (64, 96, 128, 192),
        window: int = 5,
        dropout: float = 0.1,
        origin: str = "",
    ) -> None:
        super().__init__()
        if not channels or min(channels) < 1 or window < 1 or window % 2 == 0 or not 0 <= dropout < 1:
            raise ValueError("expected channels of at least 1, an odd window and dropout in [0, 1)")
        multiple = CELL * 2 ** len(channels)
        if size < multiple or size % multiple:
            raise ValueError(f"expected a size that is a multiple of {multiple}, got {size}")
        self._build_features(size, stages, statistics, adapt_norm)
        count = in_channels * sum(self.features.widths)
        self.autoencoder = FeatureAutoencoder(count, list(channels), dropout)

    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of each item, (B,).

        Raises:
            ValueError: If a batch of one leaves nothing to normalise by.
        """
        code = self.config.size // CELL // 2 ** len(self.config.channels)
        if self.training and len(example.clean) == code == 1:
            raise ValueError("expected a batch of at least 2 scans to train by, or a larger size, got 1 scan")
        target = self._look(example.clean, example.brain)
        same = torch.equal(example.seen, example.clean)
        source = target if same else self._look(example.seen, example.brain)
        similarity = measure_similarity(target, self.autoencoder(source).float(), self.config.window)
        return -similarity.flatten(1).mean(1)

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, H, W) in [0, 1] inside ``mask`` (B, 1, H, W); there is no twin."""
        features = self._look(x, mask)
        x_hat = self.autoencoder(features).float()
        similarity = measure_similarity(features, x_hat, self.config.window)
        return Detection(enlarge(1 - similarity.mean(1, keepdim=True), x.shape[2:]))

    def _look(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the features of scans, (B, C F, size / 4, size / 4)."""
        if self.config.equalise:
            x = equalise(x, mask)
        return join_features(self.features(self._shrink(x, mask)), self.config.size // CELL)
