"""Mixed noise: one kind at low levels, another at high ones."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from diffad.noise.base import check_like, check_number, levels_of
from diffad.protocols import NoiseGenerator
from diffad.registry import NOISES
from diffad.types import Generators, generators_for

Part = Mapping[str, Any] | NoiseGenerator


@NOISES.register("mixed")
class MixedNoise:
    r"""Blends two independent noises, by default in proportion to the level.

    .. math:: z = \frac{(1 - w) \, a + w \, b}{\sqrt{(1 - w)^2 + w^2}}, \quad w = \frac{t}{T}

    Args:
        a: Noise at level 0, a mapping of its ``name`` and options.
        b: Noise at level :math:`T`, likewise.
        weight: "level", or a constant :math:`w` in [0, 1].
        levels: Number of levels :math:`T`.
        reference: Leave out the division, as published: the variance falls to 1/2 at :math:`w = 1/2`.

    Raises:
        ValueError: If an option is out of range, or a part has no name.

    Reference:
        Self-Supervised Anomaly Segmentation via Diffusion with Dynamic Transformer UNet (Kumar et
        al., WACV 2025), its mixed noise.

    Example:
        >>> noise = NOISES.build("mixed", a={"name": "coarse", "resolution": 8}, weight=0.5)
    """

    def __init__(
        self,
        a: Part = MappingProxyType({"name": "simplex"}),
        b: Part = MappingProxyType({"name": "gaussian"}),
        weight: float | str = "level",
        levels: int = 1000,
        reference: bool = False,
    ) -> None:
        self.a, self.b = (dict(part) if isinstance(part, Mapping) else part for part in (a, b))
        self._parts = _build_part("a", self.a), _build_part("b", self.b)
        if not isinstance(weight, str) or weight != "level":
            check_number("weight", weight, "'level' or a number in [0, 1]", lambda w: 0 <= w <= 1)  # type: ignore[arg-type]
        self.weight = weight
        requirement = "to be a whole number of at least 1"
        self.levels = int(check_number("levels", levels, requirement, lambda n: n >= 1 and n % 1 == 0))
        self.reference = reference

    def __call__(self, like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
        """Draw noise like ``like`` (B, C, *S); without levels ``t`` () or (B,) the level is 0."""
        check_like(like)
        levels = levels_of(t, like.shape[0])
        generators = generators_for(generator, like.shape[0])
        if len(set(map(id, generators))) < len(generators):  # one that is shared serves the items in order
            items = zip(torch.split(like, 1), levels, generators, strict=True)
            return torch.cat([self(x, level, generator=[g]) for x, level, g in items])
        a, b = (part(like, levels, generator=generators) for part in self._parts)
        w = self._weigh_levels(levels).to(a).reshape(-1, *[1] * (like.ndim - 1))
        scale = 1.0 if self.reference else torch.hypot(1 - w, w)
        return ((1 - w) * a + w * b) / scale

    def _weigh_levels(self, levels: Tensor) -> Tensor:
        """Weigh the second noise for levels (B,)."""
        if not isinstance(self.weight, str):
            return torch.full_like(levels, self.weight)
        if bool(((levels < 0) | (levels > self.levels)).any()):
            raise ValueError(f"expected levels `t` in 0..{self.levels}, got {levels.tolist()}")
        return levels / self.levels


def _build_part(option: str, part: Part) -> NoiseGenerator:
    """Build a noise from a mapping of ``name`` and options; a noise that is built already passes."""
    if isinstance(part, Mapping):
        if "name" not in part:
            raise ValueError(f"expected {option} to have a name, got {dict(part)}")
        noise: NoiseGenerator = NOISES.build(**part)
        return noise
    if not isinstance(part, NoiseGenerator):
        raise ValueError(f"expected {option} to be a mapping with a name, got {part!r}")
    return part
