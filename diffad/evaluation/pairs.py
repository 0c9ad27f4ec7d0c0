"""Maps and lesion masks of one scan brought together, where the maps looked."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffad.cohort.subjects import SUFFIXES, shortened, stem
from diffad.data.volume import Volume, VolumeError, require_same_grid

LESION = ("_lesion", "_lesions", "_seg", "_label", "_labels", "_mask", "")
"""Ends of the names of lesion masks; the bare name of the scan counts only if no other is there."""
BRAIN = ("_brain_mask", "_brain", "_mask", "")
AXES = {"sagittal": 0, "coronal": 1, "axial": 2}
Bools = NDArray[np.bool_]


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


@dataclass
class Collection:
    """All scans that can be scored, the names of those without a lesion mask, and what should be known."""

    cases: list[Case] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def collect(
    predictions: Path, masks: Path, brains: Path | None = None, healthy_without_mask: bool = False
) -> Collection:
    """Pair the ``NAME_anomaly.nii.gz`` of a folder with lesion masks.

    A scan is scored in ``NAME_seen.nii.gz``, the part of the brain that was looked at; with ``brains`` in
    that brain mask, cut to the slices in ``NAME_info.json``. A scan whose lesion lies wholly outside is left
    out, with a warning.

    Args:
        predictions: Folder with the maps.
        masks: Folder with lesion masks, or the mask of the only scan.
        brains: Folder with brain masks.
        healthy_without_mask: Take scans without a lesion mask for healthy; otherwise they are left out.

    Raises:
        ValueError: If nothing can be paired, a name is ambiguous, or files do not fit together.
    """
    maps = sorted(
        p for s in SUFFIXES for p in predictions.glob(f"*_anomaly{s}") if not p.name.startswith(".")
    )
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
    for path in maps:
        name = stem(path).removesuffix("_anomaly")
        mask = masks if masks.is_file() else find_mask(name, masks, LESION, but=predictions)
        if mask is None and not healthy_without_mask:
            found.missing.append(name)
        elif (case := _case(path, name, mask, brains, found.warnings)) is not None:
            found.cases.append(case)
    if found.missing:
        found.warnings.append(f"left out, as they have no lesion mask: {', '.join(found.missing)}")
    if not found.cases:
        raise ValueError(
            f"{masks}: expected lesion masks of {', '.join(found.missing)}, found none that can be scored"
        )
    return found


def find_mask(name: str, folder: Path, ends: Sequence[str], but: Path | None = None) -> Path | None:
    """Find the mask of a scan in a folder and those in it, without ``but``; whole names go before short ones.

    Raises:
        ValueError: If several files claim to be it.
    """
    for base in (name, shortened(name)):
        for group in (ends[:-1], ends[-1:]):
            names = [f"{base}{end}{suffix}" for end in group for suffix in SUFFIXES]
            hits = sorted(
                p
                for n in names
                for p in folder.rglob(n)
                if but is None or p.parent.resolve() != but.resolve()
            )
            if len(hits) > 1:
                raise ValueError(f"expected one mask for {name}, found {hits[0]} and {hits[1]}")
            if hits:
                return hits[0]
    return None


def _case(path: Path, name: str, mask: Path | None, brains: Path | None, warnings: list[str]) -> Case | None:
    anomaly, info = Volume.load(path, allow_constant=True), _info(path.with_name(f"{name}_info.json"))
    inside = _region(path, name, brains, anomaly, info)
    lesion = np.zeros_like(inside) if mask is None else _binary(mask, anomaly, warnings)
    total, seen = int(lesion.sum()), int((lesion & inside).sum())
    if seen < total:
        warnings.append(
            f"{name}: {total - seen} of {total} lesion voxels lie outside what was looked at and do not count"
        )
    if total and not seen:
        warnings.append(f"{name}: left out, as none of its lesion was looked at")
        return None
    scores = anomaly.data[0][inside]
    detected = _detections(path.with_name(f"{name}_mask.nii.gz"), anomaly, warnings)
    image_score = info.get("image_score", _top(scores))
    return Case(
        name, scores, lesion[inside], None if detected is None else detected[inside], float(image_score)
    )


def _info(path: Path) -> dict[str, Any]:
    try:
        info: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise VolumeError(f"{path}: expected what predict stored, found {error}") from error
    return info


def _region(path: Path, name: str, brains: Path | None, like: Volume, info: dict[str, Any]) -> Bools:
    """Return the voxels (I, J, K) that are scored."""
    seen = path.with_name(f"{name}_seen.nii.gz")
    brain = find_mask(name, brains, BRAIN) if brains else seen if seen.is_file() else None
    if brain is None:
        where = f"a brain mask of {name} in {brains}" if brains else f"{seen.name} beside it, or --brains"
        raise VolumeError(f"{path}: expected {where}, to know where to score, found none")
    inside = _binary(brain, like, [])
    if brains and info.get("slice_range") and info.get("axis") in AXES:
        first, last = info["slice_range"]
        index = np.arange(inside.shape[AXES[info["axis"]]])
        keep = np.expand_dims(
            (first <= index) & (index < last), [a for a in range(3) if a != AXES[info["axis"]]]
        )
        inside = inside & keep
    if not inside.any():
        raise VolumeError(f"{brain}: expected voxels above 0 among the slices looked at, found none")
    return inside


def _binary(path: Path, like: Volume, warnings: list[str]) -> Bools:
    """Read a mask (I, J, K), which may be empty; voxels above 0 are inside."""
    volume = Volume.load(path, allow_constant=True)
    require_same_grid(volume, like)
    if len(volume.data) != 1:
        raise VolumeError(f"{path}: expected a mask of one channel, found {len(volume.data)}")
    if odd := np.setdiff1d(np.unique(volume.data), (0, 1)).tolist():
        shown = ", ".join(f"{v:g}" for v in odd[:4]) + (", ..." if len(odd) > 4 else "")
        warnings.append(
            f"{path}: voxels above 0 count as lesion, and there are other values than 0 and 1: {shown}"
        )
    inside: Bools = volume.data[0] > 0
    return inside


def _detections(path: Path, like: Volume, warnings: list[str]) -> Bools | None:
    if path.is_file():
        return _binary(path, like, [])
    warnings.append(f"{path}: not found, so there is no Dice at the stored threshold")
    return None


def _top(scores: NDArray[np.float32]) -> float:
    """Mean of the highest hundredth, where no image score is stored."""
    return float(np.sort(scores)[-max(1, math.ceil(len(scores) / 100)) :].mean())
