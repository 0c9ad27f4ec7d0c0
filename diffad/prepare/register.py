"""Registration: where each point of one volume lies in another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffad.data.volume import Array
from diffad.prepare.extras import import_extra
from diffad.prepare.geometry import VoxelGrid, make_upright_grid, map_voxels, resample

BINS = 32
LEVELS = ((4, 4.0, 1.0), (2, 2.0, 0.4), (1, 1.0, 0.1))
"""Shrinking, smoothing in mm and share of the voxels that are sampled, from coarse to fine."""


@dataclass(frozen=True, eq=False)
class RegistrationImage:
    """A volume as the registration sees it: cubic voxels along the world's axes.

    Args:
        image: Intensities, (I, J, K).
        grid: Where they lie.
        seen: Voxels that count, (I, J, K), bool; others lie beyond the field of view.
    """

    image: Array
    grid: VoxelGrid
    seen: Array

    @classmethod
    def of(
        cls, image: Array, grid: VoxelGrid, corners: tuple[Array, Array], spacing: float, threads: int
    ) -> RegistrationImage:
        """Look at a volume through a box; sheared and oblique grids come out upright."""
        new = make_upright_grid(*corners, spacing)
        matrix = map_voxels(new, grid)
        data = resample(image, matrix, new.shape, threads=threads)
        ones = np.broadcast_to(np.float32(1), image.shape)
        return cls(data, new, resample(ones, matrix, new.shape, nearest=True, threads=threads) > 0.5)


@dataclass(frozen=True, eq=False)
class Match:
    """A registration.

    Args:
        matrix: Fixed world to moving world, (4, 4), RAS in mm.
        similarity: Mattes mutual information of every fifth voxel at the end, in nats.
        start: The same at the beginning; the two can be compared.
        iterations: Steps that were taken on the last level of each stage.
    """

    matrix: Array
    similarity: float
    start: float
    iterations: tuple[int, ...]


def align(fixed: RegistrationImage, moving: RegistrationImage, start: Array, kind: str, seed: int) -> Match:
    """Register a volume to another by mutual information, rigidly and then, if asked for, by an affine map.

    The voxels that are sampled follow from the seed, and one thread does the sums: several add them up in the
    order they happen to finish in, and were not faster where it was measured (two cores).

    Args:
        fixed: Volume whose points are mapped.
        moving: Volume they are mapped to.
        start: First guess, fixed world to moving world, (4, 4).
        kind: "rigid" or "affine".
        seed: Seed of the samples.

    Raises:
        ValueError: If the two do not overlap.

    Reference:
        PET-CT image registration in the chest using free-form deformations (Mattes et al., 2003), eq. 6.
    """
    sitk = import_extra("SimpleITK")
    with _one_thread(sitk):
        return _aligned(sitk, fixed, moving, start, kind, seed)


def _aligned(
    sitk: Any, fixed: RegistrationImage, moving: RegistrationImage, start: Array, kind: str, seed: int
) -> Match:
    middle = fixed.grid.affine[:3, :3] @ (np.array(fixed.grid.shape) - 1) / 2 + fixed.grid.affine[:3, 3]
    images = [_image(sitk, view) for view in (fixed, moving)]
    transform = _rigid(sitk, start, middle)
    before = _similarity(sitk, images, transform)
    runs = [_run(sitk, images, transform, seed)]
    if kind == "affine":
        transform = _affine(sitk, transform, middle)
        runs.append(_run(sitk, images, transform, seed))
    after = _similarity(sitk, images, transform)
    return Match(_matrix(transform), after, before, tuple(runs))


@contextmanager
def _one_thread(sitk: Any) -> Iterator[None]:
    # the metric asks for the threads of the process, whatever the registration was told
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _image(sitk: Any, view: RegistrationImage) -> tuple[Any, Any]:
    pair = [sitk.GetImageFromArray(a.transpose(2, 1, 0).astype(t)) for a, t in _parts(view)]
    for image in pair:
        image.SetSpacing(view.grid.spacing.tolist())
        image.SetOrigin(view.grid.affine[:3, 3].tolist())
    return pair[0], pair[1]


def _parts(view: RegistrationImage) -> list[tuple[Array, type]]:
    return [(view.image, np.float32), (view.seen, np.uint8)]


def _rigid(sitk: Any, start: Array, middle: Array) -> Any:
    transform = sitk.Euler3DTransform()
    transform.SetCenter(middle.tolist())
    transform.SetMatrix(start[:3, :3].ravel().tolist())
    transform.SetTranslation((start[:3, :3] @ middle + start[:3, 3] - middle).tolist())
    return transform


def _affine(sitk: Any, rigid: Any, middle: Array) -> Any:
    transform = sitk.AffineTransform(3)
    transform.SetCenter(middle.tolist())
    transform.SetMatrix(rigid.GetMatrix())
    transform.SetTranslation(rigid.GetTranslation())
    return transform


def _matrix(transform: Any) -> Array:
    axes, middle = np.array(transform.GetMatrix()).reshape(3, 3), np.array(transform.GetCenter())
    matrix = np.eye(4)
    matrix[:3, :3] = axes
    matrix[:3, 3] = np.array(transform.GetTranslation()) + middle - axes @ middle
    return matrix


def _method(sitk: Any, images: list[Any], transform: Any) -> Any:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    method.SetMetricFixedMask(images[0][1])
    method.SetMetricMovingMask(images[1][1])
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(transform, inPlace=True)
    return method


def _similarity(sitk: Any, images: list[Any], transform: Any) -> float:
    method = _method(sitk, images, transform)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.2)
    return -_called(method.MetricEvaluate, images)


def _called(call: Any, images: list[Any]) -> Any:
    try:
        return call(images[0][0], images[1][0])
    except RuntimeError as error:  # ITK's words are a page long
        raise ValueError("expected volumes that overlap, found none of the samples in both") from error


def _run(sitk: Any, images: list[Any], transform: Any, seed: int) -> int:
    method = _method(sitk, images, transform)
    method.SetMetricSamplingStrategy(method.RANDOM)
    # a seed of 0 means the clock to ITK
    method.SetMetricSamplingPercentagePerLevel([share for _, _, share in LEVELS], seed + 1)
    method.SetShrinkFactorsPerLevel([shrink for shrink, _, _ in LEVELS])
    method.SetSmoothingSigmasPerLevel([sigma for _, sigma, _ in LEVELS])
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 0.005, 120, gradientMagnitudeTolerance=1e-6)
    method.SetOptimizerScalesFromPhysicalShift()
    _called(method.Execute, images)
    return int(method.GetOptimizerIteration())
