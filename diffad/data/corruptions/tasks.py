"""The names of the kinds of corruption, and their folds for training and validation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from torch import Tensor

from diffad.capabilities import give_sources
from diffad.protocols import Corruption
from diffad.registry import CORRUPTIONS

TASKS = ("blend", "cross_blend", "sink", "source", "intensity")
"""Names of the five published tasks; their order is that of their numbers."""

LESIONS = ("fluid", "spots", "mass", "disyre", "foreign", "fpi", "reflect", "walk")
"""Tasks that paint lesions into the brain, soft and of any intensity in [0, 1]."""

ANY = (*TASKS, *LESIONS)
"""All tasks that paint anomalies; noises and kinds of others are named one by one."""

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


def list_tasks() -> tuple[str, ...]:
    """Return the names of all registered kinds: those of ``ANY`` first."""
    return (*ANY, *(name for name in CORRUPTIONS if name not in ANY))


def expand_tasks(names: Sequence[str]) -> tuple[str, ...]:
    """Replace the names of ``SETS`` by their tasks; whatever is named twice counts twice.

    Raises:
        ValueError: If a name is unknown; the message lists the known ones.
    """
    tasks = tuple(task for name in names for task in SETS.get(name, (name,)))
    for task in tasks:
        check_task(task, tuple(SETS))
    return tasks


def check_task(task: str, further: Sequence[str] = ()) -> None:
    """Check that a task is known.

    Args:
        task: Its name.
        further: Further names that the message lists.

    Raises:
        ValueError: If it is not; the message lists the known ones.
    """
    if task not in CORRUPTIONS:
        names = ", ".join((*list_tasks(), *further))
        raise ValueError(f"expected a task among {names}, got {task!r}")


def make_corruption(task: str, others: Sequence[Tensor] = (), foreign: Sequence[Tensor] = ()) -> Corruption:
    """Build a registered kind by its name, with images that patches come from where it takes some.

    Args:
        task: Its name.
        others: Images like the one to corrupt, (C', *S') each; none takes patches from the image itself.
        foreign: Images of another modality.

    Raises:
        ValueError: If it is unknown; the message lists the known ones.
    """
    check_task(task)
    return give_sources(CORRUPTIONS.build(task), others, foreign)
