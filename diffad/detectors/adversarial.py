"""What adversaries minimise: losses of generators and discriminators by name, and the penalty of a critic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class GanLoss:
    """Losses of the logits of a discriminator, each for every logit.

    Args:
        real: What it minimises of real images.
        fake: What it minimises of generated ones.
        fool: What the generator minimises of its own.
    """

    real: Callable[[Tensor], Tensor]
    fake: Callable[[Tensor], Tensor]
    fool: Callable[[Tensor], Tensor]

    def judge(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return what a discriminator minimises of a pair, (B,), from its logits (B, ...) of both."""
        return _mean_item(self.real(real)) + _mean_item(self.fake(fake))

    def deceive(self, fake: Tensor) -> Tensor:
        """Return what a generator minimises, (B,), from the logits (B, ...) of what it made."""
        return _mean_item(self.fool(fake))


def _mean_item(loss: Tensor) -> Tensor:
    return loss.float().flatten(1).mean(1)


def _square_from_one(logit: Tensor) -> Tensor:
    return (logit - 1).square()


GAN_LOSSES = {
    "wasserstein": GanLoss(torch.neg, lambda v: v, torch.neg),
    "least_squares": GanLoss(lambda v: (v - 1).square() / 2, lambda v: v.square() / 2, _square_from_one),
    "hinge": GanLoss(lambda v: F.relu(1 - v), lambda v: F.relu(1 + v), torch.neg),
    "cross_entropy": GanLoss(lambda v: F.softplus(-v), F.softplus, lambda v: F.softplus(-v)),
}
"""By the name of the game; that of a discriminator by least squares is halved, as is common."""


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, generators: Sequence[torch.Generator]
) -> Tensor:
    r"""Return how far the slope of a critic is from 1 somewhere between real and generated images, (B,).

    .. math:: P = (\lVert \nabla_u C(u) \rVert_2 - 1)^2, \quad u = x + a\, (\hat x - x), \quad a \sim U(0, 1)

    Args:
        critic: Answers one logit an image.
        real: Images, (B, C, *S).
        fake: Generated images, (B, C, *S).
        generators: One for each item.

    Reference:
        Improved Training of Wasserstein GANs (Gulrajani et al., 2017), algorithm 1.
    """
    shares = torch.stack([torch.rand((), generator=g) for g in generators]).to(real)
    with torch.enable_grad():
        point = torch.lerp(real, fake, shares.reshape(-1, *[1] * (real.ndim - 1))).detach().requires_grad_()
        (slope,) = torch.autograd.grad(critic(point).float().sum(), point, create_graph=True)
    return (torch.linalg.vector_norm(slope.float().flatten(1), dim=1) - 1).square()


def draw_codes(generators: Sequence[torch.Generator], width: int, like: Tensor) -> Tensor:
    """Draw codes (B, width) from a normal distribution, one from each generator."""
    return torch.stack([torch.randn(width, generator=g) for g in generators]).to(like)


def check_sizes(
    in_channels: int, size: int, latent: int, channels: Sequence[int], dims: int, multiple: int
) -> None:
    """Refuse sizes of which no networks can be made.

    Args:
        in_channels: Sequences of a scan.
        size: Side of what is looked at, in voxels.
        latent: Numbers of a code.
        channels: Channels of the layers.
        dims: Spatial axes.
        multiple: What ``size`` must be a multiple of.

    Raises:
        ValueError: If one is out of range.
    """
    if dims not in (2, 3) or not channels or min(in_channels, latent, *channels) < 1:
        raise ValueError("expected dims of 2 or 3, and in_channels, latent and channels of at least 1")
    if size < multiple or size % multiple:
        raise ValueError(f"expected a size that is a multiple of {multiple}, got {size}")


def check_map_kind(kind: str, kinds: Sequence[str]) -> None:
    """Refuse a map that a detector does not make.

    Raises:
        ValueError: If it is none of ``kinds``.
    """
    if kind not in kinds:
        raise ValueError(f"expected a map of {' or '.join(kinds)}, got {kind!r}")
