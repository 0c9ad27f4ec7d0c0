"""The way to the template by the shape of a brain, without registration: its centre, widths and pitch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from diffad.data.atlas.place_atlas import SURFACE, load_place_atlas
from diffad.data.atlas.template_map import SHAPED, TemplateMap
from diffad.data.volume import Array

LARGEST_SPREAD, LARGEST_PITCH, LEAST_DICE = 1.35, 40.0, 0.87
"""Largest ratio of the scales of two axes, largest pitch in degrees and least overlap of a whole brain."""
CENTRE, WIDTH, PITCH = (0.0, -22.14, 10.37), (33.92, 41.62, 32.12), 7.0
"""Shape of a brain in the template's world, in mm and degrees, see ``BrainShape``: the mean of 37 registered
brains, and the pitch that brings them nearest to where their registration does."""
MOST_VOXELS = 300_000
"""Voxels of a brain that are looked at, about."""


@dataclass(frozen=True, eq=False)
class BrainShape:
    """Centre, widths and pitch of a brain.

    Args:
        centre: Centre of mass in mm, (3,).
        axes: Axes of the brain as columns, (3, 3): to the right, and forward and upward along its main axes
            in the sagittal plane.
        width: Standard deviation along these, (3,), in mm.
        volume: Volume in mm3.
    """

    centre: Array
    axes: Array
    width: Array
    volume: float

    @property
    def pitch(self) -> float:
        """Angle from the world's forward axis up to that of the brain, in degrees."""
        return float(np.degrees(np.arctan2(self.axes[2, 1], self.axes[1, 1])))


def list_brain_points(brain: Array, affine: Array) -> Array:
    """Return the centres of voxels of a mask (I, J, K), a regular sample of a large one, (N, 3) in mm."""
    step = max(1, round((np.count_nonzero(brain) / MOST_VOXELS) ** (1 / 3)))
    index = np.argwhere(brain[::step, ::step, ::step]) * step
    return index @ affine[:3, :3].T + affine[:3, 3]


def measure_brain_shape(brain: Array, affine: Array) -> BrainShape:
    """Measure a brain mask, (I, J, K) with its voxel to world matrix, (4, 4).

    Raises:
        ValueError: If it has too few voxels for it.
    """
    points = list_brain_points(brain, affine)
    if len(points) < 100:
        raise ValueError(f"expected a brain of at least 100 voxels, found {np.count_nonzero(brain)}")
    covariance = np.cov(points.T)
    variances, vectors = np.linalg.eigh(covariance[1:, 1:])
    forward = int(np.abs(vectors[0]).argmax())
    order = [forward, 1 - forward]
    axes = np.eye(3)
    axes[1:, 1:] = vectors[:, order] * np.where(np.diag(vectors[:, order]) < 0, -1, 1)
    width = np.sqrt([covariance[0, 0], *variances[order]])
    volume = float(np.count_nonzero(brain) * abs(np.linalg.det(affine[:3, :3])))
    return BrainShape(points.mean(0), axes, width, volume)


@cache
def make_template_shape() -> BrainShape:
    """Return the shape of a brain in the space of the template."""
    c, s = np.cos(np.radians(PITCH)), np.sin(np.radians(PITCH))
    axes = np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])
    atlas = load_place_atlas()
    voxels = np.count_nonzero(list_solid_labels()[atlas.labels])
    volume = float(voxels * abs(np.linalg.det(atlas.affine[:3, :3])))
    return BrainShape(np.array(CENTRE), axes, np.array(WIDTH), volume)


@cache
def list_solid_labels() -> Array:
    """Return which labels of the atlas are brain, not its surface."""
    return np.array([region.index > 0 and region.tissue != SURFACE for region in load_place_atlas().regions])


def fit_brain_shape(brain: Array, affine: Array) -> TemplateMap:
    r"""Map a scan to the template by the shape of its brain alone, about.

    .. math:: x' = c' + R' \frac{\sigma'}{\sigma} R^T (x - c)

    with the centre of mass :math:`c`, the widths :math:`\sigma` along the axes of the brain and the rotation
    :math:`R` in the sagittal plane that brings them there: heads nod in the scanner far more than they turn.

    Args:
        brain: Mask of a whole brain, (I, J, K), bool.
        affine: Voxel to world matrix, (4, 4).

    Raises:
        ValueError: If it has not the shape of a whole brain; the message says what it has.
    """
    shape, template = measure_brain_shape(brain, affine), make_template_shape()
    scale = template.width / np.maximum(shape.width, 1e-9)
    linear = template.axes @ np.diag(scale) @ shape.axes.T
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = linear, template.centre - linear @ shape.centre
    way = TemplateMap(matrix, SHAPED)
    spread, pitch = float(scale.max() / scale.min()), abs(shape.pitch - template.pitch)
    dice = measure_overlap(brain, affine, way)
    if spread > LARGEST_SPREAD or pitch > LARGEST_PITCH or dice < LEAST_DICE:
        raise ValueError(
            f"expected the shape of a whole brain, found one whose axes differ from it by a factor of "
            f"{spread:.2f}, whose pitch does by {pitch:.0f} degrees, and which overlaps with it by {dice:.2f}"
        )
    return way


def measure_overlap(brain: Array, affine: Array, way: TemplateMap | None = None) -> float:
    """Return the Dice overlap with the brain of the atlas.

    Args:
        brain: Brain mask, (I, J, K), bool.
        affine: Voxel to world matrix, (4, 4).
        way: Its way to the template; none where it lies there.
    """
    template, points = make_template_shape(), list_brain_points(brain, affine)
    volume = float(np.count_nonzero(brain) * abs(np.linalg.det(affine[:3, :3])))
    if way is not None:
        points, volume = way.move(points), volume * abs(float(np.linalg.det(way.matrix[:3, :3])))
    labels = load_place_atlas().look_up(points)
    return float(2 * list_solid_labels()[labels].mean() * volume / (volume + template.volume))
