"""CycleGAN as a detector: a diseased scan is healed, a healthy one comes back as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.data.space import to_public
from diffad.detectors.adversarial import GAN_LOSSES, check_sizes
from diffad.detectors.base import TurnDetector
from diffad.detectors.compare import resize, squared_error
from diffad.detectors.dcgan import draw_first_weights
from diffad.detectors.replay import Replay
from diffad.detectors.translate import PatchDiscriminator, TranslatingGenerator
from diffad.registry import DETECTORS
from diffad.types import Detection, DetectorExample

HEALTH, DISEASE = 0, 1
SMALLEST = 32
"""Side in pixels below which a discriminator has one number left to normalise."""


@DETECTORS.register("cyclegan_ad")
class CycleGANAD(TurnDetector):
    r"""Learns to make diseased scans healthy and healthy ones diseased, and maps what healing changes.

    .. math:: L_G = (D_{\bar y}(G_{\bar y}(x)) - 1)^2 + w_c\, \overline{|G_y(G_{\bar y}(x)) - x|}
        + w_i\, \overline{|G_y(x) - x|}, \qquad a = (x - G_0(x))^2

    for a scan x of class y, 0 healthy and 1 diseased, with :math:`\bar y` the other. Each item is translated
    by its own label, so that no pairs are drawn. Diseased are scans labelled so, and those into which a
    config lays synthetic anomalies. Steps of generators and of discriminators alternate; the latter are
    also shown generated images of earlier steps. It does not learn from healthy scans alone, and knows slices
    only. The map is not the paper's, which scores images by its sum.

    Args:
        in_channels: Sequences C of a scan.
        size: Side of what is looked at, in pixels, a multiple of 4.
        width: Channels of the first layers.
        blocks: Blocks of a generator; none takes 9 from 128 pixels on, and 6 below.
        cycle: Weight :math:`w_c` of what comes back.
        identity: Weight :math:`w_i` of what should stay.
        replay: Generated images of each class that are kept to be shown again; no model's folder holds them.

    Raises:
        ValueError: If an option is out of range, or a scan has other axes or channels.

    Reference:
        Industrial and medical anomaly detection through cycle-consistent adversarial networks (Bougaham et
        al., Neurocomputing 2025). Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
        Networks (Zhu et al., ICCV 2017).
    """

    supervision: ClassVar[str] = "image-level"

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        size: int = 64,
        width: int = 64,
        blocks: int | None = None,
        cycle: float = 10.0,
        identity: float = 5.0,
        replay: int = 50,
    ) -> None:
        super().__init__()
        count = (9 if size >= 128 else 6) if blocks is None else blocks
        check_sizes(in_channels, size, 1, (width,), 2, 4)
        if size < SMALLEST or min(count, replay, cycle, identity) < 0:
            raise ValueError(
                f"expected a size of at least {SMALLEST}, and blocks, cycle, identity, replay of 0 or more,"
                f" got {size}, {count}, {cycle}, {identity} and {replay}"
            )
        self.generators = nn.ModuleList(TranslatingGenerator(in_channels, width, count) for _ in range(2))
        self.discriminators = nn.ModuleList(PatchDiscriminator(in_channels, width) for _ in range(2))
        self.history = Replay(2, replay, (in_channels, size, size))
        draw_first_weights(self)

    def choose_turn(self, step: int, steps: int) -> str:
        """Return "generators" and "discriminators", one after the other."""
        return "discriminators" if step % 2 else "generators"

    def forward(self, example: DetectorExample, turn: str | None = None) -> Tensor:
        """Return the loss of each item, (B,), for the children whose turn it is; none has no game."""
        x, label = self._sort(example)
        loss = x.new_zeros(len(x), dtype=torch.float32)
        ways = {"generators": self._translate, "discriminators": self._judge, None: self._return}
        for kind in (HEALTH, DISEASE):
            rows = torch.nonzero(label == kind).flatten()
            generators = [example.generators[i] for i in rows.tolist()]
            if len(rows):
                loss = loss.index_add(0, rows, ways[turn](x[rows], kind, generators))
        return loss

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, I, J) in [0, 1]; the mask plays no part."""
        small, size = self._shrink(x), x.shape[2:]
        twin = self.generators[HEALTH](small).float()
        return Detection(resize(squared_error(small, twin), size), to_public(resize(twin, size)))

    def save_pretrained(self, *args: Any, **options: Any) -> None:
        """Write its folder, without the images that training keeps."""
        contents = self.history.forget()
        try:
            super().save_pretrained(*args, **options)
        finally:
            self.history.remember(contents)

    def _sort(self, example: DetectorExample) -> tuple[Tensor, Tensor]:
        """Return scans and classes (B,): a synthetic anomaly is a disease, and no label is none."""
        is_damaged = example.damage.flatten(1).any(1)
        view, clean = self._shrink(example.seen), self._shrink(example.clean)
        x = torch.where(is_damaged.reshape(-1, 1, 1, 1), view, clean)
        return x, ((example.label == DISEASE) | is_damaged).long()

    def _return(self, x: Tensor, kind: int, generators: Sequence[torch.Generator]) -> Tensor:
        """Return the errors of scans that were translated there and back, and of those that should stay."""
        ways: tuple[Callable[[Tensor], Tensor], ...] = (self.generators[1 - kind], self.generators[kind])
        return self._compare(x, ways[1](ways[0](x)), ways[1](x))

    def _translate(self, x: Tensor, kind: int, generators: Sequence[torch.Generator]) -> Tensor:
        other = 1 - kind
        fake = self.generators[other](x)
        loss = GAN_LOSSES["least_squares"].deceive(self.discriminators[other](fake))
        return loss + self._compare(x, self.generators[kind](fake), self.generators[kind](x))

    def _compare(self, x: Tensor, round_trip: Tensor, same: Tensor) -> Tensor:
        errors = ((v.float() - x).abs().flatten(1).mean(1) for v in (round_trip, same))
        cycle, identity = errors
        return self.config.cycle * cycle + self.config.identity * identity

    def _judge(self, x: Tensor, kind: int, generators: Sequence[torch.Generator]) -> Tensor:
        other = 1 - kind
        with torch.no_grad():
            fake = self.generators[other](x)
        if self.training:
            fake = self.history.exchange(fake.float(), other, generators)
        logits = self.discriminators[kind](x), self.discriminators[other](fake)
        return GAN_LOSSES["least_squares"].judge(*logits)
