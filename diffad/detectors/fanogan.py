"""f-AnoGAN: a generator of healthy scans, and an encoder that finds the code of a scan at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.data.space import to_public
from diffad.detectors.adversarial import GAN_LOSSES, check_map_kind, check_sizes, draw_codes, gradient_penalty
from diffad.detectors.base import TurnDetector
from diffad.detectors.compare import absolute_error, resize, squared_error
from diffad.detectors.residual import ResidualEncoder, ResidualGenerator
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample


@DETECTORS.register("fanogan")
class FAnoGAN(TurnDetector):
    r"""Learns to make healthy scans of codes, then to find the code of a scan, and maps what is left.

    .. math:: L_E = \overline{(x - G(E(x)))^2} + \kappa\, \overline{(f(x) - f(G(E(x))))^2}, \qquad
        a = |x - G(E(x))|

    with the features f of the critic, and means over voxels and over features. The first ``gan_share`` of the
    steps trains critic and generator (Wasserstein, with gradient penalty), ``critic_steps`` steps of one and
    then a step of the other; the rest trains the encoder (izi\ :sub:`f`), with both as they are. The map
    "score" is that of the loss: the squared error and, coarser, that of the features, so that its mean is
    the paper's score of an image.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in voxels, a multiple of 2 for each of ``channels`` but the first.
        latent: Numbers of a code.
        channels: Channels of the first convolution, and after each halving; the generator has them backwards.
        gan_share: Share of the steps that trains critic and generator.
        critic_steps: Steps of the critic for one of the generator.
        penalty: Weight of the gradient penalty.
        kappa: Weight :math:`\kappa` of the error of the features.
        map: "residual", the absolute error, that of the paper; "score", whose mean is its score of an image.
        dims: Spatial axes, 2 or 3.

    Raises:
        ValueError: If an option is out of range, or a scan has other axes or channels.

    Reference:
        f-AnoGAN: Fast unsupervised anomaly detection with generative adversarial networks (Schlegl et al.,
        Medical Image Analysis 2019).
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 64,
        latent: int = 128,
        channels: Sequence[int] = (64, 128, 256, 512, 512),
        gan_share: float = 0.7,
        critic_steps: int = 5,
        penalty: float = 10.0,
        kappa: float = 1.0,
        map: str = "residual",
        dims: int = 2,
    ) -> None:
        super().__init__()
        check_sizes(in_channels, size, latent, channels, dims, 2 ** (len(channels) - 1))
        if not 0 <= gan_share < 1 or critic_steps < 1 or min(penalty, kappa) < 0:
            raise ValueError(
                "expected gan_share in [0, 1), critic_steps of at least 1, penalty and kappa of at least 0, "
                f"got {gan_share}, {critic_steps}, {penalty} and {kappa}"
            )
        check_map_kind(map, ("residual", "score"))
        self.generator = ResidualGenerator(in_channels, size, latent, channels[::-1], dims)
        self.critic = ResidualEncoder(in_channels, size, 1, channels, dims, by_item=True)
        self.encoder = ResidualEncoder(in_channels, size, latent, channels, dims, by_item=False)

    def choose_turn(self, step: int, steps: int) -> str:
        """Return "critic" or "generator" in the first share of the steps, then "encoder"."""
        if step >= self.config.gan_share * steps:
            return "encoder"
        period = self.config.critic_steps + 1
        return "generator" if step % period == period - 1 else "critic"

    def forward(self, example: DetectorExample, turn: str | None = None) -> Tensor:
        """Return the loss of each item, (B,), for the child whose turn it is; none is that of the encoder."""
        x = self._shrink(example.clean)
        if turn == "critic":
            return self._judge(x, example.generators)
        if turn == "generator":
            fake = self.generator(draw_codes(example.generators, self.config.latent, x))
            return GAN_LOSSES["wasserstein"].deceive(self.critic(fake))
        twin = self._rebuild(self._shrink(example.seen))
        return self._measure(x, twin).flatten(1).mean(1)

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, *S) in [0, 1]; the mask plays no part."""
        small = self._shrink(x)
        twin = self._rebuild(small)
        anomaly = (
            self._measure(small, twin) if self.config.map == "score" else absolute_error(small, twin) / 2
        )
        size = x.shape[2:]
        return Detection(resize(anomaly, size), to_public(resize(twin, size)))

    def _judge(self, x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        with torch.no_grad():
            fake = self.generator(draw_codes(generators, self.config.latent, x)).float()
        loss = GAN_LOSSES["wasserstein"].judge(self.critic(x), self.critic(fake))
        return loss + self.config.penalty * gradient_penalty(self.critic, x, fake, generators)

    def _rebuild(self, x: Tensor) -> Tensor:
        """Return the twins of ``x``, both in [-1, 1]; the generator stays as it was learned."""
        with run_as_used(self.generator):
            return self.generator(self.encoder(x)).float()

    def _measure(self, x: Tensor, twin: Tensor) -> Tensor:
        """Return the map (B, 1, *S) whose mean is the paper's score of an image."""
        features = squared_error(self.critic.look(x).float(), self.critic.look(twin).float())
        return squared_error(x, twin) + self.config.kappa * resize(features, x.shape[2:])


@contextmanager
def run_as_used(network: nn.Module) -> Iterator[None]:
    """Let a network normalise as in use, with what it knows, though others train."""
    trains = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(trains)
