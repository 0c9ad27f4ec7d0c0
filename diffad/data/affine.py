"""Affines of scans: whether they can be, how far two of them lie apart, and how large a field they span."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from diffad.data.volume_error import demand

Affine = npt.NDArray[Any]

SMALL_FIELD, LARGE_FIELD = 20.0, 2000.0
"""Longest side of a scan of a head, from and to, in mm; beyond it the units are in doubt."""
FINEST_SPACING, LARGEST_FIELD = 0.01, 10_000.0
"""Spacing below which, and side above which, a scan is refused, in mm: no picture of it can be made."""


def check_affine(affine: Affine, name: Path | str) -> Affine:
    """Return an affine in double precision.

    Raises:
        VolumeError: Unless it is an invertible (4, 4) matrix of finite numbers.
    """
    affine = np.asarray(affine, dtype=np.float64)
    demand(affine.shape == (4, 4), name, "an affine (4, 4)", f"shape {affine.shape}")
    demand(is_regular(affine), name, "an invertible affine", affine.tolist())
    return affine


def is_regular(affine: Affine) -> bool:
    """Tell whether an affine (4, 4) is finite and can be inverted."""
    axes = affine[:3, :3]
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(axes, axis=0)
        # Relative to the voxel size, so that tiny voxels are not taken for flat ones.
        finite = bool(np.isfinite(affine).all() and np.isfinite(lengths).all() and lengths.all())
        return finite and bool(abs(np.linalg.det(axes / lengths)) > 1e-6)


def measure_shift(affine: Affine, like: Affine, shape: Sequence[int]) -> float:
    r"""Return how far apart two affines put the corners of a grid, in voxels.

    .. math:: \max_c \| A^{-1} (B - A) \, c \|_\infty

    Args:
        affine: The one affine :math:`B`, (4, 4).
        like: The other :math:`A`, (4, 4), whose voxels are counted.
        shape: Voxels of the grid, (I, J, K), whose corners are :math:`c`.
    """
    corners = np.array([[*c, 1] for c in itertools.product(*((0, n - 1) for n in shape[:3]))]).T
    with np.errstate(all="ignore"):
        # not A^-1 B c - c: far from the origin of the world, rounding alone would move a grid off itself
        shift = np.abs(np.linalg.solve(like[:3, :3], (affine - like)[:3] @ corners)).max()
    return float(shift) if np.isfinite(shift) else float("inf")


def measure_field(affine: Affine, shape: Sequence[int]) -> Affine:
    """Return the sides of the field of view, (3,), in the unit of the affine."""
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0) * np.array(shape[:3]))


def is_plausible(affine: Affine, shape: Sequence[int]) -> bool:
    """Tell whether the field of view could hold a head, and little more."""
    field = measure_field(affine, shape)
    return bool(SMALL_FIELD <= field.max() <= LARGE_FIELD)


def check_field(affine: Affine, shape: Sequence[int], path: Path) -> list[str]:
    """List what is odd about the size of a scan.

    Args:
        affine: Voxel to world matrix, (4, 4), in mm.
        shape: Voxels, (I, J, K).
        path: File that a message names.

    Raises:
        VolumeError: If voxels are finer than 0.01 mm, or a side is longer than 10 m.
    """
    spacing, field = np.linalg.norm(affine[:3, :3], axis=0), measure_field(affine, shape)
    size = f"voxels of {_format(spacing)} mm over {_format(field)} mm"
    sane = spacing.min() >= FINEST_SPACING and field.max() <= LARGEST_FIELD
    limits = f"voxels of at least {FINEST_SPACING} mm and sides of at most {LARGEST_FIELD / 1000:g} m"
    demand(bool(sane), path, limits, f"{size}; correct the voxel size in its header")
    place = affine[:3, 3]
    warnings = (
        []
        if is_plausible(affine, shape)
        else [f"the field of view is not that of a head: {size}; volumes in ml may be wrong"]
    )
    if np.abs(place).max() > LARGEST_FIELD:
        where = ", ".join(f"{x:.4g}" for x in place)
        warnings.append(f"its first voxel lies at ({where}) mm: places of lesions in mm mean nothing")
    return warnings


def name_axes(affine: Affine) -> str:
    """Name where the voxel axes run to: RAS for right, anterior and superior."""
    return "".join(letter or "?" for letter in nib.aff2axcodes(affine))


def _format(sides: Affine) -> str:
    return " x ".join(f"{side:.4g}" for side in sides)
