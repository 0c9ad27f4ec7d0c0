"""A batch of training images: what was done to them, and what the network is conditioned on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from diffad.config import Config, CorruptConfig, SpaceConfig
from diffad.data.augment import augment_items
from diffad.data.corruptions import continue_anomalies, corrupt_batch
from diffad.data.corruptions.place import Foreground
from diffad.data.items import Dataset
from diffad.data.space import to_public
from diffad.data.window import crop_to_brain, group_by_window
from diffad.denoise import null_label, takes_neighbours, takes_place, takes_whole
from diffad.protocols import Conditional
from diffad.types import Example, generator_for

MicroBatch = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
"""Images (B, C, *S), masks (B, 1, *S), numbers, labels (B,), places (B, 2), neighbours (B, 2 N C, *S)."""

REACH, VISIBLE = 5, 0.015
"""Width of a neighbourhood, and its mean change from which on it counts as damaged."""
POOL_SIZE = 32
"""Images that patches are blended from: enough to differ, few enough to stay in memory."""


@dataclass(frozen=True)
class CodeDamage:
    """How the codes of a batch are damaged.

    Args:
        tasks: Kinds to choose from.
        chance: Share of the items that is damaged.
        full: Whether each is damaged as strongly as its kind can.
        weight: How many times more the loss counts where one is.
    """

    tasks: tuple[str, ...]
    chance: float
    full: bool
    weight: float


@dataclass(frozen=True)
class Batch:
    """Training images in the network's window.

    Args:
        image: What a network should find or judge, (B, C, *S), in [0, 1].
        brain: Brain masks, (B, 1, *S), in {0, 1}.
        cond_image: Conditioning images, (B, C, *S), in [0, 1].
        label: 0 healthy, 1 diseased, -1 unknown, (B,).
        original: The images before they were corrupted, (B, C, *S), or none where nothing is corrupted.
        weight: How much the loss counts, (B, 1, *S), or none where it counts the same everywhere.
        damaged_image: What noise is laid over, (B, C, *S), in [0, 1]; none takes the image.
        damage: 1 where the damaged image differs, (B, 1, *S); none without one.
        place: Orientation and position of each slice, (B, 2), see ``diffad.data.place``; none where unknown.
        neighbours: Slices below and above each, in [0, 1], (B, 2 N C, *S), through which the anomalies go on;
            none where there are none.
        is_source: Whether the damaged image stands in the place of the noise.
        strength: How strongly each image was damaged, (B,), in [0, 1], where the network is told; or none.
        code_damage: How codes are damaged once there are any, in the place of the images; or none.
    """

    image: Tensor
    brain: Tensor
    cond_image: Tensor
    label: Tensor
    original: Tensor | None = None
    weight: Tensor | None = None
    damaged_image: Tensor | None = None
    damage: Tensor | None = None
    place: Tensor | None = None
    neighbours: Tensor | None = None
    is_source: bool = False
    strength: Tensor | None = None
    code_damage: CodeDamage | None = None


def make_batches(
    micro_batch: MicroBatch, config: Config, device: torch.device, pool: Sequence[Tensor] = ()
) -> Iterator[tuple[Batch, list[torch.Generator]]]:
    """Make one batch of the items of each window, with a generator for each item.

    Args:
        micro_batch: Items of a data set; all that is drawn follows from their numbers.
        config: The experiment.
        device: Where the batch shall be.
        pool: Images that patches of corruptions come from.
    """
    images, masks, numbers, labels, places, neighbours = micro_batch
    for _, rows in group_by_window(places, config.space):
        generators = [generator_for(config.seed, 2, g) for g in numbers[rows].tolist()]
        values = (v[rows].to(device) for v in (images, masks, labels, places, neighbours))
        image, mask, label, place, others = values
        yield make_batch(image, mask, label, place, config, generators, pool, others), generators


def make_batch(
    images: Tensor,
    masks: Tensor,
    label: Tensor,
    places: Tensor,
    config: Config,
    generators: list[torch.Generator],
    pool: Sequence[Tensor] = (),
    neighbours: Tensor | None = None,
) -> Batch:
    """Augment, cut and corrupt the items of a data set, as training shows them to a network.

    All of them have the window of the first, see ``group_by_window``.

    Args:
        images: Images in the grid of the model, (B, C, *S), in [0, 1].
        masks: Brain masks, (B, 1, *S), in {0, 1}.
        label: 0 healthy, 1 diseased, -1 unknown, (B,).
        places: Orientation and position of each slice, (B, 2), see ``tabulate_places``.
        config: The experiment.
        generators: One for each item.
        pool: Images that patches of corruptions come from.
        neighbours: Slices below and above each, (B, 2 N C, *S), changed as it is; or none.
    """
    channels = images.shape[1]
    stacks = images if neighbours is None else torch.cat([images, neighbours], 1)
    stacks, masks, place = augment_items(stacks, masks, places, config.augment, generators)
    window = config.space.window_of(int(places[0, 0]))
    stacks, brain = (crop_to_brain(v, masks, window) for v in (stacks, masks))
    image, neighbours = stacks[:, :channels], stacks[:, channels:]
    drawing = (config.corrupt, config.corrupt.tasks, generators, pool, neighbours)
    return replace(corrupt_items(image, brain, label, *drawing), place=place)


def corrupt_items(
    image: Tensor,
    brain: Tensor,
    label: Tensor,
    config: CorruptConfig,
    tasks: Sequence[str],
    generators: Sequence[torch.Generator],
    pool: Sequence[Tensor] = (),
    neighbours: Tensor | None = None,
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
        neighbours: Slices below and above each, (B, 2 N C, *S), which show the same anomalies; or none.
    """
    neighbours = None if neighbours is None or not neighbours.shape[1] else neighbours
    if not tasks:
        return Batch(image, brain, image, label, neighbours=neighbours)
    if config.codes:
        code_damage = CodeDamage(tuple(tasks), config.chance, config.full, config.weight)
        return Batch(image, brain, image, label, is_source=config.role == "source", code_damage=code_damage)
    corrupted_image, disease = image.clone(), torch.zeros_like(label)
    changed, strength = torch.zeros_like(brain), torch.zeros(len(image), dtype=torch.float64)
    if indices := [i for i, item in enumerate(brain) if _has_room(item)]:
        drawing = (tasks, config.chance, [generators[i] for i in indices], pool)
        corruption = corrupt_batch(image[indices].cpu(), brain[indices].cpu() > 0, *drawing, full=config.full)
        corrupted_image[indices], disease[indices] = corruption.image.to(image), corruption.label.to(label)
        changed[indices], strength[indices] = corruption.mask.to(brain), corruption.strength
    if neighbours is not None:
        neighbours = continue_anomalies(image, corrupted_image, changed > 0, neighbours, generators)
    if config.role == "class":
        disease = torch.maximum(label, disease)
        return Batch(corrupted_image, brain, corrupted_image, disease, image, neighbours=neighbours)
    weight = None if config.weight == 1 else 1 + (config.weight - 1) * changed
    batch = Batch(image, brain, corrupted_image, label, image, weight, neighbours=neighbours)
    if config.role == "condition":
        return batch
    damage = changed * _find_visible(corrupted_image - image)
    batch = replace(batch, damaged_image=corrupted_image, damage=damage)
    if config.role == "severity":
        return replace(batch, strength=strength.to(image.device))
    return replace(batch, is_source=config.role == "source")


def _find_visible(change: Tensor) -> Tensor:
    """Return 1 where the neighbourhood of a voxel changed by more than can be overlooked, (B, 1, *S)."""
    pool = F.avg_pool2d if change.ndim == 4 else F.avg_pool3d
    near = pool(change.abs().amax(1, keepdim=True), REACH, stride=1, padding=REACH // 2)
    return (near > VISIBLE).to(change)


def _has_room(brain: Tensor) -> bool:
    """Tell whether a corruption fits into a brain (1, *S); the ends of a volume show next to none."""
    try:
        Foreground.of(brain[0].cpu().numpy() > 0)
    except ValueError:
        return False
    return True


def sample_pool(data: Dataset, space: SpaceConfig) -> list[Tensor]:
    """Take some images, spread evenly over a data set and cut to their windows, as sources of patches."""
    indices = torch.linspace(0, len(data) - 1, min(POOL_SIZE, len(data))).long().tolist()
    items = [data[i] for i in indices]
    windows = [space.window_of(-1 if item.place is None else item.place.orientation) for item in items]
    pairs = zip(items, windows, strict=True)
    return [crop_to_brain(item.image[None], item.mask[None], window)[0] for item, window in pairs]


def collect_labels(data: Dataset, indices: Sequence[int]) -> Tensor:
    """Return the labels (n,) of some items, -1 where there is none."""
    labels = (data[i].label for i in indices)
    return torch.tensor([-1 if label is None else label for label in labels])


def condition_kwargs(network: Any, example: Example) -> dict[str, Tensor]:
    """Return the image for a network that has ``conditions``, the labels for one with a null label.

    One that takes the place of slices, their neighbours, or the image noised everywhere, is given these, too.

    Args:
        network: The network without wrappers.
        example: What it is shown.
    """
    place = example.place if takes_place(network) else None
    neighbours = example.neighbours if takes_neighbours(network) else None
    whole = example.whole if takes_whole(network) else None
    pairs = (("place", place), ("neighbours", neighbours), ("whole", whole))
    cond = {k: v for k, v in pairs if v is not None}
    if isinstance(network, Conditional):
        image = to_public(example.x) if example.cond_image is None else example.cond_image
        return {"image": image, **cond}
    null = null_label(network)
    if null is None or example.label is None:
        return cond
    return {"y": torch.where(example.label < 0, null, example.label), **cond}
