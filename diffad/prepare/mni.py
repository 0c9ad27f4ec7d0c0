"""A brain registered to the template."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array, Volume, VolumeError
from diffad.prepare.brain import LOST, outside_fraction
from diffad.prepare.extras import package_version
from diffad.prepare.geometry import VoxelGrid, bounding_box, centre_of_mass, map_voxels, resample
from diffad.prepare.options import PrepareOptions
from diffad.prepare.read import grid_of, name_of
from diffad.prepare.record import Record
from diffad.prepare.register import Match, RegistrationImage, align
from diffad.prepare.template import NAME, mni152

WORKING, AROUND = 2.0, 10
"""Voxel size in mm of what the registration sees, and how far around the template's brain it looks, in mm."""
USUAL_SCALE, USUAL_DICE = (0.75, 1.35), 0.88
"""Beyond them a registration is called unusual."""


def to_template(image: Array, brain: Array, volume: Volume, options: PrepareOptions, record: Record) -> Array:
    """Register a brain to MNI152; return template world to native world, (4, 4).

    Args:
        image: The reference sequence, (I, J, K), corrected.
        brain: Its brain mask, (I, J, K), bool.
        volume: The scan, for its grid and name.
        options: Kind, seed and threads.
        record: Where matrix, quality and warnings go.

    Raises:
        VolumeError: If the brain does not overlap with the template, or over 30 % of it lie beyond the scan.
    """
    with record.step("register", kind=options.register, template=NAME, seed=options.seed) as told:
        told["SimpleITK"], told["nilearn"] = package_version("SimpleITK"), package_version("nilearn")
        match = _match(image, brain, volume, options)
        told |= measure_quality(match, brain, grid_of(volume), options.threads)
        _check(told, name_of(volume), record)
    return match.matrix


def _match(image: Array, brain: Array, volume: Volume, options: PrepareOptions) -> Match:
    grid = grid_of(volume)
    shown = np.where(brain, np.clip(image, 0, 100) if options.modality == "ct" else image, 0)
    moving = RegistrationImage.of(
        shown, grid, bounding_box(brain, grid.affine, 30.0), WORKING, options.threads
    )
    start = np.eye(4)
    start[:3, 3] = centre_of_mass(brain, grid.affine) - centre_of_mass(mni152().brain, mni152().grid.affine)
    fixed = _template(WORKING)
    try:
        return align(fixed, moving, start, options.register, options.seed)
    except ValueError as error:
        raise VolumeError(f"{name_of(volume)}: registration to the template failed: {error}") from error


@cache
def _template(spacing: float) -> RegistrationImage:
    known = mni152()
    near = ndimage.distance_transform_edt(~known.brain) <= AROUND
    corners = bounding_box(near, known.grid.affine)
    view = RegistrationImage.of(known.image, known.grid, corners, spacing, 0)
    seen = resample(near, map_voxels(view.grid, known.grid), view.grid.shape, nearest=True) > 0.5
    return RegistrationImage(view.image, view.grid, seen)


def measure_quality(match: Match, brain: Array, grid: VoxelGrid, threads: int) -> dict[str, Any]:
    """Return what tells a good registration from a bad one.

    ``dice`` is the overlap of the brain with the template's, ``scales`` are the factors along three axes
    (singular values of the matrix), ``outside`` is the share of the template's brain beyond the scan.
    """
    known = mni152()
    matrix = map_voxels(known.grid, grid, match.matrix)
    moved = resample(brain, matrix, known.grid.shape, threads=threads) > 0.5
    overlap = 2 * float((moved & known.brain).sum()) / float(moved.sum() + known.brain.sum())
    axes = match.matrix[:3, :3]
    return {
        "matrix": match.matrix.round(8).tolist(),
        "mutual_information": round(match.similarity, 4),
        "mutual_information_before": round(match.start, 4),
        "iterations": list(match.iterations),
        "dice": round(overlap, 4),
        "scales": np.linalg.svd(axes, compute_uv=False).round(4).tolist(),
        "determinant": round(float(np.linalg.det(axes)), 4),
        "outside": round(outside_fraction(known.brain, known.grid, match.matrix, grid), 4),
    }


def _check(told: dict[str, Any], name: str, record: Record) -> None:
    if told["outside"] > LOST:
        share = f"{told['outside']:.0%}"
        raise VolumeError(
            f"{name}: expected a whole brain, found about {share} of it beyond the scan's field"
        )
    if told["outside"] > 0.03:
        record.warn(f"{name}: about {told['outside']:.0%} of the brain lie beyond the scan's field")
    low, high = min(told["scales"]), max(told["scales"])
    if low < USUAL_SCALE[0] or high > USUAL_SCALE[1] or told["determinant"] <= 0:
        record.warn(f"{name}: registration scales the brain by {low:.2f} to {high:.2f}, which is unusual")
    if told["dice"] < USUAL_DICE:
        record.warn(
            f"{name}: registered brain and template overlap by {told['dice']:.2f} (Dice) only, at a mutual "
            f"information of {told['mutual_information']:.2f}; look at the prepared volume"
        )
