"""Training examples of samplers that see boxes: made as whole images, then reduced to a box each."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diffad.protocols import MakesExamples, NoiseGenerator, Sampler
from diffad.samplers.boxes import Box, crop_box, mark_boxes
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
    """Make examples of whole images ``x`` (B, C, *S), the sampler's way if it has one."""
    if isinstance(sampler, MakesExamples):
        return sampler.example(x, mask, t, noise, schedule, generator)
    z = noise(x, t, generator=generator)
    return Example(x, z, schedule.add_noise(x, z, t))


def keep_context(whole: Example, boxes: Sequence[Box]) -> Example:
    """Keep all clean but one box of each item, inside which the loss counts."""
    region = mark_boxes(boxes, whole.x.shape[2:], whole.x.device)
    x_t = torch.where(region, whole.x_t, whole.x)
    region = region if whole.region is None else region & whole.region
    return Example(whole.x, whole.z, x_t, region, whole=whole.x_t)


def crop_example(whole: Example, boxes: Sequence[Box]) -> Example:
    """Cut one box out of each item; all have one shape.

    The noise was drawn for the whole image, as at test: the size of its structures may depend on that.
    """
    return Example(
        _cut(whole.x, boxes),
        _cut(whole.z, boxes),
        _cut(whole.x_t, boxes),
        None if whole.region is None else _cut(whole.region, boxes),
    )


def _cut(x: Tensor, boxes: Sequence[Box]) -> Tensor:
    return torch.stack([crop_box(item, box) for item, box in zip(x, boxes, strict=True)])
