"""Grids in the world, and the one place where volumes move from grid to grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from diffad.data.volume import Array, measure_voxel
from diffad.prepare.extras import count_threads, import_extra


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
        """Largest cosine between two voxel axes; 0 of an orthogonal grid."""
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
    r"""Look a volume up at the voxels of another grid, with one interpolation.

    .. math:: y(v) = x(M v)

    Both grids count in voxels, and the matrix takes in whatever lies between them (affines, sheared ones too,
    and a registration), so that SimpleITK's need for orthonormal directions does not matter here.

    Args:
        data: Volume :math:`x`, (I, J, K).
        matrix: Voxels of the new grid to voxels of ``data``, :math:`M`, (4, 4).
        shape: Shape of the new grid.
        nearest: Take the nearest voxel rather than interpolate linearly.
        fill: Value beyond the voxels of ``data``.
        threads: Threads; 0 for all cores.
    """
    sitk = import_extra("SimpleITK")
    # SimpleITK counts the axes of an array from the last one
    axes, shift = matrix[:3, :3][::-1, ::-1], matrix[:3, 3][::-1]
    lookup = sitk.ResampleImageFilter()
    lookup.SetNumberOfThreads(count_threads(threads))
    lookup.SetSize([int(n) for n in shape[::-1]])
    lookup.SetTransform(sitk.AffineTransform(axes.ravel().tolist(), shift.tolist()))
    lookup.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    lookup.SetDefaultPixelValue(float(fill))
    image = sitk.GetImageFromArray(np.ascontiguousarray(data, dtype=np.float32))
    return np.asarray(sitk.GetArrayFromImage(lookup.Execute(image)), dtype=np.float32)


def map_voxels(new: VoxelGrid, old: VoxelGrid, world: Array | None = None) -> Array:
    """Return the matrix from voxels of ``new`` to voxels of ``old``; ``world`` takes new mm to old mm."""
    moved = new.affine if world is None else world @ new.affine
    return np.linalg.solve(old.affine, moved)


def make_upright_grid(lower: Array, upper: Array, spacing: float) -> VoxelGrid:
    """Return the grid of cubic voxels along the world's axes that covers a box, in mm."""
    shape = tuple(int(np.ceil(extent / spacing - 1e-6)) + 1 for extent in upper - lower)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = lower
    return VoxelGrid(shape, affine)


def bounding_box(inside: Array, affine: Array, margin: float = 0.0) -> tuple[Array, Array]:
    """Return the lower and upper corner in mm of the box around the voxels of a mask (I, J, K)."""
    spans = [np.flatnonzero(inside.any(tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    ends = [(span[0] - 0.5, span[-1] + 0.5) for span in spans]
    corners = np.array([[i, j, k, 1] for i in ends[0] for j in ends[1] for k in ends[2]])
    world = (corners @ affine.T)[:, :3]
    return world.min(0) - margin, world.max(0) + margin


def centre_of_mass(inside: Array, affine: Array) -> Array:
    """Return the centre of mass of a mask (I, J, K), (3,), in mm."""
    counts = [inside.sum(tuple({0, 1, 2} - {axis})) for axis in range(3)]
    voxel = [float((np.arange(len(c)) * c).sum() / c.sum()) for c in counts]
    return affine[:3, :3] @ np.array(voxel) + affine[:3, 3]


def itk_text(matrix: Array) -> str:
    """Write a world matrix (RAS, mm) as a text file of ITK (LPS), which ITK, ANTs and Slicer read."""
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    turned = flip @ matrix @ flip
    numbers = [*turned[:3, :3].ravel(), *turned[:3, 3]]
    return (
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        f"Parameters: {' '.join(f'{float(n):.17g}' for n in numbers)}\nFixedParameters: 0 0 0\n"
    )
