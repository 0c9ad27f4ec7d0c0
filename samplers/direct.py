"""One estimate of the image as it is: a denoising autoencoder takes anomalies for noise, and removes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from diffad.denoise import as_denoiser
from diffad.protocols import Denoiser, NoiseGenerator
from diffad.registry import SAMPLERS
from diffad.samplers.base import as_level, check_call
from diffad.schedule import Schedule
from diffad.types import Example, Generators, Reconstruction, StepRecord


@SAMPLERS.register("direct")
class Direct:
    r"""Restores an image by one evaluation, with no noise added; noise is for training alone.

    .. math:: \hat x = f(x), \qquad \text{trained on } x_t = x + \sigma z \text{ inside the brain}

    The network predicts the clean image and knows no level: the schedule's prediction type is "sample", and
    the level it is called at, 1, means nothing to it.

    Args:
        sigma: Standard deviation :math:`\sigma` of the noise in training, for unit noise :math:`z`, in the
            model range [-1, 1]. The published .2 is that of 16 x 16 nodes in [0, 1]; enlarged linearly they
            have .134, which is .268 in [-1, 1].

    Raises:
        ValueError: If ``sigma`` is not positive, or the denoiser's network predicts something else than the
            clean image on call.

    Reference:
        Denoising Autoencoders for Unsupervised Anomaly Detection in Brain MRI (Kascenas et al., MIDL 2022).
    """

    def __init__(self, sigma: float = 0.27) -> None:
        if not 0 < sigma < math.inf:
            raise ValueError(f"expected a positive sigma, got {sigma}")
        self.sigma = sigma

    @torch.no_grad()
    def __call__(
        self,
        x: Tensor,
        denoiser: Denoiser,
        noise: NoiseGenerator,
        *,
        generator: Generators,
        mask: Tensor | None = None,
        on_step: Callable[[StepRecord], None] | None = None,
    ) -> Reconstruction:
        """Restore ``x`` (B, C, *S) in [-1, 1]; neither ``noise`` nor ``mask`` plays a part."""
        check_call(x, denoiser, 1, generator)
        prediction = as_denoiser(denoiser).prediction_type
        if prediction not in (None, "sample"):
            raise ValueError(f"direct expected a network of prediction_type 'sample', got {prediction!r}")
        x_hat = denoiser(x, as_level(1, x))
        if on_step is not None:
            on_step(StepRecord(1, 0, x, x_hat, x_hat))
        return Reconstruction(x_hat, nfe=1)

    def example(
        self,
        x: Tensor,
        mask: Tensor,
        t: Tensor,
        noise: NoiseGenerator,
        schedule: Schedule,
        generator: Sequence[torch.Generator],
    ) -> Example:
        """Show the network noise inside the brain, and count the loss there.

        Args:
            x: Clean images in [-1, 1], (B, C, *S).
            mask: Brain masks, (B, 1, *S).
            t: Levels, (B,); only a noise that depends on the level heeds them.
            noise: Unit noise.
            schedule: Not used: the amplitude is ``sigma`` at every level.
            generator: One for each item.
        """
        brain = mask > 0
        z = noise(x, t, generator=generator) * brain
        return Example(x, z, x + self.sigma * z, brain)
