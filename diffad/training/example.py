"""What a network is shown in training: as the sampler will show it at test."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from diffad.data.space import to_public
from diffad.protocols import NoiseGenerator, Sampler
from diffad.schedule import Schedule
from diffad.types import Example, Generators


def make_example(
    sampler: Sampler,
    x: Tensor,
    mask: Tensor,
    t: Tensor,
    noise: NoiseGenerator,
    schedule: Schedule,
    generator: Generators,
) -> Example:
    r"""Make training examples the sampler's way; samplers that do not care get whole noised images.

    .. math:: x_t = \sqrt{\bar\alpha_t} x + \sqrt{1 - \bar\alpha_t} z

    Args:
        sampler: What the network will serve.
        x: Clean images in [-1, 1], (B, C, *S).
        mask: Brain masks, (B, 1, *S).
        t: Levels, (B,).
        noise: Noise generator.
        schedule: Amplitudes by level.
        generator: One per item.
    """
    own = getattr(sampler, "example", None)
    if own is not None:
        made: Example = own(x, mask, t, noise, schedule, generator)
        return made
    z = noise(x, t, generator=generator)
    return Example(x, z, schedule.add_noise(x, z, t))


def known(network: Any, example: Example) -> dict[str, Tensor]:
    """Return what a network that asks for conditions is told of the clean image in training."""
    return {"image": to_public(example.x)} if hasattr(network, "conditions") else {}
