"""Healthy images of the training data that a finished pipeline compares scans with."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor

from diffad.capabilities import count_references
from diffad.config import AugmentConfig, Config
from diffad.data.augment import augment_items
from diffad.data.items import Dataset, TrainingItem
from diffad.data.place import tabulate_places
from diffad.data.window import crop_to_brain
from diffad.models.references import References
from diffad.registry import SCORES
from diffad.training.parts import build_part, load_auxiliary
from diffad.types import generator_for


def load_networks(config: Config, data: Dataset | None) -> dict[str, Any]:
    """Load the networks that a config names beside the one that denoises; keep references if they are wanted.

    Args:
        config: The experiment.
        data: What was trained on.

    Raises:
        ModelError: If a folder holds no network.
    """
    networks = load_auxiliary(config)
    count = count_references(build_part(SCORES, config.score, "score"))
    if count and data is not None and "references" not in networks:
        networks["references"] = References.of(draw_references(data, config, count))
    return networks


def draw_references(data: Dataset, config: Config, count: int) -> Tensor:
    """Draw healthy images, spread evenly over a data set, (N, C, *S) in [0, 1], in the window of the network.

    Where the data have fewer, the rest are copies of them, changed as ``augment`` says.

    Args:
        data: Items; those labelled as diseased are left out.
        config: The experiment: window, changes and seed.
        count: How many.
    """
    healthy = [i for i in range(len(data)) if data[i].label != 1]
    shots = torch.linspace(0, len(healthy) - 1, min(count, len(healthy))).long().tolist()
    indices = [healthy[shots[k % len(shots)]] for k in range(count)]
    images = []
    for k, index in enumerate(indices):
        changes = AugmentConfig() if k < len(shots) else config.augment
        images.append(_cut(data[index], config, changes, generator_for(config.seed, 6, k)))
    shape = Counter(image.shape for image in images).most_common(1)[0][
        0
    ]  # planes may have windows of their own
    return torch.stack([image for image in images if image.shape == shape])


def _cut(item: TrainingItem, config: Config, changes: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Return one image in its window, (C, *S), zero outside the brain."""
    places = tabulate_places([item.place])
    image, mask, _ = augment_items(item.image[None], item.mask[None], places, changes, [generator])
    window = config.space.window_of(int(places[0, 0]))
    return crop_to_brain(image * (mask > 0), mask, window)[0]
