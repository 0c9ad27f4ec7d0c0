"""A batch of images, some of them corrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.data.corruptions.checks import check_images
from diffad.data.corruptions.shape import Random
from diffad.data.corruptions.stream import open_stream
from diffad.data.corruptions.tasks import expand_tasks, make_corruption
from diffad.protocols import Corruption


@dataclass(frozen=True)
class CorruptedBatch:
    """Images, some of them corrupted.

    Args:
        image: Images, (B, C, *S), in [0, 1].
        target: The images before the change, the very same tensor.
        mask: What changed, (B, 1, *S), boolean.
        label: 1 where an item was corrupted, else 0, (B,), long.
        severity: Largest change of a voxel of each item, (B,), in [0, 1].
        strength: How strongly each was corrupted, (B,), in [0, 1], see ``CorruptedImage``; 0 where not.
    """

    image: Tensor
    target: Tensor
    mask: Tensor
    label: Tensor
    severity: Tensor
    strength: Tensor


def corrupt_batch(
    images: Tensor,
    brains: Tensor,
    tasks: Sequence[str],
    chance: float,
    generators: Sequence[torch.Generator],
    pool: Sequence[Tensor] = (),
    foreign: Sequence[Tensor] = (),
    full: bool = False,
) -> CorruptedBatch:
    """Corrupt each item with a given probability, by a task drawn uniformly.

    Item i depends on its image, its brain, its generator and the two collections of sources alone.

    Args:
        images: Images, (B, C, *S), in [0, 1].
        brains: Brain masks, (B, 1, *S), boolean, or one for all, (1, 1, *S).
        tasks: Tasks to draw from, of ``CORRUPTIONS``, or names of ``SETS``; what occurs twice counts twice.
        chance: Probability that an item is corrupted, in [0, 1].
        generators: One per item; one number is drawn from each.
        pool: Sources of ``blend``, ``disyre`` and ``foreign``, each (C', *S'); when empty, an item is its
            own source.
        foreign: Sources of ``cross_blend``; when empty, the pool with inverted contrast.
        full: Corrupt as strongly as each task can, where it has a strength.

    Raises:
        ValueError: If a task is unknown, or a number, a shape, a brain or an intensity does not fit.
        TypeError: If the images are not floating point or the brains not boolean.

    Reference:
        Image-conditioned diffusion models (Baugh et al., 2024).
    """
    brains = brains.expand(len(images), *brains.shape[1:]) if len(brains) == 1 else brains
    check_images(images, brains, ("B", "C"), ("B", "1"))
    check_batch(tasks, chance, len(images), len(generators))
    tasks, strength = expand_tasks(tasks), torch.zeros(len(images), dtype=torch.float64)
    corruptions = {task: make_corruption(task, pool, foreign) for task in dict.fromkeys(tasks)}
    image, mask = images.clone(), torch.zeros_like(brains)
    for i, generator in enumerate(generators):
        stream = open_stream(generator)
        task = draw_task(tasks, chance, stream.rng)
        if task is not None:
            item = (task, corruptions[task], images[i : i + 1], brains[i : i + 1], full, stream)
            image[i], weight = corrupt_item(*item)
            mask[i], strength[i] = weight > 0, weight.max()
    severity = (image - images).abs().flatten(1).amax(1)
    label = mask.any(tuple(range(1, mask.ndim))).long()
    return CorruptedBatch(image, images, mask, label, severity, strength)


def corrupt_item(
    task: str,
    corruption: Corruption,
    image: Tensor,
    brain: Tensor,
    full: bool,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return an image (1, C, *S) after a corruption (C, *S), and its weight (1, *S).

    Raises:
        ValueError: If a shape of the answer does not fit, or a value is outside [0, 1].
    """
    changed_image, weight = corruption(image, brain, level=1.0 if full else None, generators=[generator])
    if changed_image.shape != image.shape or weight.shape != brain.shape:
        shapes = f"{tuple(changed_image.shape)} and {tuple(weight.shape)}"
        shapes_expected = f"{tuple(image.shape)} and {tuple(brain.shape)}"
        raise ValueError(f"corruption {task!r}: expected shapes {shapes_expected}, got {shapes}")
    for name, values in (("intensities", changed_image), ("weights", weight)):
        if not (values.min() >= 0 and values.max() <= 1):
            ends = f"{values.min():.3g} to {values.max():.3g}"
            raise ValueError(f"corruption {task!r}: expected {name} in [0, 1], got {ends}")
    return changed_image[0], weight[0]


def draw_task(tasks: Sequence[str], chance: float, rng: Random) -> str | None:
    """Draw the kind that an item is corrupted by, or none."""
    return tasks[int(rng.integers(len(tasks)))] if rng.random() < chance else None


def check_batch(tasks: Sequence[str], chance: float, items: int, generators: int) -> None:
    """Check the numbers that a batch is corrupted by.

    Raises:
        ValueError: If there is no task, the chance is no share, or there are not as many generators as items.
    """
    if not tasks:
        raise ValueError("expected at least one task, got none")
    if not 0 <= chance <= 1:
        raise ValueError(f"expected a chance in [0, 1], got {chance}")
    if items != generators:
        raise ValueError(f"expected one generator for each of {items} images, got {generators}")
