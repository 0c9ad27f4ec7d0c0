"""The variational autoencoder as a detector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.detectors.ae import AE
from diffad.detectors.compare import squared_error
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample


@DETECTORS.register("vae")
class VAE(AE):
    r"""Rebuilds a scan from the mean of a code whose distribution is pulled towards a normal one.

    .. math:: L = \lVert x - D(z) \rVert^2 + \tfrac{w}{2 Z} \sum (\mu^2 + \sigma^2 - 1 - \log \sigma^2), \quad
        z \sim N(\mu, \sigma^2), \qquad a = (x - D(\mu))^2

    A context autoencoder (CeVAE) is the same with ``corrupt`` of role "restore" in its config, of which the
    target is the healthy scan.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in voxels.
        latent: Numbers Z of a code.
        kl: Weight w of the divergence, a mean over the numbers of a code.
        channels: Channels after each halving.
        hidden: Width of the layers beside the code.
        dims: Spatial axes, 2 or 3.

    Reference:
        Auto-Encoding Variational Bayes (Kingma and Welling, 2014); sizes and weight of MedIAnomaly (Cai et
        al., 2025). CeVAE: Context-encoding Variational Autoencoder (Zimmerer et al., 2018).
    """

    codes: ClassVar[int] = 2

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 64,
        latent: int = 16,
        kl: float = 0.005,
        channels: Sequence[int] = (16, 32, 64, 64),
        hidden: int = 1024,
        dims: int = 2,
    ) -> None:
        super(AE, self).__init__()
        self._build(in_channels, size, latent, channels, hidden, dims)
        if kl < 0:
            raise ValueError(f"expected a kl of at least 0, got {kl}")

    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of each item, (B,)."""
        x = self._shrink(example.clean)
        mean, log_variance = self.autoencoder.encode(self._shrink(example.seen)).float().chunk(2, 1)
        draws = [torch.randn(mean.shape[1:], generator=g) for g in example.generators]
        z = mean + torch.exp(log_variance / 2) * torch.stack(draws).to(mean)
        error = squared_error(x, self.autoencoder.decode(z).float()).flatten(1).mean(1)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance) / 2
        return error + self.config.kl * divergence.flatten(1).mean(1)

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, *S) in [0, 1] by the mean code; the mask plays no part."""
        small = self._shrink(x)
        mean, _ = self.autoencoder.encode(small).chunk(2, 1)
        x_hat = self.autoencoder.decode(mean).float()
        return self._answer(x, squared_error(small, x_hat), x_hat)
