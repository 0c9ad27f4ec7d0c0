"""Grids in the world, and resampling from one to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diffad.data.volume import Array, measure_voxel
from diffad.io.extras import import_extra
from diffad.prepare.record import count_threads


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """A grid of voxels.

    Args:
        shape: Voxels along I, J and K.
        affine: Voxel to world matrix, (4, 4), in mm.
    """

    shape: tuple[int, ...]
    affine: Array

    @property
    def spacing(self) -> Array:
        """Distance between voxel centres along I, J and K, (3,), in mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel, in ml."""
        return measure_voxel(self.affine)

    @property
    def shear(self) -> float:
        """Largest cosine between two voxel axes; 0 for an orthogonal grid."""
        axes = self.affine[:3, :3] / self.spacing
        return float(np.abs(axes.T @ axes - np.eye(3)).max())


def resample(
    data: Array,
    matrix: Array,
    shape: tuple[int, ...],
    *,
    nearest: bool = False,
    fill: float = 0.0,
    threads: int = 0,
) -> npt.NDArray[np.float32]:
    r"""Resample a volume at the voxels of another grid, with one interpolation.

    .. math:: y(v) = x(M v)

    Both grids count in voxels, and the matrix holds all that lies between them (affines, sheared ones, too,
    and a registration), so that SimpleITK, which needs orthonormal directions, gets none.

    Args:
        data: Volume :math:`x`, (I, J, K).
        matrix: Voxels of the new grid to voxels of ``data``, :math:`M`, (4, 4).
        shape: Shape of the new grid.
        nearest: Whether to take the nearest voxel, instead of interpolating linearly.
        fill: Value beyond the voxels of ``data``.
        threads: Threads; 0 for all cores.
    """
    sitk = import_extra("SimpleITK", "prepare")
    # SimpleITK counts the axes of an array from the last one
    axes, shift = matrix[:3, :3][::-1, ::-1], matrix[:3, 3][::-1]
    resampler = sitk.ResampleImageFilter()
    resampler.SetNumberOfThreads(count_threads(threads))
    resampler.SetSize([int(n) for n in shape[::-1]])
    resampler.SetTransform(sitk.AffineTransform(axes.ravel().tolist(), shift.tolist()))
    resampler.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    resampler.SetDefaultPixelValue(float(fill))
    image = sitk.GetImageFromArray(np.ascontiguousarray(data, dtype=np.float32))
    return np.asarray(sitk.GetArrayFromImage(resampler.Execute(image)), dtype=np.float32)


def map_voxels(new: VoxelGrid, old: VoxelGrid, world: Array | None = None) -> Array:
    """Return the matrix from voxels of ``new`` to voxels of ``old``; ``world`` takes new mm to old mm."""
    world_affine = new.affine if world is None else world @ new.affine
    return np.linalg.solve(old.affine, world_affine)


def make_upright_grid(lower: Array, upper: Array, spacing: float) -> VoxelGrid:
    """Return the grid of cubic voxels along the axes of the world that covers a box, in mm."""
    shape = tuple(int(np.ceil(extent / spacing - 1e-6)) + 1 for extent in upper - lower)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = lower
    return VoxelGrid(shape, affine)


def find_bounding_box(mask: Array, affine: Array, margin: float = 0.0) -> tuple[Array, Array]:
    """Return the lower and upper corner in mm of the box around the voxels of a mask (I, J, K)."""
    spans = [np.flatnonzero(mask.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    ends = [(span[0] - 0.5, span[-1] + 0.5) for span in spans]
    corners = np.array([[i, j, k, 1] for i in ends[0] for j in ends[1] for k in ends[2]])
    world = (corners @ affine.T)[:, :3]
    return world.min(0) - margin, world.max(0) + margin


def centre_of_mass(mask: Array, affine: Array) -> Array:
    """Return the centre of mass of a mask (I, J, K), (3,), in mm."""
    counts = [mask.sum(tuple({0, 1, 2} - {axis})) for axis in range(3)]
    voxel = [float((np.arange(len(c)) * c).sum() / c.sum()) for c in counts]
    return affine[:3, :3] @ np.array(voxel) + affine[:3, 3]


def format_itk(matrix: Array) -> str:
    """Return a world matrix (RAS, mm) as the text of an ITK transform (LPS), for ITK, ANTs and Slicer."""
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    lps_matrix = flip @ matrix @ flip
    numbers = [*lps_matrix[:3, :3].ravel(), *lps_matrix[:3, 3]]
    return (
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        f"Parameters: {' '.join(f'{float(n):.17g}' for n in numbers)}\nFixedParameters: 0 0 0\n"
    )
