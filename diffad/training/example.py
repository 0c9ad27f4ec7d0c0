"""What a network is shown in a training step, from a batch of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from diffad.data.corruptions import corrupt_codes
from diffad.data.space import to_model
from diffad.models.coding import PIXELS, Coding
from diffad.protocols import NoiseGenerator, Sampler
from diffad.samplers import examples
from diffad.schedule import ColdSchedule, Schedule
from diffad.training.batch import Batch, CodeDamage
from diffad.types import Example


def make_batch_example(
    sampler: Sampler,
    batch: Batch,
    t: Tensor,
    noise: NoiseGenerator,
    schedule: Schedule,
    generators: Sequence[torch.Generator],
    coding: Coding = PIXELS,
    is_drawn: bool = False,
) -> Example:
    r"""Noise the images of a batch, and say what a network should find in them.

    Where images are damaged (``corrupt.role: restore``), noise is laid over the damaged image :math:`y`, and
    the network must find the image :math:`x`: what it sees then holds, beside the noise, what is wrong.

    .. math:: x_t = a_t y + s_t z = a_t x + s_t z', \quad z' = z + \frac{a_t}{s_t} (y - x)

    Or the damaged image itself is the far end of the path (``corrupt.role: source``), and nothing is drawn.

    .. math:: x_t = a_t x + s_t y

    In cold diffusion that is the image damaged so much; or the damaged image is shown as it is, and the level
    is that of the strength with which it was damaged (``corrupt.role: severity``).

    Args:
        sampler: Whose way of making examples is taken, if it has one.
        batch: Images, masks, conditions and labels.
        t: Levels, (B,), 1 or more.
        noise: Noise to draw.
        schedule: Amplitudes :math:`a_t, s_t` by level.
        generators: One for each item.
        coding: What the network sees in the place of images; masks and damage follow.
        is_drawn: Whether codes are drawn by the generators, where a codec may; else they are as in use.

    Reference:
        REFLECT: Rectified Flows for Efficient Brain Anomaly Correction Transport (Beizaee et al., 2025).
        DISYRE (Naval Marimont et al., 2024), for severities.
    """
    drawing = (coding.shrink(batch.brain), t, noise, schedule, generators)

    states = [g.get_state() for g in generators]

    def encode(image: Tensor) -> Tensor:
        for g, state in zip(generators, states, strict=True):
            g.set_state(state)  # a slice and its damaged copy are drawn alike, and differ by the damage alone
        return coding.encode(to_model(image), generators if is_drawn else None)

    x = encode(batch.image)
    if batch.code_damage is not None:
        return _damage_codes(batch, batch.code_damage, x, sampler, drawing, coding)
    if batch.damaged_image is None:
        example = examples.make_example(sampler, x, *drawing)
    elif batch.is_source:
        y = encode(batch.damaged_image)
        example = Example(x, y, schedule.add_noise(x, y, t))
    elif batch.strength is not None and isinstance(schedule, ColdSchedule):
        x, y = to_model(batch.image), to_model(batch.damaged_image)
        example = Example(x, y, y, level=schedule.find_level(batch.strength))
    else:
        damaged = examples.make_example(sampler, encode(batch.damaged_image), *drawing)
        example = _ask_for(x, damaged, t, schedule)
    damage = example.damage if batch.damage is None else coding.spread(batch.damage)
    example = replace(example, cond_image=_condition(batch, example, coding), label=batch.label)
    example = replace(example, place=batch.place, damage=damage)
    if batch.neighbours is not None:
        example = replace(example, neighbours=_noise_neighbours(batch.neighbours, *drawing[1:]))
    if batch.weight is None:
        return example
    weight = coding.spread(batch.weight)
    region = weight if example.region is None else weight * example.region
    return replace(example, region=region)


def _damage_codes(
    batch: Batch,
    code_damage: CodeDamage,
    x: Tensor,
    sampler: Sampler,
    drawing: tuple[Tensor, Tensor, NoiseGenerator, Schedule, Sequence[torch.Generator]],
    coding: Coding,
) -> Example:
    """Damage codes ``x`` (B, Z, *L) that are to be found, as the far end of their path or under the noise."""
    mask, t, _, schedule, generators = drawing
    y, damage = corrupt_codes(x, mask, code_damage.tasks, code_damage.chance, generators, code_damage.full)
    if batch.is_source:
        example = Example(x, y, schedule.add_noise(x, y, t))
    else:
        example = _ask_for(x, examples.make_example(sampler, y, *drawing), t, schedule)
    weight = code_damage.weight
    region = None if weight == 1 else 1 + (weight - 1) * damage
    cond_image = coding.show(x)
    return replace(
        example, cond_image=cond_image, label=batch.label, place=batch.place, damage=damage, region=region
    )


def _condition(batch: Batch, example: Example, coding: Coding) -> Tensor:
    """Return the conditioning images as the network is shown them; a code that is there already is taken."""
    if coding.is_coded and batch.cond_image is batch.image:
        return coding.show(example.x)
    return coding.condition(batch.cond_image)


def _noise_neighbours(
    neighbours: Tensor,
    t: Tensor,
    noise: NoiseGenerator,
    schedule: Schedule,
    generators: Sequence[torch.Generator],
) -> Tensor:
    """Bring neighbours (B, 2 N C, *S) in [0, 1] to the levels of their slices, by noise of their own."""
    z = noise(neighbours, t, generator=generators)
    return schedule.add_noise(to_model(neighbours), z, t)


def _ask_for(x: Tensor, damaged: Example, t: Tensor, schedule: Schedule) -> Example:
    """Ask for ``x`` in what a network sees of damaged images, whatever it predicts."""
    a, s = schedule.amplitudes(t, x)
    return replace(damaged, x=x, z=damaged.z + a / s * (damaged.x - x))
