"""What corruptions by noise have in common: they read no intensities, so that codes do as well as images."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from diffad.data.corruptions.checks import check_damage_call
from diffad.types import Generators, widest_float


class NoisedCorruption(ABC):
    """A corruption by noise, which draws by torch; it follows ``protocols.Corruption``."""

    takes_codes = True

    def __call__(
        self, x: Tensor, mask: Tensor, *, level: Tensor | float | None = None, generators: Generators
    ) -> tuple[Tensor, Tensor]:
        """Noise ``x`` (B, C, *S), images or codes, within ``mask`` (B, 1, *S); see ``protocols.Corruption``.

        No channel of an item leaves its own range. The weight is the level where a channel changed.

        Raises:
            ValueError: If a shape or a level does not fit, a mask is empty, or a value is not finite.
            TypeError: If ``x`` is not floating point.
        """
        levels, generators = check_damage_call(x, mask, level, generators)
        image, weight = x.clone(), torch.zeros(mask.shape, dtype=widest_float(x.device), device=x.device)
        for i, (each, generator) in enumerate(zip(levels, generators, strict=True)):
            image[i], strength = self._noise_item(x[i], mask[i], each, generator)
            weight[i] = strength * (image[i] != x[i]).any(0, keepdim=True).to(weight)
        return image, weight

    @abstractmethod
    def draw(self, x: Tensor, mask: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return unit noise for an item (C, *S), and where it goes, (1, *S), boolean."""

    @abstractmethod
    def draw_level(self, generator: torch.Generator) -> float:
        """Draw a level as the method trains on."""

    @abstractmethod
    def lay(self, x: Tensor, brain: Tensor, z: Tensor, level: float) -> Tensor:
        """Return an item (C, *S), whose ``brain`` is (1, *S), with noise ``z`` at a level above 0."""

    def _noise_item(
        self, x: Tensor, mask: Tensor, level: float | None, generator: torch.Generator
    ) -> tuple[Tensor, float]:
        brain = mask > 0
        z, region = self.draw(x, mask, generator)
        strength = self.draw_level(generator) if level is None else level
        if strength == 0:
            return x, 0.0
        axes = tuple(range(1, x.ndim))
        noised_item = self.lay(x, brain, z, strength).clamp(x.amin(axes, True), x.amax(axes, True))
        return torch.where(region & brain, noised_item, x), strength
