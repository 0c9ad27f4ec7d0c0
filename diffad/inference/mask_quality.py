"""Whether a brain mask has the size and the surface of a brain, and whether the field cuts it off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from diffad.data.volume import Array

CELL_MM = 2.5
"""Edge of the cubes in which the surface is measured, so that fine voxels do not roughen it."""


def measure_mask(brain: Array, spacing: Sequence[float]) -> dict[str, float]:
    r"""Measure a brain mask.

    ``brain_ml`` is its volume V; ``loose`` the share of it beside the largest piece; ``roughness`` is
    :math:`A / V^{2/3}` by the faces of cubes, 6 of a cube and 7.3 of a ball; ``flat_cm2`` the largest area in
    which it ends in one plane of the grid, as where the field of view ends.

    Args:
        brain: Brain mask, (I, J, K), bool.
        spacing: Voxel edges in mm.
    """
    edges = [float(mm) for mm in spacing]
    cubes = _to_cubes(brain, edges)
    labels, count = ndimage.label(cubes)
    sizes = np.bincount(labels.ravel())[1:] if count else np.ones(1)
    return {
        "brain_ml": float(brain.sum() * np.prod(edges) / 1000),
        "loose": float(1 - sizes.max() / sizes.sum()),
        "roughness": _measure_roughness(cubes),
        "flat_cm2": measure_flat_end(brain, edges),
    }


def _to_cubes(brain: Array, edges: Sequence[float]) -> Array:
    factors = [mm / CELL_MM for mm in edges]
    return ndimage.zoom(np.pad(brain, 2).astype(np.float32), factors, order=1) > 0.5


def _measure_roughness(cubes: Array) -> float:
    """Return the area of the faces of a mask over its volume^(2/3), in any unit."""
    area = sum(int(np.abs(np.diff(np.pad(cubes, 1).astype(np.int8), axis=a)).sum()) for a in range(3))
    return float(area / max(1.0, float(cubes.sum())) ** (2 / 3))


def measure_flat_end(brain: Array, spacing: Sequence[float]) -> float:
    """Return the largest area in cm2 in which a mask (I, J, K) ends in one plane, looking in one direction.

    Args:
        brain: Brain mask, bool.
        spacing: Voxel edges in mm.
    """
    padded = np.pad(brain, 1)
    ends = []
    for axis in range(3):
        face = float(np.prod([mm for a, mm in enumerate(spacing) if a != axis])) / 100
        steps = np.diff(padded.astype(np.int8), axis=axis)
        others = tuple(a for a in range(3) if a != axis)
        ends += [face * float((steps == sign).sum(others).max()) for sign in (1, -1)]
    return max(ends)
