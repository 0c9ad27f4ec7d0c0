"""Maps and lesion masks of a cohort brought together, where the maps looked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffad.evaluation.located import Located, Samples, find_mask, read_sample
from diffad.evaluation.samples import Bools, Sample
from diffad.io.naming import find_maps
from diffad.io.nifti import SUFFIXES, stem

LESION = ("_lesion", "_lesions", "_seg", "_label", "_labels", "_mask", "")
"""Ends of the names of lesion masks; the bare name of the scan counts only if no other is there."""


@dataclass(frozen=True)
class Case:
    """One scan, only the N voxels of its brain that were looked at.

    Args:
        name: Name of the scan.
        scores: Anomaly map, (N,).
        truth: Lesion, (N,).
        detected: Detections at the stored threshold, (N,); none if there are none.
        image_score: Score of the whole scan.
    """

    name: str
    scores: NDArray[np.float32]
    truth: Bools
    detected: Bools | None
    image_score: float

    @property
    def lesioned(self) -> bool:
        """Whether there is anything to find."""
        return bool(self.truth.any())

    @classmethod
    def of(cls, sample: Sample) -> Case:
        """Keep the voxels that count."""
        inside = sample.counted
        detected = None if sample.detected is None else sample.detected[inside]
        scores = sample.scores[inside]
        score = _top(scores) if sample.image_score is None else sample.image_score
        return cls(sample.name, scores, sample.truth[inside], detected, float(score))


@dataclass
class Collection:
    """All scans that can be scored, those without a lesion mask or a prediction, and what should be known."""

    cases: list[Case] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    located: list[Located] = field(default_factory=list)

    @property
    def samples(self) -> Samples:
        """The same scans with their grids, read again one at a time."""
        return Samples(self.located)


def collect(
    predictions: Path,
    masks: Path,
    brains: Path | None = None,
    healthy_without_mask: bool = False,
    resample: bool = False,
) -> Collection:
    """Pair the ``NAME_anomaly.nii.gz`` of a folder, or the maps of a BIDS derivative, with lesion masks.

    A scan is scored in ``NAME_seen.nii.gz``, the part of the brain that was looked at; with ``brains`` in
    that brain mask, cut to the slices in ``NAME_info.json``. A scan whose lesion lies wholly outside is left
    out, with a warning.

    Args:
        predictions: Folder with the maps.
        masks: Folder with lesion masks, or the mask of the only scan.
        brains: Folder with brain masks.
        healthy_without_mask: Take scans without a lesion mask for healthy; otherwise they are left out.
        resample: Bring masks of other grids to that of the map, to the nearest voxel; otherwise an error.

    Raises:
        ValueError: If nothing can be paired, a name is ambiguous, or files do not fit together.
    """
    maps = find_maps(predictions)
    if not maps:
        raise ValueError(
            f"{predictions}: expected maps NAME_anomaly.nii.gz, as predict writes them, found none"
        )
    if not masks.exists():
        raise ValueError(f"{masks}: expected lesion masks, found no such file or folder")
    if masks.is_file() and len(maps) > 1:
        raise ValueError(
            f"{masks}: expected a folder of lesion masks for {len(maps)} scans, found a single file"
        )
    found = Collection()
    for path, naming in maps.items():
        name = naming.name
        mask = masks if masks.is_file() else find_mask(name, masks, LESION, but=predictions)
        if mask is None and not healthy_without_mask:
            found.missing.append(name)
            continue
        located = Located(path, name, mask, brains, resample, naming.files(predictions))
        if (sample := read_sample(located, found.warnings)) is not None:
            found.cases.append(Case.of(sample))
            found.located.append(located)
    if unpaired := _unpredicted(masks, predictions, found):
        found.warnings.append(f"lesion masks without a prediction: {', '.join(unpaired)}")
    if found.missing:
        found.warnings.append(f"left out, as they have no lesion mask: {', '.join(found.missing)}")
    if not found.cases:
        raise ValueError(
            f"{masks}: expected lesion masks of {', '.join(found.missing)}, found none that can be scored"
        )
    return found


def _unpredicted(masks: Path, predictions: Path, found: Collection) -> list[str]:
    """Name the lesion masks that belong to no map; nothing is told of files not named like one."""
    if masks.is_file():
        return []
    taken = {scan.mask.resolve() for scan in found.located if scan.mask}
    every = (
        p for s in SUFFIXES for p in masks.rglob(f"*{s}") if predictions.resolve() not in p.resolve().parents
    )
    named = (p for p in every if stem(p).endswith(LESION[:5]) and p.resolve() not in taken)
    return sorted(stem(p) for p in named if not p.name.startswith("."))


def _top(scores: NDArray[np.float32]) -> float:
    """Mean of the highest hundredth, where no image score is stored."""
    return float(np.sort(scores)[-max(1, math.ceil(len(scores) / 100)) :].mean())
