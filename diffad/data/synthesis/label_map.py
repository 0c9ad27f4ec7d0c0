"""A label map as tissues: read, checked, cut to the head and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from diffad.config.reading import ReadOptions
from diffad.data.items import DataError
from diffad.data.slices import axis_index
from diffad.data.synthesis.checks import check_anatomy, check_voxels, match_labels
from diffad.data.synthesis.tissues import TISSUES, Table
from diffad.data.volume import Array, Volume

RIM = 8.0
"""Width of what is kept around a brain, in mm: no stripping leaves more."""

FLUID = 4.0
"""Width of the fluid around a brain whose labels know none, in mm."""

GAP = 5.0
"""Half the width of the sulci that belong to the brain, in mm."""

DEPTH_SCALE = 8
"""Steps of the depth in a mm."""

PROBES, PROBE_REACH = 4096, 0.8
"""Places of a brain that its intensity window follows from, and half the width of each, in mm."""

CSF = TISSUES.index("csf")


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Tissues of one head in RAS, cut to the brain and what is around it.

    Args:
        tissues: Position of each voxel's tissue among ``TISSUES``, (I, J, K), uint8.
        depth: Distance outward from the hull of the brain, negative inside, (I, J, K), int8, in eighths of a
            mm.
        spacing: Voxel size (I, J, K), in mm.
        field: Sides of the file's field of view, in mm.
        probes: Tissues around random places of the brain and its rim, (P, 8), uint8.
        probe_depth: Distance of these places from the hull of the brain, (P,), in mm.
        probe_places: These places in the box of the map, (P, 3), as fractions in [0, 1].
        warnings: What is odd about the map, in whole sentences.
    """

    tissues: Array
    depth: Array
    spacing: tuple[float, float, float]
    field: tuple[float, float, float]
    probes: torch.Tensor
    probe_depth: torch.Tensor
    probe_places: torch.Tensor
    warnings: tuple[str, ...] = ()

    @classmethod
    def load(cls, path: Path, table: Table | None, options: ReadOptions, in_plane: Sequence[int]) -> LabelMap:
        """Read a label map.

        Args:
            path: NIfTI file.
            table: Tissue of each label; none takes the known table that fits.
            options: How files are read.
            in_plane: Axes that a slice shows; voxels along them must not be thick.

        Raises:
            DataError: If the file is no label map, has unknown labels or thick voxels, or shows no brain.
            VolumeError: If it cannot be read.
        """
        volume = Volume.load(path, allow_constant=True, options=options)
        if len(volume.data) != 1:
            raise DataError(f"{path}: expected a label map of one channel, found {len(volume.data)} channels")
        spacing = tuple(float(s) for s in volume.spacing)
        warnings = [*volume.warnings, *check_voxels(spacing, in_plane, path)]
        labels = volume.data[0]
        values, table = match_labels(labels, table, path)
        tissues = np.zeros(int(values[-1]) + 1, np.uint8)
        tissues[values] = [TISSUES.index(table[int(v)]) for v in values]
        tissues = tissues[labels.astype(np.int64)]
        warnings += check_anatomy(tissues, spacing, path)
        return cls._measure(tissues, (spacing[0], spacing[1], spacing[2]), tuple(warnings))

    def measure_field(self, axis: str) -> float:
        """Return the longer side of a slice of the file, in mm."""
        return max(side for a, side in enumerate(self.field) if a != axis_index(axis))

    @classmethod
    def _measure(
        cls, tissues: Array, spacing: tuple[float, float, float], warnings: tuple[str, ...]
    ) -> LabelMap:
        field = tuple(n * s for n, s in zip(tissues.shape, spacing, strict=True))
        tissues = _cut_to_brain(tissues, spacing)
        depth = _measure_depth(tissues, spacing)
        rim = (depth > 0) & (depth < 2)
        # the fluid around a brain that labels do not know is where a scan would show it
        has_rim = (tissues[rim] == CSF).mean() > 0.2
        tissues[(tissues == 0) & (depth <= (0 if has_rim else FLUID))] = CSF
        tissues[depth > RIM] = 0
        depth = np.clip(depth * DEPTH_SCALE, -127, 127).astype(np.int8)
        return cls(tissues, depth, spacing, field, *_place_probes(tissues, depth, spacing), warnings)


def _cut_to_brain(tissues: Array, spacing: Sequence[float]) -> Array:
    """Cut to the box of the brain without fluid, with a rim that may lie beyond the map."""
    brain = tissues > CSF
    for axis in range(3):
        pad = int(np.ceil((RIM + 1) / spacing[axis]))
        line = np.flatnonzero(brain.any(tuple(a for a in range(3) if a != axis)))
        widths = [(pad, pad) if a == axis else (0, 0) for a in range(3)]
        cut = slice(int(line[0]), int(line[-1]) + 1 + 2 * pad)
        tissues = np.pad(tissues, widths).take(range(cut.start, cut.stop), axis)
        brain = np.pad(brain, widths).take(range(cut.start, cut.stop), axis)
    return np.ascontiguousarray(tissues)


def _measure_depth(tissues: Array, spacing: Sequence[float]) -> Array:
    """Return the distance from the hull of the brain in mm, negative inside; measured on about 2 mm."""
    from scipy.ndimage import distance_transform_edt as edt
    from scipy.ndimage import zoom

    steps = [max(1, round(2 / s)) for s in spacing]
    brain = (tissues > CSF)[tuple(slice(n // 2, None, n) for n in steps)]
    pitch = [s * n for s, n in zip(spacing, steps, strict=True)]
    bridge = edt(edt(~brain, sampling=pitch) <= GAP, sampling=pitch) > GAP
    hull = bridge | brain
    # the surface lies between the voxels, half a voxel from either
    half = min(pitch) / 2
    distance = np.where(hull, half - edt(hull, sampling=pitch), edt(~hull, sampling=pitch) - half)
    factors = [n / m for n, m in zip(tissues.shape, distance.shape, strict=True)]
    result: Array = zoom(distance.astype(np.float32), factors, order=1, grid_mode=True, mode="nearest")
    return result


def _place_probes(
    tissues: Array, depth: Array, spacing: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    places = np.argwhere(tissues > 0)
    places = places[np.random.default_rng(0).choice(len(places), PROBES)]
    reach = np.array([PROBE_REACH / s for s in spacing])
    corners = np.array(list(np.ndindex(2, 2, 2))) * 2 - 1
    around = np.rint(places[:, None] + corners * reach).astype(int)
    around = np.clip(around, 0, np.array(tissues.shape) - 1)
    probes = tissues[tuple(np.moveaxis(around, -1, 0))]
    probe_depth = depth[tuple(places.T)].astype(np.float32) / DEPTH_SCALE
    fractions = (places + 0.5) / np.array(tissues.shape)
    return torch.from_numpy(probes), torch.from_numpy(probe_depth), torch.from_numpy(fractions).float()
