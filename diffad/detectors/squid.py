"""SQUID: features are filled in from what is remembered of each place, and the twin is judged."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.data.space import to_public
from diffad.detectors.adversarial import GAN_LOSSES, check_map_kind, check_sizes
from diffad.detectors.base import TurnDetector
from diffad.detectors.compare import absolute_error, resize
from diffad.detectors.inpaint import HEADS
from diffad.detectors.inpainting_network import CELL_STAGES, InpaintingGenerator
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample

HALVINGS = 5
LOGITS = 200
"""Twins of the training that the logit of another is compared with."""


class WideDiscriminator(nn.Module):
    """Answers one logit an image, from five convolutions of width 5.

    Args:
        in_channels: Channels C of an image.
        size: Side of an image, in pixels, a multiple of 32.
    """

    def __init__(self, in_channels: int, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(in_channels, 16, 5, 2, 2), nn.LeakyReLU(0.2)]
        for a, b in pairwise((16, 32, 64, 128, 128)):
            layers += [nn.Conv2d(a, b, 5, 2, 2), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * (size // 2**HALVINGS) ** 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, 1) of ``x`` (B, C, I, J)."""
        return self.layers(x)


@DETECTORS.register("squid")
class SQUID(TurnDetector):
    r"""Rebuilds a slice from healthy features of each place, and maps the error.

    .. math:: L_G = 10\, \overline{(x - \hat x)^2} + 0.01\, \overline{(x - t)^2}
        + 0.001 \sum_l \overline{(s_l - t_l)^2} + 0.005\, \log(1 + e^{-D(\hat x)}), \qquad a = |x - \hat x|

    for the twin :math:`\hat x` of the student s and the twin t of a teacher, whose features are not filled
    in. Each cell of a grid keeps the last features of healthy slices, from which those of its neighbours are
    filled in; a model's folder holds them. Two steps of the discriminator, one of the generator. The paper
    scores images alone, by how real the twin looks among those of the training: that is the map "score", the
    same at every place. The map "residual" is not the paper's. Slices must be aligned; it knows no volumes.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in pixels, a multiple of 32.
        channels: Channels of the first layer, and after each halving.
        grid: Cells along a side.
        slots: Vectors that a memory holds.
        keep: How many of them an answer is made of; the published code asks for 5 and keeps 4.
        critic_steps: Steps of the discriminator for one of the generator.
        map: "residual", the absolute error of the twin; "score", the score of the paper.

    Raises:
        ValueError: If an option is out of range, or a scan has other axes or channels.

    Reference:
        SQUID: Deep Feature In-Painting for Unsupervised Anomaly Detection (Xiang et al., CVPR 2023).
    """

    logits: Tensor
    logit_count: Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 128,
        channels: Sequence[int] = (32, 64, 128, 256, 512),
        grid: int = 2,
        slots: int = 200,
        keep: int = 5,
        critic_steps: int = 2,
        map: str = "residual",
    ) -> None:
        super().__init__()
        _check_layout(in_channels, size, channels, grid)
        if not 1 <= keep <= slots or critic_steps < 1:
            raise ValueError(
                "expected 1 <= keep <= slots, and critic_steps of at least 1, "
                f"got {keep}, {slots} and {critic_steps}"
            )
        check_map_kind(map, ("residual", "score"))
        self.generator = InpaintingGenerator(in_channels, size, channels, grid, slots, keep)
        self.discriminator = WideDiscriminator(in_channels, size)
        self.register_buffer("logits", torch.zeros(LOGITS))
        self.register_buffer("logit_count", torch.zeros((), dtype=torch.long))

    def choose_turn(self, step: int, steps: int) -> str:
        """Return "discriminator" some times, then "generator" once."""
        period = self.config.critic_steps + 1
        return "generator" if step % period == period - 1 else "discriminator"

    def forward(self, example: DetectorExample, turn: str | None = None) -> Tensor:
        """Return the loss of each item, (B,), for the child whose turn it is; none is the generator's."""
        x, view = to_public(self._shrink(example.clean)), to_public(self._shrink(example.seen))
        generators = list(example.generators) if self.training else None
        game = GAN_LOSSES["cross_entropy"]
        if turn == "discriminator":
            with torch.no_grad():
                twin = self.generator(view, generators).image
            return 0.005 * game.judge(self.discriminator(x), self.discriminator(twin))
        twins = self.generator(view, generators)
        logit = self.discriminator(twins.image)
        if self.training and turn is not None:
            self.generator.inpainter.remember(twins.vectors)
            self._note(logit)
        errors = [(v.float() - x).square().flatten(1).mean(1) for v in (twins.image, twins.lesson)]
        return 10 * errors[0] + 0.01 * errors[1] + 0.001 * twins.distance + 0.005 * game.deceive(logit)

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, I, J) in [0, 1]; the mask plays no part."""
        small, size = to_public(self._shrink(x)), x.shape[2:]
        twin = self.generator(small).image.float()
        anomaly = resize(absolute_error(small, twin), size)
        if self.config.map == "score":
            score = self._score(self.discriminator(twin).float())
            anomaly = score.reshape(-1, 1, 1, 1).expand_as(anomaly)
        return Detection(anomaly, resize(twin, size).clamp(0, 1))

    @torch.no_grad()
    def _note(self, logit: Tensor) -> None:
        """Keep the logits (B, 1) of twins in the place of the oldest."""
        values = logit.detach().flatten().to(self.logits)[-LOGITS:]
        places = (self.logit_count + torch.arange(len(values), device=values.device)) % LOGITS
        self.logits[places] = values
        self.logit_count += len(values)

    def _score(self, logit: Tensor) -> Tensor:
        """Return 1 - sigmoid((D - mean) / deviation), (B, 1), by the logits that were kept."""
        sample = self.logits[: max(2, min(int(self.logit_count), LOGITS))]
        return torch.sigmoid((sample.mean() - logit) / sample.std().clamp(min=1e-6))


def _check_layout(in_channels: int, size: int, channels: Sequence[int], grid: int) -> None:
    halvings = len(channels) - 1
    if halvings <= CELL_STAGES or not 1 <= grid <= 16:
        raise ValueError(f"expected four channels and a grid of 1 to 16, got {len(channels)} and {grid}")
    check_sizes(in_channels, size, 1, channels, 2, 2**HALVINGS)
    check_sizes(in_channels, size, 1, channels, 2, grid * 2**halvings)
    width = channels[-1] // 4 * (size // grid // 2**halvings) ** 2
    if not width or width % HEADS:
        raise ValueError(f"expected channels whose cells have a multiple of {HEADS} numbers, got {width}")
