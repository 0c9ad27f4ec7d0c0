"""Finding the brain of a scan, and checking that the mask is plausible."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diffad.data.head import head_warning
from diffad.data.hounsfield import AIR
from diffad.data.masks import brain_mask, resolve_mask
from diffad.data.volume import Array, Volume, VolumeError
from diffad.io.version import package_version
from diffad.prepare.ct_brain import find_brain_ct
from diffad.prepare.deepbet import find_brain_deepbet
from diffad.prepare.geometry import VoxelGrid
from diffad.prepare.options import PrepareOptions
from diffad.prepare.read import get_grid
from diffad.prepare.record import Record

USUAL_ML, POSSIBLE_ML = (700.0, 2100.0), (100.0, 3000.0)
"""Volumes of a brain in ml: outside the first there is a warning, outside the second an error."""
EDGE_LIMIT, LOSS_LIMIT = 0.1, 0.3
"""Fraction of the widest section at an edge before a warning; fraction of the brain that may be missing."""


def find_brain(
    volume: Volume,
    mask: Path | Array | None,
    options: PrepareOptions,
    record: Record,
) -> Array:
    """Find the brain mask of a scan, or take the given one, (I, J, K), bool, and check it.

    Args:
        volume: The scan, sequences as channels on the grid of the reference.
        mask: A mask on that grid: file or array in RAS.
        options: How the brain is found, where no mask is given.
        record: Record of the scan, which gets a step and warnings.

    Raises:
        VolumeError: If a mask is needed and missing, empty or on another grid, if no brain is found, or if
            more than 30 % of it are beyond the scan.
        ImportError: If deepbet is needed and missing.
    """
    method = "given" if mask is not None else options.brain
    with record.step("brain", way=method) as entry:
        if method == "deepbet":
            entry["deepbet"] = package_version("deepbet")
        if method == "given":
            brain = _take_mask(volume, mask, record)
        else:
            brain = _segment_brain(volume, method, options)
        grid, name = get_grid(volume), volume.name
        if not brain.any():
            raise VolumeError(f"{name}: expected a brain, found none ({method}); give a brain mask")
        entry["ml"] = round(float(brain.sum()) * grid.voxel_ml, 2)
        entry["cut_sections"] = sections = measure_edge_sections(brain)
        _check_volume(entry["ml"], name, method, record)
        _check_edges(sections, name, method, record)
    return brain


def _segment_brain(volume: Volume, method: str, options: PrepareOptions) -> Array:
    image = volume.data[min(options.reference, len(volume.data) - 1)]
    if method == "deepbet":
        return find_brain_deepbet(image, options.threads)
    brain = brain_mask(volume.data)[0]
    if options.modality == "ct" and image.min() < AIR:
        brain = image > AIR / 2  # without its skull, on a background of air
    no_skull = options.modality == "ct" and image.min() > AIR
    return brain if method == "none" or no_skull else find_brain_ct(image, get_grid(volume), options.threads)


def _take_mask(volume: Volume, mask: Path | Array | None, record: Record) -> Array:
    if mask is None:
        raise VolumeError(f"{volume.name}: expected a brain mask (brain='given'), found none")
    brain, warnings = resolve_mask(mask, volume)
    for warning in [*warnings, head_warning(brain, volume.voxel_ml)]:
        if warning:
            record.warn(warning)
    return brain


def measure_edge_sections(brain: Array) -> dict[str, float]:
    """Return the section of the brain at each edge of the scan, as a fraction of its widest section."""
    sections: dict[str, float] = {}
    for axis, sides in enumerate((("left", "right"), ("posterior", "anterior"), ("inferior", "superior"))):
        areas = brain.sum(tuple({0, 1, 2} - {axis}))
        fractions = areas[[0, -1]] / max(int(areas.max()), 1)
        sections |= {side: round(float(s), 3) for side, s in zip(sides, fractions, strict=True) if s > 0}
    return sections


def cap_fraction(section: float) -> float:
    r"""Return the fraction of an ellipsoid beyond a cut, from the section at the cut.

    .. math:: s = 4 z (1 - z), \quad V(z) = 3 z^2 - 2 z^3

    Args:
        section: Section at the cut over the widest section, :math:`s`, in [0, 1].
    """
    z = (1 - np.sqrt(max(0.0, 1 - section))) / 2
    return float(3 * z**2 - 2 * z**3)


def _check_volume(ml: float, name: str, method: str, record: Record) -> None:
    finding = f"found {ml:.0f} ml ({method})"
    if not POSSIBLE_ML[0] <= ml <= POSSIBLE_ML[1] and method in ("deepbet", "threshold"):
        low, high = POSSIBLE_ML
        raise VolumeError(f"{name}: expected a brain of {low:g} to {high:g} ml, {finding}; give a brain mask")
    if not USUAL_ML[0] <= ml <= USUAL_ML[1]:
        low, high = USUAL_ML
        record.warn(f"{name}: expected a brain of {low:g} to {high:g} ml, {finding}; look at the brain mask")


def _check_edges(sections: dict[str, float], name: str, method: str, record: Record) -> None:
    wide_sections = {side: section for side, section in sections.items() if section > EDGE_LIMIT}
    if not wide_sections:
        return
    loss = sum(cap_fraction(section) for section in wide_sections.values())
    sides = ", ".join(
        f"{side} ({section:.0%} of the widest section)" for side, section in wide_sections.items()
    )
    text = (
        f"{name}: expected a whole brain, found one that is cut off by the edge of the scan: {sides}; "
        f"about {loss:.0%} of it is missing"
    )
    if loss > LOSS_LIMIT and method != "none":
        raise VolumeError(text)
    record.warn(text)


def outside_fraction(brain: Array, grid: VoxelGrid, world: Array, field: VoxelGrid) -> float:
    """Return the fraction of a brain (I, J, K) on ``grid``, moved by ``world``, beyond another field."""
    points = np.argwhere(brain)[::37] @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    back = np.linalg.inv(field.affine) @ world
    voxels = points @ back[:3, :3].T + back[:3, 3]
    in_field = ((voxels >= -0.5) & (voxels <= np.array(field.shape) - 0.5)).all(1)
    return float(1 - in_field.mean())
