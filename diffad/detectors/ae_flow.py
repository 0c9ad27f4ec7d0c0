"""An autoencoder with a normalising flow in its middle: features that are unlikely are odd."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.detectors.backbone import FeatureDetector, check_stages
from diffad.detectors.backbone_networks import ARCHITECTURES
from diffad.detectors.compare import absolute_error, dissimilarity, resize
from diffad.models.coupling import CouplingFlow, measure_bits
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample

MAPS = ("score", "residual", "likelihood")


class DecoderStage(nn.Sequential):
    """Doubles a grid by a transposed convolution, then a convolution; both with normalisation and ReLU.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        last: End with the convolution and a tanh.
    """

    def __init__(self, inputs: int, outputs: int, last: bool) -> None:
        end = (nn.Tanh(),) if last else (nn.BatchNorm2d(outputs), nn.ReLU())
        up = nn.ConvTranspose2d(inputs, outputs, 2, 2)
        super().__init__(up, nn.BatchNorm2d(outputs), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, 1, 1), *end)


@DETECTORS.register("ae_flow")
class AEFlow(FeatureDetector):
    r"""Maps how unlikely the features of a place are, and how badly the scan is rebuilt from them.

    .. math:: a = \beta \, \tfrac{1}{2 C} \lVert z' \rVert^2 + (1 - \beta) (1 - \operatorname{SSIM}(x, x'))

    A flow f makes z' = f(z) of the features z of a frozen network, a decoder x' of z'. The loss is

    .. math:: \alpha \, \frac{-\log p(z') - \log \lvert \det J \rvert}{D \ln 2} + (1 - \alpha)
        \lVert x - x' \rVert^2 / N

    in bits per dimension: as published, without the division by D ln 2, the first term is some 10,000 times
    the second. The mean of the map is the published score of a scan with the mean of -log p of a dimension
    in the place of -p, which is 0 in floating point. The published map of voxels is the residual. Published
    are "wide_resnet50" with ``stage`` 3 and ``channels`` 512, 256, 64; there is no published code.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in pixels.
        backbone: Network of features: "lite0", "mobilenet_v2", "resnet18" or "wide_resnet50".
        weights: "pretrained", "random", or a file of weights.
        stage: Stage of the network whose features the flow is given.
        statistics: "centre" or "imagenet", see ``FrozenFeatures``.
        blocks: Couplings of the flow.
        subnetwork: "residual" or "plain", see ``diffad.models.coupling``.
        inner_width: Width of a plain one; 0 takes the channels of the features.
        channels: Channels of the decoder after each doubling but the last.
        alpha: Weight of the likelihood in the loss, in [0, 1].
        beta: Weight of the likelihood in the map, in [0, 1].
        map: "score" as above, "residual" for the distance of scan and twin, "likelihood" for the first term.
        origin: What the weights came from; set once they are there.

    Raises:
        ValueError: If an option is out of range.
        OSError: If there are no weights.

    Reference:
        AE-FLOW: Autoencoders with Normalizing Flows for Medical Images Anomaly Detection (Zhao et al., ICLR
        2023), after reproductions by others.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 256,
        backbone: str = "lite0",
        weights: str = "pretrained",
        stage: int = 5,
        statistics: str = "imagenet",
        blocks: int = 8,
        subnetwork: str = "residual",
        inner_width: int = 0,
        channels: Sequence[int] = (96, 64, 32),
        alpha: float = 0.5,
        beta: float = 0.9,
        map: str = "score",
        origin: str = "",
    ) -> None:
        super().__init__()
        if map not in MAPS or not (0 <= alpha <= 1 and 0 <= beta <= 1):
            raise ValueError(f"expected alpha and beta in [0, 1] and a map of {', '.join(MAPS)}, got {map!r}")
        check_decoder(backbone, stage, size, channels)
        self._build_features(size, [stage], statistics, adapt_norm=False)
        width = in_channels * self.features.widths[0]
        self.flow = CouplingFlow(width, blocks, subnetwork, inner_width or width)
        sizes = list(pairwise([width, *channels, in_channels]))
        self.decoder = nn.Sequential(*(DecoderStage(*pair, pair == sizes[-1]) for pair in sizes))

    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of each item, (B,)."""
        clean, seen_scan = (
            self._shrink(example.clean, example.brain),
            self._shrink(example.seen, example.brain),
        )
        z, log_det, x_hat = self._rebuild(seen_scan)
        error = (2 * clean - 1 - x_hat).square().flatten(1).mean(1)
        alpha = self.config.alpha
        return alpha * measure_bits(z, log_det) + (1 - alpha) * error

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, H, W) in [0, 1] inside ``mask`` (B, 1, H, W)."""
        small, size = self._shrink(x, mask), x.shape[2:]
        z, _, x_hat = self._rebuild(small)
        twin = (x_hat + 1) / 2
        return Detection(resize(self._compare(small, twin, z), size), resize(twin, size) * mask)

    def _rebuild(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return z', the log-determinant and the twin, in [-1, 1]."""
        with torch.autocast(x.device.type, enabled=False):
            z, log_det = self.flow(self.features(x)[0])
            return z, log_det, self.decoder(z)

    def _compare(self, x: Tensor, twin: Tensor, z: Tensor) -> Tensor:
        """Return the map on the grid of ``x``, (B, 1, size, size)."""
        if self.config.map == "residual":
            return absolute_error(x, twin)
        unlikely = resize(0.5 * z.square().mean(1, keepdim=True), x.shape[2:])
        if self.config.map == "likelihood":
            return unlikely
        beta = self.config.beta
        return beta * unlikely + (1 - beta) * 2 * dissimilarity(x, twin)


def check_decoder(backbone: str, stage: int, size: int, channels: Sequence[int]) -> None:
    """Refuse what cannot be enlarged from the grid of a stage to the scan by doublings.

    Raises:
        ValueError: If the grid is smaller than 2 cells, or there are too few or too many channels.
    """
    check_stages(backbone, [stage])
    stride = ARCHITECTURES[backbone].strides[stage]
    doublings = stride.bit_length() - 1
    if size < 2 * stride or size % stride:
        raise ValueError(
            f"expected a size that is a multiple of {stride}, and at least {2 * stride}, got {size}"
        )
    if len(channels) != doublings - 1 or min(channels, default=1) < 1:
        raise ValueError(
            f"expected {doublings - 1} channels of at least 1, one for each doubling but the last from a "
            f"stride of {stride}, got {list(channels)}"
        )
