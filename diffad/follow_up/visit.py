"""One visit as predict left it: scan, brain, map, detections, on the grid of the scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffad.config.reading import ReadOptions
from diffad.data.detections import label_detections
from diffad.data.volume import Array, Volume, require_same_grid
from diffad.inference.lesions import Lesion, read_lesions
from diffad.io.naming import Naming
from diffad.io.own_maps import read_scan_info


@dataclass(frozen=True, eq=False)
class FollowUpVisit:
    """A scan and what predict found in it, on voxel axes in RAS.

    Args:
        path: The file of the scan.
        volume: The scan, (C, I, J, K).
        brain: Its brain, (I, J, K), bool.
        analysed: Part of it that was analysed, alike.
        anomaly: Anomaly map, (I, J, K).
        labels: Numbers of the detections, (I, J, K), as in their table, 0 elsewhere.
        lesions: The detections.
        info: What is stored of the result.
        number: 1 or 2, as messages call it.
    """

    path: Path
    volume: Volume
    brain: Array
    analysed: Array
    anomaly: Array
    labels: Array
    lesions: Sequence[Lesion]
    info: dict[str, Any]
    number: int = 1

    @property
    def name(self) -> str:
        """What it is called in sentences; two visits often have files of one name."""
        return f"visit {self.number} ({self.path.name})"

    @property
    def threshold(self) -> float:
        """Threshold of its detections."""
        return float(self.info["threshold"])

    @property
    def is_stripped(self) -> bool:
        """Whether its file has next to nothing outside the brain."""
        outer_values, inner_values = self.volume.data[0][~self.brain], self.volume.data[0][self.brain]
        level = float(inner_values.min()) + 0.1 * float(np.percentile(inner_values, 98) - inner_values.min())
        return float((outer_values > level).sum()) < 0.1 * len(inner_values)


def read_visit(
    path: Path,
    folder: Path,
    name: str,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
    number: int = 1,
) -> FollowUpVisit:
    """Read a scan and its finished results.

    Args:
        path: The file of the scan.
        folder: Folder of its results.
        name: Name of its results.
        reading: How the files are read.
        number: 1 or 2, as messages call the visit.

    Raises:
        ValueError: If a file cannot be used; it is named.
    """
    files = Naming(name).files(folder)
    volume, info = Volume.load(path, options=reading), read_scan_info(files["info"])
    maps = {kind: _read_map(files[kind], volume, reading) for kind in ("anomaly", "mask", "seen")}
    analysed = maps["seen"] > 0
    gap = np.zeros_like(analysed)
    if files["unseen"].is_file():
        gap = _read_map(files["unseen"], volume, reading) > 0
    lesions = read_lesions(files["lesions_json"])
    labels = number_detections(maps["mask"] > 0, lesions, volume)
    images = (analysed | gap, analysed, maps["anomaly"], labels)
    return FollowUpVisit(path, volume, *images, lesions, info, number)


def _read_map(path: Path, volume: Volume, reading: ReadOptions) -> Array:
    image = Volume.load(path, allow_constant=True, options=reading)
    require_same_grid(image, volume)
    return image.data[0]


def number_detections(mask: Array, lesions: Sequence[Lesion], volume: Volume) -> Array:
    """Number the detections of a mask (I, J, K) as their table does, which is sorted by evidence.

    Args:
        mask: Detections, bool.
        lesions: Their table.
        volume: The scan, for its axes in the file and in memory.
    """
    labels = label_detections(mask)
    numbers = np.zeros(int(labels.max(initial=0)) + 1, dtype=np.int32)
    to_memory = np.linalg.solve(volume.affine, volume.file_affine)
    for lesion in lesions:
        place = (to_memory @ [*lesion.peak_voxel, 1.0])[:3].round().astype(int)
        numbers[labels[tuple(place)]] = lesion.number
    numbers[0] = 0
    return numbers[labels]
