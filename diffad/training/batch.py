"""A batch of training images, with what was done to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffad.config import CorruptConfig
from diffad.data.corruptions import corrupt_batch
from diffad.data.corruptions.place import Foreground
from diffad.data.items import Dataset
from diffad.data.window import crop_to_brain

POOL = 32
"""Images that patches are blended from: enough to differ, few enough to stay in memory."""


@dataclass(frozen=True)
class Batch:
    """Training images in the network's window.

    Args:
        image: What a network should find or judge, (B, C, *S), in [0, 1].
        brain: Brain masks, (B, 1, *S), in {0, 1}.
        told: What a conditional network is told of, (B, C, *S), in [0, 1].
        label: 0 healthy, 1 diseased, -1 unknown, (B,).
        before: The images before they were corrupted, (B, C, *S), or none where nothing is corrupted.
        weight: How much the loss counts, (B, 1, *S), or none where it counts the same everywhere.
    """

    image: Tensor
    brain: Tensor
    told: Tensor
    label: Tensor
    before: Tensor | None = None
    weight: Tensor | None = None


def corrupt_items(
    image: Tensor,
    brain: Tensor,
    label: Tensor,
    config: CorruptConfig,
    tasks: Sequence[str],
    generators: Sequence[torch.Generator],
    pool: Sequence[Tensor] = (),
) -> Batch:
    """Corrupt some images of a batch, as the config says; item i follows from generator i and the pool.

    Args:
        image: Images, (B, C, *S), in [0, 1].
        brain: Brain masks, (B, 1, *S), in {0, 1}.
        label: 0 healthy, 1 diseased, -1 unknown, (B,).
        config: Chance and role of corruptions.
        tasks: Kinds to choose from; none leaves the images as they are, as does a brain too small for any.
        generators: One for each item.
        pool: Images that patches come from.
    """
    if not tasks:
        return Batch(image, brain, image, label)
    changed, sick, weight = image.clone(), torch.zeros_like(label), torch.ones_like(brain)
    if fits := [i for i, item in enumerate(brain) if _has_room(item)]:
        own = [generators[i] for i in fits]
        made = corrupt_batch(image[fits].cpu(), brain[fits].cpu() > 0, tasks, config.chance, own, pool)
        changed[fits], sick[fits] = made.image.to(image), made.label.to(label)
        weight[fits] += (config.weight - 1) * made.mask.to(brain)
    if config.role == "condition":
        return Batch(image, brain, changed, label, image, None if config.weight == 1 else weight)
    return Batch(changed, brain, changed, torch.maximum(label, sick), image)


def _has_room(brain: Tensor) -> bool:
    """Tell whether a corruption fits into a brain (1, *S); the ends of a volume show next to none."""
    try:
        Foreground.of(brain[0].cpu().numpy() > 0)
    except ValueError:
        return False
    return True


def sample_pool(data: Dataset, window: Sequence[int] | None) -> list[Tensor]:
    """Take some images, spread evenly over a data set and cut to the window, as sources of patches."""
    picks = torch.linspace(0, len(data) - 1, min(POOL, len(data))).long().tolist()
    items = [data[i] for i in picks]
    return [crop_to_brain(item.image[None], item.mask[None], window)[0] for item in items]


def collect_labels(data: Dataset, picks: Sequence[int]) -> Tensor:
    """Return the labels (n,) of some items, -1 where there is none."""
    found = (data[i].label for i in picks)
    return torch.tensor([-1 if label is None else label for label in found])
