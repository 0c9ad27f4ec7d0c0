"""What the demo shows of a model: which head, which lesions are drawn in it, and in which slices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from diffad.data.lesions import KINDS
from diffad.data.volume import Volume

RADIUS = (10.0, 14.0)
"""Smallest and largest radius of the lesions of several kinds, in voxels."""

SIZES = {"largest": (17.0, 19.0), "large": (13.0, 14.0), "small": (10.0, 11.0), "smallest": (7.0, 8.0)}
"""Smallest and largest radius of the lesions of one kind, in voxels of 1 mm."""

PHANTOM_SUBJECT = 1
"""Number of the phantom that is shown: the one of a data set without lesions that validates."""


@dataclass(frozen=True)
class PlannedLesion:
    """A lesion to draw.

    Args:
        name: What it is called in tables.
        kind: One of ``diffad.data.lesions.KINDS``.
        radius: Smallest and largest radius, in voxels.
    """

    name: str
    kind: str
    radius: tuple[float, float]


@dataclass(frozen=True)
class DemoPlan:
    """What is shown.

    Args:
        head: What the head is, in words.
        load: Makes or reads it, skull-stripped.
        lesions: Four lesions, one for each quarter of the brain.
        shuffled: Whether the seed decides which quarter a lesion lies in; else their order does.
        slices: First and last (exclusive) axial slice to analyse; none for the whole brain.
        contrast: What the names of its scans end in, such as FLAIR; empty for nothing.
        note: What else must be known of it, in a sentence.
    """

    head: str
    load: Callable[[], Volume]
    lesions: tuple[PlannedLesion, ...]
    shuffled: bool = True
    slices: tuple[int, int] | None = None
    contrast: str = ""
    note: str = ""

    def name_scan(self, name: str) -> str:
        """Return the name of a scan, with its contrast where that is known."""
        return f"{name}_{self.contrast}" if self.contrast else name

    def adapt(self, slices: tuple[int, int] | None, radius: tuple[float, float] | None) -> DemoPlan:
        """Return the plan with other slices and another radius of all lesions, where they are given.

        Args:
            slices: First and last (exclusive) axial slice to analyse, or none.
            radius: Smallest and largest radius, in voxels, or none.
        """
        lesions = [lesion if radius is None else replace(lesion, radius=radius) for lesion in self.lesions]
        return replace(self, slices=slices or self.slices, lesions=tuple(lesions))


def format_name(name: str) -> str:
    """Return the name of a lesion as tables and pictures write it."""
    return name.replace("_", " ").capitalize()


def import_template_loader() -> Callable[..., Any]:
    """Return the function of nilearn that reads the MNI152 template.

    Raises:
        ImportError: If nilearn is missing.
    """
    try:
        from nilearn.datasets import load_mni152_template
    except ImportError as error:
        raise ImportError("the demo takes its brain from nilearn: pip install 'diffad[demo]'") from error
    return load_mni152_template


def load_template() -> Volume:
    """Return the MNI152 T1 brain that nilearn ships: skull-stripped, 1 mm; nothing is downloaded.

    Raises:
        ImportError: If nilearn is missing.
    """
    image = import_template_loader()(resolution=1)
    return Volume(image.get_fdata(dtype=np.float32)[None], image.affine)


def load_phantom(spacing: float = 1.0) -> Volume:
    """Return the brain of a healthy FLAIR phantom, a smoothly deformed MNI152 template; nobody was scanned.

    Args:
        spacing: Edge of a voxel, in mm.

    Raises:
        ImportError: If nilearn is missing.
    """
    from diffad.data.phantom import PhantomOptions
    from diffad.data.phantom.phantom import make_phantom

    phantom = make_phantom(PhantomOptions.seed, PHANTOM_SUBJECT, ("flair",), spacing)
    return Volume((phantom.images["flair"] * phantom.brain).astype(np.float32)[None], phantom.affine)


KINDS_PLAN = DemoPlan(
    "the MNI152 template (a mean of 152 brains)",
    load_template,
    tuple(PlannedLesion(kind, kind, RADIUS) for kind in KINDS),
)
"""Lesions of four kinds in the template; what is shown of a model that has no plan of its own."""

SIZES_PLAN = DemoPlan(
    "a synthetic head (a deformed MNI152 template)",
    load_phantom,
    tuple(PlannedLesion(name, "bright", radius) for name, radius in SIZES.items()),
    shuffled=False,
    contrast="FLAIR",
    note="The model was trained on such synthetic heads, too, though not on this one: "
    "heads of patients are harder.",
)
"""Bright lesions of four sizes in a whole FLAIR phantom."""

PLANS = {"brain-any": SIZES_PLAN, "ixi-t1-axial": replace(KINDS_PLAN, slices=(91, 100))}
"""What is shown of a shipped model; slices are those of the MNI152 grid that it knows."""


def choose_plan(model: str | None, brain: Volume | None = None) -> DemoPlan:
    """Return what is shown of a model.

    Args:
        model: Name of the model, or none.
        brain: A brain to show instead, with lesions of four kinds in the slices that the model knows.
    """
    plan = PLANS.get(model or "", KINDS_PLAN)
    if brain is None:
        return plan
    return replace(KINDS_PLAN, head="a brain of your own", load=lambda: brain, slices=plan.slices)
