"""Volumes as a page carries them: cut to the brain, in small integers, in the orientation of the file."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from einops import reduce
from nibabel import orientations

from diffad.data.volume import RAS, Array
from diffad.inference.output import AnomalyOutput
from diffad.report.montage import stored_ct_window

MARGIN = 3
"""Voxels kept around the brain."""
LARGEST = 5_000_000
"""Voxels a page carries of a volume; of a larger one the mean of blocks or, of a map, their highest."""
FINE = 128
"""Least grey values between black and white; where 256 from lowest to highest leave fewer, 65536 do."""


@dataclass(frozen=True)
class EncodedVolume:
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

    volumes: dict[str, EncodedVolume]
    told: str


def make_scene(out: AnomalyOutput) -> Scene:
    """Make the volumes of a page.

    Raises:
        ValueError: If the result is that of a tensor.
    """
    if out.volume is None:
        raise ValueError("expected the result of a volume for a page, got that of a tensor")
    brain = out.brain[0, 0].numpy()
    box = _box(brain)
    steps = _steps([s.stop - s.start for s in box], out.volume.spacing)
    images = {"scan": out.image, "twin": out.reconstruction, "map": out.anomaly_map, "mask": out.mask}
    cut = {kind: _blocks(image[0, 0].numpy()[box], steps, kind) for kind, image in images.items()}
    window = stored_ct_window(out.info) or _range(out.image[0, 0].numpy()[box], brain[box])
    limits = {"scan": window, "twin": window, "map": (0.0, _top(cut["map"])), "mask": (0.0, 1.0)}
    affine = _affine(out.volume.affine, box, steps)
    made = {kind: _carried(image, affine, out, limits[kind]) for kind, image in cut.items()}
    return Scene(made, _told(out, steps))


def _told(out: AnomalyOutput, steps: list[int]) -> str:
    blocks = " x ".join(map(str, steps))
    thinned = (
        f" and shown in blocks of {blocks} voxels (mean; of map and detections the highest)"
        if max(steps) > 1
        else ""
    )
    sequence = f" Of {out.image.shape[1]} sequences the first is shown." if out.image.shape[1] > 1 else ""
    return f"The volumes here are cut to the brain{thinned} and rounded; the files are exact.{sequence}"


def _steps(sizes: list[int], spacing: Array) -> list[int]:
    """Return edges of blocks, finest axis first, so that few enough are left and thick slices stay."""
    steps = [1, 1, 1]
    while np.prod([-(-n // k) for n, k in zip(sizes, steps, strict=True)]) > LARGEST:
        steps[int(np.argmin(spacing * steps))] += 1
    return steps


def _blocks(image: Array, steps: list[int], kind: str) -> Array:
    if max(steps) == 1:
        return image
    # the last block of an axis is filled with its last voxels
    full = np.pad(image, [(0, -n % k) for n, k in zip(image.shape, steps, strict=True)], mode="edge")
    sizes = dict(zip("abc", steps, strict=True))
    how = "mean" if kind in ("scan", "twin") else "max"
    return np.asarray(reduce(full, "(i a) (j b) (k c) -> i j k", how, **sizes))


def _top(anomaly: Array) -> float:
    return max(float(anomaly.max()), 1e-6)


def _box(brain: Array) -> tuple[slice, ...]:
    ends = []
    for axis in range(3):
        inside = np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))
        first, last = (inside[0], inside[-1]) if len(inside) else (0, brain.shape[axis] - 1)
        ends.append(slice(max(0, int(first) - MARGIN), min(brain.shape[axis], int(last) + MARGIN + 1)))
    return tuple(ends)


def _range(image: Array, brain: Array) -> tuple[float, float]:
    values = image[brain] if brain.any() else image
    low, high = np.percentile(values, (0.5, 99.8)).tolist()
    return min(low, 0.0), max(high, low + 1e-6)


def _affine(affine: Array, box: tuple[slice, ...], steps: list[int]) -> Array:
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ [s.start + (k - 1) / 2 for s, k in zip(box, steps, strict=True)]
    moved[:3, :3] *= steps
    return moved


def _carried(image: Array, affine: Array, out: AnomalyOutput, limits: tuple[float, float]) -> EncodedVolume:
    array, slope, inter = _integers(image.astype(np.float32), limits)
    own = affine
    if out.volume is not None and out.volume.origin is not None:  # as it is stored
        way = orientations.ornt_transform(RAS, orientations.io_orientation(out.volume.origin.affine))
        own = affine @ orientations.inv_ornt_aff(way, array.shape)
        array = orientations.apply_orientation(array, way)
    header = nib.Nifti1Header()
    header.set_xyzt_units("mm")
    file = nib.Nifti1Image(np.ascontiguousarray(array), own, header)
    raw = bytearray(file.to_bytes())
    scaling = np.array([slope, inter], dtype=file.header.endianness + "f4")
    raw[112:120] = scaling.tobytes()  # scl_slope and scl_inter, which nibabel would reset
    return EncodedVolume(base64.b64encode(gzip.compress(bytes(raw), 6, mtime=0)).decode(), *limits)


def _integers(image: Array, limits: tuple[float, float]) -> tuple[Array, float, float]:
    """Round to integers: image = slope * integers + inter, nothing clipped."""
    low, high = min(float(image.min()), limits[0]), max(float(image.max()), limits[1])
    fine = 255 * (limits[1] - limits[0]) >= FINE * (high - low)
    last, kind = (255, np.uint8) if fine else (65535, np.uint16)
    slope = np.float32((high - low) / last)
    levels = np.round((image.astype(np.float64) - np.float32(low)) / slope)
    return np.clip(levels, 0, last).astype(kind), float(slope), float(np.float32(low))
