"""A U-Net whose shortcuts are open while it begins to learn, and closed when it has learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor

from diffad.detectors.adversary import PatchDiscriminator, fooling_loss, judging_loss
from diffad.detectors.base import DetectorNetwork
from diffad.detectors.compare import absolute_error
from diffad.detectors.gated_unet import GatedUNet
from diffad.detectors.hog import draw_hog
from diffad.models.padding import check_input, run_padded
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample

SHORTEST, MULTIPLE = 24, 16


@DETECTORS.register("gating_ano")
class GatingAno(DetectorNetwork):
    r"""Rebuilds a scan and its oriented gradients by a U-Net whose shortcuts fade, and maps the error.

    .. math:: L = \lVert x - \hat x \rVert^2 + \lVert h - \hat h \rVert^2
        + w \left(A(\hat x) + A(\hat h) + D(x, \hat x) + D(h, \hat h)\right), \qquad
        a = \lvert x - \hat x \rvert

    with gates :math:`\alpha_i = \max(0, 1 - r_i n)` after n epochs. Both sides of the game stand in one loss:
    those of the generator, A, reach no weight of the discriminator, and those of the discriminator, D, none
    of the generator. So both take their steps at once, from the weights of before, where the published
    training lets one go first; without ``clip_norm`` all else is that of two optimisers of one rate.

    Args:
        in_channels: Sequences C of a scan.
        base: Width of the finest scale, and of the discriminator.
        epoch: Batches that count as an epoch.
        closing: What each gate loses in an epoch, the deepest first.
        adversarial: Weight w of both sides of the game.
        cells: Sides of the cells of gradients, in pixels, of which one is drawn for each scan.
        dims: Spatial axes, 2.

    Raises:
        ValueError: If an option is out of range, or a scan has other axes or channels or is too small.

    Reference:
        Anomaly Detection via Gating Highway Connection for Retinal Fundus Images (Pattern Recognition, 2024).
    """

    config: Any
    seen: Tensor

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        base: int = 64,
        epoch: int = 100,
        closing: Sequence[float] = (0.05, 0.04, 0.03, 0.02),
        adversarial: float = 0.05,
        cells: Sequence[int] = (4, 8, 16),
        dims: int = 2,
    ) -> None:
        super().__init__()
        if dims != 2:
            raise ValueError(f"GatingAno knows slices alone: expected dims of 2, got {dims}")
        if min(in_channels, base, epoch) < 1 or adversarial < 0 or not cells or min(cells) < 4:
            raise ValueError(
                "GatingAno expected in_channels, base and epoch of at least 1, adversarial of at least 0 and "
                f"cells of at least 4, got {in_channels}, {base}, {epoch}, {adversarial} and {list(cells)}"
            )
        if len(closing) != 4 or min(closing) <= 0:
            raise ValueError(f"GatingAno expected four rates of closing above 0, got {list(closing)}")
        self.network = GatedUNet(in_channels, 2 * in_channels, base)
        self.discriminator = PatchDiscriminator(base)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))

    @property
    def gates(self) -> list[float]:
        """Share of each shortcut that is left, the deepest first."""
        epochs = int(self.seen) / self.config.epoch
        return [max(0.0, 1 - rate * epochs) for rate in self.config.closing]

    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of each item, (B,), of both sides; each batch in training closes the gates."""
        x, x_hat_and_hog = example.clean, self._rebuild(example.seen)
        hog = torch.cat([self._draw(x[i : i + 1], g) for i, g in enumerate(example.generators)])
        loss = torch.zeros(len(x), device=x.device)
        for real, fake in zip((x, hog), x_hat_and_hog, strict=True):
            game = fooling_loss(self.discriminator, fake) + judging_loss(self.discriminator, real, fake)
            loss = loss + (real - fake).square().flatten(1).mean(1) + self.config.adversarial * game
        if self.training:
            self.seen += 1
        return loss

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, H, W) in [0, 1] with the gates of now; the mask plays no part."""
        x_hat, _ = self._rebuild(x)
        return Detection(absolute_error(x, x_hat), x_hat.clamp(0, 1))

    def _draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        cells = self.config.cells
        return draw_hog(x, cells[int(torch.randint(len(cells), (), generator=generator))])

    def _rebuild(self, x: Tensor) -> tuple[Tensor, Tensor]:
        check_input(x, self.config.in_channels, 2, "GatingAno")
        if min(x.shape[2:]) < SHORTEST:
            size = tuple(x.shape[2:])
            raise ValueError(f"GatingAno expected sides of at least {SHORTEST} pixels, got {size}")
        answer = run_padded(lambda v: self.network.decode(self.network.encode(v), self.gates), x, MULTIPLE)
        x_hat, hog_hat = answer.float().chunk(2, 1)
        return x_hat, hog_hat
