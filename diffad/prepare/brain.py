"""Which voxels of a scan are brain, and whether that can be true."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diffad.data.masks import brain_mask, load_mask
from diffad.data.volume import Array, Volume, VolumeError
from diffad.prepare.ct_brain import ct_brain
from diffad.prepare.deepbet import deepbet_brain
from diffad.prepare.extras import package_version
from diffad.prepare.geometry import VoxelGrid
from diffad.prepare.hounsfield import AIR
from diffad.prepare.options import PrepareOptions
from diffad.prepare.read import grid_of, name_of
from diffad.prepare.record import Record

USUAL_ML, POSSIBLE_ML = (700.0, 2100.0), (100.0, 3000.0)
"""Volumes of a brain in ml: beyond the first a warning, beyond the second an error (not of given masks)."""
CUT, LOST = 0.1, 0.3
"""Share of the widest section that touches an edge before it is said; share of the brain that may lack."""


def find_brain(volume: Volume, mask: Path | Array | None, options: PrepareOptions, record: Record) -> Array:
    """Find or take the brain mask of a scan, (I, J, K), bool, and check it.

    Args:
        volume: The scan, sequences as channels on the grid of the reference.
        mask: A mask on that grid: file or array in RAS.
        options: How it is found; a mask that is handed over is taken whatever they say.
        record: Where volume and warnings go.

    Raises:
        VolumeError: If there is no mask where one is to be given, it is empty or on another grid, no brain is
            found, or more than 30 % of it lie beyond the scan.
        ImportError: If deepbet is needed and missing.
    """
    way = "given" if mask is not None else options.brain
    with record.step("brain", way=way) as told:
        if way == "deepbet":
            told["deepbet"] = package_version("deepbet")
        brain = _found(volume, mask, way, options)
        grid, name = grid_of(volume), name_of(volume)
        if not brain.any():
            raise VolumeError(f"{name}: expected a brain, found none ({way}); give its mask")
        told["ml"] = round(float(brain.sum()) * grid.voxel_ml, 2)
        told["cut_sections"] = cuts = cut_sections(brain)
        _check_volume(told["ml"], name, way, record)
        _check_cuts(cuts, name, way, record)
    return brain


def _found(volume: Volume, mask: Path | Array | None, way: str, options: PrepareOptions) -> Array:
    if way == "given":
        return _given(volume, mask)
    image = volume.data[min(options.reference, len(volume.data) - 1)]
    if way == "deepbet":
        return deepbet_brain(image, options.threads)
    bare = brain_mask(volume.data)[0]
    if options.modality == "ct" and image.min() < AIR:
        bare = image > AIR / 2  # cut out of its skull and laid on air
    stripped = options.modality == "ct" and image.min() > AIR
    return bare if way == "none" or stripped else ct_brain(image, grid_of(volume), options.threads)


def _given(volume: Volume, mask: Path | Array | None) -> Array:
    if mask is None:
        raise VolumeError(f"{name_of(volume)}: expected its brain mask (brain='given'), found none")
    brain = load_mask(mask, volume) if isinstance(mask, str | Path) else np.asarray(mask) > 0
    if brain.shape != volume.data.shape[1:]:
        expected = f"a mask {volume.data.shape[1:]}"
        raise VolumeError(f"{name_of(volume)}: expected {expected}, got shape {brain.shape}")
    return np.asarray(brain, dtype=bool)


def cut_sections(brain: Array) -> dict[str, float]:
    """Return how large the brain is at each side of the field, as a share of its widest section."""
    found: dict[str, float] = {}
    for axis, ends in enumerate((("left", "right"), ("posterior", "anterior"), ("inferior", "superior"))):
        areas = brain.sum(tuple({0, 1, 2} - {axis}))
        shares = areas[[0, -1]] / max(int(areas.max()), 1)
        found |= {end: round(float(s), 3) for end, s in zip(ends, shares, strict=True) if s > 0}
    return found


def lost_fraction(section: float) -> float:
    r"""Return how much an ellipsoid lacks if it is cut where its section is a share of the widest.

    .. math:: s = 4 z (1 - z), \quad V(z) = 3 z^2 - 2 z^3

    Args:
        section: Section at the cut over the widest section, :math:`s`, in [0, 1].
    """
    z = (1 - np.sqrt(max(0.0, 1 - section))) / 2
    return float(3 * z**2 - 2 * z**3)


def _check_volume(ml: float, name: str, way: str, record: Record) -> None:
    if not POSSIBLE_ML[0] <= ml <= POSSIBLE_ML[1] and way in ("deepbet", "threshold"):
        low, high = POSSIBLE_ML
        raise VolumeError(f"{name}: expected a brain of {low:g} to {high:g} ml, found {ml:.0f} ml ({way})")
    if not USUAL_ML[0] <= ml <= USUAL_ML[1]:
        record.warn(f"{name}: a brain of {ml:.0f} ml ({way}) is unusual; look at its mask")


def _check_cuts(cuts: dict[str, float], name: str, way: str, record: Record) -> None:
    wide = {end: share for end, share in cuts.items() if share > CUT}
    lost = sum(lost_fraction(share) for share in wide.values())
    if not wide:
        return
    ends = ", ".join(f"{end} ({share:.0%} of its widest section)" for end, share in wide.items())
    text = f"the brain is cut off by the edge of the scan: {ends}; about {lost:.0%} of it lack"
    if lost > LOST and way != "none":
        raise VolumeError(f"{name}: expected a whole brain, found that {text}")
    record.warn(f"{name}: {text}")


def outside_fraction(brain: Array, grid: VoxelGrid, world: Array, field: VoxelGrid) -> float:
    """Return how much of a brain (I, J, K) on ``grid``, moved by ``world``, lies beyond another field."""
    points = np.argwhere(brain)[::37] @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    back = np.linalg.inv(field.affine) @ world
    voxels = points @ back[:3, :3].T + back[:3, 3]
    inside = ((voxels >= -0.5) & (voxels <= np.array(field.shape) - 0.5)).all(1)
    return float(1 - inside.mean())
