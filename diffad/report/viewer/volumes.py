"""Volumes as a page carries them: cropped to the brain, in small integers, in the orientation of the file."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import torch
from einops import reduce
from nibabel import orientations
from torch import Tensor

from diffad.data.volume import RAS, Array
from diffad.inference.output import AnomalyOutput
from diffad.report.montage import find_ct_window

MARGIN = 3
"""Voxels around the brain that stay."""
LARGEST = 5_000_000
"""Most voxels of a volume on a page; of a larger one, blocks: their mean or, of a map, their maximum."""
STRIPE_MM = 10.0
"""From one stripe over what was not analysed to the next."""
FINE = 128
"""Least grey values between black and white; if 256 from lowest to highest leave fewer, 65536 are used."""


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
    """All volumes of a page, and how they differ from the files.

    Args:
        volumes: By kind: scan, reconstruction, map and mask, and unseen where something was not analysed.
        note: How they differ from the files, for the reader.
        file_affine: Voxel to world matrix of the files, (4, 4), in mm.
    """

    volumes: dict[str, EncodedVolume]
    note: str
    file_affine: Array


def make_scene(out: AnomalyOutput) -> Scene:
    """Make the volumes of a page.

    Raises:
        ValueError: If the result is that of a tensor.
    """
    if out.volume is None:
        raise ValueError("expected the result of a volume for a page, got that of a tensor")
    brain = out.brain[0, 0].numpy()
    box = _box_brain(brain)
    steps = _choose_steps([s.stop - s.start for s in box], out.volume.spacing)
    images = {
        "scan": out.image,
        "reconstruction": out.reconstruction,
        "map": out.anomaly_map,
        "mask": out.mask,
    }
    if out.unseen_mask[0, 0][box].any():
        images["unseen"] = _hatch(out.unseen_mask, out.volume.spacing)
    arrays = {kind: _pool_blocks(image[0, 0].numpy()[box], steps, kind) for kind, image in images.items()}
    window = find_ct_window(out.info) or _find_range(out.image[0, 0].numpy()[box], brain[box])
    top = max(float(arrays["map"].max()), 1e-6)
    limits = {"scan": window, "reconstruction": window, "map": (0.0, top)}
    limits |= {"mask": (0.0, 1.0), "unseen": (0.0, 1.0)}
    affine = _move_affine(out.volume.affine, box, steps)
    volumes = {kind: _encode(array, affine, out, limits[kind]) for kind, array in arrays.items()}
    return Scene(volumes, _describe_changes(out, steps), out.volume.file_affine)


def _hatch(mask: Tensor, spacing: Array) -> Tensor:
    """Return a mask (1, 1, I, J, K), as 1 in oblique stripes and a half between them."""
    ramps = (torch.arange(n) * float(mm) for n, mm in zip(mask.shape[2:], spacing, strict=True))
    i, j, k = torch.meshgrid(*ramps, indexing="ij")
    stripes = ((i + j + k) % STRIPE_MM) < STRIPE_MM / 5
    return mask * torch.where(stripes, 1.0, 0.5)


def _describe_changes(out: AnomalyOutput, steps: list[int]) -> str:
    blocks = " x ".join(map(str, steps))
    pooling = (
        f", averaged over blocks of {blocks} voxels (map and detections: the maximum)"
        if max(steps) > 1
        else ""
    )
    count = out.image.shape[1]
    sequence = f" Only the first of {count} sequences is shown." if count > 1 else ""
    return (
        f"The volumes on this page are cropped to the brain{pooling} and rounded to whole grey values; "
        f"the files beside it are exact.{sequence}"
    )


def _choose_steps(sizes: list[int], spacing: Array) -> list[int]:
    """Return edges of blocks, finest axis first, so that few enough are left and thick slices stay."""
    steps = [1, 1, 1]
    while np.prod([-(-n // k) for n, k in zip(sizes, steps, strict=True)]) > LARGEST:
        steps[int(np.argmin(spacing * steps))] += 1
    return steps


def _pool_blocks(image: Array, steps: list[int], kind: str) -> Array:
    if max(steps) == 1:
        return image
    # the last block of an axis is filled with its last voxels
    padded_image = np.pad(image, [(0, -n % k) for n, k in zip(image.shape, steps, strict=True)], mode="edge")
    sizes = dict(zip("abc", steps, strict=True))
    operation = "mean" if kind in ("scan", "reconstruction") else "max"
    return np.asarray(reduce(padded_image, "(i a) (j b) (k c) -> i j k", operation, **sizes))


def _box_brain(brain: Array) -> tuple[slice, ...]:
    ends = []
    for axis in range(3):
        indices = np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))
        first, last = (indices[0], indices[-1]) if len(indices) else (0, brain.shape[axis] - 1)
        ends.append(slice(max(0, int(first) - MARGIN), min(brain.shape[axis], int(last) + MARGIN + 1)))
    return tuple(ends)


def _find_range(image: Array, brain: Array) -> tuple[float, float]:
    values = image[brain] if brain.any() else image
    low, high = np.percentile(values, (0.5, 99.8)).tolist()
    return min(low, 0.0), max(high, low + 1e-6)


def _move_affine(affine: Array, box: tuple[slice, ...], steps: list[int]) -> Array:
    """Return the affine of blocks in a box."""
    box_affine = affine.copy()
    box_affine[:3, 3] += affine[:3, :3] @ [s.start + (k - 1) / 2 for s, k in zip(box, steps, strict=True)]
    box_affine[:3, :3] *= steps
    return box_affine


def _encode(image: Array, affine: Array, out: AnomalyOutput, limits: tuple[float, float]) -> EncodedVolume:
    array, slope, intercept = _quantise(image.astype(np.float32), limits)
    if out.volume is not None and out.volume.origin is not None:  # as it is stored
        turn = orientations.ornt_transform(RAS, orientations.io_orientation(out.volume.origin.affine))
        affine = affine @ orientations.inv_ornt_aff(turn, array.shape)
        array = orientations.apply_orientation(array, turn)
    header = nib.Nifti1Header()
    header.set_xyzt_units("mm")
    file = nib.Nifti1Image(np.ascontiguousarray(array), affine, header)
    raw = bytearray(file.to_bytes())
    scaling = np.array([slope, intercept], dtype=file.header.endianness + "f4")
    raw[112:120] = scaling.tobytes()  # scl_slope and scl_inter, which nibabel would reset
    return EncodedVolume(base64.b64encode(gzip.compress(bytes(raw), 6, mtime=0)).decode(), *limits)


def _quantise(image: Array, limits: tuple[float, float]) -> tuple[Array, float, float]:
    """Round to integers: image = slope * integers + intercept, nothing clipped."""
    low, high = min(float(image.min()), limits[0]), max(float(image.max()), limits[1])
    is_fine = 255 * (limits[1] - limits[0]) >= FINE * (high - low)
    last, kind = (255, np.uint8) if is_fine else (65535, np.uint16)
    slope = np.float32((high - low) / last)
    levels = np.round((image.astype(np.float64) - np.float32(low)) / slope)
    return np.clip(levels, 0, last).astype(kind), float(slope), float(np.float32(low))
