"""The plan of a data set of phantoms: who is healthy, who has which lesions, and in which split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from diffad.data.phantom.anatomy import PhantomGrid
from diffad.data.phantom.contrast import CONTRASTS
from diffad.data.phantom.lesion import KINDS

ROLES = ("train", "val", "test", "train", "train", "train")
"""Splits of healthy subjects, in turn; subjects with lesions are in the test split."""


def require_names(what: str, names: Sequence[str], choices: Sequence[str]) -> None:
    """Check that names are known, and each there only once.

    Args:
        what: What they name, for messages.
        names: The names.
        choices: The known names.

    Raises:
        ValueError: If there are none, one is unknown, or one is there twice.
    """
    if not names or len(set(names)) != len(names) or set(names) - set(choices):
        text = ", ".join(names) or "none"
        raise ValueError(f"expected {what} among {', '.join(choices)}, each at most once, got {text}")


@dataclass(frozen=True)
class PhantomOptions:
    """How a data set of phantoms is made, whatever the number of its subjects.

    Args:
        modalities: Modalities of the scans of every subject: "t1", "t2", "flair", "ct".
        lesioned: Fraction of subjects with lesions, in [0, 1].
        kinds: Kinds of lesions, in turn.
        seed: Seed of everything.
        spacing: Edge of a voxel, in mm.

    Raises:
        ValueError: If an option is unknown or out of range.
    """

    modalities: tuple[str, ...] = ("t1",)
    lesioned: float = 0.25
    kinds: tuple[str, ...] = tuple(KINDS)
    seed: int = 0
    spacing: float = 1.0

    def __post_init__(self) -> None:
        require_names("modalities", self.modalities, tuple(CONTRASTS))
        require_names("kinds of lesions", self.kinds, tuple(KINDS))
        if not 0 <= self.lesioned <= 1:
            raise ValueError(f"expected a fraction of lesioned subjects in [0, 1], got {self.lesioned:g}")
        if self.seed < 0:
            raise ValueError(f"expected a seed of at least 0, got {self.seed}")
        PhantomGrid(self.spacing)


@dataclass(frozen=True)
class Plan:
    """One subject of a data set.

    Args:
        number: Number of the subject, from 0.
        split: Split of the subject: "train", "val" or "test".
        kind: Kind of its lesions; none in a healthy brain.
    """

    number: int
    split: str
    kind: str | None

    @property
    def name(self) -> str:
        """BIDS name of the subject."""
        return f"sub-{self.number + 1:03d}"


def plan_subject(number: int, options: PhantomOptions) -> Plan:
    """Plan one subject; the plan follows from its number and the options alone.

    Among the first n subjects, those with lesions are the fraction of n, rounded down.
    """
    before, after = (math.floor(n * options.lesioned + 1e-9) for n in (number, number + 1))
    if after > before:
        return Plan(number, "test", options.kinds[before % len(options.kinds)])
    role = ROLES[(number - before) % len(ROLES)]
    # a data set without lesions needs no test split
    return Plan(number, "train" if role == "test" and not options.lesioned else role, None)
