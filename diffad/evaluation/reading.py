"""The map and the masks of one scan, read from disk when they are needed."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffad.data.mask_values import list_odd_values
from diffad.data.names import infer_subject_below
from diffad.data.slices import NAMES
from diffad.data.volume import Volume, VolumeError, require_same_grid
from diffad.dicom.read import read_series
from diffad.dicom.stored import restore_source
from diffad.evaluation.masks import BRAIN
from diffad.evaluation.masks import find_mask as find_mask
from diffad.evaluation.resample import resample_mask
from diffad.evaluation.samples import Bools, Sample
from diffad.io.naming import RESULT_SUFFIXES
from diffad.io.own_maps import read_scan_info


@dataclass(frozen=True)
class PredictionFiles:
    """The files of one scan.

    Args:
        path: Its anomaly map.
        name: Name of the scan.
        lesion: Lesion mask, or none for a healthy scan.
        brains: Folder with brain masks, or none.
        brain: The mask in it, where it is known already.
        resample: Bring masks of other grids to that of the map.
        files: What else predict wrote of the scan, by kind.
    """

    path: Path
    name: str
    lesion: Path | None = None
    brains: Path | None = None
    resample: bool = False
    files: Mapping[str, Path] = field(default_factory=dict)
    brain: Path | None = None

    def result_path(self, kind: str) -> Path:
        """Return where another result of the scan lies."""
        return self.files.get(kind) or self.path.with_name(f"{self.name}{RESULT_SUFFIXES[kind]}")


def read_sample(scan: PredictionFiles, warnings: list[str], with_images: bool = False) -> Sample | None:
    """Read one scan; none if its lesion lies wholly outside what was analysed.

    Where no image score is stored, it is the mean of the highest hundredth of the map.

    Args:
        scan: Its files.
        warnings: What a reader should know is added.
        with_images: Read the scan itself and its reconstruction, too.

    Raises:
        VolumeError: If a file cannot be read, or does not fit the map.
    """
    anomaly, info = Volume.load(scan.path, allow_constant=True), _read_info(scan.result_path("info"))
    region = _read_region(scan, anomaly, info)
    truth = np.zeros_like(region)
    if scan.lesion is not None:
        truth = _read_mask(scan.lesion, anomaly, warnings, scan.resample)
    if not _check_lesion(scan.name, truth, region, warnings):
        return None
    scores, score = anomaly.data[0], info.get("image_score")
    image, reconstruction = _read_images(scan, anomaly, info, region) if with_images else (None, None)
    return Sample(
        name=scan.name,
        subject=infer_subject_below(scan.path, scan.path.parent) or scan.name,
        scores=scores,
        truth=truth,
        brain=region,
        spacing=tuple(float(edge) for edge in anomaly.spacing),
        axis=NAMES.get(info.get("axis", "")),
        detected=_read_detections(scan.result_path("mask"), anomaly, warnings),
        image_score=_mean_of_highest(scores[region]) if score is None else float(score),
        image=image,
        twin=reconstruction,
    )


def _read_info(path: Path) -> dict[str, Any]:
    try:
        return read_scan_info(path) if os.path.lexists(path) else {}
    except ValueError as error:
        raise VolumeError(str(error)) from error


def _read_region(scan: PredictionFiles, like: Volume, info: dict[str, Any]) -> Bools:
    """Return the voxels (I, J, K) that are scored."""
    region_path, brains = scan.result_path("seen"), scan.brains
    mask = scan.brain or (region_path if not brains and region_path.is_file() else None)
    if brains and mask is None:
        mask = find_mask(scan.name, brains, BRAIN)
    if mask is None:
        place = (
            f"a brain mask of {scan.name} in {brains}"
            if brains
            else f"{region_path.name} beside it, or --brains"
        )
        raise VolumeError(f"{scan.path}: expected {place}, to know where to score, found none")
    region = _read_mask(mask, like, [], scan.resample)
    if brains and info.get("slice_range") and info.get("axis") in NAMES:
        region = _cut_slices(region, NAMES[info["axis"]], *info["slice_range"])
    if not region.any():
        raise VolumeError(f"{mask}: expected voxels above 0 among the slices that were analysed, found none")
    return region


def _cut_slices(region: Bools, axis: int, first: int, last: int) -> Bools:
    """Keep a region in the slices from ``first`` up to ``last``."""
    index = np.arange(region.shape[axis])
    slices = (first <= index) & (index < last)
    return region & np.expand_dims(slices, [a for a in range(3) if a != axis])


def _read_mask(path: Path, like: Volume, warnings: list[str], resample: bool = False) -> Bools:
    """Read a mask (I, J, K), which may be empty; voxels above 0 are inside."""
    volume = Volume.load(path, allow_constant=True, options=like.options)
    volume = resample_mask(volume, like, warnings) if resample else volume
    require_same_grid(volume, like)
    if len(volume.data) != 1:
        raise VolumeError(f"{path}: expected a mask of one channel, found {len(volume.data)}")
    if values := list_odd_values(volume.data):
        warnings.append(
            f"{path}: voxels above 0 count as lesion, and there are other values than 0 and 1: {values}"
        )
    mask: Bools = volume.data[0] > 0
    return mask


def _check_lesion(name: str, truth: Bools, region: Bools, warnings: list[str]) -> bool:
    """Tell whether a scan can be scored; say what of its lesion does not count."""
    total, inside = int(truth.sum()), int((truth & region).sum())
    if inside < total:
        count = f"{total - inside} of {total} lesion voxels"
        warnings.append(f"{name}: {count} lie outside what was analysed and do not count")
    if total and not inside:
        warnings.append(f"{name}: left out, as none of its lesion was analysed")
    return not total or inside > 0


def _read_detections(path: Path, like: Volume, warnings: list[str]) -> Bools | None:
    if path.is_file():
        return _read_mask(path, like, [])
    warnings.append(f"{path}: not found, so there is no Dice at the stored threshold")
    return None


def _read_images(
    scan: PredictionFiles, like: Volume, info: dict[str, Any], region: Bools
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read the first sequence of a scan and of its reconstruction, in [0, 1], 0 outside the region."""
    path = scan.result_path("twin")
    if not info.get("scan") or not path.is_file():
        files = f"{path.name} and the place of the scan in {scan.result_path('info').name} beside it"
        raise VolumeError(f"{scan.path}: expected {files}, as predict writes them, found none")
    source = restore_source(info, scan.result_path("info"))
    image_file = read_series(source) if source else Volume.load(info["scan"][0], allow_constant=True)
    volumes = [image_file, Volume.load(path, allow_constant=True)]
    for volume in volumes:
        require_same_grid(volume, like)
    image, reconstruction = (np.where(region, volume.data[0], 0) for volume in volumes)
    top = max(float(image.max()), 1e-6)
    return np.clip(image / top, 0, 1), np.clip(reconstruction / top, 0, 1)


def _mean_of_highest(scores: NDArray[np.float32]) -> float:
    return float(np.sort(scores)[-max(1, math.ceil(len(scores) / 100)) :].mean())
