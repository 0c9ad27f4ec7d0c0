"""Coarse noise on the brain, as a denoising autoencoder is trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from diffad.data.corruptions.noised import NoisedCorruption
from diffad.noise.coarse import CoarseNoise
from diffad.registry import CORRUPTIONS


@CORRUPTIONS.register("coarse")
class Coarse(NoisedCorruption):
    r"""Adds smooth noise of the size of lesions to the brain (DAE).

    .. math:: x + l \, \sigma \, z

    Args:
        resolution: Nodes of the noise along the longest axis, see ``diffad.noise.coarse``.
        sigma: Standard deviation :math:`\sigma` at level 1, in units of the image or the code.

    Raises:
        ValueError: If an option is out of range.

    Reference:
        Denoising Autoencoders for Unsupervised Anomaly Detection in Brain MRI (Kascenas et al., MIDL 2022),
        whose noise of .2 at the nodes has a standard deviation of .134, and whose images are not cut.
    """

    def __init__(self, resolution: int = 16, sigma: float = 0.134) -> None:
        self._noise = CoarseNoise(resolution, sigma)
        self.resolution, self.sigma = resolution, sigma

    def draw(self, x: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw coarse noise for an item (C, *S), which goes everywhere."""
        return self._noise(x[None], generator=[generator])[0], torch.ones_like(mask, dtype=torch.bool)

    def draw_level(self, generator: torch.Generator) -> float:
        """Return 1: the method knows one level."""
        return 1.0

    def lay(self, x: Tensor, brain: Tensor, z: Tensor, level: float) -> Tensor:
        """Add the noise."""
        return x + level * z
