"""Which subject of a data set is healthy, what the others have, and what each is for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from diffad.data.phantom.anatomy import PhantomGrid
from diffad.data.phantom.contrast import CONTRASTS
from diffad.data.phantom.lesion import KINDS

ROLES = ("train", "val", "test", "train", "train", "train")
"""What healthy subjects are for, over and over; lesioned ones are for tests."""


def expect_some(what: str, given: Sequence[str], known: Sequence[str]) -> None:
    """Check names that were given.

    Raises:
        ValueError: If there are none, one is unknown, or one is there twice.
    """
    if not given or len(set(given)) != len(given) or set(given) - set(known):
        listed = ", ".join(given) or "none"
        raise ValueError(f"expected {what} out of {', '.join(known)}, each at most once, got {listed}")


@dataclass(frozen=True)
class PhantomOptions:
    """What a data set of phantoms is made with; all but how many there are.

    Args:
        modalities: What every subject is scanned with: "t1", "t2", "flair", "ct".
        lesioned: Share of subjects with lesions, in [0, 1].
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
        expect_some("modalities", self.modalities, tuple(CONTRASTS))
        expect_some("kinds of lesions", self.kinds, tuple(KINDS))
        if not 0 <= self.lesioned <= 1:
            raise ValueError(f"expected a share of lesioned subjects in [0, 1], got {self.lesioned:g}")
        if self.seed < 0:
            raise ValueError(f"expected a seed of at least 0, got {self.seed}")
        PhantomGrid(self.spacing)


@dataclass(frozen=True)
class Plan:
    """One subject of a data set.

    Args:
        number: Number of the subject, from 0.
        split: What it is for: "train", "val" or "test".
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
    """Say what a subject is; this follows from its number and the options alone.

    In every row of subjects from the first on, the number of lesioned ones is the share, rounded down.
    """
    before, sick = (math.floor(n * options.lesioned + 1e-9) for n in (number, number + 1))
    if sick > before:
        return Plan(number, "test", options.kinds[before % len(options.kinds)])
    role = ROLES[(number - before) % len(ROLES)]
    # without lesions there is nothing to test on
    return Plan(number, "train" if role == "test" and not options.lesioned else role, None)
