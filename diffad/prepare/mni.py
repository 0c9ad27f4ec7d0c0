"""Registering a brain to the MNI152 template, and checking the result."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array, Volume, VolumeError
from diffad.io.version import package_version
from diffad.prepare.brain import LOSS_LIMIT, outside_fraction
from diffad.prepare.geometry import VoxelGrid, centre_of_mass, find_bounding_box, map_voxels, resample
from diffad.prepare.options import PrepareOptions
from diffad.prepare.read import get_grid
from diffad.prepare.record import Record
from diffad.prepare.register import RegistrationImage, RegistrationResult, align
from diffad.prepare.template import TEMPLATE_NAME, load_mni152

WORKING_SPACING, SURROUNDINGS = 2.0, 10
"""Voxel size of the registered images, and width of the surroundings of the template's brain, in mm."""
USUAL_SCALE, USUAL_DICE = (0.75, 1.35), 0.88
"""Scales and overlap of a usual registration; others give a warning."""


def register_to_template(
    image: Array,
    brain: Array,
    volume: Volume,
    options: PrepareOptions,
    record: Record,
    look: str = "the prepared volume",
) -> Array:
    """Register a brain to MNI152; return the map from template world to native world, (4, 4).

    Args:
        image: The reference sequence without its bias field, (I, J, K).
        brain: Its brain mask, (I, J, K), bool.
        volume: The scan, for its grid and name.
        options: Kind, seed and threads.
        record: Record of the scan, which gets matrix, quality and warnings.
        look: What shows whether it went well, for warnings.

    Raises:
        VolumeError: If the brain does not overlap with the template, or over 30 % of it are beyond the scan.
    """
    with record.step("register", kind=options.register, template=TEMPLATE_NAME, seed=options.seed) as quality:
        quality["SimpleITK"], quality["nilearn"] = package_version("SimpleITK"), package_version("nilearn")
        registration = _register(image, brain, volume, options)
        quality |= measure_quality(registration, brain, get_grid(volume), options.threads)
        _check_quality(quality, volume.name, record, look)
    return registration.matrix


def _register(image: Array, brain: Array, volume: Volume, options: PrepareOptions) -> RegistrationResult:
    grid = get_grid(volume)
    brain_image = np.where(brain, np.clip(image, 0, 100) if options.modality == "ct" else image, 0)
    moving_image = RegistrationImage.sample(
        brain_image, grid, find_bounding_box(brain, grid.affine, 30.0), WORKING_SPACING, options.threads
    )
    start, template = np.eye(4), load_mni152()
    centre = centre_of_mass(template.brain, template.grid.affine)
    start[:3, 3] = centre_of_mass(brain, grid.affine) - centre
    fixed_image = _load_template_image(WORKING_SPACING)
    try:
        return align(fixed_image, moving_image, start, options.register, options.seed)
    except ValueError as error:
        raise VolumeError(f"{volume.name}: registration to the template failed: {error}") from error


@cache
def _load_template_image(spacing: float) -> RegistrationImage:
    template = load_mni152()
    surroundings = ndimage.distance_transform_edt(~template.brain) <= SURROUNDINGS
    corners = find_bounding_box(surroundings, template.grid.affine)
    view = RegistrationImage.sample(template.image, template.grid, corners, spacing, 0)
    mask = resample(surroundings, map_voxels(view.grid, template.grid), view.grid.shape, nearest=True) > 0.5
    return RegistrationImage(view.image, view.grid, mask)


def measure_quality(
    registration: RegistrationResult, brain: Array, grid: VoxelGrid, threads: int
) -> dict[str, Any]:
    """Return the figures that tell a good registration from a bad one.

    ``dice`` is the overlap of the brain with that of the template, ``scales`` are the factors along three
    axes (singular values of the matrix), ``outside`` is the fraction of the template's brain beyond the scan.
    """
    template, axes = load_mni152(), registration.matrix[:3, :3]
    return {
        "matrix": registration.matrix.round(8).tolist(),
        "mutual_information": round(registration.similarity, 4),
        "mutual_information_before": round(registration.start_similarity, 4),
        "iterations": list(registration.iterations),
        "dice": measure_dice(registration.matrix, brain, grid, threads),
        "scales": np.linalg.svd(axes, compute_uv=False).round(4).tolist(),
        "determinant": round(float(np.linalg.det(axes)), 4),
        "outside": round(outside_fraction(template.brain, template.grid, registration.matrix, grid), 4),
    }


def measure_dice(to_native: Array, brain: Array, grid: VoxelGrid, threads: int) -> float:
    """Return the overlap (Dice) of a brain (I, J, K) on ``grid`` with that of the template.

    Args:
        to_native: Template world to the world of the brain, (4, 4), in mm.
        brain: The brain, bool.
        grid: Its grid.
        threads: Threads; 0 for all cores.
    """
    template = load_mni152()
    matrix = map_voxels(template.grid, grid, to_native)
    moved_brain = resample(brain, matrix, template.grid.shape, threads=threads) > 0.5
    total = float(moved_brain.sum() + template.brain.sum())
    return round(2 * float((moved_brain & template.brain).sum()) / total, 4)


def _check_quality(quality: dict[str, Any], name: str, record: Record, look: str) -> None:
    loss = f"expected a whole brain, found about {quality['outside']:.0%} of it beyond the field of the scan"
    if quality["outside"] > LOSS_LIMIT:
        raise VolumeError(f"{name}: {loss}")
    if quality["outside"] > 0.03:
        record.warn(f"{name}: {loss}")
    low, high = min(quality["scales"]), max(quality["scales"])
    usual = f"{USUAL_SCALE[0]:g} to {USUAL_SCALE[1]:g}"
    if low < USUAL_SCALE[0] or high > USUAL_SCALE[1] or quality["determinant"] <= 0:
        record.warn(
            f"{name}: expected a registration that scales the brain by {usual}, found {low:.2f} to "
            f"{high:.2f}; look at {look}"
        )
    if quality["dice"] < USUAL_DICE:
        record.warn(
            f"{name}: expected brain and template to overlap by a Dice of at least {USUAL_DICE:g}, found "
            f"{quality['dice']:.2f}, with a mutual information of {quality['mutual_information']:.2f}; "
            f"look at {look}"
        )
