"""Layers of a normalising flow: invertible, with the exact logarithm of their determinant."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

REACH = 2.0
"""Largest logarithm of a scale."""
GAIN = 0.1
"""Factor of what a sub-network answers."""


def make_plain(inputs: int, inner_width: int, outputs: int) -> nn.Module:
    """Build a convolution, ReLU and a convolution of width 1, which answers 0 at first."""
    return nn.Sequential(
        nn.Conv2d(inputs, inner_width, 3, 1, 1), nn.ReLU(), make_silent(inner_width, outputs)
    )


def make_silent(inputs: int, outputs: int) -> nn.Module:
    """Build a convolution of width 1 that answers 0 at first, however large what it is shown."""
    convolution = nn.Conv2d(inputs, outputs, 1)
    for parameter in convolution.parameters():
        nn.init.zeros_(parameter)
    return convolution


class ShortcutNetwork(nn.Module):
    """A convolution with normalisation and ReLU, beside one of width 1, which answers 0 at first.

    Args:
        inputs: Channels in.
        inner_width: Plays no part.
        outputs: Channels out.
    """

    def __init__(self, inputs: int, inner_width: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(inputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU())
        self.shortcut = make_silent(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, outputs, H, W)."""
        y: Tensor = self.body(x) + self.shortcut(x)
        return y


SUBNETWORKS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "plain": make_plain,
    "residual": ShortcutNetwork,
}
"""What makes scale and shift of one half from the other."""


class AffineCoupling(nn.Module):
    r"""Scales and shifts half of the channels by what the other half says, then all of them, and mixes them.

    .. math:: y = \Pi\left(g \odot [x_1, \; x_2 \odot e^{s(x_1)} + t(x_1)] + b\right), \quad
        \log \lvert \det J \rvert = \sum s + H W \sum \log g

    with s within :math:`\pm 2`, a scale g > 0 and a shift b of each channel, and a fixed permutation.

    Args:
        channels: Channels C, at least 2.
        kind: Sub-network, one of ``SUBNETWORKS``.
        inner_width: Its width inside.
        seed: Seed of the permutation.

    Raises:
        ValueError: If an option is out of range.

    Reference:
        Density estimation using Real NVP (Dinh et al., 2017); scale of all channels as in Glow (Kingma and
        Dhariwal, 2018).
    """

    order: Tensor

    def __init__(self, channels: int, kind: str, inner_width: int, seed: int) -> None:
        super().__init__()
        if kind not in SUBNETWORKS:
            raise ValueError(f"expected a sub-network of {', '.join(SUBNETWORKS)}, got {kind!r}")
        if channels < 2 or inner_width < 1:
            raise ValueError(
                f"expected at least 2 channels and 1 hidden one, got {channels} and {inner_width}"
            )
        self.split_at = channels - channels // 2
        self.network = SUBNETWORKS[kind](self.split_at, inner_width, 2 * (channels // 2))
        self.log_scale = nn.Parameter(torch.zeros(channels, 1, 1))
        self.shift = nn.Parameter(torch.zeros(channels, 1, 1))
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(channels, generator=generator, device="cpu")
        self.register_buffer("order", order.to(self.shift.device))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return y (B, C, H, W) of ``x`` and the log-determinant (B,) of the step."""
        first, second = self._halve(x)
        log_scale, shift = self._ask(first)
        y = torch.cat([first, second * log_scale.exp() + shift], 1) * self.log_scale.exp() + self.shift
        return y[:, self.order], self._measure(log_scale)

    def inverse(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return x (B, C, H, W) of ``y`` and the log-determinant (B,) of the way back."""
        y = (y[:, self.order.argsort()] - self.shift) * (-self.log_scale).exp()
        first, second = self._halve(y)
        log_scale, shift = self._ask(first)
        return torch.cat([first, (second - shift) * (-log_scale).exp()], 1), -self._measure(log_scale)

    def _halve(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the channels that say how the others change, and those others."""
        return x[:, : self.split_at], x[:, self.split_at :]

    def _ask(self, first: Tensor) -> tuple[Tensor, Tensor]:
        """Return logarithm of the scale and shift of the other half."""
        answer, shift = (GAIN * self.network(first)).chunk(2, 1)
        return REACH * torch.tanh(answer), shift

    def _measure(self, log_scale: Tensor) -> Tensor:
        cells = log_scale.shape[2] * log_scale.shape[3]
        return log_scale.flatten(1).sum(1) + cells * self.log_scale.sum()


class CouplingFlow(nn.Module):
    """Couplings one after another.

    Args:
        channels: Channels C, at least 2.
        blocks: How many.
        kind: Sub-network, one of ``SUBNETWORKS``.
        inner_width: Its width inside.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(self, channels: int, blocks: int, kind: str, inner_width: int) -> None:
        super().__init__()
        if blocks < 1:
            raise ValueError(f"expected at least 1 block, got {blocks}")
        self.blocks = nn.ModuleList(AffineCoupling(channels, kind, inner_width, k) for k in range(blocks))

    def list_steps(self) -> list[AffineCoupling]:
        """Return the couplings in their order."""
        return [block for block in self.blocks if isinstance(block, AffineCoupling)]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return z (B, C, H, W) of ``x`` and the log-determinant (B,)."""
        total = x.new_zeros(len(x))
        for block in self.list_steps():
            x, log_det = block(x)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return x (B, C, H, W) of ``z`` and the log-determinant (B,) of the way back."""
        total = z.new_zeros(len(z))
        for block in reversed(self.list_steps()):
            z, log_det = block.inverse(z)
            total = total + log_det
        return z, total


def measure_bits(z: Tensor, log_det: Tensor) -> Tensor:
    r"""Return the bits per dimension of each item, (B,).

    .. math:: \frac{1}{D \ln 2} \left(\tfrac{1}{2} \lVert z \rVert^2 + \tfrac{D}{2} \ln 2 \pi
        - \log \lvert \det J \rvert\right)

    Args:
        z: Where a flow put them, (B, C, H, W), of D numbers each.
        log_det: Its log-determinants, (B,).
    """
    flat = z.flatten(1)
    count = flat.shape[1]
    nats = 0.5 * flat.square().sum(1) + 0.5 * count * math.log(2 * math.pi) - log_det
    return nats / (count * math.log(2))
