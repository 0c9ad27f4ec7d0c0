"""A discriminator of patches, and both sides of its game in one backward pass."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Judges patches of pictures: three halvings and two steps of one pixel, with spectral normalisation.

    Args:
        base: Width of the first convolution; the next have 2, 4 and 8 times as many channels.

    Reference:
        Image-to-Image Translation with Conditional Adversarial Networks (Isola et al., 2017); normalisation
        as in Spectral Normalization for Generative Adversarial Networks (Miyato et al., 2018).
    """

    def __init__(self, base: int = 64) -> None:
        super().__init__()
        widths, strides = (1, base, 2 * base, 4 * base, 8 * base, 1), (2, 2, 2, 1, 1)
        layers: list[nn.Module] = []
        for inputs, outputs, stride in zip(widths, widths[1:], strides, strict=False):
            convolution = nn.Conv2d(inputs, outputs, 4, stride, 1, bias=False)
            layers += [spectral_norm(convolution), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return the logit of being real of each patch of each channel (B, C, H, W)."""
        logits: Tensor = self.layers(x.flatten(0, 1)[:, None])
        return logits.reshape(*x.shape[:2], *logits.shape[2:])


def fooling_loss(discriminator: nn.Module, fake: Tensor) -> Tensor:
    """Return how little pictures (B, C, H, W) pass for real, (B,); no weight of the judge gets a gradient."""
    weights = {name: weight.detach() for name, weight in discriminator.named_parameters()}
    return _entropy(functional_call(discriminator, weights, (fake,)), 1.0)


def judging_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Return how ill real and fake pictures (B, C, H, W) are told apart, (B,); no gradient reaches these."""
    real_loss = _entropy(discriminator(real.detach()), 1.0)
    return (real_loss + _entropy(discriminator(fake.detach()), 0.0)) / 2


def _entropy(logits: Tensor, truth: float) -> Tensor:
    logits = logits.float()
    target = torch.full_like(logits, truth)
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).mean(1)
