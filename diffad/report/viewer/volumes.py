"""Volumes as a page carries them: cut to the brain, in 256 grey values, in the orientation of the file."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from nibabel import orientations

from diffad.data.volume import RAS, Array
from diffad.output import AnomalyOutput
from diffad.report.montage import ct_window

MARGIN = 3
"""Voxels kept around the brain."""
LARGEST = 5_000_000
"""Voxels a page carries of a volume; of a larger one every second or third along each axis."""


@dataclass(frozen=True)
class Carried:
    """One volume of a page.

    Args:
        base64: Compressed NIfTI file.
        low: Value shown darkest.
        high: Value shown brightest.
    """

    base64: str
    low: float
    high: float


@dataclass(frozen=True)
class Scene:
    """All volumes of a page, and what was done to them.

    Args:
        volumes: By kind: scan, twin, map and mask.
        told: What was done to them, for the reader.
    """

    volumes: dict[str, Carried]
    told: str


def scene(out: AnomalyOutput) -> Scene:
    """Make the volumes of a page.

    Raises:
        ValueError: If the result is that of a tensor.
    """
    if out.volume is None:
        raise ValueError("expected the result of a volume for a page, got that of a tensor")
    brain = out.brain[0, 0].numpy()
    box = _box(brain)
    step = next(k for k in (1, 2, 3, 4, 6, 8) if k == 8 or _size(box) / k**3 <= LARGEST)
    cut = tuple(slice(s.start, s.stop, step) for s in box)
    images = {"scan": out.image, "twin": out.reconstruction, "map": out.anomaly_map, "mask": out.mask}
    low, high = ct_window(out.info) or _range(out.image[0, 0].numpy()[box], brain[box])
    top = max(float(out.anomaly_map.max()), 1e-6)
    limits = {"scan": (low, high), "twin": (low, high), "map": (0.0, top), "mask": (0.0, 1.0)}
    made = {
        kind: _carried(image[0, 0].numpy()[cut], _affine(out.volume.affine, box, step), out, limits[kind])
        for kind, image in images.items()
    }
    word = {2: "2nd", 3: "3rd"}.get(step, f"{step}th")
    thinned = f", of which every {word} voxel along each axis is shown" if step > 1 else ""
    sequence = f" Of {out.image.shape[1]} sequences the first is shown." if out.image.shape[1] > 1 else ""
    told = f"The volumes here are cut to the brain{thinned} and have 256 grey values; the files are exact."
    return Scene(made, told + sequence)


def _box(brain: Array) -> tuple[slice, ...]:
    ends = []
    for axis in range(3):
        inside = np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))
        first, last = (inside[0], inside[-1]) if len(inside) else (0, brain.shape[axis] - 1)
        ends.append(slice(max(0, int(first) - MARGIN), min(brain.shape[axis], int(last) + MARGIN + 1)))
    return tuple(ends)


def _size(box: tuple[slice, ...]) -> int:
    return int(np.prod([s.stop - s.start for s in box]))


def _range(image: Array, brain: Array) -> tuple[float, float]:
    values = image[brain] if brain.any() else image
    low, high = np.percentile(values, (0.5, 99.8)).tolist()
    return min(low, 0.0), max(high, low + 1e-6)


def _affine(affine: Array, box: tuple[slice, ...], step: int) -> Array:
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ [s.start for s in box]
    moved[:3, :3] *= step
    return moved


def _carried(image: Array, affine: Array, out: AnomalyOutput, limits: tuple[float, float]) -> Carried:
    low, high = limits
    levels = np.round((np.clip(image.astype(np.float32), low, high) - low) / (high - low) * 255)
    array, own = levels.astype(np.uint8), affine
    if out.volume is not None and out.volume.origin is not None:  # as it is stored
        way = orientations.ornt_transform(RAS, orientations.io_orientation(out.volume.origin.affine))
        own = affine @ orientations.inv_ornt_aff(way, array.shape)
        array = orientations.apply_orientation(array, way)
    header = nib.Nifti1Header()
    header.set_xyzt_units("mm")
    file = nib.Nifti1Image(np.ascontiguousarray(array), own, header)
    raw = bytearray(file.to_bytes())
    slope = np.array([(high - low) / 255, low], dtype=file.header.endianness + "f4")
    raw[112:120] = slope.tobytes()  # scl_slope and scl_inter, which nibabel would reset
    return Carried(base64.b64encode(gzip.compress(bytes(raw), 6, mtime=0)).decode(), low, high)
