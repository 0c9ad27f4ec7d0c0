"""The plain autoencoder as a detector: what does not pass through a few numbers is odd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.detectors.base import DetectorNetwork
from diffad.detectors.compare import COMPARISONS, resize
from diffad.detectors.dense import DenseAutoencoder
from diffad.models.padding import check_input
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample


@DETECTORS.register("ae")
class AE(DetectorNetwork):
    r"""Rebuilds a scan from a code of a few numbers, and maps the error.

    .. math:: a = (x - D(E(x)))^2

    Scans are looked at in ``size``; map and twin are enlarged again. The smaller the code, the less of a
    lesion passes, and the less of the brain; which size is best depends on the data. Published are a size of
    64 with codes of 16 (of 1 to 128 in its sweep), a squared error, and no average of weights.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in voxels, a multiple of 2 for each of ``channels``.
        latent: Numbers of a code; channels of one with ``spatial``.
        loss: "l2", "l1", or "ssim" (structural dissimilarity, window of 11), in training and in the map.
        spatial: Keep places: a code of ``latent`` channels at each place of the coarsest grid.
        consistency: Weight of the distance of the codes of scan and twin (constrained autoencoder).
        channels: Channels after each halving.
        hidden: Width of the layers beside the code.
        dims: Spatial axes, 2 or 3.

    Raises:
        ValueError: If an option is out of range, or a scan has other axes or channels.

    Reference:
        Rethinking Autoencoders for Medical Anomaly Detection from A Theoretical Perspective (Cai et al.,
        MICCAI 2024). "ssim": Improving Unsupervised Defect Segmentation by Applying Structural Similarity to
        Autoencoders (Bergmann et al., 2019). ``consistency``: Unsupervised Detection of Lesions in Brain MRI
        using constrained adversarial auto-encoders (Chen and Konukoglu, 2018), without its adversary.
    """

    codes: ClassVar[int] = 1
    """Codes that the encoder answers."""
    answers: ClassVar[int] = 1
    """Images that the decoder answers."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 64,
        latent: int = 16,
        loss: str = "l2",
        spatial: bool = False,
        consistency: float = 0.0,
        channels: Sequence[int] = (16, 32, 64, 64),
        hidden: int = 1024,
        dims: int = 2,
    ) -> None:
        super().__init__()
        self._build(in_channels, size, latent, channels, hidden, dims, spatial)
        if loss not in COMPARISONS:
            raise ValueError(f"expected a loss of {', '.join(COMPARISONS)}, got {loss!r}")
        if consistency < 0:
            raise ValueError(f"expected a consistency of at least 0, got {consistency}")

    def _build(
        self,
        in_channels: int,
        size: int,
        latent: int,
        channels: Sequence[int],
        hidden: int,
        dims: int,
        spatial: bool = False,
    ) -> None:
        multiple = 2 ** len(channels)
        if dims not in (2, 3) or not channels or min(in_channels, latent, hidden, *channels) < 1:
            raise ValueError("expected dims of 2 or 3, and channels, latent and hidden of at least 1")
        if size < multiple or size % multiple:
            raise ValueError(f"expected a size that is a multiple of {multiple}, got {size}")
        pair = (in_channels, self.answers * in_channels, size, latent, self.codes, channels, hidden, dims)
        self.autoencoder = DenseAutoencoder(*pair, spatial=spatial)

    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of each item, (B,)."""
        x, view = self._shrink(example.clean), self._shrink(example.seen)
        code = self.autoencoder.encode(view)
        x_hat = self.autoencoder.decode(code)
        loss = COMPARISONS[self.config.loss](x, x_hat.float()).flatten(1).mean(1)
        if not self.config.consistency:
            return loss
        distance = (self.autoencoder.encode(x_hat) - code).float().square().flatten(1).mean(1)
        return loss + self.config.consistency * distance

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, *S) in [0, 1]; the mask plays no part."""
        small = self._shrink(x)
        x_hat = self.autoencoder.decode(self.autoencoder.encode(small)).float()
        return self._answer(x, COMPARISONS[self.config.loss](small, x_hat), x_hat)

    def _shrink(self, x: Tensor) -> Tensor:
        check_input(x, self.config.in_channels, self.config.dims, type(self).__name__)
        return resize(x, [self.config.size] * self.config.dims)

    def _answer(self, x: Tensor, anomaly: Tensor, x_hat: Tensor) -> Detection:
        size = x.shape[2:]
        return Detection(resize(anomaly.float(), size), resize(x_hat, size).clamp(0, 1))
