"""Codes of images, some of them corrupted, by kinds that read no intensities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diffad.capabilities import takes_codes
from diffad.data.corruptions.batch import check_batch, draw_task
from diffad.data.corruptions.stream import open_stream
from diffad.data.corruptions.tasks import expand_tasks, list_tasks, make_corruption


def corrupt_codes(
    codes: Tensor,
    masks: Tensor,
    tasks: Sequence[str],
    chance: float,
    generators: Sequence[torch.Generator],
    full: bool = False,
) -> tuple[Tensor, Tensor]:
    """Corrupt each item with a given probability; item i depends on itself and generator i alone.

    Args:
        codes: Codes, (B, Z, *L).
        masks: Share of brain in each cell, (B, 1, *L), in [0, 1]; an item without brain stays as it is.
        tasks: Kinds to draw from, each of which takes codes.
        chance: Probability that an item is corrupted, in [0, 1].
        generators: One for each item; one number is drawn from each.
        full: Corrupt as strongly as each kind can.

    Returns:
        The codes, some of them damaged, and 1 where they were, else 0, (B, 1, *L).

    Raises:
        ValueError: If a kind is unknown or reads intensities, or a number or a shape does not fit.
    """
    check_batch(tasks, chance, len(codes), len(generators))
    tasks = expand_tasks(tasks)
    check_code_tasks(tasks)
    corruptions = {task: make_corruption(task) for task in dict.fromkeys(tasks)}
    result, damage, level = codes.clone(), torch.zeros_like(masks), 1.0 if full else None
    for i, generator in enumerate(generators):
        stream = open_stream(generator)
        task = draw_task(tasks, chance, stream.rng)
        if task is not None and masks[i].any():
            item = codes[i : i + 1], masks[i : i + 1]
            damaged_codes, weight = corruptions[task](*item, level=level, generators=[stream])
            result[i], damage[i] = damaged_codes[0], (weight[0] > 0).to(damage)
    return result, damage


def check_code_tasks(tasks: Sequence[str]) -> None:
    """Refuse kinds that read the intensities of a scan, which codes have not.

    Raises:
        ValueError: With the names of those, and of the kinds that take codes.
    """
    reading = [task for task in dict.fromkeys(expand_tasks(tasks)) if not takes_codes(make_corruption(task))]
    if reading:
        names = ", ".join(task for task in list_tasks() if takes_codes(make_corruption(task)))
        raise ValueError(
            f"expected kinds that read no intensities of a scan ({names}), found {', '.join(reading)}"
        )
