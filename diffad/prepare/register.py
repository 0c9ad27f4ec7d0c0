"""Registration of one volume to another by mutual information."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffad.data.volume import Array
from diffad.io.extras import import_extra
from diffad.prepare.geometry import VoxelGrid, make_upright_grid, map_voxels, resample

BINS = 32
LEVELS = ((4, 4.0, 1.0), (2, 2.0, 0.4), (1, 1.0, 0.1))
"""Shrink factor, smoothing in mm and fraction of sampled voxels of each level, from coarse to fine."""


@dataclass(frozen=True, eq=False)
class RegistrationImage:
    """A volume for registration: cubic voxels along the axes of the world.

    Args:
        image: Intensities, (I, J, K).
        grid: Grid of the voxels.
        mask: Voxels that count, (I, J, K), bool; others lie beyond the field of view.
    """

    image: Array
    grid: VoxelGrid
    mask: Array

    @classmethod
    def sample(
        cls, image: Array, grid: VoxelGrid, corners: tuple[Array, Array], spacing: float, threads: int
    ) -> RegistrationImage:
        """Sample a volume in a box; sheared and oblique grids come out upright."""
        new = make_upright_grid(*corners, spacing)
        matrix = map_voxels(new, grid)
        data = resample(image, matrix, new.shape, threads=threads)
        ones = np.broadcast_to(np.float32(1), image.shape)
        return cls(data, new, resample(ones, matrix, new.shape, nearest=True, threads=threads) > 0.5)


@dataclass(frozen=True, eq=False)
class RegistrationResult:
    """The result of a registration.

    Args:
        matrix: Fixed world to moving world, (4, 4), RAS in mm.
        similarity: Mattes mutual information of every fifth voxel at the end, in nats.
        start_similarity: The same at the beginning.
        iterations: Number of steps on the last level of each stage.
    """

    matrix: Array
    similarity: float
    start_similarity: float
    iterations: tuple[int, ...]


def align(
    fixed_image: RegistrationImage, moving_image: RegistrationImage, start: Array, kind: str, seed: int
) -> RegistrationResult:
    """Register a volume to another by mutual information, rigidly and then, for "affine", by an affine map.

    The sampled voxels follow from the seed, and one thread does the sums: several threads add in the order in
    which they finish, and were not faster on two cores.

    Args:
        fixed_image: Volume whose points are mapped.
        moving_image: Volume that they are mapped to.
        start: First guess, fixed world to moving world, (4, 4).
        kind: "rigid" or "affine".
        seed: Seed of the samples.

    Raises:
        ValueError: If the two do not overlap.

    Reference:
        PET-CT image registration in the chest using free-form deformations (Mattes et al., 2003), eq. 6.
    """
    sitk = import_extra("SimpleITK", "prepare")
    with _use_one_thread(sitk):
        return _run_stages(sitk, fixed_image, moving_image, start, kind, seed)


def _run_stages(
    sitk: Any,
    fixed_image: RegistrationImage,
    moving_image: RegistrationImage,
    start: Array,
    kind: str,
    seed: int,
) -> RegistrationResult:
    grid = fixed_image.grid
    middle = grid.affine[:3, :3] @ (np.array(grid.shape) - 1) / 2 + grid.affine[:3, 3]
    images = [_make_images(sitk, view) for view in (fixed_image, moving_image)]
    transform = _make_rigid(sitk, start, middle)
    start_similarity = _measure_similarity(sitk, images, transform)
    runs = [_optimise(sitk, images, transform, seed)]
    if kind == "affine":
        transform = _make_affine(sitk, transform, middle)
        runs.append(_optimise(sitk, images, transform, seed))
    similarity = _measure_similarity(sitk, images, transform)
    return RegistrationResult(_extract_matrix(transform), similarity, start_similarity, tuple(runs))


@contextmanager
def _use_one_thread(sitk: Any) -> Iterator[None]:
    # the metric takes the threads of the process, whatever the registration is set to
    old_count = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(old_count)


def _make_images(sitk: Any, view: RegistrationImage) -> tuple[Any, Any]:
    arrays = (view.image.astype(np.float32), view.mask.astype(np.uint8))
    image, mask = (sitk.GetImageFromArray(array.transpose(2, 1, 0)) for array in arrays)
    for volume in (image, mask):
        volume.SetSpacing(view.grid.spacing.tolist())
        volume.SetOrigin(view.grid.affine[:3, 3].tolist())
    return image, mask


def _make_rigid(sitk: Any, start: Array, middle: Array) -> Any:
    transform = sitk.Euler3DTransform()
    transform.SetCenter(middle.tolist())
    transform.SetMatrix(start[:3, :3].ravel().tolist())
    transform.SetTranslation((start[:3, :3] @ middle + start[:3, 3] - middle).tolist())
    return transform


def _make_affine(sitk: Any, rigid: Any, middle: Array) -> Any:
    transform = sitk.AffineTransform(3)
    transform.SetCenter(middle.tolist())
    transform.SetMatrix(rigid.GetMatrix())
    transform.SetTranslation(rigid.GetTranslation())
    return transform


def _extract_matrix(transform: Any) -> Array:
    axes, middle = np.array(transform.GetMatrix()).reshape(3, 3), np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = np.array(transform.GetTranslation()) + middle - axes @ middle
    return matrix


def _make_method(sitk: Any, images: list[Any], transform: Any) -> Any:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricFixedMask(images[0][1])
    method.SetMetricMovingMask(images[1][1])
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(transform, inPlace=True)
    return method


def _measure_similarity(sitk: Any, images: list[Any], transform: Any) -> float:
    method = _make_method(sitk, images, transform)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.2)
    return -_call_itk(method.MetricEvaluate, images)


def _call_itk(call: Any, images: list[Any]) -> Any:
    try:
        return call(images[0][0], images[1][0])
    except RuntimeError as error:  # the message of ITK is a page long
        raise ValueError("expected volumes that overlap, found no sampled voxel in both") from error


def _optimise(sitk: Any, images: list[Any], transform: Any, seed: int) -> int:
    method = _make_method(sitk, images, transform)
    method.SetMetricSamplingStrategy(method.RANDOM)
    # ITK takes a seed of 0 for the clock
    method.SetMetricSamplingPercentagePerLevel([fraction for _, _, fraction in LEVELS], seed + 1)
    method.SetShrinkFactorsPerLevel([shrink for shrink, _, _ in LEVELS])
    method.SetSmoothingSigmasPerLevel([sigma for _, sigma, _ in LEVELS])
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.005, 120, gradientMagnitudeTolerance=1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    _call_itk(method.Execute, images)
    return int(method.GetOptimizerIteration())
