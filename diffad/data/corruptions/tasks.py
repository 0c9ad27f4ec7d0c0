"""The kinds of corruption, and their folds for training and validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from torch import Tensor

from diffad.data.corruptions.blend import blend
from diffad.data.corruptions.deform import deform
from diffad.data.corruptions.intensity import change_intensity
from diffad.data.corruptions.place import Place
from diffad.data.corruptions.shape import Floats, Random


@dataclass(frozen=True)
class Sources:
    """Where patches come from.

    Args:
        others: Images like the one to corrupt.
        foreign: Images of another modality.
    """

    others: Sequence[Tensor] = field(default=())
    foreign: Sequence[Tensor] = field(default=())


Change = Callable[[Floats, Place, Sources, Random], tuple[Floats, dict[str, Any]]]


def _blend(image: Floats, place: Place, sources: Sources, rng: Random) -> tuple[Floats, dict[str, Any]]:
    return blend(image, place, sources.others, False, rng)


def _cross_blend(image: Floats, place: Place, sources: Sources, rng: Random) -> tuple[Floats, dict[str, Any]]:
    return blend(image, place, sources.foreign or sources.others, not sources.foreign, rng)


def _make_deform(task: str) -> Change:
    return lambda image, place, sources, rng: deform(image, place, task, rng)


def _change_intensity(
    image: Floats, place: Place, sources: Sources, rng: Random
) -> tuple[Floats, dict[str, Any]]:
    return change_intensity(image, place, rng)


CHANGES: dict[str, Change] = {
    "blend": _blend,
    "cross_blend": _cross_blend,
    "sink": _make_deform("sink"),
    "source": _make_deform("source"),
    "intensity": _change_intensity,
}

TASKS = tuple(CHANGES)
"""Names of the tasks; their order is that of their numbers."""

BLENDS = ("blend", "cross_blend")
"""Tasks that reach beyond their shape, so that the mask marks where the image changed."""

FOLDS = tuple(combinations(TASKS, 3))
"""The ten ways to train on three tasks of five; each task is in six of them."""


def split_tasks(k: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the three tasks for training in fold ``k``, and the two for validation.

    Raises:
        ValueError: If there is no such fold.

    Reference:
        Many tasks make light work (Baugh et al., 2023).
    """
    if k not in range(len(FOLDS)):
        raise ValueError(f"expected a fold from 0 to {len(FOLDS) - 1}, got {k}")
    return FOLDS[k], tuple(task for task in TASKS if task not in FOLDS[k])


def check_task(task: str) -> None:
    """Check that a task is known.

    Raises:
        ValueError: If it is not; the message lists the known ones.
    """
    if task not in CHANGES:
        raise ValueError(f"expected a task among {', '.join(TASKS)}, got {task!r}")
