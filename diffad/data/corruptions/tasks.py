"""The kinds of corruption, and their folds for training and validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from torch import Tensor

from diffad.data.corruptions.blend import blend
from diffad.data.corruptions.deform import deform
from diffad.data.corruptions.disyre import paint_disyre, paint_foreign
from diffad.data.corruptions.fluid import paint_fluid
from diffad.data.corruptions.intensity import change_intensity
from diffad.data.corruptions.mass import paint_mass
from diffad.data.corruptions.place import Place
from diffad.data.corruptions.reflect import paint_reflect
from diffad.data.corruptions.shape import Bools, Floats, Random
from diffad.data.corruptions.spots import paint_spots
from diffad.data.corruptions.walk import paint_walk


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
"""Names of the five published tasks; their order is that of their numbers."""

Painter = Callable[[Floats, Bools, Sources, Random], tuple[Floats, dict[str, Any]]]

PAINTERS: dict[str, Painter] = {
    "fluid": lambda image, brain, sources, rng: paint_fluid(image, brain, rng),
    "spots": lambda image, brain, sources, rng: paint_spots(image, brain, rng),
    "mass": lambda image, brain, sources, rng: paint_mass(image, brain, rng),
    "disyre": lambda image, brain, sources, rng: paint_disyre(image, brain, sources.others, rng),
    "foreign": lambda image, brain, sources, rng: paint_foreign(image, brain, sources.others, rng),
    "fpi": lambda image, brain, sources, rng: paint_foreign(image, brain, sources.others, rng, least=0.0),
    "reflect": lambda image, brain, sources, rng: paint_reflect(image, brain, rng),
    "walk": lambda image, brain, sources, rng: paint_walk(image, brain, rng),
}

FULL: dict[str, Painter] = {
    "disyre": lambda image, brain, sources, rng: paint_disyre(image, brain, sources.others, rng, 1.0),
    "fpi": lambda image, brain, sources, rng: paint_foreign(image, brain, sources.others, rng, 1.0),
    "foreign": lambda image, brain, sources, rng: paint_foreign(image, brain, sources.others, rng, 1.0),
    "reflect": lambda image, brain, sources, rng: paint_reflect(image, brain, rng, 1.0),
}
"""Tasks that have a strength, at all of it."""

LESIONS = tuple(PAINTERS)
"""Tasks that paint lesions into the brain, soft and of any intensity in [0, 1]."""

ANY = (*TASKS, *LESIONS)
"""All tasks."""

SETS = {
    "published": TASKS,
    "brain": (
        "fluid",
        "fluid",
        "spots",
        "spots",
        "mass",
        "disyre",
        "foreign",
        "walk",
        "intensity",
        "source",
        "sink",
    ),
    "any": ANY,
}
"""Names for several tasks; a task that occurs twice is drawn twice as often."""

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


def expand_tasks(names: Sequence[str]) -> tuple[str, ...]:
    """Replace the names of ``SETS`` by their tasks; whatever is named twice counts twice.

    Raises:
        ValueError: If a name is unknown; the message lists the known ones.
    """
    tasks = tuple(task for name in names for task in SETS.get(name, (name,)))
    for task in tasks:
        if task not in ANY:
            raise ValueError(f"expected a task among {', '.join((*ANY, *SETS))}, got {task!r}")
    return tasks


def check_task(task: str) -> None:
    """Check that a task is known.

    Raises:
        ValueError: If it is not; the message lists the known ones.
    """
    if task not in ANY:
        raise ValueError(f"expected a task among {', '.join(ANY)}, got {task!r}")
