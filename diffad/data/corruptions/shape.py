"""Random convex shapes: sheared and rotated boxes and ellipsoids."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Random = np.random.Generator

SIDE_LIMITS = (0.06, 0.8)
"""Shortest and longest side, as fractions of the sides of the brain."""


@dataclass(frozen=True)
class Shape:
    r"""The image of the unit ball (of the largest or of the Euclidean norm) under a linear map.

    Args:
        matrix: Linear map :math:`A`, (n, n), in voxels; its columns are the half-axes.
        ellipse: Whether the ball is the Euclidean one; otherwise it is a box.
    """

    matrix: Floats
    ellipse: bool

    @property
    def extent(self) -> Floats:
        """Half the sides of the bounding box, (n,), in voxels."""
        return np.linalg.norm(self.matrix, ord=2 if self.ellipse else 1, axis=1)

    @property
    def size(self) -> tuple[int, ...]:
        """Sides of the bounding box, in whole voxels."""
        return tuple(max(math.ceil(2 * e - 1e-9), 1) for e in self.extent)

    def to_units(self, offset: Floats) -> Floats:
        r"""Map offsets from the centre back, :math:`u = A^{-1} o`, (n, ...)."""
        return np.einsum("ij,j...->i...", np.linalg.inv(self.matrix), offset)

    def holds(self, units: Floats) -> Bools:
        """Tell which points (n, ...) lie inside."""
        norms = np.square(units).sum(0) if self.ellipse else np.abs(units).max(0)
        return np.asarray(norms <= 1)

    def find_exit(self, start: Floats, units: Floats) -> Floats:
        r"""Solve :math:`\lVert u_0 + k (u - u_0) \rVert = 1` for :math:`k`: where rays leave the shape.

        Args:
            start: Point inside, :math:`u_0`, (n, 1).
            units: Points :math:`u` inside, (n, K).

        Returns:
            :math:`k \ge 1`, (K,): distance to the border over the distance to the point; inf for the start.
        """
        ray = units - start
        with np.errstate(divide="ignore", invalid="ignore"):
            if not self.ellipse:
                times = np.where(ray == 0, np.inf, (np.sign(ray) - start) / ray)
                return np.maximum(times.min(0), 1)
            a, b, c = np.square(ray).sum(0), (start * ray).sum(0), np.square(start).sum(0) - 1
            root = np.sqrt(np.maximum(b * b - a * c, 0))
            return np.where(a == 0, np.inf, np.maximum((root - b) / a, 1))


def index_voxels(size: tuple[int, ...]) -> Floats:
    """Return the index of each voxel of a box, (n, *size)."""
    return np.stack(np.meshgrid(*(np.arange(k, dtype=np.float64) for k in size), indexing="ij"))


def draw_side_fractions(count: int, rng: Random) -> Floats:
    r"""Draw sides as fractions of the image, :math:`0.03 + \Gamma(2, 0.1)`, of mean 0.23."""
    return 0.03 + rng.gamma(2, 0.1, count)


def draw_rotation(axes: int, limit: float, rng: Random) -> Floats:
    """Draw a rotation (n, n): one angle in +- ``limit`` radians for each pair of axes."""
    result = np.eye(axes)
    for i, j in combinations(range(axes), 2):
        angle = rng.uniform(-limit, limit)
        plane = np.eye(axes)
        plane[i, i] = plane[j, j] = math.cos(angle)
        plane[i, j], plane[j, i] = -math.sin(angle), math.sin(angle)
        result = result @ plane
    return result


def draw_shape(image: tuple[int, ...], brain: tuple[int, ...], rng: Random) -> Shape:
    r"""Draw a box or an ellipsoid.

    Its sides are :math:`0.03 + \Gamma(2, 0.1)` of the image, between 6 % and 80 % of the brain; it is sheared
    by :math:`I + N(0, 0.2)` off the diagonal, rotated by up to 90 degrees, and shrunk where its bounding box
    exceeds 80 % of the brain.

    Args:
        image: Sides of the image, in voxels.
        brain: Sides of the box around the brain.
        rng: Source of all randomness.

    Reference:
        Many tasks make light work (Baugh et al., 2023).
    """
    n, (least, largest) = len(image), SIDE_LIMITS
    low = np.ceil(least * np.array(brain))
    high = np.maximum(np.ceil(largest * np.array(brain)), low + 1)
    half = np.clip(np.trunc(draw_side_fractions(n, rng) * np.array(image)), low, high) / 2
    shear = np.eye(n) + rng.normal(0, 0.2, (n, n)) * (1 - np.eye(n))
    shape = Shape(draw_rotation(n, math.pi / 2, rng) @ shear * half, ellipse=bool(rng.random() < 0.5))
    return Shape(shape.matrix * min(1.0, float((high / 2 / shape.extent).min())), shape.ellipse)
