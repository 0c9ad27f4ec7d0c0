"""One phantom in memory: synthetic scans of one person, with brain and lesion masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from diffad.data.phantom.contrast import CONTRASTS
from diffad.data.phantom.lesion import draw_lesion
from diffad.data.phantom.person import Person
from diffad.data.phantom.plan import require_names
from diffad.data.scan_slices import ScanSlices, cut_slices
from diffad.data.volume import Array, Volume
from diffad.types import generator_for

LESION, SCAN = 2, 3
"""Streams of randomness beside those of the person; each modality has its stream, from SCAN on."""


@dataclass(frozen=True, eq=False)
class Phantom:
    """Co-registered scans of one person.

    Args:
        images: Scans by modality, (I, J, K): whole numbers, 0 outside the brain, or Hounsfield units.
        brain: Brain mask, (I, J, K), bool.
        lesion: Lesion mask, (I, J, K), bool; empty in a healthy brain.
        affine: Voxel to world matrix, (4, 4), in mm.
        kind: Kind of the lesions; none in a healthy brain.
    """

    images: Mapping[str, Array]
    brain: Array
    lesion: Array
    affine: Array
    kind: str | None = None

    @property
    def volume(self) -> Volume:
        """The scans as channels, in their order."""
        return Volume(np.stack(list(self.images.values())), self.affine)

    def slices(self, axis: str = "axial", slices: tuple[int, int] | None = None) -> ScanSlices:
        """Cut the scans into the slices that show brain, as training and ``predict`` do.

        Args:
            axis: Plane of the slices.
            slices: First and last (exclusive) slice; none for all.

        Raises:
            VolumeError: If none of the slices shows brain.
        """
        volume, brain = self.volume, torch.from_numpy(self.brain)[None]
        return cut_slices(torch.from_numpy(volume.data), brain, axis, volume.spacing.tolist(), slices)


def make_phantom(
    seed: int = 0,
    subject: int = 0,
    modalities: Sequence[str] = ("t1",),
    spacing: float = 1.0,
    kind: str | None = None,
) -> Phantom:
    """Make one phantom; the same arguments give the same one.

    Brain and noise do not depend on the lesions: without ``kind`` it is the same brain in health. Nor does a
    modality depend on the others that are made with it.

    Args:
        seed: Seed of the data set.
        subject: Number of the subject.
        modalities: Modalities of the scans: "t1", "t2", "flair", "ct".
        spacing: Edge of a voxel, in mm.
        kind: Kind of the lesions; none for a healthy brain.

    Raises:
        ValueError: If a modality or kind is unknown, the spacing out of range, or a seed negative.
        ImportError: If nilearn is missing.
    """
    _check_arguments(seed, subject, modalities)
    person = Person.draw(seed, subject, spacing)
    lesion = None
    if kind is not None:
        lesion = draw_lesion(kind, person.tissue, spacing, generator_for(seed, subject, LESION))
    images = {}
    for name in modalities:
        stream = generator_for(seed, subject, SCAN + list(CONTRASTS).index(name))
        images[name] = person.scan(name, lesion, stream).to(torch.int16).numpy()
    brain = person.tissue.brain_mask
    lesion_mask = torch.zeros_like(brain) if lesion is None else lesion.mask & brain
    brain_mask, mask = (person.fill_grid(values).numpy() for values in (brain, lesion_mask))
    return Phantom(images, brain_mask, mask, person.grid.affine, kind)


def _check_arguments(seed: int, subject: int, modalities: Sequence[str]) -> None:
    if seed < 0 or subject < 0:
        raise ValueError(f"expected seed and subject of at least 0, got {seed} and {subject}")
    require_names("modalities", modalities, tuple(CONTRASTS))
