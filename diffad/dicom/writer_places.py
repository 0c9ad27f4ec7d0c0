"""Where the voxels of a result lie in the images of a series, and whether both lie in the same place."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array
from diffad.dicom.references import SourceSeries
from diffad.dicom.writer_packages import DicomError

EXACT_MM = 1e-3
"""How far voxels of one grid may lie apart for values to be copied, in mm."""
LARGEST_SHIFT_MM = 0.5
"""How far two grids of one size may lie apart, in mm; beyond it they are of different scans."""
MOST_POINTS = 50_000
"""So many voxels of the part that was analysed are looked for in the series."""


@dataclass(frozen=True)
class SeriesPlacement:
    """Where each pixel of a series lies in a result.

    Args:
        matrices: From (column, row, 0, 1) of each image to voxels of the result, (N, 4, 4).
        shape: Images, rows and columns.
        is_exact: Whether pixels and voxels are the same points, so that values are copied.
    """

    matrices: Array
    shape: tuple[int, int, int]
    is_exact: bool

    @classmethod
    def of(cls, series: SourceSeries, affine: Array) -> SeriesPlacement:
        """Place the images of a series in a volume with an affine (4, 4), from its voxels to RAS mm."""
        matrices = np.linalg.solve(affine, series.affines)
        lattice = np.round(matrices)
        is_exact = _is_lattice(lattice) and _measure_rounding(matrices, affine, series.shape) < EXACT_MM
        return cls(lattice if is_exact else matrices, series.shape, is_exact)

    def take_labels(self, labels: Array) -> Array:
        """Return the nearest voxel's value at each pixel, 0 beyond the volume, (N, rows, columns).

        Args:
            labels: Values of a volume, (I, J, K).
        """
        frames = np.zeros(self.shape, labels.dtype)
        for frame, matrix in zip(frames, self.matrices, strict=True):
            index = np.rint(self._list_points(matrix)).astype(np.int64)
            size = np.array(labels.shape)[:, None, None]
            inside = ((index >= 0) & (index < size)).all(0)
            frame[inside] = labels[tuple(index[:, inside])]
        return frames

    def take_values(self, values: Array) -> Array:
        """Return values at each pixel, copied or linear between voxels, 0 beyond the volume, in float32.

        Args:
            values: Values of a volume, (I, J, K).
        """
        if self.is_exact:
            return self.take_labels(values.astype(np.float32, copy=False))
        return np.stack([self._interpolate(values, matrix) for matrix in self.matrices])

    def _interpolate(self, values: Array, matrix: Array) -> Array:
        """Interpolate in one image; half a voxel beyond the last centre counts as inside."""
        points, last = self._list_points(matrix), np.array(values.shape)[:, None, None] - 1
        inside = ((points >= -0.5) & (points <= last + 0.5)).all(0)
        frame = ndimage.map_coordinates(values, np.clip(points, 0, last), np.float32, order=1)
        return np.where(inside, frame, np.float32(0))

    def pick(self, images: list[int]) -> SeriesPlacement:
        """Return the placement of some images."""
        return SeriesPlacement(self.matrices[images], (len(images), *self.shape[1:]), self.is_exact)

    def _list_points(self, matrix: Array) -> Array:
        rows, columns = np.meshgrid(*(np.arange(n) for n in self.shape[1:]), indexing="ij")
        step = matrix[:3, None, None]
        return step[..., 0] * columns + step[..., 1] * rows + step[..., 3]


def _is_lattice(matrices: Array) -> bool:
    """Tell whether each step of a column or a row is a step of one voxel along an axis."""
    steps = matrices[:, :3, :2]
    return bool((np.abs(steps).sum(1) == 1).all())


def _measure_rounding(matrices: Array, affine: Array, shape: tuple[int, int, int]) -> float:
    """Return how far rounding to whole voxels moves the corners of the images at most, in mm."""
    corners = np.array([[c, r, 0, 1] for c in (0, shape[2] - 1) for r in (0, shape[1] - 1)]).T
    moves = affine[:3, :3] @ ((np.round(matrices) - matrices)[:, :3] @ corners)
    return float(np.linalg.norm(moves, axis=1).max())


def check_place(series: SourceSeries, affine: Array, brain: Array, path: Path) -> None:
    """Refuse a result that does not lie where a series does.

    Args:
        series: The series.
        affine: From voxels of the result to RAS mm, (4, 4).
        brain: Part of the brain that was analysed, (I, J, K), bool.
        path: A file of the result, for the message.

    Raises:
        DicomError: If a grid like that of the series lies elsewhere, or what was analysed reaches beyond it;
            the message says how many mm.
    """
    shift = _measure_shift(series, affine, brain.shape)
    if shift is not None and shift > LARGEST_SHIFT_MM:
        raise DicomError(
            f"{path}: expected a result that lies where the images of {series.folder} do, found it "
            f"{shift:.1f} mm off"
        )
    beyond, tolerance = _measure_excess(series, affine, brain)
    if beyond > tolerance:
        raise DicomError(
            f"{path}: expected the brain inside the images of {series.folder}, found that it reaches "
            f"{beyond:.1f} mm beyond them"
        )


def _measure_shift(series: SourceSeries, affine: Array, shape: tuple[int, ...]) -> float | None:
    """Return how far apart two grids of one size lie at their corners, in mm; none if they differ in size."""
    count, rows, columns = series.shape
    size, other = (_list_sides(a, s) for a, s in ((series.stack, (columns, rows, count)), (affine, shape)))
    if size.shape != other.shape or not np.allclose(size, other, rtol=0.01, atol=0.01):
        return None
    mine, theirs = _list_corners(series.stack, (columns, rows, count)), _list_corners(affine, shape)
    distances = np.linalg.norm(mine[:, None] - theirs[None], axis=-1)
    return float(distances.min(1).max())


def _list_sides(affine: Array, shape: tuple[int, ...]) -> Array:
    """Return voxels and their size by axis, in order, with the angles of the axes: what makes grids alike."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    sides = sorted(zip(shape, np.linalg.norm(affine[:3, :3], axis=0).round(2), strict=True))
    angles = sorted(abs(axes[:, i] @ axes[:, j]) for i, j in itertools.combinations(range(3), 2))
    return np.array([*itertools.chain(*sides), *angles])


def _list_corners(affine: Array, shape: tuple[int, ...]) -> Array:
    corners = np.array([*itertools.product(*((0, n - 1) for n in shape))])
    return np.asarray(corners @ affine[:3, :3].T + affine[:3, 3])


def _measure_excess(series: SourceSeries, affine: Array, brain: Array) -> tuple[float, float]:
    """Return how far what was analysed reaches beyond a series, and its largest spacing, in mm."""
    where = np.argwhere(brain)
    where = where[:: max(1, len(where) // MOST_POINTS)]
    if not len(where):
        return 0.0, 0.0
    stack, (count, rows, columns) = series.stack, series.shape
    points = where @ affine[:3, :3].T + affine[:3, 3]
    index = np.linalg.solve(stack[:3, :3], (points - stack[:3, 3]).T).T
    last, sizes = np.array([columns, rows, count]) - 1, np.linalg.norm(stack[:3, :3], axis=0)
    beyond = np.maximum(np.maximum(-0.5 - index, index - last - 0.5), 0) * sizes
    return float(beyond.max()), float(sizes.max())
