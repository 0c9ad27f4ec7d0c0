"""What predict wrote of one scan, read again for objects of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffad.config.reading import ReadOptions, recall_options
from diffad.data.detections import label_detections
from diffad.data.volume import Array, Volume, require_same_grid
from diffad.dicom.writer_packages import DicomError
from diffad.inference.lesions import Lesion, read_lesions
from diffad.io.files import FileError, require_file
from diffad.io.own_maps import read_scan_info

KINDS = ("info", "anomaly", "mask", "seen", "lesions_json", "report")
"""Files of a result that objects are made of."""
MOST_SEGMENTS = 65_535
"""Segments that an object can number."""


@dataclass(frozen=True)
class StoredResult:
    """A result on disk.

    Args:
        files: Its files by kind.
        info: What made it.
        anomaly: Its map.
        labels: Number of the detection at each voxel of the map, 0 elsewhere, (I, J, K), int32.
        brain: Part of the brain that was analysed, (I, J, K), bool.
        detections: The detections, the highest peak first.
    """

    files: Mapping[str, Path]
    info: dict[str, Any]
    anomaly: Volume
    labels: Array
    brain: Array
    detections: tuple[Lesion, ...]

    @property
    def model(self) -> str:
        """Name of the model."""
        texts = self.info.get("headline")
        name = texts.get("model") if isinstance(texts, dict) else None
        return str(name or "unnamed model")

    @property
    def reading(self) -> ReadOptions:
        """How the scan was read."""
        return recall_options(self.info)


def read_stored_result(files: Mapping[str, Path]) -> StoredResult:
    """Read the map, the detections and the record of a scan.

    Args:
        files: Files by kind, see ``Naming.files``.

    Raises:
        ValueError: If one is missing, cannot be used, or does not belong to the others; it is named.
    """
    for kind in KINDS:
        require_file(files[kind], f"a file that predict wrote ({kind})")
    info = read_scan_info(files["info"])
    options = recall_options(info)
    anomaly, mask, scope = (
        Volume.load(files[kind], allow_constant=True, options=options) for kind in ("anomaly", "mask", "seen")
    )
    for volume in (mask, scope):
        require_same_grid(volume, anomaly)
    detections = tuple(read_lesions(files["lesions_json"]))
    labels = _number_detections(mask, detections, files["mask"])
    return StoredResult(files, info, anomaly, labels, scope.data[0] > 0, detections[:MOST_SEGMENTS])


def _number_detections(mask: Volume, detections: tuple[Lesion, ...], path: Path) -> Array:
    """Give each component of a mask the number that the table has for it, found by its peak.

    Raises:
        DicomError: If mask and table are of different results.
    """
    components = label_detections(mask.data[0] > 0)
    counts = np.bincount(components.ravel())
    numbers = np.zeros(len(counts), np.int32)
    for detection in detections:
        index = tuple(np.rint(_move_to_canonical(mask, detection.peak_voxel)).astype(int))
        is_valid = all(0 <= i < n for i, n in zip(index, components.shape, strict=True))
        component = components[index] if is_valid else 0
        if not component or counts[component] != detection.voxels:
            raise DicomError(
                f"{path}: expected detection {detection.number} of the table in it, found another"
            )
        numbers[component] = detection.number
    if surplus := int((numbers[1:] == 0).sum()):
        raise DicomError(
            f"{path}: expected the {len(detections)} detections of the table, found {surplus} more"
        )
    return np.asarray(numbers[components])


def _move_to_canonical(volume: Volume, voxel: tuple[float, ...]) -> Array:
    """Move a voxel of the file to the axes of the volume."""
    point = volume.file_affine[:3, :3] @ np.array(voxel) + volume.file_affine[:3, 3]
    return np.asarray(np.linalg.solve(volume.affine[:3, :3], point - volume.affine[:3, 3]))


def read_source_scan(result: StoredResult) -> Volume | None:
    """Read the scan that a result was made of; none if it is no longer there, or on another grid."""
    names = result.info.get("scan") or []
    try:
        scan = Volume.load(require_file(names[0]), options=result.reading) if names else None
        if scan is not None:
            require_same_grid(scan, result.anomaly)
        return scan
    except (FileError, ValueError, OSError):
        return None
