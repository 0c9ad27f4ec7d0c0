"""The autoencoder that says how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.detectors.ae import AE
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample


@DETECTORS.register("aeu")
class AEU(AE):
    r"""Rebuilds a scan and the variance of its own error, and maps the error in units of that.

    .. math:: L = e^{-s} (x - \hat x)^2 + s, \qquad a = e^{-s} (x - \hat x)^2

    with the log-variance :math:`s` of each voxel.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in voxels.
        latent: Numbers of a code.
        channels: Channels after each halving.
        hidden: Width of the layers beside the code.
        dims: Spatial axes, 2 or 3.

    Reference:
        Abnormality Detection in Chest X-ray Images Using Uncertainty Prediction Autoencoders (Mao et al.,
        MICCAI 2020).
    """

    answers: ClassVar[int] = 2

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 64,
        latent: int = 16,
        channels: Sequence[int] = (16, 32, 64, 64),
        hidden: int = 1024,
        dims: int = 2,
    ) -> None:
        super(AE, self).__init__()
        self._build(in_channels, size, latent, channels, hidden, dims)

    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of each item, (B,)."""
        error, log_variance, _ = self._look(self._shrink(example.seen), self._shrink(example.clean))
        return (error + log_variance).flatten(1).mean(1)

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, *S) in [0, 1]; the mask plays no part."""
        small = self._shrink(x)
        error, _, x_hat = self._look(small, small)
        return self._answer(x, error.mean(1, keepdim=True), x_hat)

    def _look(self, view: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the error in units of its variance, the log-variance, and the twin, (B, C, *S) each."""
        x_hat, log_variance = self.autoencoder.decode(self.autoencoder.encode(view)).float().chunk(2, 1)
        return (-log_variance).exp() * (x - x_hat).square(), log_variance, x_hat
